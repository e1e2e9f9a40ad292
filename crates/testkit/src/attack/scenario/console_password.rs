//! A password that was used elsewhere too opens the console of somebody without a second factor. From
//! there the intruder makes a key, takes one role with it and another with that, and makes a session
//! that goes on after the key is deleted.

use super::intruder::{self, Campaign, Intruder};
use super::response;
use super::stage::Stage;
use crate::attack::agents::Agent;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::{self, iam, launch, signin, sts};
use crate::attack::cast::Purpose;
use crate::attack::event::{Caller, Hand};
use crate::attack::identity::{Identity, RoleName, Session};
use crate::attack::truth::Verdict;
use crate::attack::{ids, places, regions};

const VICTIM: usize = 1;
const FINDER: usize = 2;

/// How long the session lasts that outlives the key.
const FEDERATED_SECS: i64 = 36 * 3_600;

/// Has it happen.
pub fn play(stage: &mut Stage<'_>) {
    let home = stage.account.clone();
    stage.cast.people[VICTIM].has_console = true;
    stage.cast.people[VICTIM].has_mfa = false;
    let victim = stage.cast.people[VICTIM].clone();
    let arn = stage.arn(VICTIM);
    let intruder = Intruder::draw(stage);
    let mut at = stage.attack;
    stuff(stage, at);

    let browser = Agent::browser(&mut stage.dice);
    let identity = |key: Option<String>, session: Option<Session>| Identity::User {
        account: home.clone(),
        name: victim.name.clone(),
        id: victim.id.clone(),
        key,
        session,
        invoked_by: None,
    };
    let door = Caller::new(
        identity(None, None),
        &intruder.addresses[0],
        &browser,
        Hand::Intruder,
    );
    let first = stage.act(
        &door,
        at,
        regions::HOME,
        signin::user_login(&home, &victim.name, false, at),
    );
    stage.began(&first, at, &door, &arn, "password");
    stage
        .truth
        .judge(&arn, &victim.name, Verdict::CompromisedOwnerInnocent);
    let key = ids::access_key(&mut stage.dice, "ASIA", &home);
    stage
        .truth
        .credentials
        .push(intruder::made(&key, &arn, None, &first, at));
    let session = Session {
        created: at,
        ..Session::default()
    };
    let console = door.signing(identity(Some(key.clone()), Some(session)));
    for (service, action) in [
        ("iam", "ListUsers"),
        ("iam", "ListRoles"),
        ("ec2", "DescribeInstances"),
        ("ce", "GetCostAndUsage"),
    ] {
        let moment = stage.later(&mut at, 3, 40);
        stage.act(
            &console,
            moment,
            regions::HOME,
            calls::look(service, action),
        );
    }
    let moment = stage.later(&mut at, 20, 200);
    let (call, own) = iam::create_access_key(&mut stage.dice, &home, &victim.name, moment);
    let event = stage.act(&console, moment, regions::HOME, call);
    stage.left("access-key", &own, &event, moment);
    stage
        .truth
        .credentials
        .push(intruder::made(&own, &arn, Some(&key), &event, moment));

    let script = intruder.signing(identity(Some(own.clone()), None));
    at += stage.dice.between(60, 900);
    intruder::reconnoitre(stage, &script, &mut at);
    let federated = federate(stage, &script, (&victim.name, &victim.id), &own, &mut at);

    let Some(first_hop) = role(stage, &home, Purpose::Deploy) else {
        return;
    };
    let away = stage
        .cast
        .accounts
        .last()
        .cloned()
        .unwrap_or_else(|| home.clone());
    let Some(second_hop) = role(stage, &away, Purpose::Automation) else {
        return;
    };
    let source = victim.name.clone();
    let hop = take(stage, &script, &first_hop, &victim.name, &source, &mut at);
    let hop = take(stage, &hop, &second_hop, "session", &source, &mut at);
    stage.account.clone_from(&away);
    intruder::probe_quotas(stage, &hop, &mut at);
    let campaign = Campaign {
        machines: stage.dice.between(20, 50) as usize,
        regions: 8,
        kind: stage.dice.one(launch::LARGE),
        is_windows: false,
        is_spot: stage.dice.chance(40),
        is_protected: stage.dice.chance(40),
    };
    intruder::launch(stage, &hop, &mut at, &campaign);
    stage.account.clone_from(&home);
    intruder::cover(stage, &script, &mut at);

    // The key is found first; what was made with it goes on.
    let until = at + stage.dice.between(6, 20) * 3_600;
    let mut at = until;
    let Some(finder) = stage.owner(FINDER, at) else {
        return;
    };
    response::delete_key(stage, &finder, &mut at, &victim.name, &own);
    let mut moment = until + stage.dice.between(3_600, 9 * 3_600);
    outlive(stage, &federated, &mut moment);
    at = moment + stage.options.attack_days.min(3) * DAY_SECS;
    response::clean_up(stage, &finder, &mut at);
    response::restart_trail(stage, &finder, &mut at);
}

/// Passwords are tried from many doors.
fn stuff(stage: &mut Stage<'_>, until: i64) {
    let victim = stage.cast.people[VICTIM].clone();
    let identity = Identity::User {
        account: stage.account.clone(),
        name: victim.name,
        id: victim.id,
        key: None,
        session: None,
        invoked_by: None,
    };
    let mut at = until - 1_500;
    for _ in 0..stage.dice.between(3, 14) {
        at += stage.dice.between(10, 90);
        let network = stage.dice.one(places::HIDEOUTS);
        let address = network.address(&mut stage.dice);
        let browser = Agent::browser(&mut stage.dice);
        let caller = Caller::new(identity.clone(), &address, &browser, Hand::Intruder);
        stage.act(&caller, at, regions::HOME, signin::failed_login());
    }
}

/// A session of the key's user under another name.
fn federate(
    stage: &mut Stage<'_>,
    script: &Caller,
    user: (&str, &str),
    parent: &str,
    at: &mut i64,
) -> Caller {
    let account = stage.account.clone();
    let moment = stage.later(at, 5, 60);
    let (call, key) =
        sts::get_federation_token(&mut stage.dice, &account, "support", FEDERATED_SECS, moment);
    let event = stage.act(script, moment, regions::HOME, call);
    let principal = format!("arn:aws:sts::{account}:federated-user/support");
    stage.truth.credentials.push(intruder::made(
        &key,
        &principal,
        Some(parent),
        &event,
        moment,
    ));
    stage.left("federated-session", &key, &event, moment);
    stage.truth.judge(&principal, "support", Verdict::Guilty);
    script.signing(Identity::Federated {
        account,
        name: "support".to_owned(),
        key,
        session: Session {
            created: moment,
            ..Session::default()
        },
        issuer: (user.0.to_owned(), user.1.to_owned()),
    })
}

/// The session goes on. It may ask neither IAM nor, but for its name, STS.
fn outlive(stage: &mut Stage<'_>, federated: &Caller, at: &mut i64) {
    stage.act(federated, *at, regions::HOME, sts::get_caller_identity());
    let region = stage.dice.one(regions::ALL);
    let moment = stage.later(at, 2, 20);
    stage.act(
        federated,
        moment,
        region,
        calls::ec2::describe_instances(&[]),
    );
    let mut wanted = launch::Wanted {
        kind: stage.dice.one(launch::LARGE),
        image: ids::resource(&mut stage.dice, "ami"),
        is_windows: false,
        is_spot: false,
        count: 0,
        key_name: None,
        group: None,
        is_protected: false,
        is_public: true,
    };
    let count = stage.dice.between(1, 4) as usize;
    intruder::run(stage, federated, at, region, &mut wanted, count);
}

fn role(stage: &Stage<'_>, account: &str, purpose: Purpose) -> Option<RoleName> {
    let mut roles = stage.cast.roles_for(account, |it| it == purpose);
    roles.next().map(|role| role.name.clone())
}

/// Takes a role; the truth notes the session's key.
pub fn take(
    stage: &mut Stage<'_>,
    caller: &Caller,
    role: &RoleName,
    session: &str,
    source: &str,
    at: &mut i64,
) -> Caller {
    let moment = stage.later(at, 3, 40);
    let (call, key) = sts::assume_role(&mut stage.dice, role, session, Some(source), moment);
    let event = stage.act_in_both(caller, moment, &role.account, call);
    let parent = caller.identity.key();
    stage
        .truth
        .credentials
        .push(intruder::made(&key, &role.arn(), parent, &event, moment));
    stage
        .truth
        .judge(&role.arn(), &role.name, Verdict::CompromisedOwnerInnocent);
    caller.signing(Identity::Role {
        role: role.clone(),
        name: session.to_owned(),
        key: Some(key),
        session: Session {
            created: moment,
            source_identity: Some(source.to_owned()),
            ..Session::default()
        },
        invoked_by: None,
    })
}

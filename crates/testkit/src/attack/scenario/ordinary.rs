//! What happens in any account now and then, and looks like an attack to whoever counts events: a
//! colleague starts and is given a user, a password and a key; keys are changed; a program makes users
//! and machines; somebody breaks the glass and signs in as root.

use super::intruder::user_key;
use super::stage::Stage;
use crate::attack::agents::Agent;
use crate::attack::calendar::{DAY_SECS, is_weekend, local_day, local_moment};
use crate::attack::calls::{self, iam, launch, signin};
use crate::attack::cast::{Duty, Key, hire};
use crate::attack::event::{Caller, Hand};
use crate::attack::identity::{Identity, Session};
use crate::attack::truth::Verdict;
use crate::attack::{ids, places, regions};

/// The admin who does what admins do.
const ADMIN: usize = 2;

/// How many of a hundred times each of it happens; in an account that nobody attacks all of it does.
const PERCENT: u64 = 55;

/// Has it happen somewhere in the story.
pub fn play(stage: &mut Stage<'_>, has_all: bool) {
    for part in [onboarding, rotation, program, broken_glass, away] {
        if has_all || stage.dice.chance(PERCENT) {
            part(stage);
        }
    }
}

/// A moment of the admin's working day, somewhere in the story.
fn some_day(stage: &mut Stage<'_>) -> i64 {
    let last = stage.attack + stage.options.attack_days * DAY_SECS;
    let ahead = stage.cast.people[ADMIN].ahead_hours;
    let first = local_day(stage.cast.start, ahead) + 1;
    let mut day = stage.dice.between(first, local_day(last, ahead).max(first));
    while is_weekend(day) {
        day += 1;
    }
    let second = stage.dice.between(10 * 3_600, 15 * 3_600);
    local_moment(day, second, ahead)
}

/// A colleague starts: an admin makes the user, the password and the first key, which the colleague then
/// uses from home.
fn onboarding(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let mut at = some_day(stage);
    let Some(admin) = stage.owner(ADMIN, at) else {
        return;
    };
    let name = stage.dice.one(&["noah", "mila", "theo", "ines"]);
    let mut newcomer = hire(&mut stage.dice, name.to_owned(), Duty::Developer, at);
    newcomer.office.clone_from(&stage.cast.people[ADMIN].office);
    newcomer.vpn.clone_from(&stage.cast.people[ADMIN].vpn);
    let (call, id) = iam::create_user(&mut stage.dice, &account, name, at);
    stage.act(&admin, at, regions::HOME, call);
    newcomer.id = id;
    let moment = stage.later(&mut at, 5, 60);
    let policy = "arn:aws:iam::aws:policy/PowerUserAccess";
    stage.act(
        &admin,
        moment,
        regions::HOME,
        iam::attach_user_policy(&account, name, policy),
    );
    let moment = stage.later(&mut at, 5, 60);
    stage.act(
        &admin,
        moment,
        regions::HOME,
        iam::create_login_profile(&account, name, moment),
    );
    let moment = stage.later(&mut at, 5, 60);
    let (call, key) = iam::create_access_key(&mut stage.dice, &account, name, moment);
    stage.act(&admin, moment, regions::HOME, call);
    let from = moment + 3_600;
    newcomer.keys.push(Key {
        id: key,
        from,
        until: None,
    });
    newcomer.has_console = true;
    newcomer.works = (from, i64::MAX);
    stage.cast.people.push(newcomer);
}

/// Somebody makes a second key, uses it, and deletes the first.
fn rotation(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    // Whoever is no part of a scenario.
    let of = |it: &crate::attack::cast::Person| it.account == 0 && it.keys.len() == 1;
    let Some(index) = (4..stage.cast.people.len()).find(|at| of(&stage.cast.people[*at])) else {
        return;
    };
    let mut at = some_day(stage);
    let person = stage.cast.people[index].clone();
    let (Some(owner), Some(old)) = (stage.owner(index, at), person.key(at)) else {
        return;
    };
    let (call, new) = iam::create_access_key(&mut stage.dice, &account, &person.name, at);
    stage.act(&owner, at, regions::HOME, call);
    let moment = stage.later(&mut at, 300, 2_000);
    let owner = owner.signing(user_key(stage, index, &new));
    let call = iam::delete_access_key(&account, &person.name, old);
    stage.act(&owner, moment, regions::HOME, call);
    let keys = &mut stage.cast.people[index].keys;
    keys[0].until = Some(moment - 1);
    keys.push(Key {
        id: new,
        from: moment,
        until: None,
    });
}

/// Terraform makes a user for a program, with a key, and some machines.
fn program(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let mut at = some_day(stage);
    let Some(admin) = stage.owner(ADMIN, at) else {
        return;
    };
    let admin = Caller {
        agent: Agent::terraform(),
        ..admin
    };
    let name = format!(
        "svc-{}",
        stage
            .dice
            .pick(&["backup", "metrics", "mailer", "exporter"])
    );
    for action in ["GetUser", "ListRoles", "GetPolicy"] {
        let moment = stage.later(&mut at, 0, 3);
        stage.act(&admin, moment, regions::HOME, calls::look("iam", action));
    }
    let moment = stage.later(&mut at, 0, 3);
    let (call, id) = iam::create_user(&mut stage.dice, &account, &name, moment);
    stage.act(&admin, moment, regions::HOME, call);
    let moment = stage.later(&mut at, 0, 3);
    stage.act(
        &admin,
        moment,
        regions::HOME,
        iam::put_user_policy(&account, &name, "inline"),
    );
    let moment = stage.later(&mut at, 0, 3);
    let (call, key) = iam::create_access_key(&mut stage.dice, &account, &name, moment);
    stage.act(&admin, moment, regions::HOME, call);
    let wanted = launch::Wanted {
        kind: stage.dice.one(&["m5.xlarge", "c5.4xlarge", "r5.2xlarge"]),
        image: ids::resource(&mut stage.dice, "ami"),
        is_windows: false,
        is_spot: false,
        count: stage.dice.between(1, 4) as usize,
        key_name: Some("ops-2024".to_owned()),
        group: None,
        is_protected: stage.dice.chance(30),
        is_public: false,
    };
    let moment = stage.later(&mut at, 5, 30);
    let machines = wanted.machines(&mut stage.dice, &account, "us-east-1", moment);
    let call = wanted.run(&mut stage.dice, &machines);
    stage.act(&admin, moment, "us-east-1", call);
    let arn = format!("arn:aws:iam::{account}:user/{name}");
    stage.truth.judge(&arn, &name, Verdict::Bystander);
    // The program runs on one of the owner's machines elsewhere, and calls each day.
    let user = Identity::User {
        account: account.clone(),
        name,
        id,
        key: Some(key),
        session: None,
        invoked_by: None,
    };
    let address = places::ec2("us-west-2").address(&mut stage.dice);
    let agent = Agent::fixed(
        "Boto3/1.34.50 md/Botocore#1.34.50 ua/2.0 os/linux#6.1.77 md/arch#x86_64 lang/python#3.11.7 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.50",
    );
    let service = Caller::new(user, &address, &agent, Hand::Owner);
    let until = stage.attack + stage.options.attack_days * DAY_SECS;
    while at < until {
        at += DAY_SECS / 2 + stage.dice.between(0, 30);
        for (of, action) in [("s3", "ListBuckets"), ("ec2", "DescribeSnapshots")] {
            let moment = stage.later(&mut at, 0, 4);
            stage.act(&service, moment, "us-west-2", calls::look(of, action));
        }
    }
}

/// Somebody signs in as root, with the second factor, for what only root may do.
fn broken_glass(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let mut at = some_day(stage);
    let Some(admin) = stage.owner(ADMIN, at) else {
        return;
    };
    let browser = stage.cast.people[ADMIN].browser.clone();
    let root = |key: Option<String>, session: Option<Session>| Identity::Root {
        account: account.clone(),
        key,
        session,
    };
    let door = Caller::new(root(None, None), &admin.address, &browser, Hand::Owner);
    stage.act(&door, at, regions::HOME, signin::console_login(true));
    let session = Session {
        created: at,
        has_mfa: true,
        ..Session::default()
    };
    let key = ids::access_key(&mut stage.dice, "ASIA", &account);
    let caller = door.signing(root(Some(key), Some(session)));
    for (service, action) in [
        ("iam", "GetAccountSummary"),
        ("billingconsole", "GetBillingPreferences"),
        ("support", "DescribeCases"),
    ] {
        let moment = stage.later(&mut at, 10, 90);
        stage.act(&caller, moment, regions::HOME, calls::look(service, action));
    }
}

/// An operator starts machines in a region that nobody has used, because a customer lives there.
fn away(stage: &mut Stage<'_>) {
    let account = stage.account.clone();
    let mut at = some_day(stage);
    let Some(admin) = stage.owner(ADMIN, at) else {
        return;
    };
    let region = *stage
        .dice
        .pick(&["ap-southeast-2", "ca-central-1", "eu-north-1"]);
    for action in ["DescribeVpcs", "DescribeSubnets", "DescribeImages"] {
        let moment = stage.later(&mut at, 2, 40);
        stage.act(&admin, moment, region, calls::look("ec2", action));
    }
    let wanted = launch::Wanted {
        kind: "m5.large",
        image: ids::resource(&mut stage.dice, "ami"),
        is_windows: false,
        is_spot: false,
        count: 2,
        key_name: Some("ops-2024".to_owned()),
        group: None,
        is_protected: false,
        is_public: true,
    };
    let moment = stage.later(&mut at, 20, 300);
    let machines = wanted.machines(&mut stage.dice, &account, region, moment);
    let call = wanted.run(&mut stage.dice, &machines);
    stage.act(&admin, moment, region, call);
}

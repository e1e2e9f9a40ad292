//! What intruders do with credentials, by themselves or by a script.

use super::stage::Stage;
use crate::attack::agents::Agent;
use crate::attack::calendar::DAY_SECS;
use crate::attack::calls::launch::Wanted;
use crate::attack::calls::{self, ec2, iam, launch, sts, trail};
use crate::attack::cast::Purpose;
use crate::attack::event::{Call, Caller, Hand};
use crate::attack::identity::Identity;
use crate::attack::truth::{Credential, Tampering, Verdict};
use crate::attack::{TrailPlan, ids, places, regions};

/// Somebody who signs with what is not his.
#[derive(Debug, Clone)]
pub struct Intruder {
    /// Where from, the first mostly.
    pub addresses: Vec<String>,
    /// With what.
    pub agent: Agent,
}

/// What is to be started across the world.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// How many machines in all.
    pub machines: usize,
    /// In how many regions.
    pub regions: usize,
    /// Of which type.
    pub kind: &'static str,
    /// Whether of Windows.
    pub is_windows: bool,
    /// Whether on the spot market.
    pub is_spot: bool,
    /// Whether their end is made hard.
    pub is_protected: bool,
}

impl Intruder {
    /// Draws one by lot.
    pub fn draw(stage: &mut Stage<'_>) -> Self {
        let dice = &mut stage.dice;
        let addresses = (0..dice.between(1, 3))
            .map(|_| {
                let network = dice.one(places::HIDEOUTS);
                network.address(dice)
            })
            .collect();
        Self {
            addresses,
            agent: Agent::intruder(dice),
        }
    }

    /// Signs as somebody.
    pub fn signing(&self, identity: Identity) -> Caller {
        Caller::new(identity, &self.addresses[0], &self.agent, Hand::Intruder)
    }

    /// From another of the addresses.
    pub fn elsewhere(&self, stage: &mut Stage<'_>, caller: &Caller) -> Caller {
        Caller {
            address: stage.dice.pick(&self.addresses).clone(),
            ..caller.clone()
        }
    }
}

/// A user of the cast, signing by one of the user's keys.
pub fn user_key(stage: &Stage<'_>, index: usize, key: &str) -> Identity {
    let person = &stage.cast.people[index];
    Identity::User {
        account: stage.cast.accounts[person.account].clone(),
        name: person.name.clone(),
        id: person.id.clone(),
        key: Some(key.to_owned()),
        session: None,
        invoked_by: None,
    }
}

/// A credential that was the owner's.
pub fn stolen(id: &str, principal: &str, is_used_by_owner: bool) -> Credential {
    Credential {
        id: id.to_owned(),
        principal: principal.to_owned(),
        parent: None,
        made_by: None,
        made_at: None,
        is_made_by_intruder: false,
        is_used_by_owner,
    }
}

/// A credential that the intruder made with another.
pub fn made(id: &str, principal: &str, parent: Option<&str>, event: &str, at: i64) -> Credential {
    Credential {
        id: id.to_owned(),
        principal: principal.to_owned(),
        parent: parent.map(str::to_owned),
        made_by: Some(event.to_owned()),
        made_at: Some(at),
        is_made_by_intruder: true,
        is_used_by_owner: false,
    }
}

/// Whose key is it, and what may it do? Returns the first event.
pub fn reconnoitre(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) -> String {
    let first = stage.act(caller, *at, regions::HOME, sts::get_caller_identity());
    let looks: &[(&str, &str)] = &[
        ("iam", "ListUsers"),
        ("iam", "ListAttachedUserPolicies"),
        ("iam", "ListGroupsForUser"),
        ("iam", "ListAccessKeys"),
        ("iam", "GetAccountSummary"),
        ("ses", "GetSendQuota"),
        ("s3", "ListBuckets"),
        ("ec2", "DescribeRegions"),
        ("ec2", "DescribeAccountAttributes"),
    ];
    for (service, action) in looks {
        if stage.dice.chance(80) {
            let moment = stage.later(at, 0, 3);
            let call = match *action {
                "DescribeRegions" => ec2::describe_regions(),
                _ => calls::look(service, action),
            };
            stage.act(caller, moment, regions::HOME, call);
        }
    }
    first
}

/// A user's long-term key has leaked: somebody looks around with it.
pub fn break_in(
    stage: &mut Stage<'_>,
    victim: usize,
    key: &str,
    at: &mut i64,
) -> (Intruder, Caller) {
    let (arn, name) = (stage.arn(victim), stage.cast.people[victim].name.clone());
    let intruder = Intruder::draw(stage);
    let caller = intruder.signing(user_key(stage, victim, key));
    let first = reconnoitre(stage, &caller, at);
    stage.began(&first, stage.attack, &caller, &arn, "leaked-key");
    stage.truth.credentials.push(stolen(key, &arn, true));
    stage
        .truth
        .judge(&arn, &name, Verdict::CompromisedOwnerInnocent);
    (intruder, caller)
}

/// How much may be started in each region? Regions nobody asked for are tried too.
pub fn probe_quotas(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) {
    for region in regions::ALL.iter().chain(regions::OPT_IN) {
        let moment = stage.later(at, 0, 2);
        let quota = calls::get_service_quota("ec2", "L-1216C47A");
        if regions::OPT_IN.contains(region) {
            let refused = quota.refused(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            );
            stage.act(caller, moment, region, refused);
            continue;
        }
        stage.act(caller, moment, region, quota);
        if stage.dice.chance(60) {
            let moment = stage.later(at, 0, 1);
            stage.act(caller, moment, region, ec2::describe_instances(&[]));
        }
        if stage.dice.chance(12) {
            let moment = stage.later(at, 0, 1);
            let account = stage.account.clone();
            let call = calls::request_service_quota_increase(&mut stage.dice, &account, region);
            stage.act(caller, moment, region, call);
        }
    }
}

/// Starts machines region by region: tries, fails here and there, and goes on.
pub fn launch(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64, campaign: &Campaign) {
    let all = launch::reachable(&mut stage.dice, campaign.regions);
    let name = format!(
        "{}{}",
        ["key", "srv", "node"][stage.dice.roll(3) as usize],
        stage.dice.roll(99)
    );
    let port = if campaign.is_windows { 3389 } else { 22 };
    let mut left = campaign.machines;
    for (number, region) in all.iter().enumerate() {
        let share = left.div_ceil(all.len() - number).min(left);
        if share == 0 {
            break;
        }
        let account = stage.account.clone();
        let moment = stage.later(at, 1, 6);
        let pair = ec2::create_key_pair(&mut stage.dice, &account, region, &name, moment);
        stage.act(caller, moment, region, pair);
        let vpc = crate::attack::cast::vpc(&account, region);
        let (call, group) =
            ec2::create_security_group(&mut stage.dice, &account, region, &name, &vpc);
        let moment = stage.later(at, 0, 3);
        stage.act(caller, moment, region, call);
        let moment = stage.later(at, 0, 3);
        let call = ec2::open_port(&mut stage.dice, &account, region, &group, port);
        stage.act(caller, moment, region, call);
        let mut wanted = Wanted {
            kind: campaign.kind,
            image: ids::resource(&mut stage.dice, "ami"),
            is_windows: campaign.is_windows,
            is_spot: campaign.is_spot,
            count: share,
            key_name: Some(name.clone()),
            group: Some(group),
            is_protected: campaign.is_protected,
            is_public: true,
        };
        if stage.dice.chance(40) {
            let moment = stage.later(at, 0, 3);
            let call = wanted.dry_run(&mut stage.dice);
            stage.act(caller, moment, region, call);
            stage.truth.failed_launches += 1;
        }
        if stage.dice.chance(35) {
            wanted.count = share * 4;
            let moment = stage.later(at, 0, 3);
            let call = wanted.over_limit(&mut stage.dice, 64);
            stage.act(caller, moment, region, call);
            stage.truth.failed_launches += 1;
        }
        run(stage, caller, at, region, &mut wanted, share);
        left -= share;
    }
    if stage.dice.chance(30) {
        // One more, where the account may not start anything yet.
        let region = stage.dice.one(regions::OPT_IN);
        let wanted = Wanted {
            kind: campaign.kind,
            image: ids::resource(&mut stage.dice, "ami"),
            is_windows: campaign.is_windows,
            is_spot: campaign.is_spot,
            count: 1,
            key_name: None,
            group: None,
            is_protected: campaign.is_protected,
            is_public: true,
        };
        let moment = stage.later(at, 1, 6);
        let call = wanted.not_opted_in(&mut stage.dice);
        stage.act(caller, moment, region, call);
        stage.truth.failed_launches += 1;
    }
}

/// Starts so many machines in a region, in one call or in several.
pub fn run(
    stage: &mut Stage<'_>,
    caller: &Caller,
    at: &mut i64,
    region: &'static str,
    wanted: &mut Wanted,
    mut left: usize,
) {
    let account = stage.account.clone();
    while left > 0 {
        wanted.count = left.min(if stage.dice.chance(50) { 10 } else { 2 });
        let moment = stage.later(at, 1, 8);
        // Some protect machines as they start them, some afterwards, one by one.
        let is_protected = wanted.is_protected;
        wanted.is_protected = is_protected && !stage.dice.chance(40);
        let machines = wanted.machines(&mut stage.dice, &account, region, moment);
        let call = wanted.run(&mut stage.dice, &machines);
        let event = stage.act(caller, moment, region, call);
        if is_protected && !wanted.is_protected {
            for machine in &machines {
                let moment = stage.later(at, 0, 2);
                let call = ec2::disable_termination(&mut stage.dice, machine);
                stage.act(caller, moment, region, call);
            }
        }
        wanted.is_protected = is_protected;
        left -= machines.len();
        stage.started(machines, Some(&event), is_protected);
    }
}

/// Looks every day or two whether the machines still run, from any of the addresses.
pub fn check_in(
    stage: &mut Stage<'_>,
    intruder: &Intruder,
    caller: &Caller,
    from: i64,
    until: i64,
) {
    let mut at = from;
    loop {
        at += stage.dice.between(DAY_SECS / 2, 2 * DAY_SECS);
        if at >= until {
            return;
        }
        let caller = intruder.elsewhere(stage, caller);
        let mut moment = at;
        let regions: Vec<&'static str> = stage.loot.iter().map(|it| it.machine.region).collect();
        for _ in 0..3 {
            if let Some(region) = regions.get(stage.dice.roll(regions.len() as u64) as usize) {
                stage.act(&caller, moment, region, ec2::describe_instances(&[]));
            }
            moment += stage.dice.between(1, 9);
        }
    }
}

/// Stops the trail, if the story has it stopped. The gap lasts until somebody starts it again.
pub fn cover(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) {
    if stage.options.trail != TrailPlan::Stopped {
        return;
    }
    let account = stage.account.clone();
    let looked = stage.later(at, 1, 9);
    stage.act(
        caller,
        looked,
        regions::HOME,
        calls::look("cloudtrail", "DescribeTrails"),
    );
    if stage.dice.chance(30) {
        let moment = stage.later(at, 1, 5);
        let call = trail::stop_configuration_recorder("default");
        tamper(stage, caller, moment, regions::HOME, call, false);
    }
    let moment = stage.later(at, 1, 5);
    let call = match stage.dice.chance(50) {
        true => trail::stop_logging(&account, "management", moment),
        false => trail::delete_trail(&account, "management"),
    };
    tamper(stage, caller, moment, regions::HOME, call, true);
}

/// Does something against logs or sensors, and notes it.
pub fn tamper(
    stage: &mut Stage<'_>,
    caller: &Caller,
    at: i64,
    region: &'static str,
    call: Call,
    leaves_gap: bool,
) {
    let action = call.action.to_owned();
    let has_succeeded = call.error.is_none();
    let event = stage.act(caller, at, region, call);
    stage.truth.tampering.push(Tampering {
        event,
        action,
        at,
        has_succeeded,
        gap: (leaves_gap && has_succeeded).then_some((at, None)),
    });
}

/// Leaves a door: a role that an account of the intruder's may take, new or the owner's own.
pub fn leave_door(stage: &mut Stage<'_>, caller: &Caller, at: &mut i64) {
    let account = stage.account.clone();
    let own = ids::account(&mut stage.dice);
    let trusted = format!("arn:aws:iam::{own}:root");
    let of_owner = stage
        .cast
        .roles_for(&account, |it| it == Purpose::Automation)
        .next()
        .map(|role| role.name.name.clone());
    if let (Some(name), true) = (of_owner, stage.dice.chance(40)) {
        let moment = stage.later(at, 3, 40);
        let call = iam::update_trust(&account, &name, &trusted);
        let event = stage.act(caller, moment, regions::HOME, call);
        stage.left("trust-policy", &name, &event, moment);
        return;
    }
    let name = *stage
        .dice
        .pick(&["OrganizationAccess", "support-access", "SecurityAuditor2"]);
    let moment = stage.later(at, 3, 40);
    let (call, _) = iam::create_role(&mut stage.dice, &account, name, &trusted, moment);
    let event = stage.act(caller, moment, regions::HOME, call);
    stage.left("role", name, &event, moment);
    let moment = stage.later(at, 1, 9);
    let call = iam::attach_role_policy(&account, name, iam::ADMIN);
    stage.act(caller, moment, regions::HOME, call);
    let arn = format!("arn:aws:iam::{account}:role/{name}");
    stage.truth.judge(&arn, name, Verdict::Guilty);
}

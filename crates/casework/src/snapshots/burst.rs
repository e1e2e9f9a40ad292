//! Machines that appear together and are unlike any that the account had before.
//!
//! What must stay true: the same types in the same regions, and groups that were there before and grow,
//! are no burst; neither are a few machines in one region that is new, nor machines that the first
//! snapshot has: what came before it is what others are compared with.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::states::{is_accelerated, moment, text, vcpus};
use super::things::{Id, Snapshots, Thing};
use crate::hands::score::plural;

/// Machines that start further apart than this are not of one burst, unless a key pair links them.
const APART: SignedDuration = SignedDuration::from_hours(3);

/// What was there so long before is usual.
const USUAL_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A burst that scores less is growth.
const LEAST: f64 = 50.0;

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine<'a> {
    /// Which.
    pub id: &'a Id,
    /// Its states.
    pub thing: &'a Thing,
    /// When it started, as its state says, or by the snapshot that has it first.
    pub at: Timestamp,
    /// Its type.
    pub instance_type: String,
    /// Its key pair; the empty text if it has none.
    pub key_name: String,
    /// Its image.
    pub image: String,
    /// Its security groups.
    pub groups: Vec<String>,
    /// Whether the first snapshot has it, or a group that was there before started it.
    is_usual: bool,
}

/// Machines that appeared together.
#[derive(Debug, Clone)]
pub struct Burst<'a> {
    /// The account.
    pub account: &'a str,
    /// The machines by start.
    pub machines: Vec<Machine<'a>>,
    /// 0 to 100.
    pub score: f64,
    /// Why, the weightiest first.
    pub why: Vec<String>,
    /// Regions that had no machine before.
    pub new_regions: BTreeSet<&'a str>,
}

impl Burst<'_> {
    /// When the first machine started.
    pub fn first(&self) -> Timestamp {
        self.machines[0].at
    }

    /// When the last one did, of those that started together.
    pub fn last(&self) -> Timestamp {
        let starts = self.machines.iter().map(|machine| machine.at);
        let mut last = self.first();
        for at in starts {
            if at.duration_since(last) > APART {
                break;
            }
            last = at;
        }
        last
    }
}

/// The bursts of each account.
pub fn of(snapshots: &Snapshots) -> Vec<Burst<'_>> {
    let mut by_account: BTreeMap<&str, Vec<Machine<'_>>> = BTreeMap::new();
    for (id, thing) in snapshots.of_kind("instance") {
        if let Some(machine) = machine(snapshots, id, thing) {
            by_account.entry(&id.account).or_default().push(machine);
        }
    }
    let mut bursts = Vec::new();
    for (account, mut machines) in by_account {
        machines.sort_by(|a, b| (a.at, a.id).cmp(&(b.at, b.id)));
        let strange = strange(&machines);
        let mut taken: BTreeSet<&Id> = BTreeSet::new();
        for together in apart(&strange) {
            if together.iter().any(|it| taken.contains(it.id)) {
                continue;
            }
            if let Some(burst) = burst(account, &machines, &together) {
                taken.extend(burst.machines.iter().map(|it| it.id));
                bursts.push(burst);
            }
        }
    }
    bursts.sort_by_key(Burst::first);
    bursts
}

fn machine<'a>(snapshots: &Snapshots, id: &'a Id, thing: &'a Thing) -> Option<Machine<'a>> {
    let first = thing.first()?;
    let state = first.state();
    let started = moment(&state["LaunchTime"]).filter(|at| *at <= first.at);
    let at = started.unwrap_or(first.at);
    let groups = state["SecurityGroups"].as_array().into_iter().flatten();
    let mut tags = state["Tags"].as_array().into_iter().flatten();
    let group = tags
        .find(|tag| tag["Key"] == "aws:autoscaling:groupName")
        .map(|tag| text(&tag["Value"]).to_owned());
    let of_group = |name: &str| snapshots.get(&id.account, &id.region, "scaling-group", name);
    let is_old = |(_, group): (&Id, &Thing)| {
        let first = group.first();
        first.is_some_and(|it| it.before.is_none() || it.at.duration_since(at) < -USUAL_AFTER)
    };
    Some(Machine {
        id,
        thing,
        at,
        instance_type: text(&state["InstanceType"]).to_owned(),
        key_name: text(&state["KeyName"]).to_owned(),
        image: text(&state["ImageId"]).to_owned(),
        groups: groups
            .map(|group| text(&group["GroupId"]).to_owned())
            .collect(),
        is_usual: first.before.is_none() || group.as_deref().and_then(of_group).is_some_and(is_old),
    })
}

/// Those that are not usual, and whose type was not in their region a day before.
fn strange<'a>(machines: &[Machine<'a>]) -> Vec<Machine<'a>> {
    let mut earliest: BTreeMap<(&str, &str), Timestamp> = BTreeMap::new();
    for machine in machines {
        earliest
            .entry((&machine.id.region, &machine.instance_type))
            .or_insert(machine.at);
    }
    let is_usual = |machine: &&Machine<'a>| {
        let first = earliest[&(&*machine.id.region, &*machine.instance_type)];
        machine.is_usual || machine.at.duration_since(first) > USUAL_AFTER
    };
    machines
        .iter()
        .filter(|machine| !is_usual(machine))
        .cloned()
        .collect()
}

fn apart<'a>(machines: &[Machine<'a>]) -> Vec<Vec<Machine<'a>>> {
    let mut all: Vec<Vec<Machine<'a>>> = Vec::new();
    for machine in machines {
        match all.last_mut() {
            Some(together)
                if together
                    .last()
                    .is_some_and(|last| machine.at.duration_since(last.at) <= APART) =>
            {
                together.push(machine.clone());
            }
            _ => all.push(vec![machine.clone()]),
        }
    }
    all
}

fn burst<'a>(account: &'a str, all: &[Machine<'a>], together: &[Machine<'a>]) -> Option<Burst<'a>> {
    let before: Vec<&Machine<'a>> = all
        .iter()
        .filter(|machine| machine.is_usual || machine.at < together[0].at)
        .filter(|machine| !together.iter().any(|it| it.id == machine.id))
        .collect();
    let known = |of: fn(&Machine<'a>) -> String| -> BTreeSet<String> {
        before.iter().map(|machine| of(machine)).collect()
    };
    let known_keys = known(|it| it.key_name.clone());
    let known_types = known(|it| it.instance_type.clone());
    let known_regions = known(|it| it.id.region.clone());
    let is_kin = core(together, &known_keys, &known_types);
    let kin: Vec<Machine<'a>> = all
        .iter()
        .filter(|machine| machine.at >= together[0].at && !machine.is_usual)
        .filter(|machine| {
            let is_linked = is_kin.links(machine, &known_keys);
            let is_among = together.iter().any(|it| it.id == machine.id);
            is_linked || is_among && is_kin.is_alike(machine)
        })
        .cloned()
        .collect();
    let first = kin.first()?.at;
    let new_regions: BTreeSet<&'a str> = kin
        .iter()
        .map(|machine| &*machine.id.region)
        .filter(|region| !known_regions.contains(*region))
        .collect();
    let mut why: Vec<(f64, String)> = Vec::new();
    let count = new_regions.len();
    let points = match count {
        0 => 0.0,
        1 => 5.0,
        2 => 15.0,
        _ => 40.0,
    };
    if count > 0 {
        let told = plural(count as u64, "region");
        why.push((points, format!("in {told} that had no machine before")));
    }
    let cores = |machines: &mut dyn Iterator<Item = &Machine<'a>>| -> u64 {
        machines.map(|it| vcpus(&it.instance_type)).sum()
    };
    let was_there = |machine: &&&Machine<'a>| {
        let gone = machine.thing.gone.as_ref();
        gone.is_none_or(|gone| gone.by > first)
    };
    let had = cores(&mut before.iter().filter(was_there).copied());
    let has = cores(&mut kin.iter());
    if has >= 64 && has >= 4 * had {
        let told = format!("with {has} processors where the account had {had}");
        why.push((30.0, told));
    }
    if kin.len() >= 10 && kin.len() >= before.iter().filter(was_there).count() {
        let told = format!(
            "{} where the account had {}",
            plural(kin.len() as u64, "machine"),
            before.iter().filter(was_there).count()
        );
        why.push((20.0, told));
    }
    let kind = &is_kin.instance_type;
    let is_large = vcpus(kind) >= 16 || is_accelerated(kind);
    if is_large && !known_types.contains(kind) {
        why.push((
            15.0,
            format!("of a large type that was not used before, {kind}"),
        ));
    }
    if let Some(name) = is_kin.key_name.as_ref() {
        let regions: BTreeSet<&str> = kin
            .iter()
            .filter(|it| it.key_name == *name)
            .map(|it| &*it.id.region)
            .collect();
        if regions.len() >= 2 {
            let told = plural(regions.len() as u64, "region");
            why.push((20.0, format!("with one new key pair, {name}, in {told}")));
        }
    }
    why.sort_by(|a, b| b.0.total_cmp(&a.0));
    let score: f64 = why.iter().map(|(points, _)| points).sum();
    (score >= LEAST).then(|| Burst {
        account,
        machines: kin,
        score: score.min(100.0),
        why: why.into_iter().map(|(_, why)| why).collect(),
        new_regions,
    })
}

/// What links the machines of a burst.
struct Core {
    key_name: Option<String>,
    instance_type: String,
    is_new_type: bool,
}

impl Core {
    fn links(&self, machine: &Machine<'_>, known_keys: &BTreeSet<String>) -> bool {
        let of_machine = Some(&machine.key_name).filter(|name| !known_keys.contains(*name));
        of_machine.is_some() && of_machine == self.key_name.as_ref()
    }

    fn is_alike(&self, machine: &Machine<'_>) -> bool {
        self.is_new_type && machine.instance_type == self.instance_type || self.key_name.is_none()
    }
}

/// The key pair that is new and the type that most of them have.
fn core(
    together: &[Machine<'_>],
    known_keys: &BTreeSet<String>,
    known_types: &BTreeSet<String>,
) -> Core {
    let most = |of: &dyn Fn(&Machine<'_>) -> Option<String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for it in together.iter().filter_map(of) {
            *counts.entry(it).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count)
    };
    let new_key = |it: &Machine<'_>| {
        let name = it.key_name.clone();
        (!name.is_empty() && !known_keys.contains(&name)).then_some(name)
    };
    let key_name = most(&new_key).map(|(name, _)| name);
    let instance_type = most(&|it| Some(it.instance_type.clone()));
    let instance_type = instance_type.map(|(name, _)| name).unwrap_or_default();
    Core {
        key_name,
        is_new_type: !known_types.contains(&instance_type),
        instance_type,
    }
}

//! Who used which credential from where with what: the whole of a trail in a table that does not
//! grow with it.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;

use super::days::{Clock, Days};
use super::meaning::{self, Phase};
use super::names::{HashMap, Name, Names};
use super::place::{family, neighbourhood};
use super::repeats::rank;
use super::row::{Row, Text};
use super::who::{INSTANCES, credential, is_instance, principal, unique, with_id};

/// Combinations of one principal that are kept apart. A role that thousands of machines or jobs assume has
/// more, and then what they have in common counts: see [`Grain`]. Deeds have their own count, so that whoever
/// looks around from everywhere does not hide from where somebody acted.
const MAX_EXACT: u32 = 1_000;

/// The same where an account has more combinations than [`MANY_USES`].
const MAX_EXACT_OF_MANY: u32 = 50;
const MANY_USES: usize = 150_000;

/// Combinations of one principal after that.
const MAX_COARSE: u32 = 2_000;

/// Combinations in all. Beyond them a principal that is new is counted with others of its kind.
const MAX_USES: usize = 300_000;

/// Principals of whom it is known at which hours they work.
const MAX_CLOCKS: usize = 20_000;

/// Stands for what is beyond the bounds.
pub const BEYOND: &str = "(others)";

/// How closely a principal's uses are kept apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Grain {
    /// As they are.
    #[default]
    Exact,
    /// By the kind of the tool, the neighbourhood of the place, and sessions together.
    Coarse,
    /// By the kind of the tool.
    Wide,
}

/// How many uses a principal has, and how closely they are kept apart.
#[derive(Debug, Clone, Copy, Default)]
struct Width {
    uses: u32,
    grain: Grain,
}

/// How widely a principal acts, how widely it does the rest, and when it works.
#[derive(Debug, Clone, Default)]
struct Extent {
    deeds: Width,
    rest: Width,
    clock: Option<Box<Clock>>,
}

impl Extent {
    fn width(&mut self, is_deed: bool) -> &mut Width {
        match is_deed {
            true => &mut self.deeds,
            false => &mut self.rest,
        }
    }

    fn grain(&self, is_deed: bool) -> Grain {
        match is_deed {
            true => self.deeds.grain,
            false => self.rest.grain,
        }
    }
}

/// Who, with which credential, from where, with what, in which region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The principal.
    pub principal: Name,
    /// The credential: see [`credential`].
    pub credential: Name,
    /// The address.
    pub place: Name,
    /// The user agent.
    pub agent: Name,
    /// The region.
    pub region: Name,
}

/// What was done with such a combination.
#[derive(Debug, Clone, Default)]
pub struct Use {
    /// The first moment, in microseconds since 1970.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// Events, each counted once.
    pub count: u64,
    /// On which days.
    pub days: Days,
    /// Reads that look around, by their names: see [`PROBES`].
    pub probes: u16,
    /// Where the first record lies.
    pub source: Box<str>,
    /// Its event id.
    pub event_id: Box<str>,
    /// Its action.
    pub action: Box<str>,
    /// Whether it is of deeds, until both are joined.
    is_deed: bool,
}

/// The reads that are told apart.
pub const PROBES: &[&str] = &[
    "GetCallerIdentity",
    "ListUsers",
    "ListAccessKeys",
    "ListRoles",
    "GetAccountAuthorizationDetails",
    "GetServiceQuota",
    "ListServiceQuotas",
    "DescribeAccountAttributes",
    "GetSendQuota",
    "DescribeRegions",
    "DescribeSpotPriceHistory",
    "DescribeInstanceTypeOfferings",
    "GetAccountSummary",
    "ListAttachedUserPolicies",
    "DescribeTrails",
    "ListDetectors",
];

/// Every use of every credential.
#[derive(Debug, Default)]
pub struct Uses {
    keys: HashMap<(Key, bool), u32>,
    all: Vec<(Key, Use)>,
    extents: HashMap<Name, Extent>,
    /// Users by ARN and unique id: one that is deleted and made again is another.
    users: HashMap<(Name, Name), Name>,
    /// How many principals have so many uses that only what these have in common is kept apart.
    pub wide: u64,
    /// How many events of principals are counted together, there being too many principals.
    pub beyond: u64,
}

impl Uses {
    /// Counts an event; the number of its use.
    pub fn add(&mut self, names: &mut Names, row: Row<'_>, phase: Option<Phase>) -> u32 {
        let principal = self.principal(names, row);
        let is_deed = meaning::is_deed(phase);
        let has_room = self.extents.len() < MAX_CLOCKS;
        let extent = self.extents.entry(principal).or_default();
        if (has_room || extent.clock.is_some())
            && let Some(at) = row.micros()
        {
            extent.clock.get_or_insert_default().add(at);
        }
        let grain = extent.grain(is_deed);
        let key = key(principal, grain, row, |text| names.add(text));
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let number = *self.keys.entry((key, is_deed)).or_insert(next);
        if number == next {
            let unused = Use {
                first: i64::MAX,
                last: i64::MIN,
                is_deed,
                ..Use::default()
            };
            self.all.push((key, unused));
            self.widen(principal, is_deed);
        }
        if let Some((_, used)) = self.all.get_mut(number as usize) {
            used.add(row, phase);
        }
        number
    }

    fn grain(&self, principal: Name, is_deed: bool) -> Grain {
        self.extents
            .get(&principal)
            .map_or(Grain::default(), |extent| extent.grain(is_deed))
    }

    /// At which hours a principal works, where that is known.
    pub fn clock(&self, principal: Name) -> Option<&Clock> {
        self.extents.get(&principal)?.clock.as_deref()
    }

    /// Counts a new use of a principal, which may be one too many.
    fn widen(&mut self, principal: Name, is_deed: bool) {
        let most = match self.all.len() < MANY_USES {
            true => MAX_EXACT,
            false => MAX_EXACT_OF_MANY,
        };
        let width = self.extents.entry(principal).or_default().width(is_deed);
        width.uses += 1;
        let grain = match width.grain {
            Grain::Exact if width.uses > most => Grain::Coarse,
            Grain::Coarse if width.uses > MAX_COARSE => Grain::Wide,
            _ => return,
        };
        *width = Width { uses: 0, grain };
    }

    fn is_full(&self) -> bool {
        self.all.len() >= MAX_USES
    }

    /// Takes back an event that had been counted already.
    pub fn forget(&mut self, number: u32) {
        if let Some((_, used)) = self.all.get_mut(number as usize) {
            used.count = used.count.saturating_sub(1);
        }
    }

    /// Ends the counting: names no longer depend on the order in which events came.
    pub fn settle(&mut self, names: &mut Names) {
        self.fold(names);
        self.name_users(names);
        let order = names.sort();
        let of = |name: &mut Name| *name = order.get(name).copied().unwrap_or(*name);
        for (key, _) in &mut self.all {
            for name in [
                &mut key.principal,
                &mut key.credential,
                &mut key.place,
                &mut key.agent,
                &mut key.region,
            ] {
                of(name);
            }
        }
        let users = std::mem::take(&mut self.users);
        self.users = users
            .into_iter()
            .map(|((mut arn, mut id), mut own)| {
                of(&mut arn);
                of(&mut id);
                of(&mut own);
                ((arn, id), own)
            })
            .collect();
        let extents = std::mem::take(&mut self.extents);
        self.extents = extents
            .into_iter()
            .map(|(mut principal, extent)| {
                of(&mut principal);
                (principal, extent)
            })
            .collect();
        self.all.sort_unstable_by_key(|(key, _)| *key);
        self.keys = HashMap::default();
    }

    /// The uses of a principal that turned out to have too many are folded, those before that as well: which
    /// came first must not matter.
    fn fold(&mut self, names: &mut Names) {
        let is_wide = |extent: &&Extent| extent.deeds.grain.max(extent.rest.grain) > Grain::Exact;
        self.wide = self.extents.values().filter(is_wide).count() as u64;
        let mut folded: HashMap<Key, Use> = HashMap::default();
        for (key, used) in std::mem::take(&mut self.all) {
            let key = coarser(key, self.grain(key.principal, used.is_deed), names);
            match folded.entry(key) {
                Entry::Occupied(mut known) => known.get_mut().join(used),
                Entry::Vacant(new) => {
                    new.insert(used);
                }
            }
        }
        self.all = folded.into_iter().collect();
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &(Key, Use)> {
        self.all.iter()
    }

    /// The key of an event that has been counted.
    pub fn key_of(&self, names: &Names, row: Row<'_>) -> Option<Key> {
        let known = self.known(names, row);
        let principal = known.or_else(|| names.find(BEYOND))?;
        let find = |text: &str| names.find(text).unwrap_or(Name::EMPTY);
        let is_deed = meaning::is_deed(meaning::phase(row.text(Text::EventName)));
        Some(key(principal, self.grain(principal, is_deed), row, find))
    }

    /// Whose an event is, if that one was counted.
    fn known(&self, names: &Names, row: Row<'_>) -> Option<Name> {
        let arn = names.find(&principal(row))?;
        let id = unique(row).and_then(|id| names.find(id));
        let user = id.and_then(|id| self.users.get(&(arn, id)).copied());
        Some(user.unwrap_or(arn)).filter(|name| self.extents.contains_key(name))
    }

    fn principal(&mut self, names: &mut Names, row: Row<'_>) -> Name {
        if self.is_full() && self.known(names, row).is_none() {
            self.beyond += 1;
            return names.add(BEYOND);
        }
        let arn = principal(row);
        let Some(id) = unique(row) else {
            return names.add(&arn);
        };
        let (arn, id) = (names.add(&arn), names.add(id));
        if let Some(known) = self.users.get(&(arn, id)) {
            return *known;
        }
        let text = with_id(names.text(arn), names.text(id));
        let own = names.add(&text);
        self.users.insert((arn, id), own);
        own
    }

    /// What a user with an id that is not given twice is called here.
    pub fn user(&self, names: &Names, arn: &str, id: &str) -> String {
        let Some(number) = names.find(arn) else {
            return arn.to_owned();
        };
        let of_arn = |(known, _): &(Name, Name)| *known == number;
        let known = names.find(id).and_then(|id| self.users.get(&(number, id)));
        match known {
            Some(known) => names.text(*known).to_owned(),
            None if self.users.keys().any(of_arn) => with_id(arn, id),
            None => arn.to_owned(),
        }
    }

    /// What users with an id are called: one that is renamed has several names.
    pub fn users_of(&self, names: &Names, id: &str) -> Vec<String> {
        let id = names.find(id).filter(|_| !id.is_empty());
        let of_id = self
            .users
            .iter()
            .filter(|((_, known), _)| Some(*known) == id);
        of_id.map(|(_, own)| names.text(*own).to_owned()).collect()
    }

    /// Users whose ARN nobody else had are known by it alone, and of several the first.
    fn name_users(&mut self, names: &mut Names) {
        let mut first: HashMap<Name, i64> = HashMap::default();
        for (key, used) in &self.all {
            let seen = first.entry(key.principal).or_insert(used.first);
            *seen = (*seen).min(used.first);
        }
        let mut by_arn: BTreeMap<Name, Vec<(i64, Name)>> = BTreeMap::new();
        for ((arn, _), own) in &self.users {
            let seen = first.get(own).copied().unwrap_or(i64::MAX);
            by_arn.entry(*arn).or_default().push((seen, *own));
        }
        let mut by_first: HashMap<Name, Name> = HashMap::default();
        for (arn, mut all) in by_arn {
            all.sort_unstable();
            if let Some((_, own)) = all.first() {
                names.swap(arn, *own);
                by_first.insert(arn, *own);
            }
        }
        let of = |arn: Name| by_first.get(&arn).copied().unwrap_or(arn);
        for (key, _) in &mut self.all {
            key.principal = of(key.principal);
        }
        let users = std::mem::take(&mut self.users);
        self.users = users
            .into_iter()
            .map(|((arn, id), own)| ((of(arn), id), own))
            .collect();
    }
}

/// The key of an event, as closely as its principal's uses are kept apart.
fn key(principal: Name, grain: Grain, row: Row<'_>, mut name: impl FnMut(&str) -> Name) -> Key {
    let region = name(row.text(Text::Region));
    let (label, place, agent) = (
        credential(row),
        row.text(Text::Place),
        row.text(Text::Agent),
    );
    let (credential, place, agent) = match grain {
        Grain::Exact => (name(&label), name(place), name(agent)),
        _ => {
            let (label, place, agent) = common(&label, place, agent, grain);
            (name(label), name(&place), name(&agent))
        }
    };
    Key {
        principal,
        credential,
        place,
        agent,
        region,
    }
}

/// A key that was made before its principal had too many.
fn coarser(key: Key, grain: Grain, names: &mut Names) -> Key {
    if grain == Grain::Exact {
        return key;
    }
    let text = |name| names.text(name).to_owned();
    let (label, place, agent) = (text(key.credential), text(key.place), text(key.agent));
    let (label, place, agent) = common(&label, &place, &agent, grain);
    Key {
        credential: names.add(label),
        place: names.add(&place),
        agent: names.add(&agent),
        ..key
    }
}

/// What many uses have in common. Of what is common already, the same.
fn common<'a>(label: &'a str, place: &str, agent: &str, grain: Grain) -> (&'a str, String, String) {
    let label = match label {
        label if is_instance(label) => INSTANCES,
        label if label.starts_with("session ") => "sessions",
        label => label,
    };
    let place = match grain {
        Grain::Wide => BEYOND.to_owned(),
        _ => neighbourhood(place),
    };
    (label, place, family(agent))
}

impl Use {
    fn join(&mut self, other: Self) {
        let (count, days) = (self.count + other.count, other.days);
        let (last, probes) = (self.last.max(other.last), self.probes | other.probes);
        let is_first = (other.first, rank(&other.source)) < (self.first, rank(&self.source));
        let before = self.days;
        if is_first {
            *self = other;
            self.days.join(&before);
        } else {
            self.days.join(&days);
        }
        (self.count, self.last, self.probes) = (count, last, probes);
    }

    fn add(&mut self, row: Row<'_>, phase: Option<Phase>) {
        self.count += 1;
        let name = row.text(Text::EventName);
        if meaning::is_probe(name, phase)
            && let Some(probe) = PROBES.iter().position(|known| *known == name)
        {
            self.probes |= 1 << probe;
        }
        let Some(at) = row.micros() else { return };
        self.days.add(at);
        self.last = self.last.max(at);
        let source = row.text(Text::Source);
        // Of the deliveries of an event, the one that counts.
        if at < self.first || (at == self.first && rank(source) < rank(&self.source)) {
            self.first = at;
            self.source = source.into();
            self.event_id = row.text(Text::EventId).into();
            self.action = name.into();
        }
    }
}

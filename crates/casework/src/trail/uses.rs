//! Who used which credential from where with what: the whole of a trail in a table that does not
//! grow with it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::days::Days;
use super::meaning;
use super::names::{Name, Names};
use super::repeats::rank;
use super::row::{Row, Text};

/// Combinations that are kept apart. An account with more of them is a cloud of its own, and those beyond
/// are counted by principal alone.
const MAX_USES: usize = 300_000;

/// Bytes of names that are kept apart, for the same reason.
const MAX_NAME_BYTES: usize = 96 << 20;

/// Stands for the credential, place and agent of what is beyond the bounds.
pub const BEYOND: &str = "(others)";

/// A session of a role by its name, of which these many are kept apart for a role.
const MAX_SESSIONS: u32 = 2_000;

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
    keys: HashMap<Key, u32>,
    all: Vec<(Key, Use)>,
    sessions: HashMap<Name, u32>,
    /// Users by ARN and unique id: one that is deleted and made again is another.
    users: HashMap<(Name, Name), Name>,
    /// How many events are only counted by principal.
    pub beyond: u64,
}

impl Uses {
    /// Counts an event; the number of its use.
    pub fn add(&mut self, names: &mut Names, row: Row<'_>) -> u32 {
        let principal = self.principal(names, row);
        let mut key = Key {
            principal,
            credential: Name::EMPTY,
            place: Name::EMPTY,
            agent: Name::EMPTY,
            region: names.add(row.text(Text::Region)),
        };
        if self.all.len() < MAX_USES && names.bytes() < MAX_NAME_BYTES {
            key.credential = self.credential(names, principal, row);
            key.place = names.add(row.text(Text::Place));
            key.agent = names.add(row.text(Text::Agent));
        } else {
            let known = |text: &str| names.find(text);
            let found = known(credential(row).as_ref())
                .zip(known(row.text(Text::Place)))
                .zip(known(row.text(Text::Agent)));
            let whole = found.map(|((credential, place), agent)| Key {
                credential,
                place,
                agent,
                ..key
            });
            key = match whole.filter(|key| self.keys.contains_key(key)) {
                Some(key) => key,
                None => {
                    self.beyond += 1;
                    let beyond = names.add(BEYOND);
                    Key {
                        credential: beyond,
                        place: beyond,
                        agent: beyond,
                        ..key
                    }
                }
            };
        }
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let number = *self.keys.entry(key).or_insert(next);
        if number == next {
            self.all.push((
                key,
                Use {
                    first: i64::MAX,
                    last: i64::MIN,
                    ..Use::default()
                },
            ));
        }
        if let Some((_, used)) = self.all.get_mut(number as usize) {
            used.add(row);
        }
        number
    }

    /// Takes back an event that had been counted already.
    pub fn forget(&mut self, number: u32) {
        if let Some((_, used)) = self.all.get_mut(number as usize) {
            used.count = used.count.saturating_sub(1);
        }
    }

    /// Ends the counting: names no longer depend on the order in which events came.
    pub fn settle(&mut self, names: &mut Names) {
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
        self.all.sort_unstable_by_key(|(key, _)| *key);
        self.keys.clear();
        self.sessions.clear();
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &(Key, Use)> {
        self.all.iter()
    }

    /// The key of an event that has been counted.
    pub fn key_of(&self, names: &Names, row: Row<'_>) -> Option<Key> {
        let arn = names.find(&principal(row))?;
        let principal = match unique(row) {
            Some(id) => *self.users.get(&(arn, names.find(id)?)).unwrap_or(&arn),
            None => arn,
        };
        let key = Key {
            principal,
            credential: names.find(credential(row).as_ref()).unwrap_or(Name::EMPTY),
            place: names.find(row.text(Text::Place)).unwrap_or(Name::EMPTY),
            agent: names.find(row.text(Text::Agent)).unwrap_or(Name::EMPTY),
            region: names.find(row.text(Text::Region)).unwrap_or(Name::EMPTY),
        };
        Some(key)
    }

    fn principal(&mut self, names: &mut Names, row: Row<'_>) -> Name {
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
        let mut first: HashMap<Name, i64> = HashMap::new();
        for (key, used) in &self.all {
            let seen = first.entry(key.principal).or_insert(used.first);
            *seen = (*seen).min(used.first);
        }
        let mut by_arn: BTreeMap<Name, Vec<(i64, Name)>> = BTreeMap::new();
        for ((arn, _), own) in &self.users {
            let seen = first.get(own).copied().unwrap_or(i64::MAX);
            by_arn.entry(*arn).or_default().push((seen, *own));
        }
        let mut by_first: HashMap<Name, Name> = HashMap::new();
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

    fn credential(&mut self, names: &mut Names, principal: Name, row: Row<'_>) -> Name {
        let label = credential(row);
        if let Some(known) = names.find(&label) {
            return known;
        }
        if label.starts_with("session ") {
            let sessions = self.sessions.entry(principal).or_default();
            *sessions += 1;
            if *sessions > MAX_SESSIONS {
                return names.add("sessions");
            }
        }
        names.add(&label)
    }
}

impl Use {
    fn add(&mut self, row: Row<'_>) {
        self.count += 1;
        let name = row.text(Text::EventName);
        if meaning::is_probe(name)
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

/// A user's ARN with the id that is not given twice.
pub fn with_id(arn: &str, id: &str) -> String {
    format!("{arn} ({id})")
}

/// Whom an event belongs to: the role or user behind the session, otherwise the caller.
pub fn principal(row: Row<'_>) -> Cow<'_, str> {
    let kind = row.text(Text::IdentityType);
    let issuer = row.text(Text::IssuerArn);
    // A federated user's session outlives what made it, so it is a principal of its own.
    if !issuer.is_empty() && kind != "FederatedUser" {
        return issuer.into();
    }
    let arn = row.text(Text::Arn);
    if let Some(role) = role_of(arn) {
        return role.into();
    }
    if !arn.is_empty() {
        return arn.into();
    }
    let (account, user) = (row.text(Text::IdentityAccount), row.text(Text::UserName));
    if kind == "Root" && !account.is_empty() {
        return format!("arn:aws:iam::{account}:root").into();
    }
    if kind == "IAMUser" && !account.is_empty() && !user.is_empty() {
        return format!("arn:aws:iam::{account}:user/{user}").into();
    }
    let texts = [user, row.text(Text::PrincipalId), row.text(Text::InvokedBy)];
    match texts.into_iter().find(|text| !text.is_empty()) {
        Some(named) => named.into(),
        None if account.is_empty() => "(not said)".into(),
        None => format!("account {account}").into(),
    }
}

/// The role of the ARN of one of its sessions; paths are not in it.
fn role_of(arn: &str) -> Option<String> {
    let (before, rest) = arn.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    let before = before.replacen(":sts:", ":iam:", 1);
    Some(format!("{before}:role/{role}"))
}

/// The unique id of a user.
fn unique(row: Row<'_>) -> Option<&str> {
    let id = row.text(Text::PrincipalId);
    (row.text(Text::IdentityType) == "IAMUser" && id.starts_with("AIDA")).then_some(id)
}

/// The credential of an event: a long-term key by its id; of temporary ones, of which a role has
/// thousands, what they have in common: the session's name, or the console.
pub fn credential(row: Row<'_>) -> Cow<'_, str> {
    let key = row.text(Text::Key);
    let session = row.session();
    if key.starts_with("AKIA") {
        return key.into();
    }
    if row.is_console_session() || row.text(Text::EventName) == "ConsoleLogin" {
        return "console".into();
    }
    match (session.is_empty(), key.is_empty()) {
        (false, _) => format!("session {session}").into(),
        (true, false) if key.starts_with("ASIA") => "temporary".into(),
        (true, false) => key.into(),
        (true, true) => "".into(),
    }
}

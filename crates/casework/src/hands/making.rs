//! What a hand made: credentials, principals, machines, and groups of these.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::pairs::At;
use super::spread::{Ground, Hand};
use crate::detail::{Detail, Made};
use crate::trail::row::{Row, Text};

/// How soon a service starts the machines it was asked for.
const FILL_MICROS: i64 = 3_600_000_000;

/// The making of a credential or a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// Who made it.
    pub by: At,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Where the record lies.
    pub source: String,
    /// The action.
    pub action: String,
}

/// A group of machines that a service keeps at its size.
#[derive(Debug, Clone)]
pub struct Group {
    /// Who made it.
    pub making: Making,
    /// Where.
    pub region: String,
    /// In which account.
    pub account: String,
}

impl Hand {
    /// Notes what an event of the hand made.
    pub(super) fn see(&mut self, row: Row<'_>, ground: &Ground<'_>) {
        if row.has_failed() {
            return;
        }
        let Some(micros) = row.micros() else { return };
        let Some(key) = ground.trail.uses.key_of(&ground.trail.names, row) else {
            return;
        };
        let by = At::of(&key);
        let making = || Making {
            by,
            at: micros,
            source: row.text(Text::Source).to_owned(),
            action: row.text(Text::EventName).to_owned(),
        };
        if row.is_by_service() {
            self.see_service(row, making);
            return;
        }
        if !self.did(&by, micros) {
            return;
        }
        let identity = row.text(Text::SourceIdentity);
        if !identity.is_empty() {
            let said = self.opened_for.entry((by.principal, by.credential));
            earliest(said.or_default(), identity.to_owned(), making());
        }
        let detail = Detail::of(row);
        let names = &ground.trail.names;
        let account = row.text(Text::Account);
        let mut credential = |principal: &str, label: &str| {
            if let (Some(principal), Some(label)) = (names.find(principal), names.find(label)) {
                earliest(&mut self.credentials, (principal, label), making());
            }
        };
        match &detail.made {
            Some(Made::Key { key, user }) => {
                if let Some(label) = names.find(key) {
                    earliest(&mut self.keys, label, making());
                }
                let arn = user_arn(ground, account, user, by);
                credential(&arn, key);
            }
            Some(Made::Login { user }) => {
                credential(&user_arn(ground, account, user, by), "console")
            }
            Some(Made::Session { role, name }) => credential(role, &format!("session {name}")),
            Some(Made::Own { name }) => {
                if name.is_empty() {
                    credential(names.text(by.principal), "temporary");
                } else {
                    let arn = format!("arn:aws:sts::{account}:federated-user/{name}");
                    earliest(&mut self.principals, arn, making());
                }
            }
            Some(Made::User { arn, id }) => {
                let arn = user_arn(ground, account, arn, by);
                for renamed in ground.trail.uses.users_of(names, id) {
                    earliest(&mut self.principals, renamed, making());
                }
                let arn = ground.trail.uses.user(names, &arn, id);
                earliest(&mut self.principals, arn, making());
            }
            Some(Made::Role { arn, is_old: false }) => {
                let arn = match arn.starts_with("arn:") {
                    true => arn.clone(),
                    false => format!("arn:aws:iam::{account}:role/{arn}"),
                };
                earliest(&mut self.principals, arn, making());
            }
            Some(Made::Role { .. }) | None => {}
        }
        for machine in detail
            .machines
            .iter()
            .filter(|machine| machine.kind.is_some())
        {
            earliest(&mut self.machines, machine.id.clone(), making());
        }
        self.types.extend(detail.types.iter().cloned());
        for thing in detail.things.iter().filter(|thing| is_group(&thing.kind)) {
            earliest(
                &mut self.groups,
                thing.id.clone(),
                Group {
                    making: making(),
                    region: row.text(Text::Region).to_owned(),
                    account: account.to_owned(),
                },
            );
        }
    }

    /// Machines that AWS starts for a group are its maker's.
    fn see_service(&mut self, row: Row<'_>, making: impl Fn() -> Making) {
        if self.groups.is_empty() || row.text(Text::EventName) != "RunInstances" {
            return;
        }
        let detail = Detail::of(row);
        let (region, account) = (row.text(Text::Region), row.text(Text::Account));
        let making = making();
        let is_soon = |group: &&Group| {
            (0..=FILL_MICROS).contains(&(making.at - group.making.at))
                && group.region == region
                && group.account == account
                && detail.types.iter().all(|kind| self.types.contains(kind))
        };
        let named = detail.group.as_ref().map(|name| self.groups.get(name));
        // A service that does not say for which group it starts machines does it soon after it was asked.
        let group = match named {
            Some(named) => named,
            None => self.groups.values().find(is_soon),
        };
        let Some(by) = group.map(|group| group.making.by) else {
            return;
        };
        for machine in &detail.machines {
            let making = Making {
                by,
                ..making.clone()
            };
            earliest(&mut self.machines, machine.id.clone(), making);
        }
    }
}

/// The order in which events are read means nothing: what was first counts.
fn earliest<K: Ord, V: Dated>(all: &mut BTreeMap<K, V>, key: K, new: V) {
    match all.get_mut(&key) {
        Some(known) if known.dated() <= new.dated() => {}
        Some(known) => *known = new,
        None => {
            all.insert(key, new);
        }
    }
}

/// What has a moment and a record.
trait Dated {
    fn dated(&self) -> (i64, &str);
}

impl Dated for Making {
    fn dated(&self) -> (i64, &str) {
        (self.at, &self.source)
    }
}

impl Dated for Group {
    fn dated(&self) -> (i64, &str) {
        self.making.dated()
    }
}

fn is_group(kind: &str) -> bool {
    matches!(
        kind,
        "scaling-group" | "spot-fleet" | "fleet" | "eks-nodegroup" | "batch-compute-environment"
    )
}

/// The ARN of a user by its name, as the trail has it: users may have a path.
fn user_arn(ground: &Ground<'_>, account: &str, user: &str, by: At) -> String {
    let names = &ground.trail.names;
    if user.is_empty() {
        return names.text(by.principal).to_owned();
    }
    if user.starts_with("arn:") {
        return user.to_owned();
    }
    let plain = format!("arn:aws:iam::{account}:user/{user}");
    if names.find(&plain).is_some() {
        return plain;
    }
    let (start, end) = (format!("arn:aws:iam::{account}:user/"), format!("/{user}"));
    let named = ground.pairs.all.keys().map(|at| names.text(at.principal));
    let pathed = named
        .filter(|arn| arn.starts_with(&start) && arn.ends_with(&end))
        .min();
    pathed.map_or(plain, str::to_owned)
}

/// The moment of microseconds since 1970; the first there is for what is none.
pub fn moment(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

//! Sessions of roles that say whom they are for, by their name or by their source identity.
//!
//! Whoever opens a session chooses its name. The source identity is chosen once and stays with every session
//! that is opened from the first. Neither signs anything: who opened a session says the record of its opening.
//!
//! Source: the AWS IAM user guide, "Monitor and control actions taken with assumed roles".

use std::collections::BTreeMap;

use davylamp_model::verdict::Verdict;

use super::{Weighing, short};
use crate::hands::making::Making;
use crate::hands::spread::{Ground, Hand};
use crate::trail::names::Name;

/// A role and the label of one of its sessions.
type Id = (Name, Name);

/// What says whom a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Name,
    SourceIdentity,
}

/// A session that says it is a user's, and was not opened by that user as far as the records show.
#[derive(Debug)]
pub struct Session {
    id: Id,
    said: Said,
    /// Who opened it; nothing where it comes from a session of the same name whose opening is in no record.
    opened: Option<Making>,
}

/// Sessions of the hand's by the users that they name.
pub fn of_users(ground: &Ground<'_>, hand: &Hand) -> BTreeMap<Name, Vec<Session>> {
    let users = Users::of(ground);
    let by_name = hand.credentials.keys().filter_map(|id| {
        let user = users.named_by(ground.trail.names.text(id.1))?;
        Some((*id, user, Said::Name))
    });
    let by_identity = hand.opened_for.iter().flat_map(|(id, identities)| {
        let named = identities.keys().filter_map(|it| users.named(it));
        named.map(|user| (*id, user, Said::SourceIdentity))
    });
    let mut all: BTreeMap<Name, Vec<Session>> = BTreeMap::new();
    for (id, user, said) in by_name.chain(by_identity) {
        let Some(first) = first_of(hand, id, user) else {
            continue;
        };
        let is_theirs = users.named_by(ground.trail.names.text(first.1)) == Some(user)
            || hand
                .opened_for
                .get(&first)
                .into_iter()
                .flat_map(BTreeMap::keys)
                .any(|identity| users.named(identity) == Some(user));
        let opened = hand.credentials.get(&id).filter(|_| !is_theirs).cloned();
        all.entry(user)
            .or_default()
            .push(Session { id, said, opened });
    }
    all
}

/// The credential from which a session comes in the end; nothing if it is one of a user's own.
fn first_of(hand: &Hand, id: Id, user: Name) -> Option<Id> {
    let mut first = id;
    let mut passed = vec![id];
    while let Some(making) = hand.credentials.get(&first) {
        first = (making.by.principal, making.by.credential);
        if first.0 == user {
            return None;
        }
        if passed.contains(&first) {
            break;
        }
        passed.push(first);
    }
    Some(first)
}

/// Users by what sessions call them.
pub struct Users(BTreeMap<String, Name>);

impl Users {
    /// Those of a trail.
    pub fn of(ground: &Ground<'_>) -> Self {
        let arns = ground.pairs.all.keys().map(|at| at.principal);
        let named = arns.filter_map(|principal| {
            let arn = ground.trail.names.text(principal);
            let (_, user) = arn.split_once(":user/")?;
            let short = user.rsplit('/').next().unwrap_or(user);
            Some((short.to_ascii_lowercase(), principal))
        });
        Self(named.collect())
    }

    /// The user of a name, which may be an address of mail.
    pub fn named(&self, name: &str) -> Option<Name> {
        let name = name.to_ascii_lowercase();
        let short = name.split('@').next().unwrap_or(&name);
        self.0.get(short).copied()
    }

    fn named_by(&self, label: &str) -> Option<Name> {
        self.named(label.strip_prefix("session ")?)
    }
}

impl Weighing<'_, '_> {
    /// Weighs sessions that name a user.
    pub(super) fn sessions(&mut self, user: Name, sessions: &[Session]) -> Option<Verdict> {
        let owner = short(self.text(user)).to_owned();
        let mut verdict = None;
        for session in sessions {
            let (role, label) = session.id;
            let what = format!(
                "the {} of the role {}",
                self.text(label),
                short(self.text(role))
            );
            let says = match session.said {
                Said::Name => format!("bears {owner}'s name"),
                Said::SourceIdentity => format!("has {owner} as its source identity"),
            };
            match &session.opened {
                Some(making) => {
                    let told = self.told(making);
                    let cited = self.cite_making(making);
                    let text = format!("{what} {says} and was not opened by {owner}: {told}");
                    self.reason(true, text, vec![cited]);
                }
                None => {
                    let acts = self.hand.opened_for.get(&session.id);
                    let first = acts.into_iter().flat_map(BTreeMap::values).next().cloned();
                    let first = first.or_else(|| self.hand.credentials.get(&session.id).cloned());
                    let cited = first.map(|act| self.cite_making(&act));
                    let text = format!(
                        "{what} {says}, and who opened the first session that says so is in no record"
                    );
                    self.reason(false, text, cited.into_iter().collect());
                    verdict = Some(Verdict::Unknown);
                }
            }
        }
        verdict
    }

    /// Whom the sessions of a role were opened for, where they say it.
    pub(super) fn opened_for(&mut self, role: Name) {
        let of_role = self.hand.opened_for.iter().filter(|(id, _)| id.0 == role);
        let said = of_role.flat_map(|(id, all)| all.iter().map(|it| (id.1, it)));
        let said: Vec<(Name, String, Making)> = said
            .map(|(label, (identity, act))| (label, identity.clone(), act.clone()))
            .collect();
        for (label, identity, act) in said {
            let text = format!(
                "the source identity of the {} is {identity:?}: it was set when the first session was opened, and stays",
                self.text(label)
            );
            let cited = self.cite_making(&act);
            self.reason(true, text, vec![cited]);
        }
    }
}

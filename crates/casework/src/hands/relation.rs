//! Whether a principal is the one whose hand it was: innocence, with the reasons for and against.
//!
//! A name signs nothing; a credential does. So it is asked of each credential that was used: who made it,
//! when, and whether it was used from the owner's own places with the owner's own tools.
//! What cannot be told stays unknown, and only what all fits the owner says that it was the owner.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::verdict::Verdict;

use super::making::{Making, moment};
use super::pairs::{At, Pair};
use super::spread::{Because, Belongs, Ground, Hand};
use crate::case::{EvidenceId, Reason, Statement};
use crate::cite::Cites;
use crate::trail::names::Name;
use crate::trail::uses::Use;

mod place;
pub mod sessions;

use sessions::Session;

/// What is known of one principal.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The principal.
    pub principal: String,
    /// Pass: it was not this one's hand. Fail: it was.
    pub verdict: Verdict,
    /// Whether the hand made the principal.
    pub is_made: bool,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Events in its name that are its own.
    pub own: u64,
    /// Events in its name by another's hand.
    pub others: u64,
    /// Events in its name of which nobody can say.
    pub unknown: u64,
}

/// Reasons that are being gathered.
struct Weighing<'a, 'g> {
    ground: &'a Ground<'g>,
    hand: &'a Hand,
    cites: &'a mut Cites,
    reasons: Vec<Reason>,
}

/// Judges every principal that a hand used, or that it was made to look like.
pub fn judge(ground: &Ground<'_>, hand: &Hand, cites: &mut Cites) -> BTreeMap<Name, Judgement> {
    let mut named: BTreeSet<Name> = hand.pairs.keys().map(|at| at.principal).collect();
    named.extend(hand.credentials.keys().map(|(principal, _)| *principal));
    // Who trades a provider's token is nobody in the account until a role is assumed.
    named.retain(|principal| is_somebody(ground.trail.names.text(*principal)));
    let mut sessions = sessions::of_users(ground, hand);
    named.extend(sessions.keys().copied());
    let mut judged = BTreeMap::new();
    // A key that a user's own key made is as much that user's as the first: those without such come first.
    for principal in named {
        let judgement = Weighing {
            ground,
            hand,
            cites,
            reasons: Vec::new(),
        }
        .judge(principal, &sessions.remove(&principal).unwrap_or_default());
        judged.insert(principal, judgement);
    }
    judged
}

impl Weighing<'_, '_> {
    fn judge(mut self, principal: Name, sessions: &[Session]) -> Judgement {
        let name = self.text(principal).to_owned();
        let of_it: Vec<(At, &Pair)> = self
            .ground
            .pairs
            .all
            .iter()
            .filter(|(at, _)| at.principal == principal)
            .map(|(at, pair)| (*at, pair))
            .collect();
        let (mut own, mut others) = (0, 0);
        let mut verdicts = BTreeSet::new();
        let mut by_hand: Vec<(At, &Pair, &Belongs)> = Vec::new();
        for (at, pair) in of_it {
            match self.hand.pairs.get(&at) {
                Some(belongs) => by_hand.push((at, pair, belongs)),
                None => own += pair.count,
            }
        }
        by_hand.sort_by_key(|(at, pair, belongs)| (pair.first.max(belongs.since), *at));
        for (at, pair, belongs) in &by_hand {
            verdicts.insert(self.weigh(at, pair, belongs));
            let (before, since) = split(pair, belongs);
            own += before;
            others += since;
        }
        let is_made = self.hand.principals.get(&name).cloned();
        if let Some(making) = &is_made {
            let text = format!("{name} was made by the intruder: {}", self.told(making));
            let cited = self.cite_making(making);
            self.reason(false, text, vec![cited]);
        }
        verdicts.extend(self.sessions(principal, sessions));
        self.opened_for(principal);
        self.meanwhile(principal, &by_hand);
        let verdict = match () {
            () if is_made.is_some() => Verdict::Fail,
            () if verdicts.contains(&Verdict::Fail) => Verdict::Fail,
            () if verdicts.contains(&Verdict::Unknown) => Verdict::Unknown,
            () => Verdict::Pass,
        };
        let mut judgement = Judgement {
            principal: name,
            verdict,
            is_made: is_made.is_some(),
            reasons: self.reasons,
            own,
            others: 0,
            unknown: 0,
        };
        match verdict {
            Verdict::Pass => judgement.others = others,
            Verdict::Unknown => judgement.unknown = others,
            Verdict::Fail if judgement.is_made => judgement.others = others,
            Verdict::Fail => judgement.own += others,
        }
        judgement
    }

    /// Whether one credential at one place was in its owner's hand.
    fn weigh(&mut self, at: &At, pair: &Pair, belongs: &Belongs) -> Verdict {
        let made = self.hand.making_of(at).cloned();
        match (&belongs.because, made) {
            (Because::MadePrincipal(_), _) => Verdict::Pass,
            (_, Some(making)) if self.is_own_making(at, &making) => {
                let verdict = self.made(at, pair, &making, true);
                self.at_place(at, pair).max_with(verdict)
            }
            (_, Some(making)) => self.made(at, pair, &making, false),
            (_, None) => self.at_place(at, pair),
        }
    }

    /// A key that the owner's own credential made is no other's.
    fn is_own_making(&self, at: &At, making: &Making) -> bool {
        making.by.principal == at.principal
    }

    fn made(&mut self, at: &At, pair: &Pair, making: &Making, is_own: bool) -> Verdict {
        let label = self.text(at.credential).to_owned();
        let owner = short(self.text(at.principal)).to_owned();
        let what = match label.as_str() {
            "console" => format!("{owner}'s password"),
            label if label.starts_with("session ") => format!("the {label} of {owner}"),
            key => format!("the key {key} of {owner}"),
        };
        let by = short(self.text(making.by.principal)).to_owned();
        let text = format!("{what} was not {owner}'s doing: {}", self.told(making));
        let place = self.text(at.place).to_owned();
        let used = self.cite_first(pair);
        if is_own {
            let text = format!(
                "{what} was made with {owner}'s own credential: {}",
                self.told(making)
            );
            let cited = self.cite_making(making);
            self.reason(false, text, vec![cited]);
            return Verdict::Pass;
        }
        let cited = self.cite_making(making);
        self.reason(true, text, vec![cited]);
        let begins = self.hand.began;
        let habits = self.ground.habits;
        let text = match habits.has_past(at.principal, begins) {
            true if habits.days_at(at.principal, &place, begins) == 0 => {
                format!(
                    "it was used from {place}, which {owner} had never used before, and never from {owner}'s own places"
                )
            }
            _ => format!("it was used from {place}, where {by}'s credential was used too"),
        };
        self.reason(true, text, vec![used]);
        Verdict::Pass
    }

    fn text(&self, name: Name) -> &str {
        self.ground.trail.names.text(name)
    }

    fn told(&self, making: &Making) -> String {
        let by = short(self.text(making.by.principal));
        let (credential, place) = (self.text(making.by.credential), self.text(making.by.place));
        let with = if credential.is_empty() {
            String::new()
        } else {
            format!(" with {credential}")
        };
        format!(
            "{} by {by}{with} from {place} at {}",
            making.action,
            moment(making.at)
        )
    }

    fn cite_making(&mut self, making: &Making) -> EvidenceId {
        self.cites
            .place("cloudtrail", &making.source, Some(moment(making.at)))
    }

    fn cite_first(&mut self, pair: &Pair) -> EvidenceId {
        let (source, event_id, action) = &pair.first_record;
        cite(self.cites, source, event_id, action, pair.first)
    }

    fn reason(&mut self, is_for: bool, text: String, evidence: Vec<EvidenceId>) {
        let statement = Statement { text, evidence };
        let reason = Reason { is_for, statement };
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// The worse of two verdicts, of which unknown is in the middle.
trait Worse {
    fn max_with(self, other: Self) -> Self;
}

impl Worse for Verdict {
    fn max_with(self, other: Self) -> Self {
        let rank = |verdict: Self| match verdict {
            Self::Pass => 0,
            Self::Unknown => 1,
            Self::Fail => 2,
        };
        if rank(self) >= rank(other) {
            self
        } else {
            other
        }
    }
}

/// Events of a pair before it was the hand's, and since, as far as that can be told.
pub fn split(pair: &Pair, belongs: &Belongs) -> (u64, u64) {
    if pair.first >= belongs.since {
        return (0, pair.count);
    }
    let since = pair
        .phases
        .values()
        .map(|deeds| deeds.count)
        .sum::<u64>()
        .min(pair.count);
    (pair.count - since, since)
}

/// Cites the first record of a use.
pub fn cite_use(cites: &mut Cites, used: &Use) -> EvidenceId {
    cite(
        cites,
        &used.source,
        &used.event_id,
        &used.action,
        used.first,
    )
}

fn cite(cites: &mut Cites, source: &str, event_id: &str, action: &str, at: i64) -> EvidenceId {
    let id = cites.place("cloudtrail", source, Some(moment(at)));
    cites.tell(id, action, || {
        let members = [("event_id", event_id), ("event_name", action)];
        let members = members
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.into()));
        members
            .chain([("event_time".to_owned(), moment(at).to_string().into())])
            .collect()
    });
    id
}

/// The last part of an ARN, as people say it.
pub fn short(arn: &str) -> &str {
    match arn
        .rsplit_once(":user/")
        .or_else(|| arn.rsplit_once(":role/"))
    {
        Some((_, name)) => name.rsplit('/').next().unwrap_or(name),
        None => arn,
    }
}

/// Whether a principal is one of an account, and not the subject of a provider's token.
fn is_somebody(principal: &str) -> bool {
    principal.starts_with("arn:") || principal.starts_with("account ")
}

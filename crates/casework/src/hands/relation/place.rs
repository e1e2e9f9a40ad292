//! Whether place, tool and hours of a use are its owner's.

use std::fmt;

use davylamp_model::verdict::Verdict;

use super::{Weighing, cite_use, short};
use crate::hands::pairs::{At, Pair};
use crate::hands::spread::Belongs;
use crate::trail::days::HOURS;
use crate::trail::names::Name;
use crate::trail::place::is_telling;

/// Own places that are named in a reason.
const MAX_NAMED: usize = 3;

/// Days of work from which hours can be compared.
const CLOCK_DAYS: u32 = 5;

/// Who works at more hours of the day than these has no usual ones.
const MOST_HOURS: u32 = 16;

/// An hour at which somebody worked on one day of more than these is no usual one.
const RARE: u32 = 20;

/// Hours of the day, in UTC, by bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours(u32);

impl Hours {
    /// Those at which somebody worked on more than one day, and on one of [`RARE`].
    fn of(by_hour: &[u32; HOURS], days: u32) -> Self {
        let most = (days / RARE).max(1);
        let usual = (0..HOURS).filter(|hour| by_hour[*hour] > most);
        Self(usual.fold(0, |bits, hour| bits | 1 << hour))
    }

    /// These, and the hour before and after each.
    fn near(self) -> Self {
        let day = (1_u32 << HOURS) - 1;
        let (later, earlier) = (self.0 << 1 | self.0 >> 23, self.0 >> 1 | self.0 << 23);
        Self((self.0 | later | earlier) & day)
    }

    fn count(self) -> u32 {
        self.0.count_ones()
    }

    fn has(self, hour: usize) -> bool {
        self.0 & 1 << (hour % HOURS) != 0
    }
}

impl fmt::Display for Hours {
    /// As stretches, such as `07:00 to 17:00`; one may go past midnight.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = (0..HOURS).filter(|hour| self.has(*hour) && !self.has(hour + HOURS - 1));
        let mut is_next = false;
        for begin in begins {
            let end = (begin..).find(|hour| !self.has(*hour)).unwrap_or(begin);
            let before = if is_next { ", " } else { "" };
            write!(f, "{before}{begin:02}:00 to {:02}:00", end % HOURS)?;
            is_next = true;
        }
        match is_next {
            true => Ok(()),
            false => f.write_str(if self.0 == 0 { "no hour" } else { "any hour" }),
        }
    }
}

impl Weighing<'_, '_> {
    pub(super) fn at_place(&mut self, at: &At, pair: &Pair) -> Verdict {
        let (owner, place) = (
            short(self.text(at.principal)).to_owned(),
            self.text(at.place).to_owned(),
        );
        let habits = self.ground.habits;
        let begins = self.hand.began;
        let used = self.cite_first(pair);
        if !habits.has_past(at.principal, begins) {
            let text = format!(
                "there is no past of {owner} in the logs to compare with what came from {place}"
            );
            self.reason(false, text, vec![used]);
            return Verdict::Unknown;
        }
        let agents = pair.tools();
        if habits.is_everywhere(at.principal) {
            let text = format!(
                "{owner} was used from thousands of places, so that of {place} nobody can say whose it is"
            );
            self.reason(false, text, vec![used]);
            return Verdict::Unknown;
        }
        let is_new_tool = habits.is_new_agent(at, agents, &self.ground.trail.names, begins);
        let tool = agents
            .iter()
            .next()
            .map(|agent| self.text(*agent).to_owned())
            .unwrap_or_default();
        let is_near = habits.is_near(at.principal, &place, begins);
        if is_near || habits.knows_place(at.principal, &place, begins) {
            return self.at_own_place(at, pair, begins, is_new_tool, &tool);
        }
        let days = habits.days(at.principal, begins);
        let own: Vec<String> = habits
            .own_nets(at.principal, begins)
            .into_iter()
            .take(MAX_NAMED)
            .map(|(net, days)| format!("{net} on {days} days"))
            .collect();
        let usual = match own.is_empty() {
            true => String::new(),
            false => format!(" ({owner} used {})", own.join(", ")),
        };
        let text = format!("{place} had never been used by {owner} in {days} days before{usual}");
        self.reason(true, text, vec![used]);
        if is_new_tool {
            let text = format!("the tool {tool:?} was never used by {owner} before");
            self.reason(true, text, vec![used]);
        }
        self.factors(at, pair, &owner);
        self.hours(at, pair, &owner);
        let names = &self.ground.trail.names;
        let is_same = agents.iter().any(|agent| {
            is_telling(names.text(*agent))
                && habits.used_exactly(at.principal, *agent, &place, begins)
        });
        if is_same {
            let text = format!("{owner} had used the very same tool before: {tool:?}");
            self.reason(false, text, vec![used]);
        }
        let is_shared =
            habits.is_shared(at.principal, &place, begins) && !self.hand.places.contains(&at.place);
        if is_shared {
            let text = format!("others of the account use {place} too, as one does a VPN");
            self.reason(false, text, vec![used]);
        }
        let wanders = habits.wanders(at.principal, begins);
        if wanders && !is_new_tool {
            let text =
                format!("{owner} comes from ever new addresses, so that a new one says little");
            self.reason(false, text, vec![used]);
        }
        if is_same || is_shared || (wanders && !is_new_tool) {
            return Verdict::Unknown;
        }
        Verdict::Pass
    }

    fn at_own_place(
        &mut self,
        at: &At,
        pair: &Pair,
        begins: i64,
        is_new_tool: bool,
        tool: &str,
    ) -> Verdict {
        let (owner, place) = (
            short(self.text(at.principal)).to_owned(),
            self.text(at.place).to_owned(),
        );
        let habits = self.ground.habits;
        let days = habits.days_at(at.principal, &place, begins);
        let used = self.cite_first(pair);
        let text = match days {
            0 => format!("{place} is near addresses that {owner} had used on some days before"),
            days => format!("{owner} had used {place} on {days} days before"),
        };
        self.reason(false, text, vec![used]);
        let is_shared = habits.is_shared(at.principal, &place, begins);
        if is_shared {
            let text = format!("{place} is shared by others, as an office or a VPN is");
            self.reason(true, text, vec![used]);
        }
        if is_new_tool {
            let text = format!("the tool {tool:?} was never used by {owner} before");
            self.reason(true, text, vec![used]);
            return Verdict::Unknown;
        }
        let agents = pair.tools();
        let is_exact = agents
            .iter()
            .any(|agent| habits.used_exactly(at.principal, *agent, "", begins));
        let text = match is_exact {
            true => format!("{owner} had used the very same tool before: {tool:?}"),
            false => format!("{owner} had used another version of the same tool before: {tool:?}"),
        };
        self.reason(false, text, vec![used]);
        let is_odd_hour = self.hours(at, pair, &owner) == Some(true);
        if is_shared && (!is_exact || is_odd_hour) {
            Verdict::Unknown
        } else {
            Verdict::Fail
        }
    }

    /// Whether it was done at hours of the day at which the owner never works, where that can be said.
    fn hours(&mut self, at: &At, pair: &Pair, owner: &str) -> Option<bool> {
        let begins = self.hand.began;
        let days = self.ground.habits.days(at.principal, begins);
        let clock = self.ground.trail.uses.clock(at.principal)?;
        let usual = Hours::of(&clock.before(begins), days);
        if days < CLOCK_DAYS || usual.near().count() > MOST_HOURS || pair.deed_hours == 0 {
            return None;
        }
        let deeds = Hours(pair.deed_hours);
        let is_odd = deeds.0 & usual.near().0 == 0;
        let text = match is_odd {
            true => format!(
                "it was done at {deeds} UTC, and in {days} days before {owner} usually worked at {usual}"
            ),
            false if deeds.0 & !usual.0 == 0 => {
                format!("it was done at {deeds} UTC, hours at which {owner} works")
            }
            false => return Some(false),
        };
        let cited = self.cite_first(pair);
        self.reason(is_odd, text, vec![cited]);
        Some(is_odd)
    }

    fn factors(&mut self, at: &At, pair: &Pair, owner: &str) {
        let names = &self.ground.trail.names;
        let usual = self
            .ground
            .pairs
            .all
            .keys()
            .filter(|other| other.principal == at.principal)
            .map(|other| {
                self.ground
                    .habits
                    .with_mfa(at.principal, names.text(other.place))
            })
            .max()
            .unwrap_or(0);
        if usual > 0 && pair.with_mfa == 0 {
            let cited = self.cite_first(pair);
            let text = format!("{owner} signs in with a second factor, and here there was none");
            self.reason(true, text, vec![cited]);
        }
    }

    /// That the owner was at work elsewhere while the hand acted in the owner's name.
    pub(super) fn meanwhile(&mut self, principal: Name, by_hand: &[(At, &Pair, &Belongs)]) {
        let Some((_, pair, belongs)) = by_hand.first() else {
            return;
        };
        let (from, until) = (pair.first.max(belongs.since), pair.last);
        let own = self.ground.trail.uses.iter().filter(|(key, used)| {
            key.principal == principal
                && !self.hand.pairs.contains_key(&At::of(key))
                && used.first <= until
                && used.last >= from
                && self
                    .ground
                    .habits
                    .knows_place(principal, self.text(key.place), from)
        });
        let Some((key, used)) = own.max_by_key(|(key, used)| (used.count, *key)) else {
            return;
        };
        let (owner, place) = (
            short(self.text(principal)).to_owned(),
            self.text(key.place).to_owned(),
        );
        let cited = cite_use(self.cites, used);
        let text = format!("meanwhile {owner} was at work from {place}, as before");
        self.reason(true, text, vec![cited]);
    }
}

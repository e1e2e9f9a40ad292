//! How much what a credential did from a place looks like an attack, by itself: the seeds of a case.
//!
//! Two things make a score: harm (machines, ways back in, blinded sensors) and strangeness (a place, a
//! tool, regions that the principal never had). What somebody does week after week is a habit and
//! counts little. Neither alone makes an innocent busy account a case, but harm beyond all habit does.

use crate::trail::meaning::Phase;
use crate::trail::names::Names;
use crate::trail::who::is_instance;

use super::habit::Habits;
use super::pairs::{At, Pair};

/// From this on, a pair is the seed of a case.
pub const SEED: f64 = 50.0;

/// Regions with launches that nobody has who does not mine, or test an account's every corner.
const MANY_REGIONS: usize = 3;
const MOST_REGIONS: usize = 8;

/// Processors asked for.
const MANY_VCPUS: u64 = 128;
const MOST_VCPUS: u64 = 1_024;
/// More than most accounts ever have, asked for within days by somebody who never did.
const BEYOND_VCPUS: u64 = 4_096;

/// Days on which something was done before it is a habit.
const HABIT_DAYS: u32 = 3;

/// A score and the reasons for it.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// 0 to 100.
    pub points: f64,
    /// Of these, those for harm.
    pub harm: f64,
    /// Of these, those for strangeness.
    pub strange: f64,
    /// Why, as clauses.
    pub why: Vec<String>,
}

impl Score {
    fn harm(&mut self, points: f64, why: String) {
        self.harm += points;
        self.why.push(why);
    }

    fn strange(&mut self, points: f64, why: String) {
        self.strange += points;
        self.why.push(why);
    }
}

/// The score of a pair.
pub fn score(at: &At, pair: &Pair, habits: &Habits, names: &Names) -> Score {
    let mut score = Score::default();
    if !pair.is_address {
        return score;
    }
    launches(&mut score, pair);
    ways_back(&mut score, pair);
    if pair.tampering > 0 && pair.deeds(Phase::Evasion).days.count() < HABIT_DAYS {
        let acts = plural(pair.tampering, "act");
        score.harm(25.0, format!("{acts} against logs or sensors"));
    }
    if pair.quota_regions.len() >= MANY_REGIONS {
        let regions = pair.quota_regions.len();
        score.harm(15.0, format!("quotas of {regions} regions were asked for"));
    }
    if pair.probes.count_ones() >= 5 {
        score.harm(5.0, "it looked around in many ways".to_owned());
    }
    strangeness(&mut score, at, pair, habits, names);
    // A new place alone is a journey, and harm that is no launch may be an administrator's work.
    let is_case = score.harm >= 40.0 || (score.harm >= 15.0 && score.strange >= 20.0);
    let points = (score.harm + score.strange).min(100.0);
    score.points = if is_case {
        points
    } else {
        points.min(SEED - 1.0)
    };
    score
}

fn launches(score: &mut Score, pair: &Pair) {
    let launches = pair.deeds(Phase::Launch);
    let is_habit = launches.days.count() >= HABIT_DAYS && pair.launch_regions.len() < MOST_REGIONS;
    let regions = pair.launch_regions.len();
    let a_day = pair.vcpus / u64::from(launches.days.count().max(1));
    if regions >= MOST_REGIONS {
        score.harm(
            45.0,
            format!("machines were asked for in {regions} regions"),
        );
    } else if regions >= MANY_REGIONS && !is_habit {
        score.harm(
            30.0,
            format!("machines were asked for in {regions} regions"),
        );
    } else if regions >= MANY_REGIONS && a_day >= MOST_VCPUS {
        // Whoever mines for days has made a habit of it.
        score.harm(
            10.0,
            format!("machines were asked for in {regions} regions"),
        );
    }
    if is_habit && a_day < MANY_VCPUS {
        return;
    }
    if pair.vcpus >= BEYOND_VCPUS {
        score.harm(45.0, format!("{} processors were asked for", pair.vcpus));
    } else if pair.vcpus >= MOST_VCPUS {
        score.harm(25.0, format!("{} processors were asked for", pair.vcpus));
    } else if pair.vcpus >= MANY_VCPUS {
        score.harm(12.0, format!("{} processors were asked for", pair.vcpus));
    }
    if pair.is_accelerated {
        score.harm(8.0, "machines with accelerators were asked for".to_owned());
    }
    if pair.refused >= 3 {
        score.harm(
            15.0,
            format!("{} launches were refused or only probed", pair.refused),
        );
    }
    if launches.count > 0 && pair.asked == 0 && regions < MANY_REGIONS {
        score.harm(5.0, "something that computes was started".to_owned());
    }
    if pair.protecting > 0 {
        score.harm(12.0, "machines were protected from being ended".to_owned());
    }
}

fn ways_back(score: &mut Score, pair: &Pair) {
    let (ways, rights) = (pair.deeds(Phase::Persistence), pair.deeds(Phase::Privilege));
    if ways.days.count() >= HABIT_DAYS || rights.days.count() >= HABIT_DAYS {
        return;
    }
    if pair.for_others > 0 {
        let acts = plural(pair.for_others, "act");
        score.harm(
            15.0,
            format!("{acts} gave another user a key, a password or rights"),
        );
    } else if ways.count > 0 {
        score.harm(5.0, "a way to come back was made".to_owned());
    }
    if rights.count > 0 {
        score.harm(5.0, "rights were widened".to_owned());
    }
}

fn strangeness(score: &mut Score, at: &At, pair: &Pair, habits: &Habits, names: &Names) {
    let begins = pair.begins();
    let place = names.text(at.place);
    if habits.has_past(at.principal, begins) && !habits.knows_place(at.principal, place, begins) {
        let is_usual = habits.wanders(at.principal, begins)
            || habits.is_near(at.principal, place, begins)
            || habits.is_shared(at.principal, place, begins);
        if is_usual {
            score.strange(5.0, format!("{place} was new, and no strange place"));
        } else {
            let days = habits.days(at.principal, begins);
            score.strange(
                20.0,
                format!("{place} had never been used in {days} days before"),
            );
        }
    }
    let agents = pair.tools();
    if habits.has_past(at.principal, begins) {
        if habits.is_new_agent(at, agents, names, begins) {
            score.strange(
                10.0,
                "it called with a tool that was never used before".to_owned(),
            );
        }
        let new = pair
            .regions
            .iter()
            .filter(|region| !habits.knows_region(at.principal, **region, begins));
        let new = new.count();
        if new >= MANY_REGIONS {
            score.strange(10.0, format!("{new} regions had never been called before"));
        }
    }
    // Machines get new addresses, and do not change their tools with them.
    if is_instance(names.text(at.credential))
        && habits.has_past(at.principal, begins)
        && !habits.knows_place(at.principal, place, begins)
        && !habits.is_near(at.principal, place, begins)
        && habits.is_new_agent(at, agents, names, begins)
    {
        score.strange(
            25.0,
            "an instance's own credentials were used from elsewhere".to_owned(),
        );
        score.harm(
            15.0,
            "whoever has an instance's credentials has taken them from it".to_owned(),
        );
    }
    if pair.logins_without_mfa > 0 && !habits.knows_place(at.principal, place, begins) {
        score.strange(10.0, "a console login had no second factor".to_owned());
    }
    if names.text(at.principal).ends_with(":root") {
        score.strange(5.0, "it was the root user".to_owned());
    }
}

/// A number and a word.
pub fn plural(count: u64, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

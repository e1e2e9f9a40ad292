//! What of the logs is asked for: a range of time, accounts, regions.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Layout;

/// Services write what happened into an object of the same day, or of a later one when delivery
/// was late; a day late is the most that is reckoned with.
const LATEST_DELIVERY_HOURS: i64 = 24;

/// An event's own clock may run ahead of the one that named the object.
const CLOCK_HOURS: i64 = 1;

/// What is asked for. Nothing said is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Nothing before this.
    pub since: Option<Timestamp>,
    /// Nothing at or after this.
    pub until: Option<Timestamp>,
    /// Only these accounts.
    pub accounts: Vec<String>,
    /// Only these regions.
    pub regions: Vec<String>,
}

impl Scope {
    /// Whether an object may hold some of it: false only where its key says otherwise.
    pub fn may_hold(&self, layout: &Layout) -> bool {
        let is_wanted = |wanted: &[String], said: Option<&str>| {
            wanted.is_empty() || said.is_none_or(|said| wanted.iter().any(|one| one == said))
        };
        is_wanted(&self.accounts, layout.account.as_deref())
            && is_wanted(&self.regions, layout.region.as_deref())
            && layout.day.is_none_or(|day| self.may_hold_day(day))
    }

    fn may_hold_day(&self, day: Date) -> bool {
        // A day at the edge of what can be counted is opened.
        let start = |day: Date| {
            day.to_zoned(TimeZone::UTC)
                .ok()
                .map(|zoned| zoned.timestamp())
        };
        let seconds = |at: Timestamp| at.as_second();
        let begins = start(day).map(seconds);
        let ends = day.tomorrow().ok().and_then(start).map(seconds);
        let is_over = self
            .since
            .zip(ends)
            .is_some_and(|(since, ends)| ends + CLOCK_HOURS * 3600 <= since.as_second());
        let is_to_come = self.until.zip(begins).is_some_and(|(until, begins)| {
            begins - LATEST_DELIVERY_HOURS * 3600 > until.as_second()
        });
        !is_over && !is_to_come
    }

    /// What both ask for.
    pub fn and(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self {
            since: self.since.max(since),
            until: match (self.until, until) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(since: &str, until: &str, day: &str, expected: bool) {
        let at = |text: &str| text.parse::<Timestamp>().ok();
        let scope = Scope {
            since: at(since),
            until: at(until),
            ..Scope::default()
        };
        let layout = Layout {
            day: day.parse().ok(),
            ..Layout::default()
        };
        assert_eq!(
            scope.may_hold(&layout),
            expected,
            "{since} to {until}: {day}"
        );
    }

    #[test]
    fn a_day_is_left_out_only_when_nothing_of_it_can_be_asked_for() {
        check("", "", "2024-08-01", true);
        check("2024-08-02T02:00:00Z", "", "2024-08-01", false);
        check("2024-08-02T00:30:00Z", "", "2024-08-01", true);
        check("", "2024-07-31T23:00:00Z", "2024-08-01", true);
        check("", "2024-07-30T23:00:00Z", "2024-08-01", false);
        check("2024-08-02T02:00:00Z", "", "no day", true);
    }
}

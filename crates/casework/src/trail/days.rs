//! On which days something happened, and at which hours of them, in a few bytes.

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// The days on which something happened. Of a stretch longer than 128 days, days that lie a multiple
/// of 128 apart count once, so that there may be more days than it says, and never fewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Days {
    bits: u128,
    first: i64,
    last: i64,
}

impl Days {
    /// Adds the day of a moment in microseconds since 1970.
    pub fn add(&mut self, micros: i64) {
        let day = micros.div_euclid(DAY_MICROS);
        if self.bits == 0 {
            (self.first, self.last) = (day, day);
        }
        self.first = self.first.min(day);
        self.last = self.last.max(day);
        self.bits |= bit(day);
    }

    /// How many days.
    pub fn count(&self) -> u32 {
        self.bits.count_ones()
    }

    /// How many days before the one with that moment.
    pub fn before(&self, micros: i64) -> u32 {
        let end = micros.div_euclid(DAY_MICROS);
        if self.bits == 0 || end <= self.first {
            return 0;
        }
        if end > self.last || self.last - self.first >= 128 {
            // Of more days than there are bits, those before the end cannot be told from the others.
            return self.count().saturating_sub(u32::from(end <= self.last));
        }
        let known = (self.first..end).filter(|day| self.bits & bit(*day) != 0);
        u32::try_from(known.count()).unwrap_or(u32::MAX)
    }

    /// Adds another's days.
    pub fn join(&mut self, other: &Self) {
        if other.bits == 0 {
            return;
        }
        if self.bits == 0 {
            *self = *other;
            return;
        }
        self.bits |= other.bits;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Hours of a day.
pub const HOURS: usize = 24;

/// On which days something happened in each hour of the day, in UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock([Days; HOURS]);

impl Clock {
    /// Adds a moment in microseconds since 1970.
    pub fn add(&mut self, micros: i64) {
        self.0[hour(micros)].add(micros);
    }

    /// For each hour, on how many days before the one with a moment something happened in it.
    pub fn before(&self, micros: i64) -> [u32; HOURS] {
        self.0.map(|days| days.before(micros))
    }
}

/// The hour of the day of a moment in microseconds since 1970, in UTC.
pub fn hour(micros: i64) -> usize {
    // Below 24, whatever the moment.
    (micros.rem_euclid(DAY_MICROS) / (DAY_MICROS / HOURS as i64)) as usize
}

fn bit(day: i64) -> u128 {
    1 << day.rem_euclid(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_tells_the_hours_of_earlier_days() {
        let mut clock = Clock::default();
        for day in 0..5 {
            clock.add(day * DAY_MICROS + 9 * 3_600_000_000);
        }
        clock.add(4 * DAY_MICROS + 2 * 3_600_000_000);
        let before = clock.before(4 * DAY_MICROS);
        assert_eq!((before[9], before[2]), (4, 0));
        assert_eq!(hour(-1), 23);
    }

    #[test]
    fn days_are_counted_once_and_told_from_later_ones() {
        let mut days = Days::default();
        for hour in [0, 1, 30, 55, 56] {
            days.add(hour * DAY_MICROS / 24);
        }
        assert_eq!(days.count(), 3);
        assert_eq!(days.before(2 * DAY_MICROS), 2);
        assert_eq!(days.before(0), 0);
        assert_eq!(days.before(9 * DAY_MICROS), 3);
    }
}

//! On which days something happened, and at which hours of them, in a few bytes.

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// The earliest days, of which it is always known which they are. Whether something is a habit is asked of
/// no more.
const EARLIEST: usize = 5;

/// Stands for a day that never comes.
const NEVER: i32 = i32::MAX;

/// The days on which something happened. Of a stretch longer than 128 days, days that lie a multiple
/// of 128 apart count once, so that there may be more days than it says, and never fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    bits: u128,
    earliest: [i32; EARLIEST],
    last: i32,
}

impl Default for Days {
    fn default() -> Self {
        Self {
            bits: 0,
            earliest: [NEVER; EARLIEST],
            last: i32::MIN,
        }
    }
}

impl Days {
    /// Adds the day of a moment in microseconds since 1970.
    pub fn add(&mut self, micros: i64) {
        let day = day_of(micros);
        self.last = self.last.max(day);
        self.bits |= bit(day);
        self.note(day);
    }

    fn note(&mut self, day: i32) {
        let place = self.earliest.partition_point(|known| *known < day);
        if self.earliest.get(place).is_some_and(|known| *known > day) {
            self.earliest[place..].rotate_right(1);
            self.earliest[place] = day;
        }
    }

    /// How many days.
    pub fn count(&self) -> u32 {
        self.bits.count_ones()
    }

    /// How many days before the one with that moment.
    pub fn before(&self, micros: i64) -> u32 {
        let end = day_of(micros);
        let known = self.earliest.partition_point(|day| *day < end);
        if known < EARLIEST {
            return u32::try_from(known).unwrap_or(u32::MAX);
        }
        let first = self.earliest[0];
        if end > self.last {
            return self.count();
        }
        if self.last - first >= 128 {
            // Of more days than there are bits, those before the end cannot be told from the others.
            return self.count().saturating_sub(1).max(EARLIEST as u32);
        }
        let earlier = (first..end).filter(|day| self.bits & bit(*day) != 0);
        u32::try_from(earlier.count()).unwrap_or(u32::MAX)
    }

    /// Adds another's days.
    pub fn join(&mut self, other: &Self) {
        self.bits |= other.bits;
        self.last = self.last.max(other.last);
        for day in other.earliest.into_iter().filter(|day| *day != NEVER) {
            self.note(day);
        }
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

/// The day of a moment in microseconds since 1970; there are fewer days than fit.
fn day_of(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(DAY_MICROS)).unwrap_or(NEVER)
}

fn bit(day: i32) -> u128 {
    1 << day.rem_euclid(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_years_the_earliest_days_are_known() {
        let mut days = Days::default();
        for day in [900, 3, 400, 401, 7, 640, 641, 642] {
            days.add(day * DAY_MICROS);
        }
        let before = |day| days.before(day * DAY_MICROS);
        assert_eq!(
            (before(3), before(4), before(400), before(402)),
            (0, 1, 2, 4)
        );
        assert!(before(700) >= 5);
        let mut other = Days::default();
        other.add(0);
        other.join(&days);
        assert_eq!(
            (other.before(DAY_MICROS), other.before(4 * DAY_MICROS)),
            (1, 2)
        );
    }

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

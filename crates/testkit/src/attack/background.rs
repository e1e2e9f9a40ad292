//! What happens every day in accounts that nobody attacks.
//!
//! Each part makes the events of one hour from the seed and the hour alone, so nothing is remembered
//! and any number of hours can be written.

use super::Options;
use super::calendar::HOUR_SECS;
use super::cast::Cast;
use super::event::Event;

pub mod ci;
mod errands;
mod fleet;
mod machines;
mod people;
mod services;
mod watcher;

pub use machines::identity as machine_identity;
pub use people::caller_at;

/// Everything that happens anyway.
#[derive(Debug)]
pub struct Background<'a> {
    seed: u64,
    cast: &'a Cast,
    /// How many events machines make in an hour.
    machine_rate: f64,
}

/// Of a hundred events that nobody's hands make, how many each part makes.
const SHARES: [(Part, u64); 5] = [
    (machines::hour, 40),
    (services::hour, 26),
    (watcher::hour, 20),
    (ci::hour, 10),
    (fleet::hour, 4),
];

/// Makes about so many events in an hour.
type Part = fn(&Hour<'_>, f64, &mut Vec<Event>);

/// An hour in which parts make events.
#[derive(Debug, Clone, Copy)]
pub struct Hour<'a> {
    seed: u64,
    cast: &'a Cast,
    /// In hours since 1970.
    number: i64,
}

impl Hour<'_> {
    /// The first second.
    fn start(&self) -> i64 {
        self.number * HOUR_SECS
    }
}

impl<'a> Background<'a> {
    /// Over a span in which machines make about as many events as the options ask for.
    pub fn new(seed: u64, cast: &'a Cast, options: &Options, span: (i64, i64)) -> Self {
        let hours = ((span.1 - span.0) / HOUR_SECS).max(1);
        Self {
            seed,
            cast,
            machine_rate: options.machine_events as f64 / hours as f64,
        }
    }

    /// Adds what happens in an hour; some of it may end in the next.
    pub fn hour(&self, number: i64, events: &mut Vec<Event>) {
        let hour = Hour {
            seed: self.seed,
            cast: self.cast,
            number,
        };
        people::hour(&hour, events);
        for (part, percent) in SHARES {
            part(&hour, self.machine_rate * percent as f64 / 100.0, events);
        }
    }
}

//! How many destinations a process reaches within a while, as cryptnono's flow killer counts them.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

/// So many processes are followed; those that connected longest ago make room.
const MAX_PROCESSES: usize = 16_384;
/// So many destinations of one process are remembered: more than any threshold.
const MAX_DESTINATIONS: usize = 100_000;

/// A process, by its pid and start.
pub type ProcessKey = (u32, u64);

/// Who connected where lately.
#[derive(Debug)]
pub struct Destinations {
    window_ns: u64,
    threshold: usize,
    processes: HashMap<ProcessKey, Process>,
    /// Processes that had to make room.
    pub evicted: u64,
}

#[derive(Debug, Default)]
struct Process {
    last_ns: u64,
    /// In the order of time; the same destination may stand there again, later.
    order: VecDeque<(u64, SocketAddr)>,
    latest: HashMap<SocketAddr, u64>,
}

impl Destinations {
    /// More than `threshold` within the window are too many; with 0 no number is.
    pub fn new(window_ns: u64, threshold: usize) -> Self {
        Self {
            window_ns,
            threshold,
            processes: HashMap::new(),
            evicted: 0,
        }
    }

    /// A process connects. Says how many destinations it has reached, where they are too many; then
    /// it begins anew.
    pub fn connect(&mut self, process: ProcessKey, to: SocketAddr, now_ns: u64) -> Option<usize> {
        if self.threshold == 0 {
            return None;
        }
        if !self.processes.contains_key(&process) && self.processes.len() >= MAX_PROCESSES {
            self.make_room();
        }
        let entry = self.processes.entry(process).or_default();
        entry.last_ns = now_ns;
        while let Some((time, destination)) = entry.order.front().copied() {
            let is_old = now_ns.saturating_sub(time) > self.window_ns;
            if !is_old && entry.order.len() < MAX_DESTINATIONS {
                break;
            }
            entry.order.pop_front();
            if entry.latest.get(&destination) == Some(&time) {
                entry.latest.remove(&destination);
            }
        }
        entry.order.push_back((now_ns, to));
        entry.latest.insert(to, now_ns);
        let count = entry.latest.len();
        if count <= self.threshold {
            return None;
        }
        self.processes.remove(&process);
        Some(count)
    }

    fn make_room(&mut self) {
        let mut times: Vec<u64> = self.processes.values().map(|one| one.last_ns).collect();
        let before = times.len();
        let (_, limit, _) = times.select_nth_unstable(before / 4);
        let limit = *limit;
        self.processes.retain(|_, one| one.last_ns > limit);
        self.evicted += (before - self.processes.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 443))
    }

    #[test]
    fn only_different_destinations_within_the_window_count() {
        let mut destinations = Destinations::new(10, 2);
        let mut connect = |number, now| destinations.connect((1, 1), to(number), now);
        assert_eq!(connect(1, 0), None);
        assert_eq!(connect(1, 1), None);
        assert_eq!(connect(2, 2), None);
        assert_eq!(connect(3, 20), None, "the others are long ago");
        assert_eq!(connect(4, 21), None);
        assert_eq!(connect(3, 22), None, "the same again");
        assert_eq!(connect(5, 23), Some(3));
    }

    #[test]
    fn processes_are_counted_apart_and_their_number_is_bounded() {
        let mut destinations = Destinations::new(1000, 1);
        for pid in 0..MAX_PROCESSES as u32 + 10 {
            assert_eq!(destinations.connect((pid, 1), to(1), pid.into()), None);
        }
        assert!(destinations.processes.len() <= MAX_PROCESSES);
        assert!(destinations.evicted > 0);
    }
}

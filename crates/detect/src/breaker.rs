//! The circuit breaker: how many victims a rule may have before it only observes.
//!
//! A bad rule (`python`, a string in every shell's prompt) must not empty a node, and a miner must not
//! be able to wear a good rule out. So what is counted is not kills but *victims*, the places that
//! kills happen to: a pod, a service, a user's login, a container. One tenant that starts a miner ten
//! thousand times is one victim, and stays one; see `docs/adr/0023-acts-and-breaker.md`.
//!
//! The kernel counts (`ceiling.h` in the guard's programs). [`Slots`] is what it does, in words that
//! can be tested by themselves, and a kernel test holds the two together; so does [`victim_of`] for
//! the paths of cgroups. What must stay true: within a window no more than `most` distinct victims are
//! admitted, and one that was admitted is never refused while its kills go on.
//!
//! Deliberately not here: a clock, and whether anything is killed.

mod tenants;

pub use tenants::{Tenant, Tenants};

/// The most victims that a ceiling can allow: how many slots the kernel keeps for each rule.
pub const MOST_VICTIMS: u32 = 128;

/// A detection's number for its ceiling: FNV-1a of its name, which is the same in each build, since
/// pinned maps outlive the agent.
pub fn digest(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |digest: u32, byte| {
        (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Levels of cgroups that are looked at. What is nested deeper is one victim altogether.
pub const MOST_LEVELS: usize = 64;

/// A pod's uid has 36 characters, or 32 where a static pod's is a digest.
const POD_UID_LEAST: usize = 32;
const CONTAINER_ID_LENGTH: usize = 64;

/// What a cgroup's name says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// It holds others and is nobody's.
    Organises,
    /// Nothing.
    Unnamed,
    /// It is somebody's: a pod, a service, a user's login, a container.
    Victim,
}

fn class_of(name: &str) -> Class {
    if is_pod(name) {
        return Class::Victim;
    }
    if name.ends_with(".slice") {
        let user = name
            .strip_prefix("user-")
            .and_then(|uid| uid.chars().next());
        return match user {
            Some(digit) if digit.is_ascii_digit() => Class::Victim,
            _ => Class::Organises,
        };
    }
    let has_id = name
        .split(|c: char| !is_hex(c))
        .any(|run| run.len() >= CONTAINER_ID_LENGTH);
    if has_id || name.ends_with(".scope") || name.ends_with(".service") {
        return Class::Victim;
    }
    match name {
        "burstable" | "besteffort" => Class::Organises,
        _ => Class::Unnamed,
    }
}

fn is_hex(c: char) -> bool {
    c.is_ascii_digit() || ('a'..='f').contains(&c)
}

/// `pod` at the start or behind a dash, and then a uid.
fn is_pod(name: &str) -> bool {
    name.match_indices("pod").any(|(at, pod)| {
        let starts = at == 0 || name[..at].ends_with('-');
        let rest = &name[at + pod.len()..];
        let uid = rest.find(|c| !(is_hex(c) || matches!(c, '-' | '_')));
        starts && uid.unwrap_or(rest.len()) >= POD_UID_LEAST
    })
}

/// The part of a cgroup's path that names the victim. `None` where it is nested so deeply that it
/// counts with all others that are.
///
/// Places are gone through from the outside, where only the machine's own programs name them. What
/// is inside of a place that is somebody's counts for nothing: that somebody may name it.
pub fn victim_of(path: &str) -> Option<&str> {
    let path = path.trim_end_matches('/');
    let mut unnamed = 0;
    let (mut levels, mut victim, mut first_unnamed) = (0, None, None);
    let mut at = 0;
    for name in path.split('/').skip(1) {
        at += 1 + name.len();
        levels += 1;
        if victim.is_some() {
            continue;
        }
        match class_of(name) {
            Class::Organises => {}
            Class::Victim => victim = Some(&path[..at]),
            Class::Unnamed => {
                unnamed += 1;
                first_unnamed.get_or_insert(&path[..at]);
                if unnamed == 2 {
                    victim = Some(&path[..at]);
                }
            }
        }
    }
    if levels >= MOST_LEVELS {
        return None;
    }
    victim.or(first_unnamed).or(Some(path))
}

/// What a ceiling answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The victim is counted already.
    Counted,
    /// It is counted from now on.
    Claimed,
    /// There is no room for it.
    Over,
}

/// The ceiling of one rule.
#[derive(Debug, Clone)]
pub struct Slots {
    most: usize,
    window_secs: u64,
    /// Victims, and when each was last killed.
    taken: Vec<(u64, u64)>,
}

impl Slots {
    /// Room for `most` victims in `window_secs`.
    pub fn new(most: u32, window_secs: u64) -> Self {
        Self {
            most: most.min(MOST_VICTIMS) as usize,
            window_secs,
            taken: Vec::new(),
        }
    }

    /// A victim is about to be killed. Time must not run backwards.
    pub fn claim(&mut self, victim: u64, now_secs: u64) -> Answer {
        let window = self.window_secs;
        self.taken
            .retain(|(_, last)| now_secs.saturating_sub(*last) < window);
        if let Some((_, last)) = self.taken.iter_mut().find(|(taken, _)| *taken == victim) {
            *last = now_secs;
            return Answer::Counted;
        }
        if self.taken.len() >= self.most {
            return Answer::Over;
        }
        self.taken.push((victim, now_secs));
        Answer::Claimed
    }

    /// A victim is not to be counted any more: it is another's successor.
    pub fn release(&mut self, victim: u64) {
        self.taken.retain(|(taken, _)| *taken != victim);
    }
}

#[cfg(test)]
mod tests;

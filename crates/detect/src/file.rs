//! What comes of a program's file: which detections the signs in it belong to, and what they weigh.
//!
//! What must stay true: a file of which not all was seen is never clean, unless what was seen is enough to
//! act on. Searching the file is not done here: the engine is the guard's.

use davylamp_content::detection::file::HeldIn;
use davylamp_content::detection::{Detection, FULL_SCORE, Response, Wire};

/// The names that container runtimes give to the copy of themselves from which they start a container
/// (runc: libcontainer/dmz and nsenter/cloned_binary.c; crun: src/libcrun/cloned_binary.c).
pub const RUNTIME_NAMES: &[&str] = &["runc_cloned:", "crun", "runc"];

/// How a program is there, as it is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held<'a> {
    /// Where its file is.
    pub held_in: HeldIn,
    /// Its name.
    pub named: &'a str,
    /// Whether the machine's own root starts it, outside any container.
    pub started_by_root_on_host: bool,
}

impl Held<'_> {
    /// Whether that is a sign: a runtime that the machine's root starts out of memory is not.
    pub fn is_fileless(&self) -> bool {
        let is_runtime = self.started_by_root_on_host
            && self.held_in == HeldIn::Memory
            && RUNTIME_NAMES
                .iter()
                .any(|name| self.named.starts_with(name));
        self.held_in != HeldIn::File && !is_runtime
    }
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What it shows.
    pub seen: Wire,
    /// The rule's name, or what else shows it.
    pub rule: String,
    /// What it is, in words.
    pub says: String,
}

/// What was found in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weighed {
    /// The detections with a sign each, and what they count; the one that weighs most is first.
    pub by: Vec<(String, u8, Sign)>,
    /// The sum, at most [`FULL_SCORE`].
    pub score: u8,
    /// Whether the program is to die.
    pub kills: bool,
}

/// Weighs signs by the detections that see them. Each detection counts once.
pub fn weigh<'a>(detections: impl IntoIterator<Item = &'a Detection>, signs: &[Sign]) -> Weighed {
    let mut by = Vec::new();
    let mut may_kill = false;
    for detection in detections {
        let sign = signs
            .iter()
            .find(|sign| detection.sees.contains(&sign.seen));
        if let Some(sign) = sign {
            may_kill |= detection.response == Response::Kill;
            by.push((detection.name.clone(), detection.score, sign.clone()));
        }
    }
    by.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let sum: u32 = by.iter().map(|(_, score, _)| u32::from(*score)).sum();
    let score = sum.min(u32::from(FULL_SCORE)) as u8;
    Weighed {
        kills: may_kill && score == FULL_SCORE,
        by,
        score,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davylamp_content::detection::shipped;

    fn sign(seen: Wire) -> Sign {
        Sign {
            seen,
            rule: "r".to_owned(),
            says: "s".to_owned(),
        }
    }

    fn weighed(signs: &[Wire]) -> Weighed {
        let shipped = shipped().expect("what ships is good");
        let signs: Vec<Sign> = signs.iter().map(|seen| sign(*seen)).collect();
        weigh(shipped.iter().map(|parsed| &parsed.detection), &signs)
    }

    #[test]
    fn a_miner_dies_and_weak_signs_do_not_kill_by_themselves() {
        assert!(weighed(&[Wire::MinerFile]).kills);
        let weak = weighed(&[Wire::PackedFile, Wire::FilelessProgram]);
        assert!(!weak.kills && weak.score == 70, "{weak:?}");
        assert_eq!(weak.by[0].0, "fileless-program");
        assert_eq!(weighed(&[]), Weighed::default());
        // Twice the same counts once.
        assert_eq!(weighed(&[Wire::PackedFile, Wire::PackedFile]).score, 30);
    }

    #[test]
    fn a_runtime_is_one_only_where_the_machines_root_starts_it() {
        let held = |held_in, named, root| Held {
            held_in,
            named,
            started_by_root_on_host: root,
        };
        assert!(!held(HeldIn::Memory, "runc_cloned:/proc/self/exe", true).is_fileless());
        assert!(held(HeldIn::Memory, "runc_cloned:/proc/self/exe", false).is_fileless());
        assert!(held(HeldIn::Memory, "x", true).is_fileless());
        assert!(held(HeldIn::Deleted, "runc", true).is_fileless());
        assert!(!held(HeldIn::File, "x", false).is_fileless());
    }
}

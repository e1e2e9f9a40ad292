//! How good a posture is: what passed, weighted by how bad it were if it failed.
//!
//! What nobody could say counts against it, and is shown apart, so that a better score is never had by
//! looking at less. What is lived with is neither good nor bad.

use davylamp_model::finding::Severity;
use davylamp_model::verdict::{Outcome, Verdict};

/// How many outcomes there are, and their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Score {
    pub passed: u64,
    pub failed: u64,
    pub unknown: u64,
    /// Failed or unknown, and lived with.
    pub accepted: u64,
    weight_passed: u64,
    weight_all: u64,
}

/// As the worst is worth ten of the mildest.
fn weight(severity: Severity) -> u64 {
    match severity {
        Severity::Low => 1,
        Severity::Medium => 3,
        Severity::High => 6,
        Severity::Critical => 10,
    }
}

impl Score {
    pub(super) fn count(&mut self, outcome: &Outcome, is_accepted: bool) {
        let weight = weight(outcome.severity);
        match outcome.verdict {
            Verdict::Pass => {
                self.passed += 1;
                self.weight_passed += weight;
            }
            _ if is_accepted => {
                self.accepted += 1;
                return;
            }
            Verdict::Fail => self.failed += 1,
            Verdict::Unknown => self.unknown += 1,
        }
        self.weight_all += weight;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.accepted += other.accepted;
        self.weight_passed += other.weight_passed;
        self.weight_all += other.weight_all;
    }

    /// Of 100, rounded down: 100 is said where all is well and never where it is almost so. `None` where
    /// nothing was looked at.
    pub(super) fn percent(&self) -> Option<u64> {
        (self.weight_passed * 100).checked_div(self.weight_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(outcomes: &[(Verdict, Severity, bool)]) -> Score {
        let mut score = Score::default();
        for (verdict, severity, is_accepted) in outcomes {
            let outcome = Outcome {
                check: String::new(),
                title: String::new(),
                verdict: *verdict,
                severity: *severity,
                resource: String::new(),
                why: String::new(),
                remedy: String::new(),
                saving_micro_usd_month: None,
            };
            score.count(&outcome, *is_accepted);
        }
        score
    }

    #[test]
    fn a_score_is_weighed_and_unknown_counts_against_it() {
        use Severity::{Critical, Low};
        use Verdict::{Fail, Pass, Unknown};
        for (outcomes, expected) in [
            (vec![], None),
            (vec![(Pass, Low, false)], Some(100)),
            (vec![(Pass, Low, false), (Unknown, Low, false)], Some(50)),
            (vec![(Pass, Critical, false), (Fail, Low, false)], Some(90)),
            (vec![(Pass, Low, false), (Fail, Critical, false)], Some(9)),
            (vec![(Pass, Low, false), (Fail, Critical, true)], Some(100)),
            (vec![(Fail, Critical, true)], None),
        ] {
            assert_eq!(score(&outcomes).percent(), expected, "{outcomes:?}");
        }
    }
}

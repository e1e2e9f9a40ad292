//! The automaton of the detections that ship, built with the program.
//!
//! To build it takes seconds and many megabytes, which no start of the guard and no `davy replay`
//! should pay for. What somebody changed is built when it is read.

use davylamp_content::{detection::Detection, indicators::Indicator};
use davylamp_detect::command::{Rules, RulesError, Table};

/// The words of the table, little-endian.
static SHIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shipped.table"));

/// The judge by these detections, which takes milliseconds where they are those that ship.
///
/// # Errors
/// Where the detections together need a larger automaton than there may be.
pub fn rules(detections: Vec<Detection>, indicators: &[Indicator]) -> Result<Rules, RulesError> {
    let (words, _) = SHIPPED.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    Rules::with_table(detections, indicators, Table::from_words(words))
}

#[cfg(test)]
mod tests {
    use davylamp_content::{detection::shipped, indicators::shipped_pools};

    use super::*;

    fn detections() -> Vec<Detection> {
        let all = shipped().expect("what ships is good");
        all.into_iter().map(|parsed| parsed.detection).collect()
    }

    #[test]
    fn what_was_built_with_the_program_is_what_would_be_built_now() {
        let pools = shipped_pools().expect("what ships is good");
        let ready = rules(detections(), &pools).expect("it fits");
        let built = Rules::new(detections(), &pools).expect("it fits");
        assert_eq!(ready.table().words(), built.table().words());
    }

    #[test]
    fn detections_that_somebody_changed_are_built_anew() {
        let mut fewer = detections();
        fewer.retain(|detection| detection.name != "wallet-address");
        let ready = rules(fewer.clone(), &[]).expect("it fits");
        let built = Rules::new(fewer, &[]).expect("it fits");
        assert_eq!(ready.table().words(), built.table().words());

        let mut softer = detections();
        for detection in &mut softer {
            detection.score /= 2;
        }
        let shipped = rules(detections(), &[]).expect("it fits");
        let ready = rules(softer, &[]).expect("it fits");
        assert_ne!(ready.table().generation(), shipped.table().generation());
    }
}

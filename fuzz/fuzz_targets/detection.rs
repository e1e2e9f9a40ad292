//! Any bytes are a detection or faults with their places; what is read without a fault can be put to use
//! or is told to be too large.

#![no_main]

use davylamp_content::{Source, detection};
use davylamp_detect::command::Rules;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = Source::from_bytes("any.toml", bytes).and_then(detection::parse);
    match read {
        Err(faults) => {
            assert!(!faults.faults().is_empty());
            assert!(faults.faults().iter().all(|fault| fault.line() >= 1));
        }
        Ok(parsed) => {
            if let Ok(rules) = Rules::new(vec![parsed.detection], &[]) {
                rules.judge_line(b"./x -o stratum+tcp://pool.example:3333");
            }
        }
    }
});

//! The corpora of `tests/data/commands` come out as they say, and their gaps are named.

#![allow(clippy::disallowed_methods, reason = "a test reads its data")]

mod corpus;

use davylamp_content::detection::{Action, shipped};
use davylamp_content::indicators::shipped_pools;
use davylamp_detect::command::Rules;

fn rules() -> Rules {
    let shipped = shipped().expect("what ships is good");
    let detections = shipped.into_iter().map(|parsed| parsed.detection);
    let pools = shipped_pools().expect("what ships is good");
    Rules::new(detections.collect(), &pools).expect("what ships fits")
}

fn check(kind: &str, at_least: usize) {
    let (rules, mut wrong, mut count) = (rules(), Vec::new(), 0);
    for class in corpus::classes(kind) {
        for line in &class.lines {
            count += 1;
            let found = line.judged(&rules);
            let action = found.as_ref().map_or(Action::Clean, |found| found.action);
            if action != line.gap.unwrap_or(line.wanted) {
                let by = found.iter().flat_map(|found| &found.signs);
                let by: Vec<&str> = by.map(|sign| sign.detection.name.as_str()).collect();
                let (name, number) = (&class.name, line.number);
                let text: String = line.text.chars().take(300).collect();
                wrong.push(format!("{name}:{number}: {action:?} {by:?}: {text}"));
            }
        }
    }
    assert!(count >= at_least, "only {count} lines were read");
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

#[test]
fn what_miners_do_to_hide_comes_out_as_it_says() {
    check("evasion", 1000);
}

#[test]
fn what_others_do_comes_out_as_it_says() {
    check("benign", 1000);
}

#[test]
fn each_capture_is_as_it_was_written_and_shows_what_it_must() {
    let folder = corpus::data().join("captures");
    for capture in corpus::captures::all() {
        let kept = std::fs::read(folder.join(capture.name)).unwrap_or_default();
        assert!(
            kept == capture.bytes,
            "{} differs: write it again with `make bench-detect`",
            capture.name
        );
        let (seen, _) = corpus::captures::seen(&kept);
        assert_eq!(seen, capture.sees, "{}", capture.name);
    }
}

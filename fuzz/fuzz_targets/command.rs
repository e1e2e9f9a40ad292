//! Any bytes are a line and the arguments of a process; what is judged is bounded, and what could not be
//! taken apart is never spared alone.

#![no_main]

use std::sync::LazyLock;

use davylamp_content::detection::{Action, shipped};
use davylamp_content::indicators::shipped_pools;
use davylamp_detect::command::Rules;
use davylamp_detect::judge::Subject;
use davylamp_detect::launch;
use libfuzzer_sys::fuzz_target;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let shipped = shipped().expect("what ships is good").into_iter();
    let pools = shipped_pools().expect("what ships is good");
    Rules::new(shipped.map(|parsed| parsed.detection).collect(), &pools).expect("what ships fits")
});

fuzz_target!(|bytes: &[u8]| {
    let launches = launch::of_line(bytes);
    assert!(launches.commands.len() <= 4096);
    for command in &launches.commands {
        assert!(
            command
                .within
                .is_none_or(|number| number < launches.commands.len())
        );
    }
    check(RULES.judge_line(bytes));
    // The first bytes say where the path and the environment end.
    let (cuts, text) = bytes.split_at(bytes.len().min(2));
    let cut = |at: usize| {
        cuts.get(at)
            .map_or(0, |cut| usize::from(*cut))
            .min(text.len())
    };
    let (path, rest) = text.split_at(cut(0));
    let (environment, arguments) = rest.split_at(cut(1).min(rest.len()));
    check(RULES.judge(&Subject {
        arguments,
        path,
        executable: path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
        environment,
    }));
});

fn check(found: Option<davylamp_detect::command::Finding<'_>>) {
    let Some(found) = found else { return };
    assert!(!found.signs.is_empty());
    assert!(found.action > Action::Clean);
    assert!(found.action < Action::Alert || found.score > 0);
}

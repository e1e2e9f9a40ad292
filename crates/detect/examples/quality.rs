//! `make bench-detect`: how much the detections find of the corpora in `tests/data`, how often they
//! are wrong, and how fast they judge.
//!
//! Speeds are told beside a named baseline in the same run: the `regex` crate over all words for
//! command lines, and the bare reading of packets for captures.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program of its own, not the crate"
)]

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use davylamp_content::detection::{Action, Detection, shipped};
use davylamp_content::indicators::shipped_pools;
use davylamp_detect::command::Rules;
use davylamp_detect::indicator::Indicators;
use davylamp_detect::wire::{self, capture};

use corpus::Class;

/// A run is repeated until it has taken this long.
const MIN_TIME: Duration = Duration::from_secs(2);

fn main() {
    let is_recorded = std::env::args().any(|argument| argument == "--record");
    let detections: Vec<Detection> = shipped()
        .expect("what ships is good")
        .into_iter()
        .map(|parsed| parsed.detection)
        .collect();
    let pools = shipped_pools().expect("what ships is good");
    let rules = Rules::new(detections.clone(), &pools).expect("what ships fits");
    let (evasion, benign) = (corpus::classes("evasion"), corpus::classes("benign"));
    let mut page = String::new();
    page.push_str(&of_evasion(&rules, &evasion));
    page.push_str(&of_benign(&rules, &benign));
    page.push_str(&of_captures());
    page.push_str(&speeds(&rules, &detections, &[&evasion, &benign]));
    print!("{page}");
    if is_recorded {
        let path = corpus::data().join("../../docs/benchmarks-detect.md");
        std::fs::write(&path, INTRODUCTION.to_owned() + &page).expect("the page can be written");
        println!("written: docs/benchmarks-detect.md");
    }
}

const INTRODUCTION: &str = "# What the detections find, and how fast

Made by `make bench-detect` from the corpora in [`tests/data`](../tests/data), which were written for this
project. They are what the detections were tuned to, so they show what is known to be found and what is
known not to be; other lines may come out worse. How a corpus is written is said in
[`crates/detect/tests/corpus`](../crates/detect/tests/corpus/mod.rs).

";

fn action_of(rules: &Rules, line: &corpus::Line) -> Action {
    line.judged(rules)
        .map_or(Action::Clean, |found| found.action)
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// What is found, by class: enough is the action that was wanted, or a stronger one.
fn of_evasion(rules: &Rules, classes: &[Class]) -> String {
    let mut page = String::from(
        "## Recall by class of evasion\n\nA line counts as *found* where it is told or killed, and as *as wanted* where what must come of it \
         does, or more.\n\n| class | what it is | lines | found | as wanted | recall |\n|---|---|---:|---:|---:|---:|\n",
    );
    let (mut lines, mut found, mut wanted) = (0, 0, 0);
    for class in classes {
        // What must come out clean is no evasion that the judge of command lines is asked about.
        let asked: Vec<&corpus::Line> = class
            .lines
            .iter()
            .filter(|line| line.wanted > Action::Spare)
            .collect();
        if asked.is_empty() {
            continue;
        }
        let actions: Vec<Action> = asked.iter().map(|line| action_of(rules, line)).collect();
        let told = actions
            .iter()
            .filter(|action| **action >= Action::Alert)
            .count();
        let right = asked
            .iter()
            .zip(&actions)
            .filter(|(line, action)| **action >= line.wanted)
            .count();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {told} | {right} | {} |",
            class.name,
            class.title.trim_end_matches('.'),
            asked.len(),
            percent(right, asked.len()),
        );
        (lines, found, wanted) = (lines + asked.len(), found + told, wanted + right);
    }
    let _ = writeln!(
        page,
        "| **all** | | {lines} | {found} | {wanted} | {} |",
        percent(wanted, lines)
    );
    page.push_str("\nNot as wanted:\n\n");
    let all = classes
        .iter()
        .flat_map(|class| class.lines.iter().map(move |line| (class, line)));
    for (class, line) in all.filter(|(_, line)| line.wanted > Action::Spare) {
        let action = action_of(rules, line);
        if action < line.wanted {
            let text: String = line.text.chars().take(120).collect();
            let text = text.split_once(' ').map_or("", |(_, command)| command);
            let _ = writeln!(
                page,
                "- {} (line {}): {} instead of {}: `` {text} ``",
                class.name,
                line.number,
                action.as_str(),
                line.wanted.as_str()
            );
        }
    }
    page
}

/// What is killed or told that should not be, by class.
fn of_benign(rules: &Rules, classes: &[Class]) -> String {
    let mut page = String::from(
        "\n## False positives by class of benign use\n\nA line counts as *spared* where a miner is named and the answer says that it is only named.\n\n\
         | class | what it is | lines | killed | told | spared |\n|---|---|---:|---:|---:|---:|\n",
    );
    let mut sums = [0; 4];
    let mut wrong = Vec::new();
    for class in classes {
        let mut counts = [0; 4];
        for line in &class.lines {
            let action = action_of(rules, line);
            let is_wrong = action >= Action::Alert && action > line.wanted;
            counts[0] += 1;
            counts[1] += usize::from(is_wrong && action == Action::Kill);
            counts[2] += usize::from(is_wrong && action == Action::Alert);
            counts[3] += usize::from(action == Action::Spare);
            if is_wrong {
                wrong.push(format!(
                    "- {} (line {}): `` {} ``",
                    class.name, line.number, line.text
                ));
            }
        }
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            class.name,
            class.title.trim_end_matches('.'),
            counts[0],
            counts[1],
            counts[2],
            counts[3]
        );
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let _ = writeln!(
        page,
        "| **all** | | {} | {} | {} | {} |",
        sums[0], sums[1], sums[2], sums[3]
    );
    if !wrong.is_empty() {
        let _ = writeln!(page, "\nKilled or told:\n\n{}", wrong.join("\n"));
    }
    page
}

fn of_captures() -> String {
    let mut page = String::from(
        "\n## Captures\n\n| file | what it holds | must be seen | seen |\n|---|---|---|---|\n",
    );
    let folder = corpus::data().join("captures");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for capture in corpus::captures::all() {
        // They are small, and made here alone.
        std::fs::write(folder.join(capture.name), &capture.bytes).expect("it can be written");
        let (seen, _) = corpus::captures::seen(&capture.bytes);
        let names = |seen: &[davylamp_content::detection::Wire]| {
            let names: Vec<&str> = seen.iter().map(|seen| seen.as_str()).collect();
            if names.is_empty() {
                "nothing".to_owned()
            } else {
                names.join(", ")
            }
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            capture.name,
            capture.title,
            names(capture.sees),
            names(&seen)
        );
    }
    page
}

/// How many times a second something is done that is done `count` times in each run.
fn rate(count: usize, mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < MIN_TIME {
        run();
        runs += 1;
    }
    (count * runs) as f64 / start.elapsed().as_secs_f64()
}

fn speeds(rules: &Rules, detections: &[Detection], classes: &[&[Class]]) -> String {
    let mut page = String::from(
        "\n## Speed\n\nOne thread. The ratio is to the baseline above it, in the same run.\n\n| what | each second | ratio |\n|---|---:|---:|\n",
    );
    let lines: Vec<&[u8]> = classes
        .iter()
        .flat_map(|classes| classes.iter())
        .flat_map(|class| class.lines.iter())
        .map(|line| line.command.as_slice())
        .collect();
    let words = detections.iter().flat_map(|detection| &detection.words);
    let words = words.flat_map(|words| {
        let literals = words
            .literals
            .iter()
            .map(|text| format!("(?i){}", regex::escape(text)));
        literals.chain(words.expressions.iter().cloned())
    });
    let set = regex::bytes::RegexSetBuilder::new(words)
        .unicode(false)
        .size_limit(64 << 20)
        .build()
        .expect("they are expressions");
    let baseline = rate(lines.len(), || {
        for line in &lines {
            black_box(set.matches(line).matched_any());
        }
    });
    let _ = writeln!(
        page,
        "| commands, `RegexSet` over every word (it takes nothing apart) | {baseline:.0} | 1.00 |"
    );
    let judged = rate(lines.len(), || {
        for line in &lines {
            black_box(rules.judge_line(line).is_some());
        }
    });
    let _ = writeln!(
        page,
        "| commands, judged | {judged:.0} | {:.2} |",
        judged / baseline
    );

    let pools = shipped_pools().expect("what ships is good");
    let indicators = Indicators::new(&pools);
    for (what, capture) in [
        ("many short connections", corpus::captures::many(20_000)),
        ("one bulk transfer", corpus::captures::transfer(8 << 20)),
    ] {
        let read = rate(capture.len(), || {
            black_box(packets(&capture));
        });
        let _ = writeln!(
            page,
            "| MB of {what}, packets read and dropped | {:.0} | 1.00 |",
            read / 1e6
        );
        let judged = rate(capture.len(), || {
            let tally = capture::read::<std::convert::Infallible>(
                capture::Form::Pcap,
                capture.as_slice(),
                wire::Judge::new(&indicators),
                &mut |sign| {
                    black_box(sign);
                    Ok(())
                },
            );
            black_box(tally.is_ok());
        });
        let _ = writeln!(
            page,
            "| MB of {what}, judged | {:.0} | {:.2} |",
            judged / 1e6,
            judged / read
        );
    }
    page
}

/// Reads every packet and does nothing with it.
fn packets(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut reader = pcap_file::pcap::PcapReader::new(bytes).expect("it is a capture");
    while let Some(Ok(packet)) = reader.next_raw_packet() {
        count += usize::from(!packet.data.is_empty());
    }
    count
}

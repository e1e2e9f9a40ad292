//! Many writers at once, and one that is killed in the middle.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use davylamp_ledger::query::{At, FindingFilter};
use davylamp_ledger::{Input, Ledger, Reported, Taken};

use crate::make::{Stores, at, block_on, of_instance, of_user, open, reported};

const FINDINGS: usize = 400;
const WRITERS: usize = 8;

fn storm() -> Vec<Reported> {
    (0..FINDINGS)
        .map(|n| {
            let secs = (n as i64 * 7919) % 1_000_000;
            let mut made = of_user(reported(&format!("s{n}"), secs), &format!("u{}", n % 23));
            if n % 3 == 0 {
                made = of_instance(made, &format!("i-{:08x}", n % 11));
            }
            if n % 4 == 0 {
                made.taken = Taken::Held;
            }
            made
        })
        .collect()
}

/// The same numbers in an order of its own for each writer; no randomness, so that a failure repeats.
fn shuffled(writer: usize) -> Vec<usize> {
    let step = [1, 3, 7, 9, 11, 13, 17, 19][writer % 8];
    (0..FINDINGS)
        .map(|n| (n * step + writer * 31) % FINDINGS)
        .collect()
}

async fn state(ledger: &Ledger) -> BTreeSet<BTreeSet<(String, bool)>> {
    let mut sets = std::collections::BTreeMap::<_, BTreeSet<_>>::new();
    let mut at = At::first(500);
    loop {
        let page = ledger
            .findings(&FindingFilter::default(), &at)
            .await
            .expect("a page");
        for row in page.items {
            let set = sets.entry(row.incident).or_default();
            assert!(set.insert((row.reference, row.incident.is_some())));
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return sets.into_values().collect(),
        }
    }
}

#[test]
fn eight_writers_do_what_one_does() {
    let stores = Stores::new();
    let storm = storm();
    let input = |n: &usize| Input::Finding(Box::new(storm[*n].clone()));
    let mut states = Vec::new();
    for url in stores.each() {
        block_on(async {
            // Two consoles on one database.
            let ledgers = [open(&url).await, open(&url).await];
            let mut tasks = Vec::new();
            for writer in 0..WRITERS {
                let ledger = ledgers[writer % 2].clone();
                let batches: Vec<Vec<Input>> = shuffled(writer)
                    .chunks(17 + writer)
                    .map(|chunk| chunk.iter().map(input).collect())
                    .collect();
                tasks.push(tokio::spawn(async move {
                    for batch in batches {
                        ledger.deliver(None, &batch, at(0)).await.expect("taken");
                    }
                }));
            }
            for task in tasks {
                task.await.expect("a writer");
            }
            stores.verified(&ledgers[0]).await;
            states.push(state(&ledgers[1]).await);
        });
    }
    block_on(async {
        let one = open(&stores.sqlite()).await;
        let all: Vec<Input> = (0..FINDINGS).map(|n| input(&n)).collect();
        one.deliver(None, &all, at(0)).await.expect("taken");
        states.push(state(&one).await);
    });
    assert_eq!(states[0], states[2]);
    assert_eq!(states[1], states[2]);
}

/// The variable that makes a test the child of another.
const CHILD: &str = "DAVYLAMP_LEDGER_CHILD";

/// Not a test by itself: writes until it is killed, and says on its output what was answered.
#[test]
#[expect(clippy::print_stderr, reason = "its parent reads it")]
fn child_that_is_killed() {
    let Ok(url) = std::env::var(CHILD) else {
        return;
    };
    let storm = storm();
    block_on(async {
        let ledger = open(&url).await;
        for (number, batch) in storm.chunks(10).enumerate() {
            let inputs: Vec<Input> = batch
                .iter()
                .map(|made| Input::Finding(Box::new(made.clone())))
                .collect();
            let key = format!("batch {number}");
            let receipt = ledger
                .deliver(Some(&key), &inputs, at(0))
                .await
                .expect("taken");
            eprintln!(
                "answered {number} {}",
                serde_json::to_string(&receipt).expect("JSON")
            );
        }
        eprintln!("answered all");
    });
}

#[test]
fn a_killed_writer_loses_nothing_that_was_answered() {
    use std::io::{BufRead as _, BufReader};
    let stores = Stores::new();
    let storm = storm();
    for url in stores.each() {
        // Killed at the moment of this many answers, and a little later each time.
        for (round, answers) in [0_usize, 1, 2, 5, 9, 14, 22, 30].into_iter().enumerate() {
            let mut child = Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "storms::child_that_is_killed", "--nocapture"])
                .env(CHILD, &url)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("a child");
            let mut lines = BufReader::new(child.stderr.take().expect("its output")).lines();
            let mut told = Vec::new();
            while told.len() < answers {
                let Some(Ok(line)) = lines.next() else {
                    break;
                };
                if line.starts_with("answered") {
                    told.push(line);
                }
            }
            // Somewhere inside the next batch: spinning, for a time that differs, is no wait for
            // anything.
            for _ in 0..round * 100_000 {
                std::hint::spin_loop();
            }
            child.kill().expect("killed");
            child.wait().expect("ended");
            told.extend(
                lines
                    .map_while(Result::ok)
                    .filter(|line| line.starts_with("answered")),
            );
            block_on(async {
                let ledger = open(&url).await;
                stores.verified(&ledger).await;
                for line in told.iter().filter(|line| *line != "answered all") {
                    let (number, receipt) = line["answered ".len()..]
                        .split_once(' ')
                        .expect("two parts");
                    let number: usize = number.parse().expect("a number");
                    let inputs: Vec<Input> = storm[number * 10..(number + 1) * 10]
                        .iter()
                        .map(|made| Input::Finding(Box::new(made.clone())))
                        .collect();
                    let again = ledger
                        .deliver(Some(&format!("batch {number}")), &inputs, at(0))
                        .await
                        .expect("taken");
                    assert_eq!(serde_json::to_string(&again).expect("JSON"), receipt);
                    let anew = ledger.deliver(None, &inputs, at(0)).await.expect("taken");
                    assert_eq!(anew.unchanged, 10, "what was answered is there, once");
                }
                ledger.close().await;
            });
        }
        block_on(async {
            let ledger = open(&url).await;
            let all: Vec<Input> = storm
                .iter()
                .map(|made| Input::Finding(Box::new(made.clone())))
                .collect();
            ledger.deliver(None, &all, at(0)).await.expect("taken");
            let count: usize = state(&ledger).await.iter().map(BTreeSet::len).sum();
            assert_eq!(count, FINDINGS);
            stores.verified(&ledger).await;
        });
    }
}

#[test]
fn many_open_a_new_ledger_at_once() {
    let stores = Stores::new();
    for round in 0..10 {
        for url in stores.each() {
            block_on(async {
                let tasks: Vec<_> = (0..8)
                    .map(|_| {
                        let url = url.clone();
                        tokio::spawn(
                            async move { open(&url).await.head().await.expect("a head").seq },
                        )
                    })
                    .collect();
                for task in tasks {
                    assert_eq!(task.await.expect("opened"), 0, "round {round}");
                }
            });
        }
    }
}

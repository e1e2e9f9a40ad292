//! A writer that is killed at any moment: what was there is there, and nothing is half.
//!
//! The writer is this very program, started once more and killed by the kernel at a moment that nobody
//! chose; beside that, what each step leaves behind is made by hand.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use davylamp_recorder::verify::verify;
use davylamp_recorder::{Store, Writer};
use serde_json::json;

use crate::support::{complete, record, story, thing};

/// The store that a child writes to.
const STORE: &str = "DAVYLAMP_TEST_RECORDER_STORE";
/// How often one is killed.
const KILLS: u32 = 30;
/// How many snapshots it has to say before it is killed.
const SAID: usize = 3;

/// Not a test by itself: what is killed. It writes until then, and says each snapshot once it is recorded.
#[test]
#[allow(clippy::print_stdout)]
fn a_child_that_writes() {
    let Some(root) = std::env::var_os(STORE) else {
        return;
    };
    let mut writer = Writer::open(Path::new(&root)).unwrap();
    loop {
        let number = writer.store().chain().last().map_or(0, |last| last.number);
        let things = (0..40).map(|id| thing(&format!("vol-{id}"), json!({"Size": number * id})));
        let link = record(&mut writer, vec![complete("volume", things.collect())]);
        println!("recorded {}", link.number);
    }
}

#[test]
fn a_writer_that_is_killed_loses_nothing_and_leaves_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stopped::a_child_that_writes", "--nocapture"])
            .env(STORE, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = before;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut recorded = lines
            .map_while(Result::ok)
            .filter_map(|line| line.split_once("recorded ")?.1.parse::<u64>().ok());
        for number in recorded.by_ref().take(SAID + kill as usize % 3) {
            said = number;
        }
        child.kill().unwrap();
        // What it still said before it died counts as well.
        said = recorded.last().unwrap_or(said);
        child.wait().unwrap();

        let store = Store::open(dir.path()).unwrap();
        let last = store.latest().unwrap().0.number;
        assert!(last >= said, "{said} were recorded, {last} are there");
        for number in before.max(1)..=last {
            let picture = store.picture(number).unwrap();
            assert_eq!(picture.count(), 40);
        }
        // The next writer ends what this one was stopped at.
        drop(Writer::open(dir.path()).unwrap());
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(verify(&store, None, |_| {}).unwrap().faults, []);
        assert!(store.latest().unwrap().0.number >= last);
        before = last;
    }
}

/// Whatever a writer leaves behind at each of its steps, the next goes on from it.
#[test]
fn each_step_may_be_the_last() {
    let whole = tempfile::tempdir().unwrap();
    story(whole.path());
    let chain = fs::read(whole.path().join("_recorder/chain.jsonl")).unwrap();
    let ends: Vec<usize> = (0..chain.len()).filter(|at| chain[*at] == b'\n').collect();
    let store = Store::open(whole.path()).unwrap();
    let last = store.latest().unwrap().1.segment.clone() + ".jsonl.zst";
    let segment = fs::read(whole.path().join("segments").join(&last)).unwrap();

    // A segment of which a part was written aside, at every length; then with a part of its line.
    let lengths = (0..=segment.len()).map(|length| (length, ends[1] + 1));
    let lines = (ends[1] + 1..=chain.len()).map(|length| (segment.len(), length));
    for (segment_length, chain_length) in lengths.chain(lines) {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        fs::remove_file(dir.path().join("segments").join(&last)).unwrap();
        let aside = dir.path().join("_recorder/pending").join(&last);
        fs::write(&aside, &segment[..segment_length]).unwrap();
        fs::write(
            dir.path().join("_recorder/chain.jsonl"),
            &chain[..chain_length],
        )
        .unwrap();

        let is_recorded = chain_length == chain.len();
        let number = if is_recorded { 3 } else { 2 };
        // Whoever only reads meanwhile is told of whole snapshots as well.
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.latest().unwrap().0.number, number);
        store.picture(number).unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        assert!(!aside.exists());
        record(&mut writer, vec![complete("volume", Vec::new())]);
        let found = verify(writer.store(), None, |_| {}).unwrap();
        assert_eq!((found.faults, found.segments), (Vec::new(), number + 1));
    }
}

fn copy(from: &Path, to: &Path) {
    for folder in ["segments", "_recorder", "_recorder/pending"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, to.join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
}

//! Every altered byte shows, and so does whatever is taken away or added.

use std::fs;
use std::path::{Path, PathBuf};

use davylamp_recorder::verify::{Verification, verify};
use davylamp_recorder::{Store, StoreError, Writer};

use crate::support::story;

fn check(root: &Path) -> Verification {
    verify(&Store::open(root).unwrap(), None, |_| {}).unwrap()
}

fn chain(root: &Path) -> PathBuf {
    root.join("_recorder/chain.jsonl")
}

fn segments(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("segments")).unwrap();
    let mut all: Vec<PathBuf> = entries.map(|it| it.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn every_byte_of_the_chain_counts() {
    let dir = tempfile::tempdir().unwrap();
    story(dir.path());
    assert_eq!(check(dir.path()).faults, []);
    let path = chain(dir.path());
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= change;
            fs::write(&path, &altered).unwrap();
            assert_ne!(check(dir.path()).faults, [], "byte {at} ^ {change:#x}");
        }
        let mut shorter = bytes.clone();
        shorter.remove(at);
        fs::write(&path, &shorter).unwrap();
        assert_ne!(check(dir.path()).faults, [], "without byte {at}");
    }
}

#[test]
fn every_byte_of_a_segment_counts() {
    let dir = tempfile::tempdir().unwrap();
    story(dir.path());
    for path in segments(dir.path()) {
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x01;
            fs::write(&path, &altered).unwrap();
            assert_ne!(check(dir.path()).faults, [], "byte {at}");
        }
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_ne!(check(dir.path()).faults, []);
        fs::remove_file(&path).unwrap();
        assert_ne!(check(dir.path()).faults, []);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(check(dir.path()).faults, []);
    }
}

#[test]
fn lines_that_were_cut_off_leave_their_segments_and_a_head_tells_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    story(dir.path());
    let head = check(dir.path()).head.unwrap();
    let path = chain(dir.path());
    let text = fs::read_to_string(&path).unwrap();
    let shorter: String = text.split_inclusive('\n').take(2).collect();
    fs::write(&path, &shorter).unwrap();
    let found = check(dir.path());
    assert_eq!(found.faults.len(), 1);
    assert!(found.faults[0].at.starts_with("segments/"), "{found:?}");
    // Whoever takes the segment away as well is told by the head that was kept elsewhere.
    fs::remove_file(dir.path().join(&found.faults[0].at)).unwrap();
    assert_eq!(check(dir.path()).faults, []);
    let store = Store::open(dir.path()).unwrap();
    assert_ne!(verify(&store, Some(&head), |_| {}).unwrap().faults, []);
}

#[test]
fn nothing_is_added_to_a_chain_that_was_altered() {
    let dir = tempfile::tempdir().unwrap();
    story(dir.path());
    let path = chain(dir.path());
    let altered = fs::read_to_string(&path)
        .unwrap()
        .replacen("\"things\":2", "\"things\":3", 1);
    fs::write(&path, altered).unwrap();
    assert!(matches!(
        Writer::open(dir.path()),
        Err(StoreError::Broken { line: 1, .. })
    ));
}

#[test]
fn a_second_writer_is_refused_while_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let writer = story(dir.path());
    assert!(matches!(Writer::open(dir.path()), Err(StoreError::Busy(_))));
    drop(writer);
    Writer::open(dir.path()).unwrap();
}

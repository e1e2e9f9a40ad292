//! The generator of attacks: the same for a seed, of AWS's form, and true to itself.

mod config;
mod forms;
mod memory;
mod snapshots;
mod truth;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use davylamp_testkit::attack::{Options, Scenario, Story, Truth};
use serde_json::Value;

/// A story that was written, and read back.
pub struct Told {
    /// Where it was written.
    pub dir: tempfile::TempDir,
    /// What really happened.
    pub truth: Truth,
    /// Records by id; those delivered twice once.
    pub records: BTreeMap<String, Value>,
    /// Deliveries.
    pub deliveries: usize,
}

/// A small story: few machines, few days.
pub fn small(scenario: Scenario) -> Options {
    Options {
        scenario: Some(scenario),
        users: 5,
        history_days: 3,
        attack_days: 3,
        machine_events: 600,
        ..Options::default()
    }
}

/// Writes a story and reads it.
pub fn tell(seed: u64, options: &Options) -> Told {
    let dir = tempfile::tempdir().expect("a folder");
    let truth = Story::new(seed, options)
        .write(dir.path())
        .expect("the story is written");
    let mut told = Told {
        records: BTreeMap::new(),
        deliveries: 0,
        truth,
        dir,
    };
    for file in files(told.dir.path()) {
        if !file.to_string_lossy().contains("/CloudTrail/") {
            continue;
        }
        let text: Value = serde_json::from_str(&text(&file)).expect("a file of JSON");
        for record in text["Records"].as_array().expect("Records") {
            let id = record["eventID"].as_str().expect("an eventID").to_owned();
            let known = told.records.insert(id, record.clone());
            assert!(
                known.is_none_or(|known| known == *record),
                "a delivery differs"
            );
            told.deliveries += 1;
        }
    }
    told
}

/// Every file below a folder, in order.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut left = vec![dir.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text of a file, of all members of its gzip.
pub fn text(file: &Path) -> String {
    let packed = std::fs::read(file).expect("a file");
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&*packed)
        .read_to_string(&mut text)
        .expect("gzip");
    text
}

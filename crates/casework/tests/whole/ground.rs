//! A story whose log files a trail has delivered with digests, what is done to it, and its case.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use davylamp_casework::case::{Asked, Case, Evidence};
use davylamp_casework::integrity::{self, Checked, PublicKey, Watch, verify};
use davylamp_casework::investigate::{Means, investigate};
use davylamp_content::prices::book::Book;
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::Location;
use davylamp_testkit::attack::{Options, Scenario, Story};
use davylamp_testkit::cloudtrail_digest::{Delivery, Object, Trail, gzip, public_keys, write};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use tempfile::TempDir;

/// The digests' hours: so many log files each.
const IN_AN_HOUR: usize = 24;

/// The log files of a story, with the digests that list them.
pub fn delivered(scenario: Scenario) -> Vec<Object> {
    static ATTACK: OnceLock<Vec<Object>> = OnceLock::new();
    match scenario {
        Scenario::StolenAdminKey => ATTACK.get_or_init(|| deliver(scenario)).clone(),
        other => deliver(other),
    }
}

fn deliver(scenario: Scenario) -> Vec<Object> {
    let dir = TempDir::new().expect("a folder");
    let options = Options {
        scenario: Some(scenario),
        users: 5,
        roles: 11,
        history_days: 6,
        attack_days: 3,
        machine_events: 500,
        has_beside: false,
        flow: false,
        dns: false,
        guardduty: false,
        ..Options::default()
    };
    let story = Story::new(3, &options);
    story.write(dir.path()).expect("the story can be written");
    let mut files = Vec::new();
    below(&dir.path().join("AWSLogs"), &mut files);
    files.retain(|path| path.components().any(|it| it.as_os_str() == "CloudTrail"));
    files.sort();
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().expect("a moment");
    let mut delivery = Delivery::new(Trail::of("111122223333", "us-east-1"), start);
    for hour in files.chunks(IN_AN_HOUR) {
        let texts: Vec<String> = hour.iter().map(|path| text(path)).collect();
        delivery.hour(&texts);
    }
    delivery.objects
}

fn below(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => below(&path, files),
            false => files.push(path),
        }
    }
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    let bytes = std::fs::read(path).expect("a file");
    let mut unpacked = MultiGzDecoder::new(&*bytes);
    unpacked.read_to_string(&mut text).expect("it is text");
    text
}

/// The same log file with another content, that says the same.
pub fn altered(object: &Object) -> Object {
    let mut text = Vec::new();
    let mut unpacked = MultiGzDecoder::new(&*object.body);
    unpacked.read_to_end(&mut text).expect("it is gzip");
    text.push(b'\n');
    Object {
        body: gzip(&text),
        ..object.clone()
    }
}

/// Objects in a folder.
pub struct Ground(TempDir);

impl Ground {
    pub fn of(objects: &[Object]) -> Self {
        let dir = TempDir::new().expect("a folder");
        write(objects, dir.path(), true).expect("there is room");
        Self(dir)
    }

    /// Puts an object in the place of the one that is there.
    pub fn put(&self, object: &Object) {
        write(std::slice::from_ref(object), self.0.path(), true).expect("there is room");
    }

    fn place(&self) -> Location {
        let path = self.0.path().to_string_lossy();
        path.parse().expect("a path is a place")
    }

    /// The path of an object.
    pub fn path(&self, key: &str) -> String {
        self.0.path().join(key).to_string_lossy().into_owned()
    }

    /// The case of the logs, which says nothing of their integrity yet.
    pub async fn case(&self) -> Case {
        let setup = Setup {
            locations: vec![self.place()],
            ..Setup::default()
        };
        let engine = Engine::open(setup).await.expect("the logs can be listed");
        let run = Arc::default();
        let means = Means {
            run: &run,
            prices: &Book::of_shipped(),
            now: Timestamp::UNIX_EPOCH,
        };
        let case = investigate(&engine, Asked::default(), &[], &means).await;
        case.expect("the logs can be read")
    }

    /// What a check of them comes to.
    pub async fn checked(&self, has_keys: bool) -> Checked {
        let keys = PublicKey::listed(public_keys().to_string().as_bytes()).expect("keys");
        let asked = integrity::Asked {
            locations: vec![self.place()],
            keys: if has_keys { keys } else { Vec::new() },
            ..integrity::Asked::default()
        };
        let checked = verify(asked, Arc::new(Watch::default()), Box::new(|_| ())).await;
        checked.expect("they can be listed")
    }

    /// The case, which says what the check came to.
    pub async fn told(&self, has_keys: bool) -> Case {
        let mut case = self.case().await;
        integrity::tell(&mut case, &self.checked(has_keys).await);
        case
    }
}

/// The records of a case that are of CloudTrail, by the file they were read from.
pub fn by_file(case: &Case) -> BTreeMap<&str, Vec<&Evidence>> {
    let mut files: BTreeMap<&str, Vec<&Evidence>> = BTreeMap::new();
    for record in case.evidence.iter().filter(|it| it.table == "cloudtrail") {
        let file = record.source.rsplit_once(':').expect("a place").0;
        files.entry(file).or_default().push(record);
    }
    files
}

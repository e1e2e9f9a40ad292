//! Findings, and ledgers to put them into.

use davylamp_ledger::{Ledger, Options, Reported, Reporter, Taken};
use davylamp_model::finding::{Behaviour, Finding, FindingSource, Observed, Severity};
use davylamp_model::ids::{FindingId, HubUser, InstanceId, Namespace, PodName};
use davylamp_model::resource::Resource;
use davylamp_testkit::postgres::Postgres;
use jiff::Timestamp;
use tempfile::TempDir;

pub const NOW_SECS: i64 = 1_790_000_000;

pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(NOW_SECS + secs).expect("a time")
}

pub fn reported(id: &str, secs: i64) -> Reported {
    Reported {
        finding: Finding {
            id: FindingId::from(id),
            source: FindingSource::Davylamp,
            kind: "Davylamp:Guard/banned-command".to_owned(),
            behaviour: Behaviour::Mining,
            title: format!("Killed process number {id}"),
            severity: Severity::High,
            place: None,
            resources: Vec::new(),
            first_seen: Some(at(secs)),
            last_seen: Some(at(secs)),
            count: 1,
            sample: false,
            archived: false,
            detector: None,
            observed: vec![Observed {
                what: "command-line".to_owned(),
                value: format!("/tmp/.cache/program{id} --pool pool.example:3333"),
            }],
            gaps: Vec::new(),
        },
        reporter: Reporter {
            cluster: "hub-a".to_owned(),
            node: "node-1".to_owned(),
            agent: "guard".to_owned(),
        },
        taken: Taken::Killed,
        line: Some(format!("{{\"id\":\"{id}\"}}")),
    }
}

pub fn of_user(mut reported: Reported, user: &str) -> Reported {
    reported.finding.resources.push(Resource::HubUser {
        user: HubUser::from(user),
        pod: Some((Namespace::from("hub"), PodName(format!("jupyter-{user}")))),
    });
    reported
}

pub fn of_instance(mut reported: Reported, id: &str) -> Reported {
    reported.finding.resources.push(Resource::Instance {
        id: InstanceId::from(id),
    });
    reported
}

/// Databases to test on, for as long as the value lives.
pub struct Stores {
    pub folder: TempDir,
    postgres: Postgres,
    files: std::cell::Cell<u32>,
}

impl Stores {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            postgres: Postgres::start(),
            files: std::cell::Cell::new(0),
        }
    }

    pub fn sqlite(&self) -> String {
        self.files.set(self.files.get() + 1);
        let name = format!("ledger{}.sqlite", self.files.get());
        format!("sqlite://{}", self.folder.path().join(name).display())
    }

    pub fn postgres(&self) -> String {
        self.postgres.database()
    }

    /// The address of an empty database of each kind.
    pub fn each(&self) -> [String; 2] {
        [self.sqlite(), self.postgres()]
    }

    pub async fn verified(&self, ledger: &Ledger) {
        let found = ledger
            .verify(None, self.folder.path())
            .await
            .expect("a verification");
        assert_eq!(found.fault, None);
    }
}

pub async fn open(url: &str) -> Ledger {
    Ledger::open(url, &Options::default())
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Runs something on a runtime with several threads.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

//! What a test stands on: an account behind a proxy, a store, and running the command on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use davylamp_testkit::faults::{FaultProxy, Schedule};
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::Value;
use tempfile::TempDir;

pub const REGION: &str = "eu-central-1";
/// A run that lasts longer has hung.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Ground {
    pub account: MotoAccount,
    pub proxy: FaultProxy,
    pub dir: TempDir,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            let said = self.out.contains(part) || self.err.contains(part);
            assert!(said, "no {part:?} in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The lines of JSON that were printed.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let each = self.out.lines().map(serde_json::from_str);
        each.collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl Ground {
    pub fn new() -> Self {
        let moto = Moto::shared();
        Self {
            account: moto.account(),
            proxy: FaultProxy::start(&moto.endpoint(), Schedule::clean()),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// The command, on this account and store.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
        command
            .env_clear()
            .envs(
                self.account
                    .clone()
                    .through(self.proxy.endpoint())
                    .env(REGION),
            )
            .env("DAVY_RECORD__STORE", self.store())
            .current_dir(self.dir.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn record(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["record"];
        all.extend(arguments);
        ran(self.command(&all))
    }

    /// A snapshot of one region.
    pub fn snapshot(&self) -> Ran {
        self.record(&["run", "--once", "--region", REGION])
    }

    pub fn ec2(&self, action: &str, more: &[(&str, &str)]) -> String {
        let mut form = vec![("Action", action), ("Version", "2016-11-15")];
        form.extend(more);
        self.account.query(REGION, "ec2", &form).unwrap()
    }

    pub fn iam(&self, action: &str, more: &[(&str, &str)]) -> String {
        let mut form = vec![("Action", action), ("Version", "2010-05-08")];
        form.extend(more);
        self.account.query("us-east-1", "iam", &form).unwrap()
    }

    pub fn run_instance(&self) -> String {
        let answer = self.ec2(
            "RunInstances",
            &[
                ("ImageId", "ami-12c6146b"),
                ("InstanceType", "c5.24xlarge"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
            ],
        );
        between(&answer, "instanceId")
    }
}

/// Runs a command to its end.
pub fn ran(mut command: Command) -> Ran {
    let child = command.spawn().unwrap();
    let pid = child.id();
    let (done, waited) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waited.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            // Not reaped yet, so the id is still its own.
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    watch.join().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come to be: {what}");
        std::thread::yield_now();
    }
}

pub fn between(xml: &str, name: &str) -> String {
    let (_, rest) = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("{name}: {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

/// The segments of a store.
pub fn segments(store: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(store.join("segments")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

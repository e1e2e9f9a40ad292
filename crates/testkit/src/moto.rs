//! moto, the AWS test server, for tests of everything that talks to AWS.
//!
//! [`Moto::shared`] is one server for all test processes of a user, because one takes seconds to
//! start; tests stay apart by each taking a [`MotoAccount`] of its own. [`Moto::own`] is for what
//! is global to a server, such as its IAM enforcement.
//!
//! What must stay true: a server listens on the loopback address only and ends by itself, a shared
//! one when nobody has asked for anything for a while, an own one with its process; a changed runner
//! or another version of moto is never served by a server that ran before the change.
//!
//! Nothing here signs: moto does not look at signatures, only at the access key and at the scope of
//! the `Authorization` header.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

mod account;

pub use account::MotoAccount;

use crate::http;

/// What runs the server.
const RUNNER: &str = include_str!("../python/serve_moto.py");
/// What it needs; the installed directory's stamp begins with this text's digest.
const REQUIREMENTS: &str = include_str!("../python/requirements.txt");
/// A shared server ends after this many seconds without a request: longer than any test computes
/// between two calls, shorter than anybody would notice it running on.
const IDLE_SECS: u32 = 120;
/// A server ends after this many seconds in any case.
const LIFE_SECS: u32 = 7200;
/// A server older than this gets no new tests: what accounts leave behind makes moto slow.
const RETIRED_SECS: u64 = 3600;
/// How long a server may take to serve, on a machine where others compile.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// How often a condition is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(25);
/// How much of a failed server's log goes into the error.
const LOG_TAIL_CHARS: usize = 2000;

/// Why there is no test server, or why it did not do what a test prepared.
#[derive(Debug, thiserror::Error)]
pub enum MotoError {
    /// What it is installed in is not there.
    #[error("there is no {path}: run `scripts/setup test` (`make test` does)")]
    NotInstalled {
        /// Where it should be.
        path: PathBuf,
    },
    /// What is installed is not what this source asks for.
    #[error(
        "{path} was made for other versions than this source asks for: run `scripts/setup test`"
    )]
    Outdated {
        /// Its stamp.
        path: PathBuf,
    },
    /// It did not come to serve.
    #[error("moto did not serve within {} s; its log ends: {log}", START_DEADLINE.as_secs())]
    NotServing {
        /// The end of its log.
        log: String,
    },
    /// A file or process could not be handled.
    #[error("could not {what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It answered something that was not asked for.
    #[error("moto answered {status} to {call}: {body}")]
    Answered {
        /// The call.
        call: String,
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
}

/// A running moto server.
#[derive(Debug, Clone)]
pub struct Moto {
    port: u16,
    /// Ends an own server when the last clone is dropped.
    _own: Option<Arc<Own>>,
}

impl Moto {
    /// The server that all test processes of this user share, started if it is not running.
    ///
    /// # Panics
    /// Where it cannot be started: a test that needs AWS cannot pass without.
    pub fn shared() -> Self {
        Self::try_shared().unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// As [`Moto::shared`], with the error as a value.
    pub fn try_shared() -> Result<Self, MotoError> {
        let installed = Installed::find()?;
        let dir = installed
            .cache
            .join(format!("run-{}", rustix::process::geteuid().as_raw()));
        fs::create_dir_all(&dir).map_err(|source| failed("make a directory", source))?;
        let name = format!("moto-{}", installed.version());
        let state = dir.join(format!("{name}.json"));
        let lock = dir.join(format!("{name}.lock"));
        // Held while looking and starting: of many test processes one starts the server, and a
        // server that wants to end for idleness waits until nobody is looking.
        let held = File::create(&lock).map_err(|source| failed("open the lock file", source))?;
        held.lock()
            .map_err(|source| failed("take the lock", source))?;
        if let Some((port, health)) = State::read(&state).and_then(|state| state.health())
            && health.age_secs < RETIRED_SECS
        {
            return Ok(Self { port, _own: None });
        }
        // A stale file must not be taken for the new server's.
        remove(&state)?;
        let log = dir.join(format!("{name}.log"));
        let mut child = installed.spawn(&state, &lock, &log, None, &[])?;
        let port = wait_until_serving(&state, &log, &mut child)?;
        Ok(Self { port, _own: None })
    }

    /// A server that no other test uses. It ends with this value.
    ///
    /// # Panics
    /// As [`Moto::shared`].
    pub fn own() -> Self {
        Self::own_with(&[])
    }

    /// As [`Moto::own`], with variables in the server's environment, such as
    /// `INITIAL_NO_AUTH_ACTION_COUNT` for IAM enforcement.
    ///
    /// # Panics
    /// As [`Moto::shared`].
    pub fn own_with(environment: &[(&str, &str)]) -> Self {
        Self::try_own(environment).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    fn try_own(environment: &[(&str, &str)]) -> Result<Self, MotoError> {
        let installed = Installed::find()?;
        let dir = tempfile::Builder::new()
            .prefix("davylamp-moto-")
            .tempdir()
            .map_err(|source| failed("make a directory", source))?;
        let state = dir.path().join("state.json");
        let log = dir.path().join("log");
        let child = installed.spawn(
            &state,
            &dir.path().join("lock"),
            &log,
            Some(std::process::id()),
            environment,
        )?;
        // From here on, dropping ends it.
        let mut own = Own { child, _dir: dir };
        let port = wait_until_serving(&state, &log, &mut own.child)?;
        Ok(Self {
            port,
            _own: Some(Arc::new(own)),
        })
    }

    /// The process of a server started by [`Moto::own`].
    pub fn pid(&self) -> Option<u32> {
        self._own.as_ref().map(|own| own.child.id())
    }

    /// Where it serves, as the SDKs take it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it serves: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// An account that no other test has, with credentials that act in it.
    ///
    /// # Panics
    /// Where the server does not answer.
    pub fn account(&self) -> MotoAccount {
        self.account_with_id(&account::random_id())
    }

    /// The account with this id: twelve digits. For tests with several accounts whose ids matter.
    ///
    /// # Panics
    /// Where the server does not answer.
    pub fn account_with_id(&self, id: &str) -> MotoAccount {
        MotoAccount::assume(self, id).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }
}

/// A server that ends with its owner.
#[derive(Debug)]
struct Own {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Own {
    fn drop(&mut self) {
        // It keeps nothing that would have to be put away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `scripts/setup test` made.
struct Installed {
    cache: PathBuf,
    python: PathBuf,
    stamp: String,
}

impl Installed {
    fn find() -> Result<Self, MotoError> {
        let cache = cache_dir();
        let python = cache.join("python/bin/python");
        if !python.exists() {
            return Err(MotoError::NotInstalled { path: python });
        }
        let path = cache.join("python/stamp");
        let stamp = fs::read_to_string(&path).unwrap_or_default();
        let wanted = hex::encode(Sha256::digest(REQUIREMENTS));
        if stamp.split_whitespace().next() != Some(&wanted) {
            return Err(MotoError::Outdated { path });
        }
        Ok(Self {
            cache,
            python,
            stamp,
        })
    }

    /// Differs whenever a server that runs already would not do.
    fn version(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(RUNNER);
        digest.update(&self.stamp);
        hex::encode(digest.finalize())[..12].to_owned()
    }

    fn spawn(
        &self,
        state: &Path,
        lock: &Path,
        log: &Path,
        parent: Option<u32>,
        environment: &[(&str, &str)],
    ) -> Result<Child, MotoError> {
        let out = File::create(log).map_err(|source| failed("open the server's log", source))?;
        let err = out
            .try_clone()
            .map_err(|source| failed("open the server's log", source))?;
        let idle_secs = if parent.is_some() {
            LIFE_SECS
        } else {
            IDLE_SECS
        };
        Command::new(&self.python)
            .args(["-c", RUNNER])
            .args([state, lock])
            .args([idle_secs, LIFE_SECS, parent.unwrap_or(0)].map(|number| number.to_string()))
            // Thousands of machine images that no test asks for, seconds for each account.
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("MOTO_ACCOUNT_ID")
            .envs(environment.iter().copied())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // A test runner ends a test's process group; the shared server serves the next test.
            .process_group(0)
            .spawn()
            .map_err(|source| failed("start the server", source))
    }
}

/// Where `scripts/setup test` puts what the tests run: `DAVYLAMP_CACHE`, or `.cache/davylamp` in the
/// home directory.
pub fn cache_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("DAVYLAMP_CACHE").filter(|dir| !dir.is_empty()) {
        return dir.into();
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    home.join(".cache/davylamp")
}

/// What a server wrote when it began to serve.
#[derive(Deserialize)]
struct State {
    port: u16,
    token: String,
}

/// What a server says about itself.
#[derive(Deserialize)]
struct Health {
    token: String,
    age_secs: u64,
}

impl State {
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// The server's port and health, if the one that wrote this file is serving.
    fn health(&self) -> Option<(u16, Health)> {
        let answer = http::send(
            &format!("127.0.0.1:{}", self.port),
            &http::Request::get("/davylamp/health"),
        )
        .ok()?;
        let health: Health = serde_json::from_slice(&answer.body).ok()?;
        (health.token == self.token).then_some((self.port, health))
    }
}

fn wait_until_serving(state: &Path, log: &Path, child: &mut Child) -> Result<u16, MotoError> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        if let Some((port, _)) = State::read(state).and_then(|state| state.health()) {
            return Ok(port);
        }
        let has_ended = child
            .try_wait()
            .map_err(|source| failed("look after the server", source))?
            .is_some();
        if has_ended || Instant::now() > deadline {
            let _ = child.kill();
            let text = fs::read_to_string(log).unwrap_or_default();
            let skip = text.chars().count().saturating_sub(LOG_TAIL_CHARS);
            return Err(MotoError::NotServing {
                log: text.chars().skip(skip).collect(),
            });
        }
        std::thread::park_timeout(GLANCE);
    }
}

fn remove(path: &Path) -> Result<(), MotoError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove a stale file", error))
        }
        _ => Ok(()),
    }
}

fn failed(what: &str, source: io::Error) -> MotoError {
    MotoError::Io {
        what: what.to_owned(),
        source,
    }
}

/// An error with its sources, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;

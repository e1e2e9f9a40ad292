//! PostgreSQL, for tests of everything that stores in it: a cluster in a temporary folder.
//!
//! What must stay true: it listens on a socket in that folder alone, runs as a user without rights, and
//! ends with the value, or with the thread that started it.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where Debian and Ubuntu keep a release's programs.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// The user that it runs as where the tests run as root, which it refuses: `nobody`.
const NOBODY: u32 = 65534;
/// How long it may take to serve, on a machine where others compile.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(20);
/// Its superuser.
const USER: &str = "davylamp";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// It is not installed.
    #[error("there is no PostgreSQL in {PROGRAMS}: run `scripts/setup test` (`make test` does)")]
    NotInstalled,
    /// A program of it failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// A file or process could not be handled.
    #[error("could not {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    server: Child,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server.
    ///
    /// # Panics
    /// Where it cannot be started: a test that needs it cannot pass without.
    pub fn start() -> Self {
        Self::try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Postgres::start`], with the error as a value.
    pub fn try_start() -> Result<Self, PostgresError> {
        let programs = programs().ok_or(PostgresError::NotInstalled)?;
        let folder = TempDir::with_prefix("pg-").map_err(io("make a folder"))?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))
            .map_err(io("protect the folder"))?;
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))
                .map_err(io("give the folder away"))?;
        }
        let data = folder.path().join("data");
        let mut initdb = command(&programs, "initdb", folder.path());
        initdb
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--username={USER}"))
            .arg("--pgdata")
            .arg(&data);
        run("initdb", &mut initdb)?;
        let server = serve(&programs, folder.path())?;
        let mut started = Self {
            programs,
            folder,
            server,
            databases: AtomicU32::new(0),
        };
        started.wait()?;
        Ok(started)
    }

    /// Kills the server as a crash would (SIGKILL to its first process): nobody is told, nothing is
    /// written any more.
    pub fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Starts a server that was killed, on what it left.
    ///
    /// # Panics
    /// Where it does not serve in time.
    pub fn restart(&mut self) {
        let end = Instant::now() + START_DEADLINE;
        loop {
            self.server =
                serve(&self.programs, self.folder.path()).unwrap_or_else(|error| panic!("{error}"));
            match self.wait() {
                Ok(()) => return,
                // Until the last process of the one before has noticed, it refuses.
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        }
    }

    /// A new, empty database's address.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut createdb = command(&self.programs, "createdb", self.folder.path());
        createdb
            .arg("--host")
            .arg(self.folder.path())
            .arg(format!("--username={USER}"))
            .arg(&name);
        run("createdb", &mut createdb).unwrap_or_else(|error| panic!("{error}"));
        format!(
            "postgres:///{name}?host={}&user={USER}",
            self.folder.path().display()
        )
    }

    fn wait(&mut self) -> Result<(), PostgresError> {
        let end = Instant::now() + START_DEADLINE;
        loop {
            let mut ready = command(&self.programs, "pg_isready", self.folder.path());
            ready.arg("--host").arg(self.folder.path());
            if run("pg_isready", &mut ready).is_ok() {
                return Ok(());
            }
            let ended = self
                .server
                .try_wait()
                .map_err(io("look after the server"))?
                .is_some();
            if ended || Instant::now() > end {
                let said = std::fs::read_to_string(self.folder.path().join("log"));
                return Err(PostgresError::Failed {
                    program: "postgres",
                    said: said.unwrap_or_default(),
                });
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "waits on a condition with a deadline"
            )]
            std::thread::sleep(GLANCE);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its data goes with the folder: nothing has to be written any more.
        let pid = libc::pid_t::try_from(self.server.id()).unwrap_or(libc::pid_t::MAX);
        // SAFETY: the child has not been waited for, so the number is still its own.
        unsafe {
            libc::kill(pid, libc::SIGQUIT);
        }
        let _ = self.server.wait();
    }
}

/// Starts a server on the data in a folder.
fn serve(programs: &Path, folder: &Path) -> Result<Child, PostgresError> {
    let log = std::fs::File::create(folder.join("log")).map_err(io("make a log"))?;
    let mut server = command(programs, "postgres", folder);
    server
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args([
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "shared_buffers=64MB",
        ])
        .stdout(Stdio::null())
        .stderr(log);
    // SAFETY: prctl is a system call and nothing else, so it may be made between fork and exec. A
    // test that is killed takes the server with it: SIGINT is its fast shutdown.
    unsafe {
        server.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) == -1 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    server.spawn().map_err(io("start the server"))
}

fn io(what: &'static str) -> impl FnOnce(io::Error) -> PostgresError {
    move |source| PostgresError::Io { what, source }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The programs of the newest release that is installed.
fn programs() -> Option<PathBuf> {
    let mut releases: Vec<(u32, PathBuf)> = std::fs::read_dir(PROGRAMS)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let release = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("initdb")
                .exists()
                .then_some((release, programs))
        })
        .collect();
    releases.sort();
    releases.pop().map(|(_, programs)| programs)
}

fn command(programs: &Path, program: &str, folder: &Path) -> Command {
    let mut command = Command::new(programs.join(program));
    command.current_dir(folder).env("LC_ALL", "C");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn run(program: &'static str, command: &mut Command) -> Result<(), PostgresError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(io("run a program of PostgreSQL"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(PostgresError::Failed {
        program,
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

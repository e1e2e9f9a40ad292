//! An agent in a forked process, places for programs, and the programs.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use davylamp_guard::agent::{TestFaults, detach, run};
use davylamp_guard::config::Config;
use davylamp_model::ids::NodeName;
use serde_json::Value;
use tempfile::TempDir;

const READY: Duration = Duration::from_secs(60);

/// One guard at a time, whichever test process it is in.
pub fn serial() -> File {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests load kernel programs: run them as root"
    );
    let path = std::env::temp_dir().join("davylamp-behaviour-tests.lock");
    let file = File::create(path).expect("a lock");
    file.lock().expect("it can be locked");
    file
}

/// No list bans anything that runs, nothing is pinned, and what runs is looked at often.
pub fn config() -> Config {
    let word = "davytestthatnobodysays";
    let text = format!("bannedCommandStrings:\n- {word}\n");
    let list = made("list.yaml", &text, |path| {
        fs::write(path, &text).expect("a list")
    });
    let mut config = Config {
        pin: false,
        blocklists: vec![list],
        ..Config::default()
    };
    config.containers.cri_sockets.clear();
    config.containers.docker_sockets.clear();
    config.behaviour.sample_secs = 5;
    // One sense at a time.
    config.files.scan = davylamp_guard::config::FileScan::Off;
    config.detections.enabled = false;
    config.wire.protocols = davylamp_guard::config::WirePolicy::Off;
    config.wire.names = davylamp_guard::config::WirePolicy::Off;
    config.wire.addresses = davylamp_guard::config::WirePolicy::Off;
    config.wire.rhythm = false;
    config
}

/// The same with a policy of its own.
pub fn with_detections(detections: &[&str]) -> Config {
    let mut config = config();
    config.policy.detections = detections.iter().map(|text| (*text).to_owned()).collect();
    config
}

#[track_caller]
pub fn until(limit: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come to that");
        glance();
    }
}

/// Between two looks at a condition.
fn glance() {
    let time = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: 5_000_000,
    };
    let _ = rustix::thread::clock_nanosleep_relative(rustix::thread::ClockId::Monotonic, &time);
}

/// Whether a process runs and is no corpse that only waits to be noticed.
pub fn runs(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat.rfind(')').and_then(|at| stat[at + 2..].chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

#[derive(Default)]
struct Lines {
    seen: Mutex<Vec<Value>>,
    changed: Condvar,
}

/// The real agent in a process of its own. Killed when it goes.
pub struct Agent {
    pid: libc::pid_t,
    lines: Arc<Lines>,
}

impl Agent {
    /// Starts it and waits until it says ready.
    #[track_caller]
    pub fn start(config: Config) -> Self {
        let (from, to) = std::io::pipe().expect("a pipe");
        // SAFETY: the child runs on a copy of this thread alone, and leaves by _exit. The harness's
        // other thread only waits, so no lock that is needed is held.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            drop(from);
            // SAFETY: both descriptors are open; the child is to die with the test.
            unsafe {
                libc::dup2(to.as_raw_fd(), 1);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            }
            drop(to);
            let ended = run(config, NodeName::from("test"), TestFaults::default());
            if let Err(error) = &ended {
                let mut text = format!("{error}");
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    text.push_str(&format!(": {error}"));
                    cause = error.source();
                }
                let _ = std::io::stderr().write_all(text.as_bytes());
            }
            // SAFETY: ends this process and nothing else.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        drop(to);
        let lines = Arc::<Lines>::default();
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if let Ok(value) = serde_json::from_str(&line) {
                    sink.seen.lock().expect("no panic").push(value);
                    sink.changed.notify_all();
                }
            }
        });
        let agent = Self { pid, lines };
        let ready = agent.line(READY, |line| line["event"] == "ready");
        let lost = ready["lost"].to_string();
        assert!(!lost.contains("behaviour.rounding"), "{lost}");
        agent
    }

    /// The first line of which this is true.
    #[track_caller]
    pub fn line(&self, limit: Duration, is_it: impl Fn(&Value) -> bool) -> Value {
        match self.wait(limit, is_it) {
            Some(line) => line,
            None => panic!(
                "no such line in: {:#?}",
                self.lines.seen.lock().expect("no panic")
            ),
        }
    }

    /// Waits and sees that no such line comes.
    #[track_caller]
    pub fn none(&self, time: Duration, is_it: impl Fn(&Value) -> bool) {
        if let Some(line) = self.wait(time, is_it) {
            panic!("{line:#}");
        }
    }

    fn wait(&self, limit: Duration, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + limit;
        let mut seen = self.lines.seen.lock().expect("no panic");
        loop {
            if let Some(line) = seen.iter().find(|line| is_it(line)) {
                return Some(line.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            (seen, _) = self
                .lines
                .changed
                .wait_timeout(seen, left)
                .expect("no panic");
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // SAFETY: the process is ours and not waited for yet, so its number is no other's.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

/// A directory for pins. Emptied when it goes.
pub struct Pins(PathBuf);

impl Pins {
    pub fn new() -> Self {
        let name = format!("/sys/fs/bpf/davytest-behaviour-{}", std::process::id());
        Self(name.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is pinned, by name.
    pub fn names(&self) -> Vec<String> {
        let entries = |path: &Path| {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let pins = entries(&self.0)
            .into_iter()
            .flat_map(|generation| entries(&generation));
        pins.map(|path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = detach(&self.0) {
            assert!(std::thread::panicking(), "{error}");
        }
    }
}

/// A cgroup of the test's own.
pub struct Place {
    directory: PathBuf,
    path: String,
    /// A container's id, and the socket of its engine's double.
    container: Option<(String, TempDir)>,
}

impl Place {
    pub fn on_the_host() -> Self {
        let path = format!("/davytest-{}-{}", std::process::id(), next());
        Self::make(path, None)
    }

    /// Where a container of Docker would be, and a double of its engine that knows it.
    pub fn of_a_container() -> Self {
        let id = format!(
            "{:032x}{:032x}",
            std::process::id(),
            0xdada_0000 + u64::from(next())
        );
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket");
        let known = id.clone();
        std::thread::spawn(move || answer(&listener, &known));
        let path = format!("/docker/{id}");
        Self::make(path, Some((id, folder)))
    }

    fn make(path: String, container: Option<(String, TempDir)>) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
        let unified = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let place = fields.next()?;
            (fields.next()? == "cgroup2").then_some(place)
        });
        let unified = unified.expect("the unified hierarchy is mounted");
        let directory = Path::new(unified).join(&path[1..]);
        fs::create_dir_all(&directory).expect("a cgroup");
        Self {
            directory,
            path,
            container,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn id(&self) -> &str {
        self.container.as_ref().map_or("", |(id, _)| id)
    }

    pub fn socket(&self) -> PathBuf {
        let (_, folder) = self.container.as_ref().expect("a container");
        folder.path().join("docker.sock")
    }

    pub fn is_frozen(&self) -> bool {
        let events = fs::read_to_string(self.directory.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "frozen 1")
    }

    pub fn thaw(&self) {
        fs::write(self.directory.join("cgroup.freeze"), "0").expect("it can be thawed");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::write(self.directory.join("cgroup.freeze"), "0");
        let _ = fs::write(self.directory.join("cgroup.kill"), "1");
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.directory).is_err() && Instant::now() < deadline {
            glance();
        }
        if self.container.is_some()
            && let Some(parent) = self.directory.parent()
        {
            // Only where no other's container is in it.
            let _ = fs::remove_dir(parent);
        }
    }
}

fn next() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// A Docker Engine that has one container (Engine API 1.43).
fn answer(listener: &UnixListener, id: &str) {
    let mut listening = Vec::new();
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (status, body) = if target.starts_with("/containers/json") {
            ("200 OK", format!(r#"[{{"Id":"{id}"}}]"#))
        } else if target == format!("/containers/{id}/json") {
            let body = format!(
                r#"{{"Id":"{id}","State":{{"Running":true,"Pid":5}},"HostConfig":{{"CgroupParent":""}},
                    "Config":{{"Image":"test/image:1","Labels":{{}}}}}}"#
            );
            ("200 OK", body)
        } else if target.starts_with("/events") {
            // Nothing ever happens.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            listening.push(stream);
            continue;
        } else {
            ("404 Not Found", r#"{"message":"no"}"#.to_owned())
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
        let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes());
    }
}

/// What lies in a folder of the build's own and is made once for each text of its source.
fn made(name: &str, source: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("{:016x}-{name}", hasher.finish()));
    if !file.exists() {
        let fresh = folder.join(format!("{}-{name}", std::process::id()));
        make(&fresh);
        fs::rename(&fresh, &file).expect("it can be renamed");
    }
    file
}

fn program() -> PathBuf {
    const SOURCE: &str = include_str!("../../../testkit/programs/behave.c");
    made("behave", SOURCE, |path| {
        let done = Command::new("cc")
            .args(["-O2", "-frounding-math", "-pthread", "-o"])
            .arg(path)
            .args(["../testkit/programs/behave.c", "-lm"])
            .status()
            .expect("a C compiler is installed (Debian's package gcc)");
        assert!(done.success());
    })
}

/// `behave.c` of the test kit. Killed when it goes.
pub struct Behaver(Child);

impl Behaver {
    #[track_caller]
    pub fn start(how: &str, place: &Place) -> Self {
        let procs = File::options()
            .write(true)
            .open(place.directory.join("cgroup.procs"))
            .expect("the cgroup's list");
        let mut command = Command::new(program());
        command
            .args([how, "60"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let list = procs.as_raw_fd();
        // SAFETY: write and setsid are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                libc::setsid();
                match libc::write(list, b"0".as_ptr().cast(), 1) {
                    1 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let mut child = command.spawn().expect("it starts");
        let mut said = [0; 6];
        let out = child.stdout.as_mut().expect("its output");
        out.read_exact(&mut said)
            .expect("it says that it has begun");
        Self(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("wait").is_none()
    }

    /// The signal that ends it.
    #[track_caller]
    pub fn signal(&mut self) -> Option<i32> {
        let mut status = None;
        until(Duration::from_secs(20), || {
            status = self.0.try_wait().expect("wait");
            status.is_some()
        });
        status.and_then(|status| status.signal())
    }

    pub fn children(&self) -> Vec<u32> {
        let pid = self.pid();
        let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let listed = listed.unwrap_or_default();
        listed
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }
}

impl Drop for Behaver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

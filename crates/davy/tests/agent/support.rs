//! A guard of a test's own, and programs that tell whether they ran.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead, BufReader, PipeReader, Read},
    os::{
        fd::AsRawFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Condvar, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub const DAVY: &str = env!("CARGO_BIN_EXE_davy");
/// How long anything that must happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(1);

/// Waits for a condition.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        glance();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a condition with a deadline"
)]
pub fn glance() {
    std::thread::sleep(GLANCE);
}

/// A word that nothing else on this machine says.
pub fn word(prefix: &str) -> String {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("random");
    bytes.iter().fold(prefix.to_owned(), |mut word, byte| {
        let _ = write!(word, "{byte:02x}");
        word
    })
}

/// A machine to be guarded: a banned word, a list, pins, and the guards that come and go.
pub struct Scene {
    /// The word that the list bans.
    pub banned: String,
    /// Where the list and everything else of this test lies.
    pub dir: TempDir,
    /// Where the guard pins.
    pub pin_dir: PathBuf,
    pins: bool,
}

impl Scene {
    pub fn new() -> Self {
        let scene = Self {
            banned: word("davytest"),
            dir: tempfile::Builder::new()
                .prefix("davy-agent-")
                .tempdir()
                .expect("a directory"),
            pin_dir: Path::new("/sys/fs/bpf").join(word("davy-agent-")),
            pins: true,
        };
        // Other users' processes must reach the programs in it.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(scene.dir.path(), open).expect("open the directory");
        scene.ban(&[]);
        scene.configure("");
        // Now rather than while a stopped agent's word runs out.
        witness();
        scene
    }

    /// A guard that ends with its agent.
    pub fn without_pins() -> Self {
        let mut scene = Self::new();
        scene.pins = false;
        scene.configure("");
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn list(&self) -> PathBuf {
        self.path("lists/list.json")
    }

    /// Writes the list: the banned word, and these allow entries (JSON).
    pub fn ban(&self, allowed: &[Value]) {
        self.write_list(
            &serde_json::json!({
                "bannedCommandStrings": [self.banned],
                "allowedCommandPatterns": allowed,
            })
            .to_string(),
        );
    }

    /// Puts another list in place of this scene's.
    pub fn write_list_named(&self, name: &str, text: &str) {
        let list = self.list();
        let _ = fs::remove_file(&list);
        fs::write(list.with_file_name(name), text).expect("write the list");
    }

    /// Replaces the list file in one step.
    pub fn write_list(&self, text: &str) {
        let list = self.list();
        fs::create_dir_all(list.parent().expect("it has one")).expect("a directory");
        let fresh = self.path("fresh");
        fs::write(&fresh, text).expect("write the list");
        fs::rename(fresh, list).expect("rename the list");
    }

    /// Writes the configuration: these tables after the ones every test has.
    pub fn configure(&self, tables: &str) {
        self.configure_guard("", tables);
    }

    /// As above, with lines for the `[guard]` table itself.
    pub fn configure_guard(&self, keys: &str, tables: &str) {
        let mut text = format!(
            "[guard]\nblocklists = [{:?}]\npin_dir = {:?}\npin = {}\n{keys}\n",
            self.path("lists"),
            self.pin_dir,
            self.pins,
        );
        if !tables.contains("[guard.containers]") {
            text.push_str("[guard.containers]\ncri_sockets = []\ndocker_sockets = []\n");
        }
        if !tables.contains("[guard.sweep]") {
            // Other tests' processes are nobody's business here.
            text.push_str("[guard.sweep]\non_start = false\ninterval_secs = 0\n");
        }
        if !tables.contains("[guard.detections]") {
            text.push_str("[guard.detections]\nenabled = false\n");
        }
        if !tables.contains("[guard.files]") {
            text.push_str(davylamp_testkit::guard::WITHOUT_SENSES);
        }
        if !tables.contains("[guard.log]") {
            text.push_str("[guard.log]\nevents_per_second = 100000\nburst = 1000000\n");
        }
        text.push_str(tables);
        fs::write(self.path("davy.toml"), text).expect("write the configuration");
    }

    /// `davy guard` with this scene's configuration.
    pub fn command(&self) -> Command {
        self.command_of(Path::new(DAVY))
    }

    pub fn command_of(&self, davy: &Path) -> Command {
        let mut command = Command::new(davy);
        command
            .args(["guard", "--config"])
            .arg(self.path("davy.toml"));
        command.stdin(Stdio::null()).env_remove("RUST_LOG");
        command
    }

    /// Starts a guard and waits until it is ready.
    #[track_caller]
    pub fn guard(&self) -> Guard {
        let mut guard = Guard::spawn(self.command(), &self.path("stderr"));
        guard.wait_ready();
        guard
    }

    /// Starts a guard that is to fail.
    #[track_caller]
    pub fn refused(&self) -> Refusal {
        Refusal::of(self.command())
    }

    pub fn detach(&self) -> Output {
        self.command().arg("--detach").output().expect("davy runs")
    }

    /// The directories of pinned programs.
    pub fn generations(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.pin_dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Makes the pins look like those of another version of the programs.
    pub fn make_pins_foreign(&self) {
        for generation in self.generations() {
            let name = generation
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let number = name.rsplit('-').next().expect("a number");
            let foreign = self.pin_dir.join(format!("{:016x}-{number}", 0));
            fs::rename(generation, foreign).expect("pins can be renamed");
        }
    }

    /// The banned witness, which must die without having run.
    #[track_caller]
    pub fn assert_guarded(&self) {
        let seen = Run::witness(&["plain", &self.banned]).end();
        assert!(seen.died_unrun(), "a banned program: {seen:?}");
    }

    /// The banned witness, which nobody must stop. Programs go some time after their last pin.
    #[track_caller]
    pub fn assert_unguarded(&self) {
        until("nothing is guarded", || {
            Run::witness(&["plain", &self.banned]).end().ran()
        });
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.pin_dir.exists() {
            let _ = self.detach();
        }
        // If that failed, the test is to fail for its own reason, and still leave nothing.
        for generation in self.generations() {
            let _ = fs::remove_file(generation.join("on_exec"));
            for pin in fs::read_dir(&generation).into_iter().flatten().flatten() {
                let _ = fs::remove_file(pin.path());
            }
            let _ = fs::remove_dir(generation);
        }
        let _ = fs::remove_dir(&self.pin_dir);
    }
}

/// What a guard that could not start said.
#[derive(Debug)]
pub struct Refusal {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Refusal {
    #[track_caller]
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("davy runs");
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("wait").is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("the guard started where it should have refused");
            }
            glance();
        }
        let output = child.wait_with_output().expect("wait");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// One error that says this, exit code 2, and a next step.
    #[track_caller]
    pub fn assert_says(&self, what: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "no line of the log");
        assert!(
            self.stderr.contains(what),
            "{what:?} is not in: {}",
            self.stderr
        );
        let has_step = self.stderr.contains("hint: ") || self.stderr.contains("help: ");
        assert!(has_step, "no next step in: {}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// A running `davy guard`.
pub struct Guard {
    child: Child,
    stderr: PathBuf,
    said: Arc<(Mutex<Vec<Value>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
    somebody_computes: Arc<AtomicBool>,
}

impl Guard {
    /// Starts one without waiting for it.
    #[track_caller]
    pub fn spawn(mut command: Command, stderr: &Path) -> Self {
        let errors = File::options()
            .append(true)
            .create(true)
            .open(stderr)
            .expect("a file");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("davy runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let said = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in lines.lines() {
                let Ok(line) = line else { break };
                let value = serde_json::from_str(&line)
                    .unwrap_or_else(|_| Value::String(format!("not JSON: {line}")));
                shared.0.lock().expect("not poisoned").push(value);
                shared.1.notify_all();
            }
        });
        Self {
            child,
            stderr: stderr.to_owned(),
            said,
            reader: Some(reader),
            somebody_computes: Arc::default(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    #[track_caller]
    pub fn wait_ready(&mut self) -> Value {
        self.wait("it is ready", |line| line["event"] == "ready")
    }

    /// Waits for a line of the log.
    #[track_caller]
    pub fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let said = Arc::clone(&self.said);
        let (lines, more) = &*said;
        let mut lines = lines.lock().expect("not poisoned");
        loop {
            if let Some(found) = lines.iter().find(|line| is_it(line)) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = self.child.try_wait().expect("wait");
            if left.is_zero() || ended.is_some() {
                let stderr = fs::read_to_string(&self.stderr).unwrap_or_default();
                panic!(
                    "no line of the guard's says that {what} (ended: {ended:?}); it said \
                     {lines:#?}\nand on stderr:\n{stderr}",
                );
            }
            lines = more
                .wait_timeout(lines, left.min(Duration::from_millis(100)))
                .expect("ok")
                .0;
        }
    }

    /// The line about a process with this action.
    #[track_caller]
    pub fn wait_action(&mut self, pid: u32, action: &str) -> Value {
        self.wait(&format!("{pid} was {action}"), |line| {
            line["pid"] == pid && line["action"] == action
        })
    }

    pub fn said(&self) -> Vec<Value> {
        self.said.0.lock().expect("not poisoned").clone()
    }

    /// Everything said about a process, in order.
    pub fn actions(&self, pid: u32) -> Vec<String> {
        let action = |line: &Value| Some(line["action"].as_str()?.to_owned());
        self.said()
            .iter()
            .filter(|line| line["pid"] == pid)
            .filter_map(action)
            .collect()
    }

    pub fn signal(&self, signal: i32) {
        kill(self.pid(), signal);
    }

    /// Stops the agent where it stands, so that it decides nothing, and waits until it stands.
    ///
    /// From here to the end of the test somebody computes: the kernel signals from a timer only
    /// where it interrupts a process, and an idle machine would have to be waited for.
    #[track_caller]
    pub fn pause(&self) {
        self.signal(libc::SIGSTOP);
        until("the agent is stopped", || state(self.pid()) == Some('T'));
        if !self.somebody_computes.swap(true, Ordering::Relaxed) {
            let goes_on = Arc::clone(&self.somebody_computes);
            std::thread::spawn(move || while goes_on.load(Ordering::Relaxed) {});
        }
    }

    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Kills the agent outright.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it in peace.
    #[track_caller]
    pub fn stop(mut self) -> (ExitStatus, Vec<Value>) {
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                self.reader
                    .take()
                    .expect("it stops once")
                    .join()
                    .expect("no panic");
                return (status, self.said());
            }
            assert!(Instant::now() < deadline, "the guard does not stop");
            glance();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.somebody_computes.store(false, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn kill(pid: u32, signal: i32) {
    // SAFETY: the call takes two numbers and touches no memory.
    unsafe { libc::kill(pid as i32, signal) };
}

/// The state letter of a process, `None` if it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 2..].chars().next()
}

/// `programs/first_write.S` of the test kit: its first system call writes to descriptor 3.
pub fn witness() -> &'static Path {
    static WITNESS: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = WITNESS.get_or_init(|| {
        let dir = tempfile::Builder::new()
            .prefix("davy-witness-")
            .tempdir()
            .expect("a directory");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).expect("open the directory");
        let path = dir.path().join("witness");
        assemble("first_write.S", &path, &[]);
        (dir, path)
    });
    path
}

/// Assembles a program of the test kit.
pub fn assemble(source: &str, to: &Path, options: &[&str]) {
    let source = Path::new("../testkit/programs").join(source);
    let done = Command::new("cc")
        .args(["-nostdlib", "-static", "-o"])
        .arg(to)
        .args(options)
        .arg(source)
        .status()
        .expect("a C compiler is installed (Debian's package gcc)");
    assert!(done.success(), "the witness is assembled");
}

/// What became of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Bytes it wrote to descriptor 3.
    pub wrote: usize,
    pub signal: Option<i32>,
    pub code: Option<i32>,
}

impl Seen {
    pub fn died_unrun(self) -> bool {
        self.wrote == 0 && self.signal == Some(libc::SIGKILL)
    }

    pub fn ran(self) -> bool {
        self.wrote == 1 && self.code == Some(0)
    }
}

/// A program that was started, with the reading end of its descriptor 3.
pub struct Run {
    pub child: Child,
    reader: PipeReader,
}

impl Run {
    /// Starts the witness; the first word is what it calls itself.
    #[track_caller]
    pub fn witness<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        Self::program(witness(), arguments)
    }

    #[track_caller]
    pub fn program<S: AsRef<OsStr>>(path: &Path, arguments: &[S]) -> Self {
        let mut command = Command::new(path);
        command.arg0(&arguments[0]).args(&arguments[1..]);
        Self::command(command)
    }

    /// Starts a prepared command with a pipe as its descriptor 3.
    #[track_caller]
    pub fn command(mut command: Command) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let raw = writer.as_raw_fd();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear();
        // SAFETY: only dup2 and fcntl run between fork and exec, which are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                let failed = if raw == 3 {
                    libc::fcntl(3, libc::F_SETFD, 0)
                } else {
                    libc::dup2(raw, 3)
                };
                if failed < 0 {
                    Err(std::io::Error::last_os_error())
                } else {
                    Ok(())
                }
            });
        }
        let child = command.spawn().expect("the program starts");
        Self { child, reader }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many bytes wait in the pipe.
    pub fn wrote_so_far(&self) -> i32 {
        let mut waiting = 0;
        // SAFETY: the descriptor is open, and the call writes one int, to which it gets a pointer.
        let done =
            unsafe { libc::ioctl(self.reader.as_raw_fd(), libc::FIONREAD, &raw mut waiting) };
        assert_eq!(done, 0, "the pipe can be asked");
        waiting
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Seen {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() > deadline {
                let state = state(self.pid());
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("the program does not end; its state was {state:?}");
            }
            glance();
        };
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes).expect("the pipe");
        Seen {
            wrote: bytes.len(),
            signal: status.signal(),
            code: status.code(),
        }
    }
}

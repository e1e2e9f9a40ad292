//! Programs by their files, with a whole agent and the real kernel: what a program managed to do.
//!
//! The witness writes to a pipe with its first instruction. A stand-in is the witness with constants of a
//! mining algorithm behind its end, which are never loaded: nothing here can mine.
//!
//! A guard watches the whole machine, so each test takes a lock that all of them share, brings a list of
//! its own, and trusts the folders in which others work meanwhile.

#![allow(
    clippy::print_stderr,
    reason = "figures are shown where output is asked for"
)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use davylamp_guard::agent;
use davylamp_guard::config::{Config, FileScan, Terminals, UnknownFile, WirePolicy};
use davylamp_guard::kernel::TestFaults;
use davylamp_model::guard_event::Mode;
use davylamp_testkit::programs::{
    Call, Circumstance, Launch, Outcome, Programs, Stage, first_write,
};
use serde_json::Value;

/// How long a line of the log may take, on a machine where others compile.
const DEADLINE: Duration = Duration::from_secs(60);

/// A whole agent as a child of the test.
struct Agent {
    pid: i32,
    lines: Receiver<Value>,
    seen: Vec<Value>,
    _lock: OwnedFd,
    _folder: tempfile::TempDir,
}

impl Agent {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // For the whole test: what one guard holds while its agent is away, no other test may start.
        static LOCK: OnceLock<File> = OnceLock::new();
        let lock = LOCK.get_or_init(|| {
            let lock = File::create("/tmp/davytest-files.lock").expect("a lock");
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
            lock
        });
        let lock = lock.try_clone().expect("the lock again");
        let list = folder.path().join("list.yaml");
        let word = davylamp_testkit::guard::unique_word();
        fs::write(&list, format!("bannedCommandStrings:\n  - {word}\n")).expect("written");
        let mut config = Config {
            blocklists: vec![list],
            pin: false,
            ..Config::default()
        };
        config.containers.cri_sockets.clear();
        config.containers.docker_sockets.clear();
        config.sweep.on_start = false;
        // One sense at a time: the others are about all processes of the machine.
        config.detections.enabled = false;
        config.behaviour.rounding = false;
        config.behaviour.sample_secs = 0;
        config.wire.protocols = WirePolicy::Off;
        config.wire.names = WirePolicy::Off;
        config.wire.addresses = WirePolicy::Off;
        config.wire.rhythm = false;
        config.files.trust = ["/root", "/work", "/var", "/home"]
            .map(PathBuf::from)
            .to_vec();
        change(&mut config);
        let (agent, pid) = spawn(config, lock.into(), folder);
        let mut agent = agent;
        assert!(pid > 0);
        let ready = agent.line("its first line", |_| true);
        assert_eq!(ready["event"], "ready", "{ready}");
        assert!(
            ready["file_rules"].as_u64() > Some(5) || ready["file_rules"] == 0,
            "{ready}"
        );
        agent
    }

    /// Waits for a line; those before it are kept for [`Agent::no_line`].
    fn line(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{what} was not said; said was {:#?}", self.seen)
                }
            }
        }
    }

    fn about(&mut self, path: &Path) -> Value {
        let path = path.to_string_lossy().into_owned();
        self.line(&path.clone(), |line| {
            line["evidence"]["path"] == path.as_str()
        })
    }

    /// Whether anything was said about a path so far.
    fn said_of(&mut self, path: &Path) -> bool {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(line);
        }
        let path = path.to_string_lossy();
        self.seen
            .iter()
            .any(|line| line.to_string().contains(&*path))
    }
}

fn spawn(config: Config, lock: OwnedFd, folder: tempfile::TempDir) -> (Agent, i32) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // SAFETY: nextest runs a test in a process of its own, whose other thread only waits, so no lock
    // that the child needs is held. The child has one thread, as `davy guard` has, and leaves by _exit.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    if pid == 0 {
        drop(reader);
        // SAFETY: both descriptors are open; the agent writes its log to standard output.
        unsafe { libc::dup2(writer.as_raw_fd(), 1) };
        drop(writer);
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .expect("it ends with the test");
        let node = "test".into();
        let ended = agent::run(config, node, TestFaults::default());
        if let Err(error) = ended {
            eprintln!("the agent ended: {error:?}");
        }
        // SAFETY: ends this process and nothing else.
        unsafe { libc::_exit(9) }
    }
    drop(writer);
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let agent = Agent {
        pid,
        lines,
        seen: Vec::new(),
        _lock: lock,
        _folder: folder,
    };
    (agent, pid)
}

impl Drop for Agent {
    fn drop(&mut self) {
        // SAFETY: the agent is this test's child and is waited for once.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

/// The round keys of RandomX in halves, which no program can do without that computes it.
fn constants() -> Vec<u8> {
    let halves = [
        "53a5ac6d09667162",
        "2b55b5db1749f4b4",
        "f162123fc67e949f",
        "4f79c0f445e3203e",
    ];
    let bytes = halves.map(|half| hex::decode(half).expect("digits"));
    bytes.join(&[0x90; 5][..])
}

fn witness_with(more: &[u8]) -> Vec<u8> {
    let mut program = fs::read(first_write().expect("it is built")).expect("readable");
    program.extend(more);
    program
}

fn write_program(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
    // A file that changed within the clock's tick is not remembered.
    let changed = || {
        let stat = rustix::fs::stat(path).expect("there");
        Duration::new(stat.st_ctime as u64, stat.st_ctime_nsec as u32)
    };
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    while now().saturating_sub(changed()) < Duration::from_millis(60) {
        std::thread::yield_now();
    }
}

fn run(stage: &Stage, path: &Path) -> Outcome {
    let launch = Launch::of(path, &["program".into()], &[]).expect("a launch");
    stage.run(&launch).expect("it ran")
}

#[test]
fn a_stand_in_dies_before_its_first_instruction_and_then_in_the_kernel() {
    let mut agent = Agent::start(|_| {});
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let bad = programs.folder().join("harmless-name");
    write_program(&bad, &witness_with(&constants()));
    let outcome = run(&stage, &bad);
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    let line = agent.about(&bad);
    assert_eq!(line["action"], "killed", "{line}");
    assert_eq!(line["detection"], "miner-file", "{line}");
    assert_eq!(line["matched"], "randomx_constants", "{line}");
    assert_eq!(line["source"], "davylamp.file", "{line}");
    let size = fs::metadata(&bad).expect("there").len();
    assert_eq!(line["evidence"]["size"], size, "{line}");
    assert_eq!(line["evidence"]["packed"], false, "{line}");
    assert_eq!(
        line["evidence"]["sha256"].as_str().map(str::len),
        Some(64),
        "{line}"
    );
    assert!(line["evidence"]["held_us"].as_u64() > Some(0), "{line}");

    // From here on the kernel knows it: by another name, and by another link to the same file.
    let elsewhere = programs.folder().join("elsewhere");
    fs::rename(&bad, &elsewhere).expect("renamed");
    let outcome = run(&stage, &elsewhere);
    // Renaming changes the file's time, so it is looked into once more; then it is known.
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    agent.about(&elsewhere);
    for _ in 0..20 {
        let outcome = run(&stage, &elsewhere);
        assert!(outcome.is_killed_unrun(), "{outcome:?}");
        let known = agent.about(&elsewhere);
        assert_eq!(known["action"], "killed", "{known}");
        assert!(
            known["reason"]
                .as_str()
                .is_some_and(|why| why.contains("known")),
            "{known}"
        );
        assert!(known["evidence"].get("held_us").is_none(), "{known}");
        assert_eq!(known["matched"], "randomx_constants", "{known}");
    }
}

#[test]
fn a_benign_program_runs_and_one_that_is_changed_in_place_is_looked_into_again() {
    let mut agent = Agent::start(|_| {});
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let program = programs.folder().join("program");
    write_program(&program, &witness_with(b""));
    for _ in 0..50 {
        let outcome = run(&stage, &program);
        assert!(outcome.is_unharmed(), "{outcome:?}");
    }
    assert!(
        !agent.said_of(&program),
        "nothing is said of what is harmless"
    );
    // The same inode, and something else in it.
    let mut file = File::options().append(true).open(&program).expect("opened");
    file.write_all(&constants()).expect("written");
    drop(file);
    let outcome = run(&stage, &program);
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    assert_eq!(agent.about(&program)["action"], "killed");
    // And back.
    write_program(&program, &witness_with(b""));
    let outcome = run(&stage, &program);
    assert!(outcome.is_unharmed(), "{outcome:?}");
}

#[test]
fn programs_without_a_file_are_looked_into_and_told() {
    let mut agent = Agent::start(|_| {});
    let stage = Stage::new().expect("a stage");
    let in_memory = |name: &str, content: &[u8]| {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let memory = rustix::fs::memfd_create(name, flags).expect("memory");
        assert_eq!(
            rustix::io::write(&memory, content).expect("written"),
            content.len()
        );
        memory
    };
    let launch = |file| {
        let call = Call::Descriptor(file);
        let launch = Launch::new(call, &["x".into()], &[], Circumstance::Plain);
        stage.run(&launch.expect("a launch")).expect("it ran")
    };
    let bad = launch(in_memory("quiet", &witness_with(&constants())));
    assert!(bad.is_killed_unrun(), "{bad:?}");
    let line = agent.line("the one in memory", |line| {
        line["evidence"]["held_in"] == "memory"
    });
    assert_eq!(
        (&line["action"], &line["detection"]),
        (&"killed".into(), &"miner-file".into())
    );
    let good = launch(in_memory("loud", &witness_with(b"")));
    assert!(good.is_unharmed(), "{good:?}");
    let line = agent.line("the other", |line| {
        line["exe"].to_string().contains("memfd:loud")
    });
    assert_eq!(
        (&line["action"], &line["detection"], &line["score"]),
        (&"alerted".into(), &"fileless-program".into(), &40.0.into()),
        "{line}"
    );
    // A runtime's copy of itself, started by the machine's root.
    let runtime = launch(in_memory("runc_cloned:/proc/self/exe", &witness_with(b"")));
    assert!(runtime.is_unharmed(), "{runtime:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gone");
    for (content, is_bad) in [
        (witness_with(b""), false),
        (witness_with(&constants()), true),
    ] {
        write_program(&path, &content);
        let file = File::open(&path).expect("opened");
        fs::remove_file(&path).expect("removed");
        let outcome = launch(file.into());
        if is_bad {
            assert!(outcome.is_killed_unrun(), "{outcome:?}");
        } else {
            assert!(outcome.is_unharmed(), "{outcome:?}");
        }
        let line = agent.line("the deleted one", |line| {
            line["evidence"]["held_in"] == "deleted"
        });
        assert_eq!(
            line["action"],
            if is_bad { "killed" } else { "alerted" },
            "{line}"
        );
    }
    let said = agent
        .seen
        .iter()
        .filter(|line| line.to_string().contains("runc_cloned"));
    assert_eq!(said.count(), 0, "nothing is said of a runtime");
}

#[test]
fn scripts_are_looked_into_before_their_interpreter_runs() {
    let mut agent = Agent::start(|_| {});
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let interpreter = programs.witness();
    let script = |name: &str, rest: &str| {
        let path = programs.folder().join(name);
        let text = format!("#!{} x\n{rest}", interpreter.display());
        write_program(&path, text.as_bytes());
        path
    };
    let good = script("good", "echo hello\n");
    for _ in 0..3 {
        let outcome = run(&stage, &good);
        assert!(outcome.is_unharmed(), "{outcome:?}");
    }
    let start = ["nohup ./xm", "rig -", "o 203.0.113.7:443 -u x &\n"].concat();
    let bad = script("bad", &start);
    for _ in 0..3 {
        let outcome = run(&stage, &bad);
        assert!(outcome.is_killed_unrun(), "{outcome:?}");
        let line = agent.about(&bad);
        assert_eq!(line["matched"], "script_starts_miner", "{line}");
    }
    let mentions = script(
        "mentions",
        &["pkill xm", "rig\nrm -rf /tmp/xm", "rig\n"].concat(),
    );
    let outcome = run(&stage, &mentions);
    assert!(outcome.is_unharmed(), "{outcome:?}");
}

#[test]
fn what_cannot_be_looked_into_to_its_end_is_unknown_by_policy() {
    let large = |folder: &Path| {
        let path = folder.join("large");
        write_program(&path, &witness_with(b""));
        let file = File::options().append(true).open(&path).expect("opened");
        file.set_len(1 << 30).expect("sparse");
        path
    };
    {
        let mut agent = Agent::start(|config| config.files.max_bytes = 1 << 20);
        let programs = Programs::new().expect("programs");
        let stage = Stage::new().expect("a stage");
        let path = large(programs.folder());
        for _ in 0..2 {
            let outcome = run(&stage, &path);
            assert!(outcome.is_unharmed(), "{outcome:?}");
            let line = agent.about(&path);
            assert_eq!(
                (&line["action"], &line["detection"]),
                (&"spared".into(), &"unscanned-file".into())
            );
            assert!(
                line["reason"]
                    .as_str()
                    .is_some_and(|why| why.starts_with("unknown")),
                "{line}"
            );
        }
        // Once its file has not changed for a while, what a search came to is remembered.
        let began = Instant::now();
        loop {
            let outcome = run(&stage, &path);
            assert!(outcome.is_unharmed(), "{outcome:?}");
            let line = agent.about(&path);
            assert_eq!(line["detection"], "unscanned-file", "{line}");
            if line["evidence"]["searched"] == "at an earlier start" {
                break;
            }
            assert!(began.elapsed() < DEADLINE, "searched at each start: {line}");
        }
        // A program that is cut short does not even start.
        let cut = programs.folder().join("cut");
        write_program(&cut, &witness_with(b"")[..60]);
        let outcome = run(&stage, &cut);
        assert!(outcome.exec_error().is_some(), "{outcome:?}");
    }
    let mut agent = Agent::start(|config| {
        config.files.max_bytes = 1 << 20;
        config.files.unknown = UnknownFile::Kill;
    });
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let path = large(programs.folder());
    let outcome = run(&stage, &path);
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    assert_eq!(agent.about(&path)["action"], "killed");
}

#[test]
fn observing_holds_and_kills_nothing() {
    let mut agent = Agent::start(|config| config.mode = Mode::Observe);
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let bad = programs.folder().join("bad");
    write_program(&bad, &witness_with(&constants()));
    let mut told = false;
    // The witness is short-lived: it may be gone before its file is opened, but not each time.
    for _ in 0..200 {
        let outcome = run(&stage, &bad);
        assert!(outcome.is_unharmed(), "{outcome:?}");
        told |= agent.said_of(&bad);
        if told {
            break;
        }
    }
    let line = agent
        .seen
        .iter()
        .find(|line| line["evidence"]["path"] == bad.to_string_lossy().as_ref());
    if let Some(line) = line {
        assert_eq!(line["action"], "would-kill", "{line}");
    }
}

#[test]
fn an_allowed_file_runs_and_nothing_is_looked_into_where_that_is_off() {
    let content = witness_with(&constants());
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&content));
    for change in [
        (|config, digest| config.files.allow = vec![digest]) as fn(&mut Config, String),
        |config, _| config.files.scan = FileScan::Off,
    ] {
        let mut agent = Agent::start(|config| change(config, digest.clone()));
        let programs = Programs::new().expect("programs");
        let stage = Stage::new().expect("a stage");
        let path = programs.folder().join("allowed");
        write_program(&path, &content);
        let outcome = run(&stage, &path);
        assert!(outcome.is_unharmed(), "{outcome:?}");
        assert!(!agent.said_of(&path));
    }
}

#[test]
fn many_starts_of_one_file_are_one_search() {
    let _agent = Agent::start(|_| {});
    let programs = Programs::new().expect("programs");
    let bad = programs.folder().join("bad");
    let mut content = witness_with(&constants());
    content.resize(4 << 20, 0);
    write_program(&bad, &content);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let bad = bad.clone();
            std::thread::spawn(move || run(&Stage::new().expect("a stage"), &bad))
        })
        .collect();
    for thread in threads {
        let outcome = thread.join().expect("no panic");
        assert!(outcome.is_killed_unrun(), "{outcome:?}");
    }
}

fn pins(name: &str) -> PathBuf {
    Path::new("/sys/fs/bpf").join(format!("davytest-{name}-{}", std::process::id()))
}

/// Removes what a test pinned, also where it failed.
struct Pins(PathBuf);

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = agent::detach(&self.0) {
            eprintln!("pins are left: {error}");
        }
    }
}

#[test]
fn without_an_agent_programs_run_but_known_bad_ones_and_the_next_agent_still_knows_them() {
    let pins = Pins(pins("known"));
    let pinned = |config: &mut Config| {
        config.pin = true;
        config.pin_dir.clone_from(&pins.0);
    };
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let bad = programs.folder().join("bad");
    write_program(&bad, &witness_with(&constants()));
    let mut agent = Agent::start(pinned);
    assert!(run(&stage, &bad).is_killed_unrun());
    assert_eq!(agent.about(&bad)["action"], "killed");
    drop(agent);
    let outcome = run(&stage, &bad);
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    let unseen = programs.folder().join("unseen");
    write_program(&unseen, &witness_with(b""));
    let began = Instant::now();
    let outcome = run(&stage, &unseen);
    assert!(
        outcome.is_unharmed(),
        "{outcome:?} after {:?}",
        began.elapsed()
    );
    let mut agent = Agent::start(pinned);
    let outcome = run(&stage, &bad);
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    let line = agent.line("the known one", |line| {
        line["evidence"]["sha256_begins"].is_string() && line["pid"] == outcome.pid
    });
    assert_eq!(
        (&line["action"], &line["detection"]),
        (&"killed".into(), &"miner-file".into())
    );
    // With other rules, nothing is known any more.
    drop(agent);
    let mut agent = Agent::start(|config| {
        pinned(config);
        let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
            fs::read(&bad).expect("readable"),
        ));
        config.files.allow = vec![digest];
    });
    let outcome = run(&stage, &bad);
    assert!(outcome.is_unharmed(), "{outcome:?}");
    assert!(!agent.said_of(&unseen));
}

/// The pid of a process that runs this file and is stopped, once there is one.
fn stopped(program: &Path) -> u32 {
    let began = Instant::now();
    loop {
        for entry in fs::read_dir("/proc").expect("processes").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            let is_it = fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == program);
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if is_it && status.contains("State:\tT") {
                return pid;
            }
        }
        assert!(began.elapsed() < DEADLINE, "nothing was held");
        std::thread::yield_now();
    }
}

#[test]
fn an_agent_that_is_killed_while_it_looks_into_a_file_leaves_that_to_the_next() {
    let pins = Pins(pins("left"));
    let pinned = |config: &mut Config| {
        config.pin = true;
        config.pin_dir.clone_from(&pins.0);
        config.files.max_bytes = 1 << 30;
        config.files.max_ms = 30_000;
        config.hold.deadline_ms = 60_000;
    };
    let programs = Programs::new().expect("programs");
    let bad = programs.folder().join("bad");
    let mut content = witness_with(&constants());
    content.resize(400 << 20, 0);
    write_program(&bad, &content);
    drop(content);
    let agent = Agent::start(pinned);
    let held = {
        let bad = bad.clone();
        std::thread::spawn(move || run(&Stage::new().expect("a stage"), &bad))
    };
    stopped(&bad);
    drop(agent);
    let mut agent = Agent::start(pinned);
    let outcome = held.join().expect("no panic");
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    assert_eq!(agent.about(&bad)["action"], "killed");
}

/// At a terminal, where that is wanted, a program runs while it is looked into, and then dies with all
/// that it started of itself.
#[test]
fn at_a_terminal_a_program_may_run_while_it_is_looked_into() {
    let mut agent = Agent::start(|config| config.files.terminals = Terminals::Meanwhile);
    let programs = Programs::new().expect("programs");
    // A shell that waits for its own copy: both run the same file.
    let bad = programs.folder().join("shell");
    let mut content = fs::read("/bin/sh").expect("a shell");
    content.extend(constants());
    write_program(&bad, &content);
    let mut command = std::process::Command::new("setsid");
    let text = format!("{0} -c 'sleep 20 & wait' & wait", bad.display());
    command.args(["script", "-qec", &text, "/dev/null"]);
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let line = agent.about(&bad);
    assert_eq!(
        (&line["action"], &line["detection"]),
        (&"killed".into(), &"miner-file".into())
    );
    assert!(
        line["evidence"].get("held_us").is_none(),
        "it was not held: {line}"
    );
    child.wait().expect("it ends");
}

#[test]
fn the_deadline_lets_run_what_was_not_looked_into() {
    let mut agent = Agent::start(|config| {
        config.files.max_bytes = 1 << 30;
        config.hold.deadline_ms = 10;
        config.files.workers = 1;
    });
    let programs = Programs::new().expect("programs");
    let stage = Stage::new().expect("a stage");
    let large = programs.folder().join("large");
    let mut content = witness_with(b"");
    content.resize(200 << 20, 7);
    write_program(&large, &content);
    let outcome = run(&stage, &large);
    assert!(outcome.is_unharmed(), "{outcome:?}");
    // The kernel's deadline, or the search's own limit just before it: either way it is unknown.
    let line = agent.line("it is unknown", |line| {
        line["detection"] == "unscanned-file"
    });
    assert_eq!(line["action"], "spared", "{line}");
}

#[test]
fn of_a_container_what_was_added_is_looked_into_and_its_image_is_not() {
    let programs = Programs::new().expect("programs");
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| {
        let path = programs.folder().join(name);
        fs::create_dir(&path).expect("a folder");
        path
    });
    write_program(&lower.join("image"), &witness_with(&constants()));
    write_program(&lower.join("changed"), &witness_with(b""));
    let mut agent = Agent::start(|_| {});
    // SAFETY: this thread alone gets mounts of its own; what it starts has them too.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
    let private =
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).expect("private mounts");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let options = std::ffi::CString::new(options).expect("no NUL");
    let flags = rustix::mount::MountFlags::empty();
    if let Err(error) =
        rustix::mount::mount("overlay", &merged, "overlay", flags, options.as_c_str())
    {
        eprintln!("skipped: no overlay can be mounted here: {error}");
        return;
    }
    let stage = Stage::new().expect("a stage");
    let image = run(&stage, &merged.join("image"));
    assert!(
        image.is_unharmed(),
        "an image is not looked into: {image:?}"
    );
    let added = merged.join("added");
    write_program(&added, &witness_with(&constants()));
    for _ in 0..3 {
        let outcome = run(&stage, &added);
        assert!(outcome.is_killed_unrun(), "{outcome:?}");
        assert_eq!(
            agent.line("it was killed", |line| line["pid"] == outcome.pid)["action"],
            "killed"
        );
    }
    let changed = merged.join("changed");
    assert!(run(&stage, &changed).is_unharmed());
    let mut file = File::options().append(true).open(&changed).expect("opened");
    file.write_all(&constants()).expect("written");
    drop(file);
    let outcome = run(&stage, &changed);
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    // A runtime's name does not help where the machine's root did not start it.
    let memory =
        rustix::fs::memfd_create("runc_cloned:x", rustix::fs::MemfdFlags::CLOEXEC).expect("memory");
    rustix::io::write(&memory, &witness_with(b"")).expect("written");
    let launch = Launch::new(
        Call::Descriptor(memory),
        &["x".into()],
        &[],
        Circumstance::Plain,
    );
    let outcome = stage.run(&launch.expect("a launch")).expect("it ran");
    assert!(outcome.is_unharmed(), "{outcome:?}");
    let line = agent.line("it is told", |line| line["pid"] == outcome.pid);
    assert_eq!(line["detection"], "fileless-program", "{line}");
}

/// What a start costs in the kernel: nanoseconds of the hook, without files and with a known file.
#[test]
fn a_known_file_costs_a_look_up() {
    // SAFETY: asks for statistics for as long as the descriptor that is returned is open.
    let stats = unsafe {
        libbpf_rs::libbpf_sys::bpf_enable_stats(libbpf_rs::libbpf_sys::BPF_STATS_RUN_TIME)
    };
    assert!(stats >= 0, "statistics are refused");
    let measure = |scan| {
        let _agent = Agent::start(|config| config.files.scan = scan);
        let programs = Programs::new().expect("programs");
        let stage = Stage::new().expect("a stage");
        let program = programs.folder().join("program");
        write_program(&program, &witness_with(b""));
        run(&stage, &program);
        let rounds = 500;
        let (mut before, mut best) = (spent_by("on_exec"), u64::MAX);
        for _ in 0..rounds {
            let outcome = run(&stage, &program);
            assert!(outcome.is_unharmed(), "{outcome:?}");
            let now = spent_by("on_exec");
            if now.1 == before.1 + 1 {
                best = best.min(now.0 - before.0);
            }
            before = now;
        }
        best
    };
    let without = measure(FileScan::Off);
    let with = measure(FileScan::Suspect);
    eprintln!("hook, best of 500: {without} ns without files, {with} ns with a known file");
}

/// What the watch over held programs costs everybody else: each first touch of a page passes it.
#[test]
fn the_watch_over_held_programs_costs_little_at_a_page_fault() {
    const PAGES: usize = 16_384;
    let touch = || {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            // SAFETY: a mapping of this function's own, which is touched within and unmapped.
            unsafe {
                let pages = libc::mmap(
                    std::ptr::null_mut(),
                    PAGES * 4096,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                );
                assert_ne!(pages, libc::MAP_FAILED);
                libc::madvise(pages, PAGES * 4096, libc::MADV_NOHUGEPAGE);
                let began = Instant::now();
                for page in 0..PAGES {
                    pages.cast::<u8>().add(page * 4096).write_volatile(1);
                }
                best = best.min(began.elapsed());
                libc::munmap(pages, PAGES * 4096);
            }
        }
        best.as_nanos() as f64 / PAGES as f64
    };
    let without = {
        let _agent = Agent::start(|config| config.files.scan = FileScan::Off);
        touch()
    };
    // SAFETY: asks for statistics for as long as the descriptor that is returned is open.
    let stats = unsafe {
        libbpf_rs::libbpf_sys::bpf_enable_stats(libbpf_rs::libbpf_sys::BPF_STATS_RUN_TIME)
    };
    assert!(stats >= 0, "statistics are refused");
    let (with, watch_ns) = {
        let _agent = Agent::start(|_| {});
        let with = touch();
        let (ns, runs) = spent_by("on_user_fault");
        (with, ns as f64 / runs.max(1) as f64)
    };
    eprintln!("of it in the watch: {watch_ns:.0} ns");
    eprintln!(
        "a page fault: {without:.0} ns without files, {with:.0} ns with, {:.3}",
        with / without
    );
}

/// Time and runs of a program, as the kernel counts them where statistics are on.
fn spent_by(name: &str) -> (u64, u64) {
    use libbpf_rs::query::ProgInfoIter;
    let mut total = (0, 0);
    for program in ProgInfoIter::default() {
        if program.name.to_string_lossy() == name {
            total.0 += program.run_time_ns;
            total.1 += program.run_cnt;
        }
    }
    total
}

//! The programs of the wire on the running kernel: real sockets over loopback, of processes in a cgroup
//! of this test's own, and the whole agent beside them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use davylamp_testkit::cgroup::Cgroup;
use davylamp_testkit::wire::{
    JOB, Listener, WALLET, client_hello, handshakes, near_misses, question,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// The guard alone, as a process of its own.
struct Guard {
    process: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
    pins: Option<PathBuf>,
    _config: tempfile::TempDir,
}

impl Guard {
    fn start(more: &str) -> Self {
        Self::start_with("", more, None)
    }

    /// `first` are keys of the first table.
    fn start_with(first: &str, more: &str, pins: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pinning = match &pins {
            Some(pins) => format!("pin_dir = \"{}\"", pins.display()),
            None => "pin = false".to_owned(),
        };
        let text = format!(
            "[guard]\n{first}\n{pinning}\n[guard.sweep]\non_start = false\ninterval_secs = 0\n\
             [guard.containers]\ncri_sockets = []\ndocker_sockets = []\n\
             [guard.detections]\nenabled = false\n[guard.files]\nscan = \"off\"\n\
             [guard.behaviour]\nrounding = false\nsample_secs = 0\n{more}"
        );
        let path = folder.path().join("davy.toml");
        std::fs::write(&path, text).expect("written");
        let mut process = Command::new(env!("CARGO_BIN_EXE_guard-alone"))
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the guard starts");
        let (sender, lines) = channel();
        let out = BufReader::new(process.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).expect("a line of JSON");
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut guard = Self {
            process,
            lines,
            seen: Vec::new(),
            pins,
            _config: folder,
        };
        let ready = guard.line(|line| line["event"] == "ready");
        let lost = ready["lost"].to_string();
        assert!(!lost.contains("wire"), "{lost}");
        guard
    }

    /// The first line that has not been asked for and is so.
    fn line(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.iter().position(&is) {
                return self.seen.remove(at);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no such line ({error}): {:#?}", self.seen),
            }
        }
    }

    fn line_of(&mut self, pid: u32) -> Value {
        self.line(|line| line["pid"] == pid)
    }

    fn kill_9(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(pins) = &self.pins {
            let _ = davylamp_guard::agent::detach(pins);
            let _ = std::fs::remove_dir_all(pins);
        }
    }
}

/// A process in the cgroup, and what became of it.
struct Talk {
    pid: u32,
    status: ExitStatus,
    said: String,
}

impl Talk {
    fn was_killed(&self) -> bool {
        self.status.signal() == Some(libc::SIGKILL)
    }
}

fn begin(cgroup: &Cgroup, program: &Path, script: &str) -> Child {
    let procs: OwnedFd = cgroup.procs().expect("its list");
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    // SAFETY: only write(2) is called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let done = libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1);
            if done == 1 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
    let mut child = command.spawn().expect("the stand-in starts");
    let mut input = child.stdin.take().expect("piped");
    // It may die before it has read all.
    let _ = input.write_all(script.as_bytes());
    child
}

fn talk(cgroup: &Cgroup, script: &str) -> Talk {
    talk_by(cgroup, Path::new(env!("CARGO_BIN_EXE_wire-talk")), script)
}

fn talk_by(cgroup: &Cgroup, program: &Path, script: &str) -> Talk {
    finish(begin(cgroup, program, script))
}

fn finish(child: Child) -> Talk {
    let pid = child.id();
    let output = child.wait_with_output().expect("it ends");
    Talk {
        pid,
        status: output.status,
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sends a message in pieces of this length, then waits for the other side to end.
fn script(to: &Listener, message: &[u8], piece: usize) -> String {
    let mut script = format!("connect {}\n", to.address);
    for piece in message.chunks(piece) {
        script.push_str(&format!("send {}\n", hex(piece)));
    }
    script + "end\n"
}

/// Within a cgroup of its own, with the wire watched there.
fn wire(cgroup: &Cgroup, more: &str) -> String {
    format!("[guard.wire]\ncgroup = \"{}\"\n{more}", cgroup.path())
}

#[test]
fn every_handshake_is_cut_off_and_its_speaker_killed() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut guard = Guard::start(&wire(&cgroup, ""));
    for address in ["127.0.0.1:0", "[::1]:0"] {
        for (name, message) in handshakes() {
            for piece in [message.len(), 1, 7] {
                let server = Listener::tcp(address, b"").expect("a server");
                let talk = talk(&cgroup, &script(&server, &message, piece));
                assert!(talk.was_killed(), "{name} by {piece}: {:?}", talk.status);
                let line = guard.line_of(talk.pid);
                assert_eq!(line["action"], "killed", "{name}: {line:#}");
                assert_eq!(line["detection"], "pool-protocol", "{name}: {line:#}");
                assert_eq!(line["source"], "davylamp.wire");
                assert_eq!(line["evidence"]["pool"], server.address.to_string());
                assert_eq!(line["evidence"]["direction"], "sent");
                assert_eq!(line["evidence"]["role"], "client");
                assert!(
                    line["exe"]
                        .as_str()
                        .is_some_and(|exe| exe.ends_with("/wire-talk"))
                );
                assert_eq!(line["cgroup"], cgroup.path());
                if name == "login" && piece == message.len() {
                    assert_eq!(line["evidence"]["wallet"], WALLET);
                    assert_eq!(line["evidence"]["worker"], "rig7");
                    assert_eq!(line["evidence"]["algorithm"], "rx/0 cn/r");
                    assert_eq!(line["evidence"]["agent"], "stand-in/1.0");
                    assert_eq!(line["evidence"]["method"], "login");
                }
                // The segment that completed it reached nobody.
                let heard = server.heard().concat();
                assert!(heard.len() < message.len(), "{name} by {piece}");
                assert!(message.starts_with(&heard), "{name} by {piece}");
                assert_eq!(heard.len() % piece, 0, "{name} by {piece}");
            }
        }
    }
}

#[test]
fn a_job_that_comes_in_ends_who_receives_it() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut guard = Guard::start(&wire(&cgroup, ""));
    let server = Listener::tcp("127.0.0.1:0", JOB).expect("a server");
    let talk = talk(
        &cgroup,
        &format!("connect {}\nexpect 10\nsay heard\n", server.address),
    );
    assert!(talk.was_killed(), "{:?}", talk.status);
    assert_eq!(talk.said, "", "the job did not arrive");
    let line = guard.line_of(talk.pid);
    assert_eq!(line["evidence"]["direction"], "received", "{line:#}");
}

#[test]
fn a_proxy_that_listens_is_ended_by_what_it_is_told() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut guard = Guard::start(&wire(&cgroup, ""));
    let program = Path::new(env!("CARGO_BIN_EXE_wire-talk"));
    let mut child = begin(
        &cgroup,
        program,
        "listen 127.0.0.1:0\nexpect 10\nsay heard\n",
    );
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut address = String::new();
    out.read_line(&mut address).expect("its address");
    let mut stream = std::net::TcpStream::connect(address.trim()).expect("it listens");
    let (_, message) = handshakes().swap_remove(4);
    stream.write_all(&message).expect("sent");
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    let line = guard.line_of(child.id());
    assert_eq!(line["evidence"]["role"], "server", "{line:#}");
    assert_eq!(line["evidence"]["wallet"], WALLET);
}

#[test]
fn what_others_say_arrives() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let guard = Guard::start(&wire(&cgroup, ""));
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    for (name, message) in near_misses() {
        for piece in [message.len(), 1, 7] {
            if message.len() / piece > 2000 {
                continue;
            }
            let talk = talk(&cgroup, &script(&server, &message, piece));
            assert!(
                talk.status.success(),
                "{name} by {piece}: {:?}",
                talk.status
            );
            let heard = server.heard().pop().expect("somebody came");
            assert_eq!(heard, message, "{name} by {piece}");
        }
    }
    let said: Vec<Value> = guard.lines.try_iter().collect();
    assert_eq!(said, Vec::<Value>::new());
}

#[test]
fn outside_of_the_cgroup_nobody_is_listened_to() {
    let (watched, other) = (
        Cgroup::new().expect("a cgroup"),
        Cgroup::new().expect("another"),
    );
    let _guard = Guard::start(&wire(&watched, ""));
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    let (_, message) = handshakes().swap_remove(0);
    let talk = talk(&other, &script(&server, &message, message.len()));
    assert!(talk.status.success(), "{:?}", talk.status);
}

#[test]
fn in_a_network_of_its_own_it_is_heard_as_well() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut guard = Guard::start(&wire(&cgroup, ""));
    let (_, message) = handshakes().swap_remove(4);
    let talk = talk(
        &cgroup,
        &format!("apart\nitself\nsend {}\nend\nsay heard\n", hex(&message)),
    );
    assert!(talk.was_killed(), "{:?}", talk.status);
    assert_eq!(talk.said, "");
    let line = guard.line_of(talk.pid);
    assert_eq!(line["evidence"]["wallet"], WALLET, "{line:#}");
}

#[test]
fn over_its_ceiling_a_detection_only_observes_and_shouts() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let places = ["one", "two", "three"].map(|name| cgroup.within(name).expect("a cgroup"));
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    let (_, message) = handshakes().swap_remove(4);
    let speak = |place: usize| talk(&places[place], &script(&server, &message, message.len()));
    let breaker = "[guard.breaker]\nper_rule = 2\n";
    let mut guard = Guard::start(&wire(&cgroup, breaker));

    assert!(speak(0).was_killed());
    assert!(speak(1).was_killed());
    let third = speak(2);
    assert!(third.status.success(), "{:?}", third.status);
    assert_eq!(
        server.heard().last(),
        Some(&message),
        "nothing of it is dropped"
    );
    let line = guard.line_of(third.pid);
    assert_eq!(line["action"], "would-kill", "{line:#}");
    let shout = guard.line(|line| line["rule"] == "pool-protocol");
    assert_eq!(shout["rule_kind"], "detection", "{shout:#}");
    assert_eq!(shout["victims"], 2, "{shout:#}");

    // Who was counted stays killed.
    assert!(speak(1).was_killed());
}

#[test]
fn the_addresses_of_pools_are_told_with_their_ports_and_networks() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let [known, beside, within, outside] =
        ["127.0.0.1:0", "127.0.0.1:0", "127.66.9.9:0", "127.67.0.1:0"]
            .map(|address| Listener::tcp(address, b"").expect("a server"));
    let set = tempfile::Builder::new().suffix(".csv").tempfile();
    let mut set = set.expect("a file");
    write!(
        set,
        "kind,value,confidence,sources,licences\n\
         address_port,{},low,this-test,CC0-1.0\nnetwork,127.66.0.0/16,low,this-test,CC0-1.0\n",
        known.address
    )
    .expect("written");
    let indicators = format!("indicators = [\"{}\"]", set.path().display());
    // By itself it is too weak to be told.
    let policy = "[guard.policy]\nalert = 10\n";
    let mut guard = Guard::start_with(&indicators, &wire(&cgroup, policy), None);
    let reach = |server: &Listener| {
        let talk = talk(&cgroup, &script(server, b"hello", 5));
        assert!(talk.status.success(), "{:?}", talk.status);
        talk.pid
    };
    for server in [&beside, &outside] {
        reach(server);
    }
    for server in [&known, &within] {
        let pid = reach(server);
        let line = guard.line(|line| line["source"] == "davylamp.wire");
        assert_eq!(line["pid"], pid, "{line:#}");
        assert_eq!(line["detection"], "pool-address");
        assert_eq!(line["action"], "alerted");
        assert_eq!(line["evidence"]["pool"], server.address.to_string());
    }
}

#[test]
fn encrypted_questions_for_names_are_told_where_somebody_wants_it() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    let by_tls = Listener::tcp("127.9.8.5:853", b"").expect("a name server");
    let speak = |to: &Listener, message: &[u8], piece| {
        let talk = talk(&cgroup, &script(to, message, piece));
        assert!(talk.status.success(), "{:?}", talk.status);
        talk.pid
    };
    let resolver = client_hello(Some("DNS.google"));
    // By itself it is too weak to be told.
    let policy = "[guard.policy]\nalert = 10\n";
    {
        let guard = Guard::start(&wire(&cgroup, policy));
        speak(&server, &resolver, 5);
        speak(&by_tls, &client_hello(None), 5);
        assert_eq!(guard.lines.try_iter().count(), 0);
    }
    let wanted = format!("encrypted_dns = \"alert\"\n{policy}");
    let mut guard = Guard::start(&wire(&cgroup, &wanted));
    for message in [client_hello(Some("pypi.org")), b"hello".to_vec()] {
        speak(&server, &message, 5);
    }
    speak(&by_tls, b"hello", 5);
    for piece in [7, resolver.len()] {
        let pid = speak(&server, &resolver, piece);
        let line = guard.line(|line| line["source"] == "davylamp.wire");
        assert_eq!(line["pid"], pid, "{line:#}");
        assert_eq!(line["detection"], "encrypted-dns");
        assert_eq!(line["matched"], "dns.google");
        assert_eq!(line["action"], "alerted");
    }
    let pid = speak(&by_tls, &client_hello(None), 7);
    let line = guard.line(|line| line["source"] == "davylamp.wire");
    assert_eq!(line["pid"], pid, "{line:#}");
    assert_eq!(line["matched"], by_tls.address.to_string());
}

#[test]
fn who_only_observes_drops_nothing() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut guard = Guard::start_with("mode = \"observe\"", &wire(&cgroup, ""), None);
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    let (_, message) = handshakes().swap_remove(4);
    let talk = talk(&cgroup, &script(&server, &message, message.len()));
    assert!(talk.status.success(), "{:?}", talk.status);
    assert_eq!(server.heard(), [message]);
    let line = guard.line_of(talk.pid);
    assert_eq!(line["action"], "would-kill", "{line:#}");
}

#[test]
fn what_is_protected_is_spared_and_told() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    let (_, message) = handshakes().swap_remove(4);
    let program = env!("CARGO_BIN_EXE_wire-talk");
    for protection in [
        format!("cgroups = [\"{}\"]", cgroup.path()),
        format!("executables = [\"{program}\"]"),
    ] {
        let config = wire(&cgroup, &format!("[guard.protect]\n{protection}\n"));
        let mut guard = Guard::start(&config);
        let talk = talk(&cgroup, &script(&server, &message, message.len()));
        assert!(talk.status.success(), "{protection}: {:?}", talk.status);
        let line = guard.line_of(talk.pid);
        assert_eq!(line["action"], "spared", "{line:#}");
    }
}

#[test]
fn with_the_agent_dead_it_goes_on_by_its_pins() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let pins = PathBuf::from(format!("/sys/fs/bpf/davytest-wire-{}", std::process::id()));
    let mut guard = Guard::start_with("", &wire(&cgroup, ""), Some(pins));
    guard.kill_9();
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    for (name, message) in handshakes() {
        let talk = talk(&cgroup, &script(&server, &message, 5));
        assert!(talk.was_killed(), "{name}: {:?}", talk.status);
    }
}

#[test]
fn the_names_of_pools_are_dropped_and_told() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut guard = Guard::start(&wire(&cgroup, ""));
    let names = Listener::names("127.9.8.7:53", [127, 0, 0, 1]).expect("a name server");
    let server = Listener::tcp("127.0.0.1:0", b"").expect("a server");
    let by_tcp = Listener::tcp("127.9.8.7:53", b"").expect("a name server");
    for name in [
        "xmr.2miners.com",
        "2MINERS.com",
        "a.b.c.d.e.xmr.2Miners.Com",
    ] {
        let script_of = format!("ask {} {}\n", names.address, hex(&question(name)));
        let asked = talk(&cgroup, &script_of);
        assert_eq!(asked.said, "silence\n", "{name}");
        assert!(asked.status.success(), "by this policy nobody is killed");
        let line = guard.line_of(asked.pid);
        assert_eq!(line["detection"], "pool-name", "{line:#}");
        assert_eq!(line["action"], "alerted", "{line:#}");
        assert_eq!(line["matched"], name.to_ascii_lowercase(), "{line:#}");
        assert_eq!(line["evidence"]["dropped"], true, "{line:#}");

        let message = question(name);
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        for (to, message) in [(&by_tcp, framed), (&server, client_hello(Some(name)))] {
            let before = to.heard().len();
            let script_of = script(to, &message, 3).replace("end\n", "");
            let talked = talk(&cgroup, &script_of);
            let line = guard.line_of(talked.pid);
            assert_eq!(line["detection"], "pool-name", "{line:#}");
            assert_eq!(line["matched"], name.to_ascii_lowercase(), "{line:#}");
            let heard = to.heard().get(before).cloned().unwrap_or_default();
            assert!(heard.len() < message.len(), "{name}");
        }
    }
    assert_eq!(names.heard(), Vec::<Vec<u8>>::new());
    for name in [
        "not2miners.com",
        "2miners.com.example.org",
        "pypi.org",
        "com",
    ] {
        let script_of = format!("ask {} {}\n", names.address, hex(&question(name)));
        assert_eq!(talk(&cgroup, &script_of).said, "answered\n", "{name}");
        let hello = client_hello(Some(name));
        assert!(
            talk(&cgroup, &script(&server, &hello, hello.len()))
                .status
                .success()
        );
        assert_eq!(server.heard().pop(), Some(hello));
    }
}

#[test]
fn a_flow_is_tied_to_the_name_that_led_there() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let mut guard = Guard::start(&wire(&cgroup, ""));
    let names = Listener::names("127.9.8.6:53", [127, 0, 0, 9]).expect("a name server");
    let server = Listener::tcp("127.0.0.9:0", b"").expect("a server");
    let asks = format!(
        "ask {} {}\n",
        names.address,
        hex(&question("Harmless.Example.org"))
    );
    assert_eq!(talk(&cgroup, &asks).said, "answered\n");
    let (_, message) = handshakes().swap_remove(0);
    let talked = talk(&cgroup, &script(&server, &message, message.len()));
    assert!(talked.was_killed());
    let line = guard.line_of(talked.pid);
    assert_eq!(
        line["evidence"]["pool_name"], "harmless.example.org",
        "{line:#}"
    );
}

#[test]
fn who_reaches_too_many_destinations_is_ended_and_so_is_who_reaches_a_banned_one() {
    let cgroup = Cgroup::new().expect("a cgroup");
    let list = tempfile::NamedTempFile::new().expect("a list");
    std::fs::write(list.path(), "# banned\n127.77.0.0/16\n").expect("written");
    let flows = format!(
        "[guard.flows]\nbanned_ipv4_file = \"{}\"\nunique_destinations_threshold = 5\n\
         lookback_duration_seconds = 10\nprivate_destinations = true\n",
        list.path().display()
    );
    let mut guard = Guard::start(&wire(&cgroup, &flows));
    let listener = std::net::TcpListener::bind("0.0.0.0:0").expect("a server");
    let port = listener.local_addr().expect("it listens").port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let connects = |numbers: std::ops::Range<u8>| -> String {
        numbers
            .map(|n| format!("connect 127.5.5.{n}:{port}\n"))
            .collect()
    };
    let few = talk(&cgroup, &connects(1..6).repeat(3));
    assert!(few.status.success(), "{:?}", few.status);
    // It waits for its end behind the last.
    let many = connects(1..8) + &format!("connect 127.5.5.8:{port}\nlisten 127.0.0.1:0\n");
    let many = talk(&cgroup, &many);
    assert!(many.was_killed(), "{:?}", many.status);
    let line = guard.line_of(many.pid);
    assert_eq!(line["detection"], "many-destinations", "{line:#}");
    assert_eq!(line["evidence"]["destinations"], 6, "{line:#}");

    let banned = talk(
        &cgroup,
        &format!("connect 127.77.1.1:{port}\nsay reached\n"),
    );
    assert!(banned.was_killed(), "{:?}", banned.status);
    assert_eq!(banned.said, "");
    let line = guard.line_of(banned.pid);
    assert_eq!(line["detection"], "banned-address", "{line:#}");
}

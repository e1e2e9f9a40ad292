//! The sandbox on the kernel it runs on, by what a process managed to do inside it. Run as root,
//! as the guard itself is.
//!
//! Each scenario runs in a forked child, which has one thread, as the agent has at that point.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use davylamp_guard::metrics::{AgentCounts, Health, KernelCounts, Source};
use davylamp_guard::sandbox::{
    AGENT_CAPABILITIES, Capability, SandboxError, attempt_forbidden, drop_capabilities,
    install_seccomp, verify,
};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Runs `scenario` in a forked child and gives back what it says. A panic in it is one here.
fn in_child(scenario: impl FnOnce() -> String) -> String {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests drop capabilities: run as root"
    );
    let (mut from, mut to) = std::io::pipe().unwrap();
    // SAFETY: the child runs on a copy of this thread alone. nextest runs one test to a process and
    // the harness's other thread only waits, so no lock it needs is held; the C library takes care
    // of its own allocator at fork. It leaves by _exit, so no destructor of the parent's runs.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        drop(from);
        let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scenario));
        let (code, text) = match said {
            Ok(text) => (0, text),
            Err(_) => (1, "panicked".to_owned()),
        };
        let wrote = to.write_all(text.as_bytes());
        // SAFETY: ends this process and nothing else.
        unsafe { libc::_exit(if wrote.is_ok() { code } else { 2 }) }
    }
    drop(to);
    let mut said = String::new();
    from.read_to_string(&mut said).unwrap();
    let mut status = 0;
    // SAFETY: `child` is ours and not waited for yet, and `status` outlives the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "{said}");
    said
}

fn sandboxed(scenario: impl FnOnce() -> String) -> String {
    in_child(|| {
        drop_capabilities(AGENT_CAPABILITIES).unwrap();
        install_seccomp().unwrap();
        scenario()
    })
}

/// A process of nobody's that sleeps until it is killed.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        const NOBODY: u32 = 65534;
        let mut command = Command::new("sleep");
        Self(command.arg("300").uid(NOBODY).spawn().unwrap())
    }

    fn kill_by_pidfd(&self) -> rustix::io::Result<()> {
        let pid = Pid::from_raw(self.0.id().cast_signed()).unwrap();
        pidfd_send_signal(pidfd_open(pid, PidfdFlags::empty())?, Signal::KILL)
    }

    /// Readable with CAP_SYS_PTRACE, and CAP_DAC_READ_SEARCH since it is another user's.
    fn environment(&self) -> std::io::Result<Vec<u8>> {
        std::fs::read(format!("/proc/{}/environ", self.0.id()))
    }

    fn running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may have been killed already, which is what some of the tests want.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn forbidden_calls_are_refused() {
    let refused = sandboxed(|| {
        verify().unwrap();
        let attempts = attempt_forbidden();
        assert!(
            attempts.iter().all(|attempt| attempt.refused()),
            "{attempts:?}"
        );
        attempts.len().to_string()
    });
    assert!(refused.parse::<usize>().unwrap() > 30, "{refused}");
}

/// The attempts tell a filter from its absence: a root without one gets other answers.
#[test]
fn without_a_filter_the_same_attempts_are_not_refused() {
    let said = in_child(|| {
        let refused = attempt_forbidden()
            .into_iter()
            .filter(|attempt| attempt.refused());
        let names: Vec<_> = refused.map(|attempt| attempt.call).collect();
        assert!(matches!(verify(), Err(SandboxError::Leaks { .. })));
        names.join(",")
    });
    assert_eq!(said, "");
}

#[test]
fn nothing_can_be_executed_or_forked() {
    let said = sandboxed(|| {
        let error = Command::new("/bin/true").status().unwrap_err();
        // SAFETY: if a child came of it, it would leave at once.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            // SAFETY: ends the child that should not be.
            unsafe { libc::_exit(0) }
        }
        assert_eq!(forked, -1);
        let mapped = |protection| {
            // SAFETY: a fresh private page at the kernel's choice of place.
            unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    4096,
                    protection,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            }
        };
        let page = mapped(libc::PROT_READ | libc::PROT_WRITE);
        assert_ne!(page, libc::MAP_FAILED);
        // SAFETY: the page was mapped above and nothing lies in it.
        let protected = unsafe { libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC) };
        assert_eq!(protected, -1);
        assert_eq!(mapped(libc::PROT_READ | libc::PROT_EXEC), libc::MAP_FAILED);
        format!("{:?}", error.raw_os_error())
    });
    assert_eq!(said, format!("{:?}", Some(libc::EPERM)));
}

#[test]
fn capabilities_are_gone_from_every_set() {
    let said = in_child(|| {
        let dropped = drop_capabilities(&[Capability::CAP_KILL]).unwrap();
        assert_eq!((dropped.absent, dropped.bounding_left), (vec![], vec![]));
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let wanted = [
            "CapInh",
            "CapPrm",
            "CapEff",
            "CapBnd",
            "CapAmb",
            "NoNewPrivs",
        ];
        let lines = status
            .lines()
            .filter(|line| wanted.iter().any(|name| line.starts_with(name)));
        lines.collect::<Vec<_>>().join("\n").replace('\t', "")
    });
    let zero = "0".repeat(16);
    let kill = format!("{:016x}", 1 << 5);
    assert_eq!(
        said,
        format!(
            "CapInh:{zero}\nCapPrm:{kill}\nCapEff:{kill}\nCapBnd:{zero}\nCapAmb:{zero}\nNoNewPrivs:1"
        )
    );
}

#[test]
fn what_was_dropped_does_not_come_back_by_exec() {
    let said = in_child(|| {
        drop_capabilities(&[]).unwrap();
        let output = Command::new("grep")
            .args(["CapEff", "/proc/self/status"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    assert_eq!(
        said.split_whitespace().nth(1),
        Some("0000000000000000"),
        "{said}"
    );
}

#[test]
fn a_capability_that_was_not_there_is_named() {
    let said = in_child(|| {
        drop_capabilities(&[Capability::CAP_KILL]).unwrap();
        let again = drop_capabilities(&[Capability::CAP_KILL, Capability::CAP_BPF]).unwrap();
        format!("{:?}", again.absent)
    });
    assert_eq!(said, "[CAP_BPF]");
}

#[test]
fn a_second_thread_is_an_error_and_changes_nothing() {
    let said = in_child(|| {
        let before = caps::read(None, caps::CapSet::Permitted).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || stopped.recv());
        let error = drop_capabilities(&[]).unwrap_err();
        assert!(
            matches!(error, SandboxError::Threads { count: 2 }),
            "{error:?}"
        );
        assert_eq!(caps::read(None, caps::CapSet::Permitted).unwrap(), before);
        drop(stop);
        assert!(other.join().unwrap().is_err());
        error.hint().to_owned()
    });
    assert!(said.contains("before the first thread"), "{said}");
}

#[test]
fn others_are_signalled_and_read_by_what_is_kept() {
    let mut sleeper = Sleeper::start();
    sandboxed(|| {
        assert!(!sleeper.environment().unwrap().is_empty());
        sleeper.kill_by_pidfd().unwrap();
        String::new()
    });
    let status = sleeper.0.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(libc::SIGKILL)
    );
    assert!(!sleeper.running());
}

#[test]
fn without_them_others_are_out_of_reach() {
    let mut sleeper = Sleeper::start();
    let said = in_child(|| {
        drop_capabilities(&[]).unwrap();
        install_seccomp().unwrap();
        let environment = sleeper.environment().unwrap_err();
        let killed = sleeper.kill_by_pidfd().unwrap_err();
        let map = create_map().unwrap_err();
        let killed = killed == rustix::io::Errno::PERM;
        format!("{:?} {killed} {:?}", environment.kind(), map.kind())
    });
    assert_eq!(said, "PermissionDenied true PermissionDenied");
    assert!(sleeper.running());
}

fn create_map() -> libbpf_rs::Result<MapHandle> {
    let options = libbpf_rs::libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>()
            as libbpf_rs::libbpf_sys::size_t,
        ..Default::default()
    };
    MapHandle::create(MapType::Hash, Some("sandboxed"), 4, 8, 16, &options)
}

#[test]
fn maps_are_made_filled_and_read() {
    let said = sandboxed(|| {
        let map = create_map().unwrap();
        map.update(&7_u32.to_ne_bytes(), &9_u64.to_ne_bytes(), MapFlags::ANY)
            .unwrap();
        let found = map
            .lookup(&7_u32.to_ne_bytes(), MapFlags::ANY)
            .unwrap()
            .unwrap();
        assert_eq!(map.keys().count(), 1);
        u64::from_ne_bytes(found.try_into().unwrap()).to_string()
    });
    assert_eq!(said, "9");
}

#[test]
fn files_watches_threads_and_timers_work() {
    let dir = tempfile::tempdir().unwrap();
    let said = sandboxed(|| {
        let watch = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).unwrap();
        rustix::fs::inotify::add_watch(&watch, dir.path(), rustix::fs::inotify::WatchFlags::CREATE)
            .unwrap();
        let (new, list) = (dir.path().join("new"), dir.path().join("list"));
        std::fs::write(&new, "x").unwrap();
        std::fs::rename(&new, &list).unwrap();
        assert_eq!(std::fs::read(&list).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(
            std::fs::canonicalize("/proc/self/exe")
                .unwrap()
                .is_absolute()
        );
        std::fs::remove_file(&list).unwrap();
        let mut event = [0_u8; 256];
        assert!(rustix::io::read(&watch, &mut event).unwrap() > 0);

        let threads: Vec<_> = (0..4)
            .map(|index| {
                let thread = std::thread::Builder::new().name(format!("worker{index}"));
                // More than an allocator hands out from what it has.
                thread.spawn(move || vec![index; 1 << 20].len()).unwrap()
            })
            .collect();
        let sum: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(sum)));
        caught
            .unwrap_err()
            .downcast_ref::<usize>()
            .unwrap()
            .to_string()
    });
    assert_eq!(said, (4 << 20).to_string());
}

struct Nothing;

impl Source for Nothing {
    fn kernel_counts(&self) -> Option<KernelCounts> {
        None
    }

    fn agent_counts(&self) -> AgentCounts {
        AgentCounts::default()
    }

    fn health(&self) -> Health {
        Health {
            since_beat: Duration::ZERO,
            attached: true,
            list_in_force: true,
        }
    }
}

/// The server the agent runs, under the filter, spoken to from outside it.
#[test]
fn a_web_server_runs_under_the_filter() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let said = sandboxed(|| {
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(own.as_raw_fd() > 0);
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let server = davylamp_guard::http::serve(listener, Arc::new(Nothing), true);
            let comm = tokio::fs::read_to_string("/proc/self/comm").await.unwrap();
            assert!(!comm.is_empty());
            let client = tokio::task::spawn_blocking(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                stream
                    .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    .unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            });
            let mut usr1 =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())
                    .unwrap();
            rustix::process::kill_process(rustix::process::getpid(), Signal::USR1).unwrap();
            usr1.recv().await.unwrap();
            tokio::select! {
                answer = client => answer.unwrap(),
                never = server => match never {},
                () = tokio::time::sleep(Duration::from_secs(20)) => "no answer".to_owned(),
            }
        })
    });
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    assert!(
        said.contains("\ndavylamp_guard_agent_resident_memory_bytes "),
        "{said}"
    );
    assert!(
        said.contains("\ndavylamp_guard_agent_cpu_seconds_total "),
        "{said}"
    );
}

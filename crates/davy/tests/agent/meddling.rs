//! Held processes that somebody meddles with: nothing of them runs.

use crate::{
    holds::{LONG, allowed, forbidden, hold, scene},
    support::{Run, assemble, kill, state, until, witness},
};

#[test]
fn a_held_process_that_somebody_continues_dies_unrun() {
    let scene = scene(LONG);
    let mut guard = scene.guard();
    let [run] = hold(&guard, || [forbidden(&scene)]);
    let pid = run.pid();
    kill(pid, libc::SIGCONT);
    assert!(run.end().died_unrun());
    guard.resume();
    let line = guard.wait_action(pid, "killed");
    assert_eq!(
        line["reason"],
        "somebody else continued it while it was held"
    );
    assert_ne!(line["cmdline"], "");
    assert_eq!(guard.actions(pid), ["held", "killed"]);
}

#[test]
fn a_storm_of_continue_signals_lets_nobody_run() {
    const ATTEMPTS: usize = 1000;
    let scene = scene(LONG);
    let mut guard = scene.guard();
    let mut last = 0;
    for attempt in 0..ATTEMPTS {
        let run = forbidden(&scene);
        last = run.pid();
        // Signals before it stops, while it stops and after that.
        let mut run = run;
        while run.child.try_wait().expect("wait").is_none() {
            kill(last, libc::SIGCONT);
        }
        let seen = run.end();
        assert!(seen.died_unrun(), "attempt {attempt}: {seen:?}");
    }
    guard.wait_action(last, "killed");
}

#[test]
fn a_held_process_that_somebody_kills_is_forgotten() {
    let scene = scene(LONG);
    let mut guard = scene.guard();
    let [run] = hold(&guard, || [allowed(&scene)]);
    let pid = run.pid();
    kill(pid, libc::SIGKILL);
    assert!(run.end().died_unrun());
    guard.resume();
    let line = guard.wait("it was ended by somebody else", |line| {
        line["pid"] == pid && line["action"] != "held"
    });
    assert_eq!(
        line["reason"],
        "it was ended by somebody else while it was held"
    );
    // And holding goes on.
    assert!(allowed(&scene).end().ran());
}

/// A page fault is what tells that a held process was continued. Where none would come, it cannot
/// be held.
#[test]
fn a_program_that_would_run_without_a_fault_is_not_held() {
    for verdict in ["kill", "spare"] {
        let scene = scene(&format!("{LONG}verdict = \"{verdict}\"\n"));
        let mapped = scene.path("mapped");
        assemble("first_write_mapped.S", &mapped, &["-Wl,-N"]);
        assert!(Run::program(&mapped, &["benign"]).end().ran(), "it works");
        let mut guard = scene.guard();
        guard.pause();
        let run = Run::program(&mapped, &["asks", "12x", &scene.banned]);
        let pid = run.pid();
        until("it is held or dead", || {
            matches!(state(pid), Some('T' | 'Z'))
        });
        kill(pid, libc::SIGCONT);
        assert!(run.end().died_unrun());
        guard.resume();
        let line = guard.wait_action(pid, "killed");
        assert_eq!(line["reason"], "it could not be held safely");
    }
}

#[test]
fn ordinary_programs_can_be_held() {
    let scene = scene(LONG);
    let mut guard = scene.guard();
    for program in ["/bin/true", "/bin/sh", "/usr/bin/env"] {
        let run = Run::program(program.as_ref(), &["asks", "12", &scene.banned]);
        let pid = run.pid();
        run.end();
        guard.wait_action(pid, "spared");
        assert_eq!(guard.actions(pid), ["held", "spared"], "{program}");
    }
}

/// Runs the witness under a debugger that withholds every signal and has its first page mapped.
#[test]
fn a_traced_process_dies_unrun() {
    let scene = scene(LONG);
    let guard = scene.guard();
    for _ in 0..20 {
        let mut command = std::process::Command::new(witness());
        std::os::unix::process::CommandExt::arg0(&mut command, "asks");
        command.args(["12x", &scene.banned]);
        // SAFETY: ptrace(PTRACE_TRACEME) is one system call and touches no memory.
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, || {
                match libc::ptrace(libc::PTRACE_TRACEME) {
                    -1 => Err(std::io::Error::last_os_error()),
                    _ => Ok(()),
                }
            });
        }
        let run = Run::command(command);
        let pid = run.pid() as libc::pid_t;
        let entry = fs_entry(witness());
        let mut status = 0;
        // SAFETY: the child is this thread's own; the pointers are to an int, or to nothing where
        // the request ignores them; the traced address is only read in the child.
        let signal = unsafe {
            loop {
                assert_eq!(libc::waitpid(pid, &raw mut status, libc::__WALL), pid);
                if !libc::WIFSTOPPED(status) {
                    break libc::WTERMSIG(status);
                }
                libc::ptrace(libc::PTRACE_PEEKTEXT, pid, entry, 0);
                libc::ptrace(libc::PTRACE_CONT, pid, 0, 0);
            }
        };
        assert!(libc::WIFSIGNALED(status), "{status:#x}");
        assert_eq!((signal, run.wrote_so_far()), (libc::SIGKILL, 0));
    }
    drop(guard);
}

/// The address of a program's first instruction (`e_entry` of elf(5)).
fn fs_entry(program: &std::path::Path) -> u64 {
    let bytes = std::fs::read(program).expect("the program");
    u64::from_le_bytes(bytes[24..32].try_into().expect("eight bytes"))
}

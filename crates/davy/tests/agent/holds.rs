//! Holds: a process stopped before its first instruction until somebody decides.

use std::time::{Duration, Instant};

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use serde_json::{Value, json};

use crate::support::{Guard, Run, Scene, assemble, kill, state, until, witness};

/// Slack over a deadline on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// The agent is given this long; much longer than anything here takes, but for the deadline tests.
const LONG: &str = "[guard.hold]\ndeadline_ms = 60000\n";

/// Spares `asks N …` for a number N, which only user space can tell.
fn asking() -> Value {
    json!("asks [0-9]+ ")
}

fn scene(tables: &str) -> Scene {
    let scene = Scene::new();
    scene.ban(&[asking()]);
    scene.configure(tables);
    scene
}

/// A witness whose command line the allow pattern spares.
fn allowed(scene: &Scene) -> Run {
    Run::witness(&["asks", "12", &scene.banned])
}

/// A witness that must be held too, and that the pattern does not spare.
fn forbidden(scene: &Scene) -> Run {
    Run::witness(&["asks", "12x", &scene.banned])
}

/// Stops the agent and has these held; again if the agent's word ran out meanwhile, as it may on a
/// busy machine.
fn hold<const N: usize>(guard: &Guard, start: impl Fn() -> [Run; N]) -> [Run; N] {
    for _ in 0..20 {
        guard.pause();
        let runs = start();
        let settled = |run: &Run| matches!(state(run.pid()), Some('T' | 'Z'));
        until("each is held or dead", || runs.iter().all(settled));
        if runs.iter().all(|run| state(run.pid()) == Some('T')) {
            return runs;
        }
        guard.resume();
        for run in runs {
            run.end();
        }
    }
    panic!("the agent's word never lasts long enough");
}

#[test]
fn an_expression_is_asked_while_the_process_is_held() {
    let scene = scene(LONG);
    let mut guard = scene.guard();
    let run = allowed(&scene);
    let pid = run.pid();
    assert!(run.end().ran());
    let line = guard.wait_action(pid, "spared");
    assert_eq!(line["allowedby"], "allowed-pattern:asks [0-9]+ ");
    assert_eq!(line["source"], "davylamp.hold");
    assert!(line["hold_ns"].as_u64().is_some_and(|ns| ns > 0), "{line}");
    assert_eq!(guard.actions(pid), ["held", "spared"]);

    let run = forbidden(&scene);
    let pid = run.pid();
    assert!(run.end().died_unrun());
    let line = guard.wait_action(pid, "killed");
    assert_eq!(line["matched"], scene.banned);
    assert_eq!(guard.actions(pid), ["held", "killed"]);

    // Nothing in the pattern can apply here, so nobody is asked.
    let run = Run::witness(&["other", "12", &scene.banned]);
    let pid = run.pid();
    assert!(run.end().died_unrun());
    guard.wait_action(pid, "killed");
    assert_eq!(guard.actions(pid), ["killed"]);
}

#[test]
fn nothing_is_written_while_the_process_is_held() {
    let scene = scene(LONG);
    let guard = scene.guard();
    let [mut run] = hold(&guard, || [allowed(&scene)]);
    assert_eq!(run.wrote_so_far(), 0);
    assert!(run.child.try_wait().expect("wait").is_none());
    guard.resume();
    assert!(run.end().ran());
}

#[test]
fn literal_patterns_are_decided_in_the_kernel() {
    let scene = Scene::new();
    scene.ban(&[json!("literal tool "), json!("open tool.*")]);
    let mut guard = scene.guard();
    for words in [
        ["literal", "tool", &scene.banned],
        ["open", "tool", &scene.banned],
        ["LITERAL", "Tool", &scene.banned],
    ] {
        let run = Run::witness(&words);
        let pid = run.pid();
        assert!(run.end().ran(), "{words:?}");
        let line = guard.wait_action(pid, "spared");
        assert!(line["allowedby"].as_str().is_some_and(|by| by.starts_with("allowed-pattern:")));
        assert_eq!(line["source"], "davylamp.exec");
        assert_eq!(guard.actions(pid), ["spared"], "{words:?}");
    }
    let run = Run::witness(&["literal", "tools", &scene.banned]);
    assert!(run.end().died_unrun());
}

/// The deadline of a test with a stopped agent; shorter than the agent's word lasts.
const DEADLINE: Duration = Duration::from_millis(300);

fn settled_by_the_kernel(verdict: &str) -> (Value, Vec<String>, crate::support::Seen) {
    let scene = scene(&format!(
        "[guard.hold]\ndeadline_ms = {}\nverdict = \"{verdict}\"\n",
        DEADLINE.as_millis()
    ));
    let mut guard = scene.guard();
    guard.pause();
    let began = Instant::now();
    let run = forbidden(&scene);
    let pid = run.pid();
    let seen = run.end();
    let took = began.elapsed();
    assert!(took < DEADLINE + SLACK, "it took {took:?}");
    guard.resume();
    let action = if verdict == "kill" { "killed" } else { "spared" };
    let line = guard.wait_action(pid, action);
    let held = Duration::from_nanos(line["hold_ns"].as_u64().expect("the time it was held"));
    assert!(held >= DEADLINE && held < DEADLINE + SLACK, "held for {held:?}");
    // Nothing more comes about it, however late.
    scene.assert_guarded();
    (line, guard.actions(pid), seen)
}

#[test]
fn the_kernels_deadline_kills() {
    let (line, actions, seen) = settled_by_the_kernel("kill");
    assert!(seen.died_unrun(), "{seen:?}");
    assert_eq!(line["reason"], "nobody decided before the deadline");
    assert_eq!(actions, ["held", "killed"]);
    assert_ne!(line["matched"], "");
    assert_ne!(line["cmdline"], "");
}

#[test]
fn the_kernels_deadline_spares() {
    let (line, actions, seen) = settled_by_the_kernel("spare");
    assert!(seen.ran(), "{seen:?}");
    assert_eq!(line["reason"], "nobody decided before the deadline");
    assert_eq!(actions, ["held", "spared"]);
    assert_ne!(line["cmdline"], "");
}

/// Waits until holds are not taken any more: the paused agent's word has run out.
fn wait_agent_away(scene: &Scene) -> u32 {
    let mut last = 0;
    until("nothing is held without an agent", || {
        let run = forbidden(scene);
        last = run.pid();
        let began = Instant::now();
        run.end();
        began.elapsed() < Duration::from_millis(100)
    });
    last
}

#[test]
fn without_an_agent_the_verdict_comes_at_once() {
    for (verdict, action) in [("kill", "killed"), ("spare", "spared")] {
        let scene = scene(&format!("[guard.hold]\ndeadline_ms = 400\nverdict = \"{verdict}\"\n"));
        let mut guard = scene.guard();
        guard.pause();
        let pid = wait_agent_away(&scene);
        guard.resume();
        let line = guard.wait_action(pid, action);
        assert_eq!(line["reason"], "no agent was there to decide");
        assert_eq!(guard.actions(pid), [action]);
        // It is back.
        until("holds are taken again", || {
            let run = allowed(&scene);
            let pid = run.pid();
            run.end();
            until("it is said", || !guard.actions(pid).is_empty());
            guard.actions(pid)[0] == "held"
        });
    }
}

/// A process held by an agent that is killed; the next one finds it.
fn left_by_a_killed_agent(scene: &Scene) -> (Run, Run) {
    let guard = scene.guard();
    let [yes, no] = hold(&guard, || [allowed(scene), forbidden(scene)]);
    guard.kill();
    assert_eq!((state(yes.pid()), state(no.pid())), (Some('T'), Some('T')));
    (yes, no)
}

#[test]
fn the_next_agent_settles_what_a_killed_one_held() {
    let scene = scene(LONG);
    let (yes, no) = left_by_a_killed_agent(&scene);
    let mut guard = scene.guard();
    assert_eq!(guard.wait_ready()["programs"], "adopted");
    let (yes_pid, no_pid) = (yes.pid(), no.pid());
    assert!(yes.end().ran());
    assert!(no.end().died_unrun());
    guard.wait_action(yes_pid, "spared");
    guard.wait_action(no_pid, "killed");
}

#[test]
fn a_replacing_agent_settles_what_the_replaced_programs_held() {
    let scene = scene(LONG);
    let (yes, no) = left_by_a_killed_agent(&scene);
    scene.make_pins_foreign();
    let mut guard = scene.guard();
    assert_eq!(guard.wait_ready()["programs"], "replaced");
    let (yes_pid, no_pid) = (yes.pid(), no.pid());
    assert!(yes.end().ran());
    assert!(no.end().died_unrun());
    guard.wait_action(yes_pid, "spared");
    guard.wait_action(no_pid, "killed");
}

#[test]
fn detaching_settles_what_is_held() {
    let scene = scene(LONG);
    let (yes, no) = left_by_a_killed_agent(&scene);
    assert!(scene.detach().status.success());
    // Nobody is there to tell the two apart, so both get the configured verdict.
    assert!(yes.end().died_unrun());
    assert!(no.end().died_unrun());
    scene.assert_unguarded();
}

#[test]
fn an_agent_that_stops_leaves_nothing_held() {
    for scene in [Scene::new(), Scene::without_pins()] {
        scene.ban(&[asking()]);
        scene.configure(LONG);
        let guard = scene.guard();
        let [yes, no] = hold(&guard, || [allowed(&scene), forbidden(&scene)]);
        // Both are waiting for it when it wakes.
        guard.signal(libc::SIGTERM);
        guard.resume();
        let (status, _) = guard.stop();
        assert_eq!(status.code(), Some(0));
        assert!(yes.end().ran());
        assert!(no.end().died_unrun());
    }
}

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
    assert_eq!(line["reason"], "somebody else continued it while it was held");
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
    let line = guard.wait(
        "it was ended by somebody else",
        |line| line["pid"] == pid && line["action"] != "held",
    );
    assert_eq!(line["reason"], "it was ended by somebody else while it was held");
    // And holding goes on.
    assert!(allowed(&scene).end().ran());
}

#[test]
fn a_full_event_buffer_settles_what_is_held() {
    let scene = scene("[guard.hold]\ndeadline_ms = 700\n");
    let mut guard = scene.guard();
    guard.pause();
    // Each line of a killed process takes up to eight kilobytes of the buffer's megabyte.
    let padding = "p".repeat(8 << 10);
    for _ in 0..200 {
        let run = Run::witness(&["plain", &scene.banned, &padding]);
        assert!(run.end().died_unrun());
    }
    let (yes, no) = (allowed(&scene), forbidden(&scene));
    guard.resume();
    // The agent hears of neither by an event; or the deadline comes first.
    let yes = yes.end();
    assert!(yes.ran() || yes.died_unrun(), "{yes:?}");
    assert!(no.end().died_unrun());
    guard.wait("something was killed", |line| line["action"] == "killed");
}

#[test]
fn a_hold_whose_event_was_lost_is_decided_by_the_rules() {
    let scene = scene(LONG);
    let guard = scene.guard();
    guard.pause();
    let padding = "p".repeat(8 << 10);
    let mut held: Vec<Run> = Vec::new();
    // Until the buffer is full every hold has its event; the last of these has none.
    for _ in 0..150 {
        held.push(Run::witness(&["asks", "12", &scene.banned, &padding]));
    }
    guard.resume();
    for run in held {
        assert!(run.end().ran());
    }
    drop(guard);
}

#[test]
#[expect(clippy::print_stdout, reason = "the measurement is what this is for")]
fn how_long_a_hold_lasts() {
    let scene = scene(LONG);
    let mut guard = scene.guard();
    let mut last = 0;
    for _ in 0..1000 {
        let run = allowed(&scene);
        last = run.pid();
        assert!(run.end().ran());
    }
    guard.wait_action(last, "spared");
    let mut times: Vec<u64> = guard
        .said()
        .iter()
        .filter(|line| line["action"] == "spared")
        .filter_map(|line| line["hold_ns"].as_u64())
        .collect();
    assert_eq!(times.len(), 1000, "each hold is said");
    times.sort_unstable();
    println!(
        "held for p50 {} us, p99 {} us, at most {} us",
        times[500] / 1000,
        times[990] / 1000,
        times[999] / 1000,
    );
}

#[test]
fn a_pattern_for_the_machine_itself_is_asked_where_the_process_is() {
    let scene = Scene::new();
    scene.ban(&[
        json!({ "pattern": "here ", "host": true }),
        json!({ "pattern": "there ", "namespace": "*" }),
        json!({ "pattern": "image ", "image": "*" }),
    ]);
    scene.configure(LONG);
    let mut guard = scene.guard();
    let run = Run::witness(&["here", &scene.banned]);
    let pid = run.pid();
    assert!(run.end().ran());
    let line = guard.wait_action(pid, "spared");
    assert_eq!(line["allowedby"], "allowed-pattern:here ");
    for word in ["there", "image", "other"] {
        let run = Run::witness(&[word, &scene.banned]);
        let pid = run.pid();
        assert!(run.end().died_unrun(), "{word}");
        guard.wait_action(pid, "killed");
    }
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
        until("it is held or dead", || matches!(state(pid), Some('T' | 'Z')));
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

#[test]
fn when_too_many_are_held_the_verdict_comes_at_once() {
    for (verdict, action) in [("kill", "killed"), ("spare", "spared")] {
        let scene = scene(&format!("{LONG}verdict = \"{verdict}\"\n"));
        let mut guard = scene.guard();
        let holds = MapHandle::from_pinned_path(scene.generations()[0].join("holds"))
            .expect("the pinned holds");
        let (count, size) = (holds.max_entries(), holds.value_size());
        // Pids beyond the kernel's largest, 2^22.
        let keys: Vec<u8> = (0..count).flat_map(|n| (n + (1 << 23)).to_ne_bytes()).collect();
        let values = vec![0; (count * size) as usize];
        let mut last = String::new();
        until("a process finds no room", || {
            guard.pause();
            let filled =
                holds.update_batch(&keys, &values, count, MapFlags::ANY, MapFlags::ANY);
            assert!(filled.is_ok(), "{filled:?}");
            let run = forbidden(&scene);
            let pid = run.pid();
            let seen = run.end();
            assert!(if verdict == "kill" { seen.died_unrun() } else { seen.ran() }, "{seen:?}");
            guard.resume();
            let line = guard.wait_action(pid, action);
            last = line["reason"].as_str().unwrap_or_default().to_owned();
            // Its word may have run out before that on a busy machine.
            last == "too many processes are held"
        });
        // The agent strikes off what belongs to no process, and holding goes on.
        until("there is room again", || {
            let run = allowed(&scene);
            let pid = run.pid();
            run.end();
            until("it is said", || !guard.actions(pid).is_empty());
            guard.actions(pid)[0] == "held"
        });
    }
}

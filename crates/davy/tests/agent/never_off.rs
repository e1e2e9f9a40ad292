//! The guard is never off: between two lives of the agent, two versions, two attempts to start.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::support::{DAVY, Guard, Refusal, Run, Scene, glance, until, word};

/// Execs banned programs without a pause while something is done. All must die unrun.
fn under_fire<T>(scene: &Scene, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let shots = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let fire = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let seen = Run::witness(&["plain", &scene.banned]).end();
                shots.fetch_add(1, Ordering::Relaxed);
                if !seen.died_unrun() {
                    return Err(seen);
                }
            }
            Ok(())
        });
        until("the fire has begun", || {
            shots.load(Ordering::Relaxed) > 0 || fire.is_finished()
        });
        // Whatever happens in here, the thread must end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        let survived = fire.join().expect("no panic");
        let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(
            survived,
            Ok(()),
            "after {} execs",
            shots.load(Ordering::Relaxed)
        );
        result
    })
}

#[test]
fn the_pins_guard_when_the_agent_is_gone_and_the_next_adopts_them() {
    let scene = Scene::new();
    let mut guard = scene.guard();
    assert_eq!(guard.wait_ready()["programs"], "loaded");
    let pins = scene.generations();
    under_fire(&scene, || {
        guard.kill();
        scene.assert_guarded();
        let mut guard = scene.guard();
        assert_eq!(guard.wait_ready()["programs"], "adopted");
        assert_eq!(scene.generations(), pins);
        let (status, said) = guard.stop();
        assert_eq!(status.code(), Some(0));
        let last = said.last().expect("a last line");
        assert_eq!(
            (&last["event"], &last["still_guarding"]),
            (&"stopped".into(), &true.into())
        );
        scene.assert_guarded();
    });
    // What was killed in between is told by the next agent.
    let run = Run::witness(&["plain", &scene.banned]);
    let pid = run.pid();
    assert!(run.end().died_unrun());
    let mut guard = scene.guard();
    guard.wait_action(pid, "killed");
}

#[test]
fn another_version_is_replaced_without_a_moment_unguarded() {
    let scene = Scene::new();
    scene.guard().kill();
    under_fire(&scene, || {
        for _ in 0..5 {
            scene.make_pins_foreign();
            let old = scene.generations();
            let mut guard = scene.guard();
            assert_eq!(guard.wait_ready()["programs"], "replaced");
            let new = scene.generations();
            assert_eq!(new.len(), 1, "one generation remains: {new:?}");
            assert_ne!(old, new);
            guard.kill();
        }
    });
}

#[test]
fn damaged_pins_are_replaced_without_a_moment_unguarded() {
    for damaged in [
        "tables",
        "holds",
        "events",
        "list_tasks",
        "on_exec_program",
        "settings",
    ] {
        let scene = Scene::new();
        scene.guard().kill();
        under_fire(&scene, || {
            let old = scene.generations();
            fs::remove_file(old[0].join(damaged)).expect("the pin is there");
            let mut guard = scene.guard();
            assert_eq!(
                guard.wait_ready()["programs"],
                "replaced",
                "without {damaged}"
            );
            assert_eq!(scene.generations().len(), 1);
            assert_ne!(scene.generations(), old);
        });
    }
}

#[test]
fn pins_without_their_hook_are_rubbish() {
    let scene = Scene::new();
    scene.guard().kill();
    let old = scene.generations();
    fs::remove_file(old[0].join("on_exec")).expect("the pin is there");
    scene.guard();
    scene.assert_guarded();
    assert_eq!(scene.generations().len(), 1);
    assert_ne!(scene.generations(), old);
}

#[test]
fn two_guards_do_not_share_pins() {
    let scene = Scene::new();
    let guard = scene.guard();
    let pins = scene.generations();
    under_fire(&scene, || {
        scene
            .refused()
            .assert_says("another guard is working with the pins");
        let detach = scene.detach();
        assert_eq!(detach.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&detach.stderr);
        assert!(stderr.contains("another guard is working"), "{stderr}");
        assert!(stderr.contains("hint: "), "{stderr}");
        assert_eq!(scene.generations(), pins);
    });
    drop(guard);
    scene.assert_guarded();
    let gone = scene.detach();
    assert!(gone.status.success());
    assert!(
        String::from_utf8_lossy(&gone.stdout).contains("are gone"),
        "{gone:?}"
    );
    assert!(!scene.pin_dir.exists());
    scene.assert_unguarded();
    let again = scene.detach();
    assert!(again.status.success());
    assert!(
        String::from_utf8_lossy(&again.stdout).contains("nothing was pinned"),
        "{again:?}"
    );
}

#[test]
fn pins_need_a_bpf_file_system() {
    let scene = Scene::new();
    let elsewhere = scene.path("pins");
    let mut command = scene.command();
    command.arg("--pin-dir").arg(&elsewhere);
    let refusal = Refusal::of(command);
    refusal.assert_says("BPF file system");
    assert!(!elsewhere.exists(), "nothing is left behind");

    let mut command = scene.command();
    command.args(["--detach", "--pin-dir"]).arg(&elsewhere);
    assert!(command.output().expect("davy runs").status.success());

    // Something else's directory is not taken for pins, nor emptied.
    fs::create_dir_all(elsewhere.join("precious")).expect("a directory");
    fs::write(elsewhere.join("precious/file"), "precious").expect("a file");
    let mut command = scene.command();
    command.args(["--detach", "--pin-dir"]).arg(&elsewhere);
    let output = command.output().expect("davy runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(
        fs::read(elsewhere.join("precious/file")).expect("it is there"),
        b"precious"
    );
}

#[test]
fn an_agent_killed_while_it_starts_leaves_the_machine_guarded() {
    let scene = Scene::new();
    scene.guard().kill();
    under_fire(&scene, || {
        for attempt in 0..20 {
            if attempt % 2 == 1 {
                scene.make_pins_foreign();
            }
            let guard = Guard::spawn(scene.command(), &scene.path("stderr"));
            // Spread over the time a start takes.
            let until = Instant::now() + Duration::from_millis(attempt * 15);
            while Instant::now() < until {
                glance();
            }
            guard.kill();
            scene.assert_guarded();
        }
        let guard = scene.guard();
        assert_eq!(scene.generations().len(), 1, "no rubbish is left");
        guard.kill();
    });
    assert!(scene.detach().status.success());
    scene.assert_unguarded();
}

#[test]
fn without_pins_the_guard_ends_with_its_agent() {
    let scene = Scene::without_pins();
    let mut guard = scene.guard();
    assert!(guard.wait_ready()["pins"].is_null());
    scene.assert_guarded();
    let (status, said) = guard.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(said.last().expect("a last line")["still_guarding"], false);
    // The programs go some time after their last descriptor.
    until("nothing is guarded", || {
        Run::witness(&["plain", &scene.banned]).end().ran()
    });
}

/// Runs `davy guard` as somebody who may not.
fn refused_with(scene: &Scene, wrapper: &[&str]) -> Refusal {
    let mut command = Command::new(wrapper[0]);
    command
        .args(&wrapper[1..])
        .arg(davy_for_all(scene))
        .args(["guard", "--config"])
        .arg(scene.path("davy.toml"))
        .stdin(Stdio::null())
        .current_dir("/");
    command.process_group(0);
    Refusal::of(command)
}

/// A copy of `davy` where everybody may run it.
fn davy_for_all(scene: &Scene) -> std::path::PathBuf {
    let copy = scene.path("davy");
    if !copy.exists() {
        fs::copy(DAVY, &copy).expect("copy davy");
    }
    copy
}

#[test]
fn whoever_may_not_guard_is_told_and_changes_nothing() {
    let scene = Scene::new();
    scene.guard().kill();
    let pins = scene.generations();
    under_fire(&scene, || {
        refused_with(
            &scene,
            &[
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
            ],
        )
        .assert_says("");
        for bounds in ["-bpf,-sys_admin", "-perfmon,-sys_admin"] {
            let bounding = format!("--bounding-set={bounds}");
            let inheritable = format!("--inh-caps={bounds}");
            let refusal = refused_with(&scene, &["setpriv", &bounding, &inheritable]);
            refusal.assert_says("");
        }
        assert_eq!(scene.generations(), pins);
        scene.assert_guarded();
    });
}

#[test]
fn wrong_input_is_told_and_changes_nothing() {
    let scene = Scene::new();
    scene.guard().kill();
    let pins = scene.generations();
    under_fire(&scene, || {
        let list = fs::read(scene.list()).expect("the list");
        for (text, says) in [
            ("{\"bannedCommandStrings\": 7}", "bannedCommandStrings"),
            ("{\"bannedCommandStrings\": [\"", "list.json"),
            ("{}", ""),
        ] {
            scene.write_list(text);
            if !says.is_empty() {
                scene.refused().assert_says(says);
            }
        }
        fs::remove_file(scene.list()).expect("it is there");
        scene.refused().assert_says("holds no blocklist");
        fs::create_dir(scene.list()).expect("a directory");
        scene.refused().assert_says("holds no blocklist");
        fs::remove_dir(scene.list()).expect("it is there");
        fs::write(scene.list(), &list).expect("the list");

        for (keys, tables, says) in [
            ("modee = \"enforce\"", "", "modee"),
            ("mode = \"enforced\"", "", "enforced"),
            ("", "[guard.hold]\ndeadline_ms = 1\n", "deadline_ms"),
            (
                "",
                "[guard.protect]\nexecutables = [\"/nonexistent/program\"]\n",
                "/nonexistent",
            ),
            (
                "",
                "[guard.protect]\ncgroups = [\"/nonexistent/cgroup\"]\n",
                "/nonexistent/cgroup",
            ),
        ] {
            scene.configure_guard(keys, tables);
            scene.refused().assert_says(says);
        }
        fs::write(scene.path("davy.toml"), "[guard\n").expect("write");
        scene.refused().assert_says("davy.toml");
        let mut missing = Command::new(DAVY);
        missing
            .args(["guard", "--config"])
            .arg(scene.path(&word("missing-")));
        Refusal::of(missing).assert_says("missing-");
        assert_eq!(scene.generations(), pins);
    });
    scene.configure("");
    assert!(Path::new(&scene.pin_dir).exists());
}

/// Only what the guard made is the guard's to remove.
#[test]
fn what_others_pinned_beside_it_stays() {
    let scene = Scene::new();
    let other = scene.pin_dir.join("sometool");
    let guard = scene.guard();
    fs::create_dir(&other).expect("a directory of another tool's");
    guard.kill();
    let mut guard = scene.guard();
    assert_eq!(guard.wait_ready()["programs"], "adopted");
    guard.kill();
    let detached = scene.detach();
    assert!(detached.status.success(), "{detached:?}");
    scene.assert_unguarded();
    assert!(other.is_dir());
    fs::remove_dir(&other).expect("it is empty");
    fs::remove_dir(&scene.pin_dir).expect("nothing else is left");
}

/// Others could change pins in a directory that is not the guard's own.
#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let scene = Scene::new();
    fs::create_dir(&scene.pin_dir).expect("a directory");
    fs::set_permissions(&scene.pin_dir, fs::Permissions::from_mode(0o777)).expect("its mode");
    let refused = scene.command().output().expect("davy runs");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("others may write to it"), "{said}");
    fs::remove_dir(&scene.pin_dir).expect("nothing was put there");
}

//! Lists that change while the guard runs.

use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};

use crate::support::{Guard, Run, Scene, until, word};

fn reloads(guard: &Guard, event: &str) -> usize {
    let starts = |line: &&Value| line["event"].as_str().is_some_and(|said| said.starts_with(event));
    guard.said().iter().filter(starts).count()
}

#[track_caller]
fn wait_reload(guard: &mut Guard, times: usize) {
    until(&format!("reload {times}"), || {
        let refused = guard.said().into_iter().find(|line| {
            times > 0 && line["event"].as_str().is_some_and(|said| said.starts_with("reload failed"))
        });
        // A test that wants lists refused waits for that first, and for a good one afterwards.
        assert!(refused.is_none() || reloads(guard, "reload failed") > 1, "{refused:?}");
        reloads(guard, "reloaded") >= times
    });
}

fn wait_refusal(guard: &mut Guard, times: usize) -> Value {
    until("the lists were refused", || reloads(guard, "reload failed") >= times);
    let failed = |line: &Value| line["event"].as_str().is_some_and(|said| said.contains("failed"));
    guard.said().into_iter().rfind(failed).expect("it was said")
}

#[track_caller]
fn dies(word: &str) {
    let seen = Run::witness(&["plain", word]).end();
    assert!(seen.died_unrun(), "{seen:?}");
}

#[track_caller]
fn lives(word: &str) {
    let seen = Run::witness(&["plain", word]).end();
    assert!(seen.ran(), "{seen:?}");
}

fn list_of(words: &[&str]) -> String {
    json!({ "bannedCommandStrings": words }).to_string()
}

#[test]
fn a_changed_file_is_put_in_force() {
    let scene = Scene::new();
    let other = word("davytest");
    let mut guard = scene.guard();
    lives(&other);
    scene.write_list(&list_of(&[&scene.banned, &other]));
    wait_reload(&mut guard, 1);
    dies(&other);
    dies(&scene.banned);
    scene.write_list(&list_of(&[&other]));
    wait_reload(&mut guard, 2);
    lives(&scene.banned);
    let line = guard.wait("it was reloaded", |line| line["event"] == "reloaded");
    assert_eq!(line["patterns"], 2);
    assert_eq!(line["why"], "a file changed");
}

#[test]
fn what_cannot_be_used_leaves_the_last_good_lists() {
    let scene = Scene::new();
    let mut guard = scene.guard();
    let good = fs::read_to_string(scene.list()).expect("the list");
    let mut refused = 0;
    let mut refuse = |guard: &mut Guard, why: &str| {
        refused += 1;
        let line = wait_refusal(guard, refused);
        assert_eq!(line["level"], "error", "{why}");
        assert!(line["error"].as_str().is_some_and(|error| !error.is_empty()), "{line}");
        scene.assert_guarded();
    };
    scene.write_list("{\"bannedCommandStrings\": [");
    refuse(&mut guard, "half a file");
    scene.write_list("{\"bannedCommandString\": []}");
    refuse(&mut guard, "a misspelt key");
    fs::remove_file(scene.list()).expect("it is there");
    refuse(&mut guard, "an empty directory");
    fs::remove_dir(scene.path("lists")).expect("it is there");
    guard.signal(libc::SIGHUP);
    refuse(&mut guard, "no directory");
    scene.write_list(&good);
    wait_reload(&mut guard, 1);
    scene.assert_guarded();
    let (status, _) = guard.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_mounted_config_map_is_followed() {
    let scene = Scene::new();
    let lists = scene.path("lists");
    fs::remove_file(scene.list()).expect("it is there");
    // As the kubelet lays them out: links to a link to a directory, which is swapped.
    let publish = |version: &str, words: &[&str]| {
        let directory = lists.join(version);
        fs::create_dir(&directory).expect("a directory");
        fs::write(directory.join("list.json"), list_of(words)).expect("a list");
        symlink(version, lists.join("..data_tmp")).expect("a link");
        fs::rename(lists.join("..data_tmp"), lists.join("..data")).expect("swap");
    };
    let other = word("davytest");
    publish("..2026_01", &[&scene.banned]);
    symlink("..data/list.json", scene.list()).expect("a link");
    let mut guard = scene.guard();
    dies(&scene.banned);
    lives(&other);
    publish("..2026_02", &[&scene.banned, &other]);
    fs::remove_dir_all(lists.join("..2026_01")).expect("it is there");
    wait_reload(&mut guard, 1);
    dies(&scene.banned);
    dies(&other);
    assert_eq!(reloads(&guard, "reload failed"), 0);
}

#[test]
fn a_hangup_reads_the_lists_again() {
    let scene = Scene::new();
    let mut guard = scene.guard();
    guard.signal(libc::SIGHUP);
    wait_reload(&mut guard, 1);
    let line = guard.wait("it was reloaded", |line| line["event"] == "reloaded");
    assert_eq!(line["why"], "SIGHUP");
    scene.assert_guarded();
}

#[test]
fn holds_come_and_go_with_the_patterns() {
    let scene = Scene::new();
    let mut guard = scene.guard();
    let watch = |scene: &Scene| scene.generations()[0].join("on_user_fault").exists();
    let asks = |scene: &Scene| Run::witness(&["asks", "12", &scene.banned]);
    assert!(!watch(&scene), "nothing can be held");
    assert!(asks(&scene).end().died_unrun());

    scene.ban(&[json!("asks [0-9]+ ")]);
    wait_reload(&mut guard, 1);
    assert!(watch(&scene));
    let run = asks(&scene);
    let pid = run.pid();
    assert!(run.end().ran());
    guard.wait_action(pid, "spared");

    scene.ban(&[]);
    wait_reload(&mut guard, 2);
    assert!(!watch(&scene));
    let run = asks(&scene);
    let pid = run.pid();
    assert!(run.end().died_unrun());
    guard.wait_action(pid, "killed");
    assert_eq!(guard.actions(pid), ["killed"]);

    // And over a restart.
    scene.ban(&[json!("asks [0-9]+ ")]);
    guard.kill();
    let guard = scene.guard();
    assert!(watch(&scene));
    assert!(asks(&scene).end().ran());
    drop(guard);
}

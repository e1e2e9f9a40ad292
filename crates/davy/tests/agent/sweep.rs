//! Processes that ran before they were banned.

use std::{fs, path::Path, process::{Child, Command, Stdio}};

use serde_json::json;

use crate::support::{Scene, until, word};

const SWEEPING: &str = "[guard.sweep]\non_start = true\non_reload = true\ninterval_secs = 0\n";

/// A process of a test's, which is gone when the test is.
struct Bystander(Child);

impl Bystander {
    fn of(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(child.spawn().expect("it starts"))
    }

    /// `sleep`, in whose command line a word stands.
    fn saying(word: &str) -> Self {
        Self::of(Command::new("sh").args(["-c", "sleep 600; :", word]))
    }

    fn named(dir: &Path, name: &str) -> Self {
        let copy = dir.join(name);
        fs::copy("/bin/sleep", &copy).expect("copy");
        use std::os::unix::process::CommandExt;
        Self::of(Command::new(copy).arg0("sleep").arg("600"))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("wait").is_none()
    }

    #[track_caller]
    fn dies(&mut self) {
        use std::os::unix::process::ExitStatusExt;
        until("it is killed", || !self.lives());
        let status = self.0.try_wait().expect("wait").expect("it ended");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_ran_before_dies_by_command_line_environment_and_executable() {
    let scene = Scene::new();
    scene.write_list(&json!({
        "bannedCommandStrings": [scene.banned], "scanEnvironment": true,
        "allowedCommandPatterns": ["allowed tool"],
    }).to_string());
    scene.configure(SWEEPING);
    let benign = word("benign");
    let mut doomed = [
        Bystander::saying(&scene.banned),
        Bystander::of(Command::new("sleep").arg("600").env("NOTE", &scene.banned)),
        Bystander::named(scene.dir.path(), &scene.banned),
    ];
    let mut spared = [
        Bystander::saying(&benign),
        Bystander::of(Command::new("sleep").arg("600").env("NOTE", &benign)),
        Bystander::named(scene.dir.path(), &benign),
        Bystander::saying(&format!("{}x", scene.banned)),
    ];
    let places = ["arguments", "environment", "path"];
    let mut guard = scene.guard();
    for (bystander, place) in doomed.iter_mut().zip(places) {
        bystander.dies();
        let line = guard.wait_action(bystander.pid(), "killed");
        assert_eq!(line["source"], "davylamp.sweep", "{line}");
        assert_eq!(line["matched"], scene.banned, "{line}");
        assert!(line["matched_in"] == place || place == "path", "{line}");
    }
    for bystander in &mut spared {
        assert!(bystander.lives());
    }
}

#[test]
fn observing_only_says_so() {
    let scene = Scene::new();
    scene.configure_guard("mode = \"observe\"", SWEEPING);
    let mut bystander = Bystander::saying(&scene.banned);
    let mut guard = scene.guard();
    let line = guard.wait_action(bystander.pid(), "would-kill");
    assert_eq!(line["source"], "davylamp.sweep");
    assert!(bystander.lives());
}

#[test]
fn what_is_protected_is_spared_and_said() {
    let scene = Scene::new();
    let protected = scene.path("keeper");
    fs::copy("/bin/sleep", &protected).expect("copy");
    let tables = format!("{SWEEPING}[guard.protect]\nexecutables = [{protected:?}]\n");
    scene.configure(&tables);
    use std::os::unix::process::CommandExt;
    let mut bystander =
        Bystander::of(Command::new(&protected).arg0(&scene.banned).arg("600"));
    let mut guard = scene.guard();
    let line = guard.wait_action(bystander.pid(), "spared");
    assert_eq!(line["reason"], "its executable or cgroup is protected");
    assert!(bystander.lives());
    // The guard's own command line holds a banned word too: it does not end itself.
    guard.kill();
    let mut command = scene.command();
    command.args(["--set", &format!("guard.node={:?}", scene.banned)]);
    let mut guard = crate::support::Guard::spawn(command, &scene.path("stderr"));
    guard.wait_ready();
    guard.wait_action(bystander.pid(), "spared");
    assert!(guard.actions(guard.pid()).iter().all(|action| action == "spared"));
    let (status, _) = guard.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn an_allow_pattern_spares_from_the_sweep() {
    let scene = Scene::new();
    scene.ban(&[json!("sh -c sleep [0-9]+; : ")]);
    scene.configure(SWEEPING);
    let mut bystander = Bystander::saying(&scene.banned);
    let mut guard = scene.guard();
    let line = guard.wait_action(bystander.pid(), "spared");
    assert_eq!(line["source"], "davylamp.sweep");
    assert!(bystander.lives());
}

#[test]
fn a_reload_sweeps_what_is_banned_from_now_on() {
    let scene = Scene::new();
    scene.configure(SWEEPING);
    let other = word("davytest");
    let mut guard = scene.guard();
    let mut bystander = Bystander::saying(&other);
    scene.write_list(&json!({ "bannedCommandStrings": [scene.banned, other] }).to_string());
    bystander.dies();
    guard.wait_action(bystander.pid(), "killed");
}

#[test]
fn a_sweep_comes_round_again() {
    let scene = Scene::new();
    scene.configure("[guard.sweep]\non_start = false\non_reload = false\ninterval_secs = 10\n");
    let mut bystander = Bystander::saying(&scene.banned);
    let mut guard = scene.guard();
    assert!(bystander.lives(), "it was not swept at the start");
    bystander.dies();
    let line = guard.wait_action(bystander.pid(), "killed");
    assert_eq!(line["source"], "davylamp.sweep");
}

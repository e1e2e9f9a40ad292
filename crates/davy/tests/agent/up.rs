//! `davy up`, as somebody tries it for the first time: guard, console and forwarder on this machine, a link
//! to sign in by, the public test string, and its end on the page.
//!
//! The one test whose list is the shipped one: the public test string is harmless and found nowhere else.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use davylamp_testkit::http::{Request, send};

use crate::support::{DAVY, PATIENCE, Scene, glance};

/// What "live" means: the finding is on the page this soon after the kill.
const ON_THE_PAGE_WITHIN: Duration = Duration::from_secs(10);

/// How a list shows a finding.
const FINDING: &str = "href=\"/findings/";

/// What `davy up` started, ended also when the test panics.
struct Up<'a> {
    scene: &'a Scene,
    said: String,
    is_over: bool,
}

impl<'a> Up<'a> {
    fn start(scene: &'a Scene) -> Self {
        let mut up = Self {
            scene,
            said: String::new(),
            is_over: false,
        };
        let config = scene.path("davy.toml").display().to_string();
        let options = ["--listen=127.0.0.1:0", "--", "--config", &config];
        let output = up.davy("up", &options);
        up.said = text(&output);
        assert!(output.status.success(), "{}", up.said);
        up
    }

    fn davy(&self, verb: &str, options: &[&str]) -> Output {
        Command::new(DAVY)
            .args([verb, "--state-dir"])
            .arg(self.scene.path("state"))
            .args(options)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .expect("davy runs")
    }

    /// What stands behind a name in what it said.
    fn told(&self, name: &str) -> &str {
        let mut lines = self.said.lines();
        let told = lines.find_map(|line| line.trim().strip_prefix(name));
        told.unwrap_or_else(|| panic!("no {name} in {}", self.said))
            .trim()
    }

    fn down(mut self) -> String {
        self.is_over = true;
        let output = self.davy("down", &[]);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.davy("down", &[]);
        }
    }
}

fn text(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Follows the link as its page does, and gives the session's cookie.
fn sign_in(address: &str, key: &str) -> String {
    let request = Request::post("/sign-in/link", format!("key={key}"))
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = send(address, &request).expect("an answer");
    assert_eq!(answer.status, 303, "{}", answer.text());
    let cookie = answer
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next());
    cookie.expect("a session").to_owned()
}

/// A page, once it says so.
fn page(address: &str, path: &str, cookie: &str, wanted: &str) -> String {
    let began = Instant::now();
    loop {
        let answer = send(address, &Request::get(path).header("cookie", cookie));
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let page = answer.text();
        if page.contains(wanted) {
            return page;
        }
        assert!(
            began.elapsed() < ON_THE_PAGE_WITHIN,
            "no {wanted} in {page}"
        );
        glance();
    }
}

#[test]
fn a_first_try_is_killed_and_on_the_page_within_seconds() {
    let scene = Scene::new();
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/blocklists/default.yaml");
    let shipped = std::fs::read_to_string(shipped).expect("the shipped list");
    scene.write_list_named("list.yaml", &shipped);
    let up = Up::start(&scene);
    let link = up.told("sign in:").to_owned();
    let (address, key) = link
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once("/sign-in/link?key="))
        .expect("a link of this machine");
    let cookie = sign_in(address, key);
    let quiet = page(address, "/findings", &cookie, "Findings");
    assert!(!quiet.contains(FINDING), "{quiet}");

    // What it says to try, from a file: on a command line of ours it would be killed too soon.
    std::fs::write(scene.path("try"), up.told("try it:")).expect("written");
    let tried = Command::new("sh")
        .arg(scene.path("try"))
        .output()
        .expect("a shell");
    // The shell that carries it dies before it sleeps; the one around it says so, or was replaced by it.
    let died = tried.status.code() == Some(128 + 9) || tried.status.signal() == Some(9);
    assert!(died && tried.stdout.is_empty(), "{tried:?}");

    let findings = page(address, "/findings", &cookie, FINDING);
    let (_, rest) = findings.split_once(FINDING).expect("a finding");
    let number = rest.split('"').next().expect("its number");
    let finding = page(address, &format!("/findings/{number}"), &cookie, "killed");
    assert!(finding.contains("sleep 1 &amp;&amp; echo"), "{finding}");
    page(address, "/", &cookie, "Open incidents");
    // A link holds once.
    let again = Request::post("/sign-in/link", format!("key={key}"))
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(address, &again).expect("an answer").status, 401);

    let said = up.down();
    for name in ["forwarder", "console", "guard"] {
        assert!(said.contains(&format!("the {name} has ended")), "{said}");
    }
    assert!(!scene.pin_dir.exists(), "the programs are still pinned");
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "the console listens still");
        glance();
    }
}

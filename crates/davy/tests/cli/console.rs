//! The console from the terminal: people, tokens, the ledger, and a server that events reach.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::bench::{Bench, Ran};

struct Console(Bench);

impl Console {
    fn new() -> Self {
        Self(Bench::new())
    }

    fn database(&self) -> String {
        format!(
            "--database=sqlite://{}",
            self.0.path().join("kept/ledger.db").display()
        )
    }

    fn arguments<'a>(database: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["console", "--config", "davy.toml", database];
        all.extend(arguments);
        all
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let database = self.database();
        self.0
            .run_with(&Self::arguments(&database, arguments), input)
    }

    fn done(&self, arguments: &[&str], input: &[u8]) -> String {
        let ran = self.run(arguments, input);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        ran.stdout
    }
}

/// A console that serves, until this goes.
struct Served {
    child: Child,
    address: String,
    said: Vec<String>,
}

impl Served {
    fn start(console: &Console) -> Self {
        let database = console.database();
        let arguments = Console::arguments(&database, &["--listen=127.0.0.1:0"]);
        let mut child = console
            .0
            .davy(&arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("davy starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("a line").expect("text");
        let address = first
            .strip_prefix("the console listens on http://")
            .expect(&first);
        let address = address.to_owned();
        let mut said = Vec::new();
        // The link stands there at the first start alone.
        if !console.0.path().join("kept/seen").exists() {
            said.push(lines.next().expect("a link").expect("text"));
            std::fs::write(console.0.path().join("kept/seen"), "").expect("written");
        }
        Self {
            child,
            address,
            said,
        }
    }

    fn post(&self, token: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let request = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const KILLED: &str = r#"{"id":"e1","action":"killed","event":"Killing process","node":"n1","pid":7,"cmdline":"./x","hub_user":"ada","matched":"x","timestamp":"2026-11-30T10:00:00Z"}"#;

#[test]
fn people_are_added_changed_and_listed_without_their_secrets() {
    let console = Console::new();
    let link = console.done(
        &[
            "person",
            "add",
            "ada",
            "--role",
            "responder",
            "--cluster",
            "hub-1",
        ],
        b"",
    );
    assert!(
        link.starts_with("http://127.0.0.1:7878/sign-in/link?key="),
        "{link}"
    );
    let again = console.run(&["person", "add", "ada"], b"");
    assert_eq!(again.code, Some(2));
    assert!(
        again
            .stderr
            .contains("there is a person of the name `ada` already"),
        "{}",
        again.stderr
    );
    let short = console.run(&["person", "password", "ada"], b"short\n");
    assert!(
        short.stderr.contains("fewer than 15 characters"),
        "{}",
        short.stderr
    );
    console.done(&["person", "password", "ada"], b"correct horse battery\n");
    console.done(&["person", "disable", "ada"], b"");
    let listed = console.done(&["person", "list"], b"");
    let ada: Value = serde_json::from_str(listed.trim()).expect("one line of JSON");
    assert_eq!(ada["role"], "responder");
    assert_eq!(ada["clusters"][0], "hub-1");
    assert_eq!(
        (&ada["password"], &ada["disabled"]),
        (&true.into(), &true.into())
    );
    let exported = console.done(&["export"], b"");
    assert!(exported.contains("person ada"), "each change is an entry");
    for secret in ["argon2", "correct horse"] {
        assert!(!exported.contains(secret) && !listed.contains(secret));
    }
    let nobody = console.run(&["person", "role", "bob", "admin"], b"");
    assert_eq!(nobody.code, Some(2));
    assert!(
        nobody
            .stderr
            .contains("there is no person of the name `bob`"),
        "{}",
        nobody.stderr
    );
    let bad = console.run(&["person", "add", "a b"], b"");
    assert_eq!(bad.code, Some(2), "{}", bad.stdout);
}

#[test]
fn events_are_taken_under_a_token_once_and_survive_a_death() {
    let console = Console::new();
    let token = console.done(&["token", "add", "nodes", "--cluster", "hub-1"], b"");
    let token = token.trim();
    let served = Served::start(&console);
    assert!(
        served.said[0].contains("/sign-in/link?key="),
        "{:?}",
        served.said
    );
    let refused = served.post("davy_wrong", KILLED);
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let taken = served.post(token, KILLED);
    assert!(
        taken.starts_with("HTTP/1.1 200") && taken.contains("\"new\":1"),
        "{taken}"
    );
    let wrong = served.post(token, "{\"action\":\"killed\"}\nno json");
    assert!(
        wrong.starts_with("HTTP/1.1 422") && wrong.contains("\"line\":2"),
        "{wrong}"
    );
    // Without a word: what was answered is kept.
    drop(served);
    let served = Served::start(&console);
    assert!(served.said.is_empty(), "{:?}", served.said);
    let again = served.post(token, KILLED);
    assert!(
        again.contains("\"new\":0") && again.contains("\"unchanged\":1"),
        "{again}"
    );
    console.done(&["token", "revoke", "nodes"], b"");
    let revoked = served.post(token, KILLED);
    assert!(revoked.starts_with("HTTP/1.1 401"), "{revoked}");
    let verified = console.done(&["verify"], b"");
    assert!(verified.contains("each as it was written"), "{verified}");
}

#[test]
fn a_ledger_goes_out_and_in_and_its_head_is_the_same() {
    let (from, to) = (Console::new(), Console::new());
    from.done(&["person", "add", "ada"], b"");
    let verified = from.done(&["verify"], b"");
    let head = verified.lines().nth(1).expect("a head");
    let exported = from.done(&["export"], b"");
    to.done(&["import"], exported.as_bytes());
    let same = to.done(&["verify", "--head", head.trim_start_matches("head ")], b"");
    assert!(same.contains(head), "{same}");
    let twice = to.run(&["import"], exported.as_bytes());
    assert_eq!(twice.code, Some(2));
    assert!(
        twice.stderr.contains("import into an empty one"),
        "{}",
        twice.stderr
    );
    let cut = Console::new();
    let half = &exported[..exported.len() - 20];
    assert_eq!(cut.run(&["import"], half.as_bytes()).code, Some(2));
    let later = format!("99:{}", "0".repeat(64));
    let gone = to.run(&["verify", "--head", &later], b"");
    assert_eq!(gone.code, Some(1), "{}", gone.stdout);
    assert!(
        gone.stdout.contains("NOT AS IT WAS WRITTEN"),
        "{}",
        gone.stdout
    );
    assert_eq!(to.run(&["verify", "--head", "nonsense"], b"").code, Some(2));
}

#[test]
fn it_listens_widely_only_where_sessions_are_safe() {
    let console = Console::new();
    let wide = console.run(&["--listen=0.0.0.0:0"], b"");
    assert_eq!(wide.code, Some(2));
    assert!(wide.stderr.contains("in the clear"), "{}", wide.stderr);
    let elsewhere = console
        .0
        .run(&["console", "--database=mysql://x", "verify"]);
    assert_eq!(elsewhere.code, Some(2));
    assert!(
        elsewhere.stderr.contains("sqlite:///path/to/file"),
        "{}",
        elsewhere.stderr
    );
}

#[test]
fn a_channel_is_tried_from_the_terminal_and_what_came_of_it_is_listed() {
    let console = Console::new();
    console.0.write(
        "davy.toml",
        "[[console.notices.channels]]\nname = \"chat\"\nkind = \"slack\"\naddress = \"env:NO_SUCH_VARIABLE\"\n",
    );
    let failed = console.run(&["notice", "test", "chat"], b"");
    assert_eq!(failed.code, Some(2), "{}", failed.stdout);
    let why = "address: the variable NO_SUCH_VARIABLE is not set";
    assert!(failed.stderr.contains(why), "{}", failed.stderr);
    let unknown = console.run(&["notice", "test", "caht"], b"");
    assert_eq!(unknown.code, Some(2));
    let listed = console.done(&["notice", "list", "--state", "failed"], b"");
    let one: Value = serde_json::from_str(listed.trim()).expect("one line of JSON");
    assert_eq!(
        (&one["channel"], &one["tries"]),
        (&"chat".into(), &1.into())
    );
    assert!(
        one["error"]
            .as_str()
            .is_some_and(|error| error.contains(why))
    );
    assert_eq!(
        console.done(&["notice", "list", "--state", "sent"], b""),
        ""
    );
}

#[test]
fn a_channel_that_cannot_be_is_a_fault_of_the_configuration() {
    let console = Console::new();
    console.0.write(
        "davy.toml",
        "[[console.notices.channels]]\nname = \"chat\"\nkind = \"slack\"\naddress = \"https://hooks.example/secret\"\n\
         [[console.notices.channels]]\nnane = \"other\"\n\
         [[console.notices.routes]]\nchannels = [\"chat\"]\nwhat = [\"opend\"]\n",
    );
    let ran = console.run(&["notice", "list"], b"");
    assert_eq!(ran.code, Some(2));
    for fault in [
        "never the secret",
        "unknown key `nane`",
        "did you mean `name`?",
        "docs/notices.md",
    ] {
        assert!(ran.stderr.contains(fault), "{fault}: {}", ran.stderr);
    }
}

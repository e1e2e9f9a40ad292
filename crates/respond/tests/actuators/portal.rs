//! Against a server of our own that takes the portal's place and judges each request itself, with
//! Python's `hashlib`: the portal cannot be had here.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use davylamp_cloud::secrets::Secret;
use davylamp_model::ids::HubUser;
use davylamp_plan::action::{Action, PortalSubject};
use davylamp_respond::actuator::{ActError, Checked};
use davylamp_respond::portal::PortalActuator;
use serde_json::Value;

use super::drive::{Drive, assert_done};

/// Answers as the path says (`/302`), or, at `/`, with 200 where the signature is right, and tells
/// on its output whom it was asked to keep out. It ends when its input does.
const DOUBLE: &str = r#"
import base64, hashlib, http.server, json, sys, threading

class Portal(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = int(self.path[1:] or 200)
        if status == 200:
            text, _, digest = base64.b64decode(body, validate=True).decode().rpartition(":::")
            wanted = hashlib.blake2b(text.encode(), key=b"the key", digest_size=16).hexdigest()
            if digest == wanted:
                print(json.dumps(json.loads(text), ensure_ascii=False), flush=True)
            else:
                status = 403
        answer = b"<html>\x1b[31mno\x00" + b"x" * 10000
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"#;

struct Portal {
    child: Child,
    told: std::io::Lines<BufReader<std::process::ChildStdout>>,
    url: String,
}

impl Portal {
    fn start() -> Self {
        let mut child = Command::new("python3")
            .args(["-c", DOUBLE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut told = BufReader::new(child.stdout.take().expect("its output")).lines();
        let port = told.next().expect("a port").expect("readable");
        Self {
            child,
            told,
            url: format!("http://127.0.0.1:{port}/"),
        }
    }

    fn told(&mut self) -> Value {
        let line = self.told.next().expect("a line").expect("readable");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn actuator(url: &str, key: &str) -> PortalActuator {
    PortalActuator::new(url, Secret::new(key)).expect("an actuator")
}

fn deauthorise(subject: PortalSubject) -> Action {
    Action::DeauthorisePortalUser { subject }
}

#[tokio::test]
async fn the_portal_is_told_the_whole_name() {
    let mut portal = Portal::start();
    let to = actuator(&portal.url, "the key");
    for name in ["claim-alice", "a\"b\\:::c\n\u{1b}[0m", "ü/../%2e"] {
        for (subject, key) in [
            (PortalSubject::Claim(name.to_owned()), "claimname"),
            (PortalSubject::User(HubUser::from(name)), "username"),
        ] {
            let drive = Drive::new(&to, deauthorise(subject));
            let before = drive.needed().await;
            for _ in 0..2 {
                drive.act(&before).await.expect("taken");
                assert_eq!(portal.told(), serde_json::json!({ key: name }));
            }
            assert_done(&drive.settled(&before).await);
            assert!(!drive.is_reversible());
        }
    }
}

#[tokio::test]
async fn whatever_is_no_yes_is_a_failure() {
    let portal = Portal::start();
    let alice = deauthorise(PortalSubject::Claim("claim-alice".to_owned()));
    for (status, expected) in [
        (302, "refused"),
        (400, "refused"),
        (404, "refused"),
        (403, "denied"),
        (429, "transient"),
        (500, "transient"),
        (503, "transient"),
    ] {
        let to = actuator(&format!("{}{status}", portal.url), "the key");
        let failure = Drive::new(&to, alice.clone())
            .act(&Value::Null)
            .await
            .expect_err("a failure");
        let got = match &failure {
            ActError::Transient { .. } => "transient",
            ActError::Denied { .. } => "denied",
            ActError::Refused { .. } => "refused",
            ActError::NotConfigured { .. } => "not configured",
        };
        assert_eq!(got, expected, "{status}");
        let said = failure.to_string();
        assert!(
            said.contains(&status.to_string()) && said.contains("<html>"),
            "{said}"
        );
        assert!(said.len() < 400 && !said.contains('\u{1b}'), "{said}");
    }

    let to = actuator(&portal.url, "another key");
    let failure = Drive::new(&to, alice.clone()).act(&Value::Null).await;
    assert!(
        matches!(failure, Err(ActError::Denied { .. })),
        "{failure:?}"
    );

    for subject in [
        PortalSubject::Claim(String::new()),
        PortalSubject::User(HubUser::from(" ")),
    ] {
        let drive = Drive::new(&to, deauthorise(subject));
        assert!(matches!(
            drive.check().await,
            Ok(Checked::Impossible { .. })
        ));
        assert!(matches!(
            drive.act(&Value::Null).await,
            Err(ActError::Refused { .. })
        ));
    }

    let url = portal.url.clone();
    drop(portal);
    let to = actuator(&url, "the key");
    let failure = Drive::new(&to, alice).act(&Value::Null).await;
    assert!(
        matches!(failure, Err(ActError::Transient { .. })),
        "{failure:?}"
    );
}

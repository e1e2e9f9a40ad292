//! What a test stands on, and running the command on it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use davylamp_testkit::faults::{FaultProxy, Schedule};
use davylamp_testkit::kubernetes::ApiServer;
use davylamp_testkit::mail::{MailFault, MailSink};
use davylamp_testkit::moto::{Moto, MotoAccount};
use davylamp_testkit::webhook::WebhookSink;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

pub const REGION: &str = "eu-central-1";
pub const CLUSTER: &str = "hub-prod";
pub const NAMESPACE: &str = "jhub";
/// A run that lasts longer has hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// An account behind a proxy, a cluster, a portal, a mail server, and a configuration for them.
pub struct Ground {
    /// Past the proxy, to prepare and to look.
    pub account: MotoAccount,
    /// What the command asks.
    pub proxy: FaultProxy,
    pub cluster: ApiServer,
    pub portal: WebhookSink,
    pub mail: MailSink,
    pub dir: TempDir,
    settings: Vec<String>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The one object that was printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Says every one of these, on either output.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            let said = self.out.contains(part) || self.err.contains(part);
            assert!(said, "no {part:?} in {self:#?}");
        }
        self
    }
}

/// A run that goes on.
pub struct Running(pub Child);

impl Running {
    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.0.kill().expect("a process of ours can be killed");
        self.0.wait().expect("a process of ours can be waited for");
    }

    /// Asks it to stop.
    pub fn signal(&self, signal: Signal) {
        // Not reaped yet, so the id is still its own.
        let pid = Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).expect("a process of ours can be asked");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.0.try_wait();
        ended.expect("a process of ours can be looked at").is_some()
    }

    /// Its end.
    #[track_caller]
    pub fn end(self) -> Ran {
        let mut child = self.0;
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let reads = [
            std::thread::spawn(move || text(out.as_mut())),
            std::thread::spawn(move || text(err.as_mut())),
        ];
        let (done, waited) = mpsc::channel::<()>();
        let pid = child.id();
        let watch = std::thread::spawn(move || {
            if waited.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Not reaped yet, so the id is still its own.
                let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        });
        let status = child.wait().expect("a process of ours can be waited for");
        drop(done);
        watch.join().expect("the watch does not panic");
        let [out, err] = reads.map(|read| read.join().expect("reading does not panic"));
        Ran {
            code: status.code().unwrap_or(-1),
            out,
            err,
        }
    }
}

fn text(stream: Option<&mut impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was written until then is told by the caller.
        let _ = stream.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ground {
    pub fn new() -> Self {
        Self::with_mail_faults([])
    }

    /// The first connections to the mail server have these faults.
    pub fn with_mail_faults(faults: impl IntoIterator<Item = MailFault>) -> Self {
        let moto = Moto::shared();
        let account = moto.account();
        let ground = Self {
            proxy: FaultProxy::start(&moto.endpoint(), Schedule::clean()),
            account,
            cluster: ApiServer::start(),
            portal: WebhookSink::start([]),
            mail: MailSink::start(faults),
            dir: tempfile::tempdir().expect("a directory"),
            settings: Vec::new(),
        };
        ground.write("kubeconfig", &ground.cluster.kubeconfig());
        ground.write("portal-key", "the key");
        ground.set_up();
        ground
    }

    fn set_up(&self) {
        let dir = self.dir.path().display();
        let config = format!(
            r#"[respond]
retry_seconds = 2
lease_seconds = 3
evidence_wait_minutes = 0

[respond.journal]
path = "{dir}/respond.db"

[respond.hub]
namespaces = ["{NAMESPACE}"]

[respond.portal]
url = "{portal}"
key = "file:{dir}/portal-key"

[respond.kubernetes]
kubeconfig = "{dir}/kubeconfig"
contexts = ["{CLUSTER}=double"]

[respond.notices]
from = "davylamp@example.org"
to = ["admins@example.org"]
smtp = "smtp://127.0.0.1:{mail}"
"#,
            portal = self.portal.url("/deauthorize"),
            mail = self.mail.port(),
        );
        self.write("davy.toml", &config);
    }

    /// Sets a key for every run from now on.
    pub fn set(&mut self, assignment: &str) {
        self.settings.push("--set".to_owned());
        self.settings.push(assignment.to_owned());
    }

    /// Makes this Hub ours.
    pub fn join_hub(&mut self, url: &str, token: &str) {
        self.write("hub-token", token);
        self.set(&format!("respond.hub.url={url}"));
        let path = self.path("hub-token");
        self.set(&format!("respond.hub.token=file:{path}"));
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.dir.path().join(name), text).expect("a file");
        self.path(name)
    }

    /// Writes a finding for `--finding`.
    pub fn save(&self, name: &str, finding: &Value) -> String {
        self.write(name, &finding.to_string())
    }

    /// Starts `davy respond` with these arguments.
    pub fn start(&self, args: &[&str]) -> Running {
        let child = self.command(args).stdin(Stdio::null()).spawn();
        Running(child.expect("davy starts"))
    }

    /// Starts a run, and kills it once it has asked EC2 for this.
    #[track_caller]
    pub fn kill_at(&self, args: &[&str], action: &str) {
        let run = self.start(args);
        let seen = self
            .proxy
            .wait_for("ec2", action, 1, Duration::from_secs(60));
        run.kill();
        assert!(seen, "no {action} was asked for");
    }

    /// Runs `davy respond` with these arguments to its end.
    #[track_caller]
    pub fn davy(&self, args: &[&str]) -> Ran {
        self.start(args).end()
    }

    /// The same without these variables, as on a machine that is not set up.
    #[track_caller]
    pub fn davy_without(&self, unset: &[&str], args: &[&str]) -> Ran {
        let mut command = self.command(args);
        for name in unset {
            command.env_remove(name);
        }
        Running(command.spawn().expect("davy starts")).end()
    }

    /// The same with this on its standard input.
    #[track_caller]
    pub fn davy_reading(&self, args: &[&str], input: &[u8]) -> Ran {
        let child = self.command(args).stdin(Stdio::piped()).spawn();
        let mut child = child.expect("davy starts");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(input).expect("davy reads its input");
        drop(stdin);
        Running(child).end()
    }

    fn command(&self, args: &[&str]) -> Command {
        self.verb("respond", args)
    }

    /// Another verb of the command, with the same configuration and account.
    pub fn verb(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
        command
            .arg(verb)
            .args(args)
            .args(["--config", &self.path("davy.toml")])
            .args(&self.settings)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("USER", "operator")
            .envs(
                self.account
                    .clone()
                    .through(self.proxy.endpoint())
                    .env(REGION),
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Responds to a finding until no other run holds its incident.
    #[track_caller]
    pub fn respond_when_free(&self, finding: &str) -> Ran {
        let mut ran = None;
        until("the lease of a dead run ends", || {
            let one = self.davy(&["--finding", finding]);
            let free = !one.out.contains("another run works on it");
            ran = Some(one);
            free
        });
        ran.expect("it ran at least once")
    }

    /// Whom the portal was asked to keep out, as it was written.
    pub fn shut_out(&self) -> Vec<String> {
        use base64::Engine as _;
        let hooks = self.portal.hooks();
        let decode = |body: &[u8]| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(body);
            let text = String::from_utf8(bytes.expect("base64")).expect("text");
            let (json, _) = text.rsplit_once(":::").expect("a digest");
            json.to_owned()
        };
        hooks.iter().map(|hook| decode(&hook.body)).collect()
    }
}

/// Waits for a condition.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

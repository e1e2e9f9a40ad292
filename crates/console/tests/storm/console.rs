//! The console's process: this test program, started anew.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use davylamp_console::Console;
use davylamp_console::config::Config;

use crate::until;

const DATABASE: &str = "STORM_DATABASE";
const LISTEN: &str = "STORM_LISTEN";

/// Not a test by itself: the console's process.
#[test]
#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn child_that_serves() {
    let (Ok(database), Ok(listen)) = (std::env::var(DATABASE), std::env::var(LISTEN)) else {
        return;
    };
    davylamp_console::memory::keep_small();
    crate::runtime().block_on(async {
        let mut config = config(&database);
        config.listen = listen;
        let console = match Console::open(config).await {
            Ok(console) => console,
            Err(error) => {
                println!("no console: {error}");
                std::process::exit(2);
            }
        };
        let ready = console.listen().await.expect("an address");
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        ready.serve(stopped).await;
    });
}

pub fn config(database: &str) -> Config {
    let mut config = Config {
        database: database.to_owned(),
        ..Config::default()
    };
    config.ingest.events_per_second = 100_000;
    config
}

/// A console that can die and come again at the same address.
pub struct Process {
    database: String,
    pub address: SocketAddr,
    child: Option<Child>,
}

impl Process {
    /// Not started yet.
    pub fn new(database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self {
            database: database.to_owned(),
            address: listener.local_addr().expect("an address"),
            child: None,
        }
    }

    pub fn started(database: &str) -> Self {
        let mut process = Self::new(database);
        process.start();
        process
    }

    fn spawn(&mut self) {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .args(["--exact", "console::child_that_serves", "--nocapture"])
            .env(DATABASE, &self.database)
            .env(LISTEN, self.address.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("the console starts"));
    }

    /// Starts it until it serves, as whatever keeps a service running does.
    pub fn start(&mut self) {
        self.spawn();
        until("the console serves", Duration::from_secs(60), || {
            let child = self.child.as_mut().expect("started");
            if child.try_wait().expect("looked after").is_some() {
                self.spawn();
            }
            TcpStream::connect(self.address).is_ok()
        });
    }

    /// Kills it: it is told nothing, and finishes nothing.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("dead");
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A number of `/proc/PID/status`, in KiB.
    pub fn status_kib(&self, name: &str) -> u64 {
        let pid = self.child.as_ref().expect("started").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the console says that does not start: its first line, and its exit code.
pub fn refusal(database: &str) -> (String, Option<i32>) {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["--exact", "console::child_that_serves", "--nocapture"])
        .env(DATABASE, database)
        .env(LISTEN, "127.0.0.1:0")
        .output()
        .expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.contains("no console"));
    (line.unwrap_or(&said).to_owned(), output.status.code())
}

//! The console as a process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use davylamp_console::Console;
use davylamp_console::config::Config;

/// Clock ticks a second, as `/proc` counts them on every Linux.
const TICKS: f64 = 100.0;

/// What a process has in memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub resident_mib: u64,
    pub own_mib: u64,
    pub file_mib: u64,
    pub highest_mib: u64,
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            resident_mib,
            own_mib,
            file_mib,
            ..
        } = self;
        write!(
            f,
            "{resident_mib} MiB ({own_mib} its own, {file_mib} of files)"
        )
    }
}

pub struct Program {
    child: Child,
    pub base: String,
}

impl Program {
    pub fn start(program: &str, database: &str) -> Self {
        let mut child = Command::new(program)
            .args([
                "console",
                "--listen=127.0.0.1:0",
                &format!("--database={database}"),
            ])
            .args(["--set=console.ingest.events_per_second=10000"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = said.next().expect("a line").expect("text");
        let base = first.rsplit(' ').next().expect("an address").to_owned();
        Self { child, base }
    }

    pub fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            kib.expect("a number") / 1024
        };
        Memory {
            resident_mib: of("VmRSS:"),
            own_mib: of("RssAnon:"),
            file_mib: of("RssFile:"),
            highest_mib: of("VmHWM:"),
        }
    }

    /// Its memory every half second for so long.
    pub async fn memories(&self, phase: Duration) -> Vec<Memory> {
        let (until, mut all) = (Instant::now() + phase, Vec::new());
        while Instant::now() < until {
            all.push(self.memory());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        all
    }

    /// How many seconds it has computed.
    pub fn busy(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("it runs");
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / TICKS
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `davy console` does of it, with its options `--listen=`, `--database=` and `--set=` for the pace.
pub fn serve(arguments: &[String]) {
    let option = |name: &str| {
        arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(name))
    };
    let mut config = Config {
        database: option("--database=").expect("a database").to_owned(),
        listen: option("--listen=").expect("an address").to_owned(),
        ..Config::default()
    };
    if let Some(pace) = option("--set=console.ingest.events_per_second=") {
        config.ingest.events_per_second = pace.parse().expect("a number");
    }
    davylamp_console::memory::keep_small();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let console = Console::open(config).await.expect("a ledger");
        let ready = console.listen().await.expect("an address");
        println!("the console listens on {}", ready.url());
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        ready.serve(stopped).await;
    });
}

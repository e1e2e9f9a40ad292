//! A verb of this program as a process of its own.

use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

/// More than so much is kept of neither stream.
const MAX_BYTES: u64 = 64 << 20;
/// Quoted of what it says on stderr: its end.
const QUOTED_CHARS: usize = 600;

/// What a child said.
#[derive(Debug)]
pub(super) struct Said {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Said {
    /// How it ended: 0 clean, 1 something, 2 not complete; `None` where a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The end of what it said on stderr.
    pub fn why(&self) -> String {
        let text = self.stderr.trim();
        let count = text.chars().count();
        let end: String = text
            .chars()
            .skip(count.saturating_sub(QUOTED_CHARS))
            .collect();
        match (end.is_empty(), count > QUOTED_CHARS) {
            (true, _) => format!("it ended with {}", self.status),
            (false, true) => format!("…{end}"),
            (false, false) => end,
        }
    }
}

/// Runs a verb with something on its standard input. When `stopped` turns true it is told to end, as a
/// person would by Ctrl-C.
pub(super) async fn run(
    arguments: &[String],
    input: Vec<u8>,
    variables: Vec<(String, String)>,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<Said> {
    let path = std::env::current_exe().context("cannot find the davy executable")?;
    let child = Command::new(path)
        .args(arguments)
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start a process for it")?;
    let pid = Pid::from_child(&child);
    let ending = tokio::task::spawn_blocking(move || followed(child, &input));
    tokio::pin!(ending);
    tokio::select! {
        ended = &mut ending => return ended.context("nobody followed it to its end")?,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    // It may have ended this moment; it is not reaped before `ending` has.
    let _ = kill_process(pid, Signal::TERM);
    ending.await.context("nobody followed it to its end")?
}

/// Feeds a child, hears it out, and waits for its end.
fn followed(mut child: Child, input: &[u8]) -> anyhow::Result<Said> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(mut stdin) = stdin {
                // A child that has seen enough closes it.
                let _ = stdin.write_all(input);
            }
        });
        let stderr = scope.spawn(|| whole(stderr));
        let stdout = whole(stdout);
        (stdout, stderr.join())
    });
    let status = child.wait().context("its end cannot be told")?;
    let stderr = stderr.ok().and_then(Result::ok).unwrap_or_default();
    Ok(Said {
        status,
        stdout: stdout.context("what it said cannot be read")?,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}

fn whole(stream: Option<impl Read>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(MAX_BYTES).read_to_end(&mut bytes)?;
        // A pipe that nobody reads would hold it up for ever.
        std::io::copy(&mut stream, &mut std::io::sink())?;
    }
    Ok(bytes)
}

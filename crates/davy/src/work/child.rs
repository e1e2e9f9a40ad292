//! A verb of this program as a process of its own.

use std::process::{ExitStatus, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
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
    let mut child = Command::new(path)
        .args(arguments)
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start a process for it")?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feeding = async move {
        if let Some(mut stdin) = stdin {
            // A child that has seen enough closes it.
            let _ = stdin.write_all(&input).await;
        }
    };
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let stopping = async {
        let _ = stopped.wait_for(|stopped| *stopped).await;
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        std::future::pending::<()>().await
    };
    let ending = async {
        let ((), out, err) = tokio::join!(feeding, whole(stdout), whole(stderr));
        let status = child.wait().await;
        (status, out, err)
    };
    let (status, stdout, stderr) = tokio::select! {
        ended = ending => ended,
        () = stopping => unreachable!("it waits for ever"),
    };
    Ok(Said {
        status: status.context("its end cannot be told")?,
        stdout: stdout.context("what it said cannot be read")?,
        stderr: String::from_utf8_lossy(&stderr.unwrap_or_default()).into_owned(),
    })
}

async fn whole(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream)
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .await?;
        // A pipe that nobody reads would hold it up for ever.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

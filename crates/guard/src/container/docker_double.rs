//! A double of a Docker Engine: HTTP on a unix socket, for tests.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// Answers every connection with what `answer` makes of the request's target; nothing means that
/// the server hangs.
pub(super) struct Double {
    _dir: Option<tempfile::TempDir>,
    path: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Double {
    /// A double at a socket of its own.
    pub(super) fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut double = Self::start_at(&dir.path().join("docker.sock"), answer);
        double._dir = Some(dir);
        double
    }

    /// A double at `path`, where an earlier one may have left its socket.
    pub(super) fn start_at(
        path: &Path,
        answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let path = path.to_owned();
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else {
                        break;
                    };
                    head.push(byte);
                }
                if !head.ends_with(b"\r\n\r\n") {
                    // The client lost patience before it had asked.
                    continue;
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap().to_owned();
                if let Some(bytes) = answer(&target) {
                    // The client may have heard enough and hung up.
                    let _ = stream.write_all(&bytes).await;
                } else {
                    open.push(stream);
                }
                log.lock().unwrap().push(target);
            }
        });
        Self {
            _dir: None,
            path,
            asked,
            task,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The targets of the requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer of known length.
pub(super) fn plain(status: &str, body: &str) -> Option<Vec<u8>> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
    Some(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// The body in chunks of `size` bytes, as Docker sends what it has not measured.
pub(super) fn chunked(body: &str, size: usize) -> Option<Vec<u8>> {
    let mut out = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in body.as_bytes().chunks(size) {
        out.extend(format!("{:x}\r\n", part.len()).bytes());
        out.extend(part);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    Some(out)
}

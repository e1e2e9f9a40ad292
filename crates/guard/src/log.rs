//! The log: one JSON line for each event, on standard output.
//!
//! Lines are written by a thread of their own, so that a reader who does not read cannot keep the
//! agent from deciding holds. When it falls behind by more than `QUEUE_LINES`, lines are lost and
//! counted.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde::Serialize;

/// Lines that may wait for the reader. A line has a few kilobytes at most.
const QUEUE_LINES: usize = 1024;
/// How long the end waits for a reader who does not read.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(2);

/// Where events are said.
pub struct Log {
    lines: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
    /// Says that the writer has ended, by ending.
    over: Receiver<()>,
}

impl Log {
    /// Starts the writer over `out`.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(QUEUE_LINES);
        let (ends, over) = sync_channel::<()>(0);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = std::thread::Builder::new().name("log".to_owned()).spawn({
            let lost = Arc::clone(&lost);
            move || {
                write_lines(&waiting, out, &lost);
                drop(ends);
            }
        })?;
        Ok(Self {
            lines: Some(lines),
            lost,
            writer: Some(writer),
            over,
        })
    }

    /// Says something, as one line.
    pub fn say(&self, what: &impl Serialize) {
        let line = match serde_json::to_string(what) {
            Ok(line) => line,
            Err(error) => {
                tracing::error!(%error, "an event could not be written; this is a bug");
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let sent = self.lines.as_ref().map(|lines| lines.try_send(line));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines lost so far, because nobody read them or the reader went away.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    /// Waits until all that was said is written, or the reader has had its time.
    fn drop(&mut self) {
        self.lines = None;
        let is_over = self.over.recv_timeout(LAST_LINES_WITHIN);
        if is_over != Err(RecvTimeoutError::Timeout)
            && let Some(writer) = self.writer.take()
        {
            let _ = writer.join();
        }
    }
}

fn write_lines(waiting: &Receiver<String>, mut out: impl Write, lost: &AtomicU64) {
    while let Ok(mut line) = waiting.recv() {
        line.push('\n');
        if out
            .write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .expect("not poisoned")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (open, opened) = &*self.0;
            let guard = open.lock().expect("not poisoned");
            drop(
                opened
                    .wait_while(guard, |open| !*open)
                    .expect("not poisoned"),
            );
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_said_is_written_before_the_log_ends() {
        let out = Shared::default();
        let log = Log::start(out.clone()).expect("start");
        for number in 0..100 {
            log.say(&number);
        }
        drop(log);
        let text = String::from_utf8(out.0.lock().expect("not poisoned").clone()).expect("text");
        assert_eq!(text.lines().count(), 100);
        assert!(text.ends_with("99\n"));
    }

    #[test]
    fn a_reader_who_does_not_read_costs_lines_and_no_time() {
        let gate = Gate::default();
        let log = Log::start(gate.clone()).expect("start");
        let said = QUEUE_LINES as u64 + 500;
        for number in 0..said {
            log.say(&number);
        }
        // One line may be in the writer's hands.
        assert!(
            log.lost() >= said - QUEUE_LINES as u64 - 1,
            "{} lost",
            log.lost()
        );
        *gate.0.0.lock().expect("not poisoned") = true;
        gate.0.1.notify_all();
    }
}

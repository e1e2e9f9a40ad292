//! The log: one JSON line for each event, on standard output, and in the spool where there is one.
//!
//! Every line ends with an `id` of its own, so that whoever gets it twice, or by two ways, can tell.
//! Each place is written by a thread of its own, so that a reader who does not read, or a disk that
//! does not take, keeps neither the agent from deciding holds nor the other place from its lines.
//! When one falls behind by more than its queue holds, lines are lost there and counted.

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

use davylamp_content::ocsf::GuardLines;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

mod spooled;

pub use spooled::{SpoolCounts, Spooled};

/// Lines that may wait for the reader. A line has a few kilobytes at most.
const QUEUE_LINES: usize = 1024;
/// How long the end waits for a reader who does not read.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(2);

/// Where events are said.
pub struct Log {
    out: Queue,
    spool: Option<(Queue, Arc<SpoolCounts>)>,
}

impl Log {
    /// Starts the writer over `out`, as OCSF where there is `ocsf`, and the one over the spool.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(
        out: impl Write + Send + 'static,
        ocsf: Option<GuardLines>,
        spool: Option<Spooled>,
    ) -> io::Result<Self> {
        let queue = Queue::start("log", move |waiting, lost| {
            write_lines(waiting, out, ocsf.as_ref(), lost);
        })?;
        let spool = spool.map(|spool| {
            let counts = spool.counts();
            let queue = Queue::start("spool", move |waiting, lost| spool.write(waiting, lost));
            queue.map(|queue| (queue, counts))
        });
        Ok(Self {
            out: queue,
            spool: spool.transpose()?,
        })
    }

    /// Says something, as one line.
    pub fn say(&self, what: &impl Serialize) {
        match line_of(what) {
            Some(line) => {
                let line: Arc<str> = line.into();
                if let Some((spool, _)) = &self.spool {
                    spool.push(Arc::clone(&line));
                }
                self.out.push(line);
            }
            None => self.out.lose(),
        }
    }

    /// Lines lost so far, because nobody read them or the reader went away.
    pub fn lost(&self) -> u64 {
        self.out.lost.load(Ordering::Relaxed)
    }

    /// What became of lines in the spool, where there is one.
    pub fn spool(&self) -> Option<SpoolFacts> {
        self.spool.as_ref().map(|(queue, counts)| SpoolFacts {
            lost: queue.lost.load(Ordering::Relaxed),
            dropped: counts.dropped.load(Ordering::Relaxed),
            bytes: counts.bytes.load(Ordering::Relaxed),
        })
    }
}

/// The spool in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolFacts {
    /// Lines that never came into it.
    pub lost: u64,
    /// Lines that were dropped from it to make room.
    pub dropped: u64,
    /// Bytes that it holds.
    pub bytes: u64,
}

/// An event as a line, with its id.
fn line_of(what: &impl Serialize) -> Option<String> {
    let mut line = match serde_json::to_string(what) {
        Ok(line) => line,
        Err(error) => {
            tracing::error!(%error, "an event could not be written; this is a bug");
            return None;
        }
    };
    if line.ends_with('}') {
        let comma = if line == "{}" { "" } else { "," };
        line.truncate(line.len() - 1);
        line.push_str(&format!("{comma}\"id\":\"{}\"}}", new_id()));
    }
    Some(line)
}

/// A UUID of version 7: in the order of time, and random for the rest.
fn new_id() -> Uuid {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    let mut random = [0; 10];
    // The bytes of version 4 that hold neither version nor variant.
    let all = Uuid::new_v4().into_bytes();
    random[..6].copy_from_slice(&all[..6]);
    random[6..].copy_from_slice(&all[9..13]);
    uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid()
}

/// Lines on their way to a thread that writes them.
struct Queue {
    lines: Option<SyncSender<Arc<str>>>,
    lost: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
    /// Says that the writer has ended, by ending.
    over: Receiver<()>,
}

impl Queue {
    fn start(
        name: &str,
        write: impl FnOnce(&Receiver<Arc<str>>, &AtomicU64) + Send + 'static,
    ) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(QUEUE_LINES);
        let (ends, over) = sync_channel::<()>(0);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = std::thread::Builder::new().name(name.to_owned()).spawn({
            let lost = Arc::clone(&lost);
            move || {
                write(&waiting, &lost);
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

    fn push(&self, line: Arc<str>) {
        let sent = self.lines.as_ref().map(|lines| lines.try_send(line));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            self.lose();
        }
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Queue {
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

fn write_lines(
    waiting: &Receiver<Arc<str>>,
    mut out: impl Write,
    ocsf: Option<&GuardLines>,
    lost: &AtomicU64,
) {
    while let Ok(line) = waiting.recv() {
        let line = match ocsf {
            Some(ocsf) => as_ocsf(ocsf, &line),
            None => line.to_string(),
        };
        // One write, so that a line is whole in a pipe.
        let line = format!("{line}\n");
        if out
            .write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn as_ocsf(ocsf: &GuardLines, line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|_| line.into());
    ocsf.write(&value).to_string()
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
        let log = Log::start(out.clone(), None, None).expect("start");
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
        let log = Log::start(gate.clone(), None, None).expect("start");
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

    #[test]
    fn every_line_has_an_id_of_its_own_and_both_places_the_same() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = Shared::default();
        let log = Log::start(out.clone(), None, Some(spool(dir.path(), 1 << 20))).expect("start");
        for number in 0..50 {
            log.say(&serde_json::json!({"number": number}));
        }
        log.say(&serde_json::json!({}));
        drop(log);
        let text = String::from_utf8(out.0.lock().expect("not poisoned").clone()).expect("text");
        let said: Vec<&str> = text.lines().collect();
        let ids: std::collections::BTreeSet<String> = said
            .iter()
            .map(|line| {
                let line: Value = serde_json::from_str(line).expect("an object");
                line["id"].as_str().expect("an id").to_owned()
            })
            .collect();
        assert_eq!(ids.len(), 51);
        let mut reader = davylamp_spool::Reader::open(dir.path(), "test").expect("a reader");
        let batch = reader.next_batch(100, 1 << 20).expect("a batch");
        assert_eq!(batch.lines, said);
    }

    #[test]
    fn what_the_spool_drops_is_said_in_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = Log::start(io::sink(), None, Some(spool(dir.path(), 8192))).expect("start");
        for number in 0..QUEUE_LINES {
            log.say(&serde_json::json!({"number": number}));
        }
        let spool_of = |log: &Log| log.spool().expect("there is a spool");
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while spool_of(&log).dropped < 500 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(spool_of(&log).bytes <= 8192);
        drop(log);
        let mut reader = davylamp_spool::Reader::open(dir.path(), "test").expect("a reader");
        let batch = reader.next_batch(10_000, 1 << 20).expect("a batch");
        let said: Vec<Value> = batch
            .lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("an object"))
            .filter(|line: &Value| line["event"] == "spool lines dropped")
            .collect();
        assert!(!said.is_empty(), "{:?}", batch.lines);
        assert_eq!(said[0]["node"], "node-1");
        assert!(said[0]["dropped"].as_u64() > Some(10), "{}", said[0]);
    }

    fn spool(dir: &std::path::Path, max_bytes: u64) -> Spooled {
        let writer = davylamp_spool::Writer::open(davylamp_spool::Limits {
            dir: dir.to_owned(),
            max_bytes,
            segment_bytes: max_bytes / 4,
            line_bytes: davylamp_spool::MAX_LINE_BYTES,
        });
        Spooled::new(writer.expect("a spool"), "node-1".into())
    }

    #[test]
    fn as_ocsf_it_is_the_finding_that_the_spool_has() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = Shared::default();
        let ocsf = GuardLines::shipped().expect("what ships is good");
        let log = Log::start(out.clone(), Some(ocsf), Some(spool(dir.path(), 1 << 20)));
        let log = log.expect("start");
        log.say(
            &serde_json::json!({"action": "killed", "cmdline": "x", "matched": "x", "node": "n-1"}),
        );
        drop(log);
        let said = out.0.lock().expect("not poisoned").clone();
        let mut reader = davylamp_spool::Reader::open(dir.path(), "test").expect("a reader");
        let spooled = reader.next_batch(100, 1 << 20).expect("a batch").lines;
        let read = |bytes: &[u8]| davylamp_model::intake::read(bytes).findings;
        let (said, spooled) = (read(&said), read(spooled[0].as_bytes()));
        assert_eq!((said.len(), spooled.len()), (1, 1));
        assert_eq!(said[0].id, spooled[0].id);
        assert_eq!(said[0].resources, spooled[0].resources);
    }
}

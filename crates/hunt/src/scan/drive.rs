//! Reading objects one after another, on a thread that may block.

use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::Arc;

use ::parquet::file::reader::ChunkReader;
use datafusion::arrow::array::{Array, RecordBatch};

use crate::objects::{Layout, Object};
use crate::read::{self, Log, Order, Reader, Rows, Sink, parquet};
use crate::tally::Run;
use crate::unpack::{self, Caps, Chunk, MODEST_BYTES, Stored, UnpackError};

/// How files start that carry a mark of their byte order.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is done with the objects.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub log: &'static dyn Log,
    pub order: Order,
    pub caps: Caps,
    pub run: Arc<Run>,
}

impl Job {
    /// Counts the values of a batch of the columns ordered.
    pub fn fill(&self, batch: &RecordBatch) {
        let table = self.log.table();
        let columns = self.order.columns.iter().zip(batch.columns());
        let counts = columns.map(|(column, values)| {
            let name = table.columns[*column].name;
            (name, values.len() - values.null_count())
        });
        self.run.fill(table.name, counts);
    }
}

/// Reads objects and hands on their rows.
pub(super) fn drive(job: &Job, objects: &[Object], emit: read::Emit) {
    let table = job.log.table();
    let mut sink = Sink::new(Rows::new(table, &job.order.columns), emit);
    for object in objects {
        if sink.is_closed() {
            job.run.stop_early();
            break;
        }
        read_object(job, object, &mut sink);
        job.run.add(table.name, &std::mem::take(&mut sink.tally));
    }
    sink.flush();
    if sink.is_closed() {
        job.run.stop_early();
    }
}

fn read_object(job: &Job, object: &Object, sink: &mut Sink) {
    let stored = match object.open() {
        Ok(stored) => stored,
        Err(error) => return unreadable(&object.name, &error, sink),
    };
    sink.tally.objects += 1;
    sink.tally.bytes_in += match &stored {
        Stored::Whole(bytes) => bytes.len() as u64,
        Stored::Stream(_) => object.size,
    };
    let named = read::Object {
        name: Arc::clone(&object.name),
        account: object.layout.account.clone(),
        region: object.layout.region.clone(),
    };
    let stored = match parquet_of(object, stored) {
        Ok(Opened::Text(stored)) => stored,
        Ok(Opened::Bytes(bytes)) => return read_parquet(job, &named, bytes, sink),
        Ok(Opened::File(file)) => return read_parquet(job, &named, file, sink),
        Err(error) => return unreadable(&object.name, &error, sink),
    };
    if read_text(job, &named, stored, sink) {
        read_archive(job, object, sink);
    }
}

/// An object by the way it is read.
enum Opened {
    Text(Stored),
    Bytes(bytes::Bytes),
    File(File),
}

/// Parquet is read from its end, so a large object that is one is had as a file.
fn parquet_of(object: &Object, stored: Stored) -> std::io::Result<Opened> {
    let mut stream = match stored {
        Stored::Whole(bytes) if bytes.starts_with(parquet::MAGIC) => {
            return Ok(Opened::Bytes(bytes.into()));
        }
        Stored::Whole(_) => return Ok(Opened::Text(stored)),
        Stored::Stream(stream) => stream,
    };
    let mut start = Vec::new();
    (&mut stream)
        .take(parquet::MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    let is_parquet = start == parquet::MAGIC;
    let mut whole = Cursor::new(start).chain(stream);
    match (is_parquet, object.path()) {
        (false, _) => Ok(Opened::Text(Stored::Stream(Box::new(whole)))),
        (true, Some(path)) => Ok(Opened::File(File::open(path)?)),
        (true, None) => {
            let mut file = tempfile::tempfile()?;
            std::io::copy(&mut whole, &mut file)?;
            Ok(Opened::File(file))
        }
    }
}

/// Reads a log that is Parquet.
fn read_parquet<R: ChunkReader + 'static>(
    job: &Job,
    named: &read::Object,
    file: R,
    sink: &mut Sink,
) {
    let table = job.log.table();
    let mut transcript = match parquet::Transcript::open(file, table.name) {
        Ok(Some(transcript)) => transcript,
        Ok(None) => return,
        Err(fault) => return unreadable(&named.name, &fault, sink),
    };
    for column in transcript.absent() {
        let is_wanted = |number: &usize| table.columns[*number].name == *column;
        if job.order.columns.iter().any(is_wanted) {
            *sink.tally.absent.entry(column).or_default() += 1;
        }
    }
    let job = Job {
        order: transcript.order(&job.order),
        ..job.clone()
    };
    let mut feed = Feed::new(&job, named);
    let result = unpack::unpack_from(&mut transcript, job.caps, &mut |chunk| {
        feed.take(chunk, sink)
    });
    settle(&named.name, result, sink);
    if transcript.bad_values() > 0 {
        sink.tally.bad_values += transcript.bad_values();
        let what = "a text has blanks, which no field of a flow log has";
        sink.tally.sample(|| named.name.to_string(), what);
    }
}

/// Reads an object that is a log. Whether it is an archive instead, of which nothing was read.
fn read_text(job: &Job, named: &read::Object, stored: Stored, sink: &mut Sink) -> bool {
    let mut feed = Feed::new(job, named);
    let result = unpack::unpack(stored, job.caps, &mut |chunk| feed.take(chunk, sink));
    let is_archive = feed.is_archive;
    if !is_archive {
        settle(&named.name, result, sink);
    }
    is_archive
}

fn settle(name: &str, (bytes, result): (u64, Result<(), UnpackError>), sink: &mut Sink) {
    sink.tally.bytes_out += bytes;
    if let Err(error) = result {
        sink.tally.over_limit += u64::from(matches!(error, UnpackError::TooLarge(_)));
        unreadable(name, &error, sink);
    }
}

/// Hands chunks to the reader of an object.
struct Feed {
    reader: Box<dyn Reader>,
    is_first: bool,
    is_archive: bool,
}

impl Feed {
    fn new(job: &Job, named: &read::Object) -> Self {
        Self {
            reader: job.log.open(&job.order, named),
            is_first: true,
            is_archive: false,
        }
    }

    fn take(&mut self, chunk: &Chunk, sink: &mut Sink) -> Option<usize> {
        if sink.is_closed() {
            return None;
        }
        let bytes = chunk.buffer.as_slice();
        let mut skipped = 0;
        if std::mem::take(&mut self.is_first) {
            if unpack::is_archive(bytes) {
                self.is_archive = true;
                return None;
            }
            if bytes.starts_with(BYTE_ORDER_MARK) {
                skipped = BYTE_ORDER_MARK.len();
            }
        }
        let chunk = Chunk {
            buffer: chunk.buffer.slice(skipped),
            next: chunk.next,
        };
        sink.enter(&chunk);
        Some(skipped + self.reader.read(&chunk, sink))
    }
}

/// Reads the members of an archive that are of the table's log.
fn read_archive(job: &Job, object: &Object, sink: &mut Sink) {
    let mut read = || -> std::io::Result<()> {
        let stream = match object.open()? {
            Stored::Whole(bytes) => Box::new(Cursor::new(bytes)),
            Stored::Stream(stream) => stream,
        };
        let mut archive = tar::Archive::new(unpack::decode(stream)?);
        for member in archive.entries()? {
            let member = member?;
            if member.header().entry_type().is_file() && !sink.is_closed() {
                let name = format!("{}!{}", object.name, member.path()?.display());
                let size = member.size();
                read_member(job, object, &name, size, member, sink);
            }
        }
        Ok(())
    };
    if let Err(error) = read() {
        unreadable(&object.name, &error, sink);
    }
}

/// Why a member of an archive is read as no log, where that is so. One that is empty holds nothing.
fn strange(stored: &[u8], head: &[u8], is_log: bool) -> Option<&'static str> {
    if stored.starts_with(parquet::MAGIC) {
        Some("Parquet within an archive is not read; unpack the archive first")
    } else if unpack::is_archive(head) {
        Some("an archive within an archive is not read; unpack the archive first")
    } else if stored.is_empty() || is_log {
        None
    } else {
        Some("it is no log that is known; unpack the archive, and say what it is: TABLE=PATH")
    }
}

fn read_member(
    job: &Job,
    object: &Object,
    name: &str,
    size: u64,
    mut member: impl Read,
    sink: &mut Sink,
) {
    let layout = Layout::of(name);
    let mut start = Vec::new();
    let mut read_to = |bytes: usize, start: &mut Vec<u8>| {
        let more = bytes.saturating_sub(start.len());
        (&mut member).take(more as u64).read_to_end(start)
    };
    let mut read = read_to(unpack::HEAD_BYTES, &mut start);
    if let (Ok(_), Some(bytes)) = (&read, unpack::longer_head(&start)) {
        read = read_to(bytes, &mut start);
    }
    if let Err(error) = read {
        return unreadable(name, &error, sink);
    }
    let head = unpack::head(&start);
    let log = match object.stated.or(layout.table) {
        Some(said) => read::log(said),
        None => read::recognised(&head, &job.order.given),
    };
    if let Some(what) = strange(&start, &head, log.is_some()) {
        return job.run.strange(name, what);
    }
    if log.is_none_or(|log| log.table().name != job.log.table().name) {
        return;
    }
    let named = read::Object {
        name: name.into(),
        account: layout.account,
        region: layout.region,
    };
    let mut rest = Cursor::new(start).chain(member);
    if size <= MODEST_BYTES {
        let mut bytes = Vec::new();
        // What a broken archive holds of its last member is read, and the archive tells the rest.
        let _ = rest.read_to_end(&mut bytes);
        read_text(job, &named, Stored::Whole(bytes), sink);
    } else {
        let mut feed = Feed::new(job, &named);
        let result = unpack::unpack_from(rest, job.caps, &mut |chunk| feed.take(chunk, sink));
        settle(name, result, sink);
    }
}

/// Counts an object that was not read, or not to its end, with the reasons one after another.
fn unreadable(name: &str, error: &dyn std::error::Error, sink: &mut Sink) {
    sink.tally.objects_unreadable += 1;
    sink.tally.sample(|| name.to_owned(), unpack::chain(error));
}

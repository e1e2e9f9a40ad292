//! From an object's stored bytes to chunks of its text, whatever it is packed with.
//!
//! The packing is told by the first bytes, never by the name. An object of modest size is
//! decompressed at once by the fastest library; any other goes through a window, so that memory
//! stays bounded whatever its size. What must stay true: of an object that breaks off, everything
//! before the break is read, and the break is a fault.

use std::io::{self, Cursor, Read};

use datafusion::arrow::buffer::Buffer;

mod whole;

/// An object of up to this many bytes is read at once. Larger ones go through a window.
pub const MODEST_BYTES: u64 = 16 << 20;

/// An object that is larger than this once decompressed goes through a window.
const MAX_WHOLE_BYTES: usize = 32 << 20;

/// The size of the window, unless a record is longer.
const WINDOW_BYTES: usize = 4 << 20;

/// How much of an object is looked at to tell what it is.
pub const HEAD_BYTES: usize = 16 << 10;

/// How much of it is needed where it is packed by zstd, which gives nothing before a block is whole:
/// no block is longer (RFC 8878, 3.1.1.2), and it has a header before it.
const ZSTD_HEAD_BYTES: usize = (128 << 10) + HEAD_BYTES;

/// How many bytes tell the packing.
const MAGIC_BYTES: u64 = 4;

/// The bounds of what is read of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The longest line or record, in bytes. The longest real ones have 256 KiB.
    pub record_bytes: usize,
    /// The most an object may hold once decompressed, in bytes. A real one has at most a few GiB;
    /// an archive made to exhaust its reader has no end.
    pub object_bytes: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            record_bytes: 16 << 20,
            object_bytes: 64 << 30,
        }
    }
}

/// A part of an object's text.
#[derive(Debug)]
pub struct Chunk {
    /// Its bytes.
    pub buffer: Buffer,
    /// What comes after it.
    pub next: Next,
}

/// What comes after a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More of the object, and what was left of this chunk before it.
    More,
    /// Nothing.
    End,
    /// Nothing that can be read: the object breaks off here. What comes after the last whole record
    /// is none.
    Broken,
    /// More of the object, but what was left of this chunk is dropped: its first record is longer
    /// than a record may be.
    Dropped,
}

/// Bytes as they are stored.
pub enum Stored {
    /// All of them.
    Whole(Vec<u8>),
    /// A stream.
    Stream(Box<dyn Read + Send>),
}

/// How an object is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// By gzip, in one or more members.
    Gzip,
    /// By zstd, in one or more frames.
    Zstd,
}

/// Why an object was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It cannot be read, or breaks off.
    #[error("it could not be read to its end")]
    Broken(#[source] io::Error),
    /// It holds more than it may.
    #[error("it holds more than {0} bytes; the rest was not read")]
    TooLarge(u64),
}

impl Packing {
    /// How an object that starts with these bytes is packed.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// A stream of what a stream holds.
    ///
    /// # Errors
    /// When the decompressor cannot be set up.
    pub fn decoder<'a>(self, stream: Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Plain => stream,
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(stream)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(stream)?),
        })
    }
}

/// How much of an object that starts so has to be looked at, where [`HEAD_BYTES`] are not enough.
pub fn longer_head(start: &[u8]) -> Option<usize> {
    let is_cut = start.len() >= HEAD_BYTES;
    (is_cut && Packing::of(start) == Packing::Zstd).then_some(ZSTD_HEAD_BYTES)
}

/// The text of an object up to [`HEAD_BYTES`], as far as it can be read.
pub fn head(stored: &[u8]) -> Vec<u8> {
    let stream = Box::new(Cursor::new(stored));
    let mut head = Vec::new();
    if let Ok(decoder) = Packing::of(stored).decoder(stream) {
        // Where the stored bytes end early, what came before is the head.
        let _ = decoder.take(HEAD_BYTES as u64).read_to_end(&mut head);
    }
    head
}

/// Hands on an object's text, chunk by chunk. The callee says how much of a chunk it has read, or
/// nothing where it needs no more of the object. Gives the number of bytes of text there
/// were, and why the object was not read to its end, if it was not.
pub fn unpack(
    stored: Stored,
    caps: Caps,
    each: &mut dyn FnMut(&Chunk) -> Option<usize>,
) -> (u64, Result<(), UnpackError>) {
    match stored {
        Stored::Whole(bytes) => match whole::decompress(&bytes, MAX_WHOLE_BYTES) {
            whole::Text::Done(text) => (once(text, each), Ok(())),
            whole::Text::AsStored => (once(bytes, each), Ok(())),
            whole::Text::NotSo => unpack_from(Cursor::new(bytes), caps, each),
        },
        Stored::Stream(bytes) => unpack_from(bytes, caps, each),
    }
}

fn once(text: Vec<u8>, each: &mut dyn FnMut(&Chunk) -> Option<usize>) -> u64 {
    let bytes = text.len() as u64;
    each(&Chunk {
        buffer: Buffer::from_vec(text),
        next: Next::End,
    });
    bytes
}

/// Hands on the text of a stream, chunk by chunk; see [`unpack`].
pub fn unpack_from<'a>(
    stored: impl Read + 'a,
    caps: Caps,
    each: &mut dyn FnMut(&Chunk) -> Option<usize>,
) -> (u64, Result<(), UnpackError>) {
    match decode(stored) {
        Ok(mut text) => window(&mut *text, caps, each),
        Err(error) => (0, Err(UnpackError::Broken(error))),
    }
}

/// What a stream holds, whatever it is packed with.
///
/// # Errors
/// When its first bytes cannot be read, or the decompressor not be set up.
pub fn decode<'a>(mut stored: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut magic = Vec::new();
    (&mut stored).take(MAGIC_BYTES).read_to_end(&mut magic)?;
    let packing = Packing::of(&magic);
    packing.decoder(Box::new(Cursor::new(magic).chain(stored)))
}

/// An error with all that was behind it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether a text that starts so is an archive of files (POSIX.1, the ustar format).
pub fn is_archive(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

fn window(
    text: &mut dyn Read,
    caps: Caps,
    each: &mut dyn FnMut(&Chunk) -> Option<usize>,
) -> (u64, Result<(), UnpackError>) {
    let mut left: Vec<u8> = Vec::new();
    let mut size = WINDOW_BYTES.min(caps.record_bytes);
    let mut total = 0;
    loop {
        let mut block = Vec::with_capacity(size);
        block.append(&mut left);
        let mut error = None;
        let wanted = (size - block.len().min(size)) as u64;
        let room = caps.object_bytes - total;
        let before = block.len();
        // What was read before an error stays in the block.
        if let Err(broken) = text.take(wanted.min(room)).read_to_end(&mut block) {
            error = Some(UnpackError::Broken(broken));
        }
        let read = (block.len() - before) as u64;
        total += read;
        if error.is_none() && read == room && room < wanted {
            error = Some(UnpackError::TooLarge(caps.object_bytes));
        }
        let next = match &error {
            Some(_) => Next::Broken,
            None if read < wanted => Next::End,
            None => Next::More,
        };
        let mut chunk = Chunk {
            buffer: Buffer::from_vec(block),
            next,
        };
        let Some(mut used) = each(&chunk) else {
            return (total, Ok(()));
        };
        if used == 0 && next == Next::More && size >= caps.record_bytes {
            chunk.next = Next::Dropped;
            used = match each(&chunk) {
                Some(_) => chunk.buffer.len(),
                None => return (total, Ok(())),
            };
        }
        match (error, next) {
            (Some(error), _) => return (total, Err(error)),
            (None, Next::End) => return (total, Ok(())),
            (None, Next::More | Next::Dropped | Next::Broken) => {}
        }
        left = chunk.buffer[used.min(chunk.buffer.len())..].to_vec();
        // A record that fills the window needs a larger one.
        size = if used == 0 {
            (size * 2).min(caps.record_bytes)
        } else {
            WINDOW_BYTES
                .min(caps.record_bytes)
                .max(left.len() * 2)
                .min(caps.record_bytes)
        };
    }
}

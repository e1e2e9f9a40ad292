//! Decompressing an object at once.

use libdeflater::Decompressor;
use memchr::memmem;

use super::Packing;

/// How a member of a gzip file starts, with the only method there is.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 0x08];

/// The shortest gzip file: header, an empty block, checksum and size.
const MIN_GZIP_BYTES: usize = 20;

/// Deflate cannot make more than this many bytes out of one. A size that says otherwise is a lie,
/// and memory must not be taken for it.
const MAX_RATIO: usize = 1032;

/// What came of it.
pub(super) enum Text {
    /// The text.
    Done(Vec<u8>),
    /// The stored bytes are the text.
    AsStored,
    /// This cannot be done at once.
    NotSo,
}

/// Decompresses a gzip file of one member that holds no more than `most` bytes.
pub(super) fn decompress(stored: &[u8], most: usize) -> Text {
    match Packing::of(stored) {
        Packing::Plain => Text::AsStored,
        Packing::Zstd => Text::NotSo,
        Packing::Gzip => gzip(stored, most).map_or(Text::NotSo, Text::Done),
    }
}

fn gzip(stored: &[u8], most: usize) -> Option<Vec<u8>> {
    // The library stops after the first member without a word. A second one starts with the magic
    // bytes; where these stand by chance, the stream decoder takes the file.
    if stored.len() < MIN_GZIP_BYTES || memmem::find(&stored[1..], GZIP_MAGIC).is_some() {
        return None;
    }
    let (_, size) = stored.split_last_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    if size > most || size / MAX_RATIO > stored.len() {
        return None;
    }
    let mut text = vec![0; size];
    let written = Decompressor::new()
        .gzip_decompress(stored, &mut text)
        .ok()?;
    (written == size).then_some(text)
}

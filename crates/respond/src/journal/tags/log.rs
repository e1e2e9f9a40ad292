//! An incident's entries as pieces of text that fit into tag values.
//!
//! What must stay true: a longer log begins with the bytes of the shorter one. Each entry is one
//! line of JSON, the lines are one deflate stream, and the stream is flushed after each line; so
//! what a write that was cut off has left behind is never taken for what was there before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::head::VALUE_CHARS;
use super::{Entry, JournalError, STORE};

/// As many bytes as fill a tag value: base64 makes four characters of three.
const PIECE_BYTES: usize = VALUE_CHARS / 4 * 3;
/// More than any incident has. Who may tag could make us unpack without end.
const MOST_BYTES: usize = 16 << 20;
/// How much is unpacked at once.
const STEP_BYTES: usize = 64 << 10;

/// One entry as a line.
pub(super) fn line(entry: &Entry) -> Result<Vec<u8>, JournalError> {
    let mut line = serde_json::to_vec(entry).map_err(unreadable)?;
    line.push(b'\n');
    Ok(line)
}

/// The lines packed.
pub(super) fn pack(lines: &[u8]) -> Result<Vec<u8>, JournalError> {
    let mut packer = Compress::new(Compression::best(), false);
    let mut packed = Vec::new();
    for mut line in lines.split_inclusive(|byte| *byte == b'\n') {
        // A flush that does not fit goes on with the next call.
        loop {
            // More than deflate ever makes of it, so that one call is enough.
            packed.reserve(line.len() + line.len() / 512 + 256);
            let before = packer.total_in();
            packer
                .compress_vec(line, &mut packed, FlushCompress::Sync)
                .map_err(unreadable)?;
            let taken = usize::try_from(packer.total_in() - before).unwrap_or(line.len());
            line = line.get(taken..).unwrap_or_default();
            if line.is_empty() && packed.len() < packed.capacity() {
                break;
            }
        }
    }
    Ok(packed)
}

/// The lines again; what comes after the last whole one does not count.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, JournalError> {
    let mut unpacker = Decompress::new(false);
    let mut lines = Vec::new();
    let mut rest = packed;
    loop {
        lines.reserve(STEP_BYTES);
        let (before, had) = (unpacker.total_in(), lines.len());
        let status = unpacker
            .decompress_vec(rest, &mut lines, FlushDecompress::Sync)
            .map_err(unreadable)?;
        let taken = usize::try_from(unpacker.total_in() - before).unwrap_or(rest.len());
        rest = rest.get(taken..).unwrap_or_default();
        if lines.len() > MOST_BYTES {
            return Err(unreadable("it is larger than any log of ours"));
        }
        if status == Status::StreamEnd || (taken == 0 && lines.len() == had) {
            break;
        }
    }
    let whole = lines.iter().rposition(|byte| *byte == b'\n');
    lines.truncate(whole.map_or(0, |at| at + 1));
    Ok(lines)
}

/// The entries of some lines.
pub(super) fn entries(lines: &[u8]) -> Result<Vec<Entry>, JournalError> {
    lines
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).map_err(unreadable))
        .collect()
}

/// The packed bytes as tag values.
pub(super) fn pieces(packed: &[u8]) -> Vec<String> {
    packed
        .chunks(PIECE_BYTES)
        .map(|piece| STANDARD_NO_PAD.encode(piece))
        .collect()
}

/// The bytes of one tag value.
pub(super) fn bytes(piece: &str) -> Result<Vec<u8>, JournalError> {
    STANDARD_NO_PAD.decode(piece).map_err(unreadable)
}

fn unreadable(why: impl ToString) -> JournalError {
    JournalError::Unreadable {
        store: STORE.to_owned(),
        why: format!("a log: {}", why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(texts: &[String]) -> Vec<u8> {
        texts
            .iter()
            .flat_map(|text| format!("{}\n", serde_json::json!(text)).into_bytes())
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_is_packed_is_unpacked_and_only_grows(
            texts in proptest::collection::vec(".{0,2000}", 0..12),
        ) {
            let mut last = Vec::new();
            for count in 0..=texts.len() {
                let lines = lines(&texts[..count]);
                let packed = pack(&lines).unwrap();
                prop_assert!(packed.starts_with(&last));
                prop_assert_eq!(unpack(&packed).unwrap(), lines);
                let pieces = pieces(&packed);
                prop_assert!(pieces.iter().all(|piece| piece.len() <= VALUE_CHARS));
                let joined: Vec<u8> = pieces.iter().flat_map(|it| bytes(it).unwrap()).collect();
                prop_assert_eq!(&joined, &packed);
                last = packed;
            }
        }

        #[test]
        fn a_log_cut_off_anywhere_is_its_whole_lines(cut in 0usize..600) {
            let texts: Vec<String> = (0..40).map(|n| format!("step {n} {}", n * n)).collect();
            let whole = lines(&texts);
            let packed = pack(&whole).unwrap();
            let part = unpack(&packed[..cut.min(packed.len())]).unwrap();
            prop_assert!(whole.starts_with(&part));
            prop_assert!(part.is_empty() || part.ends_with(b"\n"));
        }

        #[test]
        fn any_bytes_are_a_log_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let _ = unpack(&bytes).and_then(|lines| entries(&lines));
        }
    }

    #[test]
    fn a_log_that_unpacks_without_end_is_refused() {
        let bomb = pack(&vec![b' '; MOST_BYTES + 1]).unwrap();
        assert!(unpack(&bomb).is_err());
    }
}

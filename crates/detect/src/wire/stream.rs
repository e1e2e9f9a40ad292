//! The start of one direction of a TCP connection, put together from its segments.

use std::collections::BTreeMap;

/// So much of each direction is kept: a handshake is shorter.
pub(super) const MAX_KEPT: usize = 8192;

/// So many segments that came before their turn are kept.
const MAX_EARLY: usize = 64;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The sequence number of the first byte, where one was seen.
    first: Option<u32>,
    kept: Vec<u8>,
    /// Segments that came early, by where they belong.
    early: BTreeMap<usize, Vec<u8>>,
}

impl Stream {
    /// The connection begins here: its first byte is the one behind this number.
    pub fn start(&mut self, sequence: u32) {
        if self.kept.is_empty() {
            self.first = Some(sequence.wrapping_add(1));
        }
    }

    /// Takes a segment; says whether the start has grown.
    pub fn take(&mut self, sequence: u32, payload: &[u8]) -> bool {
        if payload.is_empty() || self.kept.len() >= MAX_KEPT {
            return false;
        }
        // A capture that began later begins with what it has.
        let first = *self.first.get_or_insert(sequence);
        let offset = sequence.wrapping_sub(first) as i32;
        let (offset, payload) = match usize::try_from(offset) {
            Ok(offset) => (offset, payload),
            // Sent again, from before what is kept.
            Err(_) => match payload.get(offset.unsigned_abs() as usize..) {
                Some(rest) => (0, rest),
                None => return false,
            },
        };
        if offset > MAX_KEPT {
            return false;
        }
        if offset > self.kept.len() {
            if self.early.len() < MAX_EARLY {
                self.early.entry(offset).or_insert_with(|| payload.to_vec());
            }
            return false;
        }
        let before = self.kept.len();
        self.append(offset, payload);
        while let Some((offset, payload)) = self.early.pop_first() {
            if offset > self.kept.len() {
                self.early.insert(offset, payload);
                break;
            }
            self.append(offset, &payload);
        }
        self.kept.len() > before
    }

    /// The start, without a gap.
    pub fn bytes(&self) -> &[u8] {
        &self.kept
    }

    /// Takes the first bytes out, where messages are read one by one.
    pub fn consume(&mut self, count: usize) {
        self.kept.drain(..count.min(self.kept.len()));
        let early = std::mem::take(&mut self.early).into_iter();
        let moved = early.filter_map(|(at, payload)| Some((at.checked_sub(count)?, payload)));
        self.early = moved.collect();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.first = self.first.map(|first| first.wrapping_add(count));
    }

    fn append(&mut self, offset: usize, payload: &[u8]) {
        // The first to arrive counts: what is sent again cannot change it.
        let new = payload.get(self.kept.len() - offset..).unwrap_or_default();
        let room = MAX_KEPT - self.kept.len();
        self.kept.extend_from_slice(&new[..new.len().min(room)]);
    }
}

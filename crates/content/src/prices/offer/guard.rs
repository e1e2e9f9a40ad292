//! A bound on the texts of a JSON document: the parser keeps each key and value whole.

use std::io::{self, Read};

/// The longest stretch without a quote, in bytes. The disclaimer of a price list has a few hundred.
const MAX_STRETCH_BYTES: usize = 1 << 20;

/// Fails where a text, a number or a nesting is longer than any of AWS's.
pub(super) struct Guard<R> {
    from: R,
    stretch: usize,
    is_escaped: bool,
}

impl<R> Guard<R> {
    pub fn new(from: R) -> Self {
        Self {
            from,
            stretch: 0,
            is_escaped: false,
        }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        for byte in &into[..read] {
            match byte {
                b'"' if !self.is_escaped => self.stretch = 0,
                _ => self.stretch += 1,
            }
            self.is_escaped = *byte == b'\\' && !self.is_escaped;
            if self.stretch > MAX_STRETCH_BYTES {
                let error = format!("a text or nesting of more than {MAX_STRETCH_BYTES} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(read)
    }
}

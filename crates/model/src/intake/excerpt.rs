//! How a rejected part begins, fit to be shown.

use std::io;

use serde_json::Value;

/// How many bytes of a rejected part are shown.
const EXCERPT_BYTES: usize = 160;

/// How some bytes begin.
pub(super) fn excerpt_of_bytes(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(EXCERPT_BYTES)];
    let mut excerpt = String::new();
    for character in String::from_utf8_lossy(cut).chars() {
        if character.is_control() {
            excerpt.extend(character.escape_default());
        } else {
            excerpt.push(character);
        }
    }
    if cut.len() < bytes.len() {
        excerpt.push('…');
    }
    excerpt
}

/// Takes the first bytes and then refuses, so that no more than these are printed.
struct Cut(Vec<u8>);

impl io::Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        if self.0.len() > EXCERPT_BYTES {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a value begins when it is printed.
pub(super) fn excerpt(value: &Value) -> String {
    let mut cut = Cut(Vec::new());
    // Its only error is that there was more than is shown, which the excerpt then says.
    let _more = serde_json::to_writer(&mut cut, value);
    excerpt_of_bytes(&cut.0)
}

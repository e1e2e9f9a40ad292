//! What lies beyond the limits: its words, of which each may be a program.
//!
//! Nobody can hide a program behind a thousand others or within a hundred shells: what is too long or
//! too deep to be taken apart is searched for a program's name at any place.

use super::{Command, printed};

/// So many bytes of what is encoded in such a text are looked into.
const MAX_DECODED_BYTES: usize = 1 << 20;

/// The words of texts that were not taken apart, as those of a program that nobody knows.
pub(super) fn command(text: &[u8], deeper: &[u8]) -> Command {
    let mut words = vec![b"?".to_vec(), text.to_vec(), of(text)];
    if !deeper.is_empty() {
        words.extend([deeper.to_vec(), of(deeper)]);
    }
    let decoded = [text, deeper].into_iter().flat_map(printed::encoded_in);
    let mut bytes = 0;
    let within_bounds = decoded.take_while(|text| {
        bytes += text.len();
        bytes <= MAX_DECODED_BYTES
    });
    words.extend(within_bounds.map(|text| of(&text)));
    Command {
        words,
        is_unread: true,
        ..Command::default()
    }
}

/// The words of a text wherever a shell might begin one, without their quotes; a NUL between them.
fn of(text: &[u8]) -> Vec<u8> {
    let kept = text.iter().filter(|byte| !b"'\"\\".contains(byte));
    let is_border = |byte: u8| byte.is_ascii_whitespace() || b";|&()<>`${}[]=,".contains(&byte);
    let words = kept.map(|byte| if is_border(*byte) { 0 } else { *byte });
    words.collect()
}

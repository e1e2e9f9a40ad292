//! A text with its name, and where in it something is.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::ops::Range;
use std::sync::Arc;

use crate::problem::{Faults, Problem, Trouble};

/// One file's text, as the caller read it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The path or other name shown in errors. Its stem names the group of a bare blocklist.
    pub name: &'a str,
    /// The text. A byte order mark at its start is ignored.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// Takes bytes as they were read.
    ///
    /// # Errors
    /// A fault that points at the first byte that is not UTF-8.
    pub fn from_bytes(name: &'a str, bytes: &'a [u8]) -> Result<Self, Faults> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let at = error.valid_up_to();
                // Each byte before `at` is text, so line and column stay those of the original;
                // of what follows, no more is kept than can be shown.
                let shown_end = bytes.len().min(at.saturating_add(CONTEXT_BYTES));
                let shown = String::from_utf8_lossy(&bytes[..shown_end]);
                let text = Arc::new(Text::new(name, &shown));
                let start = at - text.skipped.min(at);
                let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
                let trouble = Trouble::NotUtf8 { byte: bytes[at] };
                Err(Faults::new(
                    vec![Problem::new(&text, start..end, trouble)],
                    Vec::new(),
                ))
            }
        }
    }
}

/// How many bytes of a long line are shown on each side of a span. Some blocklists are JSON on one
/// line of megabytes, of which an error must not print everything.
const CONTEXT_BYTES: usize = 160;

/// Characters are counted from checkpoints this many bytes apart, so that a column in a line of
/// megabytes costs no more than one in a short line.
const CHECKPOINT_BYTES: usize = 256;

/// A text kept for error messages, with its lines and characters counted.
#[derive(Debug)]
pub(crate) struct Text {
    pub name: String,
    pub text: String,
    /// Length of the byte order mark that was taken off the start.
    skipped: usize,
    line_starts: Vec<usize>,
    /// The number of characters that start before each checkpoint.
    chars_before: Vec<usize>,
}

impl Text {
    pub fn new(name: &str, text: &str) -> Self {
        let without_mark = text.strip_prefix('\u{feff}').unwrap_or(text);
        let bytes = without_mark.as_bytes();
        let line_ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut chars_before = vec![0];
        for chunk in bytes.chunks(CHECKPOINT_BYTES) {
            chars_before.push(chars_before.last().unwrap_or(&0) + count_chars(chunk));
        }
        Self {
            name: name.to_owned(),
            skipped: text.len() - without_mark.len(),
            line_starts: std::iter::once(0)
                .chain(line_ends.map(|(at, _)| at + 1))
                .collect(),
            chars_before,
            text: without_mark.to_owned(),
        }
    }

    /// The line (1-based) and column (1-based, in characters) of a byte offset.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let column = self.char_of_byte(offset) - self.char_of_byte(self.line_starts[line - 1]);
        (line, column + 1)
    }

    /// The byte offset of the character with the given index, or the text's end.
    pub fn byte_of_char(&self, char_index: usize) -> usize {
        let checkpoint = self
            .chars_before
            .partition_point(|chars| *chars <= char_index)
            - 1;
        let mut left = char_index - self.chars_before[checkpoint];
        let start = checkpoint * CHECKPOINT_BYTES;
        for (offset, byte) in self.text.as_bytes().iter().enumerate().skip(start) {
            if is_char_start(*byte) {
                if left == 0 {
                    return offset;
                }
                left -= 1;
            }
        }
        self.text.len()
    }

    /// The byte offset of a line and column (both 1-based) counted in bytes, as `serde_json` does.
    pub fn byte_of_line_and_byte_column(&self, line: usize, column: usize) -> usize {
        let start = self.line_starts.get(line.saturating_sub(1)).copied();
        let offset = start.unwrap_or(self.text.len()) + column.saturating_sub(1);
        self.text.floor_char_boundary(offset)
    }

    /// The byte offset of a line and column (both 1-based) counted in characters, as SQL's parser
    /// does.
    pub fn byte_of_line_and_column(&self, line: usize, column: usize) -> usize {
        let start = self.line_starts.get(line.saturating_sub(1)).copied();
        let Some(start) = start else {
            return self.text.len();
        };
        let chars = self.char_of_byte(start) + column.saturating_sub(1);
        self.byte_of_char(chars)
    }

    /// A span as it can be shown: within the text, on character boundaries, on one line, and not
    /// longer than an error should underline.
    pub fn clip(&self, span: Range<usize>) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.ceil_char_boundary(span.end.max(start));
        let end = self
            .text
            .floor_char_boundary(end.min(start + CONTEXT_BYTES));
        let line = self.text[start..end]
            .split(['\n', '\r'])
            .next()
            .unwrap_or_default();
        start..start + line.len()
    }

    fn char_of_byte(&self, offset: usize) -> usize {
        let checkpoint = offset / CHECKPOINT_BYTES;
        let rest = &self.text.as_bytes()[checkpoint * CHECKPOINT_BYTES..offset];
        self.chars_before[checkpoint] + count_chars(rest)
    }

    /// The bytes of a line (0-based) without its end.
    fn line(&self, index: usize) -> Range<usize> {
        let start = self.line_starts[index];
        let end = self
            .line_starts
            .get(index + 1)
            .map_or(self.text.len(), |next| next - 1);
        start..end
    }
}

impl SourceCode for Text {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (start, end) = (span.offset(), span.offset() + span.len());
        if end > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let first_line = self.line_and_column(start).0 - 1;
        let last_line = self.line_and_column(end).0 - 1;
        let mut shown = if context_lines_before == 0 && context_lines_after == 0 {
            start..end
        } else {
            let above = self
                .line(first_line.saturating_sub(context_lines_before))
                .start;
            let below_line = (last_line + context_lines_after).min(self.line_starts.len() - 1);
            above..self.line(below_line).end
        };
        if shown.len() > 4 * CONTEXT_BYTES {
            let lines = self.line(first_line).start..self.line(last_line).end;
            let window_start = start.saturating_sub(CONTEXT_BYTES);
            shown.start = self.text.ceil_char_boundary(lines.start.max(window_start));
            shown.end = self
                .text
                .floor_char_boundary(lines.end.min(end + CONTEXT_BYTES));
        }
        let (line, column) = self.line_and_column(shown.start);
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[shown.clone()],
            (shown.start, shown.len()).into(),
            line - 1,
            column - 1,
            last_line + 1 - first_line,
        )))
    }
}

fn count_chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_char_start(**byte)).count()
}

/// Whether a byte of UTF-8 text starts a character: continuation bytes are 10xxxxxx.
const fn is_char_start(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_text_agree_with_a_plain_count() {
        let long_line = "aé€😀".repeat(200);
        let text = Text::new("t", &format!("\u{feff}one\r\n{long_line}\n\nlast"));
        for (char_index, (offset, _)) in text.text.char_indices().enumerate() {
            assert_eq!(text.byte_of_char(char_index), offset);
            let before = &text.text[..offset];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            assert_eq!(
                text.line_and_column(offset),
                (line, column),
                "at byte {offset}"
            );
        }
        assert_eq!(text.byte_of_char(usize::MAX / 2), text.text.len());
        assert_eq!(text.line_and_column(usize::MAX), (4, 5));
    }

    #[test]
    fn clipping_stays_on_one_line_and_on_character_boundaries() {
        let text = Text::new("t", "ab\ncé€\nd");
        assert_eq!(text.clip(0..8), 0..2);
        assert_eq!(text.clip(5..6), 4..6);
        assert_eq!(text.clip(100..200), text.text.len()..text.text.len());
    }
}

//! Where a part of a string stands in the file, quotes and escapes allowed for.

use std::ops::Range;

use super::{Node, Style, Value};

impl Node<'_> {
    /// The place in the file of the bytes `part` of this scalar's text. Where the writing does not
    /// let it be told (blocks, strings over several lines), the place of the whole scalar.
    pub fn span_of_part(&self, file: &str, part: Range<usize>) -> Range<usize> {
        self.locate(file, part).unwrap_or_else(|| self.span.clone())
    }

    fn locate(&self, file: &str, part: Range<usize>) -> Option<Range<usize>> {
        let Value::Scalar(scalar) = &self.value else {
            return None;
        };
        let written = file.get(self.span.clone())?;
        let (inner_start, inner, unit): (_, _, fn(&str) -> usize) = match scalar.style {
            Style::Plain => (0, written.trim_end(), plain_unit),
            Style::Single => (
                1,
                written.strip_prefix('\'')?.strip_suffix('\'')?,
                single_unit,
            ),
            Style::Double => (
                1,
                written.strip_prefix('"')?.strip_suffix('"')?,
                double_unit,
            ),
            Style::Verbatim | Style::Foreign => return None,
        };
        // A line break in a quoted string is folded, after which places no longer correspond.
        if inner.contains(['\n', '\r']) {
            return None;
        }
        let mut offset = 0;
        let mut places = Vec::new();
        for (decoded, _) in scalar.text.char_indices() {
            places.push((decoded, offset));
            let rest = inner.get(offset..).filter(|rest| !rest.is_empty())?;
            offset += unit(rest);
        }
        if offset != inner.len() {
            return None;
        }
        places.push((scalar.text.len(), offset));
        let place = |decoded: usize| {
            let at = places.partition_point(|(start, _)| *start < decoded);
            places
                .get(at)
                .map(|(_, offset)| self.span.start + inner_start + offset)
        };
        Some(place(part.start)?..place(part.end)?)
    }
}

// How many bytes write the next character.

fn plain_unit(rest: &str) -> usize {
    rest.chars().next().map_or(1, char::len_utf8)
}

fn single_unit(rest: &str) -> usize {
    if rest.starts_with("''") {
        2
    } else {
        plain_unit(rest)
    }
}

fn double_unit(rest: &str) -> usize {
    let Some(escape) = rest.strip_prefix('\\') else {
        return plain_unit(rest);
    };
    match escape.chars().next() {
        Some('x') => 4,
        Some('U') => 10,
        // JSON writes a character outside the basic plane as two escapes.
        Some('u') if is_high_surrogate(escape.get(1..5)) => 12,
        Some('u') => 6,
        Some(other) => 1 + other.len_utf8(),
        None => 1,
    }
}

fn is_high_surrogate(digits: Option<&str>) -> bool {
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    code.is_some_and(|code| (0xD800..0xDC00).contains(&code))
}

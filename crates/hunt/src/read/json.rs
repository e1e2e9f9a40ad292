//! Walking JSON without building it.
//!
//! What must stay true: no nesting, however deep, takes more than a few bytes of stack, since
//! strangers write the logs; a value that is passed over costs a few instructions for 64 bytes.
//! So what is passed over is not checked, except that its quotes and brackets close. Libraries
//! that check it recurse (see ADR 13).

use std::borrow::Cow;

use sonic_simd::{Mask, Simd, u8x32, u8x64};

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Likewise, inside a text.
const TEXT_BLOCK: usize = 32;

/// Why no value could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// The bytes end inside a value.
    #[error("it is cut off")]
    CutOff,
    /// Something stands where it cannot.
    #[error("it is not JSON: byte {at} is out of place")]
    Misplaced {
        /// The place, counted from where the walk began.
        at: usize,
    },
}

/// A walk through bytes.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// A walk that starts at a place.
    pub const fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where it is.
    pub const fn place(&self) -> usize {
        self.at
    }

    /// Passes blanks and says what comes.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Passes one byte, whatever it is.
    pub fn pass(&mut self) {
        self.at += 1;
    }

    /// Passes blanks and one byte that must be there.
    ///
    /// # Errors
    /// When another byte or none is there.
    pub fn expect(&mut self, byte: u8) -> Result<(), JsonFault> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(JsonFault::Misplaced { at: self.at }),
            None => Err(JsonFault::CutOff),
        }
    }

    /// Passes blanks and a text, and gives what is between its quotes, as it is written.
    ///
    /// # Errors
    /// When no whole text is there.
    pub fn text(&mut self) -> Result<&'a [u8], JsonFault> {
        self.expect(b'"')?;
        let start = self.at;
        while let Some(block) = self.bytes.get(self.at..self.at + TEXT_BLOCK) {
            // SAFETY: the slice has as many bytes as the vector.
            let block = unsafe { u8x32::from_slice_unaligned_unchecked(block) };
            let quotes = block.eq(&u8x32::splat(b'"')).bitmask();
            let escapes = block.eq(&u8x32::splat(b'\\')).bitmask();
            let found = (quotes | escapes).trailing_zeros() as usize;
            if found == TEXT_BLOCK {
                self.at += TEXT_BLOCK;
            } else if quotes >> found & 1 == 1 {
                self.at += found + 1;
                return Ok(&self.bytes[start..self.at - 1]);
            } else {
                self.at += found + 2;
            }
        }
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(JsonFault::CutOff),
            }
        }
        self.at += 1;
        Ok(&self.bytes[start..self.at - 1])
    }

    /// Passes blanks and a value of any kind, and gives it as it is written.
    ///
    /// # Errors
    /// When no whole value is there.
    pub fn value(&mut self) -> Result<&'a [u8], JsonFault> {
        let first = self.peek().ok_or(JsonFault::CutOff)?;
        let start = self.at;
        match first {
            b'"' => drop(self.text()?),
            b'{' | b'[' => self.container()?,
            _ => self.word()?,
        }
        Ok(&self.bytes[start..self.at])
    }

    /// Passes a number or a name, which may end with the bytes only at the end of a document.
    fn word(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        let is_inside =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        while self.bytes.get(self.at).is_some_and(is_inside) {
            self.at += 1;
        }
        match self.at - start {
            0 => Err(JsonFault::Misplaced { at: self.at }),
            _ if self.at == self.bytes.len() => Err(JsonFault::CutOff),
            _ => Ok(()),
        }
    }

    /// Passes an object or a list.
    fn container(&mut self) -> Result<(), JsonFault> {
        let mut strings = Strings::default();
        let mut depth: usize = 0;
        loop {
            let mut tail = [0; BLOCK];
            let left = &self.bytes[self.at.min(self.bytes.len())..];
            let block = match left.get(..BLOCK) {
                Some(block) => block,
                None if left.is_empty() => return Err(JsonFault::CutOff),
                None => {
                    tail[..left.len()].copy_from_slice(left);
                    &tail
                }
            };
            if let Some(end) = close(block, &mut strings, &mut depth) {
                self.at += end;
                return Ok(());
            }
            self.at += BLOCK;
        }
    }

    /// Passes blanks and an object, and calls for each of its members with key and value as they
    /// are written.
    ///
    /// # Errors
    /// When no whole object is there. The members before have been called for.
    pub fn object(&mut self, mut each: impl FnMut(&'a [u8], &'a [u8])) -> Result<(), JsonFault> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.text()?;
            self.expect(b':')?;
            each(key, self.value()?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return Err(JsonFault::Misplaced { at: self.at }),
                None => return Err(JsonFault::CutOff),
            }
        }
    }

    /// Passes blanks and a list, and calls for each of its values as it is written.
    ///
    /// # Errors
    /// When no whole list is there. The values before have been called for.
    pub fn list(&mut self, mut each: impl FnMut(&'a [u8])) -> Result<(), JsonFault> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self.value()?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return Err(JsonFault::Misplaced { at: self.at }),
                None => return Err(JsonFault::CutOff),
            }
        }
    }
}

/// What of a text carries on into the next block.
#[derive(Debug, Default)]
struct Strings {
    is_inside: u64,
    is_escaped: u64,
}

/// Where in a block the container closes, if it does. Follows Langdale and Lemire, "Parsing
/// gigabytes of JSON per second" (2019), section 3.1.1.
fn close(block: &[u8], strings: &mut Strings, depth: &mut usize) -> Option<usize> {
    // SAFETY: the slice has as many bytes as the vector: the caller takes it so, or the tail.
    let block = unsafe { u8x64::from_slice_unaligned_unchecked(block) };
    let is = |byte| block.eq(&u8x64::splat(byte)).bitmask();
    let escaped = strings.escaped(is(b'\\'));
    let inside = strings.inside(is(b'"') & !escaped);
    let opens = (is(b'{') | is(b'[')) & !inside;
    let mut closes = (is(b'}') | is(b']')) & !inside;
    let (opened, closed) = (opens.count_ones() as usize, closes.count_ones() as usize);
    if closed < *depth {
        *depth = *depth + opened - closed;
        return None;
    }
    let before = *depth;
    let mut done = 0;
    while closes != 0 {
        let at = closes.trailing_zeros();
        done += 1;
        let opened = (opens & ((1 << at) - 1)).count_ones() as usize;
        if before + opened <= done {
            return Some(at as usize + 1);
        }
        closes &= closes - 1;
    }
    *depth = before + opened - closed;
    None
}

impl Strings {
    /// Which bytes follow a backslash that escapes them.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslashes == 0 {
            return std::mem::take(&mut self.is_escaped);
        }
        let backslashes = backslashes & !self.is_escaped;
        let follows = backslashes << 1 | self.is_escaped;
        let odd_starts = backslashes & !EVEN & !follows;
        let (even, overflow) = odd_starts.overflowing_add(backslashes);
        self.is_escaped = u64::from(overflow);
        (EVEN ^ (even << 1)) & follows
    }

    /// Which bytes lie inside a text, with its first quote and without its last.
    fn inside(&mut self, quotes: u64) -> u64 {
        let mut inside = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        inside ^= self.is_inside;
        self.is_inside = 0_u64.wrapping_sub(inside >> 63);
        inside
    }
}

/// The text that a value says: of a text what is between its quotes, of anything else how it is
/// written; nothing for null and for what is not UTF-8 or not escaped as JSON does.
pub fn text_of(value: &[u8]) -> Option<Cow<'_, str>> {
    match value {
        b"null" => None,
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
            std::str::from_utf8(inside).ok().map(Cow::Borrowed)
        }
        [b'"', ..] => {
            let written = std::str::from_utf8(value).ok()?;
            sonic_rs::from_str::<String>(written).ok().map(Cow::Owned)
        }
        other => std::str::from_utf8(other).ok().map(Cow::Borrowed),
    }
}

/// The value at a path of keys and numbers divided by dots, such as `instancesSet.items.0.imageId`.
pub fn dig<'a>(value: &'a [u8], path: &str) -> Option<&'a [u8]> {
    path.split('.')
        .filter(|step| !step.is_empty())
        .try_fold(value, |value, step| {
            if value.first() != Some(&b'[') {
                return member(value, step);
            }
            let wanted: usize = step.parse().ok()?;
            let (mut found, mut at) = (None, 0);
            // What comes before a fault counts.
            let _ = Walk::at(value, 0).list(|item| {
                if at == wanted {
                    found = Some(item);
                }
                at += 1;
            });
            found
        })
}

/// The member of an object, the last of several; what comes before a fault counts.
fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let _ = Walk::at(object, 0).object(|key, value| {
        if key == name.as_bytes() {
            found = Some(value);
        }
    });
    found
}

/// Every value at a path, lists walked through: where a step is no number, it is looked for in each
/// item of a list. Ends early where `each` says `true`, which is what it gives then.
pub fn any_at<'a>(value: &'a [u8], path: &str, mut each: impl FnMut(&'a [u8]) -> bool) -> bool {
    let steps: Vec<&str> = path.split('.').filter(|step| !step.is_empty()).collect();
    // Lists may lie in one another as deep as a stranger wants.
    let mut left = vec![(value, steps.as_slice())];
    while let Some((value, steps)) = left.pop() {
        match (value.first(), steps.split_first()) {
            (Some(b'['), first) => {
                let wanted: Option<usize> = first.and_then(|(step, _)| step.parse().ok());
                let mut items = Vec::new();
                // What comes before a fault counts.
                let _ = Walk::at(value, 0).list(|item| items.push(item));
                match (wanted, first) {
                    (Some(at), Some((_, rest))) => {
                        left.extend(items.get(at).map(|item| (*item, rest)));
                    }
                    _ => left.extend(items.into_iter().rev().map(|item| (item, steps))),
                }
            }
            (_, None) => {
                if each(value) {
                    return true;
                }
            }
            (_, Some((step, rest))) => {
                left.extend(member(value, step).map(|found| (found, rest)));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(json: &str, path: &str, expected: Option<&str>) {
        let found = dig(json.as_bytes(), path).and_then(text_of);
        assert_eq!(found.as_deref(), expected, "{path} in {json}");
    }

    #[test]
    fn digging_finds_values_of_every_kind() {
        let json = r#"{"a":{"b":[1,{"c":"d\u00e9\"}{"},null,true]},"e":"","a b":[[2]]}"#;
        check(json, "a.b.0", Some("1"));
        check(json, "a.b.1.c", Some("dé\"}{"));
        check(json, "a.b.2", None);
        check(json, "a.b.3", Some("true"));
        check(json, "a.b.9", None);
        check(json, "e", Some(""));
        check(json, "a b.0.0", Some("2"));
        check(json, "a b", Some("[[2]]"));
        check(json, "x.y", None);
        check("[[[[", "0.0.0", None);
        check("", "a", None);
    }

    #[test]
    fn a_path_leads_through_every_item_of_a_list() {
        let json = r#"{"a":{"items":[{"b":[1,2]},{"b":[[3]]},{"c":4},5]}}"#;
        let all = |path: &str| {
            let mut found = Vec::new();
            any_at(json.as_bytes(), path, |value| {
                found.extend(text_of(value).map(|text| text.into_owned()));
                false
            });
            found.join(" ")
        };
        assert_eq!(all("a.items.b"), "1 2 3");
        assert_eq!(all("a.items.1.b"), "3");
        assert_eq!(all("a.items.c"), "4");
        assert_eq!(all("a.items.9.b"), "");
        assert_eq!(all("x"), "");
        assert!(any_at(json.as_bytes(), "a.items.b", |value| value == b"2"));
        let deep = "[".repeat(1 << 20);
        assert!(!any_at(deep.as_bytes(), "a.b", |_| true));
    }

    proptest! {
        #[test]
        fn a_walk_ends_where_the_value_does(
            json in "[\\[{\"\\\\a:, }\\]]{0,200}",
            after in "[ ,}x]{0,3}",
        ) {
            // The oracle checks more than the walk does: what it takes, the walk takes alike.
            if serde_json::from_str::<serde_json::Value>(&json).is_ok() {
                let bytes = format!("{json}{after}");
                let value = Walk::at(bytes.as_bytes(), 0).value();
                prop_assert_eq!(value.map(<[u8]>::trim_ascii), Ok(json.trim().as_bytes()));
            } else {
                let _ = Walk::at(json.as_bytes(), 0).value();
            }
        }

        #[test]
        fn any_value_is_walked_to_its_end(depth in 0_usize..40, text in "\\PC{0,150}", pad in 0_usize..130) {
            let mut value = serde_json::json!({ "pad": " ".repeat(pad), "text": text, "n": 1 });
            for level in 0..depth {
                value = if level % 2 == 0 { serde_json::json!([value, "]\\\""]) }
                    else { serde_json::json!({ "k{": value }) };
            }
            let json = value.to_string();
            let bytes = format!("{json},{{");
            prop_assert_eq!(Walk::at(bytes.as_bytes(), 0).value(), Ok(json.as_bytes()));
        }

        #[test]
        fn any_bytes_are_a_value_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Walk::at(&bytes, 0).value();
            let _ = Walk::at(&bytes, 0).object(|_, _| ());
            let _ = text_of(&bytes);
        }
    }
}

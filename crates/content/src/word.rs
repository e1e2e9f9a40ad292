//! What it means for a banned string to stand as a word in a command line.
//!
//! This is the plain, slow definition. The kernel's automaton must find exactly what this finds,
//! and is tested against it.

/// Whether a byte is part of a word: an ASCII letter, digit or underscore. Bytes of other scripts
/// are not, so that no choice of characters around a string hides it.
pub const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `haystack[start..end]` has no word byte directly before or after it.
pub fn stands_alone(haystack: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).and_then(|at| haystack.get(at));
    let after = haystack.get(end);
    !before.copied().is_some_and(is_word_byte) && !after.copied().is_some_and(is_word_byte)
}

/// Whether `needle` stands as a word anywhere in `haystack`, without regard to ASCII case. Each
/// occurrence is judged by itself: one that is part of a longer word does not excuse another.
/// An empty needle stands nowhere.
pub fn matches_as_word(needle: &[u8], haystack: &[u8]) -> bool {
    if needle.is_empty() {
        return false;
    }
    haystack
        .windows(needle.len())
        .enumerate()
        .any(|(start, window)| {
            window.eq_ignore_ascii_case(needle)
                && stands_alone(haystack, start, start + needle.len())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_bounded_by_anything_but_letters_digits_and_underscore() {
        for (needle, haystack, expected) in [
            ("abc", "abc", true),
            ("abc", "x abc y", true),
            ("abc", "/abc/", true),
            ("ABC", "x.aBc-y", true),
            ("abc", "xabc", false),
            ("abc", "abc1", false),
            ("abc", "abc_", false),
            ("abc", "éabcé", true),
            ("abc", "xabc abc", true),
            ("abc", "abcabc", false),
            ("aa", "aaa", false),
            ("a-a", "a-a-a", true),
            ("", "abc", false),
            ("abc", "ab", false),
            ("abc", "", false),
        ] {
            let found = matches_as_word(needle.as_bytes(), haystack.as_bytes());
            assert_eq!(found, expected, "{needle:?} in {haystack:?}");
        }
    }
}

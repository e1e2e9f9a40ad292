//! Lists of strings and argument lists, made up and the same at every run.

use std::fmt::Write as _;

/// Letters of the strings: what host names and program names are made of.
const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789.-";
const SHORTEST: u64 = 8;
const LONGEST: u64 = 24;

/// A generator of numbers that look random (splitmix64, Steele, Lea and Flood, OOPSLA 2014).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    fn word(&mut self, alphabet: &[u8], least: u64, most: u64) -> String {
        let length = self.between(least, most);
        (0..length)
            .map(|_| char::from(alphabet[(self.next() % alphabet.len() as u64) as usize]))
            .collect()
    }
}

/// A blocklist of this many made-up strings, and of `extra`.
pub fn blocklist(strings: usize, extra: &[&str]) -> String {
    let mut numbers = Numbers::new(strings as u64);
    let mut text = String::from("bannedCommandStrings:\n");
    for extra in extra {
        writeln!(text, "  - \"{extra}\"").expect("a string takes what is written");
    }
    for _ in 0..strings {
        let string = numbers.word(ALPHABET, SHORTEST, LONGEST);
        writeln!(text, "  - \"{string}\"").expect("a string takes what is written");
    }
    text
}

/// Arguments of this many bytes in all, the NULs that end them included: words, options, paths and
/// numbers, as command lines have them.
pub fn arguments(bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers::new(bytes as u64);
    let letters = &ALPHABET[..26];
    let mut text = b"nothing\0".to_vec();
    while text.len() < bytes {
        let mut word = || numbers.word(letters, 3, 9);
        let argument = match (word(), word(), word()) {
            (a, b, _) if a.len() % 3 == 0 => format!("--{a}={b}"),
            (a, b, c) if a.len() % 3 == 1 => format!("/usr/{a}/{b}.{c}"),
            (a, _, _) => a,
        };
        text.extend(argument.as_bytes());
        text.push(0);
    }
    text.truncate(bytes - 1);
    text.push(0);
    text
}

/// A word that is on nobody's list.
pub fn nonce() -> String {
    let mut numbers =
        Numbers::new(jiff::Timestamp::now().as_nanosecond() as u64 ^ u64::from(std::process::id()));
    format!(
        "benched{}",
        numbers.word(b"abcdefghijklmnopqrstuvwxyz0123456789", 20, 20)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_the_length_asked_for() {
        for bytes in [50, 200, 2_000, 100_000] {
            let text = arguments(bytes);
            assert_eq!(text.len(), bytes);
            assert!(text.starts_with(b"nothing\0") && text.ends_with(b"\0"));
        }
    }

    #[test]
    fn lists_are_the_same_at_every_run() {
        assert_eq!(blocklist(10, &["one"]), blocklist(10, &["one"]));
        assert_eq!(blocklist(10, &["one"]).lines().count(), 12);
    }
}

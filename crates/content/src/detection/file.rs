//! Files in cases: bytes put together from texts, digits and filling, so that no miner has to be kept.
//!
//! A part may stand for the header of a program (`elf:`), for bytes (`hex:0a0b`), for filling without an
//! order (`random:4096`, the same in every run) or with one (`zeros:4096`); anything else is text. Parts
//! are joined without anything between.

/// A file may become this large.
pub const MAX_CASE_BYTES: usize = 8 << 20;

/// How a program's file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HeldIn {
    /// In a folder.
    #[default]
    File,
    /// In memory only: it never had a folder.
    Memory,
    /// Nowhere any more: it was deleted.
    Deleted,
}

impl HeldIn {
    /// Every way with its name in a file.
    pub const ALL: &[(Self, &str)] = &[
        (Self::File, "file"),
        (Self::Memory, "memory"),
        (Self::Deleted, "deleted"),
    ];
}

/// A file that is started, in a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileCase {
    /// What it holds.
    pub parts: Vec<String>,
    /// How it is there.
    pub held_in: HeldIn,
    /// Its name, where that counts.
    pub named: String,
    /// Whether the machine's own root starts it, outside any container.
    pub started_by_root_on_host: bool,
}

impl FileCase {
    /// What it holds.
    ///
    /// # Errors
    /// The part that cannot be understood, or that makes it too large.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for part in &self.parts {
            let added = part_bytes(part, bytes.len() as u64).ok_or_else(|| part.clone())?;
            if bytes.len() + added.len() > MAX_CASE_BYTES {
                return Err(part.clone());
            }
            bytes.extend(added);
        }
        Ok(bytes)
    }
}

fn part_bytes(part: &str, seed: u64) -> Option<Vec<u8>> {
    let length = |digits: &str| {
        let length = digits.parse::<usize>().ok()?;
        (length <= MAX_CASE_BYTES).then_some(length)
    };
    let Some((kind, rest)) = part.split_once(':') else {
        return Some(part.as_bytes().to_vec());
    };
    match kind {
        "hex" => digits(rest),
        "zeros" => Some(vec![0; length(rest)?]),
        "random" => Some(noise(length(rest)?, seed)),
        "elf" => Some(header()),
        _ => Some(part.as_bytes().to_vec()),
    }
}

fn digits(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Bytes without an order, the same for the same seed (xorshift64).
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
    .take(length)
    .collect()
}

/// The header of a static program of 64 bits with one segment, as `elf(5)` lays it out.
fn header() -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    for half in [2u16, 62] {
        header.extend(half.to_le_bytes());
    }
    header.extend(1u32.to_le_bytes());
    for word in [0x40_0078u64, 64, 0] {
        header.extend(word.to_le_bytes());
    }
    header.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        header.extend(half.to_le_bytes());
    }
    for half in [1u32, 5] {
        header.extend(half.to_le_bytes());
    }
    for word in [0u64, 0x40_0000, 0x40_0000, 0x1000, 0x1000, 0x1000] {
        header.extend(word.to_le_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&str]) -> Result<Vec<u8>, String> {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        let file = FileCase {
            parts,
            ..FileCase::default()
        };
        file.bytes()
    }

    #[test]
    fn parts_become_bytes() {
        assert_eq!(
            of(&["a: b", "hex:0aff", "zeros:2"]).unwrap(),
            b"a: b\x0a\xff\0\0"
        );
        assert_eq!(of(&["elf:"]).unwrap().len(), 120);
        assert_eq!(of(&["random:64"]), of(&["random:64"]));
        assert_ne!(
            of(&["random:64"]).unwrap(),
            of(&["x", "random:64"]).unwrap()[1..]
        );
    }

    #[test]
    fn what_is_no_part_is_told() {
        for wrong in ["hex:0", "hex:0x", "hex:+1", "zeros:a", "random:99999999999"] {
            assert_eq!(of(&[wrong]).unwrap_err(), wrong);
        }
    }
}

//! Lists of banned addresses, as cryptnono's `banned_ipv4_file` has them: one a line, alone or with
//! the length of a prefix; `#` begins a comment.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BannedError {
    /// It cannot be read.
    #[error("cannot read the banned addresses in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line is no address.
    #[error("{path}:{line}: `{text}` is no address, such as 192.0.2.1 or 192.0.2.0/24")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// An address, or all that begin as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// It.
    pub address: IpAddr,
    /// How many bits of it count, as of an address of version 6.
    pub length: u32,
}

impl Prefix {
    /// A network, by its first address and how many bits of that count.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        // Version 4 stands in the last 32 bits of version 6.
        let before = if address.is_ipv4() { 96 } else { 0 };
        Self {
            address,
            length: before + u32::from(bits),
        }
    }
}

/// Reads a list.
///
/// # Errors
/// [`BannedError`], of the first line that is wrong.
pub(super) fn read(path: &Path) -> Result<Vec<Prefix>, BannedError> {
    let text = fs::read_to_string(path).map_err(|source| BannedError::Read {
        path: path.to_owned(),
        source,
    })?;
    let lines = text.lines().enumerate().map(|(number, line)| {
        let line = line.split('#').next().unwrap_or_default().trim();
        (number + 1, line)
    });
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(line, text)| {
            prefix(text).ok_or_else(|| BannedError::Line {
                path: path.to_owned(),
                line,
                text: text.to_owned(),
            })
        })
        .collect()
}

fn prefix(text: &str) -> Option<Prefix> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then(|| Prefix::new(address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, u32)>) {
        let found = prefix(text).map(|prefix| (prefix.address.to_string(), prefix.length));
        let expected = expected.map(|(address, length)| (address.to_owned(), length));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn addresses_and_prefixes_are_read() {
        check("192.0.2.1", Some(("192.0.2.1", 128)));
        check("192.0.2.0/24", Some(("192.0.2.0", 120)));
        check("2001:db8::/32", Some(("2001:db8::", 32)));
        check("192.0.2.0/33", None);
        check("pool.example", None);
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "# a list\n192.0.2.1 # one\n\nnonsense\n").expect("written");
        let error = read(file.path()).expect_err("it is wrong");
        assert!(
            matches!(error, BannedError::Line { line: 4, .. }),
            "{error}"
        );
    }
}

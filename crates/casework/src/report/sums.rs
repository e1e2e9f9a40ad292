//! Digests of files, as `sha256sum` writes and checks them.

use std::fmt::Write as _;

/// A line for each file.
pub(super) fn write<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    files.fold(String::new(), |mut text, (name, digest)| {
        let _ = writeln!(text, "{digest}  {name}");
        text
    })
}

/// The files of such a text with their digests; a line that is none is given as it stands.
pub(super) fn read(text: &str) -> impl Iterator<Item = Result<(&str, &str), &str>> {
    text.lines().map(|line| {
        let (digest, name) = line.split_once("  ").ok_or(line)?;
        Ok((name, digest))
    })
}

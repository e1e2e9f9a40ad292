//! Writes the guest's root file system: a cpio archive in the "newc" format, as the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst` describes it. Written here, since
//! it is one header, and no package or privilege is then needed for the device node.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const TEXT: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive being written.
#[derive(Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

impl Initramfs {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a folder and those above it.
    pub fn folder(&mut self, path: &str) -> anyhow::Result<()> {
        let name = relative(path)?;
        let ends = name
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([name.len()]);
        for end in ends {
            if self.folders.insert(name[..end].to_owned()) {
                self.entry(&name[..end], FOLDER, (0, 0), &[])?;
            }
        }
        Ok(())
    }

    /// Adds an executable copy of a file of this machine.
    pub fn program(&mut self, path: &str, source: &Path) -> anyhow::Result<()> {
        let content =
            fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        self.file(path, PROGRAM, &content)
    }

    /// Adds a text.
    pub fn text(&mut self, path: &str, content: &str) -> anyhow::Result<()> {
        self.file(path, TEXT, content.as_bytes())
    }

    /// Adds a character device.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) -> anyhow::Result<()> {
        self.entry(relative(path)?, CHARACTER_DEVICE, (major, minor), &[])
    }

    /// Closes the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.header("TRAILER!!!", 0, 0, (0, 0), 0);
        self.bytes
    }

    fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
        let name = relative(path)?;
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.folder(&format!("/{folder}"))?;
        }
        self.entry(name, mode, (0, 0), content)
    }

    fn entry(
        &mut self,
        name: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> anyhow::Result<()> {
        let size = u32::try_from(content.len())
            .with_context(|| format!("{name} is too large for a cpio archive"))?;
        self.entries += 1;
        self.header(name, self.entries, mode, device, size);
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn header(&mut self, name: &str, inode: u32, mode: u32, device: (u32, u32), size: u32) {
        let links = if mode == FOLDER { 2 } else { 1 };
        // ino, mode, uid, gid, nlink, mtime, filesize, dev and rdev as major and minor, namesize
        // with its zero byte, and a checksum that this variant leaves at 0.
        let fields = [
            inode,
            mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
    }

    /// Headers and contents start at multiples of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

fn relative(path: &str) -> anyhow::Result<&str> {
    match path.strip_prefix('/') {
        Some(name) if !name.is_empty() && !name.ends_with('/') => Ok(name),
        Some(_) | None => bail!("{path:?} is not an absolute path of a file in the archive"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, rdev and content.
    type Entry = (String, u32, (u32, u32), Vec<u8>);

    /// Reads an archive back.
    fn list(bytes: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&bytes[at..at + 6], b"070701", "a header at {at}");
            let field = |n: usize| {
                let digits = &bytes[at + 6 + 8 * n..at + 14 + 8 * n];
                u32::from_str_radix(std::str::from_utf8(digits).expect("ASCII"), 16).expect("hex")
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let name = &bytes[at + 110..at + 110 + name_size - 1];
            assert_eq!(bytes[at + 110 + name_size - 1], 0);
            let name = String::from_utf8(name.to_vec()).expect("UTF-8");
            let start = (at + 110 + name_size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(start, bytes.len(), "nothing after the trailer");
                return entries;
            }
            let device = (field(9), field(10));
            entries.push((name, field(1), device, bytes[start..start + size].to_vec()));
            at = (start + size).next_multiple_of(4);
        }
    }

    #[test]
    fn folders_come_once_and_before_what_they_hold() {
        let mut image = Initramfs::new();
        image.text("/a/b/one", "1").expect("a text");
        image.text("/a/b/three", "333").expect("another");
        image.folder("/dev").expect("a folder");
        image
            .character_device("/dev/console", 5, 1)
            .expect("a device");
        let entries = list(&image.finish());
        let expected = [
            ("a", FOLDER, (0, 0), ""),
            ("a/b", FOLDER, (0, 0), ""),
            ("a/b/one", TEXT, (0, 0), "1"),
            ("a/b/three", TEXT, (0, 0), "333"),
            ("dev", FOLDER, (0, 0), ""),
            ("dev/console", CHARACTER_DEVICE, (5, 1), ""),
        ];
        let expected = expected.map(|(name, mode, device, content)| {
            (name.to_owned(), mode, device, content.as_bytes().to_vec())
        });
        assert_eq!(entries, expected);
    }

    #[test]
    fn odd_paths_are_refused() {
        for path in ["", "/", "relative", "/ends/"] {
            assert!(Initramfs::new().text(path, "").is_err(), "{path:?}");
        }
    }
}

//! Which types the running kernel has, by name: its BTF, read once.
//!
//! A tracepoint that programs can attach to is a typedef `btf_trace_<name>`, a kernel function a
//! FUNC, so presence can be told without tracefs and without any privilege. Only names and ids
//! are read; what the types hold is libbpf's business when the guard is loaded.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use thiserror::Error;

/// Where the kernel shows its own types.
pub(super) const PATH: &str = "/sys/kernel/btf/vmlinux";

/// Why the kernel's types could not be read.
#[derive(Debug, Error)]
pub(super) enum TypesError {
    /// The file does not exist: the kernel was built without them, or sysfs is not mounted.
    #[error("{PATH} does not exist")]
    Absent,
    /// The file exists and cannot be read.
    #[error("{PATH} cannot be read: {0}")]
    Unreadable(io::Error),
    /// The bytes are not BTF.
    #[error("{PATH} is not BTF: {0} at byte {1}")]
    Malformed(&'static str, usize),
}

/// The kind of type a name is looked for among; names of different kinds may be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Typedef,
    Function,
}

/// The ids of those of the wanted names that exist.
#[derive(Debug, Default)]
pub(super) struct TypeNames {
    ids: HashMap<(Kind, &'static str), u32>,
    /// How many types there are in all.
    pub count: u32,
}

impl TypeNames {
    /// Looks for the wanted names in the running kernel.
    pub fn of_running_kernel(wanted: &[(Kind, &'static str)]) -> Result<Self, TypesError> {
        Self::of_file(Path::new(PATH), wanted)
    }

    fn of_file(path: &Path, wanted: &[(Kind, &'static str)]) -> Result<Self, TypesError> {
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TypesError::Absent,
            _ => TypesError::Unreadable(error),
        })?;
        Self::read(&bytes, wanted)
    }

    /// Looks for the wanted names in a BTF blob of this machine's byte order.
    pub fn read(bytes: &[u8], wanted: &[(Kind, &'static str)]) -> Result<Self, TypesError> {
        let word = |at: usize| -> Result<u32, TypesError> {
            let cut = bytes
                .get(at..at.saturating_add(4))
                .and_then(|cut| cut.first_chunk::<4>());
            cut.copied()
                .map(u32::from_ne_bytes)
                .ok_or(TypesError::Malformed("cut short", at))
        };
        if bytes
            .first_chunk::<2>()
            .map(|magic| u16::from_ne_bytes(*magic))
            != Some(0xeb9f)
        {
            return Err(TypesError::Malformed("wrong magic", 0));
        }
        let header = word(4)? as usize;
        let section = |offset: u32, len: u32| {
            let start = header.saturating_add(offset as usize);
            let end = start.saturating_add(len as usize);
            (end <= bytes.len())
                .then_some((start, end))
                .ok_or(TypesError::Malformed("section out of bounds", start))
        };
        let (mut at, types_end) = section(word(8)?, word(12)?)?;
        let (strings_start, strings_end) = section(word(16)?, word(20)?)?;
        let strings = &bytes[strings_start..strings_end];

        let by_name: HashMap<&[u8], &'static str> = wanted
            .iter()
            .map(|(_, name)| (name.as_bytes(), *name))
            .collect();
        let mut found = Self::default();
        while at < types_end {
            let (name, info) = (word(at)? as usize, word(at + 4)?);
            let (kind, members) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            found.count += 1;
            let kind_wanted = match kind {
                8 => Some(Kind::Typedef),
                12 => Some(Kind::Function),
                _ => None,
            };
            if let Some(kind) = kind_wanted
                && let Some(name) = by_name.get(name_at(strings, name))
                && wanted.contains(&(kind, name))
            {
                found.ids.entry((kind, name)).or_insert(found.count);
            }
            // What follows the three common words depends on the kind: see "Type Encoding" in the
            // kernel's Documentation/bpf/btf.rst.
            let tail = match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * members,
                6 | 13 => 8 * members,
                2 | 7..=12 | 16 | 18 => 0,
                _ => return Err(TypesError::Malformed("unheard-of kind of type", at)),
            };
            at += 12 + tail;
        }
        Ok(found)
    }

    /// The id of a type, if the kernel has it.
    pub fn id(&self, kind: Kind, name: &'static str) -> Option<u32> {
        self.ids.get(&(kind, name)).copied()
    }
}

fn name_at(strings: &[u8], offset: usize) -> &[u8] {
    let rest = strings.get(offset..).unwrap_or_default();
    rest.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::program;
    use super::*;

    #[test]
    fn finds_by_kind_and_name() {
        let types = program::callback_types();
        let wanted = [
            (Kind::Function, "main"),
            (Kind::Typedef, "each"),
            (Kind::Function, "int"),
        ];
        let names = TypeNames::read(&types.blob, &wanted).expect("a blob of our own");
        assert_eq!(names.id(Kind::Function, "main"), Some(types.main));
        assert_eq!(names.id(Kind::Typedef, "each"), None, "it is a function");
        assert_eq!(names.id(Kind::Function, "int"), None, "it is an integer");
        assert_eq!(names.count, 4);
    }

    #[test]
    fn every_cut_of_a_blob_is_an_error_or_a_value() {
        let blob = program::timer_types().blob;
        for len in 0..blob.len() {
            assert!(
                TypeNames::read(&blob[..len], &[]).is_err(),
                "cut at {len} of {}",
                blob.len()
            );
        }
    }

    #[test]
    fn every_changed_byte_is_an_error_or_a_value() {
        let whole = program::timer_types().blob;
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut blob = whole.clone();
                blob[at] = value;
                let _ = TypeNames::read(&blob, &[(Kind::Typedef, "held")]);
            }
        }
    }

    #[test]
    fn absence_is_told_apart_from_refusal() {
        let nowhere = Path::new("/sys/kernel/btf/no-such-kernel");
        assert!(matches!(
            TypeNames::of_file(nowhere, &[]),
            Err(TypesError::Absent)
        ));
        let directory = Path::new("/sys/kernel");
        assert!(matches!(
            TypeNames::of_file(directory, &[]),
            Err(TypesError::Unreadable(_))
        ));
    }
}

//! The maps about programs' files: verdicts, folders that are trusted, and what is being looked into.

use libbpf_rs::{MapCore, MapFlags};
use zerocopy::{FromBytes, IntoBytes};

use super::{Kernel, KernelError, bpf, clear, maps::SetOne, set_keys};
use crate::abi::{ExeKey, FileKey, FileSettings, FileVerdict, UnseenFile};

impl Kernel {
    /// Puts in force which files are looked into. Verdicts that come from other rules are forgotten
    /// first. `roots` are the folders whose files are trusted.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn set_files(&self, settings: &FileSettings, roots: &[ExeKey]) -> Result<(), KernelError> {
        let before = self
            .maps
            .file_settings
            .lookup(0u32.as_bytes(), MapFlags::ANY)
            .map_err(bpf("look at the settings of files"))?
            .and_then(|value| FileSettings::read_from_bytes(&value).ok())
            .unwrap_or_default();
        if before.rules != settings.rules {
            clear(&self.maps.file_verdicts, "forget a verdict")?;
        }
        set_keys(&self.maps.file_roots, roots)?;
        self.maps
            .file_settings
            .set_one("change the settings of files", settings.as_bytes())
    }

    /// Remembers what a file is.
    ///
    /// # Errors
    /// [`KernelError`].
    pub fn note_file(&self, key: &FileKey, verdict: u32, id: u64) -> Result<(), KernelError> {
        let value = FileVerdict {
            id,
            verdict,
            reserved: 0,
        };
        self.maps
            .file_verdicts
            .update(key.as_bytes(), value.as_bytes(), MapFlags::ANY)
            .map_err(bpf("remember a verdict"))
    }

    /// What the kernel knows of a file.
    pub fn file_verdict(&self, key: &FileKey) -> Option<FileVerdict> {
        let value = self
            .maps
            .file_verdicts
            .lookup(key.as_bytes(), MapFlags::ANY);
        FileVerdict::read_from_bytes(&value.ok()??).ok()
    }

    /// The file of a program that is to be looked into.
    pub fn unseen_file(&self, pid: u32, start_boottime_ns: u64) -> Option<UnseenFile> {
        let value = self.maps.unseen_files.lookup(pid.as_bytes(), MapFlags::ANY);
        let file = UnseenFile::read_from_bytes(&value.ok()??).ok()?;
        (file.start_boottime_ns == start_boottime_ns).then_some(file)
    }
}

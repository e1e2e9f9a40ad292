//! The script of a program that reads one.

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

use crate::{abi::FileKey, process::Process};

/// Files change by the clock's tick (up to 10 ms): one that changed less than this ago may change again
/// without its time showing it, so its verdict is not kept.
const TOO_FRESH: Duration = Duration::from_millis(25);

/// Opens a script as the process names it: within its own root, from its own folder. No link leads out.
pub(super) fn open_script(process: &Process, path: &[u8]) -> io::Result<OwnedFd> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};
    let proc = process.executable_file();
    let proc = proc.parent().unwrap_or(Path::new("/"));
    let path = Path::new(OsStr::from_bytes(path));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = if let Ok(rest) = path.strip_prefix("/dev/fd") {
        std::fs::File::open(proc.join("fd").join(rest))?.into()
    } else {
        let root = rustix::fs::open(
            proc.join("root"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let whole = match path.is_absolute() {
            true => path.to_owned(),
            false => std::fs::read_link(proc.join("cwd"))?.join(path),
        };
        openat2(root, whole, flags, Mode::empty(), ResolveFlags::IN_ROOT)?
    };
    let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(io::Error::other("it is no file"));
    }
    Ok(file)
}

/// A script's key, and whether it changed just now.
pub(super) fn key_of(file: &OwnedFd) -> io::Result<(FileKey, bool)> {
    let stat = fstat(file)?;
    let key = FileKey {
        inode: stat.st_ino,
        size: stat.st_size.unsigned_abs(),
        changed_sec: stat.st_ctime as u64,
        changed_nsec: stat.st_ctime_nsec as u32,
        device: stat.st_dev as u32,
    };
    Ok((key, is_fresh(key.changed_sec, key.changed_nsec)))
}

/// Whether that was just now.
pub(super) fn is_fresh(sec: u64, nsec: u32) -> bool {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32);
    let changed = Duration::new(sec, nsec);
    now.saturating_sub(changed) < TOO_FRESH
}

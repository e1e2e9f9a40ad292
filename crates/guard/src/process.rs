//! A process held fast by a descriptor, so that what is read of it and done to it concern the same
//! process although pids are reused.

use std::{
    fs,
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A clock tick as `/proc` counts them: user space is always told hundredths of a second
/// (`USER_HZ`, include/asm-generic/param.h).
const TICK_NS: u64 = 10_000_000;
/// `AT_EXECFN` of the auxiliary vector: where the path given to exec lies (getauxval(3)).
const AT_EXECFN: u64 = 31;
/// The most that is read of a process's arguments or environment: what the kernel lets an exec have
/// (fs/exec.c: three quarters of _STK_LIM). Only a process that moved its own bounds has more.
pub const MOST_TEXT_BYTES: usize = 6 << 20;
/// The longest path the kernel takes (PATH_MAX).
const PATH_MAX: usize = 4096;

/// A running process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

/// What `/proc/PID/stat` says of a process's relations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relations {
    /// Its parent.
    pub parent: u32,
    /// The leader of its session.
    pub session: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// False once it has ended and only waits for its parent to take note.
    pub is_running: bool,
}

impl Process {
    /// Takes hold of the process `pid`, if it is the one that started at `start_boottime_ns`.
    /// `None` if it is gone, or another has its pid by now.
    ///
    /// # Errors
    /// Whatever else keeps it from being opened, such as missing rights.
    pub fn open(pid: u32, start_boottime_ns: Option<u64>) -> io::Result<Option<Self>> {
        let Some(raw) = Pid::from_raw(pid as i32) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let process = Self { pid, pidfd };
        if let Some(start_ns) = start_boottime_ns {
            match process.relations() {
                Ok(found) if found.start_ticks == start_ns / TICK_NS => {}
                Ok(_) => return Ok(None),
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(process))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal. False if it is gone.
    ///
    /// # Errors
    /// Missing rights.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Its arguments, NUL after each.
    ///
    /// # Errors
    /// Missing rights, or the process is gone.
    pub fn arguments(&self) -> io::Result<Vec<u8>> {
        self.text("cmdline")
    }

    /// Its environment as it was at exec, NUL after each variable.
    ///
    /// # Errors
    /// Missing rights, or the process is gone.
    pub fn environment(&self) -> io::Result<Vec<u8>> {
        self.text("environ")
    }

    /// The file that runs, in the process's own mount namespace.
    ///
    /// # Errors
    /// Missing rights, or the process is gone.
    pub fn executable(&self) -> io::Result<PathBuf> {
        fs::read_link(self.file("exe"))
    }

    /// The file under `/proc` through which the executable itself can be opened.
    pub fn executable_file(&self) -> PathBuf {
        self.file("exe")
    }

    /// Its cgroups, as `/proc/PID/cgroup` lists them.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cgroups(&self) -> io::Result<Vec<u8>> {
        fs::read(self.file("cgroup"))
    }

    /// The path that was given to exec, where the process still has it.
    ///
    /// # Errors
    /// Missing rights, or the process is gone.
    pub fn path(&self) -> io::Result<Vec<u8>> {
        let vector = fs::read(self.file("auxv"))?;
        let word = size_of::<usize>();
        let number = |bytes: &[u8]| usize::from_ne_bytes(bytes.try_into().unwrap_or_default());
        let address = vector
            .chunks_exact(2 * word)
            .map(|pair| (number(&pair[..word]), number(&pair[word..])))
            .find(|(kind, _)| *kind as u64 == AT_EXECFN);
        let Some((_, address)) = address else {
            return Ok(Vec::new());
        };
        let memory = fs::File::open(self.file("mem"))?;
        let mut path = vec![0; PATH_MAX];
        let read = rustix::io::pread(&memory, &mut path, address as u64)?;
        path.truncate(read);
        if let Some(end) = path.iter().position(|byte| *byte == 0) {
            path.truncate(end);
        }
        Ok(path)
    }

    /// The name the kernel has for it, which it may have chosen itself.
    ///
    /// # Errors
    /// The process is gone.
    pub fn command_name(&self) -> io::Result<String> {
        Ok(fs::read_to_string(self.file("comm"))?.trim_end().to_owned())
    }

    /// Its parent, session and start.
    ///
    /// # Errors
    /// The process is gone.
    pub fn relations(&self) -> io::Result<Relations> {
        let stat = fs::read(self.file("stat"))?;
        parse_stat(&stat).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// At most [`MOST_TEXT_BYTES`]: a process can claim any of its memory as its arguments.
    fn text(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        fs::File::open(self.file(name))?
            .take(MOST_TEXT_BYTES as u64)
            .read_to_end(&mut text)?;
        Ok(text)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(name)
    }
}

/// Whether an error of reading under `/proc` means that the process ended.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

fn parse_stat(stat: &[u8]) -> Option<Relations> {
    // The command name stands in parentheses and may hold anything, parentheses too.
    let after_name = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let fields: Vec<&str> = str::from_utf8(after_name)
        .ok()?
        .split_ascii_whitespace()
        .collect();
    // proc_pid_stat(5) counts from 1 with the state as the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Relations {
        parent: field(4)? as u32,
        session: field(6)? as u32,
        start_ticks: field(22)?,
        is_running: !matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_may_look_like_more_fields() {
        let stat = b"17 (a) R 1 (b) c) S 3 4 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        let found = parse_stat(stat).expect("it is well formed");
        assert_eq!(
            found,
            Relations {
                parent: 3,
                session: 5,
                start_ticks: 777,
                is_running: true
            }
        );
    }

    #[test]
    fn this_process_is_itself() {
        let me = Process::open(std::process::id(), None)
            .expect("open")
            .expect("runs");
        assert_eq!(
            me.relations().expect("stat").parent,
            std::os::unix::process::parent_id()
        );
        assert!(me.arguments().expect("cmdline").ends_with(b"\0"));
        let path = me.path().expect("path");
        assert!(!path.is_empty());
        assert!(
            Process::open(std::process::id(), Some(1))
                .expect("open")
                .is_none()
        );
    }
}

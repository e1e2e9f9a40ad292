//! Decoding what the kernel programs report.

use zerocopy::FromBytes;

use crate::abi::{EVENT_QUIET, EventHeader, EventKind, Reason};
use davylamp_detect::judge::{Region, Subject};

/// An event as the kernel programs wrote it, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelEvent {
    /// What happened.
    pub kind: EventKind,
    /// Why.
    pub reason: Reason,
    /// Where the match stood. The kernel does not tell the path from the executable's name.
    pub region: Region,
    /// The info word of the match, for [`davylamp_detect::automaton::Table::string_of_info`].
    pub info: u32,
    /// The generation of the table it refers to.
    pub generation: u64,
    /// The process.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its real user.
    pub uid: u32,
    /// When it started.
    pub start_boottime_ns: u64,
    /// When it happened, by `CLOCK_MONOTONIC`.
    pub time_ns: u64,
    /// From the start of the hook to the signal.
    pub latency_ns: u64,
    /// How long it had been held.
    pub held_ns: u64,
    /// The errno of a signal that failed, negative.
    pub signal_error: i32,
    /// The cgroup's key.
    pub cgroup: u64,
    /// What the ceilings count it as, 0 where none was asked.
    pub victim: u64,
    /// Events of this cgroup left out so far.
    pub rate_limited: u64,
    /// Whether it is only to be acted upon: its cgroup has had too many events.
    pub is_quiet: bool,
    /// Arguments, NUL after each.
    pub arguments: Vec<u8>,
    /// Their true length, where they were cut.
    pub arguments_len: u64,
    /// The path given to exec.
    pub path: Vec<u8>,
    /// The executable's path in its mount namespace, marked where its start was lost.
    pub exe: String,
    /// The cgroup's path.
    pub cgroup_path: String,
    /// The environment, NUL after each variable, if it was asked for.
    pub environment: Vec<u8>,
    /// The command name.
    pub comm: String,
    /// Ancestors, nearest first.
    pub ancestors: Vec<(u32, String)>,
}

/// Why an event cannot be read: the agent and the pinned programs disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It is shorter than its header.
    #[error("kernel event of {0} bytes is shorter than its header")]
    Short(usize),
    /// Its texts do not fit its length.
    #[error("kernel event's texts do not fit its {0} bytes")]
    Texts(usize),
    /// It holds a number that has no meaning.
    #[error("kernel event has unknown {what} {number}")]
    Unknown {
        /// Which number.
        what: &'static str,
        /// Its value.
        number: u32,
    },
}

/// Stands for a path's start that was too deep to be captured.
const LOST: &str = "…";

impl KernelEvent {
    /// The process as the judges see it, from what was captured.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            arguments: &self.arguments,
            path: &self.path,
            executable: self.executable().as_bytes(),
            environment: &self.environment,
        }
    }

    /// Takes an event apart.
    ///
    /// # Errors
    /// [`EventError`] for bytes that no kernel program of this version writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, EventError> {
        let (header, mut texts) =
            EventHeader::read_from_prefix(bytes).map_err(|_| EventError::Short(bytes.len()))?;
        let mut text = |length: u32| {
            let (text, rest) = texts
                .split_at_checked(length as usize)
                .ok_or(EventError::Texts(bytes.len()))?;
            texts = rest;
            Ok(text)
        };
        let arguments = text(header.text_arguments)?.to_vec();
        let path = text(header.text_path)?;
        let exe = path_of_parts(text(header.text_exe)?, header.truncated & 4 != 0);
        let cgroup_path = path_of_parts(text(header.text_cgroup)?, header.truncated & 8 != 0);
        let environment = text(header.text_environment)?.to_vec();
        let unknown = |what, number| EventError::Unknown { what, number };
        Ok(Self {
            kind: EventKind::from_number(header.kind).ok_or(unknown("kind", header.kind))?,
            reason: Reason::from_number(header.reason).ok_or(unknown("reason", header.reason))?,
            region: match header.region {
                0 => Region::Arguments,
                1 => Region::Path,
                2 => Region::Environment,
                other => return Err(unknown("region", other)),
            },
            info: header.info,
            generation: header.generation,
            pid: header.pid,
            parent: header.parent,
            uid: header.uid,
            start_boottime_ns: header.start_boottime_ns,
            time_ns: header.time_ns,
            latency_ns: header.latency_ns,
            held_ns: header.held_ns,
            signal_error: header.signal_error,
            cgroup: header.cgroup,
            victim: header.victim,
            rate_limited: header.rate_limited,
            is_quiet: header.truncated & EVENT_QUIET != 0,
            arguments,
            arguments_len: header.arguments_len,
            path: path.strip_suffix(b"\0").unwrap_or(path).to_vec(),
            exe,
            cgroup_path,
            environment,
            comm: until_nul(&header.comm),
            ancestors: header
                .ancestors
                .iter()
                .take_while(|ancestor| ancestor.pid != 0)
                .map(|ancestor| (ancestor.pid, until_nul(&ancestor.comm)))
                .collect(),
        })
    }

    /// The name, without its folder, of the file that runs.
    pub fn executable(&self) -> &str {
        self.exe.rsplit('/').next().unwrap_or_default()
    }
}

/// Joins names that come leaf first, each with a NUL.
fn path_of_parts(parts: &[u8], is_cut: bool) -> String {
    let mut names: Vec<_> = parts
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    if is_cut {
        names.push(LOST.into());
    }
    names.reverse();
    format!("/{}", names.join("/"))
}

pub(crate) fn until_nul(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

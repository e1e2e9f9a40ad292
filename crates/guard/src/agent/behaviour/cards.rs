//! How busy processes keep graphics cards, as NVIDIA's management library (NVML) says.
//!
//! The library is loaded and its driver is called, neither of which the agent may do once it is in its
//! sandbox. So a process of its own asks, forked before anything is loaded into the kernel: it has no
//! capability and no descriptor of the guard's, and only writes numbers to a pipe. It ends with the
//! agent.
//!
//! What must stay true: what is not known is `None`, never 0; without a card nothing is started.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{self, PipeReader, PipeWriter, Read as _, Write as _},
    os::fd::AsFd as _,
    path::Path,
    time::{Duration, Instant},
};

use nvml_wrapper::{Nvml, error::NvmlError};
use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};

use crate::sandbox;

/// The device by which NVIDIA's driver is managed.
const DEVICE: &str = "/dev/nvidiactl";
/// What the library is called: by its soname, which every driver installs, and without.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];
/// How often it is asked. It keeps samples of the last seconds.
const EVERY: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// How long the library may take to answer at the start.
const FIRST_ANSWER: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// An answer that is older says nothing any more.
const LASTS: Duration = Duration::from_secs(45);
/// A frame is written at once, and so whole: 4 KiB (pipe(7)).
const MAX_PROCESSES: usize = 500;
/// Stands for the number of processes where the library could not say.
const UNKNOWN: u32 = u32::MAX;

/// What was last said.
#[derive(Debug)]
pub(in crate::agent) struct Cards {
    from: PipeReader,
    pending: Vec<u8>,
    busy: Option<(HashMap<u32, u32>, Instant)>,
}

impl Cards {
    /// Starts asking. `None` where this machine has no card of NVIDIA's; an error in words where the
    /// library does not answer. No thread may run yet.
    pub(in crate::agent) fn start() -> Result<Option<Self>, String> {
        if !Path::new(DEVICE).exists() {
            return Ok(None);
        }
        Self::start_with(&LIBRARIES.map(OsStr::new)).map(Some)
    }

    fn start_with(libraries: &[&OsStr]) -> Result<Self, String> {
        let (from, to) = io::pipe().map_err(|error| format!("no pipe: {error}"))?;
        // SAFETY: no other thread runs, so the child has everything that this process has.
        let child = unsafe { libc::fork() };
        match child {
            ..0 => Err(format!("no process: {}", io::Error::last_os_error())),
            0 => {
                drop(from);
                // SAFETY: asks for this process's end with its parent's, and nothing else.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let ended = ask(libraries, to);
                // SAFETY: ends this process and nothing else; what the parent opened stays open.
                unsafe { libc::_exit(i32::from(ended.is_err())) }
            }
            _ => {
                drop(to);
                Self::after_first_answer(from)
            }
        }
    }

    fn after_first_answer(mut from: PipeReader) -> Result<Self, String> {
        if !is_readable(&from, Some(&FIRST_ANSWER)) {
            return Err("NVIDIA's management library does not answer".to_owned());
        }
        let mut first = [0];
        match from.read(&mut first) {
            Ok(1) if first == *b"r" => Ok(Self {
                from,
                pending: Vec::new(),
                busy: None,
            }),
            _ => {
                let mut why = String::new();
                let _ = from.read_to_string(&mut why);
                Err(format!("NVIDIA's management library: {why}"))
            }
        }
    }

    /// How busy a process keeps a card, in percent. `None` where that is not known.
    pub(in crate::agent) fn percent(&mut self, pid: u32) -> Option<u64> {
        self.take();
        let (busy, at) = self.busy.as_ref()?;
        (at.elapsed() < LASTS).then(|| u64::from(busy.get(&pid).copied().unwrap_or(0)))
    }

    /// Takes all that was said. The pipe stays blocking: it is read only where something is there.
    fn take(&mut self) {
        let mut bytes = [0; 4096];
        while is_readable(&self.from, Some(&Timespec::default())) {
            match self.from.read(&mut bytes) {
                Ok(count @ 1..) => self.pending.extend(&bytes[..count]),
                _ => break,
            }
        }
        while let Some((frame, length)) = read_frame(&self.pending) {
            self.pending.drain(..length);
            self.busy = frame.map(|busy| (busy, Instant::now()));
        }
    }
}

fn is_readable(from: &PipeReader, limit: Option<&Timespec>) -> bool {
    let mut waited = [PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN)];
    matches!(poll(&mut waited, limit), Ok(1..)) && waited[0].revents().contains(PollFlags::IN)
}

/// A frame, and how long it was: how many processes, and for each its number and percent.
fn read_frame(bytes: &[u8]) -> Option<(Option<HashMap<u32, u32>>, usize)> {
    let word = |at: usize| {
        let word = bytes.get(at * 4..at * 4 + 4)?;
        Some(u32::from_ne_bytes(word.try_into().ok()?))
    };
    let count = word(0)?;
    if count == UNKNOWN {
        return Some((None, 4));
    }
    let count = count as usize;
    let busy = (0..count).map(|n| Some((word(1 + 2 * n)?, word(2 + 2 * n)?)));
    let busy: Option<HashMap<u32, u32>> = busy.collect();
    Some((Some(busy?), 4 + 8 * count))
}

fn frame(busy: Option<&HashMap<u32, u32>>) -> Vec<u8> {
    let Some(busy) = busy else {
        return UNKNOWN.to_ne_bytes().to_vec();
    };
    // The busiest, should there ever be more than fit.
    let mut busy: Vec<(u32, u32)> = busy.iter().map(|(pid, percent)| (*pid, *percent)).collect();
    busy.sort_by_key(|(_, percent)| std::cmp::Reverse(*percent));
    busy.truncate(MAX_PROCESSES);
    let words = busy.iter().flat_map(|(pid, percent)| [*pid, *percent]);
    std::iter::once(busy.len() as u32)
        .chain(words)
        .flat_map(u32::to_ne_bytes)
        .collect()
}

/// The process that asks: until nobody listens any more.
fn ask(libraries: &[&OsStr], mut to: PipeWriter) -> io::Result<()> {
    let given_up = sandbox::drop_capabilities(&[]).and_then(|_| {
        rustix::thread::set_no_new_privs(true)
            .map_err(|errno| sandbox::SandboxError::NoNewPrivileges(errno.into()))
    });
    if let Err(error) = given_up {
        return write!(to, "n{error}");
    }
    let opened = libraries
        .iter()
        .map(|library| Nvml::builder().lib_path(library).init());
    let mut why = String::new();
    let mut library = None;
    for opened in opened {
        match opened {
            Ok(opened) => {
                library = Some(opened);
                break;
            }
            Err(error) => why = error.to_string(),
        }
    }
    let Some(library) = library else {
        return write!(to, "n{why}");
    };
    to.write_all(b"r")?;
    let mut seen_until = HashMap::new();
    loop {
        let busy = busy(&library, &mut seen_until).ok();
        to.write_all(&frame(busy.as_ref()))?;
        let _ = rustix::thread::nanosleep(&EVERY);
    }
}

/// How busy each process keeps the card that it keeps busiest, since it was last asked.
fn busy(
    library: &Nvml,
    seen_until: &mut HashMap<u32, u64>,
) -> Result<HashMap<u32, u32>, NvmlError> {
    let mut busy: HashMap<u32, u32> = HashMap::new();
    for number in 0..library.device_count()? {
        let device = library.device_by_index(number)?;
        let since = seen_until.get(&number).copied();
        let samples = match device.process_utilization_stats(since) {
            Ok(samples) => samples,
            // Nobody used it since.
            Err(NvmlError::NotFound) => continue,
            Err(error) => return Err(error),
        };
        for sample in samples {
            let until = seen_until.entry(number).or_default();
            *until = sample.timestamp.max(*until);
            let percent = busy.entry(sample.pid).or_default();
            *percent = sample.sm_util.max(*percent);
        }
    }
    Ok(busy)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let busy = HashMap::from([(7, 93), (8, 0)]);
        let mut bytes = frame(Some(&busy));
        bytes.extend(frame(None));
        let (first, length) = read_frame(&bytes).expect("a frame");
        assert_eq!(first, Some(busy));
        assert_eq!(read_frame(&bytes[length..]), Some((None, 4)));
        assert_eq!(read_frame(&bytes[..length - 1]), None);
        let many: HashMap<u32, u32> = (0..100_000).map(|pid| (pid, pid % 100)).collect();
        assert!(frame(Some(&many)).len() <= 4096);
    }

    /// Waits for the end of a child, so that none is left to the next test.
    fn reap() {
        // SAFETY: waits for any child of this process; nextest runs one test to a process.
        unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
    }

    #[test]
    fn without_the_library_it_is_unknown_and_says_why() {
        let library = OsStr::new("/nonexistent/libnvidia-ml.so.1");
        let why = Cards::start_with(&[library]).expect_err("there is none");
        assert!(why.contains("NVIDIA's management library: "), "{why}");
        assert!(why.contains("nonexistent"), "{why}");
        reap();
    }

    /// A double of the library, of what is asked of it: one card, and two processes.
    const DOUBLE: &str = r"
        int nvmlInit_v2(void) { return 0; }
        int nvmlShutdown(void) { return 0; }
        int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned n, void **device) { *device = (void *)1; return n; }
        struct sample { unsigned pid; unsigned long long time; unsigned sm, mem, enc, dec; };
        int nvmlDeviceGetProcessUtilization(void *device, struct sample *out, unsigned *count,
                                            unsigned long long since) {
            if (since >= 5) return 6; /* NVML_ERROR_NOT_FOUND */
            if (!out) { *count = 2; return 7; } /* NVML_ERROR_INSUFFICIENT_SIZE */
            out[0] = (struct sample){ 4242, 5, 97, 1, 0, 0 };
            out[1] = (struct sample){ 4343, 5, 3, 1, 0, 0 };
            *count = 2;
            return 0;
        }";

    #[test]
    fn what_the_library_says_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, library) = (
            folder.path().join("double.c"),
            folder.path().join("double.so"),
        );
        std::fs::write(&source, DOUBLE).expect("it is written");
        let done = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status()
            .expect("a C compiler is installed (Debian's package gcc)");
        assert!(done.success());
        let mut cards = Cards::start_with(&[library.as_os_str()]).expect("it answers");
        let limit = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        assert!(is_readable(&cards.from, Some(&limit)), "it says something");
        assert_eq!(cards.percent(4242), Some(97));
        assert_eq!(cards.percent(4343), Some(3));
        assert_eq!(cards.percent(1), Some(0));
    }
}

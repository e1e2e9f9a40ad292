//! A worker: takes a file, searches it, answers, and begins anew.
//!
//! It reads the file into memory of its own: a mapping would die with a file that is cut short meanwhile,
//! and whoever wrote the file could do that.

use std::{
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

use super::{Answer, Engine, Limits, MESSAGE_BYTES, Request};

/// Serves until the agent ends.
pub(super) fn serve(socket: &OwnedFd, engine: &Engine) {
    loop {
        match next(socket) {
            Ok(Some((request, file))) => {
                arm(request.limits.max_ms);
                let answer = search(engine, request.id, file, request.limits);
                arm(0);
                let Ok(message) = serde_json::to_vec(&answer) else {
                    return;
                };
                if send(socket, &message, SendFlags::NOSIGNAL).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn next(socket: &OwnedFd) -> io::Result<Option<(Request, Option<OwnedFd>)>> {
    let mut bytes = vec![0; MESSAGE_BYTES];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [io::IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut file = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut files) = message {
            file = files.next();
        }
    }
    let request = serde_json::from_slice(&bytes[..received.bytes])?;
    Ok(Some((request, file)))
}

/// Ends this process after so many milliseconds; 0 disarms.
fn arm(ms: u64) {
    let value = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: (ms / 1000) as libc::time_t,
            tv_usec: (ms % 1000 * 1000) as libc::suseconds_t,
        },
    };
    // SAFETY: the call reads the value, and the old one is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const value, std::ptr::null_mut()) };
}

fn search(engine: &Engine, id: u64, file: Option<OwnedFd>, limits: Limits) -> Answer {
    let mut done = Done::default();
    match file {
        None => done.unknown = Some("no file came with the request".to_owned()),
        Some(file) => done.search(engine, file, limits),
    }
    Answer::Done {
        id,
        size: done.size,
        sha256: done.sha256,
        signs: done.signs,
        unknown: done.unknown,
        is_too_large: done.is_too_large,
    }
}

#[derive(Default)]
struct Done {
    size: u64,
    sha256: Option<String>,
    signs: Vec<(String, String, String)>,
    unknown: Option<String>,
    is_too_large: bool,
}

impl Done {
    fn search(&mut self, engine: &Engine, file: OwnedFd, limits: Limits) {
        match rustix::fs::fstat(file.as_fd()) {
            Ok(stat) => self.size = stat.st_size.unsigned_abs(),
            Err(error) => return self.unknown = Some(format!("it cannot be looked at: {error}")),
        }
        let whole = self.size <= limits.max_bytes;
        let wanted = self.size.min(limits.max_bytes);
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(wanted as usize + 1).is_err() {
            return self.unknown = Some("there is no memory for it".to_owned());
        }
        // One more, to see that it did not grow.
        let mut file = std::fs::File::from(file).take(wanted + u64::from(whole));
        if let Err(error) = file.read_to_end(&mut bytes) {
            self.unknown = Some(format!("it cannot be read: {error}"));
        } else if !whole {
            self.is_too_large = true;
            self.unknown = Some(format!(
                "it has {} bytes, of which {} were searched",
                self.size, limits.max_bytes
            ));
        } else if bytes.len() as u64 != self.size {
            self.unknown = Some("it changed while it was read".to_owned());
        }
        match engine.search(&bytes) {
            Ok(signs) => {
                self.signs = signs
                    .into_iter()
                    .map(|sign| (sign.seen.as_str().to_owned(), sign.rule, sign.says))
                    .collect();
            }
            Err(why) => {
                self.is_too_large = false;
                self.unknown = Some(format!("the search did not end: {why}"));
            }
        }
        if !self.signs.is_empty() {
            let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
            self.sha256 = Some(hex::encode(digest));
        }
    }
}

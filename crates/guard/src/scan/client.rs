//! The agent's side: hands files to workers, each one at a time.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use davylamp_detect::file::Sign;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg};
use tokio::io::{Interest, unix::AsyncFd};
use tokio::sync::Semaphore;

use super::{Answer, Limits, MESSAGE_BYTES, Report, Request, Started, engine::seen_as};

/// How much longer than a search may take an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Workers, from the agent's side.
pub struct Scanner {
    sockets: Vec<AsyncFd<OwnedFd>>,
    limits: Limits,
    free: RefCell<Vec<usize>>,
    places: Semaphore,
    next: Cell<u64>,
    /// Workers that died so far.
    pub deaths: Cell<u64>,
    /// Whether nobody answers any more.
    gone: Cell<bool>,
}

impl Scanner {
    /// Takes over workers. Within an event loop.
    ///
    /// # Errors
    /// The event loop refuses a socket.
    pub fn new(started: Started) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for socket in started.sockets {
            rustix::io::ioctl_fionbio(&socket, true)?;
            // SAFETY: the socket is owned by what it is registered with, and its number stays its own.
            let socket = unsafe {
                AsyncFd::register_with_interest(socket, Interest::READABLE | Interest::WRITABLE)
            };
            sockets.push(socket?);
        }
        Ok(Self {
            free: RefCell::new((0..sockets.len()).collect()),
            places: Semaphore::new(sockets.len()),
            sockets,
            limits: started.limits,
            next: Cell::new(1),
            deaths: Cell::default(),
            gone: Cell::default(),
        })
    }

    /// Whether nobody answers any more.
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Has a file searched, as soon as a worker is free. Whatever happens is in the report.
    pub async fn scan(&self, file: OwnedFd) -> Report {
        let Ok(_place) = self.places.acquire().await else {
            return Report::unknown("nobody searches any more");
        };
        let Some(number) = self.free.borrow_mut().pop() else {
            return Report::unknown("no worker is free");
        };
        let id = self.next.replace(self.next.get() + 1);
        let patience = Duration::from_millis(self.limits.max_ms) + PATIENCE;
        let asked = self.ask(&self.sockets[number], id, file);
        let report = match tokio::time::timeout(patience, asked).await {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => {
                self.gone.set(true);
                Report::unknown(format!("nobody searches any more: {error}"))
            }
            Err(_) => Report::unknown("the search took too long"),
        };
        self.free.borrow_mut().push(number);
        report
    }

    async fn ask(&self, socket: &AsyncFd<OwnedFd>, id: u64, file: OwnedFd) -> io::Result<Report> {
        self.take_what_is_late(socket)?;
        let request = serde_json::to_vec(&Request {
            id,
            limits: self.limits,
        })?;
        socket
            .async_io(Interest::WRITABLE, |socket| {
                hand_over(socket, &request, &file)
            })
            .await?;
        drop(file);
        let mut bytes = vec![0; MESSAGE_BYTES];
        loop {
            let length = socket
                .async_io(Interest::READABLE, |socket| {
                    let (length, _) = recv(socket, bytes.as_mut_slice(), RecvFlags::DONTWAIT)?;
                    Ok(length)
                })
                .await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match serde_json::from_slice(&bytes[..length])? {
                Answer::Died { why } => {
                    self.deaths.set(self.deaths.get() + 1);
                    return Ok(Report::unknown(why));
                }
                // The answer to a question that was given up.
                Answer::Done { id: other, .. } if other != id => {}
                Answer::Done {
                    size,
                    sha256,
                    signs,
                    unknown,
                    is_too_large,
                    ..
                } => {
                    let sign = |(seen, rule, says): (String, String, String)| {
                        Some(Sign {
                            seen: seen_as(&seen)?,
                            rule,
                            says,
                        })
                    };
                    return Ok(Report {
                        size,
                        sha256,
                        signs: signs.into_iter().filter_map(sign).collect(),
                        unknown,
                        is_too_large,
                    });
                }
            }
        }
    }
}

impl Scanner {
    /// Takes what came after it was waited for: a worker that died while it had nothing to do.
    fn take_what_is_late(&self, socket: &AsyncFd<OwnedFd>) -> io::Result<()> {
        let mut bytes = vec![0; MESSAGE_BYTES];
        loop {
            match recv(socket.get_ref(), bytes.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((length, _)) => {
                    let late = serde_json::from_slice(&bytes[..length]);
                    if matches!(late, Ok(Answer::Died { .. })) {
                        self.deaths.set(self.deaths.get() + 1);
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn hand_over(socket: &OwnedFd, request: &[u8], file: &OwnedFd) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(
        socket,
        &[io::IoSlice::new(request)],
        &mut control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    Ok(())
}

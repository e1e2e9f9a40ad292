//! SIGINT and SIGTERM, which both ask a command to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both of them.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on. Where that cannot be, a signal goes on ending the command at once.
    pub fn listen() -> Option<Self> {
        Some(Self {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
        })
    }

    /// Waits for the next; nothing when there will be none.
    pub async fn next(&mut self) -> Option<()> {
        tokio::select! {
            came = self.interrupt.recv() => came,
            came = self.terminate.recv() => came,
        }
    }
}

//! SIGINT and SIGTERM: the first asks the work to end in order, the second ends it at once.

use davylamp_respond::stop::Stop;
use tokio::signal::unix::{SignalKind, signal};

use super::INCOMPLETE;
use crate::output::note;

/// Listens from now on. Until then a signal ends the command at once, which is right as long as
/// nothing is claimed.
pub(super) fn listen(stop: &Stop) {
    let stop = stop.clone();
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Then a signal ends the command at once, and leases run out by themselves.
        return;
    };
    tokio::spawn(async move {
        let mut count = 0_u32;
        loop {
            tokio::select! {
                Some(()) = interrupt.recv() => {}
                Some(()) = terminate.recv() => {}
                else => return,
            }
            count += 1;
            if count > 1 {
                note("stopped at once: what was under way is taken up when its lease has run out");
                std::process::exit(INCOMPLETE.into());
            }
            note(
                "stopping: what was begun is journaled, nothing more is begun; a second signal ends it at once",
            );
            stop.ask();
        }
    });
}

//! SIGINT and SIGTERM: the first asks the work to end in order, the second ends it at once.

use davylamp_respond::stop::Stop;

use super::INCOMPLETE;
use crate::output::note;
use crate::signals::Signals;

/// Listens from now on. Until then a signal ends the command at once, which is right as long as
/// nothing is claimed.
pub(super) fn listen(stop: &Stop) {
    let stop = stop.clone();
    let Some(mut signals) = Signals::listen() else {
        // Leases run out by themselves.
        return;
    };
    tokio::spawn(async move {
        let mut count = 0_u32;
        while signals.next().await.is_some() {
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

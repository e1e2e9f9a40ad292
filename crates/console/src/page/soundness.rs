//! Whether the ledger is as it was written, as its daily check found it.
//!
//! What must stay true: a ledger that was never checked, or not for long, is not called sound.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{text, time};
use crate::access::{Refused, Viewer};
use crate::chores::{Chore, Kept};
use crate::site::Site;

/// A check that is this much late says nothing of today.
const LATE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What stands on the first page where the ledger is not as it was written, and nothing otherwise.
pub(super) async fn banner(site: &Site) -> Result<Markup, Refused> {
    let kept = site.book().read(Chore::Verify, site.now()).await?;
    let is_faulty = kept.verified().is_some_and(|found| found.fault.is_some());
    Ok(html! {
        @if is_faulty {
            p.flash.bad role="alert" {
                strong { "The ledger is not as it was written." }
                " Somebody changed the database behind the console's back, or it is damaged: nothing on these pages is certain. "
                a href="/ledger" { "What the check found" }
            }
        }
    })
}

/// What the last check found.
pub(super) async fn card(site: &Site, viewer: &Viewer) -> Result<Markup, Refused> {
    let now = site.now();
    let kept = site.book().read(Chore::Verify, now).await?;
    Ok(html! {
        section.card {
            h2 { "Is it as it was written?" }
            (found(&kept, viewer, now))
            @if kept.is_running { p { "It is being checked at this moment." } }
            @if Chore::Verify.is_on(site.config()) { (next(&kept, site.config().daily.hour, now)) }
            @else { p.unknown { "It is not checked by itself: " code { "console.daily.verify" } " is off." } }
        }
    })
}

fn found(kept: &Kept, viewer: &Viewer, now: Timestamp) -> Markup {
    let (Some(found), Some(done)) = (kept.verified(), kept.done) else {
        return html! { p.unknown { "Unknown: it was never checked by itself." } };
    };
    let when = time::ago(done.as_microsecond(), now);
    html! {
        @match &found.fault {
            None => p { span.badge.well { "✓ yes" } " Checked " (when) ": " (found.entries) " entries and every table made of them, in " (found.seconds) " seconds." },
            Some(fault) => {
                p.flash.bad role="alert" { strong { "No." } " Checked " (when) "." }
                // It may quote a row, and a row may be of any cluster.
                @if viewer.scope.is_all() {
                    p { @if let Some(seq) = fault.seq { "Entry " (seq) ": " } (text::brief(&fault.what)) }
                }
                p { "Keep this database as evidence, and go on from an export or a backup before it. " code { "davy console verify" } " checks it again." }
            }
        }
        p { "It then ended with entry " (found.head.seq) ", " code.hash { (found.head.hash) } "." }
    }
}

fn next(kept: &Kept, hour: u8, now: Timestamp) -> Markup {
    let due = kept.due(hour);
    let is_late = due.saturating_add(LATE_AFTER).is_ok_and(|late| late < now);
    html! {
        @if is_late { p.unknown { "The next check is late: it was due " (time::ago(due.as_microsecond(), now)) ", and the log says why it was not done." } }
        @else { p.muted { "The next check is due " (time::clock(due.as_microsecond())) " UTC." } }
    }
}

//! Events that are no findings and yet drive us: snapshots that end, and a rule's clock.
//!
//! The snapshot events are those of the EBS user guide, "Amazon EventBridge events for Amazon EBS":
//! <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-cloud-watch-events.html>.

use crate::ids::{SnapshotId, VolumeId, is_ec2_id};
use crate::resource::Place;

use super::members::{Gaps, Members};
use super::names::{self, quoted};
use super::{Rejection, Signal, SnapshotOutcome, SnapshotSource};

/// The events of a snapshot's life that we wait for.
const EVENTS: &[&str] = &["createSnapshot", "createSnapshots", "copySnapshot"];

/// Whether a `detail-type` is about snapshots.
pub(super) fn is_snapshot(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("EBS Snapshot Notification")
        || kind.eq_ignore_ascii_case("EBS Multi-Volume Snapshots Completion Status")
}

/// What a snapshot event that we do not wait for is called.
pub(super) fn name(kind: &str, detail: Members<'_>) -> String {
    format!("{kind} {}", detail.text("event").unwrap_or_default())
}

/// A rule's clock.
pub(super) fn tick(event: Members<'_>) -> Signal {
    let rule = event
        .get("resources")
        .and_then(|rules| rules.value().get(0))
        .and_then(|rule| rule.as_str());
    Signal::Tick {
        rule: rule.map(str::to_owned),
        at: event.time("time"),
    }
}

/// The snapshots of an event; `None` when the event is not one we wait for.
pub(super) fn snapshots(
    event: Members<'_>,
    detail: Members<'_>,
) -> Result<Option<Vec<Signal>>, Rejection> {
    let said = detail.text("event").unwrap_or_default();
    let Some(name) = EVENTS.iter().find(|name| name.eq_ignore_ascii_case(said)) else {
        return Ok(None);
    };
    let quiet = Gaps::default();
    let account = event.text("account");
    let region = event.text("region");
    let place = account
        .and_then(|account| names::account(account, &quiet))
        .zip(region.and_then(|region| names::region(region, &quiet)))
        .map(|(account, region)| Place { account, region });
    let at = detail.time("endTime").or_else(|| event.time("time"));
    let mut parts = detail.items("snapshots");
    if parts.is_empty() {
        parts.push(detail);
    }
    let mut signals = Vec::new();
    for part in parts {
        let snapshot = part.text("snapshot_id").map(last_part);
        let Some(snapshot) = snapshot.filter(|id| is_ec2_id("snap-", id)) else {
            return Err(Rejection::HalfEmpty {
                form: "a snapshot event",
                missing: "a snapshot's id",
            });
        };
        signals.push(Signal::Snapshot {
            place: place.clone(),
            event: (*name).to_owned(),
            snapshot: SnapshotId::from(snapshot),
            source: source(part),
            outcome: outcome(part, detail)?,
            at,
        });
    }
    Ok(Some(signals))
}

fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn source(part: Members<'_>) -> SnapshotSource {
    match part.text("source").map(last_part) {
        Some(id) if is_ec2_id("vol-", id) => SnapshotSource::Volume(VolumeId::from(id)),
        Some(id) if is_ec2_id("snap-", id) => SnapshotSource::Snapshot(SnapshotId::from(id)),
        _ => SnapshotSource::Unknown,
    }
}

/// A set says of each snapshot whether it is complete; one alone only says the result. What is
/// neither is refused: an evidence that may not exist must not pass for one.
fn outcome(part: Members<'_>, detail: Members<'_>) -> Result<SnapshotOutcome, Rejection> {
    let result = part.text("status").or_else(|| detail.text("result"));
    match result.unwrap_or_default().to_ascii_lowercase().as_str() {
        "succeeded" | "completed" => Ok(SnapshotOutcome::Completed),
        "failed" | "error" => Ok(SnapshotOutcome::Failed {
            cause: quoted(detail.text("cause").unwrap_or("no cause is given")),
        }),
        _ => Err(Rejection::HalfEmpty {
            form: "a snapshot event",
            missing: "a result",
        }),
    }
}

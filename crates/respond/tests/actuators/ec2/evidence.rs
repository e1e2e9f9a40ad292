//! Evidence: taken once, with our tags alone, and waited for.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Snapshot;
use davylamp_model::ids::{InstanceId, VolumeId};
use davylamp_plan::action::Action;
use davylamp_respond::actuator::{Checked, Verified};
use jiff::Timestamp;

use super::canned::{Canned, error};
use super::stage::{Stage, act_twice};
use crate::drive::{assert_already, assert_done};

pub const TAGS: [&str; 6] = [
    "davylamp:custody",
    "davylamp:finding",
    "davylamp:incident",
    "davylamp:plan",
    "davylamp:source-volume",
    "davylamp:time",
];

pub async fn snapshots(stage: &Stage) -> Vec<Snapshot> {
    let ec2 = stage.ec2().await;
    let answer = ec2.describe_snapshots().owner_ids("self").send().await;
    let mut snapshots = answer.expect("snapshots").snapshots().to_vec();
    // moto makes one for the test's image.
    snapshots.retain(|one| !one.description().unwrap_or_default().contains(" for AMI "));
    snapshots
}

pub fn tags(snapshot: &Snapshot) -> BTreeSet<&str> {
    snapshot.tags().iter().filter_map(|tag| tag.key()).collect()
}

#[track_caller]
fn assert_ours(snapshots: &[Snapshot]) {
    for snapshot in snapshots {
        assert_eq!(tags(snapshot), BTreeSet::from(TAGS));
        let source = snapshot
            .tags()
            .iter()
            .find(|tag| tag.key() == Some(TAGS[4]));
        assert_eq!(source.and_then(|tag| tag.value()), snapshot.volume_id());
    }
}

pub fn volumes(disks: &[(String, VolumeId, bool)]) -> Vec<VolumeId> {
    disks.iter().map(|(_, volume, _)| volume.clone()).collect()
}

fn await_since(volumes: &[VolumeId], since: &str) -> Action {
    Action::AwaitEvidence {
        volumes: volumes.to_vec(),
        since: since.parse().expect("a time"),
    }
}

#[tokio::test]
async fn all_volumes_are_taken_once_with_our_tags_alone() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let volumes = volumes(&stage.disks(&instance).await);
    let take = stage.drive(Action::SnapshotInstance {
        instance,
        volumes: volumes.clone(),
        exclude: Vec::new(),
    });
    let waiting = stage.drive(await_since(&volumes, "2026-01-01T00:00:00Z"));
    let before = waiting.needed().await;
    let looked = waiting.verify(&before).await.expect("a look");
    assert!(matches!(looked, Verified::Pending { .. }), "{looked:?}");

    act_twice(&take).await;
    let taken = snapshots(&stage).await;
    assert_eq!(taken.len(), 2);
    assert_ours(&taken);
    assert_done(&waiting.settled(&before).await);
    assert_already(waiting.check().await);
    waiting.act(&before).await.expect("waiting changes nothing");

    // What completed before the incident is no evidence of it.
    let later = stage.drive(await_since(&volumes, "2200-01-01T00:00:00Z"));
    let looked = later.verify(&before).await.expect("a look");
    assert!(matches!(looked, Verified::Pending { .. }), "{looked:?}");
}

#[tokio::test]
async fn a_volume_is_taken_by_itself() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let volume = volumes(&stage.disks(&instance).await)[1].clone();
    let take = stage.drive(Action::SnapshotVolume {
        volume: volume.clone(),
    });
    let before = act_twice(&take).await;
    let taken = snapshots(&stage).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].volume_id(), Some(volume.as_str()));
    assert_ours(&taken);
    take.undo(&before).await.expect("nothing is taken back");
    assert_eq!(
        snapshots(&stage).await.len(),
        1,
        "evidence is never deleted"
    );

    let gone = stage.drive(Action::SnapshotVolume {
        volume: VolumeId::from("vol-00000000"),
    });
    let checked = gone.check().await.expect("a look");
    assert!(matches!(checked, Checked::Impossible { .. }), "{checked:?}");
}

#[tokio::test]
async fn the_root_volume_can_be_left_out() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let volumes = volumes(&stage.disks(&instance).await);
    let take = stage.drive(Action::SnapshotInstance {
        instance,
        volumes: volumes[1..].to_vec(),
        exclude: volumes[..1].to_vec(),
    });
    act_twice(&take).await;
    let taken = snapshots(&stage).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].volume_id(), Some(volumes[1].as_str()));
}

pub fn described(volumes: &[(&str, &str, &str)]) -> String {
    let items: String = volumes
        .iter()
        .map(|(volume, state, progress)| {
            format!(
                "<item><snapshotId>snap-of-{volume}</snapshotId><volumeId>{volume}</volumeId>\
                 <status>{state}</status><progress>{progress}</progress>\
                 <startTime>2026-01-01T00:00:00.000Z</startTime>\
                 <completionTime>2026-01-01T00:10:00.000Z</completionTime>\
                 <tagSet><item><key>davylamp:incident</key><value>inc-1</value></item></tagSet></item>"
            )
        })
        .collect();
    format!(
        "<DescribeSnapshotsResponse><snapshotSet>{items}</snapshotSet></DescribeSnapshotsResponse>"
    )
}

async fn looked(
    volumes: &'static [(&'static str, &'static str, &'static str)],
    since: &str,
) -> Verified {
    let canned = Canned::start(move |_, _| described(volumes)).await;
    let ids = [VolumeId::from("vol-1"), VolumeId::from("vol-2")];
    let drive = canned.stage.drive(await_since(&ids, since));
    drive
        .verify(&serde_json::Value::Null)
        .await
        .expect("a look")
}

#[tokio::test]
async fn a_snapshot_that_failed_keeps_the_volume() {
    let since = "2026-01-01T00:05:00Z";
    let failed = looked(
        &[("vol-1", "completed", "100%"), ("vol-2", "error", "37%")],
        since,
    );
    match failed.await {
        Verified::Failed { why } => {
            assert!(
                why.contains("snap-of-vol-2") && why.contains("volumes are kept"),
                "{why}"
            );
        }
        other => panic!("{other:?}"),
    }
    let begun = looked(
        &[("vol-1", "completed", "100%"), ("vol-2", "pending", "37%")],
        since,
    );
    match begun.await {
        Verified::Pending { what } => assert!(what.contains("37%"), "{what}"),
        other => panic!("{other:?}"),
    }
    // An answer that does not have it, or knows only what was before.
    for volumes in [&[("vol-1", "completed", "100%")][..], &[]] {
        let seen = looked(volumes, since).await;
        assert!(matches!(seen, Verified::Pending { .. }), "{seen:?}");
    }
    let both: &[_] = &[
        ("vol-1", "completed", "100%"),
        ("vol-2", "completed", "100%"),
    ];
    let seen = looked(both, "2026-01-01T00:11:00Z").await;
    assert!(matches!(seen, Verified::Pending { .. }), "{seen:?}");
    assert_done(&looked(both, since).await);
}

/// An instance with a root and two data volumes.
fn three_volumes(action: &str, refuse_set: bool) -> String {
    let volume = |id: &str, device: &str| {
        format!(
            "<item><volumeId>{id}</volumeId><attachmentSet><item><volumeId>{id}</volumeId>\
             <instanceId>i-1</instanceId><device>{device}</device></item></attachmentSet></item>"
        )
    };
    match action {
        "DescribeVolumes" => format!(
            "<DescribeVolumesResponse><volumeSet>{}{}{}</volumeSet></DescribeVolumesResponse>",
            volume("vol-1", "/dev/sda1"),
            volume("vol-2", "/dev/sdb"),
            volume("vol-3", "/dev/sdc")
        ),
        "DescribeInstances" => {
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>\
             <instanceId>i-1</instanceId><rootDeviceName>/dev/sda1</rootDeviceName></item>\
             </instancesSet></item></reservationSet></DescribeInstancesResponse>"
                .to_owned()
        }
        // Fresh evidence of the second volume.
        "DescribeSnapshots" => described(&[("vol-2", "pending", "5%")]),
        "CreateSnapshots" if refuse_set => error("UnsupportedOperation"),
        _ => format!("<{action}Response/>"),
    }
}

fn whole_instance() -> Action {
    Action::SnapshotInstance {
        instance: InstanceId::from("i-1"),
        volumes: vec![
            VolumeId::from("vol-1"),
            VolumeId::from("vol-2"),
            VolumeId::from("vol-3"),
        ],
        exclude: Vec::new(),
    }
}

#[tokio::test]
async fn a_set_leaves_out_what_has_evidence_and_copies_no_tags() {
    // moto 5.2 takes excluded data volumes as well, so what is asked for is looked at.
    let canned = Canned::start(|action, _| three_volumes(action, false)).await;
    let take = canned.stage.drive(whole_instance());
    let before = take.needed().await;
    take.act(&before).await.expect("the act");
    let asked = canned.asked("CreateSnapshots");
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].contains("ExcludeDataVolumeId.1=vol-2"),
        "{asked:?}"
    );
    assert!(!asked[0].contains("ExcludeBootVolume=true"), "{asked:?}");
    assert!(!asked[0].contains("CopyTagsFromSource"), "{asked:?}");
    assert!(canned.asked("CreateSnapshot").is_empty());
}

#[tokio::test]
async fn where_a_set_is_refused_each_is_taken_and_it_is_said() {
    let canned = Canned::start(|action, _| three_volumes(action, true)).await;
    let take = canned.stage.drive(whole_instance());
    let before = take.needed().await;
    take.act(&before).await.expect("the act");
    let asked = canned.asked("CreateSnapshot");
    assert_eq!(asked.len(), 2);
    for (form, volume) in asked.iter().zip(["vol-1", "vol-3"]) {
        assert!(form.contains(&format!("VolumeId={volume}")), "{form}");
        assert!(form.contains("one%20by%20one"), "{form}");
    }
}

#[tokio::test]
async fn a_throttled_creation_is_not_repeated_blindly() {
    let canned = Canned::start(|action, _| match action {
        "CreateSnapshots" => error("SnapshotCreationPerVolumeRateExceeded"),
        other => three_volumes(other, false),
    })
    .await;
    let take = canned.stage.drive(whole_instance());
    let before = take.needed().await;
    let failure = take.act(&before).await.expect_err("throttled");
    assert!(failure.is_transient(), "{failure}");
    assert_eq!(canned.asked("CreateSnapshots").len(), 1);
    assert!(canned.asked("CreateSnapshot").is_empty());
}

#[tokio::test]
async fn a_set_whose_making_broke_off_is_told_its_volumes() {
    let canned = Canned::start(|action, _| match action {
        "DescribeSnapshots" => described(&[
            ("vol-1", "pending", "1%"),
            ("vol-2", "pending", "1%"),
            ("vol-3", "pending", "1%"),
        ]),
        other => three_volumes(other, false),
    })
    .await;
    let take = canned.stage.drive(whole_instance());
    let before = serde_json::json!({ "at": "2026-01-01T00:00:00Z", "present": [] });
    take.act(&before).await.expect("the act");
    assert!(canned.asked("CreateSnapshots").is_empty());
    let told = canned.asked("CreateTags");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[2].contains("source-volume&Tag.1.Value=vol-3"),
        "{told:?}"
    );
}

#[tokio::test]
async fn fresh_evidence_is_not_taken_again() {
    let canned = Canned::start(|action, _| match action {
        "DescribeSnapshots" => described(&[("vol-1", "pending", "1%")]),
        other => three_volumes(other, false),
    })
    .await;
    let take = canned.stage.drive(Action::SnapshotVolume {
        volume: VolumeId::from("vol-1"),
    });
    assert_already(take.check().await);
    // One that completed longer ago than the debounce is taken again.
    assert!(Timestamp::now() > "2026-01-01T01:00:00Z".parse().expect("a time"));
    let canned = Canned::start(|action, _| match action {
        "DescribeSnapshots" => described(&[("vol-1", "completed", "100%")]),
        other => three_volumes(other, false),
    })
    .await;
    let take = canned.stage.drive(Action::SnapshotVolume {
        volume: VolumeId::from("vol-1"),
    });
    let before = take.needed().await;
    let looked = take.verify(&before).await.expect("a look");
    assert!(matches!(looked, Verified::Pending { .. }), "{looked:?}");
}

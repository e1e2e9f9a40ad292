//! Evidence that is copied to the account that keeps it.

use std::collections::BTreeSet;

use davylamp_model::ids::{AccountId, Region, VolumeId};
use davylamp_plan::action::Action;
use davylamp_respond::actuator::{ActError, Checked, Verified};

use super::canned::Canned;
use super::evidence::{TAGS, described, snapshots, tags, volumes};
use super::stage::{REGION, Stage, act_twice};

#[tokio::test]
async fn evidence_is_copied_once_to_another_region() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let volume = volumes(&stage.disks(&instance).await)[1].clone();
    let copy = |account: &str, region: &str| Action::CopyEvidence {
        volumes: vec![volume.clone()],
        account: AccountId::from(account),
        region: Region::from(region),
        kms_key: "alias/forensic".to_owned(),
    };
    let near = stage.drive(copy(&stage.account.id, "eu-west-1"));
    let checked = near.check().await.expect("a look");
    assert!(matches!(checked, Checked::Impossible { .. }), "{checked:?}");

    act_twice(&stage.drive(Action::SnapshotVolume {
        volume: volume.clone(),
    }))
    .await;
    act_twice(&near).await;
    let mut place = stage.place.clone();
    place.region = Region::from("eu-west-1");
    let config = stage.sessions.writing(&place).await.expect("a session");
    let there = aws_sdk_ec2::Client::new(&config);
    let copies = there.describe_snapshots().owner_ids("self").send().await;
    let copies = copies.expect("snapshots").snapshots().to_vec();
    assert_eq!(copies.len(), 1);
    let mut expected = BTreeSet::from(TAGS);
    expected.insert("davylamp:copy-of");
    assert_eq!(tags(&copies[0]), expected);
    assert_eq!(copies[0].encrypted(), Some(true));

    // moto copies within one account only; the original is shared by then.
    let far = stage.drive(copy("210987654321", REGION));
    let before = far.needed().await;
    match far.act(&before).await {
        Err(ActError::Refused { call, .. }) => assert_eq!(call, "ec2:CopySnapshot"),
        other => panic!("{other:?}"),
    }
    let original = snapshots(&stage).await[0]
        .snapshot_id()
        .unwrap_or_default()
        .to_owned();
    let shared = stage
        .ec2()
        .await
        .describe_snapshot_attribute()
        .snapshot_id(&original)
        .attribute(aws_sdk_ec2::types::SnapshotAttributeName::CreateVolumePermission)
        .send()
        .await
        .expect("an attribute");
    let with: Vec<_> = shared
        .create_volume_permissions()
        .iter()
        .filter_map(|one| one.user_id())
        .collect();
    assert_eq!(with, ["210987654321"]);
}

/// What EC2 answers about an encrypted original.
async fn encrypted() -> (Canned, Action) {
    let canned = Canned::start(move |action, form| match action {
        // Asked for by the tag of the original: there is no copy yet.
        "DescribeSnapshots" if form.contains("copy-of") => described(&[]),
        "DescribeSnapshots" => described(&[("vol-1", "completed", "100%")])
            .replace("<status>", "<encrypted>true</encrypted><status>"),
        _ => format!("<{action}Response/>"),
    })
    .await;
    let action = Action::CopyEvidence {
        volumes: vec![VolumeId::from("vol-1")],
        account: AccountId::from("123456789012"),
        region: Region::from("eu-west-1"),
        kms_key: "arn:aws:kms:eu-west-1:123456789012:key/1".to_owned(),
    };
    (canned, action)
}

#[tokio::test]
async fn an_encrypted_original_is_fetched_by_a_signed_address() {
    let (canned, action) = encrypted().await;
    let copy = canned.stage.drive(action);
    let before = copy.needed().await;
    copy.act(&before).await.expect("the act");
    let asked = canned.asked("CopySnapshot");
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].contains("PresignedUrl=https%3A%2F%2Fec2.eu-central-1.amazonaws.com"),
        "{asked:?}"
    );
    assert!(
        canned.asked("ModifySnapshotAttribute").is_empty(),
        "it is our own account"
    );
    let looked = copy.verify(&before).await.expect("a look");
    assert!(matches!(looked, Verified::Pending { .. }), "{looked:?}");
}

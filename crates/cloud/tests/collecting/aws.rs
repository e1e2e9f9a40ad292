//! Collecting from AWS, against a test server behind a proxy that fails on demand.

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification, VolumeType};
use davylamp_cloud::aws::fetch::Sizes;
use davylamp_model::inventory::Reading;
use davylamp_model::resource::Resource;
use davylamp_testkit::faults::{Fault, Rule, Schedule};

use crate::support::{GONE, Ground, REGION, instance, wanted};

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// A user's volume, attached to an instance.
async fn attach_volume(ground: &Ground, id: &str) -> String {
    let client = ground.ec2(REGION).await;
    let volume = client
        .create_volume()
        .availability_zone(format!("{REGION}a"))
        .size(8)
        .volume_type(VolumeType::Gp3)
        .tag_specifications(
            TagSpecification::builder()
                .resource_type(ResourceType::Volume)
                .tags(tag("kubernetes.io/created-for/pvc/name", "claim-alice"))
                .build(),
        )
        .send()
        .await
        .unwrap();
    let volume = volume.volume_id().unwrap().to_owned();
    client
        .attach_volume()
        .volume_id(&volume)
        .instance_id(id)
        .device("/dev/sdf")
        .send()
        .await
        .unwrap();
    volume
}

#[tokio::test]
async fn an_instance_is_read_whole() {
    let ground = Ground::new().await;
    let id = ground.run_instance(REGION).await;
    let volume = attach_volume(&ground, &id).await;
    let client = ground.ec2(REGION).await;
    client
        .create_snapshot()
        .volume_id(&volume)
        .send()
        .await
        .unwrap();
    client
        .modify_instance_attribute()
        .instance_id(&id)
        .disable_api_termination(
            aws_sdk_ec2::types::AttributeBooleanValue::builder()
                .value(true)
                .build(),
        )
        .send()
        .await
        .unwrap();

    let inventory = ground.collect(instance(&id)).await;
    assert_eq!(inventory.unread, []);
    let read = &inventory.instances[0];
    assert_eq!(
        (read.id.as_str(), read.state.as_str()),
        (id.as_str(), "running")
    );
    assert_eq!(read.termination_protected, Reading::Known(true));
    assert_eq!(read.volumes.len(), 2);
    assert_eq!(read.volumes.iter().filter(|it| it.root).count(), 1);
    let user = read.volumes.iter().find(|it| it.id.0 == volume).unwrap();
    assert_eq!(user.size_gib, Some(8));
    assert_eq!(
        user.tags["kubernetes.io/created-for/pvc/name"],
        "claim-alice"
    );
    assert!(!read.interfaces[0].groups.is_empty());
    let snapshots = inventory.snapshots.known().unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0].volume.0, volume);

    // The volume, and a snapshot of it, lead to the same machine.
    for resource in [
        Resource::Volume {
            id: volume.as_str().into(),
        },
        Resource::Snapshot {
            id: snapshots[0].id.clone(),
        },
    ] {
        let again = ground.collect(resource).await;
        assert_eq!(again.instances, inventory.instances);
        assert_eq!(again.volumes, []);
    }
}

#[tokio::test]
async fn what_is_not_there_is_absent_and_what_was_throttled_is_unread() {
    let ground = Ground::new().await;
    let there = ground.run_instance(REGION).await;
    let absent = ground.collect(instance(GONE)).await;
    assert_eq!((absent.instances.len(), absent.unread.len()), (0, 0));

    let rule = Rule::new("ec2", "DescribeInstances", Fault::Throttle);
    // Fewer times than there are attempts: the retries get through.
    ground
        .proxy
        .set_schedule(Schedule::rules([rule.clone().times(2)]));
    assert_eq!(ground.collect(instance(&there)).await.instances.len(), 1);

    ground.proxy.set_schedule(Schedule::rules([rule]));
    for id in [there.as_str(), GONE] {
        let unread = ground.collect(instance(id)).await;
        assert_eq!(unread.instances, []);
        let said = unread
            .unread
            .iter()
            .find(|it| it.what == format!("instance {id}"))
            .unwrap();
        assert!(said.why.contains("throttled"), "{}", said.why);
    }
}

#[tokio::test]
async fn an_id_that_is_a_pattern_reaches_nothing() {
    let ground = Ground::new().await;
    ground.run_instance(REGION).await;
    let before = ground.proxy.calls_of("ec2", "DescribeInstances").len();
    let inventory = ground.collect(instance("i-*")).await;
    assert_eq!(inventory.instances, []);
    assert_eq!(inventory.unread[0].what, "instance i-*");
    assert_eq!(
        ground.proxy.calls_of("ec2", "DescribeInstances").len(),
        before
    );
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_is_missing() {
    let ground = Ground::new().await;
    let id = ground.run_instance(REGION).await;
    let refuse = |action| {
        let fault = Fault::Error {
            status: 403,
            code: "UnauthorizedOperation".to_owned(),
            message: "You are not authorized to perform this operation.".to_owned(),
        };
        Rule::new("*", action, fault)
    };
    ground.proxy.set_schedule(Schedule::rules([
        refuse("DescribeInstanceAttribute"),
        refuse("DescribeSnapshots"),
        refuse("DescribeVolumes"),
        refuse("DescribeAutoScalingInstances"),
    ]));
    let inventory = ground.collect(instance(&id)).await;
    let read = &inventory.instances[0];
    assert!(matches!(
        read.termination_protected,
        Reading::Unknown { .. }
    ));
    let unread: Vec<String> = inventory
        .unread
        .iter()
        .map(|it| format!("{}: {}", it.what, it.why))
        .collect();
    for permission in [
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeVolumes",
        "autoscaling:DescribeAutoScalingInstances",
    ] {
        let allow = format!("allow {permission} to the role");
        assert!(unread.iter().any(|it| it.contains(&allow)), "{unread:#?}");
    }
}

#[tokio::test]
async fn every_page_is_read_and_a_missing_page_makes_the_list_unknown() {
    let ground = Ground::new().await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(ground.run_instance(REGION).await);
    }
    let sizes = Sizes {
        page: Some(5),
        ..Sizes::default()
    };
    let collector = ground.collector().with_sizes(sizes);
    let all: Vec<_> = ids
        .iter()
        .map(|id| wanted(ground.place(), instance(id)))
        .collect();
    ground.proxy.clear_calls();
    let collected = collector.collect_many(&all).await;
    for (id, inventory) in ids.iter().zip(&collected) {
        assert_eq!(inventory.instances.len(), 1);
        assert_eq!(inventory.instances[0].id.as_str(), id);
    }
    assert_eq!(ground.proxy.calls_of("ec2", "DescribeInstances").len(), 2);

    // The test server does not page snapshots: a first page is made of its answer.
    let first = Rule::new(
        "ec2",
        "DescribeSnapshots",
        Fault::RewriteBody {
            from: "</DescribeSnapshotsResponse>".to_owned(),
            to: "<nextToken>second</nextToken></DescribeSnapshotsResponse>".to_owned(),
        },
    )
    .times(1);
    ground.proxy.set_schedule(Schedule::rules([first.clone()]));
    ground.proxy.clear_calls();
    let inventory = ground.collect(instance(&ids[0])).await;
    assert!(inventory.snapshots.known().is_some());
    let calls = ground.proxy.calls_of("ec2", "DescribeSnapshots");
    assert_eq!(calls.len(), 2);
    assert!(calls[1].body.contains("NextToken=second"));

    let lost =
        Rule::new("ec2", "DescribeSnapshots", Fault::Throttle).containing("NextToken=second");
    ground.proxy.set_schedule(Schedule::rules([lost, first]));
    let inventory = ground.collect(instance(&ids[0])).await;
    assert!(matches!(inventory.snapshots, Reading::Unknown { .. }));
    assert!(
        inventory
            .unread
            .iter()
            .any(|it| it.what.starts_with("snapshots of volume"))
    );
}

#[tokio::test]
async fn many_findings_share_their_calls() {
    let ground = Ground::new().await;
    let mut all = Vec::new();
    for region in [REGION, "us-west-2"] {
        for _ in 0..4 {
            let id = ground.run_instance(region).await;
            // Every resource is found thrice.
            for _ in 0..3 {
                all.push(wanted(ground.place_in(region), instance(&id)));
            }
        }
    }
    ground.proxy.clear_calls();
    let collected = ground.collector().collect_many(&all).await;
    for (one, inventory) in all.iter().zip(&collected) {
        assert_eq!(inventory.place, one.place);
        assert_eq!(inventory.instances.len(), 1);
        assert_eq!(instance(inventory.instances[0].id.as_str()), one.resource);
        assert_eq!(inventory.unread, []);
    }
    let count = |action| ground.proxy.calls_of("ec2", action).len();
    assert_eq!(count("DescribeInstances"), 2);
    assert_eq!(count("DescribeVolumes"), 2);
    assert_eq!(count("DescribeSnapshots"), 2);
    assert_eq!(count("DescribeInstanceAttribute"), 8);
    let counted = ground.sessions.calls().by_operation();
    let reads = &counted[&("ec2".to_owned(), "DescribeInstanceAttribute".to_owned())];
    assert_eq!(*reads, 8);
}

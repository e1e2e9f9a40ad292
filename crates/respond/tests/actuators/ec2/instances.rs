//! Protection, stopping, terminating, keeping volumes, scaling groups.

use davylamp_model::ids::{InstanceId, ScalingGroupName};
use davylamp_plan::action::Action;
use davylamp_respond::actuator::{ActError, Reverted};
use serde_json::json;

use super::stage::{REGION, Stage, act_twice, assert_impossible, undo_twice};
use crate::drive::{assert_already, assert_done};

#[tokio::test]
async fn an_instance_is_protected_and_released() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let protect = stage.drive(Action::ProtectInstance {
        instance: instance.clone(),
    });
    let before = act_twice(&protect).await;
    assert_eq!(before, json!({ "protected": false }));

    let release = stage.drive(Action::UnprotectInstance { instance });
    let was = act_twice(&release).await;
    assert_eq!(was, json!({ "protected": true }));
    undo_twice(&release, &was).await;
    undo_twice(&protect, &before).await;
}

#[tokio::test]
async fn what_is_gone_is_not_acted_on() {
    let stage = Stage::new().await;
    let instance = InstanceId::from("i-0123456789abcdef0");
    let end = stage.drive(Action::TerminateInstance {
        instance: instance.clone(),
    });
    assert_already(end.check().await);
    for action in [
        Action::ProtectInstance {
            instance: instance.clone(),
        },
        Action::StopInstance { instance },
    ] {
        let checked = stage.drive(action).check().await.expect("a look");
        assert_impossible(checked, "no longer exists");
    }
}

#[tokio::test]
async fn a_protected_instance_is_not_terminated_in_silence() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let protect = stage.drive(Action::ProtectInstance {
        instance: instance.clone(),
    });
    let protected = act_twice(&protect).await;
    let end = stage.drive(Action::TerminateInstance {
        instance: instance.clone(),
    });
    assert!(!end.is_reversible());
    let before = end.needed().await;
    match end.act(&before).await {
        Err(ActError::Refused { call, why }) => {
            assert_eq!(call, "ec2:TerminateInstances");
            assert!(why.contains("termination protection"), "{why}");
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(stage.state(&instance).await, "running");

    protect.undo(&protected).await.expect("the undo");
    act_twice(&end).await;
    assert_eq!(stage.state(&instance).await, "terminated");
    let checked = protect.check().await.expect("a look");
    assert_impossible(checked, "terminated");
    // What protection kept from happening has happened: no yes to it waits for ever.
    let release = stage.drive(Action::UnprotectInstance {
        instance: instance.clone(),
    });
    assert_already(release.check().await);
    // Nothing is left that could be as it was, and nobody is told that it is.
    let gone = Reverted::Gone {
        why: format!("{instance} is terminated"),
    };
    assert_eq!(protect.undo(&protected).await, Ok(gone));
}

/// Whoever took back what kept the volumes, or wished them away, does not lose them.
#[tokio::test]
async fn an_end_deletes_no_volume_whatever_became_of_their_keeping() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let disks = stage.disks(&instance).await;
    assert!(disks.iter().all(|(.., deleted)| *deleted), "{disks:?}");
    act_twice(&stage.drive(Action::TerminateInstance { instance })).await;
    let volumes = disks.iter().map(|(_, volume, _)| volume.0.clone());
    let answer = stage
        .ec2()
        .await
        .describe_volumes()
        .set_volume_ids(Some(volumes.collect()))
        .send()
        .await
        .expect("they are there");
    assert_eq!(answer.volumes().len(), disks.len());
}

/// A plan waits hours for a person, and meanwhile somebody else's volume may come.
#[tokio::test]
async fn a_volume_that_came_after_the_plan_keeps_the_machine() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let disks = stage.disks(&instance).await;
    let (first, rest) = disks.split_first().expect("a root volume");
    assert!(!rest.is_empty(), "{disks:?}");
    let end = stage
        .drive(Action::TerminateInstance {
            instance: instance.clone(),
        })
        .beside(Action::AwaitEvidence {
            volumes: vec![first.1.clone()],
            since: "2026-01-01T00:00:00Z".parse().expect("a time"),
        });
    let before = end.needed().await;
    match end.act(&before).await {
        Err(ActError::Refused { why, .. }) => {
            assert!(why.contains(rest[0].1.as_str()), "{why}");
            assert!(!why.contains(first.1.as_str()), "{why}");
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(stage.state(&instance).await, "running");
    assert_eq!(stage.disks(&instance).await, disks);
    // Where the plan had lifted the protection, it stands again, as ours.
    let unprotect = Action::UnprotectInstance {
        instance: instance.clone(),
    };
    let end = end.beside(unprotect.clone());
    match end.act(&before).await {
        Err(ActError::Refused { why, .. }) => assert!(why.contains("again"), "{why}"),
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(stage.state(&instance).await, "running");
    stage.drive(unprotect).needed().await;
}

/// The tag that protects is looked for when something is done, not only when it is planned.
#[tokio::test]
async fn a_tag_that_came_after_the_plan_protects() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let protect = stage.drive(Action::ProtectInstance {
        instance: instance.clone(),
    });
    act_twice(&protect).await;
    stage
        .ec2()
        .await
        .create_tags()
        .resources(instance.as_str())
        .tags(
            aws_sdk_ec2::types::Tag::builder()
                .key("davylamp:protected")
                .value("yes")
                .build(),
        )
        .send()
        .await
        .expect("a tag");
    for action in [
        Action::UnprotectInstance {
            instance: instance.clone(),
        },
        Action::StopInstance {
            instance: instance.clone(),
        },
        Action::TerminateInstance {
            instance: instance.clone(),
        },
    ] {
        let drive = stage.drive(action);
        let before = drive.needed().await;
        match drive.act(&before).await {
            Err(ActError::Refused { why, .. }) => {
                assert!(why.contains("davylamp:protected"), "{why}");
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
    assert_eq!(stage.state(&instance).await, "running");
}

#[tokio::test]
async fn an_instance_is_stopped_and_started() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let stop = stage.drive(Action::StopInstance {
        instance: instance.clone(),
    });
    let before = act_twice(&stop).await;
    assert_eq!(stage.state(&instance).await, "stopped");
    undo_twice(&stop, &before).await;
    assert_eq!(stage.state(&instance).await, "running");
}

#[tokio::test]
async fn volumes_outlive_their_instance() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let disks = stage.disks(&instance).await;
    assert!(disks.iter().all(|(.., deleted)| *deleted), "{disks:?}");
    let keep = stage.drive(Action::KeepVolumes {
        instance: instance.clone(),
        devices: disks
            .iter()
            .map(|(device, volume, _)| (device.clone(), volume.clone()))
            .collect(),
    });
    let before = act_twice(&keep).await;
    let kept = stage.disks(&instance).await;
    assert!(kept.iter().all(|(.., deleted)| !deleted), "{kept:?}");
    undo_twice(&keep, &before).await;
    assert_eq!(stage.disks(&instance).await, disks);
}

async fn scaling(stage: &Stage) -> (aws_sdk_autoscaling::Client, ScalingGroupName, InstanceId) {
    let instance = stage.instance().await;
    let config = stage
        .sessions
        .writing(&stage.place)
        .await
        .expect("a session");
    let client = aws_sdk_autoscaling::Client::new(&config);
    client
        .create_auto_scaling_group()
        .auto_scaling_group_name("nodes")
        .instance_id(instance.as_str())
        .availability_zones(format!("{REGION}a"))
        .min_size(1)
        .desired_capacity(1)
        .max_size(5)
        .send()
        .await
        .expect("a group");
    let group = client.describe_auto_scaling_groups().send().await;
    let group = group.expect("groups").auto_scaling_groups()[0].clone();
    let member = group.instances()[0].instance_id().unwrap_or_default();
    (
        client,
        ScalingGroupName::from("nodes"),
        InstanceId::from(member),
    )
}

#[tokio::test]
async fn a_group_keeps_its_instance_or_lets_it_go() {
    let stage = Stage::new().await;
    let (client, group, instance) = scaling(&stage).await;
    let protect = stage.drive(Action::ProtectFromScaleIn {
        group: group.clone(),
        instance: instance.clone(),
    });
    let before = act_twice(&protect).await;
    undo_twice(&protect, &before).await;

    let detach = stage.drive(Action::DetachFromGroup {
        group: group.clone(),
        instance: instance.clone(),
    });
    let before = act_twice(&detach).await;
    let found = client.describe_auto_scaling_groups().send().await;
    let found = found.expect("groups").auto_scaling_groups()[0].clone();
    assert_eq!(
        found.desired_capacity(),
        Some(1),
        "a detached one is replaced"
    );
    assert_eq!(found.instances().len(), 1);
    assert_ne!(found.instances()[0].instance_id(), Some(instance.as_str()));
    assert_eq!(stage.state(&instance).await, "running");
    let checked = protect.check().await.expect("a look");
    assert_impossible(checked, "not in the scaling group");
    undo_twice(&detach, &before).await;
}

#[tokio::test]
async fn a_group_starts_nothing_and_resumes_only_what_we_suspended() {
    let stage = Stage::new().await;
    let (client, group, _) = scaling(&stage).await;
    client
        .suspend_processes()
        .auto_scaling_group_name("nodes")
        .scaling_processes("AZRebalance")
        .scaling_processes("Terminate")
        .send()
        .await
        .expect("a person suspends");
    let suspend = stage.drive(Action::SuspendGroup { group });
    let before = act_twice(&suspend).await;
    assert_eq!(before, json!({ "suspended": ["AZRebalance", "Terminate"] }));
    undo_twice(&suspend, &before).await;

    let gone = stage.drive(Action::SuspendGroup {
        group: ScalingGroupName::from("other"),
    });
    assert_impossible(gone.check().await.expect("a look"), "no longer exists");
}

#[tokio::test]
async fn verifying_waits_for_what_was_not_done() {
    let stage = Stage::new().await;
    let instance = stage.instance().await;
    let stop = stage.drive(Action::StopInstance { instance });
    let before = stop.needed().await;
    let looked = stop.verify(&before).await.expect("a look");
    assert!(
        matches!(looked, davylamp_respond::actuator::Verified::Pending { .. }),
        "{looked:?}"
    );
    stop.act(&before).await.expect("the act");
    assert_done(&stop.settled(&before).await);
}

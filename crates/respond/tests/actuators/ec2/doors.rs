//! The account's public doors.

use std::sync::Mutex;

use aws_sdk_eks::types::VpcConfigRequest;
use davylamp_model::ids::{AccountId, ClusterName};
use davylamp_plan::action::Action;
use davylamp_respond::actuator::{ActError, Verified};
use serde_json::json;

use super::canned::Canned;
use super::stage::{Stage, act_twice, assert_impossible, undo_twice};

#[tokio::test]
async fn buckets_are_closed_and_opened_again() {
    let stage = Stage::new().await;
    let account = AccountId::from(stage.account.id.as_str());
    let block = stage.drive(Action::BlockBucketPublicAccess { account });
    let before = act_twice(&block).await;
    assert_eq!(before, json!({ "block": null }));
    undo_twice(&block, &before).await;
}

#[tokio::test]
async fn a_cluster_endpoint_is_closed_and_opened_again() {
    let stage = Stage::new().await;
    let config = stage
        .sessions
        .writing(&stage.place)
        .await
        .expect("a session");
    aws_sdk_eks::Client::new(&config)
        .create_cluster()
        .name("hub")
        .role_arn(format!("arn:aws:iam::{}:role/eks", stage.account.id))
        .resources_vpc_config(
            VpcConfigRequest::builder()
                .endpoint_public_access(true)
                .endpoint_private_access(false)
                .public_access_cidrs("198.51.100.0/24")
                .build(),
        )
        .send()
        .await
        .expect("a cluster");
    let close = stage.drive(Action::CloseEksEndpoint {
        cluster: ClusterName::from("hub"),
    });
    let before = act_twice(&close).await;
    assert_eq!(before["networks"], json!(["198.51.100.0/24"]));
    undo_twice(&close, &before).await;

    let gone = stage.drive(Action::CloseEksEndpoint {
        cluster: ClusterName::from("other"),
    });
    assert_impossible(gone.check().await.expect("a look"), "no longer exists");
}

fn block() -> Action {
    Action::BlockVpcPublicAccess {
        mode: "block-bidirectional".to_owned(),
    }
}

#[tokio::test]
async fn moto_has_no_vpc_block_public_access_yet() {
    // When this fails, the test below can be made against moto.
    let stage = Stage::new().await;
    assert!(stage.drive(block()).check().await.is_err());
}

#[tokio::test]
async fn vpcs_are_closed_and_opened_again() {
    let now = Mutex::new(("off".to_owned(), 0_u32));
    let canned = Canned::start(move |action, form| {
        let mut now = now.lock().expect("nobody panics with it");
        if let Some((_, rest)) = form.split_once("InternetGatewayBlockMode=") {
            *now = (rest.split('&').next().unwrap_or_default().to_owned(), 2);
        }
        let state = if now.1 > 0 {
            now.1 -= 1;
            "update-in-progress"
        } else {
            "update-complete"
        };
        format!(
            "<{action}Response><vpcBlockPublicAccessOptions><state>{state}</state>\
             <internetGatewayBlockMode>{}</internetGatewayBlockMode>\
             </vpcBlockPublicAccessOptions></{action}Response>",
            now.0
        )
    })
    .await;
    let drive = canned.stage.drive(block());
    let before = drive.needed().await;
    assert_eq!(before, json!({ "mode": "off" }));
    drive.act(&before).await.expect("the act");
    let looked = drive.verify(&before).await.expect("a look");
    assert!(matches!(looked, Verified::Pending { .. }), "{looked:?}");
    assert!(matches!(
        drive.settled(&before).await,
        Verified::Done { .. }
    ));
    drive.act(&before).await.expect("the act again");
    drive.undo(&before).await.expect("the undo");
    drive.undo(&before).await.expect("the undo again");
    assert_eq!(drive.needed().await, before);
    let changes = canned.asked("ModifyVpcBlockPublicAccessOptions");
    assert_eq!(changes.len(), 2, "{changes:?}");
}

#[tokio::test]
async fn an_account_without_a_right_names_the_call() {
    let canned = Canned::start(|_, _| super::canned::error("UnauthorizedOperation")).await;
    match canned.stage.drive(block()).check().await {
        Err(ActError::Denied { call, .. }) => {
            assert_eq!(call, "ec2:DescribeVpcBlockPublicAccessOptions");
        }
        other => panic!("{other:?}"),
    }
}

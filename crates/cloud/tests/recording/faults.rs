//! What is refused, throttled or broken off is unknown, with why; what was read is read.

use davylamp_cloud::aws::record::Wanted;
use davylamp_model::recording::GLOBAL;
use davylamp_testkit::faults::{Fault, Rule, Schedule};

use crate::support::{Ground, REGION, furnish};

fn denied(service: &str, action: &str) -> Rule {
    let fault = Fault::Error {
        status: 403,
        code: "AccessDenied".to_owned(),
        message: "You may not.".to_owned(),
    };
    Rule::new(service, action, fault)
}

fn throttled(service: &str, action: &str) -> Rule {
    Rule::new(service, action, Fault::Throttle)
}

#[tokio::test]
async fn what_is_refused_or_throttled_is_unknown_and_never_empty() {
    let ground = Ground::new().await;
    furnish(&ground);
    ground.proxy.set_schedule(Schedule::rules([
        denied("ec2", "DescribeVolumes"),
        throttled("ec2", "DescribeInstances"),
        denied("iam", "GetAccessKeyLastUsed"),
        denied("cloudtrail", "GetTrailStatus"),
        throttled("config", "DescribeConfigurationRecorders"),
        Rule::new("lambda", "*", Fault::ServerError(503)),
        Rule::new("eks", "*", Fault::DropBefore),
        throttled("sagemaker", "*").times(2),
    ]));
    let seen = ground.look_at(Wanted {
        regions: vec![REGION.into()],
        ..Wanted::default()
    });
    let seen = seen.await;
    for (region, kind, says) in [
        (REGION, "volume", "allow ec2:DescribeVolumes to the role"),
        (REGION, "instance", "ec2:DescribeInstances was throttled"),
        (
            GLOBAL,
            "access-key",
            "allow iam:GetAccessKeyLastUsed to the role",
        ),
        (
            REGION,
            "trail",
            "allow cloudtrail:GetTrailStatus to the role",
        ),
        (
            REGION,
            "config-recorder",
            "config:DescribeConfigurationRecorders was throttled",
        ),
        (REGION, "lambda-function", "lambda:ListFunctions failed"),
        (REGION, "eks-cluster", "eks:ListClusters failed"),
        (REGION, "eks-nodegroup", "eks:ListClusters failed"),
    ] {
        let why = seen.look(region, kind).came.as_ref().expect_err(kind);
        assert!(why.contains(says), "{kind}: {why}");
    }
    // What was asked for beside them is there, and what was repeated often enough as well.
    assert_eq!(seen.things(GLOBAL, "user").len(), 2);
    assert_eq!(seen.things(REGION, "sagemaker-notebook").len(), 1);
    assert_eq!(
        ground
            .proxy
            .calls_of("config", "DescribeConfigurationRecorders")
            .len(),
        3
    );
}

#[tokio::test]
async fn a_page_that_is_missing_makes_the_list_unknown() {
    let ground = Ground::new().await;
    // One more than the test server, and SageMaker, give in a page.
    const COUNT: usize = 101;
    for number in 0..COUNT {
        let body = serde_json::json!({"NotebookInstanceName": format!("n{number}"),
            "InstanceType": "ml.t2.medium",
            "RoleArn": format!("arn:aws:iam::{}:role/r", ground.account.id)});
        ground.json("sagemaker", "SageMaker.CreateNotebookInstance", body);
    }
    let wanted = Wanted {
        regions: vec![REGION.into()],
        kinds: vec!["sagemaker-notebook".to_owned()],
        ..Wanted::default()
    };
    let seen = ground.look_at(wanted.clone()).await;
    let calls = ground.proxy.calls_of("sagemaker", "ListNotebookInstances");
    assert_eq!(calls.len(), 2, "{calls:#?}");
    assert_eq!(seen.things(REGION, "sagemaker-notebook").len(), COUNT);

    let lost = throttled("sagemaker", "ListNotebookInstances").containing("NextToken");
    ground.proxy.set_schedule(Schedule::rules([lost]));
    let seen = ground.look_at(wanted).await;
    assert!(seen.look(REGION, "sagemaker-notebook").came.is_err());
}

#[tokio::test]
async fn a_bucket_that_refuses_says_so_and_does_not_hide_the_others() {
    let ground = Ground::new().await;
    for name in ["one-of-two", "two-of-two"] {
        let name = format!("/{name}-{}", ground.account.id);
        ground
            .account
            .rest("us-east-1", "s3", "PUT", &name, "")
            .unwrap();
    }
    let refused = denied("s3", "GetBucketPolicyStatus").containing("one-of-two");
    ground.proxy.set_schedule(Schedule::rules([refused]));
    let wanted = Wanted {
        regions: vec![REGION.into()],
        kinds: vec!["bucket".to_owned()],
        ..Wanted::default()
    };
    let seen = ground.look_at(wanted).await;
    let buckets = seen.things(GLOBAL, "bucket");
    assert_eq!(buckets.len(), 2);
    for (name, state) in buckets {
        let unread = state["Unread"]["PolicyStatus"].as_str();
        assert_eq!(unread.is_some(), name.starts_with("one"), "{state:#}");
        assert!(state["Grants"].is_array());
    }
}

#[tokio::test]
async fn without_a_list_of_regions_our_own_is_looked_at_and_the_list_is_unknown() {
    let ground = Ground::new().await;
    ground
        .proxy
        .set_schedule(Schedule::rules([denied("ec2", "DescribeRegions")]));
    let wanted = Wanted {
        kinds: vec!["instance".to_owned()],
        ..Wanted::default()
    };
    let seen = ground.look_at(wanted).await;
    assert!(seen.look(GLOBAL, "region").came.is_err());
    assert_eq!(
        seen.look(REGION, "instance").came.as_ref().unwrap().len(),
        0
    );
}

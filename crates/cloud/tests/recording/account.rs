//! Something of everything is seen, as it is and without its secrets.

use std::collections::BTreeSet;

use davylamp_cloud::aws::read::is_reading;
use davylamp_cloud::aws::record::{KINDS, Wanted, permissions};
use davylamp_model::recording::GLOBAL;
use serde_json::json;

use crate::support::{ELSEWHERE, Ground, REGION, SECRET, furnish};

#[tokio::test]
async fn something_of_everything_is_seen() {
    let ground = Ground::new().await;
    furnish(&ground);
    let seen = ground.look().await;
    assert_eq!(seen.unread(), []);

    // Beside this one there is that of the spot request.
    let instances = seen.things(REGION, "instance");
    let instance = instances
        .values()
        .find(|it| it["InstanceType"] == "c5.24xlarge")
        .unwrap();
    assert_eq!(instance["State"]["Name"], "running");
    assert_eq!(instance["KeyName"], "intruder");
    assert_eq!(instance["Tags"], json!([{"Key": "Name", "Value": "miner"}]));
    assert_eq!(instance["OwnerId"], ground.account.id.as_str());
    assert!(instance["LaunchTime"].as_str().unwrap().ends_with('Z'));
    assert!(instance["NetworkInterfaces"][0]["VpcId"].is_string());
    assert!(instance["SecurityGroups"][0]["GroupId"].is_string());
    assert_eq!(seen.things(ELSEWHERE, "instance").len(), 2);
    let volumes = seen.things(REGION, "volume");
    let is_its =
        |it: &&&serde_json::Value| it["Attachments"][0]["InstanceId"] == instance["InstanceId"];
    assert_eq!(volumes.values().filter(is_its).count(), 1);
    assert_eq!(seen.one(REGION, "key-pair")["KeyName"], "intruder");
    assert!(seen.one(REGION, "address")["PublicIp"].is_string());
    let spot = seen.one(REGION, "spot-request");
    assert_eq!(spot["LaunchSpecification"]["InstanceType"], "c5.large");
    let template = seen.one(REGION, "launch-template");
    let data = &template["LaunchTemplateVersions"][0]["LaunchTemplateData"];
    assert_eq!(
        (&data["InstanceType"], &data["HasUserData"]),
        (&json!("c5.4xlarge"), &json!(true))
    );
    let group = seen.one(REGION, "scaling-group");
    assert_eq!(group["LaunchTemplate"]["LaunchTemplateName"], "workers");
    assert!(!seen.things(REGION, "security-group").is_empty());

    let users = seen.things(GLOBAL, "user");
    assert_eq!(users.keys().copied().collect::<Vec<_>>(), ["alice", "bob"]);
    assert_eq!(users["alice"]["Groups"], json!(["admins"]));
    let policy = &users["alice"]["UserPolicyList"][0]["PolicyDocument"];
    assert_eq!(policy["Statement"][0]["Action"], "*");
    let key = seen.one(GLOBAL, "access-key");
    assert_eq!(
        (&key["UserName"], &key["Status"]),
        (&json!("alice"), &json!("Active"))
    );
    assert_eq!(key["AccessKeyLastUsed"]["ServiceName"], "N/A");
    assert_eq!(seen.one(GLOBAL, "login-profile")["UserName"], "bob");
    assert_eq!(seen.one(GLOBAL, "mfa-device")["UserName"], "alice");
    let role = seen.things(GLOBAL, "role")["runner"];
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"];
    assert_eq!(trust["Service"], "lambda.amazonaws.com");
    let policy = seen.one(GLOBAL, "policy");
    assert!(
        policy["Arn"].as_str().unwrap().ends_with(":policy/ours"),
        "{policy}"
    );
    let document = &policy["PolicyVersionList"][0]["Document"];
    assert_eq!(document["Statement"][0]["Effect"], "Allow");
    assert_eq!(seen.one(GLOBAL, "group")["GroupName"], "admins");
    assert_eq!(seen.one(GLOBAL, "account-summary")["Users"], 2);
    assert_eq!(seen.things(GLOBAL, "password-policy").len(), 0);

    let trail = seen.one(REGION, "trail");
    assert_eq!(
        (&trail["Name"], &trail["IsLogging"]),
        (&json!("main"), &json!(false))
    );
    assert!(
        trail["StopLoggingTime"].as_str().unwrap().ends_with('Z'),
        "{trail}"
    );
    assert_eq!(seen.things(ELSEWHERE, "trail").len(), 0);
    let detector = seen.one(REGION, "guardduty-detector");
    assert_eq!(detector["Status"], "ENABLED");
    assert_eq!(detector["FilterNames"], json!(["quiet"]));
    let quota = seen.one(REGION, "quota");
    assert_eq!(
        (&quota["QuotaCode"], &quota["Value"]),
        (&json!("L-1216C47A"), &json!(5.0))
    );
    let recorder = seen.one(REGION, "config-recorder");
    assert_eq!(
        (&recorder["name"], &recorder["recording"]),
        (&json!("default"), &json!(false))
    );
    let bucket = seen.one(GLOBAL, "bucket");
    assert_eq!(bucket["Name"], format!("trails-{}", ground.account.id));
    assert_eq!(bucket["BucketRegion"], "us-east-1");

    assert_eq!(seen.one(REGION, "ecs-cluster")["clusterName"], "batch");
    assert_eq!(seen.one(REGION, "ecs-service")["desiredCount"], 3);
    let task = seen.one(REGION, "ecs-task");
    assert_eq!(task["containers"][0]["image"], "docker.io/someone/miner:1");
    let function = seen.one(REGION, "lambda-function");
    let names = &function["Environment"]["VariableNames"];
    assert_eq!(names, &json!(["DATABASE_PASSWORD", "MODE"]));
    let notebook = seen.one(REGION, "sagemaker-notebook");
    assert_eq!(notebook["InstanceType"], "ml.p3.2xlarge");
    assert!(notebook["CreationTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(seen.one(REGION, "eks-cluster")["name"], "prod");
    let nodegroup = seen.one(REGION, "eks-nodegroup");
    assert_eq!(nodegroup["scalingConfig"]["maxSize"], 9);

    let all = format!("{:?}", seen.0);
    for secret in [SECRET, "aHVudGVyMi12ZXJ5LXNlY3JldA"] {
        assert!(!all.contains(secret));
    }
    // Nothing differs at a second look at what has not changed.
    let again = ground.look().await;
    // The test server moves a task on whenever somebody looks.
    for look in again.0.iter().filter(|it| it.scope.kind != "ecs-task") {
        let (region, kind) = (&look.scope.region, &look.scope.kind);
        assert_eq!(
            seen.things(region, kind),
            again.things(region, kind),
            "{kind}"
        );
    }
    what_is_called_is_what_the_policy_allows(&ground);
}

/// A role with the policy may make each of the calls that were made, and no call changed anything.
fn what_is_called_is_what_the_policy_allows(ground: &Ground) {
    /// Calls whose permission has another name than their operation (service authorization reference).
    const RENAMED: [(&str, &str); 3] = [
        ("s3:ListBuckets", "s3:ListAllMyBuckets"),
        ("s3:GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("sts:GetCallerIdentity", ""),
    ];
    let allowed: BTreeSet<&str> = permissions().into_iter().collect();
    let mut made = BTreeSet::new();
    for call in ground.proxy.calls() {
        assert!(is_reading(&call.action), "{} {}", call.service, call.action);
        let name = format!("{}:{}", call.service, call.action);
        let renamed = RENAMED.iter().find(|(from, _)| *from == name);
        let permission = renamed.map_or(name.as_str(), |(_, to)| to).to_owned();
        if !permission.is_empty() {
            assert!(allowed.contains(permission.as_str()), "{permission}");
            made.insert(permission);
        }
    }
    let unused: Vec<&&str> = allowed.iter().filter(|it| !made.contains(**it)).collect();
    assert_eq!(unused, [] as [&&str; 0]);
}

#[tokio::test]
async fn every_enabled_region_is_looked_at_and_the_others_are_told() {
    let ground = Ground::new().await;
    let wanted = Wanted {
        kinds: vec!["instance".to_owned()],
        ..Wanted::default()
    };
    let seen = ground.look_at(wanted).await;
    let regions = seen.things(GLOBAL, "region");
    let enabled = regions
        .values()
        .filter(|it| it["OptInStatus"] != "not-opted-in");
    assert_eq!(seen.0.len(), 1 + enabled.count());
    assert!(seen.0.len() > 10);
    assert!(regions.contains_key("us-east-1"));
}

#[tokio::test]
async fn another_account_is_looked_at_by_its_role() {
    let ground = Ground::new().await;
    let other = davylamp_testkit::moto::Moto::shared().account();
    let wanted = Wanted {
        accounts: vec![ground.account.id.as_str().into(), other.id.as_str().into()],
        regions: vec![REGION.into()],
        kinds: vec!["security-group".to_owned()],
    };
    let seen = ground.look_at(wanted).await;
    let accounts: BTreeSet<&str> = seen.0.iter().map(|it| it.scope.account.as_str()).collect();
    let expected: BTreeSet<&str> = [ground.account.id.as_str(), other.id.as_str()].into();
    assert_eq!(accounts, expected);
    for look in seen.0.iter().filter(|it| it.scope.kind == "security-group") {
        for group in look.came.as_ref().unwrap() {
            assert_eq!(group.state["OwnerId"], look.scope.account.as_str());
        }
    }
}

#[test]
fn a_kind_stands_once_and_asks_only_for_reading() {
    let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), KINDS.len());
    for permission in permissions() {
        let (_, action) = permission.split_once(':').unwrap();
        assert!(is_reading(action), "{permission}");
    }
}

//! IAM, Lambda, Cognito and SSM against moto.

use std::sync::Arc;

use aws_credential_types::Credentials;
use davylamp_cloud::aws::session::{SessionOptions, Sessions};
use davylamp_model::ids::{
    AccessKeyId, AccountId, Arn, FunctionName, HubUser, IamUserName, InstanceId, Region, RoleName,
};
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_respond::actuator::{ActError, Checked, Verified};
use davylamp_respond::aws::ServicesActuator;
use davylamp_testkit::guardduty::GuardDuty;
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::{Value, json};

use super::drive::{Drive, assert_already, assert_done};

const REGION: &str = "eu-central-1";

struct Account {
    account: MotoAccount,
    config: aws_config::SdkConfig,
    to: ServicesActuator,
}

impl Account {
    async fn new() -> Self {
        Self::of(Moto::shared().account()).await
    }

    async fn of(account: MotoAccount) -> Self {
        let (key, secret, token) = account.credentials();
        let credentials = Credentials::new(key, secret, Some(token.to_owned()), None, "a test");
        let options = SessionOptions {
            region: Some(REGION.to_owned()),
            endpoint_url: Some(account.endpoint.clone()),
            account: Some(AccountId::from(account.id.as_str())),
            ..SessionOptions::default()
        };
        let sessions = Sessions::with_credentials(options, credentials).await;
        let sessions = Arc::new(sessions.expect("sessions"));
        let place = Place {
            account: AccountId::from(account.id.as_str()),
            region: Region::from(REGION),
        };
        let config = sessions.writing(&place).await.expect("a session");
        Self {
            to: ServicesActuator::new(sessions, None),
            account,
            config,
        }
    }

    fn drive(&self, action: Action) -> Drive<'_> {
        Drive::at(&self.to, action, &self.account.id, REGION)
    }
}

/// Does it, twice, and takes it back, twice; the look before is the same before and after.
async fn there_and_back(drive: &Drive<'_>) -> Value {
    let before = drive.needed().await;
    let verified = drive.verify(&before).await;
    assert!(
        matches!(verified, Ok(Verified::Failed { .. })),
        "{verified:?}"
    );
    for _ in 0..2 {
        drive.act(&before).await.expect("done");
    }
    assert_done(&drive.settled(&before).await);
    assert_already(drive.check().await);
    for _ in 0..2 {
        drive.undo(&before).await.expect("taken back");
        assert_eq!(drive.needed().await, before);
    }
    before
}

#[tokio::test]
async fn an_iam_user_is_locked_out_and_let_in_again() {
    let account = Account::new().await;
    let iam = aws_sdk_iam::Client::new(&account.config);
    let user = IamUserName::from("mallory");
    iam.create_user()
        .user_name("mallory")
        .send()
        .await
        .expect("a user");
    let key = iam
        .create_access_key()
        .user_name("mallory")
        .send()
        .await
        .expect("a key");
    let key = key.access_key().expect("a key").access_key_id().to_owned();
    let key = AccessKeyId::from(key.as_str());
    let deactivate = Action::DeactivateKey {
        user: user.clone(),
        key: key.clone(),
    };
    there_and_back(&account.drive(deactivate)).await;
    there_and_back(&account.drive(Action::DenyUser { user: user.clone() })).await;

    let profile = account.drive(Action::DeleteLoginProfile { user: user.clone() });
    assert_already(profile.check().await);
    iam.create_login_profile()
        .user_name("mallory")
        .password("Correct-horse-9")
        .send()
        .await
        .expect("a password");
    let before = profile.needed().await;
    for _ in 0..2 {
        profile.act(&before).await.expect("done");
    }
    assert_done(&profile.settled(&before).await);
    assert!(!profile.is_reversible());

    let tag = aws_sdk_iam::types::Tag::builder()
        .key("davylamp:protected")
        .value("");
    iam.tag_user()
        .user_name("mallory")
        .tags(tag.build().expect("a tag"))
        .send()
        .await
        .expect("tagged");
    let actions = |user: IamUserName| {
        [
            Action::DeactivateKey {
                user: user.clone(),
                key: key.clone(),
            },
            Action::DenyUser { user: user.clone() },
            Action::DeleteLoginProfile { user },
        ]
    };
    for action in actions(user) {
        let drive = account.drive(action);
        assert!(matches!(
            drive.check().await,
            Ok(Checked::Impossible { .. })
        ));
        assert!(matches!(
            drive.act(&Value::Null).await,
            Err(ActError::Refused { .. })
        ));
    }
    for action in actions(IamUserName::from("nobody")) {
        let drive = account.drive(action);
        assert_already(drive.check().await);
        drive.act(&Value::Null).await.expect("nothing to do");
        assert_done(&drive.settled(&Value::Null).await);
    }
}

#[tokio::test]
async fn sessions_of_a_role_are_denied_and_service_roles_left_alone() {
    let account = Account::new().await;
    let iam = aws_sdk_iam::Client::new(&account.config);
    for (name, path) in [
        ("nodes", "/"),
        ("AWSServiceRoleForX", "/aws-service-role/x/"),
    ] {
        iam.create_role()
            .role_name(name)
            .path(path)
            .assume_role_policy_document("{}")
            .send()
            .await
            .expect(name);
    }
    let deny = |role: &str, instance: Option<&str>| Action::DenyRoleSessions {
        role: RoleName::from(role),
        before: "2026-01-02T03:04:05.678Z".parse().expect("a time"),
        instance: instance.map(Arn::from),
    };
    let arn = "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0";
    there_and_back(&account.drive(deny("nodes", None))).await;
    let drive = account.drive(deny("nodes", Some(arn)));
    let before = there_and_back(&drive).await;
    drive.act(&before).await.expect("done");
    let name = before["policy"].as_str().expect("a name");
    let policy = iam
        .get_role_policy()
        .role_name("nodes")
        .policy_name(name)
        .send()
        .await;
    let policy = policy.expect("the policy");
    let text = percent_encoding::percent_decode_str(policy.policy_document()).decode_utf8_lossy();
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        document["Statement"][0]["Condition"],
        json!({
            "ArnEquals": { "ec2:SourceInstanceARN": arn },
        })
    );
    let service = account.drive(deny("AWSServiceRoleForX", None));
    assert!(matches!(
        service.check().await,
        Ok(Checked::Impossible { .. })
    ));
    assert!(matches!(
        service.act(&Value::Null).await,
        Err(ActError::Refused { .. })
    ));
    assert_already(account.drive(deny("nobody", None)).check().await);
}

#[tokio::test]
async fn a_cognito_user_is_disabled_and_signed_out() {
    let account = Account::new().await;
    let cognito = aws_sdk_cognitoidentityprovider::Client::new(&account.config);
    let pool = cognito
        .create_user_pool()
        .pool_name("hub")
        .send()
        .await
        .expect("a pool");
    let pool = pool
        .user_pool()
        .and_then(|pool| pool.id())
        .expect("its id")
        .to_owned();
    let create = cognito
        .admin_create_user()
        .user_pool_id(&pool)
        .username("alice");
    create.send().await.expect("a user");
    let user = HubUser::from("alice");
    let disable = Action::DisableCognitoUser {
        pool: pool.clone(),
        user: user.clone(),
    };
    there_and_back(&account.drive(disable)).await;
    let out = account.drive(Action::SignOutCognitoUser {
        pool: pool.clone(),
        user,
    });
    let before = out.needed().await;
    for _ in 0..2 {
        out.act(&before).await.expect("done");
    }
    assert_done(&out.settled(&before).await);
    let nobody = HubUser::from("../nobody");
    assert_already(
        account
            .drive(Action::DisableCognitoUser {
                pool,
                user: nobody.clone(),
            })
            .check()
            .await,
    );
    let pool = format!("{REGION}_nowhere");
    let missing = account.drive(Action::DisableCognitoUser { pool, user: nobody });
    assert!(missing.check().await.is_err());
}

#[tokio::test]
async fn memory_is_captured_once() {
    let account = Account::new().await;
    let drive = account.drive(Action::CaptureMemory {
        instance: InstanceId::from("i-0123456789abcdef0"),
        document: "AWS-RunShellScript".to_owned(),
    });
    let before = drive.needed().await;
    assert_eq!(before, json!({ "commands": [] }));
    assert!(matches!(
        drive.verify(&before).await,
        Ok(Verified::Failed { .. })
    ));
    for _ in 0..2 {
        drive.act(&before).await.expect("sent");
    }
    assert_done(&drive.settled(&before).await);
    let now = drive.needed().await;
    assert_eq!(now["commands"].as_array().map(Vec::len), Some(1));
    drive.undo(&before).await.expect("nothing to take back");
}

#[tokio::test]
async fn a_function_that_is_gone_needs_nothing() {
    let account = Account::new().await;
    let drive = account.drive(Action::ThrottleFunction {
        function: FunctionName::from("nothing"),
    });
    assert_already(drive.check().await);
    drive.act(&Value::Null).await.expect("nothing to do");
    assert_done(&drive.settled(&Value::Null).await);
}

#[tokio::test]
async fn a_finding_is_archived_and_taken_out_again() {
    let account = Moto::shared().account();
    let guardduty = GuardDuty::start(&account.endpoint);
    let account = Account::of(account.through(guardduty.endpoint())).await;
    guardduty.add(
        REGION,
        json!({ "id": "f-1", "type": "CryptoCurrency:EC2/BitcoinTool.B", "service": { "archived": false } }),
    );
    let archive = |finding: &str| Action::ArchiveFinding {
        detector: guardduty.detector(REGION),
        finding: finding.to_owned(),
    };
    let drive = account.drive(archive("f-1"));
    there_and_back(&drive).await;
    drive.act(&Value::Null).await.expect("done");
    assert_eq!(guardduty.archived(REGION), ["f-1"]);
    let checked = account.drive(archive("f-2")).check().await;
    assert!(
        matches!(checked, Ok(Checked::Impossible { .. })),
        "{checked:?}"
    );
}

#[tokio::test]
async fn a_service_is_scaled_to_zero_and_back() {
    let account = Account::new().await;
    let ecs = aws_sdk_ecs::Client::new(&account.config);
    let cluster = ecs.create_cluster().cluster_name("jobs").send().await;
    let cluster = cluster.expect("a cluster");
    let arn = cluster.cluster().and_then(|cluster| cluster.cluster_arn());
    let cluster = Arn::from(arn.expect("its ARN"));
    let container = aws_sdk_ecs::types::ContainerDefinition::builder()
        .name("web")
        .image("web")
        .memory(16)
        .build();
    ecs.register_task_definition()
        .family("web")
        .container_definitions(container)
        .send()
        .await
        .expect("a definition");
    ecs.create_service()
        .cluster(cluster.as_str())
        .service_name("web")
        .task_definition("web")
        .desired_count(3)
        .send()
        .await
        .expect("a service");
    let scale = |service: &str| Action::ScaleServiceToZero {
        cluster: cluster.clone(),
        service: service.to_owned(),
    };
    there_and_back(&account.drive(scale("web"))).await;
    assert_already(account.drive(scale("nothing")).check().await);
    let task = Arn(cluster.as_str().replace("cluster/", "task/") + "/0123456789abcdef");
    let stop = account.drive(Action::StopTask { cluster, task });
    assert_already(stop.check().await);
    assert!(!stop.is_reversible());
}

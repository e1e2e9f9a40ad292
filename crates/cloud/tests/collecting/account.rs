//! Sessions, people, functions, doors and secrets of an account.

use aws_sdk_ec2::types::Tag;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, ContainerDefinition, LaunchType, NetworkConfiguration, NetworkMode,
};
use davylamp_cloud::aws::session::SessionOptions;
use davylamp_cloud::collect::Purpose;
use davylamp_cloud::secrets::SecretSource;
use davylamp_model::inventory::Reading;
use davylamp_model::resource::{KeyHolder, Place, Resource};
use davylamp_testkit::faults::{Fault, Rule, Schedule};
use davylamp_testkit::moto::Moto;

use crate::support::{GONE, Ground, REGION, instance, session, wanted};

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

#[tokio::test]
async fn a_reading_client_sends_nothing_that_writes() {
    let ground = Ground::new().await;
    let reading = ground.sessions.reading(&ground.place()).await.unwrap();
    ground.proxy.clear_calls();
    let error = reading
        .ec2()
        .create_tags()
        .resources(GONE)
        .tags(tag("a", "b"))
        .send()
        .await
        .unwrap_err();
    let text = davylamp_cloud::aws::session::describe(&error);
    assert!(
        text.contains("EC2:CreateTags is not sent: this client only reads"),
        "{text}"
    );
    let error = reading.iam().delete_user().user_name("a").send().await;
    assert!(error.is_err());
    let error = reading
        .s3control()
        .delete_public_access_block()
        .account_id(&ground.account.id)
        .send()
        .await;
    assert!(error.is_err());
    assert_eq!(ground.proxy.calls().len(), 0);
}

#[tokio::test]
async fn another_account_is_reached_by_its_role_and_refused_without_one() {
    let options = SessionOptions {
        role: Some("davylamp".to_owned()),
        ..SessionOptions::default()
    };
    let ground = Ground::with(options).await;
    let other = Moto::shared().account();
    let place = Place {
        account: other.id.as_str().into(),
        region: REGION.into(),
    };
    let there = session(&other, &other.endpoint, SessionOptions::default()).await;
    let config = there.writing(&place).await.unwrap();
    let ran = aws_sdk_ec2::Client::new(&config)
        .run_instances()
        .image_id("ami-12c6146b")
        .min_count(1)
        .max_count(1)
        .send()
        .await
        .unwrap();
    let id = ran.instances()[0].instance_id().unwrap().to_owned();

    let all = [
        wanted(place.clone(), instance(&id)),
        wanted(place.clone(), instance(&id)),
    ];
    let collected = ground.collector().collect_many(&all).await;
    assert_eq!(collected[0].instances.len(), 1, "{:?}", collected[0].unread);
    assert_eq!(ground.proxy.calls_of("sts", "AssumeRole").len(), 1);

    let stranger = Ground::new().await;
    let inventory = stranger
        .collector()
        .collect(&place, &[], &instance(&id), Purpose::Incident)
        .await;
    assert!(
        inventory
            .unread
            .iter()
            .any(|it| it.what == format!("instance {id}"))
    );
    assert!(
        inventory.unread[0]
            .why
            .contains("no role to assume there is configured")
    );
    let debug = format!("{:?}", ground.sessions);
    let (_, secret, token) = ground.account.credentials();
    assert!(!debug.contains(secret) && !debug.contains(token), "{debug}");
}

#[tokio::test]
async fn people_and_functions_are_read() {
    let ground = Ground::new().await;
    let config = ground.sessions.writing(&ground.place()).await.unwrap();
    let iam = aws_sdk_iam::Client::new(&config);
    iam.create_user().user_name("mallory").send().await.unwrap();
    let key = iam
        .create_access_key()
        .user_name("mallory")
        .send()
        .await
        .unwrap();
    let key = key.access_key().unwrap().access_key_id().to_owned();
    let of = |holder| Resource::AccessKey {
        key: Some(key.as_str().into()),
        holder,
    };
    let by_name = of(KeyHolder::User {
        user: "mallory".into(),
    });
    let inventory = ground.collect(by_name).await;
    let user = &inventory.users[0];
    assert_eq!(user.keys, [(key.as_str().into(), true)]);
    assert_eq!(user.login_profile, Reading::Known(false));
    // A finding that does not name the holder: AWS knows whose key it is.
    let by_key = of(KeyHolder::Unknown {
        said: String::new(),
    });
    assert_eq!(ground.collect(by_key).await.users, inventory.users);

    iam.create_login_profile()
        .user_name("mallory")
        .password("Correct-Horse-1")
        .send()
        .await
        .unwrap();
    iam.create_role()
        .role_name("worker")
        .path("/team/")
        .assume_role_policy_document("{}")
        .send()
        .await
        .unwrap();
    let session_of_role = of(KeyHolder::RoleSession {
        role: "worker".into(),
        session: Some(GONE.to_owned()),
    });
    let inventory = ground.collect(session_of_role).await;
    assert_eq!(inventory.roles[0].path, "/team/");
    assert_eq!((inventory.instances.len(), inventory.unread.len()), (0, 0));

    let missing = ground
        .collect(Resource::Function {
            name: "not-there".into(),
        })
        .await;
    assert_eq!((missing.functions.len(), missing.unread.len()), (0, 0));
}

#[tokio::test]
async fn doors_are_read_and_those_that_cannot_be_are_unknown() {
    let ground = Ground::new().await;
    ground.run_instance(REGION).await;
    let rule = |action| Rule::new("*", action, Fault::ServerError(500));
    ground.proxy.set_schedule(Schedule::rules([rule(
        "DescribeVpcBlockPublicAccessOptions",
    )]));
    let inventory = ground
        .collector()
        .collect(&ground.place(), &[], &Resource::Account, Purpose::Lockdown)
        .await;
    let doors = inventory.doors.known().unwrap();
    assert_eq!(doors.s3_blocked, Reading::Known(false));
    assert_eq!(doors.eks_endpoints, Reading::Known(Vec::new()));
    assert!(matches!(doors.vpc_block_mode, Reading::Unknown { .. }));
    assert!(
        doors
            .open_rules
            .iter()
            .any(|rule| !rule.ingress && rule.network == "0.0.0.0/0")
    );
    assert_eq!(doors.interfaces.len(), 1);
    assert!(doors.interfaces[0].instance.is_some());

    ground.proxy.set_schedule(Schedule::rules([
        rule("DescribeNetworkInterfaces"),
        rule("DescribeSecurityGroupRules"),
    ]));
    let inventory = ground
        .collector()
        .collect(&ground.place(), &[], &Resource::Account, Purpose::Lockdown)
        .await;
    for what in ["public interfaces of", "open rules of"] {
        assert!(inventory.unread.iter().any(|it| it.what.starts_with(what)));
    }
}

#[tokio::test]
async fn secrets_and_regions_come_from_aws() {
    let ground = Ground::new().await;
    assert!(
        ground.proxy.calls().is_empty(),
        "a session asks nothing before it must"
    );
    let config = ground.sessions.writing(&ground.place()).await.unwrap();
    let made = aws_sdk_secretsmanager::Client::new(&config)
        .create_secret()
        .name("sso")
        .secret_string(r#"{"token": "s3cret", "n": 1}"#)
        .send()
        .await
        .unwrap();
    let source = |key: &str| SecretSource::SecretsManager {
        arn: made.arn().unwrap().to_owned(),
        key: Some(key.to_owned()),
    };
    let secret = source("token").read(Some(&ground.sessions)).await.unwrap();
    assert_eq!(secret.expose(), "s3cret");
    for key in ["n", "absent"] {
        let error = source(key).read(Some(&ground.sessions)).await.unwrap_err();
        assert!(!format!("{error:?}").contains("s3cret"));
    }
    let account = ground.place().account;
    let regions = ground.sessions.enabled_regions(&account).await.unwrap();
    assert!(regions.contains(&REGION.into()) && regions.is_sorted());
}

#[tokio::test]
async fn a_task_is_read_with_its_service_and_interface() {
    let ground = Ground::new().await;
    let config = ground.sessions.writing(&ground.place()).await.unwrap();
    let ecs = aws_sdk_ecs::Client::new(&config);
    let cluster = ecs.create_cluster().cluster_name("c").send().await.unwrap();
    let cluster = cluster.cluster().unwrap().cluster_arn().unwrap().to_owned();
    ecs.register_task_definition()
        .family("f")
        .network_mode(NetworkMode::Awsvpc)
        .container_definitions(
            ContainerDefinition::builder()
                .name("c")
                .image("i")
                .memory(64)
                .build(),
        )
        .send()
        .await
        .unwrap();
    let client = ground.ec2(REGION).await;
    let subnets = client.describe_subnets().send().await.unwrap();
    let groups = client.describe_security_groups().send().await.unwrap();
    let vpc = AwsVpcConfiguration::builder()
        .security_groups(groups.security_groups()[0].group_id().unwrap())
        .subnets(subnets.subnets()[0].subnet_id().unwrap())
        .build()
        .unwrap();
    let ran = ecs
        .run_task()
        .cluster("c")
        .task_definition("f")
        .launch_type(LaunchType::Fargate)
        .network_configuration(
            NetworkConfiguration::builder()
                .awsvpc_configuration(vpc)
                .build(),
        )
        .send()
        .await
        .unwrap();
    let task = ran.tasks()[0].task_arn().unwrap().to_owned();
    let resource = |task: &str| Resource::EcsTask {
        cluster: cluster.as_str().into(),
        task: task.into(),
        fargate: true,
    };
    let inventory = ground.collect(resource(&task)).await;
    assert_eq!(inventory.unread, []);
    let read = &inventory.tasks[0];
    // The test server moves its status on with every look at it.
    assert_eq!(read.launch_type, "FARGATE");
    assert_ne!(read.status, "UNKNOWN");
    assert_eq!(
        (read.instance.as_ref(), read.service.as_ref()),
        (None, None)
    );
    assert_eq!(read.interfaces.len(), 1);

    let gone = task.replace(&task[task.len() - 4..], "0000");
    let inventory = ground.collect(resource(&gone)).await;
    assert_eq!((inventory.tasks.len(), inventory.unread.len()), (0, 0));

    ground.proxy.set_schedule(Schedule::rules([Rule::new(
        "ecs",
        "DescribeTasks",
        Fault::Throttle,
    )]));
    let inventory = ground.collect(resource(&task)).await;
    assert_eq!(inventory.unread[0].what, format!("task {task}"));
}

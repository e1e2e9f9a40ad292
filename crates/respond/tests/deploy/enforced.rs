//! Responses under moto's IAM enforcement: what the policy allows is enough, and what it leaves out
//! is missed aloud.
//!
//! moto checks who calls and the name of the call. It asks about the resource `*` whatever the call
//! is on, and knows no condition key, so the document is given to it with both taken out; what they
//! say is checked against IAM's reference, next door.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{DomainType, InstanceType, IpPermission, IpRange};
use davylamp_model::finding::{Behaviour, Finding};
use davylamp_model::ids::{AccessKeyId, Arn, FunctionName, InstanceId, RoleName};
use davylamp_model::resource::{KeyHolder, Resource};
use davylamp_notice::Notice;
use davylamp_plan::policy::Approvals;
use davylamp_respond::permissions::{Names, PERMISSIONS, Purpose, policy};
use davylamp_respond::responder::{CameOfIt, Report, Responder};
use serde_json::{Value, json};

use crate::field::Field;
use crate::sources::permissions_of;

/// The policy as moto can judge it, without some statements.
fn document(without: &[&str]) -> Value {
    let all: Vec<_> = Purpose::ALL.iter().map(|(purpose, _)| *purpose).collect();
    let mut document = policy(&all, &Names::default());
    let statements = document["Statement"].as_array_mut().expect("statements");
    statements.retain(|statement| {
        let sid = statement["Sid"].as_str().expect("a name");
        let is_conditional_refusal =
            statement["Effect"] == "Deny" && statement.get("Condition").is_some();
        !without.contains(&sid) && !is_conditional_refusal
    });
    for statement in statements {
        statement["Resource"] = json!("*");
        if let Some(members) = statement.as_object_mut() {
            members.remove("Condition");
        }
        let actions = statement["Action"].as_array_mut().expect("calls");
        // moto asks for the operation, IAM for the permission, and these differ.
        for action in actions.clone() {
            match action.as_str() {
                Some("s3:GetAccountPublicAccessBlock") => {
                    actions.push(json!("s3:GetPublicAccessBlock"));
                }
                Some("s3:PutAccountPublicAccessBlock") => {
                    actions.push(json!("s3:PutPublicAccessBlock"));
                    actions.push(json!("s3:DeletePublicAccessBlock"));
                }
                Some("dynamodb:UpdateItem") => actions.push(json!("dynamodb:TransactWriteItems")),
                _ => {}
            }
        }
    }
    document
}

struct Targets {
    instance: InstanceId,
    key: String,
    task: (String, String),
}

async fn populate(field: &Field) -> Targets {
    let ec2 = aws_sdk_ec2::Client::new(&field.config);
    let image = ec2
        .register_image()
        .name("test")
        .root_device_name("/dev/sda1")
        .send()
        .await
        .expect("an image");
    let network = ec2
        .create_vpc()
        .cidr_block("10.0.0.0/16")
        .send()
        .await
        .expect("a network");
    let network = network.vpc().and_then(|vpc| vpc.vpc_id()).expect("its id");
    let subnet = ec2
        .create_subnet()
        .vpc_id(network)
        .cidr_block("10.0.0.0/24")
        .send()
        .await
        .expect("a subnet");
    let subnet = subnet
        .subnet()
        .and_then(|subnet| subnet.subnet_id())
        .expect("its id");
    let group = ec2
        .create_security_group()
        .group_name("nodes")
        .description("nodes")
        .vpc_id(network)
        .send()
        .await
        .expect("a group");
    let group = group.group_id().expect("its id");
    let made = ec2
        .run_instances()
        .subnet_id(subnet)
        .security_group_ids(group)
        .image_id(image.image_id().expect("its id"))
        .instance_type(InstanceType::M5Large)
        .min_count(1)
        .max_count(1)
        .send()
        .await
        .expect("an instance");
    let id = made.instances()[0]
        .instance_id()
        .expect("its id")
        .to_owned();
    let described = ec2
        .describe_instances()
        .instance_ids(&id)
        .send()
        .await
        .expect("a description");
    let instance = &described.reservations()[0].instances()[0];
    let interface = instance.network_interfaces()[0]
        .network_interface_id()
        .expect("its id");
    let address = ec2
        .allocate_address()
        .domain(DomainType::Vpc)
        .send()
        .await
        .expect("an address");
    ec2.associate_address()
        .allocation_id(address.allocation_id().expect("its id"))
        .network_interface_id(interface)
        .send()
        .await
        .expect("a public instance");
    ec2.authorize_security_group_ingress()
        .group_id(group)
        .ip_permissions(
            IpPermission::builder()
                .ip_protocol("tcp")
                .from_port(22)
                .to_port(22)
                .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
                .build(),
        )
        .send()
        .await
        .expect("an open door");
    let scaling = aws_sdk_autoscaling::Client::new(&field.config);
    scaling
        .create_launch_configuration()
        .launch_configuration_name("nodes")
        .image_id(image.image_id().expect("its id"))
        .instance_type("m5.large")
        .send()
        .await
        .expect("a launch configuration");
    scaling
        .create_auto_scaling_group()
        .auto_scaling_group_name("nodes")
        .launch_configuration_name("nodes")
        .min_size(0)
        .max_size(3)
        .desired_capacity(0)
        .availability_zones("eu-central-1a")
        .send()
        .await
        .expect("a scaling group");
    scaling
        .attach_instances()
        .auto_scaling_group_name("nodes")
        .instance_ids(&id)
        .send()
        .await
        .expect("a member");
    let iam = aws_sdk_iam::Client::new(&field.config);
    iam.create_user()
        .user_name("mallory")
        .send()
        .await
        .expect("a user");
    iam.create_login_profile()
        .user_name("mallory")
        .password("Correct-horse-9")
        .send()
        .await
        .expect("a password");
    let key = iam
        .create_access_key()
        .user_name("mallory")
        .send()
        .await
        .expect("a key");
    let role = iam
        .create_role()
        .role_name("nodes")
        .assume_role_policy_document("{}")
        .send()
        .await
        .expect("a role");
    let function = json!({
        "FunctionName": "thumbnails",
        "Runtime": "python3.12",
        "Handler": "a.b",
        "Role": role.role().expect("a role").arn(),
        // An empty archive.
        "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="},
    });
    field
        .admin
        .rest(
            crate::field::REGION,
            "lambda",
            "POST",
            "/2015-03-31/functions",
            &function.to_string(),
        )
        .expect("a function");
    let ecs = aws_sdk_ecs::Client::new(&field.config);
    let cluster = ecs
        .create_cluster()
        .cluster_name("farm")
        .send()
        .await
        .expect("a cluster");
    let container = aws_sdk_ecs::types::ContainerDefinition::builder()
        .name("web")
        .image("web")
        .memory(128)
        .build();
    ecs.register_task_definition()
        .family("web")
        .container_definitions(container)
        .network_mode(aws_sdk_ecs::types::NetworkMode::Awsvpc)
        .send()
        .await
        .expect("a definition");
    // moto makes a task's interface in a network that was there from the beginning only.
    let subnets = ec2
        .describe_subnets()
        .filters(
            aws_sdk_ec2::types::Filter::builder()
                .name("default-for-az")
                .values("true")
                .build(),
        )
        .send()
        .await
        .expect("subnets");
    let groups = ec2
        .describe_security_groups()
        .group_names("default")
        .send()
        .await
        .expect("groups");
    let network = aws_sdk_ecs::types::AwsVpcConfiguration::builder()
        .subnets(subnets.subnets()[0].subnet_id().expect("its id"))
        .security_groups(groups.security_groups()[0].group_id().expect("its id"))
        .build()
        .expect("a network");
    let network = aws_sdk_ecs::types::NetworkConfiguration::builder()
        .awsvpc_configuration(network)
        .build();
    let task = ecs
        .run_task()
        .cluster("farm")
        .task_definition("web")
        .launch_type(aws_sdk_ecs::types::LaunchType::Fargate)
        .network_configuration(network)
        .send()
        .await
        .expect("a task");
    let cluster = cluster.cluster().and_then(|cluster| cluster.cluster_arn());
    Targets {
        instance: InstanceId::from(id.as_str()),
        key: key.access_key().expect("a key").access_key_id().to_owned(),
        task: (
            cluster.expect("its ARN").to_owned(),
            task.tasks()[0].task_arn().expect("its ARN").to_owned(),
        ),
    }
}

impl Targets {
    fn miner(&self, field: &Field) -> Finding {
        let resource = Resource::Instance {
            id: self.instance.clone(),
        };
        field.finding(
            "CryptoCurrency:EC2/BitcoinTool.B",
            Behaviour::Mining,
            resource,
        )
    }

    /// One finding for each playbook that moto can carry, and the playbook.
    fn findings(&self, field: &Field) -> Vec<(&'static str, Finding)> {
        let key = |holder| Resource::AccessKey {
            key: Some(AccessKeyId::from(self.key.as_str())),
            holder,
        };
        vec![
            (
                "public-instance-alarm",
                field.finding(
                    "aws.ec2:RunInstances/PublicAddress",
                    Behaviour::PublicExposure,
                    Resource::Instance {
                        id: self.instance.clone(),
                    },
                ),
            ),
            (
                "stolen-key-miner",
                field.finding(
                    "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
                    Behaviour::StolenCredential,
                    key(KeyHolder::User {
                        user: "mallory".into(),
                    }),
                ),
            ),
            (
                "stolen-key-miner",
                field.finding(
                    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
                    Behaviour::StolenCredential,
                    Resource::AccessKey {
                        key: Some(AccessKeyId::from("ASIAEXAMPLEEXAMPLE00")),
                        holder: KeyHolder::RoleSession {
                            role: RoleName::from("nodes"),
                            session: Some("session".to_owned()),
                        },
                    },
                ),
            ),
            (
                "lambda-miner",
                field.finding(
                    "CryptoCurrency:Lambda/BitcoinTool.B",
                    Behaviour::Mining,
                    Resource::Function {
                        name: FunctionName::from("thumbnails"),
                    },
                ),
            ),
            (
                "fargate-or-ecs-miner",
                field.finding(
                    "CryptoCurrency:Runtime/BitcoinTool.B",
                    Behaviour::Mining,
                    Resource::EcsTask {
                        cluster: Arn::from(self.task.0.as_str()),
                        task: Arn::from(self.task.1.as_str()),
                        fargate: true,
                    },
                ),
            ),
            ("node-miner", self.miner(field)),
        ]
    }
}

/// Responds, says yes to all that waits for it, and takes everything back.
async fn there_and_back(responder: &Responder, finding: Finding) -> String {
    let report = responder.respond(vec![finding]).await;
    let playbook = approve(responder, &report).await;
    let incident = &report.incidents[0].incident;
    let undone = responder.undo(incident, "a test").await.expect("a journal");
    undone.expect("nobody else is at it");
    playbook
}

/// Says yes to all that waits for it; gives the playbook's name.
async fn approve(responder: &Responder, report: &Report) -> String {
    assert!(report.untold.is_empty(), "{:?}", report.untold);
    let [one] = report.incidents.as_slice() else {
        panic!("one finding, one incident: {report:?}");
    };
    assert!(
        matches!(one.came_of_it, CameOfIt::Worked { .. }),
        "{:?}",
        one.came_of_it
    );
    let plan = one.plan.as_ref().expect("a plan");
    let approvals = Approvals {
        incident: one.incident.clone(),
        plan: plan.hash(),
        steps: BTreeSet::new(),
        by: "a test".to_owned(),
    };
    responder.approve(approvals).await.expect("a journal");
    plan.playbook.clone()
}

/// What IAM would have been asked for, and what was refused.
fn asked(field: &Field) -> (BTreeSet<String>, Vec<String>) {
    let mut asked = BTreeSet::new();
    let mut refused = Vec::new();
    for call in field.proxy.calls() {
        asked.extend(permissions_of(&call.service, &call.action));
        let says_no = ["AccessDenied", "AuthFailure", "UnauthorizedOperation"]
            .iter()
            .any(|word| call.answer.contains(word));
        if says_no || matches!(call.status, Some(401 | 403)) {
            refused.push(format!("{}:{} {}", call.service, call.action, call.answer));
        }
    }
    (asked, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_is_enough_for_every_playbook() {
    let field = Field::new().await;
    let targets = populate(&field).await;
    let (responder, _) = field.responder(&document(&[]), None).await;
    for (playbook, finding) in targets.findings(&field) {
        let kind = finding.kind.clone();
        assert_eq!(
            there_and_back(&responder, finding).await,
            playbook,
            "{kind}"
        );
    }
    let (lockdown, _) = field
        .responder(&document(&[]), Some("account-lockdown"))
        .await;
    let finding = field.finding(
        "aws.cloudtrail:StopLogging",
        Behaviour::SensorStopped,
        Resource::Account,
    );
    assert_eq!(there_and_back(&lockdown, finding).await, "account-lockdown");

    let (asked, refused) = asked(&field);
    assert!(refused.is_empty(), "{refused:#?}");
    let allowed: BTreeSet<String> = PERMISSIONS
        .iter()
        .flat_map(|one| one.actions)
        .map(|action| (*action).to_owned())
        .collect();
    let beyond: Vec<_> = asked.difference(&allowed).collect();
    assert!(beyond.is_empty(), "{beyond:?}");
    let unseen: Vec<_> = allowed.difference(&asked).map(String::as_str).collect();
    insta::assert_snapshot!(unseen.join("\n"));
}

/// Each statement that is left out is missed in a notice which names the permission.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_statement_is_named_in_a_notice() {
    for (permission, named) in [
        // Volume by volume is tried where all at once may not be.
        ("ec2:CreateSnapshots", "ec2:CreateSnapshot"),
        (
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:ModifyNetworkInterfaceAttribute",
        ),
        (
            "autoscaling:SetInstanceProtection",
            "autoscaling:SetInstanceProtection",
        ),
        ("ec2:DescribeInstances", "ec2:DescribeInstances"),
    ] {
        let field = Field::new().await;
        let targets = populate(&field).await;
        // Several statements allow a call: on what is there, and on what is made.
        let without: Vec<&str> = PERMISSIONS
            .iter()
            .filter(|one| one.actions.contains(&permission))
            .map(|one| one.sid)
            .collect();
        assert!(!without.is_empty(), "{permission}");
        let (responder, kept) = field.responder(&document(&without), None).await;
        let report = responder.respond(vec![targets.miner(&field)]).await;
        assert!(report.untold.is_empty(), "{:?}", report.untold);
        let notices = kept.take();
        assert!(!notices.is_empty(), "{permission}: {report:?}");
        assert!(
            notices.iter().any(|notice| names(notice, named)),
            "{permission}: {notices:#?}"
        );
    }
}

fn names(notice: &Notice, permission: &str) -> bool {
    notice
        .not_done
        .iter()
        .any(|one| one.why.contains(permission) || one.what.contains(permission))
}

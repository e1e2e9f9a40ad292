//! What these tests share: an account with something of everything in it, and a session that looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use davylamp_cloud::aws::record::{Wanted, look};
use davylamp_cloud::aws::session::{Retries, SessionOptions, Sessions};
use davylamp_model::recording::{Look, Thing};
use davylamp_testkit::faults::{FaultProxy, Schedule};
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::{Value, json};

pub const REGION: &str = "eu-central-1";
pub const ELSEWHERE: &str = "us-west-2";

pub struct Ground {
    pub account: MotoAccount,
    pub proxy: FaultProxy,
    pub sessions: Arc<Sessions>,
}

impl Ground {
    pub async fn new() -> Self {
        let moto = Moto::shared();
        let account = moto.account();
        let proxy = FaultProxy::start(&moto.endpoint(), Schedule::clean());
        let (key, secret, token) = account.credentials();
        let credentials = Credentials::new(key, secret, Some(token.to_owned()), None, "test");
        let options = SessionOptions {
            region: Some(REGION.to_owned()),
            endpoint_url: Some(proxy.endpoint()),
            retries: Retries {
                attempts: 3,
                first_wait: Duration::from_millis(5),
                longest_wait: Duration::from_millis(20),
                ..Retries::default()
            },
            role: Some("davylamp-recorder".to_owned()),
            ..SessionOptions::default()
        };
        let sessions = Sessions::with_credentials(options, credentials)
            .await
            .unwrap();
        Self {
            account,
            proxy,
            sessions: Arc::new(sessions),
        }
    }

    /// A call of EC2, IAM or Auto Scaling that prepares what is looked at.
    pub fn query(
        &self,
        region: &str,
        service: &str,
        action: &str,
        more: &[(&str, &str)],
    ) -> String {
        let version = match service {
            "ec2" => "2016-11-15",
            "iam" => "2010-05-08",
            _ => "2011-01-01",
        };
        let mut form = vec![("Action", action), ("Version", version)];
        form.extend(more);
        self.account.query(region, service, &form).unwrap()
    }

    pub fn json(&self, service: &str, target: &str, body: Value) -> Value {
        self.account.json(REGION, service, target, &body).unwrap()
    }

    pub fn rest(&self, service: &str, method: &str, path: &str, body: Value) -> String {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.account
            .rest(REGION, service, method, path, &body)
            .unwrap()
    }

    /// Looks in the two regions of these tests.
    pub async fn look(&self) -> Seen {
        self.look_at(Wanted {
            regions: vec![REGION.into(), ELSEWHERE.into()],
            ..Wanted::default()
        })
        .await
    }

    pub async fn look_at(&self, wanted: Wanted) -> Seen {
        Seen(look(&self.sessions, &wanted, |_, _| {}).await.unwrap())
    }
}

/// What was seen.
pub struct Seen(pub Vec<Look>);

impl Seen {
    pub fn look(&self, region: &str, kind: &str) -> &Look {
        let is = |look: &&Look| look.scope.region == region && look.scope.kind == kind;
        let found: Vec<&Look> = self.0.iter().filter(is).collect();
        assert_eq!(found.len(), 1, "{kind} in {region}");
        found[0]
    }

    pub fn things(&self, region: &str, kind: &str) -> BTreeMap<&str, &Value> {
        let came = &self.look(region, kind).came;
        let things = came.as_ref().unwrap_or_else(|why| panic!("{kind}: {why}"));
        things
            .iter()
            .map(|it: &Thing| (it.id.as_str(), &it.state))
            .collect()
    }

    pub fn one(&self, region: &str, kind: &str) -> &Value {
        let things = self.things(region, kind);
        assert_eq!(things.len(), 1, "{kind}: {things:#?}");
        things.into_values().next().unwrap()
    }

    /// Everything that was not read, with why.
    pub fn unread(&self) -> Vec<(String, String)> {
        let unread = self.0.iter().filter_map(|look| {
            let why = look.came.as_ref().err()?;
            Some((look.scope.kind.clone(), why.clone()))
        });
        unread.collect()
    }
}

/// A secret that stands wherever secrets stand in the account.
pub const SECRET: &str = "hunter2-very-secret";

/// Makes something of everything.
pub fn furnish(ground: &Ground) {
    let ec2 = |action: &str, more: &[(&str, &str)]| ground.query(REGION, "ec2", action, more);
    ec2("CreateKeyPair", &[("KeyName", "intruder")]);
    ec2(
        "RunInstances",
        &[
            ("ImageId", "ami-12c6146b"),
            ("InstanceType", "c5.24xlarge"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("KeyName", "intruder"),
            ("SecurityGroup.1", "default"),
            ("UserData", "aHVudGVyMi12ZXJ5LXNlY3JldA=="),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", "miner"),
        ],
    );
    ec2("AllocateAddress", &[("Domain", "vpc")]);
    ec2(
        "RequestSpotInstances",
        &[
            ("SpotPrice", "0.5"),
            ("LaunchSpecification.ImageId", "ami-12c6146b"),
            ("LaunchSpecification.InstanceType", "c5.large"),
            (
                "LaunchSpecification.UserData",
                "aHVudGVyMi12ZXJ5LXNlY3JldA==",
            ),
        ],
    );
    ec2(
        "CreateLaunchTemplate",
        &[
            ("LaunchTemplateName", "workers"),
            ("LaunchTemplateData.InstanceType", "c5.4xlarge"),
            ("LaunchTemplateData.ImageId", "ami-12c6146b"),
            (
                "LaunchTemplateData.UserData",
                "aHVudGVyMi12ZXJ5LXNlY3JldA==",
            ),
        ],
    );
    ground.query(
        ELSEWHERE,
        "ec2",
        "RunInstances",
        &[
            ("ImageId", "ami-12c6146b"),
            ("MinCount", "2"),
            ("MaxCount", "2"),
        ],
    );
    ground.query(
        REGION,
        "autoscaling",
        "CreateAutoScalingGroup",
        &[
            ("AutoScalingGroupName", "fleet"),
            ("MinSize", "0"),
            ("MaxSize", "9"),
            ("DesiredCapacity", "0"),
            ("LaunchTemplate.LaunchTemplateName", "workers"),
            ("AvailabilityZones.member.1", "eu-central-1a"),
        ],
    );
    identities(ground);
    sensors(ground);
    workloads(ground);
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

fn identities(ground: &Ground) {
    let iam = |action: &str, more: &[(&str, &str)]| ground.query("us-east-1", "iam", action, more);
    iam("CreateUser", &[("UserName", "alice")]);
    iam("CreateUser", &[("UserName", "bob")]);
    iam("CreateAccessKey", &[("UserName", "alice")]);
    iam(
        "CreateLoginProfile",
        &[("UserName", "bob"), ("Password", SECRET)],
    );
    iam("CreateGroup", &[("GroupName", "admins")]);
    iam(
        "AddUserToGroup",
        &[("GroupName", "admins"), ("UserName", "alice")],
    );
    iam(
        "PutUserPolicy",
        &[
            ("UserName", "alice"),
            ("PolicyName", "all"),
            ("PolicyDocument", ALL),
        ],
    );
    iam(
        "CreatePolicy",
        &[("PolicyName", "ours"), ("PolicyDocument", ALL)],
    );
    iam(
        "CreateRole",
        &[("RoleName", "runner"), ("AssumeRolePolicyDocument", TRUST)],
    );
    let device = iam(
        "CreateVirtualMFADevice",
        &[("VirtualMFADeviceName", "phone")],
    );
    let serial = between(&device, "SerialNumber");
    iam(
        "EnableMFADevice",
        &[
            ("UserName", "alice"),
            ("SerialNumber", &serial),
            ("AuthenticationCode1", "234567"),
            ("AuthenticationCode2", "987654"),
        ],
    );
}

fn sensors(ground: &Ground) {
    // Of all accounts together one bucket has a name.
    let bucket = format!("trails-{}", ground.account.id);
    ground
        .account
        .rest("us-east-1", "s3", "PUT", &format!("/{bucket}"), "")
        .unwrap();
    let trail = |operation: &str, body: Value| {
        let target = format!("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.{operation}");
        ground.json("cloudtrail", &target, body)
    };
    trail(
        "CreateTrail",
        json!({"Name": "main", "S3BucketName": bucket, "IsMultiRegionTrail": true}),
    );
    trail("StartLogging", json!({"Name": "main"}));
    trail("StopLogging", json!({"Name": "main"}));
    let detector = ground.rest("guardduty", "POST", "/detector", json!({"enable": true}));
    let detector: Value = serde_json::from_str(&detector).unwrap();
    let filters = format!(
        "/detector/{}/filter",
        detector["detectorId"].as_str().unwrap()
    );
    let filter =
        json!({"name": "quiet", "action": "ARCHIVE", "findingCriteria": {"criterion": {}}});
    ground.rest("guardduty", "POST", &filters, filter);
    let role = format!("arn:aws:iam::{}:role/runner", ground.account.id);
    // What it answers is empty, and so no JSON.
    let _ = ground.account.json(
        REGION,
        "config",
        "StarlingDoveService.PutConfigurationRecorder",
        &json!({"ConfigurationRecorder": {"name": "default", "roleARN": role}}),
    );
}

fn workloads(ground: &Ground) {
    let role = format!("arn:aws:iam::{}:role/runner", ground.account.id);
    let ecs = |operation: &str, body: Value| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        ground.json("ecs", &target, body)
    };
    ecs("CreateCluster", json!({"clusterName": "batch"}));
    ecs(
        "RegisterTaskDefinition",
        json!({"family": "miner", "networkMode": "awsvpc", "cpu": "4096", "memory": "8192",
            "requiresCompatibilities": ["FARGATE"],
            "containerDefinitions": [{"name": "m", "memory": 8192, "cpu": 4096, "image": "docker.io/someone/miner:1",
                "environment": [{"name": "WALLET", "value": SECRET}]}]}),
    );
    ecs(
        "CreateService",
        json!({"cluster": "batch", "serviceName": "mine", "taskDefinition": "miner",
            "desiredCount": 3, "launchType": "FARGATE"}),
    );
    let subnets = ground.query(REGION, "ec2", "DescribeSubnets", &[]);
    let groups = ground.query(REGION, "ec2", "DescribeSecurityGroups", &[]);
    ecs(
        "RunTask",
        json!({"cluster": "batch", "taskDefinition": "miner", "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": [between(&subnets, "subnetId")],
                "securityGroups": [between(&groups, "groupId")]}},
            "overrides": {"containerOverrides": [{"name": "m", "command": ["-p", SECRET],
                "environment": [{"name": "POOL", "value": SECRET}]}]}}),
    );
    ground.rest(
        "lambda",
        "POST",
        "/2015-03-31/functions",
        json!({"FunctionName": "worker", "Runtime": "python3.12", "Role": role, "Handler": "a.b",
            "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}, "MemorySize": 3008,
            "Environment": {"Variables": {"DATABASE_PASSWORD": SECRET, "MODE": "x"}}}),
    );
    ground.json(
        "sagemaker",
        "SageMaker.CreateNotebookInstance",
        json!({"NotebookInstanceName": "gpu", "InstanceType": "ml.p3.2xlarge", "RoleArn": role}),
    );
    ground.rest(
        "eks",
        "POST",
        "/clusters",
        json!({"name": "prod", "roleArn": role, "version": "1.33",
            "resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}),
    );
    ground.rest(
        "eks",
        "POST",
        "/clusters/prod/node-groups",
        json!({"nodegroupName": "cpu", "nodeRole": role, "subnets": ["subnet-1"],
            "instanceTypes": ["c5.24xlarge"], "scalingConfig": {"minSize": 1, "maxSize": 9, "desiredSize": 2}}),
    );
}

/// The text of the first element of a name.
pub fn between(xml: &str, name: &str) -> String {
    let (_, rest) = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("{name}: {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

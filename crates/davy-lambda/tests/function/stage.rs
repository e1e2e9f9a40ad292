//! An account with an instance that mines, and the function beside it.

use std::process::{Command, Stdio};
use std::time::Duration;

use davylamp_testkit::faults::{Call, FaultProxy, Schedule};
use davylamp_testkit::lambda_runtime::{LambdaRuntime, Outcome};
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const REGION: &str = "eu-central-1";
const EC2_VERSION: &str = "2016-11-15";
/// How long anything may take, on a machine where others compile.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Stage {
    pub account: MotoAccount,
    pub proxy: FaultProxy,
    /// Where the function is unpacked.
    pub folder: TempDir,
    journal: Journal,
}

/// Where the functions of a stage keep what was done.
enum Journal {
    File,
    Table,
}

impl Stage {
    /// With a journal in a file.
    pub fn new() -> Self {
        Self::of(Journal::File)
    }

    /// With a journal in a table, as a deployed function has.
    pub fn with_table() -> Self {
        let stage = Self::of(Journal::Table);
        stage
            .account
            .json(
                REGION,
                "dynamodb",
                "DynamoDB_20120810.CreateTable",
                &json!({
                    "TableName": "davylamp-journal",
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [
                        {"AttributeName": "pk", "AttributeType": "S"},
                        {"AttributeName": "sk", "AttributeType": "S"},
                    ],
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                }),
            )
            .expect("a table");
        stage
    }

    fn of(journal: Journal) -> Self {
        let moto = Moto::shared();
        let proxy = FaultProxy::start(&moto.endpoint(), Schedule::clean());
        Self {
            account: moto.account(),
            proxy,
            folder: tempfile::tempdir().expect("a folder"),
            journal,
        }
    }

    /// Calls EC2 past the proxy.
    pub fn ec2(&self, action: &str, form: &[(&str, &str)]) -> String {
        let mut all = vec![("Action", action), ("Version", EC2_VERSION)];
        all.extend_from_slice(form);
        self.account
            .query(REGION, "ec2", &all)
            .unwrap_or_else(|error| panic!("{action}: {error}"))
    }

    /// A running instance with two volumes.
    pub fn instance(&self) -> String {
        let image = self.ec2(
            "RegisterImage",
            &[("Name", "test"), ("RootDeviceName", "/dev/sda1")],
        );
        let made = self.ec2(
            "RunInstances",
            &[
                ("ImageId", first(&image, "imageId")),
                ("InstanceType", "m5.large"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
                ("BlockDeviceMapping.1.Ebs.VolumeSize", "8"),
                ("BlockDeviceMapping.2.DeviceName", "/dev/sdb"),
                ("BlockDeviceMapping.2.Ebs.VolumeSize", "9"),
            ],
        );
        first(&made, "instanceId").to_owned()
    }

    /// The names of the security groups of an instance's interfaces.
    pub fn groups_of(&self, instance: &str) -> Vec<String> {
        let found = self.ec2(
            "DescribeNetworkInterfaces",
            &[
                ("Filter.1.Name", "attachment.instance-id"),
                ("Filter.1.Value.1", instance),
            ],
        );
        texts(&found, "groupName")
    }

    /// The volumes of which there are snapshots.
    pub fn snapshotted(&self) -> Vec<String> {
        let found = self.ec2("DescribeSnapshots", &[("Owner.1", "self")]);
        let mut volumes: Vec<String> = found
            .split("<item>")
            .filter(|item| item.contains("davylamp"))
            .flat_map(|item| texts(item, "volumeId"))
            .collect();
        volumes.sort();
        volumes
    }

    /// The function with these variables beside those that it needs, started.
    pub fn function(&self, variables: &[(&str, &str)]) -> LambdaRuntime {
        let runtime = LambdaRuntime::start_in(&self.account.id);
        let account = self.account.clone().through(self.proxy.endpoint());
        let mut program = self.program();
        program.envs(account.env(REGION));
        match &self.journal {
            Journal::File => program.env("DAVY_RESPOND__JOURNAL__STORE", "sqlite").env(
                "DAVY_RESPOND__JOURNAL__PATH",
                self.folder.path().join("journal"),
            ),
            Journal::Table => program.env("DAVY_RESPOND__JOURNAL__STORE", "dynamodb"),
        };
        program.envs(variables.iter().copied());
        runtime.run(&mut program).expect("the program starts");
        runtime
    }

    /// The program, with nothing of the environment of this process.
    pub fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
        program
            .env_clear()
            .env("LAMBDA_TASK_ROOT", self.folder.path())
            .current_dir("/")
            .stdin(Stdio::null());
        program
    }

    /// A finding about an instance of this account, as EventBridge delivers it.
    pub fn finding(&self, id: &str, instance: &str) -> Value {
        let account = &self.account.id;
        json!({
            "version": "0",
            "id": "6f1b0a4e-8a8e-4c0a-b4bb-000000000001",
            "detail-type": "GuardDuty Finding",
            "source": "aws.guardduty",
            "account": account,
            "time": "2026-03-04T05:09:00Z",
            "region": REGION,
            "resources": [],
            "detail": {
                "schemaVersion": "2.0",
                "accountId": account,
                "region": REGION,
                "partition": "aws",
                "id": id,
                "arn": format!("arn:aws:guardduty:{REGION}:{account}:detector/0123456789abcdef0123456789abcdef/finding/{id}"),
                "type": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
                "severity": 8,
                "title": "an instance asks for a pool",
                "createdAt": "2026-03-04T05:06:07.000Z",
                "updatedAt": "2026-03-04T05:06:07.000Z",
                "resource": {
                    "resourceType": "Instance",
                    "instanceDetails": {"instanceId": instance},
                },
                "service": {
                    "serviceName": "guardduty",
                    "detectorId": "0123456789abcdef0123456789abcdef",
                    "archived": false,
                    "count": 1,
                    "eventFirstSeen": "2026-03-04T05:06:07.000Z",
                    "eventLastSeen": "2026-03-04T05:06:07.000Z",
                    "action": {
                        "actionType": "DNS_REQUEST",
                        "dnsRequestAction": {"domain": "pool.example", "blocked": false},
                    },
                },
            },
        })
    }

    /// What the functions changed: every call that does not only read, in the order of their ends.
    pub fn changes(&self) -> Vec<Call> {
        let mut calls = self.proxy.calls();
        calls.retain(|call| {
            call.service != "dynamodb"
                && !["Describe", "List", "Get"]
                    .iter()
                    .any(|reading| call.action.starts_with(reading))
        });
        calls
    }
}

/// The outcome of an event, which must come.
pub fn outcome(runtime: &LambdaRuntime, event: &str) -> Outcome {
    runtime
        .outcome(event, PATIENCE)
        .unwrap_or_else(|| panic!("event {event} was not answered; init: {:?}", runtime.init_error()))
}

/// What a function answered, which must be no error.
#[track_caller]
pub fn answered(runtime: &LambdaRuntime, event: &str) -> Value {
    let outcome = outcome(runtime, event);
    assert!(!outcome.failed, "{}", outcome.body);
    serde_json::from_str(&outcome.body).expect("an answer is JSON")
}

/// The message with which a function failed.
#[track_caller]
pub fn error(runtime: &LambdaRuntime, event: &str) -> String {
    let outcome = outcome(runtime, event);
    assert!(outcome.failed, "{}", outcome.body);
    let error: Value = serde_json::from_str(&outcome.body).expect("an error is JSON");
    error["errorMessage"].as_str().expect("a message").to_owned()
}

/// The text of the first element of this name.
#[track_caller]
fn first<'a>(xml: &'a str, name: &str) -> &'a str {
    xml.split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once("</"))
        .unwrap_or_else(|| panic!("no {name} in {xml}"))
        .0
}

fn texts(xml: &str, name: &str) -> Vec<String> {
    xml.split(&format!("<{name}>"))
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("</")?.0.to_owned()))
        .collect()
}

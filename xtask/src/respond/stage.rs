//! Instances that mine, in accounts of the test server.

use anyhow::{Context as _, bail};
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::{Value, json};

/// Regions of AWS that every account has.
const REGIONS: [&str; 20] = [
    "eu-central-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "sa-east-1",
    "eu-south-1",
    "ap-east-1",
    "me-south-1",
];
/// Where the function is.
pub const HOME: &str = REGIONS[0];
/// The sender and the receiver of mails.
pub const MAIL: &str = "security@example.org";
/// The table of the journal.
pub const TABLE: &str = "davylamp-journal";

/// An account, and the findings about its instances.
pub struct Stage {
    pub account: MotoAccount,
    pub findings: Vec<Value>,
}

impl Stage {
    /// An account with this many instances in this many regions, each with two volumes and two
    /// interfaces, and a finding about each.
    pub fn prepare(moto: &Moto, instances: usize, regions: usize) -> anyhow::Result<Self> {
        let account = moto.account();
        let mut stage = Self {
            account,
            findings: Vec::new(),
        };
        let regions = REGIONS.get(..regions).context("there are not so many regions")?;
        for (index, region) in regions.iter().enumerate() {
            let share = instances / regions.len() + usize::from(index < instances % regions.len());
            for instance in stage.instances(region, share)? {
                let id = format!("{:032x}", stage.findings.len() + 1);
                let finding = stage.finding(&id, region, &instance);
                stage.findings.push(finding);
            }
        }
        stage
            .account
            .rest(
                HOME,
                "ses",
                "POST",
                "/v2/email/identities",
                &json!({"EmailIdentity": MAIL}).to_string(),
            )
            .context("cannot verify a mail address")?;
        let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
        let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        stage.account.json(
            HOME,
            "dynamodb",
            "DynamoDB_20120810.CreateTable",
            &json!({
                "TableName": TABLE,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [attribute("pk"), attribute("sk")],
                "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
            }),
        )?;
        Ok(stage)
    }

    /// The event: one finding as EventBridge delivers it, or several as a queue does.
    pub fn event(&self) -> Value {
        match self.findings.as_slice() {
            [one] => one.clone(),
            many => {
                let record = |(index, one): (usize, &Value)| {
                    json!({
                        "eventSource": "aws:sqs",
                        "messageId": index.to_string(),
                        "body": one.to_string(),
                    })
                };
                json!({"Records": many.iter().enumerate().map(record).collect::<Vec<_>>()})
            }
        }
    }

    fn ec2(&self, region: &str, action: &str, form: &[(&str, &str)]) -> anyhow::Result<String> {
        let mut all = vec![("Action", action), ("Version", "2016-11-15")];
        all.extend_from_slice(form);
        Ok(self.account.query(region, "ec2", &all)?)
    }

    fn instances(&self, region: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let image = self.ec2(
            region,
            "RegisterImage",
            &[("Name", "bench"), ("RootDeviceName", "/dev/sda1")],
        )?;
        let image = first(&image, "imageId")?;
        let subnets = self.ec2(region, "DescribeSubnets", &[])?;
        let subnet = first(&subnets, "subnetId")?;
        let number = count.to_string();
        let made = self.ec2(
            region,
            "RunInstances",
            &[
                ("ImageId", &image),
                ("InstanceType", "m5.large"),
                ("SubnetId", &subnet),
                ("MinCount", &number),
                ("MaxCount", &number),
                ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
                ("BlockDeviceMapping.1.Ebs.VolumeSize", "8"),
                ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
                ("BlockDeviceMapping.2.DeviceName", "/dev/sdb"),
                ("BlockDeviceMapping.2.Ebs.VolumeSize", "9"),
                ("BlockDeviceMapping.2.Ebs.DeleteOnTermination", "true"),
            ],
        )?;
        let mut instances: Vec<String> = Vec::new();
        for part in made.split("<instanceId>").skip(1) {
            let id = part.split('<').next().unwrap_or_default().to_owned();
            if !instances.contains(&id) {
                instances.push(id);
            }
        }
        if instances.len() != count {
            bail!("moto made {} instances of {count}", instances.len());
        }
        for instance in &instances {
            let made = self.ec2(region, "CreateNetworkInterface", &[("SubnetId", &subnet)])?;
            let interface = first(&made, "networkInterfaceId")?;
            self.ec2(
                region,
                "AttachNetworkInterface",
                &[
                    ("NetworkInterfaceId", &interface),
                    ("InstanceId", instance),
                    ("DeviceIndex", "1"),
                ],
            )?;
        }
        Ok(instances)
    }

    fn finding(&self, id: &str, region: &str, instance: &str) -> Value {
        let account = &self.account.id;
        let detector = "0123456789abcdef0123456789abcdef";
        json!({
            "version": "0",
            "id": id,
            "detail-type": "GuardDuty Finding",
            "source": "aws.guardduty",
            "account": account,
            "time": "2026-03-04T05:09:00Z",
            "region": region,
            "resources": [],
            "detail": {
                "schemaVersion": "2.0",
                "accountId": account,
                "region": region,
                "partition": "aws",
                "id": id,
                "arn": format!("arn:aws:guardduty:{region}:{account}:detector/{detector}/finding/{id}"),
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
                    "detectorId": detector,
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
}

/// The text of the first element of this name.
fn first(xml: &str, name: &str) -> anyhow::Result<String> {
    xml.split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once("</"))
        .map(|(text, _)| text.to_owned())
        .with_context(|| format!("no {name} in {xml}"))
}

//! An account that nobody has: as many things of each kind as an account of 10,000 would, and what happens
//! to them in an hour. The same each time: its numbers come from a generator with a fixed seed.

use davylamp_model::recording::{GLOBAL, Look, Scope, Thing};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The regions that are enabled in every account.
pub const REGIONS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "sa-east-1",
];

const ACCOUNT: &str = "111122223333";

/// A kind, how many there are of it, and how many an hour brings: that come, go, and change.
struct Kind {
    name: &'static str,
    is_global: bool,
    count: usize,
    come: usize,
    go: usize,
    change: usize,
    make: fn(&mut Numbers, Timestamp) -> Thing,
    alter: fn(&mut Numbers, Timestamp, &mut Value),
}

const fn kind(
    name: &'static str,
    is_global: bool,
    (count, come, go, change): (usize, usize, usize, usize),
    make: fn(&mut Numbers, Timestamp) -> Thing,
    alter: fn(&mut Numbers, Timestamp, &mut Value),
) -> Kind {
    Kind {
        name,
        is_global,
        count,
        come,
        go,
        change,
        make,
        alter,
    }
}

/// Come and go together in number, so that the account stays as large as it is.
const KINDS: &[Kind] = &[
    kind("instance", false, (1500, 40, 40, 50), instance, settle),
    kind("volume", false, (2200, 50, 50, 50), volume, settle),
    kind("snapshot", false, (2000, 15, 15, 0), snapshot, settle),
    kind("ecs-task", false, (350, 60, 60, 60), task, run),
    kind("security-group", false, (700, 1, 1, 1), group, settle),
    kind("scaling-group", false, (60, 0, 0, 10), scaling, grow),
    kind("ecs-service", false, (120, 0, 0, 10), service, grow),
    kind("lambda-function", false, (800, 1, 1, 6), function, touch),
    kind("image", false, (150, 1, 1, 0), image, settle),
    kind("address", false, (80, 1, 1, 2), address, settle),
    kind("launch-template", false, (60, 0, 0, 1), template, grow),
    kind("quota", false, (272, 0, 0, 0), quota, settle),
    kind("guardduty-detector", false, (17, 0, 0, 0), detector, settle),
    kind("user", true, (200, 0, 0, 10), user, log_in),
    kind("access-key", true, (260, 1, 1, 120), key, use_key),
    kind("role", true, (700, 1, 1, 250), role, use_role),
    kind("policy", true, (250, 0, 0, 1), policy, touch),
    kind("bucket", true, (300, 0, 0, 0), bucket, settle),
];

/// Kinds of which there is nothing in most regions: they cost a line of coverage each.
const EMPTY: &[&str] = &[
    "spot-request",
    "key-pair",
    "flow-log",
    "trail",
    "config-recorder",
    "eks-cluster",
    "eks-nodegroup",
    "ecs-cluster",
    "sagemaker-notebook",
];

/// Numbers that look random (SplitMix64).
pub struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap_or(0)
    }

    fn hex(&mut self, digits: usize) -> String {
        let text = format!("{:016x}{:016x}", self.next(), self.next());
        text[..digits.min(32)].to_owned()
    }

    fn address(&mut self) -> String {
        format!(
            "10.{}.{}.{}",
            self.below(256),
            self.below(256),
            self.below(256)
        )
    }

    /// A moment within the hour before.
    fn lately(&mut self, at: Timestamp) -> String {
        let seconds = at.as_second() - i64::try_from(self.below(3600)).unwrap_or(0);
        Timestamp::from_second(seconds).map_or_else(|_| String::new(), |at| at.to_string())
    }
}

/// The account.
pub struct Account {
    numbers: Numbers,
    /// For each kind, for each region, the things.
    things: Vec<Vec<Vec<Thing>>>,
}

impl Account {
    pub fn new(at: Timestamp) -> Self {
        let mut numbers = Numbers(42);
        let things = KINDS.iter().map(|kind| {
            let regions = if kind.is_global { 1 } else { REGIONS.len() };
            let mut all: Vec<Vec<Thing>> = (0..regions).map(|_| Vec::new()).collect();
            for _ in 0..kind.count {
                let region = busy(&mut numbers, regions);
                all[region].push((kind.make)(&mut numbers, at));
            }
            all
        });
        let things = things.collect();
        Self { numbers, things }
    }

    pub fn count(&self) -> usize {
        self.things.iter().flatten().map(Vec::len).sum()
    }

    /// What happens in an hour.
    pub fn hour_passes(&mut self, at: Timestamp) {
        let numbers = &mut self.numbers;
        for (kind, regions) in KINDS.iter().zip(&mut self.things) {
            let count = regions.len();
            for _ in 0..kind.go {
                let region = &mut regions[busy(numbers, count)];
                if !region.is_empty() {
                    let gone = numbers.below(region.len());
                    region.swap_remove(gone);
                }
            }
            for _ in 0..kind.come {
                regions[busy(numbers, count)].push((kind.make)(numbers, at));
            }
            for _ in 0..kind.change {
                let region = &mut regions[busy(numbers, count)];
                if !region.is_empty() {
                    let changed = numbers.below(region.len());
                    (kind.alter)(numbers, at, &mut region[changed].state);
                }
            }
        }
    }

    pub fn looks(&self) -> Vec<Look> {
        let look = |region: &str, kind: &str, things: &[Thing]| Look {
            scope: Scope {
                account: ACCOUNT.to_owned(),
                region: region.to_owned(),
                kind: kind.to_owned(),
            },
            came: Ok(things.to_vec()),
        };
        let mut looks = Vec::new();
        for (kind, regions) in KINDS.iter().zip(&self.things) {
            for (number, things) in regions.iter().enumerate() {
                let region = if kind.is_global {
                    GLOBAL
                } else {
                    REGIONS[number]
                };
                looks.push(look(region, kind.name, things));
            }
        }
        for kind in EMPTY {
            looks.extend(REGIONS.iter().map(|region| look(region, kind, &[])));
        }
        looks
    }
}

/// Two of three things are in the first region, as where people work.
fn busy(numbers: &mut Numbers, regions: usize) -> usize {
    match numbers.below(3) {
        0 => numbers.below(regions),
        _ => 0,
    }
}

fn tags(numbers: &mut Numbers) -> Value {
    const TEAMS: [&str; 6] = ["web", "data", "build", "search", "platform", "research"];
    json!([{"Key": "Name", "Value": format!("{}-{}", TEAMS[numbers.below(6)], numbers.below(400))},
        {"Key": "team", "Value": TEAMS[numbers.below(6)]}])
}

fn named(id: String, state: Value) -> Thing {
    Thing { id, state }
}

const TYPES: [&str; 8] = [
    "t3.medium",
    "t3.large",
    "m5.large",
    "m5.xlarge",
    "c5.xlarge",
    "c5.4xlarge",
    "r5.large",
    "g4dn.xlarge",
];

fn instance(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("i-0{}", numbers.hex(16));
    let address = numbers.address();
    let launched = numbers.lately(at);
    let (group, subnet) = (numbers.below(60), numbers.below(18));
    let groups =
        json!([{"GroupId": format!("sg-0{group:016x}"), "GroupName": format!("group-{group}")}]);
    let state = json!({"AmiLaunchIndex": 0, "Architecture": "x86_64",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"AttachTime": launched,
            "DeleteOnTermination": true, "VolumeId": format!("vol-0{}", numbers.hex(16))}}],
        "ClientToken": numbers.hex(32), "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2},
        "IamInstanceProfile": {"Arn": format!("arn:aws:iam::{ACCOUNT}:instance-profile/p{}", numbers.below(30))},
        "ImageId": format!("ami-0{:016x}", numbers.below(40)), "InstanceId": id,
        "InstanceType": TYPES[numbers.below(8)], "KeyName": "ops", "LaunchTime": launched,
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2, "HttpTokens": "required"},
        "Monitoring": {"State": "disabled"},
        "NetworkInterfaces": [{"Groups": groups, "MacAddress": format!("02:{}", numbers.hex(10)),
            "NetworkInterfaceId": format!("eni-0{}", numbers.hex(16)), "PrivateIpAddress": address,
            "SubnetId": format!("subnet-0{subnet:016x}"), "VpcId": "vpc-0aaaaaaaaaaaaaaaa"}],
        "OwnerId": ACCOUNT, "Placement": {"AvailabilityZone": "us-east-1a", "Tenancy": "default"},
        "PlatformDetails": "Linux/UNIX", "PrivateDnsName": format!("ip-{}.ec2.internal", address.replace('.', "-")),
        "PrivateIpAddress": address, "RootDeviceName": "/dev/xvda", "SecurityGroups": groups,
        "State": {"Code": 0, "Name": "pending"}, "SubnetId": format!("subnet-0{subnet:016x}"),
        "Tags": tags(numbers), "UsageOperation": "RunInstances", "VpcId": "vpc-0aaaaaaaaaaaaaaaa"});
    named(id, state)
}

/// What was on its way has come.
fn settle(numbers: &mut Numbers, _at: Timestamp, state: &mut Value) {
    let names = ["running", "stopped", "stopping", "shutting-down"];
    state["State"] = json!({"Code": 16, "Name": names[numbers.below(4)]});
}

fn volume(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("vol-0{}", numbers.hex(16));
    let made = numbers.lately(at);
    let state = json!({"Attachments": [{"AttachTime": made, "DeleteOnTermination": true, "Device": "/dev/xvda",
            "InstanceId": format!("i-0{}", numbers.hex(16)), "State": "attached"}],
        "AvailabilityZone": "us-east-1a", "CreateTime": made, "Encrypted": true, "Iops": 3000,
        "KmsKeyId": format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/1"), "Size": 8 << numbers.below(6),
        "SnapshotId": format!("snap-0{:016x}", numbers.below(200)), "State": "in-use", "Tags": tags(numbers),
        "VolumeId": id, "VolumeType": "gp3"});
    named(id, state)
}

fn snapshot(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("snap-0{}", numbers.hex(16));
    let state = json!({"Description": "Created by backup", "Encrypted": true, "OwnerId": ACCOUNT, "SnapshotId": id,
        "StartTime": numbers.lately(at), "State": "completed", "StorageTier": "standard", "Tags": tags(numbers),
        "VolumeId": format!("vol-0{}", numbers.hex(16)), "VolumeSize": 8 << numbers.below(6)});
    named(id, state)
}

fn task(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!(
        "arn:aws:ecs:us-east-1:{ACCOUNT}:task/batch/{}",
        numbers.hex(32)
    );
    let state = json!({"clusterArn": format!("arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/batch"),
        "containers": [{"containerArn": format!("arn:aws:ecs:us-east-1:{ACCOUNT}:container/batch/{}", numbers.hex(32)),
            "cpu": "1024", "image": format!("{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/job:{}", numbers.below(20)),
            "imageDigest": format!("sha256:{:064x}", numbers.below(20)), "memory": "2048", "name": "main"}],
        "cpu": "1024", "createdAt": numbers.lately(at), "desiredStatus": "RUNNING", "group": "family:job",
        "lastStatus": "PENDING", "launchType": "FARGATE", "memory": "2048", "startedBy": "scheduler",
        "taskArn": id, "taskDefinitionArn": format!("arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/job:{}", numbers.below(20))});
    named(id, state)
}

fn run(numbers: &mut Numbers, at: Timestamp, state: &mut Value) {
    state["lastStatus"] = json!("RUNNING");
    state["startedAt"] = json!(numbers.lately(at));
}

fn group(numbers: &mut Numbers, _at: Timestamp) -> Thing {
    let id = format!("sg-0{}", numbers.hex(16));
    let state = json!({"Description": "made by terraform", "GroupId": id, "GroupName": format!("g-{}", numbers.below(900)),
        "IpPermissions": [{"FromPort": 443, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}], "ToPort": 443}],
        "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        "OwnerId": ACCOUNT, "Tags": tags(numbers), "VpcId": "vpc-0aaaaaaaaaaaaaaaa"});
    named(id, state)
}

fn scaling(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("asg-{}", numbers.hex(8));
    let state = json!({"AutoScalingGroupName": id, "CreatedTime": numbers.lately(at), "DesiredCapacity": 4, "MaxSize": 40,
        "MinSize": 1, "LaunchTemplate": {"LaunchTemplateId": format!("lt-0{}", numbers.hex(16)), "Version": "$Latest"},
        "Tags": tags(numbers), "VPCZoneIdentifier": "subnet-00000000000000001,subnet-00000000000000002"});
    named(id, state)
}

fn grow(numbers: &mut Numbers, _at: Timestamp, state: &mut Value) {
    for name in ["DesiredCapacity", "desiredCount", "LatestVersionNumber"] {
        if state[name].is_number() {
            state[name] = json!(numbers.below(40));
        }
    }
}

fn service(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!(
        "arn:aws:ecs:us-east-1:{ACCOUNT}:service/web/{}",
        numbers.hex(8)
    );
    let state = json!({"clusterArn": format!("arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/web"), "createdAt": numbers.lately(at),
        "desiredCount": 2, "launchType": "FARGATE", "serviceArn": id, "status": "ACTIVE",
        "taskDefinition": format!("arn:aws:ecs:us-east-1:{ACCOUNT}:task-definition/web:7")});
    named(id, state)
}

fn function(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("function-{}", numbers.hex(8));
    let state = json!({"Architectures": ["x86_64"], "CodeSha256": numbers.hex(32), "CodeSize": numbers.below(1 << 20),
        "Environment": {"VariableNames": ["STAGE", "TABLE", "TOPIC"]}, "FunctionName": id,
        "FunctionArn": format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{id}"), "Handler": "index.handler",
        "LastModified": numbers.lately(at), "MemorySize": 512, "Runtime": "python3.12", "State": "Active", "Timeout": 30,
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/function-{}", numbers.below(300))});
    named(id, state)
}

fn touch(numbers: &mut Numbers, at: Timestamp, state: &mut Value) {
    for (name, is_there) in [("LastModified", true), ("UpdateDate", false)] {
        if is_there == state["LastModified"].is_string() {
            state[name] = json!(numbers.lately(at));
        }
    }
}

fn image(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("ami-0{}", numbers.hex(16));
    let state = json!({"Architecture": "x86_64", "CreationDate": numbers.lately(at), "ImageId": id,
        "Name": format!("base-{}", numbers.hex(8)), "OwnerId": ACCOUNT, "Public": false, "State": "available",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": format!("snap-0{}", numbers.hex(16))}}]});
    named(id, state)
}

fn address(numbers: &mut Numbers, _at: Timestamp) -> Thing {
    let id = format!("eipalloc-0{}", numbers.hex(16));
    let state = json!({"AllocationId": id, "Domain": "vpc", "InstanceId": format!("i-0{}", numbers.hex(16)),
        "PublicIp": format!("3.{}", numbers.address().trim_start_matches("10."))});
    named(id, state)
}

fn template(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("lt-0{}", numbers.hex(16));
    let state = json!({"CreateTime": numbers.lately(at), "CreatedBy": format!("arn:aws:iam::{ACCOUNT}:user/ops"),
        "LatestVersionNumber": 3, "LaunchTemplateId": id,
        "LaunchTemplateVersions": [{"LaunchTemplateData": {"ImageId": format!("ami-0{}", numbers.hex(16)),
            "InstanceType": TYPES[numbers.below(8)], "HasUserData": true}}]});
    named(id, state)
}

fn quota(numbers: &mut Numbers, _at: Timestamp) -> Thing {
    let id = format!("ec2/L-{}", numbers.hex(8).to_uppercase());
    let state = json!({"QuotaCode": &id[4..], "QuotaName": "Running On-Demand Standard instances", "ServiceCode": "ec2",
        "Value": 64.0});
    named(id, state)
}

fn detector(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = numbers.hex(32);
    let state = json!({"CreatedAt": numbers.lately(at), "DetectorId": id, "Status": "ENABLED",
        "FindingPublishingFrequency": "SIX_HOURS"});
    named(id, state)
}

fn user(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("user-{}", numbers.hex(8));
    let state = json!({"Arn": format!("arn:aws:iam::{ACCOUNT}:user/{id}"), "CreateDate": numbers.lately(at),
        "Groups": ["developers"], "UserId": format!("AIDA{}", numbers.hex(17).to_uppercase()), "UserName": id});
    named(id, state)
}

fn log_in(numbers: &mut Numbers, at: Timestamp, state: &mut Value) {
    state["PasswordLastUsed"] = json!(numbers.lately(at));
}

fn key(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("AKIA{}", numbers.hex(16).to_uppercase());
    let state = json!({"AccessKeyId": id, "CreateDate": numbers.lately(at), "Status": "Active",
        "UserName": format!("user-{}", numbers.hex(8)),
        "AccessKeyLastUsed": {"Region": "N/A", "ServiceName": "N/A"}});
    named(id, state)
}

fn use_key(numbers: &mut Numbers, at: Timestamp, state: &mut Value) {
    let services = ["s3", "ec2", "sts", "ecr", "dynamodb", "sqs"];
    state["AccessKeyLastUsed"] = json!({"LastUsedDate": numbers.lately(at),
        "Region": REGIONS[busy(numbers, REGIONS.len())], "ServiceName": services[numbers.below(6)]});
}

fn role(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("role-{}", numbers.hex(8));
    let state = json!({"Arn": format!("arn:aws:iam::{ACCOUNT}:role/{id}"),
        "AssumeRolePolicyDocument": {"Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"}}], "Version": "2012-10-17"},
        "AttachedManagedPolicies": [{"PolicyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "PolicyName": "AWSLambdaBasicExecutionRole"}],
        "CreateDate": numbers.lately(at), "RoleId": format!("AROA{}", numbers.hex(17).to_uppercase()), "RoleName": id,
        "RolePolicyList": [{"PolicyName": "inline", "PolicyDocument": {"Statement": [{"Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
            "Resource": format!("arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/t{}", numbers.below(400))}],
            "Version": "2012-10-17"}}]});
    named(id, state)
}

fn use_role(numbers: &mut Numbers, at: Timestamp, state: &mut Value) {
    state["RoleLastUsed"] = json!({"LastUsedDate": numbers.lately(at), "Region": REGIONS[busy(numbers, REGIONS.len())]});
}

fn policy(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("arn:aws:iam::{ACCOUNT}:policy/p-{}", numbers.hex(8));
    let state = json!({"Arn": id, "AttachmentCount": 1, "CreateDate": numbers.lately(at), "DefaultVersionId": "v1",
        "PolicyVersionList": [{"Document": {"Statement": [{"Action": "s3:GetObject", "Effect": "Allow",
            "Resource": format!("arn:aws:s3:::bucket-{}/*", numbers.hex(8))}], "Version": "2012-10-17"}}]});
    named(id, state)
}

fn bucket(numbers: &mut Numbers, at: Timestamp) -> Thing {
    let id = format!("bucket-{}", numbers.hex(8));
    let state = json!({"BucketRegion": "us-east-1", "CreationDate": numbers.lately(at), "Name": id,
        "Grants": [{"Grantee": {"ID": numbers.hex(32), "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}],
        "PublicAccessBlock": {"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
            "RestrictPublicBuckets": true}});
    named(id, state)
}

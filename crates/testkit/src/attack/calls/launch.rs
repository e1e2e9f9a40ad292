//! Machines of EC2 are started, or were to be.

use serde_json::{Value, json};

use crate::attack::calendar::iso;
use crate::attack::cast::Machine;
use crate::attack::dice::Dice;
use crate::attack::event::Call;
use crate::attack::world::{Effect, Thing};
use crate::attack::{ids, places, regions};

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Such as `c5.24xlarge`.
    pub kind: &'static str,
    /// The image.
    pub image: String,
    /// Whether the image is of Windows.
    pub is_windows: bool,
    /// Whether on the spot market.
    pub is_spot: bool,
    /// How many.
    pub count: usize,
    /// The key pair.
    pub key_name: Option<String>,
    /// The security group.
    pub group: Option<String>,
    /// Whether ending them is to be made hard.
    pub is_protected: bool,
    /// Whether they get public addresses.
    pub is_public: bool,
}

impl Wanted {
    fn request(&self, dice: &mut Dice) -> Value {
        let mut request = json!({
            "instancesSet": {"items": [{
                "imageId": self.image, "minCount": self.count, "maxCount": self.count,
            }]},
            "userData": "<sensitiveDataRemoved>",
            "instanceType": self.kind,
            "blockDeviceMapping": {},
            "monitoring": {"enabled": false},
            "disableApiTermination": self.is_protected,
            "disableApiStop": false,
            "clientToken": dice.uuid(),
        });
        if let Value::Object(request) = &mut request {
            if let Some(name) = &self.key_name {
                request["instancesSet"]["items"][0]["keyName"] = json!(name);
            }
            if let Some(group) = &self.group {
                request.insert("groupSet".into(), json!({"items": [{"groupId": group}]}));
            }
            if self.is_spot {
                request.insert(
                    "instanceMarketOptions".into(),
                    json!({"marketType": "spot", "spotOptions": {"spotInstanceType": "one-time"}}),
                );
            }
        }
        request
    }

    /// The machines that come of it.
    pub fn machines(
        &self,
        dice: &mut Dice,
        account: &str,
        region: &'static str,
        at: i64,
    ) -> Vec<Machine> {
        (0..self.count)
            .map(|_| Machine {
                id: ids::resource(dice, "i"),
                account: account.to_owned(),
                region,
                kind: self.kind,
                image: self.image.clone(),
                role: None,
                private: format!("172.31.{}.{}", dice.between(0, 90), dice.between(4, 250)),
                public: self.is_public.then(|| places::ec2(region).address(dice)),
                interface: ids::resource(dice, "eni"),
                vpc: crate::attack::cast::vpc(account, region),
                subnet: crate::attack::cast::subnet(account, region),
                is_windows: self.is_windows,
                is_spot: self.is_spot,
                key_name: self.key_name.clone(),
                launched: at,
            })
            .collect()
    }

    /// They are started.
    pub fn run(&self, dice: &mut Dice, machines: &[Machine]) -> Call {
        let account = machines.first().map_or("", |machine| &machine.account);
        let items: Vec<Value> = machines
            .iter()
            .enumerate()
            .map(|(at, machine)| self.item(dice, at, machine))
            .collect();
        let mut call = Call::new("ec2", "RunInstances", self.request(dice)).answered(json!({
            "requestId": dice.uuid(),
            "reservationId": ids::resource(dice, "r"),
            "ownerId": account,
            "groupSet": {},
            "instancesSet": {"items": items},
        }));
        for machine in machines {
            call = call
                .changing(Effect::Put(machine.thing(), machine.state()))
                .changing(volume(dice, machine));
        }
        call
    }

    fn item(&self, dice: &mut Dice, at: usize, machine: &Machine) -> Value {
        let mut item = json!({
            "instanceId": machine.id,
            "imageId": machine.image,
            "instanceState": {"code": 0, "name": "pending"},
            "privateDnsName": format!("ip-{}.ec2.internal", machine.private.replace('.', "-")),
            "amiLaunchIndex": at,
            "productCodes": {},
            "instanceType": machine.kind,
            "launchTime": machine.launched * 1_000,
            "placement": {"availabilityZone": format!("{}a", machine.region), "tenancy": "default"},
            "monitoring": {"state": "disabled"},
            "subnetId": machine.subnet,
            "vpcId": machine.vpc,
            "privateIpAddress": machine.private,
            "stateReason": {"code": "pending", "message": "pending"},
            "architecture": "x86_64",
            "rootDeviceType": "ebs",
            "rootDeviceName": "/dev/sda1",
            "blockDeviceMapping": {},
            "virtualizationType": "hvm",
            "hypervisor": "xen",
            "tagSet": {},
            "groupSet": {"items": [{"groupId": self.group.clone().unwrap_or_else(|| "sg-0a1b2c3d4e5f60718".to_owned()), "groupName": "default"}]},
            "sourceDestCheck": true,
            "networkInterfaceSet": {"items": [{
                "networkInterfaceId": machine.interface,
                "subnetId": machine.subnet,
                "vpcId": machine.vpc,
                "ownerId": machine.account,
                "status": "in-use",
                "privateIpAddress": machine.private,
                "sourceDestCheck": true,
            }]},
            "ebsOptimized": false,
            "enaSupport": true,
            "cpuOptions": {"coreCount": 48, "threadsPerCore": 2},
            "metadataOptions": {"state": "pending", "httpTokens": "optional", "httpPutResponseHopLimit": 1, "httpEndpoint": "enabled"},
        });
        if let Value::Object(item) = &mut item {
            if machine.is_windows {
                item.insert("platform".into(), json!("windows"));
            }
            if machine.is_spot {
                item.insert("instanceLifecycle".into(), json!("spot"));
                item.insert(
                    "spotInstanceRequestId".into(),
                    json!(format!("sir-{}", dice.hex(8))),
                );
            }
            if let Some(name) = &machine.key_name {
                item.insert("keyName".into(), json!(name));
            }
        }
        item
    }

    /// It was only asked whether it could be.
    pub fn dry_run(&self, dice: &mut Dice) -> Call {
        let mut request = self.request(dice);
        request["dryRun"] = json!(true);
        Call::new("ec2", "RunInstances", request).refused(
            "Client.DryRunOperation",
            "Request would have succeeded, but DryRun flag is set.".to_owned(),
        )
    }

    /// The account may not have so many.
    pub fn over_limit(&self, dice: &mut Dice, limit: u32) -> Call {
        let request = self.request(dice);
        Call::new("ec2", "RunInstances", request).refused(
            "Client.VcpuLimitExceeded",
            format!(
                "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance \
                 bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request \
                 to request an adjustment to this limit."
            ),
        )
    }

    /// The region must be asked for first.
    pub fn not_opted_in(&self, dice: &mut Dice) -> Call {
        let request = self.request(dice);
        Call::new("ec2", "RunInstances", request).refused(
            "Client.OptInRequired",
            "You are not subscribed to this service. Please go to http://aws.amazon.com to subscribe.".to_owned(),
        )
    }

    /// As it was asked, not yet answered.
    pub fn asked(&self, dice: &mut Dice) -> Call {
        let request = self.request(dice);
        Call::new("ec2", "RunInstances", request)
    }
}

fn volume(dice: &mut Dice, machine: &Machine) -> Effect {
    let id = ids::resource(dice, "vol");
    let state = json!({
        "VolumeId": id,
        "Size": 30,
        "VolumeType": "gp3",
        "State": "in-use",
        "CreateTime": iso(machine.launched),
        "Attachments": [{"InstanceId": machine.id, "Device": "/dev/sda1", "DeleteOnTermination": true}],
    });
    Effect::Put(
        Thing::new(&machine.account, machine.region, "volume", &id),
        state,
    )
}

/// Large types that miners take.
pub const LARGE: &[&str] = &[
    "c5.24xlarge",
    "c5.18xlarge",
    "c4.8xlarge",
    "m5.24xlarge",
    "c6i.32xlarge",
];

/// Types with accelerators.
pub const ACCELERATED: &[&str] = &["p3.16xlarge", "g4dn.12xlarge", "g5.48xlarge"];

/// How many regions are in reach of somebody who asks for no other.
pub fn reachable(dice: &mut Dice, count: usize) -> Vec<&'static str> {
    let mut all = regions::ALL.to_vec();
    dice.shuffle(&mut all);
    all.truncate(count);
    all
}

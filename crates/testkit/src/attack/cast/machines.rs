//! Machines of the owner that run from beginning to end.

use serde_json::{Value, json};

use super::{Cast, Purpose};
use crate::attack::calendar::{DAY_SECS, iso};
use crate::attack::dice::Dice;
use crate::attack::identity::RoleName;
use crate::attack::world::Thing;
use crate::attack::{Options, ids, places, regions};

/// A machine of EC2.
#[derive(Debug, Clone)]
pub struct Machine {
    /// `i-…`.
    pub id: String,
    /// The account.
    pub account: String,
    /// The region.
    pub region: &'static str,
    /// Such as `m5.large`.
    pub kind: &'static str,
    /// The image.
    pub image: String,
    /// The role its programs have.
    pub role: Option<RoleName>,
    /// Its address in its network.
    pub private: String,
    /// Its public address, if it has one.
    pub public: Option<String>,
    /// Its network interface.
    pub interface: String,
    /// Its network.
    pub vpc: String,
    /// Its part of the network.
    pub subnet: String,
    /// Whether it runs Windows.
    pub is_windows: bool,
    /// Whether it is a spot machine.
    pub is_spot: bool,
    /// The name of its key pair.
    pub key_name: Option<String>,
    /// Since when it runs.
    pub launched: i64,
}

impl Machine {
    /// What it is in the world.
    pub fn thing(&self) -> Thing {
        Thing::new(&self.account, self.region, "instance", &self.id)
    }

    /// As EC2 prints it.
    pub fn state(&self) -> Value {
        let mut state = json!({
            "InstanceId": self.id,
            "InstanceType": self.kind,
            "ImageId": self.image,
            "State": {"Code": 16, "Name": "running"},
            "LaunchTime": iso(self.launched),
            "PlatformDetails": if self.is_windows { "Windows" } else { "Linux/UNIX" },
            "PrivateIpAddress": self.private,
            "VpcId": self.vpc,
            "SubnetId": self.subnet,
            "Placement": {"AvailabilityZone": format!("{}a", self.region), "Tenancy": "default"},
            "SecurityGroups": [{"GroupName": "default", "GroupId": "sg-0a1b2c3d4e5f60718"}],
            "NetworkInterfaces": [{
                "NetworkInterfaceId": self.interface,
                "PrivateIpAddress": self.private,
                "Status": "in-use",
            }],
            "MetadataOptions": {"HttpTokens": "optional", "HttpEndpoint": "enabled"},
            "StateTransitionReason": "",
            "Tags": [],
        });
        if let Value::Object(state) = &mut state {
            if self.is_windows {
                state.insert("Platform".into(), json!("windows"));
            }
            if self.is_spot {
                state.insert("InstanceLifecycle".into(), json!("spot"));
            }
            if let Some(public) = &self.public {
                state.insert("PublicIpAddress".into(), json!(public));
            }
            if let Some(name) = &self.key_name {
                state.insert("KeyName".into(), json!(name));
            }
            if let Some(role) = &self.role {
                let arn = format!(
                    "arn:aws:iam::{}:instance-profile/{}",
                    role.account, role.name
                );
                state.insert("IamInstanceProfile".into(), json!({"Arn": arn}));
            }
        }
        state
    }
}

const KINDS: &[&str] = &["t3.medium", "m5.large", "m5.xlarge", "c5.large", "r5.large"];

/// Draws the owner's machines by lot.
pub fn draw(dice: &mut Dice, cast: &Cast, options: &Options) -> Vec<Machine> {
    (0..options.instances)
        .map(|number| {
            let account = cast.accounts[number % cast.accounts.len()].clone();
            let region = dice.one(&regions::USUAL[..3]);
            let roles: Vec<_> = cast
                .roles_for(&account, |purpose| purpose == Purpose::Instance)
                .collect();
            let role = dice.chance(70).then(|| dice.pick(&roles).name.clone());
            Machine {
                id: ids::resource(dice, "i"),
                region,
                kind: dice.one(KINDS),
                image: ids::resource(dice, "ami"),
                role,
                private: format!("172.31.{}.{}", dice.between(0, 90), dice.between(4, 250)),
                public: dice.chance(60).then(|| places::ec2(region).address(dice)),
                interface: ids::resource(dice, "eni"),
                vpc: vpc(&account, region),
                subnet: subnet(&account, region),
                is_windows: dice.chance(10),
                is_spot: false,
                key_name: dice.chance(50).then(|| "ops-2024".to_owned()),
                launched: cast.start - dice.between(2, 300) * DAY_SECS - dice.between(0, 80_000),
                account,
            }
        })
        .collect()
}

/// The default network of an account in a region.
pub fn vpc(account: &str, region: &str) -> String {
    format!("vpc-0{}", Dice::of(7, account, letters(region)).hex(16))
}

/// The default network's part in the first zone.
pub fn subnet(account: &str, region: &str) -> String {
    format!("subnet-0{}", Dice::of(8, account, letters(region)).hex(16))
}

fn letters(region: &str) -> i64 {
    region
        .bytes()
        .fold(0, |sum, byte| sum * 31 % 1_000_003 + i64::from(byte))
}

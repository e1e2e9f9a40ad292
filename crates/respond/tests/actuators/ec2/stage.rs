//! An account with an instance, two volumes and an interface in it.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, InstanceType, ResourceType, Tag, TagSpecification,
};
use davylamp_cloud::aws::session::{Retries, SessionOptions, Sessions};
use davylamp_model::ids::{AccountId, InstanceId, Region, VolumeId};
use davylamp_model::resource::Place;
use davylamp_plan::action::Action;
use davylamp_respond::actuator::Checked;
use davylamp_respond::aws::Ec2Actuator;
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::Value;

use crate::drive::{Drive, assert_already, assert_done};

pub const REGION: &str = "eu-central-1";

/// An account.
pub struct Stage {
    pub account: MotoAccount,
    pub sessions: Arc<Sessions>,
    pub actuator: Ec2Actuator,
    pub place: Place,
}

impl Stage {
    pub async fn new() -> Self {
        Self::of(Moto::shared().account()).await
    }

    pub async fn of(account: MotoAccount) -> Self {
        let (key, secret, token) = account.credentials();
        let credentials = Credentials::new(key, secret, Some(token.to_owned()), None, "a test");
        let options = SessionOptions {
            region: Some(REGION.to_owned()),
            endpoint_url: Some(account.endpoint.clone()),
            account: Some(AccountId::from(account.id.as_str())),
            role: Some("davylamp".to_owned()),
            // As often as outside tests, and not as patiently.
            retries: Retries {
                first_wait: Duration::from_millis(1),
                longest_wait: Duration::from_millis(4),
                ..Retries::default()
            },
            ..SessionOptions::default()
        };
        let sessions = Sessions::with_credentials(options, credentials).await;
        let sessions = Arc::new(sessions.expect("sessions"));
        Self {
            place: Place {
                account: AccountId::from(account.id.as_str()),
                region: Region::from(REGION),
            },
            actuator: Ec2Actuator::new(Arc::clone(&sessions), 15),
            account,
            sessions,
        }
    }

    pub async fn ec2(&self) -> aws_sdk_ec2::Client {
        let config = self.sessions.writing(&self.place).await;
        aws_sdk_ec2::Client::new(&config.expect("a session"))
    }

    pub fn drive(&self, action: Action) -> Drive<'_> {
        Drive::at(&self.actuator, action, &self.account.id, REGION)
    }

    /// A running instance with a root and a data volume, tagged as a Hub's are.
    pub async fn instance(&self) -> InstanceId {
        let ec2 = self.ec2().await;
        let image = ec2
            .register_image()
            .name("test")
            .root_device_name("/dev/sda1");
        let image = image.send().await;
        let image = image.expect("an image");
        let volume = |size| {
            EbsBlockDevice::builder()
                .volume_size(size)
                .delete_on_termination(true)
                .build()
        };
        let disk = |name, size| {
            BlockDeviceMapping::builder()
                .device_name(name)
                .ebs(volume(size))
                .build()
        };
        let ownership = Tag::builder()
            .key("kubernetes.io/created-for/pvc/name")
            .value("claim-alice")
            .build();
        let made = ec2
            .run_instances()
            .image_id(image.image_id().unwrap_or_default())
            .instance_type(InstanceType::M5Large)
            .min_count(1)
            .max_count(1)
            .block_device_mappings(disk("/dev/sda1", 8))
            .block_device_mappings(disk("/dev/sdb", 9))
            .tag_specifications(
                TagSpecification::builder()
                    .resource_type(ResourceType::Volume)
                    .tags(ownership)
                    .build(),
            )
            .send()
            .await
            .expect("an instance");
        InstanceId::from(made.instances()[0].instance_id().unwrap_or_default())
    }

    pub async fn describe(&self, id: &InstanceId) -> aws_sdk_ec2::types::Instance {
        let ec2 = self.ec2().await;
        let answer = ec2.describe_instances().instance_ids(id.as_str()).send();
        let answer = answer.await.expect("a description");
        answer.reservations()[0].instances()[0].clone()
    }

    pub async fn state(&self, id: &InstanceId) -> String {
        let found = self.describe(id).await;
        let state = found.state().and_then(|state| state.name());
        state.map(ToString::to_string).unwrap_or_default()
    }

    /// Device, volume and whether it is deleted with the instance, in the order of the devices.
    pub async fn disks(&self, id: &InstanceId) -> Vec<(String, VolumeId, bool)> {
        let found = self.describe(id).await;
        let mut disks: Vec<_> = found
            .block_device_mappings()
            .iter()
            .map(|mapping| {
                let ebs = mapping.ebs().expect("a volume");
                (
                    mapping.device_name().unwrap_or_default().to_owned(),
                    VolumeId::from(ebs.volume_id().unwrap_or_default()),
                    ebs.delete_on_termination().unwrap_or_default(),
                )
            })
            .collect();
        disks.sort();
        disks
    }
}

/// Check, act, verify; the same again, as after a lost reply; then check once more.
pub async fn act_twice(drive: &Drive<'_>) -> Value {
    let before = drive.needed().await;
    drive.act(&before).await.expect("the act");
    assert_done(&drive.settled(&before).await);
    drive.act(&before).await.expect("the act again");
    assert_done(&drive.settled(&before).await);
    assert_already(drive.check().await);
    before
}

/// Undo, twice; then the look before must find what it found the first time.
pub async fn undo_twice(drive: &Drive<'_>, before: &Value) {
    drive.undo(before).await.expect("the undo");
    assert_eq!(drive.needed().await, *before);
    drive.undo(before).await.expect("the undo again");
    assert_eq!(drive.needed().await, *before);
}

#[track_caller]
pub fn assert_impossible(checked: Checked, about: &str) {
    match checked {
        Checked::Impossible { why } => assert!(why.contains(about), "{why}"),
        other => panic!("expected the impossible, got {other:?}"),
    }
}

//! Instances, volumes, nodes and pods: made for a test, and looked at after it.

use serde_json::{Value, json};

use crate::ground::{CLUSTER, Ground, NAMESPACE, REGION};

const EC2: &str = "2016-11-15";

/// An instance with its volumes.
pub struct Machine {
    pub id: String,
    pub interface: String,
    /// The root volume first.
    pub volumes: Vec<String>,
}

/// An evidence snapshot.
#[derive(Debug)]
pub struct Snapshot {
    pub volume: String,
    pub tags: Vec<String>,
}

impl Ground {
    pub fn ec2(&self, action: &str, form: &[(&str, &str)]) -> String {
        self.ec2_in(REGION, action, form)
    }

    pub fn ec2_in(&self, region: &str, action: &str, form: &[(&str, &str)]) -> String {
        let mut whole = vec![("Action", action), ("Version", EC2)];
        whole.extend(form);
        self.account
            .query(region, "ec2", &whole)
            .expect("the test server does it")
    }

    /// A node of the cluster, with a volume for each of these claims and a pod for each user.
    pub fn node(&self, users: &[&str]) -> Machine {
        let mut machine = self.machine_in(REGION);
        let tag = format!("kubernetes.io/cluster/{CLUSTER}");
        self.tag(&machine.id, &tag, "owned");
        for (index, user) in users.iter().enumerate() {
            let claim = format!("claim-{user}");
            let volume = self.volume(&machine.id, &format!("/dev/sd{}", letter(index)));
            self.tag(&volume, "kubernetes.io/created-for/pvc/name", &claim);
            self.tag(
                &volume,
                "kubernetes.io/created-for/pvc/namespace",
                NAMESPACE,
            );
            self.tag(&volume, "osl-stackname", "hub");
            self.put_claim(user, &claim, &volume);
            machine.volumes.push(volume);
        }
        let name = format!("node-{}", machine.id);
        self.cluster.put(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"providerID": format!("aws:///{REGION}a/{}", machine.id)},
        }));
        for user in users {
            self.cluster.put(pod(user, &name));
        }
        machine
    }

    /// A node of a cluster that is in no cloud, with a pod for each user.
    pub fn bare_node(&self, name: &str, users: &[&str]) {
        self.cluster.put(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE},
        }));
        self.cluster.put(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {},
        }));
        for user in users {
            self.cluster.put(pod(user, name));
        }
    }

    fn put_claim(&self, user: &str, claim: &str, volume: &str) {
        self.cluster.put(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": claim, "namespace": NAMESPACE,
                "annotations": {"hub.jupyter.org/username": user},
            },
            "spec": {"volumeName": format!("pvc-{user}")},
        }));
        self.cluster.put(json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": format!("pvc-{user}")},
            "spec": {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": volume}},
        }));
    }

    /// An instance with a root volume alone.
    pub fn machine_in(&self, region: &str) -> Machine {
        let image = self.ec2_in(
            region,
            "RegisterImage",
            &[("Name", "test"), ("RootDeviceName", "/dev/sda1")],
        );
        let ran = self.ec2_in(
            region,
            "RunInstances",
            &[
                ("ImageId", &first(&image, "imageId")),
                ("InstanceType", "m5.large"),
                ("MinCount", "1"),
                ("MaxCount", "1"),
                ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
                ("BlockDeviceMapping.1.Ebs.VolumeSize", "8"),
                ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ],
        );
        let id = first(&ran, "instanceId");
        let about = self.ec2_in(region, "DescribeInstances", &[("InstanceId.1", &id)]);
        Machine {
            interface: first(&about, "networkInterfaceId"),
            volumes: vec![first(&about, "volumeId")],
            id,
        }
    }

    fn volume(&self, instance: &str, device: &str) -> String {
        let zone = format!("{REGION}a");
        let made = self.ec2(
            "CreateVolume",
            &[("AvailabilityZone", &zone), ("Size", "9")],
        );
        let volume = first(&made, "volumeId");
        let form = [
            ("InstanceId", instance),
            ("Device", device),
            ("VolumeId", &volume),
        ];
        self.ec2("AttachVolume", &form);
        volume
    }

    pub fn tag(&self, resource: &str, key: &str, value: &str) {
        let form = [
            ("ResourceId.1", resource),
            ("Tag.1.Key", key),
            ("Tag.1.Value", value),
        ];
        self.ec2("CreateTags", &form);
    }

    /// `running`, `terminated`.
    pub fn state(&self, instance: &str) -> String {
        let about = self.ec2("DescribeInstances", &[("InstanceId.1", instance)]);
        let (_, rest) = about.split_once("<instanceState>").expect("a state");
        first(rest, "name")
    }

    pub fn set_termination_protection(&self, instance: &str) {
        let form = [
            ("InstanceId", instance),
            ("DisableApiTermination.Value", "true"),
        ];
        self.ec2("ModifyInstanceAttribute", &form);
    }

    /// The groups of a network interface.
    pub fn groups(&self, interface: &str) -> Vec<String> {
        let form = [("NetworkInterfaceId.1", interface)];
        let about = self.ec2("DescribeNetworkInterfaces", &form);
        let (_, rest) = about.split_once("<groupSet>").expect("groups");
        let (groups, _) = rest.split_once("</groupSet>").expect("groups");
        all(groups, "groupId")
    }

    /// The evidence there is.
    pub fn evidence(&self) -> Vec<Snapshot> {
        let about = self.ec2("DescribeSnapshots", &[("Owner.1", "self")]);
        // Asked for one by one: in the answer for many, tags stand before the id they belong to.
        let one = |id: &String| {
            let about = self.ec2("DescribeSnapshots", &[("SnapshotId.1", id)]);
            Snapshot {
                volume: first(&about, "volumeId"),
                tags: all(&about, "key"),
            }
        };
        all(&about, "snapshotId")
            .iter()
            .map(one)
            .filter(|it| it.tags.iter().any(|tag| tag == "davylamp:incident"))
            .collect()
    }

    /// How often a call was answered with success.
    pub fn did(&self, service: &str, action: &str) -> usize {
        let calls = self.proxy.calls_of(service, action);
        calls.iter().filter(|it| it.status == Some(200)).count()
    }

    /// The calls that did more than to read.
    pub fn writes(&self) -> Vec<String> {
        let reads = ["Describe", "List", "Get", "Head", "AssumeRole", "BatchGet"];
        let calls = self.proxy.calls();
        calls
            .iter()
            .filter(|it| !reads.iter().any(|verb| it.action.starts_with(verb)))
            .map(|it| format!("{}:{}", it.service, it.action))
            .collect()
    }

    /// What the cluster was asked beside reading.
    pub fn cluster_writes(&self) -> usize {
        let asked = self.cluster.requests();
        asked.iter().filter(|it| it.method != "GET").count()
    }
}

pub fn pod(user: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("jupyter-{user}"), "namespace": NAMESPACE,
            "labels": {"component": "singleuser-server"},
            "annotations": {"hub.jupyter.org/username": user},
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "notebook", "image": "notebook"}],
            "volumes": [{"name": "home",
                "persistentVolumeClaim": {"claimName": format!("claim-{user}")}}],
        },
        "status": {"phase": "Running"},
    })
}

fn letter(index: usize) -> char {
    char::from(b'f' + u8::try_from(index).expect("few volumes"))
}

#[track_caller]
pub fn first(xml: &str, name: &str) -> String {
    all(xml, name)
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("no {name} in {xml}"))
}

pub fn all(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(text, _)| text.to_owned())
        .collect()
}

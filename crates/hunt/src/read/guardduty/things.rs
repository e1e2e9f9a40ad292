//! What a finding is about and what was seen, all of it: of a sequence every resource and every
//! indicator.

use std::borrow::Cow;

use davylamp_model::finding::Behaviour;
use davylamp_model::intake::types;

use crate::read::cloudtrail::key_kind;
use crate::read::eks_audit::singular;
use crate::read::interfaces;
use crate::read::json::text_of;
use crate::read::leaves::{leaves, name};
use crate::read::members::{Texts, dig, items};
use crate::read::recipe::Row;

/// Indicators of a sequence that point at mining start so.
const MINING_INDICATOR: &str = "CRYPTOMINING";

/// Words in the names that scanners give to miners.
const MINER_WORDS: &[&str] = &["miner", "xmrig", "monero"];

/// The things of a finding.
#[derive(Debug, Default)]
pub(super) struct Things<'a> {
    pub instances: Texts<'a>,
    pub interfaces: Texts<'a>,
    pub clusters: Texts<'a>,
    pub workloads: Texts<'a>,
    pub pods: Texts<'a>,
    pub tasks: Texts<'a>,
    pub functions: Texts<'a>,
    pub keys: Texts<'a>,
    pub users: Texts<'a>,
    pub domains: Texts<'a>,
    pub addresses: Texts<'a>,
    pub names_mining: bool,
}

impl<'a> Things<'a> {
    /// Of a finding.
    pub fn of(row: &Row<'a>) -> Self {
        let mut things = Self::default();
        if let Some(resource) = row.members.get("resource") {
            things.resource(resource);
        }
        let service = row.members.get("service");
        if let Some(service) = service.or_else(|| row.members.get("finding")) {
            things.service(service);
        }
        things
    }

    fn resource(&mut self, resource: &'a [u8]) {
        let at = |path| dig(resource, path);
        leaves(resource, |keys, value| {
            if name(keys).eq_ignore_ascii_case(b"instanceId") {
                self.instances.add_value(Some(value));
            }
        });
        if let Some(machine) = at("instanceDetails") {
            let list = "networkInterfaces";
            interfaces::add_machine(&mut self.interfaces, machine, list, "networkInterfaceId");
        }
        self.clusters.add_value(at("eksClusterDetails.name"));
        self.clusters.add_value(at("ecsClusterDetails.name"));
        self.tasks
            .add_value(at("ecsClusterDetails.taskDetails.arn"));
        self.functions.add_value(at("lambdaDetails.functionName"));
        self.keys.add_value(at("accessKeyDetails.accessKeyId"));
        self.users.add_value(at("accessKeyDetails.userName"));
        if self.users.as_slice().is_empty() {
            self.users
                .add_value(at("kubernetesDetails.kubernetesUserDetails.username"));
        }
        if let Some(workload) = at("kubernetesDetails.kubernetesWorkloadDetails") {
            let part = |key| dig(workload, key).and_then(text_of);
            self.workload(part("namespace"), part("type"), part("name"));
        }
    }

    fn workload(
        &mut self,
        namespace: Option<Cow<'a, str>>,
        kind: Option<Cow<'a, str>>,
        name: Option<Cow<'a, str>>,
    ) {
        let (Some(kind), Some(name)) = (kind, name) else {
            return;
        };
        let kind = singular(&kind);
        let namespace = namespace.unwrap_or_default();
        self.workloads
            .add(Some(Cow::Owned(format!("{namespace}/{kind}/{name}"))));
        if kind == "pod" {
            self.pods.add(Some(name));
        }
    }

    fn service(&mut self, service: &'a [u8]) {
        leaves(service, |keys, value| {
            let is_within = |wanted: &[u8]| keys.iter().any(|key| key.eq_ignore_ascii_case(wanted));
            let key = name(keys);
            let is = |wanted: &[u8]| key.eq_ignore_ascii_case(wanted);
            let is_remote = (is(b"ipAddressV4") || is(b"ipAddressV6"))
                && is_within(b"remoteIpDetails")
                || is(b"ip") && is_within(b"endpoints");
            if is(b"domain") {
                self.domains.add_value(Some(value));
            } else if is_remote {
                self.addresses.add_value(Some(value));
            } else if is_within(b"threatNames")
                || is(b"threatName")
                || (is(b"name") && is_within(b"threats"))
            {
                let threat = text_of(value).unwrap_or_default().to_ascii_lowercase();
                self.names_mining |= MINER_WORDS.iter().any(|word| threat.contains(word));
            }
        });
        let Some(sequence) = dig(service, "detection.sequence") else {
            return;
        };
        for resource in items(dig(sequence, "resources")) {
            self.of_sequence(resource);
        }
        self.indicators(dig(sequence, "sequenceIndicators"));
        for signal in items(dig(sequence, "signals")) {
            let kind = dig(signal, "name").and_then(text_of).unwrap_or_default();
            self.names_mining |= types::behaviour(&kind) == Behaviour::Mining;
            self.indicators(dig(signal, "signalIndicators"));
        }
    }

    /// A resource of a sequence, whose name or uid says which one it is.
    fn of_sequence(&mut self, resource: &'a [u8]) {
        let part = |key| dig(resource, key).and_then(text_of);
        let kind = part("resourceType")
            .unwrap_or_default()
            .to_ascii_uppercase();
        let named = |is_it: &dyn Fn(&str) -> bool| {
            [part("name"), part("uid")]
                .into_iter()
                .flatten()
                .find(|text| is_it(text))
        };
        // The last part of an ARN, or a text that is none.
        let last = |text: Cow<'a, str>| match text.rsplit_once('/') {
            Some((_, last)) => Cow::Owned(last.to_owned()),
            None => text,
        };
        match kind.as_str() {
            "EC2_INSTANCE" => {
                let is_instance = |text: &str| {
                    text.rsplit('/')
                        .next()
                        .is_some_and(|last| last.starts_with("i-"))
                };
                self.instances.add(named(&is_instance).map(last));
                for interface in items(dig(resource, "data.ec2Instance.ec2NetworkInterfaceUids")) {
                    let instance = ["name", "uid"].map(|key| dig(resource, key));
                    let is_one = |json: &&[u8]| text_of(json).is_some_and(|it| is_instance(&it));
                    let instance = instance.into_iter().flatten().find(is_one);
                    interfaces::add(&mut self.interfaces, instance, Some(interface));
                }
            }
            "EKS_CLUSTER" | "ECS_CLUSTER" => {
                self.clusters.add(named(&|text| !text.is_empty()).map(last));
            }
            "ECS_TASK" => self.tasks.add(named(&|text| text.starts_with("arn:"))),
            "LAMBDA_FUNCTION" => self.functions.add(named(&|text| !text.is_empty())),
            "ACCESS_KEY" => {
                self.keys.add(named(&|text| key_kind(text).is_some()));
                self.users
                    .add_value(dig(resource, "data.accessKey.userName"));
            }
            "KUBERNETES_WORKLOAD" => self.workload(
                part("data.kubernetesWorkload.namespace"),
                part("data.kubernetesWorkload.type"),
                part("name"),
            ),
            _ => {}
        }
    }

    fn indicators(&mut self, list: Option<&'a [u8]>) {
        for indicator in items(list) {
            let key = dig(indicator, "key").and_then(text_of).unwrap_or_default();
            let key = key.to_ascii_uppercase();
            self.names_mining |= key.starts_with(MINING_INDICATOR);
            for value in items(dig(indicator, "values")) {
                match key.as_str() {
                    "CRYPTOMINING_DOMAIN" | "MALICIOUS_DOMAIN" => {
                        self.domains.add_value(Some(value));
                    }
                    "CRYPTOMINING_IP" | "MALICIOUS_IP" | "TOR_IP" => {
                        self.addresses.add_value(Some(value));
                    }
                    _ => {}
                }
            }
        }
    }
}

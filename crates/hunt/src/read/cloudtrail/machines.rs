//! The machines that a call names, asks for or starts, and what it does about them.

use davylamp_content::prices::{self, Machine};

use crate::read::interfaces;
use crate::read::json::text_of;
use crate::read::leaves::{leaves, name};
use crate::read::members::{Texts, dig, items, truth};
use crate::read::recipe::integer;

/// Networks that mean everybody.
const WORLD: &[&str] = &["0.0.0.0/0", "::/0"];

/// No spelling of these in JSON is longer, but with escapes that nobody writes.
const MAX_WORLD_BYTES: usize = 16;

const PROTECTION: &[u8] = b"disableApiTermination";

/// Families of instance types with accelerators, for types that are not in the table of prices
/// (Amazon EC2 instance types guide, "Accelerated computing").
const ACCELERATED_WORDS: &[&str] = &["dl", "inf", "trn", "vt1", "f1", "f2"];
const ACCELERATED_LETTERS: &[&str] = &["p", "gr", "g"];

/// What an event says of machines.
#[derive(Debug, Default)]
pub(super) struct Machines {
    pub ids: Option<String>,
    pub interfaces: Option<String>,
    pub types: Option<String>,
    pub count: Option<i64>,
    pub vcpus: Option<i64>,
    pub has_accelerator: Option<bool>,
    pub price_per_hour: Option<f64>,
    pub opens_public: bool,
    pub is_protected: bool,
}

/// What is found in one walk through request and response.
#[derive(Debug, Default)]
struct Found<'a> {
    ids: Texts<'a>,
    types: Texts<'a>,
    has_public_address: bool,
    names_world: bool,
    is_protected: bool,
}

impl Machines {
    /// Of an event with this name.
    pub fn of(
        event: &str,
        request: Option<&[u8]>,
        response: Option<&[u8]>,
        service: Option<&[u8]>,
    ) -> Self {
        let mut found = Found::default();
        for json in [request, response, service].into_iter().flatten() {
            leaves(json, |keys, value| found.take(keys, value));
        }
        found.types.sort();
        let count = count(event, request, response);
        let is_named = |path: &str| request.and_then(|json| dig(json, path)).and_then(text_of);
        let by_attribute = is_named("attribute").is_some_and(|name| name.as_bytes() == PROTECTION)
            && is_named("value").is_some_and(|value| truth(&value) == Some(true));
        let mut machines = Self {
            ids: found.ids.joined(),
            interfaces: interfaces_of(event, request, response),
            types: found.types.joined(),
            count,
            opens_public: found.has_public_address
                || event == "AssociateAddress"
                || (event == "AuthorizeSecurityGroupIngress" && found.names_world),
            is_protected: found.is_protected || by_attribute,
            ..Self::default()
        };
        machines.judge(&found.types);
        machines
    }

    fn judge(&mut self, types: &Texts<'_>) {
        let types = types.as_slice();
        if types.is_empty() {
            return;
        }
        let table = prices::shipped().ok();
        let known = |name: &str| table.and_then(|table| table.machine(bare(name)));
        let count = self.count.unwrap_or(1);
        let vcpus: Option<Vec<u32>> = types
            .iter()
            .map(|name| known(name).and_then(|machine| machine.vcpus))
            .collect();
        self.vcpus = vcpus
            .and_then(|vcpus| vcpus.into_iter().max())
            .map(|vcpus| i64::from(vcpus).saturating_mul(count));
        let is_accelerated = |name: &str| {
            known(name).is_some_and(|machine| machine.is_accelerated) || is_accelerated_family(name)
        };
        self.has_accelerator = Some(types.iter().any(|name| is_accelerated(name)));
        if let [only] = types {
            let micros = known(only).and_then(|machine: &Machine| machine.micros_per_hour);
            self.price_per_hour = micros.map(|micros| micros as f64 * count as f64 / 1e6);
        }
    }
}

impl<'a> Found<'a> {
    fn take(&mut self, keys: &[&'a [u8]], value: &'a [u8]) {
        let key = name(keys);
        let is_true = || text_of(value).and_then(|text| truth(&text)) == Some(true);
        match key.len() {
            // instanceId, instanceIds, instanceIdSet and the items of an XML list of them.
            10 | 11 | 13 if key[..10].eq_ignore_ascii_case(b"instanceId") => {
                self.ids.add_value(Some(value));
            }
            12 | 13 if key[..12].eq_ignore_ascii_case(b"instanceType") => {
                self.types.add_value(Some(value));
            }
            4 if key == b"item"
                && keys
                    .iter()
                    .any(|key| key.eq_ignore_ascii_case(b"instanceIds")) =>
            {
                self.ids.add_value(Some(value));
            }
            21 | 5 if key == PROTECTION || (key == b"value" && keys.contains(&PROTECTION)) => {
                self.is_protected |= is_true();
            }
            24 if key.eq_ignore_ascii_case(b"associatePublicIpAddress") => {
                self.has_public_address |= is_true();
            }
            _ => {
                self.names_world |= value.len() <= MAX_WORLD_BYTES
                    && text_of(value).is_some_and(|text| WORLD.contains(&&*text));
            }
        }
    }
}

/// The interfaces of machines that a call started, or gave one.
fn interfaces_of(event: &str, request: Option<&[u8]>, response: Option<&[u8]>) -> Option<String> {
    let mut pairs = Texts::default();
    match event {
        "RunInstances" => {
            for machine in items(response.and_then(|json| dig(json, "instancesSet.items"))) {
                let list = "networkInterfaceSet.items";
                interfaces::add_machine(&mut pairs, machine, list, "networkInterfaceId");
            }
        }
        "AttachNetworkInterface" => {
            let at = |path| request.and_then(|json| dig(json, path));
            interfaces::add(&mut pairs, at("instanceId"), at("networkInterfaceId"));
        }
        _ => {}
    }
    pairs.joined()
}

/// How many machines a call started or, where it does not say, asked for.
fn count(event: &str, request: Option<&[u8]>, response: Option<&[u8]>) -> Option<i64> {
    let started = |path: &str| {
        let started = items(response.and_then(|json| dig(json, path))).len();
        i64::try_from(started).ok().filter(|count| *count > 0)
    };
    let asked = |wanted: &str| {
        let mut sum: Option<i64> = None;
        leaves(request.unwrap_or_default(), |keys, value| {
            if name(keys).eq_ignore_ascii_case(wanted.as_bytes())
                && let Some(count) = text_of(value).and_then(|text| integer(&text))
            {
                sum = Some(sum.unwrap_or(0).saturating_add(count));
            }
        });
        sum
    };
    match event {
        "RunInstances" => started("instancesSet.items").or_else(|| asked("maxCount")),
        "RequestSpotInstances" => asked("instanceCount"),
        "RequestSpotFleet" => asked("targetCapacity"),
        "CreateFleet" => asked("TotalTargetCapacity"),
        "CreateAutoScalingGroup" => asked("desiredCapacity").or_else(|| asked("minSize")),
        _ => None,
    }
}

/// The name of a type without the service in front of it.
fn bare(name: &str) -> &str {
    name.strip_prefix("ml.").unwrap_or(name)
}

fn is_accelerated_family(name: &str) -> bool {
    let name = bare(name);
    let starts_numbered = |letters: &&str| {
        name.strip_prefix(*letters)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    ACCELERATED_WORDS.iter().any(|word| name.starts_with(word))
        || ACCELERATED_LETTERS.iter().any(starts_numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, request: &str, response: &str, expected: &str) {
        let machines = Machines::of(
            event,
            Some(request.as_bytes()),
            Some(response.as_bytes()),
            None,
        );
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let number = |number: Option<f64>| {
            number.map_or_else(|| "-".to_owned(), |number| number.to_string())
        };
        let shown = format!(
            "{} {} {} {} {} {}",
            text(&machines.ids),
            text(&machines.types),
            number(machines.count.map(|count| count as f64)),
            number(machines.vcpus.map(|vcpus| vcpus as f64)),
            number(machines.price_per_hour),
            match machines.has_accelerator {
                Some(true) => "gpu",
                Some(false) => "no-gpu",
                None => "-",
            },
        );
        assert_eq!(shown, expected, "{event} {request} {response}");
    }

    #[test]
    fn machines_are_counted_and_priced() {
        check(
            "RunInstances",
            r#"{"instanceType":"p3.16xlarge","instancesSet":{"items":[{"minCount":1,"maxCount":4}]}}"#,
            "null",
            "- p3.16xlarge 4 256 97.92 gpu",
        );
        check(
            "RunInstances",
            r#"{"instanceType":"p3.16xlarge","instancesSet":{"items":[{"maxCount":4}]}}"#,
            r#"{"instancesSet":{"items":[{"instanceId":"i-1","instanceType":"p3.16xlarge"},{"instanceId":"i-2"}]}}"#,
            "i-1,i-2 p3.16xlarge 2 128 48.96 gpu",
        );
        check(
            "CreateFleet",
            r#"{"CreateFleetRequest":{"TargetCapacitySpecification":{"TotalTargetCapacity":3},"LaunchTemplateConfigs":{"Overrides":[{"InstanceType":"m5.large"},{"InstanceType":"c5.large"},{"InstanceType":"m5.large"}]}}}"#,
            "{}",
            "- c5.large,m5.large 3 6 - no-gpu",
        );
        check(
            "CreateAutoScalingGroup",
            r#"{"minSize":2,"maxSize":9}"#,
            "null",
            "- - 2 - - -",
        );
        check(
            "CreateComputeEnvironment",
            r#"{"computeResources":{"instanceTypes":["g99.large","p99"]}}"#,
            "null",
            "- g99.large,p99 - - - gpu",
        );
        check(
            "StopInstances",
            r#"{"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-1"}]}}"#,
            "[[[",
            "i-1 - - - - -",
        );
    }

    fn check_effect(event: &str, request: &str, opens: bool, protects: bool) {
        let machines = Machines::of(event, Some(request.as_bytes()), None, None);
        let found = (machines.opens_public, machines.is_protected);
        assert_eq!(found, (opens, protects), "{event} {request}");
    }

    #[test]
    fn open_doors_and_protection_are_seen_at_any_depth() {
        let rule = "AuthorizeSecurityGroupIngress";
        check_effect(
            rule,
            r#"{"a":{"items":[{"cidrIp":"0.0.0.0/0"}]}}"#,
            true,
            false,
        );
        check_effect(
            rule,
            r#"{"a":{"items":[{"cidrIpv6":"::/0"}]}}"#,
            true,
            false,
        );
        check_effect(
            rule,
            r#"{"a":{"items":[{"cidrIp":"10.0.0.0/8"}]}}"#,
            false,
            false,
        );
        check_effect(
            "RevokeSecurityGroupIngress",
            r#"{"cidrIp":"0.0.0.0/0"}"#,
            false,
            false,
        );
        check_effect("AssociateAddress", "{}", true, false);
        check_effect(
            "RunInstances",
            r#"{"networkInterfaceSet":{"items":[{"associatePublicIpAddress":true}]}}"#,
            true,
            false,
        );
        check_effect(
            "RunInstances",
            r#"{"disableApiTermination":true}"#,
            false,
            true,
        );
        check_effect(
            "RunInstances",
            r#"{"disableApiTermination":false}"#,
            false,
            false,
        );
        let modify = "ModifyInstanceAttribute";
        check_effect(
            modify,
            r#"{"disableApiTermination":{"value":true}}"#,
            false,
            true,
        );
        check_effect(
            modify,
            r#"{"disableApiTermination":{"value":false}}"#,
            false,
            false,
        );
        check_effect(
            modify,
            r#"{"attribute":"disableApiTermination","value":"true"}"#,
            false,
            true,
        );
        check_effect(
            modify,
            r#"{"attribute":"userData","value":"true"}"#,
            false,
            false,
        );
    }
}

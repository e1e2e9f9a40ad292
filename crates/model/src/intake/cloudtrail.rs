//! CloudTrail calls that mean something by themselves: a door opened, a sensor stopped, root used.
//!
//! The record is described in the CloudTrail user guide, "CloudTrail record contents":
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.
//! A call that failed changed nothing: it is reported as [`Behaviour::Other`] and acted on by
//! nobody. Every other call is passed over and counted under its name.

use serde_json::Value;

use crate::finding::{Behaviour, Finding, FindingSource, Severity};
use crate::ids::FindingId;
use crate::resource::{KeyHolder, Resource};

use super::forms::{Envelope, Found};
use super::guardduty::{id_or_digest, place};
use super::members::{Gaps, Members};
use super::names::{self, quoted};
use super::observed::Observations;

/// What a call that matters is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matter {
    /// Machines were started.
    Start,
    /// An address was given to an interface or instance.
    Address,
    /// An interface's attributes were changed.
    InterfaceChange,
    /// A sensor sees less than before, whatever the call's parameters.
    Sensor,
    /// A detector was changed: off, or less of it on.
    Detector,
    /// What a trail records was changed.
    Selectors,
}

/// The calls that matter, by service.
const CALLS: &[(&str, &str, Matter)] = &[
    ("ec2", "RunInstances", Matter::Start),
    ("ec2", "StartInstances", Matter::Start),
    ("ec2", "AssociateAddress", Matter::Address),
    (
        "ec2",
        "ModifyNetworkInterfaceAttribute",
        Matter::InterfaceChange,
    ),
    ("ec2", "DeleteFlowLogs", Matter::Sensor),
    ("cloudtrail", "StopLogging", Matter::Sensor),
    ("cloudtrail", "DeleteTrail", Matter::Sensor),
    ("cloudtrail", "UpdateTrail", Matter::Sensor),
    ("cloudtrail", "PutEventSelectors", Matter::Selectors),
    ("guardduty", "DeleteDetector", Matter::Sensor),
    ("guardduty", "UpdateDetector", Matter::Detector),
    (
        "guardduty",
        "DisassociateFromAdministratorAccount",
        Matter::Sensor,
    ),
    ("guardduty", "DisassociateFromMasterAccount", Matter::Sensor),
    ("guardduty", "DisassociateMembers", Matter::Sensor),
    ("guardduty", "DeleteMembers", Matter::Sensor),
    ("guardduty", "StopMonitoringMembers", Matter::Sensor),
    ("config", "StopConfigurationRecorder", Matter::Sensor),
    ("config", "DeleteConfigurationRecorder", Matter::Sensor),
    (
        "route53resolver",
        "DeleteResolverQueryLogConfig",
        Matter::Sensor,
    ),
    (
        "route53resolver",
        "DisassociateResolverQueryLogConfig",
        Matter::Sensor,
    ),
    ("securityhub", "DisableSecurityHub", Matter::Sensor),
];

/// What a call amounts to.
struct Judged {
    behaviour: Behaviour,
    severity: Severity,
    resources: Vec<Resource>,
    title: String,
}

/// Reads a record.
pub(super) fn read(value: &Value, envelope: &Envelope) -> Found {
    let gaps = Gaps::default();
    let call = Members::of(value, &gaps);
    let source = call.text("eventSource").unwrap_or_default();
    let service = source.split('.').next().unwrap_or_default();
    let name = call.text("eventName").unwrap_or_default();
    let kind = format!("{}:{}", quoted(service), quoted(name));
    let failure = failure(call);
    let root = is_root(call);
    let matter = CALLS
        .iter()
        .find(|(of, known, _)| of.eq_ignore_ascii_case(service) && known.eq_ignore_ascii_case(name))
        .map(|(_, _, matter)| *matter);
    let mut seen = Observations::default();
    let mut judged: Vec<(&str, Judged)> = Vec::new();
    if let Some(found) = matter.and_then(|matter| judge(matter, &kind, call, &mut seen)) {
        judged.push(("", found));
    }
    if root {
        let key = call
            .text_at(&["userIdentity", "accessKeyId"])
            .and_then(|key| names::access_key(key, &gaps));
        judged.push((
            "/root",
            Judged {
                behaviour: Behaviour::RootUsed,
                severity: Severity::High,
                resources: vec![Resource::AccessKey {
                    key,
                    holder: KeyHolder::Root,
                }],
                title: format!("The account's root called {kind}"),
            },
        ));
    }
    if judged.is_empty() {
        return Found::Nothing(format!("CloudTrail {kind}"));
    }
    seen.add("api-call", Some(&kind));
    seen.add("principal", call.text_at(&["userIdentity", "arn"]));
    seen.add("access-key", call.text_at(&["userIdentity", "accessKeyId"]));
    seen.add("remote-address", call.text("sourceIPAddress"));
    seen.add("user-agent", call.text("userAgent"));
    seen.add("error", failure.as_deref());
    let place = place(
        call.text("recipientAccountId")
            .or_else(|| call.text_at(&["userIdentity", "accountId"])),
        call.text("awsRegion"),
        envelope,
        &gaps,
    );
    let at = call.time("eventTime").or(envelope.time);
    let id = id_or_digest(call.text("eventID"), value, &gaps);
    let observed = seen.finish(call);
    let gaps = gaps.noted();
    let findings = judged.into_iter().map(|(suffix, judged)| {
        let failed = failure.as_deref();
        Finding {
            // One call may be two findings, and each needs an id of its own.
            id: FindingId(format!("{id}{suffix}")),
            source: FindingSource::CloudTrail,
            kind: kind.clone(),
            behaviour: failed.map_or(judged.behaviour, |_| Behaviour::Other),
            title: match failed {
                Some(error) => format!("{kind} was called and failed: {}", quoted(error)),
                None => judged.title,
            },
            severity: failed.map_or(judged.severity, |_| Severity::Low),
            place: place.clone(),
            resources: judged.resources,
            first_seen: at,
            last_seen: at,
            count: 1,
            sample: false,
            archived: false,
            detector: None,
            observed: observed.clone(),
            gaps: gaps.clone(),
        }
    });
    Found::Findings(findings.collect())
}

/// The error of a call that failed. A console login says so in its response.
fn failure(call: Members<'_>) -> Option<String> {
    if let Some(code) = call.text("errorCode") {
        return Some(code.to_owned());
    }
    let login = call.text_at(&["responseElements", "ConsoleLogin"]);
    let failed = login.is_some_and(|said| !said.eq_ignore_ascii_case("Success"));
    (failed || call.has("errorMessage")).then(|| {
        call.text("errorMessage")
            .or(login)
            .unwrap_or("no reason is given")
            .to_owned()
    })
}

/// Whether the account's root made the call itself. A service that acts in its name is not it.
fn is_root(call: Members<'_>) -> bool {
    let Some(identity) = call.get("userIdentity") else {
        return false;
    };
    let service = call
        .text("eventType")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("AwsServiceEvent"));
    identity
        .text("type")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("Root"))
        && !identity.has("invokedBy")
        && !service
}

fn judge(matter: Matter, kind: &str, call: Members<'_>, seen: &mut Observations) -> Option<Judged> {
    match matter {
        Matter::Start => started(kind, call, seen),
        Matter::Address => Some(addressed(call, seen)),
        Matter::InterfaceChange => interface(call, seen),
        Matter::Sensor => Some(sensor(kind)),
        Matter::Detector => detector_is_less(call).then(|| sensor(kind)),
        Matter::Selectors => selectors_are_less(call).then(|| sensor(kind)),
    }
}

fn sensor(kind: &str) -> Judged {
    Judged {
        behaviour: Behaviour::SensorStopped,
        severity: Severity::High,
        resources: vec![Resource::Account],
        title: format!("A sensor was stopped or sees less: {kind}"),
    }
}

/// Whether a detector was turned off, or a part of it.
fn detector_is_less(call: Members<'_>) -> bool {
    let Some(request) = call.get("requestParameters") else {
        call.note(
            "The call's parameters are missing: whether the detector was turned off is unknown.",
        );
        return true;
    };
    let off = request.flag("enable") == Some(false);
    let feature_off = request.items("features").iter().any(|feature| {
        feature
            .text("status")
            .is_some_and(|status| status.eq_ignore_ascii_case("DISABLED"))
    });
    off || feature_off || request.has("dataSources")
}

/// Whether a trail may record less than everything about management. Advanced selectors are a
/// language of their own; they count as less.
fn selectors_are_less(call: Members<'_>) -> bool {
    let Some(request) = call.get("requestParameters") else {
        call.note("The call's parameters are missing: what the trail still records is unknown.");
        return true;
    };
    let selectors = request.items("eventSelectors");
    let whole = |selector: &Members<'_>| {
        selector.flag("includeManagementEvents") != Some(false)
            && selector
                .text("readWriteType")
                .is_none_or(|kind| kind.eq_ignore_ascii_case("All"))
            && selector.items("excludeManagementEventSources").is_empty()
    };
    selectors.is_empty() || !selectors.iter().all(whole)
}

/// Whether a start gives a public address, as far as the call says.
enum Public {
    Yes,
    No,
    NotSaid,
}

fn started(kind: &str, call: Members<'_>, seen: &mut Observations) -> Option<Judged> {
    let set = |parent: &str, name: &str| {
        call.at(&[parent, name])
            .map(|set| set.items("items"))
            .unwrap_or_default()
    };
    let started = set("responseElements", "instancesSet");
    // A refused call has no response; StartInstances then still names what it asked for.
    let named = if started.is_empty() {
        set("requestParameters", "instancesSet")
    } else {
        started.clone()
    };
    let mut resources = Vec::new();
    for instance in &named {
        let id = instance
            .text("instanceId")
            .and_then(|id| names::instance(id, call.gaps()));
        resources.extend(id.filter(|id| !resources.contains(id)));
    }
    let asked: Vec<bool> = set("requestParameters", "networkInterfaceSet")
        .iter()
        .filter_map(|interface| interface.flag("associatePublicIpAddress"))
        .collect();
    let mut addresses: Vec<&str> = Vec::new();
    for instance in &started {
        addresses.extend(instance.text("ipAddress"));
        addresses.extend(instance.text("publicIpAddress"));
        let interfaces = instance
            .get("networkInterfaceSet")
            .map(|set| set.items("items"))
            .unwrap_or_default();
        for interface in interfaces {
            addresses.extend(interface.text_at(&["association", "publicIp"]));
        }
    }
    for address in &addresses {
        seen.add("public-address", Some(address));
    }
    let public = if !addresses.is_empty() || asked.contains(&true) {
        Public::Yes
    } else if !asked.is_empty() {
        Public::No
    } else {
        Public::NotSaid
    };
    let failed = failure(call).is_some();
    if resources.is_empty() && !failed {
        call.note("The call does not name the instances that were started.");
    }
    let (severity, title) = match public {
        Public::No => return None,
        Public::Yes => (
            Severity::Medium,
            format!("Instances with a public address were started: {kind}"),
        ),
        Public::NotSaid => {
            if !failed {
                call.note(
                    "The call does not say whether the instances have a public address: their \
                     subnet's setting decides.",
                );
            }
            (
                Severity::Low,
                format!("Instances were started that may have a public address: {kind}"),
            )
        }
    };
    Some(Judged {
        behaviour: Behaviour::PublicExposure,
        severity,
        resources,
        title,
    })
}

fn addressed(call: Members<'_>, seen: &mut Observations) -> Judged {
    let request = |name| call.text_at(&["requestParameters", name]);
    seen.add("public-address", request("publicIp"));
    seen.add("address-allocation", request("allocationId"));
    let interface = request("networkInterfaceId");
    seen.add("interface", interface);
    let instance = request("instanceId").and_then(|id| names::instance(id, call.gaps()));
    let resource = match (instance, interface) {
        (Some(instance), _) => Some(instance),
        (None, Some(_)) => Some(unnamed_interface(call)),
        (None, None) => {
            call.note("The call does not name what the address was given to.");
            None
        }
    };
    Judged {
        behaviour: Behaviour::PublicExposure,
        severity: Severity::Medium,
        resources: resource.into_iter().collect(),
        title: "A public address was associated".to_owned(),
    }
}

/// An interface whose instance the call does not name.
fn unnamed_interface(call: Members<'_>) -> Resource {
    call.note("The call names an interface and not the instance it belongs to.");
    Resource::Unknown {
        kind: "network interface".to_owned(),
    }
}

/// Only a change that gives a public address is a door.
fn interface(call: Members<'_>, seen: &mut Observations) -> Option<Judged> {
    let request = call.get("requestParameters")?;
    let public = request
        .flag("associatePublicIpAddress")
        .or_else(|| request.get("associatePublicIpAddress")?.flag("value"));
    if public != Some(true) {
        return None;
    }
    seen.add("interface", request.text("networkInterfaceId"));
    Some(Judged {
        behaviour: Behaviour::PublicExposure,
        severity: Severity::Medium,
        resources: vec![unnamed_interface(call)],
        title: "An interface was given a public address".to_owned(),
    })
}

//! Security Hub's ASFF (AWS Security Finding Format), above all for findings of GuardDuty.
//!
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html>.
//! Security Hub writes GuardDuty's types with a hyphen for the slash and a taxonomy before them:
//! `TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B!DNS`; GuardDuty's own `service` stands
//! in `ProductFields`, its path joined with slashes.

use serde_json::Value;

use crate::finding::{Behaviour, Finding, FindingSource, Severity};
use crate::ids::AccessKeyId;
use crate::resource::{KeyHolder, Place, Resource};

use super::arn::ArnParts;
use super::forms::Envelope;
use super::guardduty::{SAMPLE_TITLE, id_or_digest, is_detector, place, says_sample, severity_of};
use super::members::{Gaps, Members};
use super::names::{self, quoted};
use super::observed::Observations;
use super::types;

/// Reads a finding.
pub(super) fn read(value: &Value, envelope: &Envelope) -> Finding {
    let gaps = Gaps::default();
    let finding = Members::of(value, &gaps);
    let fields = finding.get("ProductFields");
    let field = |name: &str| {
        fields.and_then(|fields| fields.text(&format!("aws/guardduty/service/{name}")))
    };
    let kind = kind(finding);
    let behaviour = types::behaviour(&kind);
    let place = place(
        finding.text("AwsAccountId"),
        finding.text("Region"),
        envelope,
        &gaps,
    );
    let mut seen = Observations::default();
    observe(&mut seen, finding, &field);
    let title = finding.text("Title").unwrap_or(&kind).to_owned();
    let resources = resources(finding, behaviour, place.as_ref(), &mut seen);
    let sample = finding.flag("Sample") == Some(true)
        || title.starts_with(SAMPLE_TITLE)
        || field("additionalInfo/sample").is_some_and(|said| said.eq_ignore_ascii_case("true"))
        || field("additionalInfo/value").is_some_and(says_sample)
        || field("additionalInfo").is_some_and(says_sample);
    let archived = says(finding, &["RecordState"], &["ARCHIVED"])
        || says(
            finding,
            &["Workflow", "Status"],
            &["SUPPRESSED", "RESOLVED"],
        )
        || field("archived").is_some_and(|said| said.eq_ignore_ascii_case("true"));
    let time = |names: &[&str]| names.iter().find_map(|name| finding.time(name));
    let read = Finding {
        id: id_or_digest(finding.text("Id"), value, &gaps),
        source: FindingSource::SecurityHub,
        behaviour,
        title,
        severity: severity(finding),
        place,
        resources,
        first_seen: time(&["FirstObservedAt", "CreatedAt"]),
        last_seen: time(&["LastObservedAt", "UpdatedAt"]),
        count: field("count")
            .and_then(|count| count.parse().ok())
            .unwrap_or(1),
        sample,
        archived,
        detector: field("detectorId")
            .filter(|id| is_detector(id, &gaps))
            .map(str::to_owned),
        observed: seen.finish(finding),
        gaps: Vec::new(),
        kind,
    };
    Finding {
        gaps: gaps.noted(),
        ..read
    }
}

fn says(finding: Members<'_>, path: &[&str], words: &[&str]) -> bool {
    finding
        .text_at(path)
        .is_some_and(|said| words.iter().any(|word| said.eq_ignore_ascii_case(word)))
}

fn kind(finding: Members<'_>) -> String {
    let listed = finding.texts("Types");
    if listed.len() > 1 {
        finding.note("The finding has several types; the first that is known is used.");
    }
    let kinds: Vec<String> = listed.into_iter().map(guardduty_kind).collect();
    let known = kinds
        .iter()
        .find(|kind| types::behaviour(kind) != Behaviour::Unknown)
        .or(kinds.first());
    match known {
        Some(kind) => kind.clone(),
        None => {
            finding.note("The finding has no type.");
            String::new()
        }
    }
}

/// A type as GuardDuty spells it.
pub(super) fn guardduty_kind(text: &str) -> String {
    let Some(colon) = text.find(':') else {
        return text.to_owned();
    };
    let from = text[..colon].rfind('/').map_or(0, |slash| slash + 1);
    let (purpose, rest) = (&text[from..colon], &text[colon..]);
    if rest.contains('/') {
        format!("{purpose}{rest}")
    } else {
        format!("{purpose}{}", rest.replacen('-', "/", 1))
    }
}

fn severity(finding: Members<'_>) -> Severity {
    let severity = finding.get("Severity");
    let label = severity.and_then(|severity| severity.text("Label"));
    if let Some(known) = label.and_then(severity_of_label) {
        return known;
    }
    // `Product` is GuardDuty's own number; `Normalized` counts to a hundred.
    if let Some(number) = severity.and_then(|severity| severity.number("Product")) {
        return severity_of(number);
    }
    if let Some(number) = severity.and_then(|severity| severity.number("Normalized")) {
        return severity_of(number / 10.0);
    }
    finding.note("The finding has no severity; medium is assumed.");
    Severity::Medium
}

/// A severity by its name.
pub(super) fn severity_of_label(label: &str) -> Option<Severity> {
    match label.to_ascii_uppercase().as_str() {
        "INFORMATIONAL" | "LOW" => Some(Severity::Low),
        "MEDIUM" => Some(Severity::Medium),
        "HIGH" => Some(Severity::High),
        "CRITICAL" | "FATAL" => Some(Severity::Critical),
        _ => None,
    }
}

fn observe<'a>(
    seen: &mut Observations,
    finding: Members<'a>,
    field: &impl Fn(&str) -> Option<&'a str>,
) {
    const FIELDS: &[(&str, &str)] = &[
        ("domain", "action/dnsRequestAction/domain"),
        (
            "remote-address",
            "action/networkConnectionAction/remoteIpDetails/ipAddressV4",
        ),
        (
            "remote-port",
            "action/networkConnectionAction/remotePortDetails/port",
        ),
        (
            "remote-address",
            "action/awsApiCallAction/remoteIpDetails/ipAddressV4",
        ),
        ("api-call", "action/awsApiCallAction/api"),
        ("process", "runtimeDetails/process/executablePath"),
        ("sha256", "runtimeDetails/process/executableSha256"),
        ("process-user", "runtimeDetails/process/user"),
    ];
    for (what, name) in FIELDS {
        seen.add(what, field(name));
    }
    seen.add(
        "domain",
        finding.text_at(&["Action", "DnsRequestAction", "Domain"]),
    );
    let remote = ["RemoteIpDetails", "IpAddressV4"];
    for action in ["NetworkConnectionAction", "AwsApiCallAction"] {
        let path = ["Action", action, remote[0], remote[1]];
        seen.add("remote-address", finding.text_at(&path));
    }
    seen.add("process", finding.text_at(&["Process", "Path"]));
    for malware in finding.items("Malware") {
        seen.add("threat", malware.text("Name"));
        seen.add("file", malware.text("Path"));
    }
}

fn resources(
    finding: Members<'_>,
    behaviour: Behaviour,
    place: Option<&Place>,
    seen: &mut Observations,
) -> Vec<Resource> {
    let mut found: Vec<(u8, Resource)> = Vec::new();
    for item in finding.items("Resources") {
        let Some(kind) = item.text("Type") else {
            item.note("The finding names a resource without its type.");
            continue;
        };
        if kind.eq_ignore_ascii_case("Container") {
            seen.add("container", item.text("Id"));
            seen.add(
                "image",
                item.text_at(&["Details", "Container", "ImageName"]),
            );
            continue;
        }
        let resource = by_type(
            kind,
            item.text("Id"),
            item.get("Details"),
            place,
            item.gaps(),
        );
        let Some(resource) = resource else {
            continue;
        };
        let rank = rank(&resource, behaviour);
        if !found.iter().any(|(_, known)| *known == resource) {
            found.push((rank, resource));
        }
    }
    if found.is_empty() {
        finding.note("The finding names no resource that can be told.");
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, resource)| resource).collect()
}

/// What acts stands before what it runs on, and that before what holds it.
pub(super) fn rank(resource: &Resource, behaviour: Behaviour) -> u8 {
    match resource {
        Resource::AccessKey { .. } if behaviour == Behaviour::StolenCredential => 0,
        Resource::Workload { .. } | Resource::HubUser { .. } => 1,
        Resource::EcsTask { .. } | Resource::Function { .. } => 2,
        Resource::Instance { .. } => 3,
        Resource::EksCluster { .. } | Resource::EcsCluster { .. } => 6,
        Resource::AccessKey { .. } => 7,
        Resource::Account | Resource::AccountRegion { .. } | Resource::Unknown { .. } => 8,
        _ => 5,
    }
}

/// A resource by the type that Security Hub (`AwsEc2Instance`) or CloudFormation
/// (`AWS::EC2::Instance`) gives it.
pub(super) fn by_type(
    kind: &str,
    id: Option<&str>,
    details: Option<Members<'_>>,
    place: Option<&Place>,
    gaps: &Gaps,
) -> Option<Resource> {
    let folded = kind.replace("::", "").to_ascii_lowercase();
    if folded == "awsiamaccesskey" {
        return access_key(
            id,
            details.and_then(|details| details.get("AwsIamAccessKey")),
            gaps,
        );
    }
    let Some(id) = id else {
        gaps.note(format!(
            "The finding names a resource of type {} without its id.",
            quoted(kind)
        ));
        return None;
    };
    match folded.as_str() {
        "awsec2instance" | "awsec2volume" | "awsec2snapshot" | "awsec2image" => {
            names::ec2_by_arn(id, place, gaps)
        }
        "awsekscluster" => names::eks_cluster(id, gaps).map(|name| Resource::EksCluster { name }),
        "awsecscluster" => {
            names::arn(id, "ecs", "cluster", place, gaps).map(|arn| Resource::EcsCluster { arn })
        }
        "awsecstask" => ecs_task(id, details, place, gaps),
        "awslambdafunction" => names::function(id, place, gaps),
        "awss3bucket" => names::bucket(id, gaps),
        "awsiamuser" | "awsiamrole" => principal(id, place, gaps),
        "awsaccount" => Some(Resource::Account),
        _ => Some(Resource::Unknown { kind: quoted(kind) }),
    }
}

fn ecs_task(
    id: &str,
    details: Option<Members<'_>>,
    place: Option<&Place>,
    gaps: &Gaps,
) -> Option<Resource> {
    let details = details.and_then(|details| details.get("AwsEcsTask"));
    let cluster = details
        .and_then(|details| details.text("ClusterArn"))
        .and_then(|arn| names::arn(arn, "ecs", "cluster", place, gaps));
    let task = names::arn(id, "ecs", "task", place, gaps)?;
    let Some(cluster) = cluster else {
        gaps.note("The finding names a task without its cluster.");
        return None;
    };
    let launch = details.and_then(|details| details.text("LaunchType"));
    if launch.is_none() {
        gaps.note("The finding does not say whether the task runs on Fargate.");
    }
    Some(Resource::EcsTask {
        cluster,
        task,
        fargate: launch.is_some_and(|kind| kind.eq_ignore_ascii_case("FARGATE")),
    })
}

fn access_key(id: Option<&str>, details: Option<Members<'_>>, gaps: &Gaps) -> Option<Resource> {
    let quiet = Gaps::default();
    let detail = |name| details.and_then(|details| details.text(name));
    // The id reads `AWS::IAM::AccessKey:AKIA…`.
    let in_id = id.and_then(|id| id.rsplit(':').next());
    let key: Option<AccessKeyId> = [detail("AccessKeyId"), in_id]
        .into_iter()
        .flatten()
        .find_map(|key| names::access_key(key, &quiet));
    if key.is_none() {
        gaps.note("The finding names an access key without its id.");
    }
    let holder = names::holder(
        detail("PrincipalType"),
        detail("UserName").or_else(|| detail("PrincipalName")),
        detail("PrincipalId"),
        gaps,
    );
    names::key_of(key, holder, gaps)
}

/// A user or role named by its ARN, without a key.
fn principal(arn: &str, place: Option<&Place>, gaps: &Gaps) -> Option<Resource> {
    let parts = ArnParts::of(arn)
        .filter(|parts| parts.service == "iam" && parts.belongs_to(place))
        .map(|parts| parts.resource);
    let name = parts.and_then(|resource| resource.rsplit('/').next());
    let kind = parts.and_then(|resource| resource.split('/').next());
    let kind = match kind {
        Some("user") => "IAMUser",
        Some("role") => "AssumedRole",
        _ => {
            gaps.note(format!(
                "\"{}\" is not a user's or role's ARN.",
                quoted(arn)
            ));
            return None;
        }
    };
    let holder = names::holder(Some(kind), name, None, gaps);
    if matches!(holder, KeyHolder::Unknown { .. }) {
        return None;
    }
    Some(Resource::AccessKey { key: None, holder })
}

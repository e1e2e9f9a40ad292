//! Laws: reading is total, casing means nothing, and less said is never something else said.

use davylamp_model::intake::{self, Intake};
use davylamp_model::resource::{KeyHolder, Resource};
use proptest::prelude::*;
use serde_json::Value;

use crate::{FIXTURES, told};

fn json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "detail",
        "detail-type",
        "source",
        "type",
        "resource",
        "service",
        "accountId",
        "region",
        "Records",
        "Findings",
        "body",
        "Message",
        "TopicArn",
        "Sns",
        "class_uid",
        "finding_info",
        "ProductArn",
        "Types",
        "eventSource",
        "eventName",
        "userIdentity",
        "action",
        "cmdline",
        "matched",
        "resources",
        "instanceDetails",
        "instanceId",
        "detection",
        "sequence",
        "signals",
        "snapshot_id",
        "event",
        "result",
        "unmapped",
        "davylamp",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "GuardDuty Finding",
            "EBS Snapshot Notification",
            "createSnapshot",
            "CryptoCurrency:EC2/BitcoinTool.B",
            "arn:aws:ec2:::instance/i-00000000",
            "{\"detail\":{}}",
            "killed",
            "Root",
        ])
        .prop_map(Value::from),
        Just(Value::from(2004)),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn is_empty(intake: &Intake) -> bool {
    intake.findings.is_empty()
        && intake.signals.is_empty()
        && intake.rejected.is_empty()
        && intake.passed_over.is_empty()
}

/// Every member's name with letters in the other case, as `turns` has it.
fn recased(value: &Value, turns: &mut impl Iterator<Item = bool>) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let key: String = key
                    .chars()
                    .map(|letter| match turns.next() {
                        Some(true) if letter.is_ascii_lowercase() => letter.to_ascii_uppercase(),
                        Some(true) => letter.to_ascii_lowercase(),
                        _ => letter,
                    })
                    .collect();
                (key, recased(value, turns))
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| recased(item, turns)).collect(),
        other => other.clone(),
    }
}

/// The pointers to every member and element.
fn pointers(value: &Value, from: &str, found: &mut Vec<String>) {
    let mut add = |step: &str, value: &Value| {
        let step = step.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{from}/{step}");
        pointers(value, &pointer, found);
        found.push(pointer);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| add(name, value)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| add(&index.to_string(), value)),
        _ => {}
    }
}

fn without(value: &Value, pointer: &str) -> Value {
    let mut value = value.clone();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer has steps");
    let last = last.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent).expect("the parent is there") {
        Value::Object(members) => {
            members.remove(&last);
        }
        Value::Array(items) => {
            items.remove(last.parse().expect("an index"));
        }
        _ => unreachable!("only these have members"),
    }
    value
}

/// Whether `less` is `whole`, or `whole` with something not known of it.
fn is_part_of(less: &Resource, whole: &Resource) -> bool {
    match (less, whole) {
        (Resource::Unknown { .. }, _) => true,
        (
            Resource::Workload {
                cluster: None,
                namespace,
                kind,
                name,
            },
            Resource::Workload {
                namespace: n,
                kind: k,
                name: o,
                ..
            },
        ) => namespace == n && kind == k && name == o,
        (
            Resource::EcsTask {
                cluster,
                task,
                fargate: false,
            },
            Resource::EcsTask {
                cluster: c,
                task: t,
                ..
            },
        ) => cluster == c && task == t,
        (Resource::HubUser { user, pod: None }, Resource::HubUser { user: u, .. }) => user == u,
        (Resource::AccessKey { key, holder }, Resource::AccessKey { key: k, holder: h }) => {
            let holder_fits = match (holder, h) {
                (KeyHolder::Unknown { .. }, _) => true,
                (
                    KeyHolder::RoleSession {
                        role,
                        session: None,
                    },
                    KeyHolder::RoleSession { role: r, .. },
                ) => role == r,
                _ => holder == h,
            };
            (key.is_none() || key == k) && holder_fits
        }
        _ => less == whole,
    }
}

#[test]
fn less_said_is_never_something_else_said() {
    for (name, text) in FIXTURES {
        let whole: Value = serde_json::from_str(text).expect("a fixture is JSON");
        let read = intake::read(text.as_bytes());
        let known: Vec<&Resource> = read
            .findings
            .iter()
            .flat_map(|finding| &finding.resources)
            .collect();
        let mut all = Vec::new();
        pointers(&whole, "", &mut all);
        for pointer in &all {
            let mut nulled = whole.clone();
            *nulled.pointer_mut(pointer).expect("it is there") = Value::Null;
            for less in [nulled, without(&whole, pointer)] {
                let intake = intake::read(less.to_string().as_bytes());
                for resource in intake
                    .findings
                    .iter()
                    .flat_map(|finding| &finding.resources)
                {
                    assert!(
                        known.iter().any(|whole| is_part_of(resource, whole)),
                        "{name} without {pointer} is about {resource:?}"
                    );
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_accounted_for(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let intake = intake::read(&bytes);
        prop_assert!(!is_empty(&intake));
    }

    #[test]
    fn any_json_is_accounted_for(value in json()) {
        let text = value.to_string();
        let intake = intake::read(text.as_bytes());
        prop_assert!(!is_empty(&intake), "{}", text);
    }

    #[test]
    fn torn_and_mangled_fixtures_are_accounted_for(
        which in 0..FIXTURES.len(),
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let text = FIXTURES[which].1.as_bytes();
        let torn = &text[..cut.index(text.len())];
        prop_assert!(!is_empty(&intake::read(torn)));
        let mut mangled = text.to_vec();
        mangled[at.index(text.len())] = byte;
        prop_assert!(!is_empty(&intake::read(&mangled)));
    }

    #[test]
    fn casing_means_nothing(
        which in 0..FIXTURES.len(),
        turns in prop::collection::vec(any::<bool>(), 1..200),
    ) {
        let (name, text) = FIXTURES[which];
        let whole: Value = serde_json::from_str(text).expect("a fixture is JSON");
        let other = recased(&whole, &mut turns.iter().copied().cycle());
        let read = intake::read(other.to_string().as_bytes());
        prop_assert_eq!(told(&read), told(&intake::read(text.as_bytes())), "{}", name);
    }
}

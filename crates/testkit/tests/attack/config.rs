//! What AWS Config delivers of a story, in its forms, and true to the story.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_testkit::attack::{ConfigPlan, Options, Scenario, TrailPlan};
use serde_json::Value;

use crate::{Told, files, small, tell, text};

/// Members of each item, as AWS Config has delivered them.
const MEMBERS: &[&str] = &[
    "relatedEvents",
    "relationships",
    "configuration",
    "supplementaryConfiguration",
    "tags",
    "configurationItemVersion",
    "configurationItemCaptureTime",
    "configurationStateId",
    "awsAccountId",
    "configurationItemStatus",
    "resourceType",
    "resourceId",
    "resourceName",
    "ARN",
    "awsRegion",
    "availabilityZone",
    "configurationStateMd5Hash",
    "resourceCreationTime",
];

fn story(config: ConfigPlan, trail: TrailPlan) -> Told {
    let options = Options {
        trail,
        config,
        ..small(Scenario::StolenAdminKey)
    };
    tell(11, &options)
}

/// The files, by their names.
fn delivered(told: &Told) -> BTreeMap<String, Value> {
    let all = files(told.dir.path()).into_iter();
    let all = all.filter(|file| file.to_string_lossy().contains("/Config/"));
    all.map(|file| {
        let document = serde_json::from_str(&text(&file)).expect("a document");
        (file.to_string_lossy().into_owned(), document)
    })
    .collect()
}

fn items(document: &Value) -> &[Value] {
    document["configurationItems"].as_array().expect("a list")
}

fn moment(text: &Value) -> i64 {
    let at: jiff::Timestamp = text.as_str().expect("a time").parse().expect("a time");
    at.as_second()
}

#[test]
fn files_have_the_names_and_envelopes_that_aws_config_writes() {
    let told = story(ConfigPlan::Daily, TrailPlan::Never);
    let files = delivered(&told);
    let (mut histories, mut snapshots) = (0, 0);
    for (name, document) in &files {
        assert_eq!(document["fileVersion"], "1.0");
        let of: BTreeSet<&str> = items(document)
            .iter()
            .map(|item| item["resourceType"].as_str().expect("a type"))
            .collect();
        if name.contains("/ConfigSnapshot/") {
            snapshots += 1;
            let id = document["configSnapshotId"].as_str().expect("an id");
            assert!(name.ends_with(&format!("Z_{id}.json.gz")), "{name}");
        } else {
            histories += 1;
            assert!(document["configSnapshotId"].is_null());
            assert_eq!(of.len(), 1, "{name}");
            assert!(of.iter().all(|kind| name.contains(kind)), "{name}");
        }
        for item in items(document) {
            let has: Vec<&String> = item.as_object().expect("an object").keys().collect();
            assert_eq!(has.len(), MEMBERS.len());
            assert!(MEMBERS.iter().all(|member| item.get(member).is_some()));
            let is_gone = item["configurationItemStatus"] == "ResourceDeleted";
            assert_eq!(item["configuration"].is_null(), is_gone, "{item}");
        }
        let is_key = |kind: &&str| kind.contains("Key") || kind.contains("LoginProfile");
        assert!(!of.iter().any(is_key), "{of:?}");
    }
    assert!(histories > 0 && snapshots > 0);
}

#[test]
fn each_machine_is_discovered_minutes_after_it_was_made_and_its_end_minutes_after_it_ended() {
    let told = story(ConfigPlan::History, TrailPlan::Never);
    let files = delivered(&told);
    let all: Vec<&Value> = files.values().flat_map(items).collect();
    for right in &told.truth.instances {
        let of = |status: &str| -> BTreeSet<i64> {
            all.iter()
                .filter(|it| it["resourceId"] == *right.id)
                .filter(|it| it["configurationItemStatus"] == status)
                .map(|it| moment(&it["configurationItemCaptureTime"]))
                .collect()
        };
        let found = of("ResourceDiscovered");
        assert_eq!(found.len(), 1, "{}", right.id);
        assert!(
            found
                .iter()
                .all(|at| (60..=900).contains(&(at - right.start)))
        );
        let gone = of("ResourceDeleted");
        assert_eq!(gone.len(), usize::from(right.end.is_some()), "{}", right.id);
        for (at, end) in gone.iter().zip(right.end) {
            assert!((60..=900).contains(&(at - end)), "{}", right.id);
        }
    }
}

#[test]
fn a_snapshot_holds_what_was_noticed_and_is_not_known_to_be_gone() {
    let told = story(ConfigPlan::Daily, TrailPlan::Never);
    let mut snapshots: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut lives: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let files = delivered(&told);
    for (name, document) in &files {
        let machines = items(document).iter();
        let machines = machines.filter(|item| item["resourceType"] == "AWS::EC2::Instance");
        let held = name.split_once("_ConfigSnapshot_");
        for item in machines {
            let id = item["resourceId"].as_str().expect("an id");
            if let Some((_, rest)) = held {
                snapshots.entry(&rest[..16]).or_default().insert(id);
                continue;
            }
            let at = moment(&item["configurationItemCaptureTime"]);
            let (found, gone) = lives.entry(id).or_insert((i64::MAX, i64::MAX));
            match item["configurationItemStatus"] == "ResourceDeleted" {
                true => *gone = at,
                false => *found = at.min(*found),
            }
        }
    }
    assert!(snapshots.len() > 4);
    for (stamp, held) in &snapshots {
        let at: jiff::Timestamp = stamp.parse().expect("a time");
        let at = at.as_second();
        let there = lives
            .iter()
            .filter(|(_, (found, gone))| *found < at && *gone >= at);
        let there: BTreeSet<&str> = there.map(|(id, _)| *id).collect();
        assert_eq!(*held, there, "{stamp}");
    }
}

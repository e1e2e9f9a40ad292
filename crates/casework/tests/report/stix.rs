//! The bundle, as another reader of STIX 2.1 sees it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use davylamp_casework::report::{How, Tlp, write};
use serde_json::{Value, json};

use crate::{Folder, cache_dir, cases};

/// What a script of this folder says of a text.
pub fn asked(script: &str, text: &str) -> Value {
    let python = cache_dir().join("python/bin/python");
    let mut child = Command::new(&python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: scripts/setup test", python.display()));
    let mut stdin = child.stdin.take().expect("its input");
    // What it does not read it says why.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/setup test? {said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

pub fn looked_at(text: &str) -> Value {
    let looked = asked(include_str!("stix.py"), text);
    assert_eq!(looked["faults"], json!([]));
    looked
}

/// Ids that are the same for the same case, no word of the standard for AWS, and references without hashes.
const DELIBERATE: &[&str] = &["uuid_check: ", "vocab_account_type: ", "extref_hashes: "];

#[test]
fn a_bundle_is_stix() {
    for case in [cases::framed(), cases::nothing(), cases::hostile()] {
        let folder = Folder::of(&case);
        let looked = looked_at(&folder.text("iocs.json"));
        // What the specification would rather have, and why it is otherwise: docs/investigate-report.md.
        let advice = looked["advice"].as_array().expect("a list");
        let advice = advice.iter().filter_map(Value::as_str);
        let other = advice.filter(|it| !DELIBERATE.iter().any(|known| it.starts_with(known)));
        assert_eq!(other.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}

#[test]
fn a_bundle_tells_the_intruder_and_nobody_else() {
    let folder = Folder::of(&cases::framed());
    let bundle: Value = serde_json::from_str(&folder.text("iocs.json")).expect("JSON");
    let objects = bundle["objects"].as_array().expect("objects");
    let mut patterns: Vec<(&str, &str)> = objects
        .iter()
        .filter(|object| object["type"] == "indicator")
        .map(|object| {
            let pattern = object["pattern"].as_str().expect("a pattern");
            (
                pattern,
                object["indicator_types"][0].as_str().expect("a type"),
            )
        })
        .collect();
    patterns.sort_unstable();
    assert_eq!(
        patterns,
        [
            ("[ipv4-addr:value = '203.0.113.66']", "malicious-activity"),
            (
                "[user-account:user_id = 'AKIAIOSFODNN7ALICE01']",
                "compromised"
            ),
            (
                "[user-account:user_id = 'AKIAIOSFODNN7BOB0002']",
                "compromised"
            ),
            (
                "[user-account:user_id = 'arn:aws:iam::111122223333:user/svc-backup']",
                "malicious-activity"
            ),
        ]
    );
    let mut techniques: Vec<&str> = objects
        .iter()
        .filter(|object| object["type"] == "attack-pattern")
        .filter_map(|object| object["external_references"][0]["external_id"].as_str())
        .collect();
    techniques.sort_unstable();
    assert_eq!(
        techniques,
        [
            "T1087.004",
            "T1098.001",
            "T1136.003",
            "T1562.008",
            "T1578.002"
        ]
    );
    // Written again it is the same, and says who may be told.
    assert_eq!(
        folder.text("iocs.json"),
        Folder::of(&cases::framed()).text("iocs.json")
    );
    assert!(folder.text("iocs.json").contains("TLP:AMBER"));
    let parent = tempfile::TempDir::new().expect("a folder");
    let red = How {
        tlp: Tlp::Red,
        ..How::default()
    };
    let path = parent.path().join("case");
    write(&cases::framed(), &path, red).expect("a case folder");
    let text = crate::read(&path.join("iocs.json"));
    assert!(text.contains("TLP:RED") && !text.contains("TLP:AMBER"));
    looked_at(&text);
}

#[test]
fn a_place_can_be_a_network_and_no_pattern_can_be_ended() {
    let mut case = cases::framed();
    case.places[0].address = "203.0.113.0/24".to_owned();
    case.places[1].hand = davylamp_casework::case::Hand::Intruder;
    case.principals[2].id = "svc'] OR [ipv4-addr:value = '198.51.100.1\\".to_owned();
    case.credentials[2].id = "console of bob".to_owned();
    let folder = Folder::of(&case);
    let text = folder.text("iocs.json");
    looked_at(&text);
    assert!(text.contains("[ipv4-addr:value ISSUBSET '203.0.113.0/24']"));
    assert!(text.contains("[ipv6-addr:value = '2001:db8:17::b0b']"));
    assert!(
        text.contains(r"'svc\\'] OR [ipv4-addr:value = \\'198.51.100.1\\\\'"),
        "{text}"
    );
    assert!(!text.contains("console of bob"));
    for (place, is_address) in [
        ("ec2.amazonaws.com", false),
        ("203.0.113.9/33", false),
        ("AWS Internal", false),
    ] {
        case.places[0].address = place.to_owned();
        let text = Folder::of(&case).text("iocs.json");
        assert_eq!(
            text.contains(&format!("value = '{place}'")),
            is_address,
            "{place}"
        );
    }
}

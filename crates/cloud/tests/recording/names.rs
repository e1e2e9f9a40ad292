//! The members of states are spelled as AWS spells them: botocore's models, which AWS makes, say how.

use std::process::Command;

use davylamp_cloud::aws::record::KINDS;
use davylamp_testkit::moto::cache_dir;

use crate::support::{Ground, furnish};

/// Prints each member of the states on its input that the answers of the kind's operations do not have.
const COMPARE: &str = include_str!("names.py");

#[tokio::test]
async fn members_have_the_names_that_aws_gives_them() {
    let ground = Ground::new().await;
    furnish(&ground);
    let seen = ground.look().await;
    let mut states = Vec::new();
    for look in &seen.0 {
        let Some(kind) = KINDS.iter().find(|kind| kind.name == look.scope.kind) else {
            continue;
        };
        for thing in look.came.iter().flatten() {
            states.push(
                serde_json::json!({"kind": kind.name, "permissions": kind.permissions,
                "state": thing.state}),
            );
        }
    }
    assert!(states.len() > 20);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("states.json");
    std::fs::write(&path, serde_json::to_string(&states).unwrap()).unwrap();
    let ran = Command::new(cache_dir().join("python/bin/python"))
        .args(["-c", COMPARE])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let why = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && said.starts_with("compared"),
        "{said}{why}"
    );
    let unknown: Vec<&str> = said.lines().skip(1).collect();
    // Ours: what stands for a secret, and what the contract with those who read snapshots calls so.
    assert_eq!(
        unknown,
        [
            "guardduty-detector DetectorId",
            "lambda-function Environment.VariableNames",
            "launch-template LaunchTemplateVersions.LaunchTemplateData.HasUserData",
            "user Groups",
        ]
    );
}

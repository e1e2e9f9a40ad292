//! Many findings at once: as many incidents as resources, one digest, and the API's rates kept.
//! The whole storm of the issue, 500 findings, is in the benchmark; this is a part of it.

use std::collections::BTreeMap;

use crate::finding::mining;
use crate::ground::Ground;

/// Regions that every account has.
const REGIONS: [&str; 5] = [
    "eu-central-1",
    "eu-west-1",
    "us-east-1",
    "us-west-2",
    "ap-southeast-2",
];
const MACHINES: usize = 2;
/// Findings about each machine.
const EACH: usize = 4;

#[test]
fn findings_are_coalesced_for_each_resource_and_told_in_one_digest() {
    let mut ground = Ground::new();
    ground.set("respond.allow_irreversible=[]");
    let mut lines = String::new();
    let mut machines = Vec::new();
    for region in REGIONS {
        for _ in 0..MACHINES {
            let machine = ground.machine_in(region);
            for number in 0..EACH {
                let id = format!("{region}-{}-{number}", machine.id);
                let mut finding = mining(&ground.account.id, &id, &machine.id);
                finding["region"] = region.into();
                lines.push_str(&format!("{finding}\n"));
            }
            machines.push((region, machine));
        }
    }
    let findings = ground.write("findings.jsonl", &lines);
    let ran = ground
        .davy(&["--finding", &findings, "--output", "json"])
        .ended(1);
    let report = ran.json();
    let incidents = report["incidents"].as_array().expect("incidents");
    assert_eq!(incidents.len(), machines.len());
    for (region, machine) in &machines {
        let made = ground.ec2_in(region, "DescribeSnapshots", &[("Owner.1", "self")]);
        assert!(made.contains(&machine.volumes[0]), "{region}: {made}");
    }
    let mails = ground.mail.mails();
    assert_eq!(mails.len(), 1, "{}", mails.len());
    for (_, machine) in &machines {
        assert!(mails[0].text.contains(&machine.id), "{}", mails[0].text);
    }
    // Asked for together: one question for a region's machines and not one for each finding.
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for call in ground.proxy.calls_of("ec2", "DescribeVolumes") {
        *asked.entry(call.region).or_default() += 1;
    }
    assert!(
        asked.values().all(|count| *count < MACHINES * EACH),
        "{asked:?}"
    );
    let throttled = ground
        .proxy
        .calls()
        .iter()
        .filter(|it| it.status == Some(503))
        .count();
    assert_eq!(throttled, 0);
}

//! Any bytes are findings, signals, events passed over or rejections; names are well formed; and a
//! finding survives being written as OCSF.

#![no_main]

use davylamp_model::ids::is_ec2_id;
use davylamp_model::intake::{self, MAX_REJECTED};
use davylamp_model::ocsf::to_ocsf;
use davylamp_model::resource::Resource;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = intake::read(bytes);
    assert!(
        read.findings.len() + read.signals.len() + read.rejected.len() + read.passed_over.len() > 0,
        "something is said of every input"
    );
    assert!(read.rejected.len() <= MAX_REJECTED + 1);
    for rejected in &read.rejected {
        assert!(!rejected.excerpt.contains(char::is_control));
    }
    for finding in &read.findings {
        for resource in &finding.resources {
            let formed = match resource {
                Resource::Instance { id } => is_ec2_id("i-", id.as_str()),
                Resource::Volume { id } => is_ec2_id("vol-", id.as_str()),
                Resource::Snapshot { id } => is_ec2_id("snap-", id.as_str()),
                other => !other.key().contains(char::is_control),
            };
            assert!(formed, "{resource}");
        }
        assert!(
            finding
                .gaps
                .iter()
                .all(|gap| !gap.contains(char::is_control))
        );
        let written = serde_json::to_vec(&to_ocsf(finding)).expect("it can be printed");
        let again = intake::read(&written);
        assert_eq!(again.rejected, []);
        assert_eq!(again.findings, [finding.clone()]);
    }
});

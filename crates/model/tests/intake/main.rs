//! The intake: every form in which findings come, whole, half-empty and hostile.

mod events;
mod forms;
mod meaning;
mod ocsf;
mod properties;
mod types;

use std::fmt::Write as _;

use davylamp_model::finding::Finding;
use davylamp_model::intake::{self, Intake};

/// The fixtures, by name.
const FIXTURES: &[(&str, &str)] = &[
    ("instance", include_str!("fixtures/instance.json")),
    ("pod", include_str!("fixtures/pod.json")),
    ("fargate", include_str!("fixtures/fargate.json")),
    (
        "ecs-on-instance",
        include_str!("fixtures/ecs-on-instance.json"),
    ),
    ("function", include_str!("fixtures/function.json")),
    ("key-of-user", include_str!("fixtures/key-of-user.json")),
    (
        "key-of-instance",
        include_str!("fixtures/key-of-instance.json"),
    ),
    ("scan", include_str!("fixtures/scan.json")),
    (
        "scan-of-snapshot",
        include_str!("fixtures/scan-of-snapshot.json"),
    ),
    ("scan-of-image", include_str!("fixtures/scan-of-image.json")),
    ("sequence", include_str!("fixtures/sequence.json")),
    (
        "sequence-without-detail",
        include_str!("fixtures/sequence-without-detail.json"),
    ),
    ("older-form", include_str!("fixtures/older-form.json")),
    ("sample", include_str!("fixtures/sample.json")),
    ("unknown-type", include_str!("fixtures/unknown-type.json")),
    ("asff", include_str!("fixtures/asff.json")),
    ("asff-key", include_str!("fixtures/asff-key.json")),
    ("ocsf", include_str!("fixtures/ocsf.json")),
    ("guard-killed", include_str!("fixtures/guard-killed.json")),
];

fn fixture(name: &str) -> &'static str {
    FIXTURES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
        .expect("a fixture of this name")
}

/// The only finding in some JSON.
fn only(input: &str) -> Finding {
    let mut intake = intake::read(input.as_bytes());
    assert_eq!(intake.rejected, [], "{input}");
    assert_eq!(intake.findings.len(), 1, "{input}");
    intake.findings.remove(0)
}

fn keys(finding: &Finding) -> Vec<String> {
    finding.resources.iter().map(|found| found.key()).collect()
}

/// An intake as text.
fn told(intake: &Intake) -> String {
    let mut text = String::new();
    for found in &intake.findings {
        tell(&mut text, found).expect("a string takes it");
    }
    for signal in &intake.signals {
        writeln!(text, "signal {signal:?}").expect("a string takes it");
    }
    for rejected in &intake.rejected {
        writeln!(
            text,
            "rejected at {}: {} [{}]",
            rejected.at, rejected.why, rejected.excerpt
        )
        .expect("a string takes it");
    }
    for (name, count) in &intake.passed_over {
        writeln!(text, "passed over: {name}, {count}").expect("a string takes it");
    }
    text
}

fn tell(text: &mut String, found: &Finding) -> std::fmt::Result {
    writeln!(
        text,
        "{:?} {} = {:?}, {:?}",
        found.source, found.kind, found.behaviour, found.severity
    )?;
    writeln!(text, "  {}", found.title)?;
    writeln!(text, "  id {}", found.id)?;
    match &found.place {
        Some(place) => writeln!(text, "  in {} {}", place.account, place.region)?,
        None => writeln!(text, "  nowhere known")?,
    }
    let time = |time: Option<jiff::Timestamp>| time.map_or("?".to_owned(), |time| time.to_string());
    writeln!(
        text,
        "  {} times from {} to {}",
        found.count,
        time(found.first_seen),
        time(found.last_seen)
    )?;
    if found.sample {
        writeln!(text, "  a sample")?;
    }
    if found.archived {
        writeln!(text, "  archived")?;
    }
    if let Some(detector) = &found.detector {
        writeln!(text, "  detector {detector}")?;
    }
    for resource in &found.resources {
        writeln!(text, "  on {resource:?}")?;
    }
    for seen in &found.observed {
        writeln!(text, "  saw {} {:?}", seen.what, seen.value)?;
    }
    for gap in &found.gaps {
        writeln!(text, "  gap: {gap}")?;
    }
    Ok(())
}

//! The systemd units, checked by systemd's own tools, which need no running systemd.

use std::{collections::BTreeMap, process::Command};

use crate::{CAPABILITIES, render::rendered, text};

/// Where the guard's unit is.
const UNIT: &str = "deploy/systemd/davylamp-guard.service";

/// Every unit, and the score of `systemd-analyze security`, times ten, above which it counts as exposed.
/// What is left over of the guard's 34 is what it is for (the node's processes, its network namespace for
/// the metrics, six capabilities); of the others' 14 and 15, that they speak to the network.
const UNITS: [(&str, &str); 3] = [
    ("davylamp-guard", "35"),
    ("davylamp-console", "16"),
    ("davylamp-forward", "16"),
];

/// The settings of a section, in order; a key may be given twice.
fn settings(section: &str) -> BTreeMap<String, Vec<String>> {
    let mut current = String::new();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text(UNIT).lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            current = name.trim_end_matches(']').to_owned();
        } else if let (true, Some((key, value))) = (current == section, line.split_once('=')) {
            found
                .entry(key.to_owned())
                .or_default()
                .push(value.to_owned());
        }
    }
    found
}

fn words(key: &str) -> Vec<String> {
    let service = settings("Service");
    let values = service
        .get(key)
        .unwrap_or_else(|| panic!("{key} is not set"));
    values
        .iter()
        .flat_map(|value| value.split(' '))
        .map(str::to_owned)
        .collect()
}

/// A copy of the unit whose program exists here, as `systemd-analyze` wants it to.
fn installed_copy(name: &str, unit: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let unit = format!("{unit}.service");
    let copy = text(&format!("deploy/systemd/{unit}")).replace("/usr/bin/davy ", "/bin/true ");
    let unit = folder.join(unit);
    std::fs::write(&unit, copy).expect("a copy");
    unit
}

fn analyze(arguments: &[&str], unit: &std::path::Path) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .output()
        .expect("systemd-analyze runs: apt-get install systemd");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    for (name, _) in UNITS {
        let unit = installed_copy("verify", name);
        let (passed, said) = analyze(&["verify", "--man=no"], &unit);
        // A setting that systemd does not know is a warning, not a failure: nothing may be said.
        let about_us: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("davylamp"))
            .collect();
        assert!(passed && about_us.is_empty(), "{said}");
    }

    let unit = installed_copy("misspelt", UNITS[0].0);
    std::fs::write(&unit, text(UNIT).replace("RestartSec=", "RestartSecs=")).expect("a copy");
    let (_, said) = analyze(&["verify", "--man=no"], &unit);
    assert!(
        said.contains("RestartSecs"),
        "a misspelt setting would go unnoticed: {said}"
    );
}

#[test]
fn each_unit_is_closed_to_what_its_program_does_not_need() {
    for (name, limit) in UNITS {
        let unit = installed_copy("security", name);
        let threshold = format!("--threshold={limit}");
        let (passed, said) = analyze(
            &["security", "--offline=true", "--no-pager", &threshold],
            &unit,
        );
        assert!(passed, "{said}");
    }
}

#[test]
fn the_unit_and_the_chart_give_the_same_capabilities() {
    let wanted: Vec<&str> = CAPABILITIES.iter().map(|(name, _)| *name).collect();
    let unit: Vec<String> = words("CapabilityBoundingSet");
    assert_eq!(
        unit,
        wanted
            .iter()
            .map(|name| format!("CAP_{name}"))
            .collect::<Vec<_>>()
    );
    let chart = rendered("{}");
    assert_eq!(
        chart.guard()["securityContext"]["capabilities"],
        serde_json::json!({"add": wanted, "drop": ["ALL"]})
    );
}

#[test]
fn the_unit_keeps_the_guard_running_and_its_pins_writable() {
    for (key, value) in [
        ("Type", "exec"),
        ("Restart", "always"),
        ("RestartSec", "1"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ReadWritePaths", "/sys/fs/bpf /sys/fs/cgroup"),
        ("LogRateLimitIntervalSec", "0"),
    ] {
        assert_eq!(
            settings("Service").get(key),
            Some(&vec![value.to_owned()]),
            "{key}"
        );
    }
    assert_eq!(
        settings("Unit").get("StartLimitIntervalSec"),
        Some(&vec!["0".to_owned()])
    );
    // Each of these would take the pins, the freezer or the node's processes away from the guard.
    for key in [
        "ProtectKernelTunables",
        "ProtectControlGroups",
        "ProtectProc",
        "ProcSubset",
        "PrivateUsers",
        "PrivatePIDs",
    ] {
        assert_eq!(settings("Service").get(key), None, "{key}");
    }
}

#[test]
fn the_unit_and_its_configuration_fit() {
    let service = settings("Service");
    let start = &service["ExecStart"][0];
    assert!(
        start.ends_with(" guard --config /etc/davylamp/davy.toml"),
        "{start}"
    );
    let config: toml::Table = text("deploy/systemd/davy.toml").parse().expect("TOML");
    assert_eq!(config["guard"]["mode"].as_str(), Some("enforce"));
    for path in config["guard"]["blocklists"].as_array().expect("a list") {
        let path = path.as_str().expect("a path");
        assert!(
            path.starts_with("/etc/davylamp/") || path.starts_with("/usr/share/davylamp/"),
            "{path}"
        );
    }
}

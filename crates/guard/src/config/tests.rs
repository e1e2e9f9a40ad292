use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

use proptest::prelude::*;

use davylamp_content::settings::{self, ConfigErrors, Override, Trouble};

use super::*;

fn load(file: Option<(&str, &str)>, overrides: &[Override]) -> Result<Config, ConfigErrors> {
    settings::load(&[section()], file, overrides).map(|tree| settings::section(&tree, SECTION))
}

fn defaults() -> toml::Table {
    settings::defaults(&[section()])
}

/// Every fault as it is printed.
fn printed(errors: &ConfigErrors) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    let mut text = format!("{errors}\n");
    for error in errors.all() {
        handler
            .render_report(&mut text, error as &dyn Diagnostic)
            .expect("memory");
    }
    text
}

fn set(assignments: &[&str]) -> Result<Config, ConfigErrors> {
    let overrides: Vec<_> = assignments
        .iter()
        .map(|assignment| Override::set(assignment))
        .collect();
    load(None, &overrides)
}

fn variables(variables: &[(&str, &str)]) -> Vec<Override> {
    Override::from_environment(
        &[section()],
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    )
}

#[test]
fn nothing_given_is_the_defaults() {
    let config = load(None, &[]).expect("the defaults are good");
    assert_eq!(config, Config::default());
    assert_eq!(
        load(Some(("davy.toml", "")), &[]).expect("an empty file"),
        config
    );
    assert_eq!(
        load(Some(("davy.toml", "[guard]\n")), &[]).expect("an empty table"),
        config
    );
    assert_eq!(config.pin_dir, Path::new("/sys/fs/bpf/davylamp"));
    assert_eq!(config.metrics.listen, None);
}

#[test]
fn what_is_printed_reads_back() {
    let text = toml::to_string(&defaults()).expect("plain data");
    assert_eq!(
        load(Some(("davy.toml", &text)), &[]).expect("its own print"),
        Config::default()
    );
}

#[test]
fn a_whole_file() {
    let text = r#"
        [guard]
        mode = "observe"
        blocklists = ["/etc/lists", "mine.yaml"]
        node = "node-3"
        hold = { deadline_ms = 0x1f4, verdict = "spare" }
        [guard.sweep]
        interval_secs = 0
        [guard.protect]
        executables = ["/opt/a \"b\" <c> é"]
        namespaces = ["kube-system"]
        [guard.metrics]
        listen = "[::1]:9474"
        [guard.containers]
        cri_sockets = []
    "#;
    let config = load(Some(("davy.toml", text)), &[]).expect("no fault");
    assert_eq!(config.mode, Mode::Observe);
    assert_eq!(
        config.blocklists,
        ["/etc/lists", "mine.yaml"].map(PathBuf::from)
    );
    assert_eq!(
        (config.hold.deadline_ms, config.hold.verdict),
        (500, HoldVerdict::Spare)
    );
    assert_eq!(config.sweep.interval(), None);
    assert_eq!(config.protect.namespaces, ["kube-system"]);
    assert_eq!(
        config.metrics.listen.map(|listen| listen.port()),
        Some(9474)
    );
    assert!(config.containers.cri_sockets.is_empty());
    assert_eq!(
        config.containers.docker_sockets,
        Containers::default().docker_sockets
    );
}

#[test]
fn every_fault_of_a_file_is_reported_at_its_place() {
    let text = r#"[guard]
mode = "enforced"
blocklist = ["/etc/lists"]
pin_dir = "bpf"
deadline_ms = 100
hold = "long"
sweep = { on_start = "yes", interval_secs = 5 }

[guard.log]
cmdline_bytes = 1e3
events_per_second = -1
env = ["HOME", 5, "A=B"]
colour = true

[guard.metrics]
listen = "localhost:9474"

[guards]
[responder.aws]
region = "x"
"#;
    insta::assert_snapshot!(printed(
        &load(Some(("davy.toml", text)), &[]).expect_err("faults")
    ));
}

#[test]
fn faults_of_syntax_do_not_hide_unknown_keys() {
    let text = "[guard]\nmode = enforce\npin = true\npin = false\nmodes = 1\n";
    insta::assert_snapshot!(printed(
        &load(Some(("davy.toml", text)), &[]).expect_err("faults")
    ));
}

#[test]
fn overrides_take_toml_and_bare_text() {
    let config = set(&[
        "guard.mode=observe",
        "guard.node=\"quoted\"",
        "guard.hold.deadline_ms= 500",
        "guard.pin=false",
        "guard.blocklists=/etc/one.yaml",
        "guard.log.env=[\"A\", \"B\"]",
        "guard.containers.cri_sockets=",
        "guard.pin_dir=/sys/fs/bpf/a=b",
        "guard.metrics.listen=127.0.0.1:1",
    ])
    .expect("all good");
    assert_eq!(
        (config.mode, config.pin, config.node.as_str()),
        (Mode::Observe, false, "quoted")
    );
    assert_eq!(config.hold.deadline_ms, 500);
    assert_eq!(config.blocklists, [PathBuf::from("/etc/one.yaml")]);
    assert_eq!(config.log.env, ["A", "B"]);
    assert!(config.containers.cri_sockets.is_empty());
    assert_eq!(config.pin_dir, PathBuf::from("/sys/fs/bpf/a=b"));
    // What looks like another kind of value is text where text is wanted.
    assert_eq!(set(&["guard.node=5"]).expect("a name").node, "5");
}

#[test]
fn the_later_wins() {
    let file = Some(("davy.toml", "guard.hold.deadline_ms = 100\n"));
    let environment = variables(&[("DAVY_GUARD__HOLD__DEADLINE_MS", "200")]);
    let deadline = |overrides: &[Override]| load(file, overrides).expect("good").hold.deadline_ms;
    assert_eq!(deadline(&[]), 100);
    assert_eq!(deadline(&environment), 200);
    let with_set = [
        environment,
        vec![Override::set("guard.hold.deadline_ms=300")],
    ]
    .concat();
    assert_eq!(deadline(&with_set), 300);
}

#[test]
fn every_fault_of_the_overrides_names_it() {
    let mut overrides = variables(&[
        ("DAVY_GUARD__HOLD__DEADLINE_MS", "soon"),
        ("DAVY_GUARD_MODE", "observe"),
        ("DAVY_GUARD__PROTECT__NAMESPACE", "kube-system"),
        ("DAVY_RESPONDER__REGION", "x"),
        // These are somebody else's.
        ("DAVY_GUARD_SERVICE_HOST", "10.0.0.1"),
        ("DAVY_NODE", "node-1"),
        ("DAVYLAMP_GUARD__MODE", "x"),
        ("HOME", "/root"),
    ]);
    let broken = OsString::from_vec(b"\xff".to_vec());
    overrides.extend(Override::from_environment(
        &[section()],
        [("DAVY_GUARD__NODE".into(), broken)],
    ));
    overrides.extend(
        [
            "guard.mode",
            "guard.hold=5",
            "guard.log.env=[\"A\"",
            "guard.response.kill=all",
            "mode=observe",
        ]
        .map(Override::set),
    );
    insta::assert_snapshot!(printed(&load(None, &overrides).expect_err("faults")));
}

#[test]
fn only_loopback_unless_allowed() {
    for (listen, is_loopback) in [
        ("127.0.0.1:9474", true),
        ("127.8.0.1:1", true),
        ("[::1]:9474", true),
        ("0.0.0.0:9474", false),
        ("[::]:9474", false),
        ("192.0.2.1:9474", false),
    ] {
        let listen = format!("guard.metrics.listen={listen}");
        let alone = set(&[&listen]);
        assert_eq!(alone.is_ok(), is_loopback, "{listen}");
        if let Err(errors) = alone {
            assert_eq!(
                errors.all()[0].to_string(),
                "`metrics.listen` is an address that other machines reach"
            );
        }
        set(&[&listen, "guard.metrics.allow_remote=true"]).expect("allowed");
    }
}

#[test]
fn the_bounds_hold_at_their_edges() {
    for bounds in BOUNDS {
        let with = |number: i64| set(&[&format!("{}={number}", bounds.key)]);
        for good in [bounds.least, bounds.most] {
            assert!(with(good).is_ok(), "{} = {good}", bounds.key);
        }
        for bad in [bounds.least - 1, bounds.most + 1, i64::MIN, i64::MAX] {
            if !bounds.contains(bad) {
                let errors = with(bad).expect_err(bounds.key);
                assert!(matches!(
                    errors.all()[0].trouble(),
                    Trouble::OutOfBounds { .. }
                ));
            }
        }
        assert_eq!(
            with(0).is_ok(),
            bounds.or_zero || bounds.least == 0,
            "{}",
            bounds.key
        );
    }
}

#[test]
fn every_number_has_bounds() {
    fn numbers(path: &str, table: &toml::Table, found: &mut Vec<String>) {
        for (key, value) in table {
            match value {
                toml::Value::Table(inner) => numbers(&format!("{path}{key}."), inner, found),
                toml::Value::Integer(_) => found.push(format!("{path}{key}")),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    numbers("", &defaults(), &mut found);
    let mut bounded = BOUNDS.map(|bounds| bounds.key.to_owned()).to_vec();
    found.sort();
    bounded.sort();
    assert_eq!(found, bounded);
}

/// Texts made of the pieces that matter here, so that most of them get past the first character.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[guard]\n"),
        Just("[guard.hold]\n"),
        Just("guard"),
        Just("."),
        Just("hold"),
        Just("mode"),
        Just("deadline_ms"),
        Just("listen"),
        Just("blocklists"),
        Just(" = "),
        Just("="),
        Just("\"observe\""),
        Just("5"),
        Just("-0x1"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just("\n"),
        Just("\"\"\""),
        Just("é"),
        Just("\0"),
        Just("#"),
        Just("1979-05-27"),
        Just("nan"),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_faults_that_can_be_shown(
        text in prop_oneof![any::<String>(), pieces()],
        assignment in prop_oneof![any::<String>(), pieces()],
        variable in pieces(),
    ) {
        let variables = [("DAVY_GUARD__HOLD__DEADLINE_MS".into(), variable.into())];
        let mut overrides = Override::from_environment(&[section()], variables);
        overrides.push(Override::set(&assignment));
        if let Err(errors) = load(Some(("davy.toml", &text)), &overrides) {
            prop_assert!(!errors.all().is_empty());
            printed(&errors);
        }
    }

    #[test]
    fn what_loads_prints_and_reads_back_as_it_was(number in 10u64..60_000, node in "[a-z\"\\\\é=#]{0,20}") {
        let overrides = [
            Override::option("--node", "guard.node", node.as_ref()),
            Override::set(&format!("guard.hold.deadline_ms={number}")),
        ];
        if let Ok(config) = load(None, &overrides) {
            let guard = toml::Value::try_from(&config).expect("plain data");
            let text = toml::to_string(&toml::Table::from_iter([("guard".to_owned(), guard)])).expect("plain data");
            prop_assert_eq!(load(Some(("davy.toml", &text)), &[]).expect("its own print"), config);
        }
    }
}

#[test]
fn what_is_said_of_a_detection_is_read_or_refused() {
    for good in [
        "thin-flow score=0",
        "randomx-rounding score=100 response=kill-container half_life_minutes=30",
        "mining-command-line response=evict-pod",
    ] {
        set(&[&format!("guard.policy.detections=[\"{good}\"]")]).expect(good);
    }
    for bad in [
        "thin-flow",
        "thin-flow score=101",
        "thin-flow score",
        "thin-flow response=kill",
        "thin-flow half_life_minutes=0",
        "thin-flow points=3",
        "thick-flow score=3",
        "",
    ] {
        let assignment = format!("guard.policy.detections=[\"{bad}\"]");
        assert!(set(&[&assignment]).is_err(), "{bad}");
    }
    let config = set(&["guard.policy.detections=[\"thin-flow score=7\"]"]).expect("it is good");
    let policy = config.policy.for_judge();
    assert_eq!(policy.overrides["thin-flow"].score, Some(7.0));
    let config = set(&["guard.policy.evict_pod=0"]).expect("it is good");
    assert_eq!(config.policy.for_judge().thresholds.evict_pod, None);
}

#[test]
fn the_default_policy_is_the_judges_own() {
    let policy = Config::default().policy.for_judge();
    assert_eq!(policy, davylamp_detect::score::Policy::default());
}

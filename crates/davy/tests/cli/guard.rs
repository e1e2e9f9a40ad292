//! `davy guard --check` and how settings override each other.

use crate::bench::{Bench, run};

fn check(bench: &Bench, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = bench.davy(&[&["guard", "--check"], arguments].concat());
    command.envs(variables.iter().copied());
    let ran = run(&mut command, b"");
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    ran.stdout
}

#[test]
fn check_sums_up_the_lists_and_warns_beside_the_data() {
    let bench = Bench::new();
    let ran = bench.run(&[
        "guard",
        "--check",
        "--config",
        "davy.toml",
        "--blocklist",
        "list.yaml",
        "--set",
        "guard.detections.enabled=false",
    ]);
    insta::assert_snapshot!(ran.whole());
}

#[test]
fn without_lists_the_shipped_one_is_checked() {
    let bench = Bench::new();
    let said = check(&bench, &["--config", "davy.toml"], &[]);
    assert!(said.contains("the list that ships with Davylamp"), "{said}");
    assert!(said.contains("warnings        0"), "{said}");
}

#[test]
fn check_refuses_what_the_start_would_refuse() {
    let bench = Bench::new();
    bench.write("bad.yar", "rule broken { condition: }");
    bench.write("addresses", "999.1.1.1\n");
    for (setting, told) in [
        ("guard.files.rules=[\"bad.yar\"]", "bad.yar"),
        ("guard.files.rules=[\"none.yar\"]", "none.yar"),
        (
            "guard.flows.banned_ipv4_file=\"HERE/addresses\"",
            "999.1.1.1",
        ),
        ("guard.flows.banned_ipv4_file=\"HERE/none\"", "none"),
        ("guard.indicators=[\"none.csv\"]", "none.csv"),
    ] {
        let setting = &setting.replace("HERE", &bench.path().display().to_string());
        let ran = bench.run(&[
            "guard",
            "--check",
            "--config",
            "davy.toml",
            "--set",
            setting,
        ]);
        assert_eq!(ran.code, Some(2), "{setting}: {}", ran.whole());
        assert!(ran.whole().contains(told), "{setting}: {}", ran.whole());
    }
}

#[test]
fn file_environment_set_and_options_in_that_order() {
    let bench = Bench::new();
    bench.write(
        "davy.toml",
        "[guard]\nmode = \"observe\"\nblocklists = [\"list.yaml\"]\n",
    );
    let config = ["--config", "davy.toml"];
    let mode = |arguments: &[&str], variables: &[(&str, &str)]| {
        let said = check(&bench, &[&config, arguments].concat(), variables);
        said.lines()
            .next()
            .and_then(|line| line.split_whitespace().last())
            .map(str::to_owned)
    };
    assert_eq!(mode(&[], &[]).as_deref(), Some("observe"));
    let variable = [("DAVY_GUARD__MODE", "enforce")];
    assert_eq!(mode(&[], &variable).as_deref(), Some("enforce"));
    let set = ["--set", "guard.mode=observe"];
    assert_eq!(mode(&set, &variable).as_deref(), Some("observe"));
    let option = [set.as_slice(), &["--mode", "enforce"]].concat();
    assert_eq!(mode(&option, &variable).as_deref(), Some("enforce"));
    // An option replaces a list rather than adding to it.
    bench.write("other.yaml", "bannedCommandStrings: [zebra-quux]\n");
    let said = check(
        &bench,
        &["--config", "davy.toml", "--blocklist", "other.yaml"],
        &[],
    );
    assert!(said.contains("banned strings  1 in 1 groups"), "{said}");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let bench = Bench::new();
    let arguments = ["guard", "--check", "--config", "missing.toml"];
    let coloured = |more: &[&str]| {
        bench
            .run(&[&arguments, more].concat())
            .stderr
            .contains('\u{1b}')
    };
    assert!(!coloured(&[]), "a pipe is no terminal");
    assert!(coloured(&["--color", "always"]));
    assert!(!coloured(&["--color", "never"]));
}

#[test]
fn completions_for_each_shell() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = bench.run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.contains("blocklist"), "{shell}");
    }
}

#[test]
fn help_names_units_defaults_and_examples() {
    let bench = Bench::new();
    for verb in ["guard", "explain", "doctor", "completions"] {
        let ran = bench.run(&[verb, "--help"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.contains("Examples:"), "{verb}");
    }
    insta::assert_snapshot!(bench.run(&["guard", "--help"]).stdout);
}

//! Each mistake gives one clear error with the next step, and prints no data.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;

use crate::bench::{Bench, Ran, run};

fn refused(ran: Ran) -> Ran {
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert_eq!(ran.stdout, "", "data beside an error");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

#[test]
fn wrong_arguments() {
    let bench = Bench::new();
    let cases: [&[&str]; 14] = [
        &[],
        &["gaurd"],
        &["guard", "--mode", "kill"],
        &["guard", "--no-pin", "--pin-dir", "/sys/fs/bpf/x"],
        &["guard", "--detach", "--mode", "observe"],
        &["guard", "--detach", "--check"],
        &["guard", "--blocklists", "x"],
        &["explain"],
        &["explain", "--stdin", "--", "ls"],
        &["explain", "-0", "--", "ls"],
        &["explain", "--env", "NOVALUE", "--", "ls"],
        &["explain", "--host", "--namespace", "x", "--", "ls"],
        &["completions", "tcsh"],
        &["doctor", "--color", "sometimes"],
    ];
    for case in cases {
        let ran = refused(bench.run(case));
        let helps = ["--help", "Usage", "possible values"];
        assert!(
            helps.iter().any(|help| ran.stderr.contains(help)),
            "{case:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn wrong_files() {
    let bench = Bench::new();
    bench.folder("empty");
    bench.write("latin.toml", b"[guard]\nnode = \"\xe9\"\n");
    bench.write("latin.yaml", b"bannedCommandStrings: [\"\xe9\"]\n");
    bench.write("large.toml", vec![b'#'; (1 << 20) + 1]);
    let mut all = String::new();
    let cases: [&[&str]; 8] = [
        &["guard", "--check", "--config", "missing.toml"],
        &["guard", "--check", "--config", "empty"],
        &["guard", "--check", "--config", "latin.toml"],
        &["guard", "--check", "--config", "large.toml"],
        &[
            "guard",
            "--check",
            "--config",
            "davy.toml",
            "--blocklist",
            "missing.yaml",
        ],
        &[
            "guard",
            "--check",
            "--config",
            "davy.toml",
            "--blocklist",
            "empty",
            "--blocklist",
            "/dev/null",
        ],
        &[
            "explain",
            "--config",
            "davy.toml",
            "--blocklist",
            "latin.yaml",
            "--",
            "ls",
        ],
        &["explain", "--config", "missing.toml", "--", "ls"],
    ];
    for case in cases {
        let ran = refused(bench.run(case));
        all.push_str(&format!("$ davy {}\n{}\n", case.join(" "), ran.stderr));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn unreadable_files() {
    let bench = Bench::new();
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.path(), everyone).expect("our own directory");
    let davy = bench.path().join("davy");
    std::fs::copy(env!("CARGO_BIN_EXE_davy"), &davy).expect("the binary can be copied");
    for name in ["secret.toml", "secret.yaml"] {
        bench.write(name, "");
        let nobody_else = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(bench.path().join(name), nobody_else).expect("our own file");
    }
    // Root reads everything, so this is asked as nobody.
    let as_nobody = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&davy);
        command
            .args(arguments)
            .current_dir(bench.path())
            .uid(65534)
            .gid(65534);
        refused(run(&mut command, b"")).stderr
    };
    let config = as_nobody(&["guard", "--check", "--config", "secret.toml"]);
    let list = as_nobody(&[
        "guard",
        "--check",
        "--config",
        "davy.toml",
        "--blocklist",
        "secret.yaml",
    ]);
    insta::assert_snapshot!(format!("{config}\n{list}"));
}

#[test]
fn a_wrong_configuration_with_every_fault() {
    let bench = Bench::new();
    bench.write(
        "wrong.toml",
        "[guard]\nmode = \"kill\"\npindir = \"/x\"\nhold.deadline_ms = 5\n\n[gaurd.log]\nburst = 1\n",
    );
    let mut command = bench.davy(&[
        "guard",
        "--check",
        "--config",
        "wrong.toml",
        "--metrics",
        "0.0.0.0:9474",
        "--set",
        "guard.log.brust=5",
        "--set",
        "guard.pin",
    ]);
    command.env("DAVY_GUARD__SWEEP__ON_START", "maybe");
    command.env("DAVY_GUARD__NODE", OsStr::from_bytes(b"\xff"));
    insta::assert_snapshot!(refused(run(&mut command, b"")).stderr);
}

#[test]
fn a_wrong_list_with_every_fault() {
    let bench = Bench::new();
    bench.write(
        "wrong.yaml",
        "bannedCommandString: [a-word]\nallowedCommandPatterns: [\"(\"]\n",
    );
    let arguments = [
        "guard",
        "--check",
        "--config",
        "davy.toml",
        "--blocklist",
        "wrong.yaml",
        "--blocklist",
        "missing.yaml",
    ];
    insta::assert_snapshot!(refused(bench.run(&arguments)).stderr);
}

#[test]
fn wrong_input() {
    let bench = Bench::new();
    let nothing = refused(bench.explain(&["--stdin"], b"\n\n")).stderr;
    let endless = refused(bench.explain(&["--stdin"], &vec![b'x'; (4 << 20) + 2])).stderr;
    insta::assert_snapshot!(format!("{nothing}\n{endless}"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let bench = Bench::new();
    for arguments in [&["completions", "bash"][..], &["--help"], &["doctor"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = bench.davy(arguments);
        let output = command.stdout(writer).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code().is_some(),
            "{arguments:?} ended by a signal: {said}"
        );
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let bench = Bench::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = bench
        .davy(&["completions", "bash"])
        .stdout(full)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("cannot write to standard output") && said.contains("hint:"),
        "{said}"
    );
}

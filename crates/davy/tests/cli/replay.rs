//! `davy replay`, as a process.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn replay(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_davy"))
        .arg("replay")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("davy starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A program that refuses its arguments reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("davy ends")
}

fn objects(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

/// Checks what comes of each line: its number and its action.
fn check(input: &str, expected: &[(u64, &str)]) {
    let output = replay(&["--commands", "-", "--output", "json"], input);
    let found: Vec<(u64, String)> = objects(&output)
        .iter()
        .map(|object| {
            let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
            assert!(
                !text("detection").is_empty() && !text("why").is_empty(),
                "{object}"
            );
            assert!(!text("matched").is_empty(), "{object}");
            (object["line"].as_u64().expect("a line"), text("action"))
        })
        .collect();
    let found: Vec<(u64, &str)> = found
        .iter()
        .map(|(n, action)| (*n, action.as_str()))
        .collect();
    assert_eq!(found, expected, "{input}");
    assert_eq!(output.status.code(), Some(i32::from(!expected.is_empty())));
}

#[test]
fn each_line_is_judged_and_numbered() {
    check("ls -la\n\npython train.py\n", &[]);
    check(
        "ls\n./xmrig\r\n\nps aux | grep xmrig",
        &[(2, "kill"), (4, "spare")],
    );
    check("curl -sLO https://example.org/xmrig.tgz", &[(1, "alert")]);
    check("sh\0-c\0exec ./xmrig\0\n", &[(1, "kill")]);
    check("./kernel -o 203.0.113.7:443 -u me -p x\n", &[(1, "kill")]);
}

#[test]
fn lines_of_any_bytes_are_judged() {
    let output = replay(&["--commands", "-"], "\u{1b}[2J ./xmrig \u{7f}\n$((((((\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("judged 2 lines"));
}

#[test]
fn a_guards_log_is_judged_by_its_command_lines() {
    let log = r#"{"event":"ready","node":"a"}
{"cmdline":"./xmrig -B","action":"killed"}
"#;
    let output = replay(&["-", "--output", "json"], log);
    assert_eq!(objects(&output)[0]["line"], 2);
    assert_eq!(output.status.code(), Some(1));
    let output = replay(&["-"], "./xmrig\n");
    assert_eq!(
        output.status.code(),
        Some(2),
        "what cannot be judged is not clean"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("--commands"));
}

#[test]
fn matches_are_findings_of_ocsf() {
    let output = replay(
        &["--commands", "-", "--output", "ocsf"],
        "./xmrig\ngrep xmrig x\n",
    );
    let objects = objects(&output);
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["class_uid"], 2004);
    assert_eq!(objects[0]["finding_info"]["types"][0], "miner-program");
}

#[test]
fn detections_of_ones_own_are_used_and_their_faults_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path");
    let empty = replay(&["--commands", "-", "--detections", path], "ls\n");
    assert_eq!(empty.status.code(), Some(2));
    std::fs::write(
        folder.path().join("mine.toml"),
        "name = \"other\"\nscore = 1000\n",
    )
    .expect("written");
    let faulty = replay(&["--commands", "-", "--detections", path], "ls\n");
    assert_eq!(faulty.status.code(), Some(2));
    let told = String::from_utf8_lossy(&faulty.stderr);
    assert!(
        told.contains("mine.toml") && told.contains("title"),
        "{told}"
    );
    let missing = replay(&["--commands", "/nonexistent/lines.txt"], "");
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn what_is_no_command_line_is_never_clean() {
    let event = |line: &str| {
        let output = replay(&["-", "--output", "json"], line);
        (output.status.code(), objects(&output).len())
    };
    // As others write them.
    let listed = r#"{"pid":7,"cmdline":["./kernel","-a","rx/0"],"action":"killed"}"#;
    assert_eq!(event(listed), (Some(1), 1));
    assert_eq!(event(r#"{"CmdLine":"./kernel -a rx/0"}"#), (Some(1), 1));
    let ocsf = r#"{"class_uid":2004,"process":{"cmd_line":"./kernel -a rx/0"}}"#;
    assert_eq!(event(ocsf), (Some(1), 1));
    assert_eq!(event(r#"{"event":"ready"}"#), (Some(0), 0));
    for unknown in [
        r#"{"cmdline":null}"#,
        r#"{"cmdline":7}"#,
        r#"{"cmdline":[7]}"#,
        r#"{"cmdline":"./a","cmdline_cut_from_bytes":100000}"#,
    ] {
        assert_eq!(event(unknown), (Some(2), 0), "{unknown}");
    }

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lines");
    let file = path.to_str().expect("a path");
    std::fs::write(&path, b"\xff\xfel\0s\0\n\0").expect("written");
    assert_eq!(replay(&["--commands", file], "").status.code(), Some(2));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"ls\n./kernel -a rx/0\n").expect("packed");
    let packed = packed.finish().expect("packed");
    std::fs::write(&path, &packed).expect("written");
    assert_eq!(replay(&["--commands", file], "").status.code(), Some(1));
    std::fs::write(&path, &packed[..packed.len() - 9]).expect("written");
    assert_eq!(replay(&["--commands", file], "").status.code(), Some(2));
}

/// A pcap of raw IP packets: each payload goes from a client to port 3333 as one segment.
fn pcap<Payload: AsRef<[u8]>>(payloads: &[Payload]) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic, version 2.4, zone, accuracy, snapshot length, link type 101.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend(word.to_le_bytes());
    }
    let mut sequence = 1_u32;
    for payload in payloads {
        let payload = payload.as_ref();
        let length = u16::try_from(40 + payload.len()).expect("it is short");
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 203, 0, 113, 7]);
        packet.extend([0x9c, 0x40, 0x0d, 0x05]);
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 0, 0, 0x50, 0x18, 4, 0, 0, 0, 0, 0]);
        packet.extend(payload);
        sequence += u32::try_from(payload.len()).expect("it is short");
        let size = u32::try_from(packet.len()).expect("it is short");
        for word in [1_700_000_000, 250_000, size, size] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

#[test]
fn a_capture_tells_who_is_paid() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let file = path.to_str().expect("a path");
    let login = r#"{"id":1,"method":"login","params":{"login":"4Aw.rig","pass":"x","agent":"a"}}"#;
    let (start, end) = login.split_at(25);
    std::fs::write(&path, pcap(&[start, end])).expect("written");
    let output = replay(&[file, "--output", "json"], "");
    let found = objects(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["action"], "kill");
    assert_eq!(found[0]["detection"], "pool-protocol");
    assert_eq!(found[0]["wallet"], "4Aw");
    assert_eq!(found[0]["worker"], "rig");
    assert_eq!(found[0]["server"], "203.0.113.7:3333");
    assert_eq!(found[0]["time"], "2023-11-14T22:13:20.25Z");

    std::fs::write(&path, pcap(&["GET / HTTP/1.1\r\n\r\n"])).expect("written");
    assert_eq!(replay(&[file], "").status.code(), Some(0));
}

#[test]
fn encrypted_questions_are_told_where_they_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let file = path.to_str().expect("a path");
    let greeting = davylamp_testkit::wire::client_hello(Some("dns.quad9.net"));
    std::fs::write(&path, pcap(&[greeting])).expect("written");
    assert_eq!(replay(&[file], "").status.code(), Some(0));
    let output = replay(&[file, "--encrypted-dns", "--output", "json"], "");
    let found = objects(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["action"], "alert");
    assert_eq!(found[0]["detection"], "encrypted-dns");
}

#[test]
fn a_capture_that_ends_early_is_judged_so_far_and_not_clean() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let file = path.to_str().expect("a path");
    let subscribe = r#"{"id":1,"method":"mining.subscribe","params":[]}"#;
    let whole = pcap(&[subscribe, "more"]);
    for length in (4..whole.len()).step_by(9).chain([24, whole.len() - 60]) {
        std::fs::write(&path, &whole[..length]).expect("written");
        let output = replay(&[file, "--output", "json"], "");
        let is_between_packets = [24, whole.len() - 60].contains(&length);
        let expected = match (is_between_packets, objects(&output).len()) {
            (true, 0) => 0,
            (true, _) => 1,
            (false, _) => 2,
        };
        assert_eq!(output.status.code(), Some(expected), "{length}");
    }
    let capture_as_lines = replay(&["--commands", file], "");
    assert_eq!(capture_as_lines.status.code(), Some(2));
}

//! Logs made to break their reader.

use davylamp_hunt::unpack::Caps;
use proptest::prelude::*;

use crate::support::{Ask, gzip, zstd};

const EVENT: &str = r#"{"eventVersion":"1.09","eventTime":"2024-08-01T11:30:23Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"e1"}"#;
const LINE: &str =
    "2 111122223333 eni-1 10.0.0.5 8.8.8.8 40000 3333 6 12 1800 1722500000 1722500060 ACCEPT OK\n";

/// One record of each of the other logs.
const OTHERS: &[&str] = &[
    r#"{"query_timestamp":"2024-08-01T11:31:00Z","query_name":"a.b.example.","query_type":"A","answers":[{"Rdata":"c.","Type":"CNAME"}]}"#,
    r#"{"id":"f1","type":"X","resource":{"instanceDetails":{"instanceId":"i-1"}},"service":{"count":1},"severity":8}"#,
    r#"{"auditID":"a","requestURI":"/x?command=%41","verb":"get","requestObject":{"image":"a","privileged":true}}"#,
    r#"{"message":"{\"auditID\":\"a\",\"verb\":\"get\"}","logEvents":[{"message":"{}"}]}"#,
    r#"{"pid":1,"cmdline":"a","labels":{"io.kubernetes.pod.name":"p"},"event":"e","timestamp":"2024-08-01T11:31:00Z"}"#,
    r#"{"digestEndTime":"2024-08-01T11:30:00Z","digestS3Object":"a/CloudTrail-Digest/x","logFiles":[{}]}"#,
    r#"{"taken_at":"2024-08-01T11:31:00Z","kind":"k","id":"i","state":{}}"#,
];

fn check(table: &str, bytes: impl Into<Vec<u8>>, rows: usize, said: &str) {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    let place = format!("{table}=log");
    let mut ask = Ask::new(&sql).of("log", bytes);
    ask.place = &place;
    ask.caps = Caps {
        record_bytes: 1 << 20,
        object_bytes: 64 << 20,
    };
    let (found, told) = ask.answer();
    assert_eq!(found, format!("n\n{rows}"), "{said}: {told}");
    assert!(told.contains(said), "{said} is not in: {told}");
}

#[test]
fn what_breaks_off_gives_what_came_before() {
    let lines = LINE.repeat(20_000);
    for packed in [gzip(lines.as_bytes()), zstd(lines.as_bytes())] {
        let half = &packed[..packed.len() / 2];
        let mut ask = Ask::new("SELECT count(*) AS n FROM vpc_flow").of("log", half);
        ask.place = "vpc_flow=log";
        let (rows, told) = ask.answer();
        let count: usize = rows
            .trim_start_matches("n\n")
            .parse()
            .expect("it is a count");
        assert!((1000..20_000).contains(&count), "{count}");
        assert!(told.contains("1 object not or not wholly read"), "{told}");
        assert!(!told.contains("0 bytes unpacked"), "{told}");
    }
    let cut = [gzip(LINE.as_bytes()), b"rubbish".to_vec()].concat();
    check("vpc_flow", cut, 1, "1 object not or not wholly read");
    check(
        "cloudtrail",
        format!(r#"{{"Records":[{EVENT},{}"#, &EVENT[..60]),
        1,
        "it is cut off",
    );
    check(
        "cloudtrail",
        format!(r#"{{"Records":[{EVENT}"#),
        1,
        "the list of records does not end",
    );
}

#[test]
fn depth_and_length_exhaust_nothing() {
    check(
        "cloudtrail",
        "[".repeat(17 << 20),
        0,
        "1 record not understood",
    );
    check(
        "cloudtrail",
        format!("{{\"Records\":[{EVENT},{}", "[{\"a\":".repeat(1 << 20)),
        1,
        "not understood",
    );
    let long = format!("{LINE}{}\n{LINE}", "x".repeat(17 << 20));
    check(
        "vpc_flow",
        gzip(&[long.as_bytes(), &vec![b'y'; 17 << 20]].concat()),
        2,
        "the line has more than 1048576 bytes, which no line may",
    );
    let long = format!(
        "{EVENT}\n{{\"eventName\":\"{}\"}}\n{EVENT}\n",
        "x".repeat(33 << 20)
    );
    check(
        "cloudtrail",
        gzip(long.as_bytes()),
        2,
        "the record has more than 1048576 bytes, which no record may",
    );
    check(
        "vpc_flow",
        gzip(&vec![b'x'; 100 << 20]),
        0,
        "holds more than 67108864 bytes",
    );
}

#[test]
fn what_is_not_text_is_told() {
    check(
        "vpc_flow",
        [LINE.as_bytes(), b"\xff\xfe 1 2\n", LINE.as_bytes()].concat(),
        2,
        "the line is not UTF-8",
    );
    let bad = [EVENT.replace("RunInstances", "#").into_bytes()].concat();
    let bad: Vec<u8> = bad
        .into_iter()
        .map(|byte| if byte == b'#' { 0xff } else { byte })
        .collect();
    check(
        "cloudtrail",
        [&bad, b"\n".as_slice(), EVENT.as_bytes()].concat(),
        1,
        "it is not UTF-8",
    );
    check(
        "cloudtrail",
        format!("no json\n{EVENT}\nmore of it\n"),
        1,
        "2 records not understood",
    );
    check("cloudtrail", "", 0, "read 0 records of 1 object");
    check("vpc_flow", "", 0, "read 0 records of 1 object");
    check(
        "cloudtrail",
        r#"{"Records":[]}"#,
        0,
        "read 0 records of 1 object",
    );
    check("cloudtrail", "{}", 0, "1 record not understood");
}

#[test]
fn no_reader_is_broken_by_what_is_wrong_in_its_own_log() {
    for record in OTHERS {
        let deep = format!("{}{{\"a\":", "[".repeat(1 << 16));
        let wrong = [
            record.replace("\":\"", "\":7,\"x\":\""),
            record.replace(':', ":null,\"x\":"),
            record.replace("{}", &deep),
            record.to_uppercase(),
            record[..record.len() / 2].to_owned(),
            format!("{}{}", &record[..record.len() - 1], ",\"x\":{\"y\":"),
        ];
        let mut log = wrong.join("\n").into_bytes();
        log.extend_from_slice(b"\n{\"a\xff\":1}\n");
        log.extend_from_slice(record.as_bytes());
        log.extend_from_slice(deep.as_bytes());
        for known in davylamp_hunt::read::LOGS {
            let table = known.table().name;
            let sql = format!("SELECT * FROM {table}");
            let place = format!("{table}=log");
            let mut ask = Ask::new(&sql).of("log", log.clone());
            ask.place = &place;
            let said = ask.said();
            assert!(said.contains("not understood"), "{table}: {record}: {said}");
        }
    }
}

#[test]
fn a_terminal_is_not_steered() {
    let said = Ask::new("SELECT count(*) FROM vpc_flow")
        .of("log", format!("2 \u{1b}[2J\u{202e}\n{LINE}"))
        .of("\u{1b}[31mred", "nothing that is known")
        .said();
    assert!(
        !said.contains('\u{1b}') && !said.contains('\u{202e}'),
        "{said:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_bytes_are_rows_or_faults(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        text in "[\\[\\]{}\",:\\\\a-c \n]{0,200}",
        cut in 0_usize..200,
        packing in 0..3,
        other in 0..OTHERS.len(),
    ) {
        let other = OTHERS[other].as_bytes();
        let mut log = [LINE.as_bytes(), EVENT.as_bytes(), b"\n", other, text.as_bytes(), &bytes].concat();
        let turned = cut.min(log.len());
        log.rotate_left(turned);
        let log = match packing {
            0 => log,
            1 => gzip(&log),
            _ => { let mut packed = gzip(&log); let at = cut.min(packed.len() - 1); packed[at] ^= 0x55; packed }
        };
        for known in davylamp_hunt::read::LOGS {
            let table = known.table().name;
            let place = format!("{table}=log");
            let sql = format!("SELECT * FROM {table}");
            let mut ask = Ask::new(&sql).of("log", log.clone());
            ask.place = &place;
            ask.rows();
            let sql = match table {
                "vpc_flow" => "SELECT * FROM vpc_flow WHERE dstport = 3333",
                "cloudtrail" => "SELECT * FROM cloudtrail WHERE event_name = 'RunInstances'",
                _ => continue,
            };
            let mut ask = Ask::new(sql).of("log", log.clone());
            ask.place = &place;
            ask.rows();
        }
    }
}

//! Logs made to break their reader.

use davylamp_hunt::unpack::Caps;
use proptest::prelude::*;

use crate::support::{Ask, gzip, zstd};

const EVENT: &str = r#"{"eventVersion":"1.09","eventTime":"2024-08-01T11:30:23Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"e1"}"#;
const LINE: &str =
    "2 111122223333 eni-1 10.0.0.5 8.8.8.8 40000 3333 6 12 1800 1722500000 1722500060 ACCEPT OK\n";

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
        "longer than a line may be",
    );
    let long = format!("{EVENT}\n{{\"eventName\":\"{}\"}}\n", "x".repeat(33 << 20));
    check(
        "cloudtrail",
        gzip(long.as_bytes()),
        1,
        "longer than a record may be",
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
    ) {
        let mut log = [LINE.as_bytes(), EVENT.as_bytes(), text.as_bytes(), &bytes].concat();
        let turned = cut.min(log.len());
        log.rotate_left(turned);
        let log = match packing {
            0 => log,
            1 => gzip(&log),
            _ => { let mut packed = gzip(&log); let at = cut.min(packed.len() - 1); packed[at] ^= 0x55; packed }
        };
        for table in ["vpc_flow", "cloudtrail"] {
            let place = format!("{table}=log");
            let sql = format!("SELECT * FROM {table}");
            let mut ask = Ask::new(&sql).of("log", log.clone());
            ask.place = &place;
            ask.rows();
            let sql = match table {
                "vpc_flow" => "SELECT * FROM vpc_flow WHERE dstport = 3333",
                _ => "SELECT * FROM cloudtrail WHERE event_name = 'RunInstances'",
            };
            let mut ask = Ask::new(sql).of("log", log.clone());
            ask.place = &place;
            ask.rows();
        }
    }
}

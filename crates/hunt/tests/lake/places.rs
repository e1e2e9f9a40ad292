//! Where logs lie.

use crate::support::{Ask, gzip, tar};

const LINE: &str =
    "2 111122223333 eni-1 10.0.0.5 8.8.8.8 40000 3333 6 12 1800 1722500000 1722500060 ACCEPT OK\n";
const EVENT: &str = r#"{"eventVersion":"1.09","eventTime":"2024-08-01T11:30:23Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","eventID":"e1"}"#;

fn check(place: &str, expected: &str) {
    let members = tar(&[
        ("deep/a.log.gz", &gzip(LINE.as_bytes())),
        ("b.json", EVENT.as_bytes()),
    ]);
    let mut ask = Ask::new("SELECT _source FROM vpc_flow ORDER BY 1")
        .of("2024/08/01/flow.log.gz", gzip(LINE.as_bytes()))
        .of("2024/08/02/no-suffix", LINE)
        .of("trail/x.json", EVENT)
        .of("all.tar", members.clone())
        .of("all.tgz", gzip(&members));
    ask.place = place;
    let (rows, said) = ask.answer();
    let found: Vec<&str> = rows.lines().skip(1).collect();
    assert_eq!(found.join(" "), expected, "{place}: {said}");
}

#[test]
fn logs_are_found_wherever_they_lie() {
    check(
        "",
        "2024/08/01/flow.log.gz:1 2024/08/02/no-suffix:1 all.tar!deep/a.log.gz:1 all.tgz!deep/a.log.gz:1",
    );
    check("2024", "2024/08/01/flow.log.gz:1 2024/08/02/no-suffix:1");
    check("2024/**/*.gz", "2024/08/01/flow.log.gz:1");
    check("all.t*", "all.tar!deep/a.log.gz:1 all.tgz!deep/a.log.gz:1");
    check("vpc_flow=2024/08/02/no-suffix", "2024/08/02/no-suffix:1");
}

#[test]
fn what_is_not_there_is_told() {
    for (place, said) in [
        ("nowhere", "nowhere: there is no such file or folder"),
        ("2024/*.parquet", "no file fits the pattern"),
        ("", "notes.txt: it is no log that is known"),
        ("", "vpc_flow: none of the logs given is one of this table"),
    ] {
        let mut ask = Ask::new("SELECT * FROM vpc_flow").of("2024/notes.txt", "these are notes");
        ask.place = place;
        let told = ask.said();
        assert!(told.contains(said), "{place}: {told}");
    }
}

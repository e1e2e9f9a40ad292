//! Where logs lie.

use std::path::Path;

use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::Scope;
use davylamp_hunt::read::Given;

use crate::cases::ask;
use crate::convert::engine;
use crate::support::{Ask, gzip, tar, zstd};

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

#[test]
fn members_of_an_archive_that_are_no_log_are_told_once() {
    let inner = tar(&[("b.log", LINE.as_bytes())]);
    let members = tar(&[
        ("a.log", LINE.as_bytes()),
        ("notes.txt", b"these are notes"),
        ("flow.parquet", b"PAR1 and more"),
        ("inner.tar", &inner),
        ("empty", b""),
    ]);
    let sql = "SELECT f._source FROM vpc_flow f LEFT JOIN cloudtrail c ON f._source = c._source";
    let mut named = Ask::new(sql).of("all.tar", members.clone());
    named.place = "vpc_flow=all.tar";
    let said = named.said();
    for told in [
        "!flow.parquet: Parquet within",
        "!inner.tar: an archive within",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let (rows, said) = Ask::new(sql).of("all.tar", members).answer();
    assert!(rows.ends_with("all.tar!a.log:1"), "{rows}");
    for told in [
        "logs: 3 objects not or not wholly read",
        "all.tar!notes.txt: it is no log that is known",
        "all.tar!flow.parquet: Parquet within an archive is not read",
        "all.tar!inner.tar: an archive within an archive is not read",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

/// A block of zstd gives nothing before it is whole.
#[test]
fn a_log_is_told_through_zstd_however_long_its_blocks_are() {
    let mut number: u64 = 1;
    let mut log = String::new();
    for _ in 0..6000 {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        log += &format!(
            "2 111122223333 eni-{number:016x} 10.0.0.5 8.8.8.8 40000 3333 6 12 {} 1722500000 \
             1722500060 ACCEPT OK\n",
            number % 1_000_000
        );
    }
    let packed = zstd(log.as_bytes());
    assert!(packed.len() > 60_000, "{}", packed.len());
    let archive = tar(&[("c.zst", &packed)]);
    let rows = Ask::new("SELECT count(*) AS flows FROM vpc_flow")
        .of("a", packed)
        .of("b.tar.zst", zstd(&archive))
        .rows();
    assert_eq!(rows, "flows\n12000");
}

#[tokio::test]
async fn a_pipe_in_a_folder_is_told_and_not_waited_for() {
    let folder = tempfile::tempdir().expect("there is room");
    std::fs::write(folder.path().join("flow.log"), LINE).expect("there is room");
    let made = std::process::Command::new("mkfifo")
        .arg(folder.path().join("pipe"))
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let engine = engine(folder.path(), Scope::default()).await;
    assert_eq!(engine.outside().objects_unreadable, 1);
    let told = engine.outside().samples[0].to_string();
    assert!(
        told.ends_with("pipe: it is no file; name it itself to read it"),
        "{told}"
    );
    let rows = ask(&engine, "SELECT * FROM vpc_flow").await;
    assert_eq!(rows.map(|rows| rows.len()), Ok(1));
}

/// How many rows the logs at these places have, and what is said.
async fn counted(places: &[&Path]) -> (String, String) {
    let places = places.iter().map(|place| place.display().to_string());
    let setup = Setup {
        locations: places
            .map(|place| place.parse().expect("a place"))
            .collect(),
        given: Given::shipped().expect("what ships is good"),
        ..Setup::default()
    };
    let engine = Engine::open(setup).await.expect("it can be listed");
    // A table that is named twice is read twice.
    let sql = "SELECT COUNT(*) AS n FROM vpc_flow WHERE srcport IN (SELECT srcport FROM vpc_flow)";
    let rows = ask(&engine, sql).await.expect("it has an answer");
    let told = format!("{:?}", engine.outside());
    (rows[0]["n"].to_string(), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_counts_once_under_whatever_names_it_is_given() {
    let home = tempfile::tempdir().expect("there is room");
    let (logs, link) = (home.path().join("logs"), home.path().join("link"));
    std::fs::create_dir(&logs).expect("there is room");
    let file = logs.join("a.log");
    std::fs::write(&file, LINE).expect("there is room");
    std::os::unix::fs::symlink(&file, logs.join("b.log")).expect("there is room");
    std::os::unix::fs::symlink(&logs, &link).expect("there is room");
    let dotted = logs.join("../logs/a.log");
    for places in [vec![&*logs], vec![&*file, &link], vec![&*file, &dotted]] {
        let (rows, told) = counted(&places).await;
        assert_eq!(rows, "1", "{places:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_through_a_pipe_is_kept() {
    let home = tempfile::tempdir().expect("there is room");
    let pipe = home.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("there is mkfifo").success());
    let through = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(through, LINE.repeat(20_000)));
    let (rows, told) = counted(&[&pipe]).await;
    assert_eq!(rows, "20000", "{told}");
    writer
        .join()
        .expect("it does not panic")
        .expect("it is read");
}

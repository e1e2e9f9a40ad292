//! What is appended is read, once for each reader, whatever dies in between.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use davylamp_spool::{Limits, MAX_LINE_BYTES, Missed, Reader, SpoolError, Writer};
use proptest::prelude::*;

const ROOMY: u64 = 1 << 30;

fn limits(dir: &Path, max_bytes: u64, segment_bytes: u64) -> Limits {
    Limits {
        dir: dir.to_owned(),
        max_bytes,
        segment_bytes,
        line_bytes: MAX_LINE_BYTES,
    }
}

fn writer(dir: &Path) -> Writer {
    Writer::open(limits(dir, ROOMY, 100)).expect("a spool")
}

fn append(writer: &mut Writer, numbers: std::ops::Range<u64>) -> u64 {
    numbers
        .map(|number| {
            let appended = writer.append(&format!("line {number}")).expect("room");
            appended.dropped_lines
        })
        .sum()
}

/// Everything there is, committed.
fn drain(reader: &mut Reader) -> (Vec<String>, Missed) {
    let (mut lines, mut missed) = (Vec::new(), Missed::default());
    loop {
        let batch = reader.next_batch(7, 1000).expect("a batch");
        missed.lines += batch.missed.lines;
        missed.torn_bytes += batch.missed.torn_bytes;
        if batch.lines.is_empty() && batch.missed == Missed::default() {
            return (lines, missed);
        }
        reader.commit(&batch).expect("commit");
        lines.extend(batch.lines);
    }
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

fn segments(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    names.sort();
    names
}

fn tear(dir: &Path, text: &str) {
    let last = segments(dir).pop().expect("a segment");
    let mut file = OpenOptions::new()
        .append(true)
        .open(dir.join(last))
        .expect("the segment");
    file.write_all(text.as_bytes()).expect("room");
}

#[test]
fn readers_are_independent_and_take_up_where_they_left_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path());
    append(&mut writer, 0..50);
    assert!(segments(dir.path()).len() > 3);
    let mut first = Reader::open(dir.path(), "first").expect("a reader");
    assert_eq!(drain(&mut first), (numbers(0..50), Missed::default()));
    let mut second = Reader::open(dir.path(), "second").expect("a reader");
    let batch = second.next_batch(20, ROOMY as usize).expect("a batch");
    assert_eq!(batch.lines, numbers(0..20));
    second.commit(&batch).expect("commit");
    let uncommitted = second.next_batch(20, ROOMY as usize).expect("a batch");
    assert_eq!(uncommitted.lines, numbers(20..40));
    drop(second);
    append(&mut writer, 50..60);
    let mut second = Reader::open(dir.path(), "second").expect("a reader");
    assert!(second.lag_bytes().expect("lag") > 0);
    assert_eq!(drain(&mut second).0, numbers(20..60));
    assert_eq!(second.lag_bytes().expect("lag"), 0);
    assert_eq!(second.committed_line(), 60);
    assert_eq!(drain(&mut first).0, numbers(50..60));
}

#[test]
fn a_batch_is_bounded_and_holds_at_least_one_line() {
    let dir = tempfile::tempdir().expect("a directory");
    append(&mut writer(dir.path()), 0..10);
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    let batch = reader.next_batch(100, 1).expect("a batch");
    assert_eq!(batch.lines, numbers(0..1));
    let batch = reader.next_batch(100, 14).expect("a batch");
    assert_eq!(batch.lines, numbers(1..3));
    reader.rewind();
    let batch = reader.next_batch(1, 1000).expect("a batch");
    assert_eq!(batch.lines, numbers(0..1));
}

#[test]
fn a_full_spool_drops_the_oldest_and_every_loss_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(limits(dir.path(), 400, 100)).expect("a spool");
    append(&mut writer, 0..5);
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    assert_eq!(drain(&mut reader).0, numbers(0..5));
    let dropped = append(&mut writer, 5..500);
    assert!(writer.bytes() <= 400, "{} bytes", writer.bytes());
    let (lines, missed) = drain(&mut reader);
    assert_eq!(lines, numbers(500 - lines.len() as u64..500));
    assert_eq!(missed.lines + lines.len() as u64, 495);
    assert_eq!(dropped + lines.len() as u64, 500);
}

#[test]
fn half_a_line_is_no_line_and_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    append(&mut writer(dir.path()), 0..3);
    tear(dir.path(), "line 3 is not wh");
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    assert_eq!(drain(&mut reader), (numbers(0..3), Missed::default()));
    let mut writer = writer(dir.path());
    assert_eq!((writer.torn_bytes(), writer.next()), (16, 3));
    append(&mut writer, 3..5);
    let missed = Missed {
        lines: 0,
        torn_bytes: 16,
    };
    assert_eq!(drain(&mut reader), (numbers(3..5), missed));
}

#[test]
fn a_segment_that_never_got_a_line_is_begun_again() {
    let dir = tempfile::tempdir().expect("a directory");
    append(&mut writer(dir.path()), 0..2);
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    fs::write(dir.path().join("000000000002.jsonl"), "torn").expect("written");
    assert_eq!(drain(&mut reader).0, numbers(0..2));
    append(&mut writer(dir.path()), 2..4);
    assert_eq!(drain(&mut reader).0, numbers(2..4));
}

#[test]
fn after_a_power_cut_lines_come_twice_rather_than_never() {
    let dir = tempfile::tempdir().expect("a directory");
    append(&mut writer(dir.path()), 0..5);
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    assert_eq!(drain(&mut reader).0.len(), 5);
    let segment = dir.path().join("000000000000.jsonl");
    let whole = fs::read(&segment).expect("the segment");
    fs::write(&segment, &whole[..14]).expect("cut");
    append(&mut writer(dir.path()), 2..4);
    assert_eq!(drain(&mut reader).0, numbers(0..4));
    // The same with the whole segment gone.
    fs::remove_file(dir.path().join("000000000002.jsonl")).expect("cut");
    append(&mut writer(dir.path()), 2..3);
    assert!(drain(&mut reader).0.ends_with(&numbers(2..3)));
}

#[test]
fn another_spool_in_the_same_place_is_read_from_its_start() {
    let dir = tempfile::tempdir().expect("a directory");
    append(&mut writer(dir.path()), 0..9);
    assert_eq!(
        drain(&mut Reader::open(dir.path(), "r").expect("a reader"))
            .0
            .len(),
        9
    );
    for name in segments(dir.path()) {
        fs::remove_file(dir.path().join(name)).expect("removed");
    }
    append(&mut writer(dir.path()), 0..3);
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    assert_eq!(drain(&mut reader), (numbers(0..3), Missed::default()));
}

#[test]
fn two_of_a_kind_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(matches!(
        Reader::open(dir.path(), "r"),
        Err(SpoolError::NoSpool { .. })
    ));
    let _writer = writer(dir.path());
    assert!(matches!(
        Writer::open(limits(dir.path(), ROOMY, 100)),
        Err(SpoolError::Written { .. })
    ));
    let _reader = Reader::open(dir.path(), "r").expect("a reader");
    assert!(matches!(
        Reader::open(dir.path(), "r"),
        Err(SpoolError::Read { .. })
    ));
    Reader::open(dir.path(), "s").expect("another reader");
    for name in ["", "../r", "R", &"r".repeat(65)] {
        assert!(matches!(
            Reader::open(dir.path(), name),
            Err(SpoolError::Name { .. })
        ));
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = writer(dir.path());
    let long = "x".repeat(MAX_LINE_BYTES + 1);
    assert!(matches!(writer.append(&long), Err(SpoolError::Long { .. })));
    append(&mut writer, 0..1);
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    assert_eq!(drain(&mut reader).0, numbers(0..1));
}

#[test]
fn a_garbled_cursor_is_no_reason_to_start_anew_unasked() {
    let dir = tempfile::tempdir().expect("a directory");
    append(&mut writer(dir.path()), 0..1);
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    drain(&mut reader);
    drop(reader);
    fs::write(dir.path().join("readers/r.json"), "{").expect("written");
    let error = Reader::open(dir.path(), "r").expect_err("it is garbled");
    assert!(error.hint().contains("readers/r.json"), "{}", error.hint());
}

const CHILD_DIR: &str = "DAVY_TEST_SPOOL";

/// Not a test by itself: the writer that is killed below, which says each line once it is appended.
#[test]
fn child_that_appends() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let mut writer = Writer::open(limits(Path::new(&dir), ROOMY, 4096)).expect("a spool");
    let mut said = std::io::stdout().lock();
    loop {
        let line = format!("line {} {}", writer.next(), "x".repeat(200));
        let _ = writer.append(&line).expect("room");
        if writeln!(said, "appended {}", writer.next()).is_err() {
            return;
        }
    }
}

#[test]
fn what_was_appended_outlives_the_kill_of_its_writer() {
    use std::io::BufRead as _;
    let dir = tempfile::tempdir().expect("a directory");
    let mut promised = 0;
    for life in 1..=8 {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child_that_appends", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = std::io::BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut read = 0;
        while read < life * 100 {
            let line = lines.next().expect("a line").expect("text");
            // The harness writes the test's name before the first line.
            if let Some((_, number)) = line.split_once("appended ") {
                promised = number.parse().expect("a number");
                read += 1;
            }
        }
        child.kill().expect("killed");
        for line in lines.map_while(Result::ok) {
            if let Some((_, number)) = line.split_once("appended ") {
                promised = number.parse().unwrap_or(promised);
            }
        }
        child.wait().expect("reaped");
    }
    let mut reader = Reader::open(dir.path(), "r").expect("a reader");
    let (lines, missed) = drain(&mut reader);
    assert!(
        lines.len() as u64 >= promised,
        "{} of {promised}",
        lines.len()
    );
    assert_eq!(missed.lines, 0);
    for (number, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("line {number} x")), "{line}");
        assert!(line.ends_with(&"x".repeat(200)), "{line}");
    }
}

#[test]
fn a_reader_that_has_taken_nothing_yet_knows_what_it_missed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(limits(dir.path(), 300, 100)).expect("a spool");
    drop(Reader::open(dir.path(), "r").expect("a reader"));
    append(&mut writer, 0..40);
    let mut reader = Reader::open(dir.path(), "r").expect("the reader again");
    let (lines, missed) = drain(&mut reader);
    assert!(missed.lines > 0, "the oldest were dropped");
    assert_eq!(missed.lines + lines.len() as u64, 40);
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Read {
        lines: usize,
        bytes: usize,
        commit: bool,
    },
    ReopenWriter {
        torn: u8,
    },
    ReopenReader,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..20u8).prop_map(Step::Append),
        4 => (1..9usize, 1..200usize, any::<bool>())
            .prop_map(|(lines, bytes, commit)| Step::Read { lines, bytes, commit }),
        1 => (0..30u8).prop_map(|torn| Step::ReopenWriter { torn }),
        1 => Just(Step::ReopenReader),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is done in whatever order: what is committed, and what is said to be missed, is
    /// everything that was appended, in order.
    #[test]
    fn nothing_is_lost_unsaid(steps in prop::collection::vec(step(), 1..60), max in 300u64..2000) {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || Writer::open(limits(dir.path(), max, 100)).expect("a spool");
        let mut writer = Some(open());
        let mut reader = Some(Reader::open(dir.path(), "r").expect("a reader"));
        let (mut appended, mut accounted) = (0u64, 0u64);
        let mut seen = BTreeSet::new();
        let take = |batch: &davylamp_spool::Batch, accounted: &mut u64, seen: &mut BTreeSet<u64>| {
            *accounted += batch.missed.lines;
            for line in &batch.lines {
                let number: u64 = line.strip_prefix("line ").expect("a line").parse().expect("a number");
                assert_eq!(number, *accounted);
                assert!(seen.insert(number));
                *accounted += 1;
            }
        };
        for step in steps {
            match step {
                Step::Append(count) => {
                    let to = appended + u64::from(count);
                    append(writer.as_mut().expect("open"), appended..to);
                    appended = to;
                }
                Step::Read { lines, bytes, commit } => {
                    let reader = reader.as_mut().expect("open");
                    let batch = reader.next_batch(lines, bytes).expect("a batch");
                    if commit {
                        reader.commit(&batch).expect("commit");
                        take(&batch, &mut accounted, &mut seen);
                    } else {
                        reader.rewind();
                    }
                }
                Step::ReopenWriter { torn } => {
                    drop(writer.take());
                    if torn > 0 && appended > 0 {
                        tear(dir.path(), &"t".repeat(torn.into()));
                    }
                    writer = Some(open());
                }
                Step::ReopenReader => {
                    drop(reader.take());
                    reader = Some(Reader::open(dir.path(), "r").expect("a reader"));
                }
            }
            let on_disk: u64 = segments(dir.path())
                .iter()
                .map(|name| fs::metadata(dir.path().join(name)).expect("a segment").len())
                .sum();
            assert!(on_disk <= max + 30, "{on_disk} bytes");
        }
        let reader = reader.as_mut().expect("open");
        loop {
            let batch = reader.next_batch(5, 100).expect("a batch");
            if batch.is_empty() { break; }
            reader.commit(&batch).expect("commit");
            take(&batch, &mut accounted, &mut seen);
        }
        assert_eq!(accounted, appended);
    }
}

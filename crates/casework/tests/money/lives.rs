//! Lives of machines from what was seen of them.

use davylamp_casework::cost::sightings::{Lives, Sighting, What, lives};
use davylamp_casework::cost::{Bounds, End, Run};
use davylamp_content::prices::kind::System;

use super::made::{HOUR, at, saw};

fn exactly(what: What, hours: i64) -> Sighting {
    saw("i-1", what, Bounds::exactly(at(hours * HOUR)))
}

fn life(seen: &[Sighting]) -> (Run, Vec<String>) {
    let Lives { mut runs, caveats } = lives(seen.to_vec(), None);
    assert_eq!(runs.len(), 1, "{runs:?}");
    let told = caveats.into_iter().map(|caveat| caveat.text).collect();
    (runs.remove(0), told)
}

fn moment(hours: i64) -> Bounds {
    Bounds::exactly(at(hours * HOUR))
}

#[test]
fn started_and_ended() {
    use What::{Ended, Gone, Running, Started};
    for seen in [
        vec![exactly(Started, 1), exactly(Ended, 5)],
        vec![exactly(Ended, 5), exactly(Started, 1)],
        vec![
            exactly(Started, 1),
            exactly(Running, 3),
            exactly(Ended, 5),
            exactly(Ended, 6),
        ],
        vec![exactly(Started, 1), exactly(Ended, 5), exactly(Gone, 9)],
    ] {
        let (run, told) = life(&seen);
        assert_eq!(run.started, moment(1));
        assert_eq!(run.ended, End::At(moment(5)));
        assert!(run.paused.is_empty() && told.is_empty(), "{told:?}");
    }
}

#[test]
fn a_start_that_is_told_twice_is_one() {
    let call = exactly(What::Started, 1);
    let launch = saw("i-1", What::Started, Bounds::exactly(at(HOUR + 2)));
    let (run, told) = life(&[call, launch, exactly(What::Ended, 5)]);
    assert_eq!(run.started, moment(1));
    assert!(run.paused.is_empty() && told.is_empty());
}

#[test]
fn gone_between_two_snapshots() {
    let gone = saw(
        "i-1",
        What::Gone,
        Bounds::between(at(2 * HOUR), at(6 * HOUR)),
    );
    let (run, _) = life(&[exactly(What::Started, 1), exactly(What::Running, 3), gone]);
    assert_eq!(
        run.ended,
        End::At(Bounds::between(at(3 * HOUR), at(6 * HOUR)))
    );
    let unbounded = saw("i-1", What::Gone, Bounds::by(at(6 * HOUR)));
    let (run, _) = life(&[exactly(What::Started, 1), unbounded]);
    assert_eq!(run.ended, End::At(Bounds::between(at(HOUR), at(6 * HOUR))));
}

#[test]
fn stopped_and_started_again() {
    use What::{Ended, Started, Stopped};
    let seen = [
        exactly(Started, 1),
        exactly(Stopped, 2),
        exactly(Stopped, 2),
        exactly(Started, 4),
        exactly(Ended, 6),
    ];
    let (run, told) = life(&seen);
    assert_eq!(run.paused, [(moment(2), moment(4))]);
    assert_eq!(run.ended, End::At(moment(6)));
    assert!(told.is_empty(), "{told:?}");
    // What is stopped costs nothing until it is terminated.
    let (run, _) = life(&[exactly(Started, 1), exactly(Stopped, 2), exactly(Ended, 9)]);
    assert_eq!(run.ended, End::At(moment(2)));
}

#[test]
fn what_is_not_seen_to_end() {
    use What::{Running, Started};
    let started = [exactly(Started, 1)];
    let (run, _) = life(&started);
    assert!(matches!(run.ended, End::Unknown { last_known, .. } if last_known == at(HOUR)));
    let until = lives(started.to_vec(), Some(at(9 * HOUR)));
    assert_eq!(until.runs[0].ended, End::RunsAt(at(9 * HOUR)));
    let (run, _) = life(&[exactly(Started, 1), exactly(Running, 3)]);
    assert_eq!(run.ended, End::RunsAt(at(3 * HOUR)));
    // A log that ended before says nothing.
    let until = lives(vec![exactly(Started, 5)], Some(at(HOUR)));
    assert!(matches!(until.runs[0].ended, End::Unknown { .. }));
}

#[test]
fn what_ran_before_it_was_seen() {
    let (run, _) = life(&[exactly(What::Running, 3), exactly(What::Ended, 5)]);
    assert_eq!(run.started, Bounds::by(at(3 * HOUR)));
    let came = saw("i-1", What::Running, Bounds::between(at(0), at(3 * HOUR)));
    let (run, _) = life(&[came]);
    assert_eq!(run.started, Bounds::between(at(0), at(3 * HOUR)));
    let (run, _) = life(&[exactly(What::Ended, 5)]);
    assert_eq!(run.started, Bounds::by(at(5 * HOUR)));
}

#[test]
fn contradictions_are_told() {
    use What::{Ended, Running, Started, Stopped};
    let check = |seen: &[Sighting], words: &str| {
        let (run, told) = life(seen);
        assert!(told.iter().any(|text| text.contains(words)), "{told:?}");
        run
    };
    let run = check(
        &[
            exactly(Started, 1),
            exactly(Running, 3),
            exactly(Started, 8),
            exactly(Ended, 9),
        ],
        "started again at",
    );
    let unseen = Bounds::between(at(3 * HOUR), at(8 * HOUR));
    assert_eq!(run.paused, [(unseen, moment(8))]);
    check(
        &[
            exactly(Started, 1),
            exactly(Stopped, 2),
            exactly(Running, 5),
        ],
        "is not seen to start",
    );
    check(
        &[
            exactly(Started, 1),
            exactly(Stopped, 2),
            exactly(Stopped, 5),
        ],
        "and again at",
    );
    let run = check(
        &[exactly(Started, 1), exactly(Ended, 2), exactly(Running, 5)],
        "and yet ran",
    );
    assert_eq!(
        run.ended,
        End::At(Bounds::between(at(2 * HOUR), at(5 * HOUR)))
    );
    check(
        &[exactly(Started, 1), exactly(Ended, 2), exactly(Started, 5)],
        "and yet started",
    );
    let other = Sighting {
        instance_type: Some("p5.48xlarge".to_owned()),
        ..exactly(Ended, 5)
    };
    check(&[exactly(Started, 1), other], "more than one type");
}

#[test]
fn the_clearer_word_counts() {
    let vague = Sighting {
        system: System::NotWindows,
        ..exactly(What::Started, 1)
    };
    let clear = Sighting {
        system: System::Rhel,
        ..exactly(What::Running, 2)
    };
    let (run, told) = life(&[vague.clone(), clear]);
    assert_eq!(run.system, System::Rhel);
    assert!(told.is_empty());
    let (run, _) = life(&[vague]);
    assert_eq!(run.system, System::NotWindows);
}

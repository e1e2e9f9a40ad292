//! What a store tells: states at a time, differences, the timeline, lines as the hunt reads them.

use davylamp_recorder::diff::{How, difference};
use davylamp_recorder::timeline::{Asked, What, timeline};
use davylamp_recorder::verify::verify;
use davylamp_recorder::{FULL_EVERY, Store, StoreError, Writer, export};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, complete, hour, record, scope, story, thing, unknown};

#[test]
fn lines_are_those_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let writer = story(dir.path());
    let mut text = Vec::new();
    export::changes(writer.store(), 1, 3, &mut text)
        .unwrap()
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let first = text.lines().next().unwrap();
    let (before, hash) = first.split_once(",\"hash\":").unwrap();
    assert_eq!(
        before,
        "{\"taken_at\":\"2026-03-01T00:00:00Z\",\"account_id\":\"111122223333\",\
         \"region\":\"eu-central-1\",\"kind\":\"coverage\",\"id\":\"access-key\",\
         \"state\":{\"Count\":1,\"Mode\":\"full\",\"Status\":\"complete\"}"
    );
    assert_eq!(hash.len(), 64 + 3);
    for line in &lines {
        assert_eq!(line["account_id"], ACCOUNT);
        // The hash is that of the canonical state: serde_json sorts nothing, so it is sorted here.
        let state = davylamp_recorder::canonical::canonical(&line["state"]);
        let hash = davylamp_recorder::canonical::hash(&state);
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(line["hash"], digits);
    }
    let of = |at: &str, kind: &str, id: &str| {
        let found = lines.iter().find(|line| {
            (&line["taken_at"], &line["kind"], &line["id"])
                == (&json!(at), &json!(kind), &json!(id))
        });
        found.map(|line| line["state"].clone())
    };
    let second = "2026-03-01T01:00:00Z";
    assert_eq!(
        of(second, "coverage", "access-key").unwrap(),
        json!({"Status": "unknown", "Reason": "iam:ListUsers is not allowed"})
    );
    assert_eq!(
        of(second, "coverage", "instance").unwrap(),
        json!({"Status": "complete", "Count": 2, "Mode": "changes"})
    );
    assert_eq!(of(second, "access-key", "AKIA1"), None);
    let third = "2026-03-01T02:00:00Z";
    assert_eq!(of(third, "instance", "i-1"), Some(Value::Null));
    assert_eq!(of(third, "instance", "i-2"), None, "it has not changed");
}

#[test]
fn a_state_is_known_at_its_time_and_unknown_is_not_gone() {
    let dir = tempfile::tempdir().unwrap();
    story(dir.path());
    let store = Store::open(dir.path()).unwrap();
    let at = |number: u64| {
        store
            .picture(store.at(hour(number)).unwrap().0.number)
            .unwrap()
    };
    let (first, second, third) = (at(0), at(1), at(2));
    assert_eq!(first.things(&scope("instance")).unwrap().len(), 1);
    assert_eq!(second.things(&scope("instance")).unwrap().len(), 2);
    assert_eq!(second.things(&scope("access-key")), None);
    assert!(
        second
            .unknown(&scope("access-key"))
            .unwrap()
            .contains("not allowed")
    );
    // What was there when everything was read last is still told, with when that was.
    let seen = &second.scopes[&scope("access-key")];
    assert_eq!(
        (seen.things.len(), seen.complete.unwrap().taken_at),
        (1, hour(0))
    );

    let found = difference(&first, &second);
    assert_eq!(found.things.len(), 2);
    assert_eq!(found.unknown.len(), 1);
    assert_eq!(found.unknown[0].scope, scope("access-key"));
    let changed = found.things.iter().find(|it| it.id == "i-1").unwrap();
    let How::Changed { members } = &changed.how else {
        panic!("{changed:?}");
    };
    assert_eq!(members[0].name(), "State.Name");
    assert_eq!(members[0].after, Some(json!("running")));
    let found = difference(&first, &third);
    let ids: Vec<&str> = found.things.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["AKIA1", "i-1", "i-2"]);
    assert!(matches!(
        store.at("2026-02-01T00:00:00Z".parse().unwrap()),
        Err(StoreError::NoSnapshot(_))
    ));
}

#[test]
fn the_timeline_tells_what_each_snapshot_shows() {
    let dir = tempfile::tempdir().unwrap();
    story(dir.path());
    let store = Store::open(dir.path()).unwrap();
    let told = |asked: &Asked| {
        let mut events = Vec::new();
        timeline(&store, asked, |event| events.push(event)).unwrap();
        events
    };
    let words: Vec<String> = told(&Asked::default())
        .iter()
        .map(|event| {
            let what = match &event.what {
                What::FirstSeen { .. } => "first-seen",
                What::Appeared { .. } => "appeared",
                What::Changed { .. } => "changed",
                What::Gone { .. } => "gone",
                What::Unknown { .. } => "unknown",
                What::KnownAgain => "known-again",
            };
            let id = event.id.as_deref().unwrap_or(&event.scope.kind);
            format!("{} {what} {id}", event.snapshot)
        })
        .collect();
    assert_eq!(
        words,
        [
            "1 first-seen AKIA1",
            "1 first-seen i-1",
            "2 unknown access-key",
            "2 changed i-1",
            "2 appeared i-2",
            "3 known-again access-key",
            "3 changed AKIA1",
            "3 gone i-1",
        ]
    );
    // The key was used between the first snapshot, which read it, and the third; the second did not.
    let key = told(&Asked {
        ids: vec!["AKIA1".to_owned()],
        since: Some(hour(2)),
        ..Asked::default()
    });
    assert_eq!(key.len(), 1);
    assert_eq!((key[0].after, key[0].by), (Some(hour(0)), hour(2)));
}

#[test]
fn everything_is_told_again_now_and_then_without_being_news() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let look = || complete("volume", vec![thing("vol-1", json!({"Size": 8}))]);
    for _ in 0..=FULL_EVERY {
        record(&mut writer, vec![look()]);
    }
    let store = writer.store();
    let reads_from = |number| store.snapshot(number).unwrap().1.reads_from;
    assert_eq!(
        (reads_from(FULL_EVERY), reads_from(FULL_EVERY + 1)),
        (1, FULL_EVERY + 1)
    );
    let mut events = 0;
    timeline(store, &Asked::default(), |_| events += 1).unwrap();
    assert_eq!(events, 1);
    assert_eq!(verify(store, None, |_| {}).unwrap().faults, []);
    // What went in a snapshot that tells everything is gone, and is told so.
    let mut writer = writer;
    for _ in 1..FULL_EVERY {
        record(&mut writer, vec![look()]);
    }
    record(&mut writer, vec![complete("volume", Vec::new())]);
    let mut events = Vec::new();
    timeline(writer.store(), &Asked::default(), |event| {
        events.push(event.what)
    })
    .unwrap();
    assert_eq!(events.len(), 2);
    assert!(matches!(events[1], What::Gone { .. }));
}

#[test]
fn what_was_long_unknown_is_forgotten_and_never_called_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let volume = || complete("volume", vec![thing("vol-1", json!({"Size": 8}))]);
    let lost = || unknown("user", "denied");
    record(
        &mut writer,
        vec![volume(), complete("user", vec![thing("u", json!({}))])],
    );
    for _ in 0..5 * FULL_EVERY {
        record(&mut writer, vec![volume(), lost()]);
    }
    let (last, snapshot) = writer.store().latest().unwrap();
    assert!(
        last.number - snapshot.reads_from <= 4 * FULL_EVERY,
        "{snapshot:?}"
    );
    // Opened anew, it goes on as if it had never been closed.
    drop(writer);
    let mut writer = Writer::open(dir.path()).unwrap();
    record(
        &mut writer,
        vec![volume(), complete("user", vec![thing("u", json!({}))])],
    );
    let mut gone = 0;
    timeline(writer.store(), &Asked::default(), |event| {
        gone += u32::from(matches!(event.what, What::Gone { .. }));
    })
    .unwrap();
    assert_eq!(gone, 0);
    assert_eq!(verify(writer.store(), None, |_| {}).unwrap().faults, []);
}

#[test]
fn pruning_leaves_a_chain_that_verifies_and_states_that_can_be_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    for number in 0..3 * FULL_EVERY {
        record(
            &mut writer,
            vec![complete(
                "volume",
                vec![thing("vol-1", json!({"Size": number}))],
            )],
        );
    }
    let now = hour(3 * FULL_EVERY);
    let (removed, up_to) = writer.prune(hour(FULL_EVERY + 20), now).unwrap();
    assert_eq!((removed, up_to), (FULL_EVERY, FULL_EVERY));
    assert_eq!(
        writer
            .prune(hour(FULL_EVERY + 20), hour(3 * FULL_EVERY + 1))
            .unwrap()
            .0,
        0
    );
    let store = Store::open(dir.path()).unwrap();
    let found = verify(&store, None, |_| {}).unwrap();
    assert_eq!((found.faults, found.removed), (Vec::new(), FULL_EVERY));
    assert!(matches!(
        store.picture(FULL_EVERY),
        Err(StoreError::Pruned { .. })
    ));
    let kept = store.picture(FULL_EVERY + 21).unwrap();
    assert_eq!(kept.things(&scope("volume")).unwrap().len(), 1);
    let mut events = 0;
    timeline(&store, &Asked::default(), |_| events += 1).unwrap();
    assert_eq!(events, 2 * FULL_EVERY);
}

#[test]
fn a_clock_that_goes_back_takes_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = story(dir.path());
    let looks = vec![complete("volume", Vec::new())];
    let came = writer.record(hour(1), hour(1), looks);
    assert!(matches!(came, Err(StoreError::Clock { .. })));
    assert!(matches!(
        writer.record(hour(9), hour(9), Vec::new()),
        Err(StoreError::Nothing)
    ));
    assert_eq!(
        Store::open(dir.path()).unwrap().latest().unwrap().0.number,
        3
    );
}

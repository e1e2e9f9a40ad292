//! Laws, for accounts that nobody thought of.

use std::collections::BTreeMap;

use davylamp_model::recording::{Look, Thing};
use davylamp_recorder::diff::{difference, value};
use davylamp_recorder::line::Line;
use davylamp_recorder::picture::Picture;
use davylamp_recorder::verify::verify;
use davylamp_recorder::{Store, Writer};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::support::{complete, hour, scope, unknown};

const KINDS: [&str; 3] = ["instance", "user", "bucket"];

fn state() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c\",:{}\\\\\u{e9}\n]{0,6}".prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-c,\"]{1,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    btree_map("[A-C]{1,2}", inner, 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

/// What was there of each kind; nothing where it could not be read.
type Account = Vec<Option<BTreeMap<String, Value>>>;

fn account() -> impl Strategy<Value = Account> {
    let things = btree_map("[a-e\",]{1,2}", state(), 0..5);
    vec(proptest::option::weighted(0.8, things), KINDS.len())
}

fn looks(account: &Account) -> Vec<Look> {
    let each = KINDS.iter().zip(account);
    each.map(|(kind, things)| match things {
        None => unknown(kind, "denied"),
        Some(things) => complete(
            kind,
            things
                .iter()
                .map(|(id, state)| Thing {
                    id: id.clone(),
                    state: state.clone(),
                })
                .collect(),
        ),
    })
    .collect()
}

fn states(picture: &Picture, kind: &str) -> Option<BTreeMap<String, Value>> {
    let things = picture.things(&scope(kind))?;
    Some(
        things
            .iter()
            .map(|(id, held)| (id.clone(), value(held)))
            .collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_recorded_is_what_is_told(accounts in vec(account(), 1..8), reopen in any::<u8>()) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        for (number, account) in accounts.iter().enumerate() {
            if reopen >> number & 1 == 1 {
                drop(writer);
                writer = Writer::open(dir.path()).unwrap();
            }
            let at = hour(number as u64);
            writer.record(at, at, looks(account)).unwrap();
        }
        let store = Store::open(dir.path()).unwrap();
        prop_assert_eq!(verify(&store, None, |_| {}).unwrap().faults, vec![]);
        let pictures: Vec<Picture> = (1..=accounts.len() as u64)
            .map(|number| store.picture(number).unwrap())
            .collect();
        for (account, picture) in accounts.iter().zip(&pictures) {
            for (kind, things) in KINDS.iter().zip(account) {
                prop_assert_eq!(&states(picture, kind), things);
            }
        }
        for pair in accounts.windows(2).zip(pictures.windows(2)) {
            let ([old, new], [before, after]) = pair else { unreachable!() };
            let found = difference(before, after);
            for (at, kind) in KINDS.iter().enumerate() {
                let is_unknown = found.unknown.iter().any(|it| it.scope.kind == *kind);
                prop_assert_eq!(is_unknown, old[at].is_none() || new[at].is_none());
                let (Some(mut now), Some(then)) = (old[at].clone(), &new[at]) else {
                    prop_assert!(found.things.iter().all(|it| it.scope.kind != *kind));
                    continue;
                };
                for it in found.things.iter().filter(|it| it.scope.kind == *kind) {
                    if let Some(state) = it.how.apply(now.remove(&it.id)) {
                        now.insert(it.id.clone(), state);
                    }
                }
                prop_assert_eq!(&now, then);
            }
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written(state in state(), id in "[ -~\u{e9}]{0,20}") {
        let made = Line {
            taken_at: hour(1),
            scope: scope("instance"),
            id,
            held: davylamp_recorder::line::Held::new(davylamp_recorder::canonical::canonical(&state)),
        };
        let mut text = String::new();
        made.write(&mut text);
        let whole: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&whole["state"], &state);
        let read = Line::parse(text.trim_end_matches('\n')).unwrap();
        prop_assert!(read.is_sound());
        prop_assert_eq!(read, made);
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,200}") {
        let _ = Line::parse(&text);
        let _ = Line::parse(&format!("{{\"taken_at\":1,\"state\":{text},\"hash\":\""));
        let _ = davylamp_recorder::chain::Chain::parse(text.as_bytes());
    }
}

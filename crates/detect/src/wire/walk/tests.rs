use davylamp_content::detection::shipped;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::wire::payload;

fn walked(tables: &Tables, bytes: &[u8]) -> Option<Seen> {
    Walk::new(tables).take(bytes).map(|(_, seen)| seen)
}

#[test]
fn the_table_has_every_string_once() {
    let tables = tables();
    let filled = tables.tokens.iter().filter(|token| token.hash != 0).count();
    let mut texts: Vec<&str> = STRATUM.to_vec();
    texts.extend(ETHEREUM);
    texts.extend(TEMPLATES);
    let others = [
        "login",
        "job",
        "submit",
        "keepalived",
        "agent",
        "algo",
        "rigid",
        "blob",
        "target",
        "job_id",
        "nonce",
        "result",
        "id",
        "site_key",
        "blocktemplate_blob",
        "auth",
        "method",
        "params",
        "type",
    ];
    texts.extend(others);
    assert_eq!(filled, texts.len());
    let mut walk = Walk::new(&tables);
    for text in texts {
        walk.hash = text.bytes().fold(SEED, hashed);
        assert!(walk.token().is_some(), "{text}");
    }
}

#[test]
fn the_walk_agrees_with_the_sniffer_on_each_case_of_the_detections() {
    let tables = tables();
    let shipped = shipped().expect("what ships is good");
    let mut wrong = Vec::new();
    for case in shipped.iter().flat_map(|parsed| &parsed.cases) {
        let Some(traffic) = &case.traffic else {
            continue;
        };
        let join = |texts: &[String]| texts.concat().into_bytes();
        let (sent, received) = (join(&traffic.sent), join(&traffic.received));
        if sent.starts_with(b"random:") {
            continue;
        }
        let by_sniffer = payload(&sent, &received).is_some();
        let by_walk = walked(&tables, &sent)
            .or(walked(&tables, &received))
            .is_some();
        if by_sniffer != by_walk {
            wrong.push(format!(
                "{}: sniffer {by_sniffer}, walk {by_walk}",
                case.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_binary_form_is_known_and_a_wrong_length_is_not() {
    let tables = tables();
    let mut payload = vec![0, 2, 0, 2, 0, 0, 0, 0, 0, 4];
    payload.extend(b"pool");
    payload.extend([0xbb, 0x01, 3]);
    payload.extend(b"any");
    payload.extend([0, 0, 0]);
    let length = u8::try_from(payload.len()).expect("it is short");
    let message = [&[0, 0, 0, length, 0, 0][..], &payload].concat();
    assert_eq!(walked(&tables, &message), Some(Seen::Stratum2));
    let mut other = message;
    other[3] += 1;
    assert_eq!(walked(&tables, &other), None);
}

#[test]
fn a_messages_parts_do_not_add_up_with_anothers() {
    let tables = tables();
    let texts = [
        r#"{"method":"login","params":{"login":"alice"}} {"method":"x","params":{"agent":"b"}}"#,
        r#"{"method":"login","params":{"login":"alice","more":{"agent":"b"}}}"#,
        r#"{"method":"login","agent":"x","params":{"login":"alice"}}"#,
        r#"{"note":"the method is called mining.subscribe"}"#,
        r#"{"note":"they say \"mining.subscribe\" to it"}"#,
    ];
    for text in texts {
        assert_eq!(walked(&tables, text.as_bytes()), None, "{text}");
        assert_eq!(payload(text.as_bytes(), b""), None, "{text}");
    }
}

#[test]
fn a_string_that_is_none_is_no_harm() {
    let tables = tables();
    let text = "X-Note: 5\" of it\r\n\r\n{\"method\":\"getblocktemplate\"}";
    assert_eq!(walked(&tables, text.as_bytes()), Some(Seen::BlockTemplate));
}

/// Words that the rules are about, and some that they are not.
fn word() -> impl Strategy<Value = String> {
    let mut words: Vec<String> = STRATUM[..4]
        .iter()
        .chain(&ETHEREUM[..2])
        .chain(&TEMPLATES[..3])
        .map(|text| (*text).to_owned())
        .collect();
    words.extend(
        [
            "login",
            "job",
            "submit",
            "keepalived",
            "auth",
            "textDocument/hover",
            "eth_call",
            "",
            "mining",
            "alice",
            "a\"b",
            "ü",
            "\\",
            "tab\t",
        ]
        .map(str::to_owned),
    );
    prop::sample::select(words)
}

/// The methods that count wherever they stand are not among them: the sniffer knows those only as they
/// are written, the walk by what they mean.
fn kind() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["auth".to_owned(), "login".to_owned(), "x".to_owned()])
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(
        [
            "login",
            "agent",
            "algo",
            "rigid",
            "blob",
            "target",
            "job_id",
            "nonce",
            "result",
            "id",
            "site_key",
            "job",
            "blocktemplate_blob",
            "params",
            "method",
            "type",
            "x",
        ]
        .map(str::to_owned)
        .to_vec(),
    )
}

/// A value that none of the methods that count anywhere stands in.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        Just(Value::Null),
        prop::sample::select(vec!["a", "0e0e", "x:{", "}", "[", "say \"no\"", "login"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn message() -> impl Strategy<Value = Value> {
    let method = prop_oneof![4 => word().prop_map(Some), 1 => Just(None)];
    let part = || prop::option::of(value());
    (
        method,
        part(),
        part(),
        prop::option::of(kind()),
        any::<bool>(),
    )
        .prop_map(|(method, params, result, kind, in_batch)| {
            let mut message = Map::new();
            let method = method.map(Value::from);
            let kind = kind.map(Value::from);
            for (name, value) in [
                ("id", Some(json!(1))),
                ("type", kind),
                ("method", method),
                ("params", params),
                ("result", result),
            ] {
                if let Some(value) = value {
                    message.insert(name.to_owned(), value);
                }
            }
            match in_batch {
                true => json!([{"id": 0}, message]),
                false => Value::Object(message),
            }
        })
}

/// The text of a value, with blanks, escapes and the order of keys as the numbers say.
fn written(value: &Value, choices: &mut impl FnMut() -> u8) -> String {
    let blank = |choices: &mut dyn FnMut() -> u8| match choices() % 6 {
        0 => " ",
        1 => "\n\t",
        _ => "",
    };
    match value {
        Value::String(text) => {
            let mut out = String::from("\"");
            for character in text.chars() {
                let code = u32::from(character);
                match character {
                    '"' | '\\' => out.extend(['\\', character]),
                    _ if code < 0x20 || choices().is_multiple_of(16) => {
                        out.push_str(&format!("\\u{code:04x}"));
                    }
                    _ => out.push(character),
                }
            }
            out + "\""
        }
        Value::Array(list) => {
            let parts: Vec<String> = list.iter().map(|one| written(one, choices)).collect();
            format!("[{}]", parts.join(&format!(",{}", blank(choices))))
        }
        Value::Object(map) => {
            let mut parts: Vec<String> = map
                .iter()
                .map(|(name, value)| {
                    let name = written(&Value::from(name.as_str()), choices);
                    let (before, behind) = (blank(choices), blank(choices));
                    format!("{name}{before}:{behind}{}", written(value, choices))
                })
                .collect();
            let turn = usize::from(choices()) % parts.len().max(1);
            parts.rotate_left(turn);
            format!("{{{}{}}}", blank(choices), parts.join(","))
        }
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_walk_and_the_sniffer_agree(messages in prop::collection::vec(message(), 1..4), seed: u64) {
        let tables = tables();
        let mut state = seed | 1;
        let mut choices = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let text: String = messages
            .iter()
            .map(|message| written(message, &mut choices) + "\n")
            .collect();
        let by_sniffer = payload(text.as_bytes(), b"").map(|(seen, _)| seen);
        let by_walk = walked(&tables, text.as_bytes());
        prop_assert_eq!(by_sniffer.is_some(), by_walk.is_some(), "{} {:?} {:?}", text, by_sniffer, by_walk);
    }

    #[test]
    fn how_it_is_cut_does_not_matter(messages in prop::collection::vec(message(), 1..3), cut in 1..9_usize) {
        let tables = tables();
        let text: String = messages.iter().map(Value::to_string).collect();
        let mut walk = Walk::new(&tables);
        let in_parts = text.as_bytes().chunks(cut).find_map(|part| walk.take(part));
        prop_assert_eq!(in_parts.map(|(_, seen)| seen), walked(&tables, text.as_bytes()));
    }

    #[test]
    fn any_bytes_are_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        walked(&tables(), &bytes);
    }
}

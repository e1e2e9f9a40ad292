//! One text for one state: keys sorted, no spaces. So the same state has the same hash, whoever wrote it.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A hash, SHA-256.
pub type Hash = [u8; 32];

/// The canonical JSON of a value: the keys of each object by their bytes, no blanks.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, into: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by(|one, other| one.0.cmp(other.0));
            into.push('{');
            for (number, (name, member)) in sorted.into_iter().enumerate() {
                if number > 0 {
                    into.push(',');
                }
                quote(name, into);
                into.push(':');
                write(member, into);
            }
            into.push('}');
        }
        Value::Array(items) => {
            into.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    into.push(',');
                }
                write(item, into);
            }
            into.push(']');
        }
        Value::String(text) => quote(text, into),
        Value::Null | Value::Bool(_) | Value::Number(_) => into.push_str(&value.to_string()),
    }
}

/// A text as a JSON string.
pub(crate) fn quote(text: &str, into: &mut String) {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        into.push('"');
        into.push_str(text);
        into.push('"');
    } else {
        into.push_str(&Value::from(text).to_string());
    }
}

/// The hash of a text.
pub fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

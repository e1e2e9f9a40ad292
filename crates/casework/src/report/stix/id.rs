//! Ids that are the same for the same thing (STIX 2.1, 2.9).

use serde_json::Value;
use sha1::{Digest as _, Sha1};

/// The namespace of what can be observed, which the specification fixes.
const OBSERVABLES: [u8; 16] = [
    0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7,
];
/// The namespace of all else that is made here, drawn once by chance.
const OURS: [u8; 16] = [
    0x7c, 0x1e, 0x5b, 0x0a, 0x93, 0xd4, 0x4f, 0x6e, 0xa8, 0x27, 0x51, 0xc6, 0xe0, 0x3f, 0x9d, 0x42,
];

/// The id of something that is made here, by what tells it from all others of its kind.
pub(super) fn ours(kind: &str, key: &str) -> String {
    format!("{kind}--{}", uuid(&OURS, &format!("{kind}\n{key}")))
}

/// The id of something that can be observed: of the properties that the specification names for it, as JSON
/// in its canonical form (RFC 8785), which for strings is the usual one with the names sorted.
pub(super) fn observable(kind: &str, telling: &Value) -> String {
    let mut members: Vec<String> = telling
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
        .collect();
    members.sort();
    let name = format!("{{{}}}", members.join(","));
    format!("{kind}--{}", uuid(&OBSERVABLES, &name))
}

/// A UUID of version 5 (RFC 9562, 5.5): SHA-1 of the namespace and the name, cut.
fn uuid(namespace: &[u8; 16], name: &str) -> String {
    let digest = Sha1::new()
        .chain_update(namespace)
        .chain_update(name)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn a_uuid_is_the_one_of_the_standard() {
        // RFC 9562, A.4.
        let dns = [
            0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4,
            0x30, 0xc8,
        ];
        assert_eq!(
            uuid(&dns, "www.example.com"),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2"
        );
    }
}

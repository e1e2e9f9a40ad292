//! How KubeSpawner makes names of Kubernetes objects from user names, and back to the users.
//!
//! What must stay true: a user is found by making the slug of every user of the Hub and comparing,
//! never by taking a name apart. Undoing an escape only proposes a name.
//!
//! Facts from KubeSpawner 7.1, `kubespawner/slugs.py` and `spawner.py`
//! (`_expand_user_properties`, `_build_common_labels`):
//! - The old scheme (`escape`, the only one before 7) writes each UTF-8 byte other than a lower-case
//!   letter or digit as `-` and its value in hexadecimal, in lower case and without leading zeros.
//! - The new scheme (`safe`) keeps a name that is a valid Kubernetes object name without `--`; any
//!   other becomes a squeezed form, `---` and the first eight hexadecimal digits of its SHA-256, cut
//!   to 48 characters. In labels what is valid is wider and the cut is at 32.
//! - User and server are joined by `--`; where that is too long under the new scheme, both are cut
//!   and one hash over both, parted by the byte 0xFF, follows.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::HubUser;
use davylamp_model::inventory::HubRecord;
use sha2::{Digest, Sha256};

/// How much of the SHA-256 follows a squeezed name, in hexadecimal digits.
const HASH_LENGTH: usize = 8;
/// The longest slug in the names of pods and claims.
const NAME_LENGTH: usize = 48;
/// The longest squeezed slug in a label.
const LABEL_LENGTH: usize = 32;
/// The longest Kubernetes object name and label value (RFC 1123).
const DNS_LABEL_LENGTH: usize = 63;

/// The old scheme.
pub fn escape(name: &str) -> String {
    use std::fmt::Write;
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "-{byte:x}");
        }
    }
    escaped
}

/// The name that the old scheme would have made this of, if it could have. A proposal: the new
/// scheme has names that look the same.
pub fn unescape(slug: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(slug.len());
    let mut rest = slug.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'-' {
            let digits = after
                .get(..2)
                .and_then(|two| std::str::from_utf8(two).ok())?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    // What the scheme would not have written this way, such as an escaped letter, is no slug of it.
    (escape(&name) == slug && !name.is_empty()).then_some(name)
}

/// The new scheme, for the names of objects.
pub fn safe_slug(name: &str) -> String {
    if !name.contains("--") && is_object_name(name) && name.len() <= NAME_LENGTH {
        name.to_owned()
    } else {
        strip_and_hash(name, NAME_LENGTH)
    }
}

/// The new scheme, for the values of labels.
pub fn safe_label(name: &str) -> String {
    if !name.contains("--") && is_label(name) {
        name.to_owned()
    } else {
        strip_and_hash(name, LABEL_LENGTH)
    }
}

/// The new scheme for a user's named server.
pub fn safe_user_server(user: &str, server: &str) -> String {
    let (safe_user, safe_server) = (
        safe_slug(user),
        if server.is_empty() {
            String::new()
        } else {
            safe_slug(server)
        },
    );
    // Also without a server the room for the separator is counted, as KubeSpawner does.
    if safe_user.chars().count() + safe_server.chars().count() + 2 > NAME_LENGTH {
        multi_slug(user, server)
    } else if server.is_empty() {
        safe_user
    } else {
        format!("{safe_user}--{safe_server}")
    }
}

/// Two names squeezed, with one hash over both.
pub fn multi_slug(user: &str, server: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(user.as_bytes());
    digest.update([0xff]);
    digest.update(server.as_bytes());
    let hash = &hex::encode(digest.finalize())[..HASH_LENGTH];
    let each = (NAME_LENGTH - (HASH_LENGTH + 1)) / 2 - 2;
    format!(
        "{}--{}---{hash}",
        squeeze(user, each),
        squeeze(server, each)
    )
}

fn strip_and_hash(name: &str, length: usize) -> String {
    let hash = &hex::encode(Sha256::digest(name.as_bytes()))[..HASH_LENGTH];
    format!("{}---{hash}", squeeze(name, length - (HASH_LENGTH + 3)))
}

/// Whether a slug ends in `---` and a hash.
fn is_hashed(slug: &str) -> bool {
    slug.rsplit_once("---").is_some_and(|(_, hash)| {
        hash.len() == HASH_LENGTH
            && hash
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Lower-case letters and digits with single hyphens, beginning with a letter, of at most `length`
/// characters.
fn squeeze(name: &str, length: usize) -> String {
    let mut squeezed = String::new();
    for sign in name.to_lowercase().chars() {
        if sign.is_ascii_lowercase() || sign.is_ascii_digit() {
            squeezed.push(sign);
        } else if !squeezed.is_empty() && !squeezed.ends_with('-') {
            squeezed.push('-');
        }
    }
    squeezed.truncate(length);
    let mut squeezed = squeezed.trim_end_matches('-').to_owned();
    if squeezed.is_empty() {
        return "x".to_owned();
    }
    if !squeezed.starts_with(|sign: char| sign.is_ascii_lowercase()) {
        squeezed.truncate(length - 2);
        squeezed.insert_str(0, "x-");
    }
    squeezed
}

fn is_object_name(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.len() <= DNS_LABEL_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

fn is_label(value: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    value.is_empty()
        || value.chars().count() <= DNS_LABEL_LENGTH
            && ends(bytes.first())
            && ends(bytes.last())
            && value.chars().all(|sign| {
                // KubeSpawner's pattern ignores case, and Python then takes these four for letters.
                sign.is_ascii_alphanumeric()
                    || matches!(
                        sign,
                        '.' | '-' | '_' | '\u{130}' | '\u{131}' | '\u{17f}' | '\u{212a}'
                    )
            })
}

/// The users of a Hub by every slug that KubeSpawner may make of their names.
///
/// Made once for a Hub's list: looking up is then in proportion to the slug, not to the list.
#[derive(Debug, Clone, Default)]
pub struct SlugIndex {
    /// The records it was made of, to tell whether a list is the same.
    records: Vec<HubRecord>,
    by_slug: BTreeMap<String, BTreeSet<usize>>,
    by_label: BTreeMap<String, BTreeSet<usize>>,
    by_name: BTreeMap<HubUser, usize>,
    by_pod: BTreeMap<String, BTreeSet<usize>>,
}

impl SlugIndex {
    /// Makes the index of a Hub's list.
    pub fn new(records: &[HubRecord]) -> Self {
        let mut index = Self {
            records: records.to_vec(),
            ..Self::default()
        };
        for (number, record) in records.iter().enumerate() {
            let name = record.name.as_str();
            // Of two records of one name the administrator's counts: it protects.
            let kept = index.by_name.entry(record.name.clone()).or_insert(number);
            if record.admin {
                *kept = number;
            }
            let escaped = escape(name);
            let safe = safe_slug(name);
            let mut slugs = vec![safe_user_server(name, ""), safe_label(name)];
            for server in record.servers.iter().filter(|server| !server.is_empty()) {
                let server_escaped = escape(server);
                slugs.push(safe_user_server(name, server));
                slugs.push(format!("{escaped}--{server_escaped}"));
                // Templates of older charts write `{username}{servername}` and
                // `{username}-{servername}`.
                slugs.push(format!("{escaped}-{server_escaped}"));
                slugs.push(format!("{escaped}{server_escaped}"));
                slugs.push(format!("{safe}-{}", safe_slug(server)));
                slugs.push(format!("{safe}{}", safe_slug(server)));
            }
            index.label(safe_label(name), number);
            index.label(escaped.clone(), number);
            slugs.extend([escaped, safe]);
            for slug in slugs {
                index.by_slug.entry(slug).or_default().insert(number);
            }
            for pod in &record.pods {
                let owners = index.by_pod.entry(pod.to_string()).or_default();
                owners.insert(number);
            }
        }
        index
    }

    fn label(&mut self, slug: String, number: usize) {
        self.by_label.entry(slug).or_default().insert(number);
    }

    /// Whether this is the index of that list.
    pub fn is_of(&self, records: &[HubRecord]) -> bool {
        self.records == records
    }

    /// The user of exactly this name.
    pub fn user(&self, name: &HubUser) -> Option<&HubRecord> {
        self.records.get(*self.by_name.get(name)?)
    }

    /// Everyone whose pod or claim may carry this slug: `{user}`, or `{user}--{server}` of a server
    /// that may not be running.
    pub fn users_of_slug(&self, slug: &str) -> BTreeSet<&HubUser> {
        let mut users = self.named(self.by_slug.get(slug));
        // A hash at the end is over the whole name: what stands before it is squeezed, and may well
        // be the name of somebody else.
        if is_hashed(slug) {
            return users;
        }
        // The user's part ends at `--`; one that was squeezed has `---` and its hash before it.
        for (at, _) in slug.match_indices("--") {
            let (user, server) = (&slug[..at], &slug[at + 2..]);
            // A third hyphen begins either a hash or a server's name that the old scheme escaped.
            let is_name = !server.starts_with('-') || unescape(server).is_some();
            if is_name && !server.is_empty() {
                users.extend(self.named(self.by_slug.get(user)));
            }
        }
        users
    }

    /// Everyone whose label `hub.jupyter.org/username` may have this value.
    pub fn users_of_label(&self, value: &str) -> BTreeSet<&HubUser> {
        self.named(self.by_label.get(value))
    }

    /// Everyone whose running server the Hub says is this pod.
    pub fn users_of_pod(&self, pod: &str) -> BTreeSet<&HubUser> {
        self.named(self.by_pod.get(pod))
    }

    fn named(&self, numbers: Option<&BTreeSet<usize>>) -> BTreeSet<&HubUser> {
        numbers
            .into_iter()
            .flatten()
            .filter_map(|number| self.records.get(*number))
            .map(|record| &record.name)
            .collect()
    }
}

#[cfg(test)]
mod tests;

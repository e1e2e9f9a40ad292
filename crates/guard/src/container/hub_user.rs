//! Which `JupyterHub` user a pod belongs to.
//!
//! A wrong user is worse than none: an account may be blocked on the strength of it. So every
//! reading here is either exact or refused.
//!
//! Facts, from `KubeSpawner`'s source (`kubespawner/spawner.py`, `kubespawner/slugs.py`, 7.1):
//!
//! - The pod carries the annotation `hub.jupyter.org/username` with the name as the Hub spells it.
//!   Every version since 0.6 sets it.
//! - It also carries a label of that name, which holds an escaped form.
//! - The pod's name is `jupyter-<user>` or `jupyter-<user>--<server>`, both escaped.
//! - Until version 6, and by choice later, a name is escaped by writing each byte other than a
//!   lower-case letter or a digit as `-` and two hexadecimal digits. That can be undone.
//! - From version 7 (`safe`) a name that is a valid Kubernetes name stays as it is, and any other
//!   is squeezed and followed by `---` and eight digits of its SHA-256. That cannot be undone.
//!
//! `alice-40example` is thus two users: `alice@example` under the old scheme, and literally
//! `alice-40example` under the new one, and a stranger may choose a login to be taken for somebody
//! else. What settles it is the annotation: the new scheme never comes without it. A pod whose
//! annotations were read and which lacks it is of the old scheme, so its label or name is unescaped
//! by the old rule. Where the annotations could not be read, only a name without any escape, on
//! which both schemes agree, is believed.

use std::collections::BTreeMap;

use davylamp_model::container::{LABEL_POD, LABEL_POD_UID};
use davylamp_model::ids::HubUser;

/// The annotation, and the label, that `KubeSpawner` gives to a user's pod.
pub const HUB_USERNAME: &str = "hub.jupyter.org/username";

/// What begins every pod name under `KubeSpawner`'s default template.
const POD_PREFIX: &str = "jupyter-";

/// Labels that controllers put on the pods they make. `KubeSpawner` makes its pods itself, so a
/// pod with one of these is no user's server, whatever it is called.
const CONTROLLER_LABELS: [&str; 5] = [
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "batch.kubernetes.io/job-name",
    "job-name",
];

/// The longest user name that is kept, in bytes. A name is attacker-chosen text; `JupyterHub`
/// itself stores 255 characters.
const MAX_USER_BYTES: usize = 1_024;

/// Tells the user of a pod from its sandbox's labels and annotations.
pub fn from_pod(
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Option<HubUser> {
    if let Some(name) = annotations.get(HUB_USERNAME) {
        // Present but unusable is an answer too: the label would only guess at the same name.
        return accept(name.clone());
    }
    if let Some(slug) = labels.get(HUB_USERNAME) {
        return unescape(slug).and_then(accept);
    }
    if CONTROLLER_LABELS
        .iter()
        .any(|label| labels.contains_key(*label))
    {
        return None;
    }
    let name = server_owner(labels.get(LABEL_POD)?)?;
    unescape(name).and_then(accept)
}

/// Tells the user where only the container's own labels are known, not its pod's.
///
/// Believes a name only where both schemes agree on it: letters and digits.
pub fn from_container_alone(labels: &BTreeMap<String, String>) -> Option<HubUser> {
    labels.get(LABEL_POD_UID)?;
    let name = server_owner(labels.get(LABEL_POD)?)?;
    name.bytes()
        .all(is_plain)
        .then(|| name.to_owned())
        .and_then(accept)
}

/// The escaped user name within a pod name, without the server's.
fn server_owner(pod: &str) -> Option<&str> {
    let name = pod.strip_prefix(POD_PREFIX)?;
    // Three dashes introduce the hash of the lossy scheme. The old one writes three only before a
    // server name that begins with an escape; telling the two apart is not worth a mistake.
    if name.contains("---") {
        return None;
    }
    let owner = name.split_once("--").map_or(name, |(owner, _)| owner);
    (!owner.is_empty()).then_some(owner)
}

/// Undoes the old scheme, exactly: text that the scheme would not have written is refused.
fn unescape(slug: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(slug.len());
    let mut rest = slug.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if is_plain(first) {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let (b'-', [high, low, tail @ ..]) = (first, tail) else {
            return None;
        };
        let byte = (hex_digit(*high)? << 4) | hex_digit(*low)?;
        // A plain byte is never escaped, so `-61` was not written for `a`.
        if is_plain(byte) {
            return None;
        }
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// The bytes that the old scheme leaves alone.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9')
}

/// A lower-case hexadecimal digit's value. The scheme lowers its output.
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// A name that can be a Hub user's: not empty, bounded, and without control characters.
fn accept(name: String) -> Option<HubUser> {
    let usable =
        !name.is_empty() && name.len() <= MAX_USER_BYTES && !name.chars().any(char::is_control);
    usable.then_some(HubUser(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn user_of_pod(name: &str) -> Option<String> {
        from_pod(&map(&[(LABEL_POD, name)]), &map(&[])).map(|user| user.0)
    }

    #[test]
    fn the_annotation_is_believed_as_it_stands() {
        let labels = map(&[(HUB_USERNAME, "mallory"), (LABEL_POD, "jupyter-eve")]);
        let user = from_pod(&labels, &map(&[(HUB_USERNAME, "alice-40example")]));
        assert_eq!(user, Some(HubUser::from("alice-40example")));
        // An unusable annotation is not replaced by a guess.
        assert_eq!(from_pod(&labels, &map(&[(HUB_USERNAME, "")])), None);
        assert_eq!(from_pod(&labels, &map(&[(HUB_USERNAME, "a\nb")])), None);
    }

    #[test]
    fn the_label_is_unescaped() {
        let of = |label| {
            let labels = map(&[(HUB_USERNAME, label), (LABEL_POD, "jupyter-else")]);
            from_pod(&labels, &map(&[("other", "x")])).map(|user| user.0)
        };
        assert_eq!(of("test-5fuser").as_deref(), Some("test_user"));
        assert_eq!(of("alice").as_deref(), Some("alice"));
        assert_eq!(of("-41lice").as_deref(), Some("Alice"));
        assert_eq!(of("a-b-c---d648b243"), None);
        assert_eq!(of("alice-bob"), None, "not what the old scheme writes");
    }

    #[test]
    fn pod_names() {
        for (pod, user) in [
            ("jupyter-alice", Some("alice")),
            ("jupyter-alice--server", Some("alice")),
            ("jupyter-alice-40example-2ecom", Some("alice@example.com")),
            (
                "jupyter-alice-40example-2ecom--server",
                Some("alice@example.com"),
            ),
            ("jupyter-test-5fuser--test1", Some("test_user")),
            (
                "jupyter-binder-2dexamples-2dconda-2d7ezx5gay",
                Some("binder-examples-conda-7ezx5gay"),
            ),
            ("jupyter--41lice", Some("Alice")),
            ("jupyter-j-c3-bcrgen", Some("j\u{fc}rgen")),
            // the lossy scheme
            ("jupyter-user-email-com---0925f997", None),
            ("jupyter-alice--my-server---12345678", None),
            ("jupyter-user---0925f997--server", None),
            // not names the old scheme writes
            ("jupyter-alice-bob", None),
            ("jupyter-alice-61", None),
            ("jupyter-alice-2D", None),
            ("jupyter-alice-ff", None),
            ("jupyter-alice-0a", None),
            ("jupyter-alice-4", None),
            ("jupyter-", None),
            ("jupyter---server", None),
            ("jupyterhub", None),
            ("hub-6d5f7c9b8-x2x4z", None),
            ("jupyter-notebook-6d5f7c9b8-abcde", None),
        ] {
            assert_eq!(user_of_pod(pod).as_deref(), user, "{pod}");
        }
    }

    #[test]
    fn a_controllers_pod_is_no_users() {
        let labels = map(&[(LABEL_POD, "jupyter-lab-5b2"), ("pod-template-hash", "5b2")]);
        assert_eq!(from_pod(&labels, &map(&[])), None);
        let own = map(&[(LABEL_POD, "jupyter-lab-5b2")]);
        assert_eq!(from_pod(&own, &map(&[])), Some(HubUser::from("lab[2")));
    }

    #[test]
    fn without_the_pod_only_names_that_read_alike_count() {
        let of = |pod| {
            let labels = map(&[(LABEL_POD, pod), (LABEL_POD_UID, "u")]);
            from_container_alone(&labels).map(|user| user.0)
        };
        assert_eq!(of("jupyter-alice--work").as_deref(), Some("alice"));
        assert_eq!(of("jupyter-alice-40example"), None);
        assert_eq!(of("jupyter-alice---0925f997"), None);
        assert_eq!(
            from_container_alone(&map(&[(LABEL_POD, "jupyter-alice")])),
            None
        );
    }

    fn escape(name: &str) -> String {
        name.bytes()
            .map(|b| {
                if is_plain(b) {
                    char::from(b).to_string()
                } else {
                    format!("-{b:02x}")
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn unescaping_undoes_escaping(name in "\\PC{1,40}") {
            prop_assert_eq!(unescape(&escape(&name)), Some(name));
        }

        #[test]
        fn whatever_is_read_is_what_would_be_written(slug in "[-a-z0-9]{0,30}") {
            if let Some(name) = unescape(&slug) {
                prop_assert_eq!(escape(&name), slug);
            }
        }

        #[test]
        fn any_text_gives_an_answer(pod in "\\PC{0,60}", label in "\\PC{0,60}") {
            user_of_pod(&pod);
            from_pod(&map(&[(HUB_USERNAME, &label)]), &map(&[]));
        }
    }
}

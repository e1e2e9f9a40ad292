//! Where an allow pattern counts.

/// Where an allow pattern counts. What is named must all agree; an empty scope counts everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Scope {
    /// The Kubernetes namespace, with `*` for any run of characters.
    pub namespace: Option<String>,
    /// The container's image as the runtime names it, with `*`.
    pub image: Option<String>,
    /// The container's name, with `*`.
    pub container: Option<String>,
    /// Only processes on the host itself, in no container.
    pub host: bool,
}

/// Where a process runs, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place<'a> {
    /// The Kubernetes namespace of its pod.
    pub namespace: Option<&'a str>,
    /// The image of its container.
    pub image: Option<&'a str>,
    /// The name of its container.
    pub container: Option<&'a str>,
    /// Whether it is known to run on the host itself, in no container.
    pub is_host: bool,
}

impl Scope {
    /// Whether the scope names nothing and so counts everywhere.
    pub fn is_everywhere(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the scope includes a place. What is not known does not match: a failed look-up must
    /// not spare a process.
    pub fn matches(&self, place: &Place<'_>) -> bool {
        let agrees = |wanted: &Option<String>, found: Option<&str>| match (wanted, found) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(glob), Some(found)) => glob_matches(glob.as_bytes(), found.as_bytes()),
        };
        agrees(&self.namespace, place.namespace)
            && agrees(&self.image, place.image)
            && agrees(&self.container, place.container)
            && (!self.host || place.is_host)
    }
}

/// Whether `glob`, in which `*` stands for any run of bytes, is the whole of `text`. Goes back to
/// the last `*` only, which is enough, so the time is bounded by the product of the lengths.
fn glob_matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut at_glob, mut at_text) = (0, 0);
    let mut last_star = None;
    while at_text < text.len() {
        match glob.get(at_glob) {
            Some(b'*') => {
                last_star = Some((at_glob, at_text));
                at_glob += 1;
            }
            Some(byte) if *byte == text[at_text] => {
                at_glob += 1;
                at_text += 1;
            }
            _ => {
                let Some((star, covered)) = last_star else {
                    return false;
                };
                last_star = Some((star, covered + 1));
                at_glob = star + 1;
                at_text = covered + 1;
            }
        }
    }
    glob[at_glob..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_the_whole_text() {
        for (glob, text, expected) in [
            ("jhub", "jhub", true),
            ("jhub", "jhub2", false),
            ("jhub*", "jhub-prod", true),
            ("*/team/*", "quay.io/team/image:1", true),
            ("*/team/*", "quay.io/steam/image:1", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("*aab", "aaaab", true),
            ("", "", true),
            ("", "x", false),
            ("A", "a", false),
        ] {
            assert_eq!(
                glob_matches(glob.as_bytes(), text.as_bytes()),
                expected,
                "{glob} {text}"
            );
        }
    }

    #[test]
    fn a_scope_needs_all_it_names_and_takes_nothing_on_trust() {
        let place = Place {
            namespace: Some("jhub"),
            image: Some("quay.io/team/course:3"),
            container: Some("notebook"),
            is_host: false,
        };
        let scope = |namespace: &str, image: &str| Scope {
            namespace: Some(namespace.into()),
            image: Some(image.into()),
            ..Scope::default()
        };
        assert!(Scope::default().matches(&place));
        assert!(Scope::default().matches(&Place::default()));
        assert!(scope("jhub", "quay.io/team/*").matches(&place));
        assert!(!scope("jhub", "quay.io/other/*").matches(&place));
        assert!(!scope("other", "quay.io/team/*").matches(&place));
        assert!(!scope("*", "*").matches(&Place::default()));
        let host = Scope {
            host: true,
            ..Scope::default()
        };
        assert!(!host.matches(&place));
        assert!(!host.matches(&Place::default()));
        assert!(host.matches(&Place {
            is_host: true,
            ..Place::default()
        }));
    }
}

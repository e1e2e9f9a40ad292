//! Patterns with `*`, as policies and playbooks write them.

use davylamp_model::inventory::Tags;

/// Whether `text` is what `pattern` describes, `*` standing for any text, also none.
///
/// Takes time in proportion to the product of the two lengths at worst: after a mismatch only the
/// last `*` is widened.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(byte) if *byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    at = after;
                    read = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Like [`matches`], where upper and lower case are the same.
pub(crate) fn matches_any_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_lowercase(), &text.to_lowercase())
}

/// The first tag that a pattern of the form `key` or `key=value` describes, printed the same way.
///
/// Kubernetes allows no colon in the key of a label or annotation, so a pattern's first colon also
/// stands for a slash: `davylamp:protected` protects what is labelled `davylamp/protected`.
pub(crate) fn tagged(pattern: &str, tags: &Tags) -> Option<String> {
    let (key, value) = match pattern.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (pattern, None),
    };
    let slashed = key.replacen(':', "/", 1);
    tags.iter()
        .find(|(name, held)| {
            (matches(key, name) || matches(&slashed, name))
                && value.is_none_or(|wanted| matches(wanted, held))
        })
        .map(|(name, held)| match held.as_str() {
            "" => name.clone(),
            held => format!("{name}={held}"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything at all", true),
            ("a*", "a", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*a", "bba", true),
            ("*a", "bab", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("AWSServiceRoleFor*", "AWSServiceRoleForEC2", true),
            ("AWSServiceRoleFor*", "awsserviceroleforec2", false),
            (
                "CryptoCurrency:*",
                "CryptoCurrency:EC2/BitcoinTool.B!DNS",
                true,
            ),
            ("a?c", "abc", false),
            ("**", "x", true),
            ("ä*", "äö", true),
        ];
        for (pattern, text, wanted) in cases {
            assert_eq!(matches(pattern, text), wanted, "{pattern:?} on {text:?}");
        }
        assert!(matches_any_case("TEACHER*", "teacher-1"));
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = "*a".repeat(2_000);
        let text = "a".repeat(20_000) + "b";
        assert!(!matches(&pattern, &text));
    }

    #[test]
    fn tags_match_by_key_or_by_key_and_value() {
        let tags: Tags = [("team", "hub"), ("davylamp/protected", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let cases = [
            ("team", Some("team=hub")),
            ("team=hub", Some("team=hub")),
            ("team=h*", Some("team=hub")),
            ("team=lab", None),
            ("Team", None),
            ("te*=*", Some("team=hub")),
            ("davylamp:protected", Some("davylamp/protected")),
            ("davylamp:protected=yes", None),
            ("absent", None),
        ];
        for (pattern, wanted) in cases {
            assert_eq!(tagged(pattern, &tags).as_deref(), wanted, "{pattern:?}");
        }
    }
}

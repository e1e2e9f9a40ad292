//! What YAML takes a scalar without quotes for.

/// What a plain scalar is, when some YAML reader takes it for anything but a string. Both YAML 1.1
/// (PyYAML, Helm) and YAML 1.2 count: a string that one of the readers of the same file would see
/// as a number or a boolean must be quoted.
pub(crate) fn plain_type(text: &str) -> Option<&'static str> {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        Some("nothing")
    } else if is_boolean(text) {
        Some("a boolean")
    } else if is_number(text) {
        Some("a number")
    } else if is_date(text) {
        Some("a date")
    } else {
        None
    }
}

fn is_boolean(text: &str) -> bool {
    let words = ["true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_cased = text.chars().all(|c| c.is_ascii_lowercase())
        || text.chars().all(|c| c.is_ascii_uppercase())
        || text.chars().skip(1).all(|c| c.is_ascii_lowercase());
    is_cased && words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return digits.contains(|c: char| c.is_digit(radix))
                && digits.chars().all(|c| c.is_digit(radix) || c == '_');
        }
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    // Digits with underscores, a fraction, an exponent; or the base-60 numbers of YAML 1.1.
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let is_mantissa = mantissa.contains(|c: char| c.is_ascii_digit())
        && mantissa.matches('.').count() <= 1
        && mantissa
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_'));
    let is_base_60 = unsigned.contains(':')
        && unsigned
            .split(':')
            .all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    (is_mantissa && exponent.is_none_or(is_exponent)) || is_base_60
}

/// `2024-01-31`, alone or with a time behind it.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_day = bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let is_time = |rest: &[u8]| {
        matches!(rest[0], b'T' | b't' | b' ')
            && rest.contains(&b':')
            && rest[1..]
                .iter()
                .all(|b| b.is_ascii_digit() || b":.+-Zz ".contains(b))
    };
    is_day && (bytes.len() == 10 || is_time(&bytes[10..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_quotes_is_known() {
        for (kind, texts) in [
            ("nothing", "~ null Null NULL"),
            ("a boolean", "true False YES on Off y N"),
            (
                "a number",
                "1 -1 +1 1.10 .5 1. 1e3 1.5E-3 0x1F 0o17 0b11 0777 1_000 1:30 .inf -.INF .nan",
            ),
            ("a date", "2024-01-31 2024-01-31T10:00:00Z"),
        ] {
            for text in texts.split(' ') {
                assert_eq!(plain_type(text), Some(kind), "{text}");
            }
        }
        assert_eq!(plain_type(""), Some("nothing"));
    }

    #[test]
    fn what_looks_like_a_word_is_a_string() {
        let texts = "rx/0 cn/r tRue oN yess 1.2.3 0xZZ 0x 1e e3 10.0.0.1:3333 a:1 - . -a +x nan \
                     1-2 2024-01-3 2024-01-31x 2024-01-31Tnoon 127.0.0.1 é 日本";
        for text in texts.split(' ') {
            assert_eq!(plain_type(text), None, "{text}");
        }
    }
}

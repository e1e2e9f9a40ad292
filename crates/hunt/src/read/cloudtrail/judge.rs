//! What the computed columns say of an event.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use memchr::memmem;

/// How the id of an instance starts, and how many digits follow: 8 before 2016, 17 since.
const INSTANCE_PREFIX: &[u8] = b"i-";
const INSTANCE_DIGITS: [usize; 2] = [8, 17];

/// An address, where the source of a call is one and not the name of a service.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Keys of users start with AKIA, those of sessions with ASIA (IAM user guide, "IAM identifiers").
pub(super) fn key_kind(key: &str) -> &'static str {
    match key.as_bytes() {
        [b'A', b'K', b'I', b'A', ..] => "long_lived",
        [b'A', b'S', b'I', b'A', ..] => "temporary",
        _ => "other",
    }
}

/// What kind of failure a code is. The services name the same failure differently.
pub(super) fn error_kind(code: &str, message: &str) -> &'static str {
    let bare = code
        .strip_prefix("Client.")
        .or(code.strip_prefix("Server."))
        .unwrap_or(code);
    let has = |parts: &[&str]| parts.iter().any(|part| bare.contains(part));
    if bare == "DryRunOperation" {
        "dry_run"
    } else if has(&[
        "Throttl",
        "RequestLimitExceeded",
        "TooManyRequests",
        "SlowDown",
    ]) {
        "throttled"
    } else if has(&[
        "Unauthorized",
        "AccessDenied",
        "Forbidden",
        "AuthFailure",
        "InvalidClientTokenId",
        "ExpiredToken",
        "OptInRequired",
        "PendingVerification",
    ]) || message.contains("not authorized")
    {
        "denied"
    } else if has(&[
        "LimitExceeded",
        "QuotaExceeded",
        "InsufficientInstanceCapacity",
        "MaxSpotInstanceCount",
        "LimitReached",
    ]) {
        "limit"
    } else if has(&["NotFound", "NoSuch", "NonExistent"]) {
        "missing"
    } else if has(&[
        "Invalid",
        "Validation",
        "Malformed",
        "Missing",
        "Unsupported",
    ]) {
        "invalid"
    } else {
        "other"
    }
}

/// Every instance that is named, once, in the order of the names. Not only the first of a list,
/// and not only in the members where one would look.
pub(super) fn instance_ids<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
    let mut ids: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for json in parts {
        for at in memmem::find_iter(json, INSTANCE_PREFIX) {
            let is_start = at == 0 || !json[at - 1].is_ascii_alphanumeric() && json[at - 1] != b'-';
            let digits = json[at + INSTANCE_PREFIX.len()..]
                .iter()
                .take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                .count();
            let end = at + INSTANCE_PREFIX.len() + digits;
            let goes_on = json
                .get(end)
                .is_some_and(|byte| byte.is_ascii_alphanumeric());
            if !is_start || goes_on || !INSTANCE_DIGITS.contains(&digits) {
                continue;
            }
            if let Ok(id) = std::str::from_utf8(&json[at..end])
                && seen.insert(id)
            {
                ids.push(id);
            }
        }
    }
    ids
}

/// Whom a call belongs to: what a session is of, otherwise the caller, otherwise the service.
pub(super) fn principal<'a>(part: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    part("sessionContext.sessionIssuer.arn")
        .or_else(|| part("arn"))
        .or_else(|| part("principalId"))
        .or_else(|| part("invokedBy"))
}

/// True and false, also as text.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A moment, in microseconds since 1970.
pub(super) fn micros(text: &str) -> Option<i64> {
    seconds(text.as_bytes())
        .map(|seconds| seconds * 1_000_000)
        .or_else(|| {
            text.parse::<Timestamp>()
                .ok()
                .map(Timestamp::as_microsecond)
        })
}

/// The form that the log has: `2024-08-01T11:30:23Z`, by Howard Hinnant's "days_from_civil".
fn seconds(text: &[u8]) -> Option<i64> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        i1,
        i2,
        b':',
        s1,
        s2,
        b'Z',
    ] = *text
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (
        number(&[y1, y2, y3, y4])?,
        number(&[m1, m2])?,
        number(&[d1, d2])?,
    );
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    // Days that not every month has, and leap seconds, are left to the library.
    if !(1..=12).contains(&month)
        || !(1..=28).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_instance_is_found_once() {
        let json = br#"{"instancesSet":{"items":[{"instanceId":"i-0123456789abcdef0"},
            {"instanceId":"i-0aaaaaaaaaaaaaaaa"}]},"arn":"arn:aws:ec2:x:1:instance/i-1a2b3c4d",
            "again":"i-1a2b3c4d","not":"ami-12345678","nor":"i-123","neither":"i-1a2b3c4dz"}"#;
        let ids = instance_ids([&json[..]].into_iter());
        assert_eq!(
            ids,
            ["i-0123456789abcdef0", "i-0aaaaaaaaaaaaaaaa", "i-1a2b3c4d"]
        );
    }

    #[test]
    fn failures_of_a_kind_are_told_together() {
        for (code, kind) in [
            ("Client.UnauthorizedOperation", "denied"),
            ("AccessDenied", "denied"),
            ("AccessDeniedException", "denied"),
            ("Client.DryRunOperation", "dry_run"),
            ("Client.VcpuLimitExceeded", "limit"),
            ("Client.InstanceLimitExceeded", "limit"),
            ("Client.RequestLimitExceeded", "throttled"),
            ("ThrottlingException", "throttled"),
            ("Client.InvalidParameterValue", "invalid"),
            ("NoSuchEntityException", "missing"),
            ("Client.InvalidInstanceID.NotFound", "missing"),
            ("Server.InternalError", "other"),
        ] {
            assert_eq!(error_kind(code, ""), kind, "{code}");
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_to_read_a_time_is_the_library_s(second in 0_i64..253_402_300_799) {
            let text = Timestamp::from_second(second).expect("in range").to_string();
            prop_assert_eq!(micros(&text), Some(second * 1_000_000));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in ".{0,40}") {
            let _ = micros(&text);
        }
    }
}

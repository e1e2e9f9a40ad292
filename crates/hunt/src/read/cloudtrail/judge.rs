//! What the computed columns say of an event.

use std::borrow::Cow;
use std::net::IpAddr;

/// An address, where the source of a call is one and not the name of a service.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Keys of users start with AKIA, those of sessions with ASIA (IAM user guide, "IAM identifiers").
pub(crate) fn key_kind(key: &str) -> Option<&'static str> {
    match key.as_bytes() {
        [b'A', b'K', b'I', b'A', ..] => Some("long-term"),
        [b'A', b'S', b'I', b'A', ..] => Some("temporary"),
        _ => None,
    }
}

/// What kind of failure a code is, by the first of these that it has a part of. The services name
/// the same failure differently.
const ERROR_KINDS: &[(&str, &[&str])] = &[
    ("dry-run", &["DryRun"]),
    (
        "denied",
        &[
            "Unauthorized",
            "AccessDenied",
            "OptInRequired",
            "Blocked",
            "PendingVerification",
        ],
    ),
    ("throttled", &["Thrott", "RequestLimit"]),
    ("quota", &["LimitExceeded", "Quota"]),
    ("capacity", &["Capacity"]),
    (
        "invalid",
        &["Invalid", "Malformed", "NotFound", "Validation"],
    ),
];

/// What kind of failure a code is; none for no code.
pub(super) fn error_kind(code: &str) -> &'static str {
    if code.is_empty() {
        return "none";
    }
    ERROR_KINDS
        .iter()
        .find(|(_, parts)| parts.iter().any(|part| code.contains(part)))
        .map_or("other", |(kind, _)| kind)
}

/// Who acted, in one text.
pub(super) fn actor<'a>(part: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    part("accessKeyId")
        .or_else(|| part("arn"))
        .or_else(|| part("principalId"))
        .or_else(|| part("invokedBy"))
}

/// Whom a call belongs to: what a session is of, otherwise the caller, otherwise the service.
pub(super) fn principal<'a>(part: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<Cow<'a, str>> {
    part("sessionContext.sessionIssuer.arn")
        .or_else(|| part("arn"))
        .or_else(|| part("principalId"))
        .or_else(|| part("invokedBy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_a_kind_are_told_together() {
        for (code, kind) in [
            ("", "none"),
            ("Client.UnauthorizedOperation", "denied"),
            ("AccessDenied", "denied"),
            ("AccessDeniedException", "denied"),
            ("Client.DryRunOperation", "dry-run"),
            ("Client.VcpuLimitExceeded", "quota"),
            ("Client.InstanceLimitExceeded", "quota"),
            ("ServiceQuotaExceededException", "quota"),
            ("Client.RequestLimitExceeded", "throttled"),
            ("ThrottlingException", "throttled"),
            ("Server.InsufficientInstanceCapacity", "capacity"),
            ("Client.InvalidParameterValue", "invalid"),
            ("Client.InvalidInstanceID.NotFound", "invalid"),
            ("Server.InternalError", "other"),
        ] {
            assert_eq!(error_kind(code), kind, "{code}");
        }
    }
}

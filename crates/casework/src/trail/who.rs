//! Whose an event is: its principal, and the credential that signed it.

use std::borrow::Cow;

use super::row::{Row, Text};

/// A user's ARN with the id that is not given twice.
pub fn with_id(arn: &str, id: &str) -> String {
    format!("{arn} ({id})")
}

/// What the credentials of instances have in common, where a role has too many of them.
pub const INSTANCES: &str = "instances";

/// Whether a credential is that of an instance.
pub fn is_instance(credential: &str) -> bool {
    let is_one = |id: &str| id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    credential == INSTANCES || credential.strip_prefix("session i-").is_some_and(is_one)
}

/// Whom an event belongs to: the role or user behind the session, otherwise the caller.
pub fn principal(row: Row<'_>) -> Cow<'_, str> {
    let kind = row.text(Text::IdentityType);
    let issuer = row.text(Text::IssuerArn);
    // A federated user's session outlives what made it, so it is a principal of its own.
    if !issuer.is_empty() && kind != "FederatedUser" {
        return issuer.into();
    }
    let arn = row.text(Text::Arn);
    if let Some(role) = role_of(arn) {
        return role.into();
    }
    if !arn.is_empty() {
        return arn.into();
    }
    let (account, user) = (row.text(Text::IdentityAccount), row.text(Text::UserName));
    if kind == "Root" && !account.is_empty() {
        return format!("arn:aws:iam::{account}:root").into();
    }
    if kind == "IAMUser" && !account.is_empty() && !user.is_empty() {
        return format!("arn:aws:iam::{account}:user/{user}").into();
    }
    let texts = [user, row.text(Text::PrincipalId), row.text(Text::InvokedBy)];
    match texts.into_iter().find(|text| !text.is_empty()) {
        Some(named) => named.into(),
        None if account.is_empty() => "(not said)".into(),
        None => format!("account {account}").into(),
    }
}

/// The role of the ARN of one of its sessions; paths are not in it.
fn role_of(arn: &str) -> Option<String> {
    let (before, rest) = arn.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    let before = before.replacen(":sts:", ":iam:", 1);
    Some(format!("{before}:role/{role}"))
}

/// The unique id of a user.
pub(super) fn unique(row: Row<'_>) -> Option<&str> {
    let id = row.text(Text::PrincipalId);
    (row.text(Text::IdentityType) == "IAMUser" && id.starts_with("AIDA")).then_some(id)
}

/// The credential of an event: a long-term key by its id; of temporary ones, of which a role has
/// thousands, what they have in common: the session's name, or the console.
pub fn credential(row: Row<'_>) -> Cow<'_, str> {
    let key = row.text(Text::Key);
    let session = row.session();
    if key.starts_with("AKIA") {
        return key.into();
    }
    if row.is_console_session() || row.text(Text::EventName) == "ConsoleLogin" {
        return "console".into();
    }
    match (session.is_empty(), key.is_empty()) {
        (false, _) => format!("session {session}").into(),
        (true, false) if key.starts_with("ASIA") => "temporary".into(),
        (true, false) => key.into(),
        (true, true) => "".into(),
    }
}

//! STS: who am I, and sessions.

use serde_json::{Value, json};

use crate::attack::calendar::spoken;
use crate::attack::dice::Dice;
use crate::attack::event::Call;
use crate::attack::identity::RoleName;
use crate::attack::ids;

/// How long a session lasts that is not asked to last longer.
const SESSION_SECS: i64 = 3_600;

/// Whose key is this?
pub fn get_caller_identity() -> Call {
    Call::read("sts", "GetCallerIdentity", Value::Null)
}

fn credentials(dice: &mut Dice, account: &str, at: i64) -> (Value, String) {
    let key = ids::access_key(dice, "ASIA", account);
    let given = json!({
        "accessKeyId": key,
        "sessionToken": ids::token(dice),
        "expiration": spoken(at + SESSION_SECS),
    });
    (given, key)
}

fn resources(role: &RoleName) -> Value {
    json!([{"accountId": role.account, "type": "AWS::IAM::Role", "ARN": role.arn()}])
}

/// A role is taken; the second is the session's key.
pub fn assume_role(
    dice: &mut Dice,
    role: &RoleName,
    session: &str,
    source_identity: Option<&str>,
    at: i64,
) -> (Call, String) {
    let (given, key) = credentials(dice, &role.account, at);
    let mut request = json!({
        "roleArn": role.arn(),
        "roleSessionName": session,
        "durationSeconds": SESSION_SECS,
    });
    let mut response = json!({
        "credentials": given,
        "assumedRoleUser": {
            "assumedRoleId": format!("{}:{session}", role.id),
            "arn": role.session_arn(session),
        },
    });
    if let Some(source) = source_identity {
        request["sourceIdentity"] = json!(source);
        response["sourceIdentity"] = json!(source);
    }
    let mut call = Call::read("sts", "AssumeRole", request).answered(response);
    call.resources = resources(role);
    (call, key)
}

/// A role is taken with a token of the web; the second is the session's key.
pub fn assume_role_with_web_identity(
    dice: &mut Dice,
    role: &RoleName,
    session: &str,
    subject: &str,
    provider: &str,
    at: i64,
) -> (Call, String) {
    let (given, key) = credentials(dice, &role.account, at);
    let mut call = Call::read(
        "sts",
        "AssumeRoleWithWebIdentity",
        json!({"roleArn": role.arn(), "roleSessionName": session, "durationSeconds": SESSION_SECS}),
    )
    .answered(json!({
        "credentials": given,
        "subjectFromWebIdentityToken": subject,
        "assumedRoleUser": {
            "assumedRoleId": format!("{}:{session}", role.id),
            "arn": role.session_arn(session),
        },
        "provider": provider,
        "audience": "sts.amazonaws.com",
    }));
    call.resources = resources(role);
    (call, key)
}

/// A role is taken with an assertion of the company's provider; the second is the session's key.
pub fn assume_role_with_saml(
    dice: &mut Dice,
    role: &RoleName,
    session: &str,
    provider: &str,
    at: i64,
) -> (Call, String) {
    let (given, key) = credentials(dice, &role.account, at);
    let mut call = Call::read(
        "sts",
        "AssumeRoleWithSAML",
        json!({
            "sAMLAssertionID": format!("_{}", dice.uuid()),
            "roleSessionName": session,
            "principalArn": provider,
            "roleArn": role.arn(),
            "durationSeconds": SESSION_SECS,
        }),
    )
    .answered(json!({
        "subjectType": "persistent",
        "issuer": "https://portal.sso.us-east-1.amazonaws.com/saml/assertion",
        "credentials": given,
        "nameQualifier": dice.hex(27),
        "assumedRoleUser": {
            "assumedRoleId": format!("{}:{session}", role.id),
            "arn": role.session_arn(session),
        },
        "subject": session,
        "audience": "https://signin.aws.amazon.com/saml",
    }));
    call.resources = resources(role);
    (call, key)
}

/// A user makes a session with a name of the user's choice; the second is the session's key.
pub fn get_federation_token(
    dice: &mut Dice,
    account: &str,
    name: &str,
    duration_secs: i64,
    at: i64,
) -> (Call, String) {
    let key = ids::access_key(dice, "ASIA", account);
    let call = Call::read(
        "sts",
        "GetFederationToken",
        json!({
            "name": name,
            "policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}",
            "durationSeconds": duration_secs,
        }),
    )
    .answered(json!({
        "credentials": {
            "accessKeyId": key,
            "sessionToken": ids::token(dice),
            "expiration": spoken(at + duration_secs),
        },
        "federatedUser": {
            "federatedUserId": format!("{account}:{name}"),
            "arn": format!("arn:aws:sts::{account}:federated-user/{name}"),
        },
        "packedPolicySize": 4,
    }));
    (call, key)
}

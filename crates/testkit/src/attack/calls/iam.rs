//! IAM.

use serde_json::json;

use crate::attack::calendar::{iso, spoken};
use crate::attack::cast::key_state;
use crate::attack::dice::Dice;
use crate::attack::event::Call;
use crate::attack::ids;
use crate::attack::world::{Effect, Thing};

/// The policy that allows everything.
pub const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// What AWS attaches to a user whose key was found in public.
pub const QUARANTINE: &str = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2";

/// A user is made; the second is the unique id.
pub fn create_user(dice: &mut Dice, account: &str, name: &str, at: i64) -> (Call, String) {
    let id = ids::unique(dice, "AIDA");
    let arn = format!("arn:aws:iam::{account}:user/{name}");
    let call = Call::new("iam", "CreateUser", json!({"userName": name}))
        .answered(json!({"user": {
            "path": "/", "userName": name, "userId": id, "arn": arn, "createDate": spoken(at),
        }}))
        .changing(Effect::Put(
            Thing::global(account, "user", name),
            json!({
                "Path": "/", "UserName": name, "UserId": id, "Arn": arn, "CreateDate": iso(at),
                "Groups": [], "AttachedManagedPolicies": [], "UserPolicyList": [],
            }),
        ));
    (call, id)
}

/// A user is deleted.
pub fn delete_user(account: &str, name: &str) -> Call {
    Call::new("iam", "DeleteUser", json!({"userName": name}))
        .changing(Effect::Gone(Thing::global(account, "user", name)))
}

/// A user gets another name.
pub fn rename_user(account: &str, from: &str, to: &str, id: &str, created: i64) -> Call {
    let arn = format!("arn:aws:iam::{account}:user/{to}");
    Call::new(
        "iam",
        "UpdateUser",
        json!({"userName": from, "newUserName": to}),
    )
    .changing(Effect::Gone(Thing::global(account, "user", from)))
    .changing(Effect::Put(
        Thing::global(account, "user", to),
        json!({
            "Path": "/", "UserName": to, "UserId": id, "Arn": arn, "CreateDate": iso(created),
            "Groups": [], "AttachedManagedPolicies": [], "UserPolicyList": [],
        }),
    ))
}

/// A key is made; the second is its id.
pub fn create_access_key(dice: &mut Dice, account: &str, user: &str, at: i64) -> (Call, String) {
    let id = ids::access_key(dice, "AKIA", account);
    let call = Call::new("iam", "CreateAccessKey", json!({"userName": user}))
        .answered(json!({"accessKey": {
            "userName": user, "accessKeyId": id, "status": "Active", "createDate": spoken(at),
        }}))
        .changing(Effect::Put(
            Thing::global(account, "access-key", &id),
            key_state(&id, user, at),
        ));
    (call, id)
}

/// A key is switched on or off.
pub fn update_access_key(account: &str, user: &str, id: &str, is_active: bool) -> Call {
    let status = if is_active { "Active" } else { "Inactive" };
    Call::new(
        "iam",
        "UpdateAccessKey",
        json!({"userName": user, "accessKeyId": id, "status": status}),
    )
    .changing(Effect::Patch(
        Thing::global(account, "access-key", id),
        json!({"Status": status}),
    ))
}

/// A key is deleted.
pub fn delete_access_key(account: &str, user: &str, id: &str) -> Call {
    Call::new(
        "iam",
        "DeleteAccessKey",
        json!({"userName": user, "accessKeyId": id}),
    )
    .changing(Effect::Gone(Thing::global(account, "access-key", id)))
}

/// A user gets a password.
pub fn create_login_profile(account: &str, user: &str, at: i64) -> Call {
    Call::new(
        "iam",
        "CreateLoginProfile",
        json!({"userName": user, "passwordResetRequired": false}),
    )
    .answered(json!({"loginProfile": {
        "userName": user, "createDate": spoken(at), "passwordResetRequired": false,
    }}))
    .changing(Effect::Put(
        Thing::global(account, "login-profile", user),
        json!({"UserName": user, "CreateDate": iso(at), "PasswordResetRequired": false}),
    ))
}

/// A user gets another password.
pub fn update_login_profile(user: &str) -> Call {
    Call::new("iam", "UpdateLoginProfile", json!({"userName": user}))
}

/// A user's password is taken away.
pub fn delete_login_profile(account: &str, user: &str) -> Call {
    Call::new("iam", "DeleteLoginProfile", json!({"userName": user}))
        .changing(Effect::Gone(Thing::global(account, "login-profile", user)))
}

/// A policy is attached to a user.
pub fn attach_user_policy(account: &str, user: &str, policy: &str) -> Call {
    let name = policy.rsplit('/').next().unwrap_or(policy);
    Call::new(
        "iam",
        "AttachUserPolicy",
        json!({"userName": user, "policyArn": policy}),
    )
    .changing(Effect::Patch(
        Thing::global(account, "user", user),
        json!({"AttachedManagedPolicies": [{"PolicyName": name, "PolicyArn": policy}]}),
    ))
}

/// A policy is written into a user.
pub fn put_user_policy(account: &str, user: &str, name: &str) -> Call {
    let document = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}";
    Call::new(
        "iam",
        "PutUserPolicy",
        json!({"userName": user, "policyName": name, "policyDocument": document}),
    )
    .changing(Effect::Patch(
        Thing::global(account, "user", user),
        json!({"UserPolicyList": [{"PolicyName": name, "PolicyDocument": document}]}),
    ))
}

/// A role is made that another account may take; the second is its unique id.
pub fn create_role(
    dice: &mut Dice,
    account: &str,
    name: &str,
    trusted: &str,
    at: i64,
) -> (Call, String) {
    let id = ids::unique(dice, "AROA");
    let arn = format!("arn:aws:iam::{account}:role/{name}");
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    ]});
    let call = Call::new(
        "iam",
        "CreateRole",
        json!({"roleName": name, "assumeRolePolicyDocument": document.to_string()}),
    )
    .answered(json!({"role": {
        "path": "/", "roleName": name, "roleId": id, "arn": arn, "createDate": spoken(at),
        "assumeRolePolicyDocument": document.to_string(),
    }}))
    .changing(Effect::Put(
        Thing::global(account, "role", name),
        json!({
            "Path": "/", "RoleName": name, "RoleId": id, "Arn": arn, "CreateDate": iso(at),
            "AssumeRolePolicyDocument": document, "AttachedManagedPolicies": [],
        }),
    ));
    (call, id)
}

/// Others may take a role.
pub fn update_trust(account: &str, role: &str, trusted: &str) -> Call {
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    ]});
    Call::new(
        "iam",
        "UpdateAssumeRolePolicy",
        json!({"roleName": role, "policyDocument": document.to_string()}),
    )
    .changing(Effect::Patch(
        Thing::global(account, "role", role),
        json!({"AssumeRolePolicyDocument": document}),
    ))
}

/// A policy is attached to a role.
pub fn attach_role_policy(account: &str, role: &str, policy: &str) -> Call {
    let name = policy.rsplit('/').next().unwrap_or(policy);
    Call::new(
        "iam",
        "AttachRolePolicy",
        json!({"roleName": role, "policyArn": policy}),
    )
    .changing(Effect::Patch(
        Thing::global(account, "role", role),
        json!({"AttachedManagedPolicies": [{"PolicyName": name, "PolicyArn": policy}]}),
    ))
}

/// Sessions of a role that began before a moment may do nothing any more.
pub fn revoke_sessions(role: &str, before: i64) -> Call {
    let document = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": ["*"], "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": iso(before)}},
    }]});
    Call::new(
        "iam",
        "PutRolePolicy",
        json!({"roleName": role, "policyName": "AWSRevokeOlderSessions", "policyDocument": document.to_string()}),
    )
}

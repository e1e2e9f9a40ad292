//! Requests and answers of the calls in a story, with the members AWS gives them.

pub mod ec2;
pub mod iam;
pub mod launch;
pub mod signin;
pub mod sts;
pub mod trail;
pub mod workloads;

use serde_json::json;

use super::dice::Dice;
use super::event::Call;
use super::identity::Identity;
use super::ids;

/// A quota of a service, as Service Quotas names it.
pub fn get_service_quota(service: &str, quota: &str) -> Call {
    Call::read(
        "servicequotas",
        "GetServiceQuota",
        json!({"serviceCode": service, "quotaCode": quota}),
    )
}

/// A wish for more of it.
pub fn request_service_quota_increase(dice: &mut Dice, account: &str, region: &str) -> Call {
    Call::new(
        "servicequotas",
        "RequestServiceQuotaIncrease",
        json!({"serviceCode": "ec2", "quotaCode": "L-1216C47A", "desiredValue": 1920}),
    )
    .answered(json!({"requestedQuota": {
        "id": dice.hex(32) + "Xq3LkUvB",
        "serviceCode": "ec2",
        "serviceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "quotaCode": "L-1216C47A",
        "quotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        "desiredValue": 1920,
        "status": "PENDING",
        "requester": format!("{{\"accountId\":\"{account}\"}}"),
        "quotaArn": format!("arn:aws:servicequotas:{region}:{account}:ec2/L-1216C47A"),
        "globalQuota": false,
        "unit": "None",
    }}))
}

/// A call that looks at something and about whose answer the log says nothing.
pub fn look(service: &'static str, action: &'static str) -> Call {
    Call::read(service, action, serde_json::Value::Null)
}

/// The refusal of most services.
pub fn denied(call: Call, who: &Identity, account: &str) -> Call {
    let arn = match who {
        Identity::Role { role, name, .. } => role.session_arn(name),
        other => other.principal().unwrap_or_default(),
    };
    let operation = format!("{}:{}", call.service, call.action);
    call.refused(
        "AccessDenied",
        format!(
            "User: {arn} is not authorized to perform: {operation} on resource: arn:aws:iam::{account}:* because no \
             identity-based policy allows the {operation} action"
        ),
    )
}

/// EC2's refusal.
pub fn unauthorized(dice: &mut Dice, call: Call, who: &Identity) -> Call {
    let arn = match who {
        Identity::Role { role, name, .. } => role.session_arn(name),
        other => other.principal().unwrap_or_default(),
    };
    let operation = format!("ec2:{}", call.action);
    let message = format!(
        "You are not authorized to perform this operation. User: {arn} is not authorized to perform: {operation} \
         because no identity-based policy allows the {operation} action. Encoded authorization failure message: {}",
        ids::encoded_message(dice)
    );
    call.refused("Client.UnauthorizedOperation", message)
}

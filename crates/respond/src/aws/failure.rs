//! What an AWS service's refusal means for a step: come back later, not allowed, or no.
//!
//! What must stay true: an answer that does not come is never taken for a refusal, because the
//! call may have had its effect; and a refusal for lack of a right names the call, so that the
//! report can say which line of the IAM policy is missing.

use std::error::Error;

use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use davylamp_cloud::aws::session::{SessionError, describe, is_unreachable};

use crate::actuator::ActError;

/// Codes that ask for patience, besides every answer of 500 and above. Services spell throttling in
/// their own ways: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>,
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>.
const PATIENCE: &[&str] = &[
    "BandwidthLimitExceeded",
    "ConcurrentModification",
    "ConcurrentModificationException",
    "ConcurrentSnapshotLimitExceeded",
    "EC2ThrottledException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServiceError",
    "OperationAborted",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ResourceContention",
    "ServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "SnapshotCreationPerVolumeRateExceeded",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
    "Unavailable",
];

/// What is said of a call that was not answered, before what went wrong on the way.
const UNREACHABLE: &str =
    "its endpoint cannot be reached, see the network, the proxy and `respond.endpoint_url`";

/// Codes that say that we may not.
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "AuthorizationError",
    "Client.UnauthorizedOperation",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "NotAuthorizedException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedAccess",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

/// What a failed call means. `call` is its name in IAM, such as `ec2:TerminateInstances`.
pub fn of<E>(call: &str, error: &SdkError<E, HttpResponse>) -> ActError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let why = match is_unreachable(error) {
        true => format!("{UNREACHABLE}: {}", describe(error)),
        false => describe(error),
    };
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            of_answer(call, status, answer.err().code(), why)
        }
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => {
            match assuming_role(error) {
                Some(refusal) => refusal,
                None if matches!(error, SdkError::ConstructionFailure(_)) => refused(call, why),
                None => transient(call, why),
            }
        }
        // A time limit, or an answer that breaks off or cannot be read: the call may have had its
        // effect, and the next look will show.
        _ => transient(call, why),
    }
}

/// What a session that cannot be had means.
pub fn of_session(error: &SessionError) -> ActError {
    match error {
        SessionError::ForeignAccount { account } => ActError::NotConfigured {
            what: format!("act in account {account}, which is not ours"),
        },
        SessionError::Absent => ActError::NotConfigured {
            what: "act in AWS, without which this runs".to_owned(),
        },
        // Whose credentials these are could not be asked, or nobody answered: that may pass.
        other @ (SessionError::NoCredentials { .. }
        | SessionError::Credentials { .. }
        | SessionError::Unreachable { .. }) => transient("sts:GetCallerIdentity", describe(other)),
        other => ActError::Denied {
            call: "sts:GetCallerIdentity".to_owned(),
            why: describe(other),
        },
    }
}

/// A refusal of our own: the service would accept, but a step must not go on.
pub fn refused(call: &str, why: impl Into<String>) -> ActError {
    ActError::Refused {
        call: call.to_owned(),
        why: why.into(),
    }
}

/// A service that has to be asked again.
pub fn transient(call: &str, why: impl Into<String>) -> ActError {
    let service = call.split_once(':').map_or(call, |(service, _)| service);
    ActError::Transient {
        service: service.to_owned(),
        why: why.into(),
    }
}

/// Whether the service answered with one of these codes.
pub fn is_code<E>(error: &SdkError<E, HttpResponse>, codes: &[&str]) -> bool
where
    E: ProvideErrorMetadata,
{
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .is_some_and(|code| codes.contains(&code))
}

/// Whether the service says that the thing does not exist. EC2 spells it once for each kind of
/// thing (`InvalidVolume.NotFound`), others once for all.
pub fn is_absent<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: ProvideErrorMetadata,
{
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .is_some_and(|code| {
            code.ends_with(".NotFound")
                || code.ends_with("NotFoundException")
                || code.starts_with("NoSuch")
                || code.ends_with(".Unknown")
        })
}

fn of_answer(call: &str, status: u16, code: Option<&str>, why: String) -> ActError {
    let is_one_of = |codes: &[&str]| code.is_some_and(|code| codes.contains(&code));
    // The code decides before the status: a 500 that says `AccessDenied` will say it again.
    if is_one_of(DENIED) {
        return ActError::Denied {
            call: call.to_owned(),
            why,
        };
    }
    if is_one_of(PATIENCE) || status >= 500 || status == 429 || status == 408 {
        return transient(call, why);
    }
    if code.is_none() && matches!(status, 401 | 403) {
        return ActError::Denied {
            call: call.to_owned(),
            why,
        };
    }
    refused(call, why)
}

/// A role that could not be assumed fails every call made with it, before it is sent.
fn assuming_role(error: &(dyn Error + 'static)) -> Option<ActError> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(refusal) = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            return Some(of("sts:AssumeRole", refusal));
        }
        if let Some(refusal) = cause.downcast_ref::<AssumeRoleError>() {
            return Some(of_answer(
                "sts:AssumeRole",
                400,
                refusal.code(),
                describe(cause),
            ));
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, code: Option<&str>, expected: &str) {
        let failure = of_answer(
            "ec2:TerminateInstances",
            status,
            code,
            "it said so".to_owned(),
        );
        let got = match &failure {
            ActError::Transient { service, .. } => format!("transient {service}"),
            ActError::Denied { call, .. } => format!("denied {call}"),
            ActError::Refused { call, .. } => format!("refused {call}"),
            ActError::NotConfigured { .. } => "not configured".to_owned(),
        };
        assert_eq!(got, expected, "{status} {code:?}");
    }

    #[test]
    fn what_passes_is_repeated() {
        check(503, Some("RequestLimitExceeded"), "transient ec2");
        check(400, Some("Throttling"), "transient ec2");
        check(400, Some("ThrottlingException"), "transient ec2");
        check(
            400,
            Some("SnapshotCreationPerVolumeRateExceeded"),
            "transient ec2",
        );
        check(
            400,
            Some("ConcurrentSnapshotLimitExceeded"),
            "transient ec2",
        );
        check(500, Some("InternalError"), "transient ec2");
        check(502, None, "transient ec2");
        check(500, Some("NobodyKnows"), "transient ec2");
        check(429, None, "transient ec2");
    }

    #[test]
    fn a_missing_right_names_the_call() {
        check(
            403,
            Some("UnauthorizedOperation"),
            "denied ec2:TerminateInstances",
        );
        check(403, Some("AccessDenied"), "denied ec2:TerminateInstances");
        check(
            400,
            Some("AccessDeniedException"),
            "denied ec2:TerminateInstances",
        );
        check(403, None, "denied ec2:TerminateInstances");
        check(500, Some("AccessDenied"), "denied ec2:TerminateInstances");
    }

    #[test]
    fn the_rest_is_refused() {
        check(
            400,
            Some("OperationNotPermitted"),
            "refused ec2:TerminateInstances",
        );
        check(
            400,
            Some("InvalidInstanceID.NotFound"),
            "refused ec2:TerminateInstances",
        );
        check(400, None, "refused ec2:TerminateInstances");
    }

    #[test]
    fn an_account_without_a_role_is_not_configured() {
        let error = SessionError::ForeignAccount {
            account: "123456789012".to_owned(),
        };
        assert!(
            matches!(of_session(&error), ActError::NotConfigured { what } if what.contains("123456789012"))
        );
    }
}

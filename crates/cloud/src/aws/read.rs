//! Clients that can only read, and what their failures mean.
//!
//! What must stay true: a client made here refuses every operation that is not a reading one
//! before a byte of it is sent. The SDK configuration behind it is private, so nothing in this
//! crate can make another client from it.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::endpoint::EndpointFuture;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::pace::Route;
use super::session::{describe, is_unreachable};

/// What the names of reading operations begin with. `GetCallerIdentity` is one of them.
const READING: [&str; 5] = ["Describe", "List", "Get", "Head", "BatchGet"];
/// Operations that read although their name begins otherwise: credentials are asked for with them,
/// and a question to Athena, which reads what it is asked and writes its answer.
const READING_TOO: [&str; 4] = [
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "StartQueryExecution",
    "StopQueryExecution",
];

/// Whether an operation only reads.
pub fn is_reading(operation: &str) -> bool {
    READING.iter().any(|prefix| operation.starts_with(prefix)) || READING_TOO.contains(&operation)
}

/// Refuses what would change something.
#[derive(Debug, Clone, Copy)]
struct ReadOnly;

/// An operation would have changed something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service}:{operation} is not sent: this client only reads")]
pub struct NotReading {
    /// The service, as its SDK calls it.
    pub service: String,
    /// The operation.
    pub operation: String,
}

impl Intercept for ReadOnly {
    fn name(&self) -> &'static str {
        "ReadOnly"
    }

    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let named = config.load::<Metadata>();
        // An operation without a name is refused as well.
        let (service, operation) =
            named.map_or(("unknown", "unknown"), |it| (it.service(), it.name()));
        if is_reading(operation) {
            return Ok(());
        }
        Err(Box::new(NotReading {
            service: service.to_owned(),
            operation: operation.to_owned(),
        }))
    }
}

/// Clients of one account and region that can only read.
#[derive(Clone)]
pub struct ReadConfig {
    sdk: SdkConfig,
    route: Route,
}

impl std::fmt::Debug for ReadConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadConfig")
            .field("region", &self.sdk.region())
            .finish_non_exhaustive()
    }
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $sdk:ident;)*) => {
        impl ReadConfig {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> $sdk::Client {
                    let config = $sdk::config::Builder::from(&self.sdk).interceptor(ReadOnly);
                    $sdk::Client::from_conf(config.build())
                }
            )*
        }
    };
}

clients! {
    /// Athena.
    #[cfg(feature = "athena")]
    athena: aws_sdk_athena;
    /// Auto Scaling.
    autoscaling: aws_sdk_autoscaling;
    /// Cognito user pools.
    cognito: aws_sdk_cognitoidentityprovider;
    /// EC2.
    ec2: aws_sdk_ec2;
    /// ECS.
    ecs: aws_sdk_ecs;
    /// EKS.
    eks: aws_sdk_eks;
    /// GuardDuty.
    guardduty: aws_sdk_guardduty;
    /// IAM.
    iam: aws_sdk_iam;
    /// Lambda.
    lambda: aws_sdk_lambda;
    /// Secrets Manager.
    secretsmanager: aws_sdk_secretsmanager;
    /// Systems Manager.
    ssm: aws_sdk_ssm;
    /// STS.
    sts: aws_sdk_sts;
}

impl ReadConfig {
    pub(super) fn new(sdk: SdkConfig, route: Route) -> Self {
        Self { sdk, route }
    }

    /// How requests that no SDK client makes are paced, counted and repeated.
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// The region.
    pub(super) fn region(&self) -> Option<&str> {
        self.sdk.region().map(AsRef::as_ref)
    }

    /// The endpoint of every service, where there is one of our own.
    pub(super) fn endpoint_url(&self) -> Option<&str> {
        self.sdk.endpoint_url()
    }

    /// The same account in another region.
    pub(super) fn in_region(&self, region: &str) -> Self {
        let region = aws_config::Region::new(region.to_owned());
        Self {
            sdk: self.sdk.to_builder().region(region).build(),
            route: self.route.clone(),
        }
    }

    /// S3.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(s3_config(&self.sdk).interceptor(ReadOnly).build())
    }

    /// S3 of the account as a whole.
    pub fn s3control(&self) -> aws_sdk_s3control::Client {
        aws_sdk_s3control::Client::from_conf(
            s3control_config(&self.sdk).interceptor(ReadOnly).build(),
        )
    }

    /// The credentials that sign a cluster's token.
    pub(crate) fn credentials(
        &self,
    ) -> Option<aws_credential_types::provider::SharedCredentialsProvider> {
        self.sdk.credentials_provider()
    }
}

/// The configuration of an S3 client that also finds its buckets behind an endpoint of our own:
/// such a server has no host name for each bucket.
pub fn s3_config(sdk: &SdkConfig) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::from(sdk).force_path_style(sdk.endpoint_url().is_some())
}

/// The configuration of an S3 control client that also works behind an endpoint of our own. AWS's
/// rules put the account before the host name, which only AWS's own names resolve with; the
/// account is in a header as well.
pub fn s3control_config(sdk: &SdkConfig) -> aws_sdk_s3control::config::Builder {
    let config = aws_sdk_s3control::config::Builder::from(sdk);
    match sdk.endpoint_url() {
        Some(url) => config.endpoint_resolver(OneEndpoint {
            url: url.to_owned(),
        }),
        None => config,
    }
}

#[derive(Debug)]
struct OneEndpoint {
    url: String,
}

impl aws_sdk_s3control::config::endpoint::ResolveEndpoint for OneEndpoint {
    fn resolve_endpoint<'a>(
        &'a self,
        _params: &'a aws_sdk_s3control::config::endpoint::Params,
    ) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.url.clone()).build()))
    }
}

/// Why a reading call gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// AWS says that there is no such thing.
    #[error("{call}: {said}")]
    Absent {
        /// The call, such as `ec2:DescribeInstances`.
        call: &'static str,
        /// What AWS said.
        said: String,
    },
    /// We may not ask.
    #[error("{call} is not allowed ({said}): allow {call} to the role that Davylamp runs as")]
    Denied {
        /// The call.
        call: &'static str,
        /// What AWS said.
        said: String,
    },
    /// AWS asked to come back later, every time.
    #[error("{call} was throttled at every attempt ({said}): repeat later, or lower the rates")]
    Throttled {
        /// The call.
        call: &'static str,
        /// What AWS said.
        said: String,
    },
    /// Anything else: no answer, an error of the service, an answer nobody understands.
    #[error("{call} failed ({said}): repeat it, and see whether the service is healthy")]
    Failed {
        /// The call.
        call: &'static str,
        /// What was said.
        said: String,
        /// Whether it may pass by itself: no answer, or an error on the service's own side.
        may_pass: bool,
    },
}

impl ReadError {
    /// What the failure of a call means. `call` is the permission that it needs.
    pub fn of<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let said = said(error);
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        Self::by_code(call, error.code().unwrap_or_default(), said, status)
    }

    /// What a failure means by its code and the answer's status; none where nobody answered.
    pub(super) fn by_code(
        call: &'static str,
        code: &str,
        said: String,
        status: Option<u16>,
    ) -> Self {
        if is_absent(code) {
            Self::Absent { call, said }
        } else if is_denied(code) {
            Self::Denied { call, said }
        } else if is_throttled(code) {
            Self::Throttled { call, said }
        } else {
            // Nobody answered, or a server that is in trouble did; what it finds wrong with the
            // question (4xx), or does not do at all, it will find wrong again.
            let may_pass = status.is_none_or(|status| status >= 500 && status != 501);
            Self::Failed {
                call,
                said,
                may_pass,
            }
        }
    }

    /// Whether the same call may work later without anybody doing something.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Throttled { .. } => true,
            Self::Failed { may_pass, .. } => *may_pass,
            Self::Absent { .. } | Self::Denied { .. } => false,
        }
    }

    /// Whether AWS says that there is no such thing. Every other failure leaves it unknown.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}

/// The codes by which services say that there is no such thing: EC2's `InvalidX.NotFound`, IAM's
/// `NoSuchEntity`, Lambda's, EKS's and SSM's `ResourceNotFoundException`, S3's `NoSuchX`.
fn is_absent(code: &str) -> bool {
    code.ends_with(".NotFound")
        || code.starts_with("NoSuch")
        || matches!(
            code,
            "ResourceNotFoundException"
                | "ClusterNotFoundException"
                | "ServiceNotFoundException"
                | "NotFoundException"
                | "TrailNotFoundException"
                | "NotFound"
        )
}

fn is_denied(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "AuthFailure"
            | "NotAuthorized"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredToken"
            | "ExpiredTokenException"
    )
}

fn is_throttled(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "SlowDown"
                | "BandwidthLimitExceeded"
        )
}

/// What AWS said, as `Code: message`; where it said nothing, what went wrong on the way.
pub fn said<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ if is_unreachable(error) => {
            format!("its endpoint cannot be reached: {}", describe(error))
        }
        _ => describe(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_readings_pass() {
        for name in [
            "DescribeInstances",
            "ListAccessKeys",
            "GetFunctionConcurrency",
            "HeadBucket",
            "BatchGetItem",
            "GetCallerIdentity",
            "AssumeRole",
        ] {
            assert!(is_reading(name), "{name}");
        }
        for name in [
            "CreateTags",
            "TerminateInstances",
            "DeleteLoginProfile",
            "AssumeRoot",
            "describeInstances",
            "BatchWriteItem",
            "PutFunctionConcurrency",
            "",
        ] {
            assert!(!is_reading(name), "{name}");
        }
    }

    #[test]
    fn codes_mean_what_the_services_say_they_mean() {
        assert!(is_absent("InvalidInstanceID.NotFound"));
        assert!(is_absent("NoSuchEntity"));
        assert!(!is_absent("InvalidInstanceID.Malformed"));
        assert!(is_denied("UnauthorizedOperation"));
        assert!(is_throttled("Throttling"));
        assert!(is_throttled("ThrottlingException"));
        assert!(is_throttled("RequestLimitExceeded"));
        assert!(!is_throttled("InternalError"));
    }
}

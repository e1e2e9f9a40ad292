//! Questions to services that speak AWS's JSON 1.1 protocol and have no client here: a client crate for
//! each takes longer to build than all that is asked of them.
//!
//! Source: the service references of CloudTrail, Config, Service Quotas and SageMaker; Smithy's
//! specification of the protocol "AWS JSON 1.1". What must stay true: an operation whose name does not say
//! that it reads is not sent; every request is paced, counted and repeated as those of other clients are.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use davylamp_model::ids::Region;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::options::Retries;
use super::read::{NotReading, ReadConfig, ReadError, is_reading};
use super::session::{describe, partition, without_credentials};

/// A connection that takes longer than this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt waits this long for its answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// No list has more pages: one that goes round in a circle comes to an end.
const MAX_PAGES: usize = 10_000;

/// A service that is asked so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service {
    /// Its host name before the region.
    pub host: &'static str,
    /// Its name in a signature.
    pub signing: &'static str,
    /// What stands before the operation in `X-Amz-Target`.
    pub target: &'static str,
}

/// CloudTrail.
pub(super) const CLOUDTRAIL: Service = Service {
    host: "cloudtrail",
    signing: "cloudtrail",
    target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
};
/// Config.
pub(super) const CONFIG: Service = Service {
    host: "config",
    signing: "config",
    target: "StarlingDoveService",
};
/// Service Quotas.
pub(super) const SERVICE_QUOTAS: Service = Service {
    host: "servicequotas",
    signing: "servicequotas",
    target: "ServiceQuotasV20190624",
};
/// SageMaker.
pub(super) const SAGEMAKER: Service = Service {
    host: "api.sagemaker",
    signing: "sagemaker",
    target: "SageMaker",
};

/// A question, with the permission that it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub service: Service,
    pub operation: &'static str,
    /// Such as `cloudtrail:DescribeTrails`.
    pub permission: &'static str,
}

/// Why one attempt gave nothing.
struct Refusal {
    status: Option<StatusCode>,
    code: String,
    said: String,
}

impl Question {
    /// Asks once, repeated where that may help.
    pub async fn ask(self, config: &ReadConfig, body: &Value) -> Result<Value, ReadError> {
        if !is_reading(self.operation) {
            let refused = NotReading {
                service: self.service.signing.to_owned(),
                operation: self.operation.to_owned(),
            };
            return Err(self.failed(refused.to_string(), false));
        }
        let retries = config.route().retries;
        let mut attempt = 1;
        loop {
            let refusal = match self.attempt(config, body).await? {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            let error = refusal.meaning(self.permission);
            if attempt >= retries.attempts.max(1) || !error.may_pass() {
                return Err(error);
            }
            tokio::time::sleep(wait(retries, attempt)).await;
            attempt += 1;
        }
    }

    /// Asks for every page of a list: the members of `items` in each.
    pub async fn list(
        self,
        config: &ReadConfig,
        mut body: Map<String, Value>,
        items: &str,
    ) -> Result<Vec<Value>, ReadError> {
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let mut answer = self.ask(config, &Value::Object(body.clone())).await?;
            if let Some(page) = answer[items].as_array_mut() {
                all.append(page);
            }
            match answer["NextToken"].as_str() {
                Some(next) if !next.is_empty() => {
                    body.insert("NextToken".to_owned(), json!(next));
                }
                _ => return Ok(all),
            }
        }
        Err(self.failed(format!("the list has more than {MAX_PAGES} pages"), false))
    }

    fn failed(self, said: impl Into<String>, may_pass: bool) -> ReadError {
        ReadError::Failed {
            call: self.permission,
            said: said.into(),
            may_pass,
        }
    }

    async fn attempt(
        self,
        config: &ReadConfig,
        body: &Value,
    ) -> Result<Result<Value, Refusal>, ReadError> {
        let route = config.route();
        let region = Region::from(config.region().unwrap_or_default());
        let url = self.url(&region, config.endpoint_url());
        let credentials = config
            .credentials()
            .ok_or_else(|| self.failed("there are no credentials", false))?
            .provide_credentials()
            .await
            .map_err(|error| match without_credentials(&error) {
                Some(why) => self.failed(format!("there are no AWS credentials: {why}"), true),
                None => self.failed(describe(&error), true),
            })?;
        let call = Call {
            region: region.0.clone(),
            service: self.service.signing.to_owned(),
            operation: self.operation.to_owned(),
        };
        let wait = route.reserve(&call).map_err(|said| ReadError::Throttled {
            call: self.permission,
            said,
        })?;
        tokio::time::sleep(wait).await;
        let request = self.request(&url, &region, &credentials, body.to_string())?;
        route.count(&call);
        let unanswered = |error: reqwest::Error| Refusal {
            status: None,
            code: String::new(),
            said: describe(&error.without_url()),
        };
        let answer = match client().execute(request).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(unanswered(error))),
        };
        let (status, kind) = (answer.status(), error_kind(answer.headers()));
        let bytes = match answer.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(unanswered(error))),
        };
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        Ok(match (status.is_success(), value) {
            (true, Some(value)) => Ok(value),
            (true, None) => Err(Refusal {
                status: Some(status),
                code: String::new(),
                said: "the answer is not JSON".to_owned(),
            }),
            (false, value) => Err(Refusal::of(status, kind, &value.unwrap_or_default())),
        })
    }

    fn url(self, region: &Region, endpoint: Option<&str>) -> String {
        let suffix = match partition(region) {
            "aws-cn" => "amazonaws.com.cn",
            _ => "amazonaws.com",
        };
        match endpoint {
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            None => format!("https://{}.{region}.{suffix}/", self.service.host),
        }
    }

    fn request(
        self,
        url: &str,
        region: &Region,
        credentials: &Credentials,
        body: String,
    ) -> Result<reqwest::Request, ReadError> {
        let failed =
            |error: &(dyn std::error::Error + 'static)| self.failed(describe(error), false);
        let target = format!("{}.{}", self.service.target, self.operation);
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target.as_str()),
        ];
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region.as_str())
            .name(self.service.signing)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let signable = SignableRequest::new(
            "POST",
            url,
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|error| failed(&error))?;
        let (instructions, _signature) = sign(signable, &params)
            .map_err(|error| failed(&error))?
            .into_parts();
        let mut request = client().post(url);
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        request.body(body).build().map_err(|error| failed(&error))
    }
}

impl Refusal {
    /// What an error of the protocol says: its kind in a header or in the body, and a message.
    fn of(status: StatusCode, kind: Option<String>, body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let kind = kind.or_else(|| text("__type")).unwrap_or_default();
        let code = code(&kind).to_owned();
        let message = text("message").or_else(|| text("Message"));
        let said = match (code.as_str(), message) {
            ("", None) => format!("it answered {status}"),
            ("", Some(message)) => message,
            (code, None) => code.to_owned(),
            (code, Some(message)) => format!("{code}: {message}"),
        };
        Self {
            status: Some(status),
            code,
            said,
        }
    }

    fn meaning(self, call: &'static str) -> ReadError {
        let status = self.status.map(|status| status.as_u16());
        ReadError::by_code(call, &self.code, self.said, status)
    }
}

/// `com.amazonaws.x#TrailNotFoundException:http://…` is a `TrailNotFoundException`.
fn code(kind: &str) -> &str {
    let kind = kind.rsplit('#').next().unwrap_or_default();
    kind.split(':').next().unwrap_or_default()
}

fn error_kind(headers: &reqwest::header::HeaderMap) -> Option<String> {
    let kind = headers.get("x-amzn-errortype")?;
    Some(kind.to_str().ok()?.to_owned())
}

/// The wait before the attempt after this one: doubled each time, and never the same for two.
fn wait(retries: Retries, attempt: u32) -> Duration {
    let longest = retries
        .first_wait
        .saturating_mul(2_u32.saturating_pow(attempt - 1))
        .min(retries.longest_wait);
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    longest.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
}

fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // Shared with the AWS clients; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_is_found_in_every_form() {
        for (kind, expected) in [
            ("AccessDeniedException", "AccessDeniedException"),
            ("com.amazonaws.x#ThrottlingException", "ThrottlingException"),
            (
                "NoSuchResourceException:http://x/",
                "NoSuchResourceException",
            ),
            ("", ""),
        ] {
            assert_eq!(code(kind), expected);
        }
    }

    #[test]
    fn waits_grow_to_the_longest_and_no_further() {
        let retries = Retries::default();
        for attempt in 1..40 {
            let waited = wait(retries, attempt);
            assert!(waited >= retries.first_wait / 2 && waited <= retries.longest_wait);
        }
    }

    #[test]
    fn hosts_follow_the_partition() {
        let question = Question {
            service: SAGEMAKER,
            operation: "ListNotebookInstances",
            permission: "sagemaker:ListNotebookInstances",
        };
        let of = |region: &str| question.url(&region.into(), None);
        assert_eq!(
            of("eu-west-1"),
            "https://api.sagemaker.eu-west-1.amazonaws.com/"
        );
        assert_eq!(
            of("cn-north-1"),
            "https://api.sagemaker.cn-north-1.amazonaws.com.cn/"
        );
    }
}

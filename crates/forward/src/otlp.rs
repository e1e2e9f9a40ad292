//! OpenTelemetry: events as logs, the guard's numbers as metrics, by OTLP over HTTP with protobuf.
//!
//! The messages are opentelemetry-proto's; the exporters of the OpenTelemetry SDK are not used, for
//! they acknowledge nothing, and what is acknowledged here may be forgotten by the spool. HTTP rather
//! than gRPC: the client is there anyway for the console, and every receiver speaks both.
//!
//! <https://opentelemetry.io/docs/specs/otlp/>

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use prost::Message as _;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::config;
use crate::event::Event;
use crate::http::{self, Answer};
use crate::run::ForwardError;

mod logs;

pub(crate) mod metrics;

mod exposition;

/// What these logs and metrics are the logs and metrics of.
const SERVICE: &str = "davylamp-guard";

/// A receiver.
#[derive(Debug, Clone)]
pub(crate) struct Otlp {
    logs: Url,
    metrics: Url,
    client: Client,
    headers_file: PathBuf,
}

impl Otlp {
    /// The receiver of the configuration; `None` where it has none.
    pub(crate) fn new(config: &config::Otlp) -> Result<Option<Self>, ForwardError> {
        if config.endpoint.is_empty() {
            return Ok(None);
        }
        let base = format!("{}/", config.endpoint.trim_end_matches('/'));
        let at = |path| {
            Url::parse(&base)
                .and_then(|url| url.join(path))
                .map_err(|_| ForwardError::Address {
                    key: "forward.otlp.endpoint",
                })
        };
        let otlp = Self {
            logs: at("v1/logs")?,
            metrics: at("v1/metrics")?,
            client: http::client(&config.ca_file, Duration::from_secs(config.timeout_secs))?,
            headers_file: config.headers_file.clone(),
        };
        otlp.headers()?;
        Ok(Some(otlp))
    }

    /// The headers as they are now: who renews a key in them does not restart us.
    fn headers(&self) -> Result<HeaderMap, ForwardError> {
        let mut headers = HeaderMap::new();
        if self.headers_file.as_os_str().is_empty() {
            return Ok(headers);
        }
        let text =
            std::fs::read_to_string(&self.headers_file).map_err(|source| ForwardError::Secret {
                path: self.headers_file.clone(),
                source,
            })?;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let header = line.split_once(':').and_then(|(name, value)| {
                let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
                let mut value = HeaderValue::from_str(value.trim()).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            });
            let (name, value) = header.ok_or_else(|| ForwardError::Headers {
                path: self.headers_file.clone(),
                line: number + 1,
            })?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    pub(crate) async fn deliver(&self, events: &[Event]) -> Answer {
        let request = ExportLogsServiceRequest {
            resource_logs: logs::resource_logs(events),
        };
        let answer = self.post(&self.logs, request.encode_to_vec()).await;
        if let Answer::Taken(body) = &answer
            && let Ok(response) = ExportLogsServiceResponse::decode(body.as_slice())
            && let Some(partial) = response.partial_success
            && partial.rejected_log_records > 0
        {
            // The specification forbids sending them again, so parts are only tried to find which.
            return match events.len() {
                1 => Answer::Parts(format!("rejected: {}", partial.error_message)),
                _ => {
                    tracing::warn!(
                        rejected = partial.rejected_log_records,
                        why = partial.error_message,
                        "the receiver of logs took some and rejected others"
                    );
                    answer
                }
            };
        }
        answer
    }

    async fn post(&self, url: &Url, body: Vec<u8>) -> Answer {
        let headers = match self.headers() {
            Ok(headers) => headers,
            Err(error) => return Answer::Shut(error.to_string()),
        };
        let secrets: Vec<String> = headers
            .values()
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let request = self
            .client
            .post(url.clone())
            .headers(headers)
            .header("content-type", "application/x-protobuf")
            .body(body);
        http::send(request, &secrets).await
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "davylamp".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn pair(key: impl Into<String>, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(value),
        ..KeyValue::default()
    }
}

fn text(value: impl Into<String>) -> AnyValue {
    AnyValue {
        value: Some(any_value::Value::StringValue(value.into())),
    }
}

/// JSON as OpenTelemetry has it. What is null has no value.
fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(value) => Some(any_value::Value::BoolValue(*value)),
        Value::Number(number) => Some(match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => any_value::Value::IntValue(number),
            (None, number) => any_value::Value::DoubleValue(number.unwrap_or_default()),
        }),
        Value::String(text) => Some(any_value::Value::StringValue(text.clone())),
        Value::Array(values) => Some(any_value::Value::ArrayValue(ArrayValue {
            values: values.iter().map(any).collect(),
        })),
        Value::Object(members) => Some(any_value::Value::KvlistValue(KeyValueList {
            values: members
                .iter()
                .map(|(key, value)| pair(key, any(value)))
                .collect(),
        })),
    };
    AnyValue { value }
}

/// Nanoseconds since 1970.
fn nanoseconds(at: jiff::Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

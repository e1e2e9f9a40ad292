//! CloudTrail's `ListPublicKeys`, which no test server has, over AWS's own protocol.
//!
//! Form: the CloudTrail API reference and botocore's model of it, "AWS JSON 1.1"; that this is what AWS's own
//! clients speak is judged by boto3, which a test has ask. What must stay true: a question that AWS would
//! refuse is refused here. Throttling and refusals come from a fault proxy before it.

use std::collections::BTreeMap;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::faults::Operation;
use crate::http::Server;

/// What `X-Amz-Target` says.
const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys";

/// How the token of a page begins, before the number of the next key.
const TOKEN: &str = "after-";

/// The running server.
#[derive(Debug)]
pub struct TrailKeys(Server);

impl TrailKeys {
    /// Serves the keys of regions, each in the form that the AWS CLI prints a key in, so many in a page.
    ///
    /// # Panics
    /// Where no port or thread can be had, or a key has no validity.
    pub fn start(keys: &[(&str, Value)], in_page: usize) -> Self {
        let mut regions: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for (region, key) in keys {
            let of_region = regions.entry((*region).to_owned()).or_default();
            of_region.push(Key::of(key));
        }
        Self(Server::start("trail-keys", move |head, body| {
            let answered = answer(&regions, in_page, &head, &body);
            async move { Some(answered) }
        }))
    }

    /// Where it serves: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }
}

/// A key, and when it signs.
#[derive(Debug)]
struct Key {
    from: i64,
    until: i64,
    said: Value,
}

impl Key {
    fn of(printed: &Value) -> Self {
        let moment = |name: &str| -> i64 {
            let text = printed[name].as_str().expect("a key has a validity");
            text.parse::<Timestamp>().expect("a moment").as_second()
        };
        let (from, until) = (moment("ValidityStartTime"), moment("ValidityEndTime"));
        let mut said = printed.clone();
        said["ValidityStartTime"] = json!(from);
        said["ValidityEndTime"] = json!(until);
        Self { from, until, said }
    }
}

fn answer(
    regions: &BTreeMap<String, Vec<Key>>,
    in_page: usize,
    head: &Parts,
    body: &[u8],
) -> Response<Full<Bytes>> {
    let header = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok());
    let operation = Operation::of(head, body);
    if header("content-type") != Some("application/x-amz-json-1.1") || head.uri.path() != "/" {
        return refused("SerializationException", "not of this protocol");
    }
    if header("x-amz-target") != Some(TARGET) {
        return refused("UnknownOperationException", "there is no such operation");
    }
    let signature = header("authorization").and_then(|it| it.split_once("Signature="));
    let is_signed = signature.is_some_and(|(_, hex)| hex.len() == 64);
    if operation.service != "cloudtrail" || !is_signed || header("x-amz-date").is_none() {
        return refused("IncompleteSignatureException", "the request is not signed");
    }
    let Ok(asked) = serde_json::from_slice::<Value>(body) else {
        return refused("SerializationException", "the request is no JSON");
    };
    let now = Timestamp::now().as_second();
    let moment = |name: &str| match &asked[name] {
        Value::Null => Some(now),
        time => time.as_f64().map(|seconds| seconds as i64),
    };
    let Some((from, until)) = moment("StartTime").zip(moment("EndTime")) else {
        return refused("SerializationException", "a time is no number");
    };
    if from > until || until > now {
        return refused(
            "InvalidTimeRangeException",
            "the range of time is not valid",
        );
    }
    let keys = regions.get(&operation.region).map(Vec::as_slice);
    let fitting = keys.unwrap_or_default().iter();
    let fitting = fitting.filter(|key| key.from <= until && from <= key.until);
    let fitting: Vec<&Value> = fitting.map(|key| &key.said).collect();
    let start = match asked["NextToken"].as_str() {
        None => Some(0),
        Some(token) => token.strip_prefix(TOKEN).and_then(|it| it.parse().ok()),
    };
    let Some(rest) = start.and_then(|start: usize| fitting.get(start..)) else {
        return refused("InvalidTokenException", "that token is not valid");
    };
    let page = &rest[..rest.len().min(in_page)];
    let mut said = json!({ "PublicKeyList": page });
    if page.len() < rest.len() {
        let next = fitting.len() - rest.len() + page.len();
        said["NextToken"] = json!(format!("{TOKEN}{next}"));
    }
    respond(200, &said)
}

fn refused(code: &str, message: &str) -> Response<Full<Bytes>> {
    respond(400, &json!({ "__type": code, "message": message }))
}

fn respond(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let kind = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, kind);
    response
}

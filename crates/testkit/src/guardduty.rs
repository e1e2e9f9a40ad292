//! The part of GuardDuty that moto does not have: findings, listed, read and archived.
//!
//! What is not GuardDuty's is passed on to another server, so that one endpoint serves all of AWS.
//! Findings are kept for each region; whose account asks is not looked at. Limits and errors are those
//! of the API reference: 50 ids in a call, pages of at most 50, an empty token after the last page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use crate::faults::{Operation, pass_on};
use crate::http::Server;

mod criteria;

/// Ids in a call, and entries on a page, at most.
const LIMIT: usize = 50;

/// The running double.
#[derive(Debug)]
pub struct GuardDuty {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    regions: BTreeMap<String, Detector>,
}

#[derive(Debug)]
struct Detector {
    id: String,
    status: &'static str,
    findings: Vec<Value>,
}

/// An error of the service: code and message.
type Refusal = (&'static str, String);

impl GuardDuty {
    /// Serves findings, and passes every other service's calls on to `upstream`
    /// (`http://host:port`).
    pub fn start(upstream: &str) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let upstream = upstream
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let server = Server::start("guardduty", move |head, body| {
            let shared = Arc::clone(&shared);
            let upstream = upstream.clone();
            async move {
                let operation = Operation::of(&head, &body);
                if operation.service == "guardduty" {
                    return Some(answer(&lock(&shared).call(&operation, &head, &body)));
                }
                pass_on(&upstream, &head, body).await
            }
        });
        Self { server, state }
    }

    /// Where it serves: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Turns GuardDuty on in a region, where it is not; gives the detector's id.
    pub fn detector(&self, region: &str) -> String {
        lock(&self.state).detector(region).id.clone()
    }

    /// Suspends it in a region: what was found stays, and nothing new is.
    pub fn suspend(&self, region: &str) {
        lock(&self.state).detector(region).status = "DISABLED";
    }

    /// Adds a finding, or replaces the one with its id. `finding` has the API's own spelling
    /// (`id`, `updatedAt`, `service.archived`).
    ///
    /// # Panics
    /// Where it has no id.
    pub fn add(&self, region: &str, finding: Value) {
        assert!(finding["id"].is_string(), "a finding has an id");
        let mut state = lock(&self.state);
        let findings = &mut state.detector(region).findings;
        findings.retain(|known| known["id"] != finding["id"]);
        findings.push(finding);
    }

    /// The findings of a region, as they are now.
    pub fn findings(&self, region: &str) -> Vec<Value> {
        lock(&self.state)
            .regions
            .get(region)
            .map(|detector| detector.findings.clone())
            .unwrap_or_default()
    }

    /// The ids of the archived findings of a region.
    pub fn archived(&self, region: &str) -> Vec<String> {
        self.findings(region)
            .iter()
            .filter(|finding| finding["service"]["archived"] == true)
            .filter_map(|finding| finding["id"].as_str().map(str::to_owned))
            .collect()
    }
}

impl State {
    fn detector(&mut self, region: &str) -> &mut Detector {
        let number = self.regions.len();
        self.regions
            .entry(region.to_owned())
            .or_insert_with(|| Detector {
                id: format!("{number:032x}"),
                status: "ENABLED",
                findings: Vec::new(),
            })
    }

    fn call(&mut self, operation: &Operation, head: &Parts, body: &[u8]) -> Result<Value, Refusal> {
        let action = operation.action.as_str();
        if action == "ListDetectors" {
            let ids: Vec<&str> = self
                .regions
                .get(&operation.region)
                .map(|detector| detector.id.as_str())
                .into_iter()
                .collect();
            return Ok(json!({"detectorIds": ids, "nextToken": ""}));
        }
        let id = head.uri.path().split('/').nth(2).unwrap_or_default();
        let detector = self
            .regions
            .get_mut(&operation.region)
            .filter(|detector| detector.id == id)
            .ok_or_else(|| bad("the input detectorId is not owned by the current account"))?;
        if action == "GetDetector" {
            return Ok(
                json!({"status": detector.status, "serviceRole": "AWSServiceRoleForAmazonGuardDuty"}),
            );
        }
        let request: Value =
            serde_json::from_slice(body).map_err(|_| bad("the request body is not JSON"))?;
        match action {
            "ListFindings" => detector.list(&request),
            "GetFindings" => detector.get(&request),
            "ArchiveFindings" => detector.archive(&request, true),
            "UnarchiveFindings" => detector.archive(&request, false),
            _ => Err((
                "InternalServerErrorException",
                format!("the double does not know {action}"),
            )),
        }
    }
}

impl Detector {
    fn list(&self, request: &Value) -> Result<Value, Refusal> {
        let mut found: Vec<&Value> = Vec::new();
        for finding in &self.findings {
            if criteria::holds(&request["findingCriteria"], finding).map_err(|why| bad(&why))? {
                found.push(finding);
            }
        }
        criteria::sort(&request["sortCriteria"], &mut found);
        let size = match &request["maxResults"] {
            Value::Null => LIMIT,
            number => number
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=LIMIT).contains(number))
                .ok_or_else(|| bad("maxResults is not between 1 and 50"))?,
        };
        let from = match request["nextToken"].as_str() {
            None | Some("") => 0,
            Some(token) => token
                .strip_prefix("after-")
                .and_then(|number| number.parse::<usize>().ok())
                .ok_or_else(|| bad("the input nextToken is invalid"))?,
        };
        let ids: Vec<&Value> = found
            .iter()
            .skip(from)
            .take(size)
            .map(|finding| &finding["id"])
            .collect();
        let end = from + ids.len();
        let token = if end < found.len() {
            format!("after-{end}")
        } else {
            String::new()
        };
        Ok(json!({"findingIds": ids, "nextToken": token}))
    }

    fn get(&self, request: &Value) -> Result<Value, Refusal> {
        let ids = ids(request)?;
        let findings: Vec<&Value> = self
            .findings
            .iter()
            .filter(|finding| ids.contains(&finding["id"]))
            .collect();
        Ok(json!({"findings": findings}))
    }

    fn archive(&mut self, request: &Value, archived: bool) -> Result<Value, Refusal> {
        let ids = ids(request)?;
        for finding in &mut self.findings {
            if ids.contains(&finding["id"]) {
                if !finding["service"].is_object() {
                    finding["service"] = json!({});
                }
                finding["service"]["archived"] = json!(archived);
            }
        }
        Ok(json!({}))
    }
}

fn ids(request: &Value) -> Result<&Vec<Value>, Refusal> {
    request["findingIds"]
        .as_array()
        .filter(|ids| ids.len() <= LIMIT)
        .ok_or_else(|| bad("the parameter findingIds is missing or has more than 50 members"))
}

fn bad(why: &str) -> Refusal {
    (
        "BadRequestException",
        format!("The request is rejected because {why}."),
    )
}

fn answer(result: &Result<Value, Refusal>) -> Response<Full<Bytes>> {
    let (status, kind, body) = match result {
        Ok(value) => (200, None, value.to_string()),
        Err((code, message)) => {
            let status = if *code == "BadRequestException" {
                400
            } else {
                500
            };
            let body = json!({"message": message, "__type": "InvalidInputException"});
            (status, Some(*code), body.to_string())
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    if let Some(kind) = kind {
        response = response.header("x-amzn-errortype", kind);
    }
    response
        .body(Full::new(Bytes::from(body)))
        .expect("these headers are valid")
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

//! The other end of a Lambda function: the runtime API, by which a function gets its events and
//! gives its answers (AWS Lambda developer guide, "Using the Lambda runtime API").
//!
//! Runs the function's own program as Lambda does, and measures it: from the start of the process to
//! its first question for an event, from an event to its answer, and the memory it had.

use std::collections::{HashMap, VecDeque};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;
use tokio::sync::Notify;

use crate::http::Server;
use crate::usage::status_kib;

const PREFIX: &str = "/2018-06-01/runtime";
/// The account that a function is in where nothing else is said.
const ACCOUNT: &str = "123456789012";
/// The end that the guide names for a function without one of its own.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);
/// How often a process is looked at while waiting for its end.
const GLANCE: Duration = Duration::from_millis(5);

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the function said that it failed.
    pub failed: bool,
    /// The `Lambda-Runtime-Function-Error-Type` of a failure.
    pub error_type: Option<String>,
    /// What it answered.
    pub body: String,
    /// From the moment the function got the event to its answer.
    pub took: Duration,
}

/// The running double.
#[derive(Debug)]
pub struct LambdaRuntime {
    server: Server,
    shared: Arc<Shared>,
    child: Mutex<Option<Child>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What the function is told its ARN is.
    arn: String,
    state: Mutex<State>,
    changed: Condvar,
    queued: Notify,
}

#[derive(Debug, Default)]
struct State {
    started: Option<Instant>,
    ready_after: Option<Duration>,
    next_id: u32,
    queue: VecDeque<Event>,
    given: HashMap<String, Instant>,
    outcomes: HashMap<String, Outcome>,
    init_error: Option<String>,
}

#[derive(Debug)]
struct Event {
    id: String,
    body: String,
    deadline: Duration,
}

impl LambdaRuntime {
    /// Starts the runtime's side.
    pub fn start() -> Self {
        Self::start_in(ACCOUNT)
    }

    /// The same, for a function in this account.
    pub fn start_in(account: &str) -> Self {
        let shared = Arc::new(Shared {
            arn: format!("arn:aws:lambda:eu-central-1:{account}:function:davylamp"),
            ..Shared::default()
        });
        let serving = Arc::clone(&shared);
        let server = Server::start("lambda-runtime", move |head, body| {
            let shared = Arc::clone(&serving);
            async move { Some(shared.answer(&head, &body).await) }
        });
        Self {
            server,
            shared,
            child: Mutex::new(None),
        }
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// Starts the function's program with the environment that Lambda gives it, and begins to
    /// measure. It is killed when this is dropped, or another one is started.
    pub fn run(&self, program: &mut Command) -> std::io::Result<u32> {
        self.end();
        {
            let mut state = self.shared.lock();
            state.started = Some(Instant::now());
            state.ready_after = None;
            state.init_error = None;
        }
        let child = program
            .env("AWS_LAMBDA_RUNTIME_API", self.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "davylamp")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/davylamp")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .env("_HANDLER", "bootstrap")
            .spawn()?;
        let pid = child.id();
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(pid)
    }

    /// Queues an event; gives its request id.
    pub fn invoke(&self, event: &Value) -> String {
        self.invoke_within(event, DEFAULT_DEADLINE)
    }

    /// Queues an event that has to be answered within this time of being given.
    pub fn invoke_within(&self, event: &Value, deadline: Duration) -> String {
        let mut state = self.shared.lock();
        state.next_id += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", state.next_id);
        state.queue.push_back(Event {
            id: id.clone(),
            body: event.to_string(),
            deadline,
        });
        drop(state);
        self.shared.queued.notify_one();
        id
    }

    /// From the start of the process to its first question for an event.
    pub fn ready_after(&self, patience: Duration) -> Option<Duration> {
        self.shared.wait(patience, |state| state.ready_after)
    }

    /// Waits for what becomes of an event.
    pub fn outcome(&self, id: &str, patience: Duration) -> Option<Outcome> {
        self.shared
            .wait(patience, |state| state.outcomes.get(id).cloned())
    }

    /// What the function said of its own start, if that failed.
    pub fn init_error(&self) -> Option<String> {
        self.shared.lock().init_error.clone()
    }

    /// How the function's process ended, waiting for that: one that cannot start ends by itself.
    pub fn ended(&self, patience: Duration) -> Option<std::process::ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(Some(status)) = child.as_mut()?.try_wait() {
                return Some(status);
            }
            drop(child);
            deadline.checked_duration_since(Instant::now())?;
            std::thread::park_timeout(GLANCE);
        }
    }

    /// The most memory that the function's process has had in RAM, in bytes.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        self.memory_bytes("VmHWM")
    }

    /// The memory that the function's process has in RAM now, in bytes.
    pub fn memory_now_bytes(&self) -> Option<u64> {
        self.memory_bytes("VmRSS")
    }

    fn memory_bytes(&self, field: &str) -> Option<u64> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = child.as_ref()?.id();
        Some(status_kib(pid, field)? * 1024)
    }

    fn end(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for LambdaRuntime {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(&self, patience: Duration, look: impl Fn(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(seen) = look(&state) {
                return Some(seen);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    async fn answer(&self, head: &Parts, body: &Bytes) -> Response<Full<Bytes>> {
        let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (head.method.as_str(), parts.as_slice()) {
            ("GET", ["invocation", "next"]) => self.next().await,
            ("POST", ["invocation", id, what @ ("response" | "error")]) => {
                self.keep(id, *what == "error", head, body)
            }
            ("POST", ["init", "error"]) => {
                let text = String::from_utf8_lossy(body).into_owned();
                self.lock().init_error = Some(text);
                self.changed.notify_all();
                plain(202, "{\"status\":\"OK\"}")
            }
            _ => plain(404, "{\"errorType\":\"NotFound\"}"),
        }
    }

    /// The next event, as soon as there is one.
    async fn next(&self) -> Response<Full<Bytes>> {
        {
            let mut state = self.lock();
            if state.ready_after.is_none() {
                state.ready_after = state.started.map(|started| started.elapsed());
            }
        }
        self.changed.notify_all();
        loop {
            if let Some(response) = self.take() {
                return response;
            }
            self.queued.notified().await;
        }
    }

    fn take(&self) -> Option<Response<Full<Bytes>>> {
        let mut state = self.lock();
        let event = state.queue.pop_front()?;
        state.given.insert(event.id.clone(), Instant::now());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Some(
            Response::builder()
                .status(200)
                .header("content-type", "application/json")
                .header("lambda-runtime-aws-request-id", &event.id)
                .header(
                    "lambda-runtime-deadline-ms",
                    (now + event.deadline).as_millis().to_string(),
                )
                .header("lambda-runtime-invoked-function-arn", &self.arn)
                .header(
                    "lambda-runtime-trace-id",
                    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
                )
                .body(Full::new(Bytes::from(event.body)))
                .expect("these headers are valid"),
        )
    }

    fn keep(&self, id: &str, failed: bool, head: &Parts, body: &Bytes) -> Response<Full<Bytes>> {
        let mut state = self.lock();
        // The API takes one answer for each event.
        let Some(given) = state.given.remove(id) else {
            return plain(400, "{\"errorType\":\"InvalidRequestID\"}");
        };
        let error_type = head
            .headers
            .get("lambda-runtime-function-error-type")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let outcome = Outcome {
            failed,
            error_type,
            body: String::from_utf8_lossy(body).into_owned(),
            took: given.elapsed(),
        };
        state.outcomes.insert(id.to_owned(), outcome);
        drop(state);
        self.changed.notify_all();
        plain(202, "{\"status\":\"OK\"}")
    }
}

fn plain(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response
}

#[cfg(test)]
mod tests;

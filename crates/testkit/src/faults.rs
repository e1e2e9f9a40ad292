//! A proxy in front of an AWS test server that fails as AWS does: throttling, server errors,
//! latency, replies lost after the effect, stale reads, answers that say something else.
//!
//! What must stay true: every call is recorded, with what was done to it; which faults come is
//! decided by a [`Schedule`] alone, so that a failing test fails again with the same seed.
//!
//! The proxy runs on a thread of its own and ends with the [`FaultProxy`] value. It speaks plain
//! HTTP to whatever it is put in front of, and understands enough of AWS's protocols to tell which
//! service and operation a request is.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::http::Server;

mod operation;
mod schedule;
mod shapes;

pub use operation::Operation;
pub use schedule::{Fault, Rates, Rule, Schedule};

/// A call that came through.
#[derive(Debug, Clone)]
pub struct Call {
    /// The service's signing name: `ec2`, `iam`, `s3`.
    pub service: String,
    /// The operation: `DescribeInstances`.
    pub action: String,
    /// The region it was for.
    pub region: String,
    /// The access key it was made with.
    pub access_key: String,
    /// What was answered; `None` where the connection was dropped.
    pub status: Option<u16>,
    /// What was done to it.
    pub fault: Option<Fault>,
    /// When it came in, since the proxy was started.
    pub arrived: Duration,
    /// When it was answered or dropped, since the proxy was started.
    pub at: Duration,
    /// The request's path and query.
    pub path: String,
    /// The request's body.
    pub body: String,
    /// The answer's body, as the client got it.
    pub answer: String,
}

/// A running proxy.
#[derive(Debug)]
pub struct FaultProxy {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    schedule: Schedule,
    calls: Vec<Call>,
    /// The last answer to each request, for stale reads.
    answers: HashMap<String, Reply>,
}

#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl FaultProxy {
    /// Puts a proxy in front of `upstream` (`http://host:port`).
    ///
    /// # Panics
    /// Where no port can be had.
    pub fn start(upstream: &str, schedule: Schedule) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream
                .trim_start_matches("http://")
                .trim_end_matches('/')
                .to_owned(),
            started: Instant::now(),
            state: Mutex::new(State {
                schedule,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        let server = Server::start("fault-proxy", move |head, body| {
            let shared = Arc::clone(&serving);
            async move { shared.answer(head, body).await }
        });
        Self { server, shared }
    }

    /// Where it serves: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// All calls that were answered or dropped so far, in the order of their end.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The calls of one operation; both names may hold `*`.
    pub fn calls_of(&self, service: &str, action: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| {
            schedule::glob(service, &call.service) && schedule::glob(action, &call.action)
        });
        calls
    }

    /// How long ago the proxy was started: the clock of [`Call::arrived`] and [`Call::at`].
    pub fn age(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.shared.lock().calls.clear();
    }

    /// Replaces the schedule; what the old one counted is forgotten.
    pub fn set_schedule(&self, schedule: Schedule) {
        self.shared.lock().schedule = schedule;
    }

    /// Waits until there are `count` calls of an operation; `false` where the time was not enough.
    pub fn wait_for(&self, service: &str, action: &str, count: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            let seen = state
                .calls
                .iter()
                .filter(|call| {
                    schedule::glob(service, &call.service) && schedule::glob(action, &call.action)
                })
                .count();
            if seen >= count {
                return true;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The answer, or `None` to drop the connection.
    async fn answer(
        &self,
        head: hyper::http::request::Parts,
        body: Bytes,
    ) -> Option<Response<Full<Bytes>>> {
        let operation = Operation::of(&head, &body);
        let path = head
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        let text = String::from_utf8_lossy(&body).into_owned();
        let mut call = Call {
            service: operation.service.clone(),
            action: operation.action.clone(),
            region: operation.region.clone(),
            access_key: operation.access_key.clone(),
            status: None,
            fault: None,
            arrived: self.started.elapsed(),
            at: Duration::ZERO,
            path: path.clone(),
            body: text.clone(),
            answer: String::new(),
        };
        call.fault = self.lock().schedule.next(&operation, &path, &text);
        let key = format!(
            "{} {} {} {} {path} {text}",
            operation.access_key, operation.region, operation.service, head.method
        );
        let reply = match &call.fault {
            Some(Fault::DropBefore) => None,
            Some(Fault::Throttle) => Some(shapes::throttle(&operation)),
            Some(Fault::ServerError(status)) => Some(shapes::server_error(&operation, *status)),
            Some(Fault::Error {
                status,
                code,
                message,
            }) => Some(shapes::error(&operation, *status, code, message)),
            Some(Fault::LostReply) => {
                self.forward(&head, &body).await;
                None
            }
            Some(Fault::Latency(delay)) => {
                tokio::time::sleep(*delay).await;
                Some(self.forward_and_keep(&head, &body, key).await)
            }
            Some(Fault::StaleRead) => {
                let old = self.lock().answers.get(&key).cloned();
                match old {
                    Some(reply) => Some(reply),
                    None => {
                        // There is nothing older to give.
                        call.fault = None;
                        Some(self.forward_and_keep(&head, &body, key).await)
                    }
                }
            }
            Some(Fault::RewriteBody { from, to }) => {
                let mut reply = self.forward_and_keep(&head, &body, key).await;
                let text = String::from_utf8_lossy(&reply.body).replace(from.as_str(), to);
                reply.body = Bytes::from(text);
                Some(reply)
            }
            Some(Fault::Duplicate) => {
                self.forward(&head, &body).await;
                Some(self.forward_and_keep(&head, &body, key).await)
            }
            None => Some(self.forward_and_keep(&head, &body, key).await),
        };
        call.status = reply.as_ref().map(|reply| reply.status);
        if let Some(reply) = &reply {
            call.answer = String::from_utf8_lossy(&reply.body).into_owned();
        }
        call.at = self.started.elapsed();
        self.lock().calls.push(call);
        self.changed.notify_all();
        reply.map(Reply::into_response)
    }

    async fn forward_and_keep(
        &self,
        head: &hyper::http::request::Parts,
        body: &Bytes,
        key: String,
    ) -> Reply {
        let reply = self.forward(head, body).await;
        if reply.status < 300 {
            self.lock().answers.insert(key, reply.clone());
        }
        reply
    }

    async fn forward(&self, head: &hyper::http::request::Parts, body: &Bytes) -> Reply {
        match exchange(&self.upstream, head, body.clone()).await {
            Ok(reply) => reply,
            // What stands behind is broken, which no schedule asked for: a status that no AWS
            // service gives makes that visible in the test.
            Err(error) => Reply {
                status: 599,
                headers: Vec::new(),
                body: Bytes::from(format!("the fault proxy got no answer: {error}")),
            },
        }
    }
}

impl Reply {
    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = hyper::StatusCode::from_u16(self.status)
            .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (
                hyper::header::HeaderName::try_from(name),
                hyper::header::HeaderValue::try_from(value),
            ) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// Headers that belong to one connection, and those whose value is made anew.
const OF_A_CONNECTION: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "expect",
    "content-length",
];

/// Passes a request on as it is. `None` where there is no answer.
pub(crate) async fn pass_on(
    upstream: &str,
    head: &hyper::http::request::Parts,
    body: Bytes,
) -> Option<Response<Full<Bytes>>> {
    let reply = exchange(upstream, head, body).await.ok()?;
    Some(reply.into_response())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    upstream: &str,
    head: &hyper::http::request::Parts,
    body: Bytes,
) -> Result<Reply, BoxError> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .parse()?;
    for (name, value) in &head.headers {
        if !OF_A_CONNECTION.contains(&name.as_str()) {
            request.headers_mut().append(name, value.clone());
        }
    }
    let response = sender.send_request(request).await?;
    let (head_back, body_back) = response.into_parts();
    let is_head = head.method == hyper::Method::HEAD;
    let headers = head_back
        .headers
        .iter()
        .filter(|(name, _)| {
            // The answer to HEAD has a length and no body.
            is_head && name.as_str() == "content-length"
                || !OF_A_CONNECTION.contains(&name.as_str())
        })
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let body = body_back.collect().await?.to_bytes();
    connection.abort();
    Ok(Reply {
        status: head_back.status.as_u16(),
        headers,
        body,
    })
}

#[cfg(test)]
mod tests;

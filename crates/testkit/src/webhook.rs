//! A web server that keeps what it is sent and answers by a script: the other end of every webhook.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;

use crate::http::Server;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scripted {
    /// A status and a body.
    Status(u16, String),
    /// A redirect to this address.
    Redirect(String),
    /// No answer: the connection is dropped.
    Drop,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Hook {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Scripted>,
    hooks: Vec<Hook>,
}

/// The running server.
#[derive(Debug)]
pub struct WebhookSink {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl WebhookSink {
    /// Answers the first requests by the script, and every later one with 200.
    pub fn start(script: impl IntoIterator<Item = Scripted>) -> Self {
        let state = Arc::new(Mutex::new(State {
            script: script.into_iter().collect(),
            hooks: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let server = Server::start("webhook-sink", move |head, body| {
            let hook = Hook {
                method: head.method.to_string(),
                path: head
                    .uri
                    .path_and_query()
                    .map_or("/", |path| path.as_str())
                    .to_owned(),
                headers: head
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                        (name.as_str().to_owned(), value)
                    })
                    .collect(),
                body: body.to_vec(),
            };
            let mut state = lock(&shared);
            state.hooks.push(hook);
            let next = state.script.pop_front();
            std::future::ready(answer(next))
        });
        Self { server, state }
    }

    /// Its address with this path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.endpoint())
    }

    /// What came so far, in order.
    pub fn hooks(&self) -> Vec<Hook> {
        lock(&self.state).hooks.clone()
    }
}

fn answer(next: Option<Scripted>) -> Option<Response<Full<Bytes>>> {
    let (status, body, location) = match next {
        None => (200, "ok".to_owned(), None),
        Some(Scripted::Status(status, body)) => (status, body, None),
        Some(Scripted::Redirect(to)) => (307, String::new(), Some(to)),
        Some(Scripted::Drop) => return None,
    };
    let mut response = Response::builder().status(status);
    if let Some(location) = location {
        response = response.header("location", location);
    }
    Some(
        response
            .body(Full::new(Bytes::from(body)))
            .expect("a scripted answer is a valid one"),
    )
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Request, send};

    #[test]
    fn answers_by_its_script_and_keeps_what_came() {
        let sink = WebhookSink::start([
            Scripted::Status(500, "broken".to_owned()),
            Scripted::Redirect("http://elsewhere.invalid/".to_owned()),
            Scripted::Drop,
        ]);
        let address = sink.url("").replace("http://", "");
        let post = || {
            send(
                &address,
                &Request::post("/a?b=c", "{\"n\":1}").header("x-test", "y"),
            )
        };
        let first = post().expect("an answer");
        assert_eq!((first.status, first.text().as_str()), (500, "broken"));
        let second = post().expect("an answer");
        assert_eq!(second.header("location"), Some("http://elsewhere.invalid/"));
        assert!(post().is_err());
        assert_eq!(post().expect("an answer").status, 200);
        let hooks = sink.hooks();
        assert_eq!(hooks.len(), 4);
        assert_eq!(hooks[2].path, "/a?b=c");
        assert_eq!(hooks[2].header("x-test"), Some("y"));
        assert_eq!(hooks[2].json()["n"], 1);
    }
}

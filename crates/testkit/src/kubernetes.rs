//! A small in-memory double of the Kubernetes API.
//!
//! It is a double because the real API server is packaged neither by Debian nor by any registry the
//! tests may use. It keeps whatever objects it is given, of any group, and follows the documented
//! rules that clients depend on: optimistic locking by `resourceVersion`, preconditions on a uid,
//! selectors and pages of lists, patches, eviction, scale, finalizers, and the `Status` object of
//! every refusal ("Kubernetes API Concepts", kubernetes.io). It validates no schema, keeps no field
//! managers, watches nothing, and runs no controller: what a kubelet or a controller would do, a
//! test does with [`ApiServer::put`] and [`ApiServer::finish_deletions`].

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::oneshot;

mod answer;
mod kinds;
mod patch;
mod selector;
mod store;

use answer::Trouble;
use store::Store;

/// Larger bodies are refused, as etcd would refuse them.
const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;

/// The running double. It stops when it is dropped.
#[derive(Debug)]
pub struct ApiServer {
    inside: Arc<Mutex<Inside>>,
    url: String,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a client asked for, and what it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path, still encoded.
    pub path: String,
    /// The query, still encoded; empty where there was none.
    pub query: String,
    /// The body, where there was one.
    pub body: Option<Value>,
    /// The status of the answer.
    pub status: u16,
}

#[derive(Debug)]
struct Inside {
    store: Store,
    token: String,
    asked: Vec<Asked>,
    failing: Option<(u32, u16)>,
    forbidden: Vec<(String, String)>,
}

impl ApiServer {
    /// Starts it on a free port of the loopback interface, empty except for the namespace
    /// `default`.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a test that cannot start its server has failed"
    )]
    pub fn start() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback interface");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let port = listener.local_addr().expect("the port").port();
        let token = format!("double-of-kubernetes-{port}-{}", std::process::id());
        let inside = Arc::new(Mutex::new(Inside {
            store: Store::new(),
            token: token.clone(),
            asked: Vec::new(),
            failing: None,
            forbidden: Vec::new(),
        }));
        let (stop, stopped) = oneshot::channel();
        let router = Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&inside));
        // A thread of its own, because a test may already be inside a runtime.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for the Kubernetes double");
            runtime.block_on(async move {
                let listener =
                    tokio::net::TcpListener::from_std(listener).expect("a listener of the runtime");
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            inside,
            url: format!("http://127.0.0.1:{port}"),
            token,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bearer token it wants.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A kubeconfig that leads here, as JSON, which is YAML.
    pub fn kubeconfig(&self) -> String {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "double", "cluster": { "server": self.url } }],
            "users": [{ "name": "double", "user": { "token": self.token } }],
            "contexts": [{ "name": "double", "context": { "cluster": "double", "user": "double" } }],
            "current-context": "double",
        })
        .to_string()
    }

    /// Puts an object there, whole, whatever was there before; gives it a uid unless it has one.
    /// Its kind exists from then on, with its group: so a node pool "installs" Karpenter.
    pub fn put(&self, object: Value) -> Value {
        self.inside().store.put(object)
    }

    /// The object, by its plural: `get("pods", "default", "a")`, `get("nodepools.karpenter.sh", "",
    /// "a")`. Objects without a namespace have an empty one.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.inside().store.named(resource, namespace, name)
    }

    /// Takes an object away at once, as when another client deleted it.
    pub fn remove(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.inside().store.take(resource, namespace, name)
    }

    /// All that was asked, in order.
    pub fn requests(&self) -> Vec<Asked> {
        self.inside().asked.clone()
    }

    /// Refuses to evict a pod, as a disruption budget does, until `refuse` is false.
    pub fn refuse_eviction(&self, namespace: &str, pod: &str, refuse: bool) {
        self.inside().store.refuse_eviction(namespace, pod, refuse);
    }

    /// Answers the next `times` requests with this status.
    pub fn fail_next(&self, times: u32, status: u16) {
        self.inside().failing = Some((times, status));
    }

    /// Forbids a method on a resource (`("DELETE", "pods")`), as an RBAC role without it does.
    pub fn forbid(&self, method: &str, resource: &str) {
        self.inside()
            .forbidden
            .push((method.to_owned(), resource.to_owned()));
    }

    /// From now on a deleted pod is only marked, as while its kubelet ends it.
    pub fn hold_deletions(&self) {
        self.inside().store.hold_deletions = true;
    }

    /// Removes what is marked as deleted and has no finalizer, as a kubelet does in the end.
    pub fn finish_deletions(&self) {
        self.inside().store.finish_deletions();
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        lock(&self.inside)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(State(inside): State<Arc<Mutex<Inside>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES).await;
    let mut inside = lock(&inside);
    let body = match &bytes {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => serde_json::from_slice(bytes).map(Some).map_err(|error| {
            Trouble::new(400, "BadRequest", format!("the body is not JSON: {error}"))
        }),
        Err(error) => Err(Trouble::new(
            413,
            "RequestEntityTooLarge",
            format!("the body is too large: {error}"),
        )),
    };
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let query = head.uri.query().unwrap_or_default().to_owned();
    let answer = inside.admit(&header("authorization")).and_then(|()| {
        let call = answer::Call {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: &query,
            content_type: &header("content-type"),
            body: body.clone()?,
        };
        inside.answer(&call)
    });
    let (status, value) = match answer {
        Ok((status, value)) => (status, value),
        Err(trouble) => (trouble.code, trouble.status()),
    };
    inside.asked.push(Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query,
        body: body.ok().flatten(),
        status,
    });
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        axum::http::header::CONTENT_TYPE,
        axum::http::HeaderValue::from_static("application/json"),
    );
    response
}

impl Inside {
    /// Refuses whoever has no token, and what a test wants to fail.
    fn admit(&mut self, authorization: &str) -> Result<(), Trouble> {
        if let Some((times, status)) = self.failing {
            self.failing = (times > 1).then_some((times - 1, status));
            let reason = if status == 503 {
                "ServiceUnavailable"
            } else {
                "InternalError"
            };
            return Err(Trouble::new(status, reason, "a test wants it to fail"));
        }
        if authorization == format!("Bearer {}", self.token) {
            Ok(())
        } else {
            Err(Trouble::new(401, "Unauthorized", "Unauthorized"))
        }
    }

    fn answer(&mut self, call: &answer::Call<'_>) -> Result<(u16, Value), Trouble> {
        if let Some(document) = self.store.discovery(call.path) {
            return Ok((200, document));
        }
        let target = answer::Target::parse(call.path)?;
        let verb = (call.method.to_owned(), target.resource_and_sub());
        if self.forbidden.contains(&verb) {
            return Err(Trouble::new(
                403,
                "Forbidden",
                format!("user cannot {} resource \"{}\"", verb.0, verb.1),
            ));
        }
        self.store.answer(call, &target)
    }
}

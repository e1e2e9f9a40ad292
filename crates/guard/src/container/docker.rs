//! A client of the Docker Engine API (Docker, podman's compatible service) over its unix socket.
//!
//! Three read-only calls: list, inspect, events. They are made with hyper, which the CRI client
//! brings along anyway, on one connection each: an idle connection costs nothing because there is
//! none, and a restarted engine needs no reconnecting. bollard would add a full model of the API
//! and some 40 crates for these three calls.
//!
//! **Labels of a Docker container are not all the engine's own**: an image's `LABEL` lines become
//! labels of the container. A repository that is built by `BinderHub` could so call itself a system
//! pod. `io.kubernetes.*` and Hub labels are therefore dropped, unless this machine's own engine
//! says that the container was placed below the very pod that the labels name, which only the
//! caller of the API can arrange, never an image.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use davylamp_model::container::{Container, ContainerType, LABEL_POD_UID};
use davylamp_model::ids::ContainerId;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::bounded::bounded_labels;
use super::hub_user;
use super::source::{AskError, Change, Described};

/// The largest answer that is held in memory. One inspection is about 10 KiB; a list of a thousand
/// containers about 2 MiB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The longest event that is read. An event carries the container's labels.
const MAX_EVENT_BYTES: usize = 256 * 1024;

/// How long one call may take when nothing shorter bounds it.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// hyper's buffer for reading a connection, at its smallest.
const READ_BUFFER_BYTES: usize = 8 * 1024;

const LIST: &str = "/containers/json?all=true";

/// `{"type":["container"],"event":["create","start","destroy","remove"]}`, percent-encoded.
/// Docker says destroy where podman says remove.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B\
                      %22create%22%2C%22start%22%2C%22destroy%22%2C%22remove%22%5D%7D";

/// A Docker Engine behind a unix socket.
#[derive(Debug, Clone)]
pub struct DockerClient {
    path: PathBuf,
    trust: LabelTrust,
}

/// Whose word the engine's labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelTrust {
    /// This machine's own engine: where it says that a container lies in a pod's cgroup, it does.
    Machine,
    /// An engine inside a pod, driven by that pod's owner.
    InPod,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    config: InspectedConfig,
    #[serde(default)]
    host_config: HostConfig,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct InspectedConfig {
    image: Option<String>,
    labels: Option<HashMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    cgroup_parent: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
}

#[derive(Deserialize, Default)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
}

/// A running event stream.
#[derive(Debug)]
pub struct DockerEvents {
    path: PathBuf,
    body: Incoming,
    pending: BytesMut,
    _connection: Connection,
}

/// The task that drives one connection; it ends with its user.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DockerClient {
    /// A client for the socket at `path`. Nothing is connected until a call is made.
    pub fn new(path: &Path, trust: LabelTrust) -> Self {
        Self {
            path: path.to_owned(),
            trust,
        }
    }

    /// Every container the engine has, running or not. Those that `known` already holds are
    /// repeated from there instead of being inspected again.
    pub async fn list(
        &self,
        known: &(dyn Fn(&str) -> Option<Container> + Sync),
    ) -> Result<Vec<Described>, AskError> {
        let Some(body) = self.get("list", LIST).await? else {
            return Err(AskError::BadAnswer {
                call: "list",
                detail: "404 Not Found".into(),
            });
        };
        let listed: Vec<Listed> = parse("list", &body)?;
        drop(body);
        let mut all = Vec::with_capacity(listed.len());
        for Listed { id } in listed {
            if let Some(container) = known(&id) {
                all.push(Described {
                    container,
                    labels_cut: 0,
                });
            } else if let Some(described) = self.describe(&ContainerId(id)).await? {
                all.push(described);
            }
        }
        Ok(all)
    }

    /// One container by its full id.
    pub async fn describe(&self, id: &ContainerId) -> Result<Option<Described>, AskError> {
        // The id becomes part of a request line. The parser of cgroup paths lets only hexadecimal
        // ids through; an engine's own list is checked here.
        if id.as_str().is_empty() || !id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(AskError::BadAnswer {
                call: "inspect",
                detail: "an id that is not hexadecimal".into(),
            });
        }
        let Some(body) = self
            .get("inspect", &format!("/containers/{id}/json"))
            .await?
        else {
            return Ok(None);
        };
        let inspected: Inspected = parse("inspect", &body)?;
        // The engine also answers to a prefix of an id, and to a name.
        if inspected.id != id.as_str() {
            return Ok(None);
        }
        Ok(Some(self.described(inspected)))
    }

    /// Subscribes to what happens to containers. Waits for as long as the engine takes to begin
    /// its answer, which for podman is until the first event.
    pub async fn events(&self) -> Result<DockerEvents, AskError> {
        let (response, connection) = self.send("events", EVENTS).await?;
        match response.status() {
            StatusCode::OK => Ok(DockerEvents {
                path: self.path.clone(),
                body: response.into_body(),
                pending: BytesMut::new(),
                _connection: connection,
            }),
            StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED => {
                Err(AskError::Unserved { call: "events" })
            }
            status => Err(AskError::BadAnswer {
                call: "events",
                detail: status.to_string(),
            }),
        }
    }

    fn described(&self, inspected: Inspected) -> Described {
        let mut labels = inspected.config.labels.unwrap_or_default();
        let parent = inspected.host_config.cgroup_parent.unwrap_or_default();
        let of_its_pod = self.trust == LabelTrust::Machine
            && labels
                .get(LABEL_POD_UID)
                .is_some_and(|uid| is_cgroup_of_pod(&parent, uid));
        if !of_its_pod {
            labels.retain(|key, _| {
                !key.starts_with("io.kubernetes.") && !key.starts_with("hub.jupyter.org/")
            });
        }
        let (labels, labels_cut) = bounded_labels(labels);
        let container = Container {
            id: ContainerId(inspected.id),
            container_type: ContainerType::Docker,
            hub_user: hub_user::from_container_alone(&labels),
            labels,
            image: inspected.config.image.filter(|image| !image.is_empty()),
            outer: None,
        };
        Described {
            container,
            labels_cut,
        }
    }

    /// GETs `target` and reads the whole answer; `None` for 404.
    async fn get(&self, call: &'static str, target: &str) -> Result<Option<Bytes>, AskError> {
        let work = async {
            let (response, _connection) = self.send(call, target).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                status => {
                    return Err(AskError::BadAnswer {
                        call,
                        detail: status.to_string(),
                    });
                }
            }
            let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER_BYTES);
            match body.collect().await {
                Ok(whole) => Ok(Some(whole.to_bytes())),
                Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                    Err(AskError::TooLarge {
                        call,
                        limit: MAX_ANSWER_BYTES,
                    })
                }
                Err(error) => Err(AskError::BadAnswer {
                    call,
                    detail: error.to_string(),
                }),
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, work)
            .await
            .unwrap_or(Err(AskError::Deadline { call }))
    }

    async fn send(
        &self,
        call: &'static str,
        target: &str,
    ) -> Result<(Response<Incoming>, Connection), AskError> {
        let unreachable = |detail: String| AskError::Unreachable {
            path: self.path.clone(),
            detail,
        };
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(READ_BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let connection = Connection(tokio::spawn(async move {
            // What goes wrong here also reaches the request or the body, where it is reported.
            let _ = connection.await;
        }));
        let request = Request::get(target)
            .header(hyper::header::HOST, "localhost")
            .body(Empty::<Bytes>::new())
            .map_err(|error| AskError::BadAnswer {
                call,
                detail: error.to_string(),
            })?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| AskError::BadAnswer {
                call,
                detail: error.to_string(),
            })?;
        Ok((response, connection))
    }
}

impl DockerEvents {
    /// The next change. `None` when the engine closed the stream.
    pub async fn next(&mut self) -> Result<Option<Change>, AskError> {
        loop {
            while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line = self.pending.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let event: Event = parse("events", &line)?;
                if let Some(change) = change(event) {
                    return Ok(Some(change));
                }
            }
            if self.pending.len() > MAX_EVENT_BYTES {
                return Err(AskError::TooLarge {
                    call: "events",
                    limit: MAX_EVENT_BYTES,
                });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.pending.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    return Err(AskError::Unreachable {
                        path: self.path.clone(),
                        detail: error.to_string(),
                    });
                }
            }
        }
    }
}

fn change(event: Event) -> Option<Change> {
    let id = ContainerId(event.actor.id);
    match event.action.as_str() {
        "create" | "start" => Some(Change::Appeared(id)),
        "destroy" | "remove" => Some(Change::Removed(id)),
        _ => None,
    }
}

fn parse<'a, T: Deserialize<'a>>(call: &'static str, body: &'a [u8]) -> Result<T, AskError> {
    serde_json::from_slice(body).map_err(|error| AskError::BadAnswer {
        call,
        detail: format!("invalid JSON: {error}"),
    })
}

/// Whether a container's cgroup parent is the cgroup of the pod `uid`, under either driver.
fn is_cgroup_of_pod(parent: &str, uid: &str) -> bool {
    // A container of this parent would have this path; let the one parser of paths judge.
    let id = "0".repeat(64);
    let path = match parent.strip_suffix(".slice") {
        // With the systemd driver the parent is only the last slice's name.
        Some(_) => format!("/{parent}/docker-{id}.scope"),
        None => format!("/{}/{id}", parent.trim_start_matches('/')),
    };
    match super::cgroup_path::parse(path.as_bytes()) {
        super::cgroup_path::Place::Container(found) => found
            .pod_uid
            .as_deref()
            .is_some_and(|found| found.eq_ignore_ascii_case(uid)),
        _ => false,
    }
}

#[cfg(test)]
#[path = "docker_tests.rs"]
mod tests;

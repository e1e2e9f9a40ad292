//! A real JupyterHub of its own, behind a real configurable-http-proxy.
//!
//! Both are installed by `scripts/setup` under `~/.cache/davylamp`. The Hub has a dummy
//! authenticator that lets everybody in, spawns local processes that answer and do nothing, and
//! two services with tokens: the one of the responder, with no more scopes than it needs, and one
//! with which a test creates what it wants. Everything ends when [`Hub`] is dropped, when the test
//! dies, and at the latest after `LIFE_SECS`.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// No Hub of a test runs longer.
const LIFE_SECS: u32 = 600;

/// How long the Hub may take to begin serving: it compiles its templates and makes its tables on a
/// machine that runs other tests too.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a condition is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(50);

/// Another process may take a port between our looking and the Hub's binding it.
const TRIES: u32 = 3;

/// The scopes the responder needs: to read users with their groups, servers and tokens, and to
/// stop, revoke, block and delete. It can neither create users nor start servers.
pub const RESPONDER_SCOPES: [&str; 7] = [
    "list:users",
    "read:users",
    "delete:users",
    "read:servers",
    "delete:servers",
    "tokens",
    "groups",
];

/// A running JupyterHub.
#[derive(Debug)]
pub struct Hub {
    dir: TempDir,
    supervisor: Child,
    life: Option<ChildStdin>,
    url: String,
    http: reqwest::Client,
    token: String,
    admin_token: String,
}

/// Why there is no Hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// A program is not there.
    #[error("{path} is missing: run `scripts/setup test`")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A call of the system failed.
    #[error("{doing} failed")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It does not begin to serve.
    #[error("the Hub does not serve: {why}")]
    NotServing {
        /// What it wrote last.
        why: String,
    },
    /// It answered otherwise than a test expects.
    #[error("{method} {path} was answered with {status}: {body}")]
    Answer {
        /// The method.
        method: String,
        /// The path.
        path: String,
        /// The status.
        status: u16,
        /// The body.
        body: Value,
    },
    /// It did not answer.
    #[error("the Hub did not answer")]
    Silent(#[from] reqwest::Error),
}

impl Hub {
    /// The name of a user who administers the Hub.
    pub const ADMIN: &str = "hub-admin";

    /// Starts a Hub without users but [`Self::ADMIN`], and waits until it serves.
    pub async fn start() -> Result<Self, HubError> {
        let cache =
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/davylamp");
        let python = cache.join("python/bin/python");
        let hub = cache.join("python/bin/jupyterhub");
        let proxy = cache.join("node/node_modules/.bin/configurable-http-proxy");
        for path in [&python, &hub, &proxy] {
            if !path.exists() {
                return Err(HubError::Missing { path: path.clone() });
            }
        }
        // A second installation is no error: every client of the process shares one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut last = None;
        for _ in 0..TRIES {
            match Self::try_start(&python, &hub, &proxy).await {
                Ok(hub) => return Ok(hub),
                Err(error @ HubError::NotServing { .. }) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| HubError::NotServing {
            why: "it was never tried".to_owned(),
        }))
    }

    async fn try_start(python: &Path, hub: &Path, proxy: &Path) -> Result<Self, HubError> {
        let dir = tempfile::Builder::new()
            .prefix("davylamp-hub-")
            .tempdir()
            .map_err(system("making a directory"))?;
        for (name, text) in [
            ("config.py", include_str!("jupyterhub/config.py")),
            ("server.py", include_str!("jupyterhub/server.py")),
            ("supervise.py", include_str!("jupyterhub/supervise.py")),
        ] {
            std::fs::write(dir.path().join(name), text).map_err(system("writing a file"))?;
        }
        let [public, api, inner] = free_ports()?;
        let token = secret(dir.path(), "responder");
        let admin_token = secret(dir.path(), "test");
        let proxy_token = secret(dir.path(), "proxy");
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let given = json!({
            "dir": dir.path(),
            "public": format!("{}/", at(public)),
            "hub": at(inner),
            "proxy_api": at(api),
            "proxy_token": proxy_token,
            "token": token,
            "admin_token": admin_token,
            "scopes": RESPONDER_SCOPES,
        });
        let (public_port, api_port) = (public.to_string(), api.to_string());
        let error_target = format!("{}/hub/error", at(inner));
        let commands = json!([
            [
                proxy,
                "--ip",
                "127.0.0.1",
                "--port",
                public_port,
                "--api-ip",
                "127.0.0.1",
                "--api-port",
                api_port,
                "--default-target",
                at(inner),
                "--error-target",
                error_target
            ],
            [
                hub,
                "--config",
                dir.path().join("config.py"),
                "--log-level",
                "WARN"
            ],
        ]);
        let log = std::fs::File::create(dir.path().join("log"))
            .map_err(system("making the Hub's log"))?;
        let mut supervisor = Command::new(python)
            .arg(dir.path().join("supervise.py"))
            .arg(LIFE_SECS.to_string())
            .arg(commands.to_string())
            .env("DAVYLAMP_TEST_HUB", given.to_string())
            .env("CONFIGPROXY_AUTH_TOKEN", &proxy_token)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(system("starting the Hub"))?;
        let life = supervisor.stdin.take();
        let this = Self {
            dir,
            supervisor,
            life,
            url: at(public),
            http: reqwest::Client::new(),
            token,
            admin_token,
        };
        this.wait_until_serving().await?;
        Ok(this)
    }

    /// Its address, up to and without `/hub`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The responder's token, with [`RESPONDER_SCOPES`].
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Creates a user.
    pub async fn create_user(&self, user: &str) -> Result<(), HubError> {
        self.demand("POST", &path(user, ""), &[201]).await.map(drop)
    }

    /// Starts a server of a user and waits until it serves; the default server's name is empty.
    pub async fn start_server(&self, user: &str, server: &str) -> Result<(), HubError> {
        let rest = if server.is_empty() {
            "/server".to_owned()
        } else {
            format!("/servers/{}", utf8_percent_encode(server, NON_ALPHANUMERIC))
        };
        self.demand("POST", &path(user, &rest), &[201, 202]).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, user) = self.ask("GET", &path(user, ""), &self.admin_token).await?;
            if user["servers"][server]["ready"] == json!(true) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(HubError::NotServing {
                    why: format!("server {server:?} does not get ready: {user}"),
                });
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// A new API token of a user.
    pub async fn user_token(&self, user: &str) -> Result<String, HubError> {
        let answer = self.demand("POST", &path(user, "/tokens"), &[201]).await?;
        Ok(answer["token"].as_str().unwrap_or_default().to_owned())
    }

    /// Whether the Hub takes this token.
    pub async fn takes_token(&self, token: &str) -> Result<bool, HubError> {
        match self.ask("GET", "/user", token).await? {
            (200, _) => Ok(true),
            (401 | 403, _) => Ok(false),
            (status, body) => Err(HubError::Answer {
                method: "GET".to_owned(),
                path: "/user".to_owned(),
                status,
                body,
            }),
        }
    }

    /// A user as the Hub has it; `None` where it has none.
    pub async fn user(&self, user: &str) -> Result<Option<Value>, HubError> {
        let (status, body) = self.ask("GET", &path(user, ""), &self.admin_token).await?;
        Ok((status == 200).then_some(body))
    }

    async fn demand(&self, method: &str, path: &str, wanted: &[u16]) -> Result<Value, HubError> {
        let (status, body) = self.ask(method, path, &self.admin_token).await?;
        if wanted.contains(&status) {
            return Ok(body);
        }
        Err(HubError::Answer {
            method: method.to_owned(),
            path: path.to_owned(),
            status,
            body,
        })
    }

    async fn ask(&self, method: &str, path: &str, token: &str) -> Result<(u16, Value), HubError> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let answer = self
            .http
            .request(method, format!("{}/hub/api{path}", self.url))
            .header("Authorization", format!("token {token}"))
            .send()
            .await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(json!(text))))
    }

    async fn wait_until_serving(&self) -> Result<(), HubError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok((200, _)) = self.ask("GET", "/users", &self.token).await {
                return Ok(());
            }
            if Instant::now() > deadline || self.is_over() {
                let mut log = String::new();
                let _ = std::fs::File::open(self.dir.path().join("log"))
                    .and_then(|mut file| file.read_to_string(&mut log));
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                return Err(HubError::NotServing {
                    why: tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
                });
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Whether the supervisor has ended, left for `Drop` to reap.
    fn is_over(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.supervisor.id()))
            .map_or(true, |stat| stat.contains(") Z "))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // The supervisor reads the end of its input, ends both programs and then itself.
        drop(self.life.take());
        let _ = self.supervisor.wait();
    }
}

/// Three ports that nobody listens on.
fn free_ports() -> Result<[u16; 3], HubError> {
    let mut ports = [0; 3];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(system("looking for a port"))?;
        *port = listener
            .local_addr()
            .map_err(system("looking for a port"))?
            .port();
        held.push(listener);
    }
    Ok(ports)
}

/// A token of this test alone: the directory's name is random.
fn secret(dir: &Path, purpose: &str) -> String {
    use sha2::{Digest, Sha256};
    let essence = format!("{}/{purpose}", dir.display());
    hex::encode(Sha256::digest(essence.as_bytes()))
}

fn path(user: &str, rest: &str) -> String {
    format!(
        "/users/{}{rest}",
        utf8_percent_encode(user, NON_ALPHANUMERIC)
    )
}

fn system(doing: &'static str) -> impl FnOnce(std::io::Error) -> HubError {
    move |source| HubError::System { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_serves_users_servers_and_tokens() {
        let hub = Hub::start().await.expect("a Hub");
        hub.create_user("alice").await.expect("created");
        hub.start_server("alice", "").await.expect("started");
        let token = hub.user_token("alice").await.expect("a token");
        assert!(hub.takes_token(&token).await.expect("an answer"));
        assert!(!hub.takes_token("another").await.expect("an answer"));
        let address = hub.url().replace("http://", "");
        drop(hub);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}

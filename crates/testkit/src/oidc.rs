//! A real OpenID provider (npm's `oidc-provider`) on this machine, and somebody who signs in at it.
//!
//! It is installed by `scripts/setup` under `~/.cache/davylamp`. It ends when [`Provider`] is dropped, when
//! the test dies, and at the latest after `LIFE_SECS`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

/// No provider of a test runs longer.
const LIFE_SECS: u32 = 600;
/// A sign-in has fewer steps.
const MOST_STEPS: usize = 20;

/// What a client is called there.
pub const CLIENT_ID: &str = "console";
/// Its secret there.
pub const CLIENT_SECRET: &str = "a secret that only the console and this provider have";

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    _dir: TempDir,
    process: Child,
    life: Option<ChildStdin>,
    issuer: String,
    http: Client,
}

/// What somebody does at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does<'a> {
    /// Signs in under this login.
    SignsIn(&'a str),
    /// Says no.
    Declines,
}

impl Provider {
    /// Starts one, which knows nobody.
    ///
    /// # Panics
    /// It is not installed, or does not start.
    pub fn start() -> Self {
        // A second installation is no error: every client of the process shares one provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let cache = match std::env::var_os("DAVYLAMP_CACHE") {
            Some(cache) => PathBuf::from(cache),
            None => home.join(".cache/davylamp"),
        };
        let modules = cache.join("oidc/node_modules");
        assert!(
            modules.join("oidc-provider").exists(),
            "{} has no oidc-provider: run `scripts/setup test`",
            modules.display()
        );
        let dir = tempfile::Builder::new()
            .prefix("davylamp-oidc-")
            .tempdir()
            .expect("a directory");
        let script = dir.path().join("serve.mjs");
        std::fs::write(&script, include_str!("oidc/serve.mjs")).expect("a script");
        let mut process = Command::new("node")
            .arg(script)
            .arg(&modules)
            .arg(LIFE_SECS.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let life = process.stdin.take();
        let mut told = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output)
            .read_line(&mut told)
            .expect("its port");
        let port: u16 = told.trim().parse().expect("a port");
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Self {
            _dir: dir,
            process,
            life,
            issuer: format!("http://127.0.0.1:{port}"),
            http,
        }
    }

    /// Its address, as its tokens have it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Changes what it does: see `serve.mjs`.
    pub async fn tell(&self, change: Value) {
        let request = self.http.post(format!("{}/test", self.issuer));
        let answer = request.body(change.to_string()).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    }

    /// Gives somebody claims.
    pub async fn person(&self, login: &str, claims: Value) {
        self.tell(json!({"people": {login: claims}})).await;
    }

    /// Goes where a browser is sent, does what somebody does there, and gives the address that the browser
    /// is sent back to.
    pub async fn visit(&self, address: &str, does: Does<'_>) -> String {
        let mut cookies = BTreeMap::new();
        let (mut method, mut at, mut form) = (Method::GET, address.to_owned(), String::new());
        for _ in 0..MOST_STEPS {
            let jar: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let mut request = self
                .http
                .request(method.clone(), &at)
                .header("cookie", jar.join("; "));
            if method == Method::POST {
                request = request
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form.clone());
            }
            let answer = request.send().await.expect("an answer");
            for cookie in answer.headers().get_all("set-cookie") {
                let text = cookie.to_str().expect("text").split(';').next();
                let (name, value) = text
                    .and_then(|text| text.split_once('='))
                    .expect("a cookie");
                match value {
                    "" => cookies.remove(name),
                    value => cookies.insert(name.to_owned(), value.to_owned()),
                };
            }
            method = Method::GET;
            if let Some(to) = answer.headers().get("location") {
                let to = to.to_str().expect("text");
                let to = Url::parse(&at)
                    .and_then(|base| base.join(to))
                    .expect("an address");
                at = to.to_string();
                if !at.starts_with(&self.issuer) {
                    return at;
                }
                continue;
            }
            let status = answer.status();
            let page = answer.text().await.expect("a page");
            let between = |from: &str, to: &str| {
                let (_, rest) = page.split_once(from)?;
                Some(rest.split(to).next()?.to_owned())
            };
            let action = between("action=\"", "\"");
            let action = action.unwrap_or_else(|| panic!("{status}, without a form: {page}"));
            match does {
                Does::Declines => at = format!("{action}/abort"),
                Does::SignsIn(login) => {
                    let prompt = between("name=\"prompt\" value=\"", "\"").expect("a prompt");
                    form = form_urlencoded::Serializer::new(String::new())
                        .append_pair("prompt", &prompt)
                        .append_pair("login", login)
                        .append_pair("password", "anything")
                        .finish();
                    (method, at) = (Method::POST, action);
                }
            }
        }
        panic!("the provider sends nobody back: {at}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It reads the end of its input, and ends.
        drop(self.life.take());
        let _ = self.process.wait();
    }
}

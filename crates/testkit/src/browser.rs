//! Chromium and its driver, started for one test: what a page does, how it looks, and what an examiner of
//! accessibility finds.
//!
//! Needs `chromium-driver` and axe-core: `scripts/setup test`. What must stay true: the browser ends with
//! the test, whatever becomes of that.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a page may take for what it does by itself, on a machine where others compile.
const DEADLINE: Duration = Duration::from_secs(30);

/// How wide a window is on a desk.
const WIDE: u32 = 1360;
/// How high a picture is, at the most.
const PICTURE: u32 = 2200;

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    page: Session,
    driver: Child,
    _profile: TempDir,
    axe: String,
}

impl Browser {
    /// As on a desk.
    pub async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// As on a telephone, of which so much is seen at once as fits on a picture.
    pub async fn phone() -> Self {
        let metrics = json!({"width": 390, "height": PICTURE, "pixelRatio": 1.0, "touch": true});
        Self::with(json!({"mobileEmulation": {"deviceMetrics": metrics}})).await
    }

    async fn with(options: Value) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: scripts/setup test");
        let profile = TempDir::new().expect("a folder");
        // Without a sandbox: the tests run as root, and it shows our own pages alone.
        let mut capabilities = json!({
            "goog:chromeOptions": {
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--force-prefers-reduced-motion", "--hide-scrollbars",
                    format!("--user-data-dir={}", profile.path().display()),
                ],
            },
        });
        for (name, value) in options.as_object().into_iter().flatten() {
            capabilities["goog:chromeOptions"][name] = value.clone();
        }
        // A second one in a process is refused, and is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver_at = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        let page = loop {
            match Session::begin(&driver_at, &capabilities).await {
                Ok(page) => break page,
                Err(error) => assert!(begun.elapsed() < DEADLINE, "no browser: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Self {
            page,
            driver,
            _profile: profile,
            axe: axe(),
        }
    }

    /// Goes to an address.
    pub async fn goto(&self, address: &str) {
        let gone = self.page.ask("url", &json!({"url": address})).await;
        gone.unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Runs a script, which bears no rule of the page, and gives what it returns.
    pub async fn run(&self, script: &str) -> Value {
        let done = self.page.execute("sync", script).await;
        done.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Whether something holds on the page now.
    pub async fn is(&self, condition: &str) -> bool {
        self.run(&format!("return Boolean({condition})")).await == Value::Bool(true)
    }

    /// Waits until something holds on the page, which may be loading.
    pub async fn until(&self, condition: &str) {
        let begun = Instant::now();
        let script =
            format!("try {{ return Boolean({condition}) }} catch (error) {{ return false }}");
        while self.page.execute("sync", &script).await.ok() != Some(Value::Bool(true)) {
            let text = "return document.documentElement.outerHTML";
            let text = self.page.execute("sync", text).await.unwrap_or_default();
            assert!(
                begun.elapsed() < DEADLINE,
                "{condition} does not hold on {text}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Presses keys, one after another, on whatever has the focus.
    pub async fn keys(&self, text: &str) {
        let pressed: Vec<Value> = text
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
            })
            .collect();
        let keys = json!({"actions": [{"type": "key", "id": "keyboard", "actions": pressed}]});
        self.page.ask("actions", &keys).await.expect("keys");
    }

    /// Shows pages as to somebody who asked for this theme, `light` or `dark`, or as on paper.
    pub async fn prefers(&self, theme: &str, is_paper: bool) {
        let media = if is_paper { "print" } else { "screen" };
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        let told = json!({
            "cmd": "Emulation.setEmulatedMedia",
            "params": {"media": media, "features": features},
        });
        self.page
            .ask("goog/cdp/execute", &told)
            .await
            .expect("a theme");
    }

    /// Makes the window so high.
    pub async fn size(&self, height: u32) {
        let size = json!({"width": WIDE, "height": height});
        self.page.ask("window/rect", &size).await.expect("a size");
    }

    /// A picture of the page, or of the most of it, in a folder.
    pub async fn shot(&self, folder: &Path, name: &str) {
        std::fs::create_dir_all(folder).expect("a folder");
        let height = self
            .run("return document.documentElement.scrollHeight")
            .await;
        let height = height
            .as_u64()
            .and_then(|height| u32::try_from(height).ok());
        let height = height.unwrap_or(PICTURE).clamp(600, PICTURE) + 150;
        self.size(height).await;
        let png = self.page.read("screenshot").await.expect("a picture");
        let png = png
            .as_str()
            .and_then(|text| BASE64_STANDARD.decode(text).ok());
        let png = png.expect("a picture in base64");
        std::fs::write(folder.join(format!("{name}.png")), png).expect("a file");
    }

    /// What the examiner finds wrong with the page.
    pub async fn examined(&self) -> Vec<String> {
        self.run(&self.axe).await;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
                .then((found) => done(found.violations.flatMap((fault) => fault.nodes.map((node) =>
                    fault.id + ': ' + node.html.slice(0, 160) + ' ' + (node.failureSummary || '').slice(0, 300)))))
                .catch((error) => done(['it could not look: ' + error]))";
        let found = self.page.execute("async", script).await.expect("findings");
        serde_json::from_value(found).expect("a list")
    }

    /// Closes it.
    pub async fn end(self) {
        self.page.end().await;
    }
}

/// A session of the driver (<https://www.w3.org/TR/webdriver2/>): what these tests need of it. Clients that are
/// libraries bring a browser's worth of Unicode tables along.
#[derive(Debug)]
struct Session {
    client: reqwest::Client,
    at: String,
}

impl Session {
    async fn begin(driver: &str, capabilities: &Value) -> Result<Self, String> {
        let mut session = Self {
            client: reqwest::Client::new(),
            at: driver.to_owned(),
        };
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities}});
        let begun = session.ask("session", &wanted).await?;
        let id = begun["sessionId"].as_str().ok_or("no session")?;
        session.at = format!("{driver}/session/{id}");
        Ok(session)
    }

    async fn ask(&self, command: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.post(format!("{}/{command}", self.at));
        Self::answered(request.json(body)).await
    }

    async fn read(&self, command: &str) -> Result<Value, String> {
        Self::answered(self.client.get(format!("{}/{command}", self.at))).await
    }

    async fn execute(&self, how: &str, script: &str) -> Result<Value, String> {
        let body = json!({"script": script, "args": []});
        self.ask(&format!("execute/{how}"), &body).await
    }

    async fn end(&self) {
        let _ = Self::answered(self.client.delete(&self.at)).await;
    }

    async fn answered(request: reqwest::RequestBuilder) -> Result<Value, String> {
        let response = request.send().await.map_err(|error| error.to_string())?;
        let is_done = response.status().is_success();
        let answer: Value = response.json().await.map_err(|error| error.to_string())?;
        match is_done {
            true => Ok(answer["value"].clone()),
            false => Err(answer["value"]["message"].to_string()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser is a child of the driver: both are of one group.
        let group = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}

/// The examiner's script, in the version that the lock file names.
fn axe() -> String {
    let cache = std::env::var_os("DAVYLAMP_CACHE").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/davylamp"));
    let cache = cache.or(home).expect("a home");
    let file = cache.join("browser/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: scripts/setup test", file.display()))
}

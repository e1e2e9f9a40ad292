//! Chromium and its driver, started for one test.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a page may take for what it does by itself, on a machine where others compile.
const DEADLINE: Duration = Duration::from_secs(30);

/// How wide a window is on a desk.
pub const WIDE: u32 = 1360;
/// How high a picture is, at the most.
const PICTURE: u32 = 2200;

pub struct Browser {
    pub page: Client,
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
        let capabilities = capabilities.as_object().cloned().expect("an object");
        let url = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        let page = loop {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            match builder
                .capabilities(capabilities.clone())
                .connect(&url)
                .await
            {
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

    pub async fn run(&self, script: &str) -> Value {
        let done = self.page.execute(script, Vec::new()).await;
        done.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub async fn is(&self, condition: &str) -> bool {
        self.run(&format!("return Boolean({condition})")).await == Value::Bool(true)
    }

    /// Waits until something holds on the page, which may be loading.
    pub async fn until(&self, condition: &str) {
        let begun = Instant::now();
        let script =
            format!("try {{ return Boolean({condition}) }} catch (error) {{ return false }}");
        while self.page.execute(&script, Vec::new()).await.ok() != Some(Value::Bool(true)) {
            let text = self.page.source().await.unwrap_or_default();
            assert!(
                begun.elapsed() < DEADLINE,
                "{condition} does not hold on {text}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Presses keys, one after another, on whatever has the focus.
    pub async fn keys(&self, text: &str) {
        let mut keys = KeyActions::new("keyboard".to_owned());
        for value in text.chars() {
            keys = keys
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
        }
        self.page.perform_actions(keys).await.expect("keys");
    }

    /// A picture of the page, or of the most of it, beside what is built.
    pub async fn shot(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let height = self
            .run("return document.documentElement.scrollHeight")
            .await;
        let height = height
            .as_u64()
            .and_then(|height| u32::try_from(height).ok());
        let height = height.unwrap_or(PICTURE).clamp(600, PICTURE) + 150;
        self.page
            .set_window_size(WIDE, height)
            .await
            .expect("a size");
        let png = self.page.screenshot().await.expect("a picture");
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
        let found = self
            .page
            .execute_async(script, Vec::new())
            .await
            .expect("findings");
        serde_json::from_value(found).expect("a list")
    }

    pub async fn end(self) {
        let _ = self.page.clone().close().await;
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

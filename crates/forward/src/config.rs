//! The `[forward]` table of `davy.toml`.
//!
//! The types are the one place where keys, defaults and kinds are written down; docs/configuration.md
//! describes each key, and a test compares the two. No key holds a secret: they name files.

use std::path::PathBuf;
use std::time::Duration;

use davylamp_content::settings::{Bounds, Section, Trouble};
use serde::{Deserialize, Serialize};
use toml::Value;

/// The table's name.
pub const SECTION: &str = "forward";

/// The variable that holds the console's token, where no file does.
pub const TOKEN_VARIABLE: &str = "DAVY_CONSOLE_TOKEN";

/// The bounds of every key that takes a number.
///
/// A batch is one request: a thousand events of a kilobyte are about what servers take by default
/// (1 MiB), and a server that takes less says so and gets halves.
pub const BOUNDS: [Bounds; 7] = [
    Bounds::new("forward.batch_events", 1, 10_000, "events"),
    Bounds::new("forward.batch_bytes", 1 << 10, 64 << 20, "bytes"),
    Bounds::new("forward.poll_ms", 10, 60_000, "milliseconds"),
    Bounds::new("forward.dead_letter_bytes", 1 << 16, 1 << 40, "bytes"),
    Bounds::new("forward.console.timeout_secs", 1, 600, "seconds"),
    Bounds::new("forward.otlp.timeout_secs", 1, 600, "seconds"),
    Bounds::new("forward.otlp.metrics_secs", 1, 86_400, "seconds"),
];

/// The `[forward]` table for `settings::load`.
pub fn section() -> Section {
    Section {
        bounds: &BOUNDS,
        text,
        whole,
        ..Section::of::<Config>(SECTION)
    }
}

/// Where events go, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The spool to read. Empty: that of the guard, `guard.spool.dir`.
    pub spool: PathBuf,
    /// Events of one request.
    pub batch_events: usize,
    /// Bytes of one request before it is compressed, unless one event has more.
    pub batch_bytes: usize,
    /// Milliseconds between two looks at a spool that had nothing new.
    pub poll_ms: u64,
    /// Bytes of events kept that a destination refused for good.
    pub dead_letter_bytes: u64,
    /// Davylamp's console.
    pub console: Console,
    /// OpenTelemetry.
    pub otlp: Otlp,
    /// OCSF lines.
    pub ocsf: Ocsf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            spool: PathBuf::new(),
            batch_events: 500,
            batch_bytes: 1 << 20,
            poll_ms: 500,
            dead_letter_bytes: 16 << 20,
            console: Console::default(),
            otlp: Otlp::default(),
            ocsf: Ocsf::default(),
        }
    }
}

impl Config {
    /// `poll_ms` as a duration.
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    /// Whether there is anywhere to deliver to.
    pub fn has_destination(&self) -> bool {
        !self.console.url.is_empty() || !self.otlp.endpoint.is_empty() || !self.ocsf.to.is_empty()
    }
}

/// `[forward.console]`: events to a console, over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Its address, such as `https://console.example`. Empty: none.
    pub url: String,
    /// The file with the token. Empty: the variable `DAVY_CONSOLE_TOKEN`.
    pub token_file: PathBuf,
    /// Certificates of those who may vouch for it, as PEM, instead of the machine's. Empty: the
    /// machine's.
    pub ca_file: PathBuf,
    /// Seconds that one request may take.
    pub timeout_secs: u64,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            url: String::new(),
            token_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            timeout_secs: 15,
        }
    }
}

/// `[forward.otlp]`: logs and metrics to OpenTelemetry, by OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// The address of a receiver, such as `https://collector.example:4318`; `/v1/logs` and
    /// `/v1/metrics` are added. Empty: none.
    pub endpoint: String,
    /// A file with headers to send, a `name: value` a line.
    pub headers_file: PathBuf,
    /// Certificates of those who may vouch for it, as PEM, instead of the machine's.
    pub ca_file: PathBuf,
    /// Allow an `http://` address that is not this machine.
    pub allow_plaintext: bool,
    /// Whether events go out as logs.
    pub logs: bool,
    /// The guard's metrics, such as `http://127.0.0.1:9474/metrics`. Empty: no metrics go out.
    pub metrics_from: String,
    /// Seconds between two readings of them.
    pub metrics_secs: u64,
    /// Seconds that one request may take.
    pub timeout_secs: u64,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            allow_plaintext: false,
            logs: true,
            metrics_from: String::new(),
            metrics_secs: 60,
            timeout_secs: 15,
        }
    }
}

/// `[forward.ocsf]`: events as OCSF 1.5, one a line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ocsf {
    /// The file that lines are added to; `-` is standard output. Empty: none.
    pub to: String,
}

/// What a text must be; the error says what to write instead.
fn text(key: &str, text: &str) -> Result<(), &'static str> {
    if let Some(member) = key.strip_prefix("forward.console.") {
        return console_text(member, text);
    }
    if text.contains('\0') {
        return Err("a NUL cannot stand in it");
    }
    let is_path = matches!(
        key,
        "forward.spool" | "forward.otlp.headers_file" | "forward.otlp.ca_file"
    );
    if is_path && !text.is_empty() && !text.starts_with('/') {
        return Err("write the whole path, from `/`");
    }
    if text.is_empty() {
        return Ok(());
    }
    match key {
        "forward.otlp.endpoint" | "forward.otlp.metrics_from" if !is_web(text, true) => {
            Err("write an `https://` or `http://` address without user, query or fragment")
        }
        _ => Ok(()),
    }
}

/// The same for a member of a table that names a console.
pub(crate) fn console_text(member: &str, text: &str) -> Result<(), &'static str> {
    if text.contains('\0') {
        return Err("a NUL cannot stand in it");
    }
    match member {
        _ if text.is_empty() => Ok(()),
        "token_file" | "ca_file" if !text.starts_with('/') => Err("write the whole path, from `/`"),
        "url" if !is_web(text, false) => Err(
            "write an `https://` address without user, query or fragment; `http://` is for this \
             machine alone, as the token would go in the clear",
        ),
        _ => Ok(()),
    }
}

/// What must hold between keys.
fn whole(forward: &Value) -> Vec<(&'static str, Trouble)> {
    let Ok(config) = Config::deserialize(forward.clone()) else {
        return Vec::new();
    };
    let otlp = &config.otlp;
    let mut troubles = Vec::new();
    let mut trouble = |key, message: &str, help: &str| {
        troubles.push((
            key,
            Trouble::Whole {
                message: message.to_owned(),
                help: help.to_owned(),
            },
        ));
    };
    if !otlp.endpoint.is_empty() && !otlp.allow_plaintext && !is_web(&otlp.endpoint, false) {
        trouble(
            "forward.otlp.endpoint",
            "events would leave this machine in the clear",
            "use an `https://` address, or set `forward.otlp.allow_plaintext = true` where the \
             network between is trusted",
        );
    }
    if !otlp.metrics_from.is_empty() && otlp.endpoint.is_empty() {
        trouble(
            "forward.otlp.metrics_from",
            "metrics have nowhere to go",
            "set `forward.otlp.endpoint`",
        );
    }
    troubles
}

/// Whether a text is a web address that events may go to: over TLS, unless it is this machine, or
/// plain text is allowed.
fn is_web(text: &str, plain: bool) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else {
        return false;
    };
    let is_bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => plain || url.host_str().is_some_and(is_loopback),
        _ => false,
    };
    is_bare && is_safe && url.has_host()
}

/// Whether a host is this machine, by its name alone: no name server is asked.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use davylamp_content::settings::{self, Override};

    use super::*;

    fn load(file: &str) -> Result<Config, String> {
        let read = settings::load(&[section()], Some(("davy.toml", file)), &[] as &[Override]);
        read.map(|tree| settings::section(&tree, SECTION))
            .map_err(|errors| format!("{errors:?}"))
    }

    #[test]
    fn defaults_deliver_nowhere() {
        let config = load("").expect("good");
        assert_eq!(config, Config::default());
        assert!(!config.has_destination());
    }

    #[test]
    fn a_token_never_travels_in_the_clear() {
        for good in [
            "https://console.example",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(
                load(&format!("[forward.console]\nurl = '{good}'")).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "http://console.example",
            "http://10.0.0.1",
            "console.example",
            "https://user:secret@console.example",
            "https://console.example/?token=1",
            "ftp://console.example",
        ] {
            assert!(
                load(&format!("[forward.console]\nurl = '{bad}'")).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn otlp_in_the_clear_has_to_be_allowed() {
        let plain = "[forward.otlp]\nendpoint = 'http://collector:4318'\n";
        assert!(load(plain).is_err());
        assert!(load(&format!("{plain}allow_plaintext = true")).is_ok());
        assert!(load("[forward.otlp]\nmetrics_from = 'http://127.0.0.1:9474/metrics'").is_err());
    }
}

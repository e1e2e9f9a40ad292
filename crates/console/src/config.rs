//! The `[console]` table of `davy.toml`.
//!
//! The types are the one place where keys, defaults and kinds are written down; docs/configuration.md
//! describes each key, and a test compares the two. No key holds a secret: they name files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use davylamp_content::settings::{Bounds, Section, Trouble};
use davylamp_ledger::Options;
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::access::{Grant, is_safe};

mod clocks;
mod notices;

pub use clocks::{Clocks, Step};
pub use notices::{Channel, Kind, Notices, Person, Route};

/// The table's name.
pub const SECTION: &str = "console";

/// The variable that holds PostgreSQL's password, where no file does.
pub const PASSWORD_VARIABLE: &str = "DAVY_CONSOLE_DATABASE_PASSWORD";

/// The bounds of every key that takes a number.
pub const BOUNDS: [Bounds; 8] = [
    Bounds::new("console.connections", 2, 64, "connections"),
    Bounds::new("console.incident_window_secs", 60, 30 * 86_400, "seconds"),
    Bounds::new("console.ingest.max_bytes", 1 << 10, 256 << 20, "bytes"),
    Bounds::new(
        "console.ingest.events_per_second",
        1,
        1_000_000,
        "events a second",
    ),
    Bounds::new("console.ingest.waiting", 1, 1000, "batches"),
    Bounds::new("console.retention.findings_days", 0, 36_500, "days"),
    Bounds::new("console.daily.hour", 0, 23, "o'clock"),
    Bounds::new("console.traces.percent", 1, 100, "percent"),
];

/// The bounds of all of its tables.
fn bounds() -> &'static [Bounds] {
    static ALL: LazyLock<Vec<Bounds>> =
        LazyLock::new(|| [&BOUNDS[..], &clocks::BOUNDS, &notices::BOUNDS].concat());
    &ALL
}

/// The `[console]` table for `settings::load`.
pub fn section() -> Section {
    Section {
        bounds: bounds(),
        lists: clocks::lists()
            .into_iter()
            .chain(notices::lists())
            .collect(),
        text,
        whole,
        ..Section::of::<Config>(SECTION)
    }
}

/// The console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Wider than this machine only with TLS or behind a proxy that has
    /// it.
    pub listen: String,
    /// Where the ledger is: `sqlite:///path` or `postgres://user@host/name`.
    pub database: String,
    /// The file with PostgreSQL's password. Empty: the variable `DAVY_CONSOLE_DATABASE_PASSWORD`.
    pub database_password_file: PathBuf,
    /// Connections to the database.
    pub connections: u32,
    /// Findings about one thing that lie no further apart than this are one incident, in seconds.
    pub incident_window_secs: i64,
    /// The certificate and those that vouch for it, as PEM. Empty: no TLS.
    pub tls_certificate_file: PathBuf,
    /// Its key, as PEM.
    pub tls_key_file: PathBuf,
    /// A proxy before the console has TLS, and passes `X-Forwarded-For` on.
    pub behind_proxy: bool,
    /// The address by which people reach it, such as `https://console.example`. Empty: where it
    /// listens.
    pub url: String,
    /// Who signs in by a password has to have a second factor, and is led to set it up first.
    pub require_second_factor: bool,
    /// The OpenID provider by which people sign in.
    pub oidc: Oidc,
    /// What senders may send.
    pub ingest: Ingest,
    /// What is removed, and when.
    pub retention: Retention,
    /// What it does by itself, once a day.
    pub daily: Daily,
    /// What it counts, for Prometheus.
    pub metrics: Metrics,
    /// What it tells of each request, for OpenTelemetry.
    pub traces: Traces,
    /// How long incidents may wait.
    pub clocks: Clocks,
    /// Who hears of a clock that ran out. Empty: the owner's lead, at once.
    pub escalation: Vec<Step>,
    /// Who is told, of what, and how.
    pub notices: Notices,
}

impl Config {
    /// Whether only this machine can reach it.
    pub(crate) fn is_private(&self) -> bool {
        is_loopback(&self.listen)
    }

    /// How the ledger is opened.
    pub(crate) fn options(&self) -> Options {
        let file = &self.database_password_file;
        Options {
            within_secs: self.incident_window_secs,
            clocks: self.clocks.of_ledger(),
            connections: self.connections,
            password_file: (!file.as_os_str().is_empty()).then(|| file.clone()),
            // A server on this machine may know us without one.
            password_variable: std::env::var_os(PASSWORD_VARIABLE)
                .map(|_| PASSWORD_VARIABLE.to_owned()),
        }
    }

    /// The folder of the ledger's file; none where it is on a server.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let path = self.database.strip_prefix("sqlite:")?;
        let path = std::path::absolute(path.strip_prefix("//").unwrap_or(path)).ok()?;
        path.parent().map(Path::to_path_buf)
    }

    pub(crate) fn has_tls(&self) -> bool {
        !self.tls_certificate_file.as_os_str().is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7878".to_owned(),
            database: "sqlite:///var/lib/davylamp/console/ledger.db".to_owned(),
            database_password_file: PathBuf::new(),
            connections: 6,
            incident_window_secs: 86_400,
            tls_certificate_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            behind_proxy: false,
            url: String::new(),
            require_second_factor: false,
            oidc: Oidc::default(),
            ingest: Ingest::default(),
            retention: Retention::default(),
            daily: Daily::default(),
            metrics: Metrics::default(),
            traces: Traces::default(),
            clocks: Clocks::default(),
            escalation: Vec::new(),
            notices: Notices::default(),
        }
    }
}

/// `[console.oidc]`: the OpenID provider by which people sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oidc {
    /// The issuer's address, as its tokens have it. Empty: nobody signs in by a provider.
    pub issuer: String,
    /// What the console is called there.
    pub client_id: String,
    /// The file with its secret there. Empty: the variable `DAVY_CONSOLE_OIDC_SECRET`; where there is
    /// none, it is a client without a secret.
    pub client_secret_file: PathBuf,
    /// Certificates of those who may vouch for the provider. Empty: those that the machine trusts.
    pub ca_file: PathBuf,
    /// What the button says.
    pub label: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that is somebody's name here. Empty: `preferred_username`, and else a verified `email`.
    pub name_claim: String,
    /// The claim that names somebody's groups.
    pub groups_claim: String,
    /// What a group may do and see: `group=role`, or `group=role:cluster,cluster`. Who is in none has no
    /// part here.
    pub groups: Vec<String>,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            label: "Sign in with your organisation".to_owned(),
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            name_claim: String::new(),
            groups_claim: "groups".to_owned(),
            groups: Vec::new(),
        }
    }
}

/// `[console.ingest]`: what senders may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Bytes of one request, before and after it is unpacked.
    pub max_bytes: usize,
    /// Events a second of one sender, over a while; ten times as many at once.
    pub events_per_second: u32,
    /// Batches that may wait for the database; who comes then is asked to come again.
    pub waiting: usize,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            max_bytes: 16 << 20,
            events_per_second: 2000,
            waiting: 16,
        }
    }
}

/// `[console.retention]`: what is removed, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Findings of closed incidents, and those of none, go after so many days. 0: never.
    pub findings_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { findings_days: 400 }
    }
}

/// `[console.daily]`: what the console does by itself, once a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Daily {
    /// From this hour on, in UTC: what is too old is removed, and the ledger is checked.
    pub hour: u8,
    /// Whether the ledger is checked.
    pub verify: bool,
    /// A folder with room for a copy of the tables while it is. Empty: that of temporary files.
    pub scratch: PathBuf,
}

impl Default for Daily {
    fn default() -> Self {
        Self {
            hour: 3,
            verify: true,
            scratch: PathBuf::new(),
        }
    }
}

/// `[console.metrics]`: what it counts, for Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port of `/metrics`, `/healthz` and `/readyz`. Empty: no metrics. Wider than this
    /// machine only with a token.
    pub listen: String,
    /// The file with the bearer token that who reads metrics has to have. Empty: none.
    pub token_file: PathBuf,
}

/// `[console.traces]`: what it tells of each request, for OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Where OTLP over HTTP is taken, such as `http://127.0.0.1:4318`. Empty: no traces.
    pub endpoint: String,
    /// Headers to send along, such as `authorization: Bearer …`, one a line.
    pub headers_file: PathBuf,
    /// The certificates that the receiver's is checked by, as PEM. Empty: those this machine trusts.
    pub ca_file: PathBuf,
    /// Of so many requests in a hundred, where the sender has not decided.
    pub percent: u8,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            percent: 100,
        }
    }
}

fn is_loopback(address: &str) -> bool {
    let address = address.parse::<SocketAddr>();
    address.is_ok_and(|address| address.ip().is_loopback())
}

/// What must hold between keys.
fn whole(console: &Value) -> Vec<(&'static str, Trouble)> {
    let Ok(config) = Config::deserialize(console.clone()) else {
        return Vec::new();
    };
    let mut troubles = clocks::whole(&config.escalation);
    troubles.extend(notices::whole(&config.notices));
    let mut trouble = |key, message: &str, help: &str| {
        let (message, help) = (message.to_owned(), help.to_owned());
        troubles.push((key, Trouble::Whole { message, help }));
    };
    let files = [&config.tls_certificate_file, &config.tls_key_file];
    let given = files.iter().filter(|file| !file.as_os_str().is_empty());
    if given.count() == 1 {
        trouble(
            "console.tls_certificate_file",
            "TLS needs a certificate and its key",
            "name both `console.tls_certificate_file` and `console.tls_key_file`, or neither",
        );
    }
    if !config.is_private() && !config.has_tls() && !config.behind_proxy {
        trouble(
            "console.listen",
            "people's sessions would go over the network in the clear",
            "listen on 127.0.0.1, or set `console.tls_certificate_file` and `console.tls_key_file`, or set \
             `console.behind_proxy = true` where a proxy has TLS",
        );
    }
    let metrics = &config.metrics;
    if !metrics.listen.is_empty()
        && !is_loopback(&metrics.listen)
        && metrics.token_file.as_os_str().is_empty()
    {
        trouble(
            "console.metrics.listen",
            "everybody who reaches this address could read the metrics",
            "listen on 127.0.0.1, or name a file with a token in `console.metrics.token_file`",
        );
    }
    let oidc = &config.oidc;
    if oidc.issuer.is_empty() {
        return troubles;
    }
    let key = "console.oidc.issuer";
    if oidc.client_id.is_empty() || !oidc.scopes.iter().any(|scope| scope == "openid") {
        trouble(
            key,
            "the provider does not know who asks, or for what",
            "set `console.oidc.client_id`, and have `openid` among `console.oidc.scopes`",
        );
    }
    if oidc.groups.is_empty() {
        trouble(
            key,
            "nobody whom the provider vouches for would have a part here",
            "name groups and their roles in `console.oidc.groups`, such as `[\"hub-admins=admin\"]`",
        );
    }
    if config.url.is_empty() && !config.is_private() {
        trouble(
            key,
            "the provider would send people back to an address that they cannot reach",
            "set `console.url` to the address by which people reach the console",
        );
    }
    troubles
}

/// What a text must be.
fn text(key: &str, text: &str) -> Result<(), &'static str> {
    match key {
        "console.listen" if text.parse::<SocketAddr>().is_err() => {
            Err("write an address and a port, such as `127.0.0.1:7878` or `[::1]:7878`")
        }
        "console.metrics.listen" if !text.is_empty() && text.parse::<SocketAddr>().is_err() => {
            Err("write an address and a port, such as `127.0.0.1:9475`, or leave it empty")
        }
        "console.traces.endpoint" if !text.is_empty() && !is_receiver(text) => {
            Err("write an `https://` or `http://` address, such as `http://127.0.0.1:4318`")
        }
        "console.database" if !text.starts_with("sqlite:") && !is_postgres(text) => {
            Err("write `sqlite:///path/to/file` or `postgres://user@host/name`")
        }
        "console.url" if !text.is_empty() && !is_web(text) => {
            Err("write an `https://` or `http://` address without path, query or fragment")
        }
        "console.oidc.issuer" if !text.is_empty() && !is_safe(text) => {
            Err("write the issuer's `https://` address; `http://` only on this machine")
        }
        "console.oidc.groups" if Grant::of(text).is_none() => Err(
            "write `group=role` or `group=role:cluster,cluster`; roles are viewer, responder and admin",
        ),
        _ => notices::text(key, text),
    }
}

fn is_postgres(text: &str) -> bool {
    text.starts_with("postgres:") || text.starts_with("postgresql:")
}

fn is_receiver(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    })
}

fn is_web(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_whole_or_a_fault() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::default();
            config.oidc.issuer = "https://id.example".to_owned();
            config.oidc.client_id = "console".to_owned();
            config.oidc.groups = vec!["ops=admin".to_owned()];
            change(&mut config);
            let console = Value::try_from(config).expect("a table");
            whole(&console).len()
        };
        assert_eq!(wrong(|_| {}), 0);
        assert_eq!(wrong(|config| config.oidc.client_id.clear()), 1);
        assert_eq!(
            wrong(|config| config.oidc.scopes = vec!["profile".to_owned()]),
            1
        );
        assert_eq!(wrong(|config| config.oidc.groups.clear()), 1);
        assert_eq!(
            wrong(|config| {
                config.listen = "0.0.0.0:443".to_owned();
                config.behind_proxy = true;
            }),
            1
        );
        assert_eq!(wrong(|config| config.oidc = Oidc::default()), 0);
        for (key, value, is_good) in [
            ("console.oidc.issuer", "", true),
            ("console.oidc.issuer", "https://id.example/realms/x", true),
            ("console.oidc.issuer", "http://127.0.0.1:7000", true),
            ("console.oidc.issuer", "http://id.example", false),
            ("console.oidc.groups", "ops=admin", true),
            ("console.oidc.groups", "ops=owner", false),
            ("console.oidc.groups", "ops", false),
        ] {
            assert_eq!(text(key, value).is_ok(), is_good, "{key} {value}");
        }
    }
}

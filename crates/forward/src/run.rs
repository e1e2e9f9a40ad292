//! From configuration to destinations, each on its own way through the spool.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use davylamp_spool::{READERS_DIR, Reader, SpoolError};
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::config::{Config, TOKEN_VARIABLE};
use crate::console::Console;
use crate::dead::DeadLetters;
use crate::event::Event;
use crate::http::{Answer, ClientError};
use crate::ocsf::Ocsf;
use crate::otlp::Otlp;
use crate::otlp::metrics::Metrics;

mod carry;

mod status;

pub use status::{DestinationStatus, Status, Summary};

use carry::Carrier;
use status::Shared;

/// How often it is told how things are.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Why nothing can be delivered.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The configuration names nowhere to deliver to.
    #[error("events have nowhere to go")]
    NoDestination,
    /// The configuration names no console to work for or to send to.
    #[error("there is no console to send to")]
    NoConsole,
    /// The configuration names no spool.
    #[error("there is no spool to read")]
    NoSpool,
    /// The spool cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// There can be no client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An address cannot be used.
    #[error("{key} is not an address that can be used")]
    Address {
        /// The key of the configuration.
        key: &'static str,
    },
    /// The console's token is nowhere, or is none.
    #[error("there is no token for the console")]
    NoToken,
    /// A file that holds a secret cannot be read.
    #[error("cannot read {}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What ships cannot be read.
    #[error("the detections that ship are faulty")]
    Detections(#[from] davylamp_content::Faults),
    /// A file of headers has something else in it.
    #[error("{} line {line} is not a header", path.display())]
    Headers {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
}

impl ForwardError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoDestination => "set forward.console.url, forward.otlp.endpoint or \
                                    forward.ocsf.to, or use --output ocsf"
                .to_owned(),
            Self::NoConsole => {
                "set work.console.url, and work.console.token_file to a file with what \
                                `davy console token add NAME --cluster NAME --worker` prints"
                    .to_owned()
            }
            Self::NoSpool => "set guard.spool.dir, for the guard and for this, or forward.spool \
                              for this alone"
                .to_owned(),
            Self::Spool(error) => error.hint(),
            Self::Client(ClientError::Client(_)) => {
                "install the machine's certificates (ca-certificates), or name a file of them: \
                 forward.console.ca_file, forward.otlp.ca_file"
                    .to_owned()
            }
            Self::Client(_) => {
                "name a file of certificates in PEM form, or leave ca_file empty".to_owned()
            }
            Self::Address { .. } => "write it as https://console.example".to_owned(),
            Self::NoToken => format!(
                "put the token alone into a file and name it in forward.console.token_file, or set \
                 {TOKEN_VARIABLE} (for workers: work.console.token_file, {})",
                crate::work::config::TOKEN_VARIABLE
            ),
            Self::Secret { path, .. } => {
                format!(
                    "let the user of this process read it: ls -l {}",
                    path.display()
                )
            }
            Self::Detections(_) => "this is a bug: please report it".to_owned(),
            Self::Headers { .. } => "write a `name: value` a line".to_owned(),
        }
    }
}

/// How long it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Until it is told to stop.
    Always,
    /// Until everything that is in the spool is delivered, or a destination has not taken anything
    /// for so long.
    Once {
        /// For how long it is tried.
        within: Duration,
    },
}

/// Says `true` when it is to stop.
pub type Stop = watch::Receiver<bool>;

/// Somewhere that events go.
#[derive(Debug)]
pub(crate) enum Destination {
    Console(Console),
    Otlp(Otlp),
    Ocsf(Ocsf),
}

impl Destination {
    /// Its name, and that of its reader of the spool.
    fn name(&self) -> &'static str {
        match self {
            Self::Console(_) => "console",
            Self::Otlp(_) => "otlp",
            Self::Ocsf(_) => "ocsf",
        }
    }

    async fn deliver(&self, events: &[Event]) -> Answer {
        match self {
            Self::Console(console) => console.deliver(events).await,
            Self::Otlp(otlp) => otlp.deliver(events).await,
            Self::Ocsf(ocsf) => ocsf.deliver(events),
        }
    }
}

/// Everything that is delivered to, ready to begin.
#[derive(Debug)]
pub struct Forward {
    config: Config,
    spool: PathBuf,
    destinations: Vec<Destination>,
    metrics: Option<Metrics>,
}

impl Forward {
    /// What the configuration asks for. `node` is this machine's name.
    ///
    /// # Errors
    /// Something of it is missing or cannot be used.
    pub fn new(config: Config, node: &str) -> Result<Self, ForwardError> {
        Self::of(config, node, TOKEN_VARIABLE)
    }

    /// The same for a console alone, whose token stands in another variable.
    pub(crate) fn with_token(config: Config, variable: &'static str) -> Result<Self, ForwardError> {
        Self::of(config, "", variable)
    }

    fn of(config: Config, node: &str, variable: &'static str) -> Result<Self, ForwardError> {
        if config.spool.as_os_str().is_empty() {
            return Err(ForwardError::NoSpool);
        }
        let otlp = Otlp::new(&config.otlp)?;
        let metrics = match &otlp {
            Some(otlp) if !config.otlp.metrics_from.is_empty() => {
                let from =
                    Url::parse(&config.otlp.metrics_from).map_err(|_| ForwardError::Address {
                        key: "forward.otlp.metrics_from",
                    })?;
                Some(Metrics::new(from, otlp.clone(), node.to_owned()))
            }
            _ => None,
        };
        let mut destinations = Vec::new();
        destinations.extend(Console::new(&config.console, variable)?.map(Destination::Console));
        destinations.extend(otlp.filter(|_| config.otlp.logs).map(Destination::Otlp));
        destinations.extend(Ocsf::new(&config.ocsf.to)?.map(Destination::Ocsf));
        if destinations.is_empty() && metrics.is_none() {
            return Err(ForwardError::NoDestination);
        }
        Ok(Self {
            spool: config.spool.clone(),
            config,
            destinations,
            metrics,
        })
    }

    /// The names of the destinations.
    pub fn destinations(&self) -> Vec<&'static str> {
        let names = self.destinations.iter().map(Destination::name);
        names
            .chain(self.metrics.is_some().then_some("otlp metrics"))
            .collect()
    }

    /// Whether the spool can be read under every name, and how many bytes wait there for each;
    /// `None` for one that another process delivers to at this moment.
    ///
    /// # Errors
    /// It cannot.
    pub fn look(&self) -> Result<Vec<(&'static str, Option<u64>)>, ForwardError> {
        let wait = |destination: &Destination| {
            let name = destination.name();
            match Reader::open(&self.spool, name) {
                Ok(reader) => Ok((name, Some(reader.lag_bytes()?))),
                Err(SpoolError::Read { .. }) => Ok((name, None)),
                Err(error) => Err(error.into()),
            }
        };
        self.destinations.iter().map(wait).collect()
    }

    /// Delivers. `tell` is told every so often how things are.
    pub async fn run(self, pass: Pass, stop: Stop, tell: impl Fn(&Status)) -> Summary {
        let letters = self.spool.join(READERS_DIR);
        let shared = Arc::new(Shared::new(
            &self.spool,
            self.destinations.iter().map(Destination::name),
        ));
        let mut carriers = JoinSet::new();
        for (number, destination) in self.destinations.into_iter().enumerate() {
            let carrier = Carrier {
                letters: DeadLetters::new(
                    &letters,
                    destination.name(),
                    self.config.dead_letter_bytes,
                ),
                destination,
                spool: self.spool.clone(),
                config: self.config.clone(),
                pass,
                stop: stop.clone(),
                status: shared.of(number),
            };
            carriers.spawn(carrier.run());
        }
        let every = Duration::from_secs(self.config.otlp.metrics_secs);
        let mut metrics = self.metrics;
        let mut export = tokio::time::interval(every);
        export.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = tokio::time::interval(TELL_EVERY);
        told.tick().await;
        let mut stop = stop;
        let is_always = pass == Pass::Always;
        while is_always || !carriers.is_empty() {
            tokio::select! {
                joined = carriers.join_next(), if !carriers.is_empty() => {
                    if let Some(Err(error)) = joined {
                        tracing::error!(%error, "a destination ended; this is a bug");
                        shared.broken();
                    }
                    if carriers.is_empty() && metrics.is_none() {
                        break;
                    }
                }
                _ = export.tick(), if is_always && metrics.is_some() => {
                    if let Some(metrics) = &mut metrics {
                        export_metrics(metrics, &shared).await;
                    }
                }
                _ = told.tick() => tell(&shared.status()),
                stopped = stop.wait_for(|stop| *stop), if carriers.is_empty() => {
                    drop(stopped);
                    break;
                }
            }
        }
        // The totals as they are at the end.
        if let Some(metrics) = &mut metrics {
            export_metrics(metrics, &shared).await;
        }
        let status = shared.status();
        tell(&status);
        Summary::of(status, shared.is_broken())
    }
}

async fn export_metrics(metrics: &mut Metrics, shared: &Shared) {
    let own = shared.own_metrics();
    match metrics.export(&own).await {
        Ok(()) => shared.metrics_exported(),
        Err(why) => {
            tracing::warn!(why, "the guard's metrics were not exported");
            shared.metrics_failed(why);
        }
    }
}

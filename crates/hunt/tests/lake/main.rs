//! Logs in, rows and what is said of the reading out: through the engine, as a person would ask.

mod athena;
mod audit;
mod cases;
#[cfg(feature = "ballista-server")]
mod cluster;
mod convert;
mod delivered;
mod dns;
mod findings;
mod flow;
mod functions;
mod hostile;
mod hunting;
mod oracle;
mod others;
mod places;
mod sigma;
mod support;
mod trail;
mod workers;

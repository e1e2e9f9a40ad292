//! Carries the guard's events away: `davy forward`.
//!
//! The guard kills and speaks to nobody; it leaves its events in a spool. This reads the spool, as a
//! process without privileges, and delivers: to a console over HTTPS, to OpenTelemetry, as OCSF to a
//! file. Each destination reads at its own pace and holds up no other.
//!
//! What must stay true: an event is committed only once its destination has said that it has it, or
//! once it is in the dead letters; whichever process dies when, nothing is lost and what comes twice
//! comes under the same id; a destination that is down, slow or refuses costs nothing but time, until
//! the spool is full, and that is counted; no secret is written anywhere.
//!
//! Deliberately not here: anything the guard links, and any decision about an event.

pub mod config;

pub mod work;

mod run;

pub use run::{DestinationStatus, Forward, ForwardError, Pass, Status, Stop, Summary};

mod console;

mod otlp;

mod ocsf;

mod event;

mod http;

mod dead;

mod patience;

//! The only writes to clouds, clusters and Hubs, behind one [`Actuator`](actuator::Actuator)
//! trait; the executor that carries a plan out, its journal, undo, and the notices.
//!
//! What must stay true: nothing is changed without an [`ActToken`](davylamp_plan::gate::ActToken);
//! what was there before is in the journal before it is changed; every run ends with either its
//! effect or a notice; a run that is cut off at any point can be repeated.

pub mod config;

pub mod actuator;

pub mod aws;

pub mod kubernetes;

pub mod hub;

pub mod portal;

pub mod journal;

pub mod clock;

pub mod stop;

pub mod executor;

pub mod undo;

pub mod coalesce;

pub mod recordings;
pub mod responder;

pub mod collecting;

pub mod library;

pub mod planning;

pub mod notice;

pub mod tell;

pub mod source;

pub mod wire;

pub mod permissions;

pub mod deploy;

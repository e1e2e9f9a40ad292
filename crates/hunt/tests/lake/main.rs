//! Logs in, rows and what is said of the reading out: through the engine, as a person would ask.

mod audit;
mod dns;
mod findings;
mod flow;
mod functions;
mod hostile;
mod others;
mod places;
mod support;
mod trail;

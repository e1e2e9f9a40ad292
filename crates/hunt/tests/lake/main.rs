//! Logs in, rows and what is said of the reading out: through the engine, as a person would ask.

mod cases;
mod flow;
mod functions;
mod hostile;
mod hunting;
mod oracle;
mod places;
mod support;
mod trail;

//! The function's own program, run as Lambda runs it: events by the runtime API, AWS by moto behind
//! the fault proxy.

mod answers;
mod refusals;
mod stage;

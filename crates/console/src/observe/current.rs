//! What is known of the request that is being answered, wherever in answering it one is.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::trace::{Context, Kind, Span, Tracer};

/// A request that is being answered.
#[derive(Debug, Default)]
pub(super) struct Current {
    /// Who made it: a person or a token, by name.
    pub who: OnceLock<String>,
    /// Where its span is in which trace, where it is told of.
    pub trace: Option<(Tracer, Context)>,
}

tokio::task_local! {
    pub(super) static CURRENT: Arc<Current>;
}

/// Notes who makes the request that is being answered, for its line of the log.
pub(crate) fn is_by(name: &str) {
    let _ = CURRENT.try_with(|current| current.who.set(name.to_owned()));
}

/// A part of the request that is being answered: it lasts until it is dropped.
pub(crate) fn span(name: &'static str) -> Option<Span> {
    let current = CURRENT.try_with(Arc::clone).ok()?;
    let (tracer, parent) = current.trace.as_ref()?;
    tracer.within(Cow::Borrowed(name), Kind::Internal, parent)
}

/// The same work as part of the request that is being answered, on another thread.
pub(crate) fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let current = CURRENT.try_with(Arc::clone).ok();
    move || match current {
        Some(current) => CURRENT.sync_scope(current, work),
        None => work(),
    }
}

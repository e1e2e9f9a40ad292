//! What every request is answered from.

use std::sync::Arc;

use davylamp_ledger::Ledger;
use jiff::Timestamp;

use crate::access::{Attempts, Oidc};
use crate::chores::Book;
use crate::config::Config;
use crate::ingest::Gate;
use crate::live::Live;
use crate::notices::Notices;
use crate::observe::Observe;
use crate::page::Audits;
use crate::store::Store;

/// What every request is answered from.
#[derive(Debug, Clone)]
pub(crate) struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    store: Store,
    live: Live,
    notices: Notices,
    book: Book,
    observe: Observe,
    attempts: Attempts,
    gate: Gate,
    audits: Audits,
    oidc: Option<Oidc>,
    config: Config,
    /// The address by which people reach it.
    url: String,
    /// Whether browsers come by TLS, to us or to the proxy before us.
    is_secure: bool,
}

/// What a site is made of, beside its configuration.
#[derive(Debug)]
pub(crate) struct Parts {
    pub ledger: Ledger,
    pub store: Store,
    pub live: Live,
    pub notices: Notices,
    pub book: Book,
    pub observe: Observe,
    pub oidc: Option<Oidc>,
}

impl Site {
    pub(crate) fn new(parts: Parts, config: Config, url: String) -> Self {
        let is_secure = config.has_tls() || config.behind_proxy;
        let gate = Gate::new(&config);
        let Parts {
            ledger,
            store,
            live,
            notices,
            book,
            observe,
            oidc,
        } = parts;
        Self(Arc::new(Inner {
            ledger,
            store,
            live,
            notices,
            book,
            observe,
            attempts: Attempts::default(),
            gate,
            audits: Audits::default(),
            oidc,
            config,
            url,
            is_secure,
        }))
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    /// What is done once a day.
    pub(crate) fn book(&self) -> &Book {
        &self.0.book
    }

    /// What measures.
    pub(crate) fn observe(&self) -> &Observe {
        &self.0.observe
    }

    pub(crate) fn notices(&self) -> &Notices {
        &self.0.notices
    }

    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Audits that were read already.
    pub(crate) fn audits(&self) -> &Audits {
        &self.0.audits
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    /// The provider by which people may sign in.
    pub(crate) fn oidc(&self) -> Option<&Oidc> {
        self.0.oidc.as_ref()
    }

    /// The address by which people reach it, without a slash at its end.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.0.is_secure
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

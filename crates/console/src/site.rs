//! What every request is answered from.

use std::sync::Arc;

use davylamp_ledger::Ledger;
use jiff::Timestamp;

use crate::access::Attempts;
use crate::config::Config;
use crate::ingest::Gate;
use crate::live::Live;
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
    attempts: Attempts,
    gate: Gate,
    audits: Audits,
    config: Config,
    /// Whether browsers come by TLS, to us or to the proxy before us.
    is_secure: bool,
}

impl Site {
    pub(crate) fn new(
        ledger: Ledger,
        store: Store,
        live: Live,
        config: Config,
        is_secure: bool,
    ) -> Self {
        let gate = Gate::new(&config);
        Self(Arc::new(Inner {
            ledger,
            store,
            live,
            attempts: Attempts::default(),
            gate,
            audits: Audits::default(),
            config,
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

    pub(crate) fn is_secure(&self) -> bool {
        self.0.is_secure
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

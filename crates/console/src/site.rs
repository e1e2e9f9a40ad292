//! What every request is answered from.

use std::sync::Arc;

use davylamp_ledger::Ledger;
use jiff::Timestamp;

use crate::access::{Attempts, Oidc};
use crate::config::Config;
use crate::ingest::Gate;
use crate::live::Live;
use crate::notices::Notices;
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

impl Site {
    pub(crate) fn new(
        ledger: Ledger,
        store: Store,
        live: Live,
        notices: Notices,
        oidc: Option<Oidc>,
        config: Config,
        url: String,
    ) -> Self {
        let is_secure = config.has_tls() || config.behind_proxy;
        let gate = Gate::new(&config);
        Self(Arc::new(Inner {
            ledger,
            store,
            live,
            notices,
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

//! Indicators and wallets.

use std::sync::Arc;

use datafusion::common::exec_err;
use davylamp_detect::indicator::Indicators;
use davylamp_detect::wallet::Wallet;

use super::Function;
use super::scalar::{of_text, of_two_texts};

/// The one set of indicators that there is.
const POOL: &str = "pool";

pub(super) fn all(indicators: &Arc<Indicators>) -> Vec<Function> {
    let indicators = Arc::clone(indicators);
    vec![
        Function {
            usage: "indicator('pool', value)",
            about: "the known pool that a name, an address, address:port or port belongs to",
            udf: of_two_texts("indicator", move |set, value| match set {
                POOL => Ok(indicators.text(value).map(|found| found.id.to_string())),
                other => {
                    exec_err!("there are no indicators of the kind `{other}`; there is `{POOL}`")
                }
            }),
        },
        Function {
            usage: "wallet_kind(text)",
            about: "the coin whose wallet addresses have this shape: a sign, not a proof",
            udf: of_text("wallet_kind", |text| {
                Wallet::of(text).map(|wallet| wallet.name().to_owned())
            }),
        },
    ]
}

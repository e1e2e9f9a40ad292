//! The detections that ship with Davylamp.

use super::{Parsed, parse};
use crate::problem::Faults;
use crate::source::Source;

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("content/detections/", $name, ".toml"),
            include_str!(concat!("../../../../content/detections/", $name, ".toml")),
        )),*]
    };
}

/// The files that ship: the name shown for each, and its text.
pub const SHIPPED: &[(&str, &str)] = shipped![
    "anonymous-code",
    "banned-address",
    "directed-rounding",
    "encrypted-dns",
    "gpu-without-framework",
    "huge-pages",
    "many-destinations",
    "fileless-program",
    "miner-file",
    "miner-file-name",
    "miner-options",
    "miner-program",
    "mining-algorithm",
    "mining-algorithm-alone",
    "mining-module",
    "packed-file",
    "pool-address",
    "pool-domain",
    "pool-handshake-hidden",
    "pool-login",
    "pool-name",
    "pool-protocol",
    "pool-protocol-text",
    "pool-url",
    "randomx-rounding",
    "server-login",
    "steady-use",
    "test-string",
    "thin-flow",
    "thin-flow-without-name",
    "wallet-address",
];

/// The detections that ship.
///
/// # Errors
/// Every fault of every file; a test keeps them without one.
pub fn shipped() -> Result<Vec<Parsed>, Faults> {
    let mut parsed = Vec::new();
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    for (name, text) in SHIPPED {
        match parse(Source { name, text }) {
            Ok(one) => parsed.push(one),
            Err(wrong) => {
                faults.extend(wrong.faults().iter().cloned());
                warnings.extend(wrong.warnings().iter().cloned());
            }
        }
    }
    if faults.is_empty() {
        Ok(parsed)
    } else {
        Err(Faults::new(faults, warnings))
    }
}

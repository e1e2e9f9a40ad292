//! The hunts that ship with Davylamp.

use super::{Parsed, Sources, parse};
use crate::problem::Faults;
use crate::source::Source;

/// A hunt that ships: its name and its three texts.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// `hunt.toml`.
    pub hunt: &'static str,
    /// `query.sql`.
    pub query: &'static str,
    /// `cases.toml`.
    pub cases: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            hunt: include_str!(concat!("../../../../content/hunts/", $name, "/hunt.toml")),
            query: include_str!(concat!("../../../../content/hunts/", $name, "/query.sql")),
            cases: include_str!(concat!("../../../../content/hunts/", $name, "/cases.toml")),
        }),*]
    };
}

/// The hunts that ship with Davylamp, with their texts.
pub const SHIPPED: &[Shipped] = shipped![
    "flow-top-talkers",
    "flow-thin-periodic",
    "flow-pool-indicator",
    "flow-many-hosts-one-destination",
    "flow-mining-port",
    "dns-pool-name",
    "dns-pool-failover",
    "dns-tunnelling",
    "guardduty-mining",
    "guardduty-unhandled",
    "trail-admin-policy",
    "trail-console-without-mfa",
    "trail-container-abuse",
    "trail-instance-burst",
    "trail-instance-credentials-elsewhere",
    "trail-key-for-another",
    "trail-key-new-place",
    "trail-new-large-type",
    "trail-probe-before-burst",
    "trail-public-instance",
    "trail-sensor-stopped",
    "trail-termination-protection",
    "trail-unused-region",
    "eks-anonymous-access",
    "eks-exec-into-pod",
    "eks-odd-daemonset",
    "eks-privileged-workload",
    "guard-near-misses",
    "guard-would-kill",
    "cost-by-type-and-region",
];

impl Shipped {
    /// The paths of its texts, as errors show them: hunt, query, cases.
    pub fn paths(&self) -> [String; 3] {
        ["hunt.toml", "query.sql", "cases.toml"]
            .map(|file| format!("content/hunts/{}/{file}", self.name))
    }

    /// Reads it.
    ///
    /// # Errors
    /// None: that it is read without a fault is tested. It is said all the same, so that a caller
    /// reads the shipped ones as it reads those of the operator.
    pub fn parse(&self) -> Result<Parsed, Faults> {
        let [hunt, query, cases] = self.paths();
        let source = |name, text| Source { name, text };
        parse(Sources {
            hunt: source(&hunt, self.hunt),
            query: source(&query, self.query),
            cases: source(&cases, self.cases),
        })
    }
}

/// The hunts that ship, in their order.
///
/// # Errors
/// Every fault of every hunt; none in a tested build.
pub fn shipped() -> Result<Vec<Parsed>, Faults> {
    let (mut parsed, mut faults, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for hunt in SHIPPED {
        match hunt.parse() {
            Ok(read) => parsed.push(read),
            Err(refused) => {
                faults.extend(refused.faults().iter().cloned());
                warnings.extend(refused.warnings().iter().cloned());
            }
        }
    }
    if faults.is_empty() {
        Ok(parsed)
    } else {
        Err(Faults::new(faults, warnings))
    }
}

//! What a price depends on beside the type and the region: operating system and market.
//!
//! Names of AWS, and what they stand for: platform details and operations,
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-info-fields.html>.

use serde::{Deserialize, Serialize};

/// An operating system, as far as it makes a price.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// Linux without a licence to pay.
    Linux,
    /// Red Hat Enterprise Linux.
    Rhel,
    /// The same with high availability.
    RhelHa,
    /// SUSE Linux Enterprise.
    Suse,
    /// Ubuntu Pro.
    UbuntuPro,
    /// Windows, its licence paid to AWS.
    Windows,
    /// Anything but Windows: a start's record names Windows, and no other system.
    NotWindows,
    /// Something else with a licence, such as SQL Server.
    Other,
    /// Nobody can say.
    #[default]
    Unknown,
}

/// How an instance is bought.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// At the list price.
    OnDemand,
    /// As spot capacity.
    Spot,
    /// Nobody can say.
    #[default]
    Unknown,
}

impl System {
    /// Those that a table can have a price for.
    pub const PRICED: [Self; 6] = [
        Self::Linux,
        Self::Rhel,
        Self::RhelHa,
        Self::Suse,
        Self::UbuntuPro,
        Self::Windows,
    ];

    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Rhel => "rhel",
            Self::RhelHa => "rhel-ha",
            Self::Suse => "suse",
            Self::UbuntuPro => "ubuntu-pro",
            Self::Windows => "windows",
            Self::NotWindows => "not-windows",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }

    /// Its name in a sentence.
    pub fn said(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Rhel => "Red Hat Enterprise Linux",
            Self::RhelHa => "Red Hat Enterprise Linux with high availability",
            Self::Suse => "SUSE Linux",
            Self::UbuntuPro => "Ubuntu Pro",
            Self::Windows => "Windows",
            Self::NotWindows => "a system other than Windows",
            Self::Other => "a system with licences of its own",
            Self::Unknown => "an unknown system",
        }
    }

    /// The one of a table with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::PRICED
            .into_iter()
            .find(|system| system.as_str() == name)
    }

    /// By the attribute `operatingSystem` of a price list.
    pub fn of_offer(name: &str) -> Option<Self> {
        Some(match name {
            "Linux" => Self::Linux,
            "RHEL" => Self::Rhel,
            "Red Hat Enterprise Linux with HA" => Self::RhelHa,
            "SUSE" => Self::Suse,
            "Ubuntu Pro" => Self::UbuntuPro,
            "Windows" => Self::Windows,
            _ => return None,
        })
    }

    /// By the platform details of an instance or image, or the product description of a spot price,
    /// which may end in `(Amazon VPC)`.
    pub fn of_platform(details: &str) -> Self {
        let details = details.trim().trim_end_matches("(Amazon VPC)").trim_end();
        match details {
            // With a licence of one's own the price is that of the hardware.
            "Linux/UNIX" | "Red Hat BYOL Linux" => Self::Linux,
            "Red Hat Enterprise Linux" => Self::Rhel,
            "Red Hat Enterprise Linux with HA" => Self::RhelHa,
            "SUSE Linux" => Self::Suse,
            "Ubuntu Pro" => Self::UbuntuPro,
            "Windows" => Self::Windows,
            "" => Self::Unknown,
            _ => Self::Other,
        }
    }

    /// By the operation of a bill's line, such as `RunInstances:0002`; a spot instance's ends in
    /// `:SV` and a number.
    pub fn of_operation(operation: &str) -> Self {
        let Some(codes) = operation.strip_prefix("RunInstances") else {
            return Self::Unknown;
        };
        let mut codes = codes
            .split(':')
            .filter(|code| !code.is_empty() && !code.starts_with("SV"));
        match codes.next() {
            None | Some("00g0") => Self::Linux,
            Some("0010") => Self::Rhel,
            Some("1010") => Self::RhelHa,
            Some("000g") => Self::Suse,
            Some("0g00") => Self::UbuntuPro,
            Some("0002") => Self::Windows,
            Some(_) => Self::Other,
        }
    }
}

impl Market {
    /// Its name, as in its stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
            Self::Unknown => "unknown",
        }
    }

    /// The one of a table with that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::OnDemand, Self::Spot]
            .into_iter()
            .find(|market| market.as_str() == name)
    }
}

/// The region of an availability zone, such as `us-east-1` of `us-east-1a`, or of a local zone.
pub fn region_of_zone(zone: &str) -> Option<&str> {
    let mut end = 0;
    for part in zone.split('-') {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            return (end > 0).then(|| &zone[..end + digits]);
        }
        end += part.len() + 1;
    }
    None
}

//! A line of a report, and what its words mean
//! (<https://docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html>).

use davylamp_content::prices::kind::{Market, region_of_zone};
use davylamp_model::ids::is_region;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The columns that matter, by their names without signs, in small letters: `lineItem/ResourceId` and
/// `line_item_resource_id` are the same.
pub(super) const COLUMNS: [&str; 13] = [
    "lineitemresourceid",
    "lineitemusagestartdate",
    "lineitemunblendedcost",
    "lineitemlineitemtype",
    "lineitemusagetype",
    "lineitemoperation",
    "lineitemusageamount",
    "lineitemusageenddate",
    "lineitemcurrencycode",
    "lineitemavailabilityzone",
    "productregion",
    "productregioncode",
    "productinstancetype",
];

/// Those without which a report tells nothing, as AWS writes them.
pub(super) const NEEDED: [&str; 6] = [
    "lineItem/ResourceId",
    "lineItem/UsageStartDate",
    "lineItem/UnblendedCost",
    "lineItem/LineItemType",
    "lineItem/UsageType",
    "lineItem/Operation",
];

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Usage that is paid for.
    Usage,
    /// Usage that a reservation or a savings plan pays for.
    Covered,
    /// What a savings plan takes off again.
    Negation,
    /// A discount.
    Discount,
    /// A credit.
    Credit,
    /// Money given back.
    Refund,
    /// A tax.
    Tax,
    /// A fee for a reservation, a plan or a subscription.
    Fee,
    /// Something else.
    Other,
}

impl Class {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Covered => "covered usage",
            Self::Negation => "savings plan negation",
            Self::Discount => "discounts",
            Self::Credit => "credits",
            Self::Refund => "refunds",
            Self::Tax => "taxes",
            Self::Fee => "fees",
            Self::Other => "other lines",
        }
    }

    /// Whether it is no usage.
    pub fn is_apart(self) -> bool {
        !matches!(self, Self::Usage | Self::Covered | Self::Negation)
    }

    /// By `lineItem/LineItemType`.
    fn of(kind: &str) -> Self {
        match kind {
            "Usage" => Self::Usage,
            "DiscountedUsage" | "SavingsPlanCoveredUsage" => Self::Covered,
            "SavingsPlanNegation" => Self::Negation,
            "Credit" => Self::Credit,
            "Refund" => Self::Refund,
            "Tax" => Self::Tax,
            "Fee" | "RIFee" | "SavingsPlanRecurringFee" | "SavingsPlanUpfrontFee" => Self::Fee,
            kind if kind.ends_with("Discount") => Self::Discount,
            _ => Self::Other,
        }
    }
}

/// A line of a report.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row<'a> {
    pub resource: &'a str,
    pub start: &'a str,
    pub end: &'a str,
    pub cost: &'a str,
    pub kind: &'a str,
    pub usage_type: &'a str,
    pub operation: &'a str,
    pub amount: &'a str,
    pub currency: &'a str,
    zone: &'a str,
    regions: [&'a str; 2],
    instance_type: &'a str,
}

impl<'a> Row<'a> {
    /// A line by its values in the order of [`COLUMNS`].
    pub fn new(cell: impl Fn(usize) -> &'a str) -> Self {
        Self {
            resource: cell(0),
            start: cell(1),
            cost: cell(2),
            kind: cell(3),
            usage_type: cell(4),
            operation: cell(5),
            amount: cell(6),
            end: cell(7),
            currency: cell(8),
            zone: cell(9),
            regions: [cell(11), cell(10)],
            instance_type: cell(12),
        }
    }

    pub fn class(&self) -> Class {
        Class::of(self.kind)
    }

    /// When its usage began.
    pub fn from(&self) -> Option<Timestamp> {
        moment(self.start)
    }

    /// When it ended.
    pub fn to(&self) -> Option<Timestamp> {
        moment(self.end)
    }

    /// What is used, without the region before it and what of it after it:
    /// `BoxUsage` of `EUW1-BoxUsage:c4.8xlarge`.
    fn used(&self) -> &'a str {
        let name = self.usage_type.split(':').next().unwrap_or_default();
        name.rsplit('-').next().unwrap_or(name)
    }

    /// Whether it is the hours of an instance.
    pub fn is_hours(&self) -> bool {
        self.operation.starts_with("RunInstances")
            && matches!(
                self.used(),
                "BoxUsage"
                    | "SpotUsage"
                    | "DedicatedUsage"
                    | "HeavyUsage"
                    | "HostBoxUsage"
                    | "UnusedBox"
            )
    }

    pub fn market(&self) -> Market {
        match self.used() {
            "SpotUsage" => Market::Spot,
            "BoxUsage" | "DedicatedUsage" | "HeavyUsage" | "HostBoxUsage" => Market::OnDemand,
            _ => Market::Unknown,
        }
    }

    pub fn instance_type(&self) -> Option<String> {
        let of_usage = self.usage_type.split_once(':').map(|(_, name)| name);
        let name = match self.instance_type {
            "" => of_usage?,
            name => name,
        };
        Some(name.to_owned())
    }

    pub fn region(&self) -> Option<String> {
        let regions = self.regions.iter().find(|region| is_region(region));
        let region = regions.copied().or_else(|| region_of_zone(self.zone))?;
        Some(region.to_owned())
    }
}

/// A name of a column without signs, in small letters.
pub(super) fn simple(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// A moment as reports write it, with or without its zone, which is UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

//! What an hour of an instance costs, by all tables there are: those somebody brought, and the one
//! that ships.
//!
//! What must stay true: a price that stands in for another says so, and that the real one may lie
//! outside; a price that is not known is never zero. Deliberately not here: how Windows, spot and
//! other regions relate to the prices that ship, which no table of ours says.

use super::kind::{Market, System};
use super::sheet::{Rate, Sheet};
use super::{PriceTable, SHIPPED_PRICES_REGION, shipped};

/// What is said of the table that ships.
pub const SHIPPED_SOURCE: &str = "us-east-1, on-demand, 2026-07-20: Linux, shared tenancy, from \
    aws/karpenter-provider-aws and kubernetes/autoscaler (Apache-2.0)";

/// Spot costs up to 90 percent less than the price on demand (<https://aws.amazon.com/ec2/spot/>).
const SPOT_LEAST_DIVISOR: u64 = 10;

/// Tables of prices.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Those that were brought, the youngest first.
    sheets: Vec<Sheet>,
    shipped: Option<&'static PriceTable>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The instance type.
    pub instance_type: &'a str,
    /// The region; nothing where it is not known.
    pub region: Option<&'a str>,
    /// The market.
    pub market: Market,
    /// The operating system.
    pub system: System,
}

/// What an hour costs, in millionths of a dollar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The least, the best guess and the most.
    pub rate: Rate,
    /// Whether the real price may lie outside, since one that is known stands in for it.
    pub is_open: bool,
    /// What it rests on, as a clause.
    pub basis: String,
    /// The tables it comes from.
    pub sources: Vec<String>,
}

/// A price of a table, and which table.
struct Found<'a> {
    rate: Rate,
    source: String,
    region: &'a str,
}

impl Book {
    /// The table that ships alone.
    pub fn of_shipped() -> Self {
        Self::new(Vec::new())
    }

    /// Tables that were brought, beside the one that ships: where two have a price for the same thing,
    /// that of the younger counts, and the one that ships comes last.
    pub fn new(mut sheets: Vec<Sheet>) -> Self {
        sheets.sort_by(|one, other| {
            let key = |sheet: &Sheet| (sheet.date, sheet.source.clone());
            key(other).cmp(&key(one))
        });
        Self {
            sheets,
            // A faulty one is a bug that a test finds; its prices are unknown then.
            shipped: shipped().ok(),
        }
    }

    /// The tables that were brought, the youngest first.
    pub fn sheets(&self) -> &[Sheet] {
        &self.sheets
    }

    /// Every price of a type that a table has: region, market, system, price and table.
    pub fn of_type(&self, instance_type: &str) -> Vec<(String, Market, System, Rate, String)> {
        let mut found: Vec<(String, Market, System, Rate, String)> = Vec::new();
        for sheet in &self.sheets {
            for system in System::PRICED {
                let key = (instance_type.to_owned(), system);
                if let Some(rate) = sheet.rates.get(&key) {
                    let (region, source) = (sheet.region.clone(), sheet.about());
                    found.push((region, sheet.market, system, *rate, source));
                }
            }
        }
        if let Some(rate) = self.shipped_rate(instance_type) {
            let region = SHIPPED_PRICES_REGION.to_owned();
            let source = SHIPPED_SOURCE.to_owned();
            found.push((region, Market::OnDemand, System::Linux, rate, source));
        }
        // The first of a kind is the one that counts.
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|(region, market, system, ..)| {
            seen.insert((region.clone(), market.as_str(), *system))
        });
        found.sort_by(|one, other| {
            (&one.0, one.1.as_str(), one.2).cmp(&(&other.0, other.1.as_str(), other.2))
        });
        found
    }

    /// What an hour costs.
    ///
    /// # Errors
    /// Why no price is known, as a clause.
    pub fn quote(&self, asked: Asked<'_>) -> Result<Quote, String> {
        match asked.market {
            Market::OnDemand => self.on_demand(asked),
            Market::Spot => self.spot(asked),
            Market::Unknown => {
                let listed = self.on_demand(asked)?;
                let spot = self.spot(asked)?;
                let mut sources = listed.sources;
                sources.extend(spot.sources);
                sources.dedup();
                Ok(Quote {
                    rate: Rate {
                        low: spot.rate.low.min(listed.rate.low),
                        ..listed.rate
                    },
                    is_open: listed.is_open || spot.is_open,
                    basis: format!("{}; at least what spot costs: {}", listed.basis, spot.basis),
                    sources,
                })
            }
        }
    }

    fn on_demand(&self, asked: Asked<'_>) -> Result<Quote, String> {
        let Asked {
            instance_type,
            region,
            system,
            ..
        } = asked;
        let here = region.unwrap_or(SHIPPED_PRICES_REGION);
        let stands_in =
            (here != SHIPPED_PRICES_REGION || region.is_none()).then_some(SHIPPED_PRICES_REGION);
        let places = [Some(here), stands_in.filter(|it| *it != here)];
        for place in places.into_iter().flatten() {
            let exact = System::PRICED
                .contains(&system)
                .then(|| self.find(instance_type, place, Market::OnDemand, system))
                .flatten();
            let found = exact.map(|found| (found, true)).or_else(|| {
                let linux = self.find(instance_type, place, Market::OnDemand, System::Linux);
                linux.map(|found| (found, false))
            });
            let Some((found, is_exact)) = found else {
                continue;
            };
            let mut quote = match is_exact {
                true => Quote {
                    rate: found.rate,
                    is_open: false,
                    basis: format!("the on-demand price of {}", system.said()),
                    sources: vec![found.source],
                },
                false => self.of_linux(instance_type, place, system, found),
            };
            quote.basis = format!("{} in {place}", quote.basis);
            if region != Some(place) {
                quote.is_open = true;
                let instead = match region {
                    Some(region) => format!("; that of {region} is in no table"),
                    None => "; its region is not known".to_owned(),
                };
                quote.basis.push_str(&instead);
            }
            return Ok(quote);
        }
        Err(format!("no table has a price of {}", shown(instance_type)))
    }

    /// What is made of the price of Linux, where the system is another or not known.
    fn of_linux(
        &self,
        instance_type: &str,
        region: &str,
        system: System,
        linux: Found<'_>,
    ) -> Quote {
        let mut quote = Quote {
            rate: linux.rate,
            is_open: true,
            basis: String::new(),
            sources: vec![linux.source],
        };
        let others: &[System] = match system {
            System::NotWindows => &[
                System::Rhel,
                System::RhelHa,
                System::Suse,
                System::UbuntuPro,
            ],
            System::Unknown => &System::PRICED[1..],
            _ => &[],
        };
        let known: Vec<Found<'_>> = others
            .iter()
            .filter_map(|other| self.find(instance_type, region, Market::OnDemand, *other))
            .collect();
        quote.basis = match (others.is_empty(), known.is_empty()) {
            (true, _) => format!(
                "at least the on-demand price of Linux, to which the licence of {} is added,",
                system.said()
            ),
            (false, true) => format!(
                "the on-demand price of Linux for {}, whose licence may be added,",
                system.said()
            ),
            (false, false) => format!(
                "the on-demand price of Linux for {}, up to that of the dearest,",
                system.said()
            ),
        };
        // Whatever runs costs no more than the dearest system there is a price for, if the dearest
        // is there: Windows, where it may be Windows.
        let has_dearest = match system {
            System::Unknown => self
                .find(instance_type, region, Market::OnDemand, System::Windows)
                .is_some(),
            _ => !known.is_empty(),
        };
        for other in known {
            quote.rate.high = quote.rate.high.max(other.rate.high);
            quote.is_open = !has_dearest;
            if !quote.sources.contains(&other.source) {
                quote.sources.push(other.source);
            }
        }
        quote
    }

    fn spot(&self, asked: Asked<'_>) -> Result<Quote, String> {
        let system = match asked.system {
            system if System::PRICED.contains(&system) => system,
            _ => System::Linux,
        };
        let found = asked
            .region
            .and_then(|region| self.find(asked.instance_type, region, Market::Spot, system));
        if let Some(found) = found {
            let stands_in = match system == asked.system {
                true => String::new(),
                false => format!(", for {}", asked.system.said()),
            };
            return Ok(Quote {
                rate: found.rate,
                is_open: system != asked.system,
                basis: format!(
                    "spot prices of {} in {}{stands_in}",
                    system.said(),
                    found.region
                ),
                sources: vec![found.source],
            });
        }
        let listed = self.on_demand(asked)?;
        let low = (listed.rate.low / SPOT_LEAST_DIVISOR).max(1);
        let high = listed.rate.high;
        Ok(Quote {
            rate: Rate {
                low,
                usual: low.midpoint(listed.rate.usual),
                high,
            },
            basis: format!(
                "no table has its spot price: between a tenth of the on-demand price, the least AWS \
                 names, and all of it, and half-way for a guess; {}",
                listed.basis
            ),
            ..listed
        })
    }

    fn find<'a>(
        &self,
        instance_type: &str,
        region: &'a str,
        market: Market,
        system: System,
    ) -> Option<Found<'a>> {
        let key = (instance_type.to_owned(), system);
        let brought = self
            .sheets
            .iter()
            .filter(|sheet| sheet.region == region && sheet.market == market)
            .find_map(|sheet| Some((sheet.rates.get(&key)?, sheet)));
        if let Some((rate, sheet)) = brought {
            return Some(Found {
                rate: *rate,
                source: sheet.about(),
                region,
            });
        }
        let is_shipped = region == SHIPPED_PRICES_REGION
            && market == Market::OnDemand
            && system == System::Linux;
        let rate = is_shipped.then(|| self.shipped_rate(instance_type))??;
        Some(Found {
            rate,
            source: SHIPPED_SOURCE.to_owned(),
            region,
        })
    }

    fn shipped_rate(&self, instance_type: &str) -> Option<Rate> {
        let machine = self.shipped?.machine(instance_type)?;
        machine.micros_per_hour.map(Rate::fixed)
    }
}

/// A type comes from records that may say anything.
fn shown(instance_type: &str) -> String {
    match super::sheet::is_type(instance_type) {
        true => instance_type.to_owned(),
        false => "a type of no known shape".to_owned(),
    }
}

//! What AWS publishes of prices, to tables: the price lists of EC2 and of ECS
//! (<https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html>)
//! as JSON or CSV, and spot price histories as `aws ec2 describe-spot-price-history` prints them.
//!
//! What must stay true: memory grows with what is kept, never with the file, which has gigabytes;
//! what is left out is counted by its reason; a file that breaks off gives nothing. Deliberately not
//! here: files, the network.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use jiff::Timestamp;

use super::kind::{Market, System, region_of_zone};
use super::sheet::{FARGATE_GB, FARGATE_VCPU, Rate, Sheet, is_type};

mod guard;
mod json;
mod rows;

/// The services whose prices are tables: instances, and containers without one (Fargate).
const SERVICES: [&str; 2] = ["AmazonEC2", "AmazonECS"];

/// The currency of tables.
const CURRENCY: &str = "USD";

/// What is said of the terms of these facts.
const LICENCE: &str = "facts published by AWS, under the terms of its price list";

/// Digits after the point of a published price, at most.
const MAX_FRACTION_DIGITS: usize = 18;

/// Why a file gives no tables.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// It cannot be read.
    #[error("it could not be read to its end")]
    Unread(#[from] io::Error),
    /// It is not whole JSON, or not of the known form.
    #[error("it is not a whole price list or spot price history")]
    Broken(#[from] serde_json::Error),
    /// It is something else.
    #[error("it is neither a price list of AWS nor a spot price history")]
    Neither,
    /// The line of names lacks a column.
    #[error("its line of names has no column {0}")]
    NoColumn(&'static str),
    /// It is of another service.
    #[error("it is the price list of {0}, and only those of AmazonEC2 and AmazonECS are read")]
    OtherService(String),
    /// Prices come before the products they are of.
    #[error("its terms come before its products, as in no price list of AWS")]
    TermsFirst,
    /// Its prices are in another currency.
    #[error("its prices are in {0}, and costs are reckoned in US dollars")]
    OtherCurrency(String),
    /// A price is none.
    #[error("the price of {of} is {price:?}, which is none")]
    NoPrice {
        /// The product's number, or the type.
        of: String,
        /// What stands there.
        price: String,
    },
    /// It does not say when it was published.
    #[error("it does not say when it was published")]
    NoDate,
    /// Nothing of it is kept.
    #[error("it has no price an hour of a plain instance, nor of Fargate")]
    Nothing,
}

/// What a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its tables, by region.
    pub sheets: Vec<Sheet>,
    /// Prices that are kept.
    pub kept: u64,
    /// What is left out, by its reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// Reads a price list or a spot price history.
///
/// # Errors
/// It is neither, breaks off, or has nothing that is kept; nothing of it is to be used then.
pub fn read(mut from: impl BufRead) -> Result<Offer, OfferError> {
    let start = from.fill_buf()?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => json::read(from),
        Some(b'"' | b'F' | b'f') => rows::read(from),
        _ => Err(OfferError::Neither),
    }
}

/// What is kept of a file while it is read.
#[derive(Default)]
struct Gathered {
    service: String,
    version: String,
    published: String,
    /// On-demand prices by region.
    on_demand: BTreeMap<String, BTreeMap<(String, System), u64>>,
    /// Spot prices by region.
    spot: BTreeMap<String, BTreeMap<(String, System), Listed>>,
    /// The first and the last moment of spot prices.
    span: Option<(Timestamp, Timestamp)>,
    currencies: BTreeSet<String>,
    left_out: BTreeMap<&'static str, u64>,
}

/// The spot prices that were listed of one thing.
#[derive(Clone, Copy)]
struct Listed {
    low: u64,
    high: u64,
    sum: u128,
    count: u64,
}

/// A product, as far as it matters.
#[derive(Default)]
struct Product<'a> {
    family: &'a str,
    instance_type: &'a str,
    region: &'a str,
    place: &'a str,
    system: &'a str,
    tenancy: &'a str,
    capacity: &'a str,
    software: &'a str,
    licence: &'a str,
    market: &'a str,
    usage: &'a str,
}

/// What a kept product is.
type Kept = (String, String, System);

impl Product<'_> {
    /// The region, type and system of a product that is kept, or why it is left out.
    fn kept(&self) -> Result<Kept, &'static str> {
        if let Some(part) = self.fargate() {
            return match davylamp_model::ids::is_region(self.region) {
                true => Ok((self.region.to_owned(), part.to_owned(), System::Linux)),
                false => Err("without the code of a region"),
            };
        }
        if !self.family.starts_with("Compute Instance") {
            return Err("no instance: storage, traffic, addresses and the like");
        }
        if self.tenancy != "Shared" {
            return Err("on hardware of one's own");
        }
        if self.capacity != "Used" {
            return Err("reserved or unused capacity");
        }
        if !matches!(self.software, "NA" | "") {
            return Err("with software such as SQL Server");
        }
        if self.licence.eq_ignore_ascii_case("Bring your own license") {
            return Err("with a licence of one's own");
        }
        if !matches!(self.market, "OnDemand" | "") {
            return Err("of another market, such as capacity blocks");
        }
        if !matches!(self.place, "AWS Region" | "") {
            return Err("in local and wavelength zones");
        }
        if !davylamp_model::ids::is_region(self.region) {
            return Err("without the code of a region");
        }
        if !is_type(self.instance_type) {
            return Err("without the name of a type");
        }
        let system = System::of_offer(self.system).ok_or("of a system that is not known")?;
        Ok((
            self.region.to_owned(),
            self.instance_type.to_owned(),
            system,
        ))
    }
}

impl Product<'_> {
    /// What of a container a product is, on Linux and x86: the others are named between.
    fn fargate(&self) -> Option<&'static str> {
        match self.usage {
            usage if usage.ends_with("Fargate-vCPU-Hours:perCPU") => Some(FARGATE_VCPU),
            usage if usage.ends_with("Fargate-GB-Hours") => Some(FARGATE_GB),
            _ => None,
        }
    }
}

/// Whether a price is one of an hour.
fn is_hourly(unit: &str) -> bool {
    matches!(unit, "Hrs" | "Hours" | "hours")
}

impl Gathered {
    fn leave_out(&mut self, why: &'static str) {
        *self.left_out.entry(why).or_default() += 1;
    }

    /// Takes a price an hour of a product.
    fn price(&mut self, number: &str, kept: &Kept, price: &str) -> Result<(), OfferError> {
        let micros = micros_rounded(price).ok_or_else(|| OfferError::NoPrice {
            of: shown(number),
            price: shown(price),
        })?;
        if micros == 0 {
            self.leave_out("prices of zero");
            return Ok(());
        }
        let (region, instance_type, system) = kept.clone();
        let of_region = self.on_demand.entry(region).or_default();
        let mut is_second = false;
        let known = of_region.entry((instance_type, system)).or_insert(micros);
        if *known != micros {
            // Which of them counts cannot be told; the greater never understates.
            *known = micros.max(*known);
            is_second = true;
        }
        if is_second {
            self.leave_out("second prices of the same thing, of which the greater is kept");
        }
        Ok(())
    }

    /// Takes a spot price.
    fn spot(
        &mut self,
        zone: &str,
        instance_type: &str,
        product: &str,
        price: &str,
        at: &str,
    ) -> Result<(), OfferError> {
        let system = System::of_platform(product);
        let Some(region) = region_of_zone(zone).filter(|it| davylamp_model::ids::is_region(it))
        else {
            self.leave_out("without the code of a region");
            return Ok(());
        };
        if !is_type(instance_type) || !System::PRICED.contains(&system) {
            self.leave_out("of a system or type that is not known");
            return Ok(());
        }
        let Ok(at) = at.parse::<Timestamp>() else {
            self.leave_out("without a moment");
            return Ok(());
        };
        let micros = micros_rounded(price).filter(|micros| *micros > 0);
        let micros = micros.ok_or_else(|| OfferError::NoPrice {
            of: shown(instance_type),
            price: shown(price),
        })?;
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
        let of_region = self.spot.entry(region.to_owned()).or_default();
        let listed = of_region
            .entry((instance_type.to_owned(), system))
            .or_insert(Listed {
                low: micros,
                high: micros,
                sum: 0,
                count: 0,
            });
        listed.low = listed.low.min(micros);
        listed.high = listed.high.max(micros);
        listed.sum += u128::from(micros);
        listed.count += 1;
        Ok(())
    }

    fn done(self) -> Result<Offer, OfferError> {
        let mut sheets = Vec::new();
        if !self.on_demand.is_empty() {
            let date = moment(&self.published).ok_or(OfferError::NoDate)?;
            let source = format!(
                "price list {} {}",
                plain(&self.service),
                plain(&self.version)
            );
            sheets.extend(self.on_demand.into_iter().map(|(region, prices)| {
                Sheet {
                    region,
                    market: Market::OnDemand,
                    date,
                    source: source.trim_end().to_owned(),
                    licence: LICENCE.to_owned(),
                    rates: prices
                        .into_iter()
                        .map(|(of, micros)| (of, Rate::fixed(micros)))
                        .collect(),
                }
            }));
        }
        if let Some((first, last)) = self.span {
            let source = format!("spot price history from {first} to {last}");
            sheets.extend(self.spot.into_iter().map(|(region, prices)| {
                Sheet {
                    region,
                    market: Market::Spot,
                    date: last,
                    source: source.clone(),
                    licence: LICENCE.to_owned(),
                    rates: prices
                        .into_iter()
                        .map(|(of, listed)| (of, listed.rate()))
                        .collect(),
                }
            }));
        }
        let kept = sheets.iter().map(|sheet| sheet.rates.len() as u64).sum();
        match (sheets.is_empty(), self.currencies.into_iter().next()) {
            (true, Some(currency)) => Err(OfferError::OtherCurrency(shown(&currency))),
            (true, None) => Err(OfferError::Nothing),
            (false, _) => Ok(Offer {
                sheets,
                kept,
                left_out: self.left_out,
            }),
        }
    }
}

impl Listed {
    fn rate(self) -> Rate {
        let mean = self.sum / u128::from(self.count.max(1));
        let usual = u64::try_from(mean).unwrap_or(self.high);
        Rate {
            low: self.low,
            usual: usual.clamp(self.low, self.high),
            high: self.high,
        }
    }
}

/// A decimal number of dollars in millionths, the nearest; nothing for what is no such number.
fn micros_rounded(price: &str) -> Option<u64> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, "0"));
    let is_number = |digits: &str, most: usize| {
        (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole, super::MAX_WHOLE_DIGITS) || !is_number(fraction, MAX_FRACTION_DIGITS) {
        return None;
    }
    let fraction = format!("{fraction:0<width$}", width = super::FRACTION_DIGITS + 1);
    let (kept, rest) = fraction.split_at(super::FRACTION_DIGITS);
    let micros: u64 = format!("{whole}{kept}").parse().ok()?;
    Some(micros + u64::from(rest.as_bytes()[0] >= b'5'))
}

/// A moment as the files write it: whole, or the day alone.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let day = || text.parse::<jiff::civil::Date>().ok();
    text.parse().ok().or_else(|| {
        let midnight = day()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(midnight.timestamp())
    })
}

/// A version, as far as it is one.
fn plain(version: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    match version.len() <= 64 && version.bytes().all(is_plain) {
        true => version,
        false => "",
    }
}

/// A text of the file that stands in an error.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

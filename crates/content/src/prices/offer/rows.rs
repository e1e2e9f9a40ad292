//! A price list as CSV: five lines about itself, a line of names, a line for each price.

use std::io::BufRead;

use super::{CURRENCY, Gathered, Offer, OfferError, Product, SERVICES, is_hourly};
use crate::delimited::{Next, Records};

/// The columns that matter, by their names without blanks and signs, in small letters.
const COLUMNS: [&str; 16] = [
    "sku",
    "termtype",
    "unit",
    "priceperunit",
    "currency",
    "productfamily",
    "instancetype",
    "regioncode",
    "locationtype",
    "operatingsystem",
    "tenancy",
    "capacitystatus",
    "preinstalledsw",
    "licensemodel",
    "marketoption",
    "usagetype",
];

/// Those without which nothing can be told.
const NEEDED: usize = 5;

/// So many lines come before the line of names, at most.
const MAX_LINES_BEFORE: usize = 16;

pub(super) fn read(from: impl BufRead) -> Result<Offer, OfferError> {
    let mut records = Records::new(from);
    let mut gathered = Gathered::default();
    let mut columns = None;
    for _ in 0..MAX_LINES_BEFORE {
        if records.advance()? != Next::Record {
            break;
        }
        let first = simple(records.text(0).unwrap_or_default());
        let second = records.text(1).unwrap_or_default();
        match first.as_str() {
            "publicationdate" => gathered.published = second.to_owned(),
            "version" => gathered.version = second.to_owned(),
            "offercode" if SERVICES.contains(&second) => gathered.service = second.to_owned(),
            "offercode" => return Err(OfferError::OtherService(super::shown(second))),
            "sku" => {
                columns = Some(columns_of(&records)?);
                break;
            }
            _ => {}
        }
    }
    let columns = columns.ok_or(OfferError::Neither)?;
    loop {
        match records.advance()? {
            Next::End => return gathered.done(),
            Next::TooLong => gathered.leave_out("lines that are too long"),
            Next::Record => {
                let cell = |column: usize| {
                    let index = columns[column];
                    index.and_then(|index| records.text(index)).unwrap_or("")
                };
                take(&mut gathered, cell)?;
            }
        }
    }
}

/// Where each of [`COLUMNS`] stands.
fn columns_of<R: BufRead>(
    records: &Records<R>,
) -> Result<[Option<usize>; COLUMNS.len()], OfferError> {
    let names: Vec<String> = (0..records.len())
        .map(|index| simple(records.text(index).unwrap_or_default()))
        .collect();
    let found = COLUMNS.map(|name| names.iter().position(|it| it == name));
    match (0..NEEDED).find(|index| found[*index].is_none()) {
        Some(missing) => Err(OfferError::NoColumn(COLUMNS[missing])),
        None => Ok(found),
    }
}

fn take<'a>(gathered: &mut Gathered, cell: impl Fn(usize) -> &'a str) -> Result<(), OfferError> {
    if cell(1) != "OnDemand" {
        gathered.leave_out("prices of reservations");
        return Ok(());
    }
    let product = Product {
        family: cell(5),
        instance_type: cell(6),
        region: cell(7),
        place: cell(8),
        system: cell(9),
        tenancy: cell(10),
        capacity: cell(11),
        software: cell(12),
        licence: cell(13),
        market: cell(14),
        usage: cell(15),
    };
    let kept = match product.kept() {
        Ok(kept) => kept,
        Err(why) => {
            gathered.leave_out(why);
            return Ok(());
        }
    };
    if !is_hourly(cell(2)) {
        gathered.leave_out("prices of something other than an hour");
        return Ok(());
    }
    if cell(4) != CURRENCY {
        gathered.currencies.insert(super::shown(cell(4)));
        gathered.leave_out("prices in another currency");
        return Ok(());
    }
    gathered.price(cell(0), &kept, cell(3))
}

/// A name without blanks and signs, in small letters.
fn simple(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

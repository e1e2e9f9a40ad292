//! A price list, or a spot price history, as JSON: walked member by member, so that nothing but what
//! is kept stays in memory.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::guard::Guard;
use super::{CURRENCY, Gathered, Kept, Offer, OfferError, Product, SERVICES, is_hourly};

/// How much is read at once. The parser takes single bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// A price has so many currencies at most; a list of AWS has one.
const MAX_CURRENCIES: usize = 8;

pub(super) fn read(from: impl BufRead) -> Result<Offer, OfferError> {
    let reader = BufReader::with_capacity(BUFFER_BYTES, Guard::new(from));
    let mut parser = serde_json::Deserializer::from_reader(reader);
    let mut state = State::default();
    let walked = Walk {
        state: &mut state,
        at: At::Document,
    }
    .deserialize(&mut parser)
    .and_then(|()| parser.end());
    // What the walk itself objects to stops the parser with an error that says less.
    match (state.refused.take(), walked) {
        (Some(refused), _) => Err(refused),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) if !state.is_known => Err(OfferError::Neither),
        (None, Ok(())) => state.gathered.done(),
    }
}

#[derive(Default)]
struct State {
    gathered: Gathered,
    /// Kept products by their number.
    products: HashMap<String, Kept>,
    has_products: bool,
    is_known: bool,
    refused: Option<OfferError>,
}

/// Where in the document a value stands.
#[derive(Clone)]
enum At {
    Document,
    Products,
    Terms,
    /// The prices on demand, by the numbers of products.
    OnDemand,
    /// The terms of a product.
    Product(String),
    /// One of them.
    Term(String),
    /// Its prices.
    Prices(String),
    /// Spot prices.
    History,
}

struct Walk<'a> {
    state: &'a mut State,
    at: At,
}

/// The attributes of a product that matter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    instance_type: Option<String>,
    region_code: Option<String>,
    location_type: Option<String>,
    operating_system: Option<String>,
    tenancy: Option<String>,
    capacitystatus: Option<String>,
    pre_installed_sw: Option<String>,
    license_model: Option<String>,
    marketoption: Option<String>,
    usagetype: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    product_family: Option<String>,
    attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Priced {
    unit: Option<String>,
    price_per_unit: Currencies,
}

/// A price by its currency.
struct Currencies(Vec<(String, String)>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spot {
    availability_zone: Option<String>,
    instance_type: Option<String>,
    product_description: Option<String>,
    spot_price: Option<String>,
    timestamp: Option<String>,
}

impl State {
    /// Stops the walk.
    fn refuse<E: Error>(&mut self, why: OfferError) -> E {
        self.refused = Some(why);
        E::custom("refused")
    }

    fn product(&mut self, number: String, described: &Described) {
        let attributes = &described.attributes;
        let product = Product {
            family: text(&described.product_family),
            instance_type: text(&attributes.instance_type),
            region: text(&attributes.region_code),
            place: text(&attributes.location_type),
            system: text(&attributes.operating_system),
            tenancy: text(&attributes.tenancy),
            capacity: text(&attributes.capacitystatus),
            software: text(&attributes.pre_installed_sw),
            licence: text(&attributes.license_model),
            market: text(&attributes.marketoption),
            usage: text(&attributes.usagetype),
        };
        match product.kept() {
            Ok(kept) => drop(self.products.insert(number, kept)),
            Err(why) => self.gathered.leave_out(why),
        }
    }

    fn price<E: Error>(&mut self, number: &str, priced: &Priced) -> Result<(), E> {
        let Some(kept) = self.products.get(number) else {
            return Ok(());
        };
        if !is_hourly(text(&priced.unit)) {
            self.gathered
                .leave_out("prices of something other than an hour");
            return Ok(());
        }
        let prices = &priced.price_per_unit.0;
        match prices.iter().find(|(currency, _)| currency == CURRENCY) {
            Some((_, price)) => {
                let taken = self.gathered.price(number, &kept.clone(), price);
                taken.map_err(|error| self.refuse(error))
            }
            None => {
                let others = prices.iter().map(|(currency, _)| currency.clone());
                self.gathered.currencies.extend(others.take(1));
                self.gathered.leave_out("prices in another currency");
                Ok(())
            }
        }
    }

    fn spot<E: Error>(&mut self, spot: &Spot) -> Result<(), E> {
        let taken = self.gathered.spot(
            text(&spot.availability_zone),
            text(&spot.instance_type),
            text(&spot.product_description),
            text(&spot.spot_price),
            text(&spot.timestamp),
        );
        taken.map_err(|error| self.refuse(error))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.at {
            At::History => from.deserialize_seq(self),
            _ => from.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price list or a spot price history")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk { state, at } = self;
        while let Some(key) = map.next_key::<String>()? {
            let next = match (&at, key.as_str()) {
                (At::Document, "offerCode") => {
                    let code: String = map.next_value()?;
                    if !SERVICES.contains(&code.as_str()) {
                        return Err(state.refuse(OfferError::OtherService(super::shown(&code))));
                    }
                    state.gathered.service = code;
                    continue;
                }
                (At::Document, "version") => {
                    state.gathered.version = map.next_value()?;
                    continue;
                }
                (At::Document, "publicationDate") => {
                    state.gathered.published = map.next_value()?;
                    continue;
                }
                (At::Document, "products") => {
                    state.has_products = true;
                    Some(At::Products)
                }
                (At::Document, "terms") if !state.has_products => {
                    return Err(state.refuse(OfferError::TermsFirst));
                }
                (At::Document, "terms") => {
                    state.is_known = true;
                    Some(At::Terms)
                }
                (At::Document, "SpotPriceHistory") => {
                    state.is_known = true;
                    Some(At::History)
                }
                (At::Products, _) => {
                    let described: Described = map.next_value()?;
                    state.product(key, &described);
                    continue;
                }
                (At::Terms, "OnDemand") => Some(At::OnDemand),
                (At::OnDemand, number) if state.products.contains_key(number) => {
                    Some(At::Product(key))
                }
                (At::Product(number), _) => Some(At::Term(number.clone())),
                (At::Term(number), "priceDimensions") => Some(At::Prices(number.clone())),
                (At::Prices(number), _) => {
                    let priced: Priced = map.next_value()?;
                    state.price(number, &priced)?;
                    continue;
                }
                _ => None,
            };
            match next {
                Some(at) => map.next_value_seed(Walk {
                    state: &mut *state,
                    at,
                })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(spot) = list.next_element::<Spot>()? {
            self.state.spot(&spot)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Currencies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Few;
        impl<'de> Visitor<'de> for Few {
            type Value = Currencies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price by its currency")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Currencies, A::Error> {
                let mut prices = Vec::new();
                while let Some(price) = map.next_entry()? {
                    if prices.len() == MAX_CURRENCIES {
                        return Err(A::Error::custom("a price in too many currencies"));
                    }
                    prices.push(price);
                }
                Ok(Currencies(prices))
            }
        }
        from.deserialize_map(Few)
    }
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

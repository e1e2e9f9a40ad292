//! What an address asks for: filters, an order, a place in a list.
//!
//! Everything is text, empty where nothing is asked, as browsers send forms; it is understood by the
//! page, and what is not understood is refused rather than passed over.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use davylamp_ledger::query::At;
use davylamp_model::finding::Severity;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::Refused;
use crate::site::Site;

/// How many rows a page has.
pub(super) const ROWS: u32 = 50;

/// The query of an address.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Site> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, Refused> {
        let query = parts.uri.query().unwrap_or_default();
        serde_urlencoded::from_str(query)
            .map(Self)
            .map_err(|error| Refused::Wrong(format!("This address cannot be read: {error}.")))
    }
}

/// A value that is asked for; `None` for nothing.
pub(super) fn wanted(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A value out of a known set.
pub(super) fn named<T>(
    what: &str,
    text: &str,
    known: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refused> {
    match text {
        "" => Ok(None),
        text => match known(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Refused::Wrong(format!("There is no {what} of that name."))),
        },
    }
}

pub(super) fn severity(text: &str) -> Result<Option<Severity>, Refused> {
    named("severity", text, Severity::named)
}

/// A time in UTC, as a browser's date field writes it, or as RFC 3339 has it.
pub(super) fn time(text: &str) -> Result<Option<Timestamp>, Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let local = |text: &str| {
        let at: DateTime = text.parse().ok()?;
        Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let at = text.parse().ok().or_else(|| local(text));
    let wrong = || Refused::Wrong("Write a time as 2026-01-31T13:30, in UTC.".to_owned());
    at.ok_or_else(wrong).map(Some)
}

/// The page of a list that an address names.
pub(super) fn at(cursor: &str) -> At {
    At {
        cursor: wanted(cursor),
        rows: ROWS,
    }
}

/// The address of a page with a query.
pub(super) fn address(path: &str, query: &impl Serialize) -> String {
    match serde_urlencoded::to_string(query) {
        Ok(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_read_as_browsers_and_machines_write_them() {
        for (text, expected) in [
            ("2026-01-31T13:30", "2026-01-31T13:30:00Z"),
            ("2026-01-31T13:30:05Z", "2026-01-31T13:30:05Z"),
            ("2026-01-31T13:30:05+02:00", "2026-01-31T11:30:05Z"),
        ] {
            let found = time(text).expect("a time").expect("one");
            assert_eq!(found.to_string(), expected);
        }
        assert!(time("").is_ok_and(|time| time.is_none()));
        assert!(time("yesterday").is_err());
    }
}

//! Lists that somebody brings, to indicators: values separated by commas, plain lists, hosts files,
//! MISP events (<https://www.misp-standard.org/rfc/misp-standard-core.html>) and STIX 2.1 bundles
//! (<https://docs.oasis-open.org/cti/stix/v2.1/>).
//!
//! What must stay true: any bytes are indicators and refusals, never a panic; each entry is kept or
//! refused with its place and the reason, none is dropped; what is read is bounded.

use jiff::civil::Date;
use serde_json::Value as Json;

use super::{Confidence, Indicator, Value, normal};

/// So many entries are read of one list.
pub const MAX_ENTRIES: usize = 1_000_000;

/// A text that is shown has so many characters at most.
const MAX_SHOWN: usize = 80;

/// What a list does not say itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The list's name, for the column `sources`.
    pub source: String,
    /// Its licence, for the column `licences`.
    pub licence: String,
    /// How far its entries can be trusted, where they do not say so.
    pub confidence: Confidence,
    /// When it was brought.
    pub day: Option<Date>,
}

/// What a list held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The entries that are kept.
    pub indicators: Vec<Indicator>,
    /// Those that are not.
    pub refused: Vec<Refused>,
    /// Whether the list had more than [`MAX_ENTRIES`].
    pub was_cut: bool,
}

/// An entry that is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its line, from 1; in JSON the number of the entry.
    pub place: usize,
    /// Its start.
    pub text: String,
    /// Why not.
    pub why: String,
}

/// Reads a list of any form.
pub fn import(text: &str, about: &About) -> Imported {
    let mut taking = Taking {
        about,
        imported: Imported::default(),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().bytes().next() {
        Some(b'{' | b'[') => taking.json(text),
        _ => taking.lines(text),
    }
    taking.imported
}

/// What one entry says of itself.
#[derive(Default)]
struct Said {
    confidence: Option<Confidence>,
    sources: Vec<String>,
    licences: Vec<String>,
    first_seen: Option<Date>,
    last_seen: Option<Date>,
}

struct Taking<'a> {
    about: &'a About,
    imported: Imported,
}

impl Taking<'_> {
    /// Whether there is room for another entry.
    fn has_room(&mut self) -> bool {
        let count = self.imported.indicators.len() + self.imported.refused.len();
        self.imported.was_cut |= count >= MAX_ENTRIES;
        !self.imported.was_cut
    }

    fn refuse(&mut self, place: usize, text: &str, why: impl Into<String>) {
        if self.has_room() {
            let plain = |letter: char| {
                if letter.is_control() {
                    '\u{fffd}'
                } else {
                    letter
                }
            };
            let text = text.trim().chars().take(MAX_SHOWN).map(plain).collect();
            self.imported.refused.push(Refused {
                place,
                text,
                why: why.into(),
            });
        }
    }

    fn take(&mut self, place: usize, text: &str, read: Result<Value, String>, said: Said) {
        if !self.has_room() {
            return;
        }
        match read {
            Err(why) => self.refuse(place, text, why),
            Ok(value) => {
                let or = |said: Vec<String>, own: &str| match said.is_empty() {
                    true => vec![own.to_owned()],
                    false => said,
                };
                let about = self.about;
                self.imported.indicators.push(Indicator {
                    value,
                    confidence: said.confidence.unwrap_or(about.confidence),
                    sources: or(said.sources, &about.source),
                    licences: or(said.licences, &about.licence),
                    first_seen: said.first_seen.or(about.day),
                    last_seen: said.last_seen.or(about.day),
                });
            }
        }
    }

    fn lines(&mut self, text: &str) {
        let mut columns: Option<Columns> = None;
        let mut is_first = true;
        for (place, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            let is_comment = line.starts_with(['#', ';', '!']) || line.starts_with("//");
            if line.is_empty() || is_comment {
                continue;
            }
            if !self.has_room() {
                return;
            }
            if std::mem::take(&mut is_first) {
                columns = Columns::of(&cells(line));
                if columns.is_some() {
                    continue;
                }
            }
            match &columns {
                Some(columns) => self.row(place, line, columns),
                None => self.plain(place, line),
            }
        }
    }

    /// A line of a plain list or a hosts file.
    fn plain(&mut self, place: usize, line: &str) {
        let line = line.split(" #").next().unwrap_or(line);
        let mut words = line.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        let Some(first) = words.next() else {
            return;
        };
        let is_sink = matches!(
            first,
            "0.0.0.0" | "127.0.0.1" | "::" | "::1" | "255.255.255.255"
        );
        let names: Vec<&str> = words.collect();
        if is_sink && !names.is_empty() {
            for name in names {
                // Hosts files begin with the machine itself.
                self.take(place, name, normal::value(name), Said::default());
            }
            return;
        }
        self.take(place, line, normal::value(first), Said::default());
    }

    fn row(&mut self, place: usize, line: &str, columns: &Columns) {
        let cells = cells(line);
        let cell = |column: Option<usize>| {
            let text = column.and_then(|at| cells.get(at))?;
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let Some(text) = cell(Some(columns.value)) else {
            return self.refuse(place, line, "the line has no value");
        };
        let kind = cell(columns.kind).unwrap_or_default().to_ascii_lowercase();
        let words = |column| {
            let text = cell(column).unwrap_or_default();
            text.split([' ', '\t', ',', ';', '|'])
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let said_confidence = cell(columns.confidence);
        if let Some(text) = &said_confidence
            && confidence(text).is_none()
        {
            let why = "its confidence is none: low, medium, high, or 0 to 100";
            return self.refuse(place, text, why);
        }
        let said = Said {
            confidence: said_confidence.and_then(|text| confidence(&text)),
            sources: words(columns.sources),
            licences: words(columns.licences),
            first_seen: cell(columns.first_seen).and_then(|text| day(&text)),
            last_seen: cell(columns.last_seen).and_then(|text| day(&text)),
        };
        let read = match kind.as_str() {
            "port" => normal::port(&text),
            "" | "domain" | "hostname" | "host" | "fqdn" | "url" | "uri" | "ip" | "ipv4"
            | "ipv6" | "address" | "address_port" | "ip-dst" | "ip-dst|port" | "cidr"
            | "network" | "ip:port" | "domain-name" | "ipv4-addr" | "ipv6-addr" | "indicator" => {
                normal::value(&text)
            }
            kind => Err(format!("`{kind}` is nothing that is looked up here")),
        };
        self.take(place, &text, read, said);
    }

    fn json(&mut self, text: &str) {
        let json: Json = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(error) => {
                return self.refuse(error.line().max(1), "", format!("it is no JSON: {error}"));
            }
        };
        let mut place = 0;
        if json.get("type").and_then(Json::as_str) == Some("bundle") {
            let objects = json.get("objects").and_then(Json::as_array);
            for object in objects.into_iter().flatten() {
                place += 1;
                self.stix(place, object);
            }
        } else {
            let mut attributes = Vec::new();
            misp(&json, &mut attributes, 0);
            for attribute in attributes {
                place += 1;
                self.misp(place, attribute);
            }
        }
        if place == 0 {
            self.refuse(1, "", "it is neither a MISP event nor a STIX bundle");
        }
    }

    fn misp(&mut self, place: usize, attribute: &Json) {
        let text = |key: &str| {
            attribute
                .get(key)
                .and_then(Json::as_str)
                .unwrap_or_default()
        };
        let (kind, value) = (text("type"), text("value"));
        if attribute.get("to_ids") == Some(&Json::Bool(false)) {
            return self.refuse(place, value, "its source says that it is not for detection");
        }
        let stamp = attribute.get("timestamp").and_then(|stamp| match stamp {
            Json::String(text) => text.parse().ok(),
            stamp => stamp.as_i64(),
        });
        let stamp = stamp
            .and_then(|second| jiff::Timestamp::from_second(second).ok())
            .map(|time| time.to_zoned(jiff::tz::TimeZone::UTC).date());
        let said = || Said {
            first_seen: day(text("first_seen")).or(stamp),
            last_seen: day(text("last_seen")).or(stamp),
            ..Said::default()
        };
        match kind {
            "domain" | "hostname" | "url" | "uri" | "ip-dst" | "ip-src" => {
                self.take(place, value, normal::value(value), said());
            }
            "ip-dst|port" | "ip-src|port" | "hostname|port" => {
                let joined = match value.split_once('|') {
                    Some((host, port)) if host.contains(':') => format!("[{host}]:{port}"),
                    Some((host, port)) => format!("{host}:{port}"),
                    None => value.to_owned(),
                };
                self.take(place, value, normal::value(&joined), said());
            }
            "domain|ip" => {
                for part in value.split('|') {
                    self.take(place, part, normal::value(part), said());
                }
            }
            "port" => self.take(place, value, normal::port(value), said()),
            kind => self.refuse(
                place,
                value,
                format!("`{kind}` is nothing that is looked up here"),
            ),
        }
    }

    fn stix(&mut self, place: usize, object: &Json) {
        let text = |key: &str| object.get(key).and_then(Json::as_str).unwrap_or_default();
        let said = || Said {
            confidence: object
                .get("confidence")
                .and_then(Json::as_u64)
                .map(of_percent),
            first_seen: day(text("valid_from")).or(day(text("first_seen"))),
            last_seen: day(text("valid_until")).or(day(text("modified"))),
            ..Said::default()
        };
        match text("type") {
            "domain-name" | "ipv4-addr" | "ipv6-addr" | "url" => {
                let value = text("value");
                self.take(place, value, normal::value(value), said());
            }
            "indicator" => {
                let pattern = text("pattern");
                if object.get("revoked") == Some(&Json::Bool(true)) {
                    return self.refuse(place, pattern, "it was taken back");
                }
                match compared(pattern) {
                    Err(why) => self.refuse(place, pattern, why),
                    Ok(values) => {
                        for value in values {
                            self.take(place, &value, normal::value(&value), said());
                        }
                    }
                }
            }
            // What is about the bundle and not of it.
            "identity" | "marking-definition" | "relationship" | "extension-definition" => {}
            kind => self.refuse(
                place,
                text("id"),
                format!("`{kind}` is nothing that is looked up here"),
            ),
        }
    }
}

/// The attributes of MISP events, wherever they stand.
fn misp<'a>(json: &'a Json, attributes: &mut Vec<&'a Json>, depth: u8) {
    const MAX_DEPTH: u8 = 8;
    if depth > MAX_DEPTH {
        return;
    }
    match json {
        Json::Array(list) => list.iter().for_each(|one| misp(one, attributes, depth + 1)),
        Json::Object(object) => {
            if object.contains_key("type") && object.contains_key("value") {
                attributes.push(json);
                return;
            }
            for key in ["response", "Event", "Attribute", "Object"] {
                if let Some(inner) = object.get(key) {
                    misp(inner, attributes, depth + 1);
                }
            }
        }
        _ => {}
    }
}

/// The values of a STIX pattern that asks for any of them (STIX 2.1, section 9).
fn compared(pattern: &str) -> Result<Vec<String>, String> {
    let words: Vec<&str> = pattern.split_whitespace().collect();
    let joins = [
        "AND",
        "NOT",
        "FOLLOWEDBY",
        "REPEATS",
        "WITHIN",
        "MATCHES",
        "LIKE",
        "ISSUBSET",
        "ISSUPERSET",
    ];
    if let Some(join) = joins.iter().find(|join| words.contains(*join)) {
        return Err(format!(
            "it counts only together with something else ({join})"
        ));
    }
    let mut values = Vec::new();
    let mut rest = pattern;
    let known = [
        "domain-name:value",
        "ipv4-addr:value",
        "ipv6-addr:value",
        "url:value",
    ];
    while let Some((before, behind)) = rest.split_once('\'') {
        let is_known = known.iter().any(|path| {
            let before = before.trim_end();
            before
                .strip_suffix('=')
                .is_some_and(|before| before.trim_end().ends_with(path))
        });
        let (value, after) = behind.split_once('\'').ok_or("a quote is not closed")?;
        if !is_known {
            return Err("it asks for more than names, addresses and URLs".to_owned());
        }
        values.push(value.to_owned());
        rest = after;
    }
    match values.is_empty() {
        true => Err("it asks for no name, address or URL".to_owned()),
        false => Ok(values),
    }
}

/// STIX 2.1, appendix A: none and low, medium, high.
fn of_percent(percent: u64) -> Confidence {
    match percent {
        0..=29 => Confidence::Low,
        30..=69 => Confidence::Medium,
        _ => Confidence::High,
    }
}

fn confidence(text: &str) -> Option<Confidence> {
    let lower = text.to_ascii_lowercase();
    super::parse_confidence(&lower).or_else(|| lower.parse().ok().map(of_percent))
}

/// The day of a time, however it is written.
fn day(text: &str) -> Option<Date> {
    text.get(..10)?.parse().ok()
}

/// Which column is which.
struct Columns {
    value: usize,
    kind: Option<usize>,
    confidence: Option<usize>,
    sources: Option<usize>,
    licences: Option<usize>,
    first_seen: Option<usize>,
    last_seen: Option<usize>,
}

impl Columns {
    /// Those of a first line, if it names any.
    fn of(cells: &[String]) -> Option<Self> {
        let names: Vec<String> = cells
            .iter()
            .map(|cell| cell.trim().to_ascii_lowercase().replace([' ', '-'], "_"))
            .collect();
        let at = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        Some(Self {
            value: at(&[
                "value",
                "indicator",
                "ioc",
                "ioc_value",
                "domain",
                "hostname",
                "host",
                "url",
                "ip",
                "ip_address",
                "address",
                "dst_ip",
                "fqdn",
            ])?,
            kind: at(&["kind", "type", "ioc_type", "indicator_type"]),
            confidence: at(&["confidence", "confidence_level"]),
            sources: at(&["sources", "source"]),
            licences: at(&["licences", "licence", "licenses", "license"]),
            first_seen: at(&["first_seen", "first_seen_utc", "valid_from", "date"]),
            last_seen: at(&["last_seen", "last_seen_utc", "valid_until", "last_online"]),
        })
    }
}

/// The cells of a line (RFC 4180), with commas or semicolons or tabs between them.
fn cells(line: &str) -> Vec<String> {
    let separator = [',', '\t', ';']
        .into_iter()
        .find(|sign| line.contains(*sign));
    let separator = separator.unwrap_or(',');
    let (mut cells, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            letter if letter == separator && !is_quoted => cells.push(std::mem::take(&mut cell)),
            letter => cell.push(letter),
        }
    }
    cells.push(cell);
    cells
}

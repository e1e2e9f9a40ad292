//! The records that a case cites, one a line, each line carrying the hash of the one before.
//!
//! What must stay true: no byte of the file can be altered, and no line taken out, put in or moved, without
//! [`verify`] finding it. A chain that somebody makes anew as a whole is sound in itself: it ends with
//! another hash than the one that the report shows, which is to be kept elsewhere.
//!
//! A line is `{…,"previous":"HASH","hash":"HASH"}`. Its hash is the SHA-256 of all its bytes before
//! `,"hash":`; the `record_sha256` of a record is that of its JSON with the keys sorted and no spaces,
//! which is how it stands in the line. Hashes are over bytes, not over what they mean, so that nothing
//! depends on how a program prints numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use davylamp_model::verdict::Verdict;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{ReportError, word};
use crate::case::{Case, Evidence, EvidenceId};

/// How this file is written; another number is another way.
const FORMAT: &str = "davylamp-evidence-1";
/// Before the first line stands none.
const NONE_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands between a line's text and its hash, and behind that.
const HASH_KEY: &str = ",\"hash\":\"";
const PREVIOUS_KEY: &str = ",\"previous\":\"";
const DIGEST_KEY: &str = ",\"record_sha256\":\"";
const RECORD_KEY: &str = ",\"record\":";
const HASH_CHARS: usize = 64;
/// A fraction settles in the first round; more are for a printer that is not known here.
const SETTLING_ROUNDS: usize = 4;

/// What was chained.
pub(super) struct Chained {
    /// The hash of the last line.
    pub(super) hash: String,
    /// The digest of each record.
    pub(super) digests: BTreeMap<EvidenceId, String>,
}

impl Chained {
    /// The digest of a record; nothing for one that there is not.
    pub(super) fn digest(&self, id: EvidenceId) -> &str {
        self.digests.get(&id).map_or("", String::as_str)
    }
}

/// A chain that is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// How many records.
    pub records: u64,
    /// The hash that ends it.
    pub hash: String,
    /// Digests of the records by their numbers.
    pub digests: BTreeMap<EvidenceId, String>,
}

/// Why a chain is not sound.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// It cannot be read.
    #[error("{path} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what was written.
    #[error("line {line} of {path}: {fault}")]
    Altered {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it, as a clause.
        fault: String,
    },
}

/// The records of a case by their numbers.
pub(super) fn numbered(case: &Case) -> Result<BTreeMap<EvidenceId, &Evidence>, ReportError> {
    let mut records = BTreeMap::new();
    for record in &case.evidence {
        if records.insert(record.id, record).is_some() {
            return Err(ReportError::TwiceNumbered {
                number: record.id.0,
            });
        }
    }
    Ok(records)
}

/// Writes the chain, by the records' numbers.
pub(super) fn write(
    case: &Case,
    records: &BTreeMap<EvidenceId, &Evidence>,
    out: &mut dyn Write,
) -> io::Result<Chained> {
    let mut hash = NONE_BEFORE.to_owned();
    let mut link = |body: String| -> io::Result<String> {
        // The body's last brace comes back behind the hash.
        let body = body.strip_suffix('}').unwrap_or(&body);
        let text = format!("{body}{PREVIOUS_KEY}{hash}\"");
        hash = hex::encode(Sha256::digest(&text));
        writeln!(out, "{text}{HASH_KEY}{hash}\"}}")?;
        Ok(hash.clone())
    };
    let head = json!({
        "kind": "header",
        "format": FORMAT,
        "asked": case.asked,
        "first": case.span.map(|span| word::exact(span.first)),
        "last": case.span.map(|span| word::exact(span.last)),
    });
    link(head.to_string())?;
    let mut digests = BTreeMap::new();
    for (id, record) in records {
        let canonical = canonical(&record.record);
        let digest = hex::encode(Sha256::digest(&canonical));
        let log_file = record.log_file.map(Verdict::as_str);
        let log_file = log_file.map(|verdict| format!("\"log_file\":\"{verdict}\","));
        let body = format!(
            "{{\"kind\":\"record\",\"number\":{},\"table\":{},\"source\":{},{}\"time\":{},\"about\":{}{RECORD_KEY}{canonical}{DIGEST_KEY}{digest}\"}}",
            id.0,
            Value::from(record.table.as_str()),
            Value::from(record.source.as_str()),
            log_file.unwrap_or_default(),
            json!(record.time.map(word::exact)),
            Value::from(record.about.as_str()),
        );
        link(body)?;
        digests.insert(*id, digest);
    }
    let end = json!({"kind": "end", "records": digests.len()});
    let hash = link(end.to_string())?;
    Ok(Chained { hash, digests })
}

/// The digest of a record.
pub(super) fn digest(record: &Evidence) -> String {
    hex::encode(Sha256::digest(canonical(&record.record)))
}

/// A record as JSON with its keys sorted and no spaces. A fraction that reads as another number than it is
/// printed as (serde_json rounds some to their neighbour) is printed as what it then reads as, so that a
/// record that was written and read has the digest it had.
fn canonical(record: &Map<String, Value>) -> String {
    fn put(value: &Value, into: &mut String) {
        match value {
            Value::Object(members) => put_object(members, into),
            Value::Array(items) => {
                into.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        into.push(',');
                    }
                    put(item, into);
                }
                into.push(']');
            }
            Value::Number(number) if number.is_f64() => into.push_str(&settled(number.to_string())),
            plain => into.push_str(&plain.to_string()),
        }
    }
    fn put_object(members: &Map<String, Value>, into: &mut String) {
        let sorted: BTreeMap<&String, &Value> = members.iter().collect();
        into.push('{');
        for (at, (name, value)) in sorted.into_iter().enumerate() {
            if at > 0 {
                into.push(',');
            }
            into.push_str(&Value::from(name.as_str()).to_string());
            into.push(':');
            put(value, into);
        }
        into.push('}');
    }
    let mut text = String::new();
    put_object(record, &mut text);
    text
}

/// A fraction as it is printed once reading and printing change it no more.
fn settled(mut printed: String) -> String {
    for _ in 0..SETTLING_ROUNDS {
        let read = serde_json::from_str::<Value>(&printed);
        match read.map(|value| value.to_string()) {
            Ok(again) if again != printed => printed = again,
            _ => break,
        }
    }
    printed
}

/// Checks every byte of a chain.
///
/// # Errors
/// The first line that is not what was written, or that the file cannot be read.
pub fn verify(path: &Path) -> Result<Chain, ChainError> {
    let unread = |source| ChainError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(unread)?);
    let mut reading = Reading::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if file.read_until(b'\n', &mut bytes).map_err(unread)? == 0 {
            break;
        }
        reading.lines += 1;
        reading.line(&bytes).map_err(|fault| ChainError::Altered {
            path: path.to_owned(),
            line: reading.lines,
            fault,
        })?;
    }
    if !reading.is_ended {
        return Err(ChainError::Altered {
            path: path.to_owned(),
            line: reading.lines + 1,
            fault: "the chain stops before its end".to_owned(),
        });
    }
    Ok(Chain {
        records: u64::try_from(reading.digests.len()).unwrap_or(u64::MAX),
        hash: reading.hash,
        digests: reading.digests,
    })
}

/// What is known while a chain is read.
#[derive(Default)]
struct Reading {
    lines: u64,
    hash: String,
    digests: BTreeMap<EvidenceId, String>,
    is_ended: bool,
}

impl Reading {
    fn line(&mut self, bytes: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
        let text = text.strip_suffix('\n').ok_or("it has no end")?;
        if self.is_ended {
            return Err("it stands behind the end".to_owned());
        }
        let (body, hash) = cut(text, HASH_KEY, "\"}").ok_or("it does not end with its hash")?;
        if hex::encode(Sha256::digest(body)) != hash {
            return Err("its hash is another: the line was altered".to_owned());
        }
        let (body, previous) = cut(body, PREVIOUS_KEY, "\"").ok_or("it names no line before")?;
        let expected = match self.lines {
            1 => NONE_BEFORE,
            _ => self.hash.as_str(),
        };
        if previous != expected {
            return Err("it follows another line than the one before".to_owned());
        }
        let said: Line<'_> = serde_json::from_str(text)
            .map_err(|error| format!("it is no line of a chain: {error}"))?;
        match (said.kind, self.lines) {
            ("header", 1) if said.format == Some(FORMAT) => {}
            ("header", 1) => return Err(format!("it is not of the format {FORMAT}")),
            (_, 1) => return Err("it is no header".to_owned()),
            ("record", _) => self.record(body, &said)?,
            ("end", _) if said.records == u64::try_from(self.digests.len()).ok() => {
                self.is_ended = true;
            }
            ("end", _) => return Err("it counts other records than there are".to_owned()),
            _ => return Err("it is neither a record nor the end".to_owned()),
        }
        self.hash = hash.to_owned();
        Ok(())
    }

    fn record(&mut self, body: &str, said: &Line<'_>) -> Result<(), String> {
        let (body, digest) = cut(body, DIGEST_KEY, "\"").ok_or("it has no digest of its record")?;
        // Within a string the quotes of this key would stand behind backslashes.
        let at = body.find(RECORD_KEY).ok_or("it has no record")?;
        let record = &body[at + RECORD_KEY.len()..];
        if said.record.map(RawValue::get) != Some(record) {
            return Err("its record is not where it should be".to_owned());
        }
        if hex::encode(Sha256::digest(record)) != digest {
            return Err("the digest of its record is another".to_owned());
        }
        let id = EvidenceId(said.number.ok_or("it has no number")?);
        if self
            .digests
            .last_key_value()
            .is_some_and(|(last, _)| *last >= id)
        {
            return Err("its number does not follow the one before".to_owned());
        }
        self.digests.insert(id, digest.to_owned());
        Ok(())
    }
}

/// What a line says that its checking needs.
#[derive(serde::Deserialize)]
struct Line<'a> {
    kind: &'a str,
    #[serde(borrow)]
    format: Option<&'a str>,
    number: Option<u32>,
    records: Option<u64>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
}

/// A text without the hash at its end, and that hash.
fn cut<'a>(text: &'a str, key: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let text = text.strip_suffix(close)?;
    let at = text.len().checked_sub(HASH_CHARS)?;
    let (text, hash) = (text.get(..at)?, text.get(at..)?);
    Some((text.strip_suffix(key)?, hash))
}

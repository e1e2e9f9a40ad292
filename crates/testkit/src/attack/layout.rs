//! Events to files, as CloudTrail delivers them: one file for each account, region and some minutes,
//! below `AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/`.
//!
//! What must stay true: no more is kept in memory than what is to be delivered next.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use libdeflater::{CompressionLvl, Compressor};
use serde_json::{Value, json};

use super::beside::{self, Listed};
use super::calendar::{DAY_SECS, civil, iso};
use super::dice::Dice;
use super::event::{Event, Version};
use super::truth::{LABELS, Written};
use super::{Form, Options, ids, regions};

/// The level of compression, which is that of `gzip` when it is told nothing.
const LEVEL: i32 = 6;

/// How many of a hundred events come with the next file instead.
const LATE_PERCENT: u64 = 4;

/// How many of a hundred files have more than one member of gzip.
const MEMBERS_PERCENT: u64 = 10;

/// Compresses a file.
///
/// # Errors
/// When there is no memory for it.
pub fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let level = CompressionLvl::new(LEVEL).unwrap_or_default();
    let mut compressor = Compressor::new(level);
    let mut packed = vec![0; compressor.gzip_compress_bound(text.len())];
    let length = compressor
        .gzip_compress(text, &mut packed)
        .map_err(io::Error::other)?;
    packed.truncate(length);
    Ok(packed)
}

/// Where the files of a service go.
pub fn folder(dir: &Path, account: &str, service: &str, region: &str, at: i64) -> PathBuf {
    let day = civil(at).strftime("%Y/%m/%d").to_string();
    dir.join("AWSLogs")
        .join(account)
        .join(service)
        .join(region)
        .join(day)
}

/// A record that is to be delivered.
#[derive(Debug)]
struct Record {
    at: i64,
    text: String,
}

/// Writes events.
#[derive(Debug)]
pub struct Layout<'a> {
    dir: &'a Path,
    options: &'a Options,
    dice: Dice,
    labels: Option<BufWriter<File>>,
    /// What goes into the next file of each account and region.
    next: BTreeMap<(String, &'static str), Vec<Record>>,
    slot_end: i64,
    /// The day's files at home, which its digest will list.
    listed: BTreeMap<String, Vec<Listed>>,
    /// What was written.
    pub written: Written,
}

impl<'a> Layout<'a> {
    /// Below a folder, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(dir: &'a Path, seed: u64, options: &'a Options, start: i64) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let labels = match options.labels {
            true => Some(BufWriter::new(File::create(dir.join(LABELS))?)),
            false => None,
        };
        Ok(Self {
            dir,
            options,
            dice: Dice::of(seed, "layout", 0),
            labels,
            next: BTreeMap::new(),
            listed: BTreeMap::new(),
            slot_end: start + options.file_secs(),
            written: Written::default(),
        })
    }

    /// Delivers an event with the file that is due.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn deliver(&mut self, event: &Event) -> io::Result<()> {
        while event.at >= self.slot_end {
            self.flush()?;
        }
        let record = self
            .options
            .form
            .wrap(event, self.version(event), &mut self.dice);
        let text = record.to_string();
        self.written.events += 1;
        *self.written.by_hand.entry(event.caller.hand).or_default() += 1;
        if let Some(labels) = &mut self.labels {
            let hand = serde_json::to_value(event.caller.hand)?;
            writeln!(
                labels,
                "{}\t{}",
                event.id,
                hand.as_str().unwrap_or_default()
            )?;
        }
        let of = (event.account.clone(), event.region);
        self.next
            .entry(of)
            .or_default()
            .push(Record { at: event.at, text });
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self) -> io::Result<Written> {
        while !self.next.is_empty() {
            self.flush()?;
        }
        if let Some(labels) = &mut self.labels {
            labels.flush()?;
        }
        Ok(self.written)
    }

    fn version(&mut self, event: &Event) -> Version {
        match self.options.has_old_versions && self.dice.chance(15) {
            true => 5 + u8::try_from(self.dice.roll(5)).unwrap_or(0),
            false => event.version(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let due = self.slot_end;
        self.slot_end += self.options.file_secs();
        for ((account, region), mut records) in std::mem::take(&mut self.next) {
            let mut later = Vec::new();
            // What was held back once is not held back again.
            let since = due - self.options.file_secs();
            let (mut now, mut repeated) = (Vec::with_capacity(records.len()), Vec::new());
            for record in records.drain(..) {
                let is_fresh = record.at >= since;
                if is_fresh && self.options.has_disorder && self.dice.chance(LATE_PERCENT) {
                    later.push(record);
                    continue;
                }
                if is_fresh && self.dice.chance(self.options.repeated_percent) {
                    repeated.push(Record {
                        at: record.at,
                        text: record.text.clone(),
                    });
                    self.written.repeated += 1;
                }
                now.push(record);
            }
            later.append(&mut repeated);
            if self.options.has_disorder {
                self.dice.shuffle(&mut now);
            }
            if !now.is_empty() {
                self.write(&account, region, due, &now)?;
            }
            if !later.is_empty() {
                self.next.insert((account, region), later);
            }
        }
        if due % DAY_SECS < self.options.file_secs() {
            for (account, files) in std::mem::take(&mut self.listed) {
                beside::digest(self.dir, &account, due, &files)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        account: &str,
        region: &str,
        due: i64,
        records: &[Record],
    ) -> io::Result<()> {
        let texts: Vec<&str> = records.iter().map(|record| &*record.text).collect();
        let text = self.options.form.file(&texts);
        self.written.bytes += text.len() as u64;
        self.written.files += 1;
        let folder = folder(self.dir, account, "CloudTrail", region, due);
        std::fs::create_dir_all(&folder)?;
        let stamp = civil(due).strftime("%Y%m%dT%H%MZ").to_string();
        let name = format!(
            "{account}_CloudTrail_{region}_{stamp}_{}.json.gz",
            ids::file(&mut self.dice)
        );
        let text = text.as_bytes();
        if self.options.has_beside && self.options.form == Form::Files && region == regions::HOME {
            let times = || records.iter().map(|record| record.at);
            let span = (times().min().unwrap_or(due), times().max().unwrap_or(due));
            let day = civil(due).strftime("%Y/%m/%d").to_string();
            let key = format!("AWSLogs/{account}/CloudTrail/{region}/{day}/{name}");
            let listed = self.listed.entry(account.to_owned()).or_default();
            listed.push(Listed::new(key, text, span));
        }
        let packed = match self.options.has_disorder && self.dice.chance(MEMBERS_PERCENT) {
            true => {
                let (one, other) = text.split_at(text.len() / 3);
                let mut packed = gzip(one)?;
                packed.extend(gzip(other)?);
                packed
            }
            false => gzip(text)?,
        };
        std::fs::write(folder.join(name), packed)
    }
}

impl Form {
    /// A record in the envelope of this form.
    fn wrap(self, event: &Event, version: Version, dice: &mut Dice) -> Value {
        let record = event.record(version);
        match self {
            Self::Files => record,
            Self::LookupEvents => {
                let identity = &event.caller.identity;
                json!({
                    "EventId": event.id,
                    "EventName": event.call.action,
                    "ReadOnly": if event.call.is_read { "true" } else { "false" },
                    "AccessKeyId": identity.key().unwrap_or_default(),
                    "EventTime": event.at,
                    "EventSource": format!("{}.amazonaws.com", event.call.service),
                    "Username": identity.user().unwrap_or_default(),
                    "Resources": [],
                    "CloudTrailEvent": record.to_string(),
                })
            }
            Self::EventBridge => json!({
                "version": "0",
                "id": dice.uuid(),
                "detail-type": match event.call.kind {
                    "AwsConsoleSignIn" => "AWS Console Sign In via CloudTrail",
                    "AwsServiceEvent" => "AWS Service Event via CloudTrail",
                    _ => "AWS API Call via CloudTrail",
                },
                "source": format!("aws.{}", event.call.service),
                "account": event.account,
                "time": iso(event.at),
                "region": event.region,
                "resources": [],
                "detail": record,
            }),
        }
    }

    /// A file of records.
    fn file(self, records: &[&str]) -> String {
        match self {
            Self::Files => format!("{{\"Records\":[{}]}}", records.join(",")),
            Self::LookupEvents => format!("{{\"Events\":[{}]}}", records.join(",")),
            Self::EventBridge => records.join("\n") + "\n",
        }
    }
}

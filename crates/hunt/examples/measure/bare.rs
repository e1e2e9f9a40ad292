//! What is compared with: programs of a few lines that can answer one question each. They inflate
//! with libdeflate into a buffer that is used again, and then parse with types, search or split.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use datafusion::common::HashMap;
use jiff::Timestamp;
use libdeflater::Decompressor;
use memchr::memmem;
use sonic_rs::LazyValue;

use super::Task;
use super::generate::RARE_KEY;

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File<'a> {
    #[serde(borrow)]
    records: Vec<Event<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    aws_region: Cow<'a, str>,
    #[serde(rename = "eventID", borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    error_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user_identity: Identity<'a>,
    #[serde(borrow)]
    request_parameters: Option<LazyValue<'a>>,
    #[serde(borrow)]
    response_elements: Option<LazyValue<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow)]
    access_key_id: Option<Cow<'a, str>>,
}

/// The answer's lines.
///
/// # Errors
/// When a file cannot be read.
pub fn answer(task: Task, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    match task {
        Task::TrailSum => trail_sum(files),
        Task::NeedleName => needle(files, "StopLogging", |event| {
            (event.event_name == "StopLogging").then(|| {
                let key = event
                    .user_identity
                    .access_key_id
                    .as_deref()
                    .unwrap_or_default();
                format!("{}|{key}|{}", event.event_id, event.aws_region)
            })
        }),
        Task::NeedleKey => needle(files, RARE_KEY, |event| {
            let key = event.user_identity.access_key_id.as_deref();
            (key == Some(RARE_KEY)).then(|| {
                format!(
                    "{}|{}|{}",
                    event.event_id, event.event_name, event.aws_region
                )
            })
        }),
        Task::FlowSum => flow_sum(
            files,
            &Places {
                dst: 4,
                port: 6,
                packets: 8,
                bytes: 9,
                action: 12,
            },
        ),
        Task::FlowCustom => flow_sum(
            files,
            &Places {
                dst: 7,
                port: 9,
                packets: 14,
                bytes: 13,
                action: 17,
            },
        ),
    }
}

/// Calls with the text of each file.
fn each_text(
    files: &[PathBuf],
    mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut inflater = Decompressor::new();
    let (mut stored, mut text) = (Vec::new(), Vec::new());
    for file in files {
        use std::io::Read as _;
        stored.clear();
        fs::File::open(file)?.read_to_end(&mut stored)?;
        let (_, size) = stored
            .split_last_chunk::<4>()
            .context("the file is too short")?;
        let size = u32::from_le_bytes(*size) as usize;
        if text.len() < size {
            text.resize(size, 0);
        }
        let written = inflater.gzip_decompress(&stored, &mut text)?;
        each(&text[..written])?;
    }
    Ok(())
}

/// What is counted of each kind of call.
#[derive(Default)]
struct Calls {
    calls: u64,
    failed: u64,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    first: String,
    last: String,
}

fn trail_sum(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut found: HashMap<String, Calls> = HashMap::new();
    let mut name = String::new();
    each_text(files, |text| {
        let file: File<'_> = sonic_rs::from_slice(text)?;
        for event in &file.records {
            name.clear();
            for part in [
                &event.event_source,
                "|",
                &event.event_name,
                "|",
                &event.aws_region,
            ] {
                name.push_str(part);
            }
            let calls = match found.get_mut(&name) {
                Some(calls) => calls,
                None => found.entry(name.clone()).or_default(),
            };
            calls.calls += 1;
            calls.failed += u64::from(event.error_code.is_some());
            for (value, sum) in [
                (&event.request_parameters, &mut calls.request_bytes),
                (&event.response_elements, &mut calls.response_bytes),
            ] {
                if let Some(value) = value {
                    *sum = Some(sum.unwrap_or(0) + value.as_raw_str().len() as u64);
                }
            }
            let time = event.event_time.as_ref();
            if calls.first.is_empty() || time < calls.first.as_str() {
                time.clone_into(&mut calls.first);
            }
            if time > calls.last.as_str() {
                time.clone_into(&mut calls.last);
            }
        }
        Ok(())
    })?;
    let shown = |sum: Option<u64>| sum.map(|sum| sum.to_string()).unwrap_or_default();
    let epoch = |time: &str| time.parse::<Timestamp>().map(|at| at.as_second());
    let lines = found.into_iter().map(|(name, it)| {
        Ok(format!(
            "{name}|{}|{}|{}|{}|{}|{}",
            it.calls,
            it.failed,
            shown(it.request_bytes),
            shown(it.response_bytes),
            epoch(&it.first)?,
            epoch(&it.last)?
        ))
    });
    lines.collect()
}

/// Parses only the files that hold a text.
fn needle(
    files: &[PathBuf],
    needle: &str,
    pick: impl Fn(&Event<'_>) -> Option<String>,
) -> anyhow::Result<Vec<String>> {
    let finder = memmem::Finder::new(needle);
    let mut lines = Vec::new();
    each_text(files, |text| {
        if finder.find(text).is_some() {
            let file: File<'_> = sonic_rs::from_slice(text)?;
            lines.extend(file.records.iter().filter_map(&pick));
        }
        Ok(())
    })?;
    Ok(lines)
}

/// Where the fields stand.
struct Places {
    dst: usize,
    port: usize,
    packets: usize,
    bytes: usize,
    action: usize,
}

fn flow_sum(files: &[PathBuf], places: &Places) -> anyhow::Result<Vec<String>> {
    let last = places.action.max(places.packets).max(places.bytes);
    let mut found: HashMap<Vec<u8>, [u64; 3]> = HashMap::new();
    let mut name = Vec::new();
    each_text(files, |text| {
        let mut start = memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1);
        let mut fields: [&[u8]; 24] = [b""; 24];
        while start < text.len() {
            let mut at = 0;
            let mut field = start;
            let mut place = start;
            // Fields up to the last that is asked for, then the rest of the line.
            loop {
                let byte = text.get(place).copied().unwrap_or(b'\n');
                if byte == b' ' || byte == b'\n' {
                    if at <= last {
                        fields[at] = &text[field..place];
                    }
                    at += 1;
                    field = place + 1;
                    if byte == b'\n' {
                        break;
                    }
                }
                place += 1;
            }
            start = place + 1;
            if fields[places.action] != b"ACCEPT" {
                continue;
            }
            name.clear();
            name.extend_from_slice(fields[places.dst]);
            name.push(b'|');
            name.extend_from_slice(fields[places.port]);
            let sums = match found.get_mut(&name) {
                Some(sums) => sums,
                None => found.entry(name.clone()).or_default(),
            };
            sums[0] += 1;
            sums[1] += number(fields[places.bytes]);
            sums[2] += number(fields[places.packets]);
        }
        Ok(())
    })?;
    let line = |(name, [flows, bytes, packets]): (Vec<u8>, [u64; 3])| {
        format!(
            "{}|{flows}|{bytes}|{packets}",
            String::from_utf8_lossy(&name)
        )
    };
    Ok(found.into_iter().map(line).collect())
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| {
        value * 10 + u64::from(digit.wrapping_sub(b'0'))
    })
}

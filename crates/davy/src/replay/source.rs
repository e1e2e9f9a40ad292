//! Files to lines, within bounds.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use davylamp_detect::wire::capture::{self, Form};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// One line may have this many bytes: a little more than Linux lets a process have.
const MAX_LINE_BYTES: u64 = 4 << 20;

/// A detection may have this many bytes.
const MAX_DETECTION_BYTES: u64 = 1 << 20;

/// What a file's lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Command lines.
    Commands,
    /// The guard's log, or a capture.
    File,
}

/// What stands in a line.
pub(super) enum Item<'a> {
    /// A command line, as in a shell.
    Line(&'a [u8]),
    /// The arguments of a process, NUL after each.
    Arguments(&'a [u8]),
    /// Something that is about no process.
    NoProcess,
    /// Something that cannot be judged, with why.
    Unreadable(String),
}

fn failed(path: &Path, doing: &str) -> impl Fn(std::io::Error) -> Failure {
    let told = format!("cannot {doing} {}", path.display());
    move |error| {
        Failure::new(
            anyhow::Error::new(error).context(told.clone()),
            "name a file that this user may read",
        )
    }
}

/// Opens a file; `-` is standard input.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    crate::input::open(path).map_err(failed(path, "open"))
}

/// What kind of capture a file is, if it is one.
pub(super) fn form_of(path: &Path, reader: &mut dyn BufRead) -> Result<Option<Form>, Failure> {
    let start = reader.fill_buf().map_err(failed(path, "read"))?;
    Ok(capture::form_of(start))
}

/// The marks of UTF-16.
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

/// Gives each line of a file, numbered from 1, to `each`.
pub(super) fn read(
    path: &Path,
    mut reader: Box<dyn BufRead>,
    kept: Kept,
    each: &mut dyn FnMut(u64, Item<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = failed(path, "read");
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut reader)
            .take(MAX_LINE_BYTES + 1)
            .read_until(b'\n', &mut line);
        let read = match read {
            // What was packed may end in the middle, and what stands before that is there.
            Err(error) if number > 1 || !line.is_empty() => {
                let why = format!("it and what follows cannot be read: {error}");
                return each(number, Item::Unreadable(why));
            }
            read => read.map_err(&failed)?,
        };
        if read == 0 {
            return Ok(());
        }
        if line.len() as u64 > MAX_LINE_BYTES {
            skip_line(&mut reader).map_err(&failed)?;
            let why = format!("it has more than {MAX_LINE_BYTES} bytes");
            each(number, Item::Unreadable(why))?;
            continue;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if number == 1 && UTF_16.iter().any(|mark| text.starts_with(mark)) {
            return Err(Failure::new(
                anyhow!("{} is UTF-16", path.display()),
                "convert it first: iconv -f UTF-16 -t UTF-8 FILE | davy replay --commands -",
            ));
        }
        if number == 1 && kept == Kept::Commands && capture::form_of(text).is_some() {
            return Err(Failure::new(
                anyhow!(
                    "{} is a capture of packets, not a list of commands",
                    path.display()
                ),
                "give it without --commands",
            ));
        }
        match kept {
            _ if text.trim_ascii().is_empty() => {}
            Kept::Commands if text.contains(&0) => each(number, Item::Arguments(text))?,
            Kept::Commands => each(number, Item::Line(text))?,
            Kept::File => logged(number, text, each)?,
        }
    }
    Ok(())
}

fn skip_line(reader: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (length, is_end) = match end {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(length);
        if is_end {
            return Ok(());
        }
    }
}

fn logged(
    number: u64,
    text: &[u8],
    each: &mut dyn FnMut(u64, Item<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match serde_json::from_slice::<Value>(text) {
        Ok(Value::Object(event)) => of_event(number, &event, each),
        Ok(_) => each(number, Item::Unreadable("it is no JSON object".to_owned())),
        Err(error) => {
            let why = format!("it is no JSON ({error}); give lists of commands with --commands");
            each(number, Item::Unreadable(why))
        }
    }
}

/// Judges the command line of one event, in the guard's own form, cryptnono's, or OCSF's, in whatever
/// casing its members are. One that should have a command line and has none that can be read is not
/// clean.
fn of_event(
    number: u64,
    event: &Map<String, Value>,
    each: &mut dyn FnMut(u64, Item<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let unreadable = |why: &str| Item::Unreadable(why.to_owned());
    let process = member(event, "process").and_then(Value::as_object);
    let line = member(event, "cmdline").or_else(|| member(process?, "cmd_line"));
    if let Some(cut) = member(event, "cmdline_cut_from_bytes").filter(|cut| !cut.is_null()) {
        let why = format!("only the start of its command line is there, of {cut} bytes");
        each(number, Item::Unreadable(why))?;
    }
    match line {
        Some(Value::String(line)) => each(number, Item::Line(line.as_bytes())),
        Some(Value::Array(words)) if words.iter().all(Value::is_string) => {
            let words = words.iter().filter_map(Value::as_str);
            let arguments: String = words.flat_map(|word| [word, "\0"]).collect();
            each(number, Item::Arguments(arguments.as_bytes()))
        }
        Some(Value::Null) => each(number, unreadable("its command line is null")),
        Some(_) => each(number, unreadable("its command line is no text")),
        None => each(number, Item::NoProcess),
    }
}

/// A member by its name in any casing, as it is written before all others.
fn member<'a>(event: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let other = || event.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    event.get(name).or_else(|| Some(other()?.1))
}

/// The detections at these paths, by name.
pub(super) fn detection_files(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let listed = std::fs::read_dir(path).and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        });
        let mut listed: Vec<PathBuf> = listed
            .with_context(|| format!("cannot list {}", path.display()))
            .map_err(|error| Failure::new(error, "name a directory that this user may read"))?;
        listed.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "toml")
        });
        if listed.is_empty() {
            return Err(Failure::new(
                anyhow!("the directory {} holds no detection", path.display()),
                "a detection's file ends in .toml",
            ));
        }
        listed.sort();
        files.extend(listed);
    }
    files
        .into_iter()
        .map(|file| read_detection(&file))
        .collect()
}

fn read_detection(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_DETECTION_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {name}"))
        .map_err(|error| Failure::new(error, "name a file that this user may read"))?;
    if bytes.len() as u64 > MAX_DETECTION_BYTES {
        return Err(Failure::new(
            anyhow!("{name} is larger than {MAX_DETECTION_BYTES} bytes"),
            "split it into several detections",
        ));
    }
    Ok((name, bytes))
}

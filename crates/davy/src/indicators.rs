//! `davy indicators`: sets of indicators that somebody brings, beside those that ship.
//!
//! Nothing is fetched: files are read that the user has, and nothing is written before it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use davylamp_content::indicators::change::{Changes, joined, written};
use davylamp_content::indicators::import::{About, Imported, import};
use davylamp_content::indicators::{self, Confidence, Indicator, shipped_pools};
use davylamp_content::{Faults, Source};
use davylamp_guard::lists::DEFAULT_INDICATORS;

use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::{counted, emit_lines, note};

/// A list or set may have this many bytes.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// So many changes and refusals are shown of each kind, unless all are asked for.
const MAX_SHOWN: usize = 20;

/// The exit code where something was refused or differs.
const FOUND: u8 = 1;

/// The arguments of `davy indicators`.
#[derive(Debug, Args)]
#[command(about = "Show, check and refresh the indicators of pools from lists that you bring")]
pub struct IndicatorsArgs {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    Show(ShowArgs),
    Check(CheckArgs),
    Refresh(RefreshArgs),
}

/// Where sets lie.
#[derive(Debug, Clone, Default, Args)]
pub struct SetsArgs {
    /// Folder of sets of indicators (*.csv) that count beside those that ship [default:
    /// /etc/davylamp/indicators, if there]
    #[arg(long, value_name = "DIR")]
    pub indicators: Option<PathBuf>,
}

/// Lists the sets that count.
#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    sets: SetsArgs,
}

/// Says what would be kept of lists and what would be refused, and why. Exit code 1 if any is refused.
#[derive(Debug, Args)]
struct CheckArgs {
    /// Lists: values separated by commas, plain lists, hosts files, MISP events, STIX 2.1 bundles
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Show everything, not the first of each kind
    #[arg(long)]
    all: bool,
}

/// Makes a set of lists, or brings it up to date, and shows what changes. Nothing is written without
/// --write. Exit code 1 if something changes.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  davy indicators check feed.json
  davy indicators refresh pools --from feed.json --source our-cert --licence TLP-GREEN
  davy indicators refresh pools --from feed.json --source our-cert --licence TLP-GREEN --write")]
struct RefreshArgs {
    /// The set's name: letters, digits and dashes
    #[arg(value_name = "SET", value_parser = set_name)]
    set: String,
    /// A list, in any form that `davy indicators check` takes; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    from: Vec<PathBuf>,
    /// Who made the lists, where they do not say it
    #[arg(long, value_name = "NAME", value_parser = word)]
    source: String,
    /// Their licence, where they do not say it
    #[arg(long, value_name = "SPDX", value_parser = word)]
    licence: String,
    /// How far their entries can be trusted, where they do not say it
    #[arg(long, value_enum, default_value_t = Sure::Medium)]
    confidence: Sure,
    /// Keep what the set has and the lists do not
    #[arg(long)]
    keep: bool,
    /// Write the set
    #[arg(long)]
    write: bool,
    /// Show everything, not the first of each kind
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    sets: SetsArgs,
}

/// A confidence as an option.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sure {
    /// Worth a look together with something else.
    Low,
    /// Likely.
    Medium,
    /// Hardly ever anything else.
    High,
}

impl From<Sure> for Confidence {
    fn from(sure: Sure) -> Self {
        match sure {
            Sure::Low => Self::Low,
            Sure::Medium => Self::Medium,
            Sure::High => Self::High,
        }
    }
}

fn set_name(text: &str) -> Result<String, String> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match !text.is_empty() && text.len() <= 64 && text.bytes().all(is_fit) {
        true => Ok(text.to_owned()),
        false => Err("a set is named by letters, digits and dashes".to_owned()),
    }
}

fn word(text: &str) -> Result<String, String> {
    let is_border = |letter: char| {
        letter.is_whitespace() || letter.is_control() || matches!(letter, ',' | ';' | '"')
    };
    match text.is_empty() || text.contains(is_border) {
        false => Ok(text.to_owned()),
        true => Err("it is written as one word, without commas".to_owned()),
    }
}

/// Everything that counts: what ships, and the sets of a folder.
pub fn all(sets: &SetsArgs) -> Result<Vec<Indicator>, Failure> {
    let mut lists = shipped_pools()?;
    for (_, set) in sets_of(sets)? {
        lists.extend(set);
    }
    Ok(joined(lists))
}

/// Shows, checks or refreshes.
pub fn run(args: &IndicatorsArgs) -> Result<ExitCode, Failure> {
    match &args.job {
        Job::Show(args) => show(args),
        Job::Check(args) => check(args),
        Job::Refresh(args) => refresh(args),
    }
}

fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let mut text = told("shipped", &shipped_pools()?);
    for (name, set) in sets_of(&args.sets)? {
        text.push_str(&told(&name, &set));
    }
    emit_lines(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// A set in some lines.
fn told(name: &str, set: &[Indicator]) -> String {
    let (mut kinds, mut sources, mut licences) =
        (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for one in set {
        let id = one.value.id();
        let kind = id.split(':').next().unwrap_or_default().to_owned();
        *kinds.entry(kind).or_insert(0_u64) += 1;
        sources.extend(one.sources.iter().map(String::as_str));
        licences.extend(one.licences.iter().map(String::as_str));
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let listed = |words: BTreeSet<&str>| words.into_iter().collect::<Vec<_>>().join(", ");
    let newest = set.iter().filter_map(|one| one.last_seen).max();
    let newest = newest
        .map(|day| format!("\n    last seen {day}"))
        .unwrap_or_default();
    format!(
        "{name}: {}\n    from {}\n    licences {}{newest}\n",
        kinds.join(", "),
        listed(sources),
        listed(licences),
    )
}

fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let about = About {
        source: "unknown".to_owned(),
        licence: "unknown".to_owned(),
        confidence: Confidence::Medium,
        day: None,
    };
    let mut is_refused = false;
    for file in &args.files {
        let imported = read_list(file, &about)?;
        is_refused |= !imported.refused.is_empty() || imported.was_cut;
        if args.all {
            let ids = joined(imported.indicators.clone());
            let lines: Vec<String> = ids
                .iter()
                .map(|one| format!("kept {}\n", one.value.id()))
                .collect();
            emit_lines(&lines.concat())?;
        }
        say_refused(file, &imported, args.all)?;
    }
    Ok(ExitCode::from(if is_refused { FOUND } else { 0 }))
}

fn say_refused(file: &Path, imported: &Imported, shows_all: bool) -> Result<(), Failure> {
    let most = if shows_all { usize::MAX } else { MAX_SHOWN };
    let lines = imported.refused.iter().take(most).map(|refused| {
        format!(
            "{}:{}: refused {}: {}\n",
            file.display(),
            refused.place,
            refused.text,
            refused.why
        )
    });
    emit_lines(&lines.collect::<String>())?;
    let kept = joined(imported.indicators.clone()).len();
    let twice = imported.indicators.len() - kept;
    let mut told = format!(
        "{}: {} kept, {} refused, {twice} there more than once",
        file.display(),
        counted(kept as u64, "indicator", "indicators"),
        imported.refused.len(),
    );
    if imported.refused.len() > most {
        told.push_str("; --all shows every one");
    }
    if imported.was_cut {
        told.push_str("; NOT read to its end: it has too many entries");
    }
    note(&told);
    Ok(())
}

fn refresh(args: &RefreshArgs) -> Result<ExitCode, Failure> {
    let about = About {
        source: args.source.clone(),
        licence: args.licence.clone(),
        confidence: args.confidence.into(),
        day: Some(
            jiff::Timestamp::now()
                .to_zoned(jiff::tz::TimeZone::UTC)
                .date(),
        ),
    };
    let folder = args
        .sets
        .indicators
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_INDICATORS));
    let path = folder.join(format!("{}.csv", args.set));
    let before = match path.try_exists() {
        Ok(false) => Vec::new(),
        _ => read_set(&path)?,
    };
    let (mut brought, mut was_cut) = (Vec::new(), false);
    for file in &args.from {
        let imported = read_list(file, &about)?;
        say_refused(file, &imported, args.all)?;
        was_cut |= imported.was_cut;
        brought.extend(imported.indicators);
    }
    if brought.is_empty() {
        return Err(Failure::new(
            anyhow!("the lists hold no indicator that can be kept"),
            "see what is wrong with each entry: davy indicators check --all FILE",
        ));
    }
    let after = next(&before, brought, args.keep);
    let changes = Changes::between(&before, &after);
    emit_lines(&shown(&changes, args.all))?;
    note(&format!(
        "{}: {} added, {} changed, {} removed, {} in all",
        path.display(),
        changes.added.len(),
        changes.changed.len(),
        changes.removed.len(),
        after.len(),
    ));
    if changes.is_empty() {
        note("nothing changes");
    } else if args.write {
        let comment = format!(
            "Written by `davy indicators refresh {}` from what was brought; the next refresh writes it again.",
            args.set
        );
        write(&folder, &path, &written(&comment, &after))?;
        note(&format!("written: {}", path.display()));
    } else {
        note("nothing is written yet: add --write");
    }
    Ok(ExitCode::from(match (was_cut, changes.is_empty()) {
        (true, _) => COULD_NOT_COMPLETE,
        (false, false) => FOUND,
        (false, true) => 0,
    }))
}

/// The set as it will be. What is known since earlier stays known since then.
fn next(before: &[Indicator], brought: Vec<Indicator>, keeps: bool) -> Vec<Indicator> {
    let known: BTreeMap<String, &Indicator> =
        before.iter().map(|one| (one.value.id(), one)).collect();
    let mut after = joined(brought);
    for one in &mut after {
        if let Some(old) = known.get(&one.value.id()) {
            one.first_seen = old.first_seen.into_iter().chain(one.first_seen).min();
        }
    }
    match keeps {
        true => joined(after.into_iter().chain(before.iter().cloned())),
        false => after,
    }
}

fn shown(changes: &Changes, shows_all: bool) -> String {
    let most = if shows_all { usize::MAX } else { MAX_SHOWN };
    let mut text = String::new();
    for (sign, list) in [("+", &changes.added), ("-", &changes.removed)] {
        for one in list.iter().take(most) {
            text.push_str(&format!(
                "{sign} {} ({})\n",
                one.value.id(),
                one.sources.join(" ")
            ));
        }
        if list.len() > most {
            text.push_str(&format!("{sign} … {} more\n", list.len() - most));
        }
    }
    for (old, new) in changes.changed.iter().take(most) {
        let mut what = Vec::new();
        if old.confidence != new.confidence {
            what.push(
                format!("{:?} to {:?} confidence", old.confidence, new.confidence).to_lowercase(),
            );
        }
        if old.sources != new.sources {
            what.push(format!("sources {}", new.sources.join(" ")));
        }
        if (old.first_seen, old.last_seen) != (new.first_seen, new.last_seen) {
            let day = new.last_seen.map(|day| day.to_string()).unwrap_or_default();
            what.push(format!("last seen {day}"));
        }
        text.push_str(&format!("~ {} ({})\n", new.value.id(), what.join("; ")));
    }
    if changes.changed.len() > most {
        text.push_str(&format!("~ … {} more\n", changes.changed.len() - most));
    }
    text
}

/// A file is there whole or not at all.
fn write(folder: &Path, path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
            "name a folder that this user may write to: --indicators DIR",
        )
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let new = path.with_extension(format!("csv.{}.new", std::process::id()));
    let mut file = File::create(&new).map_err(failed)?;
    let done = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path))
        .and_then(|()| File::open(folder)?.sync_all());
    if done.is_err() {
        // What is half written is of no use.
        let _ = std::fs::remove_file(&new);
    }
    done.map_err(failed)
}

/// The sets of a folder by name. The default one may be absent, one that is named may not.
fn sets_of(sets: &SetsArgs) -> Result<Vec<(String, Vec<Indicator>)>, Failure> {
    let folder = match &sets.indicators {
        Some(folder) => folder.as_path(),
        None if !Path::new(DEFAULT_INDICATORS).is_dir() => return Ok(Vec::new()),
        None => Path::new(DEFAULT_INDICATORS),
    };
    let listed = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .with_context(|| format!("cannot list {}", folder.display()))
        .map_err(|error| Failure::new(error, "name a folder of sets that this user may read"));
    let mut files: Vec<PathBuf> = listed?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Ok((name, read_set(&file)?))
        })
        .collect()
}

fn read_set(path: &Path) -> Result<Vec<Indicator>, Failure> {
    let bytes = read(path)?;
    let name = path.display().to_string();
    let read: Result<Vec<Indicator>, Faults> =
        Source::from_bytes(&name, &bytes).and_then(indicators::parse);
    Ok(read?)
}

fn read_list(path: &Path, about: &About) -> Result<Imported, Failure> {
    // Lists come in many encodings; what is not UTF-8 is in no name.
    let bytes = read(path)?;
    Ok(import(&String::from_utf8_lossy(&bytes), about))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_LIST_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(|error| Failure::new(error, "name a file that this user may read"))?;
    match bytes.len() as u64 > MAX_LIST_BYTES {
        true => Err(Failure::new(
            anyhow!("{} is larger than {MAX_LIST_BYTES} bytes", path.display()),
            "split it into several lists",
        )),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refreshed(folder: &Path, list: &str, keeps: bool, writes: bool) -> String {
        let file = folder.join("list.txt");
        std::fs::write(&file, list).expect("it can be written");
        let args = RefreshArgs {
            set: "own".to_owned(),
            from: vec![file],
            source: "tests".to_owned(),
            licence: "CC0-1.0".to_owned(),
            confidence: Sure::High,
            keep: keeps,
            write: writes,
            all: false,
            sets: SetsArgs {
                indicators: Some(folder.to_owned()),
            },
        };
        refresh(&args).expect("it is refreshed");
        std::fs::read_to_string(folder.join("own.csv")).unwrap_or_default()
    }

    #[test]
    fn a_set_is_written_when_it_is_asked_for_and_counts_from_then_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let sets = SetsArgs {
            indicators: Some(folder.path().to_owned()),
        };
        assert_eq!(
            refreshed(folder.path(), "miner-site.net\ncom\n", false, false),
            ""
        );
        let set = refreshed(folder.path(), "miner-site.net\ncom\n", false, true);
        assert!(
            set.contains("domain,miner-site.net,high,tests,CC0-1.0,"),
            "{set}"
        );
        let is_there = |name: &str| {
            let all = all(&sets).expect("the sets are good");
            all.iter()
                .any(|one| one.value.id() == format!("domain:{name}"))
        };
        assert!(is_there("miner-site.net") && is_there("2miners.com"));
        refreshed(folder.path(), "b.miner-site.net\n", true, true);
        assert!(is_there("miner-site.net") && is_there("b.miner-site.net"));
        refreshed(folder.path(), "c.miner-site.net\n", false, true);
        assert!(!is_there("b.miner-site.net") && is_there("c.miner-site.net"));
        let left = std::fs::read_dir(folder.path()).expect("it is there");
        assert_eq!(left.count(), 2, "nothing half written is left");
    }

    #[test]
    fn a_set_is_named_by_a_word() {
        for wrong in ["", "../x", "a b", "a/b", "a.csv"] {
            set_name(wrong).expect_err(wrong);
        }
        set_name("our-pools-2").expect("it is one");
        for wrong in ["", "a,b", "a b", "a\nb"] {
            word(wrong).expect_err(wrong);
        }
    }
}

//! Whether a case folder is still what was written.
//!
//! What must stay true: a folder is sound only if everything in it could be read and is as it was; what
//! could not be looked at is a fault, never silence. Who can write the folder can write all of it anew: the
//! hash that ends the evidence is compared by whoever kept it elsewhere.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{CASE_JSON, ChainError, EVIDENCE_JSONL, SHA256SUMS, evidence, refs, sums};
use crate::case::Case;

/// No more numbers stand in one fault.
const MOST_NUMBERS: usize = 10;

/// What a folder came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Records in the chain.
    pub records: u64,
    /// Numbers that the case cites.
    pub cited: u64,
    /// Files whose digests were compared.
    pub files: u64,
    /// The hash that ends the chain, where it is sound.
    pub evidence_hash: Option<String>,
    /// What is not as it was, each as a sentence without its stop; nothing where all is sound.
    pub faults: Vec<String>,
}

impl CheckReport {
    /// Whether all is as it was.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Why a folder could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is none.
    #[error(
        "{folder} is no case folder: it has no {EVIDENCE_JSONL}; name what `davy investigate -o` wrote"
    )]
    NotACase {
        /// What was named.
        folder: PathBuf,
    },
    /// The evidence cannot be read.
    #[error("{path} cannot be read")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Checks a case folder: the chain of the evidence, that each number cited in the case stands in it with
/// the record that the case has, and the digest of each file.
///
/// # Errors
/// When it is none, or its evidence cannot be read.
pub fn check(dir: &Path) -> Result<CheckReport, CheckError> {
    let evidence_at = dir.join(EVIDENCE_JSONL);
    if !evidence_at.is_file() {
        return Err(CheckError::NotACase {
            folder: dir.to_owned(),
        });
    }
    let mut report = CheckReport {
        records: 0,
        cited: 0,
        files: 0,
        evidence_hash: None,
        faults: Vec::new(),
    };
    let chain = match evidence::verify(&evidence_at) {
        Ok(chain) => Some(chain),
        Err(ChainError::Io { path, source }) => return Err(CheckError::Io { path, source }),
        Err(error) => {
            report.faults.push(error.to_string());
            None
        }
    };
    match (read_case(dir), &chain) {
        (Err(fault), _) => report.faults.push(fault),
        (Ok(case), Some(chain)) => {
            let cited = refs::cited(&case);
            report.cited = count(cited.len());
            let missing = cited.iter().filter(|id| !chain.digests.contains_key(id));
            let missing: Vec<u32> = missing.map(|id| id.0).collect();
            fault_of(&mut report, "cited and not in the evidence", &missing);
            let digests = case
                .evidence
                .iter()
                .map(|one| (one.id, evidence::digest(one)));
            let other = digests.filter(|(id, digest)| chain.digests.get(id) != Some(digest));
            let other: Vec<u32> = other.map(|(id, _)| id.0).collect();
            fault_of(
                &mut report,
                "another in the case than in the evidence",
                &other,
            );
        }
        (Ok(_), None) => {}
    }
    files(dir, &mut report);
    if let Some(chain) = chain {
        report.records = chain.records;
        report.evidence_hash = Some(chain.hash);
    }
    Ok(report)
}

fn fault_of(report: &mut CheckReport, what: &str, numbers: &[u32]) {
    if numbers.is_empty() {
        return;
    }
    let shown: Vec<String> = numbers
        .iter()
        .take(MOST_NUMBERS)
        .map(u32::to_string)
        .collect();
    let more = match numbers.len().saturating_sub(MOST_NUMBERS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    report
        .faults
        .push(format!("{what}: record {}{more}", shown.join(", ")));
}

fn read_case(dir: &Path) -> Result<Case, String> {
    let path = dir.join(CASE_JSON);
    let text =
        fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{} is no case: {error}", path.display()))
}

/// Compares the digest of each file, and looks for files that have none.
fn files(dir: &Path, report: &mut CheckReport) {
    let path = dir.join(SHA256SUMS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let fault = format!("{} cannot be read: {error}", path.display());
            return report.faults.push(fault);
        }
    };
    let mut named = BTreeSet::new();
    for line in sums::read(&text) {
        let (name, digest) = match line {
            Ok(file) => file,
            Err(line) => {
                let fault = format!("{SHA256SUMS} has a line that is none of its: {line:?}");
                report.faults.push(fault);
                continue;
            }
        };
        named.insert(name.to_owned());
        match digest_of(dir, name) {
            Ok(found) if found == digest => report.files += 1,
            Ok(_) => report.faults.push(format!("{name} was altered")),
            Err(error) => report
                .faults
                .push(format!("{name} cannot be read: {error}")),
        }
    }
    for name in [EVIDENCE_JSONL, CASE_JSON] {
        if !named.contains(name) {
            report.faults.push(format!("{SHA256SUMS} lacks {name}"));
        }
    }
}

/// Reads files in the folder and nothing else: who sends a folder may name a device that has no end.
fn digest_of(dir: &Path, name: &str) -> io::Result<String> {
    let name = Path::new(name);
    let is_inside = name
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let path = dir.join(name);
    if !is_inside || !fs::symlink_metadata(&path)?.is_file() {
        let fault = "it is no file of the folder";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, fault));
    }
    let mut digest = Sha256::new();
    io::copy(&mut File::open(path)?, &mut digest)?;
    Ok(hex::encode(digest.finalize()))
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

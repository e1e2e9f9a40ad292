//! From a case to a folder that can be read, sent, checked and asked money with.
//!
//! What must stay true: all forms say the same, for they are written from the same [`Case`]; every sentence
//! shows the numbers of the records behind it; what others may have written is text in every form, for a
//! browser, a reader of Markdown, a spreadsheet and a terminal; what is left out of a form is counted there,
//! and the name of the file that has it stands beside; the folder is there as a whole or not at all.
//! Deliberately not here: deciding anything, the clock, the network.

mod check;
mod credit;
mod doc;
mod evidence;
mod folder;
mod html;
mod markdown;
mod plain;
mod plot;
mod refs;
mod regions;
mod sheet;
mod stix;
mod story;
mod sums;
mod timeline;
mod word;

use std::io;
use std::path::{Path, PathBuf};

pub use check::{CheckError, CheckReport, check};
pub use evidence::{Chain, ChainError, verify};
pub use plain::plain;
pub use stix::Tlp;

use crate::case::Case;

/// The page.
pub const REPORT_HTML: &str = "report.html";
/// The same for a ticket.
pub const REPORT_MD: &str = "report.md";
/// Every act, for a spreadsheet.
pub const TIMELINE_CSV: &str = "timeline.csv";
/// What others can look for, as STIX 2.1.
pub const IOCS_JSON: &str = "iocs.json";
/// The records that are cited, chained by their hashes.
pub const EVIDENCE_JSONL: &str = "evidence.jsonl";
/// The case itself.
pub const CASE_JSON: &str = "case.json";
/// What a provider's support is asked with.
pub const CREDIT_REQUEST: &str = "credit-request";
/// The digests of all the others, as `sha256sum --check` reads them.
pub const SHA256SUMS: &str = "SHA256SUMS";

/// How a folder is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct How {
    /// Whether a case folder that is there is replaced.
    pub force: bool,
    /// Who may be told what stands in `iocs.json`.
    pub tlp: Tlp,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The folder.
    pub folder: PathBuf,
    /// Its files by their path in it, with their bytes.
    pub files: Vec<(String, u64)>,
    /// The hash that ends the chain of `evidence.jsonl`: whoever keeps it elsewhere can prove that the
    /// evidence is what it was.
    pub evidence_hash: String,
}

/// Why no folder was written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is there already.
    #[error(
        "{folder} is there already and is not overwritten; name another folder, or replace it with --force"
    )]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// It is there, and is none that was written here.
    #[error(
        "{folder} is there and is no case folder, so that --force does not replace it; name another folder"
    )]
    NotACase {
        /// The folder, or file.
        folder: PathBuf,
    },
    /// Two records have one number.
    #[error("two records of the case have the number {number}, which is a bug")]
    TwiceNumbered {
        /// The number.
        number: u32,
    },
    /// It cannot be written.
    #[error("{path} cannot be written")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Says whether a case can be written to a folder: before logs are read for hours.
///
/// # Errors
/// When the folder is there already.
pub fn check_place(dir: &Path, how: How) -> Result<(), ReportError> {
    folder::Draft::begin(dir, how.force).map(drop)
}

/// Writes a case to a folder, which is there as a whole or not at all. Only who runs this can read it.
///
/// # Errors
/// When the folder is there already, or cannot be written.
pub fn write(case: &Case, dir: &Path, how: How) -> Result<Written, ReportError> {
    let mut draft = folder::Draft::begin(dir, how.force)?;
    let records = evidence::numbered(case)?;
    let chain = draft.add(EVIDENCE_JSONL, |out| evidence::write(case, &records, out))?;
    draft.add(CASE_JSON, |out| {
        serde_json::to_writer_pretty(&mut *out, case)?;
        out.write_all(b"\n")
    })?;
    draft.add(TIMELINE_CSV, |out| timeline::write(case, &chain, out))?;
    let mut text = |name: &str, text: String| draft.add(name, |out| out.write_all(text.as_bytes()));
    text(IOCS_JSON, stix::bundle(case, how.tlp))?;
    text(REPORT_HTML, html::write(case, &chain))?;
    text(REPORT_MD, markdown::report(case, &chain))?;
    for (name, of_pack) in credit::pack(case, &chain) {
        text(&format!("{CREDIT_REQUEST}/{name}"), of_pack)?;
    }
    let sums = sums::write(draft.digests());
    draft.add(SHA256SUMS, |out| out.write_all(sums.as_bytes()))?;
    draft.finish(chain.hash)
}

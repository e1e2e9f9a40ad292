//! Every act of a case, for a spreadsheet.

use std::io::{self, Write};

use super::evidence::Chained;
use super::{refs, sheet, word};
use crate::case::Case;

const COLUMNS: [&str; 18] = [
    "first",
    "last",
    "count",
    "hand",
    "phase",
    "action",
    "principal",
    "credential",
    "place",
    "agent",
    "account",
    "region",
    "target",
    "error",
    "evidence",
    "record_table",
    "record_source",
    "record_sha256",
];
/// Where a line says what the file lacks.
const ACTION: usize = 5;

/// Writes a line for each act, by time.
pub(super) fn write(case: &Case, chain: &Chained, out: &mut dyn Write) -> io::Result<()> {
    let records = refs::known(case);
    out.write_all(sheet::line(COLUMNS).as_bytes())?;
    for act in &case.timeline {
        let record = act.evidence.and_then(|id| records.get(&id));
        let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            word::exact(act.span.first),
            word::exact(act.span.last),
            act.count.to_string(),
            word::hand(act.hand).to_owned(),
            act.phase.clone(),
            act.action.clone(),
            act.principal.clone(),
            or_none(&act.credential),
            or_none(&act.place),
            or_none(&act.agent),
            or_none(&act.account),
            or_none(&act.region),
            act.target.clone(),
            or_none(&act.error),
            act.evidence.map_or_else(String::new, |id| id.0.to_string()),
            record.map_or_else(String::new, |record| record.table.clone()),
            record.map_or_else(String::new, |record| record.source.clone()),
            act.evidence.map_or("", |id| chain.digest(id)).to_owned(),
        ];
        out.write_all(sheet::line(cells).as_bytes())?;
    }
    // A file that lacks something says so in itself.
    if case.acts_left_out > 0 {
        let mut cells = [const { String::new() }; COLUMNS.len()];
        let acts = word::count(case.acts_left_out, "act", "acts");
        cells[ACTION] = format!("left out: {acts} beyond those that the case has");
        out.write_all(sheet::line(cells).as_bytes())?;
    }
    Ok(())
}

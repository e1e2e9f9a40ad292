//! `davy hunt list` and `davy hunt show`: the hunts there are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use anyhow::anyhow;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use davylamp_content::hunt::{Hunt, Parsed};
use davylamp_hunt::library::{self, LibraryError};

use super::args::{OwnHunts, ShowArgs};
use crate::failure::Failure;
use crate::output::emit;

/// The hunts that ship, and the user's own.
pub(super) fn hunts(own: &OwnHunts) -> Result<Vec<Parsed>, Failure> {
    library::read(own.folder.as_deref()).map_err(|error| match error {
        LibraryError::Faulty(faults) => Failure::from(faults),
        other => Failure::new(
            anyhow!(other),
            "--hunts names a folder with a folder for each hunt: docs/hunts-writing.md",
        ),
    })
}

/// The hunt of that name.
pub(super) fn named(hunts: &[Parsed], name: &str) -> Result<Hunt, Failure> {
    let found = hunts.iter().find(|parsed| parsed.hunt.name == name);
    let found = found.map(|parsed| parsed.hunt.clone());
    found.ok_or_else(|| {
        Failure::new(
            anyhow!("there is no hunt {name}"),
            "list the hunts: davy hunt list",
        )
    })
}

/// Runs `davy hunt list`.
pub(super) fn list(own: &OwnHunts) -> Result<ExitCode, Failure> {
    let mut table = Table::new();
    table
        .load_preset(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["hunt", "finds", "severity", "reads"]);
    for Parsed { hunt, .. } in hunts(own)? {
        let tables: Vec<&str> = hunt.tables.iter().map(|table| table.name()).collect();
        let row = [
            hunt.name.as_str(),
            hunt.title.as_str(),
            hunt.severity.as_str(),
            &tables.join(", "),
        ];
        table.add_row(row);
    }
    emit(format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `davy hunt show`.
pub(super) fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let hunt = named(&hunts(&args.own)?, &args.hunt)?;
    emit(shown(&hunt))?;
    Ok(ExitCode::SUCCESS)
}

fn shown(hunt: &Hunt) -> String {
    let tables: Vec<&str> = hunt.tables.iter().map(|table| table.name()).collect();
    let mut text = format!(
        "{}: {}\n\nseverity    {}\ntechniques  {}\nreads       {}\nneeds       {}\n\n{}\n",
        hunt.name,
        hunt.title,
        hunt.severity.as_str(),
        hunt.techniques.join(", "),
        tables.join(", "),
        hunt.needs.join(", "),
        hunt.reason.trim(),
    );
    for (title, items) in [
        ("known benign causes", &hunt.benign),
        ("next steps", &hunt.next),
    ] {
        // Writing to a text cannot fail, here and below.
        let _ = writeln!(text, "\n{title}");
        for item in items {
            let _ = writeln!(text, "  - {item}");
        }
    }
    if !hunt.parameters.is_empty() {
        let _ = writeln!(text, "\nparameters");
    }
    for parameter in &hunt.parameters {
        let _ = writeln!(
            text,
            "  {} = {} ({}): {}",
            parameter.name,
            parameter.default,
            parameter.bounds(),
            parameter.why
        );
    }
    if let Ok(sql) = hunt.sql(&BTreeMap::new()) {
        let _ = writeln!(text, "\nquery\n{}", sql.trim_end());
    }
    text
}

//! A report's timeline for a spreadsheet.
//!
//! Spreadsheets take cells that begin with some characters for formulas, quoted or not
//! (<https://owasp.org/www-community/attacks/CSV_Injection>): before those stands an apostrophe.

use super::Report;
use crate::page::text;

pub(super) fn write(report: &Report) -> String {
    let Some(section) = report
        .sections
        .iter()
        .find(|section| section.name == "Timeline")
    else {
        return String::new();
    };
    let heads: Vec<String> = section
        .heads
        .iter()
        .map(|head| (*head).to_owned())
        .collect();
    let mut written = line(&heads);
    for row in &section.rows {
        written.push_str(&line(row));
    }
    // A file that lacks something says so in itself.
    for what in &report.left_out {
        let mut row = vec![String::new(); section.heads.len()];
        row[4] = format!("Left out: {what}");
        written.push_str(&line(&row));
    }
    written
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn quoted(cell: &str) -> String {
    let cell = text::plain(cell);
    let acts = cell.trim_start().starts_with([
        '=', '+', '-', '@', '␉', '␍', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ]);
    let guard = if acts { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_cell_is_text() {
        for (cell, expected) in [
            ("plain", "\"plain\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("  +1", "\"'  +1\""),
            ("-2+3", "\"'-2+3\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("\t=1", "\"'␉=1\""),
            ("＝1", "\"'＝1\""),
            ("a\"b,\nc", "\"a\"\"b,␊c\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(cell), expected, "{cell:?}");
        }
    }
}

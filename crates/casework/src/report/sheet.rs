//! Lines for spreadsheets (RFC 4180).
//!
//! Spreadsheets take cells that begin with some characters for formulas, quoted or not
//! (<https://owasp.org/www-community/attacks/CSV_Injection>): before those stands an apostrophe. Numbers
//! keep their sign.

use davylamp_model::visible;

/// What begins a formula; the wide forms are those that some spreadsheets read as the narrow ones.
const FORMULA_STARTS: [char; 10] = [
    '=', '+', '-', '@', '␉', '␍', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// A line of cells.
pub(super) fn line<S: AsRef<str>>(cells: impl IntoIterator<Item = S>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|text| cell(text.as_ref())).collect();
    format!("{}\r\n", cells.join(","))
}

fn cell(text: &str) -> String {
    let text = visible::line(text);
    let is_formula = text.trim_start().starts_with(FORMULA_STARTS) && text.parse::<f64>().is_err();
    let guard = if is_formula { "'" } else { "" };
    match text.contains([',', '"']) || is_formula || text.starts_with(' ') {
        true => format!("\"{guard}{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_runs_nothing() {
        for (text, expected) in [
            ("plain", "plain"),
            ("-12.5", "-12.5"),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("  +1+1", "\"'  +1+1\""),
            ("\t=1", "\"'␉=1\""),
            ("＝1", "\"'＝1\""),
            ("a\"b,\nc", "\"a\"\"b,␊c\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}

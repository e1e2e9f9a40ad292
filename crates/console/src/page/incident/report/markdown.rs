//! A report in Markdown.
//!
//! Every ASCII punctuation mark may stand behind a backslash, and is then itself
//! (<https://spec.commonmark.org/0.31.2/#backslash-escapes>): no value can be anything but text.

use super::Report;
use crate::page::text;

pub(super) fn write(report: &Report) -> String {
    let mut lines = vec![format!("# {}", escaped(&report.title)), String::new()];
    for (head, fact) in &report.facts {
        lines.push(format!("- **{head}:** {}", escaped(fact)));
    }
    lines.extend([String::new(), "## Left out".to_owned(), String::new()]);
    if report.left_out.is_empty() {
        lines.push("Nothing.".to_owned());
    }
    for what in &report.left_out {
        lines.push(format!("- {}", escaped(what)));
    }
    for section in &report.sections {
        lines.extend([String::new(), format!("## {}", section.name), String::new()]);
        if section.rows.is_empty() {
            lines.push("None.".to_owned());
            continue;
        }
        lines.push(format!("| {} |", section.heads.join(" | ")));
        lines.push(format!("|{}", " --- |".repeat(section.heads.len())));
        for row in &section.rows {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            lines.push(format!("| {} |", cells.join(" | ")));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for c in text::plain(value).chars() {
        if c.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_value_is_text() {
        assert_eq!(
            escaped("[a](x) |<b>\n# &lt;"),
            "\\[a\\]\\(x\\) \\|\\<b\\>␊\\# \\&lt\\;"
        );
    }
}

//! A notice as plain text.

use super::Notice;
use super::page::Page;

/// The subject: one line, also if the title was not.
pub fn subject(notice: &Notice) -> String {
    super::page::subject(notice)
}

/// The body.
pub fn body(notice: &Notice) -> String {
    let page = Page::of(notice);
    let mut out = format!("{}\n\n", page.title);
    for (name, value) in &page.facts {
        out.push_str(&format!("{name}: {value}\n"));
    }
    for section in &page.sections {
        out.push_str(&format!("\n{}\n", section.heading));
        for line in &section.lines {
            out.push_str(&format!("- {}\n", line.text));
            if let Some(command) = &line.command {
                out.push_str(&format!("    {command}\n"));
            }
        }
    }
    if !page.links.is_empty() {
        out.push_str("\nRead on\n");
        for (label, url) in &page.links {
            out.push_str(&format!("- {label} {url}\n"));
        }
    }
    out
}

//! A notice as plain text.

use super::Notice;
use super::page::Page;
use super::show::LIST_ENTRIES;

/// The subject: one line, also if the title was not.
pub fn subject(notice: &Notice) -> String {
    super::page::subject(notice)
}

/// The body.
pub fn body(notice: &Notice) -> String {
    written(&Page::of(notice))
}

/// The body with as many entries of each list as fit: `fits` says whether a text does. Every list
/// gives way before one is lost, and each says how many of its entries are left out. What does not fit
/// even with one entry of each is returned all the same, for its channel to cut.
pub fn fitting(notice: &Notice, fits: impl Fn(&str) -> bool) -> String {
    let mut entries = LIST_ENTRIES;
    loop {
        let text = written(&Page::with(notice, entries));
        if entries <= 1 || fits(&text) {
            return text;
        }
        entries = entries * 3 / 4;
    }
}

fn written(page: &Page) -> String {
    let mut out = format!("{}\n\n", page.title);
    for (name, value) in &page.facts {
        out.push_str(&format!("{name}: {value}\n"));
    }
    for section in &page.sections {
        out.push_str(&format!("\n{}\n", section.heading));
        for line in section.all_lines() {
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

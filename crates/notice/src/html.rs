//! A notice as an HTML page, for mail readers: no scripts, no images, nothing loaded.

use maud::{DOCTYPE, html};

use super::Notice;
use super::page::Page;

/// Inline, because mail readers drop style sheets.
const MONOSPACE: &str =
    "font-family:monospace;white-space:pre-wrap;background:#f2f2f2;padding:4px 8px";

/// The page. Every value is encoded.
pub fn body(notice: &Notice) -> String {
    let page = Page::of(notice);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (page.subject) }
            }
            body style="font-family:sans-serif;color:#1a1a1a" {
                h1 style="font-size:18px" { (page.title) }
                table {
                    @for (name, value) in &page.facts {
                        tr {
                            th align="left" scope="row" { (name) }
                            td { bdi { (value) } }
                        }
                    }
                }
                @for section in &page.sections {
                    h2 style="font-size:15px" { (section.heading) }
                    ul {
                        @for line in section.all_lines() {
                            li {
                                bdi { (line.text) }
                                @if let Some(command) = &line.command {
                                    div style=(MONOSPACE) { (command) }
                                }
                            }
                        }
                    }
                }
                @if !page.links.is_empty() {
                    h2 style="font-size:15px" { "Read on" }
                    ul {
                        @for (label, url) in &page.links {
                            li {
                                // Anything else may run a script or load what an attacker wrote.
                                @if url.starts_with("https://") {
                                    a href=(url) rel="noreferrer noopener" { (label) }
                                } @else {
                                    bdi { (label) " " (url) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    .into_string()
}

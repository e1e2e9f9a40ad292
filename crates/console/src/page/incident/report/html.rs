//! A report as one page that needs nothing else: its style stands in it, and it may run nothing.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::Report;
use crate::page::text;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 14px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { color: GrayText; } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .3rem .5rem; border-top: 1px solid GrayText; overflow-wrap: anywhere; min-width: 5rem; }
@media print { body { font-size: 10px; margin: 0; } tr { break-inside: avoid; } }
";

/// What the file may do: be styled by its own style. A browser that shows it from us keeps it apart from
/// us; a file on a disk cannot ask for that.
pub(super) fn policy(is_answer: bool) -> String {
    static HASH: LazyLock<String> = LazyLock::new(|| BASE64_STANDARD.encode(Sha256::digest(STYLE)));
    let apart = match is_answer {
        true => "; frame-ancestors 'none'; sandbox",
        false => "",
    };
    format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'{apart}",
        *HASH
    )
}

pub(super) fn write(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(false));
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (text::cut(&report.title, 120)) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                h1 { (text::shown(&report.title)) }
                dl { @for (head, fact) in &report.facts { dt { (head) } dd { (text::shown(fact)) } } }
                h2 { "Left out" }
                @if report.left_out.is_empty() { p { "Nothing." } }
                @else { ul { @for what in &report.left_out { li { (text::shown(what)) } } } }
                @for section in &report.sections {
                    h2 { (section.name) }
                    @if section.rows.is_empty() { p { "None." } }
                    @else { div.scroll role="region" aria-label=(section.name) tabindex="0" { table {
                        thead { tr { @for head in section.heads { th scope="col" { (head) } } } }
                        tbody { @for row in &section.rows { tr { @for cell in row { td { (text::shown(cell)) } } } } }
                    } } }
                }
            } }
        }
    };
    page.into_string()
}

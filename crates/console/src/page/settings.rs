//! People and tokens. Each change is an entry of the ledger; no secret is ever in one, in an address, or
//! shown twice.

pub(super) mod notices;
pub(super) mod people;
pub(super) mod tokens;

use axum::extract::State;
use davylamp_ledger::Record;
use davylamp_ledger::record::Setting;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::frame::{self, Room};
use crate::access::{Refused, Role, Viewer};
use crate::site::Site;
use crate::store::StoreError;

/// The longest name of a person, a token or a cluster.
const NAME_CHARS: usize = 100;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    done: String,
}

/// A secret that is shown now and never again.
struct Once<'a> {
    what: &'a str,
    secret: &'a str,
    how: &'a str,
}

pub(super) async fn show(
    State(site): State<Site>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Markup, Refused> {
    viewer.must(Role::Admin)?;
    page(&site, &viewer, None, !wanted.done.is_empty()).await
}

async fn page(
    site: &Site,
    viewer: &Viewer,
    once: Option<Once<'_>>,
    is_done: bool,
) -> Result<Markup, Refused> {
    let people = site.store().people().await?;
    let provided = site.store().all_provided().await?;
    let tokens = site.store().tokens().await?;
    let body = html! {
        h1 { "Settings" }
        @if is_done { p.flash role="status" { "It is changed, and the ledger has it." } }
        @if let Some(once) = once {
            section.flash.once role="status" aria-label="Shown once" {
                h2 { (once.what) }
                p { "It is shown now and never again: " (once.how) }
                p { code.secret { (once.secret) } }
            }
        }
        p { a href="/settings/notices" { "Notices: who is told, and what became of it" } }
        (people::show(viewer, &people, &provided))
        (tokens::show(site, viewer, &tokens))
    };
    Ok(frame::page(viewer, Room::Settings, "Settings", body))
}

/// A name that can stand in a list, a log and a command line.
pub(crate) fn visible_name(text: &str) -> Option<String> {
    let text = text.trim();
    let is_good =
        !text.is_empty() && text.chars().count() <= NAME_CHARS && super::text::plain(text) == text;
    is_good.then(|| text.to_owned())
}

fn name(text: &str, what: &str) -> Result<String, Refused> {
    let why = || {
        format!("The name of a {what} has 1 to {NAME_CHARS} characters, all of which can be seen.")
    };
    visible_name(text).ok_or_else(|| Refused::Wrong(why()))
}

/// Writes a change down.
async fn note(
    site: &Site,
    viewer: &Viewer,
    name: String,
    from: Option<serde_json::Value>,
    to: Option<serde_json::Value>,
) -> Result<(), Refused> {
    let record = Record::Setting(Setting {
        name,
        from,
        to,
        by: viewer.name.clone(),
    });
    site.ledger().record(record, site.now()).await?;
    site.live().wake();
    Ok(())
}

/// A name that is taken or not there is the visitor's mistake.
fn mistake(error: StoreError) -> Refused {
    match error {
        StoreError::Taken { .. } | StoreError::Absent { .. } => {
            Refused::Wrong(format!("Nothing was changed: {error}."))
        }
        error => error.into(),
    }
}

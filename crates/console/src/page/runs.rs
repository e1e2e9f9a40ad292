//! A part of the runs of hunts or audits that somebody may see: what the pages of both list.

use davylamp_ledger::query::{At, RunFilter};
use davylamp_ledger::rows::RunRow;
use serde::{Deserialize, Serialize};

use super::{asked, list, posture};
use crate::access::{Refused, Viewer};
use crate::site::Site;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wanted {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub at: String,
}

pub(super) struct Part {
    pub rows: Vec<RunRow>,
    /// Where the list begins, for who is not there.
    pub first: Option<String>,
    /// Where it goes on.
    pub next: Option<String>,
}

/// What is wanted of the runs of `hunt` or `audit`, on the page at `path`.
pub(super) async fn part(
    site: &Site,
    viewer: &Viewer,
    wanted: &Wanted,
    verb: &str,
    path: &str,
) -> Result<Part, Refused> {
    let filter = &RunFilter {
        verb: Some(verb.to_owned()),
        name: asked::wanted(&wanted.name),
        target: asked::wanted(&wanted.target),
    };
    let ledger = site.ledger();
    let page = list::seen(
        asked::at(&wanted.at),
        |at: At| async move { ledger.runs(filter, &at).await },
        |row: &RunRow| posture::sees(&viewer.scope, &row.target),
    )
    .await?;
    let to = |at: &str| {
        let wanted = Wanted {
            at: at.to_owned(),
            ..wanted.clone()
        };
        asked::address(path, &wanted)
    };
    Ok(Part {
        rows: page.items,
        first: (!wanted.at.is_empty()).then(|| to("")),
        next: page.next.as_deref().map(to),
    })
}

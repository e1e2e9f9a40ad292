//! How much of an incident somebody may see, who may see some clusters only.
//!
//! An incident across clusters is shown to whoever may see one of them; what it holds of the others,
//! its name and its numbers included, is left out, and that it is left out is said.

use davylamp_ledger::query::IncidentView;
use davylamp_ledger::record::IncidentNo;
use davylamp_ledger::rows::IncidentRow;

use crate::access::{Refused, Scope, Viewer};
use crate::site::Site;

/// A row names no more clusters than this: where it names so many, there may be others.
const NAMES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Whole,
    Part,
    Nothing,
}

/// The names in a row's list.
pub(super) fn names(list: &str) -> Vec<String> {
    serde_json::from_str(list).unwrap_or_default()
}

pub(super) fn of(scope: &Scope, row: &IncidentRow) -> Sight {
    if scope.is_all() {
        return Sight::Whole;
    }
    let clusters = names(&row.clusters);
    let seen = clusters.iter().filter(|name| scope.holds(name)).count();
    match seen {
        0 => Sight::Nothing,
        seen if seen == clusters.len() && seen < NAMES => Sight::Whole,
        _ => Sight::Part,
    }
}

/// An incident that somebody may see something of.
pub(super) async fn incident(
    site: &Site,
    viewer: &Viewer,
    no: i64,
) -> Result<(IncidentView, Sight), Refused> {
    let found = site.ledger().incident(IncidentNo(no)).await?;
    let found = found.ok_or(Refused::Absent)?;
    match of(&viewer.scope, &found.row) {
        // Its row names the first clusters alone.
        Sight::Nothing if names(&found.row.clusters).len() >= NAMES => {
            match site
                .ledger()
                .reaches(IncidentNo(no), viewer.scope.clusters())
                .await?
            {
                true => Ok((found, Sight::Part)),
                false => Err(Refused::Absent),
            }
        }
        Sight::Nothing => Err(Refused::Absent),
        sight => Ok((found, sight)),
    }
}

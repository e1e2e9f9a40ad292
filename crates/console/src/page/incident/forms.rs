//! What people decide about an incident. Each form becomes one entry of the ledger, in the name of
//! whoever is signed in.

use axum::extract::{Path, State};
use axum::response::Redirect;
use davylamp_ledger::Record;
use davylamp_ledger::record::{
    Clock, IncidentNo, IncidentState, Note, Owner, OwnerStep, State as Stands, Tick,
};
use davylamp_ledger::rows::{IncidentRow, NOT_DUE};
use jiff::SignedDuration;
use maud::{Markup, html};
use serde::Deserialize;

use crate::access::{Refused, Role, Signed, Viewer};
use crate::page::frame::csrf;
use crate::page::{asked, number, sight, word};
use crate::site::Site;
use crate::store::Person;

/// The longest text that a form takes: a page of prose, many times over.
const TEXT_CHARS: usize = 20_000;
/// How far ahead a clock is set, in hours.
const HOURS: [(&str, i64, &str); 5] = [
    ("1", 1, "in an hour"),
    ("4", 4, "in 4 hours"),
    ("24", 24, "in a day"),
    ("72", 72, "in 3 days"),
    ("168", 168, "in a week"),
];

/// Those states that people choose.
fn chosen() -> impl Iterator<Item = Stands> {
    Stands::ALL
        .into_iter()
        .filter(|state| *state != Stands::Merged)
}

pub(super) fn show(viewer: &Viewer, row: &IncidentRow, people: &[Person]) -> Markup {
    let to = |what: &str| format!("/incidents/{}/{what}", row.id);
    let is_mine = row.owner.as_deref() == Some(viewer.name.as_str());
    let others = people.iter().filter(|person| can_own(person));
    html! {
        section.card.forms {
            h2 { "Your part" }
            form.stack method="post" action=(to("state")) {
                h3 { "State" }
                (csrf(viewer))
                label for="new-state" { "New state" }
                select #new-state name="state" { @for state in chosen().filter(|state| state.as_str() != row.state) { (word::option(state.as_str(), state.as_str(), "")) } }
                label for="reason" { "Reason " span.muted { "(closing needs one)" } }
                textarea #reason name="reason" rows="2" maxlength=(TEXT_CHARS) {}
                button { "Change the state" }
            }
            form.stack method="post" action=(to("owner")) {
                h3 { "Owner" }
                (csrf(viewer))
                @if is_mine {
                    div.row {
                        @if row.owner_step != "accepted" { button name="step" value="accept" { "Accept" } }
                        button name="step" value="decline" { "Decline" }
                    }
                }
                @if !is_mine { div.row { button name="step" value="take" { "Take it" } } }
                label for="to" { @if is_mine { "Hand it on to" } @else { "Assign it to" } }
                select #to name="to" { @for person in others { (word::option(&person.name, &crate::page::text::plain(&person.name), "")) } }
                button name="step" value=(if is_mine { "delegate" } else { "assign" }) { @if is_mine { "Hand on" } @else { "Assign" } }
            }
            form.stack method="post" action=(to("clock")) {
                h3 { "Clock" }
                (csrf(viewer))
                @if row.due != NOT_DUE { button name="tick" value="met" formnovalidate { "It is done: the clock is met" } }
                label for="within" { "Due" }
                select #within name="within" { @for (value, _, text) in HOURS { (word::option(value, text, "24")) } }
                label for="until" { "or exactly at " span.muted { "(UTC)" } }
                input #until type="datetime-local" name="until";
                label for="why" { "What is due, and why then" }
                input #why name="why" maxlength="500";
                button name="tick" value="due" { "Set the clock" }
            }
            form.stack method="post" action=(to("note")) {
                h3 { "Note" }
                (csrf(viewer))
                label for="note" { "What colleagues should know" }
                textarea #note name="text" rows="3" required maxlength=(TEXT_CHARS) {}
                button { "Add the note" }
            }
        }
    }
}

fn can_own(person: &Person) -> bool {
    !person.disabled && person.role >= Role::Responder
}

/// The incident that somebody may change.
async fn changed(site: &Site, viewer: &Viewer, no: &str) -> Result<IncidentRow, Refused> {
    viewer.must(Role::Responder)?;
    let (view, _) = sight::incident(site, viewer, number(no)?).await?;
    Ok(view.row)
}

/// The incident that somebody may have something done about: all of it is theirs to see.
pub(super) async fn whole(site: &Site, viewer: &Viewer, no: &str) -> Result<IncidentRow, Refused> {
    viewer.must(Role::Responder)?;
    let (view, sight) = sight::incident(site, viewer, number(no)?).await?;
    match sight {
        sight::Sight::Whole => Ok(view.row),
        _ => Err(Refused::Wrong(
            "This incident reaches clusters that are not yours: somebody who sees all of it has to decide."
                .to_owned(),
        )),
    }
}

pub(super) fn bounded(text: String, what: &str) -> Result<String, Refused> {
    match text.chars().nth(TEXT_CHARS) {
        None => Ok(text.trim().to_owned()),
        Some(_) => Err(Refused::Wrong(format!("The {what} is too long."))),
    }
}

pub(super) async fn write(
    site: &Site,
    no: i64,
    record: Record,
    done: &str,
) -> Result<Redirect, Refused> {
    site.ledger().record(record, site.now()).await?;
    site.live().wake();
    Ok(Redirect::to(&format!("/incidents/{no}?done={done}")))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct StateForm {
    state: String,
    #[serde(default)]
    reason: String,
}

pub(in crate::page) async fn state(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<StateForm>,
) -> Result<Redirect, Refused> {
    let row = changed(&site, &viewer, &no).await?;
    let state = chosen().find(|state| state.as_str() == form.state);
    let state = state.ok_or_else(|| Refused::Wrong("There is no such state.".to_owned()))?;
    let reason = bounded(form.reason, "reason")?;
    if state == Stands::Closed && reason.is_empty() {
        let text = "Closing needs a reason. Nothing was changed: go back and say why.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    if state.as_str() == row.state {
        let text = format!("It is {} already.", row.state);
        return Err(Refused::Wrong(text));
    }
    let record = Record::IncidentState(IncidentState {
        incident: IncidentNo(row.id),
        state,
        reason,
        by: viewer.name,
    });
    write(&site, row.id, record, "state").await
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct OwnerForm {
    step: String,
    #[serde(default)]
    to: String,
}

pub(in crate::page) async fn owner(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<OwnerForm>,
) -> Result<Redirect, Refused> {
    let row = changed(&site, &viewer, &no).await?;
    let is_mine = row.owner.as_deref() == Some(viewer.name.as_str());
    let mine = || Refused::Wrong("It is not yours any more: load the page again.".to_owned());
    let (step, owner) = match form.step.as_str() {
        "take" => (OwnerStep::Assigned, viewer.name.clone()),
        "assign" => (OwnerStep::Assigned, known(&site, &row, &form.to).await?),
        "accept" | "decline" | "delegate" if !is_mine => return Err(mine()),
        "accept" => (OwnerStep::Accepted, viewer.name.clone()),
        "decline" => (OwnerStep::Declined, viewer.name.clone()),
        "delegate" => (OwnerStep::Delegated, known(&site, &row, &form.to).await?),
        _ => return Err(Refused::Form),
    };
    let is_taken = form.step == "take";
    let record = |step| {
        Record::Owner(Owner {
            incident: IncidentNo(row.id),
            step,
            owner: owner.clone(),
            by: viewer.name.clone(),
        })
    };
    if is_taken {
        site.ledger().record(record(step), site.now()).await?;
        return write(&site, row.id, record(OwnerStep::Accepted), "owner").await;
    }
    write(&site, row.id, record(step), "owner").await
}

/// Somebody who can own an incident and may see it.
async fn known(site: &Site, row: &IncidentRow, name: &str) -> Result<String, Refused> {
    let person = site.store().person(name).await?;
    let person = person.filter(can_own);
    let person = person.filter(|person| sight::of(&person.scope, row) != sight::Sight::Nothing);
    match person {
        Some(person) => Ok(person.name),
        None => Err(Refused::Wrong(
            "There is nobody of that name who may respond to this incident.".to_owned(),
        )),
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct ClockForm {
    tick: String,
    #[serde(default)]
    within: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    why: String,
}

pub(in crate::page) async fn clock(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<ClockForm>,
) -> Result<Redirect, Refused> {
    let row = changed(&site, &viewer, &no).await?;
    let tick = match form.tick.as_str() {
        "met" if row.due == NOT_DUE => {
            return Err(Refused::Wrong("No clock runs.".to_owned()));
        }
        "met" => Tick::Met,
        "due" => {
            let now = site.now();
            let hours = HOURS.iter().find(|(value, ..)| *value == form.within);
            let later = hours
                .and_then(|(_, hours, _)| now.checked_add(SignedDuration::from_hours(*hours)).ok());
            let until = asked::time(&form.until)?.or(later).ok_or(Refused::Form)?;
            if until <= now {
                return Err(Refused::Wrong("That time is over already.".to_owned()));
            }
            let why = bounded(form.why, "text")?;
            Tick::Due { until, why }
        }
        _ => return Err(Refused::Form),
    };
    let record = Record::Clock(Clock {
        incident: IncidentNo(row.id),
        tick,
        by: viewer.name,
    });
    write(&site, row.id, record, "clock").await
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct NoteForm {
    text: String,
}

pub(in crate::page) async fn note(
    State(site): State<Site>,
    Path(no): Path<String>,
    Signed { viewer, form }: Signed<NoteForm>,
) -> Result<Redirect, Refused> {
    let row = changed(&site, &viewer, &no).await?;
    let text = bounded(form.text, "note")?;
    if text.is_empty() {
        return Err(Refused::Wrong("The note is empty.".to_owned()));
    }
    let record = Record::Note(Note {
        incident: Some(IncidentNo(row.id)),
        text,
        by: viewer.name,
    });
    write(&site, row.id, record, "note").await
}

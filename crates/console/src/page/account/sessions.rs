//! One's own sessions.

use axum::extract::State;
use axum::response::Redirect;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::access::{Refused, Signed, Viewer};
use crate::page::frame::{csrf, table};
use crate::page::{text, time};
use crate::site::Site;
use crate::store::{Sitting, Way};

pub(super) fn card(viewer: &Viewer, sittings: &[Sitting], now: Timestamp) -> Markup {
    let heads = ["Session", "From", "By", "Begun", "Last seen", "End"];
    let body = html! {
        @for sitting in sittings {
            tr {
                th scope="row" { (text::or_none(&sitting.agent)) }
                td data-label="From" { (text::brief(&sitting.from)) }
                td data-label="By" { (by(sitting.way)) }
                td data-label="Begun" { (time::ago(sitting.begun.as_microsecond(), now)) }
                td data-label="Last seen" { (time::ago(sitting.seen.as_microsecond(), now)) }
                td data-label="End" {
                    @if sitting.id == viewer.session { span.muted { "this one" } }
                    @else { form method="post" action="/account/sessions/end" { (csrf(viewer)) input type="hidden" name="id" value=(sitting.id); button aria-label=(format!("End the session from {}", text::plain(&sitting.from))) { "End this" } } }
                }
            }
        }
    };
    html! {
        section.card #sessions {
            h2 { "Sessions" }
            (table("Sessions", &heads, body))
            @if sittings.len() > 1 { form method="post" action="/account/sessions/end-others" { (csrf(viewer)) button { "End all others" } } }
        }
    }
}

fn by(way: Way) -> &'static str {
    match way {
        Way::Password => "password",
        Way::Link => "link",
        Way::Provider => "your organisation",
    }
}

#[derive(Deserialize)]
pub(in crate::page) struct End {
    id: String,
}

pub(in crate::page) async fn end(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<End>,
) -> Result<Redirect, Refused> {
    if form.id == viewer.session {
        let text = "This is the session you are in: sign out instead.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    match site.store().end(&viewer.name, &form.id).await? {
        true => Ok(Redirect::to("/account?done=ended#sessions")),
        false => Err(Refused::Wrong(
            "You have no such session: it has ended.".to_owned(),
        )),
    }
}

#[derive(Deserialize)]
pub(in crate::page) struct EndOthers {}

pub(in crate::page) async fn end_others(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<EndOthers>,
) -> Result<Redirect, Refused> {
    let EndOthers {} = form;
    site.store()
        .end_others(&viewer.name, &viewer.session)
        .await?;
    Ok(Redirect::to("/account?done=others#sessions"))
}

//! One's own password.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::{known_by_password, note_own, own, renewed_to};
use crate::access::{Refused, Signed, Viewer, check_new, hash_in_turn};
use crate::page::frame::csrf;
use crate::serve::From;
use crate::site::Site;
use crate::store::Person;

pub(super) fn card(viewer: &Viewer, person: &Person) -> Markup {
    let has_one = person.password.is_some();
    html! {
        section.card #password {
            h2 { "Password" }
            p.muted { @if has_one { "You have one." } @else { "You have none, and come by links." } " At least 15 characters; four words nobody would guess are good." }
            form.stack method="post" action="/account/password" {
                (csrf(viewer))
                input type="hidden" name="name" value=(person.name) autocomplete="username";
                @if has_one { label for="old" { "Present password" } input #old type="password" name="old" autocomplete="current-password" required; }
                label for="new" { "New password" } input #new type="password" name="new" autocomplete="new-password" minlength="15" required;
                label for="again" { "The same again" } input #again type="password" name="again" autocomplete="new-password" minlength="15" required;
                button { "Change and end other sessions" }
            }
        }
    }
}

#[derive(Deserialize)]
pub(in crate::page) struct Form {
    #[serde(default)]
    old: String,
    new: String,
    again: String,
}

pub(in crate::page) async fn change(
    State(site): State<Site>,
    from: From,
    Signed { viewer, form }: Signed<Form>,
) -> Result<Response, Refused> {
    let person = own(&site, &viewer).await?;
    known_by_password(&site, &viewer, &person, from, form.old).await?;
    if form.new != form.again {
        let text = "The two new passwords differ. Nothing was changed.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    let refused =
        |why: crate::PasswordError| Refused::Wrong(format!("Nothing was changed: {why}."));
    check_new(&person.name, &form.new).map_err(refused)?;
    let digest = hash_in_turn(form.new).await.map_err(refused)?;
    site.store().set_password(&person.name, &digest).await?;
    note_own(&site, &person.name, "password", "changed").await?;
    renewed_to(&site, viewer, "/account?done=password").await
}

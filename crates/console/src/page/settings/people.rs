//! Who may sign in, and what they may do and see.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Once, mistake, name, note, page};
use crate::access::{Refused, Role, Scope, Signed, Viewer};
use crate::page::frame::{csrf, table};
use crate::page::{text, word};
use crate::site::Site;
use crate::store::Person;

pub(super) fn show(viewer: &Viewer, people: &[Person], provided: &BTreeSet<String>) -> Markup {
    let heads = [
        "Name",
        "Role",
        "Clusters",
        "Second factor",
        "State",
        "Change",
    ];
    let body = html! {
        @for person in people {
            @let id = text::plain(&person.name);
            tr {
                th scope="row" { (text::shown(&person.name)) }
                td data-label="Role" { (person.role.as_str()) }
                td data-label="Clusters" { @if person.scope.is_all() { "all" } @for (n, name) in person.scope.clusters().iter().enumerate() { @if n > 0 { ", " } (text::brief(name)) } }
                td data-label="Second factor" { @if provided.contains(&person.name) { span.muted { "at their provider" } } @else if person.second_factor.is_some() { "yes" } @else { span.warn { "no" } } }
                td data-label="State" { @if person.disabled { span.muted { "disabled" } } @else { "may sign in" } }
                td data-label="Change" {
                    details { summary { "Change " span.hidden { (id) } }
                        @if provided.contains(&person.name) { p.muted { "What they may do and see follows their groups at each sign-in; what is changed here lasts until then. Disabled stays disabled." } }
                        form.stack method="post" action="/settings/people/change" {
                            (csrf(viewer)) input type="hidden" name="name" value=(person.name);
                            label { "Role" select name="role" { @for role in Role::ALL { (word::option(role.as_str(), role.as_str(), person.role.as_str())) } } }
                            label { "Clusters, and accounts as account:123456789012, by commas; empty for all" input name="clusters" value=(person.scope.clusters().join(", ")); }
                            label.check { input type="checkbox" name="disabled" value="1" checked[person.disabled]; " disabled" }
                            button { "Change and sign them out" }
                        }
                        @if !person.disabled {
                            form method="post" action="/settings/people/link" { (csrf(viewer)) input type="hidden" name="name" value=(person.name); button { "Make a sign-in link" } }
                        }
                        @if person.second_factor.is_some() {
                            form method="post" action="/settings/people/factor" { (csrf(viewer)) input type="hidden" name="name" value=(person.name); button { "Take their second factor away and sign them out" } }
                        }
                    }
                }
            }
        }
    };
    html! {
        section.card #people {
            h2 { "People" }
            (table("People", &heads, body))
            details { summary { "Add somebody" }
                form.stack method="post" action="/settings/people" {
                    (csrf(viewer))
                    label for="p-name" { "Name" } input #p-name name="name" required maxlength="100" autocomplete="off";
                    label for="p-role" { "Role" } select #p-role name="role" { @for role in Role::ALL { (word::option(role.as_str(), role.as_str(), "viewer")) } }
                    label for="p-clusters" { "Clusters, and accounts as account:123456789012, by commas; empty for all" } input #p-clusters name="clusters" autocomplete="off";
                    button { "Add" }
                }
            }
        }
    }
}

fn scope(text: &str) -> Result<Scope, Refused> {
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let names: Result<Vec<_>, _> = names.map(|each| name(each, "cluster")).collect();
    names.map(Scope::of)
}

fn role(text: &str) -> Result<Role, Refused> {
    Role::named(text).ok_or(Refused::Form)
}

/// What the ledger notes of somebody.
pub(crate) fn noted(person: &Person) -> Value {
    json!({
        "role": person.role.as_str(),
        "clusters": person.scope.clusters(),
        "disabled": person.disabled,
    })
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct Form {
    name: String,
    role: String,
    #[serde(default)]
    clusters: String,
    #[serde(default)]
    disabled: String,
}

pub(in crate::page) async fn add(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<Form>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Admin)?;
    let person = Person {
        name: name(&form.name, "person")?,
        role: role(&form.role)?,
        scope: scope(&form.clusters)?,
        password: None,
        second_factor: None,
        factor_step: 0,
        disabled: false,
    };
    let added = site.store().add_person(&person, site.now()).await;
    added.map_err(mistake)?;
    let what = format!("person/{}", person.name);
    note(&site, &viewer, what, None, Some(noted(&person))).await?;
    Ok(Redirect::to("/settings?done=1#people"))
}

pub(in crate::page) async fn change(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<Form>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Admin)?;
    let old = site.store().person(&form.name).await?;
    let old = old.ok_or_else(|| Refused::Wrong("There is nobody of that name.".to_owned()))?;
    let new = Person {
        role: role(&form.role)?,
        scope: scope(&form.clusters)?,
        disabled: !form.disabled.is_empty(),
        ..old.clone()
    };
    if old.name == viewer.name {
        let text = "Nobody changes themselves: the last who may could lock everybody out.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    let changed = site.store().change_person(&new, site.now()).await;
    changed.map_err(mistake)?;
    let what = format!("person/{}", new.name);
    note(&site, &viewer, what, Some(noted(&old)), Some(noted(&new))).await?;
    Ok(Redirect::to("/settings?done=1#people"))
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct LinkForm {
    name: String,
}

pub(in crate::page) async fn link(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<LinkForm>,
) -> Result<Markup, Refused> {
    viewer.must(Role::Admin)?;
    // Noted before there is anything to use: a link that nobody wrote down lets somebody in unseen.
    if site.store().person(&form.name).await?.is_none() {
        return Err(Refused::Wrong("There is nobody of that name.".to_owned()));
    }
    let what = format!("person/{}/link", form.name);
    note(&site, &viewer, what, None, Some(json!("made"))).await?;
    let key = site.store().make_link(&form.name, site.now()).await;
    let key = key.map_err(mistake)?;
    let path = format!("/sign-in/link?key={key}");
    let secret = format!("{}{path}", site.url());
    let once = Once {
        what: &format!("A link for {}", text::plain(&form.name)),
        secret: &secret,
        how: "give it to them by a way that others do not read. It signs them in once, within 15 minutes.",
    };
    page(&site, &viewer, Some(once), false).await
}

/// Takes somebody's second factor away, who has lost it.
pub(in crate::page) async fn factor(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<LinkForm>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Admin)?;
    let old = site.store().person(&form.name).await?;
    let old = old.ok_or_else(|| Refused::Wrong("There is nobody of that name.".to_owned()))?;
    if old.name == viewer.name {
        let text = "Your own second factor is taken away with a code of it, under Account.";
        return Err(Refused::Wrong(text.to_owned()));
    }
    if old.second_factor.is_none() {
        return Err(Refused::Wrong("They have none.".to_owned()));
    }
    let new = Person {
        second_factor: None,
        ..old
    };
    let changed = site.store().change_person(&new, site.now()).await;
    changed.map_err(mistake)?;
    let what = format!("person/{}/second-factor", new.name);
    note(&site, &viewer, what, None, Some(json!("removed"))).await?;
    Ok(Redirect::to("/settings?done=1#people"))
}

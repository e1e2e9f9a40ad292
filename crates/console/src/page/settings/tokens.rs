//! Who may send events, and who works for the console.

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Once, mistake, name, note, page};
use crate::access::{Refused, Role, Signed, Viewer};
use crate::page::frame::{csrf, table};
use crate::page::{text, time};
use crate::sender::{EVENTS, SCOPES};
use crate::site::Site;
use crate::store::Sender;

pub(super) fn show(site: &Site, viewer: &Viewer, tokens: &[Sender]) -> Markup {
    let now = site.now();
    let (taken, refused) = site.gate().counts();
    let heads = ["Token", "Cluster", "May", "Made", "Last used", "State"];
    let body = html! {
        @for token in tokens {
            tr {
                th scope="row" { (text::shown(&token.name)) }
                td data-label="Cluster" { (text::or_none(&token.cluster)) }
                td data-label="May" { (text::brief(&token.scopes.join(" "))) }
                td data-label="Made" { (time::ago(token.created.as_microsecond(), now)) }
                td data-label="Last used" { @match token.used { Some(used) => (time::ago(used.as_microsecond(), now)), None => span.muted { "never" } } }
                td data-label="State" {
                    @if token.revoked { span.muted { "revoked" } }
                    @else { form method="post" action="/settings/tokens/revoke" { (csrf(viewer)) input type="hidden" name="name" value=(token.name); button aria-label=(format!("Revoke {}", text::plain(&token.name))) { "Revoke" } } }
                }
            }
        }
    };
    html! {
        section.card #tokens {
            h2 { "Tokens" }
            @if tokens.is_empty() { p.empty { "There is none: no agent can send events." } } @else { (table("Tokens", &heads, body)) }
            p.muted { "Since it started, this console has taken " (taken) " events, and has asked for " (refused) " batches to be sent again later." }
            details { summary { "Add a token" }
                form.stack method="post" action="/settings/tokens" {
                    (csrf(viewer))
                    label for="t-name" { "Name" } input #t-name name="name" required maxlength="100" autocomplete="off";
                    label for="t-cluster" { "Cluster of which its events are; empty: they are of the accounts that they name" } input #t-cluster name="cluster" maxlength="100" autocomplete="off";
                    label.check { input type="checkbox" name="worker" value="yes"; " It is a worker's: it may also say what was planned, done and found, and take jobs" }
                    button { "Make the token" }
                }
            }
        }
    }
}

fn noted(cluster: &str, scopes: &[impl AsRef<str>], revoked: bool) -> Value {
    let scopes: Vec<&str> = scopes.iter().map(AsRef::as_ref).collect();
    json!({"cluster": cluster, "scopes": scopes, "revoked": revoked})
}

#[derive(Debug, Deserialize)]
pub(in crate::page) struct Form {
    name: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    worker: String,
}

pub(in crate::page) async fn add(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<Form>,
) -> Result<Markup, Refused> {
    viewer.must(Role::Admin)?;
    let token = name(&form.name, "token")?;
    let cluster = match form.cluster.trim() {
        "" => String::new(),
        cluster => name(cluster, "cluster")?,
    };
    let scopes: &[&str] = match form.worker.as_str() {
        "" => &[EVENTS],
        _ => &SCOPES,
    };
    let added = site
        .store()
        .add_token(&token, &cluster, scopes, site.now())
        .await;
    let secret = added.map_err(mistake)?;
    let what = format!("token/{token}");
    let written = note(
        &site,
        &viewer,
        what,
        None,
        Some(noted(&cluster, scopes, false)),
    )
    .await;
    if let Err(error) = written {
        // What the ledger does not know of must not let anybody in.
        site.store().revoke_token(&token, site.now()).await?;
        return Err(error);
    }
    let once = Once {
        what: &format!("The token {token}"),
        secret: &secret,
        how: "put it into a file that the agent reads and nobody else.",
    };
    page(&site, &viewer, Some(once), false).await
}

pub(in crate::page) async fn revoke(
    State(site): State<Site>,
    Signed { viewer, form }: Signed<Form>,
) -> Result<Redirect, Refused> {
    viewer.must(Role::Admin)?;
    let tokens = site.store().tokens().await?;
    let known = tokens.into_iter().find(|token| token.name == form.name);
    let known = known.ok_or_else(|| Refused::Wrong("There is no such token.".to_owned()))?;
    if known.revoked {
        return Err(Refused::Wrong("It is revoked already.".to_owned()));
    }
    let revoked = site.store().revoke_token(&known.name, site.now()).await;
    revoked.map_err(mistake)?;
    let what = format!("token/{}", known.name);
    let from = noted(&known.cluster, &known.scopes, false);
    let to = noted(&known.cluster, &known.scopes, true);
    note(&site, &viewer, what, Some(from), Some(to)).await?;
    Ok(Redirect::to("/settings?done=1#tokens"))
}

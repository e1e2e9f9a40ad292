//! Pages.

use axum::Router;
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};

use crate::access::Viewer;
use crate::site::Site;

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/", get(overview))
}

/// What lasts as long as somebody watches.
pub(crate) fn stream() -> Router<Site> {
    Router::new()
}

async fn overview(viewer: Viewer) -> Markup {
    message("Overview", &viewer.name)
}

/// A page that says one thing.
pub(crate) fn message(title: &str, text: &str) -> Markup {
    html! { (DOCTYPE) html lang="en" { head { title { (title) } } body { h1 { (title) } p { (text) } } } }
}

/// The page to sign in on.
pub(crate) fn sign_in(back: &str, wrong: Option<&str>) -> Markup {
    html! { (DOCTYPE) html lang="en" { body {
        @if let Some(wrong) = wrong { p role="alert" { (wrong) } }
        form method="post" action="/sign-in" {
            input type="hidden" name="back" value=(back);
            input name="name" autocomplete="username";
            input type="password" name="password" autocomplete="current-password";
            input name="code" inputmode="numeric" autocomplete="one-time-code";
            button { "Sign in" }
        }
    } } }
}

/// The page of a sign-in link.
pub(crate) fn sign_in_by_link(key: &str) -> Markup {
    html! { (DOCTYPE) html lang="en" { body {
        form method="post" action="/sign-in/link" { input type="hidden" name="key" value=(key); button { "Sign in" } }
    } } }
}

//! What is around every page: the way to the others, who is signed in, the search.

use maud::{DOCTYPE, Markup, html};

use super::{asset, text};
use crate::access::{Role, Viewer};

/// The rooms of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Overview,
    Incidents,
    Findings,
    Live,
    Queue,
    Posture,
    Hunts,
    Blocklists,
    Nodes,
    Ledger,
    Settings,
    /// One's own password, second factor and sessions.
    Account,
    /// None of them: something went wrong.
    Nowhere,
}

type Door = (Room, &'static str, &'static str);

/// What happens, what stands watch, and the house itself: groups that stand apart.
const ROOMS: [(&str, &[Door]); 3] = [
    (
        "What happens",
        &[
            (Room::Overview, "/", "Overview"),
            (Room::Incidents, "/incidents", "Incidents"),
            (Room::Findings, "/findings", "Findings"),
            (Room::Live, "/live", "Live"),
            (Room::Queue, "/queue", "My queue"),
        ],
    ),
    (
        "What stands watch",
        &[
            (Room::Posture, "/posture", "Posture"),
            (Room::Hunts, "/hunts", "Hunts"),
            (Room::Blocklists, "/blocklists", "Blocklists"),
            (Room::Nodes, "/nodes", "Nodes"),
        ],
    ),
    (
        "The house",
        &[
            (Room::Ledger, "/ledger", "Ledger"),
            (Room::Settings, "/settings", "Settings"),
        ],
    ),
];

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (text::cut(title, 120)) " · Davylamp" }
            link rel="icon" type="image/svg+xml" href=(asset::mark());
            link rel="stylesheet" href=(asset::style());
            // Not deferred: the chosen theme is there before the first paint.
            script src=(asset::script()) {}
        }
    }
}

fn mark() -> Markup {
    html! {
        a.mark href="/" {
            img src=(asset::mark()) alt="" width="28" height="28";
            span { "Davylamp" }
        }
    }
}

/// A page of somebody who is signed in.
pub(super) fn page(viewer: &Viewer, room: Room, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    (mark())
                    nav.rooms aria-label="Rooms" {
                        @for (group, doors) in ROOMS {
                            ul aria-label=(group) {
                                @for (each, path, name) in doors {
                                    @if *each != Room::Settings || viewer.may(Role::Admin) {
                                        li { a href=(path) aria-current=[(*each == room).then_some("page")] { (name) } }
                                    }
                                }
                            }
                        }
                    }
                    form.search role="search" action="/findings" method="get" {
                        label.hidden for="search" { "Search findings" }
                        input #search type="search" name="text" placeholder="Search findings" maxlength="200";
                        button { "Search" }
                    }
                    div.who {
                        a href="/account" aria-current=[(room == Room::Account).then_some("page")] { span.hidden { "Account of " } bdi { (text::cut(&viewer.name, 40)) } } " " span.muted { (viewer.role.as_str()) }
                        button.theme type="button" hidden data-theme-button { "Theme" }
                        form method="post" action="/sign-out" { (csrf(viewer)) button { "Sign out" } }
                    }
                }
                main #main tabindex="-1" { (body) }
                footer {
                    @if viewer.scope.is_all() { "You see every cluster and account." }
                    @else { "You see " @for (n, name) in viewer.scope.clusters().iter().enumerate() { @if n > 0 { ", " } (text::shown(name)) } "; what belongs to no cluster or to others is left out." }
                    " Times are in UTC. " a href="/keys" { "Keys" }
                }
            }
        }
    }
}

/// A page of nobody yet.
pub(super) fn outside(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body.outside {
                header.top { (mark()) button.theme type="button" hidden data-theme-button { "Theme" } }
                main #main { (body) }
            }
        }
    }
}

/// What every form carries.
pub(super) fn csrf(viewer: &Viewer) -> Markup {
    html! { input type="hidden" name="csrf" value=(viewer.csrf); }
}

/// A table in a box of its own, which scrolls when it is too wide.
pub(super) fn table(caption: &str, heads: &[&str], rows: Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table.cards {
                caption.hidden { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

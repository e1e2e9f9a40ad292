//! The keys of the keyboard that lead somewhere, and the way to turn them off.

use maud::{Markup, html};

use super::frame::{self, Room};
use crate::access::Viewer;

/// As the script has them.
const WAYS: [(&str, &str, &str); 9] = [
    ("o", "/", "Overview"),
    ("i", "/incidents", "Incidents"),
    ("f", "/findings", "Findings"),
    ("l", "/live", "Live"),
    ("q", "/queue", "My queue"),
    ("p", "/posture", "Posture"),
    ("h", "/hunts", "Hunts"),
    ("b", "/blocklists", "Blocklists"),
    ("n", "/nodes", "Nodes"),
];

pub(super) async fn show(viewer: Viewer) -> Markup {
    let body = html! {
        h1 { "Keys" }
        section.card {
            dl.keys {
                @for (key, path, name) in WAYS { dt { kbd { "g" } " then " kbd { (key) } } dd { a href=(path) data-key=(key) { (name) } } }
                dt { kbd { "/" } } dd { "Search findings" }
                dt { kbd { "?" } } dd { "This page" }
            }
            p.muted { "They need the script, and do nothing while you write in a field. Everything they reach is reached by links as well." }
            button type="button" hidden data-keys-button { "Turn the keys off" }
        }
    };
    frame::page(&viewer, Room::Nowhere, "Keys", body)
}

//! Which nodes hold which version.

use std::collections::HashMap;

use davylamp_ledger::query::NodeView;
use davylamp_ledger::record::ListHeld;
use davylamp_ledger::rows::ListRow;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::page::{frame, text, time};

/// How long the beginning of a digest has to be to name one.
const DIGEST_CHARS: usize = 12;

/// What a node holds, of the lists that were told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A version that is not the one in force.
    Old,
    /// A list of which nobody told.
    Stranger,
    /// Nobody knows what.
    Unknown,
    /// What it should.
    Current,
}

impl Holds {
    pub(super) const ALL: [Self; 4] = [Self::Old, Self::Stranger, Self::Unknown, Self::Current];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Stranger => "stranger",
            Self::Unknown => "unknown",
            Self::Current => "current",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|holds| holds.as_str() == name)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Old => "Lag behind",
            Self::Stranger => "Hold lists nobody told of",
            Self::Unknown => "Do not say",
            Self::Current => "Up to date",
        }
    }
}

/// A node with what it holds.
#[derive(Debug)]
pub(super) struct Node {
    pub view: NodeView,
    pub lists: Vec<ListHeld>,
    pub holds: Holds,
}

/// The nodes that somebody may see, with what they hold.
#[derive(Debug)]
pub(super) struct Fleet {
    nodes: Vec<Node>,
}

fn is_same(one: &str, other: &str) -> bool {
    let shorter = one.len().min(other.len());
    shorter >= DIGEST_CHARS.min(one.len().max(other.len()))
        && (one.starts_with(other) || other.starts_with(one))
}

impl Fleet {
    pub(super) fn of(versions: &[ListRow], nodes: Vec<NodeView>) -> Self {
        // What was told of last comes first: of each list the first that is brought out is in force.
        let mut in_force: HashMap<&str, &ListRow> = HashMap::new();
        for row in versions.iter().filter(|row| row.rollout == "enforce") {
            in_force.entry(&row.name).or_insert(row);
        }
        let known = |held: &ListHeld| {
            versions
                .iter()
                .find(|row| is_same(&row.digest, &held.digest))
        };
        let nodes = nodes.into_iter().map(|view| {
            let lists: Vec<ListHeld> = serde_json::from_str(&view.row.lists).unwrap_or_default();
            let of_one = |held: &ListHeld| match known(held) {
                None => Holds::Stranger,
                Some(row) if row.rollout == "retired" => Holds::Old,
                // A version that is being tried is no old one.
                Some(row) if row.rollout != "enforce" => Holds::Current,
                Some(row) => match in_force.get(row.name.as_str()) {
                    Some(newest) if newest.digest != row.digest => Holds::Old,
                    _ => Holds::Current,
                },
            };
            let is = |wanted: Holds| lists.iter().any(|held| of_one(held) == wanted);
            let holds = match () {
                () if lists.is_empty() => Holds::Unknown,
                () if is(Holds::Old) => Holds::Old,
                () if is(Holds::Stranger) => Holds::Stranger,
                () => Holds::Current,
            };
            Node { view, lists, holds }
        });
        Self {
            nodes: nodes.collect(),
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub(super) fn count(&self, holds: Holds) -> usize {
        self.nodes.iter().filter(|node| node.holds == holds).count()
    }

    /// The nodes that hold a version.
    pub(super) fn holders(&self, row: &ListRow) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| {
            let mut lists = node.lists.iter();
            lists.any(|held| is_same(&row.digest, &held.digest))
        })
    }

    pub(super) fn holding(&self, row: &ListRow) -> usize {
        self.holders(row).count()
    }
}

pub(super) fn table(nodes: &[&Node], now: Timestamp) -> Markup {
    if nodes.is_empty() {
        return html! { p.empty { "No node." } };
    }
    let body = html! {
        @for node in nodes {
            @let row = &node.view.row;
            tr {
                th scope="row" { (text::brief(&row.node)) }
                td data-label="Cluster" { (text::or_none(&row.cluster)) }
                td data-label="Lists" {
                    @if node.lists.is_empty() { span.unknown { "unknown: its agent does not say" } }
                    ul.plain { @for held in &node.lists { li { (text::brief(&held.name)) " " code.hash { (text::cut(&held.digest, DIGEST_CHARS)) } " " span.muted { (held.strings) " strings" } } } }
                }
                td data-label="Version" { (text::or_none(&row.version)) }
                td data-label="Last heard" { @match node.view.seen_us { Some(us) => (time::ago(us, now)), None => span.unknown { "unknown" } } }
            }
        }
    };
    let heads = ["Node", "Cluster", "Lists", "Agent's version", "Last heard"];
    frame::table("Nodes", &heads, body)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_digest_is_named_by_its_beginning_if_that_is_long_enough() {
        let digest = "0123456789abcdef0123456789abcdef";
        for (other, expected) in [
            (digest, true),
            ("0123456789ab", true),
            ("0123456789a", false),
            ("", false),
            ("0123456789ac", false),
        ] {
            assert_eq!(is_same(digest, other), expected, "{other}");
            assert_eq!(is_same(other, digest), expected, "{other}");
        }
    }
}

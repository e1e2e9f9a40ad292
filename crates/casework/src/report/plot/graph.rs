//! Who made, used and changed what: places, credentials, principals and what they made.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::visible;
use maud::{Markup, html};

use super::layers::{Layout, lay_out};
use super::{class, figure_of, legend, n};
use crate::case::{Case, EvidenceId, Hand, Link};
use crate::report::word;

/// No more nodes are drawn: more are not followed by eye.
const MOST_NODES: usize = 44;
/// From so many on, things of one kind that one hand made in one way are one node.
const FOLD_FROM: usize = 3;
const BOX: (f64, f64) = (186.0, 46.0);
const GAP: (f64, f64) = (186.0, 22.0);
const TOP: f64 = 36.0;
const MARGIN: f64 = 14.0;
const LABEL_CHARS: usize = 22;
const VERB_CHARS: usize = 14;
const PILL_HEIGHT: f64 = 24.0;
const LETTER: f64 = 6.7;

/// What is drawn.
#[derive(Debug, Default)]
pub(in crate::report) struct Graph {
    nodes: Vec<Node>,
    arrows: Vec<Arrow>,
    /// How many nodes are folded into others.
    pub(in crate::report) folded: usize,
}

#[derive(Debug, Clone)]
struct Node {
    label: String,
    about: String,
    is_bad: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Place,
    Credential,
    Principal,
    Thing,
}

#[derive(Debug)]
struct Arrow {
    from: usize,
    to: usize,
    verbs: BTreeSet<String>,
    count: u64,
    hand: Hand,
    evidence: BTreeSet<EvidenceId>,
}

/// What a node is called before nodes are folded.
struct Names<'a> {
    places: BTreeMap<&'a str, Hand>,
    credentials: BTreeMap<&'a str, &'a str>,
    principals: BTreeMap<&'a str, (&'a str, &'a str, bool)>,
    things: BTreeMap<&'a str, &'a str>,
    kinds: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(case: &'a Case) -> Self {
        let places = case.places.iter();
        let keys = case.credentials.iter();
        let principals = case.principals.iter();
        Self {
            places: places.map(|one| (one.address.as_str(), one.hand)).collect(),
            credentials: keys
                .map(|one| (one.id.as_str(), one.kind.as_str()))
                .collect(),
            principals: principals
                .map(|one| {
                    let known = (
                        one.name.as_str(),
                        one.kind.as_str(),
                        one.is_made_by_intruder,
                    );
                    (one.id.as_str(), known)
                })
                .collect(),
            kinds: case.reach.iter().map(|one| one.kind.as_str()).collect(),
            things: case
                .reach
                .iter()
                .map(|one| (one.id.as_str(), one.kind.as_str()))
                .collect(),
        }
    }

    fn node(&self, id: &str) -> Node {
        let (label, about, is_bad, kind) = if let Some(hand) = self.places.get(id) {
            let is_bad = *hand == Hand::Intruder;
            (
                id,
                format!("place of {}", word::hand(*hand)),
                is_bad,
                Kind::Place,
            )
        } else if let Some(kind) = self.credentials.get(id) {
            (id, format!("{kind} credential"), false, Kind::Credential)
        } else if let Some((name, kind, is_made)) = self.principals.get(id) {
            let made = if *is_made {
                ", made by the intruder"
            } else {
                ""
            };
            (*name, format!("{kind}{made}"), *is_made, Kind::Principal)
        } else {
            // A link may name a thing by its kind and its id.
            let (kind, id) = match id.split_once(' ') {
                Some((kind, rest)) if self.kinds.contains(kind) => (kind, rest),
                _ => (self.kind_of_thing(id), id),
            };
            (id, kind.to_owned(), false, Kind::Thing)
        };
        Node {
            label: visible::cut(label, LABEL_CHARS),
            about: visible::cut(&about, LABEL_CHARS + 5),
            is_bad,
            kind,
        }
    }

    fn kind_of_thing(&self, id: &str) -> &'a str {
        self.things.get(id).copied().unwrap_or("thing")
    }
}

/// The graph of a case, of which the most important is kept.
pub(in crate::report) fn graph(case: &Case) -> Graph {
    let names = Names::of(case);
    let mut links: Vec<&Link> = case.links.iter().collect();
    let weight = |link: &Link| match link.hand {
        Hand::Intruder => 0,
        Hand::Unknown => 1,
        Hand::Owner => 2,
        Hand::Service => 3,
    };
    links.sort_by_key(|link| (weight(link), link.span.first));
    let mut graph = Graph::default();
    let keys = folded(&links, &names, &mut graph.folded);
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    let mut beyond: BTreeSet<String> = BTreeSet::new();
    for (link, (to, many)) in links.iter().zip(keys) {
        let ends = [
            (link.from.clone(), names.node(&link.from)),
            (
                to,
                match many {
                    None => names.node(&link.to),
                    Some(many) => Node {
                        label: word::number(many as u64),
                        about: visible::cut(
                            &format!("{}s", names.kind_of_thing(&link.to)),
                            LABEL_CHARS,
                        ),
                        is_bad: false,
                        kind: Kind::Thing,
                    },
                },
            ),
        ];
        let [from, to] = ends.map(|(key, node)| {
            if let Some(known) = index.get(&key) {
                return Some(*known);
            }
            if graph.nodes.len() >= MOST_NODES {
                beyond.insert(key);
                return None;
            }
            graph.nodes.push(node);
            index.insert(key, graph.nodes.len() - 1);
            Some(graph.nodes.len() - 1)
        });
        if let (Some(from), Some(to)) = (from, to) {
            graph.arrow(from, to, link);
        }
    }
    if !beyond.is_empty() {
        graph.folded += beyond.len();
        graph.nodes.push(Node {
            label: word::count(beyond.len() as u64, "more", "more"),
            about: "in the table below".to_owned(),
            is_bad: false,
            kind: Kind::Thing,
        });
    }
    graph
}

/// For each link the key of the node it leads to, and how many things that node stands for if it is folded.
fn folded(links: &[&Link], names: &Names<'_>, count: &mut usize) -> Vec<(String, Option<usize>)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for link in links {
        *seen.entry(&link.from).or_default() += 2;
        *seen.entry(&link.to).or_default() += 1;
    }
    let heap = |link: &Link| -> Option<String> {
        let is_thing = names.node(&link.to).kind == Kind::Thing;
        // What leads on, or is led to twice, stands by itself.
        let is_leaf = seen.get(link.to.as_str()) == Some(&1);
        let kind = names.kind_of_thing(&link.to);
        (is_thing && is_leaf).then(|| format!("{}\n{}\n{kind}", link.from, link.verb))
    };
    let mut heaps: BTreeMap<String, usize> = BTreeMap::new();
    for link in links {
        if let Some(heap) = heap(link) {
            *heaps.entry(heap).or_default() += 1;
        }
    }
    let large = heaps.values().filter(|many| **many >= FOLD_FROM);
    *count = large.map(|many| many - 1).sum();
    let key = |link: &&Link| match heap(link) {
        Some(heap) if heaps.get(&heap).is_some_and(|many| *many >= FOLD_FROM) => {
            let many = heaps.get(&heap).copied();
            (heap, many)
        }
        _ => (link.to.clone(), None),
    };
    links.iter().map(key).collect()
}

impl Graph {
    fn arrow(&mut self, from: usize, to: usize, link: &Link) {
        let same = self
            .arrows
            .iter_mut()
            .find(|arrow| (arrow.from, arrow.to, arrow.hand) == (from, to, link.hand));
        let verb = visible::cut(&link.verb, VERB_CHARS);
        match same {
            Some(arrow) => {
                arrow.verbs.insert(verb);
                arrow.count = arrow.count.saturating_add(link.count);
                arrow.evidence.extend(&link.evidence);
            }
            None => self.arrows.push(Arrow {
                from,
                to,
                verbs: BTreeSet::from([verb]),
                count: link.count,
                hand: link.hand,
                evidence: link.evidence.iter().copied().collect(),
            }),
        }
    }

    /// The picture; `points` says whether the page shows a record.
    pub(in crate::report) fn draw(&self, points: &dyn Fn(EvidenceId) -> bool) -> Markup {
        if self.nodes.is_empty() {
            return html! {};
        }
        let arrows: Vec<(usize, usize)> =
            self.arrows.iter().map(|one| (one.from, one.to)).collect();
        let layout = lay_out(self.nodes.len(), &arrows);
        let sheet = Sheet::of(&layout);
        let mut pills: Vec<(f64, f64, f64)> = Vec::new();
        let drawn: Vec<(Markup, Markup)> = self
            .arrows
            .iter()
            .zip(&layout.routes)
            .filter(|(_, route)| !route.is_empty())
            .map(|(arrow, route)| {
                let line = sheet.line(route);
                let pill = self.pill(arrow, &line, &mut pills, points);
                (drawn_line(arrow, &line), pill)
            })
            .collect();
        let inside = html! {
            (legend(MARGIN + 6.0, 18.0))
            @for (line, _) in &drawn { (line) }
            @for (node, place) in self.nodes.iter().zip(&layout.nodes) { (drawn_box(node, sheet.corner(*place))) }
            @for (_, pill) in &drawn { (pill) }
        };
        let about = format!(
            "{} and {}; the table below has them",
            word::count(self.nodes.len() as u64, "node", "nodes"),
            word::count(self.arrows.len() as u64, "arrow", "arrows"),
        );
        let caption = "Who made, used and changed what";
        figure_of(
            "group",
            "figure whole",
            caption,
            &about,
            sheet.width,
            sheet.height,
            &inside,
        )
    }

    /// An arrow's label, which leads to its first record.
    fn pill(
        &self,
        arrow: &Arrow,
        line: &[(f64, f64)],
        pills: &mut Vec<(f64, f64, f64)>,
        points: &dyn Fn(EvidenceId) -> bool,
    ) -> Markup {
        let mut text = arrow.verbs.iter().cloned().collect::<Vec<_>>().join(", ");
        text = visible::cut(&text, VERB_CHARS + 4);
        if arrow.count > 1 {
            text.push_str(&format!(" ×{}", word::number(arrow.count)));
        }
        let first = arrow.evidence.first();
        if let Some(first) = first {
            text.push_str(&format!(" · e{}", first.0));
        }
        match arrow.evidence.len() {
            0 | 1 => {}
            n => text.push_str(&format!(" +{}", n - 1)),
        }
        let width = LETTER * text.chars().count() as f64 + 12.0;
        // Along the line, until it hides no other.
        let free = |x: f64, y: f64| {
            pills.iter().all(|(px, py, pw)| {
                (x - px).abs() > (width + pw) / 2.0 + 2.0 || (y - py).abs() > PILL_HEIGHT + 2.0
            })
        };
        let along = [0.5, 0.6, 0.4, 0.68, 0.32, 0.56, 0.44];
        let spots = along.into_iter().map(|part| point(line, part));
        let (x, y) = spots
            .clone()
            .chain(spots.flat_map(|(x, y)| [26.0, -26.0, 52.0, -52.0].map(|dy| (x, y + dy))))
            .find(|(x, y)| free(*x, *y))
            .unwrap_or_else(|| point(line, 0.5));
        pills.push((x, y, width));
        let inside = html! {
            rect.label x=(n(x - width / 2.0)) y=(n(y - PILL_HEIGHT / 2.0)) width=(n(width)) height=(n(PILL_HEIGHT)) rx="12" {}
            text x=(n(x)) y=(n(y + 4.0)) text-anchor="middle" { (text) }
        };
        match first {
            Some(first) if points(*first) => html! {
                a href=(format!("#e{}", first.0)) aria-label=(format!("{text}: the record")) { (inside) }
            },
            _ => inside,
        }
    }
}

/// Where layers and rows are.
struct Sheet {
    width: f64,
    height: f64,
    rows: Vec<usize>,
}

impl Sheet {
    fn of(layout: &Layout) -> Self {
        let most = layout.rows.iter().max().copied().unwrap_or(1);
        let layers = layout.rows.len() as f64;
        Self {
            width: MARGIN * 2.0 + layers * BOX.0 + (layers - 1.0).max(0.0) * GAP.0,
            height: TOP + MARGIN + most as f64 * (BOX.1 + GAP.1),
            rows: layout.rows.clone(),
        }
    }

    fn corner(&self, (layer, row): (usize, usize)) -> (f64, f64) {
        let rows = self.rows[layer] as f64;
        let pitch = (self.height - TOP - MARGIN) / rows;
        let y = TOP + pitch * (row as f64 + 0.5) - BOX.1 / 2.0;
        (MARGIN + layer as f64 * (BOX.0 + GAP.0), y)
    }

    /// The points of an arrow: out of a box at one side, into the next at the other.
    fn line(&self, route: &[(usize, usize)]) -> Vec<(f64, f64)> {
        let is_forward = route.first() < route.last();
        let last = route.len() - 1;
        let mut line = Vec::new();
        for (at, place) in route.iter().enumerate() {
            let (x, y) = self.corner(*place);
            let (x, y) = (x, y + BOX.1 / 2.0);
            let (near, far) = match is_forward {
                true => (x, x + BOX.0),
                false => (x + BOX.0, x),
            };
            if at > 0 {
                line.push((near, y));
            }
            if at < last {
                line.push((far, y));
            }
        }
        line
    }
}

/// A place on an arrow's middle stretch between two layers.
fn point(line: &[(f64, f64)], part: f64) -> (f64, f64) {
    let stretch = (line.len() / 2).saturating_sub(1) / 2 * 2;
    let (a, b) = (line[stretch], line[(stretch + 1).min(line.len() - 1)]);
    // The curve's own way between two points that it leaves and reaches level.
    let t = part;
    let ease = t * t * (3.0 - 2.0 * t);
    let across = 1.5 * t * (1.0 - t) * (1.0 - t) + 1.5 * t * t * (1.0 - t) + t * t * t;
    (a.0 + (b.0 - a.0) * across, a.1 + (b.1 - a.1) * ease)
}

fn drawn_line(arrow: &Arrow, line: &[(f64, f64)]) -> Markup {
    let mut path = format!("M{:.1} {:.1}", line[0].0, line[0].1);
    for pair in line.windows(2) {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        let middle = (ax + bx) / 2.0;
        path.push_str(&format!(
            " C{middle:.1} {ay:.1} {middle:.1} {by:.1} {bx:.1} {by:.1}"
        ));
    }
    let (end, before) = (line[line.len() - 1], line[line.len() - 2]);
    let back = if end.0 >= before.0 { -9.0 } else { 9.0 };
    let head = format!(
        "{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}",
        end.0,
        end.1,
        end.0 + back,
        end.1 - 4.5,
        end.0 + back,
        end.1 + 4.5
    );
    html! {
        path class={ "line " (class(arrow.hand)) } d=(path) {}
        polygon class={ "head " (class(arrow.hand)) } points=(head) {}
    }
}

fn drawn_box(node: &Node, (x, y): (f64, f64)) -> Markup {
    let round = match node.kind {
        Kind::Place => "23",
        Kind::Credential => "0",
        Kind::Principal => "8",
        Kind::Thing => "3",
    };
    let class = if node.is_bad { "box bad" } else { "box" };
    html! {
        rect class=(class) x=(n(x)) y=(n(y)) width=(n(BOX.0)) height=(n(BOX.1)) rx=(round) {}
        text.strong x=(n(x + BOX.0 / 2.0)) y=(n(y + 19.0)) text-anchor="middle" { (node.label) }
        text.small x=(n(x + BOX.0 / 2.0)) y=(n(y + 35.0)) text-anchor="middle" { (node.about) }
    }
}

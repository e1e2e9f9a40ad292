//! Pictures as SVG within the page.
//!
//! What must stay true: whose hand it was is told by shape and by dash as well as by colour; what a picture
//! shows stands in a table or in words beside it; text is escaped as everywhere; how much is drawn is
//! bounded whatever the case holds.

mod bars;
mod graph;
mod layers;
mod map;
mod time;

use maud::{Markup, html};

pub(super) use bars::{acts, money};
pub(super) use graph::{Graph, graph};
pub(super) use map::{Spot, map};
pub(super) use time::timeline;

use super::word;
use crate::case::Hand;

/// Every hand, whose acts matter most first.
const HANDS: [Hand; 4] = [Hand::Intruder, Hand::Unknown, Hand::Service, Hand::Owner];

/// How a hand's marks and lines look: a class of the style.
fn class(hand: Hand) -> &'static str {
    match hand {
        Hand::Owner => "owner",
        Hand::Intruder => "intruder",
        Hand::Service => "aws",
        Hand::Unknown => "unknown",
    }
}

/// A hand's mark: a full lozenge, an open triangle, a full square, an open circle.
fn shape(hand: Hand, x: f64, y: f64, r: f64, title: &str) -> Markup {
    let at = |dx: f64, dy: f64| format!("{:.1},{:.1}", x + dx * r, y + dy * r);
    let points = |corners: &[(f64, f64)]| {
        let corners = corners.iter().map(|(dx, dy)| at(*dx, *dy));
        corners.collect::<Vec<_>>().join(" ")
    };
    let lozenge = [(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)];
    let triangle = [(0.0, -1.1), (1.1, 0.9), (-1.1, 0.9)];
    let square = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)];
    let class = class(hand);
    html! {
        @match hand {
            Hand::Intruder => polygon class=(class) points=(points(&lozenge)) { title { (title) } },
            Hand::Unknown => polygon class=(class) points=(points(&triangle)) { title { (title) } },
            Hand::Service => polygon class=(class) points=(points(&square)) { title { (title) } },
            Hand::Owner => circle class=(class) cx=(n(x)) cy=(n(y)) r=(n(r)) { title { (title) } },
        }
    }
}

/// What the marks mean, from a place on.
fn legend(x: f64, y: f64) -> Markup {
    html! {
        @for (at, hand) in HANDS.into_iter().enumerate() {
            @let x = x + 92.0 * at as f64;
            (shape(hand, x, y - 4.0, 5.0, word::hand(hand)))
            text x=(n(x + 12.0)) y=(n(y)) { (word::hand(hand)) }
        }
    }
}

/// What pictures share: the hatchings, which have a name in the whole page.
pub(super) fn patterns() -> Markup {
    html! {
        svg.hidden width="0" height="0" aria-hidden="true" focusable="false" { defs {
            pattern #hatch width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                line.hatch x1="0" y1="0" x2="0" y2="8" {}
            }
            pattern #unsure width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)" {
                line.hatch x1="0" y1="0" x2="0" y2="6" {}
            }
        } }
    }
}

/// A picture with its caption, of which no part is reached by itself.
fn figure(
    class: &str,
    caption: &str,
    about: &str,
    width: f64,
    height: f64,
    inside: &Markup,
) -> Markup {
    figure_of("img", class, caption, about, width, height, inside)
}

fn figure_of(
    role: &str,
    class: &str,
    caption: &str,
    about: &str,
    width: f64,
    height: f64,
    inside: &Markup,
) -> Markup {
    let view = format!("0 0 {} {}", n(width), n(height));
    html! {
        figure {
            figcaption { (caption) }
            div class=(class) role="group" aria-label=(caption) tabindex="0" {
                svg role=(role) aria-label=(about) viewBox=(view) width=(n(width)) height=(n(height)) { (inside) }
            }
        }
    }
}

/// A number of a drawing.
fn n(value: f64) -> String {
    format!("{value:.1}")
}

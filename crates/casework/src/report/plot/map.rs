//! Regions on a map of the world.

use maud::{Markup, html};

use super::{figure, n};
use crate::report::{regions, word};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 400.0;
/// The map's edges in degrees north.
const NORTH: f64 = 82.0;
const SOUTH: f64 = -58.0;
/// A dot of land stands for so many degrees of longitude.
const DOT_DEGREES: f64 = 3.0;
const LARGEST: f64 = 20.0;
const LABEL_HEIGHT: f64 = 15.0;
/// How wide a letter of a label is at the most.
const LETTER: f64 = 6.4;

/// Where there is land, by hand and roughly, for the eye alone: degrees north, then stretches of longitude.
const LAND: [(i16, &[(i16, i16)]); 27] = [
    (80, &[(-92, -64), (-60, -20), (14, 24)]),
    (
        75,
        &[(-125, -82), (-58, -20), (55, 66), (90, 112), (138, 146)],
    ),
    (
        70,
        &[
            (-160, -116),
            (-115, -100),
            (-90, -68),
            (-54, -24),
            (18, 30),
            (68, 180),
        ],
    ),
    (
        65,
        &[(-166, -88), (-75, -64), (-52, -40), (-23, -14), (12, 180)],
    ),
    (
        60,
        &[
            (-165, -95),
            (-78, -64),
            (6, 18),
            (23, 143),
            (150, 156),
            (161, 170),
        ],
    ),
    (
        55,
        &[
            (-132, -83),
            (-80, -60),
            (-8, -1),
            (8, 12),
            (20, 137),
            (156, 162),
        ],
    ),
    (50, &[(-126, -56), (-5, 140), (142, 144)]),
    (
        45,
        &[(-124, -62), (-1, 30), (37, 50), (53, 135), (142, 145)],
    ),
    (
        40,
        &[
            (-124, -74),
            (-9, 0),
            (8, 9),
            (15, 18),
            (20, 49),
            (53, 125),
            (126, 129),
            (140, 142),
        ],
    ),
    (
        35,
        &[
            (-121, -76),
            (-6, 11),
            (32, 34),
            (36, 120),
            (127, 129),
            (133, 141),
        ],
    ),
    (30, &[(-115, -82), (-10, 48), (50, 122), (130, 131)]),
    (
        25,
        &[(-112, -98), (-81, -80), (-15, 35), (38, 56), (60, 121)],
    ),
    (
        20,
        &[
            (-105, -97),
            (-90, -87),
            (-78, -69),
            (-17, 37),
            (41, 57),
            (73, 87),
            (93, 107),
            (109, 111),
        ],
    ),
    (
        15,
        &[
            (-95, -84),
            (-17, 40),
            (43, 52),
            (74, 80),
            (95, 109),
            (120, 122),
        ],
    ),
    (
        10,
        &[
            (-85, -83),
            (-75, -62),
            (-14, 51),
            (76, 80),
            (99, 106),
            (122, 126),
        ],
    ),
    (
        5,
        &[
            (-77, -52),
            (-9, 2),
            (6, 48),
            (80, 82),
            (101, 104),
            (114, 118),
            (125, 126),
        ],
    ),
    (
        0,
        &[
            (-80, -50),
            (9, 43),
            (99, 104),
            (109, 118),
            (120, 124),
            (131, 135),
        ],
    ),
    (
        -5,
        &[
            (-81, -36),
            (12, 39),
            (103, 112),
            (120, 122),
            (133, 147),
            (150, 152),
        ],
    ),
    (-10, &[(-78, -37), (13, 40), (124, 127), (142, 150)]),
    (
        -15,
        &[(-76, -39), (12, 40), (47, 50), (125, 137), (142, 145)],
    ),
    (-20, &[(-70, -40), (13, 35), (44, 49), (119, 148)]),
    (-25, &[(-70, -48), (15, 33), (44, 47), (113, 153)]),
    (-30, &[(-71, -51), (17, 31), (115, 153)]),
    (
        -35,
        &[(-72, -57), (19, 25), (116, 119), (136, 151), (174, 176)],
    ),
    (-40, &[(-73, -63), (144, 148), (173, 177)]),
    (-45, &[(-73, -66), (168, 171)]),
    (-50, &[(-74, -68)]),
];

fn x(east: f64) -> f64 {
    (east + 180.0) / 360.0 * WIDTH
}

fn y(north: f64) -> f64 {
    (NORTH - north) / (NORTH - SOUTH) * HEIGHT
}

/// A place on the map: the region, a number that sizes it, and what is told.
pub(in crate::report) struct Spot {
    pub(in crate::report) region: &'static regions::Region,
    pub(in crate::report) weight: u64,
    pub(in crate::report) told: String,
}

/// The map with its spots, sized by `what`.
pub(in crate::report) fn map(spots: &[Spot], what: &str) -> Markup {
    let most = spots
        .iter()
        .map(|spot| spot.weight)
        .max()
        .unwrap_or(1)
        .max(1);
    let mut circles: Vec<(&Spot, f64, f64, f64)> = spots
        .iter()
        .map(|spot| {
            let (.., north, east) = *spot.region;
            let part = (spot.weight as f64 / most as f64).sqrt();
            (
                spot,
                x(f64::from(east)),
                y(f64::from(north)),
                4.0 + (LARGEST - 4.0) * part,
            )
        })
        .collect();
    // The large ones below, so that the small ones are seen.
    circles.sort_by(|a, b| b.3.total_cmp(&a.3));
    let labels = labels(&circles);
    let inside = html! {
        @for (north, stretches) in LAND {
            @for (from, to) in stretches {
                @for at in 0..=(f64::from(to - from) / DOT_DEGREES) as u32 {
                    circle.land cx=(n(x(f64::from(*from) + DOT_DEGREES * f64::from(at)))) cy=(n(y(f64::from(north)))) r="2.4" {}
                }
            }
        }
        @for north in [60, 30, 0, -30] {
            line.rule x1="0" y1=(n(y(f64::from(north)))) x2=(n(WIDTH)) y2=(n(y(f64::from(north)))) {}
        }
        @for east in [-120, -60, 0, 60, 120] {
            line.rule x1=(n(x(f64::from(east)))) y1="0" x2=(n(x(f64::from(east)))) y2=(n(HEIGHT)) {}
        }
        @for (spot, x, y, r) in &circles {
            circle.dot cx=(n(*x)) cy=(n(*y)) r=(n(*r)) { title { (spot.region.0) " (" (spot.region.1) "): " (spot.told) } }
        }
        @for (text, x, y) in &labels {
            rect.label x=(n(*x)) y=(n(*y)) width=(n(LETTER * text.chars().count() as f64 + 6.0)) height=(n(LABEL_HEIGHT)) rx="3" {}
            text x=(n(x + 4.0)) y=(n(y + 11.5)) { (text) }
        }
    };
    let about: Vec<String> = circles
        .iter()
        .map(|(spot, ..)| format!("{} {}", spot.region.0, word::number(spot.weight)))
        .collect();
    let caption = format!("{what} by region: the larger the circle, the more");
    figure(
        "figure",
        &caption,
        &format!("{what}: {}", about.join(", ")),
        WIDTH,
        HEIGHT,
        &inside,
    )
}

/// Labels where they hide neither one another nor a smaller circle; one that finds no place is left to the
/// table.
fn labels(circles: &[(&Spot, f64, f64, f64)]) -> Vec<(String, f64, f64)> {
    let mut placed: Vec<(String, f64, f64)> = Vec::new();
    let overlaps = |placed: &[(String, f64, f64)], x: f64, y: f64, width: f64| {
        placed.iter().any(|(text, px, py)| {
            let pw = LETTER * text.chars().count() as f64 + 6.0;
            x < px + pw && px < &(x + width) && y < py + LABEL_HEIGHT && py < &(y + LABEL_HEIGHT)
        })
    };
    let hides = |x: f64, y: f64, width: f64| {
        circles.iter().any(|(_, cx, cy, r)| {
            let (dx, dy) = (
                cx - cx.clamp(x, x + width),
                cy - cy.clamp(y, y + LABEL_HEIGHT),
            );
            dx.hypot(dy) < r.min(8.0)
        })
    };
    for (spot, cx, cy, r) in circles {
        let text = format!("{} · {}", spot.region.0, word::number(spot.weight));
        let width = LETTER * text.chars().count() as f64 + 6.0;
        let (right, left) = (cx + r + 3.0, cx - r - 3.0 - width);
        let middle = cy - LABEL_HEIGHT / 2.0;
        let steps = [0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0];
        let sides = steps.into_iter().flat_map(|step| {
            let y = middle + step * (LABEL_HEIGHT + 1.0);
            [(right, y), (left, y)]
        });
        let above = [
            (cx - width / 2.0, cy - r - 3.0 - LABEL_HEIGHT),
            (cx - width / 2.0, cy + r + 3.0),
        ];
        let free = sides.chain(above).find(|(x, y)| {
            let is_inside =
                *x >= 0.0 && x + width <= WIDTH && *y >= 0.0 && y + LABEL_HEIGHT <= HEIGHT;
            is_inside && !overlaps(&placed, *x, *y, width) && !hides(*x, *y, width)
        });
        if let Some((x, y)) = free {
            placed.push((text, x, y));
        }
    }
    placed
}

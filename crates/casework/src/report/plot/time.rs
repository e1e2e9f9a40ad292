//! Acts by time: a lane for each phase, and where logs say nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{HANDS, class, figure, legend, n, shape};
use crate::case::{Case, Hand, Span};
use crate::report::word;

const WIDTH: f64 = 1000.0;
/// Where the lanes' names end.
const LEFT: f64 = 104.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;
const LANE: f64 = 44.0;
/// So many columns of marks: as many as can be told apart.
const COLUMNS: i64 = 130;
const MOST_TICKS: i64 = 8;
/// What takes less of the whole is drawn once more by itself.
const WORTH_A_CLOSER_LOOK: f64 = 0.4;
/// What most of the intruder's acts are: a late look around is no reason to draw weeks.
const MOST_PERCENT: usize = 90;
/// No more gaps are drawn; all stand in the table.
const MOST_GAPS: usize = 40;

/// The phases of an attack, in their order; the last takes what has none of these names.
const PHASES: [&str; 9] = [
    "access",
    "recon",
    "persistence",
    "privilege",
    "evasion",
    "launch",
    "impact",
    "response",
    "other",
];

/// How far ticks can be apart, in seconds.
const STEPS: [i64; 19] = [
    1,
    5,
    15,
    60,
    300,
    900,
    3_600,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
    2_592_000,
    7_776_000,
    31_536_000,
    157_680_000,
    1_576_800_000,
];

/// The whole time, and that of most of the intruder's acts by itself where it would be lost in it.
pub(in crate::report) fn timeline(case: &Case) -> Vec<Markup> {
    let acts = case.timeline.iter().map(|act| act.span);
    let gaps = case.tampering.iter().map(|one| one.at);
    let whole = acts.chain(gaps).chain(case.span).reduce(joined);
    let Some(whole) = whole else {
        return Vec::new();
    };
    let mut drawn = vec![draw(case, padded(whole), "All acts by time")];
    if let Some(most) = most_of_it(case) {
        let part = secs(most) / secs(whole).max(1.0);
        if part < WORTH_A_CLOSER_LOOK {
            drawn.push(draw(
                case,
                padded(most),
                "While the intruder did most of it",
            ));
        }
    }
    drawn
}

/// From the intruder's first act to the one by which most had begun.
fn most_of_it(case: &Case) -> Option<Span> {
    let acts = case.timeline.iter();
    let acts = acts.filter(|act| act.hand == Hand::Intruder);
    let mut begun: Vec<Timestamp> = acts.map(|act| act.span.first).collect();
    begun.sort_unstable();
    let most = begun.len() * MOST_PERCENT / 100;
    Some(Span {
        first: *begun.first()?,
        last: *begun.get(most).or(begun.last())?,
    })
}

fn joined(a: Span, b: Span) -> Span {
    Span {
        first: a.first.min(b.first),
        last: a.last.max(b.last),
    }
}

fn secs(span: Span) -> f64 {
    span.last.duration_since(span.first).as_secs_f64()
}

/// A little before and after, so that nothing sits on the edge.
fn padded(span: Span) -> Span {
    let aside = SignedDuration::from_secs_f64((secs(span) * 0.02).max(30.0));
    Span {
        first: span.first.saturating_sub(aside).unwrap_or(span.first),
        last: span.last.saturating_add(aside).unwrap_or(span.last),
    }
}

fn phase(name: &str) -> usize {
    let known = PHASES.iter().position(|known| *known == name);
    known.unwrap_or(PHASES.len() - 1)
}

/// Acts that fall together: lane, column, and row within the lane.
#[derive(Default)]
struct Heap {
    acts: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    action: String,
}

fn draw(case: &Case, span: Span, caption: &str) -> Markup {
    let all = secs(span).max(1.0);
    let inner = WIDTH - LEFT - RIGHT;
    let place = |at: Timestamp| {
        let part = at.duration_since(span.first).as_secs_f64() / all;
        LEFT + inner * part.clamp(0.0, 1.0)
    };
    let is_in = |one: Span| one.last >= span.first && one.first <= span.last;
    let mut heaps: BTreeMap<(usize, i64, usize), Heap> = BTreeMap::new();
    let mut lasting: BTreeSet<(usize, usize, i64, i64)> = BTreeSet::new();
    let mut used = [false; PHASES.len()];
    for act in case.timeline.iter().filter(|act| is_in(act.span)) {
        let lane = phase(&act.phase);
        used[lane] = true;
        let row = HANDS.iter().position(|hand| *hand == act.hand);
        let row = row.unwrap_or_default();
        let column_of = |at| ((place(at) - LEFT) / inner * COLUMNS as f64) as i64;
        let (column, last) = (column_of(act.span.first), column_of(act.span.last));
        if last > column {
            lasting.insert((lane, row, column, last));
        }
        let heap = heaps.entry((lane, column, row)).or_default();
        heap.acts = heap.acts.saturating_add(act.count.max(1));
        heap.first = Some(
            heap.first
                .map_or(act.span.first, |at| at.min(act.span.first)),
        );
        heap.last = Some(heap.last.map_or(act.span.last, |at| at.max(act.span.last)));
        if heap.action.is_empty() {
            heap.action = davylamp_model::visible::cut(&act.action, 60);
        }
    }
    let lanes: Vec<usize> = (0..PHASES.len()).filter(|lane| used[*lane]).collect();
    let bottom = TOP + LANE * lanes.len() as f64;
    let gaps: Vec<_> = case
        .tampering
        .iter()
        .filter_map(|one| {
            one.gap
                .map(|gap| (gap.from, gap.until.unwrap_or(span.last), one))
        })
        .filter(|(from, until, _)| *until >= span.first && *from <= span.last)
        .take(MOST_GAPS)
        .collect();
    let ticks = ticks(span);
    let x = |column: i64| LEFT + inner * (column as f64 + 0.5) / COLUMNS as f64;
    let y = |lane: usize, row: usize| {
        let at = lanes.iter().position(|one| *one == lane);
        TOP + LANE * (at.unwrap_or_default() as f64 + 0.5) + 9.0 * (row as f64 - 1.5)
    };
    let inside = html! {
        (legend(LEFT, 16.0))
        @if !gaps.is_empty() {
            rect.gap x=(n(LEFT + 380.0)) y="6" width="18" height="12" {}
            text x=(n(LEFT + 404.0)) y="16" { "a log says nothing" }
        }
        @for (at, lane) in lanes.iter().enumerate() {
            @let y = TOP + LANE * at as f64;
            @if at % 2 == 0 { rect.lane x="0" y=(n(y)) width=(n(WIDTH)) height=(n(LANE)) {} }
            text.strong x="8" y=(n(y + LANE / 2.0 + 4.0)) { (PHASES[*lane]) }
        }
        @for (at, label) in &ticks {
            line.rule x1=(n(place(*at))) y1=(n(TOP)) x2=(n(place(*at))) y2=(n(bottom + 5.0)) {}
            text.small x=(n(place(*at))) y=(n(bottom + 18.0)) text-anchor="middle" { (label) }
        }
        @for (since, until, one) in &gaps {
            @let from = place(*since);
            rect.gap x=(n(from)) y=(n(TOP)) width=(n((place(*until) - from).max(2.0))) height=(n(bottom - TOP)) {
                title { "nothing from " (word::moment(*since)) " to " (word::moment(*until)) ": " (davylamp_model::visible::cut(&one.what, 120)) }
            }
        }
        @if let Some(intrusion) = case.span {
            @let from = place(intrusion.first);
            rect.frame x=(n(from - 2.0)) y=(n(TOP)) width=(n((place(intrusion.last) - from).max(2.0) + 4.0)) height=(n(bottom - TOP)) {
                title { "the intrusion, " (word::span(intrusion)) }
            }
        }
        @for (lane, row, from, to) in &lasting {
            line class={ "line " (class(HANDS[*row])) } x1=(n(x(*from))) x2=(n(x(*to))) y1=(n(y(*lane, *row))) y2=(n(y(*lane, *row))) {}
        }
        @for ((lane, column, row), heap) in &heaps {
            @let (x, y) = (x(*column), y(*lane, *row));
            (shape(HANDS[*row], x, y, size(heap.acts), &told(HANDS[*row], PHASES[*lane], heap)))
        }
    };
    let marks = heaps
        .values()
        .map(|heap| heap.acts)
        .fold(0, u64::saturating_add);
    let about = format!(
        "{} from {} to {} in {} lanes; the table below has them",
        word::count(marks, "act", "acts"),
        word::moment(span.first),
        word::moment(span.last),
        lanes.len(),
    );
    figure("figure", caption, &about, WIDTH, bottom + 26.0, &inside)
}

/// More acts make a larger mark, up to what its row has room for.
fn size(acts: u64) -> f64 {
    (2.6 + (acts as f64).ln() * 0.7).min(6.0)
}

fn told(hand: Hand, phase: &str, heap: &Heap) -> String {
    let when = heap.first.zip(heap.last);
    let when = when.map_or_else(String::new, |(first, last)| {
        word::span(Span { first, last })
    });
    let acts = word::count(heap.acts, "act", "acts");
    format!(
        "{acts}, {}, {phase}, {when}: {} …",
        word::hand(hand),
        heap.action
    )
}

/// Moments at round distances, with what stands under them.
fn ticks(span: Span) -> Vec<(Timestamp, String)> {
    let (from, to) = (span.first.as_second(), span.last.as_second());
    let step = STEPS
        .into_iter()
        .find(|step| (to - from) / step <= MOST_TICKS)
        .unwrap_or(STEPS[STEPS.len() - 1]);
    let format = match step {
        step if step >= 86_400 => "%Y-%m-%d",
        step if step >= 60 => "%m-%d %H:%M",
        _ => "%H:%M:%S",
    };
    let first = from.div_euclid(step) + 1;
    (first..=to.div_euclid(step))
        .filter_map(|at| Timestamp::from_second(at * step).ok())
        .map(|at| (at, at.strftime(format).to_string()))
        .collect()
}

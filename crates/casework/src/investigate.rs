//! An investigation: from logs and a question to a case.

use std::collections::BTreeMap;
use std::sync::Arc;

use davylamp_content::prices::book::Book;
use davylamp_hunt::arrow::error::ArrowError;
use davylamp_hunt::engine::{Engine, EngineError};
use davylamp_hunt::tally::{Run, summary};
use jiff::Timestamp;

use crate::case::{Asked, Case, Cost, Lead, SUSPICIOUS, Source, Span, Statement, Unknown};
use crate::cite::Cites;
use crate::cost::reckon;
use crate::cost::sightings::{Sighting, lives};
use crate::hands::habit::Habits;
use crate::hands::making::moment;
use crate::hands::pairs::{At, Pair, Pairs};
use crate::hands::relation::short;
use crate::hands::score::{SEED, Score, plural, score};
use crate::hands::spread::{Ground, Hand};
use crate::snapshots;
use crate::story::{self, Known};
use crate::trail::{self, Trail, TrailError};
use crate::witnesses::{self, WitnessError};

mod indicator;

pub use indicator::Indicator;

/// Leads that a case shows; the others are counted nowhere, as they are no findings.
const MAX_LEADS: usize = 25;

/// A pair that scores less is no lead.
const LEAST_LEAD: f64 = 15.0;

/// Why there is no case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The logs cannot be asked.
    #[error("the logs cannot be read")]
    Engine(#[from] EngineError),
    /// The other logs cannot be asked.
    #[error("the logs beside CloudTrail cannot be asked")]
    Witnesses(#[from] WitnessError),
    /// What is kept meanwhile has no room on disk, or cannot be read again.
    #[error("what is kept on disk meanwhile cannot be written or read")]
    Kept(#[from] ArrowError),
}

impl From<TrailError> for CaseError {
    fn from(error: TrailError) -> Self {
        match error {
            TrailError::Engine(error) => error.into(),
            TrailError::Kept(error) => error.into(),
        }
    }
}

/// What an investigation is made with.
pub struct Means<'a> {
    /// What is read is counted here.
    pub run: &'a Arc<Run>,
    /// The prices.
    pub prices: &'a Book,
    /// Up to when what still runs is counted.
    pub now: Timestamp,
}

/// Makes a case of what an engine has.
///
/// # Errors
/// When the logs cannot be read, or there is no room for what is kept meanwhile.
pub async fn investigate(
    engine: &Engine,
    asked: Asked,
    indicators: &[Indicator],
    means: &Means<'_>,
) -> Result<Case, CaseError> {
    let run = means.run;
    let mut case = Case {
        asked,
        ..Case::default()
    };
    let mut cites = Cites::default();
    let trail = trail::read(engine, &indicator::wanted(indicators), run).await?;
    case.sources = sources(&trail, run);
    case.unknowns.extend(crowded(trail.uses.wide));
    let pairs = Pairs::of(&trail)?;
    let habits = Habits::of(&pairs, &trail.names);
    let ground = Ground {
        trail: &trail,
        pairs: &pairs,
        habits: &habits,
    };
    let scores: BTreeMap<At, Score> = pairs
        .all
        .iter()
        .map(|(at, pair)| (*at, score(at, pair, &habits, &trail.names)))
        .collect();
    let seeds = match indicators.is_empty() {
        true => best(&scores),
        false => {
            let seeds = indicator::seeds(indicators, &ground, &scores)?;
            let unmatched = unmatched(&case.asked, &seeds.unmatched, trail.events);
            case.unknowns.extend(unmatched);
            seeds.pairs
        }
    };
    let hand = Hand::of(&seeds, &ground)?;
    case.leads = leads(&scores, &ground, &mut cites);
    let mut sightings = Vec::new();
    if !hand.pairs.is_empty() {
        let known = Known::of(&ground, &hand, &mut cites);
        sightings = story::tell(&mut case, &known, &mut cites)?;
    }
    let shown = snapshots::read(engine, run).await?;
    sightings.extend(snapshots::tell(&mut case, &shown, &mut cites));
    let others = witnesses::ask(engine).await?;
    witnesses::tell(&mut case, &others, &mut cites);
    if case.origin.is_none() {
        story::nothing_found(&mut case);
    } else {
        let seen_until = trail.span.map(|(_, last)| moment(last));
        case.cost = cost(sightings, seen_until, means);
    }
    cites.fill(&trail.acts, &case.evidence_cited())?;
    case.evidence = cites.into_all();
    case.renumber();
    if case.origin.is_some() {
        story::summarise(&mut case);
    }
    Ok(case)
}

fn cost(
    sightings: Vec<Sighting>,
    seen_until: Option<Timestamp>,
    means: &Means<'_>,
) -> Option<Cost> {
    if sightings.is_empty() {
        return None;
    }
    let lives = lives(sightings, seen_until);
    let mut cost = reckon(&lives.runs, means.prices, means.now);
    cost.caveats.extend(lives.caveats);
    Some(cost)
}

/// The pairs that look like an attack by themselves.
fn best(scores: &BTreeMap<At, Score>) -> Vec<At> {
    scores
        .iter()
        .filter(|(_, score)| score.points >= SEED)
        .map(|(at, _)| *at)
        .collect()
}

fn sources(trail: &Trail, run: &Run) -> Vec<Source> {
    let span = trail.span.map(|(first, last)| Span {
        first: moment(first),
        last: moment(last),
    });
    let mut unread = Vec::new();
    if run.is_bad() {
        unread = summary(run);
    }
    if trail.timeless > 0 {
        unread.push(format!(
            "{} events have no time that can be read",
            trail.timeless
        ));
    }
    if trail.uses.beyond > 0 {
        unread.push(format!(
            "{} events are counted together, there being too many principals",
            trail.uses.beyond
        ));
    }
    vec![Source {
        table: "cloudtrail".to_owned(),
        records: trail.events,
        repeated: trail.repeated,
        span,
        unread,
        proves: match trail.events {
            0 => "nothing: there is no CloudTrail among what was read".to_owned(),
            _ => "who called what, with which credential, from where, and whether it succeeded"
                .to_owned(),
        },
    }]
}

/// Says which indicators no record names.
fn unmatched(asked: &Asked, numbers: &[usize], events: u64) -> Option<Unknown> {
    let named = numbers.iter().filter_map(|it| asked.indicators.get(*it));
    let named: Vec<&str> = named.map(String::as_str).collect();
    (!named.is_empty() && events > 0).then(|| Unknown {
        what: format!("what was done with or by {}", named.join(", ")),
        why: "no record of CloudTrail that was read names it".to_owned(),
        remedy: Some("read logs of other times, accounts or regions".to_owned()),
    })
}

/// What is not known of principals with too many uses.
fn crowded(principals: u64) -> Option<Unknown> {
    (principals > 0).then(|| Unknown {
        what: format!(
            "from which single addresses {} called, and in which sessions",
            plural(principals, "principal")
        ),
        why: "they called from too many: networks and kinds of tools are kept apart, and sessions are not"
            .to_owned(),
        remedy: Some("read a shorter stretch: --since and --until".to_owned()),
    })
}

fn leads(scores: &BTreeMap<At, Score>, ground: &Ground<'_>, cites: &mut Cites) -> Vec<Lead> {
    let mut worst: Vec<(&At, &Score, &Pair)> = scores
        .iter()
        .filter(|(_, score)| score.points >= LEAST_LEAD)
        .filter_map(|(at, score)| Some((at, score, ground.pairs.all.get(at)?)))
        .collect();
    worst.sort_by(|a, b| b.1.points.total_cmp(&a.1.points).then_with(|| a.0.cmp(b.0)));
    let names = &ground.trail.names;
    let of = |(at, score, pair): (&At, &Score, &Pair)| {
        let (source, event_id, action) = &pair.first_record;
        let id = cites.place("cloudtrail", source, Some(moment(pair.first)));
        cites.tell(id, action, || {
            [
                ("event_id".to_owned(), event_id.as_ref().into()),
                ("event_name".to_owned(), action.as_ref().into()),
            ]
            .into_iter()
            .collect()
        });
        let credential = names.text(at.credential);
        Lead {
            score: score.points,
            is_alarm: score.points >= SUSPICIOUS,
            about: format!(
                "{} with {credential} from {}",
                short(names.text(at.principal)),
                names.text(at.place)
            ),
            statement: Statement {
                text: score.why.join("; "),
                evidence: vec![id],
            },
        }
    };
    worst.into_iter().take(MAX_LEADS).map(of).collect()
}

//! A case of states alone: no trail says who did what, and yet much can be told.
//!
//! What must stay true: nobody is accused; who is cleared is cleared by a record; where several keys can
//! have done it, each of their owners is unknown, with the reason.

use jiff::Timestamp;

use super::burst::Burst;
use super::shape;
use super::states::{cite, user_arn};
use super::things::Snapshots;
use super::who::{self, Fit, Making, Said, Who};
use crate::case::{
    Case, Confidence, Existence, Lead, Origin, Reason, SUSPICIOUS, Span, Statement, Touched,
    Unknown,
};
use crate::cite::Cites;
use crate::cost::sightings::Sighting;
use crate::hands::score::plural;

/// Records that one statement cites.
pub const MAX_CITED: usize = 6;

/// The principal where nobody can say who it was.
const UNKNOWN: &str = "unknown";

/// Fills a case; what was seen of what costs.
pub fn tell(
    case: &mut Case,
    snapshots: &Snapshots,
    bursts: &[Burst<'_>],
    cites: &mut Cites,
) -> Vec<Sighting> {
    let mut sightings = Vec::new();
    for burst in bursts {
        let who = who::of(snapshots, burst);
        let telling = Telling {
            snapshots,
            burst,
            who: &who,
        };
        telling.tell(case, cites);
        for machine in &burst.machines {
            sightings.extend(shape::sightings(
                snapshots,
                machine.id,
                machine.thing,
                cites,
            ));
        }
    }
    let rank = |touched: &Touched| match touched.exists {
        Existence::At(_) => 0,
        Existence::Unknown(_) => 1,
        Existence::GoneBy(_) => 2,
    };
    case.reach.sort_by(|a, b| {
        let key = |it: &Touched| (rank(it), it.persistence.is_none());
        key(a)
            .cmp(&key(b))
            .then_with(|| (&a.kind, &a.region, &a.id).cmp(&(&b.kind, &b.region, &b.id)))
    });
    case.timeline
        .sort_by(|a, b| (a.span.first, &a.target).cmp(&(b.span.first, &b.target)));
    if bursts
        .iter()
        .any(|burst| !snapshots.has_looked(burst.account, "access-key"))
    {
        case.unknowns.push(Unknown {
            what: "whose key started the machines, and when each key was made and last used".to_owned(),
            why: "AWS Config does not record access keys, and no snapshot has any".to_owned(),
            remedy: Some(
                "a credential report says of each key when it was made and last used: aws iam \
                 generate-credential-report, aws iam get-credential-report; davy record keeps it from now on"
                    .to_owned(),
            ),
        });
    }
    case.unknowns.push(Unknown {
        what: "from where the intruder came, with which program, and whose hand it was".to_owned(),
        why:
            "snapshots and AWS Config's items show what existed, snapshots also which key was last \
              used when; neither shows a call"
                .to_owned(),
        remedy: Some(
            "CloudTrail's event history keeps 90 days of management events whether or not a trail \
                      writes: aws cloudtrail lookup-events"
                .to_owned(),
        ),
    });
    sightings
}

/// Why a burst stands out.
pub fn lead(burst: &Burst<'_>, cites: &mut Cites) -> Lead {
    let shown = burst.machines.iter().take(MAX_CITED);
    Lead {
        score: burst.score,
        is_alarm: burst.score >= SUSPICIOUS,
        about: format!(
            "{} in account {}",
            plural(burst.machines.len() as u64, "machine"),
            burst.account
        ),
        statement: Statement {
            text: format!("they appeared together, {}", burst.why.join("; ")),
            evidence: shown
                .flat_map(|it| cite(cites, it.id, it.thing, it.at))
                .collect(),
        },
    }
}

/// What is told of one burst.
pub struct Telling<'a> {
    /// The snapshots.
    pub snapshots: &'a Snapshots,
    /// The burst.
    pub burst: &'a Burst<'a>,
    /// Who can have started it.
    pub who: &'a Who<'a>,
}

impl Telling<'_> {
    fn tell(&self, case: &mut Case, cites: &mut Cites) {
        let principal = match &self.who.starter {
            Some(starter) => self.arn(&starter.key.user),
            None => UNKNOWN.to_owned(),
        };
        let origin = self.origin(cites);
        let since = origin.at.last.min(self.burst.first());
        let machines: Vec<Touched> = self
            .burst
            .machines
            .iter()
            .map(|machine| shape::machine(self.snapshots, machine, &principal, cites))
            .collect();
        let maker = self.who.made.as_ref().and_then(|made| made.maker.as_ref());
        let maker = maker.map_or_else(|| UNKNOWN.to_owned(), |maker| self.arn(&maker.key.user));
        let others = shape::others(self.snapshots, self.burst, since, &maker, cites);
        for touched in machines.iter().chain(&others) {
            let (what, phase) = match &*touched.kind {
                "instance" => ("instance appeared".to_owned(), "launch"),
                "access-key" | "login-profile" | "user" | "role" => {
                    (format!("{} appeared", touched.kind), "persistence")
                }
                kind => (format!("{kind} appeared"), "launch"),
            };
            case.timeline.push(shape::act(touched, &what, phase));
            if let Existence::GoneBy(at) = touched.exists {
                let gone = Touched {
                    span: Span {
                        first: at,
                        last: at,
                    },
                    principal: UNKNOWN.to_owned(),
                    evidence: touched.evidence.last().copied().into_iter().collect(),
                    ..touched.clone()
                };
                let what = format!("{} was gone", touched.kind);
                case.timeline.push(shape::act(&gone, &what, "response"));
            }
        }
        let span = Span {
            first: since,
            last: self.last(&machines),
        };
        let around = Span {
            first: origin.at.first.min(since),
            last: self.burst.last(),
        };
        let account = self.burst.account;
        case.tampering
            .extend(shape::tampering(self.snapshots, around, account, cites));
        case.span = Some(match case.span {
            Some(known) => Span {
                first: known.first.min(span.first),
                last: known.last.max(span.last),
            },
            None => span,
        });
        case.leads.push(lead(self.burst, cites));
        self.people(case, span, machines.len() as u64, cites);
        case.reach.extend(machines);
        case.reach.extend(others);
        // Bursts come by time: the first has the origin.
        case.origin.get_or_insert(origin);
    }

    /// The ARN of a user of the burst's account.
    pub fn arn(&self, user: &str) -> String {
        user_arn(self.burst.account, user)
    }

    /// The last moment at which a machine was up.
    fn last(&self, machines: &[Touched]) -> Timestamp {
        let ends = machines.iter().map(|machine| match machine.exists {
            Existence::At(at) | Existence::GoneBy(at) => at,
            Existence::Unknown(_) => machine.span.last,
        });
        ends.max().unwrap_or_else(|| self.burst.last())
    }

    fn origin(&self, cites: &mut Cites) -> Origin {
        let first = &self.burst.machines[0];
        let before = |id, at| self.snapshots.look_before(id, at).unwrap_or(at);
        let mut reasons = vec![Reason {
            is_for: true,
            statement: Statement {
                text: format!(
                    "{} appeared together from {} on, {}",
                    plural(self.burst.machines.len() as u64, "machine"),
                    first.at,
                    self.burst.why.join("; ")
                ),
                evidence: cite(cites, first.id, first.thing, first.at),
            },
        }];
        let Some(starter) = &self.who.starter else {
            let fit = fitting(&self.who.starters);
            for said in &self.who.starters {
                reasons.push(reason(said, said.fit != Fit::Excluded, cites));
            }
            return Origin {
                at: Span {
                    first: before(first.id, first.at),
                    last: first.at,
                },
                how: match fit {
                    0 if !self.snapshots.has_looked(self.burst.account, "access-key") => {
                        "machines were started, and which access keys there were is not known"
                            .to_owned()
                    }
                    0 => "machines were started, and none of the users' keys can have done it: a role's \
                          session, the console or the root user did"
                        .to_owned(),
                    count => format!(
                        "machines were started, and {} of users can have done it",
                        plural(count, "key")
                    ),
                },
                principal: UNKNOWN.to_owned(),
                credential: String::new(),
                confidence: Confidence::Low,
                reasons,
            };
        };
        let key = &starter.key;
        reasons.push(reason(starter, true, cites));
        let Some(made) = &self.who.made else {
            let confidence = match starter.fit {
                Fit::Shown => Confidence::Medium,
                _ => Confidence::Low,
            };
            return Origin {
                at: Span {
                    first: before(first.id, first.at),
                    last: first.at,
                },
                how: format!(
                    "the key {} of {} was used to start machines",
                    key.id.id, key.user
                ),
                principal: self.arn(&key.user),
                credential: key.id.id.clone(),
                confidence,
                reasons,
            };
        };
        reasons.push(Reason {
            is_for: true,
            statement: Statement {
                text: format!(
                    "the key {} of {} was made at {}, shortly before the machines",
                    key.id.id, key.user, made.at
                ),
                evidence: cite(cites, key.id, key.thing, made.at),
            },
        });
        for said in &made.makers {
            reasons.push(reason(said, said.fit != Fit::Excluded, cites));
        }
        for doubt in doubts(made) {
            reasons.push(Reason {
                is_for: false,
                statement: Statement {
                    text: doubt,
                    evidence: Vec::new(),
                },
            });
        }
        let what = format!(
            "made the key {} for {}, which then started the machines",
            key.id.id, key.user
        );
        let (how, principal, credential) = match &made.maker {
            Some(maker) => (
                format!(
                    "the key {} of {} was used, and {what}",
                    maker.key.id.id, maker.key.user
                ),
                self.arn(&maker.key.user),
                maker.key.id.id.clone(),
            ),
            None => (
                format!(
                    "somebody {what}; {} of others can have made it",
                    plural(fitting(&made.makers), "key")
                ),
                UNKNOWN.to_owned(),
                String::new(),
            ),
        };
        let confidence = match &made.maker {
            Some(_) if fitting(&made.makers) == 1 && doubts(made).is_empty() => Confidence::Medium,
            _ => Confidence::Low,
        };
        Origin {
            at: Span {
                first: before(key.id, made.at),
                last: made.at,
            },
            how,
            principal,
            credential,
            confidence,
            reasons,
        }
    }
}

fn fitting(all: &[Said<'_>]) -> u64 {
    all.iter().filter(|said| said.fit != Fit::Excluded).count() as u64
}

/// Who else can have made a key.
fn doubts(made: &Making<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    if !made.signed_in.is_empty() {
        doubts.push(format!(
            "{} had signed in to the console and had the right to make it",
            made.signed_in.join(", ")
        ));
    }
    if !made.roles.is_empty() {
        doubts.push(format!(
            "a session of the role {} can have made it",
            made.roles.join(" or ")
        ));
    }
    doubts
}

/// What is said of a key, as a reason.
pub fn reason(said: &Said<'_>, is_for: bool, cites: &mut Cites) -> Reason {
    let key = &said.key;
    Reason {
        is_for,
        statement: Statement {
            text: format!("the key {} of {} {}", key.id.id, key.user, said.why),
            evidence: cite(cites, key.id, key.thing, said.at),
        },
    }
}

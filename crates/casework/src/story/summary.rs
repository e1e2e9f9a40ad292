//! The story in a few statements, what to do next, and what could not be known.

use davylamp_model::verdict::Verdict;

use crate::case::{
    Case, Confidence, EvidenceId, Existence, Hand, NextStep, Statement, Touched, Unknown,
};
use crate::hands::relation::short;
use crate::hands::score::plural;

/// Records that a statement about many things cites.
const MAX_CITED: usize = 6;

/// Things that one command names.
const MAX_NAMED: usize = 20;

/// Says of a case with no intrusion what was looked at.
pub fn nothing_found(case: &mut Case) {
    let read: u64 = case.sources.iter().map(|source| source.records).sum();
    let text = match read {
        0 => "nothing was read, so nothing can be said".to_owned(),
        _ if !case.asked.indicators.is_empty() => {
            "what was asked for leads to no act of an intruder; without --indicator and --finding, the case starts from what stands out".to_owned()
        }
        _ if case.is_suspicious() => {
            "the leads stand for an attack, and no record shows who is behind it".to_owned()
        }
        _ => format!("no intrusion was found in {}", plural(read, "record")),
    };
    case.summary = vec![Statement {
        text,
        evidence: Vec::new(),
    }];
    case.unknowns.push(Unknown {
        what: "what the logs that were read do not show".to_owned(),
        why: "an intruder who does no harm that is logged, from places and with tools of the owner's, \
              leaves nothing that stands out"
            .to_owned(),
        remedy: Some("start from something that is known: --indicator with a key, address, user or instance".to_owned()),
    });
}

/// Fills in the summary, the next steps and what is not known.
pub fn summarise(case: &mut Case) {
    let mut summary = Vec::new();
    if let (Some(origin), Some(span)) = (&case.origin, case.span) {
        let evidence = origin
            .reasons
            .iter()
            .find(|reason| reason.is_for)
            .map(|reason| reason.statement.evidence.clone())
            .unwrap_or_default();
        let began = match origin.at.first == origin.at.last {
            true => format!("at {}", origin.at.first),
            false => format!("between {} and {}", origin.at.first, origin.at.last),
        };
        summary.push(Statement {
            text: format!("it began {began}: {}", origin.how),
            evidence: evidence.clone(),
        });
        if origin.confidence == Confidence::Low {
            summary.push(Statement {
                text: "the records hold too little of the time before to tell owners from the intruder: what is said of \
                       hands may be the owners' own acts. Read some weeks before it as well"
                    .to_owned(),
                evidence,
            });
        }
        let last = case
            .timeline
            .iter()
            .filter(|act| act.hand != Hand::Owner)
            .max_by_key(|act| act.span.last);
        summary.push(Statement {
            text: format!("it went on until {} at least", span.last),
            evidence: last.and_then(|act| act.evidence).into_iter().collect(),
        });
    }
    machines(case, &mut summary);
    for innocence in case
        .innocence
        .iter()
        .filter(|it| it.verdict == Verdict::Pass && is_person(&it.principal))
    {
        summary.push(innocence.statement.clone());
    }
    for innocence in case
        .innocence
        .iter()
        .filter(|it| it.verdict != Verdict::Pass)
    {
        summary.push(innocence.statement.clone());
    }
    let left: Vec<&Touched> = case
        .reach
        .iter()
        .filter(|it| it.persistence.is_some())
        .collect();
    if !left.is_empty() {
        summary.push(Statement {
            text: format!(
                "{} open by which the intruder can come back",
                are(left.len() as u64, "way")
            ),
            evidence: cited(&left),
        });
    }
    let blinded: Vec<_> = case
        .tampering
        .iter()
        .filter(|it| it.has_succeeded)
        .collect();
    if !blinded.is_empty() {
        let evidence = blinded
            .iter()
            .flat_map(|it| it.evidence.clone())
            .take(MAX_CITED)
            .collect();
        let first = &blinded[0].what;
        let more = match blinded.len() {
            1 => String::new(),
            many => format!(", and {} more", plural(many as u64 - 1, "act")),
        };
        summary.push(Statement {
            text: format!("logs or sensors were blinded: {first}{more}"),
            evidence,
        });
    }
    summary.extend(case.witnessed.clone());
    case.summary.extend(summary);
    next_steps(case);
    unknowns(case);
}

fn is_person(principal: &str) -> bool {
    principal.contains(":user/") || principal.ends_with(":root")
}

fn cited(things: &[&Touched]) -> Vec<EvidenceId> {
    let mut all: Vec<EvidenceId> = things
        .iter()
        .flat_map(|it| it.evidence.iter().copied())
        .collect();
    all.sort_unstable();
    all.dedup();
    all.truncate(MAX_CITED);
    all
}

fn machines(case: &Case, summary: &mut Vec<Statement>) {
    let made: Vec<&Touched> = case
        .reach
        .iter()
        .filter(|it| it.kind == "instance" && it.how != "attempted" && it.how != "deleted")
        .collect();
    let regions: std::collections::BTreeSet<_> =
        made.iter().filter_map(|it| it.region.as_ref()).collect();
    if !made.is_empty() {
        let running = made
            .iter()
            .filter(|it| matches!(it.exists, Existence::At(_)))
            .count();
        let still = match running {
            0 => "none of which is still there as far as the logs show".to_owned(),
            count => format!("{count} of which nobody has ended as far as the logs show"),
        };
        summary.push(Statement {
            text: format!(
                "{} started in {}, {still}",
                were(made.len() as u64, "machine"),
                plural(regions.len() as u64, "region")
            ),
            evidence: cited(&made),
        });
    }
    let refused: Vec<_> = case
        .timeline
        .iter()
        .filter(|act| act.phase == "launch" && act.error.is_some())
        .collect();
    if !refused.is_empty() {
        let count: u64 = refused.iter().map(|act| act.count).sum();
        let codes: std::collections::BTreeSet<_> =
            refused.iter().filter_map(|act| act.error.clone()).collect();
        let codes: Vec<String> = codes.into_iter().take(3).collect();
        let evidence = refused
            .iter()
            .filter_map(|act| act.evidence)
            .take(MAX_CITED)
            .collect();
        let were = if count == 1 { "was" } else { "were" };
        summary.push(Statement {
            text: format!(
                "{} {were} refused ({})",
                counted(count, "launch", "launches"),
                codes.join(", ")
            ),
            evidence,
        });
    }
}

fn next_steps(case: &mut Case) {
    let mut steps: Vec<(String, Vec<EvidenceId>, Option<String>)> = Vec::new();
    let keys: Vec<_> = case
        .credentials
        .iter()
        .filter(|it| it.kind == "long-term" && it.intruder_acts + it.unknown_acts > 0)
        .collect();
    for key in keys {
        let user = short(&key.principal);
        let evidence = key
            .made
            .as_ref()
            .map(|made| made.evidence.clone())
            .unwrap_or_default();
        steps.push((
            format!("switch off the key {} of {user}, then delete it", key.id),
            evidence,
            Some(format!(
                "aws iam update-access-key --user-name {user} --access-key-id {} --status Inactive",
                key.id
            )),
        ));
    }
    let sessions = case.credentials.iter().filter(|it| {
        matches!(it.kind.as_str(), "temporary" | "instance")
            && it.intruder_acts + it.unknown_acts > 0
    });
    let roles: std::collections::BTreeSet<&str> =
        sessions.map(|it| it.principal.as_str()).collect();
    for role in roles {
        steps.push((
            format!(
                "end the sessions of {} that are open: temporary keys work until they expire",
                short(role)
            ),
            Vec::new(),
            None,
        ));
    }
    for thing in case
        .reach
        .iter()
        .filter(|it| it.persistence.is_some() && it.kind != "access-key")
        .take(MAX_NAMED)
    {
        let because = thing.persistence.clone().unwrap_or_default();
        steps.push((
            format!("remove or put right {} {}: {because}", thing.kind, thing.id),
            thing.evidence.clone(),
            removal(thing),
        ));
    }
    let mut by_region: std::collections::BTreeMap<String, Vec<&Touched>> =
        std::collections::BTreeMap::new();
    for thing in case
        .reach
        .iter()
        .filter(|it| it.kind == "instance" && matches!(it.exists, Existence::At(_)))
    {
        by_region
            .entry(thing.region.clone().unwrap_or_default())
            .or_default()
            .push(thing);
    }
    for (region, things) in by_region {
        let ids: Vec<&str> = things
            .iter()
            .take(MAX_NAMED)
            .map(|it| it.id.as_str())
            .collect();
        let more = match things.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" (and {more} more in the reach)"),
        };
        steps.push((
            format!(
                "keep evidence of the {} in {region}, then end them{more}",
                plural(things.len() as u64, "machine")
            ),
            cited(&things),
            Some(format!(
                "aws ec2 terminate-instances --region {region} --instance-ids {}",
                ids.join(" ")
            )),
        ));
    }
    for it in case
        .tampering
        .iter()
        .filter(|it| it.gap.is_some_and(|gap| gap.until.is_none()))
    {
        steps.push((
            format!("give sight back: {}", it.what),
            it.evidence.clone(),
            None,
        ));
    }
    case.next_steps = steps
        .into_iter()
        .zip(1..)
        .map(|((text, evidence, command), rank)| NextStep {
            rank,
            statement: Statement { text, evidence },
            command,
        })
        .collect();
}

fn removal(thing: &Touched) -> Option<String> {
    let region = thing.region.as_deref().unwrap_or("us-east-1");
    let id = &thing.id;
    // A name that an intruder chose must not become another command.
    if !id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/@+=,".contains(&byte))
        || id.starts_with('-')
    {
        return None;
    }
    Some(match thing.kind.as_str() {
        "login-profile" => format!("aws iam delete-login-profile --user-name {id}"),
        "scaling-group" => {
            format!(
                "aws autoscaling delete-auto-scaling-group --force-delete --region {region} --auto-scaling-group-name {id}"
            )
        }
        "launch-template" if id.starts_with("lt-") => {
            format!("aws ec2 delete-launch-template --region {region} --launch-template-id {id}")
        }
        "security-group" if id.starts_with("sg-") => {
            format!("aws ec2 delete-security-group --region {region} --group-id {id}")
        }
        "key-pair" => format!("aws ec2 delete-key-pair --region {region} --key-name {id}"),
        "spot-fleet" => format!(
            "aws ec2 cancel-spot-fleet-requests --terminate-instances --region {region} --spot-fleet-request-ids {id}"
        ),
        "lambda-function" => {
            format!("aws lambda delete-function --region {region} --function-name {id}")
        }
        _ => return None,
    })
}

fn unknowns(case: &mut Case) {
    for it in &case.tampering {
        if let Some(gap) = it.gap {
            let until = gap
                .until
                .map_or_else(|| "now".to_owned(), |until| until.to_string());
            case.unknowns.push(Unknown {
                what: format!("what happened between {} and {until} that only this would have shown", gap.from),
                why: it.what.clone(),
                remedy: Some("CloudTrail's event history keeps 90 days of management events whatever trails do: \
                              aws cloudtrail lookup-events".to_owned()),
            });
        }
    }
    if case.things_left_out > 0 {
        case.unknowns.push(Unknown {
            what: format!(
                "{} to things that are not in the reach",
                plural(case.things_left_out, "act")
            ),
            why: "the reach is bounded; the acts are in the timeline".to_owned(),
            remedy: Some("narrow it with --since and --until".to_owned()),
        });
    }
    if case.acts_left_out > 0 {
        case.unknowns.push(Unknown {
            what: format!("{} of the timeline", plural(case.acts_left_out, "act")),
            why: "a timeline is bounded; they are counted and not told one by one".to_owned(),
            remedy: Some("narrow it with --since and --until".to_owned()),
        });
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// So many of a thing, and that they were.
fn were(count: u64, one: &str) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", plural(count, one))
}

/// So many of a thing, and that they are.
fn are(count: u64, one: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", plural(count, one))
}

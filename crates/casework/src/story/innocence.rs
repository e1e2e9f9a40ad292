//! What a case says of each principal's innocence.

use davylamp_model::verdict::Verdict;

use super::Known;
use crate::case::{EvidenceId, Innocence, Reason, Statement};
use crate::cite::Cites;
use crate::hands::making::moment;
use crate::hands::relation::{Judgement, short};

/// The verdict on each principal that is in the case, the cleared first.
pub fn of(known: &Known<'_>, cites: &mut Cites) -> Vec<Innocence> {
    let mut all: Vec<Innocence> = known.judged.values().map(verdict).collect();
    for (arn, making) in &known.hand.principals {
        if !known.judged.values().any(|judged| judged.principal == *arn) {
            let evidence = cites.place("cloudtrail", &making.source, Some(moment(making.at)));
            let judged = Judgement {
                principal: arn.clone(),
                verdict: Verdict::Fail,
                is_made: true,
                reasons: vec![Reason {
                    is_for: false,
                    statement: Statement {
                        text: format!(
                            "{} made it at {}, and it has done nothing since",
                            making.action,
                            moment(making.at)
                        ),
                        evidence: vec![evidence],
                    },
                }],
                own: 0,
                others: 0,
                unknown: 0,
            };
            all.push(verdict(&judged));
        }
    }
    let rank = |verdict: Verdict| match verdict {
        Verdict::Fail => 2,
        Verdict::Unknown => 1,
        Verdict::Pass => 0,
    };
    all.sort_by(|a, b| {
        rank(a.verdict)
            .cmp(&rank(b.verdict))
            .then_with(|| a.principal.cmp(&b.principal))
    });
    all
}

fn verdict(judged: &Judgement) -> Innocence {
    let name = short(&judged.principal);
    let text = match (judged.verdict, judged.is_made) {
        (Verdict::Fail, true) => format!("{name} is the intruder's own: it was made in the attack"),
        (Verdict::Fail, false) => {
            format!("{name} did it: credential, place and tool are {name}'s own")
        }
        (Verdict::Unknown, _) => format!("whether it was {name} cannot be told from these records"),
        (Verdict::Pass, _) if judged.others == 0 => {
            format!("{name} is cleared: nothing of the attack was done by {name}")
        }
        (Verdict::Pass, _) => {
            format!("{name} is cleared: what was done in {name}'s name was done by somebody else")
        }
    };
    let is_for = judged.verdict == Verdict::Pass;
    let deciding = judged
        .reasons
        .iter()
        .filter(|reason| reason.is_for == is_for || judged.verdict == Verdict::Unknown);
    let mut evidence: Vec<EvidenceId> = deciding
        .flat_map(|reason| reason.statement.evidence.clone())
        .collect();
    evidence.sort_unstable();
    evidence.dedup();
    Innocence {
        principal: judged.principal.clone(),
        verdict: judged.verdict,
        statement: Statement { text, evidence },
        own_acts: judged.own,
        others_acts: judged.others,
        unknown_acts: judged.unknown,
        reasons: judged.reasons.clone(),
    }
}

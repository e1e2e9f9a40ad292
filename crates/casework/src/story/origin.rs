//! Where an intrusion began.

use davylamp_model::verdict::Verdict;

use super::Known;
use crate::case::{Confidence, Origin, Reason, Span, Statement};
use crate::cite::Cites;
use crate::hands::making::moment;
use crate::hands::pairs::{At, Pair};
use crate::hands::relation::{cite_use, short};
use crate::hands::spread::Because;
use crate::trail::uses::{Key, Use};
use crate::trail::who::is_instance;

/// The earliest of what a hand did, and how it came to be able to.
pub fn of(known: &Known<'_>, cites: &mut Cites) -> Option<Origin> {
    let (at, key, used) = first(known)?;
    let belongs = known.hand.pairs.get(&at)?;
    let pair = known.ground.pairs.all.get(&at)?;
    let begins = used.first.max(belongs.since);
    let cited = cite_use(cites, used);
    let mut reasons = vec![Reason {
        is_for: true,
        statement: Statement {
            text: format!(
                "nothing that the same hand did is earlier than {}",
                moment(begins)
            ),
            evidence: vec![cited],
        },
    }];
    let judged = known.judged.get(&at.principal);
    if let Some(judged) = judged {
        // What clears the owner is what makes it the origin, and the other way round.
        reasons.extend(judged.reasons.iter().cloned());
    }
    let has_past = known.ground.habits.has_past(at.principal, begins);
    if !has_past {
        reasons.push(Reason {
            is_for: false,
            statement: Statement {
                text: "the logs do not reach back far enough to say what came before".to_owned(),
                evidence: Vec::new(),
            },
        });
    }
    let confidence = match judged.map(|it| it.verdict) {
        Some(Verdict::Pass | Verdict::Fail) if has_past => Confidence::High,
        _ if has_past => Confidence::Medium,
        _ => Confidence::Low,
    };
    Some(Origin {
        at: Span {
            first: moment(begins),
            last: moment(begins),
        },
        how: how(known, &at, &key, pair, used),
        principal: known.text(at.principal).to_owned(),
        credential: known.text(at.credential).to_owned(),
        confidence,
        reasons,
    })
}

/// The use that was first, of those that were not made by an earlier one.
fn first<'a>(known: &'a Known<'a>) -> Option<(At, Key, &'a Use)> {
    let of_hand = known.ground.trail.uses.iter().filter_map(|(key, used)| {
        let at = At::of(key);
        let belongs = known.hand.pairs.get(&at)?;
        (used.count > 0 && used.last >= belongs.since).then_some((at, *key, used, belongs))
    });
    let rank = |belongs: &crate::hands::spread::Belongs| {
        u8::from(matches!(
            belongs.because,
            Because::MadeCredential(_) | Because::MadePrincipal(_)
        ))
    };
    let (at, key, used, _) = of_hand.min_by_key(|(_, key, used, belongs)| {
        (used.first.max(belongs.since), rank(belongs), *key)
    })?;
    Some((at, key, used))
}

fn how(known: &Known<'_>, at: &At, key: &Key, pair: &Pair, used: &Use) -> String {
    let owner = short(known.text(at.principal));
    let (credential, place) = (known.text(at.credential), known.text(at.place));
    let is_owner = known
        .judged
        .get(&at.principal)
        .is_some_and(|it| it.verdict == Verdict::Fail && !it.is_made);
    if is_owner {
        return format!(
            "{owner} did it from {place}, an own place, with {}",
            with(credential)
        );
    }
    if known.text(at.principal).ends_with(":root") {
        return format!("the root user's credentials were used from {place}");
    }
    if is_instance(credential) {
        let instance = credential.trim_start_matches("session ");
        return format!(
            "the credentials that the instance {instance} has as the role {owner} were used outside of it, from {place}"
        );
    }
    let agent = known.text(key.agent);
    if credential == "console" {
        let factor = if pair.logins_without_mfa > 0 {
            " without a second factor"
        } else {
            ""
        };
        return format!("somebody signed in to the console as {owner}{factor} from {place}");
    }
    if &*used.action == "AssumeRoleWithWebIdentity" || &*used.action == "AssumeRoleWithSAML" {
        return format!(
            "a token of the identity provider was traded for the role {owner} from {place}"
        );
    }
    format!(
        "{} of {owner} was used from {place} with {agent:?}",
        with(credential)
    )
}

fn with(credential: &str) -> String {
    match credential {
        "" => "a credential".to_owned(),
        "temporary" => "a temporary key".to_owned(),
        "console" => "the console".to_owned(),
        other if other.starts_with("session ") => format!("the {other}"),
        other => format!("the key {other}"),
    }
}

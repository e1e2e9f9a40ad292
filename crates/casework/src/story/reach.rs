//! Whatever the hand touched, what of it still exists, and what would let it back in.

use super::Known;
use super::deeds::{Seen, Sight, ThingKey};
use crate::case::{Existence, Span, Touched};
use crate::detail::How;
use crate::hands::making::moment;

/// Kinds by which somebody comes back, and how.
const WAYS_BACK: &[(&str, &str)] = &[
    (
        "user",
        "a user that the intruder made or gave rights can be used again",
    ),
    ("access-key", "the key works until it is deleted"),
    (
        "login-profile",
        "the password works until it is deleted or changed",
    ),
    ("role", "the role can be assumed by whom its trust names"),
    (
        "lambda-function",
        "the function runs whenever it is called or scheduled",
    ),
    ("mfa-device", "the second factor is in the intruder's hands"),
    (
        "scaling-group",
        "it starts machines anew when they are ended",
    ),
    ("spot-fleet", "it starts machines anew when they are ended"),
    ("fleet", "it starts machines anew when they are ended"),
    ("ecs-service", "it starts tasks anew when they are stopped"),
    (
        "eks-nodegroup",
        "it starts machines anew when they are ended",
    ),
    (
        "batch-compute-environment",
        "it starts machines for whatever is queued",
    ),
];

/// Each thing, what still exists first.
pub fn of(known: &Known<'_>, seen: &Seen) -> Vec<Touched> {
    let mut all: Vec<Touched> = seen
        .things
        .iter()
        .filter_map(|(key, sights)| touched(known, seen, key, sights))
        .collect();
    let rank = |touched: &Touched| match touched.exists {
        Existence::At(_) => 0,
        Existence::Unknown(_) => 1,
        Existence::GoneBy(_) => 2,
    };
    all.sort_by(|a, b| {
        let order = rank(a)
            .cmp(&rank(b))
            .then_with(|| b.persistence.is_some().cmp(&a.persistence.is_some()));
        order
            .then_with(|| a.kind.cmp(&b.kind))
            .then_with(|| a.region.cmp(&b.region))
            .then_with(|| a.id.cmp(&b.id))
    });
    all
}

fn touched(known: &Known<'_>, seen: &Seen, key: &ThingKey, sights: &[Sight]) -> Option<Touched> {
    let (kind, id, region) = key;
    let mut sights: Vec<&Sight> = sights.iter().collect();
    sights.sort_by_key(|sight| (sight.at, sight.evidence));
    let of_hand: Vec<&&Sight> = sights.iter().filter(|sight| sight.is_hand).collect();
    let first = of_hand.first()?;
    let how = of_hand
        .iter()
        .map(|sight| sight.how)
        .max_by_key(|how| match how {
            How::Attempted => 0,
            How::Used => 1,
            How::Deleted => 2,
            How::Changed => 3,
            How::Created => 4,
        })?;
    let exists = existence(known, how, &sights);
    let is_left =
        !matches!(exists, Existence::GoneBy(_)) && matches!(how, How::Created | How::Changed);
    let way = WAYS_BACK
        .iter()
        .find(|(known, _)| known == kind)
        .map(|(_, way)| (*way).to_owned());
    let details = seen.details.get(key).cloned().unwrap_or_default();
    let mut evidence: Vec<_> = of_hand.iter().map(|sight| sight.evidence).collect();
    evidence.extend(
        sights
            .iter()
            .filter(|sight| sight.how == How::Deleted)
            .map(|sight| sight.evidence),
    );
    evidence.sort_unstable();
    evidence.dedup();
    Some(Touched {
        kind: kind.clone(),
        id: id.clone(),
        account: details.get("account").cloned(),
        region: (!region.is_empty()).then(|| region.clone()),
        how: how.as_str().to_owned(),
        span: Span {
            first: moment(first.at),
            last: moment(of_hand.last()?.at),
        },
        principal: known.text(first.by.principal).to_owned(),
        exists,
        persistence: if is_left { way } else { None },
        details: details
            .into_iter()
            .filter(|(name, _)| name != "account")
            .collect(),
        evidence,
    })
}

/// A thing that nobody removed was there when the trail ended, if it was ever there.
fn existence(known: &Known<'_>, how: How, sights: &[&Sight]) -> Existence {
    let last = sights
        .iter()
        .rev()
        .find(|sight| sight.how != How::Attempted);
    let Some(last) = last else {
        return Existence::Unknown("every attempt failed, and nothing was made".to_owned());
    };
    if last.how == How::Deleted {
        return Existence::GoneBy(moment(last.at));
    }
    if how == How::Used {
        return Existence::Unknown("it was there before, and was only used".to_owned());
    }
    match known.ground.trail.span {
        Some((_, end)) => Existence::At(moment(end)),
        None => Existence::Unknown("the logs have no end that can be read".to_owned()),
    }
}

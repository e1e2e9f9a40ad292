//! Whose keys did it or can have done it, and what that says of their users.
//!
//! What must stay true: nobody is accused; one is cleared where a record shows that the key was made in
//! the attack, and that none of the user's own credentials can have made it.

use std::collections::BTreeMap;

use davylamp_model::verdict::Verdict;

use super::alone::{MAX_CITED, Telling, reason};
use super::states::cite;
use super::who::{Fit, Making, Said};
use crate::case::{Case, Credential, EvidenceId, Innocence, Principal, Reason, Span, Statement};
use crate::cite::Cites;

impl Telling<'_> {
    /// The keys that did it or can have done it, and what that says of their users.
    pub fn people(&self, case: &mut Case, span: Span, machines: u64, cites: &mut Cites) {
        let mut verdicts: BTreeMap<String, Innocence> = BTreeMap::new();
        let starter = self.who.starter.as_ref();
        if let (Some(starter), Some(made)) = (starter, &self.who.made) {
            let key = &starter.key;
            let innocence = self.framed(starter, made, machines, cites);
            verdicts.insert(innocence.principal.clone(), innocence);
            let mut credential = self.credential(starter, span);
            credential.made = Some(Statement {
                text: format!("a snapshot shows that it was made at {}", made.at),
                evidence: cite(cites, key.id, key.thing, made.at),
            });
            credential.intruder_acts = machines;
            credential.parent = made.maker.as_ref().map(|maker| maker.key.id.id.clone());
            case.credentials.push(credential);
            self.may_have(
                &made.makers,
                "made that key",
                &mut verdicts,
                case,
                span,
                cites,
            );
        } else {
            let told = "started the machines";
            self.may_have(&self.who.starters, told, &mut verdicts, case, span, cites);
        }
        for principal in verdicts.keys() {
            if case.principals.iter().any(|it| it.id == *principal) {
                continue;
            }
            let is_starter = starter.is_some_and(|it| self.arn(&it.key.user) == *principal);
            case.principals.push(Principal {
                id: principal.clone(),
                name: crate::hands::relation::short(principal).to_owned(),
                kind: "user".to_owned(),
                account: Some(self.burst.account.to_owned()),
                span: Some(span),
                is_made_by_intruder: false,
                is_used_by_intruder: is_starter,
            });
        }
        for innocence in verdicts.into_values() {
            if !case
                .innocence
                .iter()
                .any(|it| it.principal == innocence.principal)
            {
                case.innocence.push(innocence);
            }
        }
    }

    fn credential(&self, said: &Said<'_>, span: Span) -> Credential {
        Credential {
            id: said.key.id.id.clone(),
            kind: "long-term".to_owned(),
            principal: self.arn(&said.key.user),
            parent: None,
            made: None,
            span: Some(span),
            owner_acts: 0,
            intruder_acts: 0,
            unknown_acts: 0,
        }
    }

    /// The one in whose name the machines were started, with a key made for that.
    fn framed(
        &self,
        starter: &Said<'_>,
        made: &Making<'_>,
        machines: u64,
        cites: &mut Cites,
    ) -> Innocence {
        let (key, user) = (&starter.key, &starter.key.user);
        let of_key = cite(cites, key.id, key.thing, made.at);
        let mut reasons = vec![Reason {
            is_for: true,
            statement: Statement {
                text: format!(
                    "the key {} that started the machines was made at {}; it did not exist when the attack \
                     began",
                    key.id.id, made.at
                ),
                evidence: of_key.clone(),
            },
        }];
        if let Some(why) = &made.not_by_user {
            let seen = self
                .snapshots
                .get(self.burst.account, &key.id.region, "user", user);
            let evidence = seen.map(|(id, thing)| cite(cites, id, thing, made.at));
            reasons.push(Reason {
                is_for: true,
                statement: Statement {
                    text: why.clone(),
                    evidence: evidence.unwrap_or_else(|| of_key.clone()),
                },
            });
        }
        reasons.push(reason(starter, false, cites));
        if made.is_user_new {
            reasons.push(Reason {
                is_for: false,
                statement: Statement {
                    text: format!("{user} is no user of old: nothing says whose the user is"),
                    evidence: of_key.clone(),
                },
            });
        }
        let is_cleared = made.not_by_user.is_some() && !made.is_user_new;
        let text = match is_cleared {
            true => format!(
                "{user} is cleared: the machines were started in {user}'s name with a key that {user} did not \
                 make"
            ),
            false => format!("whether it was {user} cannot be told from snapshots"),
        };
        Innocence {
            principal: self.arn(user),
            verdict: match is_cleared {
                true => Verdict::Pass,
                false => Verdict::Unknown,
            },
            statement: Statement {
                text,
                evidence: evidence_of(&reasons),
            },
            own_acts: 0,
            others_acts: if is_cleared { machines } else { 0 },
            unknown_acts: if is_cleared { 0 } else { machines },
            reasons,
        }
    }

    /// Users whose key can have done something: nobody can say whose hand it was.
    fn may_have(
        &self,
        all: &[Said<'_>],
        what: &str,
        verdicts: &mut BTreeMap<String, Innocence>,
        case: &mut Case,
        span: Span,
        cites: &mut Cites,
    ) {
        let is_shown = all.iter().any(|said| said.fit == Fit::Shown);
        for said in all.iter().filter(|said| said.fit != Fit::Excluded) {
            if is_shown && said.fit != Fit::Shown {
                continue;
            }
            let principal = self.arn(&said.key.user);
            let mut credential = self.credential(said, span);
            credential.unknown_acts = 1;
            case.credentials.push(credential);
            let user = &said.key.user;
            let (others_fit, fits) = match only_one(all, said) {
                true => ("no other fits as well", "was used to do it"),
                false => ("others fit as well", "can have been used to do it"),
            };
            let mut reasons = vec![
                reason(said, false, cites),
                Reason {
                    is_for: true,
                    statement: Statement {
                        text: format!(
                            "a snapshot shows that a key was used, and not by whom: a stolen key looks the \
                             same ({others_fit})"
                        ),
                        evidence: Vec::new(),
                    },
                },
            ];
            let others = all.iter().filter(|it| {
                it.fit != Fit::Excluded && it.key.id != said.key.id && it.key.user != *user
            });
            for other in others.take(MAX_CITED) {
                reasons.push(reason(other, true, cites));
            }
            let text = format!(
                "whether {user} {what} cannot be told from snapshots: the key {} {fits}",
                said.key.id.id
            );
            let evidence = evidence_of(&reasons);
            verdicts
                .entry(principal.clone())
                .or_insert_with(|| Innocence {
                    principal,
                    verdict: Verdict::Unknown,
                    statement: Statement { text, evidence },
                    own_acts: 0,
                    others_acts: 0,
                    unknown_acts: 1,
                    reasons,
                });
        }
    }
}

/// Whether one is the only one of its fit, or better.
fn only_one(all: &[Said<'_>], said: &Said<'_>) -> bool {
    let as_good = all
        .iter()
        .filter(|it| it.fit == Fit::Shown || it.fit == said.fit);
    as_good.count() == 1
}

fn evidence_of(reasons: &[Reason]) -> Vec<EvidenceId> {
    let mut all: Vec<EvidenceId> = reasons
        .iter()
        .flat_map(|it| it.statement.evidence.iter().copied())
        .collect();
    all.sort_unstable();
    all.dedup();
    all.truncate(MAX_CITED);
    all
}

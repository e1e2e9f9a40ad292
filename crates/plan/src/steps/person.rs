//! Stopping the person.

use davylamp_content::playbook::StepKind;
use davylamp_model::ids::HubUser;
use davylamp_model::inventory::Reading;

use super::{Expansion, Ground};
use crate::action::{Action, PortalSubject};
use crate::pattern::matches;
use crate::plan::Candidate;
use crate::policy::PortalNames;

pub(super) fn expand(ground: &Ground<'_>, kind: StepKind, out: &mut Expansion) {
    let attribution = &ground.who.attribution;
    if let Some(why) = not_configured(ground, kind) {
        out.omit(ground.case.resource.key(), why);
        return;
    }
    if attribution.candidates.is_empty() {
        out.omit(ground.case.resource.key(), attribution.because.clone());
        return;
    }
    let portal_claims =
        kind == StepKind::DeauthorisePortalUser && ground.policy.portal == Some(PortalNames::Claim);
    for candidate in &attribution.candidates {
        let target = format!("hub-user/{}", candidate.user);
        let decided = attribution.decided.as_ref() == Some(&candidate.user);
        // The portal takes the claim's name, which a tag gives whole: where one candidate is all
        // there is, no user name has to be known for it.
        let only_claim = portal_claims
            && attribution.candidates.len() == 1
            && ground.who.foreign.is_empty()
            && is_of_this_hub(ground, candidate);
        if !decided && !only_claim {
            out.omit(target, attribution.because.clone());
        } else if portal_claims {
            portal_claim(candidate, &attribution.because, out);
        } else {
            user(ground, kind, candidate, out);
        }
    }
}

/// Whether a candidate's claim is known to be in a namespace of this Hub: another Hub's claims may
/// have the same names.
fn is_of_this_hub(ground: &Ground<'_>, candidate: &Candidate) -> bool {
    let Some(claim) = &candidate.claim else {
        return false;
    };
    let namespaces = &ground.policy.hub_namespaces;
    let space = |key: &str| {
        let space = key.strip_prefix("claim/")?.strip_suffix(claim.as_str())?;
        space.strip_suffix('/').map(str::to_owned)
    };
    let mut spaces = candidate
        .chain
        .iter()
        .flat_map(|link| [space(&link.from), space(&link.to)])
        .flatten();
    namespaces.is_empty() || spaces.any(|space| namespaces.iter().any(|held| matches(held, &space)))
}

fn not_configured(ground: &Ground<'_>, kind: StepKind) -> Option<String> {
    let policy = ground.policy;
    match kind {
        StepKind::DeauthorisePortalUser if policy.portal.is_none() => {
            Some("no portal is configured".to_owned())
        }
        StepKind::DisableCognitoUser if policy.cognito_pool.is_none() => {
            Some("no Cognito pool is configured".to_owned())
        }
        StepKind::DeauthorisePortalUser | StepKind::DisableCognitoUser => None,
        _ if !policy.hub => Some("no Hub is configured".to_owned()),
        StepKind::BlockHubUser if policy.hub_block_group.is_none() => {
            Some("no group of the Hub is configured whose members may start nothing".to_owned())
        }
        _ => match &ground.scope.inventory.hub {
            Reading::Known(_) => None,
            Reading::Unknown { why } => Some(format!("the Hub could not be reached: {why}")),
            Reading::NotAsked => Some("the Hub was not asked".to_owned()),
        },
    }
}

fn portal_claim(candidate: &Candidate, because: &str, out: &mut Expansion) {
    match &candidate.claim {
        Some(claim) => {
            let subject = PortalSubject::Claim(claim.clone());
            let action = Action::DeauthorisePortalUser { subject };
            out.act(action, because);
        }
        None => out.omit(
            format!("hub-user/{}", candidate.user),
            "the portal takes claim names, and no claim of this user was found",
        ),
    }
}

fn user(ground: &Ground<'_>, kind: StepKind, candidate: &Candidate, out: &mut Expansion) {
    let because = &ground.who.attribution.because;
    let user: HubUser = candidate.user.clone();
    match kind {
        StepKind::StopHubServers => {
            out.act(Action::StopHubServers { user }, because);
        }
        StepKind::RevokeHubTokens => {
            out.act(Action::RevokeHubTokens { user }, because);
        }
        StepKind::BlockHubUser => {
            if let Some(group) = ground.policy.hub_block_group.clone() {
                out.act(Action::BlockHubUser { user, group }, because);
            }
        }
        StepKind::RemoveHubUser => {
            out.act(Action::RemoveHubUser { user }, because);
        }
        StepKind::DeauthorisePortalUser => {
            let subject = PortalSubject::User(user);
            out.act(Action::DeauthorisePortalUser { subject }, because);
        }
        StepKind::DisableCognitoUser => {
            if let Some(pool) = &ground.policy.cognito_pool {
                let (pool, again) = (pool.clone(), pool.clone());
                let disable = Action::DisableCognitoUser {
                    pool,
                    user: user.clone(),
                };
                out.act(disable, because);
                let sign_out = Action::SignOutCognitoUser { pool: again, user };
                out.act(
                    sign_out,
                    "a disabled user's sessions go on until they are ended",
                );
            }
        }
        _ => {}
    }
}

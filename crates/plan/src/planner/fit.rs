//! Whether a playbook is for a case.

use std::collections::BTreeSet;

use davylamp_content::playbook::{Conditions, Playbook, UsersOnNode};
use davylamp_model::finding::{Finding, Severity};
use davylamp_model::inventory::Tags;

use crate::pattern;
use crate::scope::Scope;
use crate::who::Who;

/// Why a playbook is not for this case, if it is not.
pub(super) fn fits(playbook: &Playbook, scope: &Scope<'_>, who: &Who) -> Result<(), String> {
    if playbook.conditions.only_when_named {
        return Err("it is used only when the operator names it".to_owned());
    }
    let mut why = None;
    for finding in &scope.findings {
        match triggered(playbook, finding) {
            Ok(()) => return conditions(&playbook.conditions, scope, who),
            Err(reason) => why = why.or(Some(reason)),
        }
    }
    Err(why.unwrap_or_else(|| "no finding can be acted on".to_owned()))
}

/// Why a playbook that the operator named cannot be used, if it cannot. The operator judges what
/// the finding means; what the steps rely on has to hold all the same.
pub(super) fn named(playbook: &Playbook, scope: &Scope<'_>, who: &Who) -> Result<(), String> {
    let kinds = &playbook.trigger.resources;
    let any = scope.findings.iter().any(|held| of_kinds(kinds, held));
    if !any {
        return Err(format!("it is for {} only", kinds.join(", ")));
    }
    conditions(&playbook.conditions, scope, who)
}

fn triggered(playbook: &Playbook, finding: &Finding) -> Result<(), String> {
    let trigger = &playbook.trigger;
    let behaviour = finding.behaviour.as_str();
    if !trigger.behaviours.is_empty() && !trigger.behaviours.iter().any(|held| held == behaviour) {
        return Err(format!("it is not for {behaviour}"));
    }
    let types = &trigger.types;
    if !types.is_empty()
        && !types
            .iter()
            .any(|held| pattern::matches(held, &finding.kind))
    {
        return Err(format!("it is not for findings of type {}", finding.kind));
    }
    if !of_kinds(&trigger.resources, finding) {
        return Err(format!("it is for {} only", trigger.resources.join(", ")));
    }
    if let Some(least) = &trigger.at_least {
        let Some(wanted) = Severity::named(least) else {
            return Err(format!("`{least}` is no severity"));
        };
        if finding.severity < wanted {
            return Err(format!(
                "it is for findings that are at least {least}, and this one is {}",
                finding.severity.as_str()
            ));
        }
    }
    Ok(())
}

fn of_kinds(kinds: &[String], finding: &Finding) -> bool {
    kinds.is_empty()
        || finding
            .resources
            .iter()
            .any(|resource| kinds.iter().any(|kind| kind == resource.kind()))
}

fn conditions(conditions: &Conditions, scope: &Scope<'_>, who: &Who) -> Result<(), String> {
    if let Some(wanted) = conditions.users {
        users(wanted, who)?;
    }
    if let Some(wanted) = conditions.in_cluster {
        let is = scope.instances.values().any(|held| scope.in_cluster(held))
            || !scope.pods.is_empty()
            || !scope.unseen.is_empty()
            || !scope.nodes.is_empty();
        match (wanted, is) {
            (true, false) => return Err("it is for nodes of a cluster only".to_owned()),
            (false, true) => return Err("it is not for nodes of a cluster".to_owned()),
            _ => {}
        }
    }
    if let Some(wanted) = conditions.fargate {
        match (wanted, scope.fargate) {
            (true, Some(true)) | (false, Some(false)) => {}
            (_, None) => return Err("it is for ECS tasks only".to_owned()),
            (true, Some(false)) => return Err("it is for Fargate only".to_owned()),
            (false, Some(true)) => return Err("it is not for Fargate".to_owned()),
        }
    }
    let held = tags(scope);
    for wanted in &conditions.tags {
        if !held
            .iter()
            .any(|held| pattern::tagged(wanted, held).is_some())
        {
            return Err(format!("it is for what is tagged {wanted} only"));
        }
    }
    Ok(())
}

fn users(wanted: UsersOnNode, who: &Who) -> Result<(), String> {
    // A finding that names whom it means is about one user, whoever else is there.
    let found: BTreeSet<&str> = who.occupants.iter().map(|user| user.as_str()).collect();
    let holds = match wanted {
        UsersOnNode::None => found.is_empty(),
        UsersOnNode::One => found.len() == 1,
        UsersOnNode::Several => found.len() > 1,
    };
    if !holds {
        let wanted = match wanted {
            UsersOnNode::None => "no user",
            UsersOnNode::One => "exactly one user",
            UsersOnNode::Several => "several users",
        };
        return Err(format!(
            "it is for machines with {wanted}, and {} are known to be on it",
            found.len()
        ));
    }
    match &who.maybe_more {
        Some(why) if wanted == UsersOnNode::None => Err(why.clone()),
        _ => Ok(()),
    }
}

/// The tags of everything the case is about.
fn tags<'a>(scope: &Scope<'a>) -> Vec<&'a Tags> {
    let mut tags: Vec<&Tags> = Vec::new();
    tags.extend(scope.instances.values().map(|held| &held.tags));
    tags.extend(scope.volumes.values().map(|held| &held.tags));
    tags.extend(scope.tasks.values().map(|held| &held.tags));
    tags.extend(scope.pods.values().map(|held| &held.pod.labels));
    let functions = scope.inventory.functions.iter();
    tags.extend(
        functions
            .filter(|held| scope.functions.contains(&held.name))
            .map(|held| &held.tags),
    );
    tags
}

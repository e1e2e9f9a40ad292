//! Indicators out of findings, whoever reported them and in whatever envelope they came.

use anyhow::anyhow;
use davylamp_model::finding::{Behaviour, Finding};
use davylamp_model::intake;
use davylamp_model::resource::{KeyHolder, Resource};

use crate::failure::Failure;
use crate::output::note;
use crate::respond::feed;

/// What is known of an attack by findings in a file; `-` is standard input.
///
/// # Errors
/// When the file cannot be read, or nothing in it names what CloudTrail would.
pub fn indicators(file: &str) -> Result<Vec<String>, Failure> {
    let intake = intake::read(&feed::bytes(file)?);
    for rejected in &intake.rejected {
        note(&format!(
            "{}, {}: {}; {}",
            feed::name(file),
            rejected.at,
            rejected.why,
            rejected.why.next_step()
        ));
    }
    let mut all: Vec<String> = Vec::new();
    for finding in &intake.findings {
        let named = named(finding);
        if named.is_empty() {
            note(&format!(
                "the finding {} names no machine, key or user",
                finding.id.as_str()
            ));
        }
        let new: Vec<String> = named.into_iter().filter(|it| !all.contains(it)).collect();
        all.extend(new);
    }
    if all.is_empty() {
        return Err(Failure::new(
            anyhow!(
                "no finding of {} names a machine, key or user",
                feed::name(file)
            ),
            "say what is known with --indicator, or leave both out: then the case starts from what stands out",
        ));
    }
    Ok(all)
}

fn named(finding: &Finding) -> Vec<String> {
    let mut named: Vec<String> = finding.resources.iter().filter_map(of_resource).collect();
    // Of a credential in wrong hands, the address is the caller's; of a miner, it is the pool's.
    let is_callers = finding.behaviour == Behaviour::StolenCredential;
    let observed = finding.observed.iter().filter(|it| match it.what.as_str() {
        "principal" | "access-key" => true,
        "remote-address" => is_callers,
        _ => false,
    });
    named.extend(observed.map(|it| it.value.clone()));
    named.retain(|it| !it.trim().is_empty());
    named
}

fn of_resource(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Instance { id } => Some(id.as_str().to_owned()),
        Resource::AccessKey { key: Some(key), .. } => Some(key.as_str().to_owned()),
        Resource::AccessKey { key: None, holder } => match holder {
            KeyHolder::User { user } => Some(user.as_str().to_owned()),
            KeyHolder::RoleSession { role, session } => {
                Some(session.clone().unwrap_or_else(|| role.as_str().to_owned()))
            }
            KeyHolder::Root | KeyHolder::Unknown { .. } => None,
        },
        _ => None,
    }
}

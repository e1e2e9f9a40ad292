//! Runs the cases of playbooks: what the planner makes of each, against what the case expects.
//!
//! A case is run with all playbooks that are used together, since which of them is chosen is half
//! of what it shows. A playbook is only as good as its cases, so nothing that a case leaves out may
//! be in the plan.

use davylamp_content::playbook::Playbook;
use davylamp_content::playbook::cases;

use crate::plan::{Case, Plan, incident_id};
use crate::planner::Planner;
use crate::policy::Policy;

/// Where a plan is not what its case expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The case's policy is none.
    #[error("the policy of the case cannot be read: {why}")]
    Policy {
        /// Why.
        why: String,
    },
    /// Something is another than it should be.
    #[error("{what}: expected {expected:?}, planned {planned:?}")]
    Differs {
        /// Such as `steps`.
        what: &'static str,
        /// By the case.
        expected: Vec<String>,
        /// By the planner.
        planned: Vec<String>,
    },
    /// No omission or remark holds a text.
    #[error("{what}: none holds {text:?}: {planned:?}")]
    Lacks {
        /// `omits` or `remarks`.
        what: &'static str,
        /// By the case.
        text: String,
        /// By the planner.
        planned: Vec<String>,
    },
}

/// Makes the plan of a case.
///
/// # Errors
/// Where the case's policy is none.
pub fn plan(playbooks: &[Playbook], case: &cases::Case) -> Result<Plan, Mismatch> {
    let policy: Policy =
        serde_json::from_value(case.policy.clone()).map_err(|error| Mismatch::Policy {
            why: error.to_string(),
        })?;
    let (place, resource) = (case.place(), case.resource());
    let asked = Case {
        incident: incident_id(&place, &resource, case.taken_at()),
        findings: vec![case.finding()],
        resource,
    };
    let planner = Planner::new(playbooks, &policy);
    Ok(planner.plan(&asked, &case.inventory(), case.named.as_deref()))
}

/// Everything in which the plan of a case is not what it expects.
pub fn rehearse(playbooks: &[Playbook], case: &cases::Case) -> Vec<Mismatch> {
    match plan(playbooks, case) {
        Ok(plan) => compare(&plan, &case.expect),
        Err(mismatch) => vec![mismatch],
    }
}

fn compare(plan: &Plan, expect: &cases::Expect) -> Vec<Mismatch> {
    let steps = plan.steps.iter().map(|step| step.id.to_string());
    let waiting = plan.steps.iter().filter(|step| step.approval.is_some());
    let release = plan.release.iter().flat_map(|timer| &timer.steps);
    let candidates = plan.attribution.candidates.iter();
    let omissions = plan.omissions.iter().map(|omission| {
        format!(
            "{} {}: {}",
            omission.what, omission.target, omission.because
        )
    });
    let mut found = Vec::new();
    for (what, expected, planned) in [
        (
            "playbook",
            vec![expect.playbook.clone()],
            vec![plan.playbook.clone()],
        ),
        ("steps", expect.steps.clone(), steps.collect()),
        (
            "approval",
            expect.approval.clone(),
            waiting.map(|step| step.id.to_string()).collect(),
        ),
        (
            "release",
            expect.release.clone(),
            release.map(ToString::to_string).collect(),
        ),
        (
            "candidates",
            expect.candidates.clone(),
            candidates.map(|one| one.user.to_string()).collect(),
        ),
        (
            "decided",
            expect.decided.iter().cloned().collect(),
            plan.attribution
                .decided
                .iter()
                .map(ToString::to_string)
                .collect(),
        ),
    ] {
        if !agree(&expected, &planned) {
            found.push(Mismatch::Differs {
                what,
                expected,
                planned,
            });
        }
    }
    for (what, texts, planned) in [
        ("omits", &expect.omits, omissions.collect::<Vec<String>>()),
        ("remarks", &expect.remarks, plan.remarks.clone()),
    ] {
        for text in texts {
            if !planned.iter().any(|one| one.contains(text)) {
                found.push(Mismatch::Lacks {
                    what,
                    text: text.clone(),
                    planned: planned.clone(),
                });
            }
        }
    }
    found
}

/// Whether each expected one is the planned one at its place: a whole id, or its verb.
fn agree(expected: &[String], planned: &[String]) -> bool {
    expected.len() == planned.len()
        && expected.iter().zip(planned).all(|(expected, planned)| {
            expected == planned
                || planned
                    .split_once(':')
                    .is_some_and(|(verb, _)| verb == expected)
        })
}

//! What a plan says, read from the JSON that its maker wrote.
//!
//! The console does not know who plans: what has the form is shown as steps, what has not is shown as it
//! is. A member that is missing is never taken for a promise.

use serde::Deserialize;
use serde_json::Value;

/// The names of actions that cannot be taken back, as those who plan have them: a test compares.
const IRREVERSIBLE: [&str; 9] = [
    "revoke-hub-tokens",
    "remove-hub-user",
    "delete-pod",
    "evict-pod",
    "terminate-instance",
    "stop-task",
    "deauthorise-portal-user",
    "sign-out-cognito-user",
    "delete-login-profile",
];

/// A plan in its maker's form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::page::incident) struct Told {
    #[serde(default)]
    pub playbook: String,
    /// What it is about: any form, compared alone.
    #[serde(default)]
    pub resource: Value,
    #[serde(default)]
    pub place: Value,
    pub steps: Vec<Step>,
    #[serde(default)]
    pub omissions: Vec<Omission>,
    #[serde(default)]
    pub attribution: Option<Attribution>,
    #[serde(default)]
    pub release: Option<Release>,
    #[serde(default)]
    pub remarks: Vec<String>,
    #[serde(default)]
    pub again: bool,
    #[serde(default)]
    pub blind: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::page::incident) struct Step {
    pub id: String,
    #[serde(default)]
    pub stage: String,
    pub action: Action,
    #[serde(default)]
    pub why: String,
    #[serde(default)]
    pub only_after: Vec<String>,
    /// Why somebody has to say yes; nobody has to where there is none.
    #[serde(default)]
    pub approval: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::page::incident) struct Action {
    #[serde(rename = "do")]
    pub verb: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::page::incident) struct Omission {
    pub what: String,
    #[serde(default)]
    pub target: String,
    #[serde(default)]
    pub because: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::page::incident) struct Attribution {
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    #[serde(default)]
    pub decided: Option<String>,
    #[serde(default)]
    pub because: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::page::incident) struct Candidate {
    pub user: String,
    #[serde(default)]
    pub claim: Option<String>,
    #[serde(default)]
    pub confirmed: bool,
    #[serde(default)]
    pub chain: Vec<Link>,
    #[serde(default)]
    pub evidence: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::page::incident) struct Link {
    pub from: String,
    pub to: String,
    #[serde(default)]
    pub proof: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::page::incident) struct Release {
    pub after_hours: u32,
    #[serde(default)]
    pub steps: Vec<String>,
}

impl Told {
    /// What a plan says, where it has the form.
    pub(in crate::page::incident) fn read(text: &Value) -> Option<Self> {
        serde_json::from_value(text.clone()).ok()
    }

    /// Whether another is about the same: a later one then stands in the place of an earlier one.
    pub(in crate::page::incident) fn is_about(&self, other: &Self) -> bool {
        (&self.resource, &self.place) == (&other.resource, &other.place)
    }

    /// How many steps wait for a yes.
    pub(in crate::page::incident) fn waiting(&self) -> usize {
        let waits = self.steps.iter().filter(|step| step.approval.is_some());
        waits.count()
    }
}

impl Step {
    /// What it is done to.
    pub(in crate::page::incident) fn target(&self) -> &str {
        self.id.split_once(':').map_or("", |(_, target)| target)
    }

    pub(in crate::page::incident) fn is_irreversible(&self) -> bool {
        IRREVERSIBLE.contains(&self.action.verb.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_taken_back_is_what_those_who_plan_say() {
        assert_eq!(IRREVERSIBLE, davylamp_plan::action::IRREVERSIBLE);
    }

    #[test]
    fn a_plan_is_read_as_it_is_written_and_another_form_is_none() {
        let text = serde_json::json!({
            "incident": "inc-1", "place": {"account": "111122223333", "region": "us-west-2"}, "playbook": "mining-instance",
            "findings": [], "resource": {"kind": "instance", "id": "i-0abc"}, "made-at": "2026-11-30T10:00:00Z",
            "attribution": {"candidates": [{"user": "eve", "claim": null, "confirmed": true, "chain": [{"from": "a", "to": "b", "proof": "a tag"}], "evidence": []}], "decided": "eve", "because": "one user"},
            "steps": [
                {"id": "snapshot-volume:volume/vol-0a", "stage": "evidence", "action": {"do": "snapshot-volume", "volume": "vol-0a"}, "why": "it is kept", "only-after": [], "approval": null},
                {"id": "terminate-instance:instance/i-0abc", "stage": "end", "action": {"do": "terminate-instance", "instance": "i-0abc"}, "why": "it ends", "only-after": ["snapshot-volume:volume/vol-0a"], "approval": "it cannot be taken back"},
            ],
            "omissions": [{"what": "isolate-interface", "target": "eni-1", "because": "it is isolated"}], "release": null, "remarks": [],
        });
        let told = Told::read(&text).expect("a plan");
        assert_eq!((told.steps.len(), told.waiting()), (2, 1));
        assert_eq!(told.steps[1].target(), "instance/i-0abc");
        assert!(told.steps[1].is_irreversible() && !told.steps[0].is_irreversible());
        for other in [
            serde_json::json!({"steps": ["snapshot"]}),
            serde_json::json!([]),
            serde_json::json!({}),
        ] {
            assert_eq!(Told::read(&other), None, "{other}");
        }
    }
}

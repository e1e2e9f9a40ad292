//! What the operator allows: protected targets, caps, approvals and the switches.

use std::collections::BTreeSet;

use davylamp_model::ids::{AccountId, IncidentId, Region};
use serde::{Deserialize, Serialize};

/// What the operator allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Policy {
    /// What is never in a plan.
    pub protected: Protected,
    /// Nothing is done at all while this is set; plans are made and told.
    pub kill_switch: bool,
    /// Of 100 incidents, how many are acted on by themselves; the others are planned and told.
    /// Which is decided by a digest of the incident's id, so the same incident always the same way.
    pub canary_percent: u8,
    /// A volume whose evidence is pending, or completed within this many minutes, is not
    /// snapshotted again.
    pub debounce_minutes: u32,
    /// Actions that may be taken without a person although they cannot be undone, by verb. A
    /// playbook's own `approval = "never"` does the same for that playbook.
    pub allow_irreversible: BTreeSet<String>,
    /// The account that keeps evidence, where there is one.
    pub forensic: Option<Forensic>,
    /// The SSM document that captures memory, where there is one.
    pub memory_document: Option<String>,
    /// The Cognito pool of the Hub's users, where there is one.
    pub cognito_pool: Option<String>,
    /// Whether the portal takes claim names or user names; `None` where there is no portal.
    pub portal: Option<PortalNames>,
    /// Whether findings that are dealt with are archived at GuardDuty.
    pub archive: bool,
    /// Whether a Hub is configured.
    pub hub: bool,
    /// The Hub's group whose members may start nothing, where there is one.
    pub hub_block_group: Option<String>,
    /// The namespaces in which the Hub's servers run; empty means any. A claim or pod elsewhere is
    /// never taken for one of a Hub user's, so that a second Hub's `alice` is not this one's.
    pub hub_namespaces: Vec<String>,
    /// How claim names are made from user names.
    pub claim_template: ClaimTemplate,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            protected: Protected::default(),
            kill_switch: false,
            canary_percent: 100,
            debounce_minutes: 15,
            allow_irreversible: BTreeSet::new(),
            forensic: None,
            memory_document: None,
            cognito_pool: None,
            portal: None,
            archive: false,
            hub: false,
            hub_block_group: None,
            hub_namespaces: Vec::new(),
            claim_template: ClaimTemplate::default(),
        }
    }
}

/// What is never in a plan. Patterns take `*` for any text and are compared without case where the
/// thing itself has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Protected {
    /// Tags, as `key` or `key=value`.
    pub tags: Vec<String>,
    /// Kubernetes namespaces.
    pub namespaces: Vec<String>,
    /// Accounts.
    pub accounts: Vec<AccountId>,
    /// IAM roles.
    pub roles: Vec<String>,
    /// IAM users.
    pub users: Vec<String>,
    /// Hub users. Administrators of the Hub are protected always.
    pub hub_users: Vec<String>,
}

impl Default for Protected {
    fn default() -> Self {
        Self {
            tags: vec!["davylamp:protected".to_owned()],
            namespaces: vec!["kube-system".to_owned(), "davylamp".to_owned()],
            accounts: Vec::new(),
            roles: vec!["AWSServiceRoleFor*".to_owned(), "davylamp-*".to_owned()],
            users: Vec::new(),
            hub_users: Vec::new(),
        }
    }
}

/// The account that keeps evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Forensic {
    /// The account.
    pub account: AccountId,
    /// The region to copy to; the incident's own where not given.
    #[serde(default)]
    pub region: Option<Region>,
    /// The key that encrypts the copies: an ARN of a key that account may use.
    pub kms_key: String,
}

/// Which name the portal takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortalNames {
    /// `{"claimname": …}`.
    Claim,
    /// `{"username": …}`.
    User,
}

/// How the spawner makes claim names from user names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ClaimTemplate {
    /// Before the escaped user name, such as `claim-`.
    pub prefix: String,
    /// After it, such as nothing, or the server's name.
    pub suffix: String,
}

impl Default for ClaimTemplate {
    fn default() -> Self {
        Self {
            prefix: "claim-".to_owned(),
            suffix: String::new(),
        }
    }
}

/// What has been done lately, by the journal: what caps are measured against.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Plans of this playbook that were carried out in the last hour, this one not counted.
    pub plans_last_hour: u32,
    /// Irreversible steps of this playbook in the last hour.
    pub irreversible_last_hour: u32,
}

/// A person's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// The incident it is for.
    pub incident: IncidentId,
    /// The hash of the plan that was approved: another plan needs another yes.
    pub plan: String,
    /// The steps, by id; empty means every step of that plan.
    pub steps: BTreeSet<String>,
    /// Who said so.
    pub by: String,
}

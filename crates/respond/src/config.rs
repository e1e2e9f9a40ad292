//! The `[respond]` table of `davy.toml`.
//!
//! The types below are the one place where keys, defaults and kinds of values are written down;
//! docs/configuration.md describes each key, and a test compares the two. No key holds a secret:
//! a key that needs one names its source, `file:/path`, `env:NAME` or
//! `secretsmanager:ARN#member`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use davylamp_content::settings::{Bounds, Section, Trouble};
use davylamp_model::ids::{AccountId, Region, is_region};
use davylamp_plan::action::IRREVERSIBLE;
use davylamp_plan::policy::{ClaimTemplate, Forensic, Policy, PortalNames, Protected};
use serde::{Deserialize, Serialize};
use toml::Value;

/// The table's name.
pub const SECTION: &str = "respond";

/// Where the local journal is by default.
pub const DEFAULT_JOURNAL_PATH: &str = "/var/lib/davylamp/respond.db";

/// The `[respond]` table for `settings::load`.
pub fn section() -> Section {
    Section {
        bounds: &BOUNDS,
        text,
        whole,
        ..Section::of::<Config>(SECTION)
    }
}

/// How findings are responded to: the `[respond]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether there is an AWS account. Without one, clusters and the Hub alone are answered in.
    pub aws: bool,
    /// The home region. Empty: the environment's.
    pub region: String,
    /// Another endpoint for every AWS service. Empty: AWS's own.
    pub endpoint_url: String,
    /// The role to assume in accounts that are not our own, by name. Empty: none.
    pub role: String,
    /// The external id that role asks for. Empty: none.
    pub external_id: String,
    /// Playbook files and directories of them, beside those that ship with Davylamp. One with a
    /// shipped playbook's name takes its place.
    pub playbooks: Vec<PathBuf>,
    /// The playbook to use for every finding. Empty: the first that fits.
    pub playbook: String,
    /// Plans are made and told, nothing is done.
    pub dry_run: bool,
    /// Nothing is done while this is set, by no run.
    pub kill_switch: bool,
    /// Of 100 incidents, how many are acted on without a person.
    pub canary_percent: u32,
    /// A volume whose evidence completed within so many minutes is not snapshotted again.
    pub debounce_minutes: u32,
    /// Findings of which everything is done are archived at GuardDuty; polling does so anyway.
    pub archive_findings: bool,
    /// Irreversible actions that need no person, by name.
    pub allow_irreversible: Vec<String>,
    /// Findings about one resource within so many hours are one incident.
    pub window_hours: u32,
    /// Incidents worked on at the same time.
    pub parallel: u32,
    /// Minutes a run waits for evidence before it leaves the rest to the next.
    pub evidence_wait_minutes: u32,
    /// Seconds without a sign of life after which another run takes over an incident.
    pub lease_seconds: u32,
    /// Seconds for which a run repeats a step that fails for the moment, before it leaves it to the
    /// next run.
    pub retry_seconds: u32,
    /// More incidents than this in one run make one digest instead of a notice each.
    pub digest_above: u32,
    /// What is never in a plan.
    pub protect: Protect,
    /// What was done is kept here.
    pub journal: JournalConfig,
    /// The Hub.
    pub hub: HubConfig,
    /// What of the guard's own work is answered.
    pub guard: GuardConfig,
    /// The portal that users log in through.
    pub portal: PortalConfig,
    /// The Cognito pool of the users.
    pub cognito: CognitoConfig,
    /// The clusters.
    pub kubernetes: KubernetesConfig,
    /// Where evidence goes.
    pub evidence: EvidenceConfig,
    /// Who is told, and how.
    pub notices: NoticesConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            aws: true,
            region: String::new(),
            endpoint_url: String::new(),
            role: String::new(),
            external_id: String::new(),
            playbooks: Vec::new(),
            playbook: String::new(),
            dry_run: false,
            kill_switch: false,
            canary_percent: 100,
            debounce_minutes: 15,
            archive_findings: false,
            allow_irreversible: Vec::new(),
            window_hours: 24,
            parallel: 8,
            evidence_wait_minutes: 120,
            lease_seconds: 120,
            retry_seconds: 90,
            digest_above: 5,
            protect: Protect::default(),
            journal: JournalConfig::default(),
            hub: HubConfig::default(),
            guard: GuardConfig::default(),
            portal: PortalConfig::default(),
            cognito: CognitoConfig::default(),
            kubernetes: KubernetesConfig::default(),
            evidence: EvidenceConfig::default(),
            notices: NoticesConfig::default(),
        }
    }
}

/// `[respond.protect]`: what is never in a plan. `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protect {
    /// Tags, as `key` or `key=value`.
    pub tags: Vec<String>,
    /// Kubernetes namespaces.
    pub namespaces: Vec<String>,
    /// AWS accounts.
    pub accounts: Vec<String>,
    /// IAM roles.
    pub roles: Vec<String>,
    /// IAM users.
    pub users: Vec<String>,
    /// Hub users; administrators of the Hub are protected always.
    pub hub_users: Vec<String>,
}

impl Default for Protect {
    fn default() -> Self {
        let defaults = Protected::default();
        Self {
            tags: defaults.tags,
            namespaces: defaults.namespaces,
            accounts: Vec::new(),
            roles: defaults.roles,
            users: defaults.users,
            hub_users: defaults.hub_users,
        }
    }
}

/// Which journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// A local SQLite file.
    Sqlite,
    /// A DynamoDB table.
    Dynamodb,
    /// The account's own tags.
    Tags,
}

/// `[respond.journal]`: where what was done is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// `sqlite`, `dynamodb` or `tags`.
    pub store: Store,
    /// The SQLite file.
    pub path: PathBuf,
    /// The DynamoDB table.
    pub table: String,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            store: Store::Sqlite,
            path: DEFAULT_JOURNAL_PATH.into(),
            table: "davylamp-journal".to_owned(),
        }
    }
}

/// `[respond.hub]`: the JupyterHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubConfig {
    /// Its address up to and without `/hub`. Empty: there is no Hub.
    pub url: String,
    /// The source of an API token with the scopes `list:users`, `read:users`, `delete:users`,
    /// `read:servers`, `delete:servers` and `tokens`.
    pub token: String,
    /// A file with the certificate authority that signed the Hub's certificate.
    pub ca_file: String,
    /// The Kubernetes namespaces in which the Hub's users run. Only what is there is theirs: a claim of
    /// the same name elsewhere is another Hub's. Needed where there is a Hub or a portal; `*` is any.
    pub namespaces: Vec<String>,
    /// The Hub's group whose members may start nothing, for `block-hub-user`. Empty: there is none.
    pub block_group: String,
    /// What stands before the escaped user name in claim names.
    pub claim_prefix: String,
    /// What stands after it.
    pub claim_suffix: String,
}

/// `[respond.guard]`: what of the guard's own work is answered, with `--spool`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// Kills in one pod within the window at which the pod itself has to go: something starts the
    /// killed program again.
    pub kills_in_pod: u32,
    /// The window.
    pub window_minutes: u32,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            kills_in_pod: 2,
            window_minutes: 60,
        }
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        let template = ClaimTemplate::default();
        Self {
            url: String::new(),
            token: "env:DAVY_HUB_TOKEN".to_owned(),
            ca_file: String::new(),
            namespaces: Vec::new(),
            block_group: String::new(),
            claim_prefix: template.prefix,
            claim_suffix: template.suffix,
        }
    }
}

/// `[respond.portal]`: the portal whose deauthorize endpoint keeps a user out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortalConfig {
    /// The endpoint. Empty: there is no portal.
    pub url: String,
    /// Which name it takes: `claim` or `user`.
    pub names: PortalNames,
    /// The source of the key that signs requests.
    pub key: String,
}

impl Default for PortalConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            names: PortalNames::Claim,
            key: "env:DAVY_PORTAL_KEY".to_owned(),
        }
    }
}

/// `[respond.cognito]`: the Cognito pool of the Hub's users.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CognitoConfig {
    /// The pool's id. Empty: none.
    pub pool: String,
    /// The account the pool is in. Empty: our own.
    pub account: String,
}

/// `[respond.kubernetes]`: how clusters are reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesConfig {
    /// A kubeconfig file. Empty: EKS clusters by their own API, with an AWS token.
    pub kubeconfig: String,
    /// Which context of it is which cluster, as `cluster=context`; a cluster without an entry is
    /// looked for under its own name.
    pub contexts: Vec<String>,
    /// The cluster this process runs in, reached by its service account. Empty: none.
    pub in_cluster: String,
}

/// `[respond.evidence]`: where evidence goes beside the account itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceConfig {
    /// The forensic account. Empty: none, evidence stays where it was taken.
    pub forensic_account: String,
    /// The region of the copies. Empty: that of the incident.
    pub forensic_region: String,
    /// The KMS key that encrypts the copies.
    pub kms_key: String,
    /// The SSM document that captures memory. Empty: memory is not captured.
    pub memory_document: String,
}

/// `[respond.notices]`: who is told, and how. Channels that are left empty are not used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticesConfig {
    /// The sender of mails.
    pub from: String,
    /// Who gets reports.
    pub to: Vec<String>,
    /// Who gets failures; those who get reports where empty.
    pub failures_to: Vec<String>,
    /// Mails go through SES.
    pub ses: bool,
    /// The SMTP server, as `smtps://user@host:465`, `smtp://host:587` (STARTTLS).
    pub smtp: String,
    /// The source of its password.
    pub smtp_password: String,
    /// An SNS topic's ARN.
    pub sns_topic: String,
    /// The source of a Slack-compatible webhook address.
    pub slack: String,
    /// The source of the address of a Teams workflow.
    pub teams: String,
    /// The source of a PagerDuty routing key.
    pub pagerduty: String,
    /// The source of a generic webhook's address.
    pub webhook: String,
    /// The source of the secret that signs its requests.
    pub webhook_secret: String,
}

/// The bounds of every key that takes a number.
///
/// More than 64 incidents at a time only wait for each other's API rates. AWS lets a snapshot run
/// for days; a run that waits longer than a day for one is better ended and resumed. A lease is
/// renewed after a third of it, so a shorter one than three seconds runs out between two calls.
pub const BOUNDS: [Bounds; 10] = [
    Bounds::new("respond.canary_percent", 0, 100, "percent"),
    Bounds::new("respond.debounce_minutes", 0, 1_440, "minutes"),
    Bounds::new("respond.window_hours", 1, 720, "hours"),
    Bounds::new("respond.parallel", 1, 64, "incidents"),
    Bounds::new("respond.evidence_wait_minutes", 0, 1_440, "minutes"),
    Bounds::new("respond.lease_seconds", 3, 900, "seconds"),
    Bounds::new("respond.retry_seconds", 0, 900, "seconds"),
    Bounds::new("respond.guard.kills_in_pod", 1, 1_000, "kills"),
    Bounds::new("respond.guard.window_minutes", 1, 1_440, "minutes"),
    Bounds::new("respond.digest_above", 1, 1_000, "incidents"),
];

/// The keys whose value is the source of a secret.
const SECRETS: [&str; 8] = [
    "respond.hub.token",
    "respond.portal.key",
    "respond.notices.smtp_password",
    "respond.notices.slack",
    "respond.notices.teams",
    "respond.notices.pagerduty",
    "respond.notices.webhook",
    "respond.notices.webhook_secret",
];

fn text(key: &str, text: &str) -> Result<(), &'static str> {
    if text.contains('\0') {
        return Err("a NUL cannot stand in it");
    }
    match key {
        _ if SECRETS.contains(&key) => {
            let is_source = ["file:/", "env:", "secretsmanager:"].iter().any(|prefix| {
                text.strip_prefix(prefix)
                    .is_some_and(|rest| !rest.is_empty())
            });
            if text.is_empty() || is_source {
                Ok(())
            } else {
                Err(
                    "name where the secret is, never the secret: file:/path, env:NAME or \
                     secretsmanager:ARN#member",
                )
            }
        }
        "respond.endpoint_url" | "respond.hub.url" | "respond.portal.url"
            if !text.is_empty() && !text.starts_with("https://") && !is_local_http(text) =>
        {
            Err("write an https:// address; http:// is taken for this machine alone")
        }
        "respond.protect.accounts"
        | "respond.evidence.forensic_account"
        | "respond.cognito.account"
            if !text.is_empty() && !AccountId::from(text).is_well_formed() =>
        {
            Err("an account id has twelve digits, in quotes")
        }
        "respond.region" | "respond.evidence.forensic_region"
            if !text.is_empty() && !is_region(text) =>
        {
            Err("write a region's name, such as eu-west-1")
        }
        "respond.role" if text.contains([':', ' ']) => {
            Err("write the role's name; its ARN follows from the account")
        }
        "respond.allow_irreversible" if !IRREVERSIBLE.contains(&text) => Err(ALLOWABLE),
        "respond.cognito.pool" if !text.is_empty() && !is_pool(text) => {
            Err("write the pool's id, such as eu-west-1_AbCdEfGhI")
        }
        "respond.notices.sns_topic" if !text.is_empty() && !is_arn_of(text, "sns") => {
            Err("write the topic's ARN: arn:aws:sns:REGION:ACCOUNT:NAME")
        }
        "respond.evidence.kms_key" if !text.is_empty() && !is_arn_of(text, "kms") => {
            Err("write the key's ARN: arn:aws:kms:REGION:ACCOUNT:key/ID")
        }
        "respond.notices.from" if !text.is_empty() && !text.contains('@') => {
            Err("write a mail address")
        }
        "respond.kubernetes.contexts" if !text.contains('=') => Err("write cluster=context"),
        "respond.notices.to" | "respond.notices.failures_to" if !text.contains('@') => {
            Err("write a mail address")
        }
        "respond.protect.tags"
        | "respond.protect.namespaces"
        | "respond.protect.roles"
        | "respond.protect.users"
        | "respond.protect.hub_users"
            if text.is_empty() =>
        {
            Err("an empty pattern protects nothing")
        }
        "respond.protect.tags" if text.starts_with('=') => {
            Err("a tag has a key: write key or key=value")
        }
        "respond.journal.path" if text.is_empty() => {
            Err("write the file's path; what was done has to be kept somewhere")
        }
        "respond.journal.table" if text.is_empty() => Err("write the table's name"),
        _ => Ok(()),
    }
}

/// What may stand in `allow_irreversible`.
const ALLOWABLE: &str = "no such action, or one that can be undone and needs no such leave; there are \
     revoke-hub-tokens, remove-hub-user, delete-pod, evict-pod, terminate-instance, stop-task, \
     deauthorise-portal-user, sign-out-cognito-user and delete-login-profile";

/// Whether this is an ARN of a thing of this service: six members, the last not empty.
fn is_arn_of(text: &str, service: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", partition, held, region, account, name]
        if partition.starts_with("aws")
            && *held == service
            && is_region(region)
            && AccountId::from(*account).is_well_formed()
            && !name.is_empty())
}

/// Whether this is a Cognito pool's id: its region and letters or digits.
fn is_pool(text: &str) -> bool {
    text.split_once('_').is_some_and(|(region, rest)| {
        is_region(region) && !rest.is_empty() && rest.bytes().all(|it| it.is_ascii_alphanumeric())
    })
}

/// Whether an address is plain HTTP to this machine, as test servers and sidecars are.
fn is_local_http(text: &str) -> bool {
    text.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        matches!(host, "localhost" | "127.0.0.1") || rest.starts_with("[::1]")
    })
}

fn whole(respond: &Value) -> Vec<(&'static str, Trouble)> {
    let Ok(config) = Config::deserialize(respond.clone()) else {
        return Vec::new();
    };
    let mut troubles = Vec::new();
    let mut trouble = |key, message: &str, help: &str| {
        let (message, help) = (message.to_owned(), help.to_owned());
        troubles.push((key, Trouble::Whole { message, help }));
    };
    if !config.evidence.forensic_account.is_empty() && config.evidence.kms_key.is_empty() {
        trouble(
            "respond.evidence.forensic_account",
            "a forensic account without a key: its copies would stay readable here",
            "set respond.evidence.kms_key to the ARN of a key of that account",
        );
    }
    if (config.notices.ses || !config.notices.smtp.is_empty()) && config.notices.from.is_empty() {
        let key = if config.notices.ses {
            "respond.notices.ses"
        } else {
            "respond.notices.smtp"
        };
        trouble(
            key,
            "mail without a sender",
            "set respond.notices.from to an address that may send",
        );
    }
    let of_hub = present(&config.hub.url).map(|_| "respond.hub.url");
    let of_portal = present(&config.portal.url).map(|_| "respond.portal.url");
    if let Some(key) = of_hub.or(of_portal)
        && config.hub.namespaces.is_empty()
    {
        trouble(
            key,
            "a Hub whose users may be in any namespace: another's of the same name would be punished",
            "set respond.hub.namespaces to where its users' servers run, such as [\"jhub\"], or to \
             [\"*\"] where it is the only one",
        );
    }
    if config.notices.ses && !config.notices.smtp.is_empty() {
        trouble(
            "respond.notices.smtp",
            "mail through SES and SMTP at once would send each twice",
            "leave one of respond.notices.ses and respond.notices.smtp out",
        );
    }
    troubles
}

impl NoticesConfig {
    /// Whether there is no channel at all.
    pub fn tells_nobody(&self) -> bool {
        let named = [
            &self.smtp,
            &self.sns_topic,
            &self.slack,
            &self.pagerduty,
            &self.webhook,
        ];
        !self.ses && named.iter().all(|channel| channel.is_empty())
    }
}

impl Config {
    /// What the operator allows, for the planner and the gate.
    pub fn policy(&self) -> Policy {
        Policy {
            protected: Protected {
                tags: self.protect.tags.clone(),
                namespaces: self.protect.namespaces.clone(),
                accounts: self
                    .protect
                    .accounts
                    .iter()
                    .map(|account| AccountId::from(account.as_str()))
                    .collect(),
                roles: self.protect.roles.clone(),
                users: self.protect.users.clone(),
                hub_users: self.protect.hub_users.clone(),
            },
            kill_switch: self.kill_switch,
            canary_percent: u8::try_from(self.canary_percent).unwrap_or(100),
            debounce_minutes: self.debounce_minutes,
            allow_irreversible: self
                .allow_irreversible
                .iter()
                .cloned()
                .collect::<BTreeSet<_>>(),
            forensic: present(&self.evidence.forensic_account).map(|account| Forensic {
                account: AccountId::from(account),
                region: present(&self.evidence.forensic_region).map(Region::from),
                kms_key: self.evidence.kms_key.clone(),
            }),
            memory_document: present(&self.evidence.memory_document).map(str::to_owned),
            cognito_pool: present(&self.cognito.pool).map(str::to_owned),
            portal: present(&self.portal.url).map(|_| self.portal.names),
            archive: self.archive_findings,
            hub: !self.hub.url.is_empty(),
            hub_block_group: Some(self.hub.block_group.clone()).filter(|group| !group.is_empty()),
            hub_namespaces: self.hub.namespaces.clone(),
            claim_template: ClaimTemplate {
                prefix: self.hub.claim_prefix.clone(),
                suffix: self.hub.claim_suffix.clone(),
            },
        }
    }
}

/// A text that was set.
pub fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;

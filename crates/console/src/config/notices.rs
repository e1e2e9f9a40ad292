//! `[console.notices]`: who is told, of what, and how.

use davylamp_content::settings::{Bounds, List, Trouble};
use davylamp_model::finding::Severity;
use serde::{Deserialize, Serialize};

use crate::notices::What;

/// The keys whose value is the source of a secret.
const SECRETS: [&str; 7] = [
    "console.notices.channels.address",
    "console.notices.channels.secret",
    "console.notices.channels.password",
    "console.notices.people.pagerduty",
    "console.notices.people.slack",
    "console.notices.people.teams",
    "console.notices.people.webhook",
];

pub(super) const BOUNDS: [Bounds; 8] = [
    Bounds::new("console.notices.group_wait_secs", 0, 3600, "seconds"),
    Bounds::new("console.notices.digest_above", 1, 1000, "notices"),
    Bounds::new("console.notices.per_hour", 1, 3600, "notices an hour"),
    Bounds::new(
        "console.notices.channels.per_hour",
        0,
        3600,
        "notices an hour",
    ),
    Bounds::new("console.notices.repeat_hours", 1, 720, "hours").or_zero(),
    Bounds::new("console.notices.retry_secs", 1, 3600, "seconds"),
    Bounds::new("console.notices.give_up_hours", 1, 168, "hours"),
    Bounds::new("console.notices.silent_minutes", 2, 10_080, "minutes").or_zero(),
];

pub(super) fn lists() -> Vec<List> {
    vec![
        List::of::<Channel>("console.notices.channels"),
        List::of::<Route>("console.notices.routes"),
        List::of::<Person>("console.notices.people"),
    ]
}

/// `[console.notices]`: who is told, of what, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notices {
    /// So long is waited for what belongs together, in seconds.
    pub group_wait_secs: i64,
    /// More than this at once on one channel are one digest.
    pub digest_above: usize,
    /// Notices an hour on each channel; what is beyond waits, and comes as a digest.
    pub per_hour: i64,
    /// An open incident without an owner is told of again after so many hours. 0: never.
    pub repeat_hours: i64,
    /// What did not go out is tried again after so many seconds, and after twice as long each time.
    pub retry_secs: i64,
    /// And is given up after so many hours.
    pub give_up_hours: i64,
    /// A node that was not heard of for so many minutes is silent. 0: none ever is.
    pub silent_minutes: i64,
    /// What notices go through.
    pub channels: Vec<Channel>,
    /// What goes where.
    pub routes: Vec<Route>,
    /// Addresses of people, by the names under which they sign in.
    pub people: Vec<Person>,
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            group_wait_secs: 30,
            digest_above: 5,
            per_hour: 30,
            repeat_hours: 4,
            retry_secs: 30,
            give_up_hours: 24,
            silent_minutes: 15,
            channels: Vec::new(),
            routes: Vec::new(),
            people: Vec::new(),
        }
    }
}

impl Notices {
    /// The channel of that name.
    pub(crate) fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// The addresses of somebody.
    pub(crate) fn person(&self, name: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.name == name)
    }
}

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Mail through a server.
    Smtp,
    /// Mail through SES.
    Ses,
    /// A Slack-compatible webhook.
    Slack,
    /// PagerDuty's events.
    Pagerduty,
    /// A workflow of Teams.
    Teams,
    /// Any other webhook, which gets JSON.
    #[default]
    Webhook,
}

impl Kind {
    /// Every one.
    pub(crate) const ALL: [Self; 6] = [
        Self::Smtp,
        Self::Ses,
        Self::Slack,
        Self::Pagerduty,
        Self::Teams,
        Self::Webhook,
    ];

    /// Its name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Ses => "ses",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Teams => "teams",
            Self::Webhook => "webhook",
        }
    }
}

/// `[[console.notices.channels]]`: something that notices go through.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channel {
    /// What routes call it.
    pub name: String,
    /// `smtp`, `ses`, `slack`, `pagerduty`, `teams` or `webhook`.
    pub kind: Kind,
    /// The source of a webhook's address.
    pub address: String,
    /// The source of PagerDuty's routing key, or of the secret that signs a webhook's requests.
    pub secret: String,
    /// PagerDuty's address, where it is not the usual one.
    pub endpoint: String,
    /// The mail server, as `smtps://user@host:465` or `smtp://host:587` (STARTTLS).
    pub server: String,
    /// The source of its password.
    pub password: String,
    /// The sender of mails.
    pub from: String,
    /// Who gets them.
    pub to: Vec<String>,
    /// Notices an hour. 0: `console.notices.per_hour`.
    pub per_hour: i64,
}

/// `[[console.notices.routes]]`: what goes where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// At least this bad; empty for all.
    pub severity: String,
    /// Of these clusters; of all where none is named.
    pub clusters: Vec<String>,
    /// What happened; everything where nothing is named.
    pub what: Vec<String>,
    /// Through these.
    pub channels: Vec<String>,
    /// `owner`: to the own addresses of whoever it concerns. Empty: to the channel's.
    pub to: String,
}

impl Route {
    pub(crate) fn is_personal(&self) -> bool {
        self.to == "owner"
    }
}

/// `[[console.notices.people]]`: how somebody is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Person {
    /// The name under which they sign in.
    pub name: String,
    /// Whom a clock goes to that they let run out.
    pub lead: String,
    /// Their mail address.
    pub mail: String,
    /// The source of their PagerDuty routing key.
    pub pagerduty: String,
    /// The source of the address of their Slack webhook.
    pub slack: String,
    /// The source of the address of their Teams workflow.
    pub teams: String,
    /// The source of the address of their other webhook.
    pub webhook: String,
}

impl Person {
    /// How a channel of that kind reaches them: a mail address, or the source of a secret.
    pub(crate) fn by(&self, kind: Kind) -> Option<&str> {
        let text = match kind {
            Kind::Smtp | Kind::Ses => &self.mail,
            Kind::Slack => &self.slack,
            Kind::Pagerduty => &self.pagerduty,
            Kind::Teams => &self.teams,
            Kind::Webhook => &self.webhook,
        };
        (!text.is_empty()).then_some(text.as_str())
    }
}

/// What a text must be.
pub(super) fn text(key: &str, text: &str) -> Result<(), &'static str> {
    if SECRETS.contains(&key) {
        let is_source = ["file:/", "env:", "secretsmanager:"].iter().any(|prefix| {
            text.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty())
        });
        return match text.is_empty() || is_source {
            true => Ok(()),
            false => Err(
                "name where the secret is, never the secret: file:/path, env:NAME or \
                 secretsmanager:ARN#member",
            ),
        };
    }
    match key {
        "console.notices.channels.name" | "console.notices.people.name" if !is_name(text) => {
            Err("write a name of 1 to 100 characters, all of which can be seen")
        }
        "console.notices.channels.kind" if !Kind::ALL.iter().any(|kind| kind.as_str() == text) => {
            Err("write smtp, ses, slack, pagerduty, teams or webhook")
        }
        "console.notices.channels.from" | "console.notices.people.mail"
            if !text.is_empty() && !text.contains('@') =>
        {
            Err("write a mail address")
        }
        "console.notices.channels.to" if !text.contains('@') => Err("write a mail address"),
        "console.notices.channels.server"
            if !text.is_empty() && davylamp_notice::Server::parse(text, None).is_err() =>
        {
            Err("write `smtps://user@host:465` or `smtp://host:587`, without a password")
        }
        "console.notices.channels.endpoint"
            if !text.is_empty() && !davylamp_notice::is_postable(text) =>
        {
            Err("write an https:// address; http:// is taken for this machine alone")
        }
        "console.notices.routes.severity"
            if !text.is_empty() && Severity::named(text).is_none() =>
        {
            Err("write low, medium, high or critical")
        }
        "console.notices.routes.what" if What::named(text).is_none() => {
            Err("docs/notices.md lists what can happen, such as opened or missed-kill")
        }
        "console.notices.routes.to" if !matches!(text, "" | "owner") => {
            Err("write `owner`, or leave it out")
        }
        _ => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.chars().count()) && davylamp_notice::visible(text) == text
}

/// What must hold between keys.
pub(super) fn whole(notices: &Notices) -> Vec<(&'static str, Trouble)> {
    let mut troubles = Vec::new();
    let mut trouble = |key, message: String, help: &str| {
        let help = help.to_owned();
        troubles.push((key, Trouble::Whole { message, help }));
    };
    for (at, channel) in notices.channels.iter().enumerate() {
        let key = "console.notices.channels";
        let name = &channel.name;
        if name.is_empty() {
            let message = "a channel has no name".to_owned();
            trouble(key, message, "routes call it by its `name`: give it one");
        }
        if notices.channels[..at]
            .iter()
            .any(|other| other.name == *name)
        {
            let message = format!("two channels have the name `{name}`");
            trouble(key, message, "give each a name of its own");
        }
        for (missing, what) in lacks(channel) {
            let message = format!("the channel `{name}` has no `{missing}`");
            trouble(key, message, what);
        }
    }
    for route in &notices.routes {
        let key = "console.notices.routes";
        if route.channels.is_empty() {
            let message = "a route leads to no channel".to_owned();
            trouble(key, message, "name at least one in its `channels`");
        }
        for name in &route.channels {
            if notices.channel(name).is_none() {
                let message = format!("a route leads to `{name}`, which is no channel");
                let help = "its `channels` are names of [[console.notices.channels]]";
                trouble(key, message, help);
            }
        }
    }
    for (at, person) in notices.people.iter().enumerate() {
        let key = "console.notices.people";
        if person.name.is_empty() {
            let message = "somebody has no name".to_owned();
            trouble(key, message, "give the `name` under which they sign in");
        }
        let is_known = |other: &Person| other.name == person.name;
        if notices.people[..at].iter().any(is_known) {
            let message = format!("`{}` is there twice", person.name);
            trouble(key, message, "give everybody one table");
        }
    }
    troubles
}

/// The keys that a channel of its kind cannot do without.
fn lacks(channel: &Channel) -> Vec<(&'static str, &'static str)> {
    let mut lacks = Vec::new();
    let mut need = |name, is_there: bool, what| {
        if !is_there {
            lacks.push((name, what));
        }
    };
    match channel.kind {
        Kind::Smtp | Kind::Ses => {
            if channel.kind == Kind::Smtp {
                need("server", !channel.server.is_empty(), "name the mail server");
            }
            need(
                "from",
                !channel.from.is_empty(),
                "name the sender of its mails",
            );
            need("to", !channel.to.is_empty(), "name who gets its mails");
        }
        Kind::Slack | Kind::Teams | Kind::Webhook => {
            let what = "name where its address is: file:/path, env:NAME or secretsmanager:ARN";
            need("address", !channel.address.is_empty(), what);
        }
        Kind::Pagerduty => {
            let what = "name where its routing key is: file:/path, env:NAME or secretsmanager:ARN";
            need("secret", !channel.secret.is_empty(), what);
        }
    }
    lacks
}

#[cfg(test)]
mod tests;

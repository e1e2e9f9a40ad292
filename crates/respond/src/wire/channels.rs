//! The channels that are configured.

use std::sync::Arc;

use davylamp_cloud::aws::session::Sessions;
use davylamp_notice::{Notifier, PagerDuty, Server, Slack, Smtp, Teams, Webhook};

use super::{secret, source_of};
use crate::config::{Config, present};
use crate::notice::{Ses, Sns};
use crate::tell::Teller;

/// A channel that cannot be set up keeps no other from telling: it reports its failure at every
/// notice it should have sent.
pub(super) async fn teller(config: &Config, sessions: &Sessions) -> Teller {
    let mut working: Vec<Arc<dyn Notifier>> = Vec::new();
    let mut broken = Vec::new();
    for (name, made) in all(config, sessions).await {
        match made {
            Ok(channel) => working.push(channel),
            Err(why) => broken.push((name.to_owned(), why)),
        }
    }
    Teller::new(working, broken)
}

type Made = Result<Arc<dyn Notifier>, String>;

async fn all(config: &Config, sessions: &Sessions) -> Vec<(&'static str, Made)> {
    let notices = &config.notices;
    let mut made: Vec<(&'static str, Made)> = Vec::new();
    if notices.ses {
        let ses = Ses::new(
            sessions.home_writing(),
            &notices.from,
            notices.to.clone(),
            notices.failures_to.clone(),
        );
        made.push(("ses", boxed(ses)));
    }
    if let Some(server) = present(&notices.smtp) {
        made.push(("smtp", smtp(config, server, sessions).await));
    }
    if let Some(topic) = present(&notices.sns_topic) {
        made.push((
            "sns",
            Ok(Arc::new(Sns::new(sessions.home_writing(), topic))),
        ));
    }
    if let Some(source) = present(&notices.slack) {
        let address = read("respond.notices.slack", source, sessions).await;
        made.push(("slack", address.and_then(|it| boxed(Slack::new(&it)))));
    }
    if let Some(source) = present(&notices.teams) {
        let address = read("respond.notices.teams", source, sessions).await;
        made.push(("teams", address.and_then(|it| boxed(Teams::new(&it)))));
    }
    if let Some(source) = present(&notices.pagerduty) {
        let key = read("respond.notices.pagerduty", source, sessions).await;
        made.push(("pagerduty", key.and_then(|it| boxed(PagerDuty::new(&it)))));
    }
    if let Some(source) = present(&notices.webhook) {
        made.push(("webhook", webhook(config, source, sessions).await));
    }
    made
}

async fn smtp(config: &Config, server: &str, sessions: &Sessions) -> Made {
    let notices = &config.notices;
    let password = match present(&notices.smtp_password) {
        None => None,
        Some(source) => Some(read("respond.notices.smtp_password", source, sessions).await?),
    };
    let server = Server::parse(server, password.as_deref()).map_err(|error| error.to_string())?;
    boxed(Smtp::new(
        &server,
        &notices.from,
        &notices.to,
        &notices.failures_to,
    ))
}

async fn webhook(config: &Config, source: &str, sessions: &Sessions) -> Made {
    let address = read("respond.notices.webhook", source, sessions).await?;
    let key = match present(&config.notices.webhook_secret) {
        None => None,
        Some(source) => Some(read("respond.notices.webhook_secret", source, sessions).await?),
    };
    boxed(Webhook::new(&address, key.as_deref()))
}

async fn read(key: &'static str, source: &str, sessions: &Sessions) -> Result<String, String> {
    match secret(key, source, sessions).await {
        Ok(secret) => Ok(secret.expose().to_owned()),
        Err(error) => Err(format!("{error} ({})", source_of(source))),
    }
}

fn boxed<N, E>(made: Result<N, E>) -> Made
where
    N: Notifier + 'static,
    E: std::fmt::Display,
{
    match made {
        Ok(channel) => Ok(Arc::new(channel)),
        Err(error) => Err(error.to_string()),
    }
}

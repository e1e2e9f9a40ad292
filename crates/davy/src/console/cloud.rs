//! What channels of the console take from AWS: secrets, and mail by SES. Nobody is asked for credentials
//! before one of them needs some.

use std::fmt::Display;
use std::sync::Arc;

use davylamp_cloud::aws::session::{SessionOptions, Sessions};
use davylamp_cloud::secrets::SecretSource;
use davylamp_console::notices::{Asking, Cloud};
use davylamp_notice::Notifier;
use davylamp_respond::config::Config;
use davylamp_respond::notice::Ses;
use tokio::sync::OnceCell;

/// AWS, as `[respond]` describes it.
pub(super) struct Aws {
    config: Config,
    sessions: OnceCell<Sessions>,
}

impl Aws {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            sessions: OnceCell::new(),
        }
    }

    async fn sessions(&self) -> Result<&Sessions, String> {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let open = || async {
            Sessions::new(SessionOptions {
                absent: !self.config.aws,
                region: text(&self.config.region),
                endpoint_url: text(&self.config.endpoint_url),
                role: text(&self.config.role),
                external_id: text(&self.config.external_id),
                ..SessionOptions::default()
            })
            .await
        };
        self.sessions.get_or_try_init(open).await.map_err(said)
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

impl Cloud for Aws {
    fn secret<'a>(&'a self, arn: &'a str, member: Option<&'a str>) -> Asking<'a, String> {
        Box::pin(async move {
            let source = SecretSource::SecretsManager {
                arn: arn.to_owned(),
                key: member.map(str::to_owned),
            };
            let secret = source.read(Some(self.sessions().await?)).await;
            Ok(secret.map_err(said)?.expose().to_owned())
        })
    }

    fn mail<'a>(&'a self, from: &'a str, to: &'a [String]) -> Asking<'a, Arc<dyn Notifier>> {
        Box::pin(async move {
            let sessions = self.sessions().await?;
            let ses = Ses::new(sessions.home_writing(), from, to.to_vec(), Vec::new());
            Ok(Arc::new(ses.map_err(said)?) as Arc<dyn Notifier>)
        })
    }
}

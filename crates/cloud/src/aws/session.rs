//! Credentials, regions and roles: one SDK configuration for each account and region.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use davylamp_model::resource::Place;

/// A connection that takes longer than this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt of a call may take this long.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where and as whom AWS is called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionOptions {
    /// The home region; the environment's where not given.
    pub region: Option<String>,
    /// Another endpoint for every service, for a test server or a private gateway.
    pub endpoint_url: Option<String>,
    /// The role to assume in an account that is not our own, by name.
    pub role: Option<String>,
    /// The external id that role asks for.
    pub external_id: Option<String>,
}

/// Makes configurations of SDK clients.
#[derive(Debug)]
pub struct Sessions {
    home: SdkConfig,
    options: SessionOptions,
    home_account: String,
    assumed: Mutex<HashMap<String, SharedCredentialsProvider>>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There are no credentials, or they are not accepted.
    #[error("AWS does not accept our credentials: {why}")]
    Credentials {
        /// What it said.
        why: String,
    },
    /// An account is not ours, and no role is configured for others.
    #[error("account {account} is not ours, and no role to assume there is configured")]
    ForeignAccount {
        /// That account.
        account: String,
    },
}

impl Sessions {
    /// Finds credentials as every AWS tool does (environment, profile, role of the machine) and
    /// asks whose they are.
    pub async fn new(options: SessionOptions) -> Result<Self, SessionError> {
        // The AWS clients, the cluster client and the Hub's share one TLS provider; a second
        // installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            );
        if let Some(region) = &options.region {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url.clone());
        }
        let home = loader.load().await;
        let identity = aws_sdk_sts::Client::new(&home)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| SessionError::Credentials {
                why: describe(&error),
            })?;
        Ok(Self {
            home,
            options,
            home_account: identity.account().unwrap_or_default().to_owned(),
            assumed: Mutex::default(),
        })
    }

    /// The account our own credentials belong to.
    pub fn home_account(&self) -> &str {
        &self.home_account
    }

    /// The home region.
    pub fn home_region(&self) -> Option<&str> {
        self.home.region().map(AsRef::as_ref)
    }

    /// The configuration for our own account in its home region.
    pub fn home(&self) -> &SdkConfig {
        &self.home
    }

    /// The configuration for an account and region. In an account that is not ours the configured
    /// role is assumed.
    pub async fn at(&self, place: &Place) -> Result<SdkConfig, SessionError> {
        let region = aws_config::Region::new(place.region.0.clone());
        let builder = self.home.to_builder().region(region);
        let account = place.account.as_str();
        if account == self.home_account {
            return Ok(builder.build());
        }
        let Some(role) = &self.options.role else {
            return Err(SessionError::ForeignAccount {
                account: account.to_owned(),
            });
        };
        let known = self
            .assumed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(account)
            .cloned();
        let credentials = match known {
            Some(credentials) => credentials,
            None => {
                let mut provider =
                    AssumeRoleProvider::builder(format!("arn:aws:iam::{account}:role/{role}"))
                        .session_name("davylamp")
                        .configure(&self.home);
                if let Some(id) = &self.options.external_id {
                    provider = provider.external_id(id.clone());
                }
                let credentials = SharedCredentialsProvider::new(provider.build().await);
                self.assumed
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .insert(account.to_owned(), credentials.clone());
                credentials
            }
        };
        Ok(builder.credentials_provider(credentials).build())
    }
}

/// An SDK error with all that is behind it, on one line.
pub fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

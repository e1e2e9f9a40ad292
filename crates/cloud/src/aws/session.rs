//! Credentials, regions and roles: one SDK configuration for each account and region.
//!
//! What must stay true: nothing is asked of AWS before somebody needs an answer, so that a Lambda
//! starts fast; and what this crate reads with cannot write (see [`ReadConfig`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::SdkError;
use davylamp_model::ids::{AccountId, Region};
use davylamp_model::resource::Place;
use tokio::sync::OnceCell;

pub use super::options::{Retries, SessionOptions};
use super::pace::{CallCounter, Pace, PacedClient, Route};
use super::read::{self, ReadConfig};

/// A connection that takes longer than this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt waits this long for its answer, once it is sent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The name of our sessions in the account's trail.
const SESSION_NAME: &str = "davylamp";

/// What our own account is called before anybody has asked which it is.
const HOME: &str = "home";

/// Where things are that are in no account: twelve zeros are nobody's, and no region is called so.
const NO_ACCOUNT: &str = "000000000000";
const NO_REGION: &str = "none";

/// Makes configurations of SDK clients. One is enough for a program; it may be shared.
pub struct Sessions {
    home: SdkConfig,
    http: SharedHttpClient,
    options: SessionOptions,
    account: OnceCell<AccountId>,
    assumed: Mutex<HashMap<String, SharedCredentialsProvider>>,
    pace: Pace,
    calls: CallCounter,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Nothing that is looked for credentials in has any.
    #[error("there are no AWS credentials: {why}")]
    NoCredentials {
        /// What was looked at.
        why: String,
    },
    /// They are not accepted.
    #[error("AWS does not accept our credentials: {why}")]
    Credentials {
        /// What it said.
        why: String,
    },
    /// Nobody answered: nothing is known of our credentials.
    #[error(
        "AWS cannot be reached at {endpoint}: see the network, the proxy and \
         `respond.endpoint_url`, then try again: {why}"
    )]
    Unreachable {
        /// The configured endpoint, or the service and region that were asked.
        endpoint: String,
        /// What went wrong on the way.
        why: String,
    },
    /// We are to do without AWS.
    #[error("there is no AWS here, as `respond.aws = false` says")]
    Absent,
    /// No region is configured.
    #[error("no AWS region is configured: add --region, or set `respond.region` or AWS_REGION")]
    NoRegion,
    /// An account is not ours, and no role is configured for others.
    #[error("account {account} is not ours, and no role to assume there is configured")]
    ForeignAccount {
        /// That account.
        account: String,
    },
    /// What a finding calls an account or a region is none.
    #[error("`{said}` is not the {what} of anything in AWS")]
    IllFormed {
        /// `account id` or `region`.
        what: &'static str,
        /// What was said.
        said: String,
    },
    /// The regions could not be listed.
    #[error("the regions of account {account} could not be listed: {why}")]
    Regions {
        /// The account.
        account: String,
        /// What AWS said.
        why: String,
    },
}

impl Sessions {
    /// Finds credentials as every AWS tool does (environment, profile, role of the machine). They
    /// are used, and found wanting, at the first call only.
    pub async fn new(options: SessionOptions) -> Result<Self, SessionError> {
        Self::load(options, None).await
    }

    /// As [`Sessions::new`], with these credentials and no others.
    pub async fn with_credentials(
        options: SessionOptions,
        credentials: impl ProvideCredentials + 'static,
    ) -> Result<Self, SessionError> {
        Self::load(options, Some(SharedCredentialsProvider::new(credentials))).await
    }

    async fn load(
        options: SessionOptions,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, SessionError> {
        // The AWS clients, the cluster client and the Hub's share one TLS provider; a second
        // installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        let pace = Pace::new(options.rates.clone());
        let calls = CallCounter::default();
        let paced = PacedClient::new(http.clone(), HOME, pace.clone(), calls.clone());
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(SharedHttpClient::new(paced))
            .retry_config(options.retries.config())
            // No limit for an attempt as a whole: it would count the wait for the rate limiter.
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .read_timeout(READ_TIMEOUT)
                    .build(),
            );
        if let Some(region) = &options.region {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url.clone());
        }
        if let Some(credentials) = credentials {
            loader = loader.credentials_provider(credentials);
        }
        if options.absent {
            loader = loader.no_credentials().region(None::<aws_config::Region>);
        }
        let home = loader.load().await;
        Ok(Self {
            home,
            http,
            account: OnceCell::new_with(options.account.clone()),
            options,
            assumed: Mutex::default(),
            pace,
            calls,
        })
    }

    /// The account our own credentials belong to. AWS is asked once.
    pub async fn home_account(&self) -> Result<&AccountId, SessionError> {
        self.account
            .get_or_try_init(|| async {
                if self.options.absent {
                    return Err(SessionError::Absent);
                }
                if self.home_region().is_none() {
                    return Err(SessionError::NoRegion);
                }
                let identity = self
                    .home_reading()
                    .sts()
                    .get_caller_identity()
                    .send()
                    .await
                    .map_err(|error| {
                        if is_unreachable(&error) {
                            self.unreachable("sts", &error)
                        } else if let Some(why) = without_credentials(&error) {
                            SessionError::NoCredentials { why }
                        } else {
                            SessionError::Credentials {
                                why: describe(&error),
                            }
                        }
                    })?;
                identity
                    .account()
                    .map(AccountId::from)
                    .ok_or_else(|| SessionError::Credentials {
                        why: "it does not say whose they are".to_owned(),
                    })
            })
            .await
    }

    /// Whether we are to do without AWS.
    pub fn is_absent(&self) -> bool {
        self.options.absent
    }

    /// The home region.
    pub fn home_region(&self) -> Option<&str> {
        self.home.region().map(AsRef::as_ref)
    }

    /// Our own account in its home region; without AWS a place that is none.
    pub async fn home_place(&self) -> Result<Place, SessionError> {
        if self.options.absent {
            return Ok(Place {
                account: AccountId::from(NO_ACCOUNT),
                region: Region::from(NO_REGION),
            });
        }
        let region = self.home_region().ok_or(SessionError::NoRegion)?;
        Ok(Place {
            account: self.home_account().await?.clone(),
            region: Region::from(region),
        })
    }

    /// What the configuration of a test server or a private gateway is, where there is one.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.options.endpoint_url.as_deref()
    }

    /// The calls made so far with everything that came from here.
    pub fn calls(&self) -> &CallCounter {
        &self.calls
    }

    /// Clients for an account and region that can only read.
    pub async fn reading(&self, place: &Place) -> Result<ReadConfig, SessionError> {
        let route = self.route(place.account.as_str());
        Ok(ReadConfig::new(self.config(place).await?, route))
    }

    /// Clients for our own account in its home region that can only read.
    pub fn home_reading(&self) -> ReadConfig {
        ReadConfig::new(self.home.clone(), self.route(HOME))
    }

    /// Clients for our own account in a region that can only read. For what no account owns: nobody is asked
    /// whose the credentials are.
    pub fn home_reading_in(&self, region: &Region) -> Result<ReadConfig, SessionError> {
        check_region(region)?;
        Ok(self.home_reading().in_region(region.as_str()))
    }

    /// The configuration of clients for an account and region that can also write. Only `respond`
    /// may call this; a test looks.
    pub async fn writing(&self, place: &Place) -> Result<SdkConfig, SessionError> {
        self.config(place).await
    }

    /// The configuration of clients of our own account in its home region that can also write:
    /// queues, notices, the journal. Not for this crate either.
    pub fn home_writing(&self) -> &SdkConfig {
        &self.home
    }

    /// The regions that are enabled in an account, sorted.
    pub async fn enabled_regions(&self, account: &AccountId) -> Result<Vec<Region>, SessionError> {
        let place = Place {
            account: account.clone(),
            region: Region::from(self.home_region().ok_or(SessionError::NoRegion)?),
        };
        let answer = self
            .reading(&place)
            .await?
            .ec2()
            .describe_regions()
            // Without this AWS lists the enabled ones only, which is what is wanted.
            .all_regions(false)
            .send()
            .await
            .map_err(|error| match is_unreachable(&error) {
                true => self.unreachable("ec2", &error),
                false => SessionError::Regions {
                    account: account.0.clone(),
                    why: read::said(&error),
                },
            })?;
        let mut regions: Vec<Region> = answer
            .regions()
            .iter()
            .filter_map(|region| region.region_name().map(Region::from))
            .collect();
        regions.sort();
        Ok(regions)
    }

    fn route(&self, account: &str) -> Route {
        Route {
            account: account.to_owned(),
            pace: self.pace.clone(),
            calls: self.calls.clone(),
            retries: self.options.retries,
        }
    }

    fn unreachable(
        &self,
        service: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> SessionError {
        let region = self.home_region().unwrap_or("no region");
        SessionError::Unreachable {
            endpoint: match self.home.endpoint_url() {
                Some(url) => url.to_owned(),
                None => format!("{service} in {region}"),
            },
            why: describe(error),
        }
    }

    /// In an account that is not ours the configured role is assumed.
    async fn config(&self, place: &Place) -> Result<SdkConfig, SessionError> {
        if self.options.absent {
            return Err(SessionError::Absent);
        }
        check(place)?;
        let account = place.account.as_str();
        let paced = PacedClient::new(
            self.http.clone(),
            account,
            self.pace.clone(),
            self.calls.clone(),
        );
        let builder = self
            .home
            .to_builder()
            .region(aws_config::Region::new(place.region.0.clone()))
            .http_client(SharedHttpClient::new(paced));
        if *self.home_account().await? == place.account {
            return Ok(builder.build());
        }
        let Some(role) = &self.options.role else {
            return Err(SessionError::ForeignAccount {
                account: account.to_owned(),
            });
        };
        let arn = role_arn(place, role);
        let known = self.assumed().get(&arn).cloned();
        let credentials = match known {
            Some(credentials) => credentials,
            None => {
                let mut provider = AssumeRoleProvider::builder(arn.clone())
                    .session_name(SESSION_NAME)
                    .configure(&self.home);
                if let Some(id) = &self.options.external_id {
                    provider = provider.external_id(id.clone());
                }
                // Two callers may both come here: the second one's provider is dropped, so that
                // both use one cache of credentials.
                let made = SharedCredentialsProvider::new(provider.build().await);
                self.assumed().entry(arn).or_insert(made).clone()
            }
        };
        Ok(builder.credentials_provider(credentials).build())
    }

    fn assumed(&self) -> std::sync::MutexGuard<'_, HashMap<String, SharedCredentialsProvider>> {
        self.assumed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says where and as whom, and nothing that could be a secret.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("region", &self.home_region())
            .field("account", &self.account.get())
            .field("endpoint_url", &self.options.endpoint_url)
            .field("role", &self.options.role)
            .finish_non_exhaustive()
    }
}

/// Account and region come from findings, and become part of host names and ARNs.
fn check(place: &Place) -> Result<(), SessionError> {
    if !place.account.is_well_formed() {
        return Err(SessionError::IllFormed {
            what: "account id",
            said: place.account.0.escape_debug().to_string(),
        });
    }
    check_region(&place.region)
}

fn check_region(region: &Region) -> Result<(), SessionError> {
    let region = region.as_str();
    let fits = (1..=32).contains(&region.len())
        && region
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !fits {
        return Err(SessionError::IllFormed {
            what: "region",
            said: region.escape_debug().to_string(),
        });
    }
    Ok(())
}

/// The partition a region belongs to, as it stands in ARNs (AWS general reference, "Amazon
/// Resource Names").
pub fn partition(region: &Region) -> &'static str {
    match region.as_str() {
        name if name.starts_with("cn-") => "aws-cn",
        name if name.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn role_arn(place: &Place, role: &str) -> String {
    let partition = partition(&place.region);
    format!("arn:{partition}:iam::{}:role/{role}", place.account)
}

/// Whether a call failed on its way: no connection could be made, or nobody answered. Then nothing
/// is known of what the service would have said. Credentials that could not be had are something
/// else.
pub fn is_unreachable<E, R>(error: &SdkError<E, R>) -> bool {
    match error {
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::TimeoutError(_) => true,
        _ => false,
    }
}

/// What says that there are no credentials at all, where that is behind an error.
pub(super) fn without_credentials(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found @ CredentialsError::CredentialsNotLoaded(_)) = cause.downcast_ref() {
            return Some(tried(&describe(found)));
        }
        next = cause.source();
    }
    None
}

/// Where the SDK has looked for credentials, of the many lines in which it says so; of a place that
/// it could not look at, why.
fn tried(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let places: Vec<&str> = lines
        .skip_while(|line| !line.ends_with("Attempted:"))
        .skip(1)
        .map(|line| match line.split_once(": ") {
            Some((place, why)) if why.starts_with(NOT_ENABLED) => place,
            _ => line,
        })
        .collect();
    match places.is_empty() {
        true => said.replace('\n', "; "),
        false => format!(
            "none in {}; set AWS_PROFILE, or give this machine or pod a role",
            places.join(", ")
        ),
    }
}

/// How the SDK says that a place has no credentials.
const NOT_ENABLED: &str = "the credential provider was not enabled";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_credentials_were_looked_for_is_said_in_a_line() {
        let said = "the credential provider was not enabled: no credentials found in chain. Attempted:\n    \
            Environment: the credential provider was not enabled: environment variable not set\n    \
            Profile: could not parse profile file: line 3\n    \
            EcsContainer: the credential provider was not enabled: ECS provider not configured";
        assert_eq!(
            tried(said),
            "none in Environment, Profile: could not parse profile file: line 3, EcsContainer; set \
             AWS_PROFILE, or give this machine or pod a role"
        );
        assert_eq!(tried("no profile\nis there"), "no profile; is there");
    }

    fn place(account: &str, region: &str) -> Place {
        Place {
            account: account.into(),
            region: region.into(),
        }
    }

    #[test]
    fn a_place_from_a_finding_cannot_reach_into_host_names() {
        assert_eq!(check(&place("123456789012", "eu-central-1")), Ok(()));
        for (account, region) in [
            ("12345678901", "eu-central-1"),
            ("123456789012", ""),
            ("123456789012", "evil.example/"),
            ("123456789012", "EU-CENTRAL-1"),
            ("123456789012:role/x", "eu-central-1"),
        ] {
            assert!(
                matches!(
                    check(&place(account, region)),
                    Err(SessionError::IllFormed { .. })
                ),
                "{account} {region}"
            );
        }
    }

    #[tokio::test]
    async fn a_refused_connection_says_nothing_of_credentials() {
        let options = SessionOptions {
            region: Some("eu-central-1".to_owned()),
            // Nothing listens on this port.
            endpoint_url: Some("http://127.0.0.1:1".to_owned()),
            ..SessionOptions::default()
        };
        let keys = aws_credential_types::Credentials::new("AKID", "secret", None, None, "test");
        let sessions = Sessions::with_credentials(options, keys).await;
        let sessions = sessions.expect("nothing is asked yet");
        let error = sessions.home_account().await.expect_err("nobody answers");
        assert!(
            matches!(&error, SessionError::Unreachable { endpoint, .. } if endpoint.contains("127.0.0.1:1")),
            "{error}"
        );
        assert!(!error.to_string().contains("credentials"), "{error}");
    }

    #[test]
    fn role_arns_name_the_partition() {
        let arn = |region| role_arn(&place("123456789012", region), "davylamp");
        assert_eq!(
            arn("eu-central-1"),
            "arn:aws:iam::123456789012:role/davylamp"
        );
        assert_eq!(
            arn("cn-north-1"),
            "arn:aws-cn:iam::123456789012:role/davylamp"
        );
        assert_eq!(
            arn("us-gov-west-1"),
            "arn:aws-us-gov:iam::123456789012:role/davylamp"
        );
    }
}

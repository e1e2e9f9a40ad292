//! From the configuration to a responder: which clients, actuators, journal and channels there are.
//!
//! What must stay true: a thing that is configured and cannot be set up is an error or a channel
//! that reports its failure, never silently absent; no secret is read that is not needed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use davylamp_cloud::aws::session::{SessionError, SessionOptions, Sessions};
use davylamp_cloud::hub::{Hub, HubError};
use davylamp_cloud::kubernetes::{ClusterAccess, ClusterEntry, Clusters};
use davylamp_cloud::secrets::{Secret, SecretError, SecretSource};
use davylamp_content::playbook::Playbook;
use davylamp_model::finding::{Finding, FindingSource};
use davylamp_model::ids::{AccountId, ClusterName, FindingId};
use davylamp_model::resource::{Place, Resource};
use jiff::Timestamp;

use crate::actuator::Actuator;
use crate::clock::SystemClock;
use crate::collecting::{Collecting, LOCKDOWN};
use crate::config::{Config, Store, present};
use crate::executor::{Executor, ExecutorOptions, Progress};
use crate::journal::dynamodb::DynamoJournal;
use crate::journal::memory::MemoryJournal;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::tags::TagJournal;
use crate::journal::{Journal, JournalError};
use crate::planning::Playbooks;
use crate::responder::{News, Parts, Responder, ResponderOptions, Tell};
use crate::stop::Stop;
use crate::tell::Teller;

mod actuators;
mod channels;

/// A Lambda stops this long before its deadline, to journal and to tell.
const SPARE: Duration = Duration::from_secs(20);
/// Of that, so much is left when telling ends: what was told is still journaled, and the incidents are
/// let go of.
const LEFT_AFTER_TELLING: Duration = Duration::from_secs(5);

/// What kind of run this is.
#[derive(Clone)]
pub struct Run {
    /// The run's own name, different for every run.
    pub name: String,
    /// When it has to be over, where something outside ends it.
    pub deadline: Option<Timestamp>,
    /// Told about each step as it changes.
    pub progress: Option<Progress>,
    /// Waits for evidence; otherwise what needs it is left to the next run, so that one incident's
    /// snapshots hold up no other.
    pub patient: bool,
    /// Only plan: nothing is done, journaled or told.
    pub rehearsal: bool,
    /// Ends it in order when somebody asks it to.
    pub stop: Stop,
}

/// Everything a run needs that does not depend on the run.
pub struct Wiring {
    config: Config,
    sessions: Arc<Sessions>,
    clusters: Arc<Clusters>,
    hub: Option<Hub>,
    playbooks: Vec<Playbook>,
    actuators: Vec<Arc<dyn Actuator>>,
    journal: Arc<dyn Journal>,
    teller: Arc<Teller>,
}

/// Why there is no responder.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// There is no session with AWS.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A secret could not be read.
    #[error("the secret of {key} cannot be read")]
    Secret {
        /// The key of the configuration.
        key: &'static str,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// The Hub's client could not be made.
    #[error("the Hub cannot be reached as it is configured")]
    Hub(#[from] HubError),
    /// A file could not be read.
    #[error("{path} cannot be read")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A client that writes could not be made.
    #[error("{what} cannot be set up: {why}")]
    Client {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The journal could not be opened.
    #[error("the journal cannot be opened")]
    Journal(#[from] JournalError),
    /// A playbook was named that does not exist.
    #[error("there is no playbook {name}; there are {known}")]
    NoSuchPlaybook {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
}

/// Tells through every channel that nothing could be set up, so that what is found is not answered.
/// The channels that did not take it, with why.
pub async fn tell_unset(config: &Config, why: &str) -> Vec<(String, String)> {
    let sessions = match sessions(config, None).await {
        Ok(sessions) => sessions,
        Err(error) => return vec![("every channel".to_owned(), error.to_string())],
    };
    let teller = channels::teller(config, &sessions).await;
    let news = [News::of_ourselves(why, Timestamp::now())];
    let mut untold = Vec::new();
    for channel in teller.channels() {
        if let Err(error) = teller.tell(&channel, &news).await {
            untold.push((channel, error.to_string()));
        }
    }
    untold
}

async fn sessions(config: &Config, account: Option<AccountId>) -> Result<Sessions, SessionError> {
    let text = |text: &str| present(text).map(str::to_owned);
    Sessions::new(SessionOptions {
        absent: !config.aws,
        region: text(&config.region),
        endpoint_url: text(&config.endpoint_url),
        account,
        role: text(&config.role),
        external_id: text(&config.external_id),
        ..SessionOptions::default()
    })
    .await
}

impl Wiring {
    /// Sets everything up. `rehearsal` needs neither journal nor anything that writes, and reads no
    /// secret of theirs.
    pub async fn new(
        config: Config,
        playbooks: Vec<Playbook>,
        account: Option<AccountId>,
        rehearsal: bool,
    ) -> Result<Self, WireError> {
        if let Some(name) = present(&config.playbook) {
            is_known(name, &playbooks)?;
        }
        let sessions = Arc::new(sessions(&config, account).await?);
        let clusters = Arc::new(Clusters::new(Arc::clone(&sessions), clusters(&config)));
        let hub = match present(&config.hub.url) {
            None => None,
            Some(url) => {
                let token = secret("respond.hub.token", &config.hub.token, &sessions).await?;
                let base = format!("{}/hub/api", url.trim_end_matches('/'));
                Some(Hub::new(
                    &base,
                    &token,
                    authority(&config)?.as_deref().map(str::as_bytes),
                )?)
            }
        };
        let (actuators, journal, teller) = if rehearsal {
            let nobody = Teller::new(Vec::new(), Vec::new());
            let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
            (Vec::new(), journal, nobody)
        } else {
            (
                actuators::all(&config, &sessions, &clusters).await?,
                journal(&config, &sessions).await?,
                channels::teller(&config, &sessions).await,
            )
        };
        Ok(Self {
            teller: Arc::new(teller),
            config,
            sessions,
            clusters,
            hub,
            playbooks,
            actuators,
            journal,
        })
    }

    /// Refuses a name that no playbook has.
    pub fn check_playbook(&self, name: &str) -> Result<(), WireError> {
        is_known(name, &self.playbooks)
    }

    /// A responder for one run.
    pub fn responder(&self, run: Run) -> Responder {
        let policy = self.config.policy();
        let wait = self.evidence_wait();
        let options = ExecutorOptions {
            lease_secs: self.config.lease_seconds,
            retry_within: Duration::from_secs(u64::from(self.config.retry_seconds)),
            evidence_within: if run.patient { wait } else { Duration::ZERO },
            until: before(run.deadline, SPARE),
            ..ExecutorOptions::default()
        };
        let mut executor = Executor::new(
            self.actuators.clone(),
            Arc::clone(&self.journal),
            Arc::new(SystemClock),
            options,
        )
        .with_stop(run.stop);
        if let Some(progress) = run.progress {
            executor = executor.with_progress(progress);
        }
        let named = present(&self.config.playbook).map(str::to_owned);
        Responder::new(Parts {
            executor,
            collect: Arc::new(Collecting::new(
                Arc::clone(&self.sessions),
                Arc::clone(&self.clusters),
                self.hub.clone(),
                named.clone(),
            )),
            planning: Arc::new(Playbooks::new(
                self.playbooks.clone(),
                policy.clone(),
                named,
            )),
            tell: Arc::clone(&self.teller) as Arc<dyn Tell>,
            policy,
            options: ResponderOptions {
                window_hours: self.config.window_hours,
                dry_run: run.rehearsal,
                observe: self.config.dry_run && !run.rehearsal,
                incidents_at_once: self.config.parallel as usize,
                digest_from: self.config.digest_above as usize + 1,
                tell_until: before(run.deadline, LEFT_AFTER_TELLING),
                ..ResponderOptions::default()
            },
            run: run.name,
        })
    }

    /// Findings, each where it is. Our own (the guard's, which knows no account) and cost alarms that
    /// do not say so are in our home; another source's that does not stays where nobody knows, and
    /// nothing is done about it: what it names here may be a stranger of the same name. Where the
    /// account is to be locked down, each is in each of its regions.
    pub async fn placed(&self, mut findings: Vec<Finding>) -> Result<Vec<Finding>, SessionError> {
        let is_ours = |finding: &Finding| {
            let source = matches!(
                finding.source,
                FindingSource::Davylamp | FindingSource::Cost
            );
            source && finding.place.is_none()
        };
        if findings.iter().any(is_ours) {
            let home = self.sessions.home_place().await?;
            for finding in findings.iter_mut().filter(|it| is_ours(it)) {
                finding.place = Some(home.clone());
            }
        }
        if self.config.playbook == LOCKDOWN {
            self.everywhere(findings).await
        } else {
            Ok(findings)
        }
    }

    /// One finding about the account in each of its enabled regions: a door that stays open in a
    /// region nobody uses is the one that is used. What the account has as a whole belongs to the
    /// finding's own region, or to the first where that one is not enabled.
    async fn everywhere(&self, findings: Vec<Finding>) -> Result<Vec<Finding>, SessionError> {
        let mut all = Vec::new();
        for finding in findings {
            let Some(place) = finding.place.clone() else {
                all.push(finding);
                continue;
            };
            let mut regions = self.sessions.enabled_regions(&place.account).await?;
            if regions.is_empty() {
                regions.push(place.region.clone());
            }
            let own = regions.iter().find(|it| **it == place.region);
            let whole_in = own.unwrap_or(&regions[0]).clone();
            for region in regions {
                let mut there = finding.clone();
                there.id = FindingId(format!("{}/{region}", finding.id));
                there.resources = vec![if region == whole_in {
                    Resource::Account
                } else {
                    let whole_in = whole_in.clone();
                    Resource::AccountRegion { whole_in }
                }];
                there.place = Some(Place {
                    account: place.account.clone(),
                    region,
                });
                all.push(there);
            }
        }
        Ok(all)
    }

    /// How long somebody who waits for evidence does so.
    pub fn evidence_wait(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.evidence_wait_minutes) * 60)
    }

    /// The channels that could not be set up, with why: each is said again by every notice it
    /// should have sent.
    pub fn mute_channels(&self) -> &[(String, String)] {
        self.teller.broken()
    }

    /// The sessions with AWS.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }
}

fn is_known(name: &str, playbooks: &[Playbook]) -> Result<(), WireError> {
    if playbooks.iter().any(|playbook| playbook.name == name) {
        return Ok(());
    }
    let known: Vec<_> = playbooks.iter().map(|one| one.name.as_str()).collect();
    Err(WireError::NoSuchPlaybook {
        name: name.to_owned(),
        known: known.join(", "),
    })
}

/// So long before a run's deadline, where it has one.
fn before(deadline: Option<Timestamp>, spare: Duration) -> Option<Timestamp> {
    deadline.map(|at| at.checked_sub(spare).unwrap_or(at))
}

fn clusters(config: &Config) -> Vec<ClusterEntry> {
    let mut entries: BTreeMap<ClusterName, ClusterAccess> = BTreeMap::new();
    let path = present(&config.kubernetes.kubeconfig).map(PathBuf::from);
    for pair in &config.kubernetes.contexts {
        if let Some((cluster, context)) = pair.split_once('=') {
            let access = ClusterAccess::Kubeconfig {
                path: path.clone(),
                context: Some(context.to_owned()),
            };
            entries.insert(ClusterName::from(cluster), access);
        }
    }
    if let Some(name) = present(&config.kubernetes.in_cluster) {
        entries.insert(ClusterName::from(name), ClusterAccess::InCluster);
    }
    entries
        .into_iter()
        .map(|(name, access)| ClusterEntry { name, access })
        .collect()
}

async fn journal(config: &Config, sessions: &Arc<Sessions>) -> Result<Arc<dyn Journal>, WireError> {
    if config.journal.store != Store::Sqlite {
        if sessions.is_absent() {
            return Err(SessionError::Absent.into());
        }
        if sessions.home_region().is_none() {
            return Err(SessionError::NoRegion.into());
        }
    }
    Ok(match config.journal.store {
        Store::Sqlite => Arc::new(SqliteJournal::open(&config.journal.path).await?),
        Store::Dynamodb => Arc::new(DynamoJournal::new(
            aws_sdk_dynamodb::Client::new(sessions.home_writing()),
            &config.journal.table,
        )),
        Store::Tags => Arc::new(TagJournal::new(aws_sdk_ec2::Client::new(
            sessions.home_writing(),
        ))),
    })
}

/// Reads the secret that a key of the configuration names.
async fn secret(key: &'static str, source: &str, sessions: &Sessions) -> Result<Secret, WireError> {
    source_of(source)
        .read(Some(sessions))
        .await
        .map_err(|source| WireError::Secret { key, source })
}

/// The source that a text names; `config` has checked its form.
fn source_of(text: &str) -> SecretSource {
    if let Some(path) = text.strip_prefix("file:") {
        SecretSource::File(path.into())
    } else if let Some(secret) = text.strip_prefix("secretsmanager:") {
        let (arn, key) = match secret.split_once('#') {
            Some((arn, key)) => (arn, Some(key.to_owned())),
            None => (secret, None),
        };
        SecretSource::SecretsManager {
            arn: arn.to_owned(),
            key,
        }
    } else {
        SecretSource::Env(text.strip_prefix("env:").unwrap_or(text).to_owned())
    }
}

/// The certificate authority of the Hub, where the system does not know it.
fn authority(config: &Config) -> Result<Option<String>, WireError> {
    present(&config.hub.ca_file)
        .map(|path| {
            std::fs::read_to_string(path).map_err(|source| WireError::File {
                path: path.into(),
                source,
            })
        })
        .transpose()
}

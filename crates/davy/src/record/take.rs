//! `davy record run`: snapshots, one after the other; and `davy record prune`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use davylamp_cloud::aws::record::{self as aws, Wanted};
use davylamp_cloud::aws::session::{SessionError, SessionOptions, Sessions};
use davylamp_cloud::kubernetes::record as cluster;
use davylamp_cloud::kubernetes::{ClusterAccess, ClusterEntry, Clusters};
use davylamp_content::settings::Override;
use davylamp_model::recording::Look;
use davylamp_recorder::Writer;
use davylamp_recorder::chain::Link;
use davylamp_recorder::config::Config;
use jiff::{SignedDuration, Timestamp};

use super::args::{PruneArgs, RunArgs, StoreArgs};
use super::bucket::{self, Bucket};
use super::failure;
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::{counted, emit, note};
use crate::progress::Progress;
use crate::settings::SettingsArgs;
use crate::signals::Signals;

/// The service account of the pod we run in.
const IN_CLUSTER: &str = "in-cluster";
/// After a snapshot that failed another is tried this soon: what failed may have passed.
const PATIENCE: Duration = Duration::from_secs(300);
/// A cluster of EKS, by its name.
const EKS: &str = "eks";

/// Runs `davy record run`.
pub(super) fn run(args: &RunArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let config = config(args, settings)?;
    check_kinds(&args.kinds)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                anyhow!(error).context("cannot start the event loop"),
                "see whether this user may start more threads and files: ulimit -a",
            )
        })?;
    runtime.block_on(async {
        let writer = Writer::open(&bucket::local(&config)).map_err(failure)?;
        let mut taker = Taker::new(config, args.kinds.clone(), writer).await?;
        let mut signals = Signals::listen();
        let stopped = async {
            match &mut signals {
                Some(signals) => drop(signals.next().await),
                None => std::future::pending().await,
            }
        };
        let taking = async {
            match args.once {
                true => taker.once().await,
                false => taker.always(args.every).await,
            }
        };
        tokio::select! {
            came = taking => came,
            // What was being looked at is let go of; the store holds nothing half.
            () = stopped => Ok(ExitCode::from(match args.once {
                true => COULD_NOT_COMPLETE,
                false => 0,
            })),
        }
    })
}

fn config(args: &RunArgs, settings: &SettingsArgs) -> Result<Config, Failure> {
    let mut options = store_option(&args.store);
    let mut option = |name, key, value: &Option<String>| {
        if let Some(value) = value {
            options.push(Override::option(name, key, value.as_ref()));
        }
    };
    option("--role", "record.role", &args.role);
    option("--endpoint-url", "record.endpoint_url", &args.endpoint_url);
    let mut config = settings.load_record(options)?;
    for (given, kept) in [
        (&args.accounts, &mut config.accounts),
        (&args.regions, &mut config.regions),
        (&args.kubernetes, &mut config.kubernetes),
    ] {
        if !given.is_empty() {
            kept.clone_from(given);
        }
    }
    if let Some(path) = &args.kubeconfig {
        config.kubeconfig = path.display().to_string();
    }
    config.aws &= !args.no_aws;
    Ok(config)
}

/// `--store` as a key's value.
pub(super) fn store_option(args: &StoreArgs) -> Vec<Override> {
    let Some(store) = &args.store else {
        return Vec::new();
    };
    let is_bucket = store.to_string_lossy().starts_with("s3://");
    let path = match is_bucket {
        true => store.into(),
        false => std::path::absolute(store).unwrap_or_else(|_| store.into()),
    };
    vec![Override::option(
        "--store",
        "record.store",
        path.as_os_str(),
    )]
}

/// A kind that is misspelled would never be there.
fn check_kinds(kinds: &[String]) -> Result<(), Failure> {
    let of_aws = aws::KINDS.iter().map(|kind| kind.name);
    let known: Vec<&str> = of_aws.chain(cluster::kinds()).collect();
    match kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
        None => Ok(()),
        Some(kind) => Err(Failure::new(
            anyhow!("there is no kind {kind:?}"),
            format!("there are {}", known.join(", ")),
        )),
    }
}

/// Takes snapshots.
struct Taker {
    config: Config,
    wanted: Wanted,
    sessions: Arc<Sessions>,
    clusters: Clusters,
    /// The clusters, each with its name, and whether it is one of EKS.
    named: Vec<(String, bool)>,
    bucket: Option<Bucket>,
    /// How many lines of the chain the bucket has.
    pushed: u64,
    writer: Writer,
}

impl Taker {
    async fn new(config: Config, kinds: Vec<String>, writer: Writer) -> Result<Self, Failure> {
        let sessions = sessions(&config).await?;
        let bucket = Bucket::configured(&config, &sessions);
        let writer = match &bucket {
            Some(bucket) => bucket.even_out(writer).await?,
            None => writer,
        };
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (mut entries, mut named) = (Vec::new(), Vec::new());
        for cluster in &config.kubernetes {
            let (way, name) = cluster.split_once('=').unwrap_or(("", cluster));
            let access = match way {
                EKS => ClusterAccess::Eks,
                IN_CLUSTER => ClusterAccess::InCluster,
                // A context may have the sign in its name.
                _ => ClusterAccess::Kubeconfig {
                    path: text(&config.kubeconfig).map(Into::into),
                    context: Some(cluster.clone()),
                },
            };
            let is_eks = access == ClusterAccess::Eks;
            let is_context = matches!(access, ClusterAccess::Kubeconfig { .. });
            let name = if is_context { cluster } else { name };
            entries.push(ClusterEntry {
                name: name.into(),
                access,
            });
            named.push((name.to_owned(), is_eks));
        }
        let wanted = Wanted {
            accounts: config
                .accounts
                .iter()
                .map(|it| it.as_str().into())
                .collect(),
            regions: config.regions.iter().map(|it| it.as_str().into()).collect(),
            kinds,
        };
        Ok(Self {
            clusters: Clusters::new(Arc::clone(&sessions), entries),
            config,
            wanted,
            sessions,
            named,
            bucket,
            pushed: writer.store().chain().links.len() as u64,
            writer,
        })
    }

    async fn once(&mut self) -> Result<ExitCode, Failure> {
        let link = self.take().await?;
        let unknown = self.tell(&link)?;
        Ok(ExitCode::from(match unknown {
            0 => 0,
            _ => COULD_NOT_COMPLETE,
        }))
    }

    /// One snapshot each time it is due, counted from the last one that the store has.
    async fn always(&mut self, every: Option<SignedDuration>) -> Result<ExitCode, Failure> {
        let every = every.unwrap_or_else(|| {
            SignedDuration::from_mins(i64::try_from(self.config.every_minutes).unwrap_or(60))
        });
        loop {
            let last = self.writer.store().latest().ok();
            let due = last.and_then(|(link, _)| link.taken_at.checked_add(every).ok());
            let left = due.map(|due| due.duration_since(Timestamp::now()));
            if let Some(left) = left.and_then(|left| left.try_into().ok()) {
                tokio::time::sleep(left).await;
            }
            match self.take().await {
                Ok(link) => {
                    self.tell(&link)?;
                    self.retain()?;
                }
                Err(failed) => {
                    note(&format!("no snapshot was taken: {}", failed.said()));
                    tokio::time::sleep(every.unsigned_abs().min(PATIENCE)).await;
                }
            }
        }
    }

    /// Looks at everything, and records it.
    async fn take(&mut self) -> Result<Link, Failure> {
        let taken_at = now();
        self.writer.check_clock(taken_at).map_err(failure)?;
        let mut looks = Vec::new();
        if self.config.aws {
            let progress = Progress::told(
                0,
                "{bar:30} {pos} of {len} kinds in regions were looked at, {elapsed}",
            );
            let looked = |done: usize, all: usize| progress.at(done as u64, all as u64);
            let found = aws::look(&self.sessions, &self.wanted, looked).await;
            looks.extend(found.map_err(session_failure)?);
        }
        for (name, is_eks) in &self.named {
            looks.extend(self.cluster(name, *is_eks).await?);
        }
        let link = self
            .writer
            .record(taken_at, now(), looks)
            .map_err(failure)?;
        if let Some(bucket) = &self.bucket {
            bucket.push(self.writer.store(), self.pushed).await?;
        }
        self.pushed = self.writer.store().chain().links.len() as u64;
        Ok(link)
    }

    async fn cluster(&self, name: &str, is_eks: bool) -> Result<Vec<Look>, Failure> {
        let place = self.sessions.home_place().await.map_err(session_failure)?;
        // A context does not say which account its cluster is in.
        let account = if is_eks { place.account.as_str() } else { "" };
        let kinds = &self.wanted.kinds;
        let mut looks = cluster::look(&self.clusters, &place, account, &name.into()).await;
        looks.retain(|look| kinds.is_empty() || kinds.contains(&look.scope.kind));
        Ok(looks)
    }

    /// Says what a snapshot holds, and what it does not. How many scopes it could not read.
    fn tell(&self, link: &Link) -> Result<u64, Failure> {
        let Some(snapshot) = link.snapshot() else {
            return Ok(0);
        };
        for (scope, seen) in &self.writer.picture().scopes {
            if let (true, Some(why)) = (seen.looked.number == link.number, &seen.unknown) {
                note(&format!("not known: {scope}: {why}"));
            }
        }
        let (things, unknown) = (snapshot.things, snapshot.unknown);
        let mut said = format!(
            "snapshot {} of {}: {}, {} in {} bytes",
            link.number,
            link.taken_at,
            counted(things, "thing", "things"),
            counted(snapshot.lines, "line", "lines"),
            snapshot.bytes,
        );
        if unknown > 0 {
            let scopes = snapshot.scopes;
            said.push_str(&format!(
                "; of {scopes} kinds in regions {unknown} could not be read"
            ));
        }
        emit(said + "\n")?;
        Ok(unknown)
    }

    /// Removes what is older than what is kept.
    fn retain(&mut self) -> Result<(), Failure> {
        let days = i64::try_from(self.config.keep_days).unwrap_or(i64::MAX);
        let keep = SignedDuration::from_hours(days.saturating_mul(24));
        let Ok(since) = now().checked_sub(keep) else {
            return Ok(());
        };
        if days == 0 {
            return Ok(());
        }
        let (removed, up_to) = self.writer.prune(since, now()).map_err(failure)?;
        tell_pruned(removed, up_to);
        Ok(())
    }
}

/// Runs `davy record prune`.
pub(super) fn prune(args: &PruneArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let config = settings.load_record(store_option(&args.store))?;
    // What a bucket has is its owner's to remove, by a rule of its life cycle.
    let mut writer = Writer::open(&bucket::local(&config)).map_err(failure)?;
    let now = now();
    let since = now.checked_sub(args.keep).unwrap_or(Timestamp::MIN);
    let (removed, up_to) = writer.prune(since, now).map_err(failure)?;
    tell_pruned(removed, up_to);
    Ok(ExitCode::SUCCESS)
}

fn tell_pruned(removed: u64, up_to: u64) {
    if removed > 0 {
        let removed = counted(removed, "segment was", "segments were");
        note(&format!("{removed} removed, up to snapshot {up_to}"));
    }
}

/// Sessions as the configuration says.
pub(super) async fn sessions(config: &Config) -> Result<Arc<Sessions>, Failure> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let is_bucket = config.store.starts_with("s3://");
    let sessions = Sessions::new(SessionOptions {
        absent: !config.aws && !is_bucket,
        region: text(&config.region),
        endpoint_url: text(&config.endpoint_url),
        role: text(&config.role),
        external_id: text(&config.external_id),
        ..SessionOptions::default()
    });
    sessions.await.map(Arc::new).map_err(session_failure)
}

/// The time, to the millisecond: no answer of AWS is told more exactly.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

fn session_failure(error: SessionError) -> Failure {
    let hint = match &error {
        SessionError::NoRegion => "add --set record.region=REGION, or set AWS_REGION",
        SessionError::ForeignAccount { .. } => "add --role NAME, a role that we may assume there",
        _ => "see whose credentials these are: aws sts get-caller-identity",
    };
    Failure::new(anyhow!(error), hint)
}

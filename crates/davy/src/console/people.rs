//! People and tokens of the console, from the terminal.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Subcommand, ValueEnum};
use davylamp_console::config::Config;
use davylamp_console::store::{Person, StoreError};
use davylamp_console::{Console, EVENTS, Role, SCOPES, Scope, check_password, hash_password};
use davylamp_ledger::Record;
use davylamp_ledger::record::Setting;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::FIRST_PERSON;
use crate::failure::Failure;
use crate::output::emit;

/// Who changes something from the terminal.
pub(super) const BY_TERMINAL: &str = "terminal";
/// A password on stdin may have this many bytes.
const MOST_BYTES: u64 = 4096;

/// `davy console person`
#[derive(Debug, Clone, Subcommand)]
pub enum PersonArgs {
    /// Add somebody, and print a link to sign in by
    Add {
        /// Their name
        name: String,
        /// What they may do
        #[arg(long, value_enum, default_value_t = RoleName::Viewer)]
        role: RoleName,
        /// A cluster they may see, or an account as account:123456789012; may be repeated [default: all]
        #[arg(long, value_name = "NAME")]
        cluster: Vec<String>,
        /// Read their password from stdin; without it they come by links
        #[arg(long)]
        password_stdin: bool,
    },
    /// Change somebody's role
    Role {
        /// Their name
        name: String,
        /// What they may do
        #[arg(value_enum)]
        role: RoleName,
    },
    /// Give somebody a password, read from stdin; they are signed out
    Password {
        /// Their name
        name: String,
    },
    /// Take somebody's second factor away, who has lost it; they are signed out
    FactorReset {
        /// Their name
        name: String,
    },
    /// Let somebody in no more; they are signed out
    Disable {
        /// Their name
        name: String,
    },
    /// Let somebody in again
    Enable {
        /// Their name
        name: String,
    },
    /// Everybody
    List,
}

/// `davy console token`
#[derive(Debug, Clone, Subcommand)]
pub enum TokenArgs {
    /// Make a token and print it: it is kept nowhere
    Add {
        /// What it is called, such as the nodes that have it
        name: String,
        /// The cluster that its events are of; without one they are of the accounts that they name
        #[arg(
            long,
            value_name = "NAME",
            default_value = "",
            hide_default_value = true
        )]
        cluster: String,
        /// For `davy work` and `davy send`: it may also say what was planned, done, hunted and audited, and
        /// take jobs
        #[arg(long)]
        worker: bool,
    },
    /// End a token
    Revoke {
        /// What it is called
        name: String,
    },
    /// Every token, without its secret
    List,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Look
    Viewer,
    /// Own incidents, decide, write notes
    Responder,
    /// Settings, people and tokens
    Admin,
}

impl RoleName {
    fn role(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Responder => Role::Responder,
            Self::Admin => Role::Admin,
        }
    }
}

/// Makes the first person where there is nobody, and a link for them.
pub(super) async fn first(console: &Console) -> Result<Option<String>, Failure> {
    let store = console.store();
    if !store.people().await.map_err(failure)?.is_empty() {
        return Ok(None);
    }
    let admin = someone(FIRST_PERSON, Role::Admin, Vec::new());
    add(console, &admin).await?;
    let link = store.make_link(FIRST_PERSON, Timestamp::now()).await;
    link.map(Some).map_err(failure)
}

/// The address of a sign-in link.
pub(super) fn address(url: &str, key: &str) -> String {
    format!("{}/sign-in/link?key={key}", url.trim_end_matches('/'))
}

/// By which people reach the console, as far as the configuration knows.
fn url_of(config: &Config) -> String {
    let scheme = match config.tls_certificate_file.as_os_str().is_empty() {
        true => "http",
        false => "https",
    };
    match config.url.as_str() {
        "" => format!("{scheme}://{}", config.listen),
        url => url.to_owned(),
    }
}

pub(super) async fn link(
    console: &Console,
    config: &Config,
    person: &str,
) -> Result<ExitCode, Failure> {
    if person == FIRST_PERSON
        && let Some(key) = first(console).await?
    {
        emit(address(&url_of(config), &key) + "\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = console.store().make_link(person, Timestamp::now()).await;
    emit(address(&url_of(config), &key.map_err(failure)?) + "\n")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn person(
    console: &Console,
    config: &Config,
    args: &PersonArgs,
) -> Result<ExitCode, Failure> {
    match args {
        PersonArgs::Add {
            name,
            role,
            cluster,
            password_stdin,
        } => {
            let mut person = someone(name, role.role(), cluster.clone());
            if *password_stdin {
                person.password = Some(password(name)?);
            }
            add(console, &person).await?;
            return link(console, config, name).await;
        }
        PersonArgs::Role { name, role } => {
            change(console, name, |person| person.role = role.role()).await?;
        }
        PersonArgs::Password { name } => {
            let digest = password(name)?;
            change(console, name, |person| person.password = Some(digest)).await?;
        }
        PersonArgs::FactorReset { name } => {
            change(console, name, |person| person.second_factor = None).await?;
        }
        PersonArgs::Disable { name } => {
            change(console, name, |person| person.disabled = true).await?;
        }
        PersonArgs::Enable { name } => {
            change(console, name, |person| person.disabled = false).await?;
        }
        PersonArgs::List => {
            for person in console.store().people().await.map_err(failure)? {
                emit(shown(&person).to_string() + "\n")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn token(console: &Console, args: &TokenArgs) -> Result<ExitCode, Failure> {
    let (store, now) = (console.store(), Timestamp::now());
    match args {
        TokenArgs::Add {
            name,
            cluster,
            worker,
        } => {
            let scopes: &[&str] = if *worker { &SCOPES } else { &[EVENTS] };
            let secret = store.add_token(name, cluster, scopes, now).await;
            let secret = secret.map_err(failure)?;
            let to = json!({"cluster": cluster, "scopes": scopes});
            told(console, format!("token {name}"), None, Some(to)).await?;
            emit(secret + "\n")?;
        }
        TokenArgs::Revoke { name } => {
            store.revoke_token(name, now).await.map_err(failure)?;
            let to = json!({"revoked": true});
            told(console, format!("token {name}"), None, Some(to)).await?;
        }
        TokenArgs::List => {
            for token in store.tokens().await.map_err(failure)? {
                let shown = json!({
                    "name": token.name, "cluster": token.cluster, "scopes": token.scopes,
                    "created": token.created.to_string(),
                    "used": token.used.map(|used| used.to_string()), "revoked": token.revoked,
                });
                emit(shown.to_string() + "\n")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn someone(name: &str, role: Role, clusters: Vec<String>) -> Person {
    Person {
        name: name.to_owned(),
        role,
        scope: Scope::of(clusters),
        password: None,
        second_factor: None,
        factor_step: 0,
        disabled: false,
    }
}

/// What may be seen of somebody.
fn shown(person: &Person) -> Value {
    json!({
        "name": person.name, "role": person.role, "clusters": person.scope.clusters(),
        "password": person.password.is_some(), "second_factor": person.second_factor.is_some(),
        "disabled": person.disabled,
    })
}

async fn add(console: &Console, person: &Person) -> Result<(), Failure> {
    let is_name = !person.name.is_empty()
        && person.name.len() <= 128
        && !person
            .name
            .chars()
            .any(|c| c.is_control() || c.is_whitespace());
    if !is_name {
        let error = anyhow!("`{}` is no name", person.name.escape_debug());
        return Err(Failure::new(
            error,
            "write one without spaces, such as a mail address",
        ));
    }
    let added = console.store().add_person(person, Timestamp::now()).await;
    added.map_err(failure)?;
    told(
        console,
        format!("person {}", person.name),
        None,
        Some(shown(person)),
    )
    .await
}

async fn change(
    console: &Console,
    name: &str,
    change: impl FnOnce(&mut Person),
) -> Result<(), Failure> {
    let store = console.store();
    let Some(before) = store.person(name).await.map_err(failure)? else {
        let (what, name) = ("person", name.to_owned());
        return Err(failure(StoreError::Absent { what, name }));
    };
    let mut person = before.clone();
    change(&mut person);
    let changed = store.change_person(&person, Timestamp::now()).await;
    changed.map_err(failure)?;
    let name = format!("person {name}");
    told(console, name, Some(shown(&before)), Some(shown(&person))).await
}

/// Every change is an entry of the ledger.
async fn told(
    console: &Console,
    name: String,
    from: Option<Value>,
    to: Option<Value>,
) -> Result<(), Failure> {
    let by = BY_TERMINAL.to_owned();
    let record = Record::Setting(Setting { name, from, to, by });
    let written = console.ledger().record(record, Timestamp::now()).await;
    written.map(drop).map_err(|error| {
        let error =
            anyhow::Error::new(error).context("it was changed, and the ledger does not say so");
        Failure::new(error, "write down what you did, and look at the database")
    })
}

fn password(name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MOST_BYTES)
        .read_to_string(&mut text);
    let hint = "the password is the first line of stdin";
    read.map_err(|error| Failure::new(anyhow!(error).context("cannot read the password"), hint))?;
    let text = text.lines().next().unwrap_or_default();
    let checked = check_password(name, text).and_then(|()| hash_password(text));
    checked.map_err(|error| Failure::new(anyhow!(error), hint))
}

fn failure(error: StoreError) -> Failure {
    let hint = match &error {
        StoreError::Taken { .. } => "choose another name, or change the one that is there",
        StoreError::Absent { .. } => {
            "`davy console person list` and `davy console token list` say who and what there is"
        }
        _ => "see the database's own log",
    };
    Failure::new(anyhow::Error::new(error), hint)
}

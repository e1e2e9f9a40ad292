//! A channel, made of its settings whenever something is sent: a secret that was changed holds at once, and
//! none stays in memory.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use davylamp_notice::{Notifier, PagerDuty, Server, Slack, Smtp, Teams, Webhook};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use crate::config::{Channel, Kind, Notices};

/// Something on its way, or why not.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// What channels take from a cloud. The console knows none; whoever starts it may.
pub trait Cloud: Send + Sync {
    /// A secret of AWS Secrets Manager: its ARN, and the member of it, where it is a JSON object.
    fn secret<'a>(&'a self, arn: &'a str, member: Option<&'a str>) -> Asking<'a, String>;

    /// Mail by SES.
    fn mail<'a>(&'a self, from: &'a str, to: &'a [String]) -> Asking<'a, Arc<dyn Notifier>>;
}

/// Clouds are not printed.
#[derive(Clone, Default)]
pub(crate) struct Clouds(pub Option<Arc<dyn Cloud>>);

impl fmt::Debug for Clouds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clouds")
    }
}

/// No secret is longer: a wrong path may be a whole disk.
const SECRET_BYTES: u64 = 64 << 10;

/// A channel, to its own receivers or to somebody's address.
pub(super) async fn open(
    config: &Notices,
    name: &str,
    person: &str,
    clouds: &Clouds,
) -> Result<Arc<dyn Notifier>, String> {
    let channel = config
        .channel(name)
        .ok_or_else(|| format!("there is no channel `{name}` any more"))?;
    let own = match person {
        "" => None,
        person => {
            let known = config
                .person(person)
                .and_then(|known| known.by(channel.kind));
            let kind = channel.kind.as_str();
            Some(known.ok_or_else(|| {
                format!("{person} has no address for {kind}: [[console.notices.people]] takes one")
            })?)
        }
    };
    let secret = async |key: &str, source: &str| -> Result<Zeroizing<String>, String> {
        read(source, clouds)
            .await
            .map_err(|why| format!("{key}: {why}"))
    };
    match channel.kind {
        Kind::Smtp => {
            let password = match channel.password.as_str() {
                "" => None,
                source => Some(secret("password", source).await?),
            };
            let password = password.as_ref().map(|text| text.as_str());
            let server = Server::parse(&channel.server, password).map_err(said)?;
            boxed(Smtp::new(
                &server,
                &channel.from,
                &receivers(channel, own),
                &[],
            ))
        }
        Kind::Ses => match &clouds.0 {
            Some(cloud) => cloud.mail(&channel.from, &receivers(channel, own)).await,
            None => Err("this console was started without AWS, which SES needs".to_owned()),
        },
        Kind::Slack => {
            let address = secret("address", own.unwrap_or(&channel.address)).await?;
            boxed(Slack::new(&address))
        }
        Kind::Teams => {
            let address = secret("address", own.unwrap_or(&channel.address)).await?;
            boxed(Teams::new(&address))
        }
        Kind::Pagerduty => {
            let key = secret("secret", own.unwrap_or(&channel.secret)).await?;
            match channel.endpoint.as_str() {
                "" => boxed(PagerDuty::new(&key)),
                endpoint => boxed(PagerDuty::at(endpoint, &key)),
            }
        }
        Kind::Webhook => {
            let address = secret("address", own.unwrap_or(&channel.address)).await?;
            let key = match channel.secret.as_str() {
                "" => None,
                source => Some(secret("secret", source).await?),
            };
            let key = key.as_ref().map(|text| text.as_str());
            boxed(Webhook::new(&address, key))
        }
    }
}

fn receivers(channel: &Channel, own: Option<&str>) -> Vec<String> {
    match own {
        Some(own) => vec![own.to_owned()],
        None => channel.to.clone(),
    }
}

fn said(error: impl fmt::Display) -> String {
    error.to_string()
}

fn boxed<N: Notifier + 'static>(
    made: Result<N, davylamp_notice::ChannelError>,
) -> Result<Arc<dyn Notifier>, String> {
    made.map(|channel| Arc::new(channel) as Arc<dyn Notifier>)
        .map_err(said)
}

/// A secret out of its source. What went wrong names the source, never what is in it.
async fn read(source: &str, clouds: &Clouds) -> Result<Zeroizing<String>, String> {
    let text = if let Some(path) = source.strip_prefix("file:") {
        let bytes = file(path).await;
        let bytes = bytes.map_err(|error| format!("cannot read {path}: {error}"))?;
        if bytes.len() as u64 > SECRET_BYTES {
            return Err(format!("{path} is too large for a secret"));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Zeroizing::new(text.trim().to_owned()),
            Err(_) => return Err(format!("{path} is not UTF-8 text")),
        }
    } else if let Some(name) = source.strip_prefix("env:") {
        match std::env::var(name) {
            Ok(text) => Zeroizing::new(text.trim().to_owned()),
            Err(_) => return Err(format!("the variable {name} is not set, or is not text")),
        }
    } else if let Some(secret) = source.strip_prefix("secretsmanager:") {
        let Some(cloud) = &clouds.0 else {
            return Err("this console was started without AWS Secrets Manager".to_owned());
        };
        let (arn, member) = match secret.split_once('#') {
            Some((arn, member)) => (arn, Some(member)),
            None => (secret, None),
        };
        Zeroizing::new(cloud.secret(arn, member).await?)
    } else {
        return Err("no source of a secret is named".to_owned());
    };
    match text.is_empty() {
        true => Err("it is empty".to_owned()),
        false => Ok(text),
    }
}

async fn file(path: &str) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = tokio::fs::File::open(path).await?;
    file.take(SECRET_BYTES + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

//! Mail through an SMTP server.

use std::time::Duration;

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use reqwest::Url;

use super::error::{ChannelError, SendError, chain};
use super::post::is_loopback_host;
use super::show::line;
use super::{Notice, Notifier, Sending, html, text};

/// One command may take this long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A server's answer is quoted with so many characters.
const QUOTED_CHARS: usize = 200;
/// The domain of ids that name no host.
const ID_DOMAIN: &str = "davylamp.invalid";

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte (`smtps`).
    Tls,
    /// STARTTLS, without which no mail is sent.
    StartTls,
    /// None: for this machine alone.
    None,
}

/// A server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub encryption: Encryption,
    /// User and password, where it asks for them.
    pub login: Option<(String, String)>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Reads `smtps://user@host:465` (TLS) or `smtp://user@host:587` (STARTTLS; nothing for this
    /// machine). The password never stands in the address.
    pub fn parse(address: &str, password: Option<&str>) -> Result<Self, ChannelError> {
        let wrong = || ChannelError::Address {
            channel: "smtp".to_owned(),
        };
        let url = Url::parse(address).map_err(|_| wrong())?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        let (encryption, port) = match url.scheme() {
            "smtps" => (Encryption::Tls, 465),
            "smtp" if is_loopback_host(host) => (Encryption::None, 25),
            "smtp" => (Encryption::StartTls, 587),
            _ => return Err(wrong()),
        };
        if url.password().is_some() {
            return Err(wrong());
        }
        let login = match (url.username(), password) {
            ("", _) => None,
            (user, password) => Some((
                // A user is often a mail address, whose @ is escaped there.
                unescaped(user),
                password.unwrap_or_default().to_owned(),
            )),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            encryption,
            login,
        })
    }
}

/// Mail through an SMTP server.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    failures_to: Vec<Mailbox>,
    secret: Option<String>,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl Smtp {
    /// Mails from `from` to `to`; failures to `failures_to`, where given.
    pub fn new(
        server: &Server,
        from: &str,
        to: &[String],
        failures_to: &[String],
    ) -> Result<Self, ChannelError> {
        // The AWS clients and this share one TLS provider; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if to.is_empty() && failures_to.is_empty() {
            return Err(ChannelError::NoRecipient {
                channel: "smtp".to_owned(),
            });
        }
        let parameters = || {
            TlsParameters::new(server.host.clone()).map_err(|error| ChannelError::Client {
                channel: "smtp".to_owned(),
                why: error.to_string(),
            })
        };
        let tls = match server.encryption {
            Encryption::Tls => Tls::Wrapper(parameters()?),
            Encryption::StartTls => Tls::Required(parameters()?),
            Encryption::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = &server.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self {
            transport: builder.build(),
            from: mailbox(from)?,
            to: to.iter().map(|it| mailbox(it)).collect::<Result<_, _>>()?,
            failures_to: failures_to
                .iter()
                .map(|it| mailbox(it))
                .collect::<Result<_, _>>()?,
            secret: server.login.as_ref().map(|(_, password)| password.clone()),
        })
    }

    fn refused(&self, why: &str) -> SendError {
        SendError::Refused {
            channel: "smtp".to_owned(),
            why: self.quoted(why),
        }
    }

    fn quoted(&self, why: &str) -> String {
        let secret = self.secret.as_deref().filter(|secret| !secret.is_empty());
        let why = secret.map_or_else(|| why.to_owned(), |secret| why.replace(secret, "…"));
        line(&why, QUOTED_CHARS)
    }
}

impl Notifier for Smtp {
    fn name(&self) -> &str {
        "smtp"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            let mut builder = Message::builder()
                .from(self.from.clone())
                .subject(text::subject(notice))
                // The same when it is sent again, so that mail systems can tell.
                .message_id(Some(format!("<{}@{ID_DOMAIN}>", &notice.id()[..32])))
                .references(reference(notice))
                .header(AutoSubmitted);
            for to in notice.recipients(&self.to, &self.failures_to) {
                builder = builder.to(to);
            }
            let message = builder
                .multipart(MultiPart::alternative_plain_html(
                    text::body(notice),
                    html::body(notice),
                ))
                .map_err(|error| self.refused(&error.to_string()))?;
            match self.transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() || error.is_client() || error.is_tls() => {
                    Err(self.refused(&chain(&error)))
                }
                Err(error) => Err(SendError::Transient {
                    channel: "smtp".to_owned(),
                    why: self.quoted(&chain(&error)),
                }),
            }
        })
    }
}

/// What joins the mails of an incident in mail readers.
pub fn reference(notice: &Notice) -> String {
    let thread: String = notice
        .thread()
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' => character,
            _ => '-',
        })
        .take(64)
        .collect();
    format!("<{thread}@{ID_DOMAIN}>")
}

fn mailbox(address: &str) -> Result<Mailbox, ChannelError> {
    address.parse().map_err(|_| ChannelError::Mailbox {
        address: line(address, QUOTED_CHARS),
    })
}

/// `%40` and the like as what they stand for; what is no escape stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| hex::decode(digits).ok());
        match escaped {
            Some(decoded) => {
                bytes.extend(decoded);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Says that no person wrote it, so that nobody's absence is answered (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

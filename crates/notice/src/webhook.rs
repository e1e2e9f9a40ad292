//! Any other webhook: the notice as JSON, signed where there is a secret.

use ring::hmac;
use serde_json::{Value, json};

use super::error::ChannelError;
use super::post::Target;
use super::{Notice, Notifier, Sending, quiet_json, text};

/// The header that carries `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "x-davylamp-signature";
/// The version of the document.
const VERSION: u32 = 1;

/// A webhook.
#[derive(Clone)]
pub struct Webhook {
    target: Target,
    secret: Option<String>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook")
    }
}

impl Webhook {
    /// The webhook at this address, which is a secret; requests are signed with `secret`.
    pub fn new(address: &str, secret: Option<&str>) -> Result<Self, ChannelError> {
        Ok(Self {
            target: Target::new("webhook", address)?,
            secret: secret.map(str::to_owned),
        })
    }
}

impl Notifier for Webhook {
    fn name(&self) -> &str {
        "webhook"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            // As JSON it says the same, and steers nobody's terminal that shows it as it came.
            let body = quiet_json(&document(notice).to_string()).into_bytes();
            let mut headers = Vec::new();
            let mut secrets = Vec::new();
            if let Some(secret) = &self.secret {
                headers.push((SIGNATURE_HEADER, signature(secret, &body)));
                secrets.push(secret.as_str());
            }
            self.target.post("webhook", body, &headers, &secrets).await
        })
    }
}

/// The document: the notice itself, with an id that is the same when it is sent again. Values are as
/// they were found; who shows them has to encode them. `text` is already fit to be shown.
pub fn document(notice: &Notice) -> Value {
    json!({
        "version": VERSION,
        "id": notice.id(),
        "thread": notice.thread(),
        "notice": notice,
        "subject": text::subject(notice),
        "text": text::body(notice),
    })
}

/// `sha256=` and the HMAC of a body.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

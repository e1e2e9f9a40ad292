//! The provider: what it says of itself, its keys, and what it says of somebody for a code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use super::keys::{Key, Keys};
use super::token::{self, Expected};
use super::{OidcError, SECRET_VARIABLE, is_safe};
use crate::config;

/// One request may take this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// No answer of a provider is longer.
const ANSWER_BYTES: usize = 1 << 20;
/// What it says of itself, and its keys, are asked for again after this long.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// A key that is not known has its keys asked for again, but no more often than this: whoever brings
/// tokens chooses the key's name.
const KEYS_AGAIN: Duration = Duration::from_secs(10);

/// What a provider says of itself: OpenID Connect Discovery 1.0, section 3.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// A thing that is known for a while.
type Known<T> = Mutex<Option<(Instant, Arc<T>)>>;

/// The provider.
#[derive(Debug)]
pub(super) struct Provider {
    issuer: String,
    client_id: String,
    client_secret: Secret,
    scopes: String,
    http: Client,
    metadata: Known<Metadata>,
    keys: Known<Keys>,
}

/// What was asked for when a browser was sent, and what is wanted now.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub verifier: String,
    pub nonce: String,
    pub redirect: String,
    pub groups_claim: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// Never printed.
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What the token endpoint answers.
#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: String,
}

impl Provider {
    pub(super) fn of(config: &config::Oidc) -> Result<Self, OidcError> {
        let read = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path).map_err(|source| OidcError::File {
                path: path.clone(),
                source,
            })
        };
        let file = &config.client_secret_file;
        let secret = match file.as_os_str().is_empty() {
            true => std::env::var(SECRET_VARIABLE).unwrap_or_default(),
            false => read(file)?,
        };
        // Others in this process may have installed the same; that is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .timeout(ANSWER_WITHIN)
            .connect_timeout(CONNECT_WITHIN)
            .user_agent(concat!("davylamp/", env!("CARGO_PKG_VERSION")))
            // What is told is for that address, not for wherever it may point.
            .redirect(reqwest::redirect::Policy::none());
        if !config.ca_file.as_os_str().is_empty() {
            let path = &config.ca_file;
            let pem = read(path)?;
            let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(|source| {
                let path = path.clone();
                OidcError::Authorities { path, source }
            })?;
            builder = builder.tls_certs_only(certificates);
        }
        Ok(Self {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            client_secret: Secret(secret.trim().to_owned()),
            scopes: config.scopes.join(" "),
            http: builder.build().map_err(OidcError::Client)?,
            metadata: Known::default(),
            keys: Known::default(),
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where browsers are sent.
    pub(super) async fn authorization(&self) -> Result<Url, OidcError> {
        let metadata = self.metadata().await?;
        Url::parse(&metadata.authorization_endpoint).map_err(|error| OidcError::Answer {
            what: "configuration",
            why: error.to_string(),
        })
    }

    /// The same, with what is asked.
    pub(super) fn question(&self, mut address: Url, more: &[(&str, &str)]) -> Url {
        let ours = [
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("scope", self.scopes.as_str()),
        ];
        address
            .query_pairs_mut()
            .extend_pairs(ours)
            .extend_pairs(more);
        address
    }

    /// What the provider says of whoever brings a code.
    pub(super) async fn claims(
        &self,
        code: &str,
        asked: &Asked<'_>,
    ) -> Result<Map<String, Value>, OidcError> {
        let metadata = self.metadata().await?;
        let tokens = self.exchange(&metadata, code, asked).await?;
        let expected = Expected {
            issuer: &self.issuer,
            client_id: &self.client_id,
            nonce: &asked.nonce,
            now: asked.now,
        };
        let keys = self.keys_for(&metadata, &tokens.id_token).await?;
        let keys: Vec<&Key> = keys.iter().collect();
        let mut claims = token::claims(&tokens.id_token, &keys, &expected)?;
        // Many providers keep groups out of the token, and tell them when asked.
        if !claims.contains_key(asked.groups_claim) && !metadata.userinfo_endpoint.is_empty() {
            let told = self.told(&metadata, &tokens.access_token).await?;
            if told.get("sub") != claims.get("sub") {
                let (what, why) = (
                    "answer about a person",
                    "it is about somebody else".to_owned(),
                );
                return Err(OidcError::Answer { what, why });
            }
            for (name, value) in told {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        code: &str,
        asked: &Asked<'_>,
    ) -> Result<Tokens, OidcError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", asked.redirect.as_str()),
            ("code_verifier", asked.verifier.as_str()),
        ];
        let mut request = self.http.post(&metadata.token_endpoint);
        let Secret(secret) = &self.client_secret;
        let methods = metadata.token_endpoint_auth_methods_supported.as_ref();
        // Where nothing is said it is the header: Discovery 1.0, section 3.
        let takes_header =
            methods.is_none_or(|methods| methods.iter().any(|name| name == "client_secret_basic"));
        if secret.is_empty() || !takes_header {
            form.push(("client_id", &self.client_id));
            if !secret.is_empty() {
                form.push(("client_secret", secret));
            }
        } else {
            request = request.header("authorization", basic(&self.client_id, secret));
        }
        let what = "tokens";
        let body = serde_urlencoded::to_string(form).map_err(|error| OidcError::Answer {
            what,
            why: error.to_string(),
        })?;
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.ask(request, what).await
    }

    async fn told(
        &self,
        metadata: &Metadata,
        access_token: &str,
    ) -> Result<Map<String, Value>, OidcError> {
        let request = self
            .http
            .get(&metadata.userinfo_endpoint)
            .bearer_auth(access_token);
        self.ask(request, "answer about a person").await
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let mut known = self.metadata.lock().await;
        if let Some((at, metadata)) = &*known
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(Arc::clone(metadata));
        }
        let what = "configuration";
        let address = format!(
            "{}/.well-known/openid-configuration",
            self.issuer.trim_end_matches('/')
        );
        let metadata: Metadata = self.ask(self.http.get(address), what).await?;
        if metadata.issuer != self.issuer {
            // Longer than a line only where somebody means harm.
            let named: String = metadata.issuer.escape_debug().take(200).collect();
            let why =
                format!("it is of the issuer `{named}`, and `console.oidc.issuer` names another");
            return Err(OidcError::Answer { what, why });
        }
        let endpoints = [
            &metadata.authorization_endpoint,
            &metadata.token_endpoint,
            &metadata.jwks_uri,
        ];
        let told = Some(&metadata.userinfo_endpoint).filter(|address| !address.is_empty());
        if !endpoints
            .into_iter()
            .chain(told)
            .all(|address| is_safe(address))
        {
            let why = "an address in it is not one of https".to_owned();
            return Err(OidcError::Answer { what, why });
        }
        let metadata = Arc::new(metadata);
        *known = Some((Instant::now(), Arc::clone(&metadata)));
        Ok(metadata)
    }

    /// The keys that may have signed a token.
    async fn keys_for(&self, metadata: &Metadata, id_token: &str) -> Result<Vec<Key>, OidcError> {
        let header = token::header(id_token)?;
        let mut known = self.keys.lock().await;
        let held = known.as_ref().filter(|(at, _)| at.elapsed() < KNOWN_FOR);
        let found = held.map(|(_, keys)| keys.of(&header)).unwrap_or_default();
        let may_ask = known
            .as_ref()
            .is_none_or(|(at, _)| at.elapsed() > KEYS_AGAIN);
        if !found.is_empty() || !may_ask {
            return Ok(found);
        }
        let keys: Keys = self.ask(self.http.get(&metadata.jwks_uri), "keys").await?;
        let found = keys.of(&header);
        *known = Some((Instant::now(), Arc::new(keys)));
        Ok(found)
    }

    /// Asks, and reads no more than an answer may have.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        what: &'static str,
    ) -> Result<T, OidcError> {
        let silent = |source: reqwest::Error| OidcError::Silent {
            what,
            // A code or a token may stand in an address.
            source: source.without_url(),
        };
        let wrong = |why: String| OidcError::Answer { what, why };
        let request = request.header("accept", "application/json");
        let mut answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(silent)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES {
                return Err(wrong("it is too long".to_owned()));
            }
        }
        if status != StatusCode::OK {
            return Err(wrong(format!("it is {status}{}", said(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))
    }
}

/// The provider's word for an error, where it has one: RFC 6749, section 5.2.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match serde_json::from_slice::<Said>(body) {
        Ok(Said { error }) if error.len() < 100 && error.chars().all(is_word) => {
            format!(", {error}")
        }
        _ => String::new(),
    }
}

/// RFC 6749, section 2.3.1: both are encoded as in a form before they are joined.
fn basic(id: &str, secret: &str) -> String {
    let [id, secret] = [id, secret].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
    let joined = format!("{id}:{secret}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(joined);
    format!("Basic {encoded}")
}

//! What a request names, and the `Status` of a refusal.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// A request.
#[derive(Debug)]
pub struct Call<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, still encoded.
    pub path: &'a str,
    /// Its query, still encoded.
    pub query: &'a str,
    /// The type of its body.
    pub content_type: &'a str,
    /// Its body.
    pub body: Option<Value>,
}

impl Call<'_> {
    /// One parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// Its group; empty for the core group.
    pub group: String,
    /// Its plural.
    pub plural: String,
    /// Its namespace, where one is named.
    pub namespace: Option<String>,
    /// The object, where one is named.
    pub name: Option<String>,
    /// `eviction`, `scale`, `status`.
    pub sub: Option<String>,
}

impl Target {
    /// Reads a path.
    pub fn parse(path: &str) -> Result<Self, Trouble> {
        let unknown = || {
            Trouble::new(
                404,
                "NotFound",
                "the server could not find the requested resource",
            )
        };
        let parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => return Err(unknown()),
        };
        let (namespace, rest) = match rest {
            // `namespaces/a` alone is the namespace itself.
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, name, sub) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, sub] => (*plural, Some(*name), Some(*sub)),
            _ => return Err(unknown()),
        };
        Ok(Self {
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            sub: sub.map(str::to_owned),
        })
    }

    /// As RBAC names it: `pods`, `pods/eviction`.
    pub fn resource_and_sub(&self) -> String {
        match &self.sub {
            Some(sub) => format!("{}/{sub}", self.plural),
            None => self.plural.clone(),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// Its HTTP status.
    pub code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Trouble {
    /// A refusal.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    /// The object is not there.
    pub fn not_found(plural: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{plural} \"{name}\" not found"))
    }

    /// With details, as an eviction's refusal has them.
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// The object that says so.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

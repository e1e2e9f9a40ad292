//! Who signed a call: the `userIdentity` of a record, in the forms AWS gives it.
//!
//! Source: the CloudTrail user guide, "CloudTrail userIdentity element".

use serde_json::{Map, Value, json};

use super::calendar::iso;

/// A role's session, or a user's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// When it began.
    pub created: i64,
    /// Whether a second factor was given.
    pub has_mfa: bool,
    /// What whoever took the role first called himself, if the role asks for it.
    pub source_identity: Option<String>,
    /// The provider and its attributes, if a token of the web began it.
    pub web: Option<(String, Value)>,
    /// `1.0` or `2.0`: how an instance was given the role.
    pub ec2_delivery: Option<&'static str>,
}

/// A role as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleName {
    /// The account it is of.
    pub account: String,
    /// `/` or a path such as `/aws-reserved/sso.amazonaws.com/`.
    pub path: String,
    /// Its name.
    pub name: String,
    /// `AROA…`.
    pub id: String,
}

impl RoleName {
    /// Its ARN.
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:iam::{}:role{}{}",
            self.account, self.path, self.name
        )
    }

    /// The ARN of one of its sessions.
    pub fn session_arn(&self, session: &str) -> String {
        format!(
            "arn:aws:sts::{}:assumed-role/{}/{session}",
            self.account, self.name
        )
    }
}

/// Who signed a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A user of IAM, by a long-term key or in a session.
    User {
        /// The account.
        account: String,
        /// The user's name.
        name: String,
        /// `AIDA…`.
        id: String,
        /// The key; nothing when signing in.
        key: Option<String>,
        /// The session, where the key is of one.
        session: Option<Session>,
        /// The service that called for the user.
        invoked_by: Option<&'static str>,
    },
    /// A session of a role.
    Role {
        /// The role.
        role: RoleName,
        /// The session's name.
        name: String,
        /// The session's key.
        key: Option<String>,
        /// The session.
        session: Session,
        /// The service that called in the session.
        invoked_by: Option<&'static str>,
    },
    /// The account itself.
    Root {
        /// The account.
        account: String,
        /// The key; nothing when signing in.
        key: Option<String>,
        /// The session, where there is one.
        session: Option<Session>,
    },
    /// A session that a user made for somebody of his own naming.
    Federated {
        /// The account.
        account: String,
        /// The name that was given.
        name: String,
        /// The session's key.
        key: String,
        /// The session.
        session: Session,
        /// The user who made it: name and `AIDA…`.
        issuer: (String, String),
    },
    /// Somebody with a token of a provider on the web.
    Web {
        /// The provider's ARN.
        provider: String,
        /// The audience.
        audience: String,
        /// The token's subject.
        subject: String,
    },
    /// Somebody with an assertion of the company's provider.
    Saml {
        /// The provider's hash, as in principalId.
        hash: String,
        /// The user's name there.
        name: String,
        /// The provider's ARN.
        provider: String,
    },
    /// Another account, in the log of the one whose role it takes.
    Account {
        /// The calling account.
        account: String,
        /// The caller's principal id.
        principal: String,
    },
    /// A service of AWS.
    Service(&'static str),
    /// An account id and nothing else, as some services write.
    Bare {
        /// The account.
        account: String,
        /// The service.
        invoked_by: &'static str,
    },
}

impl Identity {
    /// The key that signed, if one did.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::User { key, .. } | Self::Role { key, .. } | Self::Root { key, .. } => {
                key.as_deref()
            }
            Self::Federated { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The ARN of the user or role behind it; nothing for services and strangers.
    pub fn principal(&self) -> Option<String> {
        match self {
            Self::User { account, name, .. } => Some(format!("arn:aws:iam::{account}:user/{name}")),
            Self::Role { role, .. } => Some(role.arn()),
            Self::Root { account, .. } => Some(format!("arn:aws:iam::{account}:root")),
            Self::Federated {
                account, issuer, ..
            } => Some(format!("arn:aws:iam::{account}:user/{}", issuer.0)),
            _ => None,
        }
    }

    /// The name of a user who signs for herself.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::User { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The member `userIdentity`.
    pub fn json(&self) -> Value {
        match self {
            Self::User {
                account,
                name,
                id,
                key,
                session,
                invoked_by,
            } => {
                let mut it = object(json!({
                    "type": "IAMUser",
                    "principalId": id,
                    "arn": format!("arn:aws:iam::{account}:user/{name}"),
                    "accountId": account,
                }));
                put(&mut it, "accessKeyId", key.as_deref());
                it.insert("userName".into(), json!(name));
                if let Some(session) = session {
                    it.insert("sessionContext".into(), context(session, None));
                }
                put(&mut it, "invokedBy", *invoked_by);
                it.into()
            }
            Self::Role {
                role,
                name,
                key,
                session,
                invoked_by,
            } => {
                let mut it = object(json!({
                    "type": "AssumedRole",
                    "principalId": format!("{}:{name}", role.id),
                    "arn": role.session_arn(name),
                    "accountId": role.account,
                }));
                put(&mut it, "accessKeyId", key.as_deref());
                let issuer = json!({
                    "type": "Role",
                    "principalId": role.id,
                    "arn": role.arn(),
                    "accountId": role.account,
                    "userName": role.name,
                });
                it.insert("sessionContext".into(), context(session, Some(issuer)));
                put(&mut it, "invokedBy", *invoked_by);
                it.into()
            }
            Self::Root {
                account,
                key,
                session,
            } => {
                let mut it = object(json!({
                    "type": "Root",
                    "principalId": account,
                    "arn": format!("arn:aws:iam::{account}:root"),
                    "accountId": account,
                }));
                put(&mut it, "accessKeyId", Some(key.as_deref().unwrap_or("")));
                if let Some(session) = session {
                    it.insert("sessionContext".into(), context(session, None));
                }
                it.into()
            }
            Self::Federated {
                account,
                name,
                key,
                session,
                issuer,
            } => json!({
                "type": "FederatedUser",
                "principalId": format!("{account}:{name}"),
                "arn": format!("arn:aws:sts::{account}:federated-user/{name}"),
                "accountId": account,
                "accessKeyId": key,
                "sessionContext": context(session, Some(json!({
                    "type": "IAMUser",
                    "principalId": issuer.1,
                    "arn": format!("arn:aws:iam::{account}:user/{}", issuer.0),
                    "accountId": account,
                    "userName": issuer.0,
                }))),
            }),
            Self::Web {
                provider,
                audience,
                subject,
            } => json!({
                "type": "WebIdentityUser",
                "principalId": format!("{provider}:{audience}:{subject}"),
                "userName": subject,
                "identityProvider": provider,
            }),
            Self::Saml {
                hash,
                name,
                provider,
            } => json!({
                "type": "SAMLUser",
                "principalId": format!("{hash}:{name}"),
                "userName": name,
                "identityProvider": provider,
            }),
            Self::Account { account, principal } => json!({
                "type": "AWSAccount",
                "principalId": principal,
                "accountId": account,
            }),
            Self::Service(service) => json!({"type": "AWSService", "invokedBy": service}),
            Self::Bare {
                account,
                invoked_by,
            } => json!({"accountId": account, "invokedBy": invoked_by}),
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(it) => it,
        _ => Map::new(),
    }
}

fn put(it: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        it.insert(name.into(), json!(value));
    }
}

fn context(session: &Session, issuer: Option<Value>) -> Value {
    let mut it = Map::new();
    if let Some(issuer) = issuer {
        it.insert("sessionIssuer".into(), issuer);
    }
    it.insert(
        "webIdFederationData".into(),
        match &session.web {
            Some((provider, attributes)) => {
                json!({"federatedProvider": provider, "attributes": attributes})
            }
            None => json!({}),
        },
    );
    it.insert(
        "attributes".into(),
        json!({
            "creationDate": iso(session.created),
            "mfaAuthenticated": if session.has_mfa { "true" } else { "false" },
        }),
    );
    put(
        &mut it,
        "sourceIdentity",
        session.source_identity.as_deref(),
    );
    put(&mut it, "ec2RoleDelivery", session.ec2_delivery);
    it.into()
}

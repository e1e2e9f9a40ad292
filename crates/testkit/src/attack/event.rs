//! A call, and the record CloudTrail writes of it.
//!
//! Source: the CloudTrail user guide, "CloudTrail record contents". The order of members is AWS's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::agents::Agent;
use super::calendar::iso;
use super::dice::Dice;
use super::identity::Identity;
use super::world::Effect;

/// Whose hand did something: the truth that analysis is to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hand {
    /// The one to whom the credential belongs, or somebody it was given to.
    Owner,
    /// The intruder; or the insider, who is one.
    Intruder,
    /// AWS, for somebody.
    Service,
}

/// What was asked of a service, and what it answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// The first part of `eventSource`.
    pub service: &'static str,
    /// `eventName`.
    pub action: &'static str,
    /// `requestParameters`.
    pub request: Value,
    /// `responseElements`.
    pub response: Value,
    /// `errorCode` and `errorMessage`.
    pub error: Option<(&'static str, String)>,
    /// `additionalEventData`.
    pub additional: Value,
    /// `resources`.
    pub resources: Value,
    /// `eventType`.
    pub kind: &'static str,
    /// `readOnly`.
    pub is_read: bool,
    /// `serviceEventDetails`.
    pub details: Value,
    /// What it changes.
    pub effects: Vec<Effect>,
}

impl Call {
    /// A call that changes something.
    pub fn new(service: &'static str, action: &'static str, request: Value) -> Self {
        Self {
            service,
            action,
            request,
            response: Value::Null,
            error: None,
            additional: Value::Null,
            resources: Value::Null,
            kind: "AwsApiCall",
            is_read: false,
            details: Value::Null,
            effects: Vec::new(),
        }
    }

    /// A call that only looks.
    pub fn read(service: &'static str, action: &'static str, request: Value) -> Self {
        Self {
            is_read: true,
            ..Self::new(service, action, request)
        }
    }

    /// With what was answered.
    #[must_use]
    pub fn answered(mut self, response: Value) -> Self {
        self.response = response;
        self
    }

    /// With what it changes.
    #[must_use]
    pub fn changing(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Refused: nothing is answered, nothing changes.
    #[must_use]
    pub fn refused(mut self, code: &'static str, message: String) -> Self {
        self.error = Some((code, message));
        self.response = Value::Null;
        self.effects.clear();
        self
    }
}

/// Who calls, from where, with what.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who signs.
    pub identity: Arc<Identity>,
    /// Where from: an address, or a service's name.
    pub address: String,
    /// With what.
    pub agent: Agent,
    /// Whose hand it is.
    pub hand: Hand,
    /// The endpoint in a VPC that the call went through.
    pub endpoint: Option<String>,
}

impl Caller {
    /// Somebody who calls over the internet.
    pub fn new(identity: Identity, address: &str, agent: &Agent, hand: Hand) -> Self {
        Self {
            identity: Arc::new(identity),
            address: address.to_owned(),
            agent: agent.clone(),
            hand,
            endpoint: None,
        }
    }

    /// A service, which has a name in place of an address and a tool.
    pub fn service(identity: Identity, name: &'static str) -> Self {
        Self::new(identity, name, &Agent::fixed(name), Hand::Service)
    }

    /// The same caller with another credential.
    pub fn signing(&self, identity: Identity) -> Self {
        Self {
            identity: Arc::new(identity),
            ..self.clone()
        }
    }

    /// The event of a call.
    pub fn call(
        &self,
        dice: &mut Dice,
        at: i64,
        account: &str,
        region: &'static str,
        call: Call,
    ) -> Event {
        Event {
            at,
            id: dice.uuid(),
            request: dice.uuid(),
            account: account.to_owned(),
            region,
            caller: self.clone(),
            shared: None,
            call,
        }
    }
}

/// A call that was made.
#[derive(Debug, Clone)]
pub struct Event {
    /// When, in seconds since 1970.
    pub at: i64,
    /// `eventID`.
    pub id: String,
    /// `requestID`.
    pub request: String,
    /// The account in whose log it stands.
    pub account: String,
    /// `awsRegion`.
    pub region: &'static str,
    /// Who.
    pub caller: Caller,
    /// What the records of several accounts about one call have in common.
    pub shared: Option<String>,
    /// What.
    pub call: Call,
}

/// How a service of some year writes its records: the number behind `1.` in `eventVersion`.
pub type Version = u8;

impl Event {
    /// The version that this service writes today.
    pub fn version(&self) -> Version {
        match self.call.service {
            "signin" | "health" => 8,
            "kms" | "config" => 9,
            "ec2" | "iam" | "servicequotas" => 10,
            "sts" | "cloudtrail" | "lambda" => 11,
            _ => 9,
        }
    }

    /// The record.
    pub fn record(&self, version: Version) -> Value {
        let Self { caller, call, .. } = self;
        let mut it = Map::with_capacity(24);
        let mut put = |name: &str, value: Value| {
            it.insert(name.to_owned(), value);
        };
        let source = format!("{}.amazonaws.com", call.service);
        put("eventVersion", json!(format!("1.{version:02}")));
        put("userIdentity", caller.identity.json());
        put("eventTime", json!(iso(self.at)));
        put("eventSource", json!(source));
        put("eventName", json!(call.action));
        put("awsRegion", json!(self.region));
        put("sourceIPAddress", json!(caller.address));
        put(
            "userAgent",
            json!(caller.agent.text(call.service, call.action)),
        );
        if let Some((code, message)) = &call.error {
            put("errorCode", json!(code));
            put("errorMessage", json!(message));
        }
        put("requestParameters", call.request.clone());
        put("responseElements", call.response.clone());
        // Older records spell out what they do not have.
        if !call.additional.is_null() || version < 7 {
            put("additionalEventData", call.additional.clone());
        }
        if call.kind != "AwsConsoleSignIn" {
            put("requestID", json!(self.request));
        }
        put("eventID", json!(self.id));
        put("readOnly", json!(call.is_read));
        if !call.resources.is_null() || version < 7 {
            put("resources", call.resources.clone());
        }
        put("eventType", json!(call.kind));
        if version < 6 {
            put("apiVersion", json!(api_version(call.service)));
        }
        if version >= 6 {
            put("managementEvent", json!(true));
        }
        put("recipientAccountId", json!(self.account));
        if let Some(shared) = &self.shared {
            put("sharedEventID", json!(shared));
        }
        if let Some(endpoint) = &caller.endpoint {
            put("vpcEndpointId", json!(endpoint));
        }
        if !call.details.is_null() {
            put("serviceEventDetails", call.details.clone());
        }
        if version >= 8 {
            put("eventCategory", json!("Management"));
        }
        let is_over_the_wire = call.kind == "AwsApiCall" && caller.hand != Hand::Service;
        if version >= 8 && is_over_the_wire && !caller.agent.is_browser() {
            let host = match call.service {
                "iam" => source,
                service => format!("{service}.{}.amazonaws.com", self.region),
            };
            put(
                "tlsDetails",
                json!({
                    "tlsVersion": "TLSv1.3",
                    "cipherSuite": "TLS_AES_128_GCM_SHA256",
                    "clientProvidedHostHeader": host,
                }),
            );
        }
        if caller.agent.is_browser() && call.kind == "AwsApiCall" {
            put("sessionCredentialFromConsole", json!("true"));
        }
        it.into()
    }
}

fn api_version(service: &str) -> &'static str {
    match service {
        "ec2" => "2016-11-15",
        "iam" => "2010-05-08",
        "sts" => "2011-06-15",
        _ => "2014-11-01",
    }
}

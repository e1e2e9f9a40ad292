//! From an event to a row.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::LazyLock;

use super::columns::TABLE;
use super::identity::{IDENTITY, Identity};
use super::judge;
use super::machines::Machines;
use crate::read::documents::{Forms, Record, Shape, place};
use crate::read::interfaces;
use crate::read::members::{Members, Names};
use crate::read::recipe::{Value, put};
use crate::read::{Cell, Object, Order, Sink, moment};
use crate::table::Kind;

/// The member of an answer of `LookupEvents` with the text of an event; its others repeat some of it.
const LOOKED_UP: &str = "CloudTrailEvent";

/// The members of an event and of what is around events, in the order of [`COLUMNS`].
const NAMES: &[&str] = &[
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "eventID",
    "requestID",
    "eventType",
    "eventCategory",
    "eventVersion",
    "apiVersion",
    "readOnly",
    "managementEvent",
    "recipientAccountId",
    "sharedEventID",
    "vpcEndpointId",
    "vpcEndpointAccountId",
    "sessionCredentialFromConsole",
    "userIdentity",
    "requestParameters",
    "responseElements",
    "additionalEventData",
    "serviceEventDetails",
    "resources",
    "insightDetails",
    "tlsDetails",
    "addendum",
    "edgeDeviceDetails",
    "detail",
    "records",
    "events",
    "logEvents",
    "message",
    "messageType",
    LOOKED_UP,
];

/// The columns that the members fill.
const COLUMNS: &[&str] = &[
    "event_time",
    "event_source",
    "event_name",
    "aws_region",
    "source_ip_address",
    "user_agent",
    "error_code",
    "error_message",
    "event_id",
    "request_id",
    "event_type",
    "event_category",
    "event_version",
    "api_version",
    "read_only",
    "management_event",
    "recipient_account_id",
    "shared_event_id",
    "vpc_endpoint_id",
    "vpc_endpoint_account_id",
    "session_credential_from_console",
    "user_identity",
    "request_parameters",
    "response_elements",
    "additional_event_data",
    "service_event_details",
    "resources",
    "insight_details",
    "tls_details",
    "addendum",
    "edge_device_details",
];

static EVENT: LazyLock<Names> = LazyLock::new(|| Names::new(NAMES));

const FORMS: Forms = Forms {
    streamed: &["records", "events"],
    lists: &["records", "events", "logEvents"],
    envelopes: &["detail"],
    texts: &[LOOKED_UP, "message"],
    is_prefixed: false,
};

/// An object with two of these is an event.
const PARTS: &[&str] = &[
    "eventTime",
    "eventName",
    "eventSource",
    "eventID",
    "eventVersion",
];

/// What fills a cell.
#[derive(Debug, Clone, Copy)]
enum Filling {
    Member(usize),
    Identity(usize),
    OfIdentity(fn(&Identity<'_>) -> Option<String>),
    Principal,
    KeyKind,
    Account,
    Region,
    EventEpoch,
    WindowStart,
    WindowEpoch,
    SourceIsAddress,
    SourceIsPublic,
    ErrorKind,
    Machines(fn(&Machines) -> Value<'_>),
    FirstOf(&'static [&'static str]),
    IsConsoleSession,
    Source,
}

/// Makes rows of events.
pub(super) struct Events {
    fillings: Vec<(Filling, Cell, Kind)>,
    wants_identity: bool,
    object: Object,
}

impl Events {
    pub fn new(order: &Order, object: &Object) -> Self {
        let of_cell = |(cell, column): (Cell, &usize)| {
            let column = &TABLE.columns[*column];
            (Filling::of(column.name), cell, column.kind)
        };
        let fillings: Vec<_> = order.columns.iter().enumerate().map(of_cell).collect();
        let of_identity = |(filling, _, _): &(Filling, Cell, Kind)| {
            matches!(
                filling,
                Filling::Identity(_)
                    | Filling::OfIdentity(_)
                    | Filling::Principal
                    | Filling::KeyKind
                    | Filling::Account
            )
        };
        Self {
            wants_identity: fillings.iter().any(of_identity),
            fillings,
            object: object.clone(),
        }
    }

    fn value<'a>(
        &'a self,
        filling: Filling,
        members: &Members<'a>,
        identity: &Identity<'a>,
        machines: &'a OnceCell<Machines>,
        number: u64,
    ) -> Value<'a> {
        let seconds = || members.text("eventTime").and_then(|at| moment::micros(&at));
        let address = || {
            let text = members.text("sourceIPAddress")?;
            Some(judge::address(&text))
        };
        match filling {
            Filling::Member(member) => Value::Written(members.at(member)),
            Filling::Identity(part) => Value::Written(identity.parts[part]),
            Filling::OfIdentity(find) => Value::owned(find(identity)),
            Filling::Principal => Value::Text(judge::actor(|path| identity.text(path))),
            Filling::KeyKind => {
                let key = identity.text("accessKeyId");
                Value::Text(key.and_then(|key| judge::key_kind(&key)).map(Cow::Borrowed))
            }
            Filling::Account => {
                let of_key = || self.object.account.as_deref().map(Cow::Borrowed);
                let said = members
                    .text("recipientAccountId")
                    .or_else(|| identity.text("accountId"));
                Value::Text(said.or_else(of_key))
            }
            Filling::Region => {
                let of_key = || self.object.region.as_deref().map(Cow::Borrowed);
                Value::Text(members.text("awsRegion").or_else(of_key))
            }
            Filling::EventEpoch => Value::Integer(seconds().map(moment::epoch)),
            Filling::WindowStart => {
                let window = seconds().map(|at| moment::window(moment::epoch(at)));
                Value::Time(window.map(|window| window * moment::MICROS))
            }
            Filling::WindowEpoch => {
                Value::Integer(seconds().map(|at| moment::window(moment::epoch(at))))
            }
            Filling::SourceIsAddress => Value::Boolean(address().map(|found| found.is_some())),
            Filling::SourceIsPublic => Value::Boolean(
                address().map(|found| found.is_some_and(davylamp_detect::address::is_public)),
            ),
            Filling::ErrorKind => {
                let code = members.text("errorCode").unwrap_or_default();
                Value::Text(Some(Cow::Borrowed(judge::error_kind(&code))))
            }
            Filling::Machines(find) => {
                let of_event = || {
                    let present = |name| members.get(name).filter(|json| *json != b"null");
                    Machines::of(
                        &members.text("eventName").unwrap_or_default(),
                        present("requestParameters"),
                        present("responseElements"),
                        present("serviceEventDetails"),
                    )
                };
                find(machines.get_or_init(of_event))
            }
            Filling::FirstOf(paths) => {
                Value::Text(paths.iter().find_map(|path| members.text_at(path)))
            }
            Filling::IsConsoleSession => {
                let said = members.text("sessionCredentialFromConsole");
                Value::Boolean(Some(said.is_some_and(|said| said == "true")))
            }
            Filling::Source => Value::owned(Some(place(&self.object, number))),
        }
    }
}

impl Shape for Events {
    fn names(&self) -> &'static Names {
        &EVENT
    }

    fn forms(&self) -> &'static Forms {
        &FORMS
    }

    fn is_record(&self, members: &Members<'_>) -> bool {
        let parts = PARTS.iter().filter(|part| members.has(part));
        !members.has(LOOKED_UP) && parts.count() >= 2
    }

    /// A subscription of CloudWatch Logs begins by seeing whether somebody is there.
    fn is_beside(&self, members: &Members<'_>) -> bool {
        members.text("messageType").as_deref() == Some("CONTROL_MESSAGE")
    }

    fn row(&self, record: &Record<'_>, sink: &mut Sink) {
        let members = record.members;
        let identity = match members.get("userIdentity") {
            Some(identity) if self.wants_identity => Identity::of(identity),
            _ => Identity::default(),
        };
        let machines = OnceCell::new();
        for (filling, cell, kind) in &self.fillings {
            let value = self.value(*filling, members, &identity, &machines, record.number);
            put(
                value,
                *kind,
                *cell,
                || place(&self.object, record.number),
                sink,
            );
        }
        sink.end_row();
    }
}

impl Filling {
    fn of(column: &str) -> Self {
        if let Some(member) = COLUMNS.iter().position(|name| *name == column) {
            return Self::Member(member);
        }
        if let Some(part) = IDENTITY.iter().position(|(_, name)| *name == column) {
            return Self::Identity(part);
        }
        match column {
            "account_id" => Self::Account,
            "region" => Self::Region,
            "event_epoch" => Self::EventEpoch,
            "window_start" => Self::WindowStart,
            "window_epoch" => Self::WindowEpoch,
            "principal" => Self::Principal,
            "session_name" => Self::OfIdentity(|identity| {
                let id = identity.text("principalId")?;
                let (_, name) = id.split_once(':')?;
                (!name.is_empty()).then(|| name.to_owned())
            }),
            "key_kind" => Self::KeyKind,
            "source_is_address" => Self::SourceIsAddress,
            "source_is_public" => Self::SourceIsPublic,
            "error_kind" => Self::ErrorKind,
            "instance_ids" => Self::Machines(|machines| text(&machines.ids)),
            interfaces::COLUMN => Self::Machines(|machines| text(&machines.interfaces)),
            "instance_types" => Self::Machines(|machines| text(&machines.types)),
            "instance_count" => Self::Machines(|machines| Value::Integer(machines.count)),
            "vcpus" => Self::Machines(|machines| Value::Integer(machines.vcpus)),
            "gpu" => Self::Machines(|machines| Value::Boolean(machines.has_accelerator)),
            "price_per_hour" => Self::Machines(|machines| Value::Float(machines.price_per_hour)),
            "opens_public" => {
                Self::Machines(|machines| Value::Boolean(Some(machines.opens_public)))
            }
            "disables_termination" => {
                Self::Machines(|machines| Value::Boolean(Some(machines.is_protected)))
            }
            "new_key_id" => Self::FirstOf(&[
                "responseElements.accessKey.accessKeyId",
                "responseElements.credentials.accessKeyId",
            ]),
            "target_user" => Self::FirstOf(&[
                "requestParameters.userName",
                "responseElements.accessKey.userName",
                "responseElements.loginProfile.userName",
            ]),
            "target_role" => Self::FirstOf(&["requestParameters.roleName"]),
            "policy_arn" => Self::FirstOf(&["requestParameters.policyArn"]),
            "console_mfa" => Self::FirstOf(&["additionalEventData.MFAUsed"]),
            "is_console_session" => Self::IsConsoleSession,
            _ => Self::Source,
        }
    }
}

fn text(text: &Option<String>) -> Value<'_> {
    Value::Text(text.as_deref().map(Cow::Borrowed))
}

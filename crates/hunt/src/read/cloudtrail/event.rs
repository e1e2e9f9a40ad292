//! From an event to a row.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::columns::TABLE;
use super::identity::{IDENTITY, Identity};
use super::judge;
use crate::read::json::text_of;
use crate::read::{Cell, Object, Order, Sink};
use crate::table::Kind;

/// The length of the windows of `window_start`, in microseconds.
const WINDOW_MICROS: i64 = 300_000_000;

/// The members of an event that have a column of their own or hold what has one, in the order of
/// [`MEMBERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member(usize);

/// The names of an event's members, and the columns they fill.
const MEMBERS: &[(&str, &str)] = &[
    ("eventTime", "event_time"),
    ("eventSource", "event_source"),
    ("eventName", "event_name"),
    ("awsRegion", "aws_region"),
    ("sourceIPAddress", "source_ip_address"),
    ("userAgent", "user_agent"),
    ("errorCode", "error_code"),
    ("errorMessage", "error_message"),
    ("eventID", "event_id"),
    ("requestID", "request_id"),
    ("eventType", "event_type"),
    ("eventCategory", "event_category"),
    ("eventVersion", "event_version"),
    ("apiVersion", "api_version"),
    ("readOnly", "read_only"),
    ("managementEvent", "management_event"),
    ("recipientAccountId", "recipient_account_id"),
    ("sharedEventID", "shared_event_id"),
    ("vpcEndpointId", "vpc_endpoint_id"),
    ("vpcEndpointAccountId", "vpc_endpoint_account_id"),
    (
        "sessionCredentialFromConsole",
        "session_credential_from_console",
    ),
    ("userIdentity", "user_identity"),
    ("requestParameters", "request_parameters"),
    ("responseElements", "response_elements"),
    ("additionalEventData", "additional_event_data"),
    ("serviceEventDetails", "service_event_details"),
    ("resources", "resources"),
    ("insightDetails", "insight_details"),
    ("tlsDetails", "tls_details"),
    ("addendum", "addendum"),
    ("edgeDeviceDetails", "edge_device_details"),
    ("detail", ""),
    ("records", ""),
];

/// The members by the length of their names, since every key of every event is looked up.
static BY_LENGTH: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
    let mut by_length = vec![
        Vec::new();
        1 + MEMBERS
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0)
    ];
    for (member, (name, _)) in MEMBERS.iter().enumerate() {
        by_length[name.len()].push(member);
    }
    by_length
});

const TIME: Member = member("eventTime");
const SOURCE_NAME: Member = member("eventSource");
const NAME: Member = member("eventName");
const ADDRESS: Member = member("sourceIPAddress");
const ERROR_CODE: Member = member("errorCode");
const ERROR_MESSAGE: Member = member("errorMessage");
const ID: Member = member("eventID");
const VERSION: Member = member("eventVersion");
const USER_IDENTITY: Member = member("userIdentity");
const REQUEST: Member = member("requestParameters");
const RESPONSE: Member = member("responseElements");
const DETAIL: Member = member("detail");
const RECORDS: Member = member("records");

const fn member(name: &str) -> Member {
    let mut at = 0;
    while at < MEMBERS.len() {
        if is_same(MEMBERS[at].0.as_bytes(), name.as_bytes()) {
            return Member(at);
        }
        at += 1;
    }
    panic!("there is no such member")
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// An event: its members as they are written.
#[derive(Debug, Clone)]
pub(super) struct Event<'a> {
    members: [Option<&'a [u8]>; MEMBERS.len()],
}

impl Default for Event<'_> {
    fn default() -> Self {
        Self {
            members: [None; MEMBERS.len()],
        }
    }
}

impl<'a> Event<'a> {
    /// Takes a member. Of one that comes twice, the last counts, as in JavaScript and most readers.
    pub fn member(&mut self, key: &[u8], value: &'a [u8]) {
        let alike = BY_LENGTH
            .get(key.len())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let found = alike
            .iter()
            .copied()
            .find(|member| MEMBERS[*member].0.as_bytes() == key)
            .or_else(|| {
                MEMBERS
                    .iter()
                    .position(|(name, _)| is_spelt_otherwise(name, key))
            });
        if let Some(member) = found {
            self.members[member] = Some(value);
        }
    }

    /// Whether it has what makes an event.
    pub fn is_one(&self) -> bool {
        let has = |member: Member| self.members[member.0].is_some();
        let parts = [TIME, NAME, SOURCE_NAME, ID, VERSION];
        parts.iter().filter(|part| has(**part)).count() >= 2
    }

    /// The event in EventBridge's envelope.
    pub fn detail(&self) -> Option<&'a [u8]> {
        self.get(DETAIL)
    }

    /// The list of events, where it does not stand first.
    pub fn records(&self) -> Option<&'a [u8]> {
        self.get(RECORDS)
            .filter(|records| records.first() == Some(&b'['))
    }

    fn get(&self, member: Member) -> Option<&'a [u8]> {
        self.members[member.0]
    }

    fn text(&self, member: Member) -> Option<Cow<'a, str>> {
        self.get(member).and_then(text_of)
    }
}

/// `EventName`, `event_name` and the like.
fn is_spelt_otherwise(name: &str, key: &[u8]) -> bool {
    let mut plain = key
        .iter()
        .filter(|byte| **byte != b'_')
        .map(u8::to_ascii_lowercase);
    key.len() >= name.len()
        && name
            .bytes()
            .all(|byte| plain.next() == Some(byte.to_ascii_lowercase()))
        && plain.next().is_none()
}

/// What fills a cell.
#[derive(Debug, Clone, Copy)]
enum Filling {
    Member(Member, Kind),
    Identity(usize, Kind),
    SourceIsAddress,
    SourceIsPublic,
    KeyKind,
    ErrorKind,
    InstanceIds,
    InstanceCount,
    Principal,
    WindowStart,
    Source,
}

/// Makes rows of events.
pub(super) struct Events {
    fillings: Vec<(Filling, Cell)>,
    wants_identity: bool,
    name: std::sync::Arc<str>,
}

impl Events {
    pub fn new(order: &Order, object: &Object) -> Self {
        let fillings: Vec<_> = order
            .columns
            .iter()
            .enumerate()
            .map(|(cell, column)| (Filling::of(*column), cell))
            .collect();
        let of_identity = |(filling, _): &(Filling, Cell)| {
            matches!(
                filling,
                Filling::Identity(..) | Filling::KeyKind | Filling::Principal
            )
        };
        Self {
            wants_identity: fillings.iter().any(of_identity),
            fillings,
            name: std::sync::Arc::clone(&object.name),
        }
    }

    /// The place of a record, as shown.
    pub fn place(&self, record: u64) -> String {
        format!("{}:{record}", self.name)
    }

    /// Makes a row of an event that is UTF-8.
    pub fn row(&self, event: &Event<'_>, record: u64, sink: &mut Sink) {
        let identity = match event.get(USER_IDENTITY) {
            Some(identity) if self.wants_identity => Identity::of(identity),
            _ => Identity::default(),
        };
        for (filling, cell) in &self.fillings {
            self.fill(*filling, *cell, event, &identity, record, sink);
        }
        sink.end_row();
    }

    fn fill(
        &self,
        filling: Filling,
        cell: Cell,
        event: &Event<'_>,
        identity: &Identity<'_>,
        record: u64,
        sink: &mut Sink,
    ) {
        match filling {
            Filling::Member(member, kind) => {
                self.value(event.get(member), kind, cell, record, sink);
            }
            Filling::Identity(part, kind) => {
                self.value(identity.parts[part], kind, cell, record, sink);
            }
            Filling::SourceIsAddress => {
                let is_address = event
                    .text(ADDRESS)
                    .map(|text| judge::address(&text).is_some());
                sink.rows.boolean(cell, is_address);
            }
            Filling::SourceIsPublic => {
                let address = event.text(ADDRESS).and_then(|text| judge::address(&text));
                let is_public = address.map(davylamp_detect::address::is_public);
                sink.rows.boolean(cell, is_public);
            }
            Filling::KeyKind => {
                let kind = identity
                    .text("accessKeyId")
                    .map(|key| judge::key_kind(&key));
                sink.rows.text(cell, kind);
            }
            Filling::ErrorKind => {
                let message = event.text(ERROR_MESSAGE);
                let kind = event
                    .text(ERROR_CODE)
                    .map(|code| judge::error_kind(&code, message.as_deref().unwrap_or_default()));
                sink.rows.text(cell, kind);
            }
            Filling::InstanceIds | Filling::InstanceCount => {
                let parts = [event.get(REQUEST), event.get(RESPONSE)];
                let ids = judge::instance_ids(parts.into_iter().flatten());
                if matches!(filling, Filling::InstanceCount) {
                    sink.rows.integer(cell, i64::try_from(ids.len()).ok());
                } else {
                    let joined = (!ids.is_empty()).then(|| ids.join(","));
                    sink.rows.text(cell, joined.as_deref());
                }
            }
            Filling::Principal => {
                let principal = judge::principal(|path| identity.text(path));
                sink.rows.text(cell, principal.as_deref());
            }
            Filling::WindowStart => {
                let at = event.text(TIME).and_then(|text| judge::micros(&text));
                sink.rows
                    .time(cell, at.map(|at| at - at.rem_euclid(WINDOW_MICROS)));
            }
            Filling::Source => sink.rows.text(cell, Some(&self.place(record))),
        }
    }

    fn value(&self, value: Option<&[u8]>, kind: Kind, cell: Cell, record: u64, sink: &mut Sink) {
        let text = value.and_then(text_of);
        let is_understood = match kind {
            Kind::Text => {
                sink.rows.text(cell, text.as_deref());
                true
            }
            Kind::Boolean => {
                let truth = text.as_deref().and_then(judge::truth);
                sink.rows.boolean(cell, truth);
                truth.is_some()
            }
            Kind::Time => {
                let at = text.as_deref().and_then(judge::micros);
                sink.rows.time(cell, at);
                at.is_some()
            }
            Kind::Integer => {
                let number = text.as_deref().and_then(|text| text.parse().ok());
                sink.rows.integer(cell, number);
                number.is_some()
            }
        };
        let is_null = value.is_none_or(|value| value == b"null");
        if !is_null && (!is_understood || text.is_none()) {
            sink.tally.bad_values += 1;
            let shown: String = text.unwrap_or_default().chars().take(40).collect();
            let what = format!("`{shown}` is not what its column holds");
            sink.tally.sample(|| self.place(record), what);
        }
    }
}

impl Filling {
    fn of(column: usize) -> Self {
        let column = &TABLE.columns[column];
        let at = |names: &[(&str, &str)]| names.iter().position(|(_, name)| *name == column.name);
        if let Some(member) = at(MEMBERS) {
            return Self::Member(Member(member), column.kind);
        }
        if let Some(part) = at(IDENTITY) {
            return Self::Identity(part, column.kind);
        }
        match column.name {
            "source_is_address" => Self::SourceIsAddress,
            "source_is_public" => Self::SourceIsPublic,
            "key_kind" => Self::KeyKind,
            "error_kind" => Self::ErrorKind,
            "instance_ids" => Self::InstanceIds,
            "instance_count" => Self::InstanceCount,
            "principal" => Self::Principal,
            "window_start" => Self::WindowStart,
            _ => Self::Source,
        }
    }
}

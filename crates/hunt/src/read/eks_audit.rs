//! The audit log of Kubernetes, as EKS delivers it: who asked a cluster for what.
//!
//! As events one a line, in CloudWatch Logs's exports (with a time before each), in subscriptions
//! and query results (as the text of `message`), and in an `EventList`. Source: the Kubernetes
//! documentation, "Auditing", `audit.k8s.io/v1`.
//!
//! What must stay true: what a workload may do is looked for at any depth of request and response,
//! since each kind of workload nests its pods differently.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::documents::Forms;
use super::json::{Walk, text_of};
use super::leaves::{leaves, name};
use super::members::{Members, Names, Texts, items, truth};
use super::recipe::{self, Recipe, Row, Value};
use super::{Log, Object, Order, Reader, Spelling, names};
use crate::read::dns_query::in_text;
use crate::table::{Column, SOURCE, Table, boolean, integer, text, time};

const ANONYMOUS_USER: &str = "system:anonymous";
const ANONYMOUS_GROUP: &str = "system:unauthenticated";

/// Users that Kubernetes and EKS act as themselves.
const SYSTEM_USERS: &[&str] = &["system:", "eks:"];

/// Service accounts are users of the system only in its own namespaces.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const SYSTEM_NAMESPACES: &[&str] = &["kube-system", "kube-public", "kube-node-lease"];

/// The annotation that says whether a request was allowed.
const DECISION: &[u8] = b"authorization.k8s.io/decision";

/// How the log group of a cluster is named, around the cluster's name.
const GROUP: (&str, &str) = ("/aws/eks/", "/cluster");

/// The log stream of the audit log among those of a cluster's group.
const STREAM: &str = "kube-apiserver-audit";

const COLUMNS: &[Column] = &[
    time("received_at", "when the request came"),
    time("stage_at", "when it reached its stage"),
    text("audit_id", "the id of the request; each stage repeats it").verbatim(),
    text(
        "stage",
        "RequestReceived, ResponseStarted, ResponseComplete or Panic",
    )
    .verbatim(),
    text("verb", "what was asked for, such as create").verbatim(),
    text("request_uri", "the path and the query"),
    text("user", "who asked").verbatim(),
    text("groups", "the groups of the user, joined by commas"),
    text(
        "source_ips",
        "the addresses the request came from, joined by commas",
    ),
    text("user_agent", "what asked"),
    text("resource", "the resource, in the plural").verbatim(),
    text("subresource", "such as exec, where it is about one").verbatim(),
    text("namespace", "the namespace").verbatim(),
    text(
        "name",
        "the name of the object; of one without, the name it was given",
    ),
    text("api_group", "the group of the API").verbatim(),
    integer("response_code", "the code of the answer"),
    text("decision", "allow or forbid"),
    text("request_object", "what was sent, as JSON"),
    text("response_object", "what was answered, as JSON"),
    text("account_id", "the account, where the log says it"),
    text("region", "the region, where the object's key names it"),
    integer("received_epoch", "received_at in seconds since 1970").computed(),
    text(
        "cluster",
        "the cluster, by its log group or the object's key",
    )
    .computed(),
    boolean("is_anonymous", "whether nobody had logged in").computed(),
    boolean("is_system", "whether Kubernetes or EKS itself asked").computed(),
    text("command", "the command that was run in a pod").computed(),
    text(
        "images",
        "every image in request and response, joined by commas",
    )
    .computed(),
    boolean(
        "privileged",
        "whether a container may do anything; NULL where no object was logged",
    )
    .computed(),
    boolean("host_path", "whether a folder of the machine is mounted").computed(),
    boolean("host_network", "whether the machine's network is used").computed(),
    boolean("host_pid", "whether the machine's processes are seen").computed(),
    SOURCE,
];

/// The table of Kubernetes's audit log.
pub static TABLE: Table = Table {
    name: "eks_audit",
    about: "a request to a Kubernetes cluster, at one of its stages",
    time: "received_at",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    table: &TABLE,
    names: Names::new(&[
        "auditID",
        "stage",
        "verb",
        "requestURI",
        "user",
        "sourceIPs",
        "userAgent",
        "objectRef",
        "responseStatus",
        "requestObject",
        "responseObject",
        "requestReceivedTimestamp",
        "stageTimestamp",
        "annotations",
        "items",
        "logEvents",
        "events",
        "message",
        "log",
        "messageType",
        "owner",
        "logGroup",
        "logStream",
        "logStreamName",
    ]),
    forms: Forms {
        streamed: &["items"],
        lists: &["items", "logEvents", "events"],
        envelopes: &[],
        texts: &["message", "log"],
        is_prefixed: true,
    },
    is_record: |members| {
        let has = |name| members.has(name);
        (has("auditID") && (has("requestURI") || has("verb") || has("objectRef")))
            || (has("requestURI") && has("verb"))
    },
    is_beside: is_of_another_stream,
    written: &[
        ("received_at", "requestReceivedTimestamp"),
        ("stage_at", "stageTimestamp"),
        ("audit_id", "auditID"),
        ("stage", "stage"),
        ("verb", "verb"),
        ("request_uri", "requestURI"),
        ("user", "user.username"),
        ("user_agent", "userAgent"),
        ("resource", "objectRef.resource"),
        ("subresource", "objectRef.subresource"),
        ("namespace", "objectRef.namespace"),
        ("api_group", "objectRef.apiGroup"),
        ("response_code", "responseStatus.code"),
        ("request_object", "requestObject"),
        ("response_object", "responseObject"),
    ],
    computed: &[
        ("groups", |row| {
            Value::owned(all(row.members.dig("user.groups")).joined())
        }),
        ("source_ips", |row| {
            Value::owned(all(row.members.get("sourceIPs")).joined())
        }),
        ("name", |row| {
            let said = row.members.text_at("objectRef.name");
            Value::Text(said.or_else(|| row.members.text_at("responseObject.metadata.name")))
        }),
        ("decision", |row| Value::Text(decision(row))),
        ("account_id", |row| {
            Value::Text(row.outer_text("owner").or_else(|| row.key_account()))
        }),
        ("region", |row| Value::Text(row.key_region())),
        ("received_epoch", |row| {
            Value::Integer(row.epoch("requestReceivedTimestamp"))
        }),
        ("cluster", |row| Value::owned(cluster(row))),
        ("is_anonymous", |row| {
            let user = row.members.text_at("user.username");
            let groups = all(row.members.dig("user.groups"));
            let is_anonymous = user.as_deref() == Some(ANONYMOUS_USER)
                || groups
                    .as_slice()
                    .iter()
                    .any(|group| group == ANONYMOUS_GROUP);
            Value::Boolean(Some(is_anonymous))
        }),
        ("is_system", |row| {
            let user = row.members.text_at("user.username");
            Value::Boolean(Some(user.is_some_and(|user| is_system(&user))))
        }),
        ("command", |row| Value::owned(command(row))),
        ("images", |row| {
            let mut images = Texts::default();
            for object in objects(row) {
                leaves(object, |keys, value| {
                    if keys.last() == Some(&&b"image"[..]) {
                        images.add_value(Some(value));
                    }
                });
            }
            Value::owned(images.joined())
        }),
        ("privileged", |row| {
            may(row, |keys, value| {
                name(keys) == b"privileged" && is_true(value)
            })
        }),
        ("host_path", |row| {
            may(row, |keys, _| keys.contains(&&b"hostPath"[..]))
        }),
        ("host_network", |row| {
            may(row, |keys, value| {
                name(keys) == b"hostNetwork" && is_true(value)
            })
        }),
        ("host_pid", |row| {
            may(row, |keys, value| {
                name(keys) == b"hostPID" && is_true(value)
            })
        }),
    ],
});

/// Kubernetes's audit log.
#[derive(Debug)]
pub struct EksAudit;

impl Log for EksAudit {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        let has = |key: &str| names(head, key) || in_text(head, key);
        memchr::memmem::find(head, b"audit.k8s.io/").is_some()
            || memchr::memmem::find(head, b"audit.k8s.io\\/").is_some()
            || (has("auditID") && has("requestURI"))
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        recipe::open(&RECIPE, order, object)
    }
}

/// What a subscription says of itself, and what comes from a cluster's other logs, which share the
/// group with this one.
fn is_of_another_stream(members: &Members<'_>) -> bool {
    let is_control = members
        .text("messageType")
        .is_some_and(|kind| kind == "CONTROL_MESSAGE");
    let stream = members
        .text("logStream")
        .or_else(|| members.text("logStreamName"));
    is_control || stream.is_some_and(|stream| !stream.starts_with(STREAM))
}

fn all(list: Option<&[u8]>) -> Texts<'_> {
    let mut texts = Texts::default();
    for item in items(list) {
        texts.add_value(Some(item));
    }
    texts
}

fn decision<'a>(row: &Row<'a>) -> Option<Cow<'a, str>> {
    let mut found = None;
    // What comes before a fault counts. The key has dots, so it is no path.
    let _ = Walk::at(row.members.get("annotations")?, 0).object(|key, value| {
        if key == DECISION || key == b"authorization.k8s.io\\/decision" {
            found = Some(value);
        }
    });
    found.and_then(text_of)
}

fn cluster(row: &Row<'_>) -> Option<String> {
    let of_group = |text: &str| {
        let (_, after) = text.split_once(GROUP.0)?;
        let (cluster, _) = after.split_once(GROUP.1)?;
        (!cluster.is_empty() && !cluster.contains('/')).then(|| cluster.to_owned())
    };
    let by_log = row
        .outer_text("logGroup")
        .and_then(|group| of_group(&group));
    by_log.or_else(|| of_group(&format!("/{}", row.object.name)))
}

fn is_system(user: &str) -> bool {
    if let Some(account) = user.strip_prefix(SERVICE_ACCOUNT) {
        let namespace = account.split(':').next().unwrap_or_default();
        return SYSTEM_NAMESPACES.contains(&namespace);
    }
    user != ANONYMOUS_USER && SYSTEM_USERS.iter().any(|known| user.starts_with(known))
}

/// The words of the query's `command`s, or those that were sent.
fn command(row: &Row<'_>) -> Option<String> {
    let uri = row.members.text("requestURI").unwrap_or_default();
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let asked: Vec<String> = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("command="))
        .map(unescaped)
        .collect();
    if !asked.is_empty() {
        return Some(asked.join(" "));
    }
    let sent: Vec<_> = items(row.members.dig("requestObject.command"))
        .into_iter()
        .filter_map(text_of)
        .collect();
    (!sent.is_empty()).then(|| sent.join(" "))
}

/// What a value of a query says (WHATWG URL, "application/x-www-form-urlencoded parsing").
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                is_hex.then(|| u8::from_str_radix(digits, 16).ok())?
            });
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What was sent and what was answered, as far as it was logged.
fn objects<'a>(row: &Row<'a>) -> impl Iterator<Item = &'a [u8]> {
    let found = ["requestObject", "responseObject"].map(|name| row.members.get(name));
    found
        .into_iter()
        .flatten()
        .filter(|object| *object != b"null")
}

fn is_true(value: &[u8]) -> bool {
    text_of(value).and_then(|text| truth(&text)) == Some(true)
}

/// Whether something stands in what was sent or answered.
fn may<'a>(row: &Row<'a>, is_it: impl Fn(&[&[u8]], &[u8]) -> bool) -> Value<'a> {
    let mut found = None;
    for object in objects(row) {
        let found = found.get_or_insert(false);
        leaves(object, |keys, value| *found |= is_it(keys, value));
    }
    Value::Boolean(found)
}

/// The name of a kind in the singular: `pods` is `pod`.
pub(super) fn singular(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    match kind.strip_suffix('s') {
        Some(one) if !one.ends_with('s') => one.to_owned(),
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_as_it_was_run() {
        assert_eq!(
            unescaped("curl+-s+http%3A%2F%2Fa%20b%"),
            "curl -s http://a b%"
        );
        assert_eq!(unescaped("%zz%+1%e2%82"), "%zz% 1\u{fffd}");
    }

    #[test]
    fn the_system_is_told_from_workloads() {
        for (user, expected) in [
            ("system:node:ip-10-0-0-1", true),
            (
                "system:serviceaccount:kube-system:daemon-set-controller",
                true,
            ),
            ("eks:addon-manager", true),
            ("system:serviceaccount:hub:default", false),
            ("system:anonymous", false),
            ("ada@example.org", false),
        ] {
            assert_eq!(is_system(user), expected, "{user}");
        }
    }
}

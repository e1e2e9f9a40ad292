//! The guard's own log: what it saw and did, with the keys that cryptnono has and Davylamp's own
//! (`davylamp_model::guard_event`).
//!
//! One JSON object a line, also behind what a container runtime writes before it, and inside the
//! text of what a collector made of it. Lines about the guard itself are rows as well: their other
//! columns are NULL.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::documents::Forms;
use super::json::{Walk, text_of};
use super::members::Names;
use super::recipe::{self, Recipe, Row, Value};
use super::{Log, Object, Order, Reader, Spelling, names};
use crate::read::dns_query::in_text;
use crate::table::{Column, SOURCE, Table, integer, text, time};

/// The labels in which Kubernetes's runtimes say whose a container is.
const POD_LABEL: &str = "io.kubernetes.pod.name";
const NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";
const CONTAINER_LABEL: &str = "io.kubernetes.container.name";

/// The label in which JupyterHub says whose a pod is.
const HUB_USER_LABEL: &str = "hub.jupyter.org/username";

const COLUMNS: &[Column] = &[
    time("timestamp", "when it happened"),
    text("event", "what was done, as a sentence").verbatim(),
    text("action", "killed, spared, held, would-kill or missed").verbatim(),
    integer("pid", "the process"),
    text("cmdline", "its arguments, as a shell would take them"),
    text("matched", "the string that matched").verbatim(),
    text("source", "what saw it: at exec, in a sweep, after a hold").verbatim(),
    text("exe", "the path of its executable").verbatim(),
    text("container_type", "which API described the container").verbatim(),
    text("image", "the image of the container").verbatim(),
    text("level", "info, or warning where somebody should look").verbatim(),
    text("labels", "the labels of the container, as JSON"),
    text("detection", "the named behaviour that was seen").verbatim(),
    text(
        "list_group",
        "the group of the blocklist that matched, in the log `group`",
    )
    .verbatim(),
    text("matched_in", "arguments, path, executable or environment").verbatim(),
    text("allowedby", "what allowed it").verbatim(),
    integer("ppid", "the parent process"),
    integer("uid", "the user of the operating system"),
    text("cgroup", "the cgroup's path").verbatim(),
    text("container_id", "the container").verbatim(),
    text("ancestry", "its ancestors, as JSON"),
    text("hub_user", "the user of JupyterHub"),
    text("node", "the machine").verbatim(),
    text("account_id", "the account, where the object's key names it"),
    text("region", "the region, where the object's key names it"),
    integer("epoch", "timestamp in seconds since 1970").computed(),
    text("pod", "the pod, by the labels").computed(),
    text("namespace", "its namespace, by the labels").computed(),
    text("container", "the container's name, by the labels").computed(),
    text(
        "why",
        "why it was spared, missed or killed later, in the log `reason`",
    )
    .computed(),
    SOURCE,
];

/// The table of the guard's log.
pub static TABLE: Table = Table {
    name: "guard",
    about: "something that the guard saw and did",
    time: "timestamp",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    table: &TABLE,
    names: Names::new(&[
        "timestamp",
        "event",
        "action",
        "pid",
        "cmdline",
        "matched",
        "source",
        "exe",
        "container_type",
        "image",
        "level",
        "labels",
        "detection",
        "group",
        "matched_in",
        "reason",
        "allowedby",
        "ppid",
        "uid",
        "cgroup",
        "container_id",
        "ancestry",
        "hub_user",
        "node",
        "log",
        "message",
        "logEvents",
        "events",
    ]),
    forms: Forms {
        streamed: &[],
        lists: &["logEvents", "events"],
        envelopes: &[],
        texts: &["log", "message"],
        is_prefixed: true,
    },
    is_record: |members| {
        let has = |name| members.has(name);
        (has("pid") && has("cmdline")) || (has("event") && (has("timestamp") || has("level")))
    },
    is_beside: |_| false,
    written: &[
        ("timestamp", "timestamp"),
        ("event", "event"),
        ("action", "action"),
        ("pid", "pid"),
        ("cmdline", "cmdline"),
        ("matched", "matched"),
        ("source", "source"),
        ("exe", "exe"),
        ("container_type", "container_type"),
        ("image", "image"),
        ("level", "level"),
        ("labels", "labels"),
        ("detection", "detection"),
        ("list_group", "group"),
        ("matched_in", "matched_in"),
        ("allowedby", "allowedby"),
        ("ppid", "ppid"),
        ("uid", "uid"),
        ("cgroup", "cgroup"),
        ("container_id", "container_id"),
        ("ancestry", "ancestry"),
        ("node", "node"),
        ("why", "reason"),
    ],
    computed: &[
        ("epoch", |row| Value::Integer(row.epoch("timestamp"))),
        ("pod", |row| Value::Text(label(row, POD_LABEL))),
        ("namespace", |row| Value::Text(label(row, NAMESPACE_LABEL))),
        ("container", |row| Value::Text(label(row, CONTAINER_LABEL))),
        ("hub_user", |row| {
            let said = row.members.text("hub_user");
            Value::Text(said.or_else(|| label(row, HUB_USER_LABEL)))
        }),
    ],
});

/// The guard's log.
#[derive(Debug)]
pub struct Guard;

impl Log for Guard {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        let has = |key: &str| names(head, key) || in_text(head, key);
        (has("cmdline") && has("matched")) || (has("event") && has("level") && has("timestamp"))
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        recipe::open(&RECIPE, order, object)
    }
}

/// A label, whose name has dots.
fn label<'a>(row: &Row<'a>, name: &str) -> Option<Cow<'a, str>> {
    let mut found = None;
    // What comes before a fault counts.
    let _ = Walk::at(row.members.get("labels")?, 0).object(|key, value| {
        if key == name.as_bytes() {
            found = Some(value);
        }
    });
    found.and_then(text_of).filter(|text| !text.is_empty())
}

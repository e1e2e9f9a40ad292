//! Snapshots of an account's state, as Davylamp's recorder writes them: one JSON object a line.
//!
//! ```json
//! {"taken_at":"2026-03-01T10:00:00Z","account_id":"111122223333","region":"us-east-1",
//!  "kind":"instance","id":"i-1","state":{"type":"c5.large"},"hash":"0a1b"}
//! ```
//!
//! `state` is whatever the service says of the thing; `hash` says whether it has changed.

use std::sync::LazyLock;

use super::documents::Forms;
use super::members::Names;
use super::recipe::{self, Recipe, Value};
use super::{Log, Object, Order, Reader, Spelling, names};
use crate::table::{Column, SOURCE, Table, integer, text, time};

const COLUMNS: &[Column] = &[
    time("taken_at", "when the snapshot was taken"),
    text("account_id", "the account"),
    text("region", "the region, where the thing has one"),
    text("kind", "what it is, such as instance or access-key").verbatim(),
    text("id", "which one it is").verbatim(),
    text("state", "what the service says of it, as JSON"),
    text("hash", "the hash of the state").verbatim(),
    integer("taken_epoch", "taken_at in seconds since 1970").computed(),
    SOURCE,
];

/// The table of snapshots.
pub static TABLE: Table = Table {
    name: "recorder",
    about: "the state of one thing in an account at one moment",
    time: "taken_at",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    table: &TABLE,
    names: Names::new(&[
        "taken_at",
        "account_id",
        "region",
        "kind",
        "id",
        "state",
        "hash",
    ]),
    forms: Forms {
        streamed: &[],
        lists: &[],
        envelopes: &[],
        texts: &[],
        is_prefixed: false,
    },
    is_record: |members| {
        ["taken_at", "kind", "id"]
            .iter()
            .all(|name| members.has(name))
    },
    is_beside: |_| false,
    written: &[
        ("taken_at", "taken_at"),
        ("kind", "kind"),
        ("id", "id"),
        ("state", "state"),
        ("hash", "hash"),
    ],
    computed: &[
        ("account_id", |row| {
            Value::Text(row.members.text("account_id").or_else(|| row.key_account()))
        }),
        ("region", |row| {
            Value::Text(row.members.text("region").or_else(|| row.key_region()))
        }),
        ("taken_epoch", |row| Value::Integer(row.epoch("taken_at"))),
    ],
});

/// The folder of a store's segments.
const SEGMENTS: &str = "segments";
/// The end of a segment's name, before which its hash stands.
const SEGMENT: &str = ".jsonl.zst";
/// The folder of a store's chain, lock and unfinished segments.
const OWN: &str = "_recorder";

/// What an object of a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InStore {
    /// Lines of a snapshot.
    Segment,
    /// What a recorder notes for itself.
    Notes,
}

/// What an object is of a recorder's store, by its folders and its name.
pub(crate) fn part_of(folders: &[&str], name: &str) -> Option<InStore> {
    if folders.contains(&OWN) {
        return Some(InStore::Notes);
    }
    let hash = name.strip_suffix(SEGMENT)?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && folders.last() == Some(&SEGMENTS)).then_some(InStore::Segment)
}

/// The recorder's snapshots.
#[derive(Debug)]
pub struct Recorder;

impl Log for Recorder {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        ["taken_at", "kind", "id", "hash"]
            .iter()
            .all(|key| names(head, key))
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        recipe::open(&RECIPE, order, object)
    }
}

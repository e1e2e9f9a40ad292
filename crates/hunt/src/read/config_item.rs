//! AWS Config's items: what a resource looked like, and when that was seen.
//!
//! From snapshots and history files in S3, the answers of `get-resource-config-history`, and notices of
//! changes, bare, in EventBridge's envelope or as SNS hands them on. A notice that was too large holds a
//! summary, which is a row without a configuration. Source: the AWS Config developer guide, "Components of a
//! Configuration Item" and "Notifications that AWS Config Sends to an Amazon SNS topic".
//!
//! What must stay true: the time of a row is when AWS Config saw the state, never when the file was delivered:
//! a snapshot holds what was seen long before it. That it was still so when the snapshot was delivered is
//! another fact, and has its own column.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::documents::Forms;
use super::json::text_of;
use super::members::{Names, Texts, dig, items};
use super::recipe::{self, Recipe, Row, Value};
use super::{Log, Object, Order, Reader, Spelling, names};
use crate::table::{Column, SOURCE, Table, boolean, integer, text, time};

/// What only AWS Config writes, in whatever is around an item.
const SIGNS: &[&[u8]] = &[
    b"configurationItemCaptureTime",
    b"configurationItemStatus",
    b"configurationItemDiff",
];

const COLUMNS: &[Column] = &[
    time("captured_at", "when AWS Config saw this state"),
    text(
        "status",
        "OK, ResourceDiscovered, ResourceDeleted, ResourceNotRecorded, …",
    )
    .verbatim(),
    text("account_id", "the account"),
    text("region", "the region; global for what has none"),
    text("resource_type", "what it is, such as AWS::EC2::Instance").verbatim(),
    text("resource_id", "which one it is").verbatim(),
    text("resource_name", "its name, where it has one").verbatim(),
    text("arn", "its ARN").verbatim(),
    text("availability_zone", "where in the region it is").verbatim(),
    time(
        "created_at",
        "when the resource was made, where that is known",
    ),
    text("state_id", "what orders the states of a resource").verbatim(),
    text("configuration", "what the service says of it, as JSON"),
    text(
        "supplementary_configuration",
        "what other calls say of it, as JSON",
    ),
    text("relationships", "what it belongs to or holds, as JSON"),
    text(
        "related_events",
        "the ids of the events of CloudTrail behind the change, as JSON",
    ),
    text("tags", "its tags, as JSON"),
    boolean("is_deleted", "whether it was gone").computed(),
    text(
        "related_ids",
        "the ids of what it belongs to or holds, joined by commas",
    )
    .computed(),
    integer("captured_epoch", "captured_at in seconds since 1970").computed(),
    integer("created_epoch", "created_at in seconds since 1970").computed(),
    time(
        "snapshot_at",
        "when the snapshot was delivered that holds it, as the object is called; NULL in a history",
    )
    .computed(),
    SOURCE,
];

/// The table of AWS Config's items.
pub static TABLE: Table = Table {
    name: "config_item",
    about: "what a resource looked like when AWS Config saw it",
    time: "captured_at",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    table: &TABLE,
    names: Names::new(&[
        "configurationItemCaptureTime",
        "configurationItemStatus",
        "awsAccountId",
        "accountId",
        "awsRegion",
        "resourceType",
        "resourceId",
        "resourceName",
        "arn",
        "availabilityZone",
        "resourceCreationTime",
        "configurationStateId",
        "configuration",
        "supplementaryConfiguration",
        "relationships",
        "relatedEvents",
        "tags",
        "account",
        "region",
        "messageType",
        "configurationItems",
        "configurationItem",
        "configurationItemSummary",
        "detail",
        "Message",
    ]),
    forms: Forms {
        streamed: &["configurationItems"],
        lists: &["configurationItems"],
        envelopes: &["detail", "configurationItem", "configurationItemSummary"],
        texts: &["Message"],
        is_prefixed: false,
    },
    is_record: |members| {
        members.has("resourceType")
            && members.has("resourceId")
            && (members.has("configurationItemCaptureTime")
                || members.has("configurationItemStatus"))
    },
    // That a delivery has ended, or that a rule is complied with.
    is_beside: |members| {
        members.has("messageType")
            && !members.has("configurationItem")
            && !members.has("configurationItemSummary")
    },
    written: &[
        ("captured_at", "configurationItemCaptureTime"),
        ("status", "configurationItemStatus"),
        ("resource_type", "resourceType"),
        ("resource_id", "resourceId"),
        ("resource_name", "resourceName"),
        ("arn", "arn"),
        ("availability_zone", "availabilityZone"),
        ("created_at", "resourceCreationTime"),
        ("state_id", "configurationStateId"),
        ("configuration", "configuration"),
        ("supplementary_configuration", "supplementaryConfiguration"),
        ("relationships", "relationships"),
        ("related_events", "relatedEvents"),
        ("tags", "tags"),
    ],
    computed: &[
        ("account_id", |row| {
            let said = row.members.text("awsAccountId");
            let said = said.or_else(|| row.members.text("accountId"));
            let around = || row.outer_text("account");
            Value::Text(said.or_else(around).or_else(|| row.key_account()))
        }),
        ("region", |row| {
            let said = row.members.text("awsRegion");
            let around = || row.outer_text("region");
            Value::Text(said.or_else(around).or_else(|| row.key_region()))
        }),
        ("is_deleted", |row| {
            let status = row.members.text("configurationItemStatus");
            Value::Boolean(status.map(|it| it.starts_with("ResourceDeleted")))
        }),
        ("related_ids", |row| Value::owned(related(row))),
        ("captured_epoch", |row| {
            Value::Integer(row.epoch("configurationItemCaptureTime"))
        }),
        ("created_epoch", |row| {
            Value::Integer(row.epoch("resourceCreationTime"))
        }),
        ("snapshot_at", |row| {
            Value::Time(snapshot_at(&row.object.name))
        }),
    ],
});

/// AWS Config's items.
#[derive(Debug)]
pub struct ConfigItem;

impl Log for ConfigItem {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        // An item may be longer than what is looked at, and then the list's name is all there is.
        let is_file = names(head, "configurationItems") && names(head, "fileVersion");
        let has = |sign: &&[u8]| memchr::memmem::find(head, sign).is_some();
        is_file || SIGNS.iter().any(has)
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        recipe::open(&RECIPE, order, object)
    }
}

/// What a resource belongs to or holds, by id, or by name where it has no id.
fn related(row: &Row<'_>) -> Option<String> {
    let mut ids: Texts<'_> = Texts::default();
    for relationship in items(row.members.get("relationships")) {
        let of = |name: &str| -> Option<Cow<'_, str>> {
            dig(relationship, name)
                .and_then(text_of)
                .filter(|text| !text.is_empty())
        };
        ids.add(of("resourceId").or_else(|| of("resourceName")));
    }
    ids.joined()
}

/// When a snapshot was delivered, in microseconds since 1970:
/// `ACCOUNT_Config_REGION_ConfigSnapshot_20160927T183939Z_ID.json.gz`.
fn snapshot_at(name: &str) -> Option<i64> {
    let (_, rest) = name.rsplit_once("_ConfigSnapshot_")?;
    let at: jiff::Timestamp = rest.split(['_', '.']).next()?.parse().ok()?;
    Some(at.as_microsecond())
}

//! GuardDuty's findings, whatever they are about and in whatever casing they come.
//!
//! Bare, in EventBridge's envelope, as the CLI prints them (`{"Findings": […]}`), and as GuardDuty
//! exports them to S3, one a line. Source: the GuardDuty API reference, `Finding`. An older form, in
//! which `category` stands for the type and `finding` for the service, is read too.
//!
//! What must stay true: of lists all items count, never only the first; the finding's own account
//! and region go before those of its envelope, which may be an administrator's.

use std::borrow::Cow;
use std::sync::LazyLock;

use davylamp_model::finding::Behaviour;
use davylamp_model::intake::types;

use super::documents::Forms;
use super::interfaces;
use super::members::Names;
use super::recipe::{self, Recipe, Row, Value};
use super::{Log, Object, Order, Reader, Spelling, names};
use crate::table::{Column, SOURCE, Table, boolean, float, integer, text, time};

mod things;

use things::Things;

/// How GuardDuty begins the titles of samples.
const SAMPLE_TITLE: &str = "[SAMPLE]";

const COLUMNS: &[Column] = &[
    text(
        "id",
        "the id of the finding; it is delivered again as it goes on",
    )
    .verbatim(),
    text("arn", "the ARN of the finding").verbatim(),
    text(
        "type",
        "its type, such as CryptoCurrency:EC2/BitcoinTool.B!DNS",
    ),
    float("severity", "how bad, 1 to 10"),
    text("title", "what it is, in a line"),
    text("description", "what it is"),
    time("created_at", "when the finding was made"),
    time("updated_at", "when it was last updated"),
    time("first_seen", "when it was first seen"),
    time("last_seen", "when it was last seen"),
    integer("count", "how often it was seen"),
    boolean("archived", "whether somebody has dealt with it"),
    boolean(
        "sample",
        "whether GuardDuty made it up, to show what findings look like",
    ),
    text("detector_id", "the detector"),
    text("resource_type", "what kind of thing it is about"),
    text("resource", "what it is about, as JSON"),
    text("service", "what was seen, as JSON"),
    text(
        "account_id",
        "the account of the finding, otherwise that of its envelope",
    ),
    text(
        "region",
        "the region of the finding, otherwise that of its envelope",
    ),
    integer("created_epoch", "created_at in seconds since 1970").computed(),
    integer("updated_epoch", "updated_at in seconds since 1970").computed(),
    integer("first_epoch", "first_seen in seconds since 1970").computed(),
    integer("last_epoch", "last_seen in seconds since 1970").computed(),
    text(
        "behaviour",
        "what the type means, such as mining; unknown for a new one",
    )
    .computed(),
    boolean(
        "is_mining",
        "whether it is about mining: by its type, or by what a sequence or a scan holds",
    )
    .computed(),
    text("instance_id", "the instance, where there is one").computed(),
    text("instance_ids", "every instance, joined by commas").computed(),
    text(
        interfaces::COLUMN,
        "each machine with each of its network interfaces as INSTANCE=INTERFACE, joined by commas",
    )
    .computed(),
    text("cluster", "the EKS cluster, otherwise the ECS cluster").computed(),
    text(
        "workload",
        "the workloads, as namespace/kind/name, joined by commas",
    )
    .computed(),
    text("pod", "the pods among them").computed(),
    text("task_arn", "the ECS tasks, joined by commas").computed(),
    text("function", "the Lambda functions, joined by commas").computed(),
    text("access_key_id", "the access keys, joined by commas").computed(),
    text("user_name", "the user of the key, otherwise of the cluster").computed(),
    text("domains", "every domain, joined by commas").computed(),
    text(
        "remote_addresses",
        "every address outside, joined by commas",
    )
    .computed(),
    text("process_path", "the executable of the process").computed(),
    text("process_sha256", "the hash of the executable").computed(),
    SOURCE,
];

/// The table of GuardDuty's findings.
pub static TABLE: Table = Table {
    name: "guardduty",
    about: "a finding of GuardDuty, at one of its deliveries",
    time: "updated_at",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    table: &TABLE,
    names: Names::new(&[
        "accountId",
        "arn",
        "category",
        "createdAt",
        "description",
        "finding",
        "id",
        "region",
        "resource",
        "service",
        "severity",
        "title",
        "type",
        "updatedAt",
        "account",
        "detail",
        "findings",
    ]),
    forms: Forms {
        streamed: &["findings"],
        lists: &["findings"],
        envelopes: &["detail"],
        texts: &[],
        is_prefixed: false,
    },
    is_record: |members| {
        (members.has("type") || members.has("category"))
            && ["service", "finding", "resource", "severity"]
                .iter()
                .any(|name| members.has(name))
    },
    is_beside: |_| false,
    written: &[
        ("id", "id"),
        ("arn", "arn"),
        ("severity", "severity"),
        ("title", "title"),
        ("description", "description"),
        ("created_at", "createdAt"),
        ("updated_at", "updatedAt"),
        ("resource_type", "resource.resourceType"),
        ("resource", "resource"),
    ],
    computed: &[
        ("type", |row| Value::Text(kind(row))),
        ("service", |row| {
            let written = row.members.get("service");
            Value::Written(written.or_else(|| row.members.get("finding")))
        }),
        ("first_seen", |row| {
            Value::Written(in_service(row, "eventFirstSeen"))
        }),
        ("last_seen", |row| {
            Value::Written(in_service(row, "eventLastSeen"))
        }),
        ("count", |row| Value::Written(in_service(row, "count"))),
        ("archived", |row| {
            Value::Written(in_service(row, "archived"))
        }),
        ("sample", |row| Value::Boolean(Some(is_sample(row)))),
        ("detector_id", |row| Value::Text(detector(row))),
        ("account_id", |row| {
            let said = row.members.text("accountId");
            let around = || row.outer_text("account");
            Value::Text(said.or_else(around).or_else(|| row.key_account()))
        }),
        ("region", |row| {
            let said = row.members.text("region");
            let around = || row.outer_text("region");
            Value::Text(said.or_else(around).or_else(|| row.key_region()))
        }),
        ("created_epoch", |row| {
            Value::Integer(row.epoch("createdAt"))
        }),
        ("updated_epoch", |row| {
            Value::Integer(row.epoch("updatedAt"))
        }),
        ("first_epoch", |row| {
            Value::Integer(service_epoch(row, "eventFirstSeen"))
        }),
        ("last_epoch", |row| {
            Value::Integer(service_epoch(row, "eventLastSeen"))
        }),
        ("behaviour", |row| {
            Value::Text(Some(Cow::Borrowed(behaviour(row).as_str())))
        }),
        ("is_mining", |row| {
            let is_mining = behaviour(row) == Behaviour::Mining || Things::of(row).names_mining;
            Value::Boolean(Some(is_mining))
        }),
        ("instance_id", |row| {
            let said = row.members.text_at("resource.instanceDetails.instanceId");
            let only = || match Things::of(row).instances.as_slice() {
                [only] => Some(Cow::Owned(only.to_string())),
                _ => None,
            };
            Value::Text(said.or_else(only))
        }),
        ("instance_ids", |row| {
            Value::owned(Things::of(row).instances.joined())
        }),
        (interfaces::COLUMN, |row| {
            Value::owned(Things::of(row).interfaces.joined())
        }),
        ("cluster", |row| {
            Value::owned(Things::of(row).clusters.joined())
        }),
        ("workload", |row| {
            Value::owned(Things::of(row).workloads.joined())
        }),
        ("pod", |row| Value::owned(Things::of(row).pods.joined())),
        ("task_arn", |row| {
            Value::owned(Things::of(row).tasks.joined())
        }),
        ("function", |row| {
            Value::owned(Things::of(row).functions.joined())
        }),
        ("access_key_id", |row| {
            Value::owned(Things::of(row).keys.joined())
        }),
        ("user_name", |row| {
            Value::owned(Things::of(row).users.joined())
        }),
        ("domains", |row| {
            Value::owned(Things::of(row).domains.joined())
        }),
        ("remote_addresses", |row| {
            Value::owned(Things::of(row).addresses.joined())
        }),
        ("process_path", |row| {
            Value::Written(in_service(row, "runtimeDetails.process.executablePath"))
        }),
        ("process_sha256", |row| {
            Value::Written(in_service(row, "runtimeDetails.process.executableSha256"))
        }),
    ],
});

/// GuardDuty.
#[derive(Debug)]
pub struct GuardDuty;

impl Log for GuardDuty {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        let has = |key: &str| names(head, key);
        let is_trail = has("eventName") && has("eventSource");
        // Security Hub's findings look alike and have an ARN of their product.
        let is_hub = has("ProductArn");
        let is_finding = (has("resource") || has("service"))
            && (has("detectorId") || has("schemaVersion") || has("resourceType"))
            && (has("type") || has("category") || has("accountId"));
        !is_trail && !is_hub && (has("GuardDuty Finding") || is_finding)
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        recipe::open(&RECIPE, order, object)
    }
}

fn kind<'a>(row: &Row<'a>) -> Option<Cow<'a, str>> {
    let members = row.members;
    members.text("type").or_else(|| members.text("category"))
}

fn behaviour(row: &Row<'_>) -> Behaviour {
    kind(row).map_or(Behaviour::Unknown, |kind| types::behaviour(&kind))
}

fn in_service<'a>(row: &Row<'a>, path: &str) -> Option<&'a [u8]> {
    let members = row.members;
    let service = members.get("service").or_else(|| members.get("finding"))?;
    super::members::dig(service, path)
}

fn service_text<'a>(row: &Row<'a>, path: &str) -> Option<Cow<'a, str>> {
    in_service(row, path)
        .and_then(super::json::text_of)
        .filter(|text| !text.is_empty())
}

fn service_epoch(row: &Row<'_>, path: &str) -> Option<i64> {
    let text = service_text(row, path)?;
    super::moment::micros(&text).map(super::moment::epoch)
}

fn detector<'a>(row: &Row<'a>) -> Option<Cow<'a, str>> {
    service_text(row, "detectorId").or_else(|| {
        let arn = row.members.text("arn")?;
        let (_, after) = arn.split_once(":detector/")?;
        Some(Cow::Owned(after.split('/').next()?.to_owned()))
    })
}

/// GuardDuty says it of itself, in a member or in a text that is JSON.
fn is_sample(row: &Row<'_>) -> bool {
    let says = |text: Option<Cow<'_, str>>| text.is_some_and(|text| text == "true");
    let inside = service_text(row, "additionalInfo.value").is_some_and(|json| {
        says(super::members::dig(json.as_bytes(), "sample").and_then(super::json::text_of))
    });
    says(service_text(row, "additionalInfo.sample"))
        || inside
        || row
            .members
            .text("title")
            .is_some_and(|title| title.starts_with(SAMPLE_TITLE))
}

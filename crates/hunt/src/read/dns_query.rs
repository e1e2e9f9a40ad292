//! Route 53 Resolver's query logs: which machine asked for which name, and what it was told.
//!
//! One JSON object a line. Source: the Amazon Route 53 developer guide, "Values that appear in
//! Resolver query logs".
//!
//! What must stay true: a pool is found in the name asked for and in every alias the answer leads
//! through, by whole labels.

use std::borrow::Cow;
use std::sync::LazyLock;

use davylamp_detect::entropy;
use davylamp_detect::indicator::Match;

use super::documents::Forms;
use super::members::{Names, Texts, dig, items};
use super::recipe::{self, Recipe, Row, Value};
use super::{Log, Object, Order, Reader, Spelling, json, moment, names};
use crate::table::{Column, SOURCE, Table, float, integer, text, time};

/// Names below which everybody registers, of two labels: the common ones, since whoever tunnels
/// through another's suffix is told by the name all the same.
const TWO_LABEL_SUFFIXES: &[&str] = &[
    "ac.jp", "ac.uk", "co.id", "co.il", "co.in", "co.jp", "co.kr", "co.nz", "co.th", "co.uk",
    "co.za", "com.ar", "com.au", "com.br", "com.cn", "com.hk", "com.mx", "com.my", "com.pl",
    "com.sg", "com.tr", "com.tw", "com.ua", "gov.uk", "me.uk", "ne.jp", "net.au", "net.br",
    "net.cn", "net.in", "net.pl", "net.uk", "or.jp", "or.kr", "org.au", "org.br", "org.cn",
    "org.in", "org.uk",
];

const COLUMNS: &[Column] = &[
    time("query_timestamp", "when the question was asked"),
    text("account_id", "the account of the VPC"),
    text("region", "the region of the VPC"),
    text("vpc_id", "the VPC").verbatim(),
    text(
        "query_name",
        "the name that was asked for, as it was written",
    )
    .verbatim(),
    text("query_type", "the type of record that was asked for").verbatim(),
    text("query_class", "the class, which is IN").verbatim(),
    text("rcode", "the answer's code, such as NOERROR or NXDOMAIN").verbatim(),
    text("answers", "the records of the answer, as JSON"),
    text("srcaddr", "the address that asked").verbatim(),
    integer("srcport", "the port that asked"),
    text("transport", "UDP, TCP or TLS").verbatim(),
    text("srcids", "what asked, as JSON"),
    text(
        "firewall_rule_action",
        "what Resolver's firewall did: ALERT or BLOCK",
    )
    .verbatim(),
    text("firewall_rule_group_id", "the group of the rule that did").verbatim(),
    text("firewall_domain_list_id", "the list that the name was on").verbatim(),
    integer("query_epoch", "query_timestamp in seconds since 1970").computed(),
    time(
        "window_start",
        "query_timestamp, rounded down to five minutes",
    )
    .computed(),
    integer("window_epoch", "window_start in seconds since 1970").computed(),
    text("instance_id", "the instance that asked").computed(),
    text(
        "name",
        "query_name in lower case, without the dot at its end",
    )
    .computed(),
    text(
        "registered",
        "the part of the name that somebody registered",
    )
    .computed(),
    text("cnames", "every alias in the answer, joined by commas").computed(),
    text("addresses", "every address in the answer, joined by commas").computed(),
    text(
        "indicator_id",
        "the known pool that the name or an alias belongs to",
    )
    .computed(),
    text("indicator_domain", "the domain of that pool").computed(),
    text("indicator_via", "name or cname: where the pool was found").computed(),
    integer("sub_length", "characters before the registered part").computed(),
    integer("longest_label", "characters of the longest label").computed(),
    float(
        "sub_entropy",
        "bits of information in each of these characters, 0 to 8",
    )
    .computed(),
    SOURCE,
];

/// The table of DNS queries.
pub static TABLE: Table = Table {
    name: "dns_query",
    about: "a question to Route 53 Resolver",
    time: "query_timestamp",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe {
    table: &TABLE,
    names: Names::new(&[
        "account_id",
        "region",
        "vpc_id",
        "query_timestamp",
        "query_name",
        "query_type",
        "query_class",
        "rcode",
        "answers",
        "srcaddr",
        "srcport",
        "transport",
        "srcids",
        "firewall_rule_action",
        "firewall_rule_group_id",
        "firewall_domain_list_id",
        "message",
        "logEvents",
        "events",
        "owner",
    ]),
    forms: Forms {
        streamed: &[],
        lists: &["logEvents", "events"],
        envelopes: &[],
        texts: &["message"],
        is_prefixed: true,
    },
    is_record: |members| {
        members.has("query_name") && (members.has("query_type") || members.has("query_timestamp"))
    },
    is_beside: |_| false,
    written: &[
        ("query_timestamp", "query_timestamp"),
        ("vpc_id", "vpc_id"),
        ("query_name", "query_name"),
        ("query_type", "query_type"),
        ("query_class", "query_class"),
        ("rcode", "rcode"),
        ("answers", "answers"),
        ("srcaddr", "srcaddr"),
        ("srcport", "srcport"),
        ("transport", "transport"),
        ("srcids", "srcids"),
        ("firewall_rule_action", "firewall_rule_action"),
        ("firewall_rule_group_id", "firewall_rule_group_id"),
        ("firewall_domain_list_id", "firewall_domain_list_id"),
        ("instance_id", "srcids.instance"),
    ],
    computed: &[
        ("account_id", |row| {
            Value::Text(row.members.text("account_id").or_else(|| row.key_account()))
        }),
        ("region", |row| {
            Value::Text(row.members.text("region").or_else(|| row.key_region()))
        }),
        ("query_epoch", |row| {
            Value::Integer(row.epoch("query_timestamp"))
        }),
        ("window_start", |row| {
            let window = row.window("query_timestamp");
            Value::Time(window.map(|window| window * moment::MICROS))
        }),
        ("window_epoch", |row| {
            Value::Integer(row.window("query_timestamp"))
        }),
        ("name", |row| Value::owned(name(row))),
        ("registered", |row| {
            let name = name(row);
            Value::owned(name.and_then(|name| Some(registered(&name)?.to_owned())))
        }),
        ("cnames", |row| {
            Value::owned(answered(row, &["CNAME"]).joined())
        }),
        ("addresses", |row| {
            Value::owned(answered(row, &["A", "AAAA"]).joined())
        }),
        ("indicator_id", |row| {
            Value::owned(pool(row).map(|(found, _)| found.id.to_string()))
        }),
        ("indicator_domain", |row| {
            Value::owned(pool(row).map(|(found, _)| found.value().to_owned()))
        }),
        ("indicator_via", |row| {
            Value::Text(pool(row).map(|(_, via)| Cow::Borrowed(via)))
        }),
        ("sub_length", |row| {
            let length = name(row).map(|name| sub(&name).chars().count());
            Value::Integer(length.and_then(|length| i64::try_from(length).ok()))
        }),
        ("longest_label", |row| {
            let longest = name(row).map(|name| {
                let labels = name.split('.').map(|label| label.chars().count());
                labels.max().unwrap_or(0)
            });
            Value::Integer(longest.and_then(|longest| i64::try_from(longest).ok()))
        }),
        ("sub_entropy", |row| {
            let bits = name(row).map(|name| {
                let letters: Vec<u8> = sub(&name).bytes().filter(|byte| *byte != b'.').collect();
                entropy::of(&letters)
            });
            Value::Float(bits)
        }),
    ],
});

/// Resolver's query logs.
#[derive(Debug)]
pub struct DnsQuery;

impl Log for DnsQuery {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        let has = |key: &str| names(head, key) || in_text(head, key);
        has("query_name") && (has("query_timestamp") || has("query_type"))
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        recipe::open(&RECIPE, order, object)
    }
}

/// Whether the first bytes hold a key in JSON that is itself a text.
pub(super) fn in_text(head: &[u8], key: &str) -> bool {
    memchr::memmem::find(head, format!("\\\"{key}\\\"").as_bytes()).is_some()
}

fn name(row: &Row<'_>) -> Option<String> {
    row.members.text("query_name").map(|name| plain(&name))
}

/// A name in lower case, without the dot at its end.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The last two labels of a name, or three where two are a suffix for everybody.
fn registered(name: &str) -> Option<&str> {
    let mut starts = name.rmatch_indices('.').map(|(at, _)| at + 1);
    let (Some(_), Some(second)) = (starts.next(), starts.next().or(Some(0))) else {
        return (!name.is_empty()).then_some(name);
    };
    if TWO_LABEL_SUFFIXES.contains(&&name[second..]) && second > 0 {
        return Some(&name[starts.next().unwrap_or(0)..]);
    }
    Some(&name[second..])
}

/// What stands before the registered part.
fn sub(name: &str) -> &str {
    let registered = registered(name).unwrap_or_default();
    let before = name.len() - registered.len();
    name[..before].strip_suffix('.').unwrap_or(&name[..before])
}

/// The data of all answers of these types, names as [`plain`] has them.
fn answered<'a>(row: &Row<'a>, types: &[&str]) -> Texts<'a> {
    let mut texts = Texts::default();
    for answer in items(row.members.get("answers")) {
        let part = |key| dig(answer, key).and_then(json::text_of);
        let is_one = part("Type").is_some_and(|kind| types.contains(&&*kind));
        if is_one {
            texts.add(part("Rdata").map(|data| Cow::Owned(plain(&data))));
        }
    }
    texts
}

/// The pool that a question leads to, and by what.
fn pool<'a>(row: &Row<'a>) -> Option<(&'a Match, &'static str)> {
    let indicators = &row.given.indicators;
    let by_name = row
        .members
        .text("query_name")
        .and_then(|name| indicators.domain(&name));
    if let Some(found) = by_name {
        return Some((found, "name"));
    }
    let cnames = answered(row, &["CNAME"]);
    let found = cnames
        .as_slice()
        .iter()
        .find_map(|name| indicators.domain(name))?;
    Some((found, "cname"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<&str>, before: &str) {
        assert_eq!(registered(name), expected, "{name}");
        assert_eq!(sub(name), before, "{name}");
    }

    #[test]
    fn the_registered_part_is_told() {
        check("a.b.example.org", Some("example.org"), "a.b");
        check("example.org", Some("example.org"), "");
        check("org", Some("org"), "");
        check("", None, "");
        check("a.shop.co.uk", Some("shop.co.uk"), "a");
        check("shop.co.uk", Some("shop.co.uk"), "");
        check("co.uk", Some("co.uk"), "");
        check("..", Some("."), "");
    }
}

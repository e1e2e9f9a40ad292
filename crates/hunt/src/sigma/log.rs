//! Which of our tables a rule's log source is, and how its rows are told.

use std::collections::BTreeMap;

use davylamp_content::hunt::{Entity, Table};
use serde_norway::Value;

use super::Trouble;
use crate::table;

/// A table as rules ask it.
#[derive(Debug)]
pub(super) struct Log {
    /// The table.
    pub table: Table,
    /// Its columns.
    pub columns: &'static table::Table,
    /// What a record is counted by: deliveries repeat some.
    once: &'static str,
    /// When it began and ended.
    time: [&'static str; 2],
    /// What is one row, with its name.
    group: &'static [(&'static str, &'static str)],
    /// What a row is about.
    entities: &'static [(Entity, &'static str)],
    /// The columns of a row that stand in its explanation.
    pub said: &'static [&'static str],
    /// Fields of rules that are called otherwise than in the log.
    aliases: &'static [(&'static str, &'static str)],
    /// Columns of JSON text, with the names of the members above it in rules.
    documents: &'static [(&'static str, &'static str)],
}

static CLOUDTRAIL: Log = Log {
    table: Table::CloudTrail,
    columns: &crate::read::cloudtrail::TABLE,
    once: "COALESCE(event_id, _source)",
    time: ["event_time", "event_time"],
    group: &[
        ("account_id", "account_id"),
        ("aws_region", "aws_region"),
        ("principal", "principal"),
        ("access_key_id", "access_key_id"),
        ("source_ip_address", "source_ip_address"),
        ("event_name", "event_name"),
    ],
    entities: &[
        (Entity::Account, "account_id"),
        (Entity::Region, "aws_region"),
        (Entity::Principal, "principal"),
        (Entity::Key, "access_key_id"),
    ],
    said: &["event_name", "principal", "source_ip_address"],
    aliases: &[
        ("userIdentity.type", "identity_type"),
        ("userIdentity.arn", "identity_arn"),
        ("userIdentity.accessKeyId", "access_key_id"),
        ("userIdentity.userName", "user_name"),
        ("userIdentity.invokedBy", "invoked_by"),
    ],
    documents: &[
        ("userIdentity", "user_identity"),
        ("requestParameters", "request_parameters"),
        ("responseElements", "response_elements"),
        ("additionalEventData", "additional_event_data"),
        ("serviceEventDetails", "service_event_details"),
        ("resources", "resources"),
        ("tlsDetails", "tls_details"),
    ],
};

static VPC_FLOW: Log = Log {
    table: Table::VpcFlow,
    columns: &crate::read::vpc_flow::TABLE,
    once: "_source",
    time: ["\"start\"", "\"end\""],
    group: &[
        ("account_id", "account_id"),
        ("interface_id", "interface_id"),
        ("instance_id", "instance_id"),
        ("local_addr", "local_addr"),
        ("remote_addr", "remote_addr"),
        ("remote_port", "remote_port"),
    ],
    entities: &[
        (Entity::Account, "account_id"),
        (Entity::Interface, "interface_id"),
        (Entity::Instance, "instance_id"),
        (Entity::Address, "local_addr"),
        (Entity::Remote, "remote_addr"),
    ],
    said: &["local_addr", "remote_addr", "remote_port"],
    aliases: &[
        ("src_ip", "srcaddr"),
        ("dst_ip", "dstaddr"),
        ("src_port", "srcport"),
        ("dst_port", "dstport"),
    ],
    documents: &[],
};

static DNS_QUERY: Log = Log {
    table: Table::DnsQuery,
    columns: &crate::read::dns_query::TABLE,
    once: "_source",
    time: ["query_timestamp", "query_timestamp"],
    group: &[
        ("account_id", "account_id"),
        ("region", "region"),
        ("instance_id", "instance_id"),
        ("srcaddr", "srcaddr"),
        ("name", "name"),
    ],
    entities: &[
        (Entity::Account, "account_id"),
        (Entity::Region, "region"),
        (Entity::Instance, "instance_id"),
        (Entity::Address, "srcaddr"),
        (Entity::Remote, "name"),
    ],
    said: &["srcaddr", "name"],
    // `name` is the query without the dot at its end, which no rule writes.
    aliases: &[
        ("query", "name"),
        ("QueryName", "name"),
        ("query_name", "name"),
        ("record_type", "query_type"),
        ("answer", "answers"),
        ("src_ip", "srcaddr"),
    ],
    documents: &[],
};

static EKS_AUDIT: Log = Log {
    table: Table::EksAudit,
    columns: &crate::read::eks_audit::TABLE,
    once: "COALESCE(audit_id, _source)",
    time: ["received_at", "received_at"],
    group: &[
        ("account_id", "account_id"),
        ("region", "region"),
        ("cluster", "\"cluster\""),
        ("who", "\"user\""),
        ("verb", "verb"),
        ("resource", "resource"),
        ("namespace", "namespace"),
    ],
    entities: &[
        (Entity::Account, "account_id"),
        (Entity::Region, "region"),
        (Entity::Cluster, "cluster"),
        (Entity::Principal, "who"),
    ],
    said: &["verb", "resource", "namespace", "who"],
    aliases: &[
        ("user.username", "user"),
        ("user.groups", "groups"),
        ("objectRef.resource", "resource"),
        ("objectRef.subresource", "subresource"),
        ("objectRef.namespace", "namespace"),
        ("objectRef.name", "name"),
        ("objectRef.apiGroup", "api_group"),
        ("responseStatus.code", "response_code"),
        ("sourceIPs", "source_ips"),
        ("requestURI", "request_uri"),
    ],
    documents: &[
        ("requestObject", "request_object"),
        ("responseObject", "response_object"),
    ],
};

/// Where a field of a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a column.
    Column {
        /// Its name.
        name: &'static str,
        /// What its values are.
        kind: table::Kind,
    },
    /// In the JSON text of a column.
    Member {
        /// The column.
        document: &'static str,
        /// The path in it.
        path: String,
    },
}

impl Log {
    /// The table of a log source.
    pub fn of(source: &Value) -> Result<&'static Self, Trouble> {
        let part = |name: &str| {
            let text = source.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_ascii_lowercase()
        };
        let [product, service, category] = ["product", "service", "category"].map(part);
        match [product.as_str(), service.as_str(), category.as_str()] {
            ["aws" | "", "cloudtrail", ""] => Ok(&CLOUDTRAIL),
            ["aws", "vpcflow" | "vpc_flow" | "vpcflowlogs", _] | ["" | "aws", "", "firewall"] => {
                Ok(&VPC_FLOW)
            }
            ["aws", "route53" | "route53_resolver" | "dns", _] | ["" | "aws", "", "dns"] => {
                Ok(&DNS_QUERY)
            }
            ["kubernetes", "audit", _] => Ok(&EKS_AUDIT),
            all => {
                let named: Vec<&str> = all.into_iter().filter(|part| !part.is_empty()).collect();
                Err(Trouble::Elsewhere(named.join(" ")))
            }
        }
    }

    /// Where a field stands.
    pub fn place(&self, field: &str) -> Result<Place, Trouble> {
        let none = || Trouble::NoColumn {
            table: self.columns.name,
            field: field.to_owned(),
        };
        let alias = self.aliases.iter().find(|(known, _)| *known == field);
        let name = alias.map_or_else(|| snake(field), |(_, column)| (*column).to_owned());
        let mut columns = self.columns.columns.iter();
        if let Some(column) = columns.find(|column| column.name == name) {
            return Ok(Place::Column {
                name: column.name,
                kind: column.kind,
            });
        }
        let (first, path) = field.split_once('.').ok_or_else(none)?;
        let document = self.documents.iter().find(|(known, _)| *known == first);
        let (_, document) = document.ok_or_else(none)?;
        Ok(Place::Member {
            document,
            path: path.to_owned(),
        })
    }

    /// What a row is about.
    pub fn entities(&self) -> BTreeMap<Entity, String> {
        let entities = self.entities.iter();
        entities
            .map(|(entity, column)| (*entity, (*column).to_owned()))
            .collect()
    }

    /// The columns of a row, in order.
    pub fn columns(&self) -> Vec<String> {
        let group = self.group.iter().map(|(name, _)| *name);
        ["score", "first_seen", "last_seen"]
            .into_iter()
            .chain(group)
            .chain(["records", "first_record"])
            .map(str::to_owned)
            .collect()
    }

    /// Those that are the evidence.
    pub fn evidence(&self) -> Vec<String> {
        self.columns().split_off(3)
    }

    /// Every record that a condition holds for, as rows of what belongs together.
    pub fn query(&self, score: u32, condition: &str) -> String {
        let Self {
            once,
            time: [first, last],
            columns: table::Table { name, .. },
            ..
        } = self;
        let group: Vec<String> = self
            .group
            .iter()
            .map(|(name, column)| format!("{column} AS \"{name}\""))
            .collect();
        let by: Vec<&str> = self.group.iter().map(|(_, column)| *column).collect();
        let (group, by) = (group.join(", "), by.join(", "));
        format!(
            "SELECT CAST({score} AS DOUBLE) AS score, MIN({first}) AS first_seen, \
             MAX({last}) AS last_seen, {group}, COUNT(DISTINCT {once}) AS records, \
             MIN(_source) AS first_record\nFROM {name}\nWHERE {condition}\nGROUP BY {by}\n\
             ORDER BY records DESC, {by}"
        )
    }
}

/// A field's name in snake_case: `sourceIPAddress` is `source_ip_address`.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let begins = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                let after = letters.get(at + 1);
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_as_their_columns() {
        for (field, column) in [
            ("eventName", "event_name"),
            ("sourceIPAddress", "source_ip_address"),
            ("eventID", "event_id"),
            ("awsRegion", "aws_region"),
            ("userIdentity.type", "identity_type"),
        ] {
            let place = CLOUDTRAIL.place(field).expect(field);
            assert!(
                matches!(place, Place::Column { name, .. } if name == column),
                "{place:?}"
            );
        }
        let place = CLOUDTRAIL.place("requestParameters.a.b").expect("a path");
        assert_eq!(
            place,
            Place::Member {
                document: "request_parameters",
                path: "a.b".to_owned()
            }
        );
        assert!(CLOUDTRAIL.place("CommandLine").is_err());
    }

    #[test]
    fn every_column_that_is_named_is_there() {
        for log in [&CLOUDTRAIL, &VPC_FLOW, &DNS_QUERY, &EKS_AUDIT] {
            let named = log
                .aliases
                .iter()
                .chain(log.documents)
                .map(|(_, name)| *name);
            for name in named {
                assert!(log.columns.index_of(name).is_some(), "{name}");
            }
        }
    }
}

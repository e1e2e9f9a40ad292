//! Cases: logs, and the rows a hunt must find in them.
//!
//! A case holds records as the log itself writes them; crate `hunt` writes them out with
//! [`super::render`], reads them with the real readers, runs the query and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::lint::no_output;
use super::logs::{self, Repeat};
use super::parameter::Parameter;
use super::read::Any;
use super::table::{Table, VPC_FLOW_FIELDS};
use crate::fields::{Fields, closest};
pub use crate::playbook::cases::CaseKind;
use crate::problem::{HuntTrouble, Problems, Trouble};
use crate::readable::{Readable, missing, record, unknown_word};
use crate::source::Text;
use crate::tree::NodeId;

/// A case may hold this many records: a day of a flow in five-minute windows, many times over.
const MAX_RECORDS: usize = 20_000;

/// Logs, and the rows that must come of them.
#[derive(Debug, Clone)]
pub struct Case {
    /// What the case shows.
    pub kind: CaseKind,
    /// What it is, as a clause.
    pub name: String,
    /// The parameters that differ from their defaults.
    pub parameters: BTreeMap<String, Value>,
    /// The rows that must come, all of them, in order; of each only these columns are compared.
    pub rows: Vec<Map<String, Value>>,
    records: Vec<(Table, Record)>,
}

#[derive(Debug, Clone)]
struct Record {
    repeat: Option<Repeat>,
    set: Map<String, Value>,
}

impl Case {
    /// The records of each log, repeated ones written out.
    pub fn logs(&self) -> BTreeMap<Table, Vec<Map<String, Value>>> {
        let mut logs: BTreeMap<Table, Vec<Map<String, Value>>> = BTreeMap::new();
        for (table, record) in &self.records {
            let log = logs.entry(*table).or_default();
            match record.repeat {
                None => log.push(record.set.clone()),
                Some(repeat) => {
                    let numbers = 0..repeat.times;
                    log.extend(numbers.map(|n| repeat.nth(*table, &record.set, n)));
                }
            }
        }
        logs
    }
}

/// What of a hunt its cases are judged by; what could not be read is `None`.
pub(super) struct Context<'a> {
    pub parameters: Option<Vec<Parameter>>,
    pub tables: Option<&'a [Table]>,
    pub outputs: Option<Vec<String>>,
}

pub(super) fn read(text: &Arc<Text>, context: &Context<'_>) -> (Option<Vec<Case>>, Problems) {
    let mut fields = Fields::toml(text);
    let root = fields.tree.documents.first().copied();
    let keys = root.and_then(|root| fields.record(root, "a case file", &["cases"]));
    let items = match keys.as_ref().and_then(|keys| keys.get("cases")) {
        Some(list) => fields.list(*list),
        None => Some(Vec::new()),
    };
    let read: Vec<(NodeId, Option<Case>)> = items
        .unwrap_or_default()
        .into_iter()
        .map(|item| (item, case(&mut fields, item, context)))
        .collect();
    let mut names = BTreeSet::new();
    for (item, case) in &read {
        if let Some(case) = case
            && !names.insert(case.name.as_str())
        {
            let name = case.name.clone();
            told(&mut fields, *item, HuntTrouble::DuplicateCase { name });
        }
    }
    let cases: Option<Vec<Case>> = read.into_iter().map(|(_, case)| case).collect();
    // A file that is no TOML is told already, one of comments alone lacks every kind.
    let is_read = root.is_some() || fields.problems.is_empty();
    if let Some(cases) = cases.as_ref().filter(|_| is_read) {
        for (kind, name) in CaseKind::ALL {
            if !cases.iter().any(|case| case.kind == *kind) {
                let trouble = Trouble::Hunt(HuntTrouble::NoCaseOfKind { kind: name });
                fields.problems.push(0..0, trouble);
            }
        }
    }
    (cases, fields.problems)
}

fn told(fields: &mut Fields<'_>, at: NodeId, trouble: HuntTrouble) {
    fields.fault(at, Trouble::Hunt(trouble));
}

fn case(fields: &mut Fields<'_>, id: NodeId, context: &Context<'_>) -> Option<Case> {
    let known = ["kind", "name", "parameters", "base", "logs", "rows"];
    let keys = fields.record(id, "a case", &known)?;
    macro_rules! required {
        ($key:literal) => {
            match keys.get($key) {
                Some(value) => Readable::read(fields, *value),
                None => missing(fields, id, $key, "a case"),
            }
        };
    }
    let kind: Option<CaseKind> = required!("kind");
    let name: Option<String> = required!("name");
    let parameters = match keys.get("parameters") {
        Some(at) => parameters(fields, *at, context),
        None => Some(BTreeMap::new()),
    };
    let base = match keys.get("base") {
        Some(at) => by_table(fields, *at, context, |fields, at, table| {
            object(fields, at, table)
        }),
        None => Some(Vec::new()),
    };
    let records = match keys.get("logs") {
        Some(at) => by_table(fields, *at, context, |fields, at, table| {
            let items = fields.list(at)?;
            let read = items.into_iter().map(|item| record(fields, item, table));
            let read: Vec<Option<Record>> = read.collect();
            read.into_iter().collect::<Option<Vec<Record>>>()
        }),
        None => missing(fields, id, "logs", "a case"),
    };
    let rows = match keys.get("rows") {
        Some(at) => rows(fields, *at, context),
        None => Some(Vec::new()),
    };
    if let (Some(CaseKind::Fires), Some(rows)) = (kind, &rows)
        && rows.is_empty()
    {
        told(fields, id, HuntTrouble::FiresWithoutRow);
    }
    let base: BTreeMap<Table, Map<String, Value>> = base?.into_iter().collect();
    let records: Vec<(Table, Record)> = records?
        .into_iter()
        .flat_map(|(table, records)| records.into_iter().map(move |record| (table, record)))
        .map(|(table, mut record)| {
            if let Some(base) = base.get(&table) {
                record.set = logs::over(base, record.set);
            }
            (table, record)
        })
        .collect();
    let count: usize = records
        .iter()
        .map(|(_, record)| record.repeat.map_or(1, |repeat| repeat.times as usize))
        .fold(0, usize::saturating_add);
    if count > MAX_RECORDS {
        let limit = MAX_RECORDS;
        told(fields, id, HuntTrouble::TooManyRecords { limit });
        return None;
    }
    for table in context.tables.unwrap_or_default() {
        if !records.iter().any(|(other, _)| other == table) {
            let table = table.name().to_owned();
            told(fields, id, HuntTrouble::NoRecords { table });
        }
    }
    Some(Case {
        kind: kind?,
        name: name?,
        parameters: parameters?,
        rows: rows?,
        records,
    })
}

/// What stands under the name of each table.
fn by_table<T>(
    fields: &mut Fields<'_>,
    id: NodeId,
    context: &Context<'_>,
    mut inner: impl FnMut(&mut Fields<'_>, NodeId, Table) -> Option<T>,
) -> Option<Vec<(Table, T)>> {
    let mut read = Vec::new();
    let mut is_whole = true;
    for (key_id, value) in fields.map(id)? {
        let Some(key) = fields.key(key_id) else {
            is_whole = false;
            continue;
        };
        let Some(table) = Table::named(&key) else {
            let known: Vec<&'static str> = Table::ALL.iter().map(|(_, name)| *name).collect();
            fields.fault(key_id, unknown_word("table", key, &known));
            is_whole = false;
            continue;
        };
        if context
            .tables
            .is_some_and(|tables| !tables.contains(&table))
        {
            told(fields, key_id, HuntTrouble::TableNotRead { table: key });
        }
        match inner(fields, value, table) {
            Some(value) => read.push((table, value)),
            None => is_whole = false,
        }
    }
    is_whole.then_some(read)
}

fn record(fields: &mut Fields<'_>, id: NodeId, table: Table) -> Option<Record> {
    let keys = fields.record(id, "a record of a case", &["repeat", "set"])?;
    let repeat = match keys.get("repeat") {
        Some(at) => Readable::read(fields, *at).map(Some),
        None => Some(None),
    };
    let set = match keys.get("set") {
        Some(at) => object(fields, *at, table),
        None => missing(fields, id, "set", "a record of a case"),
    };
    Some(Record {
        repeat: repeat?,
        set: set?,
    })
}

record!(Repeat, "a repetition", {
    times "times",
    every_secs "every-secs",
});

/// A record, or a part of one.
fn object(fields: &mut Fields<'_>, id: NodeId, table: Table) -> Option<Map<String, Value>> {
    let entries = fields.map(id)?;
    let Value::Object(object) = Any::read(fields, id)?.0 else {
        return None;
    };
    if table == Table::VpcFlow {
        for (key_id, value_id) in entries {
            let field = fields.key(key_id).unwrap_or_default();
            if !VPC_FLOW_FIELDS.contains(&field.as_str()) {
                let suggestion = closest(&field, VPC_FLOW_FIELDS);
                told(
                    fields,
                    key_id,
                    HuntTrouble::NoFlowField { field, suggestion },
                );
            } else if !object.get(&field).is_some_and(logs::is_flow_value) {
                told(fields, value_id, HuntTrouble::FlowValue { field });
            }
        }
    }
    Some(object)
}

fn parameters(
    fields: &mut Fields<'_>,
    id: NodeId,
    context: &Context<'_>,
) -> Option<BTreeMap<String, Value>> {
    let values: BTreeMap<String, Any> = Readable::read(fields, id)?;
    let entries = fields.map(id)?;
    let known = context.parameters.as_deref();
    for (key_id, value_id) in entries {
        let (Some(known), Some(name)) = (known, fields.key(key_id)) else {
            continue;
        };
        let Some(parameter) = known.iter().find(|known| known.name == name) else {
            let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
            let trouble = HuntTrouble::NoParameter {
                suggestion: closest(&name, &names).map(str::to_owned),
                known: names.join(", "),
                name,
            };
            told(fields, key_id, trouble);
            continue;
        };
        if let Some(value) = values.get(&name)
            && let Err(error) = parameter.literal(&value.0)
        {
            let why = error.to_string();
            told(fields, value_id, HuntTrouble::Value { why });
        }
    }
    let values = values.into_iter().map(|(name, value)| (name, value.0));
    Some(values.collect())
}

fn rows(
    fields: &mut Fields<'_>,
    id: NodeId,
    context: &Context<'_>,
) -> Option<Vec<Map<String, Value>>> {
    let items = fields.list(id)?;
    let mut rows = Vec::new();
    let mut is_whole = true;
    for item in items {
        for (key_id, _) in fields.map(item)? {
            let column = fields.key(key_id)?;
            if let Some(outputs) = &context.outputs
                && !outputs.contains(&column)
            {
                told(fields, key_id, no_output(column, outputs));
            }
        }
        match Any::read(fields, item) {
            Some(Any(Value::Object(row))) => rows.push(row),
            _ => is_whole = false,
        }
    }
    is_whole.then_some(rows)
}

//! From `hunt.toml` to a hunt.

use std::collections::BTreeMap;
use std::sync::Arc;

use davylamp_model::finding::{Behaviour, Severity};
use serde_json::Value;

use super::parameter::{Parameter, ParameterKind};
use super::query::{self, Query};
use super::table::Table;
use super::{Entity, ExplainPiece, Hunt, lint};
use crate::fields::Fields;
use crate::playbook::read::Part;
use crate::problem::{HuntTrouble, PlaybookTrouble, Problems, Trouble};
use crate::readable::{Readable, missing, record, word};
use crate::source::Text;
use crate::tree::{self, NodeId};

/// Every entity with its name in a hunt.
pub const ENTITIES: &[(Entity, &str)] = &[
    (Entity::Account, "account"),
    (Entity::Region, "region"),
    (Entity::Instance, "instance"),
    (Entity::Interface, "interface"),
    (Entity::Address, "address"),
    (Entity::Remote, "remote"),
    (Entity::Key, "key"),
    (Entity::Principal, "principal"),
    (Entity::Session, "session"),
    (Entity::HubUser, "hub-user"),
    (Entity::Workload, "workload"),
    (Entity::Cluster, "cluster"),
    (Entity::Function, "function"),
    (Entity::Type, "type"),
];

const KEYS: &[&str] = &[
    "name",
    "title",
    "reason",
    "techniques",
    "severity",
    "behaviour",
    "tables",
    "needs",
    "evidence",
    "benign",
    "next",
    "explain",
    "entities",
    "parameters",
];

/// A `hunt.toml` with what could be read of it, each part by itself, so that a fault in one hides
/// no fault in another.
pub(super) struct File<'t> {
    pub fields: Fields<'t>,
    pub draft: Draft,
}

#[derive(Default)]
pub(super) struct Draft {
    pub name: Part<String>,
    pub title: Part<String>,
    pub reason: Part<String>,
    pub techniques: Part<Vec<String>>,
    pub severity: Part<Severity>,
    pub behaviour: Part<Option<Behaviour>>,
    pub tables: Part<Vec<Table>>,
    pub needs: Part<Vec<String>>,
    pub evidence: Part<Vec<String>>,
    pub benign: Part<Vec<String>>,
    pub next: Part<Vec<String>>,
    pub explain: Part<String>,
    pub pieces: Option<Vec<ExplainPiece>>,
    pub entities: Part<BTreeMap<String, String>>,
    pub parameters: Vec<(NodeId, Option<Parameter>)>,
}

/// What the query and the cases are judged by; `None` where it could not be read.
pub(super) struct Known {
    pub parameters: Option<Vec<(String, ParameterKind)>>,
    pub tables: Option<Vec<Table>>,
}

impl Known {
    pub fn of_query(&self) -> query::Context<'_> {
        query::Context {
            parameters: self.parameters.as_deref(),
            tables: self.tables.as_deref(),
        }
    }
}

impl<'t> File<'t> {
    pub fn read(text: &'t Arc<Text>) -> Self {
        let mut fields = Fields::toml(text);
        let mut draft = Draft::default();
        if let Some(root) = fields.tree.documents.first().copied() {
            read(&mut fields, root, &mut draft);
            lint::alone(&mut fields, root, &mut draft);
        } else {
            let trouble = Trouble::Playbook(PlaybookTrouble::NoData);
            fields.problems.push_unless_faulty(0..0, trouble);
        }
        Self { fields, draft }
    }

    /// Every parameter, where all could be read.
    pub fn parameters(&self) -> Option<Vec<Parameter>> {
        self.fields.tree.documents.first()?;
        let parameters = self.draft.parameters.iter();
        parameters.map(|(_, parameter)| parameter.clone()).collect()
    }

    pub fn context(&self) -> Known {
        let parameters = self.parameters().map(|parameters| {
            let pairs = parameters.into_iter();
            pairs.map(|known| (known.name, known.kind)).collect()
        });
        Known {
            parameters,
            tables: self.draft.tables.value.clone(),
        }
    }

    pub fn finish(self, query: Option<Query>) -> (Option<Hunt>, Problems) {
        let parameters = self.parameters();
        (hunt(self.draft, parameters, query), self.fields.problems)
    }
}

fn hunt(draft: Draft, parameters: Option<Vec<Parameter>>, query: Option<Query>) -> Option<Hunt> {
    let query = query?;
    let entities = draft
        .entities
        .value?
        .into_iter()
        .filter_map(|(key, column)| {
            let known = ENTITIES.iter().find(|(_, name)| *name == key)?;
            Some((known.0, column))
        });
    Some(Hunt {
        name: draft.name.value?,
        title: draft.title.value?,
        reason: draft.reason.value?,
        techniques: draft.techniques.value?,
        severity: draft.severity.value?,
        behaviour: draft.behaviour.value?,
        tables: draft.tables.value?,
        needs: draft.needs.value?,
        evidence: draft.evidence.value?,
        benign: draft.benign.value?,
        next: draft.next.value?,
        entities: entities.collect(),
        parameters: parameters?,
        columns: query.names(),
        explain: draft.pieces?,
        query: query.pieces,
    })
}

fn read(fields: &mut Fields<'_>, root: NodeId, draft: &mut Draft) {
    let Some(keys) = fields.record(root, "a hunt", KEYS) else {
        return;
    };
    macro_rules! part {
        ($field:ident, $key:literal $(, $default:expr)?) => {{
            draft.$field.at = keys.get($key).copied();
            draft.$field.value = match draft.$field.at {
                Some(at) => Readable::read(fields, at),
                None => part!(@absent $key $(, $default)?),
            };
        }};
        (@absent $key:literal, $default:expr) => { Some($default) };
        (@absent $key:literal) => { missing(fields, root, $key, "a hunt") };
    }
    part!(name, "name");
    part!(title, "title");
    part!(reason, "reason");
    part!(techniques, "techniques", Vec::new());
    part!(severity, "severity");
    part!(behaviour, "behaviour", None);
    part!(tables, "tables");
    part!(needs, "needs", Vec::new());
    part!(evidence, "evidence");
    part!(benign, "benign");
    part!(next, "next");
    part!(explain, "explain");
    part!(entities, "entities");
    if let Some(list) = keys.get("parameters")
        && let Some(items) = fields.list(*list)
    {
        for item in items {
            let parameter = Parameter::read(fields, item);
            draft.parameters.push((item, parameter));
        }
    }
}

impl Readable for Table {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "table", Self::ALL)
    }
}

impl Readable for ParameterKind {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "type", Self::ALL)
    }
}

/// Any value that JSON and TOML share, fractions among them.
#[derive(Debug, Clone)]
pub(super) struct Any(pub Value);

impl Readable for Any {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        match &fields.node(id).value {
            tree::Value::List(_) => {
                let items: Vec<Self> = Vec::read(fields, id)?;
                Some(Self(items.into_iter().map(|item| item.0).collect()))
            }
            tree::Value::Map(_) => {
                let entries: BTreeMap<String, Self> = BTreeMap::read(fields, id)?;
                let entries = entries.into_iter().map(|(key, value)| (key, value.0));
                Some(Self(Value::Object(entries.collect())))
            }
            tree::Value::Scalar(scalar) if scalar.not_a_string() == Some("a number") => {
                let written = scalar.text.replace('_', "");
                let fraction = || {
                    written
                        .parse()
                        .ok()
                        .filter(|number: &f64| number.is_finite())
                };
                if let Ok(number) = written.parse::<i64>() {
                    return Some(Self(Value::from(number)));
                }
                let number = fraction();
                if number.is_none() {
                    fields.expected(id, "a number of ordinary size");
                }
                number.map(|number| Self(Value::from(number)))
            }
            _ => Value::read(fields, id).map(Self),
        }
    }
}

/// A bound: any number.
struct Bound(f64);

impl Readable for Bound {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let number = Any::read(fields, id)?.0.as_f64();
        if number.is_none() {
            fields.expected(id, "a number");
        }
        number.map(Self)
    }
}

struct Written {
    name: String,
    kind: ParameterKind,
    default: Any,
    min: Option<Bound>,
    max: Option<Bound>,
    why: String,
}

record!(Written, "a parameter", {
    name "name",
    kind "type",
    default "default",
    min "min" = None,
    max "max" = None,
    why "why",
});

impl Readable for Parameter {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        let written = Written::read(fields, id)?;
        let parameter = Self {
            name: written.name,
            kind: written.kind,
            default: written.default.0,
            min: written.min.map(|bound| bound.0),
            max: written.max.map(|bound| bound.0),
            why: written.why,
        };
        let told = |fields: &mut Fields<'_>, key: &str, trouble: HuntTrouble| {
            let at = fields.lookup(id, key).unwrap_or(id);
            fields.fault(at, Trouble::Hunt(trouble));
        };
        if !is_parameter_name(&parameter.name) {
            let name = parameter.name.clone();
            told(fields, "name", HuntTrouble::ParameterName { name });
        }
        if let (Some(min), Some(max)) = (parameter.min, parameter.max)
            && min > max
        {
            let (min, max) = (min.to_string(), max.to_string());
            told(fields, "min", HuntTrouble::Bounds { min, max });
        } else if let Err(error) = parameter.literal(&parameter.default) {
            let why = error.to_string();
            told(fields, "default", HuntTrouble::Default { why });
        }
        Some(parameter)
    }
}

fn is_parameter_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

//! Hunts: what is looked for in the logs, as data.
//!
//! A hunt is a folder of three texts: `hunt.toml` says what it finds, why, and what its columns
//! mean; `query.sql` is one SELECT; `cases.toml` holds logs with the rows that must come of them.
//!
//! What must stay true: a query that is read without a fault gives the same rows on every engine,
//! as far as that can be told from its text, and no value of a parameter can be anything but one
//! literal in it.
//!
//! Deliberately not here: reading logs into tables and running the query; crate `hunt` does both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davylamp_model::finding::{Behaviour, Severity};
use serde_json::Value;

use crate::problem::{Faults, Problem};
use crate::source::{Source, Text};

pub mod cases;
mod lint;
mod logs;
mod parameter;
mod query;
mod read;
mod shipped;
mod table;

pub use logs::render;
pub use parameter::{Parameter, ParameterError, ParameterKind};
pub use query::Piece;
pub use query::subset::{FUNCTIONS, WINDOW_FUNCTIONS};
pub use read::ENTITIES;
pub use shipped::{SHIPPED, Shipped, shipped};
pub use table::{Table, VPC_FLOW_FIELDS};

/// The three texts of a hunt.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// `hunt.toml`. Where its name has a folder in it, the hunt must be called like that folder.
    pub hunt: Source<'a>,
    /// `query.sql`.
    pub query: Source<'a>,
    /// `cases.toml`.
    pub cases: Source<'a>,
}

/// A hunt's folder: the hunt, its cases, and what looks wrong in it.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The hunt.
    pub hunt: Hunt,
    /// What it must find in which logs.
    pub cases: Vec<cases::Case>,
    /// What looks wrong but does not keep it from being used.
    pub warnings: Vec<Problem>,
}

/// One hunt.
#[derive(Debug, Clone, PartialEq)]
pub struct Hunt {
    /// Its name, for the behaviour it finds: `flow-thin-periodic`.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// Why this finds mining, with the source of each fact.
    pub reason: String,
    /// The ATT&CK techniques it finds.
    pub techniques: Vec<String>,
    /// How bad a row with the full score is.
    pub severity: Severity,
    /// What a responder may take a row for. Without one it is reported, never acted on.
    pub behaviour: Option<Behaviour>,
    /// The tables it reads.
    pub tables: Vec<Table>,
    /// Columns without which it finds nothing.
    pub needs: Vec<String>,
    /// The output columns that are the evidence.
    pub evidence: Vec<String>,
    /// Known benign causes.
    pub benign: Vec<String>,
    /// What to do next about a row.
    pub next: Vec<String>,
    /// The output columns that say what a row is about.
    pub entities: BTreeMap<Entity, String>,
    /// Its parameters, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// Its output columns, in order.
    pub columns: Vec<String>,
    /// Why a row was found, with columns of the row in it.
    pub explain: Vec<ExplainPiece>,
    /// The query, with the places where parameters stand.
    pub query: Vec<Piece>,
}

/// What a row can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// An account.
    Account,
    /// A region.
    Region,
    /// An instance.
    Instance,
    /// A network interface.
    Interface,
    /// An address of ours.
    Address,
    /// An address or name outside.
    Remote,
    /// An access key.
    Key,
    /// Who acted: a user, a role, a service.
    Principal,
    /// A role session.
    Session,
    /// A user of the Hub.
    HubUser,
    /// A workload: namespace, kind and name.
    Workload,
    /// A cluster.
    Cluster,
    /// A function.
    Function,
    /// A finding's type, or an instance type.
    Type,
}

/// A part of the text that explains a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplainPiece {
    /// What stands there as it is.
    Text(String),
    /// The value of this output column.
    Column(String),
}

impl Hunt {
    /// The query with a literal for each parameter: the value given, or the default.
    ///
    /// # Errors
    /// Each value that is of the wrong type, out of bounds, or for no parameter of this hunt.
    pub fn sql(&self, values: &BTreeMap<String, Value>) -> Result<String, Vec<ParameterError>> {
        let mut errors = Vec::new();
        for name in values.keys() {
            if !self.parameters.iter().any(|known| known.name == *name) {
                let known = self.parameters.iter().map(|known| known.name.clone());
                errors.push(ParameterError::Unknown {
                    hunt: self.name.clone(),
                    name: name.clone(),
                    known: known.collect(),
                });
            }
        }
        let mut literals = BTreeMap::new();
        for parameter in &self.parameters {
            let value = values.get(&parameter.name).unwrap_or(&parameter.default);
            match parameter.literal(value) {
                Ok(literal) => {
                    literals.insert(parameter.name.as_str(), literal);
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let pieces = self.query.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Parameter(name) => literals.get(name.as_str()).map_or("", String::as_str),
        });
        Ok(pieces.collect())
    }

    /// Why a row was found, in plain language. `value` gives the text of an output column; where
    /// that is NULL, `unknown` stands.
    pub fn explain(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let pieces = self.explain.iter().map(|piece| match piece {
            ExplainPiece::Text(text) => text.clone(),
            ExplainPiece::Column(column) => value(column).unwrap_or_else(|| "unknown".to_owned()),
        });
        pieces.collect()
    }
}

/// Reads a hunt.
///
/// # Errors
/// Every fault of the three texts.
pub fn parse(sources: Sources<'_>) -> Result<Parsed, Faults> {
    let text = |source: Source<'_>| Arc::new(Text::new(source.name, source.text));
    let (hunt, query, cases) = (text(sources.hunt), text(sources.query), text(sources.cases));
    let mut used = BTreeSet::new();
    let mut file = read::File::read(&hunt);
    let context = file.context();
    let mut query_problems = crate::problem::Problems::new(&query);
    let read = query::read(&query, &mut query_problems, &context.of_query(), &mut used);
    lint::against_query(
        &mut file,
        &context,
        read.as_ref(),
        &mut query_problems,
        &used,
    );
    let case_context = cases::Context {
        parameters: file.parameters(),
        tables: context.tables.as_deref(),
        outputs: read.as_ref().map(|read| read.names()),
    };
    let (cases, case_problems) = cases::read(&cases, &case_context);
    let (hunt, file_problems) = file.finish(read);
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    for problems in [file_problems, query_problems, case_problems] {
        let (more_faults, more_warnings) = problems.finish();
        faults.extend(more_faults);
        warnings.extend(more_warnings);
    }
    match (hunt, cases) {
        (Some(hunt), Some(cases)) if faults.is_empty() => Ok(Parsed {
            hunt,
            cases,
            warnings,
        }),
        _ => Err(Faults::new(faults, warnings)),
    }
}

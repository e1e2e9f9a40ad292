//! Walking a query's FROM: its tables, parts and joins.

use sqlparser::ast::{JoinConstraint, JoinOperator, Select, Spanned, TableFactor, TableWithJoins};
use sqlparser::tokenizer::Span;

use super::walk::{Relation, Scopes, Walk, names, no_table};
use crate::hunt::table::Table;
use crate::problem::HuntTrouble;

/// How an event of CloudTrail is counted once, without blanks and in lower case.
const ONE_PER_EVENT: &str = "row_number()over(partitionbycoalesce(event_id,_source)orderby_source";

/// What adds up over rows, so that a copy changes it, written as [`ONE_PER_EVENT`] is.
const ADDING_UP: &[&str] = &["count(", "sum(", "avg(", "stddev_pop(", "over("];

/// Whether a SELECT without blanks and in lower case gives the same rows however often its input
/// repeats one: groups, of which only the least, the greatest and distinct values are asked.
fn is_alike_with_copies(written: &str) -> bool {
    let written = written.replace("count(distinct", "");
    written.contains("groupby") && !ADDING_UP.iter().any(|adding| written.contains(adding))
}

impl Walk<'_> {
    pub(super) fn count_events_once(
        &mut self,
        select: &Select,
        span: Span,
        from: &[TableWithJoins],
    ) {
        let factors = from.iter().flat_map(|table| {
            std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
        });
        let mut names = factors.filter_map(|factor| match factor {
            TableFactor::Table { name, .. } => Some(name.to_string()),
            _ => None,
        });
        if !names.any(|name| name == Table::CloudTrail.name()) || self.is_stopped {
            return;
        }
        let written: String = select.to_string().to_lowercase();
        let written: String = written.chars().filter(|c| !c.is_whitespace()).collect();
        if !written.contains(ONE_PER_EVENT) && !is_alike_with_copies(&written) {
            self.told(span, HuntTrouble::EventsTwice);
        }
    }

    pub(super) fn table_with_joins(
        &mut self,
        table: &TableWithJoins,
        outer: &Scopes,
        relations: &mut Vec<Relation>,
    ) {
        self.factor(&table.relation, outer, relations);
        for join in &table.joins {
            self.factor(&join.relation, outer, relations);
        }
    }

    pub(super) fn factor(
        &mut self,
        factor: &TableFactor,
        outer: &Scopes,
        relations: &mut Vec<Relation>,
    ) {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let Some(written) = self.single(name) else {
                    self.refuse(
                        name.span(),
                        &format!("`{name}`"),
                        "write the table's name alone; the engine is told where it is",
                    );
                    return;
                };
                let columns = self.columns_of(&written, name.span());
                let name = match alias {
                    Some(alias) => self.alias(alias),
                    None => written,
                };
                relations.push(Relation { name, columns });
            }
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias: Some(alias),
                sample: None,
            } => {
                let columns = self.query(subquery, outer);
                let name = self.alias(alias);
                relations.push(Relation { name, columns });
            }
            other => {
                self.refuse(
                    other.span(),
                    "this in FROM",
                    "a table, a part named by WITH, or a SELECT in parentheses with a name",
                );
                // Whatever it gives is not known, and must not be told again at each use.
                relations.push(Relation {
                    name: String::new(),
                    columns: None,
                });
            }
        }
    }

    pub(super) fn columns_of(&mut self, name: &str, span: Span) -> Option<Vec<String>> {
        if let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name == name) {
            return cte.columns.clone();
        }
        let Some(table) = Table::named(name) else {
            let mut known: Vec<String> = names(&self.ctes);
            known.extend(Table::ALL.iter().map(|(_, name)| (*name).to_owned()));
            self.told(span, no_table(name.to_owned(), &known));
            return None;
        };
        let declared = self.context.tables;
        if declared.is_some_and(|tables| !tables.contains(&table)) && self.read.insert(table) {
            let table = name.to_owned();
            self.told(span, HuntTrouble::UndeclaredTable { table });
        }
        self.read.insert(table);
        Some(table.columns().map(str::to_owned).collect())
    }

    pub(super) fn join(
        &mut self,
        operator: &JoinOperator,
        global: bool,
        scopes: &Scopes,
        span: Span,
    ) {
        let constraint = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::FullOuter(constraint)
                if !global =>
            {
                constraint
            }
            JoinOperator::CrossJoin(JoinConstraint::None) if !global => return,
            _ => {
                self.refuse(
                    span,
                    "this kind of join",
                    "use JOIN, LEFT JOIN or CROSS JOIN",
                );
                return;
            }
        };
        match constraint {
            JoinConstraint::On(expr) => self.expr(expr, scopes),
            JoinConstraint::Using(_) | JoinConstraint::Natural | JoinConstraint::None => {
                let why = "write ON a.x = b.x: engines name the column differently otherwise";
                self.refuse(span, "a join without ON", why);
            }
        }
    }
}

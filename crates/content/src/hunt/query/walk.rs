//! Walking a query: every part is either known to mean the same on every engine, or refused.

use std::collections::BTreeSet;
use std::ops::Range;

use sqlparser::ast::{
    Cte, Distinct, Expr, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier,
    Spanned, TableAlias, Value, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::Span;

use super::{Context, Ordered, Output, place};
use crate::fields::closest;
use crate::hunt::parameter::ParameterKind;
use crate::hunt::table::Table;
use crate::problem::{HuntTrouble, Problems, Trouble};
use crate::source::Text;

/// Operators and subqueries may be this deep in one another.
const MAX_DEPTH: usize = 120;

/// Something in FROM: its name, and its columns where they are known.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub name: String,
    pub columns: Option<Vec<String>>,
}

/// Names that can be used in one SELECT, and those of the SELECTs around it.
pub(super) type Scopes = Vec<Vec<Relation>>;

pub(super) struct Walk<'a> {
    pub(super) text: &'a Text,
    problems: &'a mut Problems,
    pub(super) context: &'a Context<'a>,
    pub(super) ctes: Vec<Relation>,
    pub(super) read: BTreeSet<Table>,
    pub(super) depth: usize,
    pub(super) is_stopped: bool,
}

type Top = (Vec<Output>, Vec<Ordered>, Range<usize>);

impl<'a> Walk<'a> {
    pub fn new(text: &'a Text, problems: &'a mut Problems, context: &'a Context<'a>) -> Self {
        Self {
            text,
            problems,
            context,
            ctes: Vec::new(),
            read: BTreeSet::new(),
            depth: 0,
            is_stopped: false,
        }
    }

    /// The query as a whole. `None` where its columns cannot be told.
    pub fn top(&mut self, query: &Query) -> Option<Top> {
        let columns = self.query(query, &Vec::new());
        if self.is_stopped {
            return None;
        }
        for table in self.context.tables.unwrap_or_default() {
            if !self.read.contains(table) {
                let table = table.name().to_owned();
                self.told_at(0..0, HuntTrouble::UnreadTable { table });
            }
        }
        let SetExpr::Select(select) = &*query.body else {
            self.told_at(0..0, HuntTrouble::NotOneSelect);
            return None;
        };
        columns?;
        let mut outputs: Vec<Output> = Vec::new();
        for item in &select.projection {
            let (name, span) = match item {
                SelectItem::ExprWithAlias { alias, .. } => (self.name_of(alias), alias.span),
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
                    (self.name_of(ident), ident.span)
                }
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                    let last = parts.last()?;
                    (self.name_of(last), last.span)
                }
                other => {
                    self.told(other.span(), HuntTrouble::NamelessOutput);
                    continue;
                }
            };
            if outputs.iter().any(|output| output.name == name) {
                let column = name.clone();
                self.told(span, HuntTrouble::DuplicateOutput { column });
            }
            let span = place(self.text, span);
            outputs.push(Output { name, span });
        }
        let mut order_span = outputs.first().map_or(0..0, |output| output.span.clone());
        let mut order = Vec::new();
        if let Some(by) = &query.order_by
            && let OrderByKind::Expressions(keys) = &by.kind
        {
            for key in keys {
                order_span = place(self.text, key.expr.span());
                let name = match &key.expr {
                    Expr::Identifier(ident) => Some(self.name_of(ident)),
                    _ => None,
                };
                let is_descending = key.options.asc == Some(false);
                order.push(Ordered {
                    name,
                    is_descending,
                });
            }
        }
        Some((outputs, order, order_span))
    }

    /// Walks a query; its columns, where they are known.
    pub(super) fn query(&mut self, query: &Query, outer: &Scopes) -> Option<Vec<String>> {
        if !self.deeper() {
            return None;
        }
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let known_before = self.ctes.len();
        if let Some(with) = with {
            if with.recursive {
                let span = with.with_token.0.span;
                self.refuse(
                    span,
                    "WITH RECURSIVE",
                    "a hunt must end; engines bound it differently",
                );
            }
            for cte in &with.cte_tables {
                self.cte(cte, outer);
            }
        }
        let (columns, inner) = self.set(body, outer);
        if let Some(by) = order_by {
            let mut scopes = inner.unwrap_or_default();
            let outputs = Relation {
                name: String::new(),
                columns: columns.clone(),
            };
            scopes.push(vec![outputs]);
            match &by.kind {
                OrderByKind::Expressions(keys) => {
                    let is_top = self.depth == 1;
                    for (at, key) in keys.iter().enumerate() {
                        self.order_key(key, &scopes, is_top && at == 0);
                    }
                }
                OrderByKind::All(_) => self.refuse(by.span(), "ORDER BY ALL", "name the columns"),
            }
            if by.interpolate.is_some() {
                self.refuse(by.span(), "INTERPOLATE", "only ClickHouse has it");
            }
        }
        match limit_clause {
            Some(LimitClause::LimitOffset {
                limit: Some(limit),
                offset: None,
                limit_by,
            }) if limit_by.is_empty() => self.expr(limit, outer),
            Some(other) => self.refuse(
                other.span(),
                "this form of LIMIT",
                "write LIMIT n behind an ORDER BY that leaves no ties",
            ),
            None => {}
        }
        let is_plain = fetch.is_none()
            && locks.is_empty()
            && for_clause.is_none()
            && settings.is_none()
            && format_clause.is_none()
            && pipe_operators.is_empty();
        if !is_plain {
            self.refuse(
                query.body.span(),
                "what stands behind this SELECT",
                "only ORDER BY and LIMIT may stand there",
            );
        }
        self.ctes.truncate(known_before);
        self.depth -= 1;
        columns
    }

    fn cte(&mut self, cte: &Cte, outer: &Scopes) {
        let Cte {
            alias,
            query,
            from,
            materialized,
            closing_paren_token: _,
        } = cte;
        let span = alias.name.span;
        if from.is_some() || materialized.is_some() {
            self.refuse(span, "a hint at WITH", "the engine decides; leave it out");
        }
        let name = self.alias(alias);
        if Table::named(&name).is_some() {
            self.refuse(
                span,
                &format!("the name `{name}`"),
                "a table of ours is called so; choose another name",
            );
        }
        let columns = self.query(query, outer);
        self.ctes.push(Relation { name, columns });
    }

    pub(super) fn alias(&mut self, alias: &TableAlias) -> String {
        if !alias.columns.is_empty() {
            let why = "name the columns with AS inside, where they are made";
            self.refuse(alias.name.span, "a list of column names", why);
        }
        self.name_of(&alias.name)
    }

    /// The columns of a SELECT or of several put together, and the names known inside.
    fn set(&mut self, set: &SetExpr, outer: &Scopes) -> (Option<Vec<String>>, Option<Scopes>) {
        match set {
            SetExpr::Select(select) => {
                let (columns, scopes) = self.select(select, outer);
                (columns, Some(scopes))
            }
            SetExpr::Query(query) => (self.query(query, outer), None),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                if !self.deeper() {
                    return (None, None);
                }
                let is_known = matches!(
                    (op, set_quantifier),
                    (SetOperator::Union, SetQuantifier::All)
                );
                if !is_known {
                    let what = format!("{op} {set_quantifier}");
                    self.refuse(
                        right.span(),
                        what.trim(),
                        "write UNION ALL; where rows must be told apart, group them",
                    );
                }
                let (columns, _) = self.set(left, outer);
                self.set(right, outer);
                self.depth -= 1;
                (columns, None)
            }
            other => {
                self.refuse(
                    other.span(),
                    "this instead of a SELECT",
                    "a hunt only reads",
                );
                (None, None)
            }
        }
    }

    fn select(&mut self, select: &Select, outer: &Scopes) -> (Option<Vec<String>>, Scopes) {
        let Select {
            select_token,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        let span = select_token.0.span;
        let unknown: &[(&str, bool)] = &[
            ("a hint", !optimizer_hints.is_empty()),
            ("a modifier of SELECT", select_modifiers.is_some()),
            ("TOP", top.is_some()),
            ("EXCLUDE", exclude.is_some()),
            ("INTO", into.is_some()),
            ("LATERAL VIEW", !lateral_views.is_empty()),
            ("PREWHERE", prewhere.is_some()),
            ("CONNECT BY", !connect_by.is_empty()),
            ("CLUSTER BY", !cluster_by.is_empty()),
            ("DISTRIBUTE BY", !distribute_by.is_empty()),
            ("SORT BY", !sort_by.is_empty()),
            ("WINDOW", !named_window.is_empty()),
            ("QUALIFY", qualify.is_some()),
            ("a value table", value_table_mode.is_some()),
            ("FROM before SELECT", *flavor != SelectFlavor::Standard),
            ("DISTINCT ON", matches!(distinct, Some(Distinct::On(_)))),
        ];
        for (what, is_there) in unknown {
            if *is_there {
                self.refuse(span, what, "not every engine has it");
            }
        }
        let mut relations = Vec::new();
        for table in from {
            self.table_with_joins(table, outer, &mut relations);
        }
        self.count_events_once(select, span, from);
        let mut scopes = outer.clone();
        scopes.push(relations);
        for join in from.iter().flat_map(|table| &table.joins) {
            self.join(
                &join.join_operator,
                join.global,
                &scopes,
                join.relation.span(),
            );
        }
        for part in [selection, having].into_iter().flatten() {
            self.expr(part, &scopes);
        }
        match group_by {
            GroupByExpr::Expressions(keys, modifiers) if modifiers.is_empty() => {
                for key in keys {
                    if matches!(key, Expr::Value(value) if matches!(value.value, Value::Number(..)))
                    {
                        self.refuse(key.span(), "a number in GROUP BY", "write the column");
                    }
                    self.expr(key, &scopes);
                }
            }
            GroupByExpr::Expressions(..) | GroupByExpr::All(_) => {
                self.refuse(span, "this form of GROUP BY", "name the columns");
            }
        }
        let mut columns = Some(Vec::new());
        for item in projection {
            self.item(item, &scopes, &mut columns);
        }
        (columns, scopes)
    }

    fn item(&mut self, item: &SelectItem, scopes: &Scopes, columns: &mut Option<Vec<String>>) {
        let mut push = |name: String| {
            if let Some(columns) = columns {
                columns.push(name);
            }
        };
        match item {
            SelectItem::UnnamedExpr(expr) => {
                self.expr(expr, scopes);
                push(match expr {
                    Expr::Identifier(ident) => self.name_of(ident),
                    Expr::CompoundIdentifier(parts) => parts
                        .last()
                        .map_or_else(String::new, |part| self.name_of(part)),
                    // Engines name it as they like: nothing can refer to it.
                    _ => String::new(),
                });
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expr(expr, scopes);
                push(self.name_of(alias));
            }
            SelectItem::Wildcard(options) => {
                self.wildcard(options, item.span());
                let relations = scopes.last().map(Vec::as_slice).unwrap_or_default();
                add_all(columns, relations);
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                self.wildcard(options, item.span());
                let name = match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(name) => self.single(name),
                    SelectItemQualifiedWildcardKind::Expr(_) => None,
                };
                let relations = scopes.last().map(Vec::as_slice).unwrap_or_default();
                let found = relations
                    .iter()
                    .find(|known| Some(&known.name) == name.as_ref());
                match found {
                    Some(relation) => add_all(columns, std::slice::from_ref(relation)),
                    None => {
                        let trouble = no_table(name.unwrap_or_default(), &names(relations));
                        self.told(item.span(), trouble);
                        *columns = None;
                    }
                }
            }
            SelectItem::ExprWithAliases { .. } => {
                self.refuse(item.span(), "several names for one value", "name it once");
                *columns = None;
            }
        }
    }

    fn wildcard(&mut self, options: &WildcardAdditionalOptions, span: Span) {
        if *options != WildcardAdditionalOptions::default() {
            self.refuse(span, "`*` with an option", "name the columns");
        }
    }

    pub(super) fn order_key(&mut self, key: &OrderByExpr, scopes: &Scopes, is_score: bool) {
        if key.with_fill.is_some() {
            self.refuse(key.expr.span(), "WITH FILL", "only ClickHouse has it");
        }
        if key.options.asc == Some(false) && key.options.nulls_first.is_none() && !is_score {
            self.refuse(
                key.expr.span(),
                "DESC alone",
                "where NULLs come differs between engines; write DESC NULLS LAST",
            );
        }
        self.expr(&key.expr, scopes);
    }

    /// Whether there is room for one more level; each that is entered is left by the caller.
    pub(super) fn deeper(&mut self) -> bool {
        if self.is_stopped {
            return false;
        }
        if self.depth >= MAX_DEPTH {
            let what = format!("nested more than {MAX_DEPTH} deep");
            self.told_at(0..0, HuntTrouble::TooComplex { what });
            self.is_stopped = true;
            return false;
        }
        self.depth += 1;
        true
    }

    pub(super) fn kind_of(&self, parameter: &str) -> Option<ParameterKind> {
        let known = self.context.parameters?.iter();
        let mut found = known.filter(|(name, _)| name == parameter);
        found.next().map(|(_, kind)| *kind)
    }

    pub(super) fn refuse(&mut self, span: Span, what: &str, why: &str) {
        let trouble = HuntTrouble::Refused {
            what: what.to_owned(),
            why: why.to_owned(),
        };
        self.told(span, trouble);
    }

    pub(super) fn told(&mut self, span: Span, trouble: HuntTrouble) {
        let span = place(self.text, span);
        self.told_at(span, trouble);
    }

    fn told_at(&mut self, span: Range<usize>, trouble: HuntTrouble) {
        self.problems.push(span, Trouble::Hunt(trouble));
    }
}

pub(super) fn names(relations: &[Relation]) -> Vec<String> {
    relations.iter().map(|known| known.name.clone()).collect()
}

pub(super) fn no_table(table: String, known: &[String]) -> HuntTrouble {
    let near: Vec<&str> = known.iter().map(String::as_str).collect();
    HuntTrouble::NoTable {
        suggestion: closest(&table, &near).map(str::to_owned),
        known: known.join(", "),
        table,
    }
}

fn add_all(columns: &mut Option<Vec<String>>, relations: &[Relation]) {
    for relation in relations {
        match (&mut *columns, &relation.columns) {
            (Some(columns), Some(more)) => columns.extend(more.iter().cloned()),
            _ => *columns = None,
        }
    }
}

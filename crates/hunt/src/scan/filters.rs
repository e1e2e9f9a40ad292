//! What SQL filters say about the bytes and the keys of objects.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use jiff::Timestamp;

use crate::table::Table;

/// The values of which a column must have one, for each column whose values stand in the log as
/// they stand in the table.
pub(super) fn searched(table: &Table, filters: &[Expr]) -> Vec<(usize, Vec<String>)> {
    let mut searched = Vec::new();
    for filter in filters {
        each_of_all(filter, &mut |part| {
            let found = one_of(part).and_then(|(name, values)| {
                let column = table.index_of(&name)?;
                table.columns[column]
                    .is_verbatim
                    .then_some((column, values))
            });
            searched.extend(found);
        });
    }
    searched
}

/// The same for rows that need fulfil only one of several lists of filters: of columns that every
/// list bounds, all the values.
pub(super) fn searched_by_any(table: &Table, lists: &[&[Expr]]) -> Vec<(usize, Vec<String>)> {
    let mut lists = lists.iter().map(|filters| searched(table, filters));
    let mut all = lists.next().unwrap_or_default();
    for list in lists {
        all.retain_mut(|(column, values)| {
            let bound = list.iter().find(|(other, _)| other == column);
            bound.is_some_and(|(_, more)| {
                values.extend(more.iter().cloned());
                true
            })
        });
    }
    for (_, values) in &mut all {
        values.sort_unstable();
        values.dedup();
    }
    all
}

/// The values of which a column must have one, as far as the filters bound it.
pub(crate) fn values(column: &str, filters: &[Expr]) -> Option<Vec<String>> {
    let mut values: Option<Vec<String>> = None;
    for filter in filters {
        each_of_all(filter, &mut |part| {
            if let Some((name, some)) = one_of(part)
                && name == column
            {
                match &mut values {
                    Some(values) => values.retain(|value| some.contains(value)),
                    None => values = Some(some),
                }
            }
        });
    }
    values
}

/// Between which moments a row must lie, as far as the filters bound the table's time.
pub(crate) fn between(table: &Table, filters: &[Expr]) -> (Option<Timestamp>, Option<Timestamp>) {
    let (mut since, mut until) = (None::<Timestamp>, None::<Timestamp>);
    for filter in filters {
        each_of_all(filter, &mut |part| {
            let Some((name, is_least, at)) = bound(part) else {
                return;
            };
            if name != table.time {
                return;
            }
            if is_least {
                since = since.max(Some(at));
            } else {
                until = Some(until.map_or(at, |until| until.min(at)));
            }
        });
    }
    (since, until)
}

/// Calls for each part of which all must hold.
fn each_of_all<'a>(filter: &'a Expr, each: &mut dyn FnMut(&'a Expr)) {
    match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => {
            each_of_all(left, each);
            each_of_all(right, each);
        }
        part => each(part),
    }
}

/// The column and the values it must have one of.
fn one_of(part: &Expr) -> Option<(String, Vec<String>)> {
    match part {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => {
            let (name, value) = named(left)
                .zip(value(right))
                .or_else(|| named(right).zip(value(left)))?;
            Some((name, vec![value]))
        }
        // The optimiser writes a short IN as this.
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Or,
            right,
        }) => {
            let (name, mut values) = one_of(left)?;
            let (other, more) = one_of(right)?;
            values.extend(more);
            (name == other).then_some((name, values))
        }
        Expr::InList(list) if !list.negated => {
            let values: Option<Vec<String>> = list.list.iter().map(value).collect();
            Some((named(&list.expr)?, values?))
        }
        _ => None,
    }
}

/// The column of an expression that is one, whatever type it is read as.
fn named(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(Column { name, .. }) => Some(name.clone()),
        _ => None,
    }
}

/// How a value stands in a log.
fn value(expr: &Expr) -> Option<String> {
    let Expr::Literal(literal, _) = expr else {
        return None;
    };
    match literal {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.clone()
        }
        ScalarValue::Int64(Some(number)) => (*number >= 0).then(|| number.to_string()),
        _ => None,
    }
}

/// The column, whether the bound is the least, and the bound.
fn bound(part: &Expr) -> Option<(String, bool, Timestamp)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = part else {
        return None;
    };
    let is_least = match op {
        Operator::Gt | Operator::GtEq => true,
        Operator::Lt | Operator::LtEq => false,
        _ => return None,
    };
    match (named(left), moment(right)) {
        (Some(name), Some(at)) => Some((name, is_least, at)),
        _ => Some((named(right)?, !is_least, moment(left)?)),
    }
}

fn moment(expr: &Expr) -> Option<Timestamp> {
    match expr {
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), None), _) => {
            Timestamp::from_microsecond(*micros).ok()
        }
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(nanos), None), _) => {
            Timestamp::from_nanosecond(i128::from(*nanos)).ok()
        }
        _ => None,
    }
}

//! Tables whose columns are members of a JSON record or worked out from them.

use std::borrow::Cow;
use std::sync::Arc;

use super::documents::{Documents, Forms, Outer, Record, Shape, place};
use super::json::text_of;
use super::members::{Members, Names, dig, truth};
use super::{Cell, Given, Object, Order, Reader, Sink, moment};
use crate::table::{Kind, Table};

/// How the records of a log become rows.
pub(super) struct Recipe {
    /// The table.
    pub table: &'static Table,
    /// The members that are looked at.
    pub names: Names,
    /// The forms that the log comes in.
    pub forms: Forms,
    /// Whether an object is a record.
    pub is_record: fn(&Members<'_>) -> bool,
    /// Whether an object is none and need not be one.
    pub is_beside: fn(&Members<'_>) -> bool,
    /// Columns that stand in the record, with the path they stand at. What stands neither here nor
    /// in [`Self::computed`] is `_source`, or the `account_id` or `region` of the object's key.
    pub written: &'static [(&'static str, &'static str)],
    /// Columns that are worked out.
    pub computed: &'static [(&'static str, Compute)],
}

/// Works a value out.
pub(super) type Compute = for<'a> fn(&Row<'a>) -> Value<'a>;

/// What values are worked out from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// The members of the record.
    pub members: &'a Members<'a>,
    /// What is around it.
    pub outer: Option<&'a Outer<'a>>,
    /// The object it is read from.
    pub object: &'a Object,
    /// What the user has said.
    pub given: &'a Given,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// As it is written in JSON; what it is depends on the column.
    Written(Option<&'a [u8]>),
    /// A text.
    Text(Option<Cow<'a, str>>),
    /// A whole number.
    Integer(Option<i64>),
    /// A number with a fraction.
    Float(Option<f64>),
    /// True or false.
    Boolean(Option<bool>),
    /// Microseconds since 1970.
    Time(Option<i64>),
}

impl Value<'_> {
    /// A text that was put together.
    pub fn owned(text: Option<String>) -> Self {
        Self::Text(text.map(Cow::Owned))
    }
}

impl<'a> Row<'a> {
    /// The whole seconds since 1970 of a moment at a path.
    pub fn epoch(&self, path: &str) -> Option<i64> {
        let text = self.members.text_at(path)?;
        moment::micros(&text).map(moment::epoch)
    }

    /// The start of the window that a moment at a path lies in, in seconds since 1970.
    pub fn window(&self, path: &str) -> Option<i64> {
        self.epoch(path).map(moment::window)
    }

    /// The text of a member of what is around the record.
    pub fn outer_text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.outer?.text(name)
    }

    /// The account that the key of the object names.
    pub fn key_account(&self) -> Option<Cow<'a, str>> {
        self.object.account.as_deref().map(Cow::Borrowed)
    }

    /// The region that the key of the object names.
    pub fn key_region(&self) -> Option<Cow<'a, str>> {
        self.object.region.as_deref().map(Cow::Borrowed)
    }
}

/// What fills a cell.
#[derive(Debug, Clone, Copy)]
enum Filling {
    Written {
        member: usize,
        rest: Option<&'static str>,
    },
    Computed(Compute),
    Account,
    Region,
    Source,
}

/// A recipe, applied to one object.
struct Cook {
    recipe: &'static Recipe,
    fillings: Vec<(Filling, Cell, Kind)>,
    object: Object,
    given: Arc<Given>,
}

/// A reader by a recipe.
pub(super) fn open(recipe: &'static Recipe, order: &Order, object: &Object) -> Box<dyn Reader> {
    let of_cell = |(cell, column): (Cell, &usize)| {
        let column = &recipe.table.columns[*column];
        (filling(recipe, column.name), cell, column.kind)
    };
    let cook = Cook {
        recipe,
        fillings: order.columns.iter().enumerate().map(of_cell).collect(),
        object: object.clone(),
        given: Arc::clone(&order.given),
    };
    Box::new(Documents::new(cook, order, object))
}

fn filling(recipe: &'static Recipe, column: &str) -> Filling {
    if let Some((_, compute)) = recipe.computed.iter().find(|(name, _)| *name == column) {
        return Filling::Computed(*compute);
    }
    if let Some((_, path)) = recipe.written.iter().find(|(name, _)| *name == column) {
        let (member, rest) = match path.split_once('.') {
            Some((member, rest)) => (member, Some(rest)),
            None => (*path, None),
        };
        if let Some(member) = recipe.names.number(member) {
            return Filling::Written { member, rest };
        }
    }
    match column {
        "account_id" => Filling::Account,
        "region" => Filling::Region,
        _ => Filling::Source,
    }
}

impl Shape for Cook {
    fn names(&self) -> &'static Names {
        &self.recipe.names
    }

    fn forms(&self) -> &'static Forms {
        &self.recipe.forms
    }

    fn is_record(&self, members: &Members<'_>) -> bool {
        (self.recipe.is_record)(members)
    }

    fn is_beside(&self, members: &Members<'_>) -> bool {
        (self.recipe.is_beside)(members)
    }

    fn row(&self, record: &Record<'_>, sink: &mut Sink) {
        let row = Row {
            members: record.members,
            outer: record.outer,
            object: &self.object,
            given: &self.given,
        };
        for (filling, cell, kind) in &self.fillings {
            let value = match filling {
                Filling::Written { member, rest } => {
                    let value = record.members.at(*member);
                    Value::Written(match rest {
                        Some(rest) => value.and_then(|value| dig(value, rest)),
                        None => value,
                    })
                }
                Filling::Computed(compute) => compute(&row),
                Filling::Account => Value::Text(self.object.account.as_deref().map(Cow::Borrowed)),
                Filling::Region => Value::Text(self.object.region.as_deref().map(Cow::Borrowed)),
                Filling::Source => Value::owned(Some(place(&self.object, record.number))),
            };
            put(
                value,
                *kind,
                *cell,
                || place(&self.object, record.number),
                sink,
            );
        }
        sink.end_row();
    }
}

/// Sets a cell. What is not of the column's kind is NULL and counted.
pub(super) fn put(
    value: Value<'_>,
    kind: Kind,
    cell: Cell,
    place: impl Fn() -> String,
    sink: &mut Sink,
) {
    match (value, kind) {
        (Value::Written(value), _) => written(value, kind, cell, place, sink),
        (Value::Text(text), Kind::Text) => sink.rows.text(cell, text.as_deref()),
        (Value::Integer(value), Kind::Integer) => sink.rows.integer(cell, value),
        (Value::Float(value), Kind::Float) => sink.rows.float(cell, value),
        (Value::Boolean(value), Kind::Boolean) => sink.rows.boolean(cell, value),
        (Value::Time(value), Kind::Time) => sink.rows.time(cell, value),
        (
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Time(_),
            _,
        ) => {
            debug_assert!(false, "a value is not of its column's kind");
            sink.rows.null(cell);
        }
    }
}

fn written(
    value: Option<&[u8]>,
    kind: Kind,
    cell: Cell,
    place: impl Fn() -> String,
    sink: &mut Sink,
) {
    let text = value.and_then(text_of);
    let told = text.as_deref().filter(|text| !text.is_empty());
    let is_understood = match kind {
        Kind::Text => {
            sink.rows.text(cell, told);
            true
        }
        Kind::Boolean => {
            let truth = told.and_then(truth);
            sink.rows.boolean(cell, truth);
            truth.is_some()
        }
        Kind::Time => {
            let at = told.and_then(moment::micros);
            sink.rows.time(cell, at);
            at.is_some()
        }
        Kind::Integer => {
            let number = told.and_then(integer);
            sink.rows.integer(cell, number);
            number.is_some()
        }
        Kind::Float => {
            let number = told
                .and_then(|text| text.parse().ok())
                .filter(|number: &f64| number.is_finite());
            sink.rows.float(cell, number);
            number.is_some()
        }
    };
    let is_null = value.is_none_or(|value| value == b"null" || value == b"\"\"");
    if !is_null && (!is_understood || text.is_none()) {
        sink.tally.bad_values += 1;
        let shown: String = text.unwrap_or_default().chars().take(40).collect();
        let what = format!("`{shown}` is not what its column holds");
        sink.tally.sample(place, what);
    }
}

/// A whole number, also as some writers put it: `8.0`.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

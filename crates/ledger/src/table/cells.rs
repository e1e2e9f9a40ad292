//! A row of the database as serde reads it, without a copy of it in between: a page of a list has a
//! thousand cells.

use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Kind, Table};

/// The cells of a row, by the names of its table's columns.
pub(super) struct Cells<'r> {
    table: &'static [(&'static str, Kind)],
    row: &'r AnyRow,
    next: usize,
}

impl<'r> Cells<'r> {
    pub(super) fn of(table: &Table, row: &'r AnyRow) -> Self {
        Self {
            table: table.columns,
            row,
            next: 0,
        }
    }
}

impl<'de> Deserializer<'de> for Cells<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Cells<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let column = self.table.get(self.next);
        column
            .map(|(name, _)| seed.deserialize(BorrowedStrDeserializer::new(name)))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let at = self.next;
        self.next += 1;
        let cell = match self.table.get(at) {
            Some((_, Kind::Int)) => self.row.try_get(at).map(Cell::Int),
            Some((_, Kind::Text)) => self.row.try_get(at).map(Cell::Text),
            None => return Err(Error::custom("a row has no more columns")),
        };
        seed.deserialize(cell.map_err(Error::custom)?)
    }
}

enum Cell<'r> {
    Int(Option<i64>),
    Text(Option<&'r str>),
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Int(Some(number)) => visitor.visit_i64(number),
            Self::Text(Some(text)) => visitor.visit_borrowed_str(text),
            Self::Int(None) | Self::Text(None) => visitor.visit_none(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Int(None) | Self::Text(None) => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

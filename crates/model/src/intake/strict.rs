//! JSON whose members say one thing.
//!
//! JSON leaves open what a member means that stands twice, and parsers keep the first or the last:
//! a finding that names two instances would be about one for its sender and about the other for us.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A value, and the first member that stood twice in it with two values.
pub(super) struct Strict {
    pub(super) value: Value,
    pub(super) twice: Option<String>,
}

impl From<Value> for Strict {
    fn from(value: Value) -> Self {
        Self { value, twice: None }
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Value::from(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Value::from(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Value::from(value).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Value::from(value).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Value::from(value).into())
    }

    fn visit_string<E>(self, value: String) -> Result<Strict, E> {
        Ok(Value::from(value).into())
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Value::Null.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Strict, A::Error> {
        let mut read = Vec::new();
        let mut twice = None;
        while let Some(item) = items.next_element::<Strict>()? {
            twice = twice.or(item.twice);
            read.push(item.value);
        }
        Ok(Strict {
            value: Value::Array(read),
            twice,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Strict, A::Error> {
        let mut read = Map::new();
        let mut twice = None;
        while let Some((name, member)) = members.next_entry::<String, Strict>()? {
            twice = twice.or(member.twice);
            if read.get(&name).is_some_and(|known| *known != member.value) {
                twice = twice.or_else(|| Some(name.clone()));
            }
            read.insert(name, member.value);
        }
        Ok(Strict {
            value: Value::Object(read),
            twice,
        })
    }
}

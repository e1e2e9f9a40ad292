//! States as AWS's own command line prints them: members by AWS's names, times as RFC 3339, and what AWS
//! does not say left out.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Map, Value};

/// A value that AWS may have said.
pub(super) trait Said {
    /// It, if it was said and is not empty.
    fn said(self) -> Option<Value>;
}

impl Said for Value {
    fn said(self) -> Option<Value> {
        match &self {
            Value::Null => None,
            Value::Array(items) if items.is_empty() => None,
            Value::Object(members) if members.is_empty() => None,
            _ => Some(self),
        }
    }
}

impl Said for &str {
    fn said(self) -> Option<Value> {
        Some(Value::from(self))
    }
}

impl Said for &String {
    fn said(self) -> Option<Value> {
        Some(Value::from(self.as_str()))
    }
}

impl Said for &DateTime {
    fn said(self) -> Option<Value> {
        self.fmt(Format::DateTime).ok().map(Value::from)
    }
}

impl Said for &Vec<String> {
    fn said(self) -> Option<Value> {
        let items: Vec<Value> = self.iter().map(|it| Value::from(it.as_str())).collect();
        items.said()
    }
}

/// In an order of our own: AWS's differs from call to call.
impl Said for Vec<Value> {
    fn said(mut self) -> Option<Value> {
        self.sort_by_cached_key(Value::to_string);
        Value::Array(self).said()
    }
}

macro_rules! plain {
    ($($kind:ty)*) => {$(
        impl Said for $kind {
            fn said(self) -> Option<Value> {
                Some(Value::from(self))
            }
        }
        impl Said for &$kind {
            fn said(self) -> Option<Value> {
                Some(Value::from(*self))
            }
        }
    )*};
}

plain!(bool i32 i64);

impl<'a, T> Said for &'a Option<T>
where
    &'a T: Said,
{
    fn said(self) -> Option<Value> {
        self.as_ref()?.said()
    }
}

impl<T: Said> Said for Option<T> {
    fn said(self) -> Option<Value> {
        self?.said()
    }
}

/// Adds a member, if it was said.
pub(super) fn put(members: &mut Map<String, Value>, name: &str, value: impl Said) {
    if let Some(value) = value.said() {
        members.insert(name.to_owned(), value);
    }
}

/// A state by its members: `state! {"InstanceId": &it.instance_id}`.
macro_rules! state {
    ($($name:literal: $value:expr),* $(,)?) => {{
        let mut members = serde_json::Map::new();
        $($crate::aws::record::state::put(&mut members, $name, $value);)*
        serde_json::Value::Object(members)
    }};
}

/// Every page of a list: `pages!(client.describe_volumes(), "ec2:DescribeVolumes", |page| page.volumes())`.
/// The things in a page are made of what the last expression goes through.
macro_rules! pages {
    ($question:expr, $permission:literal, |$page:ident| $each:expr) => {{
        let mut pages = $question.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let $page =
                page.map_err(|error| $crate::aws::read::ReadError::of($permission, &error))?;
            found.extend($each);
        }
        found
    }};
}

pub(super) use {pages, state};

/// The name of a value of an enumeration.
pub(super) fn word<T: AsRef<str>>(value: &Option<T>) -> Option<&str> {
    value.as_ref().map(AsRef::as_ref)
}

/// A list of structures.
pub(super) fn list<T>(items: &Option<Vec<T>>, each: impl Fn(&T) -> Value) -> Vec<Value> {
    items.iter().flatten().map(each).collect()
}

/// A structure within another.
pub(super) fn one<T>(item: &Option<T>, each: impl Fn(&T) -> Value) -> Option<Value> {
    item.as_ref().map(each)
}

/// Tags as a list of `Key` and `Value`.
pub(super) fn tags<'a>(
    pairs: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>,
) -> Vec<Value> {
    pairs
        .map(|(key, value)| state! {"Key": key, "Value": value})
        .collect()
}

/// Labels or tags as an object.
pub(super) fn pairs(map: &Option<std::collections::HashMap<String, String>>) -> Map<String, Value> {
    let pairs = map.iter().flatten();
    pairs
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect()
}

/// A policy: IAM gives it as JSON with percent signs in it (IAM API reference, `Role`). What is no JSON
/// stays the text it is.
pub(super) fn document(text: &Option<String>) -> Option<Value> {
    let text = unescape(text.as_deref()?);
    Some(serde_json::from_str(&text).unwrap_or(Value::from(text)))
}

/// Text without `%41` and the like.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let mut decoded = [0];
        match digits.map(|digits| hex::decode_to_slice(digits, &mut decoded)) {
            Some(Ok(())) => {
                out.push(decoded[0]);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_left_out_and_lists_have_an_order() {
        let nothing: Option<String> = None;
        let made = state! {
            "A": &Some("a".to_owned()),
            "B": &nothing,
            "C": vec![Value::from(2), Value::from(1)],
            "D": Vec::new(),
            "E": &Some(false),
            "F": &DateTime::from_secs(0),
        };
        assert_eq!(
            made.to_string(),
            r#"{"A":"a","C":[1,2],"E":false,"F":"1970-01-01T00:00:00Z"}"#
        );
    }

    #[test]
    fn policies_are_read_out_of_their_escapes() {
        let escaped = Some("%7B%22a%22%3A%201%7D".to_owned());
        assert_eq!(document(&escaped).unwrap().to_string(), r#"{"a":1}"#);
        for text in ["100%", "%zz", "%C3%"] {
            assert!(document(&Some(text.to_owned())).unwrap().is_string());
        }
    }
}

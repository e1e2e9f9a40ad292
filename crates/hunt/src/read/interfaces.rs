//! Which network interface is which machine's, where a record says so: flow logs name the one and
//! everything else the other.

use std::borrow::Cow;

use super::json::text_of;
use super::members::{Texts, dig, items};

/// How the pairs stand in a table: `INSTANCE=INTERFACE`.
pub const JOIN: char = '=';

/// The column that has them.
pub const COLUMN: &str = "instance_interfaces";

/// Adds the interfaces of a machine, which lie in a list at a path, each with its id at another.
pub(super) fn add_machine<'a>(
    pairs: &mut Texts<'a>,
    machine: &'a [u8],
    list: &str,
    interface: &str,
) {
    for item in items(dig(machine, list)) {
        add(pairs, dig(machine, "instanceId"), dig(item, interface));
    }
}

/// Adds a pair of values, where both are there.
pub(super) fn add<'a>(
    pairs: &mut Texts<'a>,
    instance: Option<&'a [u8]>,
    interface: Option<&'a [u8]>,
) {
    // An ARN ends in the id.
    let id = |value: Option<&'a [u8]>| {
        let text = value.and_then(text_of)?;
        let id = text.rsplit('/').next().unwrap_or_default().to_owned();
        (!id.is_empty()).then_some(id)
    };
    if let (Some(instance), Some(interface)) = (id(instance), id(interface)) {
        pairs.add(Some(Cow::Owned(format!("{instance}{JOIN}{interface}"))));
    }
}

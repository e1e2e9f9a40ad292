//! Which keys there are, and what may have been meant by one that is not among them.

use toml::{Table, Value};

use super::error::Trouble;
use super::overrides::{Override, VARIABLE_PREFIX};

/// A name this far from a known one, as `strsim::jaro_winkler` measures, is no slip of the hand.
const LEAST_LIKENESS: f64 = 0.8;

/// Every key with a value, from the top of the file.
pub(super) fn leaves(tree: &Table) -> Vec<String> {
    fn collect(prefix: &str, table: &Table, found: &mut Vec<String>) {
        for (name, value) in table {
            let full = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                Value::Table(inner) => collect(&full, inner, found),
                _ => found.push(full),
            }
        }
    }
    let mut found = Vec::new();
    collect("", tree, &mut found);
    found
}

pub(super) fn lookup<'a>(tree: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let top = tree.get(parts.next()?)?;
    parts.try_fold(top, |value, part| value.as_table()?.get(part))
}

pub(super) fn listed(keys: &Table) -> String {
    keys.keys()
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Says what may have been meant by a key that does not exist.
pub(super) fn unknown(tree: &Table, full: &str) -> Trouble {
    let (path, name) = full.rsplit_once('.').unwrap_or(("", full));
    let siblings = if path.is_empty() {
        Some(tree)
    } else {
        lookup(tree, path).and_then(Value::as_table)
    };
    let near = siblings.and_then(|keys| nearest(name, keys.keys().map(String::as_str)));
    // A key of the right name in the wrong table is the other usual slip.
    let elsewhere = || {
        let leaves = leaves(tree);
        let place = leaves
            .iter()
            .find(|leaf| leaf.rsplit('.').next() == Some(name))?;
        Some(place.clone())
    };
    let suggestion = near.map(str::to_owned).or_else(elsewhere);
    if path.is_empty() {
        return Trouble::UnknownTop {
            key: name.to_owned(),
            suggestion,
            known: listed(tree),
        };
    }
    match siblings {
        Some(keys) => Trouble::UnknownKey {
            key: name.to_owned(),
            table: path.to_owned(),
            suggestion,
            known: listed(keys),
        },
        // The table itself is unknown: that is what to say.
        None => unknown(tree, path),
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `DAVY_GUARD_MODE` for `DAVY_GUARD__MODE`.
pub(super) fn single_underscores(tree: &Table, given: &Override) -> Option<Trouble> {
    let flat = given.key.replace('.', "_");
    let meant = leaves(tree)
        .into_iter()
        .find(|leaf| leaf.replace('.', "_") == flat)?;
    let meant = format!(
        "{VARIABLE_PREFIX}{}",
        meant.replace('.', "__").to_ascii_uppercase()
    );
    (given.origin == "environment").then_some(Trouble::SingleUnderscores { meant })
}

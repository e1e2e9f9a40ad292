//! JSON merge patch (RFC 7396), which also stands in for the strategic kind and for server-side
//! apply: the difference is in lists with keys, which are replaced whole here.

use serde_json::{Map, Value};

/// `target` changed by `patch`.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            members.remove(key);
        } else {
            merge(members.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

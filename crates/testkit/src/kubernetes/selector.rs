//! Label and field selectors of lists.

use serde_json::Value;

use super::answer::Trouble;

/// Fields that may be selected by. The real server has its own list for each kind.
const FIELDS: [(&str, &str); 5] = [
    ("metadata.name", "/metadata/name"),
    ("metadata.namespace", "/metadata/namespace"),
    ("spec.nodeName", "/spec/nodeName"),
    ("status.phase", "/status/phase"),
    ("spec.unschedulable", "/spec/unschedulable"),
];

/// Whether an object matches a label selector such as `a=b,c!=d,e,!f,g in (x,y)`.
pub fn labels_match(selector: &str, object: &Value) -> Result<bool, Trouble> {
    for term in terms(selector) {
        if !label_term(term, object)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether an object matches a field selector such as `spec.nodeName=a,status.phase!=Failed`.
pub fn fields_match(selector: &str, object: &Value) -> Result<bool, Trouble> {
    for term in terms(selector) {
        let (field, wanted, equal) =
            equation(term).ok_or_else(|| bad(format!("invalid field selector term {term:?}")))?;
        let pointer = FIELDS
            .iter()
            .find(|(name, _)| *name == field)
            .map(|(_, pointer)| *pointer)
            .ok_or_else(|| bad(format!("field label not supported: {field}")))?;
        let value = object.pointer(pointer).map_or_else(String::new, |value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        });
        if (value == wanted) != equal {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The terms of a selector: commas inside parentheses separate values.
fn terms(selector: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut depth, mut start) = (0u32, 0);
    for (at, byte) in selector.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                terms.push(selector[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(selector[start..].trim());
    terms.retain(|term| !term.is_empty());
    terms
}

fn equation(term: &str) -> Option<(&str, &str, bool)> {
    if let Some((key, value)) = term.split_once("!=") {
        return Some((key.trim(), value.trim(), false));
    }
    let (key, value) = term.split_once("==").or_else(|| term.split_once('='))?;
    Some((key.trim(), value.trim(), true))
}

fn label_term(term: &str, object: &Value) -> Result<bool, Trouble> {
    let label = |key: &str| {
        object
            .pointer("/metadata/labels")
            .and_then(|labels| labels.get(key))
            .and_then(Value::as_str)
    };
    if let Some((key, value, equal)) = equation(term) {
        return Ok((label(key) == Some(value)) == equal);
    }
    let words: Vec<&str> = term.splitn(3, char::is_whitespace).collect();
    match words.as_slice() {
        [key] => Ok(match key.strip_prefix('!') {
            Some(key) => label(key).is_none(),
            None => label(key).is_some(),
        }),
        [key, verb @ ("in" | "notin"), list] => {
            let listed = list
                .trim()
                .trim_start_matches('(')
                .trim_end_matches(')')
                .split(',')
                .any(|value| label(key) == Some(value.trim()));
            Ok(listed == (*verb == "in"))
        }
        _ => Err(bad(format!("unable to parse requirement {term:?}"))),
    }
}

fn bad(message: String) -> Trouble {
    Trouble::new(400, "BadRequest", message)
}

//! One field of a rule with its modifiers and values, as SQL that is true or false and never NULL.

use serde_norway::Value;

use super::Trouble;
use super::log::{Log, Place};
use crate::table::Kind;

/// What its modifiers say about a field.
#[derive(Debug, Default)]
struct Modifiers {
    is_all: bool,
    is_cased: bool,
    how: Option<How>,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Contains,
    StartsWith,
    EndsWith,
    Expression,
    Cidr,
    Order(&'static str),
    Exists,
    Field,
}

/// The condition of a field: its key with modifiers, and its values.
pub(super) fn sql(log: &Log, key: &str, values: &Value) -> Result<String, Trouble> {
    let mut parts = key.split('|');
    let field = parts.next().unwrap_or_default();
    if field.is_empty() {
        return Err(unsupported("a search without a field"));
    }
    let modifiers = modifiers(parts)?;
    let place = log.place(field)?;
    let values: &[Value] = match values {
        Value::Sequence(values) => values,
        one => std::slice::from_ref(one),
    };
    if values.is_empty() {
        return Err(unsupported(&format!("the field {field} without a value")));
    }
    let conditions = values
        .iter()
        .map(|value| one(log, &place, &modifiers, value))
        .collect::<Result<Vec<_>, _>>()?;
    let joint = if modifiers.is_all { " AND " } else { " OR " };
    Ok(format!("({})", conditions.join(joint)))
}

fn modifiers<'a>(names: impl Iterator<Item = &'a str>) -> Result<Modifiers, Trouble> {
    let mut modifiers = Modifiers::default();
    for name in names {
        let how = match name.to_ascii_lowercase().as_str() {
            "all" => {
                modifiers.is_all = true;
                continue;
            }
            "cased" => {
                modifiers.is_cased = true;
                continue;
            }
            "contains" => How::Contains,
            "startswith" => How::StartsWith,
            "endswith" => How::EndsWith,
            "re" => How::Expression,
            "cidr" => How::Cidr,
            "lt" => How::Order("<"),
            "lte" => How::Order("<="),
            "gt" => How::Order(">"),
            "gte" => How::Order(">="),
            "exists" => How::Exists,
            "fieldref" => How::Field,
            other => return Err(unsupported(&format!("the modifier {other}"))),
        };
        if modifiers.how.replace(how).is_some() {
            return Err(unsupported(&format!("the modifier {name} beside another")));
        }
    }
    Ok(modifiers)
}

fn one(log: &Log, place: &Place, modifiers: &Modifiers, value: &Value) -> Result<String, Trouble> {
    let text = match value {
        Value::Null => None,
        Value::Bool(is) => Some(is.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => return Err(unsupported("a value that is a list or a mapping")),
    };
    let missing = || unsupported("null with a modifier");
    match (modifiers.how, text) {
        (None, None) => Ok(format!("NOT {}", exists(place))),
        (Some(How::Exists), _) => match value {
            Value::Bool(true) => Ok(exists(place)),
            Value::Bool(false) => Ok(format!("NOT {}", exists(place))),
            _ => Err(unsupported("exists with anything but true and false")),
        },
        (Some(How::Field), text) => same(place, &log.place(&text.ok_or_else(missing)?)?),
        (Some(How::Order(sign)), text) => order(place, sign, &text.ok_or_else(missing)?),
        (Some(How::Cidr), text) => cidr(place, &text.ok_or_else(missing)?),
        (Some(How::Expression), text) => Ok(fits(place, &text.ok_or_else(missing)?)),
        (how, text) => Ok(fits(
            place,
            &pattern(&text.ok_or_else(missing)?, how, modifiers.is_cased),
        )),
    }
}

/// A value with wildcards as a regular expression over the whole text. As the specification has it,
/// a backslash before `*`, `?` and itself makes it plain, and is plain before anything else.
fn pattern(value: &str, how: Option<How>, is_cased: bool) -> String {
    let mut pattern = String::from(if is_cased { "(?s)" } else { "(?is)" });
    if !matches!(how, Some(How::Contains | How::EndsWith)) {
        pattern.push('^');
    }
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '\\' if letters
                .peek()
                .is_some_and(|next| matches!(next, '*' | '?' | '\\')) =>
            {
                let plain = letters.next().unwrap_or_default();
                pattern.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4])));
            }
            plain => pattern.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4]))),
        }
    }
    if !matches!(how, Some(How::Contains | How::StartsWith)) {
        pattern.push('$');
    }
    pattern
}

/// A regular expression somewhere in a value.
fn fits(place: &Place, expression: &str) -> String {
    let expression = literal(expression);
    match place {
        Place::Column { name, kind } => {
            let text = as_text(name, *kind);
            format!("COALESCE(REGEXP_LIKE({text}, {expression}), FALSE)")
        }
        Place::Member { document, path } => {
            let path = literal(path);
            format!("COALESCE(json_matches({document}, {path}, {expression}), FALSE)")
        }
    }
}

fn exists(place: &Place) -> String {
    match place {
        Place::Column { name, .. } => format!("(\"{name}\" IS NOT NULL)"),
        Place::Member { .. } => fits(place, "(?s)^"),
    }
}

/// Two fields that say the same, in whatever case.
fn same(place: &Place, other: &Place) -> Result<String, Trouble> {
    let (
        Place::Column { name, kind },
        Place::Column {
            name: other_name,
            kind: other_kind,
        },
    ) = (place, other)
    else {
        return Err(unsupported("a comparison with a field inside JSON"));
    };
    let (one, other) = (as_text(name, *kind), as_text(other_name, *other_kind));
    Ok(format!("COALESCE(LOWER({one}) = LOWER({other}), FALSE)"))
}

fn order(place: &Place, sign: &str, value: &str) -> Result<String, Trouble> {
    let Place::Column { name, .. } = place else {
        return Err(unsupported("an order of what lies in JSON"));
    };
    let number: f64 = value
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .ok_or_else(|| unsupported(&format!("an order against {value}, which is no number,")))?;
    Ok(format!(
        "COALESCE(TRY_CAST(\"{name}\" AS DOUBLE) {sign} {number:?}, FALSE)"
    ))
}

fn cidr(place: &Place, network: &str) -> Result<String, Trouble> {
    let Place::Column { name, kind } = place else {
        return Err(unsupported("a network against what lies in JSON"));
    };
    let (text, network) = (as_text(name, *kind), literal(network));
    Ok(format!("COALESCE(in_cidr({text}, {network}), FALSE)"))
}

/// A column as text.
fn as_text(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Text => format!("\"{name}\""),
        _ => format!("CAST(\"{name}\" AS VARCHAR)"),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn unsupported(what: &str) -> Trouble {
    Trouble::Unsupported(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_pattern_of_the_whole_text() {
        let fits = |value: &str, how, text: &str| {
            let pattern = pattern(value, how, false);
            regex::Regex::new(&pattern)
                .expect("it is one")
                .is_match(text)
        };
        for (value, how, text, expected) in [
            ("Run*s", None, "runinstances", true),
            ("Run?", None, "Runs", true),
            ("Run?", None, "Run", false),
            (r"a\*b", None, "a*b", true),
            (r"a\*b", None, "axb", false),
            (r"C:\dir", None, r"c:\DIR", true),
            (r"a\\*", None, r"a\anything", true),
            ("a.c", None, "abc", false),
            ("mid", Some(How::Contains), "a mid b", true),
            ("mid", Some(How::StartsWith), "middle", true),
            ("mid", Some(How::StartsWith), "a mid", false),
            ("mid", Some(How::EndsWith), "a mid", true),
            ("", None, "", true),
            ("", None, "x", false),
            ("two\nlines", None, "two\nlines", true),
        ] {
            assert_eq!(fits(value, how, text), expected, "{value} {how:?} {text}");
        }
        let cased = pattern("Run", None, true);
        assert!(
            !regex::Regex::new(&cased)
                .expect("it is one")
                .is_match("run")
        );
    }

    #[test]
    fn what_is_not_translated_is_named() {
        for (key, said) in [
            ("eventName|base64", "the modifier base64"),
            ("eventName|contains|re", "beside another"),
            ("", "without a field"),
            ("requestParameters.a|cidr", "in JSON"),
        ] {
            let log = Log::of(&serde_norway::from_str("{service: cloudtrail}").expect("YAML"));
            let refused = sql(
                log.expect("a log"),
                key,
                &Value::String("10.0.0.0/8".to_owned()),
            );
            let refused = refused.expect_err(key).to_string();
            assert!(refused.contains(said), "{refused}");
        }
    }
}

//! A rule's searches and the condition that joins them, as SQL.

use serde_norway::{Mapping, Value};

use super::log::{Log, Place};
use super::{Trouble, field};

/// Conditions may be nested this deep; nobody writes more than three.
const MAX_DEPTH: usize = 64;

/// A rule's detection as SQL, and the columns it reads.
pub(super) fn sql(log: &Log, detection: &Value) -> Result<(String, Vec<String>), Trouble> {
    let Value::Mapping(detection) = detection else {
        return Err(Trouble::NoRule("it has no detection".to_owned()));
    };
    let condition = match detection.get("condition") {
        Some(Value::String(condition)) => condition,
        Some(Value::Sequence(_)) => {
            return Err(Trouble::Unsupported("a list of conditions".to_owned()));
        }
        _ => return Err(Trouble::NoRule("it has no condition".to_owned())),
    };
    if condition.contains('|') {
        return Err(Trouble::Unsupported("an aggregation".to_owned()));
    }
    if detection.contains_key("timeframe") {
        return Err(Trouble::Unsupported("a timeframe".to_owned()));
    }
    let mut needs = Vec::new();
    let mut searches = Vec::new();
    for (name, search) in detection {
        let Some(name) = name.as_str() else {
            return Err(Trouble::NoRule(
                "a search is not named by a text".to_owned(),
            ));
        };
        if name != "condition" {
            searches.push((name, one(log, name, search, &mut needs)?));
        }
    }
    let mut parser = Parser {
        words: words(condition),
        searches,
        depth: 0,
    };
    parser.words.reverse();
    let condition_sql = parser.any()?;
    match parser.words.pop() {
        None => Ok((condition_sql, needs)),
        Some(word) => Err(Trouble::Condition(format!("{word} is out of place"))),
    }
}

/// One search: the fields of a mapping all, the mappings of a list any.
fn one(log: &Log, name: &str, search: &Value, needs: &mut Vec<String>) -> Result<String, Trouble> {
    match search {
        Value::Mapping(fields) => every(log, name, fields, needs),
        Value::Sequence(groups) => {
            let mut any = Vec::new();
            for group in groups {
                let Value::Mapping(fields) = group else {
                    return Err(Trouble::Unsupported("a search without a field".to_owned()));
                };
                any.push(every(log, name, fields, needs)?);
            }
            match any.is_empty() {
                true => Err(Trouble::NoRule(format!("{name} is empty"))),
                false => Ok(format!("({})", any.join(" OR "))),
            }
        }
        _ => Err(Trouble::Unsupported("a search without a field".to_owned())),
    }
}

fn every(
    log: &Log,
    name: &str,
    fields: &Mapping,
    needs: &mut Vec<String>,
) -> Result<String, Trouble> {
    let mut every = Vec::new();
    for (key, values) in fields {
        let Some(key) = key.as_str() else {
            return Err(Trouble::NoRule(format!(
                "a field of {name} is not named by a text"
            )));
        };
        every.push(field::sql(log, key, values)?);
        let place = log.place(key.split('|').next().unwrap_or_default())?;
        let column = match place {
            Place::Column { name, .. } => name,
            Place::Member { document, .. } => document,
        };
        if !needs.iter().any(|known| known == column) {
            needs.push(column.to_owned());
        }
    }
    match every.is_empty() {
        true => Err(Trouble::NoRule(format!("{name} is empty"))),
        false => Ok(format!("({})", every.join(" AND "))),
    }
}

/// The words of a condition, parentheses each by itself.
fn words(condition: &str) -> Vec<String> {
    condition
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

struct Parser<'a> {
    /// The words that are left, the next one last.
    words: Vec<String>,
    searches: Vec<(&'a str, String)>,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<String, Trouble> {
        let mut sql = self.all()?;
        while self.take("or") {
            sql = format!("({sql} OR {})", self.all()?);
        }
        Ok(sql)
    }

    fn all(&mut self) -> Result<String, Trouble> {
        let mut sql = self.term()?;
        while self.take("and") {
            sql = format!("({sql} AND {})", self.term()?);
        }
        Ok(sql)
    }

    fn term(&mut self) -> Result<String, Trouble> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Trouble::Condition("it is nested too deep".to_owned()));
        }
        let sql = self.one()?;
        self.depth -= 1;
        Ok(sql)
    }

    fn one(&mut self) -> Result<String, Trouble> {
        let Some(word) = self.words.pop() else {
            return Err(Trouble::Condition("it ends too early".to_owned()));
        };
        match word.to_ascii_lowercase().as_str() {
            "not" => Ok(format!("(NOT {})", self.term()?)),
            "(" => {
                let sql = self.any()?;
                match self.take(")") {
                    true => Ok(sql),
                    false => Err(Trouble::Condition("a parenthesis is not closed".to_owned())),
                }
            }
            count @ ("1" | "any" | "all") if self.take("of") => {
                let joint = if count == "all" { " AND " } else { " OR " };
                self.several(joint)
            }
            _ => {
                let search = self.searches.iter().find(|(name, _)| *name == word);
                match search {
                    Some((_, sql)) => Ok(sql.clone()),
                    None => Err(Trouble::Condition(format!("there is no search {word}"))),
                }
            }
        }
    }

    /// The searches that a name with `*` names, or all that do not begin with `_`.
    fn several(&mut self, joint: &str) -> Result<String, Trouble> {
        let Some(word) = self.words.pop() else {
            return Err(Trouble::Condition("it ends after \"of\"".to_owned()));
        };
        let is_meant = |name: &str| match word.eq_ignore_ascii_case("them") {
            true => !name.starts_with('_'),
            false => globset::Glob::new(&word)
                .is_ok_and(|pattern| pattern.compile_matcher().is_match(name)),
        };
        let meant: Vec<&str> = self
            .searches
            .iter()
            .filter(|(name, _)| is_meant(name))
            .map(|(_, sql)| sql.as_str())
            .collect();
        match meant.is_empty() {
            true => Err(Trouble::Condition(format!("no search is called {word}"))),
            false => Ok(format!("({})", meant.join(joint))),
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is_it = self
            .words
            .last()
            .is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        if is_it {
            self.words.pop();
        }
        is_it
    }
}

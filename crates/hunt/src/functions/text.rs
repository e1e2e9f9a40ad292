//! What lies in a text.

use std::borrow::Cow;

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use davylamp_detect::entropy;
use regex::Regex;

use super::Function;
use super::scalar::{of_text, of_three_texts, of_two_texts};
use crate::read::json;

pub(super) fn all() -> Vec<Function> {
    vec![
        Function {
            usage: "json_get(json, path)",
            about: "the value at a path such as instancesSet.items.0.imageId, as text",
            udf: of_two_texts("json_get", |json, path| {
                let found = json::dig(json.trim_start().as_bytes(), path);
                Ok(found.and_then(json::text_of).map(Cow::into_owned))
            }),
        },
        Function {
            usage: "json_matches(json, path, expression)",
            about: "whether a value at a path, lists walked through, fits a regular expression",
            udf: of_three_texts("json_matches", |rows| matches(rows)),
        },
        Function {
            usage: "entropy(text)",
            about: "bits of information in each of its bytes, from 0 to 8",
            udf: of_text("entropy", |text| Some(entropy::of(text.as_bytes()))),
        },
    ]
}

fn matches(rows: &mut dyn Iterator<Item = Option<[&str; 3]>>) -> Result<Vec<Option<bool>>> {
    let mut known: Option<Regex> = None;
    let mut results = Vec::new();
    for row in rows {
        let Some([json, path, expression]) = row else {
            results.push(None);
            continue;
        };
        let regex = match &mut known {
            Some(regex) if regex.as_str() == expression => regex,
            other => {
                let regex = Regex::new(expression)
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                other.insert(regex)
            }
        };
        let fits = |value| json::text_of(value).is_some_and(|text| regex.is_match(&text));
        results.push(Some(json::any_at(json.trim_start().as_bytes(), path, fits)));
    }
    Ok(results)
}

//! What lies in a text.

use std::borrow::Cow;

use davylamp_detect::entropy;

use super::Function;
use super::scalar::{of_text, of_two_texts};
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
            usage: "entropy(text)",
            about: "bits of information in each of its bytes, from 0 to 8",
            udf: of_text("entropy", |text| Some(entropy::of(text.as_bytes()))),
        },
    ]
}

//! Who acted.

use std::borrow::Cow;

use datafusion::common::exec_err;

use super::Function;
use super::scalar::{of_text, of_two_texts};
use crate::read::cloudtrail::principal_of;

/// The parts of an ARN after its first (AWS general reference, "Amazon Resource Names").
const ARN_PARTS: [&str; 5] = ["partition", "service", "region", "account", "resource"];

pub(super) fn all() -> Vec<Function> {
    vec![
        Function {
            usage: "arn_part(arn, part)",
            about: "its partition, service, region, account, resource or name; NULL for what is no ARN",
            udf: of_two_texts("arn_part", |arn, part| {
                let parts: Vec<&str> = arn.splitn(6, ':').collect();
                let ["arn", rest @ ..] = parts.as_slice() else {
                    return Ok(None);
                };
                if rest.len() != ARN_PARTS.len() {
                    return Ok(None);
                }
                let found = match ARN_PARTS.iter().position(|known| *known == part) {
                    Some(at) => rest[at],
                    None if part == "name" => rest[4].rsplit(['/', ':']).next().unwrap_or(rest[4]),
                    None => {
                        let known = ARN_PARTS.join(", ");
                        return exec_err!("an ARN has no `{part}`; it has {known} and name");
                    }
                };
                Ok((!found.is_empty()).then(|| found.to_owned()))
            }),
        },
        Function {
            usage: "principal_of(user_identity)",
            about: "the role or user behind a session, otherwise the caller, otherwise the service",
            udf: of_text("principal_of", |json| {
                principal_of(json).map(Cow::into_owned)
            }),
        },
    ]
}

//! OCSF 1.5.0, as far as it is needed here: `tests/data/ocsf-1.5.0.json` holds what the project's own
//! repository says of each object that is written, with inheritance and profiles resolved.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/ocsf-1.5.0.json")).expect("the schema is JSON")
});

/// Lists that the schema's compiler fills in, or whose values are other classes'.
const COMPILED: [&str; 4] = [
    "class_uid",
    "category_uid",
    "type_uid",
    "type_id of observable",
];

/// Whether an event is valid: attributes that exist, of their types, the required ones there, numbers
/// out of their lists, and at least one of those of which one is needed.
pub fn check(event: &Value) {
    let class = match event["class_uid"].as_u64() {
        Some(2004) => "detection_finding",
        Some(6002) => "application_lifecycle",
        other => panic!("class {other:?}"),
    };
    let profiles: Vec<&str> = event["metadata"]["profiles"]
        .as_array()
        .expect("profiles")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let activity = event["activity_id"].as_u64().expect("an activity");
    let class_uid = event["class_uid"].as_u64().expect("a class");
    assert_eq!(event["type_uid"].as_u64(), Some(class_uid * 100 + activity));
    let mut faults = Vec::new();
    object(event, class, class, &profiles, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}\n{event:#}");
}

fn object(value: &Value, kind: &str, at: &str, profiles: &[&str], faults: &mut Vec<String>) {
    let Some(members) = value.as_object() else {
        faults.push(format!("{at} is no object"));
        return;
    };
    let known = &SCHEMA["objects"][kind];
    let Some(attributes) = known["attributes"].as_object() else {
        faults.push(format!("{at}: {kind} is not in the extract of the schema"));
        return;
    };
    for (name, attribute) in attributes {
        let applies = attribute["profile"]
            .as_str()
            .is_none_or(|profile| profiles.contains(&profile));
        if attribute["required"] == true && applies && !members.contains_key(name) {
            faults.push(format!("{at} lacks {name}"));
        }
    }
    if let Some(any) = known["constraints"]["at_least_one"].as_array()
        && !any
            .iter()
            .filter_map(Value::as_str)
            .any(|name| members.contains_key(name))
    {
        faults.push(format!("{at} has none of {any:?}"));
    }
    for (name, value) in members {
        let at = format!("{at}.{name}");
        // The profile of dates gives every time a twin.
        let plain = name.strip_suffix("_dt").unwrap_or(name);
        let Some(attribute) = attributes.get(plain) else {
            faults.push(format!("{at} does not exist in {kind}"));
            continue;
        };
        let kind = attribute["type"].as_str().unwrap_or_default();
        let items: Vec<&Value> = match (attribute["array"] == true, value) {
            (true, Value::Array(items)) => items.iter().collect(),
            (true, _) => {
                faults.push(format!("{at} is no list"));
                continue;
            }
            (false, value) => vec![value],
        };
        for item in items {
            let fits = match kind {
                "string_t" => item.is_string(),
                "integer_t" | "long_t" if name.ends_with("_dt") => item.is_string(),
                "integer_t" | "long_t" => item.is_i64() || item.is_u64(),
                "float_t" => item.is_number(),
                "boolean_t" => item.is_boolean(),
                "json_t" => true,
                _ if name == "unmapped" => item.is_object(),
                _ => {
                    object(item, kind, &at, profiles, faults);
                    true
                }
            };
            if !fits {
                faults.push(format!("{at} is no {kind}: {item}"));
            }
            let list = attribute["enum"].as_object();
            let compiled = COMPILED.iter().any(|known| {
                known.split(' ').next() == Some(name)
                    && (*known == name || at.contains("observables"))
            });
            if let Some(list) = list
                && !compiled
                && let Some(number) = item.as_u64()
            {
                match list.get(&number.to_string()) {
                    None => faults.push(format!("{at} cannot be {number}")),
                    Some(caption) => {
                        let sibling = name.strip_suffix("_id").and_then(|name| members.get(name));
                        if let Some(Value::String(said)) = sibling
                            && number != 99
                            && Some(said.as_str()) != caption.as_str()
                        {
                            faults.push(format!("{at} {number} is {caption}, not {said}"));
                        }
                    }
                }
            }
        }
    }
}

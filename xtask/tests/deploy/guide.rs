//! The deployment guide names only what there is.

use serde_json::{Value, json};

use crate::{
    render::{Request, render},
    root, text,
};

/// Where the guide is.
const GUIDE: &str = "docs/deploy.md";

/// A value given as `--set` takes it, nested as a values file has it.
fn nested(assignment: &str) -> Value {
    let (path, value) = assignment.split_once('=').expect("an assignment");
    let value = match value
        .strip_prefix('{')
        .and_then(|list| list.strip_suffix('}'))
    {
        Some(list) => list.split(',').map(Value::from).collect(),
        None => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
    };
    path.rsplit('.')
        .fold(value, |inner, key| json!({ key: inner }))
}

#[test]
fn each_value_in_the_guide_is_one_the_chart_takes() {
    let guide = text(GUIDE);
    let flags = guide
        .split("--set ")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next());
    let quoted = guide.split('`').skip(1).step_by(2);
    // Paths of two and more parts; `a=b` alone is an option of something else.
    let is_value = |text: &&str| {
        text.split_once('=').is_some_and(|(path, _)| {
            !path.contains(|letter: char| !letter.is_ascii_alphabetic() && !"._".contains(letter))
                && (path.contains('.') || ["detach", "privileged"].contains(&path))
        })
    };
    let trimmed = |text: &'static str| {
        move |value: &str| value.trim_end_matches(|c| text.contains(c)).to_owned()
    };
    let mut seen = 0;
    for assignment in flags
        .chain(quoted)
        .map(trimmed("`:;,|"))
        .filter(|text| is_value(&text.as_str()))
    {
        let values = nested(&assignment).to_string();
        // Mounting bpffs is two values that need each other.
        let image = "pins: {mountBpffs: {image: registry.test/tools}}";
        let mut request = Request::new(image);
        request.values.push(&values);
        if let Err(refusal) = render(&request) {
            panic!("{GUIDE} says {assignment}, which gives\n{refusal}");
        }
        seen += 1;
    }
    assert!(
        seen >= 15,
        "the guide has more values than the {seen} that were found"
    );
}

#[test]
fn the_table_of_keys_and_the_schema_agree() {
    let schema: Value =
        serde_json::from_str(&text("deploy/helm/davylamp/values.schema.json")).expect("JSON");
    let mut in_schema = Vec::new();
    keys(
        "",
        &schema["properties"]["guard"]["properties"],
        &mut in_schema,
    );
    let guide = text(GUIDE);
    let table = guide
        .split("| key in `[guard]` |")
        .nth(1)
        .expect("the table of keys");
    let mut in_guide = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for cell in table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').next())
    {
        // "`a.b` (*chart*), `c`": the mark belongs to the key before it.
        for part in cell.split(", ") {
            let key = part.split(" (*").next().unwrap_or(part).trim();
            let key = key.trim_matches('`').to_owned();
            if !part.contains("(*") {
                in_guide.push(key.clone());
            }
            known.insert(key);
        }
    }
    in_schema.sort();
    in_guide.sort();
    assert_eq!(in_guide, in_schema);
    // A test of the guard's holds that page to the keys that there are.
    let configuration = text("docs/configuration.md");
    let documented = configuration
        .lines()
        .filter_map(|line| line.strip_prefix("| `guard.")?.split('`').next())
        .map(str::to_owned);
    assert_eq!(known, documented.collect());
}

fn keys(prefix: &str, properties: &Value, found: &mut Vec<String>) {
    for (name, property) in properties.as_object().expect("properties") {
        match property.get("properties") {
            Some(inner) => keys(&format!("{prefix}{name}."), inner, found),
            None => found.push(format!("{prefix}{name}")),
        }
    }
}

#[test]
fn each_file_the_guide_installs_is_there() {
    let guide = text(GUIDE);
    let mut seen = 0;
    for word in guide.split(|letter: char| letter.is_whitespace() || letter == '`') {
        let ours = ["deploy/", "docs/"]
            .iter()
            .any(|folder| word.starts_with(folder));
        if ours {
            assert!(root().join(word).exists(), "{GUIDE} names {word}");
            seen += 1;
        }
    }
    assert!(seen >= 8, "the guide names more files than {seen}");
}

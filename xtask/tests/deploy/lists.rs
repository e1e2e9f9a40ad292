//! The lists: what cryptnono's users have is taken unchanged, and kept where it should be.

use serde_json::{Value, json};

use crate::{
    render::{Rendered, Request, render, rendered},
    values::{at, mount},
};

/// A `detectors` block for cryptnono's chart, with every key that chart knows.
pub const CRYPTNONO: &str = include_str!("cases/cryptnono-detectors.yaml");

/// The list files that the guard would find, by file name.
fn list_files(rendered: &Rendered, kind: &str) -> Vec<(String, Value)> {
    let Some(object) = rendered.find(kind, "-blocklists") else {
        return Vec::new();
    };
    let data = object["data"].as_object().expect("data");
    data.iter()
        .map(|(name, text)| {
            let text = text.as_str().expect("a text");
            let text = if kind == "Secret" {
                from_base64(text)
            } else {
                text.to_owned()
            };
            // Here the guard's own parser belongs as soon as it can be called: a file that it
            // refuses is a fault of the chart.
            (name.clone(), serde_json::from_str(&text).expect("JSON"))
        })
        .collect()
}

/// Base64 through the API's own type, which is how the kubelet reads a Secret.
fn from_base64(text: &str) -> String {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(text)).expect("base64");
    String::from_utf8(bytes.0).expect("UTF-8")
}

#[test]
fn a_cryptnono_values_file_is_taken_unchanged() {
    let expected = vec![
        (
            "campus.json".to_owned(),
            json!({
                "bannedCommandStrings": ["word-one", "word \"two\"", "wörd <three> & four"],
                "allowedCommandPatterns": ["^/usr/bin/grep\\s", ".*teach\\.py"],
            }),
        ),
        (
            "only-strings.json".to_owned(),
            json!({"bannedCommandStrings": ["word-five"]}),
        ),
    ];
    let indented: String = CRYPTNONO
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect();
    // What else a file for cryptnono's chart holds means nothing here, but need not be cut out.
    let whole = format!(
        "cryptnono:\n  enabled: true\n  fetchKernelHeaders: {{resources: {{}}}}\n  \
         metrics: {{enabled: true}}\n{indented}"
    );
    for (place, values) in [
        ("its own detectors block", CRYPTNONO),
        ("the whole file below cryptnono:", &whole),
    ] {
        for kind in ["Secret", "ConfigMap"] {
            let storage = format!("blocklists: {{storeIn: {kind}}}");
            let request = Request::new(values);
            let values = [request.values.clone(), vec![&storage]].concat();
            let rendered = render(&Request { values, ..request })
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(list_files(&rendered, kind), expected, "{place} in a {kind}");
            let other = if kind == "Secret" {
                "ConfigMap"
            } else {
                "Secret"
            };
            assert_eq!(
                list_files(&rendered, other),
                [],
                "{place}: a copy of the list in a {other}"
            );
            let lists = rendered.config()["guard"]["blocklists"].clone();
            let paths = [
                "/usr/share/davylamp/blocklists",
                "/etc/davylamp/blocklists/release",
            ];
            assert_eq!(lists, toml::Value::from(paths.to_vec()), "{place}");
            assert_eq!(
                at(rendered.daemon_set(), &mount("lists"))["mountPath"],
                paths[1],
                "{place}"
            );
            assert!(
                rendered
                    .notes
                    .contains("monero was accepted and has no effect"),
                "{}",
                rendered.notes
            );
        }
    }
}

#[test]
fn a_list_switched_off_in_cryptnono_is_off_here() {
    let off = "{detectors: {execwhacker: {enabled: false, configs: {one: {bannedCommandStrings: [word]}}}}}";
    let rendered_off = rendered(off);
    assert_eq!(list_files(&rendered_off, "Secret"), []);
    assert!(
        rendered_off
            .notes
            .contains("detectors.execwhacker.enabled is false"),
        "{}",
        rendered_off.notes
    );
    let null = rendered("{detectors: {execwhacker: {configs: {one: null}}}}");
    assert_eq!(list_files(&null, "Secret"), []);
}

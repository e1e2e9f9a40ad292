//! The Containerfiles, read as text: no engine is at hand to build them, but most of what goes wrong
//! in one can be seen.

use std::path::Path;

use crate::{render::rendered, root, text};

/// One instruction with its continued lines joined, comments left out.
struct Instruction {
    name: String,
    rest: String,
}

const GUARD: &str = "deploy/container/Containerfile";
const CLUSTER: &str = "deploy/container/Containerfile.cluster";

fn instructions(file: &str) -> Vec<Instruction> {
    let mut found = Vec::new();
    let mut pending = String::new();
    for line in text(file).lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        pending.push_str(line.trim_end_matches('\\'));
        if line.ends_with('\\') {
            continue;
        }
        let (name, rest) = pending
            .split_once(' ')
            .expect("an instruction has arguments");
        found.push(Instruction {
            name: name.to_owned(),
            rest: rest.trim().to_owned(),
        });
        pending.clear();
    }
    assert!(pending.is_empty(), "the last line is continued");
    found
}

fn final_stage(file: &str) -> Vec<Instruction> {
    let all = instructions(file);
    let start = all
        .iter()
        .rposition(|one| one.name == "FROM")
        .expect("a stage");
    all.into_iter().skip(start).collect()
}

/// The only argument of the only instruction of that name in the last stage.
fn only(file: &str, name: &str) -> String {
    let stage = final_stage(file);
    let found: Vec<&Instruction> = stage.iter().filter(|one| one.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in the last stage");
    found[0].rest.clone()
}

#[test]
fn an_image_holds_nothing_of_anybody_elses() {
    // scratch has no /etc/passwd to look a name up in.
    for (file, user) in [(GUARD, "0:0"), (CLUSTER, "65532:65532")] {
        assert_eq!(only(file, "FROM"), "scratch");
        for instruction in final_stage(file) {
            let allowed = [
                "FROM",
                "ARG",
                "LABEL",
                "COPY",
                "USER",
                "EXPOSE",
                "ENTRYPOINT",
                "CMD",
            ];
            assert!(
                allowed.contains(&instruction.name.as_str()),
                "{} in the last stage",
                instruction.name
            );
        }
        assert_eq!(only(file, "USER"), user);
        for label in ["title", "description", "licenses", "version", "revision"] {
            assert!(
                only(file, "LABEL").contains(&format!("org.opencontainers.image.{label}=")),
                "label {label}"
            );
        }
    }
    assert_eq!(only(CLUSTER, "ENTRYPOINT"), "[\"/davy-cluster\"]");
}

#[test]
fn the_image_runs_as_the_chart_calls_it() {
    let entry: Vec<String> =
        serde_json::from_str(&only(GUARD, "ENTRYPOINT")).expect("the exec form: there is no shell");
    let command: Vec<String> =
        serde_json::from_str(&only(GUARD, "CMD")).expect("the exec form: there is no shell");
    assert_eq!(entry, ["/davy"]);
    assert_eq!(command[0], "guard");
    let chart = rendered("{}");
    assert_eq!(chart.guard()["args"][0], "guard");
    assert_eq!(
        chart.guard()["command"],
        serde_json::Value::Null,
        "the chart relies on the entry point"
    );
    assert_eq!(
        only(GUARD, "EXPOSE"),
        chart.guard()["ports"][0]["containerPort"].to_string()
    );
    let lists = chart.config()["guard"]["blocklists"].clone();
    assert_eq!(
        lists,
        toml::Value::from(vec!["/usr/share/davylamp/blocklists"])
    );
    assert!(
        final_stage(GUARD)
            .iter()
            .any(|one| one.name == "COPY" && one.rest.ends_with(" /usr/share/davylamp/blocklists"))
    );
    assert!(
        final_stage(GUARD)
            .iter()
            .any(|one| one.name == "COPY" && one.rest.ends_with(" /davy"))
    );
}

#[test]
fn what_is_copied_is_in_the_repository_and_in_the_context() {
    let kept = text("deploy/container/Containerfile.dockerignore");
    let kept: Vec<&str> = kept
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    for entry in &kept {
        assert!(
            root().join(entry).exists(),
            "{entry} is let into the context and is not there"
        );
    }
    for instruction in final_stage(GUARD)
        .iter()
        .filter(|one| one.name == "COPY" && !one.rest.starts_with("--from="))
    {
        let source = instruction.rest.split(' ').next().expect("a source");
        let top = Path::new(source)
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .expect("a name");
        assert!(kept.contains(&top), "{source} is left out of the context");
        assert!(
            root().join(source).exists(),
            "{source} is not in the repository"
        );
    }
}

#[test]
fn the_build_stages_build_the_programs_that_there_are() {
    builds(GUARD, "crates/davy/Cargo.toml");
    builds(CLUSTER, "crates/hunt/Cargo.toml");
}

fn builds(file: &str, manifest: &str) {
    let all = instructions(file);
    let build = all
        .iter()
        .find(|one| one.rest.contains("cargo build"))
        .expect("the build")
        .rest
        .clone();
    let words: Vec<&str> = build.split_whitespace().collect();
    let after = |flag: &str| words[words.iter().position(|word| *word == flag).expect(flag) + 1];
    let manifest: toml::Table = text(manifest).parse().expect("a manifest");
    assert_eq!(
        manifest["package"]["name"].as_str(),
        Some(after("--package"))
    );
    assert_eq!(manifest["bin"][0]["name"].as_str(), Some(after("--bin")));
    assert!(
        words.contains(&"--locked"),
        "the image is built from the locked versions"
    );
    // The image of the compiler must be new enough for the workspace.
    let workspace: toml::Table = text("Cargo.toml").parse().expect("a manifest");
    let needed = workspace["workspace"]["package"]["rust-version"]
        .as_str()
        .expect("a version");
    let image = all
        .iter()
        .find(|one| one.name == "ARG")
        .expect("the build image")
        .rest
        .clone();
    let given = image
        .split("rust:")
        .nth(1)
        .and_then(|rest| rest.split('-').next())
        .expect("a version");
    let minor = |version: &str| {
        version
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse::<u32>().ok())
    };
    assert!(
        minor(given) >= minor(needed),
        "{given} is older than {needed}"
    );
}

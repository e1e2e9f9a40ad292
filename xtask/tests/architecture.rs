//! The crates' arrows are those of ARCHITECTURE.md, and the pure crates stay pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, MetadataCommand};

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    // Tests run in their package's folder. What a build knew of it may be that of another clone.
    static ROOT: LazyLock<PathBuf> =
        LazyLock::new(|| std::fs::canonicalize("..").expect("xtask lies in the workspace"));
    &ROOT
}

/// The rows of the table under "## Crates".
fn written() -> Arrows {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page is there");
    let section = text
        .split("## Crates")
        .nth(1)
        .expect("the section is there");
    let section = section.split("\n## ").next().expect("it has a start");
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let names = |cell: &str| {
                cell.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect::<BTreeSet<_>>()
            };
            let name = names(cells[1])
                .into_iter()
                .next()
                .expect("a row names its crate");
            (name, names(cells[3]))
        })
        .collect()
}

fn measured() -> Arrows {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let members: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    metadata
        .packages
        .iter()
        .map(|package| {
            let ours = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .filter(|dependency| members.contains(&dependency.name))
                .map(|dependency| dependency.name.clone())
                .collect();
            (package.name.to_string(), ours)
        })
        .collect()
}

#[test]
fn the_table_is_the_workspace() {
    assert_eq!(written(), measured());
}

#[test]
fn the_pure_crates_ban_what_would_make_them_impure() {
    for pure in ["model", "content", "detect", "plan"] {
        let bans = std::fs::read_to_string(root().join("crates").join(pure).join("clippy.toml"))
            .expect("a pure crate has its own list");
        for banned in [
            "SystemTime::now",
            "env::var",
            "fs::read",
            "TcpStream::connect",
        ] {
            assert!(bans.contains(banned), "{pure} does not ban {banned}");
        }
    }
}

#[test]
fn every_decision_is_numbered_once() {
    let names: Vec<String> = std::fs::read_dir(root().join("docs/adr"))
        .expect("the folder is there")
        .map(|entry| {
            entry
                .expect("it can be listed")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let numbers: BTreeSet<&str> = names.iter().map(|name| &name[..4]).collect();
    assert_eq!(
        numbers.len(),
        names.len(),
        "two decisions share a number: {names:?}"
    );
}

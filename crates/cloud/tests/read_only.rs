//! Who may ask for clients that write: `respond`, and the programs that wire it.

use std::path::{Path, PathBuf};

/// What gives a client that can write.
const WRITING: [&str; 2] = [".writing(", ".home_writing("];
/// The crates that may use it.
const MAY_WRITE: [&str; 3] = ["respond", "davy", "davy-lambda"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_other_crate_asks_for_a_writing_client() {
    let crates = Path::new("..");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(crates).unwrap() {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let source = dir.join("src");
        if MAY_WRITE.contains(&name.as_str()) || !source.is_dir() {
            continue;
        }
        let mut files = Vec::new();
        sources(&source, &mut files);
        for file in files {
            looked_at += 1;
            let text = std::fs::read_to_string(&file).unwrap();
            for call in WRITING {
                assert!(!text.contains(call), "{} calls {call}", file.display());
            }
        }
    }
    assert!(looked_at > 20, "only {looked_at} files were looked at");
}

/// Within this crate a client is made from an SDK configuration in one place, where the guard is
/// put on it.
#[test]
fn clients_are_made_where_the_guard_is_put_on() {
    let source = Path::new("src");
    let mut files = Vec::new();
    sources(source, &mut files);
    let makers: Vec<String> = files
        .iter()
        .filter(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.contains("Client::from_conf(") || text.contains("::Client::new(&")
        })
        .map(|file| file.strip_prefix(source).unwrap().display().to_string())
        .collect();
    assert_eq!(makers, ["aws/read.rs"]);
}

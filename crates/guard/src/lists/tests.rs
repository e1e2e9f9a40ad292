use std::os::unix::fs::symlink;

use super::*;

/// A directory with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn list(string: &str) -> String {
    format!("bannedCommandStrings: [{string}]\n")
}

fn strings(lists: &Lists) -> Vec<&str> {
    let groups = lists.blocklist.groups.iter();
    groups
        .flat_map(|group| &group.banned)
        .map(|banned| banned.text.as_str())
        .collect()
}

#[test]
fn no_path_means_the_shipped_list() {
    let lists = read(&[]).expect("it is tested");
    assert_eq!(lists.blocklist.banned_count(), 1, "the public test string");
    assert!(lists.sources.is_empty());
    assert_eq!(lists.digest.len(), 64);
}

#[test]
fn a_directory_stands_for_its_lists_by_name() {
    let folder = folder(&[
        ("b.yml", &list("second-string")),
        ("a.yaml", &list("first-string")),
        ("c.json", r#"{"bannedCommandStrings": ["third-string"]}"#),
        ("a.cases.yaml", "cases: []"),
        (".hidden.yaml", &list("hidden-string")),
        ("notes.txt", "not a list"),
        ("deeper/d.yaml", &list("deeper-string")),
        ("folder.yaml/x", "a directory with the name of a list"),
    ]);
    // The second path is in the first, and is read once.
    let paths = [folder.path().to_owned(), folder.path().join("a.yaml")];
    let lists = read(&paths).expect("three lists");
    assert_eq!(
        strings(&lists),
        ["first-string", "second-string", "third-string"]
    );
    assert_eq!(lists.sources.len(), 3);
}

#[test]
fn the_digest_tells_states_apart() {
    let folder = folder(&[("a.yaml", &list("one-string"))]);
    let paths = [folder.path().to_owned()];
    let first = read(&paths).expect("a list").digest;
    assert_eq!(read(&paths).expect("a list").digest, first);
    fs::write(folder.path().join("a.yaml"), list("two-string")).expect("a file");
    assert_ne!(read(&paths).expect("a list").digest, first);
}

#[test]
fn a_config_map_is_read_once() {
    let folder = folder(&[("..2026_01/a.yaml", &list("mapped-string"))]);
    symlink("..2026_01", folder.path().join("..data")).expect("a link");
    symlink("..data/a.yaml", folder.path().join("a.yaml")).expect("a link");
    for path in [folder.path().to_owned(), folder.path().join("a.yaml")] {
        let lists = read(&[path]).expect("a list");
        assert_eq!(strings(&lists), ["mapped-string"]);
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let folder = folder(&[
        ("good.yaml", &list("good-string")),
        ("bad.yaml", "bannedCommandString: [x]\n"),
        ("empty/readme.txt", "nothing here"),
    ]);
    fs::write(
        folder.path().join("bytes.yaml"),
        b"bannedCommandStrings: [\xff]",
    )
    .expect("a file");
    let at = |name: &str| folder.path().join(name);
    let paths = [
        "good.yaml",
        "bad.yaml",
        "bytes.yaml",
        "empty",
        "missing.yaml",
    ]
    .map(at);
    let error = read(&[paths.as_slice(), &["/dev/zero".into()]].concat()).expect_err("faults");
    let said: Vec<String> = error.paths.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            format!("the directory {} holds no blocklist", at("empty").display()),
            format!("cannot read {}", at("missing.yaml").display()),
            "/dev/zero is neither a file nor a directory".to_owned(),
        ]
    );
    assert!(error.paths.iter().all(|trouble| !trouble.hint().is_empty()));
    let codes: Vec<_> = error
        .faults
        .iter()
        .flat_map(Faults::records)
        .map(|r| r.code)
        .collect();
    assert!(codes.contains(&"not-utf8"), "{codes:?}");
    assert!(
        codes.iter().any(|code| *code != "not-utf8"),
        "the misspelt key as well: {codes:?}"
    );
}

#[test]
fn a_file_too_large_is_not_read() {
    let folder = folder(&[]);
    let path = folder.path().join("large.yaml");
    File::create(&path)
        .and_then(|file| file.set_len(MAX_FILE_BYTES + 1))
        .expect("a sparse file");
    let error = read(&[path]).expect_err("too large");
    assert!(
        matches!(error.paths[..], [PathTrouble::TooLarge { .. }]),
        "{error:?}"
    );
}

#[test]
fn detections_are_built_anew_only_where_they_changed() {
    let lists = read(&[]).expect("it is tested");
    let mut config = Config::default();
    let built = |config: &Config, before| judges(&lists, config, before).expect("it is good").1;
    let rules = |built: &Built| Arc::clone(built.rules.as_ref().expect("they are wanted"));
    let first = built(&config, None);
    let again = built(&config, Some(&first));
    assert!(Arc::ptr_eq(&rules(&first), &rules(&again)));
    config.detections.off.push("miner-program".to_owned());
    let fewer = built(&config, Some(&first));
    assert_ne!(
        rules(&first).table().generation(),
        rules(&fewer).table().generation()
    );
}

#[test]
fn sets_of_indicators_that_somebody_brought_are_known() {
    let set = "kind,value,confidence,sources,licences\n\
               domain,pool.of-this-test.example,high,somebody,CC0-1.0\n";
    let folder = folder(&[("mine.csv", set), ("notes.txt", "no set")]);
    let mut config = Config {
        indicators: vec![folder.path().to_owned()],
        ..Config::default()
    };
    let lists = read(&[]).expect("it is tested");
    let (_, built) = judges(&lists, &config, None).expect("it is good");
    let line = b"./kernel -o pool.of-this-test.example:443";
    let rules = built.rules.expect("they are wanted");
    let found = rules.judge_line(line).expect("it is found");
    assert!(
        found
            .signs
            .iter()
            .any(|sign| sign.detection.name == "pool-domain")
    );

    config.indicators = vec![folder.path().join("none.csv")];
    let wrong = judges(&lists, &config, None).expect_err("there is none");
    assert!(matches!(wrong, JudgesError::Files(error) if error.kind == Kind::Indicators));
}

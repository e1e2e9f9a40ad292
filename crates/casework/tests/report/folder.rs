//! The folder: there as a whole or not at all, private, never overwritten by chance, and any change to it
//! is found.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use davylamp_casework::report::{How, ReportError, check, verify, write};
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use crate::{Folder, cases};

const FILES: [&str; 12] = [
    "evidence.jsonl",
    "case.json",
    "timeline.csv",
    "iocs.json",
    "report.html",
    "report.md",
    "credit-request/request.md",
    "credit-request/actions.md",
    "credit-request/timeline.md",
    "credit-request/resources.csv",
    "credit-request/evidence-index.csv",
    "SHA256SUMS",
];

#[test]
fn a_folder_has_all_its_files_and_only_its_owner_reads_them() {
    for case in [cases::framed(), cases::nothing(), cases::hostile()] {
        let folder = Folder::of(&case);
        let names: Vec<&str> = folder
            .written
            .files
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, FILES);
        for (name, bytes) in &folder.written.files {
            let there = fs::metadata(folder.path.join(name)).expect("a file");
            assert_eq!(
                (there.len(), there.permissions().mode() & 0o777),
                (*bytes, 0o600),
                "{name}"
            );
        }
        for sub in ["", "credit-request"] {
            let there = fs::metadata(folder.path.join(sub)).expect("a folder");
            assert_eq!(there.permissions().mode() & 0o777, 0o700, "{sub}");
        }
        let beside = fs::read_dir(folder.path.parent().expect("a parent"))
            .expect("a list")
            .count();
        assert_eq!(beside, 1, "a draft is left");
        // What was written reads as the case that it was.
        let read: davylamp_casework::case::Case =
            serde_json::from_str(&folder.text("case.json")).expect("a case");
        assert_eq!(read, case);
        let checked = check(&folder.path).expect("a check");
        assert!(checked.is_sound(), "{:?}", checked.faults);
        assert_eq!(
            checked.evidence_hash.as_ref(),
            Some(&folder.written.evidence_hash)
        );
        assert_eq!(checked.files, FILES.len() as u64 - 1);
    }
}

#[test]
fn sha256sum_agrees() {
    let folder = Folder::of(&cases::framed());
    let output = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&folder.path)
        .output()
        .expect("sha256sum");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_folder_is_never_overwritten_by_chance() {
    let folder = Folder::of(&cases::framed());
    let before = folder.text("SHA256SUMS");
    let refused = write(&cases::nothing(), &folder.path, How::default());
    let refused = refused.expect_err("it is there").to_string();
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(folder.text("SHA256SUMS"), before);
    let force = How {
        force: true,
        ..How::default()
    };
    write(&cases::nothing(), &folder.path, force).expect("a case folder");
    assert_ne!(folder.text("SHA256SUMS"), before);
    assert!(check(&folder.path).expect("a check").is_sound());
    let beside = fs::read_dir(folder.path.parent().expect("a parent"))
        .expect("a list")
        .count();
    assert_eq!(beside, 1, "what was replaced is left");
}

#[test]
fn a_folder_of_somebody_else_is_kept_even_by_force() {
    let parent = TempDir::new().expect("a folder");
    let force = How {
        force: true,
        ..How::default()
    };
    let home = parent.path().join("home");
    fs::create_dir(&home).expect("a folder");
    fs::write(home.join("thesis.tex"), "years").expect("a file");
    let file = parent.path().join("file");
    fs::write(&file, "text").expect("a file");
    let link = parent.path().join("link");
    std::os::unix::fs::symlink(&home, &link).expect("a link");
    for path in [&home, &file, &link] {
        let refused = write(&cases::nothing(), path, force);
        assert!(
            matches!(refused, Err(ReportError::NotACase { .. })),
            "{}",
            path.display()
        );
    }
    assert_eq!(
        fs::read_to_string(home.join("thesis.tex")).expect("a file"),
        "years"
    );
    // An empty folder is a name that was made beforehand.
    let empty = parent.path().join("deep/empty");
    fs::create_dir_all(&empty).expect("a folder");
    write(&cases::nothing(), &empty, How::default()).expect("a case folder");
    assert!(check(&empty).expect("a check").is_sound());
}

#[test]
fn two_records_of_one_number_are_refused() {
    let mut case = cases::framed();
    case.evidence[1].id = case.evidence[0].id;
    let parent = TempDir::new().expect("a folder");
    let path = parent.path().join("case");
    let refused = write(&case, &path, How::default()).expect_err("a bug");
    assert!(matches!(refused, ReportError::TwiceNumbered { number: 1 }));
    assert_eq!(fs::read_dir(parent.path()).expect("a list").count(), 0);
}

#[test]
fn what_is_cited_and_not_there_is_found() {
    let mut case = cases::framed();
    case.summary[0]
        .evidence
        .push(davylamp_casework::case::EvidenceId(99));
    let folder = Folder::of(&case);
    let checked = check(&folder.path).expect("a check");
    assert_eq!(checked.faults, ["cited and not in the evidence: record 99"]);
    // The page shows the number and points nowhere.
    let page = folder.text("report.html");
    assert!(
        page.contains("e99") && !page.contains("#e99"),
        "it points to nothing"
    );
}

#[test]
fn another_case_beside_the_evidence_is_found() {
    let folder = Folder::of(&cases::framed());
    let mut case = cases::framed();
    case.evidence[2]
        .record
        .insert("about".to_owned(), "another".into());
    let json = serde_json::to_vec_pretty(&case).expect("json");
    fs::write(folder.path.join("case.json"), json).expect("a file");
    let checked = check(&folder.path).expect("a check");
    assert_eq!(
        checked.faults,
        [
            "another in the case than in the evidence: record 3",
            "case.json was altered"
        ]
    );
}

#[test]
fn lines_that_are_taken_out_moved_or_added_are_found() {
    let folder = Folder::of(&cases::framed());
    let path = folder.path.join("evidence.jsonl");
    let whole = folder.text("evidence.jsonl");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let tried = |lines: Vec<&str>| {
        fs::write(&path, lines.concat()).expect("a file");
        verify(&path).is_err()
    };
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        assert!(tried(without), "line {at} taken out");
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        assert!(tried(twice), "line {at} twice");
        if at + 1 < lines.len() {
            let mut moved = lines.clone();
            moved.swap(at, at + 1);
            assert!(tried(moved), "line {at} moved");
        }
    }
    assert!(tried(lines[..lines.len() - 1].to_vec()), "no end");
    assert!(tried(Vec::new()), "nothing");
    assert!(!tried(lines), "what was written");
}

proptest! {
    /// No byte of the evidence can be another, gone or added.
    #[test]
    fn any_altered_byte_is_found(at: Index, byte: u8, how in 0..3_u8) {
        static FOLDER: std::sync::LazyLock<(TempDir, Vec<u8>)> = std::sync::LazyLock::new(|| {
            let folder = Folder::of(&cases::hostile());
            let bytes = fs::read(folder.path.join("evidence.jsonl")).expect("a file");
            (TempDir::new().expect("a folder"), bytes)
        });
        let (scratch, bytes) = &*FOLDER;
        let mut altered = bytes.clone();
        let at = at.index(altered.len());
        match how {
            0 => altered[at] = byte,
            1 => { altered.remove(at); }
            _ => altered.insert(at, byte),
        }
        // Taking out or adding one of several equal bytes gives the same text.
        prop_assume!(altered != *bytes);
        let path = tempfile::NamedTempFile::new_in(scratch.path()).expect("a file");
        fs::write(path.path(), &altered).expect("a file");
        prop_assert!(verify(path.path()).is_err());
    }
}

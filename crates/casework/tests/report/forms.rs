//! The forms without pictures, as they look; and what an attacker wrote, as the text that it is.

use davylamp_casework::report::plain;
use serde_json::json;

use crate::stix::asked;
use crate::{Folder, cases};

#[test]
fn forms_of_a_framed_user() {
    let folder = Folder::of(&cases::framed());
    for name in [
        "report.md",
        "timeline.csv",
        "credit-request/request.md",
        "credit-request/actions.md",
        "credit-request/timeline.md",
        "credit-request/evidence-index.csv",
    ] {
        insta::assert_snapshot!(
            format!("framed {name}"),
            folder.text(name).replace('\r', "")
        );
    }
    let resources = folder.text("credit-request/resources.csv");
    // 100 machines, a user and a key under a line of names.
    assert_eq!(resources.lines().count(), 103);
    let few: Vec<&str> = resources.lines().take(18).collect();
    insta::assert_snapshot!("framed credit-request/resources.csv", few.join("\n"));
    insta::assert_snapshot!("framed plain", plain(&cases::framed()));
}

#[test]
fn forms_of_a_case_in_which_nothing_was_found() {
    let folder = Folder::of(&cases::nothing());
    for name in [
        "report.md",
        "timeline.csv",
        "credit-request/request.md",
        "iocs.json",
        "evidence.jsonl",
    ] {
        insta::assert_snapshot!(
            format!("nothing {name}"),
            folder.text(name).replace('\r', "")
        );
    }
    insta::assert_snapshot!("nothing plain", plain(&cases::nothing()));
}

#[test]
fn a_letter_claims_no_step_that_no_record_shows() {
    let folder = Folder::of(&cases::framed());
    let letter = folder.text("credit-request/request.md");
    let (done, open) = letter.split_once("### Not done yet").expect("both parts");
    let done = done.split_once("## What was done").expect("a part").1;
    // The key that root deleted, which a record shows, and nothing else.
    assert_eq!(done.matches("\n- ").count(), 1, "{done}");
    assert!(done.contains("AKIAIOSFODNN7BOB0002"), "{done}");
    for step in [
        "root user",
        "svc-backup",
        "AKIAIOSFODNN7ALICE01",
        "support case",
    ] {
        assert!(open.contains(step) || letter.contains(step), "{step}");
    }
    // With every resource still there and no bill it asks for an estimate and says so.
    let mut case = cases::framed();
    case.cost.as_mut().expect("a cost").billed = None;
    let letter = Folder::of(&case).text("credit-request/request.md");
    assert!(letter.contains("an estimate"), "{letter}");
    case.cost = None;
    let letter = Folder::of(&case).text("credit-request/request.md");
    assert!(letter.contains("no price was looked up"), "{letter}");
}

#[test]
fn markdown_of_an_attacker_is_text() {
    let folder = Folder::of(&cases::hostile());
    for name in [
        "report.md",
        "credit-request/request.md",
        "credit-request/actions.md",
        "credit-request/timeline.md",
    ] {
        let text = folder.text(name);
        let seen = asked(include_str!("markdown.py"), &text);
        let known = [
            "a", "code", "h1", "h2", "h3", "li", "ol", "p", "pre", "strong", "table", "tbody",
            "td", "th", "thead", "tr", "ul",
        ];
        for element in seen["elements"].as_array().expect("a list") {
            assert!(
                known.contains(&element.as_str().expect("a name")),
                "{name}: {element}"
            );
        }
        for link in seen["links"].as_array().expect("a list") {
            let link = link.as_str().expect("an address");
            let ours = ["https://aws.amazon.com/", "https://docs.aws.amazon.com/"];
            assert!(
                ours.iter().any(|ours| link.starts_with(ours)),
                "{name}: {link}"
            );
        }
        assert_eq!(seen["mentions"], json!([]), "{name}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{name}");
    }
}

#[test]
fn sheets_and_terminals_run_nothing() {
    let folder = Folder::of(&cases::hostile());
    for name in [
        "timeline.csv",
        "credit-request/resources.csv",
        "credit-request/evidence-index.csv",
    ] {
        let text = folder.text(name);
        for line in text.split("\r\n").filter(|line| !line.is_empty()) {
            assert!(
                !line.contains(['\n', '\r', '\u{1b}', '\u{202e}']),
                "{name}: {line:?}"
            );
            assert!(
                !line.starts_with(['=', '@', '+']) && !line.contains(",="),
                "{name}: {line:?}"
            );
        }
    }
    let shown = plain(&cases::hostile());
    assert!(
        !shown
            .chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{shown:?}"
    );
    for case in [
        cases::framed(),
        cases::hostile(),
        cases::huge(),
        cases::nothing(),
    ] {
        let lines = plain(&case).lines().count();
        assert!(lines <= 40, "{lines}");
    }
}

#[test]
fn a_huge_case_stays_small_enough_to_be_opened() {
    let case = cases::huge();
    let folder = Folder::of(&case);
    let size = |name: &str| {
        folder
            .written
            .files
            .iter()
            .find(|(one, _)| one == name)
            .expect("a file")
            .1
    };
    assert!(size("report.html") < 30_000_000, "{}", size("report.html"));
    assert!(size("report.md") < 1_000_000, "{}", size("report.md"));
    let page = folder.text("report.html");
    // What is not in the page is counted, and the file is named that has it.
    for said in [
        "23,000 more stand",
        "timeline.csv",
        "3,000 more stand",
        "12,345 acts are",
    ] {
        assert!(page.contains(said), "{said}");
    }
    // Each number that is a link leads to a record of the page.
    let linked: std::collections::BTreeSet<&str> = page
        .split("href=\"#e")
        .skip(1)
        .filter_map(|piece| piece.split_once('"').map(|(number, _)| number))
        .collect();
    let there: std::collections::BTreeSet<&str> = page
        .split("id=\"e")
        .skip(1)
        .filter_map(|piece| piece.split_once('"').map(|(number, _)| number))
        .collect();
    assert!(linked.is_subset(&there));
    assert_eq!(folder.text("timeline.csv").lines().count(), 50_002);
    assert!(
        davylamp_casework::report::check(&folder.path)
            .expect("a check")
            .is_sound()
    );
}

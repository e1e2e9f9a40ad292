//! What a case says of its log files.

use std::collections::BTreeSet;

use davylamp_casework::case::{Case, EvidenceId, Source};
use davylamp_casework::integrity::{Fault, Unchecked, tell_unchecked};
use davylamp_casework::report::{How, check, plain, write};
use davylamp_model::verdict::Verdict;
use davylamp_testkit::attack::Scenario;
use davylamp_testkit::cloudtrail_digest::Object;
use tempfile::TempDir;

use crate::ground::{Ground, altered, by_file, delivered};

const DISTRUSTED: &str = "its log file was altered or moved after delivery";

/// A folder of a case that is sound, and its page and Markdown.
fn folder(case: &Case) -> (TempDir, String, String) {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("case");
    write(case, &path, How::default()).expect("a case folder");
    let checked = check(&path).expect("a check");
    assert!(checked.is_sound(), "{:?}", checked.faults);
    let read = |name: &str| std::fs::read_to_string(path.join(name)).expect("it was written");
    let (page, text) = (read("report.html"), read("report.md"));
    (dir, page, text)
}

/// How often a case says that it does not know whether its log files are whole.
fn unknown(case: &Case) -> usize {
    let unknowns = case.unknowns.iter();
    unknowns
        .filter(|it| it.what == "whether the log files are as CloudTrail delivered them")
        .count()
}

fn verdict(case: &Case) -> Verdict {
    case.integrity.as_ref().expect("it is said").verdict
}

/// The object that a record of the origin was read from.
fn of_origin(ground: &Ground, case: &Case, objects: &[Object]) -> usize {
    let reasons = &case.origin.as_ref().expect("there is an attack").reasons;
    let cited = reasons.iter().flat_map(|it| &it.statement.evidence).next();
    let cited = case.evidence.iter().find(|it| Some(&it.id) == cited);
    let source = &cited.expect("the origin cites a record").source;
    let file = source.rsplit_once(':').expect("a place").0;
    let mut keys = objects.iter();
    keys.position(|it| ground.path(&it.key) == file)
        .expect("it was delivered")
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_log_files_are_said_to_be() {
    let ground = Ground::of(&delivered(Scenario::StolenAdminKey));
    let case = ground.told(true).await;
    let integrity = case.integrity.as_ref().expect("it is said");
    assert_eq!(integrity.verdict, Verdict::Pass, "{}", integrity.why);
    assert_eq!((unknown(&case), integrity.tells.as_ref()), (0, None));
    assert!(integrity.log_files.pass > 50 && integrity.faults.is_empty());
    for record in by_file(&case).into_values().flatten() {
        assert_eq!(record.log_file, Some(Verdict::Pass), "{}", record.source);
    }
    let (_dir, page, text) = folder(&case);
    assert!(page.contains("Whether the logs are whole") && !page.contains(DISTRUSTED));
    assert!(text.contains("are as CloudTrail delivered them") && !text.contains(DISTRUSTED));
    assert!(plain(&case).contains("Log files: whole: all "));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_on_an_altered_log_file_is_told_to_wherever_it_stands() {
    let objects = delivered(Scenario::StolenAdminKey);
    let ground = Ground::of(&objects);
    let before = ground.case().await;
    let at = of_origin(&ground, &before, &objects);
    // In the same folder: which of two deliveries of an event is cited depends on where they lie.
    ground.put(&altered(&objects[at]));
    let case = ground.told(true).await;
    let file = ground.path(&objects[at].key);

    let integrity = case.integrity.as_ref().expect("it is said");
    assert_eq!(integrity.verdict, Verdict::Fail, "{}", integrity.why);
    assert_eq!((integrity.log_files.fail, integrity.digests.fail), (1, 0));
    let worst = &integrity.faults[0];
    assert_eq!((&worst.name, worst.fault), (&file, Some(Fault::Altered)));
    let files = by_file(&case);
    for (name, records) in &files {
        let expected = match *name == file {
            true => Verdict::Fail,
            false => Verdict::Pass,
        };
        assert!(
            records.iter().all(|it| it.log_file == Some(expected)),
            "{name}"
        );
    }
    let failed: BTreeSet<EvidenceId> = files[&*file].iter().map(|it| it.id).collect();
    let first = &case.summary[0];
    let says =
        "log files that were altered, moved or deleted after delivery cannot be trusted: 1 of ";
    assert!(first.text.starts_with(says), "{}", first.text);
    assert!(!first.evidence.is_empty() && first.evidence.iter().all(|id| failed.contains(id)));
    // The origin rests on such a record: what speaks against it says so.
    let origin = case.origin.as_ref().expect("there is an attack");
    let doubt = origin.reasons.last().expect("there are reasons");
    assert!(
        !doubt.is_for
            && doubt
                .statement
                .text
                .contains("altered or moved after delivery")
    );
    assert!(
        doubt
            .statement
            .evidence
            .iter()
            .all(|id| failed.contains(id))
    );
    // Nobody is judged anew for it.
    let verdicts = |case: &Case| -> Vec<_> {
        let each = case.innocence.iter();
        each.map(|it| (it.principal.clone(), it.verdict)).collect()
    };
    assert_eq!(verdicts(&before), verdicts(&case));

    let (dir, page, text) = folder(&case);
    // The page has the records that it points to, and the text the first of all.
    let shown =
        |it: &&EvidenceId| page.contains(&format!("article class=\"record\" id=\"e{}\"", it.0));
    let shown = failed.iter().filter(shown).count();
    assert!(shown > 0, "{failed:?}");
    assert_eq!(page.matches(DISTRUSTED).count(), shown);
    let listed = |it: &&EvidenceId| text.contains(&format!("\n| e{} |", it.0));
    let listed = failed.iter().filter(listed).count();
    assert_eq!(text.matches(DISTRUSTED).count(), listed);
    let lines = std::fs::read_to_string(dir.path().join("case/evidence.jsonl")).expect("evidence");
    assert_eq!(lines.matches("\"log_file\":\"fail\"").count(), failed.len());
    assert!(plain(&case).contains("Log files: not whole: of "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_that_is_gone_makes_a_peaceful_account_one_to_look_at() {
    let mut objects = delivered(Scenario::NoAttack);
    let at = objects.iter().position(|it| !it.is_digest);
    let gone = objects.remove(at.expect("there are log files"));
    let case = Ground::of(&objects).told(true).await;
    assert!(case.span.is_none() && case.is_suspicious());
    let integrity = case.integrity.as_ref().expect("it is said");
    assert_eq!(integrity.faults[0].fault, Some(Fault::Missing));
    assert!(integrity.faults[0].name.ends_with(&gone.key));
    let first = &case.summary[0].text;
    assert!(
        first.ends_with("none of the records that the case cites is of one that is there"),
        "{first}"
    );
    let lost =
        |it: &&davylamp_casework::case::Unknown| it.what.starts_with("what the log files said");
    let lost = case.unknowns.iter().find(lost).expect("it is not known");
    assert!(lost.why.contains(&gone.key), "{}", lost.why);
    folder(&case);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_files_that_are_all_gone_are_no_peace() {
    let mut objects = delivered(Scenario::NoAttack);
    objects.retain(|it| it.is_digest);
    let ground = Ground::of(&objects);
    let case = ground.told(true).await;
    let integrity = case.integrity.as_ref().expect("it is said");
    assert_eq!(integrity.digests.fail + integrity.digests.unknown, 0);
    assert_ne!(integrity.verdict, Verdict::Pass);
    assert_eq!(unknown(&case), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_it_is_unknown_and_the_key_is_what_would_tell() {
    let objects = delivered(Scenario::NoAttack);
    let case = Ground::of(&objects).told(false).await;
    assert_eq!((verdict(&case), unknown(&case)), (Verdict::Unknown, 1));
    assert!(!case.is_suspicious());
    let last = case.unknowns.last().expect("it is not known");
    let remedy = last.remedy.as_deref().unwrap_or_default();
    assert!(remedy.contains("--public-keys aws"), "{remedy}");
    // The chain of hashes needs no key: what contradicts it fails all the same.
    let mut objects = objects;
    let at = objects.iter().position(|it| !it.is_digest);
    let at = at.expect("there are log files");
    objects[at] = altered(&objects[at]);
    let case = Ground::of(&objects).told(false).await;
    assert_eq!(verdict(&case), Verdict::Fail);
    let integrity = case.integrity.as_ref().expect("it is said");
    assert_eq!(integrity.faults[0].fault, Some(Fault::Altered));
    assert!(integrity.faults_left_out + integrity.faults.len() as u64 > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_no_digest_covers_are_named() {
    let mut objects = delivered(Scenario::NoAttack);
    let digests: Vec<usize> = (0..objects.len())
        .filter(|at| objects[*at].is_digest)
        .collect();
    objects.remove(digests[digests.len() / 2]);
    let case = Ground::of(&objects).told(true).await;
    let integrity = case.integrity.as_ref().expect("it is said");
    let [hole] = integrity.uncovered.as_slice() else {
        panic!("{:?}", integrity.uncovered)
    };
    assert_eq!(
        (hole.region.as_str(), hole.trail.as_deref()),
        ("us-east-1", Some("main"))
    );
    assert_eq!(
        hole.hours.until.as_second() - hole.hours.from.as_second(),
        3600
    );
    assert_eq!(hole.hours.verdict, Verdict::Fail);
    let (_dir, page, _) = folder(&case);
    assert!(page.contains("at least one digest of this time was deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_digest_is_said_once_with_how_there_would_be_one() {
    let mut objects = delivered(Scenario::NoAttack);
    objects.retain(|it| !it.is_digest);
    let ground = Ground::of(&objects);
    for mut case in [ground.told(true).await, ground.case().await] {
        if case.integrity.is_none() {
            tell_unchecked(&mut case, &Unchecked::NoDigest);
        }
        assert_eq!((verdict(&case), unknown(&case)), (Verdict::Unknown, 1));
        let last = case.unknowns.last().expect("it is not known");
        let remedy = last.remedy.as_deref().unwrap_or_default();
        assert!(remedy.contains("--enable-log-file-validation"), "{remedy}");
        assert!(!case.is_suspicious());
    }
}

#[test]
fn what_was_not_checked_has_its_command_and_a_case_without_a_trail_says_nothing() {
    let mut case = Case::default();
    let unchecked = Unchecked::NotAsked {
        digests: 1,
        command: "davy investigate verify --logs trail".to_owned(),
    };
    tell_unchecked(&mut case, &Unchecked::NoDigest);
    assert_eq!((case.integrity.as_ref(), unknown(&case)), (None, 0));
    // Digests without a log file are those of files that are gone.
    let mut without = case.clone();
    tell_unchecked(&mut without, &unchecked);
    assert_eq!(unknown(&without), 1);
    case.sources.push(Source {
        table: "cloudtrail".to_owned(),
        records: 1,
        repeated: 0,
        span: None,
        unread: Vec::new(),
        proves: String::new(),
    });
    tell_unchecked(&mut case, &unchecked);
    let last = case.unknowns.last().expect("it is not known");
    assert!(
        last.why.starts_with("1 digest of CloudTrail's is "),
        "{}",
        last.why
    );
    let remedy = last.remedy.as_deref().unwrap_or_default();
    assert!(
        remedy.ends_with("davy investigate verify --logs trail"),
        "{remedy}"
    );
}

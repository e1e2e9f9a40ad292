//! What is said of trails in three states: what is proven, what is false, and what nobody can say.

use davylamp_casework::integrity::lookup::{History, compare};
use davylamp_casework::integrity::silence::{SilenceKind, heartbeats};
use davylamp_casework::integrity::{Asked, Checked, Fault, Kind, Outcome, find};
use davylamp_hunt::engine::{Engine, Setup};
use davylamp_hunt::objects::Scope;
use davylamp_model::verdict::Verdict;
use davylamp_testkit::cloudtrail_digest::{Delivery, Object, Trail, events, gzip, write};
use jiff::Timestamp;

use crate::ground::{check, check_files, check_folder, keys};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// A trail of so many hours from midnight on, with a log file in each.
fn hours(count: usize) -> Delivery {
    let mut delivery = Delivery::new(Trail::of(ACCOUNT, REGION), at("2024-08-01T00:00:00Z"));
    for hour in 0..count {
        delivery.hour(&[events(&format!("hour {hour}"), 2, REGION, ACCOUNT)]);
    }
    delivery
}

/// The digest of an hour, or its log file.
fn chosen(delivery: &Delivery, is_digest: bool, hour: usize) -> Object {
    let mut fitting = delivery
        .objects
        .iter()
        .filter(|it| it.is_digest == is_digest);
    fitting.nth(hour).expect("there is one").clone()
}

fn without(delivery: &Delivery, object: &Object) -> Vec<Object> {
    let kept = delivery.objects.iter().filter(|it| it.key != object.key);
    kept.cloned().collect()
}

/// What is said in all, of each hour, and of what did not pass.
fn said((checked, _): &(Checked, Vec<Outcome>)) -> String {
    let report = &checked.report;
    let mut text = format!("{}: {}\n", report.verdict.as_str(), report.why);
    for hours in report.chains.iter().flat_map(|chain| &chain.hours) {
        text += &format!(
            "{} {} {} {}\n",
            hours.from,
            hours.until,
            hours.verdict.as_str(),
            hours.why
        );
    }
    for fault in &report.faults {
        let name = fault.name.rsplit('/').next().unwrap_or_default();
        let (kind, verdict) = (fault.kind.as_str(), fault.verdict.as_str());
        text += &format!("{kind} {name} {verdict} {:?}\n", fault.fault);
        assert!(
            !fault.why.is_empty() && !fault.tells.is_empty(),
            "{fault:?}"
        );
    }
    text
}

#[test]
fn a_whole_trail_passes_with_the_newest_signature_and_is_unknown_without() {
    let delivery = hours(3);
    let with = check_files(&delivery.objects, true, Scope::default());
    assert_eq!(
        said(&with),
        "pass: all 3 digests and 3 log files are as CloudTrail delivered them\n\
         2024-08-01T00:00:00Z 2024-08-01T03:00:00Z pass \n"
    );
    assert!(with.0.log_files.values().all(|it| *it == Verdict::Pass));
    let without = said(&check_files(&delivery.objects, false, Scope::default()));
    assert!(without.starts_with("unknown: "), "{without}");
    assert!(
        without.contains("2024-08-01T00:00:00Z 2024-08-01T02:00:00Z pass \n"),
        "{without}"
    );
    assert!(
        without.contains("20240801T030000Z.json.gz unknown Some(Unsigned)"),
        "{without}"
    );
    assert!(without.contains("unknown Some(Unproven)"), "{without}");
}

#[test]
fn without_keys_nothing_is_proven_and_nothing_is_false() {
    let delivery = hours(3);
    let folder = tempfile::tempdir().expect("there is room");
    write(&delivery.objects, folder.path(), true).expect("there is room");
    let checked = check(Asked {
        locations: vec![
            folder
                .path()
                .display()
                .to_string()
                .parse()
                .expect("a place"),
        ],
        ..Asked::default()
    });
    let report = &checked.0.report;
    assert_eq!(report.verdict, Verdict::Unknown, "{}", said(&checked));
    assert_eq!((report.digests.unknown, report.log_files.unknown), (3, 3));
    let is_key = |it: &&Outcome| it.kind == Kind::Digest && it.fault == Some(Fault::NoKey);
    assert_eq!(report.faults.iter().filter(is_key).count(), 3);
}

#[test]
fn what_is_false_comes_before_what_nothing_proves() {
    let mut delivery = hours(4);
    let altered = chosen(&delivery, false, 3).key;
    for object in delivery.objects.iter_mut().filter(|it| it.key == altered) {
        object.body = gzip(b"{\"Records\":[]}");
    }
    let folder = tempfile::tempdir().expect("there is room");
    write(&delivery.objects, folder.path(), true).expect("there is room");
    let place = folder.path().display().to_string();
    let checked = check(Asked {
        locations: vec![place.parse().expect("a place")],
        ..Asked::default()
    });
    let verdicts = checked.0.report.faults.iter().map(|it| it.verdict);
    let verdicts: Vec<Verdict> = verdicts.collect();
    assert_eq!(verdicts[0], Verdict::Fail);
    assert!(verdicts[1..].iter().all(|it| *it == Verdict::Unknown));
    assert_eq!(verdicts.len(), 8);
}

#[tokio::test]
async fn keys_are_needed_for_the_regions_and_times_of_the_digests_that_are_asked_for() {
    let folder = tempfile::tempdir().expect("there is room");
    write(&hours(5).objects, folder.path(), true).expect("there is room");
    let place = folder.path().display().to_string();
    let at = |text: &str| text.parse().expect("a moment");
    let asked = Asked {
        locations: vec![place.parse().expect("a place")],
        scope: Scope {
            since: Some(at("2024-08-01T01:00:00Z")),
            until: Some(at("2024-08-01T03:00:00Z")),
            ..Scope::default()
        },
        ..Asked::default()
    };
    let signed = find(asked).await.expect("it can be listed").signed();
    let [only] = signed.as_slice() else {
        panic!("{signed:?}")
    };
    assert_eq!(only.region, "eu-west-1");
    // The digest after the last that is asked for says what that was signed with.
    assert_eq!(only.span.first, at("2024-08-01T02:00:00Z"));
    assert_eq!(only.span.last, at("2024-08-03T04:00:00Z"));
    let nothing = find(Asked::default()).await.expect("it can be listed");
    assert_eq!(nothing.signed(), []);
}

#[test]
fn no_digest_at_all_is_unknown() {
    let mut delivery = hours(3);
    delivery.objects.retain(|it| !it.is_digest);
    let text = said(&check_files(&delivery.objects, true, Scope::default()));
    assert!(
        text.starts_with("unknown: there is no digest, so that nothing is proven\n"),
        "{text}"
    );
    assert_eq!(text.matches("unknown Some(Unlisted)").count(), 3, "{text}");
    let nothing = said(&check_files(&[], true, Scope::default()));
    assert!(nothing.starts_with("unknown: "), "{nothing}");
}

#[test]
fn a_digest_that_was_deleted_leaves_its_hour_failed_and_its_log_file_unlisted() {
    let delivery = hours(4);
    let deleted = chosen(&delivery, true, 1);
    let text = said(&check_files(
        &without(&delivery, &deleted),
        true,
        Scope::default(),
    ));
    assert!(
        text.contains("2024-08-01T01:00:00Z 2024-08-01T02:00:00Z fail at least one digest of this time was deleted\n"),
        "{text}"
    );
    assert!(
        text.contains("20240801T020000Z.json.gz fail Some(Missing)"),
        "{text}"
    );
    assert!(text.contains("unknown Some(Unlisted)"), "{text}");
}

#[test]
fn hours_without_validation_are_unknown_and_what_was_delivered_in_them_too() {
    let mut delivery = hours(2);
    delivery.unvalidated(3, &[events("meanwhile", 1, REGION, ACCOUNT)]);
    delivery.hour(&[]);
    let checked = check_files(&delivery.objects, true, Scope::default());
    let text = said(&checked);
    assert!(
        text.contains("2024-08-01T02:00:00Z 2024-08-01T05:00:00Z unknown no digest was made: the chain begins anew"),
        "{text}"
    );
    // An hour without a log file is proven all the same.
    assert!(
        text.contains("2024-08-01T05:00:00Z 2024-08-01T06:00:00Z pass \n"),
        "{text}"
    );
    assert_eq!(text.matches("unknown Some(Unlisted)").count(), 1, "{text}");
    assert_eq!(checked.0.report.verdict, Verdict::Unknown);
}

#[test]
fn what_is_not_asked_for_is_neither_missing_nor_counted() {
    let delivery = hours(6);
    let scope = Scope {
        since: Some(at("2024-08-01T02:00:00Z")),
        until: Some(at("2024-08-01T04:00:00Z")),
        ..Scope::default()
    };
    // The digest after the last says what that one is signed with.
    let checked = check_files(&delivery.objects, false, scope);
    assert_eq!(
        said(&checked),
        "pass: all 2 digests and 2 log files are as CloudTrail delivered them\n\
         2024-08-01T02:00:00Z 2024-08-01T04:00:00Z pass \n"
    );
    let late = Scope {
        until: Some(at("2024-08-01T09:00:00Z")),
        ..Scope::default()
    };
    let text = said(&check_files(&delivery.objects, true, late));
    assert!(
        text.contains("2024-08-01T06:00:00Z 2024-08-01T09:00:00Z unknown no digest of this time"),
        "{text}"
    );
    let other = Scope {
        regions: vec!["us-east-1".to_owned()],
        ..Scope::default()
    };
    let text = said(&check_files(&delivery.objects, true, other));
    assert!(text.starts_with("unknown: there is no digest"), "{text}");
}

#[test]
fn the_newest_digest_deleted_is_seen_where_a_time_was_asked_for() {
    let delivery = hours(4);
    let newest = chosen(&delivery, true, 3);
    let scope = Scope {
        until: Some(at("2024-08-01T04:00:00Z")),
        ..Scope::default()
    };
    let text = said(&check_files(&without(&delivery, &newest), true, scope));
    assert!(text.starts_with("unknown: "), "{text}");
    assert!(
        text.contains("2024-08-01T03:00:00Z 2024-08-01T04:00:00Z unknown no digest of this time"),
        "{text}"
    );
}

#[test]
fn of_an_altered_digest_its_neighbour_is_unknown_and_not_false() {
    let delivery = hours(3);
    let mut altered = chosen(&delivery, true, 1);
    let text = String::from_utf8(crate::ground::gunzip(&altered.body)).expect("it is text");
    // The signature of the digest before it, with another digit.
    let (before, signature) = text
        .split_once("\"previousDigestSignature\":\"")
        .expect("it is there");
    let digit = if signature.starts_with('0') { "1" } else { "0" };
    let text = format!(
        "{before}\"previousDigestSignature\":\"{digit}{}",
        &signature[1..]
    );
    altered.body = gzip(text.as_bytes());
    let mut objects = without(&delivery, &altered);
    objects.push(altered);
    let said = said(&check_files(&objects, false, Scope::default()));
    assert!(
        said.contains("20240801T020000Z.json.gz fail Some("),
        "{said}"
    );
    assert!(
        said.contains("20240801T010000Z.json.gz unknown Some(Unsigned)"),
        "{said}"
    );
}

#[test]
fn digests_that_cannot_be_what_cloudtrail_wrote_are_each_told() {
    for (body, expected) in [
        (Vec::new(), "it is empty"),
        (gzip(b""), "it is empty"),
        (gzip(&gzip(b"{}")), "it is packed twice"),
        (
            gzip(b"{}"),
            "it is no digest: missing field `digestStartTime`",
        ),
        (gzip(b"[[[[["), "it is no digest: "),
        (
            gzip(format!("{{\"x\":{}", "[".repeat(100_000)).as_bytes()),
            "it is no digest: EOF while parsing a list",
        ),
        (
            gzip(b"{\"digestStartTime\": 3}"),
            "it is no digest: invalid type",
        ),
        (gzip(b"{}")[..12].to_vec(), "it is cut off or damaged"),
    ] {
        let delivery = hours(2);
        let mut object = chosen(&delivery, true, 0);
        object.body = body;
        let mut objects = without(&delivery, &object);
        objects.push(object);
        let (checked, _) = check_files(&objects, true, Scope::default());
        let fault = checked
            .report
            .faults
            .iter()
            .find(|it| it.fault == Some(Fault::Malformed));
        let why = fault.map_or("", |it| it.why.as_str());
        assert!(
            why.starts_with(expected),
            "{expected}: {:?}",
            checked.report.faults
        );
        assert_eq!(checked.report.verdict, Verdict::Fail);
    }
}

#[test]
fn a_digest_that_is_larger_than_is_read_is_unknown() {
    let delivery = hours(2);
    let mut object = chosen(&delivery, true, 0);
    // Members one after another are one file.
    object.body = gzip(&vec![b' '; 1 << 20]).repeat(65);
    let mut objects = without(&delivery, &object);
    objects.push(object);
    let (checked, _) = check_files(&objects, true, Scope::default());
    let faults = &checked.report.faults;
    let is_large = |it: &&Outcome| it.fault == Some(Fault::TooLarge);
    let large = faults.iter().find(is_large).expect("it is told");
    assert_eq!(large.verdict, Verdict::Unknown);
}

#[test]
fn a_second_copy_that_differs_is_told() {
    let delivery = hours(2);
    let folder = tempfile::tempdir().expect("there is room");
    write(&delivery.objects, &folder.path().join("one"), true).expect("there is room");
    write(&delivery.objects, &folder.path().join("two"), true).expect("there is room");
    let whole = check_folder(folder.path(), Scope::default());
    assert_eq!(whole.0.report.verdict, Verdict::Pass, "{}", said(&whole));
    let log = chosen(&delivery, false, 1);
    std::fs::write(folder.path().join("two").join(&log.key), gzip(b"{}")).expect("there is room");
    let altered = check_folder(folder.path(), Scope::default());
    assert_eq!(altered.0.report.verdict, Verdict::Fail);
    assert_eq!(
        altered.0.report.log_files.fail, 2,
        "both copies of the digest say so"
    );
}

#[test]
fn a_flat_folder_and_unpacked_files_are_read_as_well() {
    let delivery = hours(3);
    let folder = tempfile::tempdir().expect("there is room");
    for object in &delivery.objects {
        let name = object
            .key
            .rsplit('/')
            .next()
            .expect("a name")
            .trim_end_matches(".gz");
        let path = folder.path().join(name);
        std::fs::write(&path, crate::ground::gunzip(&object.body)).expect("there is room");
        if let Some(signature) = object.metadata.get("signature") {
            // As `aws s3api head-object` prints it.
            let head =
                serde_json::json!({"ContentLength": 1, "Metadata": {"signature": signature}});
            std::fs::write(format!("{}.signature", path.display()), head.to_string())
                .expect("there is room");
        }
    }
    let checked = check_folder(folder.path(), Scope::default());
    assert_eq!(
        checked.0.report.verdict,
        Verdict::Pass,
        "{}",
        said(&checked)
    );
}

#[test]
fn digests_alone_leave_their_log_files_unknown() {
    let mut delivery = hours(3);
    delivery.objects.retain(|it| it.is_digest);
    let checked = check_files(&delivery.objects, true, Scope::default());
    let report = &checked.0.report;
    assert_eq!(
        (report.log_files.unknown, report.log_files.fail),
        (3, 0),
        "{}",
        said(&checked)
    );
    assert!(
        report
            .faults
            .iter()
            .all(|it| it.fault == Some(Fault::Outside))
    );
}

#[test]
fn a_silence_is_told_unless_digests_prove_it() {
    let mut delivery = Delivery::new(Trail::of(ACCOUNT, REGION), at("2024-08-01T00:00:00Z"));
    for hour in 0..20 {
        let texts = (0..4).map(|file| events(&format!("{hour}/{file}"), 1, REGION, ACCOUNT));
        let is_quiet = (8..14).contains(&hour);
        delivery.hour(&texts.take(if is_quiet { 0 } else { 4 }).collect::<Vec<_>>());
    }
    let proven = check_files(&delivery.objects, true, Scope::default());
    assert_eq!(proven.0.report.silences, Vec::new());
    delivery.objects.retain(|it| !it.is_digest);
    let (checked, _) = check_files(&delivery.objects, true, Scope::default());
    let [silence] = checked.report.silences.as_slice() else {
        panic!("{:?}", checked.report.silences);
    };
    assert_eq!(silence.kind, SilenceKind::Delivery);
    assert_eq!(silence.from, at("2024-08-01T07:20:00Z"));
    assert_eq!(silence.until, at("2024-08-01T14:05:00Z"));
}

/// An engine over some objects, and where they lie.
fn engine(objects: &[Object]) -> (tokio::runtime::Runtime, Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("there is room");
    write(objects, folder.path(), false).expect("there is room");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("there are threads");
    let engine = runtime.block_on(Engine::open(Setup {
        locations: vec![
            folder
                .path()
                .display()
                .to_string()
                .parse()
                .expect("a place"),
        ],
        ..Setup::default()
    }));
    (runtime, engine.expect("it can be listed"), folder)
}

#[test]
fn a_service_that_calls_every_hour_and_stops_is_a_silence() {
    let record = |hour: u32, name: &str, source: &str| {
        let at = at("2024-08-01T00:30:00Z") + jiff::SignedDuration::from_hours(hour.into());
        serde_json::json!({
            "eventVersion": "1.09", "eventTime": at.to_string(), "eventID": format!("{hour}-{name}"),
            "eventSource": "sts.amazonaws.com", "eventName": name, "awsRegion": REGION,
            "sourceIPAddress": source, "recipientAccountId": ACCOUNT,
        })
    };
    let hours = (0..60).filter(|hour| !(40..44).contains(hour));
    let mut records: Vec<_> = hours
        .map(|it| record(it, "AssumeRole", "config.amazonaws.com"))
        .collect();
    // A person comes when they like.
    records.extend([5, 41, 42].map(|hour| record(hour, "GetCallerIdentity", "192.0.2.7")));
    let object = Object {
        bucket: "logs".to_owned(),
        key: format!("AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2024/08/01/x.json.gz"),
        body: gzip(
            serde_json::json!({ "Records": records })
                .to_string()
                .as_bytes(),
        ),
        metadata: std::collections::BTreeMap::new(),
        is_digest: false,
    };
    let (runtime, engine, _folder) = engine(&[object]);
    let (silences, _) = runtime
        .block_on(heartbeats(&engine))
        .expect("it can be asked");
    let [silence] = silences.as_slice() else {
        panic!("{silences:?}");
    };
    assert_eq!(silence.kind, SilenceKind::Heartbeat);
    assert_eq!(silence.from, at("2024-08-02T16:00:00Z"));
    assert_eq!(silence.until, at("2024-08-02T20:00:00Z"));
    assert!(
        silence.what.contains("sts.amazonaws.com AssumeRole"),
        "{}",
        silence.what
    );
}

/// What `aws cloudtrail lookup-events` prints of the records of a log file.
fn export(text: &str) -> Vec<serde_json::Value> {
    let records: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
    let records = records["Records"].as_array().expect("a list").iter();
    let printed = records.map(|record| {
        serde_json::json!({
            "EventId": record["eventID"], "EventName": record["eventName"], "ReadOnly": "true",
            "EventSource": record["eventSource"], "EventTime": record["eventTime"],
            "CloudTrailEvent": record.to_string(),
        })
    });
    printed.collect()
}

#[test]
fn events_of_the_history_that_the_bucket_lacks_are_told() {
    let files = ["one", "two", "three"].map(|name| events(name, 2, REGION, ACCOUNT));
    let mut delivery = Delivery::new(Trail::of(ACCOUNT, REGION), at("2024-08-01T11:00:00Z"));
    delivery.hour(&files);
    // Events long after, so that those before have been delivered.
    let later = events("later", 1, REGION, ACCOUNT).replace("T11:30:00Z", "T12:30:00Z");
    delivery.hour(std::slice::from_ref(&later));
    let listed: Vec<_> = files
        .iter()
        .chain([&later])
        .flat_map(|file| export(file))
        .collect();
    let page = serde_json::json!({ "Events": listed }).to_string();
    let compared = |objects: &[Object], has_digests: bool| {
        let (runtime, engine, folder) = engine(objects);
        let mut history = History::default();
        history.add(page.as_bytes()).expect("it is an export");
        let chains = match has_digests {
            true => {
                write(objects, folder.path(), true).expect("there is room");
                check_folder(folder.path(), Scope::default())
                    .0
                    .report
                    .chains
            }
            false => Vec::new(),
        };
        runtime
            .block_on(compare(history, &engine, &chains))
            .expect("it can be asked")
    };
    let all = compared(&delivery.objects, false);
    assert_eq!(
        (all.verdict, all.both, all.only_history_count),
        (Verdict::Pass, 7, 0),
        "{all:?}"
    );
    let deleted = chosen(&delivery, false, 1);
    let lacking = compared(&without(&delivery, &deleted), false);
    assert_eq!(
        (lacking.verdict, lacking.both, lacking.only_history_count),
        (Verdict::Fail, 5, 2)
    );
    // A trail whose digests prove that there never was such a file does not log such events.
    let mut never = Delivery::new(Trail::of(ACCOUNT, REGION), at("2024-08-01T11:00:00Z"));
    never.hour(&files[..2]);
    never.hour(&[later]);
    let left_out = compared(&never.objects, true);
    assert_eq!(
        (left_out.verdict, left_out.only_history_count),
        (Verdict::Pass, 2),
        "{left_out:?}"
    );
    let mut nothing = History::default();
    assert!(nothing.add(&b"{\"Records\":[]}"[..]).is_err());
    // Keys are needed by nobody here.
    assert_eq!(keys().len(), 2);
}

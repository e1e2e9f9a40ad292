//! The AWS CLI's validator and ours, asked about the same trails.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use davylamp_casework::integrity::{Asked, Checked, Kind, Outcome};
use davylamp_hunt::objects::Remote;
use davylamp_model::verdict::Verdict;
use davylamp_testkit::cloudtrail_digest::{Delivery, Object, public_keys};
use davylamp_testkit::http::{Request, send};
use davylamp_testkit::moto::{Moto, cache_dir};
use serde_json::{Value, json};

use crate::ground::{DEEDS, Dice, Edit, all_time, check, check_files, keys, trail, trail_in};

/// Trails that are compared as files, whose check takes milliseconds.
const FILE_SEEDS: u64 = 16;
/// Trails that are compared as they lie in buckets of the test server.
const BUCKET_SEEDS: u64 = 3;

/// A trail, and what is done to it.
struct Asking {
    delivery: Delivery,
    cases: Vec<(&'static str, Edit)>,
}

impl Asking {
    fn new(seed: u64, delivery: Delivery) -> Self {
        let dice = &mut Dice::new(seed + 1000);
        let cases = DEEDS.iter().filter_map(|deed| {
            let edit = Edit::of(deed, &delivery.objects, dice)?;
            Some((*deed, edit))
        });
        Self {
            cases: cases.collect(),
            delivery,
        }
    }

    fn question(&self) -> Value {
        let trail = &self.delivery.trail;
        let cases = self.cases.iter().map(|(_, edit)| {
            json!({
                "put": edit.put.iter().map(plain).collect::<Vec<_>>(),
                "delete": edit.delete,
            })
        });
        json!({
            "objects": self.delivery.objects.iter().map(plain).collect::<Vec<_>>(),
            "bucket": trail.bucket, "account": trail.account, "region": trail.region,
            "home_region": trail.home_region, "name": trail.name, "prefix": trail.prefix,
            "organisation": trail.organisation,
            "start": "2024-08-01T20:00:00Z", "end": self.delivery.at.to_string(),
            "cases": cases.collect::<Vec<_>>(),
        })
    }
}

fn plain(object: &Object) -> Value {
    json!({
        "bucket": object.bucket, "key": object.key, "metadata": object.metadata,
        "body": STANDARD.encode(&object.body),
    })
}

/// What the AWS CLI says of each URL, for each trail and case.
fn oracle(asked: &[Asking]) -> Vec<Vec<BTreeMap<String, String>>> {
    let trails: Vec<Value> = asked.iter().map(Asking::question).collect();
    let mut child = Command::new(cache_dir().join("python/bin/python"))
        // From the crate's own folder, in which tests run.
        .arg("tests/integrity/oracle.py")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python is there: scripts/setup test installs it");
    let mut stdin = child.stdin.take().expect("it is piped");
    let question = json!({ "keys": public_keys(), "trails": trails });
    // The script reads all of it before it writes anything.
    let written = stdin.write_all(question.to_string().as_bytes());
    written.expect("the script reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "see what it wrote above");
    serde_json::from_slice(&output.stdout).expect("the script writes a list")
}

/// Compares one case. How many verdicts were compared.
fn compare(
    (name, deed): (&str, &str),
    delivery: &Delivery,
    theirs: &BTreeMap<String, String>,
    (checked, told): &(Checked, Vec<Outcome>),
    is_exact: bool,
) -> usize {
    let mut ours: BTreeMap<(Kind, String), &Outcome> = BTreeMap::new();
    for outcome in told {
        let url = url(delivery, &outcome.name);
        ours.insert((outcome.kind, url), outcome);
    }
    let mut compared = 0;
    let say = |url: &str| {
        let ours = told.iter().map(|it| {
            let (name, digest) = (&it.name, &it.digest);
            format!(
                "{:?} {:?} {} {name} ({digest:?})\n",
                it.verdict, it.fault, it.why
            )
        });
        let ours = ours.collect::<String>();
        format!("{name} {deed}: {url}\ntheirs {theirs:#?}\nours {ours}")
    };
    for (url, verdict) in theirs {
        let kind = match url.contains("/CloudTrail-Digest/") {
            true => Kind::Digest,
            false => Kind::LogFile,
        };
        let Some(outcome) = ours.get(&(kind, url.clone())) else {
            // It lies elsewhere now, and was told of there.
            assert!(verdict != "valid", "{}", say(url));
            assert_eq!(checked.report.verdict, Verdict::Fail, "{}", say(url));
            continue;
        };
        compared += 1;
        if is_exact {
            assert_eq!(
                verdict == "valid",
                outcome.verdict == Verdict::Pass,
                "{}",
                say(url)
            );
        }
        match outcome.verdict {
            Verdict::Pass => assert_eq!(verdict, "valid", "{}", say(url)),
            Verdict::Fail => assert_ne!(verdict, "valid", "{}", say(url)),
            Verdict::Unknown => {}
        }
    }
    compared
}

/// Where a file of a folder would lie in the bucket.
fn url(delivery: &Delivery, name: &str) -> String {
    let trail = &delivery.trail;
    if name.starts_with("s3://") {
        return name.to_owned();
    }
    let start = match &trail.prefix {
        Some(prefix) => format!("{prefix}/AWSLogs/"),
        None => "AWSLogs/".to_owned(),
    };
    let (_, key) = name.split_once(&format!("/{start}")).unwrap_or(("", name));
    format!("s3://{}/{start}{key}", trail.bucket)
}

#[test]
fn ours_and_the_aws_cli_s_verdicts_on_files_are_the_same() {
    let asked: Vec<Asking> = (0..FILE_SEEDS)
        .map(|seed| Asking::new(seed, trail(seed)))
        .collect();
    let theirs = oracle(&asked);
    let mut compared = 0;
    for (seed, (asked, theirs)) in asked.iter().zip(&theirs).enumerate() {
        for ((deed, edit), theirs) in asked.cases.iter().zip(theirs) {
            let objects = edit.done(&asked.delivery.objects);
            let name = format!("trail {seed}");
            // A file without a signature beside it is not known to have lost it.
            if *deed != "signature-missing" {
                let with = check_files(&objects, true, all_time());
                compared += compare((&name, deed), &asked.delivery, theirs, &with, true);
            }
            let without = check_files(&objects, false, all_time());
            // A signature that is nowhere makes no verdict, and never another one.
            let is_theirs = !matches!(*deed, "signature-content" | "signature-missing");
            if is_theirs {
                compare((&name, deed), &asked.delivery, theirs, &without, false);
            }
        }
    }
    assert!(compared > 3000, "{compared} verdicts were compared");
}

#[test]
fn ours_and_the_aws_cli_s_verdicts_on_buckets_are_the_same() {
    let moto = Moto::shared();
    let asked: Vec<Asking> = (100..100 + BUCKET_SEEDS)
        .map(|seed| Asking::new(seed, trail_in(seed, &own_bucket(seed))))
        .collect();
    let theirs = oracle(&asked);
    for (seed, (asked, theirs)) in asked.iter().zip(&theirs).enumerate() {
        let bucket = asked.delivery.trail.bucket.clone();
        let call = |method: &str, key: &str, body: Vec<u8>, metadata: &BTreeMap<String, String>| {
            let mut request = Request::new(method, &format!("/{bucket}/{key}"), body);
            for (name, value) in metadata {
                request = request.header(&format!("x-amz-meta-{name}"), value);
            }
            // Requests that are not signed may read it.
            let request = request.header("x-amz-acl", "public-read");
            let request = request.scope("AKIADAVYLAMPTEST0000", "us-east-1", "s3");
            let answer = send(&moto.address(), &request).expect("the test server answers");
            assert!(answer.status < 300, "{method} {key}: {}", answer.text());
        };
        let put = |object: &Object| call("PUT", &object.key, object.body.clone(), &object.metadata);
        call("PUT", "", Vec::new(), &BTreeMap::new());
        asked.delivery.objects.iter().for_each(put);
        for ((deed, edit), theirs) in asked.cases.iter().zip(theirs) {
            for key in &edit.delete {
                call("DELETE", key, Vec::new(), &BTreeMap::new());
            }
            edit.put.iter().for_each(put);
            let ours = check(Asked {
                locations: vec![format!("s3://{bucket}").parse().expect("a place")],
                remote: Remote {
                    endpoint: Some(moto.endpoint()),
                    region: Some("us-east-1".to_owned()),
                    is_anonymous: true,
                },
                keys: keys(),
                scope: all_time(),
                ..Asked::default()
            });
            let name = format!("bucket {seed}");
            compare((&name, deed), &asked.delivery, theirs, &ours, true);
            for object in &edit.put {
                call("DELETE", &object.key, Vec::new(), &BTreeMap::new());
            }
            let touched = |it: &&Object| {
                edit.delete.contains(&it.key) || edit.put.iter().any(|put| put.key == it.key)
            };
            asked.delivery.objects.iter().filter(touched).for_each(put);
        }
    }
}

/// The name of a bucket that no other run of the test has.
fn own_bucket(seed: u64) -> String {
    let unique = format!(
        "{seed} {:?} {}",
        std::time::SystemTime::now(),
        std::process::id()
    );
    let digest = <sha2::Sha256 as sha2::Digest>::digest(unique);
    format!("trail-{}", &hex::encode(digest)[..20])
}

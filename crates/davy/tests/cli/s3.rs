//! `davy hunt` over a bucket of the AWS test server, laid out as AWS delivers.

use std::path::Path;

use davylamp_testkit::http::{Request, send};
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::Value;

use crate::bench::{Bench, Ran};
use crate::hunt::{flows, trail};

const REGION: &str = "eu-west-1";
const COUNT: &str = "SELECT count(*) AS n FROM vpc_flow";

/// A bucket, and a place to work in.
struct Ground {
    bench: Bench,
    account: MotoAccount,
    address: String,
    bucket: String,
}

impl Ground {
    fn new() -> Self {
        let moto = Moto::shared();
        let account = moto.account();
        let ground = Self {
            bench: Bench::new(),
            bucket: format!("logs-{}", account.id),
            address: moto.address(),
            account,
        };
        let where_to = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        ground.call("PUT", "", where_to.into_bytes());
        ground
    }

    fn call(&self, method: &str, key: &str, body: Vec<u8>) {
        let path = format!("/{}/{key}", self.bucket);
        let request = Request::new(method, &path, body)
            .header("x-amz-security-token", &self.account.session_token)
            .scope(&self.account.access_key, REGION, "s3");
        let answer = send(&self.address, &request).expect("the test server answers");
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    }

    fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        self.call("PUT", key, body.into());
    }

    /// A day's flow logs and trail, as AWS names them.
    fn deliver(&self) {
        let key = |service: &str, day: &str, name: &str| {
            format!("AWSLogs/111122223333/{service}/{REGION}/{day}/{name}")
        };
        let flow = "111122223333_vpcflowlogs_eu-west-1_fl-0a_20260301T1200Z_0123abcd.log.gz";
        self.put(&key("vpcflowlogs", "2026/03/01", flow), gzip(&flows()));
        let call = "111122223333_CloudTrail_eu-west-1_20260301T1235Z_abcdefghijklmnop.json.gz";
        self.put(&key("CloudTrail", "2026/03/01", call), gzip(&trail()));
        // Of another month: its key says so, and it is not even opened.
        let old = "111122223333_vpcflowlogs_eu-west-1_fl-0a_20250101T1200Z_0123abcd.log.gz";
        self.put(&key("vpcflowlogs", "2025/01/01", old), "no gzip at all");
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.bench.davy(arguments);
        for (name, value) in self.account.env(REGION) {
            command.env(name, value);
        }
        command.env_remove("AWS_ENDPOINT_URL");
        command.args(["--endpoint-url", &self.account.endpoint]);
        crate::bench::run(&mut command, b"")
    }

    fn place(&self, prefix: &str) -> String {
        format!("s3://{}/{prefix}", self.bucket)
    }
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory is there");
    encoder.finish().expect("memory is there")
}

fn counted(ran: &Ran) -> u64 {
    let row: Value = serde_json::from_str(ran.stdout.trim()).expect("a row");
    row["n"].as_u64().expect("a number")
}

#[test]
fn a_bucket_is_read_as_aws_delivers_and_pruned_by_its_keys() {
    let ground = Ground::new();
    ground.deliver();
    let logs = ground.place("AWSLogs");
    let asked = ["hunt", "sql", COUNT, "--logs", &logs, "--output", "jsonl"];
    let ran = ground.run(&[asked.as_slice(), &["--since", "2026-03-01"]].concat());
    assert_eq!(counted(&ran), 25, "{}", ran.whole());
    assert!(ran.stderr.contains("1 object not opened"), "{}", ran.stderr);
    let strict = ["--since", "2026-03-01", "--strict"];
    let ran = ground.run(&[asked.as_slice(), &strict].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.whole());

    // Without the range the broken object is opened, said and counted.
    let ran = ground.run(&asked);
    assert!(ran.stderr.contains("2025/01/01"), "{}", ran.stderr);
    assert_eq!(counted(&ran), 25, "{}", ran.whole());
    let ran = ground.run(&[asked.as_slice(), &["--strict"]].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.whole());

    let ran = ground.run(&["hunt", "run", "--all", "--logs", &logs, "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    assert!(
        ran.stdout.contains("AKIAIOSFODNN7EXAMPLE"),
        "{}",
        ran.whole()
    );
    assert!(ran.stdout.contains("203.0.114.9"), "{}", ran.whole());
}

#[test]
fn a_bucket_is_converted_and_its_lake_is_read_from_a_bucket() {
    let ground = Ground::new();
    ground.deliver();
    let logs = ground.place("AWSLogs");
    let convert = [
        "hunt",
        "convert",
        "--logs",
        &logs,
        "-o",
        "lake",
        "--since",
        "2026-03-01",
    ];
    let ran = ground.run(&convert);
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    assert!(ran.stderr.contains("converted 2 objects"), "{}", ran.stderr);
    let ran = ground.run(&convert);
    assert!(
        ran.stderr.contains("2 objects were converted before"),
        "{}",
        ran.stderr
    );

    let lake = ground.bench.path().join("lake");
    upload(&ground, &lake, &lake);
    let place = ground.place("lake");
    let asked = ["hunt", "sql", COUNT, "--logs", &place, "--output", "jsonl"];
    let ran = ground.run(&asked);
    assert_eq!(counted(&ran), 25, "{}", ran.whole());
    let ran = ground.run(&[asked.as_slice(), &["--region", "us-east-1"]].concat());
    assert_eq!(counted(&ran), 0, "{}", ran.whole());
}

#[test]
fn a_bucket_that_cannot_be_listed_is_an_error_with_the_next_step() {
    let ground = Ground::new();
    let ran = ground.run(&["hunt", "sql", COUNT, "--logs", "s3://no-such-bucket/x"]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(ran.stderr.contains("no-such-bucket"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&ground.account.secret));
}

fn upload(ground: &Ground, root: &Path, folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            upload(ground, root, &path);
            continue;
        }
        let below = path.strip_prefix(root).expect("it is below");
        // What stands in a folder's name is escaped in a URL.
        let key = format!("lake/{}", below.display()).replace('=', "%3D");
        ground.put(&key, std::fs::read(&path).expect("a file"));
    }
}

//! `davy hunt --engine athena`, against the AWS test server. That server executes no query: the rows it
//! gives are handed to it first; what is asked is read back from it.

use davylamp_testkit::http::{Request, send};
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::{Value, json};

use crate::bench::{Bench, Ran};

const REGION: &str = "eu-west-1";
const GROUP: &str = "hunts";

/// Athena with a workgroup that has a limit.
struct Ground {
    bench: Bench,
    account: MotoAccount,
    address: String,
}

impl Ground {
    fn new() -> Self {
        let moto = Moto::shared();
        let ground = Self {
            bench: Bench::new(),
            account: moto.account(),
            address: moto.address(),
        };
        let group = json!({
            "Name": GROUP,
            "Configuration": {
                "BytesScannedCutoffPerQuery": 20_000_000_000_u64,
                "ResultConfiguration": {"OutputLocation": "s3://results/hunts/"},
            },
        });
        ground.athena("CreateWorkGroup", &group);
        ground
    }

    fn athena(&self, call: &str, body: &Value) -> Value {
        let request = Request::post("/", body.to_string())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", &format!("AmazonAthena.{call}"))
            .header("x-amz-security-token", &self.account.session_token)
            .scope(&self.account.access_key, REGION, "athena");
        let answer = send(&self.address, &request).expect("the test server answers");
        assert_eq!(answer.status, 200, "{call}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// The next answer: columns with their types, and rows.
    fn next_answer(&self, columns: &[(&str, &str)], rows: &[Vec<Option<String>>]) {
        let column = |(name, kind): &(&str, &str)| {
            json!({"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name,
                "Label": name, "Type": kind, "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN",
                "CaseSensitive": false})
        };
        let cell = |value: &Option<String>| match value {
            Some(text) => json!({"VarCharValue": text}),
            None => json!({}),
        };
        let row =
            |row: &Vec<Option<String>>| json!({"Data": row.iter().map(cell).collect::<Vec<_>>()});
        let head: Vec<Option<String>> = columns
            .iter()
            .map(|(name, _)| Some((*name).to_owned()))
            .collect();
        let body = json!({
            "account_id": self.account.id,
            "region": REGION,
            "results": [{
                "column_info": columns.iter().map(column).collect::<Vec<_>>(),
                "rows": std::iter::once(&head).chain(rows).map(row).collect::<Vec<_>>(),
            }],
        });
        let request = Request::post("/moto-api/static/athena/query-results", body.to_string());
        let answer = send(&self.address, &request).expect("the test server answers");
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut all = arguments.to_vec();
        all.extend(["--engine", "athena", "--workgroup", GROUP]);
        let mut command = self.bench.davy(&all);
        for (name, value) in self.account.env(REGION) {
            command.env(name, value);
        }
        crate::bench::run(&mut command, b"")
    }

    /// What Athena was asked, in any order.
    fn asked(&self) -> Vec<String> {
        let ids = self.athena("ListQueryExecutions", &json!({"WorkGroup": GROUP}));
        let ids = ids["QueryExecutionIds"].as_array().expect("a list").clone();
        let query = |id: &Value| {
            let about = self.athena("GetQueryExecution", &json!({"QueryExecutionId": id}));
            let execution = &about["QueryExecution"];
            assert_eq!(execution["QueryExecutionContext"]["Database"], "davylamp");
            execution["Query"].as_str().expect("a text").to_owned()
        };
        ids.iter().map(query).collect()
    }
}

fn cells(texts: &[&str]) -> Vec<Option<String>> {
    let cell = |text: &&str| (!text.is_empty()).then(|| (*text).to_owned());
    texts.iter().map(cell).collect()
}

#[test]
fn a_hunt_is_asked_of_athena_and_ends_in_the_same_list() {
    let ground = Ground::new();
    let columns = [
        ("score", "double"),
        ("first_seen", "timestamp"),
        ("last_seen", "timestamp"),
        ("account_id", "varchar"),
        ("region", "varchar"),
        ("principal", "varchar"),
        ("key_id", "varchar"),
        ("address", "varchar"),
        ("act", "varchar"),
    ];
    let row = [
        "90.0",
        "2026-03-01 12:30:00.000",
        "2026-03-01 12:30:00.000",
        "111122223333",
        REGION,
        "arn:aws:iam::111122223333:user/mallory",
        "AKIAIOSFODNN7EXAMPLE",
        "203.0.114.77",
        "StopLogging",
    ];
    ground.next_answer(&columns, &[cells(&row)]);
    let ran = ground.run(&[
        "hunt",
        "run",
        "trail-sensor-stopped",
        "--since",
        "2026-03-01",
        "--output",
        "json",
    ]);
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let suspect = &document["suspects"][0];
    assert_eq!(suspect["first-seen"], "2026-03-01T12:30:00Z", "{suspect}");
    assert!(suspect.to_string().contains("AKIAIOSFODNN7EXAMPLE"));
    assert!(
        ran.stderr
            .contains("1 question, each ended beyond 20.000 GB: at most $0.10"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("Athena: 1 question scanned"),
        "{}",
        ran.stderr
    );
    let asked = ground.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(
        asked[0].contains("SELECT * FROM davylamp.cloudtrail")
            && asked[0].contains("log_date >= '2026-03-01'"),
        "{}",
        asked[0]
    );
}

#[test]
fn a_hunt_that_finds_nothing_at_athena_asks_whether_it_could_have() {
    let ground = Ground::new();
    ground.next_answer(&[("score", "double")], &[]);
    // All records, and those with a name, a time and an opened door.
    let counts = ["7", "7", "7", "0"];
    let names = ["_col0", "_col1", "_col2", "_col3"];
    let columns: Vec<(&str, &str)> = names.iter().map(|name| (*name, "bigint")).collect();
    ground.next_answer(&columns, &[cells(&counts)]);
    let ran = ground.run(&["hunt", "run", "trail-public-instance"]);
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
    assert!(
        ran.stderr
            .contains("cloudtrail.opens_public is needed, and it is NULL in all of the 7 records"),
        "{}",
        ran.stderr
    );

    // A table that holds nothing has told nothing.
    ground.next_answer(&[("score", "double")], &[]);
    ground.next_answer(&columns, &[cells(&["0", "0", "0", "0"])]);
    let ran = ground.run(&["hunt", "run", "trail-public-instance"]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
}

#[test]
fn sql_is_asked_of_athena_as_well() {
    let ground = Ground::new();
    ground.next_answer(
        &[("srcaddr", "varchar"), ("flows", "bigint")],
        &[cells(&["10.0.0.5", "12"]), cells(&["", "3"])],
    );
    let ran = ground.run(&[
        "hunt",
        "sql",
        "SELECT srcaddr, COUNT(*) AS flows FROM vpc_flow GROUP BY srcaddr",
        "--output",
        "jsonl",
    ]);
    assert_eq!(ran.code, Some(1), "{}", ran.whole());
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"srcaddr":"10.0.0.5","flows":12}"#,
            r#"{"srcaddr":null,"flows":3}"#
        ]
    );
}

#[test]
fn what_cannot_be_asked_is_said_with_the_next_step() {
    let ground = Ground::new();
    let ran = ground.run(&["hunt", "sql", "DROP TABLE vpc_flow"]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(ran.stderr.contains("no single SELECT"), "{}", ran.stderr);
    let ran = ground.run(&["hunt", "run", "--all", "--logs", "logs"]);
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(ran.stderr.contains("leave --logs out"), "{}", ran.stderr);
    assert_eq!(ground.asked(), [""; 0]);

    let mut nowhere = ground.bench.davy(&[
        "hunt",
        "run",
        "--all",
        "--engine",
        "athena",
        "--workgroup",
        "none-such",
    ]);
    for (name, value) in ground.account.env(REGION) {
        nowhere.env(name, value);
    }
    let ran = crate::bench::run(&mut nowhere, b"");
    assert_eq!(ran.code, Some(2), "{}", ran.whole());
    assert!(ran.stderr.contains("athena:GetWorkGroup"), "{}", ran.stderr);
}

//! `davy prices` and `davy investigate cost` run for real, by their exit codes and what they print.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

struct Bench(tempfile::TempDir);

struct Ran {
    code: Option<i32>,
    out: String,
    told: String,
}

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect("a file")
    }

    fn davy(&self, arguments: &[&str]) -> Ran {
        let ran = Command::new(env!("CARGO_BIN_EXE_davy"))
            .args(arguments)
            .current_dir(self.path())
            .env_remove("NO_COLOR")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .expect("davy runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            code: ran.status.code(),
            out: text(ran.stdout),
            told: text(ran.stderr),
        }
    }
}

impl Ran {
    fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.told);
        self
    }

    fn refused(self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{}{}", self.out, self.told);
        for word in words {
            assert!(self.told.contains(word), "{word}: {}", self.told);
        }
        assert!(self.told.contains("hint: "), "{}", self.told);
    }

    fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn price_list(region: &str, system: &str, price: &str, version: &str) -> String {
    json!({
        "formatVersion": "v1.0", "disclaimer": "none", "offerCode": "AmazonEC2",
        "version": version, "publicationDate": format!("{version}T00:00:00Z"),
        "products": {"S1": {"sku": "S1", "productFamily": "Compute Instance", "attributes": {
            "instanceType": "c4.8xlarge", "regionCode": region, "locationType": "AWS Region",
            "operatingSystem": system, "tenancy": "Shared", "capacitystatus": "Used",
            "preInstalledSw": "NA", "licenseModel": "No License required",
        }}, "S2": {"sku": "S2", "productFamily": "Storage", "attributes": {}}},
        "terms": {"OnDemand": {"S1": {"S1.J": {"priceDimensions": {"S1.J.6": {
            "unit": "Hrs", "pricePerUnit": {"USD": price},
        }}}}}},
    })
    .to_string()
}

#[test]
fn tables_are_made_listed_and_shown() {
    let bench = Bench::new();
    bench.write(
        "eu.json",
        price_list("eu-west-1", "Windows", "3.4670000000", "2026-08-01"),
    );
    bench.write(
        "old.json",
        price_list("eu-west-1", "Windows", "3.0", "2026-01-01"),
    );
    bench.write(
        "us.json",
        price_list("us-east-1", "Linux", "1.6", "2026-08-01"),
    );
    bench.write(
        "spot.json",
        json!({"SpotPriceHistory": [{
            "AvailabilityZone": "eu-west-1a", "InstanceType": "c4.8xlarge", "SpotPrice": "0.5",
            "ProductDescription": "Linux/UNIX", "Timestamp": "2026-03-01T00:00:00+00:00",
        }]})
        .to_string(),
    );
    let ran = bench
        .davy(&[
            "prices",
            "update",
            "eu.json",
            "old.json",
            "us.json",
            "spot.json",
            "-o",
            "one",
        ])
        .done();
    assert!(
        ran.told.contains("eu.json: 1 price is kept"),
        "{}",
        ran.told
    );
    assert!(ran.told.contains("left out: 1 no instance"), "{}", ran.told);
    // The same files in another order, packed, give the same bytes.
    let packed = Command::new("gzip")
        .arg("-k")
        .arg("us.json")
        .current_dir(bench.path())
        .status();
    assert!(packed.expect("gzip").success());
    bench
        .davy(&[
            "prices",
            "update",
            "spot.json",
            "us.json.gz",
            "old.json",
            "eu.json",
            "-o",
            "other",
        ])
        .done();
    for name in [
        "ec2-on-demand-eu-west-1.tsv",
        "ec2-on-demand-us-east-1.tsv",
        "ec2-spot-eu-west-1.tsv",
    ] {
        assert_eq!(
            bench.read(&format!("one/{name}")),
            bench.read(&format!("other/{name}"))
        );
    }
    let listed = bench
        .davy(&["prices", "list", "--prices", "one", "--output", "json"])
        .done()
        .json();
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert_eq!(listed[3]["shipped"], true);
    assert!(listed[3]["prices"].as_u64() > Some(1300));
    let shown = bench
        .davy(&[
            "prices",
            "show",
            "c4.8xlarge",
            "--prices",
            "one",
            "--output",
            "json",
        ])
        .done()
        .json();
    let shown = shown.as_array().expect("a list");
    let prices: Vec<_> = shown
        .iter()
        .map(|row| {
            (
                row["region"].as_str().unwrap(),
                row["market"].as_str().unwrap(),
                row["micro_usd_hour"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        prices,
        [
            ("eu-west-1", "on-demand", 3_467_000),
            ("eu-west-1", "spot", 500_000),
            ("us-east-1", "on-demand", 1_600_000),
        ]
    );
    let ran = bench.davy(&[
        "prices",
        "show",
        "c4.8xlarge",
        "--region",
        "us-east-1",
        "--prices",
        "/nowhere",
    ]);
    ran.refused(&["cannot list /nowhere"]);
    bench
        .davy(&["prices", "show", "z9.moon", "--prices", "one"])
        .refused(&["no table has that price of z9.moon"]);
    let table = bench
        .davy(&[
            "prices",
            "show",
            "c4.8xlarge",
            "--system",
            "windows",
            "--prices",
            "one",
        ])
        .done();
    assert!(table.out.contains("3.467"), "{}", table.out);
    assert!(
        bench
            .davy(&["prices", "list", "--prices", "one"])
            .done()
            .out
            .contains("2026-07-20")
    );
}

#[test]
fn what_is_no_price_list_writes_nothing() {
    let bench = Bench::new();
    let good = price_list("eu-west-1", "Linux", "1.8", "2026-08-01");
    bench.write("good.json", &good);
    bench.write("cut.json", &good[..good.len() - 5]);
    bench.write(
        "minus.json",
        price_list("eu-west-1", "Linux", "-1.8", "2026-08-01"),
    );
    bench.write("yuan.json", good.replace("USD", "CNY"));
    bench.write("text.txt", "hello\n");
    for (file, words) in [
        ("cut.json", "not a whole price list"),
        ("minus.json", "the price of S1 is \"-1.8\", which is none"),
        ("yuan.json", "its prices are in CNY"),
        ("text.txt", "neither a price list"),
        ("absent.json", "cannot open absent.json"),
    ] {
        bench
            .davy(&["prices", "update", "good.json", file, "-o", "out"])
            .refused(&[words]);
        assert!(!bench.path().join("out").exists(), "{file}");
    }
    std::fs::create_dir(bench.path().join("bad")).expect("a folder");
    bench.write("bad/x.tsv", "nonsense\n");
    let ran = bench.davy(&["prices", "list", "--prices", "bad"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.told.contains("the line of column names"),
        "{}",
        ran.told
    );
}

fn case() -> String {
    let run = json!({
        "id": "i-1", "account": "111122223333", "region": "eu-west-1", "service": "ec2",
        "instance_type": "c4.8xlarge", "size": null, "market": "on-demand", "system": "not-windows",
        "started": {"earliest": "2026-03-01T00:00:00Z", "latest": "2026-03-01T00:00:00Z"},
        "ended": {"runs-at": "2026-03-01T10:00:00Z"}, "paused": [], "evidence": [],
    });
    let case = json!({
        "asked": {"logs": [], "indicators": [], "since": null, "until": null,
                  "made_at": "2026-03-01T20:00:00Z", "made_by": "test"},
        "summary": [], "span": null, "sources": [], "origin": null, "leads": [], "principals": [],
        "credentials": [], "places": [], "links": [], "timeline": [], "acts_left_out": 0, "reach": [],
        "tampering": [], "innocence": [], "next_steps": [], "unknowns": [], "evidence": [],
        "cost": {"low_micro_usd": 0, "likely_micro_usd": 0, "high_micro_usd": 0,
                 "burn_micro_usd_hour": 0, "lines": [], "basis": [], "caveats": [], "billed": null,
                 "runs": [run]},
    });
    case.to_string()
}

const BILL: &str = "lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/UsageType,\
lineItem/Operation,lineItem/ResourceId,lineItem/UsageAmount,lineItem/CurrencyCode,lineItem/UnblendedCost\n\
Usage,2026-03-01T00:00:00Z,2026-03-01T01:00:00Z,EUW1-BoxUsage:c4.8xlarge,RunInstances:0002,i-1,1,USD,3.467\n";

#[test]
fn a_case_and_its_bill() {
    let bench = Bench::new();
    bench.write("case.json", case());
    bench.write("bill.csv", BILL);
    bench.write(
        "eu.json",
        price_list("eu-west-1", "Windows", "3.4670000000", "2026-08-01"),
    );
    bench
        .davy(&["prices", "update", "eu.json", "-o", "tables"])
        .done();
    let by = |more: &[&str]| {
        let fixed = [
            "investigate",
            "cost",
            "--case",
            "case.json",
            "--prices",
            "tables",
            "--output",
            "json",
        ];
        bench.davy(&[&fixed, more].concat()).done().json()
    };
    // Without the bill: the price of another region stands in. With it, it is Windows, and has a price.
    let cost = by(&[]);
    assert_eq!(cost["likely_micro_usd"], 20 * 1_591_000);
    assert_eq!(cost["low_micro_usd"], 10 * 1_591_000);
    assert_eq!(cost["is_open"], true);
    let cost = by(&["--bill", "bill.csv"]);
    assert_eq!(cost["likely_micro_usd"], 20 * 3_467_000);
    assert_eq!(cost["burn_micro_usd_hour"], 3_467_000);
    assert_eq!(cost["is_open"], false);
    assert_eq!(cost["billed"]["micro_usd"], 3_467_000);
    assert_eq!(
        by(&["--until", "2026-03-01T11:00:00Z"])["likely_micro_usd"],
        11 * 1_591_000
    );
    let table = bench.davy(&[
        "investigate",
        "cost",
        "--case",
        "case.json",
        "--bill",
        "bill.csv",
        "--prices",
        "tables",
    ]);
    let table = table.done().out;
    for words in [
        "estimate: $69.34 likely",
        "$3.47 an hour",
        "the bill has $3.47 for 1 of 1 things",
        "within it",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
}

#[test]
fn a_bill_alone() {
    let bench = Bench::new();
    bench.write("bill.csv", BILL);
    bench.write("spoilt.csv", format!("{BILL}short\n"));
    let cost = |arguments: &[&str]| bench.davy(&[&["investigate", "cost"], arguments].concat());
    let ran = cost(&[
        "--resources",
        "i-1,i-2",
        "--bill",
        "bill.csv",
        "--output",
        "json",
    ])
    .done();
    assert_eq!(ran.json()["billed"]["missing"], json!(["i-2"]));
    let ran = cost(&["--resources", "i-9", "--bill", "bill.csv"]);
    assert_eq!(ran.code, Some(2), "{}", ran.told);
    assert!(
        ran.out.contains("no line about any of 1 things"),
        "{}",
        ran.out
    );
    let ran = cost(&["--resources", "i-1", "--bill", "spoilt.csv"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.contains("spoilt.csv:3: "), "{}", ran.out);
    // The same report twice is counted once.
    bench.write("again.csv", BILL);
    let bills = ["--bill", "bill.csv", "again.csv", "--output", "json"];
    let ran = cost(&[&["--resources", "i-1"], bills.as_slice()].concat()).done();
    assert_eq!(ran.json()["billed"]["micro_usd"], 3_467_000);
    bench.write("not.csv", "a,b\n");
    cost(&["--resources", "i-1", "--bill", "not.csv"])
        .refused(&["cannot use the bill not.csv", "no column"]);
    cost(&["--resources", "i-1", "--bill", "absent"]).refused(&["cannot use the bill absent"]);
    cost(&["--case", "absent.json"]).refused(&["cannot read absent.json"]);
    bench.write("case.json", "{}");
    cost(&["--case", "case.json"]).refused(&["is no case"]);
    assert_eq!(cost(&["--resources", "i-1"]).code, Some(2));
    assert_eq!(cost(&[]).code, Some(2));
}

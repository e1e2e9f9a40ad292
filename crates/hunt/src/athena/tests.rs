//! What is printed for Athena.

use serde_json::json;

use super::*;
use crate::read::LOGS;

fn catalog() -> Catalog {
    Catalog {
        database: "davylamp".to_owned(),
        accounts: vec!["111122223333".into(), "444455556666".into()],
        regions: vec!["eu-west-1".into(), "us-east-1".into()],
        since: Some(jiff::civil::date(2025, 3, 1)),
    }
}

fn place(text: &str) -> Place {
    Place::parse(text).expect("a place")
}

#[test]
fn nothing_is_written_that_could_end_a_text() {
    for wrong in [
        "",
        "/lake",
        "s3:/b/lake",
        "s3://",
        "s3://ab",
        "s3://Bucket/x",
        "s3://bucket/it's",
        "s3://bucket/a b",
        "s3://bucket/a\n",
        "s3://buc;ket/",
        "s3://bucket/`x`",
    ] {
        assert!(Place::parse(wrong).is_err(), "{wrong}");
    }
    let wrong = |change: fn(&mut Catalog)| {
        let mut catalog = catalog();
        change(&mut catalog);
        catalog.checked().expect_err("it is wrong")
    };
    wrong(|it| it.database = "a b".to_owned());
    wrong(|it| it.database.clear());
    wrong(|it| it.accounts.clear());
    wrong(|it| it.accounts.push("12' ".into()));
    wrong(|it| it.regions.clear());
    wrong(|it| it.regions.push("eu'west".into()));
    assert!(catalog().checked().is_ok());
}

#[test]
fn a_lake_has_our_columns_and_every_partition() {
    let text = catalog().of_lake(&place("s3://bucket/a/lake/"));
    for log in LOGS {
        let table = log.table();
        let head = format!("EXISTS davylamp.{} (", table.name);
        let (_, rest) = text.split_once(&head).unwrap_or_else(|| panic!("{head}"));
        let (mut rest, properties) = rest.split_once("PARTITIONED BY").expect("partitions");
        for column in table.columns {
            let written = format!("`{}` ", column.name);
            let (_, after) = rest
                .split_once(&written)
                .unwrap_or_else(|| panic!("{written}"));
            rest = after;
        }
        let (properties, _) = properties.split_once(");").expect("an end");
        for part in [
            "'111122223333,444455556666,__HIVE_DEFAULT_PARTITION__'",
            "'eu-west-1,us-east-1,__HIVE_DEFAULT_PARTITION__'",
            "'2025-03-01,NOW'",
            "/log_region=${log_region}/log_date=${log_date}/'",
        ] {
            assert!(properties.contains(part), "{part}: {properties}");
        }
        let lies = format!("'s3://bucket/a/lake/{}/log_account=", table.name);
        assert!(properties.contains(&lies), "{properties}");
    }
    let mut always = catalog();
    always.since = None;
    assert!(
        always
            .of_lake(&place("s3://bucket"))
            .contains("'NOW-1YEARS,NOW'")
    );
    assert!(
        always
            .of_lake(&place("s3://bucket"))
            .contains("'s3://bucket/vpc_flow/'")
    );
}

#[test]
fn logs_lie_as_aws_delivers_them() {
    let text = catalog().of_logs(&place("s3://bucket/AWSLogs"));
    for part in [
        "'s3://bucket/AWSLogs/${account}/CloudTrail/${region}/${day}/'",
        "'s3://bucket/AWSLogs/${account}/vpcflowlogs/${region}/${day}/'",
        "'s3://bucket/AWSLogs/${account}/vpcdnsquerylogs/${vpc}/${day}/'",
        "'2025/03/01,NOW'",
        "'skip.header.line.count' = '1'",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_policy_reads_what_is_asked_and_writes_results_alone() {
    let results = place("s3://results/hunts");
    let lake = place("s3://bucket/lake");
    let at = ("111122223333".into(), "eu-west-1".into());
    let policy = catalog().policy(&[lake], &results, "hunts", (&at.0, &at.1));
    let statements = policy["Statement"].as_array().expect("statements");
    for statement in statements {
        let writes = statement["Action"].to_string().contains("s3:PutObject");
        let on_results = statement["Resource"] == json!("arn:aws:s3:::results/hunts/*");
        assert_eq!(writes, on_results, "{statement}");
        assert!(
            !statement["Action"].to_string().contains(":*"),
            "{statement}"
        );
    }
    assert_eq!(
        statements[2]["Resource"],
        json!(["arn:aws:s3:::bucket/lake/*"])
    );
    let group = workgroup("hunts", &results, 1 << 30);
    assert_eq!(
        group["Configuration"]["BytesScannedCutoffPerQuery"],
        json!(1 << 30)
    );
}

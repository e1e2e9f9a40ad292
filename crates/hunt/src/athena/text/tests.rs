//! What Athena is given.

use super::*;

fn scoped(scope: Scope) -> Scoped {
    Scoped {
        database: "davylamp".to_owned(),
        scope,
    }
}

#[test]
fn a_question_is_asked_of_the_database_and_otherwise_as_it_is() {
    let plain = scoped(Scope::default());
    let select = "-- top\nSELECT srcaddr FROM vpc_flow";
    assert_eq!(
        plain.question(select).expect("a question"),
        "-- top\nWITH vpc_flow AS (\n  SELECT * FROM davylamp.vpc_flow\n)\nSELECT srcaddr FROM vpc_flow"
    );
    let with = "WITH a AS (SELECT 1 FROM CloudTrail) SELECT * FROM a";
    assert_eq!(
        plain.question(with).expect("a question"),
        "WITH cloudtrail AS (\n  SELECT * FROM davylamp.cloudtrail\n), a AS (SELECT 1 FROM CloudTrail) SELECT * FROM a"
    );
    assert_eq!(plain.question("SELECT 1").expect("a question"), "SELECT 1");
}

#[test]
fn what_is_asked_for_names_the_partitions() {
    let text = scoped(Scope {
        since: "2026-03-01T12:30:00Z".parse().ok(),
        until: "2026-03-03T00:00:00Z".parse().ok(),
        accounts: vec!["111122223333".to_owned(), "it's".to_owned()],
        regions: vec!["eu-west-1".to_owned()],
    });
    let text = text
        .question("SELECT srcaddr FROM vpc_flow")
        .expect("a question");
    for part in [
        "log_date >= '2026-03-01'",
        "log_date <= '2026-03-03'",
        "(\"start\" >= TIMESTAMP '2026-03-01 12:30:00.000000' OR \"start\" IS NULL)",
        "log_account IN ('111122223333', 'it''s', '__HIVE_DEFAULT_PARTITION__')",
        "log_region IN ('eu-west-1', '__HIVE_DEFAULT_PARTITION__')",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn nothing_but_one_question_is_asked() {
    let plain = scoped(Scope::default());
    for wrong in [
        "",
        "-- nothing",
        "DROP TABLE vpc_flow",
        "SELECT 1; DROP TABLE vpc_flow",
        "INSERT INTO vpc_flow SELECT 1",
        "SELECT 'open",
    ] {
        assert!(plain.question(wrong).is_err(), "{wrong}");
    }
}

//! What Athena is given, read with the grammar of its engine.

use std::collections::BTreeMap;

use davylamp_content::hunt;
use davylamp_hunt::athena::{Catalog, Place, Scoped};
use davylamp_hunt::objects::Scope;
use serde_json::{Value, json};

use crate::oracle::python;

fn read(texts: &[String]) -> Vec<Value> {
    python("tests/oracle/trino.py", &json!(texts))
}

#[test]
fn every_shipped_hunt_is_a_question_that_athena_can_read() {
    let scoped = Scoped {
        database: "davylamp".to_owned(),
        scope: Scope {
            since: "2026-03-01T12:30:00Z".parse().ok(),
            until: "2026-03-03T00:00:00Z".parse().ok(),
            accounts: vec!["111122223333".to_owned()],
            regions: vec!["eu-west-1".to_owned()],
        },
    };
    let shipped = hunt::shipped().expect("what ships is good");
    let texts: Vec<String> = shipped
        .iter()
        .map(|parsed| {
            let sql = parsed.hunt.sql(&BTreeMap::new()).expect("defaults fit");
            scoped.question(&sql).expect("it is a question")
        })
        .collect();
    for (parsed, answer) in shipped.iter().zip(read(&texts)) {
        assert_eq!(answer, json!({"strange": []}), "{}", parsed.hunt.name);
    }
    insta::assert_snapshot!("a_hunt_for_athena", texts[0]);
}

#[test]
fn the_reader_refuses_what_is_no_sql_and_names_strange_functions() {
    let answers = read(&[
        "SELECT 1 FROM WHERE".to_owned(),
        "SELECT never_heard_of(1)".to_owned(),
    ]);
    assert!(answers[0]["error"].is_string(), "{answers:?}");
    assert_eq!(answers[1]["strange"], json!(["never_heard_of"]));
}

#[test]
fn the_statements_that_make_tables_can_be_read() {
    let catalog = Catalog {
        database: "davylamp".to_owned(),
        accounts: vec!["111122223333".into()],
        regions: vec!["eu-west-1".into()],
        since: None,
    };
    let place = Place::parse("s3://bucket/lake").expect("a place");
    let texts = [catalog.of_lake(&place), catalog.of_logs(&place)];
    for answer in read(&texts) {
        assert_eq!(answer, json!({"strange": []}));
    }
}

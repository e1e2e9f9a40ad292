//! From texts to values.

use super::*;

fn column(name: &str, kind: &str) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn texts_become_what_their_column_says() {
    let rows = Rows {
        columns: vec![
            column("calls", "bigint"),
            column("score", "double"),
            column("is_public", "boolean"),
            column("first_seen", "timestamp(3)"),
            column("who", "varchar"),
            column("share", "decimal(5,2)"),
        ],
        rows: vec![
            vec![
                some("12"),
                some("1.5E2"),
                some("true"),
                some("2026-11-01 10:00:00.250"),
                some(""),
                some("0.50"),
            ],
            vec![None; 6],
        ],
    };
    let (_, batches) = batches(&rows).expect("they are good");
    let found = crate::run::rows(&batches[0]).expect("they have JSON");
    let first = serde_json::Value::Object(found[0].clone());
    assert_eq!(first["calls"], 12);
    assert_eq!(first["score"], 150.0);
    assert_eq!(first["is_public"], true);
    assert_eq!(first["first_seen"], "2026-11-01T10:00:00.250Z");
    assert_eq!(first["who"], "");
    assert_eq!(first["share"], 0.5);
    assert!(found[1].values().all(serde_json::Value::is_null));
}

#[test]
fn what_is_not_of_its_type_is_an_error_and_no_null() {
    for (kind, text) in [
        ("bigint", "many"),
        ("bigint", "99999999999999999999"),
        ("double", "1,5"),
        ("boolean", "yes"),
        ("timestamp", "yesterday"),
    ] {
        let rows = Rows {
            columns: vec![column("c", kind)],
            rows: vec![vec![some(text)]],
        };
        let error = batches(&rows).expect_err(text);
        assert!(matches!(error, AnswerError::Value { .. }), "{error}");
    }
    let rows = Rows {
        columns: vec![column("c", "varchar")],
        rows: vec![vec![]],
    };
    assert!(matches!(batches(&rows), Err(AnswerError::Row { .. })));
}

#[test]
fn an_answer_without_rows_still_has_its_columns() {
    let rows = Rows {
        columns: vec![column("c", "bigint")],
        rows: Vec::new(),
    };
    let (schema, batches) = batches(&rows).expect("it is good");
    assert_eq!(schema.fields().len(), 1);
    assert!(batches.is_empty());
}

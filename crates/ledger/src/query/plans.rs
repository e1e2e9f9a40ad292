//! How the databases find what is asked for: by an index that gives its order, not by looking through
//! everything.

use std::sync::Mutex;

use davylamp_model::finding::Severity;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row as _};

use super::{At, Bound, FindingFilter, IncidentFilter, IncidentSort};
use crate::ledger::Ledger;
use crate::open::Options;
use crate::record::Taken;
use crate::table::Dialect;

/// The questions that were asked, with their values in place.
static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(super) fn note(sql: &str, bound: &[Bound]) {
    let mut sql = sql.to_owned();
    for (number, bound) in bound.iter().enumerate().rev() {
        let value = match bound {
            Bound::Int(value) => value.to_string(),
            Bound::Text(value) => format!("'{}'", value.replace('\'', "''")),
        };
        sql = sql.replace(&format!("${}", number + 1), &value);
    }
    ASKED.lock().expect("no panic").push(sql);
}

/// What the database would do for the last question.
async fn plan(ledger: &Ledger) -> String {
    let sql = ASKED.lock().expect("no panic").pop().expect("a question");
    let explain = match ledger.dialect {
        Dialect::Sqlite => "EXPLAIN QUERY PLAN",
        Dialect::Postgres => "EXPLAIN",
    };
    let rows = sqlx::query(AssertSqlSafe(format!("{explain} {sql}")))
        .fetch_all(&ledger.pool)
        .await
        .expect("a plan");
    let column = match ledger.dialect {
        Dialect::Sqlite => 3,
        Dialect::Postgres => 0,
    };
    let lines: Vec<String> = rows
        .iter()
        .map(|row| row.try_get(column).expect("text"))
        .collect();
    lines.join("\n")
}

async fn filled(ledger: &Ledger) {
    use crate::{Input, Reported};
    for batch in 0..40 {
        let inputs: Vec<Input> = (0..500)
            .map(|n| {
                let n = batch * 500 + n;
                let line = format!(
                    "{{\"action\":\"{}\",\"node\":\"n{}\",\"hub_user\":\"u{}\",\"timestamp\":\"{}\",\"cmdline\":\"run {n}\"}}",
                    ["killed", "missed", "spared"][n % 3],
                    n % 50,
                    n % 4000,
                    Timestamp::from_second(1_790_000_000 + i64::try_from(n).expect("small")).expect("a time"),
                );
                let cluster = match n % 2000 {
                    0 => "small".to_owned(),
                    _ => format!("hub-{}", n % 3),
                };
                let reported = Reported::from_guard_line(&line, &cluster, "guard");
                Input::Finding(Box::new(reported.expect("a line")))
            })
            .collect();
        let now = Timestamp::from_second(1_790_000_000).expect("a time");
        ledger.deliver(None, &inputs, now).await.expect("taken");
    }
}

fn clusters(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn lists_are_read_off_indexes() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let server = davylamp_testkit::postgres::Postgres::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let file = format!("sqlite://{}", folder.path().join("ledger.db").display());
        for url in [file, server.database()] {
            let ledger = Ledger::open(&url, &Options::default())
                .await
                .expect("a ledger");
            filled(&ledger).await;
            if ledger.dialect == Dialect::Postgres {
                sqlx::raw_sql("ANALYZE")
                    .execute(&ledger.pool)
                    .await
                    .expect("analysed");
            }
            let all = FindingFilter::default();
            for filter in [
                all.clone(),
                FindingFilter {
                    clusters: clusters(&["small"]),
                    ..all.clone()
                },
                FindingFilter {
                    clusters: clusters(&["hub-1", "small"]),
                    ..all.clone()
                },
                FindingFilter {
                    clusters: clusters(&["hub-1", "small"]),
                    oldest_first: true,
                    ..all.clone()
                },
                FindingFilter {
                    taken: Some(Taken::Missed),
                    ..all.clone()
                },
                FindingFilter {
                    severity: Some(Severity::Critical),
                    ..all.clone()
                },
                FindingFilter {
                    user: Some("u7".to_owned()),
                    clusters: clusters(&["hub-1", "hub-2"]),
                    ..all.clone()
                },
            ] {
                ledger
                    .findings(&filter, &At::first(50))
                    .await
                    .expect("findings");
                let plan = plan(&ledger).await;
                let looks_through = match ledger.dialect {
                    Dialect::Sqlite => {
                        plan.contains("SCAN f") && !plan.contains("SCAN f USING INDEX")
                    }
                    Dialect::Postgres => plan.contains("Seq Scan on finding"),
                };
                assert!(!looks_through, "{filter:?}: {plan}");
                // SQLite puts legs together by sorting what they gave, which is little.
                let is_legs = filter
                    .clusters
                    .as_ref()
                    .is_some_and(|names| names.len() > 1);
                let sorts = ledger.dialect == Dialect::Sqlite && plan.contains("USE TEMP B-TREE");
                assert!(is_legs || !sorts, "{filter:?}: {plan}");
            }
            // Few incidents are looked up, many are walked in order.
            for (names, user, looked_up) in [
                (&["small"][..], None, true),
                (&["hub-1", "small"][..], None, false),
                (
                    &["hub-1", "hub-2", "hub-0"][..],
                    Some("u8".to_owned()),
                    true,
                ),
            ] {
                for sort in [
                    IncidentSort::LastSeen,
                    IncidentSort::Severity,
                    IncidentSort::Due,
                ] {
                    let filter = IncidentFilter {
                        open: true,
                        clusters: clusters(names),
                        user: user.clone(),
                        sort,
                        ..IncidentFilter::default()
                    };
                    ledger
                        .incidents(&filter, &At::first(50))
                        .await
                        .expect("incidents");
                    let plan = plan(&ledger).await;
                    if ledger.dialect == Dialect::Sqlite {
                        let found = plan.contains("SEARCH i USING INTEGER PRIMARY KEY");
                        assert_eq!(found, looked_up, "{filter:?}: {plan}");
                    } else if looked_up {
                        assert!(!plan.contains("Seq Scan on incident"), "{filter:?}: {plan}");
                    }
                }
            }
        }
    });
}

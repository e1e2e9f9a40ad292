//! What both databases do alike: delivery, lists, export, retention, hostile text.

use davylamp_ledger::query::{At, FindingFilter, IncidentFilter, IncidentSort};
use davylamp_ledger::record::{Evidence, IncidentState, State};
use davylamp_ledger::{
    IncidentNo, Input, Ledger, LedgerError, Options, Policy, Record, Reported, Taken,
};
use davylamp_model::finding::{Observed, Severity};

use crate::make::{Stores, at, block_on, of_instance, of_user, open, reported};

fn input(reported: Reported) -> Input {
    Input::Finding(Box::new(reported))
}

async fn some(ledger: &Ledger) {
    let inputs: Vec<Input> = (0..120)
        .map(|n| {
            let user = format!("user{}", n % 7);
            let mut reported = of_user(reported(&format!("f{n}"), n * 60), &user);
            if n % 5 == 0 {
                reported.taken = Taken::Spared;
            }
            if n % 11 == 0 {
                reported.finding.severity = Severity::Critical;
            }
            input(reported)
        })
        .collect();
    for batch in inputs.chunks(50) {
        ledger.deliver(None, batch, at(0)).await.expect("delivered");
    }
}

#[test]
fn a_batch_is_taken_once() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let batch = [
                input(of_user(reported("a", 0), "ada")),
                input(of_user(reported("b", 60), "ada")),
                input(of_user(reported("a", 0), "ada")),
            ];
            let first = ledger
                .deliver(Some("k"), &batch, at(1))
                .await
                .expect("taken");
            assert_eq!((first.new, first.unchanged, first.opened.len()), (2, 1, 1));
            let head = ledger.head().await.expect("a head");
            let again = ledger
                .deliver(Some("k"), &batch, at(2))
                .await
                .expect("taken");
            assert_eq!(first, again, "the same key has the same receipt");
            let other = ledger.deliver(None, &batch, at(3)).await.expect("taken");
            assert_eq!((other.new, other.unchanged, other.first), (0, 3, None));
            assert_eq!(ledger.head().await.expect("a head"), head);

            let mut later = of_user(reported("a", 600), "ada");
            later.finding.count = 3;
            let update = [input(later)];
            let update = ledger.deliver(None, &update, at(4)).await.expect("taken");
            assert_eq!((update.updated, update.first), (1, update.last));
            let stale = ledger.deliver(None, &batch, at(5)).await.expect("taken");
            assert_eq!(
                stale.unchanged, 3,
                "an older state, of which nothing is new"
            );
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn lists_go_on_where_they_stopped() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            some(&ledger).await;
            let filters = [
                FindingFilter::default(),
                FindingFilter {
                    oldest_first: true,
                    ..FindingFilter::default()
                },
                FindingFilter {
                    user: Some("user3".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    severity: Some(Severity::Critical),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    severity: Some(Severity::High),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    taken: Some(Taken::Spared),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    cluster: Some("hub-a".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    key: Some("hub-user:hub-a/user1".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    text: Some("POOL.exam 333".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    text: Some("programf11".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    from: Some(at(600)),
                    to: Some(at(1200)),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    incident: Some(IncidentNo(1)),
                    ..FindingFilter::default()
                },
            ];
            let counts = [120, 120, 17, 11, 120, 24, 120, 17, 120, 11, 10, 0];
            for (filter, count) in filters.iter().zip(counts) {
                let mut ids = Vec::new();
                let mut at = At::first(7);
                loop {
                    let page = ledger.findings(filter, &at).await.expect("a page");
                    ids.extend(page.items.iter().map(|row| row.id));
                    match page.next {
                        Some(next) => at.cursor = Some(next),
                        None => break,
                    }
                }
                let whole = ledger
                    .findings(filter, &At::first(500))
                    .await
                    .expect("a page");
                let whole: Vec<i64> = whole.items.iter().map(|row| row.id).collect();
                assert_eq!(ids, whole, "{url} {filter:?}");
                // The first entry opens incident 1 of user0, unless what came first was spared.
                if filter.incident.is_none() {
                    assert_eq!(ids.len(), count, "{url} {filter:?}");
                }
            }
            for sort in [
                IncidentSort::LastSeen,
                IncidentSort::Severity,
                IncidentSort::Due,
            ] {
                let filter = IncidentFilter {
                    sort,
                    open: true,
                    ..IncidentFilter::default()
                };
                let mut at = At::first(2);
                let mut ids = Vec::new();
                loop {
                    let page = ledger.incidents(&filter, &at).await.expect("a page");
                    ids.extend(page.items.iter().map(|row| row.id));
                    match page.next {
                        Some(next) => at.cursor = Some(next),
                        None => break,
                    }
                }
                ids.sort_unstable();
                ids.dedup();
                assert_eq!(ids.len(), 7);
            }
            for (cluster, user, count) in [
                ("hub-a", "user3", 1),
                ("hub-a", "user99", 0),
                ("hub-b", "user3", 0),
            ] {
                let filter = IncidentFilter {
                    cluster: Some(cluster.to_owned()),
                    user: Some(user.to_owned()),
                    ..IncidentFilter::default()
                };
                let page = ledger
                    .incidents(&filter, &At::first(9))
                    .await
                    .expect("a page");
                assert_eq!(page.items.len(), count, "{cluster} {user}");
            }
            let overview = ledger.overview(at(-3600)).await.expect("numbers");
            assert_eq!(overview.open(), 7);
            assert_eq!(overview.hours.iter().map(|row| row.n).sum::<i64>(), 120);
            let wrong = At {
                cursor: Some("i.1.2".to_owned()),
                rows: 5,
            };
            let refused = ledger.findings(&FindingFilter::default(), &wrong).await;
            assert!(matches!(refused, Err(LedgerError::Cursor)));
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn hostile_text_is_kept() {
    let stores = Stores::new();
    block_on(async {
        let mut heads = Vec::new();
        for url in stores.each() {
            let ledger = open(&url).await;
            let mut nul = of_user(reported("nul\0id", 0), "a\0b");
            nul.finding.title = "nul \0 and \u{202e} and 🦀 and ' \" ; --".to_owned();
            nul.reporter.cluster = "c\0".to_owned();
            nul.line = Some("raw \0 line".to_owned());
            let mut long = of_user(reported("long", -9_000_000_000), "lö/ng%");
            long.finding.observed.push(Observed {
                what: "command-line".to_owned(),
                value: "x\0y ".repeat(300_000),
            });
            long.finding
                .resources
                .push(davylamp_model::resource::Resource::Function {
                    name: davylamp_model::ids::FunctionName("f".repeat(5000)),
                });
            let mut timeless = reported("timeless", 0);
            timeless.finding.first_seen = None;
            timeless.finding.last_seen = None;
            let inputs = [
                input(nul.clone()),
                input(long.clone()),
                input(timeless.clone()),
            ];
            let receipt = ledger
                .deliver(Some("\0"), &inputs, at(0))
                .await
                .expect("taken");
            assert_eq!(receipt.new, 3);
            let again = ledger
                .deliver(Some("other"), &inputs, at(9))
                .await
                .expect("taken");
            assert_eq!(again.unchanged, 3, "{url}");
            let list = ledger
                .findings(
                    &FindingFilter {
                        oldest_first: true,
                        ..FindingFilter::default()
                    },
                    &At::first(9),
                )
                .await
                .expect("a list");
            let titles: Vec<&str> = list.items.iter().map(|row| row.title.as_str()).collect();
            assert!(
                titles.iter().any(|title| title.contains("nul \\u{0} and")),
                "{titles:?}"
            );
            for row in &list.items {
                let view = ledger.finding(row.id).await.expect("read").expect("there");
                let record = view.record.expect("kept");
                let sent = [&nul, &long, &timeless]
                    .into_iter()
                    .find(|sent| sent.finding.id == record.finding.id)
                    .expect("one of them");
                assert_eq!((&record.finding, &record.line), (&sent.finding, &sent.line));
            }
            for text in ["\0", "'", "\" OR 1", "🦀", "a:*&b", "(((", "  "] {
                let filter = FindingFilter {
                    text: Some(text.to_owned()),
                    ..FindingFilter::default()
                };
                ledger
                    .findings(&filter, &At::first(9))
                    .await
                    .expect("an answer");
            }
            let user = FindingFilter {
                user: Some("a\0b".to_owned()),
                ..FindingFilter::default()
            };
            let found = ledger
                .findings(&user, &At::first(9))
                .await
                .expect("an answer");
            assert_eq!(found.items.len(), 1, "asked for as it came");
            let key = FindingFilter {
                key: Some("\0".to_owned()),
                ..FindingFilter::default()
            };
            assert!(
                ledger
                    .findings(&key, &At::first(9))
                    .await
                    .expect("an answer")
                    .items
                    .is_empty()
            );
            stores.verified(&ledger).await;
            heads.push(ledger.head().await.expect("a head"));
        }
        assert_eq!(heads[0], heads[1], "both databases chain alike");
    });
}

#[test]
fn a_ledger_moves_between_databases() {
    let stores = Stores::new();
    block_on(async {
        let first = open(&stores.sqlite()).await;
        some(&first).await;
        let mut file = Vec::new();
        let head = first.export(&mut file).await.expect("written");
        let second = open(&stores.postgres()).await;
        assert_eq!(second.import(file.as_slice()).await.expect("read"), head);
        stores.verified(&second).await;
        let mut back = Vec::new();
        second.export(&mut back).await.expect("written");
        assert_eq!(file, back);
        let third = open(&stores.sqlite()).await;
        assert_eq!(third.import(back.as_slice()).await.expect("read"), head);
        stores.verified(&third).await;
        let full = third.import(back.as_slice()).await;
        assert!(matches!(full, Err(LedgerError::NotEmpty { .. })));

        let text = String::from_utf8(file).expect("text");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let cut = lines[..lines.len() - 1].concat();
        let half = text[..text.len() - 10].to_owned();
        let altered = text.replacen("user3", "user4", 1);
        let swapped = [lines[0], lines[2], lines[1]].concat();
        for url in stores.each() {
            let ledger = open(&url).await;
            for wrong in [
                &cut,
                &half,
                &altered,
                &swapped,
                &"{}\n".to_owned(),
                &String::new(),
            ] {
                let refused = ledger.import(wrong.as_bytes()).await;
                assert!(
                    matches!(refused, Err(LedgerError::Import { .. })),
                    "{refused:?}"
                );
                assert_eq!(ledger.head().await.expect("a head").seq, 0);
                let page = ledger
                    .findings(&FindingFilter::default(), &At::first(1))
                    .await;
                assert!(page.expect("a page").items.is_empty());
            }
            assert_eq!(ledger.import(text.as_bytes()).await.expect("read"), head);
        }
    });
}

#[test]
fn what_is_too_old_goes_and_the_chain_stays() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            some(&ledger).await;
            let evidence = Record::Evidence(Evidence {
                incident: None,
                what: "file".to_owned(),
                location: "s3://kept/a".to_owned(),
                sha256: None,
                size_bytes: Some(5),
                custody: "guard".to_owned(),
                by: "guard".to_owned(),
            });
            ledger.record(evidence.clone(), at(0)).await.expect("taken");
            ledger.record(evidence, at(5)).await.expect("taken");
            let list = ledger
                .incidents(&IncidentFilter::default(), &At::first(9))
                .await
                .expect("a list");
            let closed: Vec<_> = list.items.iter().take(3).cloned().collect();
            for row in &closed {
                let record = Record::IncidentState(IncidentState {
                    incident: IncidentNo(row.id),
                    state: State::Closed,
                    reason: "done".to_owned(),
                    by: "ada".to_owned(),
                });
                ledger.record(record, at(10)).await.expect("taken");
            }
            let policy = Policy {
                findings_days: Some(30),
                evidence_days: Some(30),
            };
            let early = ledger.retain(policy, at(20 * 86_400)).await.expect("done");
            assert_eq!(early.bodies, 0);
            let removed = ledger.retain(policy, at(40 * 86_400)).await.expect("done");
            assert_eq!(removed.evidence, 1);
            let gone: i64 = closed.iter().map(|row| row.findings).sum();
            assert_eq!(removed.findings as i64, gone);
            assert_eq!(removed.bodies as i64, gone + 2);
            for row in &closed {
                let now = ledger
                    .incident(IncidentNo(row.id))
                    .await
                    .expect("read")
                    .expect("there");
                assert_eq!(
                    (now.row.findings, &now.row.counts),
                    (row.findings, &row.counts)
                );
                let filter = FindingFilter {
                    incident: Some(IncidentNo(row.id)),
                    ..FindingFilter::default()
                };
                assert!(
                    ledger
                        .findings(&filter, &At::first(1))
                        .await
                        .expect("a page")
                        .items
                        .is_empty()
                );
            }
            stores.verified(&ledger).await;
            ledger.rebuild().await.expect("rebuilt");
            stores.verified(&ledger).await;
            let mut file = Vec::new();
            let head = ledger.export(&mut file).await.expect("written");
            let copy = open(&stores.sqlite()).await;
            assert_eq!(copy.import(file.as_slice()).await.expect("read"), head);
            stores.verified(&copy).await;
        }
    });
}

/// An incident that is larger than one step of retention, made of two, with later states and with findings
/// that open nothing; then its user is seen again.
#[test]
fn a_large_incident_goes_in_steps() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            let mut inputs = Vec::new();
            for n in 0..600 {
                let mut spared = of_user(reported(&format!("u{n}"), n), "ada");
                if n % 9 == 3 {
                    spared.taken = Taken::Spared;
                }
                inputs.push(input(spared));
                inputs.push(input(of_instance(
                    reported(&format!("i{n}"), n),
                    "i-00000001",
                )));
            }
            for n in 0..50 {
                let mut later = of_user(reported(&format!("u{n}"), 900 + n), "ada");
                later.finding.count = 2;
                inputs.push(input(later));
            }
            inputs.push(input(of_instance(
                of_user(reported("both", 5), "ada"),
                "i-00000001",
            )));
            for batch in inputs.chunks(200) {
                ledger.deliver(None, batch, at(0)).await.expect("taken");
            }
            let list = ledger
                .incidents(&IncidentFilter::default(), &At::first(9))
                .await
                .expect("a list");
            let [row] = list.items.as_slice() else {
                panic!("one incident, not {}", list.items.len());
            };
            assert_eq!(row.findings, 1201);
            let close = Record::IncidentState(IncidentState {
                incident: IncidentNo(row.id),
                state: State::Closed,
                reason: "done".to_owned(),
                by: "ada".to_owned(),
            });
            ledger.record(close, at(1000)).await.expect("taken");
            let policy = Policy {
                findings_days: Some(1),
                evidence_days: None,
            };
            let removed = ledger.retain(policy, at(3 * 86_400)).await.expect("done");
            assert_eq!((removed.findings, removed.bodies), (1201, 1251));
            let told = ledger
                .entries_of("retention", &At::first(9))
                .await
                .expect("a page");
            assert_eq!(told.items.len(), 3);
            stores.verified(&ledger).await;
            let again = [input(of_user(reported("again", 2000), "ada"))];
            let receipt = ledger
                .deliver(None, &again, at(3 * 86_400))
                .await
                .expect("taken");
            assert_eq!(receipt.opened.len(), 1, "what was removed links nothing");
            let old = ledger
                .incident(IncidentNo(row.id))
                .await
                .expect("read")
                .expect("there");
            assert_eq!((old.row.findings, old.row.state.as_str()), (1201, "closed"));
            stores.verified(&ledger).await;
            ledger.rebuild().await.expect("rebuilt");
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn a_file_is_its_owners_alone_and_a_newer_one_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    block_on(async {
        let path = folder.path().join("a b%/deep/ledger.sqlite");
        let url = format!("sqlite://{}", path.display());
        let ledger = open(&url).await;
        ledger
            .deliver(
                None,
                &[input(of_instance(reported("a", 0), "i-12345678"))],
                at(0),
            )
            .await
            .expect("taken");
        let mode =
            |path: &std::path::Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().expect("a folder")), 0o700);
        ledger.close().await;
        sqlx::any::install_default_drivers();
        let raw = sqlx::AnyPool::connect(&format!(
            "sqlite://{}",
            path.display()
                .to_string()
                .replace('%', "%25")
                .replace(' ', "%20")
        ))
        .await
        .expect("opened");
        sqlx::query("UPDATE layout SET version = 99")
            .execute(&raw)
            .await
            .expect("done");
        raw.close().await;
        let newer = Ledger::open(&url, &Options::default()).await;
        assert!(
            matches!(newer, Err(LedgerError::Layout { found: 99, .. })),
            "{newer:?}"
        );
    });
}

#[test]
fn no_password_stands_in_an_error() {
    block_on(async {
        let options = Options {
            connections: 1,
            ..Options::default()
        };
        for url in [
            "postgres://u:hunter2@127.0.0.1:1/x",
            "postgres://u:hunter2@[::1",
            "postgres://u:hunter2@127.0.0.1:99999/x",
            "mysql://u:hunter2@localhost/x",
            "postgres://u:hunter2@127.0.0.1:1/x?sslmode=hunter2",
        ] {
            let error = Ledger::open(url, &options).await.expect_err("no server");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    });
}

#[test]
fn a_password_comes_from_a_file_or_a_variable() {
    let stores = Stores::new();
    let secret = "ge heim#/@%:?&'";
    block_on(async {
        let url = stores.postgres();
        open(&url).await.close().await;
        let admin = sqlx::AnyPool::connect(&url).await.expect("opened");
        // The server is told to ask for passwords from now on.
        for statement in [
            "ALTER USER davylamp PASSWORD 'ge heim#/@%:?&'''",
            "DO $$ BEGIN EXECUTE format('COPY (SELECT ''local all all scram-sha-256'') TO %L',
                                        current_setting('hba_file')); END $$",
            "SELECT pg_reload_conf()",
        ] {
            sqlx::raw_sql(statement)
                .execute(&admin)
                .await
                .expect("done");
        }
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        let refused = loop {
            match Ledger::open(&url, &Options::default()).await {
                Err(refused) => break refused,
                Ok(_) => assert!(std::time::Instant::now() < end, "it never asks"),
            }
        };
        assert!(matches!(refused, LedgerError::Database(_)), "{refused:?}");
        let file = stores.folder.path().join("password");
        for (kept, works) in [(format!("{secret}\n"), true), ("hunter2".to_owned(), false)] {
            std::fs::write(&file, kept).expect("written");
            let options = Options {
                password_file: Some(file.clone()),
                ..Options::default()
            };
            match Ledger::open(&url, &options).await {
                Ok(ledger) => {
                    assert!(works);
                    ledger.head().await.expect("a head");
                }
                Err(error) => {
                    assert!(!works, "{error}");
                    assert!(!format!("{error} {error:?}").contains("hunter2"));
                }
            }
        }
        let options = Options {
            password_variable: Some("NOT_SET_ANYWHERE".to_owned()),
            ..Options::default()
        };
        let refused = Ledger::open(&url, &options).await;
        assert!(
            matches!(refused, Err(LedgerError::Address { .. })),
            "{refused:?}"
        );
    });
}

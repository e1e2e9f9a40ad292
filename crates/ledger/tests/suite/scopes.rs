//! What is asked for within some clusters: the same as everything, less what is of others.

use std::collections::BTreeSet;

use davylamp_ledger::query::{At, FindingFilter, IncidentFilter, IncidentSort};
use davylamp_ledger::record::{Heartbeat, Plan, State};
use davylamp_ledger::rows::{FindingRow, IncidentRow};
use davylamp_ledger::{IncidentNo, Input, Ledger, Record, Reporter, Taken};
use davylamp_model::finding::Severity;

use crate::make::{Stores, at, block_on, of_instance, of_user, open, reported};

/// Findings of five clusters, of which the last has few; users are in one or two of them.
async fn some(ledger: &Ledger) {
    let inputs: Vec<Input> = (0..400)
        .map(|n| {
            let mut reported = of_user(
                reported(&format!("f{n}"), n * 60),
                &format!("user{}", n % 23),
            );
            reported.reporter.cluster = match n % 97 {
                0 => "small".to_owned(),
                _ => format!("hub-{}", n % 4),
            };
            reported.taken = match n % 5 {
                0 => Taken::Missed,
                1 => Taken::Spared,
                _ => Taken::Killed,
            };
            if n % 11 == 0 {
                reported.finding.severity = Severity::Critical;
            }
            // Two clusters' users share an instance: their incidents become one.
            if n % 50 == 7 {
                reported = of_instance(reported, "i-0123456789abcdef0");
            }
            Input::Finding(Box::new(reported))
        })
        .collect();
    for batch in inputs.chunks(70) {
        ledger.deliver(None, batch, at(0)).await.expect("delivered");
    }
    for n in 0..9 {
        let heartbeat = Heartbeat {
            reporter: Reporter {
                cluster: format!("hub-{}", n % 4),
                node: format!("node-{n}"),
                agent: "guard".to_owned(),
            },
            version: "1".to_owned(),
            coverage: "all".to_owned(),
            canary_at: None,
            canary_caught: [None, Some(true), Some(false)][n % 3],
            lost_events: i64::from(n == 4),
            lists: Vec::new(),
        };
        let heard = [Input::Heartbeat(heartbeat)];
        let when = at(if n < 3 { -3600 } else { 0 });
        ledger.deliver(None, &heard, when).await.expect("heard");
    }
}

async fn findings(ledger: &Ledger, filter: &FindingFilter) -> Vec<FindingRow> {
    let (mut page, mut all) = (At::first(17), Vec::new());
    loop {
        let found = ledger.findings(filter, &page).await.expect("findings");
        all.extend(found.items);
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return all,
        }
    }
}

async fn incidents(ledger: &Ledger, filter: &IncidentFilter) -> Vec<IncidentRow> {
    let (mut page, mut all) = (At::first(7), Vec::new());
    loop {
        let found = ledger.incidents(filter, &page).await.expect("incidents");
        all.extend(found.items);
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return all,
        }
    }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

const SCOPES: [&[&str]; 6] = [
    &[],
    &["small"],
    &["hub-1", "small"],
    &["hub-0", "hub-1", "hub-2", "hub-3", "small"],
    &["nowhere"],
    &["nowhere", "hub-2"],
];

#[test]
fn findings_of_clusters_are_those_of_all_less_the_others() {
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
                    taken: Some(Taken::Missed),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    severity: Some(Severity::High),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    user: Some("user3".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    text: Some("killed prog".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    text: Some("killed".to_owned()),
                    oldest_first: true,
                    ..FindingFilter::default()
                },
                FindingFilter {
                    cluster: Some("hub-1".to_owned()),
                    ..FindingFilter::default()
                },
                FindingFilter {
                    from: Some(at(6000)),
                    to: Some(at(12_000)),
                    ..FindingFilter::default()
                },
            ];
            // More clusters than are asked one by one.
            let mut many: Vec<String> = (0..60).map(|n| format!("none-{n}")).collect();
            many.push("hub-3".to_owned());
            let scopes = SCOPES.map(names).into_iter().chain([many]);
            for clusters in scopes {
                for filter in &filters {
                    let mut expected = findings(&ledger, filter).await;
                    expected.retain(|row| clusters.contains(&row.cluster));
                    let within = FindingFilter {
                        clusters: Some(clusters.clone()),
                        ..filter.clone()
                    };
                    let found = findings(&ledger, &within).await;
                    assert_eq!(found, expected, "{url} {clusters:?} {filter:?}");
                    if filter.text.is_none() {
                        let most = 50;
                        let n = ledger.count_findings(&within, most).await.expect("a count");
                        let expected = expected.len().min(most as usize + 1);
                        assert_eq!(
                            usize::try_from(n),
                            Ok(expected),
                            "{url} {clusters:?} {filter:?}"
                        );
                    }
                }
            }
        }
    });
}

#[test]
fn incidents_of_clusters_and_users_are_those_whose_findings_say_so() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            some(&ledger).await;
            stores.verified(&ledger).await;
            let all = findings(&ledger, &FindingFilter::default()).await;
            let with = |row: &IncidentRow, holds: &dyn Fn(&FindingRow) -> bool| {
                all.iter()
                    .any(|finding| finding.incident == Some(row.id) && holds(finding))
            };
            for sort in [
                IncidentSort::LastSeen,
                IncidentSort::Severity,
                IncidentSort::Due,
            ] {
                let base = IncidentFilter {
                    sort,
                    ..IncidentFilter::default()
                };
                let whole = incidents(&ledger, &base).await;
                assert!(whole.len() > 60, "{} incidents", whole.len());
                for scope in SCOPES {
                    let clusters = names(scope);
                    for (cluster, user) in [
                        (None, None),
                        (Some("small"), None),
                        (None, Some("user7")),
                        (Some("hub-2"), Some("user7")),
                    ] {
                        let filter = IncidentFilter {
                            clusters: Some(clusters.clone()),
                            cluster: cluster.map(str::to_owned),
                            user: user.map(str::to_owned),
                            ..base.clone()
                        };
                        let found = incidents(&ledger, &filter).await;
                        let mut expected = whole.clone();
                        expected.retain(|row| {
                            let seen = |finding: &FindingRow| {
                                clusters.contains(&finding.cluster)
                                    && cluster.is_none_or(|name| finding.cluster == name)
                            };
                            with(row, &seen)
                                && user.is_none_or(|user| {
                                    with(row, &|finding| finding.hub_user == user)
                                })
                        });
                        assert_eq!(found, expected, "{url} {filter:?}");
                    }
                    for row in &whole {
                        let reaches = ledger.reaches(IncidentNo(row.id), &clusters).await;
                        let seen = with(row, &|finding| clusters.contains(&finding.cluster));
                        assert_eq!(reaches.expect("an answer"), seen, "{url} {clusters:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn numbers_of_clusters_are_those_of_their_lists() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            some(&ledger).await;
            let first = incidents(&ledger, &IncidentFilter::default()).await;
            for (n, row) in first.iter().take(9).enumerate() {
                let incident = IncidentNo(row.id);
                let owner = format!("person-{}", n % 2);
                let owned = Record::Owner(davylamp_ledger::record::Owner {
                    incident,
                    owner,
                    step: davylamp_ledger::record::OwnerStep::Accepted,
                    by: "x".to_owned(),
                });
                ledger.record(owned, at(1)).await.expect("owned");
                let plan = Record::Plan(Plan {
                    incident: Some(incident),
                    plan: format!("plan-{n}"),
                    summary: String::new(),
                    text: serde_json::json!({}),
                    left_out: Vec::new(),
                    cost_micro_usd_per_hour: Some(1000),
                    by: "x".to_owned(),
                });
                ledger.record(plan, at(1)).await.expect("planned");
                if n == 8 {
                    let closed = Record::IncidentState(davylamp_ledger::record::IncidentState {
                        incident,
                        state: State::Closed,
                        reason: "done".to_owned(),
                        by: "x".to_owned(),
                    });
                    ledger.record(closed, at(1)).await.expect("closed");
                }
            }
            let scopes = SCOPES
                .map(|scope| Some(names(scope)))
                .into_iter()
                .chain([None]);
            for clusters in scopes {
                let filter = IncidentFilter {
                    open: true,
                    clusters: clusters.clone(),
                    ..IncidentFilter::default()
                };
                let rows = incidents(&ledger, &filter).await;
                let clusters = clusters.as_deref();
                let standing = ledger.standing(clusters).await.expect("numbers");
                assert_eq!(
                    usize::try_from(standing.open()),
                    Ok(rows.len()),
                    "{url} {clusters:?}"
                );
                for rank in 0..4 {
                    let n = rows.iter().filter(|row| row.severity == rank).count();
                    let found = standing.severities[usize::try_from(rank).expect("small")];
                    assert_eq!(usize::try_from(found), Ok(n), "{url} {clusters:?}");
                }
                let mut free: Vec<_> = rows.iter().filter(|row| row.owner.is_none()).collect();
                assert_eq!(usize::try_from(standing.without_owner), Ok(free.len()));
                free.sort_by_key(|row| (row.opened, row.id));
                let waiting: Vec<i64> = standing.waiting.iter().map(|row| row.id).collect();
                let expected: Vec<i64> = free.iter().take(5).map(|row| row.id).collect();
                assert_eq!(waiting, expected, "{url} {clusters:?}");
                let owned = |name: &str| {
                    rows.iter()
                        .filter(|row| row.owner.as_deref() == Some(name))
                        .count()
                };
                for (name, n) in &standing.owners {
                    assert_eq!(usize::try_from(*n), Ok(owned(name)));
                }
                let cost = ledger.cost_in(clusters).await.expect("a sum");
                assert_eq!(cost.per_hour_micro_usd, cost.known * 1000);
                assert_eq!(usize::try_from(cost.known + cost.unknown), Ok(rows.len()));
                let seen_whole = |row: &&IncidentRow| {
                    let named: Vec<String> = serde_json::from_str(&row.clusters).expect("names");
                    clusters.is_none_or(|clusters| named.iter().all(|name| clusters.contains(name)))
                };
                let whole = rows.iter().filter(seen_whole);
                let known = whole
                    .filter(|row| row.cost_micro_usd_per_hour.is_some())
                    .count();
                assert_eq!(usize::try_from(cost.known), Ok(known), "{url} {clusters:?}");

                let nodes = ledger
                    .nodes_of(clusters, &At::first(100))
                    .await
                    .expect("nodes")
                    .items;
                let since = at(-60);
                let counts = ledger.node_counts(clusters, since).await.expect("numbers");
                let heard = |seen: Option<i64>| seen.is_some_and(|us| us >= since.as_microsecond());
                let count = |n: usize| i64::try_from(n).expect("small");
                assert_eq!(counts.all, count(nodes.len()), "{url} {clusters:?}");
                let silent = nodes.iter().filter(|node| !heard(node.seen_us)).count();
                assert_eq!(counts.silent, count(silent));
                let troubled = nodes.iter().filter(|node| {
                    heard(node.seen_us)
                        && (node.row.canary_caught == Some(0) || node.row.lost_events > 0)
                });
                assert_eq!(counts.troubled, count(troubled.count()));
                let untried = nodes.iter().filter(|node| node.row.canary_caught.is_none());
                assert_eq!(counts.untried, count(untried.count()));
            }
        }
    });
}

#[test]
fn a_timeline_has_two_directions_and_an_entry_leads_to_its_finding() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            for n in 0..60 {
                let each = of_user(reported(&format!("f{n}"), n * 60), "ada");
                let taken = ledger
                    .deliver(None, &[Input::Finding(Box::new(each))], at(n))
                    .await;
                taken.expect("taken");
            }
            let mut later = of_user(reported("f3", 9000), "ada");
            later.finding.count = 7;
            let later = [Input::Finding(Box::new(later))];
            let update = ledger
                .deliver(None, &later, at(99))
                .await
                .expect("taken")
                .last;
            let incident = IncidentNo(1);
            let (mut oldest, mut newest) = (Vec::new(), Vec::new());
            for (forward, all) in [(true, &mut oldest), (false, &mut newest)] {
                let mut page = At::first(13);
                loop {
                    let found = match forward {
                        true => ledger.timeline(incident, &page).await,
                        false => ledger.timeline_newest(incident, &page).await,
                    };
                    let found = found.expect("a part");
                    all.extend(found.items.into_iter().map(|entry| entry.seq));
                    match found.next {
                        Some(next) => page.cursor = Some(next),
                        None => break,
                    }
                }
            }
            assert_eq!(oldest.len(), 62);
            assert!(
                oldest.iter().rev().eq(newest.iter()),
                "{oldest:?} {newest:?}"
            );
            assert!(oldest.iter().collect::<BTreeSet<_>>().len() == oldest.len());
            let opened = ledger
                .timeline_of(incident, "incident-opened", &At::first(5))
                .await;
            let opened = opened.expect("a part").items;
            assert_eq!(
                opened.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
                [1]
            );

            let update = update.expect("an entry");
            let view = ledger
                .finding_of_entry(update)
                .await
                .expect("an answer")
                .expect("one");
            assert_eq!(
                ledger.finding_of_entry(view).await.expect("an answer"),
                Some(view)
            );
            let row = ledger
                .finding(view)
                .await
                .expect("an answer")
                .expect("there")
                .row;
            assert_eq!((row.count, row.latest), (7, update));
            assert_eq!(ledger.finding_of_entry(1).await.expect("an answer"), None);
            assert_eq!(
                ledger.finding_of_entry(i64::MAX).await.expect("an answer"),
                None
            );
            let seqs = [update, 2, 2, 1];
            let entries = ledger.entries_by_number(&seqs).await.expect("entries");
            let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
            assert_eq!(seqs, [1, 2, update]);
        }
    });
}

//! Lists from their beginning to their end.

use std::collections::BTreeSet;

use davylamp_console::Role;
use davylamp_ledger::Taken;
use jiff::Timestamp;

use crate::world::{Visitor, World, finding};

/// Walks a list by its links, and gives every row's link in order.
async fn walk(visitor: &Visitor, path: &str, prefix: &str) -> Vec<String> {
    let (mut path, mut rows) = (path.to_owned(), Vec::new());
    for _ in 0..40 {
        let page = visitor.page(&path).await;
        let heads = page.body.split("scope=\"row\">").skip(1);
        rows.extend(heads.filter_map(|row| {
            let (_, rest) = row.split_once(prefix)?;
            Some(rest.split(['"', '<']).next()?.to_owned())
        }));
        match page.next() {
            Some(next) => path = next,
            None => return rows,
        }
    }
    panic!("the list has no end");
}

fn all_once(rows: &[String], expected: usize, what: &str) {
    let once: BTreeSet<&String> = rows.iter().collect();
    assert_eq!((rows.len(), once.len()), (expected, expected), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_walked_without_a_gap_or_a_repeat() {
    let world = World::new().await;
    for batch in 0..4 {
        let findings = (0..60).map(|n| {
            let n = batch * 60 + n;
            let taken = if n % 3 == 0 {
                Taken::WouldKill
            } else {
                Taken::Killed
            };
            let cluster = format!("hub-{}", n % 4);
            // Many at one time: places in a list are told apart by more than that.
            finding(n, &format!("user{n}"), &cluster, taken, n / 50)
        });
        world.deliver(findings.collect()).await;
    }
    let now = Timestamp::now();
    for n in 0..130 {
        world
            .heartbeat(&format!("hub-{}", n % 4), &format!("node-{n}"), now)
            .await;
    }
    let all = world.visitor("ada", Role::Viewer, &[]).await;
    let some = world
        .visitor("abe", Role::Viewer, &["hub-1", "hub-2"])
        .await;
    let one = world.visitor("one", Role::Viewer, &["hub-3"]).await;
    for (path, prefix, whole) in [
        ("/findings", "/findings/", 240),
        ("/findings?order=oldest", "/findings/", 240),
        ("/findings?text=matched", "/findings/", 240),
        ("/incidents", "/incidents/", 240),
        ("/incidents?sort=severity", "/incidents/", 240),
        ("/incidents?sort=due&state=any", "/incidents/", 240),
        ("/incidents?sort=severity&cluster=hub-3", "/incidents/", 60),
        ("/incidents?user=user7", "/incidents/", 1),
        ("/nodes", "<bdi>", 130),
    ] {
        all_once(&walk(&all, path, prefix).await, whole, path);
        if whole < 130 {
            // user7 is of hub-3 as well, which is not theirs.
            all_once(&walk(&some, path, prefix).await, 0, path);
            all_once(&walk(&one, path, prefix).await, whole, path);
            continue;
        }
        let half = match prefix {
            "<bdi>" => 33 + 32,
            _ => 120,
        };
        all_once(
            &walk(&some, path, prefix).await,
            half,
            &format!("{path} of some"),
        );
        let quarter = match prefix {
            "<bdi>" => 32,
            _ => 60,
        };
        all_once(
            &walk(&one, path, prefix).await,
            quarter,
            &format!("{path} of one"),
        );
    }
    all_once(
        &walk(&all, "/findings?action=would-kill", "/findings/").await,
        80,
        "would-kill",
    );
    let oldest = walk(&all, "/findings?order=oldest", "/findings/").await;
    let newest = walk(&all, "/findings", "/findings/").await;
    assert!(oldest.iter().rev().eq(newest.iter()));
    let head = usize::try_from(world.head().await).expect("a number");
    let entries = walk(&all, "/ledger", "").await;
    all_once(&entries, head, "entries");
    let severities = all
        .page("/incidents?sort=severity&severity=critical")
        .await
        .body;
    assert!(!severities.contains("sev-high"), "{severities}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_is_walked_in_both_directions() {
    let world = World::new().await;
    let mut opened = Vec::new();
    for n in 0..130 {
        let found = world
            .deliver(vec![finding(n, "eve", "hub-a", Taken::Killed, 200 - n)])
            .await;
        opened.extend(found.opened);
    }
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    let path = format!("/incidents/{}", opened[0].0);
    let mut ways = Vec::new();
    for order in ["oldest", "newest"] {
        let (mut at, mut rows) = (format!("{path}?order={order}"), Vec::new());
        loop {
            let page = visitor.page(&at).await;
            let parts = page.body.split("<span class=\"muted\">entry ").skip(1);
            rows.extend(parts.map(|part| part.split('<').next().expect("a number").to_owned()));
            match page.next() {
                Some(next) => at = next,
                None => break,
            }
        }
        all_once(&rows, 131, order);
        ways.push(rows);
    }
    assert!(ways[0].iter().rev().eq(ways[1].iter()));
    for wrong in [
        "order=odd",
        "at=x",
        "order=oldest&at=b.3",
        "order=newest&at=t.3",
    ] {
        let answer = visitor.get(&format!("{path}?{wrong}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{wrong}");
    }
}

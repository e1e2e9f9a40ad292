//! The stream of what is live.

use davylamp_console::Role;
use davylamp_ledger::Taken;
use reqwest::StatusCode;

use crate::world::{World, finding};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_comes_to_who_watches() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    let watching = visitor.stream_until("/live/stream?action=missed", &[], "wanted-one");
    let writing = async {
        // The stream may begin before or after: it is told from where.
        for n in 0..40 {
            let taken = if n % 2 == 0 {
                Taken::Killed
            } else {
                Taken::Missed
            };
            let user = if n % 2 == 0 {
                "other-one"
            } else {
                "wanted-one"
            };
            world
                .deliver(vec![finding(n, user, "hub-a", taken, 1)])
                .await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let (seen, ()) = tokio::join!(watching, writing);
    assert!(!seen.contains("other-one"), "{seen}");
    assert!(
        seen.contains("event: entry") && seen.contains("act-missed"),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_where_it_stopped() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    world
        .deliver(vec![finding(1, "before", "hub-a", Taken::Killed, 9)])
        .await;
    let seq = world.head().await.to_string();
    world
        .deliver(vec![finding(2, "behind", "hub-a", Taken::Killed, 8)])
        .await;
    let resumed = [("last-event-id", seq.as_str())];
    let seen = visitor
        .stream_until("/live/stream?after=0", &resumed, "behind")
        .await;
    assert!(!seen.contains("before"), "{seen}");
    let whole = visitor
        .stream_until("/live/stream?after=0", &[], "event: place")
        .await;
    let (first, second) = (whole.find("before"), whole.find("behind"));
    assert!(first.is_some() && first < second, "{whole}");
    assert_eq!(
        whole.matches("id: ").count(),
        whole.matches("event: ").count(),
        "{whole}"
    );
    let wrong = visitor.get("/live/stream?after=x").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_keeps_nobody_from_stopping() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    let mut response = visitor.open("/live/stream", &[]).await;
    let ending = tokio::spawn(world.end());
    let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
    let limit = std::time::Duration::from_secs(4);
    tokio::time::timeout(limit, rest)
        .await
        .expect("the stream ends");
    tokio::time::timeout(limit, ending)
        .await
        .expect("the console ends")
        .expect("well");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_told() {
    let world = World::new().await;
    let visitor = world.visitor("ada", Role::Viewer, &[]).await;
    for batch in 0..6 {
        let findings = (0..500).map(|n| finding(batch * 500 + n, "eve", "hub-a", Taken::Killed, 9));
        world.deliver(findings.collect()).await;
    }
    let head = world.head().await;
    let seen = visitor
        .stream_until("/live/stream?after=0", &[], "event: place")
        .await;
    let shown = seen.matches("event: entry").count();
    assert!(shown <= 100, "{shown} rows");
    let (text, _) = seen.split_once(" were left out").expect("told");
    let (_, text) = text.rsplit_once("<strong>").expect("a number");
    let left: i64 = text
        .split(' ')
        .next()
        .expect("a word")
        .parse()
        .expect("a number");
    assert_eq!(
        i64::try_from(shown).expect("a number") + left,
        head,
        "{shown} shown, {left} left out"
    );
    assert!(
        visitor
            .page("/live")
            .await
            .body
            .matches("<li class=\"event")
            .count()
            == 100
    );
}

//! What depends on time, with times that are passed in.

use davylamp_ledger::record::{Clock, Heartbeat, IncidentNo, Tick};
use davylamp_ledger::{Input, Options, Record, Reported, Reporter};
use davylamp_notice::Notice;
use jiff::SignedDuration;
use tempfile::TempDir;

use super::happening::Happening;
use super::outbox::{Asked, Item};
use super::*;
use crate::config::{Channel, Route};

/// A ledger with an outbox beside it.
struct Desk {
    _folder: TempDir,
    ledger: Ledger,
    store: Store,
    outbox: Outbox,
    config: Config,
    writer: Writer,
    start: Timestamp,
}

impl Desk {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
        let ledger = Ledger::open(&url, &Options::default())
            .await
            .expect("a ledger");
        let mut config = Config::default();
        config.notices.channels = vec![Channel {
            name: "machine".to_owned(),
            ..Channel::default()
        }];
        config.notices.routes = vec![Route {
            channels: vec!["machine".to_owned()],
            ..Route::default()
        }];
        config.notices.group_wait_secs = 0;
        Self {
            store: Store::beside(&ledger).await.expect("tables"),
            outbox: Outbox::beside(&ledger).await.expect("tables"),
            ledger,
            config,
            writer: Writer {
                url: "https://console.example".to_owned(),
            },
            start: Timestamp::now(),
            _folder: folder,
        }
    }

    fn at(&self, minutes: i64) -> Timestamp {
        self.start + SignedDuration::from_mins(minutes)
    }

    /// Opens an incident.
    async fn open(&self, uid: u32, now: Timestamp) -> IncidentNo {
        let line = format!(
            r#"{{"id":"{uid}","action":"killed","event":"Killed a process","node":"n1","uid":{uid},"cmdline":"./x","matched":"x"}}"#
        );
        let reported = Reported::from_guard_line(&line, "hub-a", "guard").expect("a finding");
        let inputs = [Input::Finding(Box::new(reported))];
        let taken = self
            .ledger
            .deliver(None, &inputs, now)
            .await
            .expect("taken");
        taken.opened[0]
    }

    async fn gather(&self, now: Timestamp) {
        let notices = &self.config.notices;
        while gather::read_on(&self.ledger, &self.outbox, notices, now)
            .await
            .expect("read")
        {}
    }

    async fn pack(&self, now: Timestamp) {
        let packer = pack::Packer {
            ledger: &self.ledger,
            store: &self.store,
            outbox: &self.outbox,
            config: &self.config.notices,
            writer: &self.writer,
        };
        packer.pack(now).await.expect("packed");
    }

    async fn made(&self) -> Vec<Row> {
        let asked = Asked {
            rows: 500,
            ..Asked::default()
        };
        self.outbox.list(&asked).await.expect("a list")
    }

    async fn waiting(&self) -> i64 {
        let waiting = self.outbox.waiting().await.expect("asked");
        waiting.values().map(|waits| waits.items).sum()
    }
}

#[tokio::test]
async fn a_channels_turns_come_back_evenly_and_what_waited_is_a_digest() {
    let mut desk = Desk::new().await;
    desk.config.notices.per_hour = 2;
    for uid in 1..3 {
        desk.open(uid, desk.at(0)).await;
    }
    desk.gather(desk.at(0)).await;
    desk.pack(desk.at(0)).await;
    assert_eq!(desk.made().await.len(), 2);
    for uid in 11..14 {
        desk.open(uid, desk.at(1)).await;
    }
    desk.gather(desk.at(1)).await;
    for minute in [1, 10, 29] {
        desk.pack(desk.at(minute)).await;
        assert_eq!(
            (desk.made().await.len(), desk.waiting().await),
            (2, 3),
            "{minute}"
        );
    }
    desk.pack(desk.at(31)).await;
    let made = desk.made().await;
    assert_eq!((made.len(), desk.waiting().await), (3, 0));
    let digest: Notice = serde_json::from_str(&made[0].body).expect("a notice");
    assert_eq!(digest.incidents.len(), 3);
    assert!(
        digest.found[0].starts_with("3 of these were held back"),
        "{digest:?}"
    );
    // The turn of the first half hour is used; the next is there after another.
    desk.open(21, desk.at(32)).await;
    desk.gather(desk.at(32)).await;
    desk.pack(desk.at(32)).await;
    assert_eq!(desk.waiting().await, 1);
    desk.pack(desk.at(61)).await;
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test]
async fn what_belongs_together_is_one_notice_after_its_wait() {
    let mut desk = Desk::new().await;
    desk.config.notices.group_wait_secs = 120;
    let no = desk.open(1, desk.at(0)).await;
    let owner = |step| {
        Record::Owner(davylamp_ledger::record::Owner {
            incident: no,
            step,
            owner: "ada".to_owned(),
            by: "ada".to_owned(),
        })
    };
    use davylamp_ledger::record::OwnerStep::{Accepted, Assigned};
    for step in [Assigned, Accepted] {
        desk.ledger
            .record(owner(step), desk.at(1))
            .await
            .expect("taken");
    }
    desk.gather(desk.at(1)).await;
    desk.pack(desk.at(1)).await;
    assert_eq!(desk.made().await.len(), 0);
    desk.pack(desk.at(2)).await;
    let made = desk.made().await;
    let notice: Notice = serde_json::from_str(&made[0].body).expect("a notice");
    assert_eq!((made.len(), notice.found.len()), (1, 3), "{notice:?}");
    assert_eq!(
        notice.title,
        "#1 opened, another owner: Killed a process: x"
    );
    assert_eq!(desk.waiting().await, 0);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_over_and_who_is_late_has_no_say() {
    let desk = Desk::new().await;
    desk.open(1, desk.at(0)).await;
    desk.gather(desk.at(0)).await;
    desk.pack(desk.at(0)).await;
    let id = desk.made().await[0].id.clone();
    let until = |minutes| desk.at(minutes).as_microsecond();
    let take =
        |who: &'static str, lease, now| desk.outbox.take(&id, who, until(lease), desk.at(now));
    let first = take("one", 1, 0).await.expect("asked").expect("it is free");
    assert_eq!(take("two", 1, 0).await.expect("asked"), None);
    let second = take("two", 3, 2).await.expect("asked").expect("let go of");
    assert_eq!((first.body, second.attempts), (second.body, 2));
    let came = |who: &'static str, state| desk.outbox.came(&id, who, state, 0, "", desk.at(2));
    came("one", State::Failed).await.expect("asked");
    assert_eq!(desk.made().await[0].state, State::Sending);
    came("two", State::Sent).await.expect("asked");
    assert_eq!(desk.made().await[0].state, State::Sent);
    assert_eq!(take("one", 9, 8).await.expect("asked"), None);
}

#[tokio::test]
async fn what_time_brings_is_found_once_however_often_it_is_looked_for() {
    let desk = Desk::new().await;
    let no = desk.open(1, desk.at(0)).await;
    let clock = Record::Clock(Clock {
        incident: no,
        tick: Tick::Due {
            until: desk.at(60),
            why: "tell the users".to_owned(),
        },
        by: "ada".to_owned(),
    });
    desk.ledger.record(clock, desk.at(0)).await.expect("taken");
    let heartbeat = Heartbeat {
        reporter: Reporter {
            cluster: "hub-a".to_owned(),
            node: "n1".to_owned(),
            agent: "guard".to_owned(),
        },
        version: "1".to_owned(),
        coverage: "all".to_owned(),
        canary_at: None,
        canary_caught: None,
        lost_events: 0,
        lists: Vec::new(),
    };
    let inputs = [Input::Heartbeat(heartbeat)];
    desk.ledger
        .deliver(None, &inputs, desk.at(0))
        .await
        .expect("taken");
    for (minute, waiting) in [
        (1, 0),
        // The node is silent.
        (16, 1),
        (17, 1),
        // The clock is about to run out, and has.
        (46, 2),
        (61, 3),
        (100, 3),
        // Nobody owns it, and then still nobody.
        (241, 4),
        (300, 4),
        (481, 5),
    ] {
        for _ in 0..2 {
            let look = watch::look(&desk.ledger, &desk.outbox, &desk.config, desk.at(minute));
            look.await.expect("looked");
        }
        assert_eq!(desk.waiting().await, waiting, "minute {minute}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_read_and_pack_at_the_same_time_make_everything_once() {
    let desk = Desk::new().await;
    for uid in 0..30 {
        desk.open(uid, desk.at(0)).await;
    }
    let now = desk.at(0);
    tokio::join!(desk.gather(now), desk.gather(now), desk.gather(now));
    assert_eq!(desk.waiting().await, 30);
    tokio::join!(desk.pack(now), desk.pack(now), desk.pack(now));
    while desk.waiting().await > 0 {
        desk.pack(now).await;
    }
    let made = desk.made().await;
    let told: usize = made
        .iter()
        .map(|row| serde_json::from_str::<Notice>(&row.body).expect("a notice"))
        .map(|notice| notice.incidents.len().max(1))
        .sum();
    assert_eq!(told, 30, "{made:?}");
}

#[tokio::test]
async fn a_more_severe_finding_makes_it_worse_once() {
    let desk = Desk::new().await;
    desk.open(7, desk.at(0)).await;
    desk.gather(desk.at(0)).await;
    assert_eq!(desk.waiting().await, 1);
    for n in 0..3 {
        let line = format!(
            r#"{{"id":"m{n}","action":"missed","event":"Missed a process","node":"n1","uid":7,"cmdline":"./x","matched":"x"}}"#
        );
        let reported = Reported::from_guard_line(&line, "hub-a", "guard").expect("a finding");
        let inputs = [Input::Finding(Box::new(reported))];
        desk.ledger
            .deliver(None, &inputs, desk.at(1))
            .await
            .expect("taken");
    }
    desk.gather(desk.at(1)).await;
    // It got worse once, and each miss is told of.
    assert_eq!(desk.waiting().await, 1 + 1 + 3);
}

#[test]
fn routes_take_what_they_name() {
    let mut config = crate::config::Notices::default();
    let route = |severity: &str, clusters: &[&str], what: &[&str], channel: &str| Route {
        severity: severity.to_owned(),
        clusters: clusters.iter().map(|it| (*it).to_owned()).collect(),
        what: what.iter().map(|it| (*it).to_owned()).collect(),
        channels: vec![channel.to_owned()],
        to: String::new(),
    };
    config.routes = vec![
        route("", &[], &[], "all"),
        route("critical", &[], &[], "critical"),
        route("", &["hub-b"], &[], "hub-b"),
        route("", &[], &["node-silent", "closed"], "named"),
    ];
    let silent = |cluster: &str, severity| Happening {
        severity: Some(severity),
        cluster: Some(cluster.to_owned()),
        incident: None,
        ..Happening::of_incident(String::new(), What::NodeSilent, 0, 0, String::new())
    };
    for (cluster, severity, channels) in [
        ("hub-a", 2, vec!["all", "named"]),
        ("hub-b", 2, vec!["all", "hub-b", "named"]),
        ("hub-a", 3, vec!["all", "critical", "named"]),
    ] {
        let items: Vec<Item> = route::items(&config, &silent(cluster, severity), None);
        let found: Vec<&str> = items.iter().map(|item| item.channel.as_str()).collect();
        assert_eq!(found, channels);
    }
    let said: Vec<String> = config.routes.iter().map(in_words).collect();
    assert_eq!(
        said,
        [
            "Everything that happens: through all",
            "Everything that happens; of severity critical or more: through critical",
            "Everything that happens; of hub-b: through hub-b",
            "a node is silent, closed: through named",
        ]
    );
}

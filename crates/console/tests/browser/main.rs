//! The console in a real browser: what its script does, what a keyboard reaches, and what an examiner
//! of accessibility finds, in both themes and on a telephone.
//!
//! Needs Chromium with its driver and axe-core: `scripts/setup test`.

#[path = "../pages/work.rs"]
#[allow(dead_code, reason = "the tests without a browser use the rest")]
mod work;
#[path = "../pages/world.rs"]
#[allow(dead_code, reason = "the tests without a browser use the rest")]
mod world;

use std::path::Path;

use davylamp_console::config::{Channel, Kind, Route};
use davylamp_console::{Role, check_password, hash_password};
use davylamp_ledger::Taken;
use davylamp_ledger::query::{At, RunFilter};
use davylamp_ledger::record::{Clock, IncidentNo, Note, Record, Stage, Tick};
use davylamp_testkit::browser::Browser;
use jiff::{SignedDuration, Timestamp};
use world::{World, finding, on_instance};

/// Keys as WebDriver names them (<https://www.w3.org/TR/webdriver2/#keyboard-actions>).
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

const PASSWORD: &str = "under the ground with a lamp";

async fn entered(world: &World, browser: &Browser, name: &str, role: Role) {
    let key = world.link(name, role, &[]).await;
    let link = format!("{}/sign-in/link?key={key}", world.base());
    browser.goto(&link).await;
    browser
        .run("document.querySelector('main button').click()")
        .await;
    browser
        .until("document.querySelector('.rooms') !== null")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_arrives_while_one_watches() {
    let world = World::new().await;
    let browser = Browser::start().await;
    entered(&world, &browser, "ada", Role::Responder).await;
    for path in ["/live", "/"] {
        browser.goto(&format!("{}{path}", world.base())).await;
        browser
            .until("document.querySelector('[data-live-state]').textContent === 'Live.'")
            .await;
        let n = world.head().await;
        world
            .deliver(vec![finding(
                n,
                &format!("user-{n}"),
                "hub-a",
                Taken::Missed,
                0,
            )])
            .await;
        browser
            .until(&format!(
                "document.querySelector('[data-live-list]').textContent.includes('user-{n}')"
            ))
            .await;
    }
    browser
        .until("document.querySelector('#numbers .loud .big') !== null")
        .await;
    // Paused, it waits; going on, it shows what waited.
    browser
        .run("document.querySelector('[data-live-pause]').click()")
        .await;
    world
        .deliver(vec![finding(
            900,
            "while-paused",
            "hub-a",
            Taken::Killed,
            0,
        )])
        .await;
    browser
        .until("document.querySelector('[data-live-state]').textContent === 'Paused, 1 waiting.'")
        .await;
    let text = "document.querySelector('[data-live-list]').textContent.includes('while-paused')";
    assert!(!browser.is(text).await);
    browser
        .run("document.querySelector('[data-live-pause]').click()")
        .await;
    browser.until(text).await;
    browser
        .until("/new entr/.test(document.querySelector('[data-live-told]').textContent)")
        .await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_alone_signs_in_and_closes_an_incident() {
    let world = World::new().await;
    world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await;
    check_password("rae", PASSWORD).expect("a good password");
    let mut person = davylamp_console::store::Person {
        name: "rae".to_owned(),
        role: Role::Responder,
        scope: davylamp_console::Scope::of(Vec::new()),
        password: None,
        second_factor: None,
        factor_step: 0,
        disabled: false,
    };
    person.password = Some(hash_password(PASSWORD).expect("a digest"));
    world
        .store
        .add_person(&person, Timestamp::now())
        .await
        .expect("a person");
    let browser = Browser::start().await;
    browser.goto(&format!("{}/incidents/1", world.base())).await;
    browser.until("document.activeElement.id === 'name'").await;
    let tab = String::from(TAB);
    let enter = String::from(ENTER);
    browser.keys("rae").await;
    browser.keys(&tab).await;
    browser.keys(PASSWORD).await;
    browser.keys(&enter).await;
    browser.until("location.pathname === '/incidents/1'").await;
    // The first stop of the keyboard leads past the frame.
    browser.keys(&tab).await;
    browser
        .until("document.activeElement.className === 'skip'")
        .await;
    browser.keys(&enter).await;
    browser.until("document.activeElement.id === 'main'").await;
    for _ in 0..40 {
        if browser
            .is("document.activeElement.id === 'new-state'")
            .await
        {
            break;
        }
        browser.keys(&tab).await;
    }
    browser.keys("closed").await;
    browser.keys(&tab).await;
    browser.keys("An exercise").await;
    browser.keys(&tab).await;
    browser.keys(&enter).await;
    browser
        .until("document.querySelector('.flash') !== null")
        .await;
    let view = world.ledger.incident(IncidentNo(1)).await.expect("a view");
    assert_eq!(view.expect("an incident").row.state, "closed");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_lead_somewhere_until_they_are_turned_off() {
    let world = World::new().await;
    let browser = Browser::start().await;
    entered(&world, &browser, "ada", Role::Responder).await;
    for (keys, path) in [
        ("gp", "/posture"),
        ("gh", "/hunts"),
        ("gb", "/blocklists"),
        ("gi", "/incidents"),
    ] {
        browser.keys(keys).await;
        browser
            .until(&format!(
                "location.pathname === '{path}' && document.querySelector('footer') !== null"
            ))
            .await;
    }
    browser.keys("/").await;
    browser
        .until("document.activeElement.id === 'search'")
        .await;
    // Who writes, writes.
    browser.keys("gp?").await;
    browser
        .until("document.activeElement.value === 'gp?'")
        .await;
    assert!(browser.is("location.pathname === '/incidents'").await);
    browser.run("document.activeElement.blur()").await;
    browser.keys("?").await;
    browser
        .until("document.querySelector('[data-keys-button]').hidden === false")
        .await;
    // The page names the keys that the script has.
    let ways = "document.querySelectorAll('[data-key]').length === 9";
    assert!(browser.is(ways).await);
    browser
        .run("document.querySelector('[data-keys-button]').click(); document.activeElement.blur()")
        .await;
    browser.keys("gp").await;
    browser
        .until("document.querySelector('[data-keys-button]').textContent === 'Turn the keys on'")
        .await;
    assert!(browser.is("location.pathname === '/keys'").await);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_does_moves_on_the_page() {
    let world = World::new().await;
    let no = world
        .deliver(vec![finding(1, "eve", "hub-a", Taken::Killed, 5)])
        .await
        .opened[0];
    let browser = Browser::start().await;
    entered(&world, &browser, "ada", Role::Responder).await;
    browser
        .goto(&format!("{}/incidents/{}", world.base(), no.0))
        .await;
    browser
        .run("document.querySelector('#plan form button').click()")
        .await;
    browser
        .until("document.querySelector('#plan').textContent.includes('waits for a worker')")
        .await;
    let now = Timestamp::now();
    let can = ["plan".to_owned()];
    let lease = SignedDuration::from_mins(5);
    let taken = world
        .ledger
        .take_job("worker-west", "hub-a", &can, lease, now)
        .await;
    taken.expect("an answer").expect("a job");
    browser
        .until("document.querySelector('#plan').textContent.includes('worker-west')")
        .await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_passes_the_examiner_in_both_themes() {
    let world = World::with(|config| {
        config.notices.group_wait_secs = 0;
        config.notices.channels = vec![Channel {
            name: "chat".to_owned(),
            kind: Kind::Slack,
            address: "env:DAVYLAMP_NO_SUCH_VARIABLE".to_owned(),
            ..Channel::default()
        }];
        config.notices.routes = vec![Route {
            channels: vec!["chat".to_owned()],
            ..Route::default()
        }];
    })
    .await;
    let no = furnish(&world).await;
    let mut faults = Vec::new();
    let (desk, phone) = (Browser::start().await, Browser::phone().await);
    for (browser, size, name) in [(&desk, "desk", "ada"), (&phone, "phone", "abe")] {
        for (path, shot) in [("/sign-in", "sign-in"), ("/sign-in/link?key=x", "link")] {
            faults.extend(seen(&world, browser, path, &format!("{shot}-{size}")).await);
        }
        entered(&world, browser, name, Role::Admin).await;
        let incident = format!("/incidents/{no}");
        let one = format!("/findings/{}", no + 1);
        let (all, first) = (RunFilter::default(), At::first(50));
        let runs = world.ledger.runs(&all, &first).await;
        let runs = runs.expect("runs").items;
        let mut audits = runs.iter().filter(|run| run.target == "111122223333");
        let after = audits.next().expect("an audit").id;
        let before = audits.next().expect("one before").id;
        let compared = format!("/posture/compare?before={before}&after={after}");
        let at = At::first(1);
        let kept = world.ledger.evidence(Some(IncidentNo(no)), &at).await;
        let evidence = format!("{incident}/evidence/{}", kept.expect("a page").items[0].id);
        for (path, shot) in [
            ("/", "overview"),
            ("/incidents", "incidents"),
            (&incident, "incident"),
            (&evidence, "evidence"),
            ("/findings", "findings"),
            (&one, "finding"),
            ("/live", "live"),
            ("/queue", "queue"),
            ("/posture", "posture"),
            ("/posture/check?check=mfa&verdict=any", "check"),
            ("/posture/runs", "runs"),
            (&compared, "compare"),
            ("/posture/risks", "risks"),
            ("/hunts", "hunts"),
            ("/hunts/runs", "hunt-runs"),
            ("/blocklists?nodes=unknown", "blocklists"),
            ("/keys", "keys"),
            ("/nodes", "nodes"),
            ("/ledger", "ledger"),
            ("/settings", "settings"),
            ("/settings/notices", "notices"),
            ("/account", "account"),
            ("/nowhere", "nowhere"),
        ] {
            faults.extend(seen(&world, browser, path, &format!("{shot}-{size}")).await);
        }
        browser.goto(&format!("{}/account", world.base())).await;
        browser
            .run("document.querySelector('form[action=\"/account/factor\"] button').click()")
            .await;
        browser
            .until("location.pathname === '/account/factor'")
            .await;
        faults.extend(
            seen(
                &world,
                browser,
                "/account/factor",
                &format!("factor-{size}"),
            )
            .await,
        );
    }
    desk.end().await;
    phone.end().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Looks at a page in each theme, and gives what is wrong with it.
async fn seen(world: &World, browser: &Browser, path: &str, name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for theme in ["light", "dark"] {
        browser.size(900).await;
        browser.goto(&format!("{}{path}", world.base())).await;
        let set = format!(
            "localStorage.setItem('theme', '{theme}');
             document.documentElement.setAttribute('data-theme', '{theme}')"
        );
        browser.run(&set).await;
        let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        browser.shot(&shots, &format!("{name}-{theme}")).await;
        let wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        if browser.is(wide).await {
            faults.push(format!("{name} in {theme}: it is wider than the window"));
        }
        let found = browser.examined().await;
        faults.extend(
            found
                .into_iter()
                .map(|fault| format!("{name} in {theme}: {fault}")),
        );
    }
    faults
}

/// A ledger as it is in a bad week. Gives an incident that has everything.
async fn furnish(world: &World) -> i64 {
    let now = Timestamp::now();
    let first = on_instance(
        finding(1, "mallory", "hub-west", Taken::Missed, 12),
        "i-0a1b2c3d4e5f",
        "us-west-2",
    );
    let no = world.deliver(vec![first]).await.opened[0];
    let mut findings = Vec::new();
    for n in 2..160_i64 {
        let user = ["mallory", "ada.lovelace", "grace", "student-0417", "eve"][(n % 5) as usize];
        let taken = match n % 23 {
            0 => Taken::Missed,
            1 | 7 => Taken::WouldKill,
            3 => Taken::Spared,
            5 | 11 => Taken::Alerted,
            13 => Taken::Frozen,
            _ => Taken::Killed,
        };
        let cluster = if user == "eve" {
            "hub-east"
        } else {
            "hub-west"
        };
        let minutes = n * n / 9 + n % 7;
        findings.push(finding(n, user, cluster, taken, minutes));
    }
    world.deliver(findings).await;
    for n in 0..6 {
        let minutes = if n == 4 { 200 } else { n };
        let heard = now
            .saturating_sub(SignedDuration::from_mins(minutes))
            .expect("a time");
        world
            .heartbeat("hub-west", &format!("hub-west-node-{n}"), heard)
            .await;
    }
    let later = now
        .saturating_add(SignedDuration::from_hours(3))
        .expect("a time");
    let by = || "rae".to_owned();
    work::furnish(world, no).await;
    work::write(world, work::plan(no, "plan-two", "i-0feedbeef")).await;
    for (step, stage) in [
        ("snapshot-instance:instance/i-0feedbeef", Stage::Done),
        ("isolate-interface:interface/eni-0aa", Stage::Before),
    ] {
        work::write(world, work::action(no, "plan-two", step, stage)).await;
    }
    let records = [
        Record::Clock(Clock {
            incident: no,
            tick: Tick::Due {
                until: later,
                why: "Tell the people whose work it hit".to_owned(),
            },
            by: by(),
        }),
        Record::Note(Note {
            incident: Some(no),
            text: "Called the course's teacher.\nThe account was shared.".to_owned(),
            by: by(),
        }),
    ];
    for record in records {
        world.ledger.record(record, now).await.expect("an entry");
    }
    let token = world
        .store
        .add_token("agents-west", "hub-west", &["events:write"], now)
        .await;
    token.expect("a token");
    no.0
}

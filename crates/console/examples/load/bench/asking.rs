//! People who ask for pages.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use davylamp_console::store::Person as Stored;
use davylamp_console::{Console, Role, Scope};
use jiff::Timestamp;
use reqwest::{Client, StatusCode};

use super::program::Program;

/// The pages that are asked for in turn; those of somebody who may see one small cluster begin with `~`.
const PAGES: [&str; 16] = [
    "/",
    "/incidents",
    "/incidents?sort=severity",
    "/incidents?cluster=hub-3",
    "/incidents?user=user-77",
    "/incidents/INCIDENT",
    "/findings",
    "/findings?action=missed",
    "/findings?text=pool7",
    "/findings?text=killed",
    "/live",
    "/queue",
    "/nodes",
    "~/",
    "~/incidents",
    "~/findings?action=missed",
];
/// Between two pages under load.
const PAUSE: Duration = Duration::from_millis(50);

pub struct Person {
    key: String,
}

impl Person {
    pub async fn new(console: &Console, role: Role, scope: Scope) -> Self {
        let now = Timestamp::now();
        let name = format!("load-{}", now.as_nanosecond());
        let person = Stored {
            name: name.clone(),
            role,
            scope,
            password: None,
            second_factor: None,
            factor_step: 0,
            disabled: false,
        };
        let store = console.store();
        store.add_person(&person, now).await.expect("a person");
        let key = store.make_link(&name, now).await.expect("a link");
        Self { key }
    }

    pub async fn signed_in(self, program: &Program) -> Visitor {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let base = program.base.clone();
        let entered = client
            .post(format!("{base}/sign-in/link"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("key={}", self.key))
            .send()
            .await
            .expect("signed in");
        let cookie = entered.headers()["set-cookie"].to_str().expect("text");
        let cookie = cookie.split(';').next().expect("a cookie").to_owned();
        Visitor {
            client,
            base,
            cookie,
        }
    }
}

#[derive(Clone)]
pub struct Visitor {
    pub client: Client,
    pub base: String,
    pub cookie: String,
}

impl Visitor {
    pub fn ask(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.base));
        request.header("cookie", &self.cookie)
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.ask(path).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.expect("a page")
    }
}

pub struct Pages<'a> {
    all: &'a Visitor,
    few: &'a Visitor,
}

impl<'a> Pages<'a> {
    pub fn new(all: &'a Visitor, few: &'a Visitor) -> Self {
        Self { all, few }
    }

    /// So many pages, one after another.
    pub async fn some(&self, many: usize) -> Times {
        let incident = self.incident().await;
        let mut times = Times::default();
        for turn in 0..many {
            self.next(turn, &incident, &mut times).await;
        }
        times
    }

    /// Pages for so long, with a pause between two.
    pub async fn during(&self, phase: Duration) -> Times {
        let incident = self.incident().await;
        let (until, mut times, mut turn) = (Instant::now() + phase, Times::default(), 0);
        while Instant::now() < until {
            self.next(turn, &incident, &mut times).await;
            turn += 1;
            tokio::time::sleep(PAUSE).await;
        }
        times
    }

    async fn next(&self, turn: usize, incident: &str, times: &mut Times) {
        let page = PAGES[turn % PAGES.len()];
        let (visitor, path) = match page.strip_prefix('~') {
            Some(path) => (self.few, path),
            None => (self.all, page),
        };
        let path = path.replace("INCIDENT", incident);
        let began = Instant::now();
        visitor.page(&path).await;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        times.0.entry(page).or_default().push(took);
    }

    /// The number of the first incident of the list.
    async fn incident(&self) -> String {
        let page = self.all.page("/incidents").await;
        let (_, rest) = page.split_once("href=\"/incidents/").expect("an incident");
        rest.split('"').next().expect("its number").to_owned()
    }
}

/// How long pages took, in milliseconds.
#[derive(Default)]
pub struct Times(BTreeMap<&'static str, Vec<f64>>);

impl Times {
    fn at(&self, percent: usize) -> f64 {
        let mut all: Vec<f64> = self.0.values().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        all[(all.len() * percent / 100).min(all.len() - 1)]
    }

    pub fn print(&self, name: &str, baseline: &Self) {
        let many: usize = self.0.values().map(Vec::len).sum();
        let [p50, p99] = [50, 99].map(|percent| self.at(percent));
        println!(
            "pages {name}: p50 {p50:.1} ms ({:.2} of the baseline), p99 {p99:.1} ms ({:.2}), of {many}",
            p50 / baseline.at(50),
            p99 / baseline.at(99)
        );
        for (page, times) in &self.0 {
            let mut times = times.clone();
            times.sort_by(f64::total_cmp);
            let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
            println!("    {page:<28} p50 {middle:>6.1} ms, longest {last:>6.1} ms");
        }
    }
}

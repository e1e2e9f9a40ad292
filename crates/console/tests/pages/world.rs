//! A console on a ledger of its own, and people who are signed in on it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use davylamp_console::config::{Clocks, Config};
use davylamp_console::store::{Person, Store};
use davylamp_console::{Console, Role, Scope};
use davylamp_ledger::record::{Heartbeat, Record};
use davylamp_ledger::{Input, Ledger, Receipt, Reported, Reporter, Taken};
use davylamp_model::finding::{Behaviour, Finding, FindingSource, Observed, Severity};
use davylamp_model::ids::{AccountId, FindingId, HubUser, InstanceId, Namespace, PodName, Region};
use davylamp_model::resource::{Place, Resource};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct World {
    pub address: SocketAddr,
    /// Where it tells what it counts.
    pub metrics: Option<SocketAddr>,
    pub ledger: Ledger,
    pub store: Store,
    _folder: TempDir,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

pub struct Visitor {
    client: reqwest::Client,
    pub base: String,
    pub cookie: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn location(&self) -> &str {
        self.header("location")
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// The cookie of a name, as a browser would send it again.
    pub fn kept(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all("set-cookie").iter();
        let pairs = all.filter_map(|value| value.to_str().ok()?.split(';').next());
        let mut found = pairs.filter(|pair| {
            pair.split_once('=')
                .is_some_and(|(n, v)| n == name && !v.is_empty())
        });
        found.next().map(str::to_owned)
    }

    /// The secret that its forms carry.
    pub fn csrf(&self) -> String {
        let (_, rest) = self
            .body
            .split_once("name=\"csrf\" value=\"")
            .expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }

    /// Where its link to the next page leads.
    pub fn next(&self) -> Option<String> {
        let (before, _) = self.body.split_once(">Next page<")?;
        let (_, href) = before.rsplit_once("href=\"")?;
        Some(href.trim_end_matches('"').replace("&amp;", "&"))
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("ledger.db");
        Self::set(&format!("sqlite://{}", file.display()), folder, change).await
    }

    /// On a database of somebody else's.
    pub async fn on(database: &str, folder: TempDir) -> Self {
        Self::set(database, folder, |_| {}).await
    }

    /// The same with other settings.
    pub async fn set(database: &str, folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            listen: "127.0.0.1:0".to_owned(),
            database: database.to_owned(),
            clocks: Clocks::none(),
            ..Config::default()
        };
        change(&mut config);
        Self::of(config, folder).await
    }

    /// Configured wholly.
    pub async fn of(config: Config, folder: TempDir) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let console = Console::open(config).await.expect("a console");
        let (ledger, store) = (console.ledger().clone(), console.store().clone());
        let ready = console.listen().await.expect("an address");
        let (address, metrics) = (ready.address, ready.metrics_address);
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(ready.serve(stopped));
        Self {
            address,
            metrics,
            ledger,
            store,
            _folder: folder,
            stop,
            served,
        }
    }

    /// Stops it, and waits until it has.
    pub async fn end(self) {
        self.stop.send_replace(true);
        self.served.await.expect("an end");
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Somebody new, and a link by which they sign in.
    pub async fn link(&self, name: &str, role: Role, clusters: &[&str]) -> String {
        let person = Person {
            name: name.to_owned(),
            role,
            scope: Scope::of(clusters.iter().map(|name| (*name).to_owned()).collect()),
            password: None,
            second_factor: None,
            factor_step: 0,
            disabled: false,
        };
        let now = Timestamp::now();
        self.store.add_person(&person, now).await.expect("a person");
        self.store.make_link(name, now).await.expect("a link")
    }

    pub async fn visitor(&self, name: &str, role: Role, clusters: &[&str]) -> Visitor {
        let key = self.link(name, role, clusters).await;
        let mut visitor = self.stranger();
        let answer = visitor.send("/sign-in/link", &[("key", &key)], &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        visitor.take(&answer);
        visitor
    }

    /// Somebody new with a password, who is not signed in.
    pub async fn person(&self, name: &str, role: Role, password: &str) {
        self.link(name, role, &[]).await;
        let person = self.store.person(name).await.expect("asked");
        let person = Person {
            password: Some(davylamp_console::hash_password(password).expect("a digest")),
            ..person.expect("somebody")
        };
        let changed = self.store.change_person(&person, Timestamp::now()).await;
        changed.expect("a password");
    }

    /// What the last entries of a kind say, the latest first.
    pub async fn entries(&self, kind: &str) -> Vec<Record> {
        let at = davylamp_ledger::query::At::first(100);
        let page = self.ledger.entries_of(kind, &at).await.expect("entries");
        let bodies = page.items.into_iter().filter_map(|entry| entry.body);
        bodies
            .map(|body| serde_json::from_str(&body).expect("a record"))
            .collect()
    }

    pub fn stranger(&self) -> Visitor {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        Visitor {
            client,
            base: self.base(),
            cookie: String::new(),
        }
    }

    pub async fn deliver(&self, findings: Vec<Reported>) -> Receipt {
        let inputs: Vec<Input> = findings
            .into_iter()
            .map(|finding| Input::Finding(Box::new(finding)))
            .collect();
        let taken = self.ledger.deliver(None, &inputs, Timestamp::now()).await;
        taken.expect("a receipt")
    }

    pub async fn heartbeat(&self, cluster: &str, node: &str, heard: Timestamp) {
        let heartbeat = Heartbeat {
            reporter: Reporter {
                cluster: cluster.to_owned(),
                node: node.to_owned(),
                agent: "guard".to_owned(),
            },
            version: "0.1.0".to_owned(),
            coverage: "enforce; 29 detections, 40 strings, 17 file rules".to_owned(),
            canary_at: Some(heard),
            canary_caught: Some(true),
            lost_events: 0,
            lists: Vec::new(),
        };
        let inputs = [Input::Heartbeat(heartbeat)];
        let taken = self.ledger.deliver(None, &inputs, heard).await;
        taken.expect("a receipt");
    }

    pub async fn head(&self) -> i64 {
        self.ledger.head().await.expect("a head").seq
    }
}

impl Visitor {
    /// Keeps the session's key that an answer brought.
    pub fn take(&mut self, answer: &Answer) {
        self.cookie = answer.kept("davylamp").expect("a cookie");
    }

    /// Signs in with a password, and a code.
    pub async fn sign_in(&self, name: &str, password: &str, code: &str) -> Answer {
        let fields = [("name", name), ("password", password), ("code", code)];
        self.send("/sign-in", &fields, &[]).await
    }

    pub async fn ask(&self, method: Method, path: &str) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.base));
        answer(request.header("cookie", &self.cookie)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).await
    }

    /// The page, which is there.
    pub async fn page(&self, path: &str) -> Answer {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer
    }

    pub async fn send(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = serde_urlencoded::to_string(fields).expect("a form");
        let mut request = self
            .client
            .post(format!("{}{path}", self.base))
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// Sends a form as its page would.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.page("/account").await.csrf();
        let mut fields = fields.to_vec();
        fields.push(("csrf", &csrf));
        self.send(path, &fields, &[]).await
    }

    /// A stream that has begun.
    pub async fn open(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.base));
        request = request.header("cookie", &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("a stream");
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    /// The stream of what is live, as far as it comes until a text is in it.
    pub async fn stream_until(&self, path: &str, headers: &[(&str, &str)], text: &str) -> String {
        let mut response = self.open(path, headers).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut seen = String::new();
        while !seen.contains(text) {
            assert!(Instant::now() < deadline, "{text} is not in {seen}");
            let chunk = response.chunk().await.expect("a chunk").expect("no end");
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        seen
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.text().await.expect("a body"),
    }
}

/// A finding of a user's pod, so many minutes ago.
pub fn finding(n: i64, user: &str, cluster: &str, taken: Taken, minutes: i64) -> Reported {
    let at = Timestamp::now()
        .saturating_sub(SignedDuration::from_mins(minutes))
        .expect("a time");
    let seen = |what: &str, value: String| Observed {
        what: what.to_owned(),
        value,
    };
    let (namespace, pod) = (Namespace::from("hub"), PodName(format!("jupyter-{user}")));
    Reported {
        finding: Finding {
            id: FindingId(format!("{cluster}-{n}")),
            source: FindingSource::Davylamp,
            kind: "Davylamp:Guard/banned-command".to_owned(),
            behaviour: Behaviour::Mining,
            title: format!("{} a process that matched a banned string", titled(taken)),
            severity: match taken {
                Taken::Missed | Taken::WouldKill => Severity::Critical,
                Taken::Killed | Taken::Frozen => Severity::High,
                Taken::Alerted | Taken::Reported => Severity::Medium,
                Taken::Spared | Taken::Held => Severity::Low,
            },
            place: None,
            resources: vec![
                Resource::HubUser {
                    user: HubUser::from(user),
                    pod: Some((namespace.clone(), pod.clone())),
                },
                Resource::Workload {
                    cluster: None,
                    namespace,
                    kind: "pods".to_owned(),
                    name: pod.0,
                },
            ],
            first_seen: Some(at),
            last_seen: Some(at),
            count: 1,
            sample: false,
            archived: false,
            detector: None,
            observed: vec![
                seen(
                    "command-line",
                    format!("/tmp/.cache/run{n} --pool pool.example:3333"),
                ),
                seen("matched", "pool.example".to_owned()),
            ],
            gaps: vec!["The line does not say in which account its node is.".to_owned()],
        },
        reporter: Reporter {
            cluster: cluster.to_owned(),
            node: format!("{cluster}-node-{}", n.rem_euclid(3)),
            agent: "guard".to_owned(),
        },
        taken,
        line: Some(format!("{{\"id\":{n},\"action\":\"{}\"}}", taken.as_str())),
    }
}

fn titled(taken: Taken) -> &'static str {
    match taken {
        Taken::Killed => "Killed",
        Taken::Missed => "Missed",
        Taken::WouldKill => "Would have killed",
        _ => "Saw",
    }
}

/// The same, on an instance of a region.
pub fn on_instance(mut reported: Reported, id: &str, region: &str) -> Reported {
    reported.finding.place = Some(Place {
        account: AccountId::from("111122223333"),
        region: Region::from(region),
    });
    reported.finding.resources.push(Resource::Instance {
        id: InstanceId::from(id),
    });
    reported
}

/// Waits until something is so.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    within(60, what, holds).await;
}

/// The same for so many seconds.
pub async fn within<F: Future<Output = bool>>(secs: u64, what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(secs);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within {secs} s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

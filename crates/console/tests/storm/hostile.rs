//! Senders that send what costs most: memory stays bounded, and everybody else is answered.

use std::io::Write as _;
use std::time::{Duration, Instant};

use davylamp_console::Console;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::console::{Process, config};
use crate::runtime;

/// What the console may have in memory whatever comes: the target of the load benchmark.
const MOST_KIB: u64 = 200 << 10;

struct World {
    console: Process,
    token: String,
    client: Client,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let database = format!("sqlite://{}", folder.path().join("ledger.db").display());
        let console = Console::open(config(&database)).await.expect("a console");
        let (scopes, now) = (["events:write"], Timestamp::now());
        let token = console.store().add_token("node", "hub", &scopes, now).await;
        console.ledger().close().await;
        Self {
            console: tokio::task::block_in_place(|| Process::started(&database)),
            token: token.expect("a token"),
            // Packing what is sent takes longer than the console keeps a silent connection, and what is
            // busy with it does not see that it was closed.
            client: Client::builder()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
            _folder: folder,
        }
    }

    fn request(&self, body: Vec<u8>) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}/api/v1/events", self.console.url()))
            .bearer_auth(&self.token)
            .timeout(Duration::from_secs(120))
            .body(body)
    }

    async fn send(&self, body: Vec<u8>) -> StatusCode {
        self.request(body).send().await.expect("an answer").status()
    }

    async fn send_packed(&self, body: &[u8]) -> StatusCode {
        self.send_gzip(packed(body)).await
    }

    async fn send_gzip(&self, body: Vec<u8>) -> StatusCode {
        let request = self.request(body).header("content-encoding", "gzip");
        request.send().await.expect("an answer").status()
    }

    fn check(&self, what: &str) {
        let most = self.console.status_kib("VmHWM:");
        assert!(most < MOST_KIB, "{what}: {most} KiB in memory");
    }
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body).expect("packed");
    packed.finish().expect("packed")
}

fn finding(n: usize, more: &str) -> String {
    format!(
        "{{\"action\":\"killed\",\"node\":\"n\",\"id\":\"{n}\",\"matched\":\"x\",\"cmdline\":\"{more}\"}}\n"
    )
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    runtime().block_on(async {
        let world = World::new().await;
        // A gigabyte of nothing in a megabyte.
        let bomb = packed(&vec![b'\n'; 1 << 30]);
        for _ in 0..3 {
            let request = world
                .request(bomb.clone())
                .header("content-encoding", "gzip");
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
        world.check("gzip bombs");
        // The same inside one member after another.
        let many = packed(&vec![b' '; 15 << 20]).repeat(20);
        let request = world.request(many).header("content-encoding", "gzip");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        world.check("many members");
        let tiny: String = (0..100_000)
            .map(|n| format!("{{\"action\":\"killed\",\"id\":{n}}}\n"))
            .collect();
        assert_eq!(
            world.send_packed(tiny.as_bytes()).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
        let tiny: String = tiny
            .lines()
            .take(5000)
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(world.send_packed(tiny.as_bytes()).await, StatusCode::OK);
        world.check("100,000 tiny lines");
        let deep = format!(
            "{{\"action\":\"killed\",\"x\":{}1{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(
            world.send(deep.into_bytes()).await,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        let wide = format!(
            "{{\"action\":\"killed\",\"labels\":{{{}}}}}",
            (0..5000)
                .map(|n| format!("\"l{n}\":\"v\""))
                .collect::<Vec<_>>()
                .join(",")
        );
        assert_eq!(world.send(wide.into_bytes()).await, StatusCode::OK);
        world.check("deep and wide JSON");
        let long = finding(1, &"x".repeat(10 << 20));
        assert_eq!(
            world.send(long.into_bytes()).await,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        world.check("a line of 10 MB");
        // The largest batches that are taken, from many at once.
        let large: String = (0..75).map(|n| finding(n, &"y ".repeat(100_000))).collect();
        // Packed once and before: a connection that says nothing meanwhile is closed.
        let large = packed(large.as_bytes());
        let all = (0..12).map(|_| world.send_gzip(large.clone()));
        let all = futures::future::join_all(all).await;
        assert!(
            all.iter()
                .all(|status| matches!(*status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE)),
            "{all:?}"
        );
        assert!(all.contains(&StatusCode::OK), "{all:?}");
        world.check("the largest batches");
    });
}

#[test]
fn who_has_no_token_is_not_listened_to() {
    runtime().block_on(async {
        let world = World::new().await;
        let sent = (0..100).map(|_| async {
            let stream = TcpStream::connect(world.console.address).await;
            let mut stream = stream.expect("connected");
            let head = "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer davy_wrong\r\ncontent-length: 16000000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.expect("written");
            // What it does not wait for may be cut off.
            let _ = stream.write_all(&vec![b'x'; 1 << 20]).await;
            let mut answer = vec![0; 64];
            let read = stream.read(&mut answer).await.unwrap_or(0);
            let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
            assert!(answer.is_empty() || answer.contains(" 401 "), "{answer}");
        });
        let all = futures::future::join_all(sent);
        let within = Duration::from_secs(60);
        tokio::time::timeout(within, all).await.expect("answered");
        world.check("bodies without a token");
    });
}

#[test]
fn slow_senders_keep_nobody_else_waiting() {
    runtime().block_on(async {
        let world = World::new().await;
        let mut slow = Vec::new();
        for _ in 0..10 {
            let mut stream = TcpStream::connect(world.console.address).await.expect("connected");
            let head = format!(
                "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000000\r\n\r\n{{",
                world.token
            );
            stream.write_all(head.as_bytes()).await.expect("written");
            slow.push(stream);
        }
        let began = Instant::now();
        assert_eq!(world.send(finding(1, "x").into_bytes()).await, StatusCode::OK);
        let page = world.client.get(format!("{}/sign-in", world.console.url())).send().await;
        assert_eq!(page.expect("a page").status(), StatusCode::OK);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        // Theirs ends.
        for stream in &mut slow {
            let mut answer = vec![0; 256];
            let read = tokio::time::timeout(Duration::from_secs(40), stream.read(&mut answer)).await;
            let read = read.expect("in time").expect("read");
            let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
            assert!(answer.contains(" 408 "), "{answer}");
        }
        world.check("slow senders");
    });
}

//! The server as a scraper, a probe and a hostile client meet it: over TCP, on loopback.

#![allow(
    clippy::print_stderr,
    reason = "a skipped question is said where the test's output is read"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use davylamp_guard::http::{BEAT_LIMIT, HttpError, LOOPBACK_ADDRESS, bind, serve};
use davylamp_guard::metrics::{AgentCounts, Health, KernelCounts, Source};

const DEADLINE: Duration = Duration::from_secs(30);

struct Told(Mutex<Health>);

impl Told {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Health {
            since_beat: Duration::ZERO,
            attached: true,
            list_in_force: true,
        })))
    }

    fn tell(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Source for Told {
    fn kernel_counts(&self) -> Option<KernelCounts> {
        Some(KernelCounts {
            execs: 5,
            ..KernelCounts::default()
        })
    }

    fn agent_counts(&self) -> AgentCounts {
        AgentCounts::default()
    }

    fn health(&self) -> Health {
        *self.0.lock().unwrap()
    }
}

/// Serves from a thread of its own until the test's process ends.
fn start(source: Arc<Told>, cryptnono_names: bool) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            serve(listener, source, cryptnono_names).await
        });
    });
    told.recv_timeout(DEADLINE).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn metrics_are_prometheus_text() {
    let address = start(Told::new(), false);
    let answer = ask(address, &request("GET", "/metrics"));
    assert_eq!(status(&answer), "200");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase()
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(body.contains("\ndavylamp_guard_execs_total 5\n"));
    assert!(!body.contains("cryptnono"));

    let head = ask(address, &request("HEAD", "/metrics"));
    assert_eq!(status(&head), "200");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn cryptnonos_names_are_served_on_request() {
    let answer = ask(start(Told::new(), true), &request("GET", "/metrics"));
    let line = "cryptnono_execwhacker_processes_checked_total{source=\"execwhacker.bpf\"} 5\n";
    assert!(answer.contains(line), "{answer}");
}

#[test]
fn nothing_but_reading_is_answered() {
    let address = start(Told::new(), false);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        for path in ["/metrics", "/healthz", "/readyz"] {
            assert_eq!(
                status(&ask(address, &request(method, path))),
                "405",
                "{method} {path}"
            );
        }
    }
    for path in ["/", "/metrics/", "/metrics/../etc/passwd", "/debug"] {
        assert_eq!(
            status(&ask(address, &request("GET", path))),
            "404",
            "{path}"
        );
    }
}

#[test]
fn probes_say_why_not() {
    let told = Told::new();
    let address = start(Arc::clone(&told), false);
    let probe = |path: &str| {
        let answer = ask(address, &request("GET", path));
        let body = answer.split_once("\r\n\r\n").unwrap().1.trim().to_owned();
        (status(&answer).to_owned(), body)
    };
    let fine = ("200".to_owned(), "ok".to_owned());
    let not = |why: &str| ("503".to_owned(), why.to_owned());
    assert_eq!(
        (probe("/healthz"), probe("/readyz")),
        (fine.clone(), fine.clone())
    );

    told.tell(|health| health.since_beat = BEAT_LIMIT);
    assert_eq!(
        probe("/healthz"),
        not("the agent's loop stands still for 5 s")
    );
    assert_eq!(probe("/readyz"), fine);

    told.tell(|health| {
        health.since_beat = BEAT_LIMIT - Duration::from_millis(1);
        health.list_in_force = false;
    });
    assert_eq!(probe("/healthz"), fine);
    assert_eq!(probe("/readyz"), not("no list is in force"));

    told.tell(|health| health.attached = false);
    assert_eq!(
        probe("/readyz"),
        not("the kernel programs are not attached")
    );
}

/// However many connections one client keeps open, another is answered; and the silent ones are
/// given up.
#[test]
fn one_client_does_not_keep_others_out() {
    const MANY: usize = 120;
    let address = start(Told::new(), false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let from_elsewhere = || {
        let connected = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind("127.0.0.2:0".parse().expect("an address"))?;
            socket.connect(address).await?.into_std()
        });
        let stream = connected.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    };
    let silent: Vec<_> = (0..MANY)
        .map(|_| {
            let mut stream = from_elsewhere();
            // Those that are too many may be closed already.
            let _ = stream.write_all(b"GET /metr");
            stream
        })
        .collect();
    assert_eq!(status(&ask(address, &request("GET", "/healthz"))), "200");
    for mut stream in silent {
        let mut rest = Vec::new();
        // Closed, with or without a word or a reset; a timeout would be none of these.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }
    let mut again = from_elsewhere();
    again
        .write_all(request("GET", "/healthz").as_bytes())
        .unwrap();
    let mut answer = String::new();
    again.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "200");
}

#[test]
fn overlong_requests_are_refused() {
    let address = start(Told::new(), false);
    let long = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(500));
    for request in [long, many] {
        let mut stream = connect(address);
        // The server may hang up before it has all.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || status(&answer).starts_with('4'),
            "{answer}"
        );
    }
    assert_eq!(status(&ask(address, &request("GET", "/healthz"))), "200");
}

fn bind_here(address: SocketAddr) -> Result<(), HttpError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(bind(address)).map(drop)
}

#[test]
fn a_port_that_is_taken_is_named_with_the_next_step() {
    let address = start(Told::new(), false);
    let error = bind_here(address).unwrap_err();
    assert!(matches!(error, HttpError::InUse { .. }));
    assert_eq!(
        error.to_string(),
        format!("metrics cannot be served on {address}: the address is in use")
    );
    assert!(
        error
            .hint()
            .contains(&format!("ss -ltnp 'sport = :{}'", address.port()))
    );
}

#[test]
fn an_address_of_another_machine_is_said_to_be_one() {
    // TEST-NET-1 of RFC 5737 belongs to nobody.
    let error = bind_here((Ipv4Addr::new(192, 0, 2, 1), 9474).into()).unwrap_err();
    assert!(matches!(error, HttpError::NotHere { .. }), "{error:?}");
}

#[test]
fn a_low_port_is_refused_without_the_right_to_it() {
    const PORT: u16 = 81;
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if first.trim().parse::<u16>().unwrap() <= PORT {
        eprintln!("skipped: here everybody may listen on port {PORT}");
        return;
    }
    let thread = std::thread::spawn(|| {
        // Of this thread alone.
        caps::clear(None, caps::CapSet::Effective).unwrap();
        bind_here((Ipv4Addr::LOCALHOST, PORT).into()).unwrap_err()
    });
    let error = thread.join().unwrap();
    assert!(matches!(error, HttpError::Denied { .. }), "{error:?}");
    assert!(error.hint().contains("port 81 needs CAP_NET_BIND_SERVICE"));
}

#[test]
fn the_page_says_what_the_code_does() {
    let page = include_str!("../../../docs/metrics.md");
    assert!(page.contains(&format!("`{LOOPBACK_ADDRESS}`")) && LOOPBACK_ADDRESS.ip().is_loopback());
    assert!(page.contains(&format!("the last {} seconds", BEAT_LIMIT.as_secs())));
}

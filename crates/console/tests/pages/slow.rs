//! Bodies that are too large, and peers that are slow on purpose.

use std::time::{Duration, Instant};

use davylamp_console::Role;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

/// A peer is let go of within this: ten seconds for a head or a form, and some for a busy machine.
const WITHIN: Duration = Duration::from_secs(25);

/// Sends a beginning, then a byte every now and then until the other side has had enough; gives its answer.
async fn drip(world: &World, begin: &str, byte: &str) -> String {
    let mut stream = TcpStream::connect(world.address).await.expect("connected");
    stream.write_all(begin.as_bytes()).await.expect("written");
    let (mut reader, mut writer) = stream.into_split();
    let byte = byte.to_owned();
    let dripping = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(300));
        loop {
            every.tick().await;
            if writer.write_all(byte.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let (mut answer, begun) = (Vec::new(), Instant::now());
    // A reset is an end as well.
    let read = tokio::time::timeout(WITHIN, reader.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "still there after {:?}", begun.elapsed());
    dripping.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_forms_and_silence_are_let_go_of() {
    let world = World::new().await;
    let form = "POST /sign-in HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 4000\r\n\r\nname=";
    let chunked = "POST /sign-out HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let events = "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer davy_wrong\r\ncontent-length: 4000\r\n\r\n";
    let (head, form, chunked, silence, events) = tokio::join!(
        drip(&world, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", "a"),
        drip(&world, form, "a"),
        drip(&world, chunked, "1\r\na\r\n"),
        drip(&world, "", ""),
        drip(&world, events, "{"),
    );
    assert!(events.starts_with("HTTP/1.1 401 "), "{events}");
    assert!(!head.contains(" 200 "), "{head}");
    for answer in [form, chunked] {
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert_eq!(silence, "");
    world.stranger().page("/sign-in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_held() {
    let world = World::new().await;
    let ada = world.visitor("ada", Role::Admin, &[]).await;
    let large = "x".repeat(1 << 20);
    for path in [
        "/sign-in",
        "/sign-in/link",
        "/settings/people",
        "/incidents/1/note",
        "/sign-out",
    ] {
        let answer = ada.send(path, &[("text", &large)], &[]).await;
        assert_eq!(answer.status.as_u16(), 413, "{path}");
    }
    ada.page("/").await;
    let token = world
        .store
        .add_token("t", "hub-a", &["events:write"], Timestamp::now())
        .await;
    let send = |token: String, bytes: usize| {
        reqwest::Client::new()
            .post(format!("{}/api/v1/events", world.base()))
            .bearer_auth(token)
            .body(vec![b' '; bytes])
            .send()
    };
    // Who may not send at all is told so, and nothing of it is held.
    for bytes in [1 << 10, 8 << 20] {
        let answer = send("wrong".to_owned(), bytes).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 401);
    }
    let answer = send(token.expect("a token"), (16 << 20) + 1).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status().as_u16() == 413));
    // A head that goes on for ever.
    let mut stream = TcpStream::connect(world.address).await.expect("connected");
    let head = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer))
        .await
        .expect("an end");
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
}

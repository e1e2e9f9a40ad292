//! Spans, as a receiver of OTLP gets them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::world::World;
use crate::{config, metrics, until};

/// A receiver: what it got, and how often it refuses before it takes.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<(Vec<Span>, u32)>>);

impl Receiver {
    async fn start(refuses: u32) -> (Self, String) {
        let receiver = Self::default();
        receiver.0.lock().expect("a lock").1 = refuses;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, format!("http://{address}/"))
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().expect("a lock").0.clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-key"], "known");
    let mut receiver = receiver.0.lock().expect("a lock");
    if receiver.1 > 0 {
        receiver.1 -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let request = ExportTraceServiceRequest::decode(body).expect("spans");
    let spans = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    receiver.0.extend(spans);
    StatusCode::OK
}

async fn traced(endpoint: &str, percent: u8) -> World {
    let folder = TempDir::new().expect("a folder");
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "x-key: known\n").expect("written");
    let mut config = config(folder.path());
    config.traces.endpoint = endpoint.to_owned();
    config.traces.headers_file = headers;
    config.traces.percent = percent;
    World::of(config, folder).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_part_of_its_senders_trace() {
    let (receiver, endpoint) = Receiver::start(1).await;
    let world = traced(&endpoint, 1).await;
    let now = Timestamp::now();
    let token = world
        .store
        .add_token("nodes", "hub-a", &["events:write"], now)
        .await
        .expect("a token");
    let send = |parent: &str| {
        reqwest::Client::new()
            .post(format!("{}/api/v1/events?secret=hunter2", world.base()))
            .bearer_auth(&token)
            .header("traceparent", parent)
            .body("{\"id\":\"e1\",\"action\":\"killed\",\"node\":\"n1\"}")
            .send()
    };
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let unsampled = "00-11111111111111111111111111111111-00f067aa0ba902b7-00";
    send(unsampled).await.expect("taken");
    send(&format!("00-{id}-00f067aa0ba902b7-01"))
        .await
        .expect("taken");
    // The receiver was away at first.
    until("the spans arrive", || async { receiver.spans().len() >= 3 }).await;
    let exported = "davylamp_console_spans_total{result=\"exported\"} 3";
    let page = metrics(&world).await;
    assert!(page.lines().any(|line| line == exported), "{page}");
    world.end().await;
    let spans = receiver.spans();
    assert!(!format!("{spans:?}").contains("hunter2"), "{spans:?}");
    let by_name: BTreeMap<&str, &Span> = spans
        .iter()
        .map(|span| (span.name.as_str(), span))
        .collect();
    let names: Vec<&str> = by_name.keys().copied().collect();
    assert_eq!(
        names,
        ["POST /api/v1/events", "ingest.read", "ledger.deliver"]
    );
    let request = by_name["POST /api/v1/events"];
    assert_eq!(
        request.parent_span_id,
        [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
    );
    for span in &spans {
        let trace: String = span
            .trace_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(trace, id);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        assert!(span.start_time_unix_nano >= request.start_time_unix_nano);
    }
    assert_eq!(by_name["ledger.deliver"].parent_span_id, request.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_not_there_costs_nobody_an_answer() {
    // Nobody listens on a port that was let go of.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let world = traced(&endpoint, 100).await;
    let stranger = world.stranger();
    for _ in 0..20 {
        assert_eq!(stranger.get("/sign-in").await.status, 200);
    }
    until("the loss is counted", || async {
        let page = metrics(&world).await;
        let lost = page
            .lines()
            .find_map(|line| line.strip_prefix("davylamp_console_spans_total{result=\"lost\"} "));
        lost.is_some_and(|lost| lost.parse::<u64>().is_ok_and(|lost| lost >= 20))
    })
    .await;
    world.end().await;
}

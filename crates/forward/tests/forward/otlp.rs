//! A receiver of OTLP on loopback, which reads what came with the types of the protocol.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use davylamp_forward::config::Config;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use prost::Message as _;
use serde_json::json;

use super::server::{Handler, Reply, Server, ok};
use super::{WITHIN, file, fill, once, writer};

#[derive(Default)]
struct Receiver {
    logs: Mutex<Vec<ExportLogsServiceRequest>>,
    metrics: Mutex<Vec<ExportMetricsServiceRequest>>,
    keys: Mutex<Vec<Option<String>>>,
    rejects: bool,
}

impl Receiver {
    fn handler(self: &Arc<Self>) -> Handler {
        let receiver = Arc::clone(self);
        Arc::new(move |request| {
            assert_eq!(
                request.header("content-type"),
                Some("application/x-protobuf")
            );
            let key = request.header("x-api-key").map(str::to_owned);
            receiver.keys.lock().expect("not poisoned").push(key);
            match request.path.as_str() {
                "/v1/logs" => {
                    let read = ExportLogsServiceRequest::decode(request.body.as_slice());
                    receiver
                        .logs
                        .lock()
                        .expect("not poisoned")
                        .push(read.expect("logs"));
                }
                "/v1/metrics" => {
                    let read = ExportMetricsServiceRequest::decode(request.body.as_slice());
                    receiver
                        .metrics
                        .lock()
                        .expect("not poisoned")
                        .push(read.expect("metrics"));
                }
                other => panic!("{other}"),
            }
            if !receiver.rejects {
                return ok();
            }
            let response = ExportLogsServiceResponse {
                partial_success: Some(ExportLogsPartialSuccess {
                    rejected_log_records: 1,
                    error_message: "no room".to_owned(),
                }),
            };
            Reply::Say(200, "", response.encode_to_vec())
        })
    }
}

fn named(pairs: &[KeyValue]) -> BTreeMap<&str, &Value> {
    pairs
        .iter()
        .filter_map(|pair| Some((pair.key.as_str(), pair.value.as_ref()?.value.as_ref()?)))
        .collect()
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

#[test]
fn an_event_is_a_record_with_the_names_that_others_know() {
    let receiver = Arc::new(Receiver::default());
    let server = Server::start(true, receiver.handler());
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = Config {
        spool: dir.path().join("spool"),
        ..Config::default()
    };
    config.otlp.endpoint = server.url();
    config.otlp.ca_file = file(
        dir.path(),
        "ca.pem",
        server.ca.as_deref().expect("certificates"),
    );
    config.otlp.headers_file = file(dir.path(), "headers", "x-api-key: s3cret\n");
    let line = json!({
        "pid": 7, "cmdline": "./kernel", "action": "killed", "event": "Killed process",
        "level": "info", "timestamp": "2026-11-20T10:11:12.123456Z", "node": "node-1",
        "labels": {"io.kubernetes.pod.name": "jupyter-ada", "io.kubernetes.pod.namespace": "hub", "app": "x"},
        "container_id": "abc", "hub_user": "ada", "detection": "pool-login", "score": 1.5,
        "evidence": {"sha256": "00", "path": "/tmp/kernel"}, "ancestry": [{"pid": 1, "comm": "init"}],
        "id": "id-1",
    });
    {
        let mut writer = writer(&config.spool);
        let _ = writer.append(&line.to_string()).expect("room");
        let ready = json!({"event": "ready", "level": "info", "node": "node-2", "id": "id-2"});
        let _ = writer.append(&ready.to_string()).expect("room");
    }
    assert!(once(&config, WITHIN).complete);
    let logs = receiver.logs.lock().expect("not poisoned");
    let [request] = logs.as_slice() else {
        panic!("{} requests", logs.len());
    };
    assert_eq!(request.resource_logs.len(), 2);
    let first = &request.resource_logs[0];
    let resource = named(&first.resource.as_ref().expect("a resource").attributes);
    assert_eq!(resource["host.name"], &text("node-1"));
    assert_eq!(resource["service.name"], &text("davylamp-guard"));
    let record = &first.scope_logs[0].log_records[0];
    assert_eq!(record.time_unix_nano, 1_795_169_472_123_456_000);
    assert_eq!(record.severity_number, 13);
    assert_eq!(record.event_name, "davylamp.guard.killed");
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    assert_eq!(body, Some(&text("Killed process")));
    let attributes = named(&record.attributes);
    for (name, value) in [
        ("log.record.uid", text("id-1")),
        ("process.pid", Value::IntValue(7)),
        ("process.command_line", text("./kernel")),
        ("k8s.pod.name", text("jupyter-ada")),
        ("k8s.namespace.name", text("hub")),
        ("container.label.app", text("x")),
        ("container.id", text("abc")),
        ("user.name", text("ada")),
        ("file.path", text("/tmp/kernel")),
        ("davylamp.evidence.sha256", text("00")),
        ("davylamp.detection", text("pool-login")),
        ("davylamp.score", Value::DoubleValue(1.5)),
    ] {
        assert_eq!(attributes.get(name), Some(&&value), "{name}");
    }
    assert!(attributes.contains_key("davylamp.ancestry"));
    assert_eq!(
        *receiver.keys.lock().expect("not poisoned"),
        [Some("s3cret".to_owned())]
    );
}

#[test]
fn a_record_that_is_rejected_is_kept() {
    let receiver = Arc::new(Receiver {
        rejects: true,
        ..Receiver::default()
    });
    let server = Server::start(false, receiver.handler());
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = Config {
        spool: dir.path().join("spool"),
        ..Config::default()
    };
    config.otlp.endpoint = server.url();
    fill(&config.spool, 0..1);
    let summary = once(&config, WITHIN);
    assert_eq!(summary.status.destinations[0].refused, 1);
    let refused = config.spool.join("readers/otlp.refused.jsonl");
    assert!(
        std::fs::read_to_string(refused)
            .expect("letters")
            .contains("no room")
    );
}

const PAGE: &str = "\
# HELP davylamp_guard_killed_total Processes killed at exec.
# TYPE davylamp_guard_killed_total counter
davylamp_guard_killed_total 20
# TYPE davylamp_guard_table_bytes gauge
davylamp_guard_table_bytes 15
# TYPE davylamp_guard_reloads_total counter
davylamp_guard_reloads_total{result=\"ok\"} 3
davylamp_guard_reloads_total{result=\"failed\"} 1
# TYPE davylamp_guard_latency_seconds histogram
davylamp_guard_latency_seconds_bucket{le=\"0.001\"} 4
davylamp_guard_latency_seconds_bucket{le=\"0.002\"} 9
davylamp_guard_latency_seconds_bucket{le=\"+Inf\"} 10
davylamp_guard_latency_seconds_sum 0.5
davylamp_guard_latency_seconds_count 10
";

#[test]
fn the_guards_numbers_are_metrics() {
    let receiver = Arc::new(Receiver::default());
    let server = Server::start(false, receiver.handler());
    let guard = Server::start(
        false,
        Arc::new(|_| Reply::Say(200, "", PAGE.as_bytes().to_vec())),
    );
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = Config {
        spool: dir.path().join("spool"),
        ..Config::default()
    };
    config.otlp.endpoint = server.url();
    config.otlp.metrics_from = format!("{}/metrics", guard.url());
    fill(&config.spool, 0..4);
    let summary = once(&config, WITHIN);
    assert!(
        summary.complete && summary.status.metrics_exported == 1,
        "{summary:?}"
    );
    let exports = receiver.metrics.lock().expect("not poisoned");
    let metrics: BTreeMap<&str, &Metric> = exports[0].resource_metrics[0].scope_metrics[0]
        .metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric))
        .collect();
    let value = |name: &str| match metrics[name].data.as_ref().expect("data") {
        Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
            sum.data_points.iter().map(number).collect::<Vec<_>>()
        }
        Data::Gauge(gauge) => gauge.data_points.iter().map(number).collect(),
        other => panic!("{other:?}"),
    };
    assert_eq!(value("davylamp_guard_killed_total"), [20.0]);
    assert_eq!(value("davylamp_guard_reloads_total"), [3.0, 1.0]);
    assert_eq!(value("davylamp_guard_table_bytes"), [15.0]);
    assert_eq!(value("davylamp_forward_delivered_total"), [4.0]);
    let Some(Data::Histogram(histogram)) = &metrics["davylamp_guard_latency_seconds"].data else {
        panic!("no histogram");
    };
    let point = &histogram.data_points[0];
    assert_eq!(point.bucket_counts, [4, 5, 1]);
    assert_eq!(point.explicit_bounds, [0.001, 0.002]);
    assert_eq!((point.count, point.sum), (10, Some(0.5)));
    assert_eq!(metrics["davylamp_guard_latency_seconds"].unit, "s");
}

fn number(point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        ref other => panic!("{other:?}"),
    }
}

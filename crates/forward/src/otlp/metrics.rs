//! The guard's numbers, read where Prometheus would read them, as OTLP metrics.
//!
//! They are not made of the events: the kernel counts what no line tells of, such as lines left out
//! for being too many, and it goes on counting while the agent restarts. What is exported is the
//! total each time, so an export that fails costs a point and no count.

use std::collections::BTreeMap;

use davylamp_spool::MAX_LINE_BYTES;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use prost::Message as _;
use reqwest::{Client, Url};

use super::exposition::{self, Family, Kind, Sample};
use super::{Otlp, nanoseconds, pair, scope, text};
use crate::http::Answer;

/// More than the guard's page ever has.
const PAGE_BYTES: usize = 16 * MAX_LINE_BYTES;

/// Reads and exports.
#[derive(Debug)]
pub(crate) struct Metrics {
    from: Url,
    client: Client,
    otlp: Otlp,
    node: String,
    /// Since when the totals count, as far as we know: they were not there before, or went back.
    since: Option<Since>,
}

#[derive(Debug)]
struct Since {
    started: jiff::Timestamp,
    last: jiff::Timestamp,
    totals: BTreeMap<String, f64>,
}

/// Our own numbers, beside the guard's.
pub(crate) type Own = Vec<(&'static str, &'static str, String, u64, bool)>;

impl Metrics {
    pub(crate) fn new(from: Url, otlp: Otlp, node: String) -> Self {
        Self {
            from,
            client: otlp.client.clone(),
            otlp,
            node,
            since: None,
        }
    }

    /// Reads the page once and exports it, with our own numbers.
    ///
    /// # Errors
    /// It was not exported: why.
    pub(crate) async fn export(&mut self, own: &Own) -> Result<(), String> {
        let page = self.page().await;
        let now = jiff::Timestamp::now();
        let (families, unread) = match &page {
            Ok(page) => exposition::read(page),
            Err(_) => (BTreeMap::new(), 0),
        };
        if unread > 0 {
            tracing::warn!(unread, "lines of the guard's metrics could not be read");
        }
        let started = self.started(&families, now);
        let mut metrics: Vec<Metric> = families
            .iter()
            .map(|(name, family)| metric_of(name, family, started, now))
            .collect();
        metrics.extend(own_metrics(own, started, now));
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(super::logs::resource(&self.node)),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        };
        let sent = self.otlp.post(&self.otlp.metrics, request.encode_to_vec());
        match sent.await {
            Answer::Taken(_) => page.map(drop),
            Answer::Later(why, _) | Answer::Parts(why) | Answer::Shut(why) => Err(why),
        }
    }

    async fn page(&self) -> Result<String, String> {
        let cannot = |error: reqwest::Error| {
            format!(
                "the guard's metrics cannot be read: {}",
                error.without_url()
            )
        };
        let answer = self.client.get(self.from.clone()).send().await;
        let mut answer = answer
            .and_then(reqwest::Response::error_for_status)
            .map_err(cannot)?;
        let mut page = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(cannot)? {
            page.extend_from_slice(&chunk);
            if page.len() > PAGE_BYTES {
                return Err("the guard's metrics are too long to be its".to_owned());
            }
        }
        Ok(String::from_utf8_lossy(&page).into_owned())
    }

    /// Since when the totals count.
    fn started(
        &mut self,
        families: &BTreeMap<String, Family>,
        now: jiff::Timestamp,
    ) -> jiff::Timestamp {
        let totals: BTreeMap<String, f64> = families
            .iter()
            .filter(|(_, family)| family.kind != Kind::Gauge)
            .map(|(name, family)| (name.clone(), family.samples.iter().map(|s| s.value).sum()))
            .collect();
        let went_back = |since: &Since| {
            totals
                .iter()
                .any(|(name, total)| since.totals.get(name).is_some_and(|before| total < before))
        };
        let started = match &self.since {
            None => now,
            Some(since) if went_back(since) => since.last,
            Some(since) => since.started,
        };
        self.since = Some(Since {
            started,
            last: now,
            totals,
        });
        started
    }
}

fn metric_of(name: &str, family: &Family, from: jiff::Timestamp, now: jiff::Timestamp) -> Metric {
    let points = || {
        family
            .samples
            .iter()
            .map(|sample| point(sample.value, attributes(sample, None), from, now))
            .collect()
    };
    let data = match family.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge {
            data_points: points(),
        }),
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: points(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: histogram(family, from, now),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        }),
    };
    Metric {
        name: name.to_owned(),
        description: family.help.clone(),
        unit: unit(name).to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// The unit that Prometheus's names end with, as UCUM has it.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    if name.ends_with("_seconds") {
        "s"
    } else if name.ends_with("_bytes") {
        "By"
    } else {
        "1"
    }
}

fn attributes(sample: &Sample, without: Option<&str>) -> Vec<KeyValue> {
    sample
        .labels
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != without)
        .map(|(name, value)| pair(name, text(value)))
        .collect()
}

fn point(
    value: f64,
    attributes: Vec<KeyValue>,
    from: jiff::Timestamp,
    now: jiff::Timestamp,
) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: nanoseconds(from),
        time_unix_nano: nanoseconds(now),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

/// Prometheus's buckets hold what is below them too; OTLP's do not.
fn histogram(
    family: &Family,
    from: jiff::Timestamp,
    now: jiff::Timestamp,
) -> Vec<HistogramDataPoint> {
    let mut by_labels: BTreeMap<Vec<(String, String)>, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        let labels = sample.labels.iter();
        let key = labels
            .filter(|(name, _)| *name != "le")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        by_labels.entry(key).or_default().push(sample);
    }
    by_labels
        .into_values()
        .map(|samples| {
            let of = |suffix: &str| samples.iter().find(|s| s.suffix == suffix).map(|s| s.value);
            let mut buckets: Vec<(f64, f64)> = samples
                .iter()
                .filter(|sample| sample.suffix == "_bucket")
                .filter_map(|sample| Some((bound(sample.labels.get("le")?)?, sample.value)))
                .collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut below = 0.0;
            let mut bucket_counts = Vec::new();
            for (_, count) in &buckets {
                bucket_counts.push((count - below).max(0.0) as u64);
                below = *count;
            }
            HistogramDataPoint {
                attributes: samples
                    .first()
                    .map_or_else(Vec::new, |s| attributes(s, Some("le"))),
                start_time_unix_nano: nanoseconds(from),
                time_unix_nano: nanoseconds(now),
                count: of("_count").unwrap_or(below) as u64,
                sum: of("_sum"),
                bucket_counts,
                explicit_bounds: buckets
                    .iter()
                    .map(|(bound, _)| *bound)
                    .filter(|bound| bound.is_finite())
                    .collect(),
                ..HistogramDataPoint::default()
            }
        })
        .collect()
}

fn bound(le: &str) -> Option<f64> {
    match le {
        "+Inf" => Some(f64::INFINITY),
        le => le.parse().ok(),
    }
}

fn own_metrics(own: &Own, from: jiff::Timestamp, now: jiff::Timestamp) -> Vec<Metric> {
    let mut by_name: BTreeMap<&str, Metric> = BTreeMap::new();
    for (name, help, destination, value, grows) in own {
        let attributes = vec![pair("destination", text(destination))];
        let point = point(*value as f64, attributes, from, now);
        let metric = by_name.entry(name).or_insert_with(|| Metric {
            name: (*name).to_owned(),
            description: (*help).to_owned(),
            unit: unit(name).to_owned(),
            data: Some(match grows {
                true => metric::Data::Sum(Sum {
                    data_points: Vec::new(),
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    is_monotonic: true,
                }),
                false => metric::Data::Gauge(Gauge::default()),
            }),
            ..Metric::default()
        });
        match &mut metric.data {
            Some(metric::Data::Sum(sum)) => sum.data_points.push(point),
            Some(metric::Data::Gauge(gauge)) => gauge.data_points.push(point),
            _ => {}
        }
    }
    by_name.into_values().collect()
}

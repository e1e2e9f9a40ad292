//! Spans: what a request was made of, told to an OpenTelemetry receiver.
//!
//! What must stay true: answering never waits for a receiver; what finds no room is dropped and counted.
//! Without a receiver nothing is made. A trace that somebody else began is gone on with, as they decided
//! (<https://www.w3.org/TR/trace-context/>).

mod export;
mod message;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use axum::http::HeaderMap;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::mpsc;

use super::ObserveError;
use crate::config::Traces;

pub(crate) use export::Exporter;

/// So many spans may wait to be sent.
const WAITING: usize = 4096;

/// Where something is in which trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    trace: [u8; 16],
    span: [u8; 8],
}

/// What a span is of, by the numbers of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A part of something.
    Internal = 1,
    /// A request that was answered.
    Server = 2,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
}

/// What makes spans; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Ended>,
    percent: u8,
    random: SystemRandom,
    exported: AtomicU64,
    lost: AtomicU64,
}

/// Something that goes on; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Span {
    tracer: Arc<Inner>,
    ended: Option<Ended>,
}

/// Something that is over.
#[derive(Debug)]
struct Ended {
    name: Cow<'static, str>,
    kind: Kind,
    context: Context,
    parent: Option<[u8; 8]>,
    began: SystemTime,
    ended: SystemTime,
    attributes: Vec<(&'static str, Value)>,
    has_failed: bool,
}

impl Tracer {
    /// What the configuration asks for, and what carries it away.
    pub(crate) fn new(config: &Traces) -> Result<(Self, Option<Exporter>), ObserveError> {
        if config.endpoint.is_empty() {
            return Ok((Self::default(), None));
        }
        let (queue, waiting) = mpsc::channel(WAITING);
        let inner = Arc::new(Inner {
            queue,
            percent: config.percent,
            random: SystemRandom::new(),
            exported: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let exporter = Exporter::new(config, waiting, Arc::clone(&inner))?;
        Ok((Self(Some(inner)), Some(exporter)))
    }

    /// A request, as part of the trace that its sender began, if it did.
    pub(super) fn request(&self, name: String, headers: &HeaderMap) -> Option<Span> {
        let inner = self.0.as_ref()?;
        let told = headers.get("traceparent");
        let told = told.and_then(|value| parent(value.to_str().ok()?));
        let is_told_of = match told {
            Some((_, is_sampled)) => is_sampled,
            None => u64::from(inner.byte()?) * 100 < u64::from(inner.percent) * 256,
        };
        let parent = told.map(|(parent, _)| parent);
        is_told_of.then(|| inner.span(Cow::Owned(name), Kind::Server, parent))?
    }

    /// Something that the console does by itself.
    pub(crate) fn own(&self, name: &'static str) -> Option<Span> {
        self.0
            .as_ref()?
            .span(Cow::Borrowed(name), Kind::Internal, None)
    }

    /// A part of something.
    pub(super) fn within(
        &self,
        name: Cow<'static, str>,
        kind: Kind,
        parent: &Context,
    ) -> Option<Span> {
        self.0.as_ref()?.span(name, kind, Some(*parent))
    }

    /// Spans that a receiver has, and those that none will.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.0.as_ref().map_or((0, 0), |inner| {
            (
                inner.exported.load(Ordering::Relaxed),
                inner.lost.load(Ordering::Relaxed),
            )
        })
    }
}

impl Inner {
    fn random<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    fn byte(&self) -> Option<u8> {
        self.random::<1>().map(|[byte]| byte)
    }

    fn span(
        self: &Arc<Self>,
        name: Cow<'static, str>,
        kind: Kind,
        parent: Option<Context>,
    ) -> Option<Span> {
        let context = Context {
            trace: match parent {
                Some(parent) => parent.trace,
                None => self.random()?,
            },
            span: self.random()?,
        };
        let now = SystemTime::now();
        Some(Span {
            tracer: Arc::clone(self),
            ended: Some(Ended {
                name,
                kind,
                context,
                parent: parent.map(|parent| parent.span),
                began: now,
                ended: now,
                attributes: Vec::new(),
                has_failed: false,
            }),
        })
    }
}

impl Span {
    pub(super) fn context(&self) -> Context {
        self.ended.as_ref().map_or(
            Context {
                trace: [0; 16],
                span: [0; 8],
            },
            |ended| ended.context,
        )
    }

    pub(crate) fn says(&mut self, key: &'static str, value: &str) {
        self.add(key, Value::Text(value.to_owned()));
    }

    pub(crate) fn counts(&mut self, key: &'static str, value: i64) {
        self.add(key, Value::Number(value));
    }

    pub(crate) fn failed(&mut self, has_failed: bool) {
        if let Some(ended) = &mut self.ended {
            ended.has_failed |= has_failed;
        }
    }

    fn add(&mut self, key: &'static str, value: Value) {
        if let Some(ended) = &mut self.ended {
            ended.attributes.push((key, value));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(mut ended) = self.ended.take() else {
            return;
        };
        ended.ended = SystemTime::now();
        if self.tracer.queue.try_send(ended).is_err() {
            self.tracer.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a `traceparent` says: the span that asked, and whether its trace is told of.
fn parent(text: &str) -> Option<(Context, bool)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // A later version may say more behind these four; this one says no more.
    let is_version = version.len() == 2 && version != "ff" && is_hex(version);
    if !is_version || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let lengths = (trace.len(), span.len(), flags.len()) == (32, 16, 2);
    if !lengths || ![trace, span, flags].into_iter().all(is_hex) {
        return None;
    }
    let mut context = Context {
        trace: [0; 16],
        span: [0; 8],
    };
    hex::decode_to_slice(trace, &mut context.trace).ok()?;
    hex::decode_to_slice(span, &mut context.span).ok()?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (context.trace != [0; 16] && context.span != [0; 8]).then_some((context, flags & 1 == 1))
}

/// The specification wants small letters.
fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_specification_says() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (text, is_sampled) in [
            (format!("00-{id}-00f067aa0ba902b7-01"), Some(true)),
            (format!("00-{id}-00f067aa0ba902b7-00"), Some(false)),
            (format!("00-{id}-00f067aa0ba902b7-03"), Some(true)),
            (format!("cc-{id}-00f067aa0ba902b7-01-more"), Some(true)),
            (format!("00-{id}-00f067aa0ba902b7-01-more"), None),
            (format!("ff-{id}-00f067aa0ba902b7-01"), None),
            (format!("00-{id}-0000000000000000-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (
                format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
                None,
            ),
            (format!("00-{id}-00f067aa0ba902b-01"), None),
            ("00-é-b-01".to_owned(), None),
            (String::new(), None),
        ] {
            let found = parent(&text);
            assert_eq!(
                found.map(|(_, is_sampled)| is_sampled),
                is_sampled,
                "{text}"
            );
            if let Some((context, _)) = found {
                assert_eq!(hex::encode(context.trace), id);
                assert_eq!(hex::encode(context.span), "00f067aa0ba902b7");
            }
        }
    }

    #[test]
    fn without_a_receiver_nothing_is_made() {
        let (tracer, exporter) = Tracer::new(&Traces::default()).expect("no receiver");
        assert!(exporter.is_none());
        assert!(tracer.own("something").is_none());
        assert!(
            tracer
                .request("GET /".to_owned(), &HeaderMap::new())
                .is_none()
        );
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (queue, waiting) = mpsc::channel(1);
        let inner = Arc::new(Inner {
            queue,
            percent: 100,
            random: SystemRandom::new(),
            exported: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let tracer = Tracer(Some(inner));
        for _ in 0..3 {
            drop(tracer.own("something"));
        }
        assert_eq!(tracer.counts(), (0, 2));
        drop(waiting);
    }
}

//! CloudTrail: every call to AWS, by whom, from where, with what and to what effect.
//!
//! In the forms it comes in: files with `Records`, lists, events by themselves or one a line, and
//! EventBridge's envelope with the event under `detail`. Request and response stay JSON text, to
//! dig in with `json_get`; the flat columns of the identity and of the instances are taken out of
//! them here.
//!
//! What must stay true: a record is a row or a counted fault, whichever columns are asked for.

use super::json::{JsonFault, Walk};
use super::{Log, Object, Order, Reader, Sink, Spelling};
use crate::table::Table;
use crate::unpack::{Chunk, Next};

mod columns;
mod event;
mod identity;
mod judge;

pub use columns::TABLE;
use event::{Event, Events};
pub use identity::principal_of;

/// CloudTrail.
#[derive(Debug)]
pub struct CloudTrail;

impl Log for CloudTrail {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        let has = |name: &[u8]| memchr::memmem::find(head, name).is_some();
        let is_event = (has(b"\"eventSource\"") || has(b"\"EventSource\""))
            && (has(b"\"eventName\"") || has(b"\"EventName\""));
        is_event || (has(b"\"eventVersion\"") && has(b"\"insightDetails\""))
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        Box::new(TrailReader {
            events: Events::new(order, object),
            order: order.clone(),
            state: State::Between,
            record: 0,
            is_first: true,
        })
    }
}

/// Reads one object of CloudTrail.
struct TrailReader {
    order: Order,
    events: Events,
    state: State,
    /// The number of the record that was seen last.
    record: u64,
    is_first: bool,
}

/// Where in the object the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between two documents.
    Between,
    /// In a list of records; whether the list lies in an object.
    List { is_wrapped: bool },
    /// After the list, in the object around it.
    After,
    /// What comes cannot be told apart; it was counted.
    Lost,
}

impl Reader for TrailReader {
    fn read(&mut self, chunk: &Chunk, sink: &mut Sink) -> usize {
        let bytes = chunk.buffer.as_slice();
        let is_whole = std::mem::take(&mut self.is_first) && chunk.next == Next::End;
        if is_whole && !self.order.needles.may_match(bytes) {
            sink.tally.objects_without_match += 1;
            return bytes.len();
        }
        let mut at = 0;
        while !sink.is_closed() && self.state != State::Lost {
            match self.step(bytes, at, sink) {
                Ok(Some(next)) => at = next,
                Ok(None) => {
                    at = bytes.len();
                    break;
                }
                // More of it comes with the next chunk.
                Err(JsonFault::CutOff) if chunk.next == Next::More => return at,
                Err(fault) => at = self.give_up(fault, bytes, at, chunk.next, sink),
            }
        }
        let ends = matches!(chunk.next, Next::End | Next::Broken);
        if ends && matches!(self.state, State::List { .. }) && !sink.is_closed() {
            let what = "the list of records does not end";
            sink.tally
                .bad_record(|| self.events.place(self.record), what);
        }
        match self.state {
            State::Lost => bytes.len(),
            _ => at,
        }
    }
}

impl TrailReader {
    /// Goes one step on from a place and says where that ends; nothing where the bytes end between
    /// two values.
    fn step(
        &mut self,
        bytes: &[u8],
        at: usize,
        sink: &mut Sink,
    ) -> Result<Option<usize>, JsonFault> {
        let mut walk = Walk::at(bytes, at);
        let Some(first) = walk.peek() else {
            return Ok(None);
        };
        match (self.state, first) {
            (State::Between, b'[') => {
                walk.pass();
                self.state = State::List { is_wrapped: false };
            }
            (State::Between, b'{') => match records(bytes, walk.place())? {
                Some(list) => {
                    self.state = State::List { is_wrapped: true };
                    return Ok(Some(list));
                }
                None => return self.record(bytes, walk.place(), sink).map(Some),
            },
            (State::List { .. }, b',') | (State::Between, b',') => walk.pass(),
            (State::List { is_wrapped }, b']') => {
                walk.pass();
                self.state = if is_wrapped {
                    State::After
                } else {
                    State::Between
                };
            }
            (State::List { .. }, b'{') => return self.record(bytes, walk.place(), sink).map(Some),
            (State::List { .. }, _) => {
                walk.value()?;
                self.record += 1;
                sink.tally
                    .bad_record(|| self.events.place(self.record), "it is not an object");
            }
            (State::After, b'}') => {
                walk.pass();
                self.state = State::Between;
            }
            (State::After, b',') => {
                walk.pass();
                walk.text()?;
                walk.expect(b':')?;
                walk.value()?;
            }
            (State::Between | State::After, _) => {
                return Err(JsonFault::Misplaced { at: walk.place() });
            }
            (State::Lost, _) => return Ok(None),
        }
        Ok(Some(walk.place()))
    }

    /// Reads the record at a place and says where it ends.
    fn record(&mut self, bytes: &[u8], at: usize, sink: &mut Sink) -> Result<usize, JsonFault> {
        if !self.order.needles.is_empty() {
            let mut walk = Walk::at(bytes, at);
            if !self.order.needles.may_match(walk.value()?) {
                self.record += 1;
                return Ok(walk.place());
            }
        }
        let mut walk = Walk::at(bytes, at);
        let mut event = Event::default();
        walk.object(|key, value| event.member(key, value))?;
        let end = walk.place();
        self.record += 1;
        if std::str::from_utf8(&bytes[at..end]).is_err() {
            sink.tally
                .bad_record(|| self.events.place(self.record), "it is not UTF-8");
        } else if event.is_one() {
            self.events.row(&event, self.record, sink);
        } else if !self.inner(&event, sink) {
            let what = "it is an object, but not an event";
            sink.tally
                .bad_record(|| self.events.place(self.record), what);
        }
        Ok(end)
    }

    /// Reads the events that an object holds which is none itself. Whether there are any.
    fn inner(&mut self, event: &Event<'_>, sink: &mut Sink) -> bool {
        let mut inner = Event::default();
        if let Some(detail) = event.detail() {
            let is_whole = Walk::at(detail, 0)
                .object(|key, value| inner.member(key, value))
                .is_ok();
            if is_whole && inner.is_one() {
                self.events.row(&inner, self.record, sink);
                return true;
            }
        }
        let Some(records) = event.records() else {
            return false;
        };
        let mut number = self.record - 1;
        let ended = Walk::at(records, 0).list(|value| {
            number += 1;
            let mut inner = Event::default();
            let is_whole = Walk::at(value, 0)
                .object(|key, value| inner.member(key, value))
                .is_ok();
            if is_whole && inner.is_one() {
                self.events.row(&inner, number, sink);
            } else {
                sink.tally
                    .bad_record(|| self.events.place(number), "it is not an event");
            }
        });
        if ended.is_err() {
            sink.tally.bad_record(
                || self.events.place(number),
                "the list of records is not one",
            );
        }
        self.record = number;
        true
    }

    /// Counts what cannot be read and says where to go on: after the record where its end can be
    /// found, otherwise at the next line.
    fn give_up(
        &mut self,
        fault: JsonFault,
        bytes: &[u8],
        at: usize,
        next: Next,
        sink: &mut Sink,
    ) -> usize {
        self.record += 1;
        let mut what = fault.to_string();
        if next == Next::Dropped && fault == JsonFault::CutOff {
            sink.tally.over_limit += 1;
            what = "the record is longer than a record may be".to_owned();
        }
        sink.tally
            .bad_record(|| self.events.place(self.record), what);
        let mut walk = Walk::at(bytes, at);
        // The fault stands after the blanks, which may hold line ends of their own.
        walk.peek();
        let at = walk.place();
        let can_be_passed = fault != JsonFault::CutOff && matches!(self.state, State::List { .. });
        if can_be_passed && walk.peek() == Some(b'{') && walk.value().is_ok() {
            return walk.place();
        }
        match (self.state, memchr::memchr(b'\n', &bytes[at..])) {
            // One document a line: the next line may be good.
            (State::Between, Some(end)) => at + end + 1,
            (State::Between, None) if next == Next::End || next == Next::Broken => bytes.len(),
            _ => {
                self.state = State::Lost;
                sink.tally.objects_unreadable += 1;
                bytes.len()
            }
        }
    }
}

/// Where the records start, if the object at a place is one around a list of them, which stands
/// first in it.
fn records(bytes: &[u8], at: usize) -> Result<Option<usize>, JsonFault> {
    let mut walk = Walk::at(bytes, at);
    walk.pass();
    if walk.peek() != Some(b'"') {
        return Ok(None);
    }
    let key = walk.text()?;
    walk.expect(b':')?;
    let is_list = walk.peek().ok_or(JsonFault::CutOff)? == b'[';
    walk.pass();
    Ok((is_list && key.eq_ignore_ascii_case(b"records")).then(|| walk.place()))
}

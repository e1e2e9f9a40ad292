//! Reading JSON documents, in the forms in which logs come: one a line or one after another, lists,
//! objects around a list, and envelopes around one record or around the text of one.
//!
//! What must stay true: a record is a row or a counted fault, whichever columns are asked for.

use std::borrow::Cow;

use super::json::{JsonFault, Walk, text_of};
use super::members::{Members, Names};
use super::{Object, Order, Reader, Sink};
use crate::unpack::{Chunk, Next};

/// How much of a line may stand before its document: a time, a stream and the like.
const MAX_PREFIX_BYTES: usize = 256;

/// Envelopes in envelopes are opened up to this many: a subscription's event, its message, the list
/// in it.
const MAX_ENVELOPES: usize = 4;

/// So many plain values may stand before a list that is streamed, such as the version of its form.
const MAX_BEFORE_LIST: usize = 4;

/// What the records of a log are, and how they become rows.
pub(super) trait Shape: Send {
    /// The members that are looked at, of records and of what is around them.
    fn names(&self) -> &'static Names;

    /// The forms that the log comes in.
    fn forms(&self) -> &'static Forms;

    /// Whether an object is a record.
    fn is_record(&self, members: &Members<'_>) -> bool;

    /// Whether an object is none and need not be one.
    fn is_beside(&self, _members: &Members<'_>) -> bool {
        false
    }

    /// Makes a row of a record that is UTF-8.
    fn row(&self, record: &Record<'_>, sink: &mut Sink);
}

/// The forms that a log comes in.
#[derive(Debug)]
pub(super) struct Forms {
    /// Members that hold a list of records and need not be read as a whole: what else is in the
    /// object says nothing of them.
    pub streamed: &'static [&'static str],
    /// Members that hold a list of records, or of envelopes of them.
    pub lists: &'static [&'static str],
    /// Members that hold a record.
    pub envelopes: &'static [&'static str],
    /// Members that hold the text of a record.
    pub texts: &'static [&'static str],
    /// Whether lines may have something before their document.
    pub is_prefixed: bool,
}

/// A record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// Its members.
    pub members: &'a Members<'a>,
    /// What is around it.
    pub outer: Option<&'a Outer<'a>>,
    /// The number of the record in its object.
    pub number: u64,
}

/// An object around a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outer<'a> {
    /// Its members.
    members: &'a Members<'a>,
    /// What is around it.
    outer: Option<&'a Outer<'a>>,
}

impl<'a> Outer<'a> {
    /// The text of a member of the nearest object that has it.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let own = self.members.text(name);
        own.or_else(|| self.outer.and_then(|outer| outer.text(name)))
    }
}

/// A reader of documents.
pub(super) struct Documents<S> {
    shape: S,
    order: Order,
    object: Object,
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
    /// In the rest of a line that was dropped for its length.
    LongLine,
    /// What comes cannot be told apart; it was counted.
    Lost,
}

impl<S: Shape> Reader for Documents<S> {
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
            self.bad("the list of records does not end", sink);
        }
        match self.state {
            State::Lost => bytes.len(),
            _ => at,
        }
    }
}

impl<S: Shape> Documents<S> {
    /// A reader of one object.
    pub fn new(shape: S, order: &Order, object: &Object) -> Self {
        Self {
            shape,
            order: order.clone(),
            object: object.clone(),
            state: State::Between,
            record: 0,
            is_first: true,
        }
    }

    fn bad(&self, what: impl Into<String>, sink: &mut Sink) {
        sink.tally
            .bad_record(|| place(&self.object, self.record), what);
    }

    /// Goes one step on from a place and says where that ends; nothing where the bytes end between
    /// two values.
    fn step(
        &mut self,
        bytes: &[u8],
        at: usize,
        sink: &mut Sink,
    ) -> Result<Option<usize>, JsonFault> {
        if self.state == State::LongLine {
            return Ok(memchr::memchr(b'\n', &bytes[at..]).map(|end| {
                self.state = State::Between;
                at + end + 1
            }));
        }
        let mut walk = Walk::at(bytes, at);
        let Some(first) = walk.peek() else {
            return Ok(None);
        };
        match (self.state, first) {
            (State::Between, b'[') => {
                walk.pass();
                self.state = State::List { is_wrapped: false };
            }
            (State::Between, b'{') => match self.streamed(bytes, walk.place())? {
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
                self.bad("it is not an object", sink);
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
            (State::Between, _) if self.shape.forms().is_prefixed => {
                return prefix(bytes, walk.place()).map(Some);
            }
            (State::Between | State::After, _) => {
                return Err(JsonFault::Misplaced { at: walk.place() });
            }
            (State::LongLine | State::Lost, _) => return Ok(None),
        }
        Ok(Some(walk.place()))
    }

    /// Where the records start, if the object at a place is one around a list of them, before which there
    /// are at most a few plain values.
    fn streamed(&self, bytes: &[u8], at: usize) -> Result<Option<usize>, JsonFault> {
        let streamed = self.shape.forms().streamed;
        if streamed.is_empty() {
            return Ok(None);
        }
        let mut walk = Walk::at(bytes, at);
        walk.pass();
        for _ in 0..=MAX_BEFORE_LIST {
            if walk.peek() != Some(b'"') {
                break;
            }
            let key = walk.text()?;
            walk.expect(b':')?;
            match walk.peek().ok_or(JsonFault::CutOff)? {
                b'[' => {
                    let is_known = streamed
                        .iter()
                        .any(|name| name.as_bytes().eq_ignore_ascii_case(key));
                    walk.pass();
                    return Ok(is_known.then(|| walk.place()));
                }
                b'{' => break,
                _ => drop(walk.value()?),
            }
            if walk.peek() != Some(b',') {
                break;
            }
            walk.pass();
        }
        Ok(None)
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
        let mut members = Members::new(self.shape.names());
        walk.object(|key, value| members.take(key, value))?;
        let end = walk.place();
        self.record += 1;
        if std::str::from_utf8(&bytes[at..end]).is_err() {
            self.bad("it is not UTF-8", sink);
        } else if !self.members(&members, None, MAX_ENVELOPES, sink) {
            self.bad("it is an object, but not a record of this log", sink);
        }
        Ok(end)
    }

    /// Makes rows of an object, or of what is in it. Whether there is anything in it that should
    /// have been one.
    fn members(
        &mut self,
        members: &Members<'_>,
        outer: Option<&Outer<'_>>,
        envelopes_left: usize,
        sink: &mut Sink,
    ) -> bool {
        if self.shape.is_record(members) {
            let record = Record {
                members,
                outer,
                number: self.record,
            };
            self.shape.row(&record, sink);
            return true;
        }
        if envelopes_left == 0 {
            return false;
        }
        let forms = self.shape.forms();
        let around = Outer { members, outer };
        for name in forms.envelopes {
            if let Some(json) = members.get(name)
                && self.inner(json, &around, envelopes_left, sink)
            {
                return true;
            }
        }
        for name in forms.texts {
            if let Some(text) = members.get(name).and_then(text_of)
                && self.inner(text.as_bytes(), &around, envelopes_left, sink)
            {
                return true;
            }
        }
        for name in forms.lists {
            if let Some(list) = members.get(name)
                && list.first() == Some(&b'[')
            {
                self.list(list, &around, envelopes_left, sink);
                return true;
            }
        }
        self.shape.is_beside(members)
    }

    /// Makes rows of the JSON in an envelope.
    fn inner(
        &mut self,
        json: &[u8],
        outer: &Outer<'_>,
        envelopes_left: usize,
        sink: &mut Sink,
    ) -> bool {
        let mut members = Members::new(self.shape.names());
        let is_whole = Walk::at(json, 0)
            .object(|key, value| members.take(key, value))
            .is_ok();
        is_whole && self.members(&members, Some(outer), envelopes_left - 1, sink)
    }

    fn list(&mut self, list: &[u8], outer: &Outer<'_>, envelopes_left: usize, sink: &mut Sink) {
        // The list is counted by what is in it.
        self.record -= 1;
        let is_beside = self.shape.is_beside(outer.members);
        let ended = Walk::at(list, 0).list(|item| {
            self.record += 1;
            if !self.inner(item, outer, envelopes_left, sink) && !is_beside {
                self.bad("it is not a record of this log", sink);
            }
        });
        if ended.is_err() {
            self.bad("the list of records is not one", sink);
        }
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
        let is_too_long = next == Next::Dropped && fault == JsonFault::CutOff;
        if is_too_long {
            sink.tally.over_limit += 1;
            let most = bytes.len() - at;
            what = format!("the record has more than {most} bytes, which no record may");
        }
        self.bad(what, sink);
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
            (State::Between, None) if is_too_long => {
                self.state = State::LongLine;
                bytes.len()
            }
            _ => {
                self.state = State::Lost;
                // That an object breaks off is counted by whoever unpacks it.
                sink.tally.objects_unreadable += u64::from(next != Next::Broken);
                bytes.len()
            }
        }
    }
}

/// The place of a record, as shown.
pub(super) fn place(object: &Object, record: u64) -> String {
    format!("{}:{record}", object.name)
}

/// Where the document of a line starts that has something before it.
fn prefix(bytes: &[u8], at: usize) -> Result<usize, JsonFault> {
    let rest = &bytes[at..];
    let looked_at = &rest[..rest.len().min(MAX_PREFIX_BYTES)];
    let line = match memchr::memchr(b'\n', looked_at) {
        Some(end) => &looked_at[..end],
        None => looked_at,
    };
    match memchr::memchr(b'{', line) {
        Some(found) => Ok(at + found),
        // The line may go on in the next chunk.
        None if line.len() == rest.len() => Err(JsonFault::CutOff),
        None => Err(JsonFault::Misplaced { at }),
    }
}

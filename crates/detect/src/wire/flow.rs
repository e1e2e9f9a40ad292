//! One TCP connection, as far as it is followed.

use std::net::SocketAddr;

use davylamp_content::detection::Wire as Seen;

use super::packet::Segment;
use super::sniff::{self, Facts};
use super::stream::Stream;

/// A connection, whoever of the two sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(SocketAddr, SocketAddr);

impl Key {
    pub fn of(from: SocketAddr, to: SocketAddr) -> Self {
        if from <= to {
            Self(from, to)
        } else {
            Self(to, from)
        }
    }
}

/// A miner's rhythm, measured on real captures: 3 to 42 packets a minute, gaps of 4 to 37 seconds,
/// sessions of 5 to 20 minutes and longer. A flow that has not lasted so long shows no rhythm.
pub const MIN_RHYTHM_NS: u64 = 5 * 60 * 1_000_000_000;
const PACKETS_A_MINUTE: std::ops::RangeInclusive<f64> = 1.0..=60.0;
const MAX_GAP_NS: u64 = 120 * 1_000_000_000;
const MAX_BYTES_A_PACKET: f64 = 1200.0;

/// What the start of a flow shows.
pub(super) enum Start {
    /// A protocol of pools.
    Protocol(Seen, Facts),
    /// A TLS greeting, and whom it names.
    Greeting(Option<String>),
}

#[derive(Debug)]
pub(super) struct Flow {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub began_ns: u64,
    pub last_ns: u64,
    sent: Stream,
    received: Stream,
    is_known: bool,
    has_grown: bool,
    packets: u64,
    bytes: u64,
    longest_gap_ns: u64,
    /// It began with a TLS greeting, and whether that named a server.
    greeting: Option<bool>,
}

impl Flow {
    pub fn begin(time_ns: u64, segment: &Segment<'_>) -> Self {
        // Who sends the first SYN is the client; where none was seen, who speaks to the lower port.
        let is_client = match (segment.is_start, segment.is_answer) {
            (true, is_answer) => !is_answer,
            (false, _) => segment.to.port() <= segment.from.port(),
        };
        let (client, server) = match is_client {
            true => (segment.from, segment.to),
            false => (segment.to, segment.from),
        };
        Self {
            client,
            server,
            began_ns: time_ns,
            last_ns: time_ns,
            sent: Stream::default(),
            received: Stream::default(),
            is_known: false,
            has_grown: false,
            packets: 0,
            bytes: 0,
            longest_gap_ns: 0,
            greeting: None,
        }
    }

    pub fn take(&mut self, time_ns: u64, segment: &Segment<'_>) {
        if !segment.payload.is_empty() {
            self.longest_gap_ns = self
                .longest_gap_ns
                .max(time_ns.saturating_sub(self.last_ns));
            self.last_ns = time_ns;
            self.packets += 1;
            self.bytes += segment.payload.len() as u64;
        }
        let stream = match segment.from == self.client {
            true => &mut self.sent,
            false => &mut self.received,
        };
        if segment.is_start {
            stream.start(segment.sequence);
        }
        self.has_grown |= stream.take(segment.sequence, segment.payload);
    }

    /// What the start of the flow shows, once.
    pub fn sniff(&mut self) -> Option<Start> {
        if self.is_known || !std::mem::take(&mut self.has_grown) {
            return None;
        }
        if let Some(name) = sniff::greeting(self.sent.bytes()) {
            let is_first = self.greeting.replace(name.is_some()).is_none();
            return is_first.then_some(Start::Greeting(name));
        }
        let found = sniff::payload(self.sent.bytes(), self.received.bytes());
        self.is_known = found.is_some();
        found.map(|(seen, facts)| Start::Protocol(seen, facts))
    }

    /// The messages of a name server that have come whole (RFC 1035, section 4.2.2).
    pub fn messages_of_names(&mut self, segment: &Segment<'_>) -> Vec<Vec<u8>> {
        let stream = match segment.from == self.client {
            true => &mut self.sent,
            false => &mut self.received,
        };
        let mut messages = Vec::new();
        while let [high, low, rest @ ..] = stream.bytes() {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(message) = rest.get(..length) else {
                break;
            };
            messages.push(message.to_vec());
            stream.consume(length + 2);
        }
        messages
    }

    /// What the flow's rhythm shows.
    pub fn rhythm(&self) -> Option<Seen> {
        if self.is_known {
            None
        } else {
            self.measured().seen()
        }
    }

    /// The rhythm in words.
    pub fn told(&self) -> String {
        self.measured().told()
    }

    fn measured(&self) -> Rhythm {
        Rhythm {
            lasted_ns: self.last_ns.saturating_sub(self.began_ns),
            longest_gap_ns: self.longest_gap_ns,
            packets: self.packets,
            bytes: self.bytes,
            greeting: self.greeting,
        }
    }
}

/// How a flow went, measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// From its first packet to its last.
    pub lasted_ns: u64,
    /// The longest time without a packet.
    pub longest_gap_ns: u64,
    /// Packets that carried something.
    pub packets: u64,
    /// What they carried.
    pub bytes: u64,
    /// Whether it began with a TLS greeting, and whether that named a server.
    pub greeting: Option<bool>,
}

impl Rhythm {
    /// What it shows.
    pub fn seen(&self) -> Option<Seen> {
        let is_even = self.packets > 0
            && self.lasted_ns >= MIN_RHYTHM_NS
            && self.longest_gap_ns <= MAX_GAP_NS
            && PACKETS_A_MINUTE.contains(&self.packets_a_minute())
            && self.bytes as f64 / (self.packets as f64) <= MAX_BYTES_A_PACKET;
        match self.greeting {
            _ if !is_even => None,
            Some(false) => Some(Seen::ThinFlowInTlsWithoutName),
            _ => Some(Seen::ThinFlow),
        }
    }

    /// It in words.
    pub fn told(&self) -> String {
        format!(
            "{} packets and {} bytes in {} minutes, no gap over {} seconds",
            self.packets,
            self.bytes,
            self.lasted_ns / 60_000_000_000,
            self.longest_gap_ns.div_ceil(1_000_000_000),
        )
    }

    fn packets_a_minute(&self) -> f64 {
        self.packets as f64 * 60e9 / self.lasted_ns.max(1) as f64
    }
}

//! Judging what goes over the wire: the protocols of mining pools, their names, and their rhythm.
//!
//! Packets come in as they were captured; what comes out are signs, each of one flow. The same
//! sniffers judge captures, and payloads that the guard keeps of a flow.
//!
//! What must stay true: a handshake is recognised however it is cut into segments, in either
//! direction; what is kept of a flow is bounded; a packet that cannot be read is said to be so.
//!
//! Deliberately not here: files, and what a sign leads to.

pub mod capture;
mod flow;
mod names;
mod packet;
mod sniff;
mod stream;
pub mod walk;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use davylamp_content::detection::Wire as Seen;
use davylamp_content::indicators::Confidence;

use crate::indicator::Indicators;
use flow::{Flow, Key, Start};

pub use flow::{MIN_RHYTHM_NS, Rhythm};
pub use packet::Link;
pub use sniff::{Facts, payload, payload_cut};

/// So many flows are followed at once; those that have been silent for longest make room.
const MAX_FLOWS: usize = 65_536;

/// The port of DNS over TLS (RFC 7858, section 3.1).
const DNS_OVER_TLS: u16 = 853;

/// So many addresses are remembered with the name that led to them.
const MAX_NAMES: usize = 65_536;

/// The name that a message to a name server asks for.
pub fn name_asked(message: &[u8]) -> Option<String> {
    let read = names::read(message)?;
    read.asked
        .into_iter()
        .next()
        .filter(|name| !name.is_empty())
}

/// The name in a TLS greeting, where there is one and it names somebody.
pub fn name_greeted(sent: &[u8]) -> Option<String> {
    sniff::greeting(sent).flatten()
}

/// A sign of mining in one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What was seen.
    pub seen: Seen,
    /// When, in nanoseconds of the capture's clock.
    pub time_ns: u64,
    /// Who began the flow.
    pub client: SocketAddr,
    /// Whom it reached.
    pub server: SocketAddr,
    /// The name that was looked up or asked for, or by which the server's address was found.
    pub name: Option<String>,
    /// What the messages say.
    pub facts: Facts,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It was read.
    Read,
    /// It is of another kind than is judged here: neither TCP nor names.
    Other,
    /// It cannot be read.
    Unreadable,
}

/// Judges the packets of one capture, in their order.
#[derive(Debug)]
pub struct Judge<'a> {
    indicators: &'a Indicators,
    resolvers: Option<&'a Indicators>,
    flows: HashMap<Key, Flow>,
    names: HashMap<IpAddr, String>,
    evicted: u64,
}

impl<'a> Judge<'a> {
    /// A judge that has seen nothing.
    pub fn new(indicators: &'a Indicators) -> Self {
        Self {
            indicators,
            resolvers: None,
            flows: HashMap::new(),
            names: HashMap::new(),
            evicted: 0,
        }
    }

    /// Looks for encrypted questions too: greetings of resolvers with these names, or at the port of
    /// DNS over TLS.
    pub fn with_resolvers(self, resolvers: Option<&'a Indicators>) -> Self {
        Self { resolvers, ..self }
    }

    /// How many flows had to make room before they ended.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Judges the next packet.
    pub fn packet(
        &mut self,
        time_ns: u64,
        link: Link,
        bytes: &[u8],
        signs: &mut Vec<Sign>,
    ) -> Judged {
        let Some(read) = packet::read(link, bytes) else {
            return Judged::Unreadable;
        };
        match read {
            packet::Read::Other => Judged::Other,
            packet::Read::Datagram { from, to, payload } => {
                if from.port() != 53 && to.port() != 53 {
                    return Judged::Other;
                }
                self.names_of(time_ns, from, to, payload, signs);
                Judged::Read
            }
            packet::Read::Segment(segment) => {
                self.segment(time_ns, &segment, signs);
                Judged::Read
            }
        }
    }

    /// Judges what only the whole of a flow shows.
    pub fn finish(&mut self, signs: &mut Vec<Sign>) {
        let mut flows: Vec<(Key, Flow)> = self.flows.drain().collect();
        flows.sort_by_key(|(_, flow)| flow.began_ns);
        for (_, flow) in flows {
            if let Some(seen) = flow.rhythm() {
                let mut sign = self.sign(seen, flow.last_ns, &flow, Facts::default());
                sign.facts.rhythm = Some(flow.told());
                signs.push(sign);
            }
        }
    }

    fn segment(&mut self, time_ns: u64, segment: &packet::Segment<'_>, signs: &mut Vec<Sign>) {
        let key = Key::of(segment.from, segment.to);
        if !self.flows.contains_key(&key) && self.flows.len() >= MAX_FLOWS {
            self.make_room();
        }
        if !self.flows.contains_key(&key) {
            let flow = Flow::begin(time_ns, segment);
            let server = flow.server;
            let is_known = self.indicators.address(server.ip(), Some(server.port()));
            if is_known.is_some() {
                signs.push(self.sign(Seen::PoolAddress, time_ns, &flow, Facts::default()));
            }
            self.flows.insert(key, flow);
        }
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        flow.take(time_ns, segment);
        if segment.from.port() == 53 || segment.to.port() == 53 {
            for message in flow.messages_of_names(segment) {
                self.names_of(time_ns, segment.from, segment.to, &message, signs);
            }
            return;
        }
        let Some(start) = flow.sniff() else {
            return;
        };
        let found = match start {
            Start::Protocol(seen, facts) => Some((seen, facts)),
            Start::Greeting(name) => {
                let server = flow.server;
                self.greeted(server, name.as_deref()).map(|seen| {
                    let facts = Facts {
                        name,
                        ..Facts::default()
                    };
                    (seen, facts)
                })
            }
        };
        if let (Some((seen, facts)), Some(flow)) = (found, self.flows.get(&key)) {
            signs.push(self.sign(seen, time_ns, flow, facts));
        }
    }

    /// What it is a sign of that a server is greeted by this name.
    fn greeted(&self, server: SocketAddr, name: Option<&str>) -> Option<Seen> {
        if self.is_pool(name) {
            return Some(Seen::PoolNameInTls);
        }
        let resolvers = self.resolvers?;
        let is_resolver = || name.is_some_and(|name| resolvers.domain(name).is_some());
        (server.port() == DNS_OVER_TLS || is_resolver()).then_some(Seen::EncryptedDns)
    }

    fn sign(&self, seen: Seen, time_ns: u64, flow: &Flow, facts: Facts) -> Sign {
        let known = || self.names.get(&flow.server.ip()).cloned();
        Sign {
            seen,
            time_ns,
            client: flow.client,
            server: flow.server,
            name: facts.name.clone().or_else(known),
            facts,
        }
    }

    fn is_pool(&self, name: Option<&str>) -> bool {
        let found = name.and_then(|name| self.indicators.domain(name));
        found.is_some_and(|found| found.confidence >= Confidence::Medium)
    }

    fn names_of(
        &mut self,
        time_ns: u64,
        from: SocketAddr,
        to: SocketAddr,
        message: &[u8],
        signs: &mut Vec<Sign>,
    ) {
        let Some(read) = names::read(message) else {
            return;
        };
        for (address, name) in read.addresses {
            if self.names.len() < MAX_NAMES || self.names.contains_key(&address) {
                self.names.insert(address, name);
            }
        }
        if read.is_answer {
            return;
        }
        for name in read.asked {
            if self.is_pool(Some(&name)) {
                signs.push(Sign {
                    seen: Seen::PoolNameLookup,
                    time_ns,
                    client: from,
                    server: to,
                    name: Some(name),
                    facts: Facts::default(),
                });
            }
        }
    }

    /// A quarter at once, so that looking for them is paid for seldom.
    fn make_room(&mut self) {
        let mut times: Vec<u64> = self.flows.values().map(|flow| flow.last_ns).collect();
        let before = times.len();
        let (_, limit, _) = times.select_nth_unstable(before / 4);
        self.flows.retain(|_, flow| flow.last_ns > *limit);
        self.evicted += (before - self.flows.len()) as u64;
    }
}

#[cfg(test)]
mod tests;

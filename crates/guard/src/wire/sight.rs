//! Reading what the programs of the wire tell.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use davylamp_content::detection::Wire as Seen;
use davylamp_detect::wire::{
    Facts, Rhythm, name_asked, name_greeted, payload, payload_cut, walk::seen_of,
};
use serde_json::{Map, Value, json};
use zerocopy::FromBytes;

use crate::{
    abi::{ConnectEvent, EventHeader, EventKind, WIRE_DROPPED, WireEvent},
    event::{EventError, KernelEvent, until_nul},
};

/// Whether an event of the kernel's is one of these.
pub fn is_of_wire(event: &KernelEvent) -> bool {
    matches!(
        event.kind,
        EventKind::Wire | EventKind::Rhythm | EventKind::Connect
    )
}

/// What the kernel did about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing: it is only told.
    Told,
    /// The flow was cut off and its owner killed.
    Killed,
    /// The owner is protected.
    Spared,
    /// It only observes.
    WouldKill,
    /// The flow was cut off; the owner was not reached yet.
    Missed,
    /// It was dropped; nobody is to be killed.
    Dropped,
}

impl Done {
    fn of(number: u32) -> Result<Self, EventError> {
        Ok(match number {
            0 => Self::Told,
            1 => Self::Killed,
            2 => Self::Spared,
            4 => Self::WouldKill,
            5 => Self::Missed,
            WIRE_DROPPED => Self::Dropped,
            number => {
                return Err(EventError::Unknown {
                    what: "deed",
                    number,
                });
            }
        })
    }
}

/// What was seen of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What it is. `None` where the programs' own judgement does not stand the second look, or where
    /// a rhythm is none.
    pub seen: Option<Seen>,
    /// What was done.
    pub done: Done,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Whether this end accepted the connection.
    pub is_server: bool,
    /// Whether it was seen in what came in.
    pub is_received: bool,
    /// The name that is asked for, greeted, or by which the address was found.
    pub name: Option<String>,
    /// What the messages say.
    pub facts: Facts,
    /// How the flow went.
    pub rhythm: Rhythm,
}

impl Sight {
    /// Reads what follows an event.
    ///
    /// # Errors
    /// [`EventError`] for what no program of this version writes.
    pub fn read(event: &KernelEvent, bytes: &[u8]) -> Result<Self, EventError> {
        let tail = bytes.get(size_of::<EventHeader>()..).unwrap_or_default();
        let (tail, _) =
            WireEvent::read_from_prefix(tail).map_err(|_| EventError::Short(bytes.len()))?;
        let sight = tail.sight;
        let kept = |bytes: &[u8], length: u32| bytes[..bytes.len().min(length as usize)].to_vec();
        let sent = kept(&sight.sent, sight.sent_len);
        let received = kept(&sight.received, sight.received_len);
        let rhythm = Rhythm {
            lasted_ns: sight.last_ns.saturating_sub(sight.began_ns),
            longest_gap_ns: sight.longest_gap_ns,
            packets: sight.packets.into(),
            bytes: sight.bytes,
            greeting: match sight.greeting {
                0 => None,
                greeting => Some(greeting == 2),
            },
        };
        let known = Some(until_nul(&sight.name))
            .map(|name| name.trim_start_matches('.').to_ascii_lowercase())
            .filter(|name| !name.is_empty());
        let mut facts = Facts::default();
        let mut seen = seen_of(sight.seen);
        let mut name = None;
        match (event.kind, seen) {
            (EventKind::Rhythm, _) => {
                seen = rhythm.seen();
                facts.rhythm = Some(rhythm.told());
            }
            (_, Some(Seen::PoolNameLookup)) => {
                // By TCP its length stands before it, and what comes behind the name may be cut off.
                name = match rhythm.packets {
                    0 => name_asked(&sent),
                    _ => name_asked(&[sent.get(2..).unwrap_or_default(), &[0; 4]].concat()),
                };
            }
            (_, Some(Seen::PoolNameInTls | Seen::EncryptedDns)) => name = name_greeted(&sent),
            (_, Some(Seen::Stratum2Handshake)) => {
                seen = payload(&sent, &received).map(|(seen, _)| seen);
            }
            (_, Some(Seen::PoolAddress) | None) => {}
            (_, Some(_)) => {
                if let Some((better, found)) = payload_cut(&sent, &received) {
                    seen = Some(better);
                    facts = found;
                }
            }
        }
        let name = name.or_else(|| facts.name.clone()).or(known);
        Ok(Self {
            seen,
            done: Done::of(sight.done)?,
            local: end(sight.local, sight.local_port),
            remote: end(sight.remote, sight.remote_port),
            is_server: sight.is_server != 0,
            is_received: sight.is_received != 0,
            name,
            facts,
            rhythm,
        })
    }

    /// The pool's end, as far as that can be told.
    pub fn pool(&self) -> SocketAddr {
        if self.is_server {
            self.local
        } else {
            self.remote
        }
    }

    /// What is known, for the log.
    pub fn evidence(&self) -> Map<String, Value> {
        let mut evidence = Map::new();
        let mut put = |key: &str, value: Value| {
            if !value.is_null() {
                evidence.insert(key.to_owned(), value);
            }
        };
        put("protocol", json!(self.seen.map(Seen::as_str)));
        put("pool", json!(self.pool().to_string()));
        put("pool_address", json!(self.pool().ip().to_string()));
        put("pool_port", json!(self.pool().port()));
        put("pool_name", json!(self.name));
        put("local", json!(self.local.to_string()));
        put("remote", json!(self.remote.to_string()));
        put(
            "direction",
            json!(if self.is_received { "received" } else { "sent" }),
        );
        put(
            "role",
            json!(if self.is_server { "server" } else { "client" }),
        );
        put("method", json!(self.facts.method));
        put("wallet", json!(self.facts.wallet));
        put("worker", json!(self.facts.worker));
        put("algorithm", json!(self.facts.algorithm));
        put("agent", json!(self.facts.agent));
        put("rhythm", json!(self.facts.rhythm));
        let is_dropped = matches!(self.done, Done::Killed | Done::Missed | Done::Dropped);
        put("dropped", json!(is_dropped));
        evidence
    }

    /// What matched: a method, a name, an address.
    pub fn matched(&self) -> String {
        let named = match self.seen {
            Some(Seen::PoolNameLookup | Seen::PoolNameInTls) => self.name.clone(),
            Some(Seen::PoolAddress) => Some(self.remote.to_string()),
            Some(Seen::EncryptedDns) => {
                Some(self.name.clone().unwrap_or_else(|| self.remote.to_string()))
            }
            _ => self.facts.method.clone(),
        };
        named.unwrap_or_else(|| self.seen.map_or("", Seen::as_str).to_owned())
    }

    /// What was seen, in words.
    pub fn told(&self) -> String {
        let pool = match &self.name {
            Some(name) => format!("{} ({name})", self.pool()),
            None => self.pool().to_string(),
        };
        match self.seen {
            Some(Seen::PoolNameLookup) => {
                format!("it asks {} for {}", self.remote, self.matched())
            }
            Some(Seen::PoolNameInTls) => format!("its TLS greeting to {} names a pool", pool),
            Some(Seen::EncryptedDns) => format!("it asks {pool} for names, encrypted"),
            Some(Seen::PoolAddress) => format!("it connects to {pool}, the address of a pool"),
            Some(Seen::ThinFlow | Seen::ThinFlowInTlsWithoutName) => {
                format!("its connection with {pool}: {}", self.rhythm.told())
            }
            Some(seen) => format!("it speaks {} with {pool}", seen.as_str()),
            None => String::new(),
        }
    }
}

/// A process connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Where to.
    pub remote: SocketAddr,
    /// What was done, where the address is banned.
    pub banned: Option<Done>,
}

impl Connect {
    /// Reads what follows an event.
    ///
    /// # Errors
    /// [`EventError`] for what no program of this version writes.
    pub fn read(bytes: &[u8]) -> Result<Self, EventError> {
        let tail = bytes.get(size_of::<EventHeader>()..).unwrap_or_default();
        let (tail, _) =
            ConnectEvent::read_from_prefix(tail).map_err(|_| EventError::Short(bytes.len()))?;
        Ok(Self {
            remote: end(tail.remote, tail.remote_port),
            banned: (tail.is_banned != 0)
                .then(|| Done::of(tail.done))
                .transpose()?,
        })
    }
}

fn end(address: [u8; 16], port: u16) -> SocketAddr {
    let address = IpAddr::V6(Ipv6Addr::from(address)).to_canonical();
    SocketAddr::new(address, port)
}

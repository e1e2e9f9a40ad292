//! Looking up indicators: a name by its labels, an address, a port.
//!
//! What must stay true: a name matches a domain only at the border of a label, so that
//! `notapool.example` is not `apool.example`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::str::FromStr;

use davylamp_content::indicators::{Confidence, Indicator, Value};

/// Labels of a longer name are not looked at: no name in the domain name system has more.
const MAX_LABELS: usize = 127;

/// So many addresses of pools with one port make it a port of pools.
const MIN_POOL_ADDRESSES: usize = 5;

/// Ports that a pool may have and that say nothing: those of well-known services, those of web
/// servers, and those from which systems choose at random (Linux, `ip_local_port_range`).
const WELL_KNOWN_PORTS: std::ops::Range<u16> = 0..1024;
const WEB_PORTS: &[u16] = &[8080, 8443, 8888];
const FIRST_RANDOM_PORT: u16 = 32_768;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// What stands in the column `indicator_id`: the kind and the value.
    pub id: Box<str>,
    /// How far it can be trusted.
    pub confidence: Confidence,
}

/// A set of indicators that can be looked up.
#[derive(Debug, Clone, Default)]
pub struct Indicators {
    domains: HashMap<Box<str>, Match>,
    addresses: HashMap<IpAddr, Match>,
    address_ports: HashMap<(IpAddr, u16), Match>,
    /// Networks by their length and first address, the longest first.
    networks: BTreeMap<Reverse<u8>, HashMap<IpAddr, Match>>,
    ports: HashMap<u16, Match>,
    pool_ports: HashSet<u16>,
}

impl Match {
    /// What was matched: `domain`, `address`, `address_port` or `port`.
    pub fn kind(&self) -> &str {
        self.id.split(':').next().unwrap_or_default()
    }

    /// The value that was matched.
    pub fn value(&self) -> &str {
        self.id.split_once(':').map_or("", |(_, value)| value)
    }
}

impl Indicators {
    /// The set of these.
    pub fn new<'a>(indicators: impl IntoIterator<Item = &'a Indicator>) -> Self {
        let mut set = Self::default();
        let mut addresses_of: HashMap<u16, usize> = HashMap::new();
        for indicator in indicators {
            let found = Match {
                id: indicator.value.id().into(),
                confidence: indicator.confidence,
            };
            match &indicator.value {
                Value::Domain(name) => drop(set.domains.insert(name.as_str().into(), found)),
                Value::Address(address) => {
                    set.addresses.insert(address.to_canonical(), found);
                }
                Value::AddressPort(address, port) => {
                    *addresses_of.entry(*port).or_default() += 1;
                    set.address_ports
                        .insert((address.to_canonical(), *port), found);
                }
                Value::Network(first, bits) => {
                    let of_length = set.networks.entry(Reverse(*bits)).or_default();
                    of_length.insert(*first, found);
                }
                Value::Port(port) => {
                    set.pool_ports.insert(*port);
                    set.ports.insert(*port, found);
                }
            }
        }
        let is_telling = |port: &u16| {
            !WELL_KNOWN_PORTS.contains(port)
                && !WEB_PORTS.contains(port)
                && *port < FIRST_RANDOM_PORT
        };
        let shared = addresses_of
            .into_iter()
            .filter(|(port, count)| *count >= MIN_POOL_ADDRESSES && is_telling(port));
        set.pool_ports.extend(shared.map(|(port, _)| port));
        set
    }

    /// The set of these domains, with everything below them.
    pub fn of_domains<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |name: &str| {
            let id = Value::Domain(name.to_owned()).id().into();
            let confidence = Confidence::High;
            (name.into(), Match { id, confidence })
        };
        Self {
            domains: names.into_iter().map(known).collect(),
            ..Self::default()
        }
    }

    /// The domains that are known with this confidence or more.
    pub fn domains(&self, least: Confidence) -> impl Iterator<Item = &str> {
        let known = self.domains.iter();
        known.filter_map(move |(name, found)| (found.confidence >= least).then_some(&**name))
    }

    /// The networks that are known, by their first address and length in bits; an address alone is
    /// one of full length.
    pub fn networks(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let networks = self.networks.iter();
        let networks = networks
            .flat_map(|(Reverse(bits), known)| known.keys().map(move |first| (*first, *bits)));
        let full = |address: &IpAddr| (*address, if address.is_ipv4() { 32 } else { 128 });
        networks.chain(self.addresses.keys().map(full))
    }

    /// The addresses that are known with a port alone.
    pub fn endpoints(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        self.address_ports.keys().copied()
    }

    /// A name, by itself or by a domain it lies in: the longest.
    pub fn domain(&self, name: &str) -> Option<&Match> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let lower;
        let mut rest = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        for _ in 0..MAX_LABELS {
            if let Some(found) = self.domains.get(rest) {
                return Some(found);
            }
            rest = rest.split_once('.')?.1;
        }
        None
    }

    /// An address, with its port where that is known: the port of the address before the address,
    /// and both before the longest network it lies in.
    pub fn address(&self, address: IpAddr, port: Option<u16>) -> Option<&Match> {
        let address = address.to_canonical();
        port.and_then(|port| self.address_ports.get(&(address, port)))
            .or_else(|| self.addresses.get(&address))
            .or_else(|| {
                self.networks
                    .iter()
                    .find_map(|(Reverse(bits), networks)| networks.get(&first_of(address, *bits)?))
            })
    }

    /// A port by itself.
    pub fn port(&self, port: u16) -> Option<&Match> {
        self.ports.get(&port)
    }

    /// Whether pools are often found at a port and others seldom: a weak sign.
    pub fn is_pool_port(&self, port: u16) -> bool {
        self.pool_ports.contains(&port)
    }

    /// Whatever a text is: a port, an address, an address with a port, or a name with or without
    /// one.
    pub fn text(&self, text: &str) -> Option<&Match> {
        let text = text.trim();
        if let Ok(port) = u16::from_str(text) {
            return self.port(port);
        }
        if let Ok(address) = IpAddr::from_str(text) {
            return self.address(address, None);
        }
        if let Ok(both) = std::net::SocketAddr::from_str(text) {
            return self.address(both.ip(), Some(both.port()));
        }
        let name = match text.rsplit_once(':') {
            Some((name, port)) if u16::from_str(port).is_ok() => name,
            _ => text,
        };
        self.domain(name)
    }
}

/// The first address of the network of this length that an address lies in.
fn first_of(address: IpAddr, bits: u8) -> Option<IpAddr> {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
            Some(IpAddr::from((u32::from(address) & mask).to_be_bytes()))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128_u32.checked_sub(bits)?)
                .unwrap_or(0);
            Some(IpAddr::from((u128::from(address) & mask).to_be_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let of = |value| Indicator {
            value,
            confidence: Confidence::Low,
            sources: vec!["test".to_owned()],
            licences: vec!["none".to_owned()],
            first_seen: None,
            last_seen: None,
        };
        let address = |text: &str| text.parse().expect("it is one");
        let set = Indicators::new(&[
            of(Value::Domain("apool.example".to_owned())),
            of(Value::Domain("eu.apool.example".to_owned())),
            of(Value::Address(address("192.0.2.1"))),
            of(Value::AddressPort(address("192.0.2.2"), 3333)),
            of(Value::Port(14444)),
            of(Value::Network(address("198.18.0.0"), 16)),
            of(Value::Network(address("198.18.7.0"), 24)),
            of(Value::Network(address("2001:db8::"), 32)),
        ]);
        let found = set.text(text).map_or("none", |found| &*found.id);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_text_is_looked_up_as_what_it_is() {
        check("apool.example", "domain:apool.example");
        check("XMR.APool.Example.", "domain:apool.example");
        check("a.eu.apool.example:443", "domain:eu.apool.example");
        check("notapool.example", "none");
        check("apool.example.org", "none");
        check("example", "none");
        check("192.0.2.1", "address:192.0.2.1");
        check("::ffff:192.0.2.1", "address:192.0.2.1");
        check("192.0.2.1:80", "address:192.0.2.1");
        check("192.0.2.2", "none");
        check("192.0.2.2:3333", "address_port:192.0.2.2:3333");
        check("[::ffff:192.0.2.2]:3333", "address_port:192.0.2.2:3333");
        check("198.18.7.1", "network:198.18.7.0/24");
        check("198.18.8.1:80", "network:198.18.0.0/16");
        check("198.19.0.1", "none");
        check("2001:db8::1", "network:2001:db8::/32");
        check("14444", "port:14444");
        check("", "none");
        check(&"a.".repeat(100_000), "none");
    }

    #[test]
    fn a_port_of_pools_is_one_that_many_pools_share() {
        let pools = davylamp_content::indicators::shipped_pools().expect("what ships is good");
        let set = Indicators::new(&pools);
        for (port, expected) in [
            (3333, true),
            (14444, true),
            (3334, false),
            (443, false),
            (8080, false),
            (8883, false),
            (40_000, false),
            (45_700, false),
        ] {
            assert_eq!(set.is_pool_port(port), expected, "{port}");
        }
    }

    #[test]
    fn a_match_says_its_kind_and_value() {
        let found = |id: &str| Match {
            id: id.into(),
            confidence: Confidence::Low,
        };
        let of_port = found("address_port:192.0.2.2:3333");
        assert_eq!(
            (of_port.kind(), of_port.value()),
            ("address_port", "192.0.2.2:3333")
        );
    }
}

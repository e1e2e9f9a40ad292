//! Addresses: which are public, and which lie in a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 network: its first address and the length of its prefix.
type Network4 = (Ipv4Addr, u8);

/// An IPv6 network.
type Network6 = (Ipv6Addr, u8);

/// Networks that no host on the public Internet has an address in: the IANA registry of special
/// IPv4 addresses, with multicast.
const NOT_PUBLIC_4: &[Network4] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The part of IPv6 that is given out for the public Internet (IANA, RFC 4291).
const PUBLIC_6: Network6 = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What inside [`PUBLIC_6`] is not: the IANA registry of special IPv6 addresses. Teredo and 6to4
/// carry an IPv4 address of their own and are judged by it.
const NOT_PUBLIC_6: &[Network6] = &[
    (Ipv6Addr::new(0x2001, 0x2, 0, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28),
    (Ipv6Addr::new(0x2001, 0x20, 0, 0, 0, 0, 0, 0), 28),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Addresses that translate to IPv4 (RFC 6052), whose last 32 bits are the IPv4 address.
const TRANSLATED: Network6 = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// 6to4 (RFC 3056): the IPv4 address follows the first 16 bits.
const SIX_TO_FOUR: Network6 = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// A network, as `192.0.2.0/24` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write one as 192.0.2.0/24 or 2001:db8::/32")]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NetworkError(text.chars().take(60).collect());
        let (first, prefix) = match text.split_once('/') {
            Some((first, prefix)) => (first, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| wrong())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= most),
            None => Some(most),
        };
        let prefix = prefix.ok_or_else(wrong)?;
        Ok(Self { first, prefix })
    }
}

impl Network {
    /// Whether an address lies in it. An IPv4 address may come mapped into IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => in4(address, (first, self.prefix)),
            (IpAddr::V6(first), IpAddr::V6(address)) => in6(address, (first, self.prefix)),
            // A network inside ::ffff:0:0/96 means IPv4 addresses as well.
            (IpAddr::V6(first), IpAddr::V4(address)) => {
                in6(address.to_ipv6_mapped(), (first, self.prefix))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }
}

/// Whether an address is one that hosts on the public Internet have.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_4(address),
        IpAddr::V6(address) => is_public_6(address),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC_4.iter().any(|network| in4(address, *network))
}

fn is_public_6(address: Ipv6Addr) -> bool {
    let [.., g, h] = address.segments();
    let [_, b, c, ..] = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    if in6(address, TRANSLATED) {
        return is_public_4(embedded(g, h));
    }
    if in6(address, SIX_TO_FOUR) {
        return is_public_4(embedded(b, c));
    }
    in6(address, PUBLIC_6) && !NOT_PUBLIC_6.iter().any(|network| in6(address, *network))
}

fn in4(address: Ipv4Addr, (first, prefix): Network4) -> bool {
    let differs = u32::from(address) ^ u32::from(first);
    prefix == 0 || differs >> (32 - u32::from(prefix)) == 0
}

fn in6(address: Ipv6Addr, (first, prefix): Network6) -> bool {
    let differs = u128::from(address) ^ u128::from(first);
    prefix == 0 || differs >> (128 - u32::from(prefix)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: bool) {
        let address: IpAddr = address.parse().expect("it is one");
        assert_eq!(is_public(address), expected, "{address}");
    }

    #[test]
    fn public_is_what_hosts_on_the_internet_have() {
        for public in [
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.1",
            "172.65.200.133",
            "100.63.255.255",
            "100.128.0.0",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2001:4860::8888",
        ] {
            check(public, true);
        }
        for not in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "0.0.0.0",
            "192.0.2.7",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
            "3fff::1",
            "4000::1",
        ] {
            check(not, false);
        }
    }

    fn check_network(network: &str, address: &str, expected: bool) {
        let network: Network = network.parse().expect("it is one");
        let address: IpAddr = address.parse().expect("it is one");
        assert_eq!(
            network.contains(address),
            expected,
            "{address} in {network:?}"
        );
    }

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        check_network("10.0.0.0/8", "10.255.0.1", true);
        check_network("10.0.0.0/8", "11.0.0.1", false);
        check_network("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check_network("0.0.0.0/0", "203.0.113.1", true);
        check_network("0.0.0.0/0", "2001:db8::1", false);
        check_network("192.0.2.1", "192.0.2.1", true);
        check_network("192.0.2.77/24", "192.0.2.1", true);
        check_network("2001:db8::/33", "2001:db8:8000::", false);
        check_network("::/0", "2001:db8::1", true);
        check_network("::ffff:0:0/96", "192.0.2.1", true);
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "x/8",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}

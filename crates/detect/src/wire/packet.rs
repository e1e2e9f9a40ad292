//! Captured bytes to segments and datagrams.

use std::net::{IpAddr, SocketAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

/// What a capture's packets begin with (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, 1.
    Ethernet,
    /// An IP packet, 101 (also 12, 14, 228 and 229).
    Ip,
    /// Four bytes that name the family, then an IP packet: 0 and 108.
    Loopback,
    /// Linux "cooked", version 1: 113.
    LinuxCooked,
    /// Linux "cooked", version 2: 276.
    LinuxCooked2,
}

impl Link {
    /// The link type of a capture by its number, where it is one that can be read.
    pub fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Self::Ip),
            0 | 108 => Some(Self::Loopback),
            113 => Some(Self::LinuxCooked),
            276 => Some(Self::LinuxCooked2),
            _ => None,
        }
    }
}

/// What a packet is.
pub(super) enum Read<'a> {
    Segment(Segment<'a>),
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        payload: &'a [u8],
    },
    Other,
}

/// A TCP segment.
pub(super) struct Segment<'a> {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub sequence: u32,
    pub is_start: bool,
    pub is_answer: bool,
    pub payload: &'a [u8],
}

/// What Ethernet and Linux call IP packets.
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// Reads a packet; of one of which only the start was kept, as far as it goes.
pub(super) fn read(link: Link, bytes: &[u8]) -> Option<Read<'_>> {
    // Where the protocol is named, and where the packet begins.
    let (protocol, start) = match link {
        Link::Ethernet | Link::Ip => (None, 0),
        Link::Loopback => (None, 4),
        Link::LinuxCooked => (Some(bytes.get(14..16)?), 16),
        Link::LinuxCooked2 => (Some(bytes.get(..2)?), 20),
    };
    if protocol.is_some_and(|protocol| protocol != IPV4 && protocol != IPV6) {
        return Some(Read::Other);
    }
    let packet = bytes.get(start..)?;
    let sliced = match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(packet).ok()?,
        _ => LaxSlicedPacket::from_ip(packet).ok()?,
    };
    let (source, destination): (IpAddr, IpAddr) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        Some(LaxNetSlice::Ipv6(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        // It should have been one, and its header cannot be read.
        _ if sliced.stop_err.is_some() => return None,
        _ => return Some(Read::Other),
    };
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => Some(Read::Segment(Segment {
            from: SocketAddr::new(source, tcp.source_port()),
            to: SocketAddr::new(destination, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            is_start: tcp.syn(),
            is_answer: tcp.syn() && tcp.ack(),
            payload: tcp.payload(),
        })),
        Some(TransportSlice::Udp(udp)) => Some(Read::Datagram {
            from: SocketAddr::new(source, udp.source_port()),
            to: SocketAddr::new(destination, udp.destination_port()),
            payload: udp.payload(),
        }),
        _ if sliced.stop_err.is_some() => None,
        _ => Some(Read::Other),
    }
}

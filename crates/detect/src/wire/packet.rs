//! Captured bytes to segments and datagrams.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

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

/// Bytes before the IP packet in Linux's second "cooked" form.
const COOKED2_BYTES: usize = 20;

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

pub(super) fn read(link: Link, bytes: &[u8]) -> Option<Read<'_>> {
    let sliced = match link {
        Link::Ethernet => SlicedPacket::from_ethernet(bytes),
        Link::Ip => SlicedPacket::from_ip(bytes),
        Link::Loopback => SlicedPacket::from_ip(bytes.get(4..)?),
        Link::LinuxCooked => SlicedPacket::from_linux_sll(bytes),
        Link::LinuxCooked2 => SlicedPacket::from_ip(bytes.get(COOKED2_BYTES..)?),
    };
    // A capture that kept only the start of each packet is read as far as it goes.
    let Ok(sliced) = sliced else {
        return cut(link, bytes);
    };
    let (source, destination): (IpAddr, IpAddr) = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        Some(NetSlice::Ipv6(ip)) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
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
        _ => Some(Read::Other),
    }
}

/// The same for a packet of which only the start was kept.
fn cut(link: Link, bytes: &[u8]) -> Option<Read<'_>> {
    use etherparse::{LaxNetSlice, LaxSlicedPacket};
    let sliced = match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(bytes).ok()?,
        Link::Ip => LaxSlicedPacket::from_ip(bytes).ok()?,
        Link::Loopback => LaxSlicedPacket::from_ip(bytes.get(4..)?).ok()?,
        Link::LinuxCooked => LaxSlicedPacket::from_ip(bytes.get(16..)?).ok()?,
        Link::LinuxCooked2 => LaxSlicedPacket::from_ip(bytes.get(COOKED2_BYTES..)?).ok()?,
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
        _ => return None,
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
        _ => None,
    }
}

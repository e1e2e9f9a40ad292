//! The captures of `tests/data/captures`: what goes over the wire, written out as files.
//!
//! All of it is made here: no packet was captured anywhere. The addresses are those for documentation
//! (RFC 5737, RFC 3849) and private ones.

use std::borrow::Cow;
use std::time::Duration;

use davylamp_content::detection::Wire as Seen;
use davylamp_content::indicators::shipped_pools;
use davylamp_detect::indicator::Indicators;
use davylamp_detect::wire::{Judge, capture};
use etherparse::{PacketBuilder, VlanId};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;

/// A capture and what must be seen in it.
pub struct Capture {
    /// The file's name.
    pub name: &'static str,
    /// What it holds, as the class of a table.
    #[allow(dead_code, reason = "the benchmark's")]
    pub title: &'static str,
    /// What must be seen; nothing for benign traffic.
    pub sees: &'static [Seen],
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

/// What packets begin with, and how they are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Ethernet,
    Vlan,
    Cooked,
    Cooked2,
    Loopback,
    Ip,
}

#[derive(Clone, Copy)]
struct How {
    frame: Frame,
    is_v6: bool,
    /// Segments have so many bytes at most.
    cut: usize,
    /// Of each packet so many bytes are kept.
    kept: usize,
    has_start: bool,
    is_ng: bool,
    port: u16,
    /// Segments arrive in the other order, and one twice.
    is_shuffled: bool,
}

const PLAIN: How = How {
    frame: Frame::Ethernet,
    is_v6: false,
    cut: 1400,
    kept: 65_535,
    has_start: true,
    is_ng: false,
    port: 3333,
    is_shuffled: false,
};

const SECOND_NS: u64 = 1_000_000_000;
/// 2026-01-01.
const START_NS: u64 = 1_767_225_600 * SECOND_NS;

struct Tape {
    how: How,
    now_ns: u64,
    /// The client's port.
    client: u16,
    sequences: [u32; 2],
    packets: Vec<(u64, Vec<u8>)>,
}

impl Tape {
    fn new(how: How) -> Self {
        let mut tape = Self {
            how,
            now_ns: START_NS,
            client: 40_000,
            sequences: [7, u32::MAX - 3],
            packets: Vec::new(),
        };
        if how.has_start {
            tape.segment(true, true, b"");
            tape.segment(false, true, b"");
        }
        tape
    }

    fn segment(&mut self, is_sent: bool, is_start: bool, payload: &[u8]) {
        let at = usize::from(!is_sent);
        let (client, server) = (self.client, self.how.port);
        let (from, to) = if is_sent {
            (client, server)
        } else {
            (server, client)
        };
        let sequence = self.sequences[at];
        let length = u32::try_from(payload.len()).expect("it is short") + u32::from(is_start);
        self.sequences[at] = sequence.wrapping_add(length);
        let tcp = |builder: etherparse::PacketBuilderStep<etherparse::IpHeaders>| {
            let builder = builder.tcp(from, to, sequence, 1024);
            let builder = match (is_start, is_sent) {
                (true, true) => builder.syn(),
                (true, false) => builder.syn().ack(0),
                (false, _) => builder.ack(0),
            };
            let mut packet = Vec::new();
            builder.write(&mut packet, payload).expect("it fits");
            packet
        };
        let packet = self.framed(is_sent, tcp);
        self.put(packet);
    }

    fn datagram(&mut self, is_sent: bool, port: u16, payload: &[u8]) {
        let (from, to) = if is_sent {
            (40_001, port)
        } else {
            (port, 40_001)
        };
        let packet = self.framed(is_sent, |builder| {
            let mut packet = Vec::new();
            let builder = builder.udp(from, to);
            builder.write(&mut packet, payload).expect("it fits");
            packet
        });
        self.put(packet);
    }

    /// A packet with what it begins with in front of it.
    fn framed(
        &self,
        is_sent: bool,
        finish: impl Fn(etherparse::PacketBuilderStep<etherparse::IpHeaders>) -> Vec<u8>,
    ) -> Vec<u8> {
        let (v4, v6) = (
            [[10, 0, 0, 2], [203, 0, 113, 7]],
            ["fd00::2", "2001:db8::7"].map(|text| {
                let address: std::net::Ipv6Addr = text.parse().expect("an address");
                address.octets()
            }),
        );
        let (from, to) = if is_sent { (0, 1) } else { (1, 0) };
        let (mac, other) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let is_v6 = self.how.is_v6;
        let built = match (self.how.frame, is_v6) {
            (Frame::Ethernet, false) => {
                PacketBuilder::ethernet2(mac, other).ipv4(v4[from], v4[to], 64)
            }
            (Frame::Ethernet, true) => {
                PacketBuilder::ethernet2(mac, other).ipv6(v6[from], v6[to], 64)
            }
            (Frame::Vlan, _) => PacketBuilder::ethernet2(mac, other)
                .single_vlan(VlanId::try_new(7).expect("an id"))
                .ipv4(v4[from], v4[to], 64),
            (_, false) => PacketBuilder::ipv4(v4[from], v4[to], 64),
            (_, true) => PacketBuilder::ipv6(v6[from], v6[to], 64),
        };
        let packet = finish(built);
        let protocol: [u8; 2] = if is_v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let head = match self.how.frame {
            Frame::Ethernet | Frame::Vlan | Frame::Ip => Vec::new(),
            Frame::Cooked => [&[0, 4, 0, 1, 0, 6][..], &mac, &[0, 0], &protocol].concat(),
            Frame::Cooked2 => [
                &protocol[..],
                &[0, 0, 0, 0, 0, 1, 0, 1, 4, 6],
                &mac,
                &[0, 0],
            ]
            .concat(),
            Frame::Loopback => vec![if is_v6 { 30 } else { 2 }, 0, 0, 0],
        };
        [head, packet].concat()
    }

    fn put(&mut self, mut packet: Vec<u8>) {
        packet.truncate(self.how.kept);
        self.packets.push((self.now_ns, packet));
        self.now_ns += SECOND_NS / 1000;
    }

    fn send(&mut self, is_sent: bool, payload: &[u8]) {
        let first = self.packets.len();
        for part in payload.chunks(self.how.cut) {
            self.segment(is_sent, false, part);
        }
        if self.how.is_shuffled {
            let times: Vec<u64> = self.packets[first..]
                .iter()
                .map(|(time, _)| *time)
                .collect();
            self.packets[first..].reverse();
            for (packet, time) in self.packets[first..].iter_mut().zip(times) {
                packet.0 = time;
            }
            let again = self.packets[first].clone();
            self.packets.push(again);
        }
    }

    /// Both go on with short messages.
    fn go_on(&mut self, lasts_secs: u64, every_secs: u64) {
        for _ in 0..lasts_secs / every_secs {
            self.now_ns += every_secs * SECOND_NS;
            self.segment(true, false, &[23, 3, 3, 0, 3, 1, 2, 3]);
            self.segment(false, false, &[23, 3, 3, 0, 3, 4, 5, 6]);
        }
    }

    fn written(self) -> Vec<u8> {
        let link = match self.how.frame {
            Frame::Ethernet | Frame::Vlan => DataLink::ETHERNET,
            Frame::Cooked => DataLink::LINUX_SLL,
            Frame::Cooked2 => DataLink::LINUX_SLL2,
            Frame::Loopback => DataLink::NULL,
            Frame::Ip => DataLink::RAW,
        };
        if self.how.is_ng {
            let mut writer = PcapNgWriter::new(Vec::new()).expect("it can be written");
            let interface = InterfaceDescriptionBlock {
                linktype: link,
                snaplen: 0xffff,
                options: Vec::new(),
            };
            writer
                .write_pcapng_block(interface)
                .expect("it can be written");
            for (time, packet) in &self.packets {
                let block = EnhancedPacketBlock {
                    interface_id: 0,
                    // Written as it is, in the unit of the interface.
                    timestamp: Duration::from_nanos(time / 1000),
                    original_len: u32::try_from(packet.len()).expect("it is short"),
                    data: Cow::Borrowed(packet),
                    options: Vec::new(),
                };
                writer.write_pcapng_block(block).expect("it can be written");
            }
            return writer.into_inner();
        }
        let header = PcapHeader {
            datalink: link,
            ..PcapHeader::default()
        };
        let mut writer = PcapWriter::with_header(Vec::new(), header).expect("it can be written");
        for (time, packet) in &self.packets {
            let length = u32::try_from(packet.len()).expect("it is short");
            let packet = PcapPacket::new(Duration::from_nanos(*time), length, packet);
            writer.write_packet(&packet).expect("it can be written");
        }
        writer.into_writer()
    }
}

const SUBSCRIBE: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cpuminer/2.5.1\"]}\n{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"wallet.rig\",\"x\"]}\n";
const NOTIFY: &[u8] = b"{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"1\",\"00\",\"00\",\"00\",[],\"2\",\"3\",\"4\",true]}\n";
const LOGIN: &[u8] = b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"wallet.rig\",\"pass\":\"x\",\"agent\":\"XMRig/6.22.2 (Linux x86_64)\",\"algo\":[\"rx/0\",\"cn/r\"]}}\n";
const JOB: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"job\",\"params\":{\"blob\":\"1010f4\",\"job_id\":\"9\",\"target\":\"b88d0600\",\"height\":3000000}}\n";
const ETHPROXY: &[u8] = b"{\"worker\":\"rig\",\"jsonrpc\":\"2.0\",\"params\":[\"0x00000000000000000000000000000000000000aa\",\"x\"],\"id\":2,\"method\":\"eth_submitLogin\"}\n";
const NICEHASH: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"miner/1\",\"EthereumStratum/1.0.0\"]}\n";
const TEMPLATE: &[u8] = b"POST /json_rpc HTTP/1.1\r\nHost: node.example:18081\r\nContent-Type: application/json\r\nContent-Length: 88\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":\"0\",\"method\":\"getblocktemplate\",\"params\":{\"wallet_address\":\"44A\"}}";

fn websocket(text: &[u8]) -> Vec<u8> {
    let mask = [9, 8, 7, 6];
    let masked = text
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    let length = u8::try_from(text.len()).expect("it is short");
    let mut frame = vec![0x81, 0x80 | length];
    frame.extend(mask);
    frame.extend(masked);
    frame
}

fn setup_connection() -> Vec<u8> {
    let mut payload = vec![0, 2, 0, 2, 0, 0, 0, 0, 0, 12];
    payload.extend(b"pool.example");
    payload.extend([0x5d, 0x8f, 4]);
    payload.extend(b"some");
    payload.extend([0, 0, 0]);
    let length = u8::try_from(payload.len()).expect("it is short");
    [&[0, 0, 0, length, 0, 0][..], &payload].concat()
}

fn unordered(count: u32) -> Vec<u8> {
    (0..count)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn question(name: &str) -> Vec<u8> {
    let name = Name::from_ascii(name).expect("a name");
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, RecordType::A));
    message.to_vec().expect("it can be written")
}

/// A ClientHello of TLS 1.2 with a name or none.
fn greeting(name: &str) -> Vec<u8> {
    let long = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("it is short");
        [&length.to_be_bytes(), bytes].concat()
    };
    let mut extensions = vec![0, 43, 0, 3, 2, 3, 4];
    if !name.is_empty() {
        let entry = [&[0][..], &long(name.as_bytes())].concat();
        let list = long(&entry);
        extensions.extend([&[0, 0][..], &long(&list)].concat());
    }
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0]);
    hello.extend(long(&extensions));
    let length = u32::try_from(hello.len())
        .expect("it is short")
        .to_be_bytes();
    let handshake = [&[1][..], &length[1..], &hello].concat();
    [&[22, 3, 1][..], &long(&handshake)].concat()
}

/// A connection in which these go over the wire, sent and received in turn.
fn flow(how: How, texts: &[&[u8]]) -> Vec<u8> {
    let mut tape = Tape::new(how);
    for (at, text) in texts.iter().enumerate() {
        tape.send(at % 2 == 0, text);
    }
    tape.written()
}

/// A greeting and a rhythm.
fn quiet(name: &str, lasts_secs: u64, every_secs: u64) -> Vec<u8> {
    let mut tape = Tape::new(How { port: 443, ..PLAIN });
    tape.send(true, &greeting(name));
    tape.go_on(lasts_secs, every_secs);
    tape.written()
}

fn asked(is_tcp: bool, name: &str) -> Vec<u8> {
    let mut tape = Tape::new(How {
        port: 53,
        has_start: is_tcp,
        ..PLAIN
    });
    let message = question(name);
    if is_tcp {
        let length = u16::try_from(message.len())
            .expect("it is short")
            .to_be_bytes();
        tape.send(true, &[&length[..], &message].concat());
    } else {
        tape.datagram(true, 53, &message);
    }
    tape.written()
}

/// Every capture, those of mining first.
pub fn all() -> Vec<Capture> {
    use Seen::{
        BlockTemplate, CryptoNote, EthereumStratum, PoolNameInTls, PoolNameLookup, Stratum,
        Stratum2, Stratum2Handshake, ThinFlow, ThinFlowInTlsWithoutName,
    };
    let of = |name, title, sees: &'static [Seen], bytes| Capture {
        name,
        title,
        sees,
        bytes,
    };
    let how = |frame| How { frame, ..PLAIN };
    let pool = "xmr.2miners.com";
    let upgrade: &[u8] = b"GET /proxy HTTP/1.1\r\nHost: ws.example\r\nUpgrade: websocket\r\n\r\n";
    let switched: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    let browser = websocket(br#"{"type":"auth","params":{"site_key":"k","type":"anonymous"}}"#);
    let socks: &[u8] = b"\x05\x01\x00";
    let socks_request: &[u8] = b"\x05\x01\x00\x03\x0cpool.example\x0d\x05";
    vec![
        of("stratum-1.pcap", "stratum version 1", &[Stratum], flow(PLAIN, &[SUBSCRIBE, NOTIFY])),
        of("stratum-1-one-byte-segments.pcap", "in segments of one byte", &[Stratum], flow(How { cut: 1, ..PLAIN }, &[SUBSCRIBE])),
        of("stratum-1-cooked.pcap", "Linux cooked", &[Stratum], flow(how(Frame::Cooked), &[SUBSCRIBE])),
        of("stratum-1-vlan.pcap", "in a VLAN", &[Stratum], flow(how(Frame::Vlan), &[SUBSCRIBE])),
        of("stratum-1-snaplen-96.pcap", "96 bytes of each packet kept", &[Stratum], flow(How { kept: 96, ..PLAIN }, &[SUBSCRIBE])),
        of("stratum-1-joined-late.pcap", "the start was not captured", &[Stratum], flow(How { has_start: false, ..PLAIN }, &[b"", NOTIFY])),
        of("stratum-1-through-proxy.pcap", "through a proxy", &[Stratum], flow(PLAIN, &[b"CONNECT pool.example:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", SUBSCRIBE])),
        of("cryptonote-login.pcapng", "XMRig's login", &[CryptoNote], flow(How { is_ng: true, ..PLAIN }, &[LOGIN, JOB])),
        of("cryptonote-ipv6.pcap", "over IPv6", &[CryptoNote], flow(How { is_v6: true, cut: 9, ..PLAIN }, &[LOGIN])),
        of("cryptonote-shuffled.pcap", "segments out of order, one twice", &[CryptoNote], flow(How { cut: 11, is_shuffled: true, ..PLAIN }, &[LOGIN])),
        of("cryptonote-job.pcap", "a job without its login", &[CryptoNote], flow(How { has_start: false, ..PLAIN }, &[b"", JOB])),
        of("cryptonote-loopback.pcap", "on loopback", &[CryptoNote], flow(how(Frame::Loopback), &[LOGIN])),
        of("cryptonote-socks.pcap", "through SOCKS", &[CryptoNote], flow(PLAIN, &[socks, b"\x05\x00", socks_request, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", LOGIN])),
        of("cryptonote-browser.pcap", "in a web socket", &[CryptoNote], flow(How { port: 8080, ..PLAIN }, &[upgrade, switched, &browser])),
        of("ethereum-ethproxy.pcap", "ethproxy", &[EthereumStratum], flow(How { port: 4444, ..PLAIN }, &[ETHPROXY])),
        of("ethereum-stratum-cooked2.pcapng", "EthereumStratum, Linux cooked 2", &[EthereumStratum], flow(How { frame: Frame::Cooked2, is_ng: true, ..PLAIN }, &[NICEHASH])),
        of("stratum-2-setup.pcap", "stratum version 2 in the clear", &[Stratum2], flow(How { port: 34_254, ..PLAIN }, &[&setup_connection()])),
        of("stratum-2-handshake.pcap", "its encrypted handshake", &[Stratum2Handshake], flow(How { port: 34_254, ..PLAIN }, &[&unordered(64), &unordered(234)])),
        of("block-template-http.pcap", "work asked of a node", &[BlockTemplate], flow(How { port: 18_081, ..PLAIN }, &[TEMPLATE])),
        of("block-template-raw-ip.pcap", "work asked of a node, without a link", &[BlockTemplate], flow(How { frame: Frame::Ip, is_v6: true, ..PLAIN }, &[TEMPLATE])),
        of("name-udp.pcap", "a pool is looked up", &[PoolNameLookup], asked(false, pool)),
        of("name-tcp.pcap", "a pool is looked up over TCP", &[PoolNameLookup], asked(true, pool)),
        of("name-tls.pcap", "a TLS greeting names a pool", &[PoolNameInTls], quiet(pool, 60, 20)),
        of("name-tls-cut.pcap", "a greeting in many segments", &[PoolNameInTls], flow(How { cut: 5, port: 443, ..PLAIN }, &[&greeting(pool)])),
        of("thin-tls-nameless.pcap", "a thin flow to a server without a name", &[ThinFlowInTlsWithoutName], quiet("", 900, 20)),
        of("thin-tls-named.pcap", "a thin flow", &[ThinFlow], quiet("broker.example", 900, 20)),
        of("benign-http.pcap", "a page that speaks of it", &[], flow(How { port: 80, ..PLAIN }, &[b"GET /wiki/mining.subscribe HTTP/1.1\r\nHost: w.example\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n<p>mining.subscribe and eth_submitLogin are methods.</p>"])),
        of("benign-json-rpc.pcap", "a language server", &[], flow(How { port: 2087, ..PLAIN }, &[b"Content-Length: 99\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"processId\":1}}"])),
        of("benign-login.pcap", "another service's login and jobs", &[], flow(PLAIN, &[b"{\"id\":1,\"method\":\"login\",\"params\":{\"login\":\"alice\",\"pass\":\"x\"}}\n", b"{\"method\":\"job\",\"params\":{\"job_id\":\"1\",\"queue\":\"default\"}}\n", b"{\"method\":\"submit\",\"params\":{\"job_id\":\"1\",\"result\":\"done\"}}\n"])),
        of("benign-ethereum-node.pcap", "questions to an Ethereum node", &[], flow(How { port: 8545, ..PLAIN }, &[b"POST / HTTP/1.1\r\nHost: n\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\",\"params\":[],\"id\":1}"])),
        of("benign-bitcoin-node.pcap", "questions to a Bitcoin node", &[], flow(How { port: 8332, ..PLAIN }, &[b"POST / HTTP/1.1\r\nHost: n\r\n\r\n{\"method\":\"getblockchaininfo\",\"params\":[],\"id\":1}"])),
        of("benign-names.pcap", "ordinary names", &[], asked(false, "pool.ntp.org")),
        of("benign-tls.pcap", "an ordinary greeting", &[], quiet("www.example.org", 4, 2)),
        of("benign-ssh.pcap", "a shell elsewhere", &[], flow(How { port: 22, ..PLAIN }, &[b"SSH-2.0-OpenSSH_9.9\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", &unordered(200)])),
        of("benign-web-socket.pcap", "a notebook's channel", &[], flow(How { port: 8888, ..PLAIN }, &[upgrade, switched, &websocket(br#"{"header":{"msg_type":"execute_request"},"content":{"code":"1"}}"#)])),
        of("benign-mail.pcap", "mail", &[], flow(How { port: 25, ..PLAIN }, &[b"EHLO a\r\n", b"250 ok\r\n", b"Subject: mining.notify\r\n\r\nthe pool\r\n"])),
        of("benign-unordered.pcap", "bytes without an order", &[], flow(How { port: 9999, ..PLAIN }, &[&unordered(65), &unordered(300)])),
    ]
}

/// What is seen in a file, in its order, and how many packets could not be read.
pub fn seen(bytes: &[u8]) -> (Vec<Seen>, u64) {
    let pools = shipped_pools().expect("what ships is good");
    let indicators = Indicators::new(&pools);
    let form = capture::form_of(bytes).expect("it is a capture");
    let mut seen = Vec::new();
    let tally = capture::read::<std::convert::Infallible>(
        form,
        bytes,
        Judge::new(&indicators),
        &mut |sign| {
            seen.push(sign.seen);
            Ok(())
        },
    );
    let Ok(tally) = tally;
    assert_eq!(tally.ended, None);
    (seen, tally.unreadable)
}

/// A transfer of so many bytes in large segments.
#[allow(dead_code, reason = "the benchmark's")]
pub fn transfer(bytes: usize) -> Vec<u8> {
    let part = unordered(1400);
    let mut tape = Tape::new(How {
        port: 8080,
        ..PLAIN
    });
    tape.send(true, b"GET /data HTTP/1.1\r\nHost: d.example\r\n\r\n");
    for _ in 0..bytes / part.len() {
        tape.send(false, &part);
    }
    tape.written()
}

/// So many connections in one capture, of which every tenth is a pool's.
#[allow(dead_code, reason = "the benchmark's")]
pub fn many(count: u16) -> Vec<u8> {
    let mut tape = Tape::new(How {
        port: 8080,
        ..PLAIN
    });
    for number in 0..count {
        (tape.client, tape.sequences) = (number, [7, 7]);
        tape.segment(true, true, b"");
        tape.segment(false, true, b"");
        if number % 10 == 0 {
            tape.send(true, LOGIN);
            tape.send(false, JOB);
        } else {
            tape.send(
                true,
                b"GET /data HTTP/1.1\r\nHost: d.example\r\nAccept: application/json\r\n\r\n",
            );
            tape.send(
                false,
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"jobs\":[{\"id\":1}]}",
            );
        }
    }
    tape.written()
}

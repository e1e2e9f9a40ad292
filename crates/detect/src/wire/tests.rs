use davylamp_content::detection::{Action, Detection, Response, Traffic, shipped};
use davylamp_content::indicators::shipped_pools;
use etherparse::PacketBuilder;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;

use super::*;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 2], 40_000);
const SERVER: ([u8; 4], u16) = ([203, 0, 113, 7], 443);
const SECOND: u64 = 1_000_000_000;

/// A connection, written out as packets.
#[derive(Default)]
struct Wire {
    packets: Vec<(u64, Vec<u8>)>,
    now_ns: u64,
    sequences: [u32; 2],
    server: ([u8; 4], u16),
}

impl Wire {
    fn begin() -> Self {
        Self::begin_with(SERVER)
    }

    fn begin_with(server: ([u8; 4], u16)) -> Self {
        let mut wire = Self {
            sequences: [1000, u32::MAX - 5],
            server,
            ..Self::default()
        };
        wire.segment(true, true, b"");
        wire.segment(false, true, b"");
        wire
    }

    fn segment(&mut self, is_sent: bool, is_start: bool, payload: &[u8]) {
        let (from, to) = if is_sent {
            (CLIENT, self.server)
        } else {
            (self.server, CLIENT)
        };
        let at = usize::from(!is_sent);
        let builder =
            PacketBuilder::ipv4(from.0, to.0, 64).tcp(from.1, to.1, self.sequences[at], 1024);
        let builder = match (is_start, is_sent) {
            (true, true) => builder.syn(),
            (true, false) => builder.syn().ack(0),
            (false, _) => builder.ack(0),
        };
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).expect("it fits");
        self.packets.push((self.now_ns, packet));
        let length = u32::try_from(payload.len()).expect("it is short") + u32::from(is_start);
        self.sequences[at] = self.sequences[at].wrapping_add(length);
        self.now_ns += 1_000_000;
    }

    fn datagram(&mut self, is_sent: bool, payload: &[u8]) {
        let (from, to) = ((CLIENT.0, 40_001), ([10, 0, 0, 1], 53));
        let (from, to) = if is_sent { (from, to) } else { (to, from) };
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(from.0, to.0, 64).udp(from.1, to.1);
        builder.write(&mut packet, payload).expect("it fits");
        self.packets.push((self.now_ns, packet));
        self.now_ns += 1_000_000;
    }

    fn of(traffic: &Traffic) -> Self {
        let reaches = traffic.reaches.as_deref().map(|text| {
            let reached: std::net::SocketAddrV4 = text.parse().expect("an address and a port");
            (reached.ip().octets(), reached.port())
        });
        let mut wire = Self::begin_with(reaches.unwrap_or(SERVER));
        if let Some(name) = &traffic.asks {
            wire.datagram(true, &question(name, None));
        }
        if let Some(name) = &traffic.greets {
            wire.segment(true, false, &greeting(name));
        }
        for text in &traffic.sent {
            wire.segment(true, false, &bytes_of(text));
        }
        for text in &traffic.received {
            wire.segment(false, false, &bytes_of(text));
        }
        let step = match traffic.every_secs {
            0 => SECOND / 20,
            every => u64::from(every) * SECOND,
        };
        let end = u64::from(traffic.lasts_secs) * SECOND;
        while wire.now_ns + step <= end {
            wire.now_ns += step;
            wire.segment(true, false, b"short");
            wire.segment(false, false, b"answer");
        }
        wire
    }

    fn judged(&self) -> Vec<Sign> {
        let pools = shipped_pools().expect("what ships is good");
        let indicators = Indicators::new(&pools);
        let resolvers = resolvers();
        let mut judge = Judge::new(&indicators).with_resolvers(Some(&resolvers));
        let mut signs = Vec::new();
        for (time, packet) in &self.packets {
            let judged = judge.packet(*time, Link::Ip, packet, &mut signs);
            assert_eq!(judged, Judged::Read);
        }
        judge.finish(&mut signs);
        signs
    }
}

/// Those of the detection that ships.
fn resolvers() -> Indicators {
    let shipped = shipped().expect("what ships is good");
    let about = |parsed: &&davylamp_content::detection::Parsed| {
        parsed.detection.sees.contains(&Seen::EncryptedDns)
    };
    let detection = &shipped.iter().find(about).expect("one ships").detection;
    Indicators::of_domains(detection.names.iter().map(String::as_str))
}

/// A text as bytes; `random:N` is N bytes without an order.
fn bytes_of(text: &str) -> Vec<u8> {
    match text
        .strip_prefix("random:")
        .and_then(|count| count.parse().ok())
    {
        Some(count) => (0..count)
            .map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect(),
        None => text.as_bytes().to_vec(),
    }
}

fn question(name: &str, answer: Option<[u8; 4]>) -> Vec<u8> {
    let name = Name::from_ascii(name).expect("a name");
    let kind = match answer {
        None => MessageType::Query,
        Some(_) => MessageType::Response,
    };
    let mut message = Message::new(7, kind, OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::A));
    if let Some([a, b, c, d]) = answer {
        message.add_answer(Record::from_rdata(name, 60, RData::A(A::new(a, b, c, d))));
    }
    message.to_vec().expect("it can be written")
}

/// A ClientHello of TLS 1.2 (RFC 5246, section 7.4.1.2) with a name (RFC 6066, section 3) or none.
fn greeting(name: &str) -> Vec<u8> {
    let long = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("it is short");
        [&length.to_be_bytes(), bytes].concat()
    };
    // supported_versions, so that there are extensions at all.
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

fn action_of(detection: &Detection, signs: &[Sign]) -> Action {
    let found = signs.iter().any(|sign| detection.sees.contains(&sign.seen));
    match (found, detection.response) {
        (false, _) => Action::Clean,
        (true, Response::Alert) => Action::Alert,
        (true, Response::Kill) => Action::Kill,
    }
}

#[test]
fn each_case_of_each_detection_comes_out_as_it_says() {
    let mut wrong = Vec::new();
    let shipped = shipped().expect("what ships is good");
    for parsed in &shipped {
        for case in &parsed.cases {
            let Some(traffic) = &case.traffic else {
                continue;
            };
            let signs = Wire::of(traffic).judged();
            let action = action_of(&parsed.detection, &signs);
            if action != case.action {
                wrong.push(format!(
                    "{}: {}: {action:?} {signs:?}",
                    parsed.detection.name, case.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const LOGIN: &str = r#"{"id":1,"method":"login","params":{"login":"4Awallet.rig7","pass":"x","agent":"a/1","algo":["rx/0","cn/r"]}}"#;

#[test]
fn who_is_paid_is_told_with_the_name_that_led_there() {
    let mut wire = Wire::begin();
    wire.datagram(false, &question("mine.example.org", Some(SERVER.0)));
    wire.segment(true, false, LOGIN.as_bytes());
    let signs = wire.judged();
    let [sign] = signs.as_slice() else {
        panic!("{signs:?}");
    };
    assert_eq!(sign.name.as_deref(), Some("mine.example.org"));
    assert_eq!(sign.server, SocketAddr::from(SERVER));
    assert_eq!(sign.facts.wallet.as_deref(), Some("4Awallet"));
    assert_eq!(sign.facts.worker.as_deref(), Some("rig7"));
    assert_eq!(sign.facts.algorithm.as_deref(), Some("rx/0 cn/r"));
    assert_eq!(sign.facts.agent.as_deref(), Some("a/1"));
}

#[test]
fn the_name_in_a_question_is_read() {
    let message = question("XMR.2miners.com", None);
    assert_eq!(name_asked(&message).as_deref(), Some("xmr.2miners.com"));
    let mut by_hand = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    by_hand.extend(b"\x05pools\x07example\0\0\x01\0\x01");
    assert_eq!(name_asked(&by_hand).as_deref(), Some("pools.example"));
    let hello = greeting("pypi.org");
    assert_eq!(name_greeted(&hello).as_deref(), Some("pypi.org"));
    assert_eq!(name_greeted(&greeting("")), None);
}

#[test]
fn what_was_cut_off_is_read_as_far_as_it_came() {
    let (seen, facts) = payload_cut(&LOGIN.as_bytes()[..LOGIN.len() - 20], b"").expect("a login");
    assert_eq!(seen, Seen::CryptoNote);
    assert_eq!(facts.wallet.as_deref(), Some("4Awallet"));
    assert_eq!(payload_cut(b"GET / HTTP/1.1\r\n", b""), None);
}

#[test]
fn a_browsers_frames_are_opened() {
    let text = br#"{"type":"auth","params":{"site_key":"k","type":"anonymous"}}"#;
    let mask = [1, 2, 3, 4];
    let masked = text
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).expect("it is short")];
    frame.extend(mask);
    frame.extend(masked);
    let mut wire = Wire::begin();
    wire.segment(
        true,
        false,
        b"GET /proxy HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    );
    wire.segment(true, false, &frame);
    assert_eq!(wire.judged()[0].seen, Seen::CryptoNote);
}

#[test]
fn the_second_version_is_known_by_its_form() {
    let mut payload = vec![0, 2, 0, 2, 0, 0, 0, 0, 0, 4];
    payload.extend(b"pool");
    payload.extend([0xbb, 0x01, 3]);
    payload.extend(b"any");
    payload.extend([0, 0, 0]);
    let length = u8::try_from(payload.len()).expect("it is short");
    let message = [&[0, 0, 0, length, 0, 0][..], &payload].concat();
    let mut wire = Wire::begin();
    wire.segment(true, false, &message);
    let signs = wire.judged();
    assert_eq!(signs[0].seen, Seen::Stratum2);
    assert_eq!(signs[0].facts.agent.as_deref(), Some("any"));
}

#[test]
fn segments_out_of_order_and_sent_again_are_put_together() {
    let mut wire = Wire::begin();
    for part in LOGIN.as_bytes().chunks(7) {
        wire.segment(true, false, part);
    }
    let start = wire.packets.len() - LOGIN.len().div_ceil(7);
    wire.packets[start..].reverse();
    let again = wire.packets[start + 3].clone();
    wire.packets.insert(start + 1, again);
    assert_eq!(wire.judged().len(), 1);
}

proptest! {
    #[test]
    fn however_a_login_is_cut_it_is_found(cuts in proptest::collection::vec(1..40_usize, 0..60)) {
        let mut wire = Wire::begin();
        let mut rest = LOGIN.as_bytes();
        for cut in cuts {
            let (part, behind) = rest.split_at(cut.min(rest.len()));
            wire.segment(true, false, part);
            rest = behind;
        }
        wire.segment(true, false, rest);
        prop_assert_eq!(wire.judged().len(), 1);
    }

    #[test]
    fn any_bytes_are_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), port in 1..1000_u16) {
        let indicators = Indicators::default();
        let mut judge = Judge::new(&indicators);
        let mut signs = Vec::new();
        for link in [Link::Ethernet, Link::Ip, Link::Loopback, Link::LinuxCooked, Link::LinuxCooked2] {
            judge.packet(0, link, &bytes, &mut signs);
        }
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(CLIENT.0, SERVER.0, 64).tcp(CLIENT.1, port, 1, 1);
        builder.write(&mut packet, &bytes).expect("it fits");
        judge.packet(0, Link::Ip, &packet, &mut signs);
        payload(&bytes, &bytes);
    }
}

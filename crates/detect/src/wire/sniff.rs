//! The start of a connection to the protocol it speaks.
//!
//! Sources: stratum version 1 as Slush Pool and braiins document it; NiceHash's EthereumStratum
//! 1.0.0 and EIP 1571; the XMRig proxy's documentation of CryptoNote's dialect; the Stratum V2
//! specification, sections 3 and 4; bitcoind's and monerod's documentation of `getblocktemplate`.

use davylamp_content::detection::Wire as Seen;
use serde_json::Value;

/// So many places are tried at which a message may begin.
const MAX_TRIES: usize = 256;

/// A text of a message that is shown may have this many bytes.
const MAX_SHOWN: usize = 256;

/// What the messages say of who is paid, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The message that gave it away.
    pub method: Option<String>,
    /// The wallet or user.
    pub wallet: Option<String>,
    /// The worker.
    pub worker: Option<String>,
    /// The algorithms.
    pub algorithm: Option<String>,
    /// The program, as it calls itself.
    pub agent: Option<String>,
    /// The server's name, from TLS or a proxy.
    pub name: Option<String>,
    /// The rhythm, in words.
    pub rhythm: Option<String>,
}

/// What the first bytes of both directions show, if it is mining.
pub fn payload(sent: &[u8], received: &[u8]) -> Option<(Seen, Facts)> {
    let (sent, sent_frames) = unframed(sent);
    let (received, received_frames) = unframed(received);
    let mut seen = None;
    let mut facts = Facts {
        name: proxied(sent),
        ..Facts::default()
    };
    for text in [sent, &sent_frames, received, &received_frames] {
        for message in messages(text) {
            let kind = of_message(&message, &mut facts);
            seen = seen.or(kind);
        }
    }
    seen.or_else(|| in_pieces(sent, &mut facts))
        .or_else(|| in_pieces(received, &mut facts))
        .or_else(|| version_2(sent, received, &mut facts))
        .map(|seen| (seen, facts))
}

/// What may be missing of a message that is cut.
const ENDINGS: &[&str] = &[
    "", "\"", "\"}", "\"}}", "\"]}}", "}", "}}", "]}", "]}}", "null}}",
];

/// What may be missing before it, where the kernel began to keep within a message.
const BEGINNINGS: &[&str] = &["", "{\"x", "{\"method", "{\"params", "{\"x\":\""];

/// The same of a start that is cut within a message, as the kernel keeps it when it drops the rest:
/// what the end would add is not there, what came before it is.
pub fn payload_cut(sent: &[u8], received: &[u8]) -> Option<(Seen, Facts)> {
    let told = |facts: &Facts| {
        let all = [
            &facts.method,
            &facts.wallet,
            &facts.worker,
            &facts.algorithm,
            &facts.agent,
        ];
        all.into_iter().flatten().count()
    };
    let whole_part = |text: &[u8]| {
        text.iter()
            .rposition(|byte| *byte == b',')
            .unwrap_or(text.len())
    };
    let mut best: Option<(Seen, Facts)> = None;
    for (sent, received) in [
        (sent, received),
        (&sent[..whole_part(sent)], &received[..whole_part(received)]),
    ] {
        let all = BEGINNINGS
            .iter()
            .flat_map(|beginning| ENDINGS.iter().map(move |ending| (beginning, ending)));
        for (beginning, ending) in all {
            let whole = |text| [beginning.as_bytes(), text, ending.as_bytes()].concat();
            let (sent, received) = (whole(sent), whole(received));
            let Some(found) = payload(&sent, &received) else {
                continue;
            };
            if best
                .as_ref()
                .is_none_or(|(_, facts)| told(&found.1) > told(facts))
            {
                best = Some(found);
            }
        }
    }
    best
}

/// The methods of stratum version 1 that nothing else has.
pub(super) const STRATUM: &[&str] = &[
    "mining.subscribe",
    "mining.authorize",
    "mining.configure",
    "mining.extranonce.subscribe",
    "mining.submit",
    "mining.notify",
    "mining.set_difficulty",
    "mining.set_extranonce",
    "mining.set_target",
    "mining.set_version_mask",
    "mining.suggest_difficulty",
    "mining.suggest_target",
    "mining.multi_version",
    "mining.hello",
    "mining.noop",
    "mining.get_transactions",
];

pub(super) const ETHEREUM: &[&str] = &[
    "eth_submitLogin",
    "eth_login",
    "eth_getWork",
    "eth_submitWork",
    "eth_submitHashrate",
];

pub(super) const TEMPLATES: &[&str] = &[
    "getblocktemplate",
    "get_block_template",
    "getwork",
    "submitblock",
    "submit_block",
];

fn of_message(message: &Value, facts: &mut Facts) -> Option<Seen> {
    if let Value::Array(batch) = message {
        let mut found = None;
        for one in batch {
            found = found.or(of_object(one, facts));
        }
        return found;
    }
    of_object(message, facts)
}

fn of_object(message: &Value, facts: &mut Facts) -> Option<Seen> {
    let params = message.get("params").unwrap_or(&Value::Null);
    let method = message
        .get("method")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let seen = if STRATUM.contains(&method) {
        of_stratum(method, params, facts)
    } else if ETHEREUM.contains(&method) {
        if method.ends_with("ogin") {
            paid(params.get(0), facts);
        }
        set(&mut facts.worker, message.get("worker"));
        Seen::EthereumStratum
    } else if TEMPLATES.contains(&method) {
        paid(params.get("wallet_address"), facts);
        Seen::BlockTemplate
    } else if is_cryptonote(method, message, params, facts) {
        Seen::CryptoNote
    } else {
        return None;
    };
    if !method.is_empty() && facts.method.is_none() {
        facts.method = Some(method.to_owned());
    }
    Some(seen)
}

fn of_stratum(method: &str, params: &Value, facts: &mut Facts) -> Seen {
    let first = params.get(0);
    match method {
        "mining.authorize" => paid(first, facts),
        "mining.subscribe" => set(&mut facts.agent, first),
        "mining.hello" => set(&mut facts.agent, params.get("agent")),
        "mining.submit" => set(&mut facts.worker, first),
        _ => {}
    }
    let dialect = params
        .as_array()
        .into_iter()
        .flatten()
        .chain(params.get("proto"))
        .filter_map(Value::as_str)
        .find(|text| text.starts_with("EthereumStratum"));
    match dialect {
        Some(_) => Seen::EthereumStratum,
        None => Seen::Stratum,
    }
}

/// CryptoNote's dialect has methods of ordinary names, so what they bring along decides; its answers
/// have none.
fn is_cryptonote(method: &str, message: &Value, params: &Value, facts: &mut Facts) -> bool {
    let has = |value: &Value, keys: &[&str]| keys.iter().all(|key| value.get(key).is_some());
    let is_asked = match method {
        "login" if has(params, &["login"]) => {
            let is_one = ["agent", "algo", "rigid"]
                .iter()
                .any(|key| has(params, &[key]));
            if is_one {
                paid(params.get("login"), facts);
                set(&mut facts.worker, params.get("rigid"));
                set(&mut facts.agent, params.get("agent"));
                set(&mut facts.algorithm, params.get("algo"));
            }
            is_one
        }
        "job" => has(params, &["blob", "target"]) || has(params, &["blob", "job_id"]),
        "submit" => has(params, &["job_id", "nonce", "result"]),
        "keepalived" => has(params, &["id"]),
        _ => false,
    };
    let result = message.get("result").unwrap_or(&Value::Null);
    let job = result.get("job").unwrap_or(&Value::Null);
    let is_job = has(job, &["blob", "target"]) || has(job, &["blob", "job_id"]);
    let is_browser =
        message.get("type").and_then(Value::as_str) == Some("auth") && has(params, &["site_key"]);
    if is_job {
        set(&mut facts.algorithm, job.get("algo"));
    }
    is_asked || is_job || is_browser || has(result, &["blocktemplate_blob"])
}

/// `WALLET.WORKER`, `WALLET/WORKER` or `WALLET+DIFFICULTY`.
fn paid(value: Option<&Value>, facts: &mut Facts) {
    let Some(text) = value
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
    else {
        return;
    };
    let (wallet, rest) = match text.split_once(['.', '/', '+']) {
        Some((wallet, rest)) => (wallet, Some(rest)),
        None => (text, None),
    };
    if facts.wallet.is_none() {
        facts.wallet = Some(shown(wallet));
    }
    if let Some(rest) = rest
        && facts.worker.is_none()
    {
        facts.worker = Some(shown(rest));
    }
}

fn set(fact: &mut Option<String>, value: Option<&Value>) {
    let text = match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            texts.join(" ")
        }
        _ => return,
    };
    if fact.is_none() && !text.is_empty() {
        *fact = Some(shown(&text));
    }
}

fn shown(text: &str) -> String {
    let mut end = text.len().min(MAX_SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Every JSON object or list of a text, whatever stands between them.
fn messages(text: &[u8]) -> Vec<Value> {
    let (mut found, mut at) = (Vec::new(), 0);
    for _ in 0..MAX_TRIES {
        let Some(next) = text[at..]
            .iter()
            .position(|byte| matches!(byte, b'{' | b'['))
        else {
            break;
        };
        at += next;
        let mut stream = serde_json::Deserializer::from_slice(&text[at..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                at += stream.byte_offset().max(1);
                found.push(value);
            }
            _ => at += 1,
        }
        if at >= text.len() {
            break;
        }
    }
    found
}

/// A message that is not there whole: its method stands in it, in quotes.
fn in_pieces(text: &[u8], facts: &mut Facts) -> Option<Seen> {
    // Nearly no text holds either, and each search for a method goes over all of it.
    let stems = [&b"\"mining."[..], b"\"eth_"];
    if !stems
        .iter()
        .any(|stem| memchr::memmem::find(text, stem).is_some())
    {
        return None;
    }
    let holds = |method: &&str| {
        let quoted = format!("\"{method}\"");
        text.windows(quoted.len())
            .any(|window| window == quoted.as_bytes())
    };
    for (methods, seen) in [(STRATUM, Seen::Stratum), (ETHEREUM, Seen::EthereumStratum)] {
        if let Some(method) = methods.iter().find(|method| holds(method)) {
            facts.method = Some((*method).to_owned());
            return Some(seen);
        }
    }
    None
}

/// Stratum version 2: `SetupConnection` in the clear, or the two first acts of its handshake, whose
/// lengths are fixed (64 bytes, then 234).
fn version_2(sent: &[u8], received: &[u8], facts: &mut Facts) -> Option<Seen> {
    const ACT_ONE: usize = 64;
    const ACT_TWO: usize = 234;
    if let Some(vendor) = setup_connection(sent) {
        facts.agent = Some(vendor);
        facts.method = Some("SetupConnection".to_owned());
        return Some(Seen::Stratum2);
    }
    let is_random = |bytes: &[u8]| crate::entropy::of(bytes) > 5.0;
    let is_handshake = sent.len() == ACT_ONE
        && received.len() == ACT_TWO
        && is_random(sent)
        && is_random(received);
    is_handshake.then_some(Seen::Stratum2Handshake)
}

fn setup_connection(bytes: &[u8]) -> Option<String> {
    // extension_type 0, msg_type 0, then the length in three bytes, little-endian.
    let (&[0, 0, 0, a, b, c], payload) = bytes.split_first_chunk::<6>()? else {
        return None;
    };
    let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
    let payload = payload.get(..length)?;
    // protocol (0 mining, 1 job declaration, 2 template distribution), versions, flags.
    let (&[protocol, min_low, min_high, max_low, max_high, _, _, _, _], mut rest) =
        payload.split_first_chunk::<9>()?;
    let (min, max) = (
        u16::from_le_bytes([min_low, min_high]),
        u16::from_le_bytes([max_low, max_high]),
    );
    if protocol > 2 || !(2..=max).contains(&min) || max > 64 {
        return None;
    }
    let mut text = || -> Option<String> {
        let (length, behind) = rest.split_first()?;
        let text = behind.get(..usize::from(*length))?;
        rest = &behind[usize::from(*length)..];
        let is_plain = text
            .iter()
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        is_plain.then(|| String::from_utf8_lossy(text).into_owned())
    };
    let host = text()?;
    let vendor_and_more = {
        rest = rest.get(2..)?;
        let mut text = || -> Option<String> {
            let (length, behind) = rest.split_first()?;
            let text = behind.get(..usize::from(*length))?;
            rest = &behind[usize::from(*length)..];
            std::str::from_utf8(text).ok().map(str::to_owned)
        };
        (text()?, text()?, text()?, text()?)
    };
    (!host.is_empty() && rest.is_empty()).then_some(vendor_and_more.0)
}

/// Where a connection goes through a proxy: the name behind `CONNECT`, or of SOCKS 5 (RFC 1928).
fn proxied(sent: &[u8]) -> Option<String> {
    if let Some(rest) = sent.strip_prefix(b"CONNECT ") {
        let end = rest.iter().position(|byte| *byte == b' ')?;
        let target = std::str::from_utf8(&rest[..end]).ok()?;
        return Some(shown(
            target.rsplit_once(':').map_or(target, |(host, _)| host),
        ));
    }
    // Greeting, then the request for a name.
    let methods = usize::from(*sent.strip_prefix(&[5])?.first()?);
    let request = sent.get(2 + methods..)?;
    let rest = request.strip_prefix(&[5, 1, 0, 3])?;
    let (length, name) = rest.split_first()?;
    let name = name.get(..usize::from(*length))?;
    std::str::from_utf8(name).ok().map(shown)
}

/// What stands in the frames of a web socket (RFC 6455), beside the text as it came.
fn unframed(text: &[u8]) -> (&[u8], Vec<u8>) {
    let mut frames = Vec::new();
    let is_http = text.starts_with(b"GET ") || text.starts_with(b"HTTP/1.1 101");
    let head = text.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(head) = head.filter(|_| is_http) else {
        return (text, frames);
    };
    let mut rest = &text[head + 4..];
    while let [_, second, behind @ ..] = rest {
        let is_masked = second & 0x80 != 0;
        let (length, behind) = match (second & 0x7f, behind) {
            (126, [a, b, behind @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), behind),
            (126 | 127, _) => break,
            (length, behind) => (usize::from(length), behind),
        };
        let (mask, behind) = match behind {
            [a, b, c, d, behind @ ..] if is_masked => ([*a, *b, *c, *d], behind),
            behind => ([0; 4], behind),
        };
        let kept = &behind[..length.min(behind.len())];
        frames.extend(
            kept.iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        rest = &behind[kept.len()..];
    }
    (text, frames)
}

/// The name in a TLS greeting: `None` where this is none yet, `Some(None)` where it names nobody.
pub(super) fn greeting(sent: &[u8]) -> Option<Option<String>> {
    use tls_parser::{
        TlsExtension, TlsMessage, TlsMessageHandshake, parse_tls_extensions, parse_tls_plaintext,
    };
    let (_, record) = parse_tls_plaintext(sent).ok()?;
    let hello = record.msg.iter().find_map(|message| match message {
        TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)) => Some(hello),
        _ => None,
    })?;
    let Some(extensions) = hello.ext else {
        return Some(None);
    };
    let (_, extensions) = parse_tls_extensions(extensions).ok()?;
    let name = extensions.iter().find_map(|extension| match extension {
        TlsExtension::SNI(names) => names.first().map(|(_, name)| *name),
        _ => None,
    });
    Some(name.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()))
}

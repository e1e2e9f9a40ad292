//! What pools and their miners say, and servers that hear it: for tests of what watches the wire. No
//! miner and no pool: fixed texts, and a socket that keeps what it is sent.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;

/// A wallet of the right form that is nobody's.
pub const WALLET: &str = "48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZijBGUicoD";

/// What a miner sends first, by the name of its dialect.
pub fn handshakes() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"getblocktemplate","params":{"wallet_address":"4A","reserve_size":8}}"#;
    let work = r#"{"method": "getwork", "params": [], "id":1}"#;
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    vec![
        ("mining.subscribe", text("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cpuminer/2.5.1\"]}\n")),
        ("mining.authorize", text("{\"params\": [\"bc1qexample.rig3\", \"x\"], \"id\": 2, \"method\": \"mining.authorize\"}\n")),
        ("mining.configure", text("{\"method\" : \"mining.configure\" , \"id\":3,\"params\":[[\"version-rolling\"],{}]}\n")),
        ("mining.extranonce.subscribe", text("{\"id\":4,\"method\":\"mining.extranonce.subscribe\",\"params\":[]}\n")),
        ("login", format!("{{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{{\"login\":\"{WALLET}.rig7\",\"pass\":\"x\",\"agent\":\"stand-in/1.0\",\"algo\":[\"rx/0\",\"cn/r\"]}}}}\n").into_bytes()),
        ("login with escapes, in another order", text("{\"params\":{\"algo\":[\"rx/0\"],\"login\":\"4A\"},\"meth\\u006fd\":\"\\u006cogin\",\"id\":1}\n")),
        ("submit", text("{\"id\":5,\"jsonrpc\":\"2.0\",\"method\":\"submit\",\"params\":{\"id\":\"a\",\"job_id\":\"b\",\"nonce\":\"c\",\"result\":\"d\"}}\n")),
        ("keepalived", text("{\"id\":6,\"jsonrpc\":\"2.0\",\"method\":\"keepalived\",\"params\":{\"id\":\"a\"}}\n")),
        ("eth_submitLogin", text("{\"worker\":\"rig\",\"jsonrpc\":\"2.0\",\"params\":[\"0x1234567890abcdef.rig\",\"x\"],\"id\":2,\"method\":\"eth_submitLogin\"}\n")),
        ("eth_getWork", text("{\"id\":7,\"method\":\"eth_getWork\",\"params\":[]}\n")),
        ("eth_submitHashrate", text("{\"id\":8,\"method\":\"eth_submitHashrate\",\"params\":[\"0x1\",\"0x2\"]}\n")),
        ("EthereumStratum", text("{\"id\":9,\"method\":\"mining.subscribe\",\"params\":[\"stand-in/1.0\",\"EthereumStratum/1.0.0\"]}\n")),
        ("getblocktemplate", post("/json_rpc", body).into_bytes()),
        ("getwork", post("/", work).into_bytes()),
        ("stratum 2", setup_connection()),
    ]
}

/// What a pool sends first to a miner whose login was not seen.
pub const JOB: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"job\",\"params\":{\"blob\":\"0e0e\",\"job_id\":\"1\",\"target\":\"b88d0600\",\"algo\":\"rx/0\"}}\n";

/// What others send first, by what it is.
pub fn near_misses() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "a page",
            text(
                "GET /wiki/mining.subscribe HTTP/1.1\r\nHost: wiki.example\r\nCookie: a={\"x\":1}\r\n\r\n",
            ),
        ),
        (
            "a login elsewhere",
            text(
                "{\"id\":1,\"method\":\"login\",\"params\":{\"login\":\"alice\",\"pass\":\"x\"}}\n",
            ),
        ),
        (
            "a language server",
            text(
                "Content-Length: 58\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}",
            ),
        ),
        (
            "a node of Ethereum",
            text(
                "POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 63\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\",\"params\":[],\"id\":1}",
            ),
        ),
        (
            "a job elsewhere",
            text("{\"method\":\"job\",\"params\":{\"job_id\":\"1\",\"queue\":\"default\"}}\n"),
        ),
        (
            "a note",
            text("{\"note\":\"the method is called mining.subscribe\"}\n"),
        ),
        ("a shell", text("SSH-2.0-OpenSSH_9.6\r\n")),
        ("TLS", client_hello(Some("pypi.org"))),
        ("TLS to nobody", client_hello(None)),
        ("zeroes", vec![0; 600]),
        ("much text", vec![b'x'; 20_000]),
    ]
}

/// `SetupConnection` of stratum version 2 (its specification, section 3.5.1).
pub fn setup_connection() -> Vec<u8> {
    let mut payload = vec![0, 2, 0, 2, 0, 0, 0, 0, 0, 9];
    payload.extend(b"127.0.0.1");
    payload.extend([0xbb, 0x01, 8]);
    payload.extend(b"stand-in");
    payload.extend([0, 0, 0]);
    let mut message = vec![0, 0, 0, payload.len() as u8, 0, 0];
    message.extend(payload);
    message
}

/// A ClientHello of TLS 1.2 (RFC 5246, section 7.4.1.2) with a name (RFC 6066, section 3) or none.
pub fn client_hello(name: Option<&str>) -> Vec<u8> {
    let long = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let mut extensions = vec![0, 43, 0, 3, 2, 3, 4];
    if let Some(name) = name {
        let entry = [&[0][..], &long(name.as_bytes())].concat();
        extensions.extend([&[0, 0][..], &long(&long(&entry))].concat());
    }
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0]);
    hello.extend(long(&extensions));
    let length = (hello.len() as u32).to_be_bytes();
    let handshake = [&[1][..], &length[1..], &hello].concat();
    [&[22, 3, 1][..], &long(&handshake)].concat()
}

/// A question to a name server for an address (RFC 1035, section 4.1).
pub fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// The answer to a question: one address of version 4.
pub fn answer(question: &[u8], address: [u8; 4]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] = 0x81;
    message[3] = 0x80;
    message[7] = 1;
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(address);
    message
}

/// A server that keeps what it is sent.
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Listener {
    /// Listens, and greets whoever comes with these bytes.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn tcp(address: &str, greeting: &'static [u8]) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot bind {address}"))?;
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let found = Self {
            address: listener.local_addr()?,
            heard: Arc::clone(&heard),
        };
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || hear(stream, greeting, &heard));
            }
        });
        Ok(found)
    }

    /// Answers every question to a name server with one address.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn names(address: &str, answered: [u8; 4]) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let found = Self {
            address: socket.local_addr()?,
            heard: Arc::clone(&heard),
        };
        std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let message = bytes[..length].to_vec();
                let _ = socket.send_to(&answer(&message, answered), from);
                heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(message);
            }
        });
        Ok(found)
    }

    /// What each who came has sent so far.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn hear(mut stream: TcpStream, greeting: &[u8], heard: &Mutex<Vec<Vec<u8>>>) {
    let lock = || heard.lock().unwrap_or_else(PoisonError::into_inner);
    let place = {
        let mut all = lock();
        all.push(Vec::new());
        all.len() - 1
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let _ = stream.write_all(greeting);
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        lock()[place].extend(&bytes[..count]);
    }
}

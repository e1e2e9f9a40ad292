//! An SMTP server that keeps the mail it gets, or fails as it is told to.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A connection on which nothing comes for this long ends.
const PATIENCE: Duration = Duration::from_secs(30);
/// A line longer than this ends the connection: no mail of ours has one.
const LINE_BYTES: usize = 100_000;

/// What becomes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailFault {
    /// The recipient is refused with this code and text, such as 550 or 451.
    Reject(u16, String),
    /// The connection ends after the mail's text came, before it is answered for: the mail is kept.
    DropAfterData,
    /// The connection ends at once.
    Drop,
    /// The greeting comes so late.
    Slow(Duration),
}

/// A mail that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The sender in the envelope.
    pub from: String,
    /// The recipients in the envelope.
    pub to: Vec<String>,
    /// User and password, where there was a login.
    pub login: Option<(String, String)>,
    /// Headers and body as they came, lines ended by `\n`.
    pub text: String,
}

impl Mail {
    /// The lines of the header, unfolded.
    pub fn headers(&self) -> Vec<String> {
        let mut headers: Vec<String> = Vec::new();
        for line in self.text.split('\n').take_while(|line| !line.is_empty()) {
            match headers.last_mut() {
                Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
                _ => headers.push(line.to_owned()),
            }
        }
        headers
    }
}

#[derive(Debug, Default)]
struct State {
    faults: VecDeque<MailFault>,
    mails: Vec<Mail>,
    connections: usize,
    open: Vec<TcpStream>,
    is_over: bool,
}

#[derive(Debug)]
struct Shared {
    /// User and password, where a login is asked for.
    login: Option<(String, String)>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The running server.
#[derive(Debug)]
pub struct MailSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl MailSink {
    /// Takes every mail, after the first connections had these faults, one each.
    pub fn start(faults: impl IntoIterator<Item = MailFault>) -> Self {
        Self::with_login(faults, None)
    }

    /// As [`MailSink::start`], for those who log in.
    ///
    /// # Panics
    /// Where no port can be had.
    pub fn with_login(
        faults: impl IntoIterator<Item = MailFault>,
        login: Option<(&str, &str)>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("a socket has an address");
        let shared = Arc::new(Shared {
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
            state: Mutex::new(State {
                faults: faults.into_iter().collect(),
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("mail-sink".to_owned())
            .spawn(move || serving.serve(&listener))
            .expect("a thread can be started");
        Self {
            address,
            shared,
            thread: Some(thread),
        }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The mails so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.lock().mails.clone()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        let open = {
            let mut state = self.shared.lock();
            state.is_over = true;
            std::mem::take(&mut state.open)
        };
        self.shared.changed.notify_all();
        for stream in open {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let fault = {
                let mut state = self.lock();
                if state.is_over {
                    return;
                }
                state.connections += 1;
                if let Ok(clone) = stream.try_clone() {
                    state.open.push(clone);
                }
                state.faults.pop_front()
            };
            let shared = Arc::clone(self);
            // It ends with its connection, which the sink's end shuts down.
            let _ = std::thread::Builder::new()
                .name("mail-sink-connection".to_owned())
                .spawn(move || shared.talk(stream, fault.as_ref()));
        }
    }

    /// One connection, to its end; an error on it is its end.
    fn talk(&self, stream: TcpStream, fault: Option<&MailFault>) {
        let end = stream.try_clone();
        let _ = self.converse(stream, fault);
        if let Ok(end) = end {
            // The clone that the sink keeps would hold the connection open.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn converse(&self, stream: TcpStream, fault: Option<&MailFault>) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut out = stream.try_clone()?;
        let mut lines = BufReader::new(stream);
        match fault {
            Some(MailFault::Drop) => return Ok(()),
            Some(MailFault::Slow(delay)) => {
                let state = self.lock();
                let _ = self
                    .changed
                    .wait_timeout_while(state, *delay, |state| !state.is_over);
            }
            _ => {}
        }
        let mut mail = Mail {
            from: String::new(),
            to: Vec::new(),
            login: None,
            text: String::new(),
        };
        write!(out, "220 sink.invalid ESMTP\r\n")?;
        while let Some(line) = read(&mut lines)? {
            let verb = line.split([' ', ':']).next().unwrap_or_default();
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" if self.login.is_some() => {
                    write!(
                        out,
                        "250-sink.invalid\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
                    )?;
                }
                "EHLO" | "HELO" => write!(out, "250-sink.invalid\r\n250 8BITMIME\r\n")?,
                "AUTH" => {
                    let login = plain_login(&line);
                    let fits = login.is_some() && login == self.login;
                    mail.login = login;
                    let answer = if fits {
                        "235 2.7.0 welcome"
                    } else {
                        "535 5.7.8 no"
                    };
                    write!(out, "{answer}\r\n")?;
                }
                "MAIL" if self.login.is_some() && mail.login != self.login => {
                    write!(out, "530 5.7.0 log in first\r\n")?;
                }
                "MAIL" => {
                    mail.from = address(&line);
                    mail.to.clear();
                    write!(out, "250 2.1.0 ok\r\n")?;
                }
                "RCPT" => {
                    if let Some(MailFault::Reject(code, text)) = fault {
                        write!(out, "{code} {text}\r\n")?;
                    } else {
                        mail.to.push(address(&line));
                        write!(out, "250 2.1.5 ok\r\n")?;
                    }
                }
                "DATA" => {
                    write!(out, "354 go on\r\n")?;
                    mail.text = read_text(&mut lines)?;
                    self.lock().mails.push(mail.clone());
                    if fault == Some(&MailFault::DropAfterData) {
                        return Ok(());
                    }
                    write!(out, "250 2.0.0 kept\r\n")?;
                }
                "QUIT" => {
                    write!(out, "221 2.0.0 bye\r\n")?;
                    return Ok(());
                }
                "NOOP" | "RSET" => write!(out, "250 2.0.0 ok\r\n")?,
                _ => write!(out, "502 5.5.1 not known\r\n")?,
            }
        }
        Ok(())
    }
}

/// A line without its end; `None` at the end of the connection.
fn read(lines: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if io::Read::take(lines, LINE_BYTES as u64).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.pop() != Some(b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line without end",
        ));
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_text(lines: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    while let Some(line) = read(lines)? {
        if line == "." {
            return Ok(text);
        }
        // A dot at the start is doubled on the way (RFC 5321, 4.5.2).
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "half a mail"))
}

fn address(line: &str) -> String {
    line.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or_else(String::new, |(address, _)| address.to_owned())
}

/// User and password of `AUTH PLAIN base64`.
fn plain_login(line: &str) -> Option<(String, String)> {
    let encoded = line.split(' ').nth(2)?;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split('\0').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

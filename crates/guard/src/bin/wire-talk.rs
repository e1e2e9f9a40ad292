//! A stand-in for whoever speaks over the wire, for the tests of this crate. It does what the lines of
//! its standard input say, one after the other, and leaves with 0 when all is done:
//!
//! - `apart` goes into a network namespace of its own, which has loopback alone;
//! - `connect ADDRESS:PORT`, `itself` (what it sends, it hears), `listen ADDRESS:PORT` (then the first to come is spoken with);
//! - `send HEX`, one segment for each line; `expect COUNT` waits for so many bytes, `end` for the end;
//! - `ask ADDRESS:PORT HEX` sends a datagram and waits for an answer, at most half a second;
//! - `say WORD` writes a line to standard output.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program of its own, which has nobody else to tell"
)]

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;
use std::time::Duration;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// An answer that has not come by then is taken for dropped.
const ANSWER: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match talk() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

fn talk() -> io::Result<()> {
    let mut stream: Option<TcpStream> = None;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let connected = || io::Error::other("connect first");
        match verb {
            "apart" => apart()?,
            "itself" => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let address = listener.local_addr()?;
                std::thread::spawn(move || {
                    let heard = listener.accept().map(|(mut stream, _)| {
                        let _ = stream.set_read_timeout(Some(PATIENCE));
                        stream.read_to_end(&mut Vec::new())
                    });
                    drop(heard);
                });
                stream = Some(ready(TcpStream::connect(address)?)?);
            }
            "connect" => stream = Some(ready(TcpStream::connect(rest)?)?),
            "listen" => {
                let listener = TcpListener::bind(rest)?;
                println!("{}", listener.local_addr()?);
                stream = Some(ready(listener.accept()?.0)?);
            }
            "send" => {
                let stream = stream.as_mut().ok_or_else(connected)?;
                stream.write_all(&bytes(rest)?)?;
            }
            "expect" => {
                let count = rest.parse().map_err(io::Error::other)?;
                let stream = stream.as_mut().ok_or_else(connected)?;
                stream.read_exact(&mut vec![0; count])?;
            }
            "end" => {
                let mut stream = stream.take().ok_or_else(connected)?;
                stream.shutdown(std::net::Shutdown::Write)?;
                stream.read_to_end(&mut Vec::new())?;
            }
            "ask" => ask(rest)?,
            "say" => println!("{rest}"),
            other => return Err(io::Error::other(format!("what is `{other}`?"))),
        }
    }
    Ok(())
}

/// Leaves the network of the machine, and raises the loopback of its own.
fn apart() -> io::Result<()> {
    // SAFETY: it takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zeros are a request, which is written below.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the socket is open, and the request is one of this call.
    match unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(rest: &str) -> io::Result<()> {
    let (to, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let to: std::net::SocketAddr = to.parse().map_err(io::Error::other)?;
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(ANSWER))?;
    // A dropped datagram may be refused, too.
    let answered = socket
        .send_to(&bytes(text)?, to)
        .and_then(|_| socket.recv(&mut [0; 1500]));
    println!(
        "{}",
        if answered.is_ok() {
            "answered"
        } else {
            "silence"
        }
    );
    Ok(())
}

fn bytes(hex: &str) -> io::Result<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(io::Error::other)?;
            u8::from_str_radix(pair, 16).map_err(io::Error::other)
        })
        .collect()
}

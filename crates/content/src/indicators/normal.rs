//! What somebody wrote to an indicator: names as the domain name system has them, addresses, ports,
//! networks; whatever was done to it so that nobody clicks on it.

use std::net::IpAddr;
use std::str::FromStr;

use super::{Value, danger, is_domain};

/// A longer text is no indicator.
const MAX_TEXT_BYTES: usize = 2048;

/// The indicator of a text, or why it is none or must not be one.
///
/// Takes a domain, an address, either with a port, a network, a URL, and what `hxxp` and `[.]` make
/// of them.
///
/// # Errors
/// The reason, in words.
pub fn value(text: &str) -> Result<Value, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err("it is longer than any name".to_owned());
    }
    let text = armed(text);
    let (host, port) = host_and_port(&text)?;
    let value = match (address(&host), port) {
        (Some(Address::One(address)), None) => Value::Address(address.to_canonical()),
        (Some(Address::One(address)), Some(port)) => {
            Value::AddressPort(address.to_canonical(), port)
        }
        (Some(Address::Network(address, bits)), None) => Value::Network(address, bits),
        (Some(Address::Network(..)), Some(_)) => {
            return Err("a network with a port is no indicator here".to_owned());
        }
        (None, _) if host.contains('/') => {
            return Err("it is no network: an address, a slash and its length".to_owned());
        }
        // The name says more than the port.
        (None, _) => Value::Domain(name(&host)?),
    };
    danger::of(&value).map_or(Ok(value), Err)
}

/// A port by itself.
///
/// # Errors
/// The reason, in words.
pub fn port(text: &str) -> Result<Value, String> {
    let port = u16::from_str(text.trim()).map_err(|_| "it is no port".to_owned())?;
    let value = Value::Port(port);
    danger::of(&value).map_or(Ok(value), Err)
}

/// A text as it was before somebody made it harmless.
fn armed(text: &str) -> String {
    let mut text = text.trim().trim_matches(['"', '\'', '`']).to_owned();
    for (harmless, meant) in [
        ("[.]", "."),
        ("(.)", "."),
        ("{.}", "."),
        ("[dot]", "."),
        ("(dot)", "."),
        ("[:]", ":"),
        ("[://]", "://"),
        ("[/]", "/"),
        ("\\.", "."),
    ] {
        text = text.replace(harmless, meant);
    }
    let lower = text.to_ascii_lowercase();
    for scheme in ["hxxps://", "hxxp://", "hxtps://", "h**p://", "meow://"] {
        if lower.starts_with(scheme) {
            text = format!("http://{}", &text[scheme.len()..]);
        }
    }
    text
}

/// The host of a text, with its port: of a URL, of `host:port`, of `[address]:port`.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let port_of = |text: &str| match text {
        "" => Ok(None),
        text => u16::from_str(text)
            .ok()
            .filter(|port| *port > 0)
            .map(Some)
            .ok_or_else(|| "its port is none".to_owned()),
    };
    let (is_url, rest) = match text.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, text),
    };
    // A network has a slash, and nothing behind it but its length.
    let is_path = |behind: &str| is_url || behind.parse::<u8>().is_err();
    let rest = match rest.split_once('/') {
        Some((host, behind)) if is_path(behind) => host,
        _ => rest,
    };
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let rest = rest.trim_start_matches("||").trim_end_matches('^');
    if let Some(bracketed) = rest.strip_prefix('[') {
        let (address, behind) = bracketed
            .split_once(']')
            .ok_or_else(|| "a bracket is not closed".to_owned())?;
        let port = port_of(behind.strip_prefix(':').unwrap_or(behind))?;
        return Ok((address.to_owned(), port));
    }
    // Several colons are an address of IPv6.
    match rest.split_once(':') {
        Some((host, port)) if !port.contains(':') => Ok((host.to_owned(), port_of(port)?)),
        _ => Ok((rest.to_owned(), None)),
    }
}

enum Address {
    One(IpAddr),
    Network(IpAddr, u8),
}

fn address(text: &str) -> Option<Address> {
    if let Ok(address) = IpAddr::from_str(text) {
        return Some(Address::One(address));
    }
    let (address, bits) = text.split_once('/')?;
    network(IpAddr::from_str(address).ok()?, bits.parse().ok()?).map(|(address, bits)| {
        match (address, bits) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => Address::One(address),
            _ => Address::Network(address, bits),
        }
    })
}

/// A network by its first address; nothing where it has no such length.
pub(super) fn network(address: IpAddr, bits: u8) -> Option<(IpAddr, u8)> {
    match address {
        IpAddr::V4(address) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Some((
                IpAddr::from((u32::from(address) & mask).to_be_bytes()),
                bits,
            ))
        }
        IpAddr::V6(address) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Some((
                IpAddr::from((u128::from(address) & mask).to_be_bytes()),
                bits,
            ))
        }
        _ => None,
    }
}

/// A name as the domain name system has it (IDNA 2008, UTS 46).
fn name(text: &str) -> Result<String, String> {
    let text = text
        .trim_start_matches("*.")
        .trim_start_matches('.')
        .trim_end_matches('.');
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let name = match text.is_ascii() {
        // Underscores are in names that are looked up, though in none that is registered.
        true => text.to_ascii_lowercase(),
        false => idna::domain_to_ascii(text)
            .map_err(|_| "it is no name, in whatever script".to_owned())?,
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    if name.split('.').next_back().is_some_and(is_number) {
        return Err("it is neither an address nor a name".to_owned());
    }
    match (is_domain(&name), name.contains('.')) {
        (true, _) => Ok(name),
        (false, false) => Err("a single label would match half of the world".to_owned()),
        (false, true) => Err("it is neither an address nor a name".to_owned()),
    }
}

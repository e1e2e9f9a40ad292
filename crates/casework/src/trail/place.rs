//! Where calls come from and what with, and what is near and alike.

use std::net::IpAddr;

/// The address of a place, or of the network that stands for many.
pub fn address(place: &str) -> Option<IpAddr> {
    place.split('/').next()?.parse().ok()
}

/// The network of an address: what a household, an office or a data centre's customer has. Other places
/// are their own network.
pub fn net(place: &str) -> String {
    match place.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        Err(_) => place.to_owned(),
    }
}

/// A wider network: what the customers of a provider in a town have, among whom an address wanders.
pub fn neighbourhood(place: &str) -> String {
    match place.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, ..] = address.octets();
            format!("{a}.{b}.0.0/16")
        }
        Ok(IpAddr::V6(address)) => {
            let [a, b, ..] = address.segments();
            format!("{a:x}:{b:x}::/32")
        }
        Err(_) => place.to_owned(),
    }
}

/// Whether a tool's name says more than which browser it is: thousands have the same browser.
pub fn is_telling(agent: &str) -> bool {
    !agent.starts_with("Mozilla/") && !agent.is_empty()
}

/// A user agent without its versions and details: what people change seldom.
pub fn family(agent: &str) -> String {
    let first = agent
        .trim_start_matches('[')
        .split([' ', ';', ']'])
        .next()
        .unwrap_or_default();
    first
        .split('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

//! Messages of the domain name system: what was asked, and which addresses were answered.

use std::collections::HashMap;
use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::RData;

/// What one message says.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The names that were asked for.
    pub asked: Vec<String>,
    /// The addresses that were answered, each with the name that was asked for.
    pub addresses: Vec<(IpAddr, String)>,
    /// Whether it is an answer.
    pub is_answer: bool,
}

/// Reads a message; nothing where it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Read> {
    let message = Message::from_vec(bytes).ok()?;
    let name_of = |name: &hickory_proto::rr::Name| {
        let name = name.to_ascii().to_ascii_lowercase();
        name.trim_end_matches('.').to_owned()
    };
    let asked: Vec<String> = message
        .queries
        .iter()
        .map(|query| name_of(query.name()))
        .collect();
    let first = asked.first().cloned().unwrap_or_default();
    let mut addresses: HashMap<IpAddr, String> = HashMap::new();
    for record in &message.answers {
        let address = match &record.data {
            RData::A(address) => IpAddr::V4(address.0),
            RData::AAAA(address) => IpAddr::V6(address.0),
            _ => continue,
        };
        addresses.insert(address, first.clone());
    }
    Some(Read {
        asked,
        addresses: addresses.into_iter().collect(),
        is_answer: message.metadata.message_type == MessageType::Response,
    })
}

//! Addresses and networks.

use std::net::IpAddr;

use datafusion::error::DataFusionError;
use davylamp_detect::address::{self, Network};

use super::Function;
use super::scalar::{of_text, of_two_texts};

pub(super) fn all() -> Vec<Function> {
    vec![
        Function {
            usage: "is_public(address)",
            about: "whether a host on the public Internet has it; NULL for what is no address",
            udf: of_text("is_public", |text| {
                text.parse::<IpAddr>().ok().map(address::is_public)
            }),
        },
        Function {
            usage: "in_cidr(address, network)",
            about: "whether the address lies in the network; NULL for what is no address",
            udf: of_two_texts("in_cidr", |address, network| {
                let network: Network = network
                    .parse()
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                Ok(address
                    .parse()
                    .ok()
                    .map(|address| network.contains(address)))
            }),
        },
    ]
}

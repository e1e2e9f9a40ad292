//! Where calls come from: networks of providers of homes, offices, phones, clouds and rented machines.
//!
//! Nobody is called at these addresses. Ranges for documentation would not do: what judges addresses
//! must take these for public ones. The ranges are those that the providers announced in 2025, and a
//! story takes addresses in them by lot.

use super::dice::Dice;

/// A network: the first two bytes of its addresses, from and to the third.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Whose it is.
    pub of: &'static str,
    first: [u8; 2],
    third: (u8, u8),
}

const fn network(of: &'static str, first: [u8; 2], third: (u8, u8)) -> Network {
    Network { of, first, third }
}

impl Network {
    /// One of its addresses.
    pub fn address(&self, dice: &mut Dice) -> String {
        let third = dice.between(i64::from(self.third.0), i64::from(self.third.1));
        let fourth = dice.between(2, 253);
        format!("{}.{}.{third}.{fourth}", self.first[0], self.first[1])
    }
}

/// Where people live: the network, and how many hours its clocks are ahead of UTC.
pub const HOMES: &[(Network, i64)] = &[
    (network("Deutsche Telekom", [91, 12], (0, 255)), 1),
    (network("Vodafone DE", [95, 90], (0, 255)), 1),
    (network("BT", [86, 134], (0, 255)), 0),
    (network("Comcast", [73, 162], (0, 255)), -8),
    (network("Verizon", [71, 172], (0, 255)), -5),
    (network("Charter", [24, 90], (0, 255)), -5),
    (network("Telstra", [58, 164], (0, 255)), 10),
    (network("Orange", [90, 3], (0, 255)), 1),
];

/// Lines of offices.
pub const OFFICES: &[Network] = &[
    network("AT&T business", [12, 53], (160, 200)),
    network("Colt", [213, 61], (32, 90)),
    network("Lumen", [65, 123], (10, 90)),
];

/// Where many people leave by the same door.
pub const VPNS: &[Network] = &[
    network("M247", [185, 65], (134, 135)),
    network("Datacamp", [89, 187], (176, 183)),
    network("a company's concentrator", [193, 25], (10, 20)),
];

/// Phones, whose addresses change within a prefix.
pub const PHONES: &[Network] = &[
    network("T-Mobile US", [172, 56], (8, 47)),
    network("Telekom mobile", [80, 187], (64, 127)),
    network("EE", [31, 94], (0, 63)),
];

/// Where people travel to.
pub const TRAVELS: &[Network] = &[
    network("a hotel in Tokyo", [126, 74], (0, 255)),
    network("a conference in Lisbon", [85, 240], (0, 127)),
    network("a hotel in Singapore", [116, 86], (0, 127)),
    network("a flat in Buenos Aires", [181, 47], (0, 127)),
];

/// Rented machines, exits of Tor, and doors in other people's homes.
pub const HIDEOUTS: &[Network] = &[
    network("DigitalOcean", [167, 99], (0, 255)),
    network("Hetzner", [95, 216], (0, 255)),
    network("OVH", [51, 75], (0, 255)),
    network("Contabo", [173, 212], (192, 255)),
    network("Alexhost", [176, 123], (0, 15)),
    network("Vultr", [45, 76], (0, 255)),
    network("a relay's exit", [185, 220], (100, 103)),
    network("Telkomsel", [114, 122], (0, 255)),
    network("VNPT", [113, 161], (0, 255)),
    network("Maroc Telecom", [105, 158], (0, 255)),
];

/// Runners of hosted CI.
pub const RUNNERS: &[Network] = &[
    network("Azure", [20, 57], (0, 127)),
    network("Azure", [52, 159], (0, 255)),
    network("Azure", [13, 86], (0, 255)),
];

/// A watcher that calls from outside.
pub const WATCHERS: &[Network] = &[
    network("EC2, us-east-1", [3, 233], (144, 159)),
    network("EC2, us-east-1", [34, 226], (0, 31)),
];

/// Addresses of machines in EC2, by region.
pub fn ec2(region: &str) -> Network {
    match region {
        "us-east-1" => network("EC2", [54, 210], (0, 255)),
        "us-east-2" => network("EC2", [3, 138], (0, 255)),
        "us-west-1" => network("EC2", [54, 183], (0, 255)),
        "us-west-2" => network("EC2", [35, 164], (0, 255)),
        "eu-west-1" => network("EC2", [34, 245], (0, 255)),
        "eu-west-2" => network("EC2", [18, 132], (0, 255)),
        "eu-central-1" => network("EC2", [18, 184], (0, 255)),
        "ap-southeast-2" => network("EC2", [13, 54], (0, 255)),
        "ap-northeast-1" => network("EC2", [54, 178], (0, 255)),
        _ => network("EC2", [18, 228], (0, 255)),
    }
}

/// Where miners deliver: an address of a pool, its port, and its name.
pub const POOLS: &[(&str, u16, &str)] = &[
    ("141.94.96.144", 3333, "pool.supportxmr.com"),
    ("51.255.34.118", 14444, "xmr-eu1.nanopool.org"),
    ("149.202.83.171", 443, "xmr.2miners.com"),
    ("18.180.72.219", 3333, "gulf.moneroocean.stream"),
];

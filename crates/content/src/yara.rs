//! The rules for programs' files that ship with Davylamp, as text.
//!
//! The rules name what miners hold, so a program that carries them as they are would be found by them
//! itself. They are therefore carried in a form in which nothing of them stands. Compiling and judging is
//! done where the engine is (crate `guard`).

/// Carries a text so that none of its words stands in the program: each byte is changed by its place.
const fn carried<const LENGTH: usize>(text: &[u8]) -> [u8; LENGTH] {
    let mut carried = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        carried[at] = text[at] ^ key(at);
        at += 1;
    }
    carried
}

const fn key(at: usize) -> u8 {
    (at as u8).wrapping_mul(31) ^ 0xa5
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("content/yara/", $name, ".yar"),
            {
                const LENGTH: usize =
                    include_bytes!(concat!("../../../content/yara/", $name, ".yar")).len();
                const CARRIED: [u8; LENGTH] =
                    carried(include_bytes!(concat!("../../../content/yara/", $name, ".yar")));
                &CARRIED
            },
        )),*]
    };
}

const SHIPPED: &[(&str, &[u8])] = shipped![
    "cryptonight",
    "graphics",
    "miner-program",
    "miner-script",
    "packed",
    "proof-of-work",
    "randomx",
];

/// The rule files that ship: the name shown for each, and its text.
pub fn shipped() -> Vec<(&'static str, String)> {
    let text = |carried: &[u8]| {
        let bytes = carried.iter().enumerate();
        let bytes: Vec<u8> = bytes.map(|(at, byte)| byte ^ key(at)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    SHIPPED
        .iter()
        .map(|(name, carried)| (*name, text(carried)))
        .collect()
}

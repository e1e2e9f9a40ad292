//! The shapes of wallet addresses.
//!
//! A shape is a sign, not a proof: short base58 texts also name files and objects, so a caller
//! that acts on one wants more. Sources: the address formats of Monero (base58, 95 characters, 106
//! with a payment id), Bitcoin (BIP 13, 173, 350), Ethereum (EIP-55), Zcash (protocol, section
//! 5.6).

/// What a wallet address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wallet {
    /// Monero, and the coins that share its format.
    Monero,
    /// Bitcoin.
    Bitcoin,
    /// Ethereum, and the chains that share its format.
    Ethereum,
    /// Zcash, transparent.
    Zcash,
}

impl Wallet {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monero => "monero",
            Self::Bitcoin => "bitcoin",
            Self::Ethereum => "ethereum",
            Self::Zcash => "zcash",
        }
    }

    /// What a text has the shape of, without the name of a worker that miners append.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let address = text.split(['.', '+', '/', ':']).next().unwrap_or(text);
        let bytes = address.as_bytes();
        match (bytes, bytes.len()) {
            ([b'4' | b'8', ..], 95) | ([b'4', ..], 106) if bytes.iter().all(is_base58) => {
                Some(Self::Monero)
            }
            ([b'0', b'x' | b'X', rest @ ..], 42) if rest.iter().all(u8::is_ascii_hexdigit) => {
                Some(Self::Ethereum)
            }
            ([b'b', b'c', b'1', rest @ ..], 42 | 62) if rest.iter().all(is_bech32) => {
                Some(Self::Bitcoin)
            }
            ([b't', b'1' | b'3', ..], 35) if bytes.iter().all(is_base58) => Some(Self::Zcash),
            ([b'1' | b'3', ..], 26..=35) if bytes.iter().all(is_base58) && is_mixed(bytes) => {
                Some(Self::Bitcoin)
            }
            _ => None,
        }
    }
}

/// Whether a text is base58 with Bitcoin's checksum: its last four bytes begin the double SHA-256 of
/// those before (BIP 13, "Specification"). Of texts by chance, one in four thousand million is.
pub fn has_base58_checksum(text: &[u8]) -> bool {
    use sha2::{Digest, Sha256};
    /// The longest versions have two bytes: with the hash and the checksum these are 26.
    const MAX_BYTES: usize = 26;
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut number = [0_u8; MAX_BYTES];
    for letter in text {
        let Some(digit) = ALPHABET.iter().position(|known| known == letter) else {
            return false;
        };
        let mut carry = digit as u32;
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return false;
        }
    }
    // Each 1 in front is a zero byte; the rest of the number begins where it is not zero.
    let zeros = text.iter().take_while(|letter| **letter == b'1').count();
    let significant = number
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(MAX_BYTES);
    let Some(start) = significant.checked_sub(zeros) else {
        return false;
    };
    let bytes = &number[start..];
    let Some((payload, checksum)) = bytes.split_last_chunk::<4>() else {
        return false;
    };
    matches!(payload.len(), 21 | 22) && Sha256::digest(Sha256::digest(payload))[..4] == *checksum
}

/// Base58 as Bitcoin has it: without 0, O, I and l.
fn is_base58(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l')
}

/// The characters of bech32 (BIP 173): without 1, b, i and o.
fn is_bech32(byte: &u8) -> bool {
    matches!(byte, b'0' | b'2'..=b'9' | b'a' | b'c'..=b'h' | b'j'..=b'n' | b'p'..=b'z')
}

/// A number, and an id in one case, are not wallets.
fn is_mixed(bytes: &[u8]) -> bool {
    bytes.iter().any(u8::is_ascii_lowercase) && bytes.iter().any(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Wallet>) {
        assert_eq!(Wallet::of(text), expected, "{text}");
    }

    #[test]
    fn a_checksum_tells_an_address_from_an_id() {
        for (text, expected) in [
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", true),
            ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", true),
            ("t1Hsc1LR8yKnbbe3twRp88p6vFfC5t7DLbs", true),
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", false),
            ("1srQrx2ZWZBpBUvZwXKQmqEYga2", false),
            ("1111111111111111111111111111111111111111", false),
            ("", false),
            ("0", false),
        ] {
            assert_eq!(has_base58_checksum(text.as_bytes()), expected, "{text}");
        }
        assert!(!has_base58_checksum(&[b'z'; 10_000]));
    }

    #[test]
    fn shapes_are_told_apart() {
        let monero = format!("4{}", "A".repeat(94));
        check(&monero, Some(Wallet::Monero));
        check(&format!("{monero}.worker1"), Some(Wallet::Monero));
        check(&format!("{monero}+50000"), Some(Wallet::Monero));
        check(&format!("8{}", "b".repeat(94)), Some(Wallet::Monero));
        check(&format!("4{}", "A".repeat(105)), Some(Wallet::Monero));
        check(&format!("4{}0", "A".repeat(93)), None);
        check(&format!("4{}", "A".repeat(93)), None);
        check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Some(Wallet::Bitcoin));
        check(
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            Some(Wallet::Bitcoin),
        );
        check(
            "0x52908400098527886E0F7030069857D2E4169EE7",
            Some(Wallet::Ethereum),
        );
        check("0x52908400098527886E0F7030069857D2E4169EEg", None);
        check("t1Hsc1LR8yKnbbe3twRp88p6vFfC5t7DLbs", Some(Wallet::Zcash));
        check("11111111111111111111111111111111", None);
        check("3aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", None);
        check("", None);
        check("\u{1F4B0}", None);
    }
}

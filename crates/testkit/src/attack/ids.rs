//! Ids in the shapes AWS gives them.

use super::dice::Dice;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const UNIQUE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// An id of twelve digits, no zero in front.
pub fn account(dice: &mut Dice) -> String {
    format!("{}", dice.between(100_000_000_000, 999_999_999_999))
}

/// A key's id: `AKIA` or `ASIA` and sixteen characters of base 32 that begin with a set bit and the
/// account's forty, as those of keys made since 2019 do.
pub fn access_key(dice: &mut Dice, prefix: &str, account: &str) -> String {
    let account: u128 = account.parse().unwrap_or(0);
    let random = u128::from(dice.roll(1 << 39));
    let bits = 1 << 79 | (account & 0xff_ffff_ffff) << 39 | random;
    let mut key = String::with_capacity(20);
    key.push_str(prefix);
    for digit in (0..16).rev() {
        key.push(char::from(BASE32[(bits >> (digit * 5) & 31) as usize]));
    }
    key
}

/// The unique id of a user (`AIDA`), a role (`AROA`) or another thing of IAM.
pub fn unique(dice: &mut Dice, prefix: &str) -> String {
    format!("{prefix}{}", dice.text(UNIQUE, 17))
}

/// An id with seventeen digits, such as `i-0123456789abcdef0`.
pub fn resource(dice: &mut Dice, prefix: &str) -> String {
    format!("{prefix}-0{}", dice.hex(16))
}

/// A session token, much shorter than AWS's.
pub fn token(dice: &mut Dice) -> String {
    format!("IQoJb3JpZ2luX2Vj{}", dice.text(BASE64, 48))
}

/// What tells one file of a moment from another.
pub fn file(dice: &mut Dice) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    dice.text(letters, 16)
}

/// What AWS says of a refusal, in its own cipher.
pub fn encoded_message(dice: &mut Dice) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    dice.text(letters, 180)
}

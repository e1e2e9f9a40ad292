//! Shares: which of several workers an object belongs to.
//!
//! What must stay true: workers of any version agree, so the hash is SHA-256 of the key and nothing
//! that a library may change.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A share of the objects: one of several workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

/// Why a text is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write I/N, such as 0/4: the first of four shares")]
pub struct ShardError;

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (index, count) = text.split_once('/').ok_or(ShardError)?;
        let shard = Self {
            index: index.parse().map_err(|_| ShardError)?,
            count: count.parse().map_err(|_| ShardError)?,
        };
        match shard.index < shard.count {
            true => Ok(shard),
            false => Err(ShardError),
        }
    }
}

impl Shard {
    /// Whether an object with this key belongs to it.
    pub fn has(self, key: &str) -> bool {
        let hash = Sha256::digest(key.as_bytes());
        let first = hash
            .iter()
            .take(8)
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        first % u64::from(self.count.max(1)) == u64::from(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_belongs_to_one_share() {
        for key in (0..100).map(|number| format!("logs/{number}.gz")) {
            let has = |index| Shard { index, count: 7 }.has(&key);
            assert_eq!((0..7).filter(|index| has(*index)).count(), 1, "{key}");
        }
        // Workers of another version must agree: SHA-256 of the key starts with 0xba7816bf8f01cfea.
        let remainder = u32::try_from(0xba78_16bf_8f01_cfea_u64 % 7).expect("it is small");
        assert!(
            Shard {
                index: remainder,
                count: 7
            }
            .has("abc")
        );
    }

    #[test]
    fn a_share_is_one_of_so_many() {
        assert_eq!("0/4".parse(), Ok(Shard { index: 0, count: 4 }));
        for wrong in ["4/4", "0/0", "-1/4", "1", "", "1/2/3"] {
            assert_eq!(wrong.parse::<Shard>(), Err(ShardError), "{wrong}");
        }
    }
}

//! How much information lies in bytes.

/// Bits of information in each byte, from 0 to 8, by how often each byte occurs (Shannon, 1948).
/// Of nothing it is 0.
pub fn of(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] = counts[usize::from(*byte)].saturating_add(1);
    }
    let total = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0);
    let bits = shares
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2());
    // Of one byte alone the sum is a negative zero, which adding makes a plain one.
    bits.sum::<f64>() + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: f64) {
        assert!((of(text.as_bytes()) - expected).abs() < 1e-9, "{text}");
    }

    #[test]
    fn each_byte_has_as_many_bits_as_it_needs() {
        check("", 0.0);
        check("aaaa", 0.0);
        check("abab", 1.0);
        check("abcd", 2.0);
    }
}

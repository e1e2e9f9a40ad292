//! Money as a bill writes it: with ten digits after the point, and many lines to add up.

use std::iter::Sum;

/// Digits after the point that are kept.
const DIGITS: u32 = 12;

/// No line of a bill has a cost of this many digits before the point.
const MAX_WHOLE_DIGITS: usize = 15;

/// Millionths of a millionth of a dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pico(pub i128);

impl Pico {
    /// Adds to it.
    pub fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl Sum for Pico {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |mut sum, amount| {
            sum.add(amount);
            sum
        })
    }
}

/// In millionths of a dollar, the nearest.
pub fn micros(amount: Pico) -> i64 {
    let half = 500_000 * amount.0.signum();
    let micros = amount.0.saturating_add(half) / 1_000_000;
    i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
}

/// A decimal number of dollars, which may be negative and have an exponent; nothing for what is no
/// such number.
pub(super) fn pico(text: &str) -> Option<Pico> {
    let text = text.trim();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // Where the point comes to stand, in the digits of both.
    let all = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let zeros = all.len() - all.trim_start_matches('0').len();
    if point - i64::try_from(zeros).ok()? > MAX_WHOLE_DIGITS as i64 {
        return all.trim_start_matches('0').is_empty().then(Pico::default);
    }
    let mut amount: i128 = 0;
    let wanted = point + i64::from(DIGITS);
    for at in 0..wanted.max(0) {
        let digit = usize::try_from(at)
            .ok()
            .and_then(|at| all.as_bytes().get(at));
        amount = amount * 10 + digit.map_or(0, |digit| i128::from(digit - b'0'));
    }
    Some(Pico(if is_negative { -amount } else { amount }))
}

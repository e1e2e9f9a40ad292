//! What many figures come to.

/// The middle of some figures, and the middle half of them.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&figures, share);
        Self {
            low: at(0.25),
            median: at(0.5),
            high: at(0.75),
        }
    }
}

/// The figure below which `share` of the sorted figures lie; not a number if there are none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted
        .get((last * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// p50, p90, p99 in nanoseconds.
pub type Percentiles = [f64; 3];

/// The percentiles of some nanoseconds.
pub fn percentiles(figures: Vec<u64>) -> Percentiles {
    let mut sorted: Vec<f64> = figures.into_iter().map(|ns| ns as f64).collect();
    sorted.sort_by(f64::total_cmp);
    [0.5, 0.9, 0.99].map(|share| quantile(&sorted, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_figures_that_occurred() {
        let spread = Spread::of((1..=101).rev().map(f64::from).collect());
        assert_eq!((spread.low, spread.median, spread.high), (26.0, 51.0, 76.0));
        assert_eq!(percentiles((0..=100).collect()), [50.0, 90.0, 99.0]);
        assert!(Spread::of(Vec::new()).median.is_nan());
    }
}

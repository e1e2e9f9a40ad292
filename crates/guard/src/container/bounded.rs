//! Bounds on what strangers' labels may cost.

use std::collections::BTreeMap;

/// The label bytes kept for one container, keys and values together. Kubernetes' own four labels
/// are a few hundred bytes; an image may carry any number of its own.
const MAX_LABEL_BYTES: usize = 8 * 1024;

/// Labels that are kept before all others, whatever else there is.
const FIRST: &str = "io.kubernetes.";

/// Keeps the labels up to a bound, Kubernetes' own first, and says how many were left out.
pub(super) fn bounded_labels(
    labels: impl IntoIterator<Item = (String, String)>,
) -> (BTreeMap<String, String>, usize) {
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort_by(|(a, _), (b, _)| (!a.starts_with(FIRST), a).cmp(&(!b.starts_with(FIRST), b)));
    let mut spent = 0;
    let mut kept = BTreeMap::new();
    let mut cut = 0;
    for (key, value) in labels {
        let cost = key.len() + value.len();
        if spent + cost > MAX_LABEL_BYTES {
            cut += 1;
        } else {
            spent += cost;
            kept.insert(key, value);
        }
    }
    (kept, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_labels_survive_a_flood_of_others() {
        let mut labels = vec![("io.kubernetes.pod.name".to_owned(), "p".to_owned())];
        labels.extend((0..1_000).map(|n| (format!("a{n:04}"), "x".repeat(100))));
        labels.push(("huge".to_owned(), "x".repeat(MAX_LABEL_BYTES)));
        let total = labels.len();
        let (kept, cut) = bounded_labels(labels);
        assert_eq!(kept["io.kubernetes.pod.name"], "p");
        assert_eq!(kept.len() + cut, total);
        assert!(kept.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() <= MAX_LABEL_BYTES);
        assert!(kept.len() > 50, "most of the budget is used");
    }
}

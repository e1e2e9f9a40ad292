//! Prometheus's text format, as the guard writes it.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>. A line that cannot be read is
//! counted; the others are.

use std::collections::BTreeMap;

/// What a family of samples is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    Counter,
    #[default]
    Gauge,
    Histogram,
}

/// A family.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) samples: Vec<Sample>,
}

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// What follows the family's name: `_bucket`, `_sum`, `_count` of a histogram.
    pub(super) suffix: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Every family by its name, and how many lines could not be read.
pub(super) fn read(text: &str) -> (BTreeMap<String, Family>, usize) {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut unread = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.trim_start().splitn(3, ' ');
            let (what, name, rest) = (words.next(), words.next(), words.next());
            let (Some(name), Some(rest)) = (name, rest) else {
                continue;
            };
            match what {
                Some("HELP") => families.entry(name.to_owned()).or_default().help = rest.to_owned(),
                Some("TYPE") => {
                    families.entry(name.to_owned()).or_default().kind = match rest {
                        "counter" => Kind::Counter,
                        "histogram" => Kind::Histogram,
                        _ => Kind::Gauge,
                    }
                }
                _ => {}
            }
            continue;
        }
        match sample(line) {
            Some((name, labels, value)) => {
                let (family, suffix) = family_of(&families, &name);
                families.entry(family).or_default().samples.push(Sample {
                    suffix,
                    labels,
                    value,
                });
            }
            None => unread += 1,
        }
    }
    (families, unread)
}

fn family_of(families: &BTreeMap<String, Family>, name: &str) -> (String, String) {
    for suffix in ["_bucket", "_sum", "_count"] {
        if let Some(family) = name.strip_suffix(suffix)
            && families
                .get(family)
                .is_some_and(|family| family.kind == Kind::Histogram)
        {
            return (family.to_owned(), suffix.to_owned());
        }
    }
    (name.to_owned(), String::new())
}

type Parts = (String, BTreeMap<String, String>, f64);

fn sample(line: &str) -> Option<Parts> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    // A time may follow; the guard writes none.
    let value = rest.split_whitespace().next()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        value => value.parse().ok()?,
    };
    (!name.is_empty()).then(|| (name.to_owned(), labels, value))
}

/// Labels up to their closing brace, and what follows it.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        text = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_labels_and_histograms() {
        let (families, unread) = read(
            "# HELP a_total how many\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n,}\",y=\"2\"} 3\na_total 4.5\n\
             # TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1e-3\nh_count 2\nbroken{\nbare 1\n",
        );
        assert_eq!(unread, 1);
        let a = &families["a_total"];
        assert_eq!((a.kind, a.help.as_str()), (Kind::Counter, "how many"));
        assert_eq!(a.samples[0].labels["x"], "q\"\\\n,}");
        assert_eq!(a.samples[0].value, 3.0);
        assert_eq!(a.samples[1].value, 4.5);
        let suffixes: Vec<&str> = families["h"]
            .samples
            .iter()
            .map(|s| s.suffix.as_str())
            .collect();
        assert_eq!(suffixes, ["_bucket", "_sum", "_count"]);
        assert_eq!(families["bare"].kind, Kind::Gauge);
    }
}

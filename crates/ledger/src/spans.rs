//! Which findings belong together: the rule, without a database.
//!
//! Two findings are linked where they share a key and their times of sight lie within the window; an
//! incident is what is linked, over however many findings. For one key that is a row of spans, each
//! longer than the window away from the next; a finding that touches several makes one of them. So a
//! finding is compared with spans, not with findings, and the spans at the end are the same in
//! whatever order findings come.
//!
//! Findings that open nothing (spared, held) touch no span. Such a finding belongs to the incident of
//! the first of its keys that has a span near it, and there to the earlier span: a choice that
//! depends on the spans alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::rows::SpanRow;

/// A stretch of time in which a key has become near to what it was not near to before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Zone {
    pub key: String,
    pub from_at: i64,
    pub to_at: i64,
}

/// The spans of some keys.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// By key and beginning.
    keys: HashMap<String, BTreeMap<i64, SpanRow>>,
    stored: HashMap<String, BTreeMap<i64, SpanRow>>,
    changed: HashSet<String>,
}

impl Spans {
    /// Whether the spans of this key are here.
    pub fn knows(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Takes all spans of keys from where they are stored.
    pub fn load(&mut self, keys: &[String], rows: Vec<SpanRow>) {
        for key in keys {
            self.keys.entry(key.clone()).or_default();
            self.stored.entry(key.clone()).or_default();
        }
        for row in rows {
            let stored = self.stored.entry(row.key.clone()).or_default();
            stored.insert(row.from_at, row.clone());
            let spans = self.keys.entry(row.key.clone()).or_default();
            spans.insert(row.from_at, row);
        }
    }

    /// Those of a key that lie within `within` of a time.
    fn touching(&self, key: &str, from: i64, to: i64, within: i64) -> Vec<&SpanRow> {
        let Some(spans) = self.keys.get(key) else {
            return Vec::new();
        };
        let end = to.saturating_add(within);
        let start = from.saturating_sub(within);
        let mut found: Vec<&SpanRow> = spans
            .range(..=end)
            .rev()
            .map(|(_, span)| span)
            // Spans do not overlap: the first that ends too early has only earlier ones before it.
            .take_while(|span| span.to_at >= start)
            .collect();
        found.reverse();
        found
    }

    /// The incidents that a finding which opens is part of, the one that was opened first at the front.
    pub fn incidents(&self, keys: &[String], from: i64, to: i64, within: i64) -> Vec<i64> {
        let mut found: Vec<i64> = keys
            .iter()
            .flat_map(|key| self.touching(key, from, to, within))
            .map(|span| span.incident)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The incident of a finding that opens nothing.
    pub fn choose(&self, keys: &[String], at: i64, within: i64) -> Option<i64> {
        keys.iter().find_map(|key| {
            self.touching(key, at, at, within)
                .first()
                .map(|span| span.incident)
        })
    }

    /// Adds a time to a key's spans, all of which it touches are then one. Returns where the key is
    /// near to something now and was not before.
    pub fn cover(
        &mut self,
        key: &str,
        from: i64,
        to: i64,
        within: i64,
        incident: i64,
    ) -> Vec<Zone> {
        let touched: Vec<SpanRow> = self
            .touching(key, from, to, within)
            .into_iter()
            .cloned()
            .collect();
        let mut whole = SpanRow {
            key: key.to_owned(),
            from_at: from,
            to_at: to,
            incident,
        };
        for span in &touched {
            whole.from_at = whole.from_at.min(span.from_at);
            whole.to_at = whole.to_at.max(span.to_at);
        }
        if touched.len() == 1 && touched[0] == whole {
            return Vec::new();
        }
        let spans = self.keys.entry(key.to_owned()).or_default();
        for span in &touched {
            spans.remove(&span.from_at);
        }
        spans.insert(whole.from_at, whole.clone());
        self.changed.insert(key.to_owned());

        let zone = |from_at: i64, to_at: i64| Zone {
            key: key.to_owned(),
            from_at,
            to_at,
        };
        let mut zones = Vec::new();
        let mut reached = whole.from_at.saturating_sub(within);
        for span in &touched {
            let near = span.from_at.saturating_sub(within);
            if reached < near {
                zones.push(zone(reached, near));
            }
            reached = span.to_at.saturating_add(within);
        }
        let end = whole.to_at.saturating_add(within);
        if reached < end {
            zones.push(zone(reached, end));
        }
        zones
    }

    /// Lets the spans of one incident be those of another.
    pub fn redirect(&mut self, from: i64, into: i64) {
        for span in self.keys.values_mut().flat_map(BTreeMap::values_mut) {
            if span.incident == from {
                span.incident = into;
            }
        }
        // Those that are stored are redirected where they are, with those that are not here.
        for span in self.stored.values_mut().flat_map(BTreeMap::values_mut) {
            if span.incident == from {
                span.incident = into;
            }
        }
    }

    /// Forgets the spans of an incident.
    pub fn drop_incident(&mut self, incident: i64) {
        for spans in self.keys.values_mut().chain(self.stored.values_mut()) {
            spans.retain(|_, span| span.incident != incident);
        }
    }

    /// What to remove from and what to write to where they are stored.
    pub fn differences(&self) -> (Vec<&SpanRow>, Vec<&SpanRow>) {
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for key in &self.changed {
            let stored = self.stored.get(key);
            let now = self.keys.get(key);
            gone.extend(
                stored
                    .into_iter()
                    .flat_map(BTreeMap::values)
                    .filter(|span| now.is_none_or(|now| !now.contains_key(&span.from_at))),
            );
            new.extend(
                now.into_iter().flat_map(BTreeMap::values).filter(|span| {
                    stored.and_then(|stored| stored.get(&span.from_at)) != Some(span)
                }),
            );
        }
        (gone, new)
    }
}

//! Which records a case cites, and their numbers.

use std::collections::{HashMap, HashSet};

use super::{Case, Evidence, EvidenceId};

/// Records that one statement or thing cites; the first of them by time.
const MAX_CITED: usize = 6;

impl Case {
    /// Numbers the evidence by time, so that the same logs give the same case in whatever order they were
    /// read.
    pub fn renumber(&mut self) {
        self.evidence.sort_by(|a, b| {
            let key = |it: &Evidence| (it.time, it.table.clone(), it.source.clone());
            key(a).cmp(&key(b))
        });
        let new: HashMap<EvidenceId, EvidenceId> = self
            .evidence
            .iter()
            .zip(1..)
            .map(|(evidence, number)| (evidence.id, EvidenceId(number)))
            .collect();
        let of = |id: &mut EvidenceId| *id = new.get(id).copied().unwrap_or(*id);
        for ids in self.cited() {
            ids.iter_mut().for_each(of);
            ids.sort_unstable();
            ids.dedup();
            // Which records these are must not depend on the order in which they were read.
            ids.truncate(MAX_CITED);
        }
        for id in self
            .timeline
            .iter_mut()
            .filter_map(|act| act.evidence.as_mut())
        {
            of(id);
        }
        for evidence in &mut self.evidence {
            of(&mut evidence.id);
        }
    }

    /// The records that something of the case cites.
    pub fn evidence_cited(&mut self) -> HashSet<EvidenceId> {
        let lists = self.cited().into_iter().map(|ids| ids.clone());
        let mut cited: HashSet<EvidenceId> = lists.flatten().collect();
        cited.extend(self.timeline.iter().filter_map(|act| act.evidence));
        cited
    }

    /// Every list of numbers that the case has.
    fn cited(&mut self) -> Vec<&mut Vec<EvidenceId>> {
        let mut all: Vec<&mut Vec<EvidenceId>> = Vec::new();
        all.extend(self.summary.iter_mut().map(|it| &mut it.evidence));
        if let Some(origin) = &mut self.origin {
            all.extend(
                origin
                    .reasons
                    .iter_mut()
                    .map(|it| &mut it.statement.evidence),
            );
        }
        all.extend(self.witnessed.iter_mut().map(|it| &mut it.evidence));
        all.extend(self.leads.iter_mut().map(|it| &mut it.statement.evidence));
        let made = self
            .credentials
            .iter_mut()
            .filter_map(|it| it.made.as_mut());
        all.extend(made.map(|it| &mut it.evidence));
        all.extend(self.links.iter_mut().map(|it| &mut it.evidence));
        all.extend(self.reach.iter_mut().map(|it| &mut it.evidence));
        all.extend(self.tampering.iter_mut().map(|it| &mut it.evidence));
        for innocence in &mut self.innocence {
            all.push(&mut innocence.statement.evidence);
            all.extend(
                innocence
                    .reasons
                    .iter_mut()
                    .map(|it| &mut it.statement.evidence),
            );
        }
        if let Some(cost) = &mut self.cost {
            all.extend(cost.lines.iter_mut().map(|it| &mut it.evidence));
            all.extend(cost.runs.iter_mut().map(|it| &mut it.evidence));
            all.extend(cost.caveats.iter_mut().map(|it| &mut it.evidence));
            all.extend(cost.billed.iter_mut().map(|it| &mut it.statement.evidence));
        }
        all.extend(
            self.next_steps
                .iter_mut()
                .map(|it| &mut it.statement.evidence),
        );
        all
    }
}

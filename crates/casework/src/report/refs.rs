//! The records that statements cite.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Case, Evidence, EvidenceId, Reason, Statement};

/// Records by their numbers, and which of them a form has pointed to.
pub(super) struct Refs<'a> {
    known: BTreeMap<EvidenceId, &'a Evidence>,
    pointed: RefCell<BTreeSet<EvidenceId>>,
    most: usize,
}

impl<'a> Refs<'a> {
    /// Those of a case, of which a form shows `most`.
    pub(super) fn new(case: &'a Case, most: usize) -> Self {
        Self {
            known: known(case),
            pointed: RefCell::new(BTreeSet::new()),
            most,
        }
    }

    /// Whether the form can point to a record, which it then has to show.
    pub(super) fn point(&self, id: EvidenceId) -> bool {
        let mut pointed = self.pointed.borrow_mut();
        if !self.known.contains_key(&id) {
            return false;
        }
        pointed.contains(&id) || (pointed.len() < self.most && pointed.insert(id))
    }

    /// The records that the form pointed to.
    pub(super) fn pointed(&self) -> Vec<&'a Evidence> {
        let pointed = self.pointed.borrow();
        let found = pointed.iter().filter_map(|id| self.known.get(id));
        found.copied().collect()
    }
}

/// The records of a case by their numbers.
pub(super) fn known(case: &Case) -> BTreeMap<EvidenceId, &Evidence> {
    case.evidence.iter().map(|one| (one.id, one)).collect()
}

/// Every number that a case cites, however it does.
pub(super) fn cited(case: &Case) -> BTreeSet<EvidenceId> {
    let mut all = BTreeSet::new();
    let mut add = |ids: &[EvidenceId]| all.extend(ids.iter().copied());
    fn reasons(of: &[Reason]) -> impl Iterator<Item = &Statement> {
        of.iter().map(|reason| &reason.statement)
    }
    let mut statements: Vec<&Statement> = case.summary.iter().collect();
    statements.extend(case.leads.iter().map(|lead| &lead.statement));
    statements.extend(
        case.origin
            .iter()
            .flat_map(|origin| reasons(&origin.reasons)),
    );
    statements.extend(case.credentials.iter().filter_map(|key| key.made.as_ref()));
    for one in &case.innocence {
        statements.push(&one.statement);
        statements.extend(reasons(&one.reasons));
    }
    if let Some(cost) = &case.cost {
        statements.extend(&cost.caveats);
        statements.extend(cost.billed.iter().map(|billed| &billed.statement));
        cost.lines.iter().for_each(|line| add(&line.evidence));
        cost.runs.iter().for_each(|run| add(&run.evidence));
    }
    statements.extend(case.next_steps.iter().map(|step| &step.statement));
    statements.iter().for_each(|one| add(&one.evidence));
    case.links.iter().for_each(|link| add(&link.evidence));
    case.timeline
        .iter()
        .for_each(|act| add(act.evidence.as_slice()));
    case.reach.iter().for_each(|one| add(&one.evidence));
    case.tampering.iter().for_each(|one| add(&one.evidence));
    all
}

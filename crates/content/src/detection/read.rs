//! From a file to a detection.

use std::collections::BTreeMap;
use std::sync::Arc;

use davylamp_model::finding::Severity;

use super::file::{FileCase, HeldIn};
use super::{
    Action, Case, CaseKind, Checksum, Detection, Observed, Parsed, Place, Response, Traffic, Wire,
    Words, lint,
};
use crate::fields::Fields;
use crate::indicators::Confidence;
use crate::problem::{Faults, PlaybookTrouble, Trouble};
use crate::readable::{Readable, record, word};
use crate::source::Text;
use crate::tree::NodeId;

/// A file as written: what names something else is not looked up yet.
pub(super) struct Written {
    pub name: String,
    pub title: String,
    pub reason: String,
    pub techniques: Vec<String>,
    pub severity: Severity,
    pub score: u8,
    pub response: Response,
    pub spares_mentions: bool,
    pub benign: Vec<String>,
    pub next: Vec<String>,
    pub sees: Vec<Wire>,
    pub words: BTreeMap<String, WrittenWords>,
    pub rules: Vec<WrittenRule>,
    pub parameters: BTreeMap<String, u64>,
    pub names: Vec<String>,
    pub cases: Vec<Case>,
}

record!(Written, "a detection", {
    name "name",
    title "title",
    reason "reason",
    techniques "techniques",
    severity "severity",
    score "score",
    response "response",
    spares_mentions "spares_mentions" = true,
    benign "benign",
    next "next",
    sees "sees" = Vec::new(),
    words "words" = BTreeMap::new(),
    rules "rules" = Vec::new(),
    parameters "parameters" = BTreeMap::new(),
    names "names" = Vec::new(),
    cases "cases",
});

pub(super) struct WrittenWords {
    pub place: Place,
    pub literals: Vec<String>,
    pub expressions: Vec<String>,
    pub checksum: Option<Checksum>,
    pub domains: Option<Confidence>,
}

record!(WrittenWords, "a set of words", {
    place "where",
    literals "literals" = Vec::new(),
    expressions "expressions" = Vec::new(),
    checksum "checksum" = None,
    domains "domains" = None,
});

pub(super) struct WrittenRule {
    pub all: Vec<String>,
}

record!(WrittenRule, "a rule", { all "all" });

record!(Case, "a case", {
    kind "kind",
    name "name",
    command "command" = None,
    environment "environment" = Vec::new(),
    traffic "traffic" = None,
    observed "observed" = None,
    file "file" = None,
    action "action",
});

record!(Traffic, "traffic", {
    sent "sent" = Vec::new(),
    received "received" = Vec::new(),
    asks "asks" = None,
    greets "greets" = None,
    reaches "reaches" = None,
    lasts_secs "lasts_secs" = 0,
    every_secs "every_secs" = 0,
});

record!(Observed, "what was observed", {
    nearest "nearest" = 0,
    down "down" = 0,
    up "up" = 0,
    to_zero "to_zero" = 0,
    lasts_secs "lasts_secs" = 0,
    huge_mib "huge_mib" = 0,
    executable_mib "executable_mib" = 0,
    maps "maps" = Vec::new(),
    cpu_percent "cpu_percent" = Vec::new(),
    every_secs "every_secs" = 0,
    destinations "destinations" = 0,
    banned "banned" = None,
    uses_gpu "uses_gpu" = false,
    gpu_percent "gpu_percent" = None,
    in_container "in_container" = true,
});

record!(FileCase, "a file", {
    parts "parts",
    held_in "held_in" = HeldIn::File,
    named "named" = String::new(),
    started_by_root_on_host "started_by_root_on_host" = false,
});

impl Readable for HeldIn {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "way to hold a file", Self::ALL)
    }
}

impl Readable for Checksum {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "checksum", Self::ALL)
    }
}

impl Readable for Wire {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "thing to see", Self::ALL)
    }
}

impl Readable for Place {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "place", Self::ALL)
    }
}

impl Readable for Response {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "response", Self::ALL)
    }
}

impl Readable for Action {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "action", Self::ALL)
    }
}

impl Readable for Confidence {
    fn read(fields: &mut Fields<'_>, id: NodeId) -> Option<Self> {
        word(fields, id, "confidence", Self::ALL)
    }
}

pub(super) fn file(text: &Arc<Text>) -> Result<Parsed, Faults> {
    let mut fields = Fields::toml(text);
    let mut read = None;
    match fields.tree.documents.first().copied() {
        Some(root) => {
            read = Written::read(&mut fields, root);
            if let Some(written) = &read {
                lint::check(&mut fields, root, written);
            }
        }
        None => {
            let trouble = Trouble::Playbook(PlaybookTrouble::NoData);
            fields.problems.push_unless_faulty(0..0, trouble);
        }
    }
    let (faults, warnings) = fields.problems.finish();
    match read.map(finish) {
        Some(parsed) if faults.is_empty() => Ok(parsed),
        _ => Err(Faults::new(faults, warnings)),
    }
}

fn finish(written: Written) -> Parsed {
    let names: Vec<String> = written.words.keys().cloned().collect();
    let number = |name: &String| names.iter().position(|known| known == name);
    let mut rules: Vec<Vec<usize>> = written
        .rules
        .iter()
        .map(|rule| rule.all.iter().filter_map(number).collect())
        .collect();
    if rules.is_empty() {
        rules.extend((0..names.len()).map(|number| vec![number]));
    }
    let words = written.words.into_iter().map(|(name, words)| Words {
        name,
        place: words.place,
        literals: words.literals,
        expressions: words.expressions,
        checksum: words.checksum,
        domains: words.domains,
    });
    Parsed {
        detection: Detection {
            name: written.name,
            title: written.title,
            reason: written.reason,
            techniques: written.techniques,
            severity: written.severity,
            score: written.score,
            response: written.response,
            spares_mentions: written.spares_mentions,
            benign: written.benign,
            next: written.next,
            sees: written.sees,
            words: words.collect(),
            rules,
            parameters: written.parameters,
            names: written.names,
        },
        cases: written.cases,
    }
}

/// Every kind that the cases of a detection must have.
pub(super) const KINDS: &[(CaseKind, &str)] = CaseKind::ALL;

//! What a detection of good grammar can still get wrong.

use std::collections::BTreeSet;

use super::read::{KINDS, Written, WrittenWords};
use super::{FULL_SCORE, MAX_LITERAL_BYTES, MAX_WORD_SETS, Place, Wire, expression};
use crate::fields::Fields;
use crate::playbook::lint::{is_name, is_technique};
use crate::problem::{DetectionTrouble, PlaybookTrouble, Trouble};
use crate::tree::{NodeId, Value};

/// A title stands in a line of the log.
const MAX_TITLE_BYTES: usize = 120;

/// A literal that is shorter stands in innocent commands too.
const MIN_LITERAL_BYTES: usize = 3;

fn told(fields: &mut Fields<'_>, at: NodeId, trouble: DetectionTrouble) {
    fields.fault(at, Trouble::Detection(trouble));
}

pub(super) fn check(fields: &mut Fields<'_>, root: NodeId, written: &Written) {
    let at = |fields: &mut Fields<'_>, key: &str| fields.lookup(root, key).unwrap_or(root);
    let name_at = at(fields, "name");
    name(fields, name_at, &written.name);
    let title = at(fields, "title");
    line(fields, title, &written.title, "the title");
    let reason = at(fields, "reason");
    if written.reason.trim().is_empty() {
        fields.fault(reason, Trouble::EmptyText { what: "the reason" });
    }
    for (key, texts, what) in [
        ("benign", &written.benign, "a benign cause"),
        ("next", &written.next, "a next step"),
    ] {
        let list = at(fields, key);
        if texts.is_empty() {
            told(fields, list, DetectionTrouble::Lacks { what });
        }
        for text in texts {
            line(fields, list, text, what);
        }
    }
    for technique in &written.techniques {
        if !is_technique(technique) {
            let list = at(fields, "techniques");
            let technique = technique.clone();
            fields.fault(
                list,
                Trouble::Playbook(PlaybookTrouble::Technique { technique }),
            );
        }
    }
    if !(1..=FULL_SCORE).contains(&written.score) {
        let score = at(fields, "score");
        told(fields, score, DetectionTrouble::Score { most: FULL_SCORE });
    }
    let of_files = written.sees.iter().filter(|seen| seen.is_of_file()).count();
    if of_files != 0 && of_files != written.sees.len() {
        let sees = at(fields, "sees");
        told(fields, sees, DetectionTrouble::FileAndWire);
    }
    if written.sees.is_empty() == written.words.is_empty() {
        told(fields, root, DetectionTrouble::NeitherOrBoth);
    }
    parameters(fields, root, written);
    words(fields, root, written);
    rules(fields, root, written);
    cases(fields, root, written);
}

fn name(fields: &mut Fields<'_>, at: NodeId, name: &str) {
    if !is_name(name) {
        let name = name.to_owned();
        return told(fields, at, DetectionTrouble::Name { name });
    }
    let file = fields.text.name.rsplit(['/', '\\']).next();
    if let Some(stem) = file.and_then(|file| file.strip_suffix(".toml"))
        && stem != name
    {
        let (name, file) = (name.to_owned(), stem.to_owned());
        told(fields, at, DetectionTrouble::File { name, file });
    }
}

fn line(fields: &mut Fields<'_>, at: NodeId, text: &str, what: &'static str) {
    let bytes = text.len();
    if text.trim().is_empty() {
        fields.fault(at, Trouble::EmptyText { what });
    } else if text.contains(char::is_control) {
        fields.fault(at, Trouble::Playbook(PlaybookTrouble::NotALine));
    } else if bytes > MAX_TITLE_BYTES && what == "the title" {
        let limit = MAX_TITLE_BYTES;
        fields.fault(at, Trouble::TooLong { what, bytes, limit });
    }
}

/// A behaviour's numbers stand in its file, so that no reader needs another; so all must be there.
fn parameters(fields: &mut Fields<'_>, root: NodeId, written: &Written) {
    let known: Vec<&str> = written
        .sees
        .iter()
        .flat_map(|seen| seen.parameters().iter().copied())
        .collect();
    let at = fields.lookup(root, "parameters").unwrap_or(root);
    for name in written.parameters.keys() {
        if !known.contains(&name.as_str()) {
            let trouble = DetectionTrouble::NoParameter {
                name: name.clone(),
                known: known.join(", "),
            };
            told(fields, at, trouble);
        }
    }
    for name in known {
        if !written.parameters.contains_key(name) {
            let name = name.to_owned();
            told(fields, at, DetectionTrouble::LacksParameter { name });
        }
    }
    let is_about_names = |seen: &Wire| seen.is_behaviour() || *seen == Wire::EncryptedDns;
    if !written.names.is_empty() && !written.sees.iter().any(is_about_names) {
        let at = fields.lookup(root, "names").unwrap_or(root);
        told(fields, at, DetectionTrouble::NamesOfNothing);
    }
}

fn words(fields: &mut Fields<'_>, root: NodeId, written: &Written) {
    let Some(table) = fields.lookup(root, "words") else {
        return;
    };
    if written.words.len() > MAX_WORD_SETS {
        let (what, limit) = ("sets of words", MAX_WORD_SETS);
        fields.fault(table, Trouble::TooMany { what, limit });
    }
    for (name, words) in &written.words {
        let at = fields.lookup(table, name).unwrap_or(table);
        if !is_name(name) {
            let name = name.clone();
            told(fields, at, DetectionTrouble::Name { name });
        }
        if words.literals.is_empty() && words.expressions.is_empty() && words.domains.is_none() {
            told(fields, at, DetectionTrouble::Lacks { what: "a word" });
        }
        if words.domains.is_some() && words.place == Place::Program {
            told(fields, at, DetectionTrouble::DomainAsProgram);
        }
        literals(fields, at, words);
        if let Some(list) = fields.lookup(at, "expressions") {
            for (item, text) in items(fields, list).into_iter().zip(&words.expressions) {
                let (bytes, limit) = (text.len(), expression::MAX_EXPRESSION_BYTES);
                if bytes > limit {
                    let what = "an expression";
                    fields.fault(item, Trouble::TooLong { what, bytes, limit });
                } else if let Err(trouble) = expression::check(text) {
                    told(fields, item, trouble);
                }
            }
        }
    }
}

fn literals(fields: &mut Fields<'_>, words: NodeId, written: &WrittenWords) {
    let Some(list) = fields.lookup(words, "literals") else {
        return;
    };
    let mut seen = BTreeSet::new();
    for (item, text) in items(fields, list).into_iter().zip(&written.literals) {
        let (bytes, limit, what) = (text.len(), MAX_LITERAL_BYTES, "a literal");
        if text.trim().len() < MIN_LITERAL_BYTES {
            let least = MIN_LITERAL_BYTES;
            told(fields, item, DetectionTrouble::MatchesTooLittle { least });
        } else if bytes > limit {
            fields.fault(item, Trouble::TooLong { what, bytes, limit });
        } else if text.contains(char::is_control) {
            fields.fault(item, Trouble::Playbook(PlaybookTrouble::NotALine));
        } else if written.place == Place::Program && text.contains('/') {
            told(fields, item, DetectionTrouble::FolderInProgram);
        } else if !seen.insert(text.to_ascii_lowercase()) {
            let text = text.clone();
            told(fields, item, DetectionTrouble::DuplicateLiteral { text });
        }
    }
}

fn rules(fields: &mut Fields<'_>, root: NodeId, written: &Written) {
    let Some(list) = fields.lookup(root, "rules") else {
        return;
    };
    let known: Vec<&str> = written.words.keys().map(String::as_str).collect();
    let mut used = BTreeSet::new();
    for (item, rule) in items(fields, list).into_iter().zip(&written.rules) {
        if rule.all.is_empty() {
            let what = "a set of words";
            told(fields, item, DetectionTrouble::Lacks { what });
        }
        for name in &rule.all {
            used.insert(name.as_str());
            if !known.contains(&name.as_str()) {
                let trouble = DetectionTrouble::NoWords {
                    name: name.clone(),
                    suggestion: crate::fields::closest(name, &known).map(str::to_owned),
                    known: known.join(", "),
                };
                told(fields, item, trouble);
            }
        }
    }
    for name in known.iter().filter(|name| !used.contains(*name)) {
        let name = (*name).to_owned();
        told(fields, list, DetectionTrouble::UnusedWords { name });
    }
}

fn cases(fields: &mut Fields<'_>, root: NodeId, written: &Written) {
    let Some(list) = fields.lookup(root, "cases") else {
        return;
    };
    let mut names = BTreeSet::new();
    for (item, case) in items(fields, list).into_iter().zip(&written.cases) {
        if !names.insert(case.name.as_str()) {
            let name = case.name.clone();
            told(fields, item, DetectionTrouble::DuplicateCase { name });
        }
        let sees = |is: fn(&Wire) -> bool| written.sees.iter().any(is);
        let shown = [
            case.command.is_some(),
            case.traffic.is_some(),
            case.file.is_some(),
            case.observed.is_some(),
        ];
        let (wanted, what) = match () {
            () if written.sees.is_empty() => ([true, false, false, false], "a command"),
            () if sees(|seen| seen.is_behaviour()) => {
                ([false, false, false, true], "what is `observed`")
            }
            () if sees(|seen| seen.is_of_file()) => ([false, false, true, false], "a file"),
            () => ([false, true, false, false], "traffic"),
        };
        if let Some(wrong) = case.file.as_ref().and_then(|file| file.bytes().err()) {
            told(fields, item, DetectionTrouble::FilePart { part: wrong });
        }
        if shown != wanted {
            told(fields, item, DetectionTrouble::Lacks { what });
        }
    }
    for (kind, name) in KINDS {
        if !written.cases.iter().any(|case| case.kind == *kind) {
            told(fields, list, DetectionTrouble::NoCaseOfKind { kind: name });
        }
    }
}

fn items(fields: &Fields<'_>, list: NodeId) -> Vec<NodeId> {
    match &fields.node(list).value {
        Value::List(items) => items.clone(),
        _ => Vec::new(),
    }
}

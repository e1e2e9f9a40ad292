//! What a hunt of good grammar can still get wrong.

use std::collections::BTreeSet;

use super::ExplainPiece;
use super::query::Query;
use super::read::{Draft, ENTITIES, File, Known};
use crate::fields::{Fields, closest};
use crate::playbook::lint::{is_name, is_technique};
use crate::problem::{HuntTrouble, PlaybookTrouble, Problems, Trouble};
use crate::readable::unknown_word;
use crate::tree::{NodeId, Value};

/// A title stands in subjects of mails.
const MAX_TITLE_BYTES: usize = 120;

/// The columns that every hunt gives first.
const FIRST: &[&str] = &["score", "first_seen", "last_seen"];

fn told(fields: &mut Fields<'_>, at: NodeId, trouble: HuntTrouble) {
    fields.fault(at, Trouble::Hunt(trouble));
}

/// What can be told from `hunt.toml` alone.
pub(super) fn alone(fields: &mut Fields<'_>, root: NodeId, draft: &mut Draft) {
    name(fields, draft);
    texts(fields, draft);
    explain(fields, draft);
    entities(fields, draft);
    needs(fields, draft);
    let mut seen = BTreeSet::new();
    for (at, parameter) in &draft.parameters {
        if let Some(parameter) = parameter
            && !seen.insert(parameter.name.as_str())
        {
            let name = parameter.name.clone();
            told(fields, *at, HuntTrouble::DuplicateParameter { name });
        }
    }
    for (part, what, why) in [
        (
            &draft.benign,
            "a benign cause",
            "whoever reads a row must know what else looks like this",
        ),
        (
            &draft.next,
            "a next step",
            "whoever reads a row must know what to do about it",
        ),
        (
            &draft.evidence,
            "a column that is evidence",
            "name the output columns that show why",
        ),
    ] {
        if let Some((at, list)) = part.read()
            && list.is_empty()
        {
            told(fields, at, HuntTrouble::MissingPart { what, why });
        }
    }
    if let Some((at, tables)) = draft.tables.read()
        && tables.is_empty()
    {
        let (what, why) = ("a table", "name the tables that the query reads");
        told(fields, at, HuntTrouble::MissingPart { what, why });
    }
    let _ = root;
}

fn name(fields: &mut Fields<'_>, draft: &Draft) {
    let Some((at, name)) = draft.name.read() else {
        return;
    };
    let name = name.clone();
    if !is_name(&name) {
        told(fields, at, HuntTrouble::Name { name });
        return;
    }
    let mut folders = fields.text.name.rsplit(['/', '\\']).skip(1);
    if let Some(folder) = folders.next().map(str::to_owned)
        && folder != name
    {
        told(fields, at, HuntTrouble::Folder { name, folder });
    }
}

fn texts(fields: &mut Fields<'_>, draft: &Draft) {
    let mut lines: Vec<(NodeId, String, &'static str, bool)> = Vec::new();
    for (part, what, is_line) in [
        (&draft.title, "the title", true),
        (&draft.explain, "the explanation", true),
        (&draft.reason, "the reason", false),
    ] {
        if let Some((at, text)) = part.read() {
            lines.push((at, text.clone(), what, is_line));
        }
    }
    for (part, what) in [
        (&draft.benign, "a benign cause"),
        (&draft.next, "a next step"),
    ] {
        if let Some((at, list)) = part.read() {
            let items = fields.list(at).unwrap_or_default();
            let texts = items.into_iter().zip(list);
            lines.extend(texts.map(|(item, text)| (item, text.clone(), what, true)));
        }
    }
    for (at, text, what, is_line) in lines {
        let is_wrong = |c: char| c.is_control() && (is_line || !matches!(c, '\n' | '\t'));
        let bytes = text.len();
        if text.trim().is_empty() {
            fields.fault(at, Trouble::EmptyText { what });
        } else if text.contains(is_wrong) {
            let trouble = match is_line {
                true => PlaybookTrouble::NotALine,
                false => PlaybookTrouble::ControlCharacter,
            };
            fields.fault(at, Trouble::Playbook(trouble));
        } else if what == "the title" && bytes > MAX_TITLE_BYTES {
            let limit = MAX_TITLE_BYTES;
            fields.fault(at, Trouble::TooLong { what, bytes, limit });
        }
    }
    if let Some((at, techniques)) = draft.techniques.read() {
        let items = fields.list(at).unwrap_or_default();
        for (item, technique) in items.into_iter().zip(techniques) {
            if !is_technique(technique) {
                let technique = technique.clone();
                let trouble = PlaybookTrouble::Technique { technique };
                fields.fault(item, Trouble::Playbook(trouble));
            }
        }
    }
}

/// Cuts the explanation at its columns.
fn explain(fields: &mut Fields<'_>, draft: &mut Draft) {
    let Some((at, text)) = draft.explain.read() else {
        return;
    };
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some(open) = rest.find(['{', '}']) {
        let column = rest[open..]
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
            .filter(|(column, _)| !column.is_empty() && !column.contains('{'));
        let Some((column, behind)) = column else {
            told(fields, at, HuntTrouble::Braces);
            return;
        };
        pieces.push(ExplainPiece::Text(rest[..open].to_owned()));
        pieces.push(ExplainPiece::Column(column.to_owned()));
        rest = behind;
    }
    pieces.push(ExplainPiece::Text(rest.to_owned()));
    draft.pieces = Some(pieces);
}

fn entities(fields: &mut Fields<'_>, draft: &Draft) {
    let Some((at, _)) = draft.entities.read() else {
        return;
    };
    let known: Vec<&'static str> = ENTITIES.iter().map(|(_, name)| *name).collect();
    let entries = fields.map(at).unwrap_or_default();
    if entries.is_empty() {
        let (what, why) = (
            "an entity",
            "without one a row cannot be joined with others into an incident",
        );
        told(fields, at, HuntTrouble::MissingPart { what, why });
    }
    for (key_id, _) in entries {
        let Some(key) = fields.key(key_id) else {
            continue;
        };
        if !known.contains(&key.as_str()) {
            fields.fault(key_id, unknown_word("entity", key, &known));
        }
    }
}

fn needs(fields: &mut Fields<'_>, draft: &Draft) {
    let (Some((at, needs)), Some(tables)) = (draft.needs.read(), &draft.tables.value) else {
        return;
    };
    let known: Vec<&'static str> = tables.iter().flat_map(|table| table.columns()).collect();
    let items = fields.list(at).unwrap_or_default();
    for (item, column) in items.into_iter().zip(needs) {
        if !known.contains(&column.as_str()) {
            let trouble = HuntTrouble::NoNeededColumn {
                suggestion: closest(column, &known).map(str::to_owned),
                column: column.clone(),
            };
            told(fields, item, trouble);
        }
    }
}

/// What can be told once the query is read.
pub(super) fn against_query(
    file: &mut File<'_>,
    known: &Known,
    query: Option<&Query>,
    query_problems: &mut Problems,
    used: &BTreeSet<String>,
) {
    let File { fields, draft } = file;
    // Where the query could not be cut at its parameters, nothing was used.
    if query.is_some() || !used.is_empty() {
        for (at, parameter) in &draft.parameters {
            if let Some(parameter) = parameter
                && known.parameters.is_some()
                && !used.contains(&parameter.name)
            {
                let name = parameter.name.clone();
                told(fields, *at, HuntTrouble::UnusedParameter { name });
            }
        }
    }
    let Some(query) = query else {
        return;
    };
    let outputs = query.names();
    let mut wanted: Vec<(NodeId, String)> = Vec::new();
    if let Some((at, list)) = draft.evidence.read() {
        let items = fields.list(at).unwrap_or_default();
        wanted.extend(items.into_iter().zip(list.iter().cloned()));
    }
    if let Some((at, entities)) = draft.entities.read() {
        for (_, value) in fields.map(at).unwrap_or_default() {
            let Value::Scalar(scalar) = &fields.node(value).value else {
                continue;
            };
            let column = scalar.text.clone().into_owned();
            if entities.values().any(|known| *known == column) {
                wanted.push((value, column));
            }
        }
    }
    if let (Some(at), Some(pieces)) = (draft.explain.at, &draft.pieces) {
        wanted.extend(pieces.iter().filter_map(|piece| match piece {
            ExplainPiece::Column(column) => Some((at, column.clone())),
            ExplainPiece::Text(_) => None,
        }));
    }
    for (at, column) in wanted {
        if !outputs.contains(&column) {
            told(fields, at, no_output(column, &outputs));
        }
    }
    order_of_columns(draft, query, query_problems);
    order_of_rows(draft, query, query_problems);
}

pub(super) fn no_output(column: String, outputs: &[String]) -> HuntTrouble {
    let near: Vec<&str> = outputs.iter().map(String::as_str).collect();
    HuntTrouble::NoOutput {
        suggestion: closest(&column, &near).map(str::to_owned),
        known: outputs.join(", "),
        column,
    }
}

fn order_of_columns(draft: &Draft, query: &Query, problems: &mut Problems) {
    let (Some(entities), Some(evidence)) = (&draft.entities.value, &draft.evidence.value) else {
        return;
    };
    // What the query does not give at all is told where it is named.
    let is_given = |column: &&str| query.outputs.iter().any(|output| output.name == *column);
    let entities: BTreeSet<&str> = entities
        .values()
        .map(String::as_str)
        .filter(is_given)
        .collect();
    let evidence: BTreeSet<&str> = evidence
        .iter()
        .map(String::as_str)
        .filter(|column| !entities.contains(column) && is_given(column))
        .collect();
    let mut wanted: Vec<(Vec<&str>, String)> = Vec::new();
    wanted.extend(FIRST.iter().map(|name| (vec![*name], format!("`{name}`"))));
    for (set, what) in [(&entities, "an entity"), (&evidence, "evidence")] {
        let names: Vec<&str> = set.iter().copied().collect();
        let told = format!("{what} ({})", names.join(", "));
        wanted.extend(set.iter().map(|_| (names.clone(), told.clone())));
    }
    for (at, (names, told)) in wanted.iter().enumerate() {
        let output = query.outputs.get(at);
        if output.is_some_and(|output| names.contains(&output.name.as_str())) {
            continue;
        }
        let last = query.outputs.last();
        let span = output.or(last).map_or(0..0, |output| output.span.clone());
        let trouble = HuntTrouble::OutputOrder {
            position: at + 1,
            wanted: told.clone(),
            found: output.map_or_else(
                || "missing".to_owned(),
                |output| format!("`{}`", output.name),
            ),
        };
        problems.push(span, Trouble::Hunt(trouble));
        return;
    }
}

fn order_of_rows(draft: &Draft, query: &Query, problems: &mut Problems) {
    let mut why = None;
    match query.order.first() {
        None => why = Some("there is no ORDER BY".to_owned()),
        Some(first) if first.name.as_deref() != Some("score") || !first.is_descending => {
            why = Some("the first key is not `score DESC`".to_owned());
        }
        Some(_) => {}
    }
    let missing: Vec<&str> = draft
        .entities
        .value
        .iter()
        .flat_map(|entities| entities.values())
        .map(String::as_str)
        .filter(|column| query.outputs.iter().any(|output| output.name == *column))
        .filter(|column| {
            !query
                .order
                .iter()
                .any(|key| key.name.as_deref() == Some(column))
        })
        .collect();
    if why.is_none() && !missing.is_empty() {
        why = Some(format!("not ordered by {}", missing.join(", ")));
    }
    if let Some(why) = why {
        let trouble = HuntTrouble::RowOrder { why };
        problems.push(query.order_span.clone(), Trouble::Hunt(trouble));
    }
}

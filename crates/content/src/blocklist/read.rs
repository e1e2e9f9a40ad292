//! One file's tree into groups.

use std::ops::Range;

use super::{Allowed, Banned, Origin, Scope};
use super::{MAX_GLOB_BYTES, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_REASON_BYTES};
use super::{MAX_STRING_BYTES, MAX_STRINGS, pattern};
use crate::fields::{Fields, closest};
use crate::problem::Trouble;
use crate::tree::{NodeId, Value};

const BANNED: &str = "bannedCommandStrings";
const ALLOWED: &str = "allowedCommandPatterns";
const SCAN_ENVIRONMENT: &str = "scanEnvironment";
const CONFIG_KEYS: [&str; 3] = [BANNED, ALLOWED, SCAN_ENVIRONMENT];
const BANNED_KEYS: [&str; 3] = ["string", "reason", SCAN_ENVIRONMENT];
const ALLOWED_KEYS: [&str; 6] = [
    "pattern",
    "reason",
    "namespace",
    "image",
    "container",
    "host",
];

/// A group's name may have this many characters: it is a log key and a metric label.
const MAX_GROUP_NAME_CHARS: usize = 128;

/// How many entries may still come. An alias makes a long list cheap to repeat, so what counts is
/// entries read and not bytes.
pub(super) struct Room {
    pub strings: usize,
    pub patterns: usize,
}

/// A group as one file has it.
pub(super) struct FileGroup {
    pub name: String,
    pub banned: Vec<(Banned, Range<usize>)>,
    pub allowed: Vec<(Allowed, Range<usize>)>,
}

/// The groups of one file, as far as they can be read; the rest becomes problems.
pub(super) fn groups(fields: &mut Fields<'_>, room: &mut Room) -> Vec<FileGroup> {
    let mut groups = Vec::new();
    let documents = fields.tree.documents.clone();
    for document in &documents {
        match shape(fields, *document) {
            Some(Shape::Bare) => {
                let name = stem(&fields.text.name);
                groups.extend(config(fields, *document, name, room));
            }
            Some(Shape::Nested { configs }) => nested(fields, configs, room, &mut groups),
            None => {}
        }
    }
    if documents.is_empty() {
        fields.problems.push_unless_faulty(0..0, Trouble::Empty);
    } else if groups.iter().all(|group| group.banned.is_empty()) {
        fields
            .problems
            .push_unless_faulty(0..0, Trouble::BansNothing);
    }
    groups
}

enum Shape {
    Bare,
    Nested { configs: NodeId },
}

/// Finds out how a document holds its lists; when it does not, says so.
fn shape(fields: &mut Fields<'_>, root: NodeId) -> Option<Shape> {
    let keys: Vec<String> = fields
        .map(root)?
        .into_iter()
        .filter_map(|(key, _)| fields.key(key))
        .collect();
    if keys.iter().any(|key| CONFIG_KEYS.contains(&key.as_str())) {
        return Some(Shape::Bare);
    }
    let chart = fields.lookup(root, "cryptnono").unwrap_or(root);
    if let Some(detectors) = fields.lookup(chart, "detectors") {
        let Some(execwhacker) = fields.lookup(detectors, "execwhacker") else {
            return no_list(fields, detectors, &["execwhacker"]);
        };
        if let Some(enabled) = fields.lookup(execwhacker, "enabled")
            && fields.boolean(enabled) == Some(false)
        {
            fields.fault(enabled, Trouble::DetectorDisabled);
        }
        return match fields.lookup(execwhacker, "configs") {
            Some(configs) => Some(Shape::Nested { configs }),
            None => no_list(fields, execwhacker, &["configs"]),
        };
    }
    // A bare file with a slip in its only key is still meant as one.
    if keys.iter().any(|key| closest(key, &CONFIG_KEYS).is_some()) {
        return Some(Shape::Bare);
    }
    no_list(fields, chart, &["detectors", "cryptnono"])
}

/// Says that a mapping lacks what leads to the lists, with the key that was probably meant.
fn no_list(fields: &mut Fields<'_>, id: NodeId, wanted: &[&'static str]) -> Option<Shape> {
    let entries = match &fields.node(id).value {
        Value::Map(entries) => entries.clone(),
        _ => Vec::new(),
    };
    let slip = entries.into_iter().find_map(|(key_id, _)| {
        let key = fields.key(key_id)?;
        Some((
            key_id,
            format!(
                "did you mean `{}` instead of `{key}`?",
                closest(&key, wanted)?
            ),
        ))
    });
    let (place, suggestion) = match slip {
        Some((key_id, suggestion)) => (key_id, Some(suggestion)),
        None => (id, None),
    };
    fields.fault(place, Trouble::NoList { suggestion });
    None
}

/// The group name that a bare file gives: its name without folders and without its extension.
fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    };
    let clean: String = stem
        .chars()
        .map(|c| if c.is_control() { '_' } else { c })
        .take(MAX_GROUP_NAME_CHARS)
        .collect();
    if clean.trim().is_empty() {
        "unnamed".to_owned()
    } else {
        clean
    }
}

fn nested(fields: &mut Fields<'_>, configs: NodeId, room: &mut Room, groups: &mut Vec<FileGroup>) {
    if fields.is_null(configs) {
        return;
    }
    let mut names = std::collections::HashSet::new();
    for (key, value) in fields.map(configs).unwrap_or_default() {
        let Some(name) = fields.key(key) else {
            continue;
        };
        let is_name = !name.trim().is_empty()
            && name.chars().count() <= MAX_GROUP_NAME_CHARS
            && !name.chars().any(char::is_control);
        if name == "<<" {
            fields.fault(key, Trouble::MergeKey);
        } else if !is_name {
            fields.fault(
                key,
                Trouble::GroupName {
                    name: name.escape_debug().to_string(),
                },
            );
        } else if !names.insert(name.clone()) {
            fields.fault(key, Trouble::DuplicateKey { key: name });
        } else if !fields.is_null(value) {
            groups.extend(config(fields, value, name, room));
        }
    }
}

fn config(fields: &mut Fields<'_>, id: NodeId, name: String, room: &mut Room) -> Option<FileGroup> {
    let keys = fields.record(id, "a blocklist", &CONFIG_KEYS)?;
    let scan_environment = keys
        .get(SCAN_ENVIRONMENT)
        .and_then(|id| fields.boolean(*id))
        .unwrap_or(false);
    let mut group = FileGroup {
        name,
        banned: Vec::new(),
        allowed: Vec::new(),
    };
    for item in keys
        .get(BANNED)
        .and_then(|id| fields.list(*id))
        .unwrap_or_default()
    {
        if room.strings == 0 {
            fields.fault(
                item,
                Trouble::TooMany {
                    what: "banned strings",
                    limit: MAX_STRINGS,
                },
            );
            break;
        }
        room.strings -= 1;
        group.banned.extend(banned(fields, item, scan_environment));
    }
    for item in keys
        .get(ALLOWED)
        .and_then(|id| fields.list(*id))
        .unwrap_or_default()
    {
        if room.patterns == 0 {
            fields.fault(
                item,
                Trouble::TooMany {
                    what: "patterns",
                    limit: MAX_PATTERNS,
                },
            );
            break;
        }
        room.patterns -= 1;
        group.allowed.extend(allowed(fields, item));
    }
    Some(group)
}

fn banned(
    fields: &mut Fields<'_>,
    id: NodeId,
    group_scans_environment: bool,
) -> Option<(Banned, Range<usize>)> {
    let mut reason = None;
    let mut scan_environment = group_scans_environment;
    let mut string = id;
    if matches!(fields.node(id).value, Value::Map(_)) {
        let keys = fields.record(id, "a banned entry", &BANNED_KEYS)?;
        if let Some(scan) = keys.get(SCAN_ENVIRONMENT) {
            scan_environment = fields.boolean(*scan)?;
        }
        reason = optional_reason(fields, keys.get("reason"));
        string = required(fields, id, &keys, "string", "a banned entry")?;
    }
    let text = fields.string(string, "a banned string", MAX_STRING_BYTES)?;
    let span = fields.span(string);
    let origin = origin(fields, &span);
    Some((
        Banned {
            text,
            reason,
            scan_environment,
            origin,
        },
        span,
    ))
}

fn allowed(fields: &mut Fields<'_>, id: NodeId) -> Option<(Allowed, Range<usize>)> {
    let mut reason = None;
    let mut scope = Scope::default();
    let mut written = id;
    if matches!(fields.node(id).value, Value::Map(_)) {
        let keys = fields.record(id, "an allowed entry", &ALLOWED_KEYS)?;
        reason = optional_reason(fields, keys.get("reason"));
        let mut glob = |key: &'static str| match keys.get(key) {
            Some(glob) if !fields.is_null(*glob) => {
                fields.string(*glob, "a scope", MAX_GLOB_BYTES).map(Some)
            }
            _ => Some(None),
        };
        let (namespace, image, container) = (glob("namespace"), glob("image"), glob("container"));
        let host = keys
            .get("host")
            .map_or(Some(false), |host| fields.boolean(*host));
        // A scope that cannot be read must not widen to "everywhere".
        scope = Scope {
            namespace: namespace?,
            image: image?,
            container: container?,
            host: host?,
        };
        if scope.host {
            for key in ["namespace", "image", "container"] {
                if let Some(other) = keys.get(key)
                    && !fields.is_null(*other)
                {
                    fields.fault(*other, Trouble::ScopeContradiction { key });
                }
            }
        }
        written = required(fields, id, &keys, "pattern", "an allowed entry")?;
    }
    let text = fields.string(written, "a pattern", MAX_PATTERN_BYTES)?;
    let span = fields.span(written);
    match pattern::check(&text) {
        Ok(pattern::Usable {
            pattern,
            spares_everything,
        }) => {
            if spares_everything && scope.is_everywhere() {
                fields.fault(written, Trouble::SparesEverything);
            }
            let origin = origin(fields, &span);
            Some((
                Allowed {
                    pattern,
                    reason,
                    scope,
                    origin,
                },
                span,
            ))
        }
        Err(pattern::Unusable { part, trouble }) => {
            let span = fields.node(written).span_of_part(&fields.text.text, part);
            fields.problems.push(span, trouble);
            None
        }
    }
}

fn required(
    fields: &mut Fields<'_>,
    entry: NodeId,
    keys: &std::collections::HashMap<&'static str, NodeId>,
    key: &'static str,
    place: &str,
) -> Option<NodeId> {
    let found = keys.get(key).copied();
    if found.is_none() {
        fields.fault(
            entry,
            Trouble::MissingKey {
                key,
                place: place.to_owned(),
            },
        );
    }
    found
}

fn optional_reason(fields: &mut Fields<'_>, id: Option<&NodeId>) -> Option<String> {
    let id = id.copied().filter(|id| !fields.is_null(*id))?;
    fields.string(id, "a reason", MAX_REASON_BYTES)
}

fn origin(fields: &Fields<'_>, span: &Range<usize>) -> Origin {
    let (line, column) = fields.text.line_and_column(span.start);
    Origin {
        file: fields.text.name.clone(),
        line,
        column,
    }
}

//! The groups of all files into one blocklist, each string once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use super::read::FileGroup;
use super::{Allowed, Banned, Blocklist, Group, Origin, Scope};
use crate::problem::{Problems, Trouble};

/// An entry with the place its warnings go to.
pub(super) struct Placed<T> {
    pub entry: T,
    /// The index of its file.
    pub file: usize,
    pub span: Range<usize>,
}

pub(super) struct MergedGroup {
    pub name: String,
    pub banned: Vec<Placed<Banned>>,
    pub allowed: Vec<Placed<Allowed>>,
}

/// All groups, with places.
pub(super) struct Merged {
    pub groups: Vec<MergedGroup>,
}

impl Merged {
    pub fn into_blocklist(self) -> Blocklist {
        let group = |group: MergedGroup| Group {
            name: group.name,
            banned: group
                .banned
                .into_iter()
                .map(|placed| placed.entry)
                .collect(),
            allowed: group
                .allowed
                .into_iter()
                .map(|placed| placed.entry)
                .collect(),
        };
        Blocklist {
            groups: self.groups.into_iter().map(group).collect(),
        }
    }
}

/// Takes the groups out of the files, in order.
pub(super) fn merge(files: &mut [(Vec<FileGroup>, Problems)]) -> Merged {
    let mut groups: Vec<MergedGroup> = Vec::new();
    let mut group_by_name: HashMap<String, usize> = HashMap::new();
    let mut strings: HashMap<String, (usize, usize)> = HashMap::new();
    let mut patterns: HashMap<(String, Scope), (usize, usize)> = HashMap::new();
    for (file, (file_groups, problems)) in files.iter_mut().enumerate() {
        for group in file_groups.drain(..) {
            let at = *group_by_name.entry(group.name.clone()).or_insert_with(|| {
                let name = group.name.clone();
                groups.push(MergedGroup {
                    name,
                    banned: Vec::new(),
                    allowed: Vec::new(),
                });
                groups.len() - 1
            });
            for (entry, span) in group.banned {
                match strings.entry(entry.text.to_ascii_lowercase()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert((at, groups[at].banned.len()));
                        groups[at].banned.push(Placed { entry, file, span });
                    }
                    Entry::Occupied(first) => {
                        let (group, index) = *first.get();
                        let name = groups[group].name.clone();
                        let first = &mut groups[group].banned[index].entry;
                        // Whoever asks for the environment gets it, whichever entry is kept.
                        first.scan_environment |= entry.scan_environment;
                        first.reason = first.reason.take().or(entry.reason);
                        let place = place(&first.origin);
                        let string = entry.text;
                        let trouble = Trouble::DuplicateString {
                            string,
                            group: name,
                            place,
                        };
                        problems.push(span, trouble);
                    }
                }
            }
            for (entry, span) in group.allowed {
                match patterns.entry((entry.pattern.clone(), entry.scope.clone())) {
                    Entry::Vacant(vacant) => {
                        vacant.insert((at, groups[at].allowed.len()));
                        groups[at].allowed.push(Placed { entry, file, span });
                    }
                    Entry::Occupied(first) => {
                        let (group, index) = *first.get();
                        let name = groups[group].name.clone();
                        let first = &mut groups[group].allowed[index].entry;
                        first.reason = first.reason.take().or(entry.reason);
                        let place = place(&first.origin);
                        problems.push(span, Trouble::DuplicatePattern { group: name, place });
                    }
                }
            }
        }
    }
    Merged { groups }
}

fn place(origin: &Origin) -> String {
    format!("{}:{}:{}", origin.file, origin.line, origin.column)
}

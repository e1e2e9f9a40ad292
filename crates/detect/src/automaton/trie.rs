//! The automaton before packing: nodes with children and failure links.

use std::collections::VecDeque;

use super::{
    AllowMeaning, AllowPrefix, Classes, Counts, INFO_ALLOWS, INFO_ARGUMENTS, INFO_ENVIRONMENT,
    INFO_HOLDS, NO_SET, Needle, fold, is_word,
};

/// Inside a word that no string begins. On a boundary byte it goes to [`SCAN_ROOT`].
pub(super) const OUTSIDE: u32 = 0;
/// Just after a boundary: every string begins here.
pub(super) const SCAN_ROOT: u32 = 1;
const NONE: u32 = u32::MAX;

/// A state before packing.
pub(super) struct Node {
    first_child: u32,
    next_sibling: u32,
    /// The class and the byte that lead here.
    class: u16,
    byte: u8,
    /// Steps from its root, as far as they can be counted.
    pub(super) depth: u8,
    /// The longest proper suffix that is also a state, beginning at a boundary.
    fail: u32,
    /// The info word of what is known here, 0 for nothing.
    pub(super) info: u32,
}

pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
    pub(super) sets: Vec<(u32, u32)>,
    /// The root of the allow prefixes, if there are any.
    pub(super) allow_root: Option<u32>,
}

impl Trie {
    pub(super) fn build(needles: &[Needle<'_>], allow: &[AllowPrefix], classes: &Classes) -> Self {
        let mut trie = Self {
            nodes: Vec::new(),
            sets: Vec::new(),
            allow_root: None,
        };
        trie.add(0, b' ');
        trie.add(0, b' ');
        trie.nodes[SCAN_ROOT as usize].fail = OUTSIDE;

        for (index, needle) in needles.iter().enumerate() {
            let end = trie.insert(SCAN_ROOT, needle.text, classes);
            let node = &mut trie.nodes[end as usize];
            let places = match needle.counts {
                Counts::Everywhere => INFO_ARGUMENTS | INFO_ENVIRONMENT,
                Counts::InArguments => INFO_ARGUMENTS,
                Counts::AsPool(confidence) => super::info_of_pool(confidence),
            };
            let next = if node.info == 0 {
                NO_SET
            } else {
                node.info & super::INFO_SET
            };
            node.info |= places;
            node.info = node.info & !super::INFO_SET | trie.sets.len() as u32;
            trie.sets.push((index as u32, next));
        }
        trie.link();
        if !allow.is_empty() {
            let root = trie.add(0, b' ');
            trie.allow_root = Some(root);
            for prefix in allow {
                let end = trie.insert(root, &prefix.text, classes);
                let info = &mut trie.nodes[end as usize].info;
                match prefix.meaning {
                    // The first pattern keeps the place if two have the same text.
                    AllowMeaning::Allows(pattern) if *info & INFO_ALLOWS == 0 => {
                        *info |= INFO_ALLOWS | pattern;
                    }
                    AllowMeaning::Allows(_) => {}
                    AllowMeaning::MayAllow => *info |= INFO_HOLDS,
                }
            }
        }
        trie
    }

    fn add(&mut self, class: u16, byte: u8) -> u32 {
        self.nodes.push(Node {
            first_child: NONE,
            next_sibling: NONE,
            class,
            byte,
            depth: 0,
            fail: OUTSIDE,
            info: 0,
        });
        self.nodes.len() as u32 - 1
    }

    fn insert(&mut self, root: u32, text: &[u8], classes: &Classes) -> u32 {
        let mut at = root;
        for byte in text {
            let class = classes.of_byte(*byte);
            at = match self.child(at, class) {
                Some(child) => child,
                None => {
                    let child = self.add(class, fold(*byte));
                    let parent = &mut self.nodes[at as usize];
                    let depth = parent.depth.saturating_add(1);
                    let sibling = std::mem::replace(&mut parent.first_child, child);
                    let node = &mut self.nodes[child as usize];
                    node.next_sibling = sibling;
                    node.depth = depth;
                    child
                }
            };
        }
        at
    }

    fn children(&self, node: u32) -> impl Iterator<Item = u32> {
        let some = |index: u32| (index != NONE).then_some(index);
        std::iter::successors(some(self.nodes[node as usize].first_child), move |child| {
            some(self.nodes[*child as usize].next_sibling)
        })
    }

    fn child(&self, node: u32, class: u16) -> Option<u32> {
        self.children(node)
            .find(|child| self.nodes[*child as usize].class == class)
    }

    /// Where the automaton goes from `from` on a byte, before packing.
    fn step(&self, mut from: u32, class: u16, byte: u8) -> u32 {
        loop {
            if from == OUTSIDE {
                return if is_word(byte) { OUTSIDE } else { SCAN_ROOT };
            }
            if let Some(child) = self.child(from, class) {
                return child;
            }
            from = self.nodes[from as usize].fail;
        }
    }

    /// Sets failure links, breadth first, and carries down what ends at each suffix.
    fn link(&mut self) {
        let mut queue = VecDeque::from([SCAN_ROOT]);
        while let Some(parent) = queue.pop_front() {
            let children: Vec<u32> = self.children(parent).collect();
            let parent_fail = self.nodes[parent as usize].fail;
            for child in children {
                let (class, byte) = {
                    let node = &self.nodes[child as usize];
                    (node.class, node.byte)
                };
                let fail = self.step(parent_fail, class, byte);
                let inherited = self.nodes[fail as usize].info;
                let node = &mut self.nodes[child as usize];
                node.fail = fail;
                if node.info == 0 {
                    node.info = inherited;
                } else if inherited != 0 {
                    // The tail of this state's own chain goes on with the suffix's chain.
                    let mut link = (node.info & super::INFO_SET) as usize;
                    node.info |= inherited & !super::INFO_SET;
                    while self.sets[link].1 != NO_SET {
                        link = self.sets[link].1 as usize;
                    }
                    self.sets[link].1 = inherited & super::INFO_SET;
                }
                queue.push_back(child);
            }
        }
    }

    /// The transitions of a state that differ from those of [`OUTSIDE`]: class and target.
    pub(super) fn transitions(&self, node: u32, into: &mut Vec<(u16, u32)>) {
        into.clear();
        let mut from = node;
        while from != OUTSIDE {
            for child in self.children(from) {
                let class = self.nodes[child as usize].class;
                if from == node || into.iter().all(|(known, _)| *known != class) {
                    into.push((class, child));
                }
            }
            from = self.nodes[from as usize].fail;
        }
    }
}

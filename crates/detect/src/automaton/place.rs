//! Row displacement: laying the sparse rows of all states over each other in one array.

use std::cmp::Reverse;

use super::{
    BuildError, HEADER_SLOTS, PAGE_SLOTS, STATE_ACCEPTS, STATE_BASE,
    trie::{OUTSIDE, SCAN_ROOT, Trie},
};

/// Slots in use are numbered below this, so that a base and a class never reach the flag bit.
const MOST_SLOTS: usize = (STATE_BASE >> 1) as usize;

/// How far behind the last place a row with several entries is tried again. Holes further back are
/// filled by the rows with one entry, which fit anywhere.
const LOOK_BACK: usize = 512;

/// States this many steps from a root, or more, are rarely reached by texts that match nothing.
const DEEP: u8 = 3;

pub(super) struct Placed {
    /// Whole pages; the first is the header and still empty.
    pub(super) slots: Vec<u64>,
    pub(super) scan_root: u32,
    pub(super) allow_root: u32,
}

/// Gives every state a base such that no two states claim a slot.
pub(super) fn place(trie: &Trie) -> Result<Placed, BuildError> {
    let mut layout = Layout::after(HEADER_SLOTS);
    let mut bases = vec![0u32; trie.nodes.len()];
    let mut row = Vec::new();

    // States near a root first, so that they come to lie in the first page. Then wide rows, while
    // there is room; then the many with a single entry fill the holes.
    let mut narrow = Vec::new();
    let mut wide = Vec::new();
    for state in (SCAN_ROOT..).take(trie.nodes.len() - 1) {
        trie.transitions(state, &mut row);
        let node = &trie.nodes[state as usize];
        let entries = row.len() + usize::from(node.info != 0);
        if entries > 1 || node.depth < DEEP {
            wide.push((node.depth.min(DEEP), Reverse(entries), state));
        } else {
            narrow.push(state);
        }
    }
    wide.sort_unstable();
    for state in wide.into_iter().map(|(_, _, state)| state).chain(narrow) {
        trie.transitions(state, &mut row);
        let classes = offsets(trie, state, &row);
        bases[state as usize] = layout.claim(&classes)?;
    }

    let mut slots = vec![0u64; layout.taken.len().next_multiple_of(PAGE_SLOTS)];
    let word = |state: u32| match state {
        OUTSIDE => 0,
        state if trie.nodes[state as usize].info != 0 => bases[state as usize] | STATE_ACCEPTS,
        state => bases[state as usize],
    };
    for state in (SCAN_ROOT..).take(trie.nodes.len() - 1) {
        let base = bases[state as usize];
        let owner = u64::from(base) << 32;
        let info = trie.nodes[state as usize].info;
        if info != 0 {
            slots[base as usize] = owner | u64::from(info);
        }
        trie.transitions(state, &mut row);
        for (class, target) in &row {
            slots[base as usize + usize::from(*class)] = owner | u64::from(word(*target));
        }
    }
    Ok(Placed {
        slots,
        scan_root: word(SCAN_ROOT),
        allow_root: trie.allow_root.map_or(0, word),
    })
}

/// The offsets from its base that a state needs: 0 for what is known there, then its classes.
fn offsets(trie: &Trie, state: u32, row: &[(u16, u32)]) -> Vec<u16> {
    let known = (trie.nodes[state as usize].info != 0).then_some(0);
    let mut offsets: Vec<u16> = known
        .into_iter()
        .chain(row.iter().map(|(class, _)| *class))
        .collect();
    offsets.sort_unstable();
    offsets
}

/// Which slots and bases are in use.
pub(crate) struct Layout {
    /// What comes before it is no slot.
    start: usize,
    taken: Vec<bool>,
    base_used: Vec<bool>,
    /// Before it, no row with a single entry is tried again: the time stays linear.
    narrow_from: usize,
    last_wide: usize,
}

impl Layout {
    /// Nothing is in use behind a header of so many slots.
    pub(crate) fn after(start: usize) -> Self {
        Self {
            start,
            taken: vec![false; start],
            base_used: Vec::new(),
            narrow_from: 0,
            last_wide: 0,
        }
    }

    /// How many slots there are, the header included.
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }

    fn is_taken(&self, slot: usize) -> bool {
        self.taken.get(slot).copied().unwrap_or(false)
    }

    fn fits(&self, base: usize, offsets: &[u16]) -> bool {
        !self.base_used.get(base).copied().unwrap_or(false)
            && offsets
                .iter()
                .all(|offset| !self.is_taken(base + usize::from(*offset)))
    }

    /// Claims a base such that these offsets from it, in order, are free.
    pub(crate) fn claim(&mut self, offsets: &[u16]) -> Result<u32, BuildError> {
        let lead = usize::from(offsets.first().copied().unwrap_or(0));
        let from = if offsets.len() > 1 {
            self.last_wide.saturating_sub(LOOK_BACK)
        } else {
            self.narrow_from
        };
        // A state without entries still needs a base of its own.
        let base = (from.max(self.start + lead)..MOST_SLOTS)
            .map(|slot| slot - lead)
            .find(|base| self.fits(*base, offsets))
            .unwrap_or(MOST_SLOTS);
        let end = base.saturating_add(offsets.last().map_or(1, |last| usize::from(*last) + 1));
        if end > MOST_SLOTS {
            return Err(BuildError::TooLarge {
                slots: end,
                most: MOST_SLOTS,
            });
        }
        if self.taken.len() < end {
            self.taken.resize(end, false);
        }
        if self.base_used.len() <= base {
            self.base_used.resize(base + 1, false);
        }
        for offset in offsets {
            self.taken[base + usize::from(*offset)] = true;
        }
        self.base_used[base] = true;
        if offsets.len() > 1 {
            self.last_wide = self.last_wide.max(base);
        } else {
            self.narrow_from = base + lead;
        }
        Ok(base as u32)
    }
}

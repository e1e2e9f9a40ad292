//! The automaton of all words, packed for the kernel's programs and walked here by the same steps.
//!
//! # How
//! What a state of the dense automaton does on a byte is nearly always what one of a few states does:
//! those in which no word is under way. Their rows are kept whole, and of every other state only the
//! entries that differ, in slots that name the state they belong to, laid over each other as in
//! [`crate::automaton`]. Within an address or a token, though, nearly every letter and digit leads on
//! to one and the same state: that one is kept once.
//!
//! # Layout
//! One array of 64-bit words, mirrored by `crates/guard/bpf/abi.h`. The first [`HEADER_SLOTS`] words
//! are a header: the class of each byte, the generation, the first states, where rules and sets begin,
//! where the whole rows begin, and what the table was built of. Behind it the rows, then the slots (`owner << 32 | next`), then for
//! each set of words that is found in one place [`SET_WORDS`] words, then for each rule
//! [`RULE_WORDS`]. A state is `base | row << ROW_SHIFT`, and [`STATE_ACCEPTS`] where words are found:
//! then the slot at its base holds the number of their set. With [`STATE_LEADS_ON`] the slot behind that
//! holds where letters and digits lead. A state whose base is 0 has no slots.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use davylamp_content::detection::{Detection, FULL_SCORE};
use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};

use super::pattern::{RulesError, table_of};
use crate::automaton::{BuildError, Layout, PAGE_SLOTS, is_word};

/// Words before the first row.
const HEADER_SLOTS: usize = 512;
const HEADER_GENERATION: usize = 256;
/// The states behind `\x01` and behind `\x02`: `program | environment << 32`.
const HEADER_ROOTS: usize = 257;
/// `sets | rules << 32`: where they begin.
const HEADER_PLACES: usize = 258;
/// `pages | number of rules << 32`.
const HEADER_SIZES: usize = 259;
/// Which words are domains, by the confidence they ask for: one mask for each.
const HEADER_DOMAINS: usize = 260;
/// Where each whole row begins.
const HEADER_ROWS: usize = 264;
/// States of the automaton, and the digest of what it was built of: of no use to the kernel.
const HEADER_STATES: usize = 272;
const HEADER_MADE_OF: usize = 273;

const STATE_ACCEPTS: u32 = 0x8000_0000;
const ROW_SHIFT: u32 = 28;
const ROW_MASK: u32 = 7;
const STATE_LEADS_ON: u32 = 0x0800_0000;
const STATE_BASE: u32 = 0x07ff_ffff;

/// The class of a byte that is a letter, a digit or an underscore has this mark.
const CLASS_OF_WORD: u64 = 1 << 32;
/// Slots of a state before those of its classes.
const OWN_SLOTS: usize = 2;

/// A slot's place and a class stay below the bits of the row.
const MOST_SLOTS: usize = 0x07ff_ff00;

/// Words of a set: where words count, where they are named, where they begin, and [`SET_IS_TOOL`].
const SET_WORDS: usize = 4;
/// The program is one of the tools that start, read or name things.
pub(super) const SET_IS_TOOL: u64 = 1;

/// Words of a rule: which words it needs; `detection << 32 | flags << 8 | score`; and the number that
/// the detection's ceiling has.
const RULE_WORDS: usize = 3;
const RULE_KILLS: u64 = 1;

/// So many sets of words there may be: the kernel keeps them in one word each.
pub const MAX_WORDS: usize = 64;
/// So many rules there may be: the kernel goes through them one by one.
pub const MAX_RULES: usize = 256;

/// How many whole rows are kept.
const ROWS: usize = 8;
/// How many states are looked at to choose them.
const SAMPLE: usize = 4096;
/// How many rows are tried for each.
const CANDIDATES: usize = 24;
/// About what it costs a state to say where letters and digits lead.
const LEADING_COST: usize = 4;

/// Words found so far, as masks of their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Masks {
    /// Where they count.
    pub counts: u64,
    /// Names of programs that stand in the arguments.
    pub named: u64,
    /// Expressions whose start was found.
    pub begun: u64,
    /// [`SET_IS_TOOL`].
    pub(super) flags: u64,
}

/// What a rule asks for, as the kernel reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// The words that must be found together.
    pub needs: u64,
    /// The detection's number.
    pub detection: u32,
    /// What the detection adds.
    pub score: u8,
    /// Whether the detection may kill.
    pub kills: bool,
    /// What its ceiling is known by.
    pub ceiling: u32,
}

/// A packed automaton.
#[derive(Debug, Clone)]
pub struct Table {
    words: Vec<u64>,
}

/// How large a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// States of the automaton.
    pub states: usize,
    /// Rules.
    pub rules: usize,
    /// Bytes of the table.
    pub bytes: usize,
}

/// What the kernel does about a program at its exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtExec {
    /// Nothing: no words were found.
    Nothing,
    /// It lets it run and tells the agent: the words do not suffice.
    Note,
    /// It holds it until the agent has taken the command line apart.
    Hold,
    /// It kills it.
    Kill,
}

/// What detections add up to, each counted once.
#[derive(Default)]
struct Weight {
    score: u32,
    kills: bool,
    last: Option<u32>,
}

impl Weight {
    fn add(&mut self, rule: &Rule) {
        if self.last != Some(rule.detection) {
            self.last = Some(rule.detection);
            self.score += u32::from(rule.score);
            self.kills |= rule.kills;
        }
    }

    fn suffices(&self) -> bool {
        self.kills && self.score >= u32::from(FULL_SCORE)
    }
}

/// A walk through a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    state: u32,
    pub found: Masks,
}

impl Table {
    /// Packs an automaton whose patterns mean `found`, and `rules` over what is found; `made_of` tells
    /// what all of it was made of.
    pub(super) fn pack(
        automaton: &dense::DFA<Vec<u32>>,
        found: impl Fn(usize) -> Masks,
        domains: [u64; 3],
        rules: &[Rule],
        made_of: u64,
    ) -> Result<Self, BuildError> {
        let states = States::of(automaton);
        let rows = states.choose_rows();
        let classes = states.classes;
        let mut layout = Layout::after(HEADER_SLOTS);
        let whole: Vec<u16> = (0..classes as u16).collect();
        let row_places: Vec<u32> = rows
            .iter()
            .map(|_| layout.claim(&whole))
            .collect::<Result<_, _>>()?;

        let own: Vec<Own> = (0..states.rows.len())
            .map(|state| states.own_of(state, &rows))
            .collect();
        // What is near the start comes first; then the wide ones, while there is room.
        let mut order: Vec<usize> = (0..states.rows.len()).collect();
        order.sort_by_key(|state| {
            let is_near = *state < NEAR;
            (
                !is_near,
                std::cmp::Reverse(own[*state].offsets.len()),
                *state,
            )
        });
        let mut bases = vec![0u32; states.rows.len()];
        for state in order {
            if !own[state].offsets.is_empty() {
                bases[state] = layout.claim(&own[state].offsets)?;
            }
        }

        if layout.len() > MOST_SLOTS {
            return Err(BuildError::TooLarge {
                slots: layout.len(),
                most: MOST_SLOTS,
            });
        }
        let word = |state: usize| {
            let accepts = match states.accepts[state].is_empty() {
                true => 0,
                false => STATE_ACCEPTS,
            };
            let leads_on = match own[state].leads_to {
                None => 0,
                Some(_) => STATE_LEADS_ON,
            };
            bases[state] | own[state].follows << ROW_SHIFT | accepts | leads_on
        };
        let mut words = vec![0u64; layout.len()];
        for byte in 0..=255u8 {
            let class = automaton.byte_classes().get(byte);
            let mark = match states.is_of_word[usize::from(class)] {
                true => CLASS_OF_WORD,
                false => 0,
            };
            words[usize::from(byte)] = u64::from(class) | mark;
        }
        for (place, row) in row_places.iter().zip(&rows) {
            for (class, target) in states.rows[*row].iter().enumerate() {
                words[*place as usize + class] = u64::from(word(*target as usize));
            }
        }
        let mut sets: Vec<Masks> = Vec::new();
        let mut known: HashMap<&[usize], usize> = HashMap::new();
        for (state, own) in own.iter().enumerate() {
            let base = bases[state] as usize;
            let owner = (base as u64) << 32;
            for offset in &own.offsets {
                words[base + usize::from(*offset)] = owner
                    | match offset {
                        0 => {
                            let patterns = states.accepts[state].as_slice();
                            let set = *known.entry(patterns).or_insert_with(|| {
                                let together = patterns.iter().map(|pattern| found(*pattern));
                                sets.push(together.fold(Masks::default(), Masks::and));
                                sets.len() - 1
                            });
                            set as u64
                        }
                        1 => u64::from(own.leads_to.map_or(0, |target| word(target as usize))),
                        class => {
                            let target = states.rows[state][usize::from(*class) - OWN_SLOTS];
                            u64::from(word(target as usize))
                        }
                    };
            }
        }
        let sets_at = words.len();
        for set in &sets {
            words.extend([set.counts, set.named, set.begun, set.flags]);
        }
        let rules_at = words.len();
        for rule in rules {
            let flags = if rule.kills { RULE_KILLS } else { 0 };
            words.push(rule.needs);
            words.push(u64::from(rule.detection) << 32 | flags << 8 | u64::from(rule.score));
            words.push(u64::from(rule.ceiling));
        }
        words.resize(words.len().next_multiple_of(PAGE_SLOTS), 0);
        let pages = (words.len() / PAGE_SLOTS) as u64;
        words[HEADER_ROOTS] =
            u64::from(word(states.program)) | u64::from(word(states.environment)) << 32;
        words[HEADER_PLACES] = sets_at as u64 | (rules_at as u64) << 32;
        words[HEADER_SIZES] = pages | (rules.len() as u64) << 32;
        words[HEADER_DOMAINS..][..domains.len()].copy_from_slice(&domains);
        for (at, place) in row_places.iter().enumerate() {
            words[HEADER_ROWS + at] = u64::from(*place);
        }
        words[HEADER_STATES] = states.rows.len() as u64;
        words[HEADER_MADE_OF] = made_of;
        let mut hasher = DefaultHasher::new();
        words.hash(&mut hasher);
        words[HEADER_GENERATION] = hasher.finish().max(1);
        Ok(Self { words })
    }

    /// Builds the table of detections, which takes seconds where they are many.
    ///
    /// # Errors
    /// Where they need a larger one than there may be.
    pub fn of(detections: &[Detection]) -> Result<Self, RulesError> {
        table_of(detections)
    }

    /// Takes over the words of a table that was built before. What is no table at all is none; that
    /// nobody changed one since is for the caller to know.
    pub fn from_words(words: Vec<u64>) -> Option<Self> {
        let pages = words.get(HEADER_SIZES)? & u64::from(u32::MAX);
        let is_whole = words.len() == pages as usize * PAGE_SLOTS;
        is_whole.then_some(Self { words })
    }

    /// What it was made of.
    pub(super) fn made_of(&self) -> u64 {
        self.words[HEADER_MADE_OF]
    }

    /// The words to load into the kernel: a whole number of pages.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Tells one table from another.
    pub fn generation(&self) -> u64 {
        self.words[HEADER_GENERATION]
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        Size {
            states: self.words[HEADER_STATES] as usize,
            rules: (self.words[HEADER_SIZES] >> 32) as usize,
            bytes: self.words.len() * size_of::<u64>(),
        }
    }

    /// A rule by its number.
    pub(super) fn rule(&self, number: usize) -> Option<Rule> {
        if number >= self.size().rules {
            return None;
        }
        let at = (self.words[HEADER_PLACES] >> 32) as usize + number * RULE_WORDS;
        let facts = self.words[at + 1];
        Some(Rule {
            needs: self.words[at],
            detection: (facts >> 32) as u32,
            score: facts as u8,
            kills: facts >> 8 & RULE_KILLS != 0,
            ceiling: self.words[at + 2] as u32,
        })
    }

    /// What the kernel does about a program in which these words were found: its steps in
    /// `crates/guard/bpf/rules.h`, repeated here.
    pub(super) fn at_exec(&self, found: Masks) -> AtExec {
        let maybe = found.counts | found.named | found.begun;
        let is_tool = found.flags & SET_IS_TOOL != 0;
        let (mut certain, mut possible) = (Weight::default(), Weight::default());
        for rule in (0..).map_while(|number| self.rule(number)) {
            if maybe & rule.needs == rule.needs {
                possible.add(&rule);
            }
            if found.counts & rule.needs == rule.needs {
                certain.add(&rule);
            }
        }
        match () {
            () if certain.suffices() && !is_tool => AtExec::Kill,
            () if possible.suffices() => AtExec::Hold,
            () if possible.score > 0 => AtExec::Note,
            () => AtExec::Nothing,
        }
    }

    /// A walk that begins with a program.
    pub(super) fn of_program(&self) -> Walk {
        Walk::at(self.words[HEADER_ROOTS] as u32)
    }

    /// A walk that begins with an environment.
    pub(super) fn of_environment(&self) -> Walk {
        Walk::at((self.words[HEADER_ROOTS] >> 32) as u32)
    }

    /// Walks on, as the kernel does.
    pub(super) fn step(&self, walk: &mut Walk, text: &[u8]) {
        for byte in text {
            let entry = self.words[usize::from(*byte)];
            let class = entry as u32 as usize;
            let base = walk.state & STATE_BASE;
            let own = match base {
                0 => 0,
                base => self.words[base as usize + class + OWN_SLOTS],
            };
            walk.state = if base != 0 && own >> 32 == u64::from(base) {
                own as u32
            } else if walk.state & STATE_LEADS_ON != 0 && entry & CLASS_OF_WORD != 0 {
                self.words[base as usize + 1] as u32
            } else {
                let row = (walk.state >> ROW_SHIFT & ROW_MASK) as usize;
                let place = self.words[HEADER_ROWS + row] as usize;
                self.words[place + class] as u32
            };
            if walk.state & STATE_ACCEPTS != 0 {
                let set = self.words[(walk.state & STATE_BASE) as usize] as u32 as usize;
                let at = self.words[HEADER_PLACES] as u32 as usize + set * SET_WORDS;
                let [counts, named, begun, flags] = [0, 1, 2, 3].map(|word| self.words[at + word]);
                walk.found = walk.found.and(Masks {
                    counts,
                    named,
                    begun,
                    flags,
                });
            }
        }
    }
}

impl Walk {
    fn at(state: u32) -> Self {
        Self {
            state,
            found: Masks::default(),
        }
    }
}

impl Masks {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            counts: self.counts | other.counts,
            named: self.named | other.named,
            begun: self.begun | other.begun,
            flags: self.flags | other.flags,
        }
    }
}

/// The states this near to the start come to lie in the first page.
const NEAR: usize = 64;

/// What a state has of its own.
struct Own {
    /// The whole row it follows elsewhere.
    follows: u32,
    /// Where letters and digits lead that have no slot.
    leads_to: Option<u32>,
    /// Its slots, in order.
    offsets: Vec<u16>,
}

/// The states that can be reached, numbered in the order in which they are.
struct States {
    classes: usize,
    /// Whether each class is of letters, digits and underscores.
    is_of_word: Vec<bool>,
    rows: Vec<Vec<u32>>,
    /// The patterns that each state finds.
    accepts: Vec<Vec<usize>>,
    program: usize,
    environment: usize,
}

impl States {
    fn of(automaton: &dense::DFA<Vec<u32>>) -> Self {
        let representatives: Vec<u8> = automaton
            .byte_classes()
            .representatives(0..=255u8)
            .filter_map(|unit| unit.as_u8())
            .collect();
        let mut numbers: HashMap<StateID, u32> = HashMap::new();
        let mut found: Vec<StateID> = Vec::new();
        let mut number = |state: StateID, found: &mut Vec<StateID>| {
            *numbers.entry(state).or_insert_with(|| {
                found.push(state);
                found.len() as u32 - 1
            })
        };
        let input = Input::new(b"").anchored(Anchored::Yes);
        // The automaton looks at nothing before its start, so starting cannot fail.
        let start = automaton.start_state_forward(&input).unwrap_or_default();
        let [program, environment] =
            [1, 2].map(|byte| number(automaton.next_state(start, byte), &mut found) as usize);
        let (mut rows, mut accepts) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(state) = found.get(at).copied() {
            at += 1;
            let next = representatives.iter().map(|byte| {
                let next = automaton.next_state(state, *byte);
                number(next, &mut found)
            });
            rows.push(next.collect::<Vec<u32>>());
            let patterns = match automaton.is_match_state(state) {
                true => automaton.match_len(state),
                false => 0,
            };
            let pattern = |index| automaton.match_pattern(state, index).as_usize();
            accepts.push((0..patterns).map(pattern).collect());
        }
        let is_of_word = representatives.iter().map(|byte| is_word(*byte));
        Self {
            classes: representatives.len(),
            is_of_word: is_of_word.collect(),
            rows,
            accepts,
            program,
            environment,
        }
    }

    /// What a state has to have of its own beside one of the whole rows.
    fn own_of(&self, state: usize, rows: &[usize]) -> Own {
        let row = &self.rows[state];
        let leads_to = self.most_of_word(row);
        let mut best: Option<Own> = None;
        for (number, whole) in rows.iter().enumerate() {
            let whole = &self.rows[*whole];
            for leads_to in [None, leads_to] {
                let is_own = |class: &usize| match leads_to {
                    Some(target) if self.is_of_word[*class] => row[*class] != target,
                    _ => row[*class] != whole[*class],
                };
                let classes = (0..self.classes).filter(is_own);
                let leads = leads_to.map(|_| 1);
                let finds = (!self.accepts[state].is_empty()).then_some(0);
                let slots = classes.map(|class| (class + OWN_SLOTS) as u16);
                let offsets: Vec<u16> = finds.into_iter().chain(leads).chain(slots).collect();
                let is_better = |best: &Own| offsets.len() < best.offsets.len();
                if best.as_ref().is_none_or(is_better) {
                    best = Some(Own {
                        follows: number as u32,
                        leads_to,
                        offsets,
                    });
                }
            }
        }
        best.unwrap_or(Own {
            follows: 0,
            leads_to: None,
            offsets: Vec::new(),
        })
    }

    /// Where most letters and digits lead.
    fn most_of_word(&self, row: &[u32]) -> Option<u32> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for class in (0..self.classes).filter(|class| self.is_of_word[*class]) {
            *counts.entry(row[class]).or_default() += 1;
        }
        let most = counts
            .into_iter()
            .max_by_key(|(state, count)| (*count, *state));
        most.map(|(state, _)| state)
    }

    /// How much of a row is not another's, if what most letters and digits lead to is kept once.
    fn cost(&self, row: &[u32], whole: &[u32]) -> usize {
        let (mut of_word, mut of_others) = (0, 0);
        for class in 0..self.classes {
            if row[class] != whole[class] {
                match self.is_of_word[class] {
                    true => of_word += 1,
                    false => of_others += 1,
                }
            }
        }
        of_others + of_word.min(LEADING_COST)
    }

    /// The states whose rows are kept whole: one after the other, that which saves most.
    fn choose_rows(&self) -> Vec<usize> {
        let step = self.rows.len().div_ceil(SAMPLE).max(1);
        let sample: Vec<&Vec<u32>> = self.rows.iter().step_by(step).collect();
        let mut costs: Vec<usize> = sample.iter().map(|row| row.len()).collect();
        let mut chosen = Vec::new();
        while chosen.len() < ROWS {
            // What many rows lead to is a state in which nothing is under way.
            let mut wanted: HashMap<u32, usize> = HashMap::new();
            for (row, cost) in sample.iter().zip(&costs) {
                for target in row.iter() {
                    *wanted.entry(*target).or_default() += *cost;
                }
            }
            let mut candidates: Vec<(usize, u32)> = wanted
                .into_iter()
                .map(|(state, weight)| (weight, state))
                .collect();
            candidates.sort_unstable_by(|a, b| b.cmp(a));
            candidates.truncate(CANDIDATES);
            let total = |state: u32| -> usize {
                let row = &self.rows[state as usize];
                let cost = |(other, cost): (&&Vec<u32>, &usize)| self.cost(other, row).min(*cost);
                sample.iter().zip(&costs).map(cost).sum()
            };
            let best = candidates
                .iter()
                .map(|(_, state)| (total(*state), *state))
                .min();
            let Some((sum, state)) = best else { break };
            if sum >= costs.iter().sum() {
                break;
            }
            let row = &self.rows[state as usize];
            for (other, cost) in sample.iter().zip(&mut costs) {
                *cost = (*cost).min(self.cost(other, row));
            }
            chosen.push(state as usize);
        }
        if chosen.is_empty() {
            chosen.push(self.program);
        }
        chosen
    }
}

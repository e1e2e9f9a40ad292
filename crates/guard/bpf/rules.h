/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A piece of text through the automaton of the detections' words, and what the words that were found
 * mean together. The layout is that of abi.h; the `detect` crate builds it.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_RULES_H
#define DAVYLAMP_RULES_H

static __always_inline struct rules_header *rules_of(u64 *first)
{
	return (struct rules_header *)first;
}

/* Adds what is found in a state. A global function, as scan_piece is and for the same reason. */
__noinline int note_words(u32 state)
{
	u32 zero = 0, rules = TABLE_RULES, set, at;
	struct scan *scan = bpf_map_lookup_elem(&scans, &zero);
	void *table = bpf_map_lookup_elem(&tables, &rules);
	u64 *first;

	if (!scan || !table)
		return 0;
	first = bpf_map_lookup_elem(table, &zero);
	if (!first)
		return 0;
	set = (u32)slot_at(table, first, state & RULE_STATE_BASE);
	at = rules_of(first)->sets_at + set * RULE_SET_SLOTS;
	scan->counts |= slot_at(table, first, at);
	scan->named |= slot_at(table, first, at + 1);
	scan->begun |= slot_at(table, first, at + 2);
	scan->flags |= slot_at(table, first, at + 3);
	return 0;
}

/* As scan_piece, for the words of detections. */
__noinline int rules_piece(u32 from, u32 length)
{
	u32 zero = 0, rules = TABLE_RULES;
	struct scan *scan = bpf_map_lookup_elem(&scans, &zero);
	void *table = bpf_map_lookup_elem(&tables, &rules);
	u64 *first;
	u32 state;
	u8 *bytes;

	if (!scan || !table)
		return 1;
	first = bpf_map_lookup_elem(table, &zero);
	if (!first || from > sizeof(scan->bytes) - PIECE)
		return 1;
	if (rules_of(first)->generation != scan->rule_generation) {
		scan->swapped = 1;
		return 1;
	}
	state = scan->rule_state;
	bytes = scan->bytes + from;
	for (u32 i = 0; i < PIECE && i < length; i++) {
		u64 entry = rules_of(first)->classes[bytes[i]];
		u32 class = (u32)entry;
		u32 base = state & RULE_STATE_BASE;
		u64 slot = base ? slot_at(table, first, base + RULE_OWN_SLOTS + class) : 0;

		if (base && slot >> 32 == base) {
			state = (u32)slot;
		} else if (state & RULE_STATE_LEADS_ON && entry & RULE_CLASS_OF_WORD) {
			state = (u32)slot_at(table, first, base + 1);
		} else {
			u32 row = state >> RULE_ROW_SHIFT & (RULE_ROWS - 1);
			u32 at = rules_of(first)->rows[row] + class;

			barrier_var(at);
			state = (u32)first[at % TABLE_PAGE_SLOTS];
		}
		if (state & RULE_STATE_ACCEPTS)
			note_words(state);
	}
	scan->rule_state = state;
	return 0;
}

/* Going through the rules: what their detections add up to. */
struct weighing {
	void *table;
	u64 *first;
	u64 counts; /* words found where they count */
	u64 maybe; /* words found in any way */
	u32 rules;
	u32 certain; /* the scores of all detections that are sure of what they found */
	u32 possible; /* of all that may have found something */
	u32 certain_kills, possible_kills;
	u32 last_certain, last_possible; /* the detection counted last, plus one: each counts once */
	u32 rule; /* the first that is certain and may kill, plus one */
};

static long weigh_rule(u64 index, struct weighing *all)
{
	u32 at;
	u64 needs, facts;
	u32 detection, score, kills;

	if (index >= all->rules)
		return 1;
	at = rules_of(all->first)->rules_at + (u32)index * RULE_SLOTS;
	needs = slot_at(all->table, all->first, at);
	if ((all->maybe & needs) != needs)
		return 0;
	facts = slot_at(all->table, all->first, at + 1);
	detection = (u32)(facts >> 32) + 1;
	score = facts & 0xff;
	kills = facts >> 8 & RULE_KILLS;
	if (all->last_possible != detection) {
		all->last_possible = detection;
		all->possible += score;
		all->possible_kills |= kills;
	}
	if ((all->counts & needs) == needs && all->last_certain != detection) {
		all->last_certain = detection;
		all->certain += score;
		all->certain_kills |= kills;
		if (kills && !all->rule)
			all->rule = index + 1;
	}
	return 0;
}

/*
 * What the words of a program say: REASON_RULE where it is to die, REASON_MAYBE_RULE where somebody
 * has to take its command line apart first, 0 where nothing is to be done. What does not suffice is
 * left in `what->noted`.
 *
 * A program that nobody knows is what its words say. A tool that starts, reads or names things may
 * only speak of them.
 */
static __noinline u32 rules_say(struct scan *scan, struct occurrence *what)
{
	u32 zero = 0, rules = TABLE_RULES;
	void *table = bpf_map_lookup_elem(&tables, &rules);
	struct weighing all = {};

	if (!scan || !what || !table)
		return 0;
	all.table = table;
	all.first = bpf_map_lookup_elem(table, &zero);
	if (!all.first)
		return 0;
	for (int i = 0; i < 3; i++)
		if (scan->pools >> (INFO_POOL_SHIFT + i) & 1)
			scan->begun |= rules_of(all.first)->pools[i];
	all.counts = scan->counts;
	all.maybe = scan->counts | scan->named | scan->begun;
	if (!all.maybe)
		return 0;
	all.rules = rules_of(all.first)->rules;
	bpf_loop(RULES_MAX, weigh_rule, &all, 0);
	what->is_tool = scan->flags & RULE_SET_TOOL;
	if (all.certain_kills && all.certain >= SCORE_FULL && !what->is_tool) {
		what->info = all.rule ? all.rule - 1 : 0;
		what->ceiling = slot_at(table, all.first,
					rules_of(all.first)->rules_at + what->info * RULE_SLOTS + 2);
		what->generation = scan->rule_generation;
		return REASON_RULE;
	}
	if (all.possible_kills && all.possible >= SCORE_FULL)
		return REASON_MAYBE_RULE;
	what->noted = all.possible;
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A piece of text through the packed automaton of the lists, and the start of a command line through
 * the trie of allow patterns. The layout is that of abi.h; the `detect` crate builds it.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_AUTOMATON_H
#define DAVYLAMP_AUTOMATON_H

static __always_inline struct table_header *header_of(u64 *first)
{
	return (struct table_header *)first;
}

static __always_inline u64 slot_at(void *table, u64 *first, u32 index)
{
	u64 *slots;
	u32 page;

	if (index < TABLE_PAGE_SLOTS) {
		/* Linux 6.1's verifier loses sight of the comparison, so the mask must stay. */
		barrier_var(index);
		return first[index % TABLE_PAGE_SLOTS];
	}
	page = index >> TABLE_PAGE_SHIFT;
	slots = bpf_map_lookup_elem(table, &page);
	barrier_var(index);
	return slots ? slots[index % TABLE_PAGE_SLOTS] : 0;
}

/*
 * Whether a match counts for nothing because its rule is over its ceiling: then the search goes on,
 * for a rule that has killed too much must not shield what another rule kills. A global function,
 * because the verifier goes through these once and by themselves.
 */
__noinline int passes_over(u32 info)
{
	u32 zero = 0;
	struct ceiling_limits *limits = bpf_map_lookup_elem(&ceiling_limits, &zero);
	struct scan *scan = bpf_map_lookup_elem(&scans, &zero);
	struct ceiling_key key = {
		.kind = CEILING_STRING,
		.rule = info & INFO_SET,
	};
	struct ceiling *entry;

	if (!scan || !limits || !limits->window_secs)
		return false;
	key.generation = scan->generation;
	entry = bpf_map_lookup_elem(&ceilings, &key);
	if (!entry || !entry->refusing)
		return false;
	if (!scan->victim) {
		/* Who it is takes too deep a stack to find out here: the walk begins anew. */
		scan->wants_victim = 1;
		scan->swapped = 1;
		return true;
	}
	if (ceiling_ask(scan->generation, ceiling_rule(info), scan->victim, CEILING_LOOK) !=
	    CEILING_OVER)
		return false;
	if (!scan->passed)
		scan->passed = info;
	return true;
}

/*
 * Walks `length` bytes of the buffer, at most a piece, and says whether there is no more to do.
 *
 * A global function, because the verifier goes through these once and by themselves: as a part of
 * each caller this took it a second at every start. So it must look up the table anew and see
 * whether that is still the one it began with.
 */
__noinline int scan_piece(u32 from, u32 length)
{
	u32 zero = 0, lists = TABLE_LISTS;
	struct scan *scan = bpf_map_lookup_elem(&scans, &zero);
	void *table = bpf_map_lookup_elem(&tables, &lists);
	u64 *first;
	u32 state;
	u8 *bytes;

	if (!scan || !table)
		return 1;
	first = bpf_map_lookup_elem(table, &zero);
	if (!first || from > sizeof(scan->bytes) - PIECE)
		return 1;
	if (header_of(first)->generation != scan->generation) {
		scan->swapped = 1;
		return 1;
	}
	state = scan->state;
	bytes = scan->bytes + from;
	for (u32 i = 0; i < PIECE && i < length; i++) {
		u64 entry = header_of(first)->bytes[bytes[i]];
		u32 next = (u32)entry;

		if (state != STATE_OUTSIDE) {
			u32 base = state & STATE_BASE;
			u32 class = (entry >> 32) & BYTE_CLASS;

			if (state & STATE_ACCEPTS && entry >> 32 & BYTE_BOUNDARY) {
				u32 info = (u32)slot_at(table, first, base);

				if (info & scan->wanted) {
					if (!passes_over(info)) {
						scan->hit = info;
						return 1;
					}
					if (scan->swapped)
						return 1;
				}
				scan->pools |= info & INFO_POOLS;
			}
			if (class) {
				u64 slot = slot_at(table, first, base + class);

				if (slot >> 32 == base)
					next = (u32)slot;
			}
		}
		state = next;
	}
	scan->state = state;
	return 0;
}

/* ---- allow patterns decided here -------------------------------------------------------- */

struct allow_walk {
	void *table;
	u64 *first;
	struct scan *scan;
	u32 length;
	u32 state;
	u32 found; /* INFO_ALLOWS, INFO_HOLDS */
	u32 info; /* the word of the pattern that allows */
};

static long allow_byte(u64 index, struct allow_walk *walk)
{
	u32 base = walk->state & STATE_BASE;

	if (walk->state & STATE_ACCEPTS) {
		u32 info = (u32)slot_at(walk->table, walk->first, base);

		walk->found |= info & (INFO_ALLOWS | INFO_HOLDS);
		if (info & INFO_ALLOWS) {
			walk->info = info;
			return 1;
		}
	}
	if (index >= walk->length || index >= CHUNK)
		return 1;
	u32 class = header_of(walk->first)->bytes[walk->scan->bytes[index]] >> 32 & BYTE_CLASS;
	u64 slot = class ? slot_at(walk->table, walk->first, base + class) : 0;

	if (slot >> 32 != base)
		return 1;
	walk->state = (u32)slot;
	return 0;
}

/* Walks the start of the command line down the trie of literal patterns and prefixes. */
static __noinline u32 allowed_by_literal(void *table, struct mm_struct *mm, u32 *info)
{
	u32 zero = 0;
	struct allow_walk walk = {};
	u64 start = mm->arg_start;
	u64 length = mm->arg_end - start;

	walk.table = table;
	walk.first = bpf_map_lookup_elem(table, &zero);
	walk.scan = bpf_map_lookup_elem(&scans, &zero);
	if (!walk.first || !walk.scan || !header_of(walk.first)->allow_root)
		return 0;
	if (length)
		length--; /* the NUL after the last argument is no part of the command line */
	if (length > CHUNK)
		length = CHUNK;
	if (bpf_probe_read_user(walk.scan->bytes, length, (void *)start))
		return INFO_HOLDS;
	walk.length = length;
	walk.state = header_of(walk.first)->allow_root;
	bpf_loop(CHUNK + 1, allow_byte, &walk, 0);
	*info = walk.info;
	return walk.found;
}

#endif

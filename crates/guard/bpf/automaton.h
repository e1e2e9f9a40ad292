/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Walking texts through a packed automaton, and the start of a command line through the trie of
 * allow patterns. The layout is that of abi.h; the `detect` crate builds it.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_AUTOMATON_H
#define DAVYLAMP_AUTOMATON_H

struct scan {
	void *table;
	struct table_header *header;
	struct chunk *chunk;
	u64 address; /* of the next byte to read */
	u64 end;
	u32 state;
	u32 wanted; /* INFO_* that counts in this text */
	u32 hit; /* the info word that matched, 0 if none */
	u32 fault;
};

static __always_inline u64 slot_at(void *table, u32 index)
{
	u32 page = index >> TABLE_PAGE_SHIFT;
	struct table_page *slots = bpf_map_lookup_elem(table, &page);

	return slots ? slots->slots[index % TABLE_PAGE_SLOTS] : 0;
}

static long scan_block(u64 index, struct scan *scan)
{
	struct table_header *header = scan->header;
	u32 state = scan->state;

	if (index > CHUNK / BLOCK)
		return 1;
	u8 *bytes = scan->chunk->bytes + index * BLOCK;

#pragma unroll
	for (int i = 0; i < BLOCK; i++) {
		u64 entry = header->bytes[bytes[i]];
		u32 base = state & STATE_BASE;
		u32 class = (entry >> 32) & BYTE_CLASS;
		u32 next = (u32)entry;

		if ((state & STATE_ACCEPTS) && (entry >> 32 & BYTE_BOUNDARY)) {
			u32 info = (u32)slot_at(scan->table, base);

			if (info & scan->wanted) {
				scan->hit = info;
				return 1;
			}
		}
		if (base != STATE_OUTSIDE && class) {
			u64 slot = slot_at(scan->table, base + class);

			if (slot >> 32 == base)
				next = (u32)slot;
		}
		state = next;
	}
	scan->state = state;
	return 0;
}

/* Walks the first `length` bytes of the chunk; `last` adds the boundary that ends every text. */
static __always_inline void scan_chunk(struct scan *scan, u32 length, bool last)
{
	if (length > CHUNK)
		length = CHUNK;
	if (last)
		*(u64 *)(scan->chunk->bytes + length) = 0;
	bpf_loop(last ? length / BLOCK + 1 : length / BLOCK, scan_block, scan, 0);
}

static long scan_user_chunk(u64 index, struct scan *scan)
{
	u64 left = scan->end - scan->address;
	u32 length = left > CHUNK ? CHUNK : left;

	if (bpf_probe_read_user(scan->chunk->bytes, length, (void *)scan->address)) {
		scan->fault = 1;
		return 1;
	}
	scan_chunk(scan, length, left <= CHUNK);
	scan->address += length;
	return scan->hit || scan->address >= scan->end;
}

/* Walks user memory from start to end. Leaves hit, or fault where a byte could not be judged. */
static __always_inline void scan_user(struct scan *scan, u64 start, u64 end)
{
	scan->address = start;
	scan->end = end;
	scan->state = scan->header->scan_root;
	if (start < end)
		bpf_loop(MAX_CHUNKS, scan_user_chunk, scan, 0);
	if (!scan->hit && scan->address < end)
		scan->fault = 1;
}

/* The program's path as it was given and the name of the file that runs, as two texts. */
static __always_inline void scan_path(struct scan *scan, struct linux_binprm *bprm)
{
	u8 *bytes = scan->chunk->bytes;
	const unsigned char *name = bprm->file->f_path.dentry->d_name.name;
	long given, leaf;

	given = bpf_probe_read_kernel_str(bytes, CHUNK - EVENT_NAME, bprm->filename);
	if (given < 1)
		given = 1; /* no path was given: the file's name remains */
	if (given > CHUNK - EVENT_NAME)
		return;
	/* A byte that no string holds keeps a string from standing in both texts at once. */
	bytes[given - 1] = 1;
	leaf = bpf_probe_read_kernel_str(bytes + given, EVENT_NAME, name);
	if (leaf < 0) {
		scan->fault = 1;
		leaf = 0;
	}
	scan->state = scan->header->scan_root;
	scan_chunk(scan, given + leaf, true);
}

/* ---- allow patterns decided here -------------------------------------------------------- */

struct allow_walk {
	void *table;
	struct table_header *header;
	struct chunk *chunk;
	u32 length;
	u32 state;
	u32 found; /* INFO_ALLOWS, INFO_HOLDS */
	u32 info; /* the word of the pattern that allows */
};

static long allow_byte(u64 index, struct allow_walk *walk)
{
	u32 base = walk->state & STATE_BASE;

	if (walk->state & STATE_ACCEPTS) {
		u32 info = (u32)slot_at(walk->table, base);

		walk->found |= info & (INFO_ALLOWS | INFO_HOLDS);
		if (info & INFO_ALLOWS) {
			walk->info = info;
			return 1;
		}
	}
	if (index >= walk->length || index >= CHUNK)
		return 1;
	u32 class = (walk->header->bytes[walk->chunk->bytes[index]] >> 32) & BYTE_CLASS;
	u64 slot = class ? slot_at(walk->table, base + class) : 0;

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
	walk.header = bpf_map_lookup_elem(table, &zero);
	walk.chunk = bpf_map_lookup_elem(&chunks, &zero);
	if (!walk.header || !walk.chunk || !walk.header->allow_root)
		return 0;
	if (length)
		length--; /* the NUL after the last argument is no part of the command line */
	if (length > CHUNK)
		length = CHUNK;
	if (bpf_probe_read_user(walk.chunk->bytes, length, (void *)start))
		return INFO_HOLDS;
	walk.length = length;
	walk.state = walk.header->allow_root;
	bpf_loop(CHUNK + 1, allow_byte, &walk, 0);
	*info = walk.info;
	return walk.found;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All that counts of a new program, piece by piece through both automata.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_SCAN_H
#define DAVYLAMP_SCAN_H

static __always_inline int both_pieces(u32 from, u32 length)
{
	u32 zero = 0;
	struct scan *scan = bpf_map_lookup_elem(&scans, &zero);

	int over;

	if (!scan || scan_piece(from, length))
		return 1;
	if (!scan->rule_generation)
		return 0;
	over = rules_piece(from, length);
	/* The verifier knows nothing of what a global function returns. */
	barrier_var(over);
	return over != 0;
}

static long scan_piece_at(u64 index, u32 *length)
{
	u32 from = index * PIECE;

	return from >= *length || both_pieces(from, *length - from);
}

/* Walks the start of the buffer. */
static __always_inline void scan_bytes(u32 length)
{
	if (length <= PIECE)
		both_pieces(0, length);
	else
		bpf_loop(length / PIECE + 1, scan_piece_at, &length, 0);
}

/* Walks a whole chunk of user memory, of which there is more behind it. */
static long scan_chunk(u64 index, void *unused)
{
	u32 zero = 0;
	struct scan *scan = bpf_map_lookup_elem(&scans, &zero);

	if (!scan)
		return 1;
	if (bpf_probe_read_user(scan->bytes, CHUNK, (void *)scan->address)) {
		scan->fault = 1;
		return 1;
	}
	scan_bytes(CHUNK);
	scan->address += CHUNK;
	return scan->hit || scan->swapped || scan->end - scan->address <= CHUNK;
}

/*
 * Walks user memory from start to end, and a NUL behind it: every text ends at a boundary, whatever
 * its last byte is. Leaves a fault where a byte could not be read.
 */
static __always_inline void scan_user(struct scan *scan, u64 start, u64 end)
{
	u64 left;

	scan->address = start;
	scan->end = end;
	if (start >= end)
		return;
	if (end - start > CHUNK)
		bpf_loop(MAX_CHUNKS, scan_chunk, NULL, 0);
	if (scan->hit || scan->fault || scan->swapped)
		return;
	left = end - scan->address;
	if (left > CHUNK || bpf_probe_read_user(scan->bytes, left, (void *)scan->address)) {
		scan->fault = 1;
		return;
	}
	if (left > CHUNK)
		return;
	scan->bytes[left] = 0;
	scan_bytes(left + 1);
}

/*
 * Walks the name of the file that runs and the path as it was given, each with a separator behind it
 * so that no string stands in two at once. Nobody can forge the first separator.
 */
static __always_inline void scan_names(struct scan *scan, struct linux_binprm *bprm)
{
	const unsigned char *name = bprm->file->f_path.dentry->d_name.name;
	long leaf = bpf_probe_read_kernel_str(scan->bytes, EVENT_NAME, name);
	long path;
	u32 end; /* of the file's name: where its NUL is */
	u8 *bytes;

	if (leaf < 1 || leaf > EVENT_NAME) {
		scan->fault = 1;
		leaf = 1;
	}
	end = leaf - 1;
	for (u32 i = 0; i < EVENT_NAME && i < end; i++)
		if (scan->bytes[i] == TEXT_SEPARATOR)
			scan->bytes[i] = TEXT_SEPARATOR + 1;
	if (end >= EVENT_NAME)
		return;
	scan->bytes[end] = TEXT_SEPARATOR;
	bytes = scan->bytes + end + 1;
	path = bpf_probe_read_kernel_str(bytes, PATH_MOST, bprm->filename);
	if (path < 1 || path > PATH_MOST)
		path = 1; /* no path was given: the file's name remains */
	bytes[path - 1] = TEXT_SEPARATOR;
	scan_bytes(end + 1 + path);
}

/* Looks at the tables in force, and begins. */
static __always_inline bool begin_scan(struct scan *scan, struct occurrence *what)
{
	u32 zero = 0, lists = TABLE_LISTS, rules = TABLE_RULES;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	void *table = bpf_map_lookup_elem(&tables, &lists);
	struct table_header *header = table ? bpf_map_lookup_elem(table, &zero) : NULL;
	struct rules_header *words;

	if (!header)
		return false;
	what->generation = header->generation;
	scan->generation = header->generation;
	scan->state = header->scan_root;
	scan->wanted = INFO_ARGUMENTS;
	scan->hit = 0;
	scan->fault = 0;
	scan->swapped = 0;
	scan->passed = 0;
	scan->pools = 0;
	scan->counts = 0;
	scan->named = 0;
	scan->begun = 0;
	scan->flags = 0;
	scan->rule_generation = 0;
	table = cfg && cfg->rules_enabled ? bpf_map_lookup_elem(&tables, &rules) : NULL;
	words = table ? bpf_map_lookup_elem(table, &zero) : NULL;
	if (words) {
		scan->rule_generation = words->generation;
		scan->rule_state = words->program_root;
	}
	return true;
}

/* Makes ready for the environment. False if nothing counts there. */
static __always_inline bool begin_environment(struct scan *scan)
{
	u32 zero = 0, lists = TABLE_LISTS, rules = TABLE_RULES;
	void *table = bpf_map_lookup_elem(&tables, &lists);
	struct table_header *header = table ? bpf_map_lookup_elem(table, &zero) : NULL;
	struct rules_header *words;

	if (!header)
		return false;
	scan->state = header->scan_root;
	scan->wanted = INFO_ENVIRONMENT;
	if (!scan->rule_generation)
		return header->flags & TABLE_SCANS_ENVIRONMENT;
	table = bpf_map_lookup_elem(&tables, &rules);
	words = table ? bpf_map_lookup_elem(table, &zero) : NULL;
	if (words)
		scan->rule_state = words->environment_root;
	return true;
}

/*
 * Walks all that counts of a new program. Leaves the hit, the words, or a fault where a byte could not
 * be judged. False if there is no table to walk.
 */
static __always_inline bool scan_all(struct scan *scan, struct mm_struct *mm,
				     struct linux_binprm *bprm, struct occurrence *what)
{
	scan->victim = 0;
	scan->wants_victim = 0;
	for (int tries = 0; tries < MOST_TRIES; tries++) {
		u32 earlier;

		if (!begin_scan(scan, what))
			return false;
		if (scan->wants_victim)
			scan->victim = victim_of_task(bpf_get_current_task_btf());
		what->region = REGION_PATH;
		scan_names(scan, bprm);
		if (!scan->hit && !scan->swapped) {
			what->region = REGION_ARGUMENTS;
			earlier = scan->fault;
			scan->fault = 0;
			scan_user(scan, mm->arg_start, mm->arg_end);
			scan->fault |= earlier;
		}
		if (!scan->hit && !scan->swapped && begin_environment(scan)) {
			what->region = REGION_ENVIRONMENT;
			earlier = scan->fault;
			scan->fault = 0;
			scan_user(scan, mm->env_start, mm->env_end);
			scan->fault |= earlier;
		}
		if (!scan->swapped)
			return true;
	}
	/* A new table at every try: as good as unreadable. */
	scan->fault = 1;
	return true;
}

#endif

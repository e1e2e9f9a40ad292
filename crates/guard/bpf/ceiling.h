/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The circuit breaker: how many victims a rule may have on this node before it only observes.
 * Part of guard.bpf.c and of wire.bpf.c. Needs place.h.
 *
 * What is counted is never a process but a victim: the pod, the service, the login of a user or the
 * container that a process belongs to. A rule that kills one container's processes ten thousand
 * times has one victim, so whoever starts a miner again and again trips nothing; a rule that kills
 * everywhere has as many victims as there are places. A victim that is counted stays killed.
 *
 * What must stay true: in no window does a rule have more victims than its ceiling, whatever runs
 * on how many processors at once, and no lock is waited for. So a slot is one word, victim and time,
 * that changes by compare-and-swap alone.
 */
#ifndef DAVYLAMP_CEILING_H
#define DAVYLAMP_CEILING_H

ONE(ceiling_limits, struct ceiling_limits);
/* Never written to: what a rule's ceiling begins as. */
ONE(ceiling_empty, struct ceiling);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CEILING_RULES);
	__type(key, struct ceiling_key);
	__type(value, struct ceiling);
} ceilings SEC(".maps");

/* ---- whose a process is ----------------------------------------------------------------- */

#define PLACE_LEVELS 64
#define PLACE_NAME 256
/* A pod's uid has 36 characters, or 32 where a static pod's is a digest. */
#define POD_UID_LEAST 32
#define CONTAINER_ID_LENGTH 64
/* All that is nested deeper than is followed is one victim: depth must buy nothing. */
#define VICTIM_TOO_DEEP 0xffffffffu

/* What is known of a name so far, in one word. */
#define NAME_PREFIX 0x7u /* how much of "pod" stands here: PREFIX_* */
#define NAME_UID 0xff00u /* characters of a uid behind it */
#define NAME_UID_ONE 0x100u
#define NAME_HEX 0xff0000u /* digits in a row */
#define NAME_HEX_ONE 0x10000u
#define NAME_IS_POD 0x1000000u
#define NAME_IS_CONTAINER 0x2000000u

enum {
	PREFIX_INSIDE = 0, /* of a word */
	PREFIX_START = 1, /* of one */
	PREFIX_P = 2,
	PREFIX_PO = 3,
	PREFIX_POD = 4,
};

static __always_inline bool is_hex(u8 c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* One more character. A global function, because the verifier goes through these once. */
__noinline u32 name_step(u32 known, u32 character)
{
	u8 c = character;
	u32 prefix = known & NAME_PREFIX;

	if (!is_hex(c))
		known &= ~NAME_HEX;
	else if ((known & NAME_HEX) < CONTAINER_ID_LENGTH * NAME_HEX_ONE)
		known += NAME_HEX_ONE;
	if ((known & NAME_HEX) >= CONTAINER_ID_LENGTH * NAME_HEX_ONE)
		known |= NAME_IS_CONTAINER;

	if (prefix == PREFIX_POD && (is_hex(c) || c == '-' || c == '_')) {
		if ((known & NAME_UID) < POD_UID_LEAST * NAME_UID_ONE)
			known += NAME_UID_ONE;
		if ((known & NAME_UID) >= POD_UID_LEAST * NAME_UID_ONE)
			known |= NAME_IS_POD;
		return known;
	}
	known &= ~(NAME_UID | NAME_PREFIX);
	if (prefix == PREFIX_PO && c == 'd')
		return known | PREFIX_POD;
	if (prefix == PREFIX_P && c == 'o')
		return known | PREFIX_PO;
	if (prefix == PREFIX_START && c == 'p')
		return known | PREFIX_P;
	return known | (c == '-' ? PREFIX_START : PREFIX_INSIDE);
}

struct name_walk {
	const char *name;
	u64 tail; /* the last eight characters */
	u32 known; /* NAME_* */
	u32 length;
};

static long name_byte(u64 index, struct name_walk *walk)
{
	u8 c = 0;

	if (bpf_probe_read_kernel(&c, 1, walk->name + index) || !c)
		return 1;
	walk->known = name_step(walk->known, c);
	walk->tail = walk->tail << 8 | c;
	walk->length = index + 1;
	return 0;
}

/* Characters as in a tail. */
#define EIGHT(a, b, c, d, e, f, g, h)                                                       \
	((u64)(a) << 56 | (u64)(b) << 48 | (u64)(c) << 40 | (u64)(d) << 32 | (u64)(e) << 24 | \
	 (u64)(f) << 16 | (u64)(g) << 8 | (u64)(h))

enum place_class {
	PLACE_ORGANISES, /* holds others and is nobody's */
	PLACE_UNNAMED, /* says nothing of itself */
	PLACE_VICTIM,
};

/* What a cgroup's name says. `victim_of` in the detect crate says the same of a path. */
static __noinline u32 place_class(const char *name)
{
	struct name_walk walk = { .name = name, .known = PREFIX_START };
	char head[8] = {};
	u64 six;

	bpf_loop(PLACE_NAME, name_byte, &walk, 0);
	if (walk.known & NAME_IS_POD)
		return PLACE_VICTIM;
	bpf_probe_read_kernel_str(head, sizeof(head), name);
	six = walk.tail & 0xffffffffffffull;
	if (six == EIGHT(0, 0, '.', 's', 'l', 'i', 'c', 'e')) {
		bool is_user = head[0] == 'u' && head[1] == 's' && head[2] == 'e' &&
			       head[3] == 'r' && head[4] == '-' && head[5] >= '0' &&
			       head[5] <= '9';

		return is_user ? PLACE_VICTIM : PLACE_ORGANISES;
	}
	if (walk.known & NAME_IS_CONTAINER || six == EIGHT(0, 0, '.', 's', 'c', 'o', 'p', 'e') ||
	    walk.tail == EIGHT('.', 's', 'e', 'r', 'v', 'i', 'c', 'e'))
		return PLACE_VICTIM;
	/* The kubelet's classes, where it names cgroups itself. */
	if ((walk.length == 9 && head[0] == 'b' &&
	     walk.tail == EIGHT('u', 'r', 's', 't', 'a', 'b', 'l', 'e')) ||
	    (walk.length == 10 && head[0] == 'b' && head[1] == 'e' &&
	     walk.tail == EIGHT('s', 't', 'e', 'f', 'f', 'o', 'r', 't')))
		return PLACE_ORGANISES;
	return PLACE_UNNAMED;
}

struct place_walk {
	struct kernfs_node *node;
	u64 victim; /* the outermost place that is somebody's */
	u64 outer; /* the outermost that says nothing of itself, outside of that */
	u64 inner; /* the one inside of it */
	u32 is_complete;
};

static long place_level(u64 index, struct place_walk *walk)
{
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = parent_of(node);
	u32 class;
	u64 id;

	if (!parent) {
		walk->is_complete = 1;
		return 1;
	}
	class = place_class(BPF_CORE_READ(node, name));
	id = BPF_CORE_READ(node, id);
	if (class == PLACE_VICTIM) {
		walk->victim = id;
		walk->inner = walk->outer = 0;
	} else if (class == PLACE_UNNAMED) {
		walk->inner = walk->outer;
		walk->outer = id;
	}
	walk->node = parent;
	return 0;
}

/*
 * The victim that what happens to a process of this cgroup happens to. Places are gone through from
 * the outside, where nobody but the machine's own programs names them; names inside of a place that
 * is somebody's count for nothing, since that somebody may choose them.
 */
__noinline u64 victim_of(u64 cgroup)
{
	struct place_walk walk = { .node = (struct kernfs_node *)cgroup };

	bpf_loop(PLACE_LEVELS, place_level, &walk, 0);
	if (!walk.is_complete)
		return VICTIM_TOO_DEEP;
	if (walk.inner)
		return walk.inner;
	if (walk.victim)
		return walk.victim;
	return walk.outer ? walk.outer : BPF_CORE_READ((struct kernfs_node *)cgroup, id);
}

static __always_inline u64 victim_of_task(struct task_struct *task)
{
	u64 mark;
	struct kernfs_node *node = cgroup_of(task, &mark);

	return victim_of((u64)node) | mark;
}

/* ---- whether a rule may have one more --------------------------------------------------- */

/* Written out, since the compiler gives this instruction only together with many others. */
static __always_inline u64 compare_and_swap(u64 *at, u64 old, u64 fresh)
{
	u64 seen;

	asm volatile("r0 = %[old];"
		     "r1 = %[at];"
		     "r2 = %[fresh];"
		     ".8byte 0xf1000021db;" /* r0 = cmpxchg_64(r1 + 0, r0, r2) */
		     "%[seen] = r0;"
		     : [seen] "=r"(seen)
		     : [old] "r"(old), [at] "r"(at), [fresh] "r"(fresh)
		     : "r0", "r1", "r2", "memory");
	return seen;
}

/*
 * Asks a rule's ceiling about a victim; `rule` is kind << 32 | number. A global function, because
 * the verifier goes through these once and by themselves. Returns CEILING_*.
 */
__noinline int ceiling_ask(u64 generation, u64 rule, u64 victim, u32 how)
{
	u32 zero = 0, most, now = bpf_ktime_get_ns() / 1000000000ull + 1;
	struct ceiling_limits *limits = bpf_map_lookup_elem(&ceiling_limits, &zero);
	struct ceiling_key key = {
		.generation = generation,
		.kind = rule >> 32,
		.rule = (u32)rule,
	};
	u64 mine = (u64)(u32)(victim ^ victim >> 32) << 32;
	struct ceiling *entry;

	if (!limits || !limits->window_secs)
		return CEILING_COUNTED;
	entry = bpf_map_lookup_elem(&ceilings, &key);
	if (!entry) {
		struct ceiling *empty = bpf_map_lookup_elem(&ceiling_empty, &zero);

		if (how == CEILING_LOOK || how == CEILING_RELEASE || !empty)
			return CEILING_COUNTED;
		bpf_map_update_elem(&ceilings, &key, empty, BPF_NOEXIST);
		entry = bpf_map_lookup_elem(&ceilings, &key);
		if (!entry) {
			/* More rules than there is room for share one ceiling. */
			key.generation = 0;
			key.kind = CEILING_OTHERS;
			key.rule = 0;
			entry = bpf_map_lookup_elem(&ceilings, &key);
		}
		if (!entry)
			return CEILING_COUNTED;
	}
	most = key.kind == CEILING_NODE ? limits->node_most : limits->rule_most;
	if (entry->most)
		most = entry->most;
	if (!most || most == CEILING_NONE)
		return CEILING_COUNTED;

	for (u32 i = 0; i < CEILING_SLOTS && i < most; i++) {
		u64 word = *(volatile u64 *)&entry->slots[i];

		if (!word || word >> 32 != mine >> 32 || now - (u32)word >= limits->window_secs)
			continue;
		/* Whoever is faster has written the same, or a later second. */
		if (how == CEILING_RELEASE)
			compare_and_swap(&entry->slots[i], word, 0);
		else if ((u32)word != now && how != CEILING_LOOK)
			compare_and_swap(&entry->slots[i], word, mine | now);
		return CEILING_COUNTED;
	}
	if (how == CEILING_RELEASE)
		return CEILING_COUNTED;
	for (u32 i = 0; i < CEILING_SLOTS && i < most; i++) {
		u64 word = *(volatile u64 *)&entry->slots[i];

		if (word && now - (u32)word < limits->window_secs) {
			/* Another processor counted this victim since it was looked for. */
			if (word >> 32 == mine >> 32)
				return CEILING_COUNTED;
			continue;
		}
		if (how != CEILING_CLAIM)
			return CEILING_COUNTED;
		u64 seen = compare_and_swap(&entry->slots[i], word, mine | now);

		if (seen == word) {
			entry->refusing = 0;
			return CEILING_CLAIMED;
		}
		if (seen >> 32 == mine >> 32)
			return CEILING_COUNTED;
	}
	if (how == CEILING_LOOK)
		return CEILING_OVER;
	__sync_fetch_and_add(&entry->refused, 1);
	return compare_and_swap(&entry->refusing, 0, now) ? CEILING_OVER : CEILING_TRIPS;
}

/* The rule behind a match: what cannot be read is a rule of its own. */
static __always_inline u64 ceiling_rule(u32 info)
{
	return info ? (u64)CEILING_STRING << 32 | (info & INFO_SET) :
		      (u64)CEILING_UNREADABLE << 32;
}

/*
 * Whether a rule and this node as a whole have room for a victim. The rule is asked first: one that
 * is over its ceiling must not use up the node's.
 */
static __always_inline int ceiling_of(u64 generation, u64 rule, u64 victim, u32 how)
{
	int answer = ceiling_ask(generation, rule, victim, how);

	if (answer == CEILING_OVER || answer == CEILING_TRIPS)
		return answer;
	return ceiling_ask(0, (u64)CEILING_NODE << 32, victim, how);
}

#endif

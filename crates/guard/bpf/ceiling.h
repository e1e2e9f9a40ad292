/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The circuit breaker: how many victims a rule may have on this node before it only observes.
 * Part of guard.bpf.c. Needs place.h.
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

struct name_walk {
	const char *name;
	u64 head; /* the first eight characters */
	u64 tail; /* the last eight */
	u32 length;
	u32 hex; /* digits in a row, so far */
	u32 prefix; /* how much of "pod" stands here */
	u32 uid; /* characters of a uid behind "pod" */
	u32 is_pod;
	u32 is_container;
};

static __always_inline bool is_hex(u8 c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static long name_byte(u64 index, struct name_walk *walk)
{
	u8 c = 0;

	if (bpf_probe_read_kernel(&c, 1, walk->name + index))
		c = 0;
	if (walk->prefix == 4) {
		walk->uid = is_hex(c) || c == '-' || c == '_' ? walk->uid + 1 : 0;
		if (walk->uid >= POD_UID_LEAST)
			walk->is_pod = 1;
	}
	walk->hex = is_hex(c) ? walk->hex + 1 : 0;
	if (walk->hex >= CONTAINER_ID_LENGTH)
		walk->is_container = 1;
	if (!c)
		return 1;
	/* 0: inside a word, 1: at the start of one, 2: behind 'p', 3: behind "po", 4: behind "pod". */
	if (walk->prefix != 4 || !walk->uid) {
		u32 at = index ? walk->prefix : 1;

		if (at == 3 && c == 'd')
			walk->prefix = 4;
		else if (at == 2 && c == 'o')
			walk->prefix = 3;
		else if (at == 1 && c == 'p')
			walk->prefix = 2;
		else
			walk->prefix = c == '-';
		if (walk->prefix == 4)
			walk->uid = 0;
	}
	if (index < 8)
		walk->head |= (u64)c << (8 * (7 - index));
	walk->tail = walk->tail << 8 | c;
	walk->length = index + 1;
	return 0;
}

/* Characters as in head and tail. */
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
	struct name_walk walk = { .name = name };
	u64 six, digit;

	bpf_loop(PLACE_NAME, name_byte, &walk, 0);
	if (walk.is_pod)
		return PLACE_VICTIM;
	six = walk.tail & 0xffffffffffffull;
	digit = walk.head >> 16 & 0xff;
	if (six == EIGHT(0, 0, '.', 's', 'l', 'i', 'c', 'e')) {
		bool is_user = walk.head >> 24 == EIGHT(0, 0, 0, 'u', 's', 'e', 'r', '-') &&
			       digit >= '0' && digit <= '9';

		return is_user ? PLACE_VICTIM : PLACE_ORGANISES;
	}
	if (walk.is_container || six == EIGHT(0, 0, '.', 's', 'c', 'o', 'p', 'e') ||
	    walk.tail == EIGHT('.', 's', 'e', 'r', 'v', 'i', 'c', 'e'))
		return PLACE_VICTIM;
	/* The kubelet's classes, where it names cgroups itself. */
	if ((walk.length == 9 && walk.head == EIGHT('b', 'u', 'r', 's', 't', 'a', 'b', 'l')) ||
	    (walk.length == 10 && walk.head == EIGHT('b', 'e', 's', 't', 'e', 'f', 'f', 'o')))
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

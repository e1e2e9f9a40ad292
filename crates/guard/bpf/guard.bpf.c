// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The exec guard's kernel half.
 *
 * `on_exec` runs when a new program is in place and has not run an instruction. It walks the
 * arguments, the program's path and, where a rule says so, the environment through a packed
 * automaton (tables are built by the `detect` crate), and on a match sends SIGKILL or SIGSTOP to
 * the process itself: the signal is taken on the way out to user space, so nothing of the program
 * runs. No verdict waits for user space. What user space cannot do any more once a process is
 * dead, namely tell who it was, is captured here.
 *
 * Uses BTF-typed tracepoints and a task iterator only: no kprobes, fentry or LSM programs, which
 * locked-down kernels refuse.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define CHUNK 4096
#define BLOCK 8
/* Six MiB is the kernel's own limit (fs/exec.c: three quarters of _STK_LIM) and some to spare. */
#define MAX_CHUNKS 2048

/* Set by tests only, before loading: reading the arguments of this process's children "fails". */
const volatile u32 fault_children_of = 0;

extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type,
				u64 value) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

struct table_page {
	u64 slots[TABLE_PAGE_SLOTS];
};

/* The shape of a table; the agent makes its own with as many pages as it needs. */
struct table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct table_page);
} table_shape SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct table);
} tables SEC(".maps");

#define ONE(name_, type_)                          \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(max_entries, 1);            \
		__type(key, u32);                  \
		__type(value, type_);              \
	} name_ SEC(".maps")

ONE(settings, struct guard_settings);
ONE(agent, struct guard_agent);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOLDS_MAX);
	__type(key, u32);
	__type(value, struct hold);
} holds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct exe_key);
	__type(value, u32);
} protected_executables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u32);
} cgroups SEC(".maps");

/* Protected cgroups are few and must never be evicted, so they have a map of their own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} protected_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u64);
} suppressed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct event_budget);
} event_budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNT_MAX);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LATENCY_BUCKETS);
	__type(key, u32);
	__type(value, u64);
} latencies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct chunk {
	u8 bytes[CHUNK + BLOCK];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct chunk);
} chunks SEC(".maps");

struct event_buffer {
	struct guard_event event;
	char text[EVENT_TEXT_SPACE];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct event_buffer);
} event_buffers SEC(".maps");

static __always_inline void count(u32 counter, u64 by)
{
	u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		*value += by;
}

/* ---- the automaton ---------------------------------------------------------------------- */

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

/* ---- where a process belongs ------------------------------------------------------------ */

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
	struct kernfs_node___rcu *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

/*
 * The unified hierarchy's cgroup, or where that is only its root (version 1 and hybrid machines)
 * the memory or pids controller's.
 */
static __always_inline struct kernfs_node *cgroup_of(struct task_struct *task, u64 *mark)
{
	struct css_set *set = task->cgroups;
	struct cgroup *cgroup = set->dfl_cgrp;
	struct cgroup_subsys_state *state = NULL;

	*mark = 0;
	if (BPF_CORE_READ(cgroup, level) > 0)
		return BPF_CORE_READ(cgroup, kn);
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		u32 id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

		bpf_core_read(&state, sizeof(state), &set->subsys[id]);
	} else if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		u32 id = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);

		bpf_core_read(&state, sizeof(state), &set->subsys[id]);
	}
	if (state) {
		struct cgroup *old = BPF_CORE_READ(state, cgroup);

		if (old && BPF_CORE_READ(old, level) > 0) {
			*mark = CGROUP_KEY_V1;
			return BPF_CORE_READ(old, kn);
		}
	}
	return BPF_CORE_READ(cgroup, kn);
}

static __always_inline u64 cgroup_key(struct task_struct *task)
{
	u64 mark;
	struct kernfs_node *node = cgroup_of(task, &mark);

	return BPF_CORE_READ(node, id) | mark;
}

/* What is known of the process's cgroup or of one that holds it. */
static __noinline u32 cgroup_flags(struct task_struct *task)
{
	u64 mark;
	struct kernfs_node *node = cgroup_of(task, &mark);
	u32 flags = 0;

	for (int i = 0; i < CGROUP_ANCESTORS && node; i++) {
		u64 key = BPF_CORE_READ(node, id) | mark;
		u32 *known = bpf_map_lookup_elem(&cgroups, &key);

		if (known)
			flags |= *known;
		known = bpf_map_lookup_elem(&protected_cgroups, &key);
		if (known)
			flags |= CGROUP_PROTECTED;
		node = parent_of(node);
	}
	return flags;
}

static __always_inline bool executable_is_protected(struct linux_binprm *bprm)
{
	struct inode *inode = bprm->file->f_inode;
	struct exe_key key = {
		.inode = inode->i_ino,
		.device = inode->i_sb->s_dev,
	};

	return bpf_map_lookup_elem(&protected_executables, &key) != NULL;
}

/* ---- events ----------------------------------------------------------------------------- */

/* Takes one event from the cgroup's budget; says how many were left out so far. */
static __always_inline bool within_budget(struct guard_settings *cfg, u64 key, u64 now, u64 *dropped)
{
	struct event_budget *budget = bpf_map_lookup_elem(&event_budgets, &key);
	u64 ahead = cfg->event_interval_ns * cfg->event_burst;

	*dropped = 0;
	if (!budget) {
		struct event_budget fresh = { .paid_at_ns = now + cfg->event_interval_ns };

		bpf_map_update_elem(&event_budgets, &key, &fresh, BPF_ANY);
		return true;
	}
	*dropped = budget->rate_limited;
	if (budget->paid_at_ns > now + ahead) {
		__sync_fetch_and_add(&budget->rate_limited, 1);
		return false;
	}
	budget->paid_at_ns = (budget->paid_at_ns > now ? budget->paid_at_ns : now) +
			     cfg->event_interval_ns;
	return true;
}

struct path_walk {
	struct event_buffer *out;
	struct dentry *dentry;
	struct mount *mount;
	struct kernfs_node *node;
	u32 at;
	u32 complete;
};

/* Appends a kernel string with its NUL. The caller sees an unmoved `at` when there is no room. */
static __always_inline u32 put_name(struct event_buffer *out, u32 at, const void *name)
{
	long length;

	if (at > EVENT_TEXT_SPACE - EVENT_NAME)
		return at;
	length = bpf_probe_read_kernel_str(out->text + at, EVENT_NAME, name);
	return length > 0 ? at + length : at;
}

static long put_exe_part(u64 index, struct path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mount = walk->mount;
	u32 before = walk->at;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		struct mount *outer = BPF_CORE_READ(mount, mnt_parent);

		if (outer == mount) {
			walk->complete = 1;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = outer;
		return 0;
	}
	walk->at = put_name(walk->out, before, BPF_CORE_READ(dentry, d_name.name));
	if (walk->at == before)
		return 1;
	if (parent == dentry) {
		walk->complete = 1;
		return 1;
	}
	walk->dentry = parent;
	return 0;
}

static long put_cgroup_part(u64 index, struct path_walk *walk)
{
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = parent_of(node);
	u32 before = walk->at;

	if (!parent) {
		walk->complete = 1;
		return 1;
	}
	walk->at = put_name(walk->out, before, BPF_CORE_READ(node, name));
	if (walk->at == before)
		return 1;
	walk->node = parent;
	return 0;
}

/* Copies user memory; returns the length copied. */
static __always_inline u32 put_user(struct event_buffer *out, u32 at, u64 start, u64 end, u32 most)
{
	u64 length = end - start;

	if (start >= end || at > EVENT_TEXT_SPACE - EVENT_ARGUMENTS)
		return 0;
	if (length > most)
		length = most;
	if (length > EVENT_ARGUMENTS)
		length = EVENT_ARGUMENTS;
	if (bpf_probe_read_user(out->text + at, length, (void *)start))
		return 0;
	return length;
}

static long put_ancestor(u64 index, struct path_walk *walk)
{
	struct task_struct *task = (void *)walk->dentry;
	struct event_ancestor *slot;

	if (index >= EVENT_ANCESTORS)
		return 1;
	slot = &walk->out->event.ancestors[index];
	slot->pid = BPF_CORE_READ(task, tgid);
	bpf_core_read_str(slot->comm, sizeof(slot->comm), &task->comm);
	if (slot->pid <= 1)
		return 1;
	walk->dentry = (void *)BPF_CORE_READ(task, real_parent);
	return 0;
}

struct occurrence {
	u64 began_ns;
	u64 signalled_ns;
	u64 generation;
	u32 kind;
	u32 reason;
	u32 region;
	u32 info;
	s32 signal_error;
	u32 reserved;
};

static __always_inline void clear_event(struct guard_event *event, struct occurrence *what,
					struct task_struct *task, u64 key)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = what->began_ns;
	event->latency_ns = what->signalled_ns - what->began_ns;
	event->generation = what->generation;
	event->kind = what->kind;
	event->reason = what->reason;
	event->region = what->region;
	event->info = what->info;
	event->signal_error = what->signal_error;
	event->cgroup = key;
	event->pid = BPF_CORE_READ(task, tgid);
	event->parent = BPF_CORE_READ(task, real_parent, tgid);
	event->uid = BPF_CORE_READ(task, cred, uid.val);
	event->start_boottime_ns = BPF_CORE_READ(task, start_boottime);
	bpf_core_read_str(event->comm, sizeof(event->comm), &task->comm);
}

/* Tells user space. A full buffer or an empty budget costs this line, never a verdict. */
static __noinline int report(struct task_struct *task, struct linux_binprm *bprm,
			     struct occurrence *what)
{
	u32 zero = 0;
	struct event_buffer *out = bpf_map_lookup_elem(&event_buffers, &zero);
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	struct mm_struct *mm = task->mm;
	struct path_walk walk = {};
	u64 mark, key, dropped;
	u32 at = 0, length;

	if (!out || !cfg || !mm)
		return 0;
	key = cgroup_key(task);
	if (!within_budget(cfg, key, what->began_ns, &dropped)) {
		count(COUNT_EVENTS_RATE_LIMITED, 1);
		return 0;
	}
	clear_event(&out->event, what, task, key);
	out->event.rate_limited = dropped;
	out->event.arguments_len = mm->arg_end - mm->arg_start;

	at = put_user(out, 0, mm->arg_start, mm->arg_end, cfg->capture_arguments);
	out->event.text_arguments = at;
	if (at < out->event.arguments_len)
		out->event.truncated |= 1;

	if (at <= EVENT_TEXT_SPACE - EVENT_PATH) {
		long given = bpf_probe_read_kernel_str(out->text + at, EVENT_PATH, bprm->filename);

		if (given > 0) {
			out->event.text_path = given;
			at += given;
			if (given == EVENT_PATH)
				out->event.truncated |= 2;
		}
	}

	walk.out = out;
	walk.at = at;
	walk.dentry = BPF_CORE_READ(bprm, file, f_path.dentry);
	walk.mount = (void *)BPF_CORE_READ(bprm, file, f_path.mnt) -
		     bpf_core_field_offset(struct mount, mnt);
	bpf_loop(EVENT_EXE_PARTS, put_exe_part, &walk, 0);
	out->event.text_exe = walk.at - at;
	if (!walk.complete)
		out->event.truncated |= 4;
	at = walk.at;

	walk.complete = 0;
	walk.node = cgroup_of(task, &mark);
	bpf_loop(EVENT_CGROUP_PARTS, put_cgroup_part, &walk, 0);
	out->event.text_cgroup = walk.at - at;
	if (!walk.complete)
		out->event.truncated |= 8;
	at = walk.at;

	if (cfg->capture_environment) {
		length = put_user(out, at, mm->env_start, mm->env_end, EVENT_ENVIRONMENT);
		out->event.text_environment = length;
		if (length < mm->env_end - mm->env_start)
			out->event.truncated |= 16;
		at += length;
	}

	walk.dentry = (void *)BPF_CORE_READ(task, real_parent);
	bpf_loop(EVENT_ANCESTORS, put_ancestor, &walk, 0);

	if (out->event.truncated)
		count(COUNT_TEXT_TRUNCATED, 1);
	if (at > EVENT_TEXT_SPACE)
		at = EVENT_TEXT_SPACE;
	if (bpf_ringbuf_output(&events, out, sizeof(out->event) + at, 0))
		count(COUNT_EVENTS_LOST_FULL, 1);
	return 0;
}

/* The short form, for moments that have no new program to describe. */
static __always_inline void report_hold(struct task_struct *task, struct hold *hold, u32 kind,
					u64 now)
{
	struct guard_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	struct occurrence what = {
		.began_ns = now,
		.signalled_ns = now,
		.kind = kind,
		.reason = hold->reason,
	};

	if (!event) {
		count(COUNT_EVENTS_LOST_FULL, 1);
		return;
	}
	clear_event(event, &what, task, hold->cgroup);
	event->held_ns = now - hold->since_ns;
	bpf_ringbuf_submit(event, 0);
}

static __always_inline void observe_latency(u64 ns)
{
	u32 bucket = 0;
	u64 *value;

#pragma unroll
	for (u32 step = 32; step; step /= 2)
		if (ns >> (bucket + step))
			bucket += step;
	if (bucket >= LATENCY_BUCKETS)
		bucket = LATENCY_BUCKETS - 1;
	value = bpf_map_lookup_elem(&latencies, &bucket);
	if (value)
		*value += 1;
}

/* ---- holds ------------------------------------------------------------------------------ */

/* The deadline came and no agent decided: the configured verdict, here in the kernel. */
static int hold_expired(void *map, u32 *pid, struct hold *hold)
{
	struct task_struct *task;

	if (!bpf_ksym_exists(bpf_send_signal_task) || !bpf_ksym_exists(bpf_task_from_pid) ||
	    !bpf_ksym_exists(bpf_task_release))
		return 0;
	task = bpf_task_from_pid(*pid);
	if (task) {
		if (task->start_boottime == hold->start_boottime_ns) {
			int signal = hold->verdict_spares ? SIGCONT : SIGKILL;

			report_hold(task, hold, EVENT_HOLD_EXPIRED, bpf_ktime_get_ns());
			count(COUNT_HOLDS_EXPIRED, 1);
			/* The entry goes first: a released process must not be taken for a runaway. */
			bpf_map_delete_elem(&holds, pid);
			bpf_send_signal_task(task, signal, PIDTYPE_TGID, 0);
			bpf_task_release(task);
			return 0;
		}
		bpf_task_release(task);
	}
	bpf_map_delete_elem(&holds, pid);
	return 0;
}

/*
 * Whether a held process that somebody continues is sure to be noticed. A tracer can withhold the
 * stop and have any page mapped. And a program whose writable, partly empty segment holds its first
 * instruction gets that page mapped by exec itself; an ordinary program does not.
 */
static __always_inline bool can_be_held(struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	u64 entry = 0;
	u8 byte;

	if (task->ptrace)
		return false;
	if (bpf_core_field_exists(regs->ip))
		entry = BPF_CORE_READ(regs, ip);
	else if (bpf_core_field_exists(regs->pc))
		entry = BPF_CORE_READ(regs, pc);
	/* This read takes no fault: it fails where the page is not there yet. */
	return bpf_probe_read_user(&byte, sizeof(byte), (void *)entry) != 0;
}

/* Stops the process before its first instruction. Returns why not, or 0. */
static __always_inline u32 hold(struct task_struct *task, struct guard_settings *cfg, u32 reason,
				u64 now, s32 *error)
{
	u32 zero = 0, pid = task->tgid;
	struct guard_agent *alive = bpf_map_lookup_elem(&agent, &zero);
	struct hold fresh = {
		.start_boottime_ns = task->start_boottime,
		.since_ns = now,
		.reason = reason,
		.verdict_spares = cfg->hold_verdict_spares,
	};
	struct hold *entry;

	if (!can_be_held(task))
		return REASON_UNHOLDABLE;
	if (!alive || alive->alive_until_ns < now)
		return REASON_AGENT_AWAY;
	fresh.cgroup = cgroup_key(task);
	/* A leftover of an earlier process with this pid has a timer of its own: start afresh. */
	bpf_map_delete_elem(&holds, &pid);
	if (bpf_map_update_elem(&holds, &pid, &fresh, BPF_ANY))
		return REASON_HOLDS_FULL;
	*error = bpf_send_signal(SIGSTOP);
	if (*error) {
		bpf_map_delete_elem(&holds, &pid);
		return REASON_SIGNAL_FAILED;
	}
	entry = bpf_map_lookup_elem(&holds, &pid);
	if (entry && bpf_ksym_exists(bpf_send_signal_task)) {
		bpf_timer_init(&entry->timer, &holds, 1 /* CLOCK_MONOTONIC */);
		bpf_timer_set_callback(&entry->timer, hold_expired);
		bpf_timer_start(&entry->timer, cfg->hold_deadline_ns, 0);
	}
	return 0;
}

/*
 * A held process runs: somebody else continued it. Its first instruction of all faults, since the
 * new address space has no page of the program mapped yet, so this comes before it.
 */
SEC("tp_btf/page_fault_user")
int BPF_PROG(on_user_fault)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct hold *entry = bpf_map_lookup_elem(&holds, &pid);
	struct task_struct *task;

	if (!entry)
		return 0;
	task = bpf_get_current_task_btf();
	if (task->start_boottime != entry->start_boottime_ns || entry->decided == DECIDED_SPARE)
		return 0;
	bpf_send_signal(SIGKILL);
	report_hold(task, entry, EVENT_HOLD_BROKEN, bpf_ktime_get_ns());
	count(COUNT_HOLDS_BROKEN, 1);
	bpf_map_delete_elem(&holds, &pid);
	return 0;
}

/* ---- the verdict ------------------------------------------------------------------------ */

static __always_inline void suppress(struct guard_settings *cfg, u64 key, u64 now)
{
	u64 until = now + cfg->suppress_ns;

	bpf_map_update_elem(&suppressed, &key, &until, BPF_ANY);
}

/* Decides over a match and acts; fills in what was done. */
static __noinline int act(struct task_struct *task, struct linux_binprm *bprm,
			  struct occurrence *what)
{
	u32 zero = 0, flags, kind = EVENT_KILLED;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	void *table = bpf_map_lookup_elem(&tables, &zero);
	struct table_header *header;
	struct mm_struct *mm = task->mm;
	s32 error = 0;

	if (!cfg || !table || !mm)
		return 0;
	header = bpf_map_lookup_elem(table, &zero);
	if (!header)
		return 0;
	count(COUNT_MATCHED, 1);
	flags = cgroup_flags(task);

	if (task->tgid == 1) {
		kind = EVENT_SPARED;
		what->reason = REASON_PID_ONE;
	} else if (executable_is_protected(bprm)) {
		kind = EVENT_SPARED;
		what->reason = REASON_PROTECTED_EXECUTABLE;
	} else if (flags & CGROUP_PROTECTED) {
		kind = EVENT_SPARED;
		what->reason = REASON_PROTECTED_CGROUP;
	} else if (what->reason == REASON_UNREADABLE) {
		kind = EVENT_HELD;
	} else if (what->reason == REASON_MATCH) {
		u32 info = 0;
		u32 allowed = allowed_by_literal(table, mm, &info);

		if (allowed & INFO_ALLOWS) {
			kind = EVENT_SPARED;
			what->reason = REASON_ALLOWED;
			what->info = info;
		} else if (allowed & INFO_HOLDS || header->flags & TABLE_HOLDS_ALL_MATCHES) {
			kind = EVENT_HELD;
			what->reason = REASON_MAYBE_ALLOWED;
		} else if (cfg->hold_unknown_cgroups && !(flags & CGROUP_KNOWN)) {
			kind = EVENT_HELD;
			what->reason = REASON_UNKNOWN_CGROUP;
		}
	}

	if (cfg->mode == MODE_OBSERVE) {
		if (kind != EVENT_SPARED)
			kind = EVENT_WOULD_KILL;
	} else if (kind == EVENT_HELD) {
		u32 refused = hold(task, cfg, what->reason, what->began_ns, &error);

		if (refused) {
			what->reason = refused;
			/* Whoever starts a process can make it unholdable: that must gain nothing. */
			kind = cfg->hold_verdict_spares && refused != REASON_UNHOLDABLE ?
				       EVENT_SPARED :
				       EVENT_KILLED;
		}
	}
	if (kind == EVENT_KILLED) {
		error = bpf_send_signal(SIGKILL);
		if (error)
			kind = EVENT_MISSED;
		else if (cfg->response != RESPONSE_PROCESS && cfg->suppress_ns &&
			 what->reason != REASON_SUPPRESSED && flags & CGROUP_CONTAINER)
			suppress(cfg, cgroup_key(task), what->began_ns);
	}

	what->signalled_ns = bpf_ktime_get_ns();
	what->kind = kind;
	what->signal_error = error;
	if (kind == EVENT_KILLED) {
		count(COUNT_KILLED, 1);
		observe_latency(what->signalled_ns - what->began_ns);
	} else if (kind == EVENT_SPARED) {
		count(COUNT_SPARED, 1);
	} else if (kind == EVENT_HELD) {
		count(COUNT_HELD, 1);
	} else if (kind == EVENT_WOULD_KILL) {
		count(COUNT_WOULD_KILL, 1);
	} else {
		count(COUNT_MISSED, 1);
	}
	report(task, bprm, what);
	return 0;
}

static __always_inline bool is_suppressed(struct task_struct *task, u64 now)
{
	u64 key = cgroup_key(task);
	u64 *until = bpf_map_lookup_elem(&suppressed, &key);

	return until && now < *until;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, s32 old_pid, struct linux_binprm *bprm)
{
	struct occurrence what = { .began_ns = bpf_ktime_get_ns() };
	u32 zero = 0;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	void *table = bpf_map_lookup_elem(&tables, &zero);
	struct mm_struct *mm = task->mm;
	struct scan scan = {};

	count(COUNT_EXECS, 1);
	if (!cfg || !table || !mm)
		return 0;
	scan.table = table;
	scan.header = bpf_map_lookup_elem(table, &zero);
	scan.chunk = bpf_map_lookup_elem(&chunks, &zero);
	if (!scan.header || !scan.chunk)
		return 0;
	what.generation = scan.header->generation;

	scan.wanted = INFO_ARGUMENTS;
	scan_user(&scan, mm->arg_start, mm->arg_end);
	if (fault_children_of && task->real_parent->tgid == fault_children_of) {
		scan.hit = 0;
		scan.fault = 1;
	}
	if (!scan.hit) {
		scan_path(&scan, bprm);
		what.region = REGION_PATH;
	}
	if (!scan.hit && scan.header->flags & TABLE_SCANS_ENVIRONMENT) {
		scan.wanted = INFO_ENVIRONMENT;
		scan_user(&scan, mm->env_start, mm->env_end);
		what.region = REGION_ENVIRONMENT;
	}
	what.info = scan.hit;

	if (scan.hit) {
		act(task, bprm, &what);
	} else if (cfg->suppress_enabled && is_suppressed(task, what.began_ns)) {
		count(COUNT_SUPPRESSED, 1);
		what.reason = REASON_SUPPRESSED;
		act(task, bprm, &what);
	} else if (scan.fault) {
		count(COUNT_UNREADABLE, 1);
		what.reason = REASON_UNREADABLE;
		act(task, bprm, &what);
	}
	count(COUNT_HOOK_NS, bpf_ktime_get_ns() - what.began_ns);
	return 0;
}

/* ---- the sweep -------------------------------------------------------------------------- */

SEC("iter/task")
int list_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct swept_task line = {};

	if (!task || task->pid != task->tgid || task->flags & PF_KTHREAD || !task->mm)
		return 0;
	line.pid = task->tgid;
	line.parent = BPF_CORE_READ(task, real_parent, tgid);
	line.uid = BPF_CORE_READ(task, cred, uid.val);
	line.start_boottime_ns = task->start_boottime;
	line.cgroup = cgroup_key(task);
	bpf_core_read_str(line.comm, sizeof(line.comm), &task->comm);
	bpf_seq_write(ctx->meta->seq, &line, sizeof(line));
	return 0;
}

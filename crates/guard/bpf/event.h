/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Telling user space: what it can no longer find out once the process is dead.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_EVENT_H
#define DAVYLAMP_EVENT_H

#include "budget.h"

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
	event->victim = what->victim;
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
	bool quiet;
	u32 at = 0, length;

	if (!out || !cfg || !mm)
		return 0;
	key = cgroup_key(task);
	quiet = !within_budget(&event_budgets, cfg, key, what->began_ns, &dropped);
	if (quiet) {
		count(COUNT_EVENTS_RATE_LIMITED, 1);
		/*
		 * The agent still decides a hold, and ends what belongs to a killed process by
		 * policy. For that it needs no more than the cgroup.
		 */
		if (what->kind != EVENT_HELD &&
		    (what->kind != EVENT_KILLED || cfg->response == RESPONSE_PROCESS))
			return 0;
	}
	clear_event(&out->event, what, task, key);
	out->event.rate_limited = dropped;
	out->event.arguments_len = mm->arg_end - mm->arg_start;
	walk.out = out;
	if (quiet) {
		out->event.truncated |= EVENT_QUIET;
	} else {
		at = put_user(out, 0, mm->arg_start, mm->arg_end, cfg->capture_arguments);
		out->event.text_arguments = at;
		if (at < out->event.arguments_len)
			out->event.truncated |= 1;

		if (at <= EVENT_TEXT_SPACE - EVENT_PATH) {
			long given = bpf_probe_read_kernel_str(out->text + at, EVENT_PATH,
							       bprm->filename);

			if (given > 0) {
				out->event.text_path = given;
				at += given;
				if (given == EVENT_PATH)
					out->event.truncated |= 2;
			}
		}

		walk.at = at;
		walk.dentry = BPF_CORE_READ(bprm, file, f_path.dentry);
		walk.mount = (void *)BPF_CORE_READ(bprm, file, f_path.mnt) -
			     bpf_core_field_offset(struct mount, mnt);
		bpf_loop(EVENT_EXE_PARTS, put_exe_part, &walk, 0);
		out->event.text_exe = walk.at - at;
		if (!walk.complete)
			out->event.truncated |= 4;
		at = walk.at;
	}

	walk.complete = 0;
	walk.node = cgroup_of(task, &mark);
	bpf_loop(EVENT_CGROUP_PARTS, put_cgroup_part, &walk, 0);
	out->event.text_cgroup = walk.at - at;
	if (!walk.complete)
		out->event.truncated |= 8;
	at = walk.at;

	if (cfg->capture_environment && !quiet) {
		length = put_user(out, at, mm->env_start, mm->env_end, EVENT_ENVIRONMENT);
		out->event.text_environment = length;
		if (length < mm->env_end - mm->env_start)
			out->event.truncated |= 16;
		at += length;
	}

	walk.dentry = (void *)BPF_CORE_READ(task, real_parent);
	bpf_loop(EVENT_ANCESTORS, put_ancestor, &walk, 0);

	if (out->event.truncated & ~EVENT_QUIET)
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
		.victim = hold->victim,
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

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is done about a match.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_VERDICT_H
#define DAVYLAMP_VERDICT_H

static __always_inline void suppress(struct guard_settings *cfg, u64 key, u64 now)
{
	u64 until = now + cfg->suppress_ns;

	bpf_map_update_elem(&suppressed, &key, &until, BPF_ANY);
}

/*
 * Whether the rule that matched, or this node, has had as many victims as it may. Then nothing is
 * done, and only the first time since there was room is told by itself.
 */
static __always_inline bool is_over_ceiling(struct task_struct *task, struct occurrence *what,
					    u32 how, bool *is_told)
{
	int answer;

	/* A cgroup under suppression is a victim's already. */
	if (what->reason == REASON_SUPPRESSED)
		return false;
	what->victim = victim_of_task(task);
	if (what->reason == REASON_RULE || what->reason == REASON_KNOWN_BAD_FILE)
		answer = ceiling_of(0, (u64)CEILING_DETECTION << 32 | what->ceiling, what->victim,
				    how);
	else
		answer = ceiling_of(what->generation, ceiling_rule(what->info), what->victim, how);
	if (answer < CEILING_OVER)
		return false;
	*is_told = answer == CEILING_TRIPS;
	what->reason = REASON_CEILING;
	count(COUNT_CEILING_REFUSED, 1);
	return true;
}

/* Decides over a match and acts; fills in what was done. */
static __noinline int act(struct task_struct *task, struct linux_binprm *bprm,
			  struct occurrence *what)
{
	u32 zero = 0, flags, kind = EVENT_KILLED;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	void *table = bpf_map_lookup_elem(&tables, &zero);
	u64 *first;
	struct mm_struct *mm = task->mm;
	bool is_told = true;
	s32 error = 0;

	if (!cfg || !table || !mm)
		return 0;
	first = bpf_map_lookup_elem(table, &zero);
	if (!first)
		return 0;
	if (what->reason == REASON_MATCH || what->reason == REASON_RULE)
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
	} else if (what->reason == REASON_UNREADABLE || what->reason == REASON_MAYBE_RULE) {
		kind = EVENT_HELD;
	} else if (what->reason == REASON_MATCH || what->reason == REASON_RULE) {
		u32 info = 0;
		u32 allowed = allowed_by_literal(table, mm, &info);

		if (allowed & INFO_ALLOWS) {
			kind = EVENT_SPARED;
			what->reason = REASON_ALLOWED;
			what->info = info;
		} else if (allowed & INFO_HOLDS || header_of(first)->flags & TABLE_HOLDS_ALL_MATCHES) {
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
	} else if (kind == EVENT_HELD && what->reason != REASON_MAYBE_RULE &&
		   is_over_ceiling(task, what, CEILING_CHECK, &is_told)) {
		kind = EVENT_WOULD_KILL;
	} else if (kind == EVENT_HELD) {
		bool spares = cfg->hold_verdict_spares;
		u32 refused, reason = what->reason;

		/* A suspicion is no verdict; what a tool starts is judged at its own exec. */
		if (reason == REASON_MAYBE_RULE)
			spares = true;
		refused = hold(task, cfg, what, spares, &error);
		if (refused) {
			bool evades = refused == REASON_UNHOLDABLE;

			if (reason == REASON_MAYBE_RULE && what->is_tool)
				evades = false;
			what->reason = refused;
			/* Whoever starts a process can make it unholdable: that must gain nothing. */
			kind = spares && !evades ? EVENT_SPARED : EVENT_KILLED;
		}
	}
	if (kind == EVENT_KILLED && is_over_ceiling(task, what, CEILING_CLAIM, &is_told))
		kind = EVENT_WOULD_KILL;
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
	if (is_told)
		report(task, bprm, what);
	return 0;
}

static __always_inline bool is_suppressed(struct task_struct *task, u64 now)
{
	u64 key = cgroup_key(task);
	u64 *until = bpf_map_lookup_elem(&suppressed, &key);

	return until && now < *until;
}

#endif

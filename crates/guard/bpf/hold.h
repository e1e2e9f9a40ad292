/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stopping a process before its first instruction, until somebody decides or the deadline comes.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_HOLD_H
#define DAVYLAMP_HOLD_H

/* How soon a verdict is tried again that could not be carried out. */
#define HOLD_RETRY_NS 250000

/*
 * The deadline came and no agent decided: the configured verdict, here in the kernel. It refuses to
 * signal from a processor that is in no process at that moment (bpf_send_signal_common asks for
 * nmi_uaccess_okay), as an idle one is; then it is tried again until a process is interrupted.
 */
static int hold_expired(void *map, u32 *pid, struct hold *hold)
{
	struct task_struct *task;
	bool is_over = true;
	int signal;

	if (!bpf_ksym_exists(bpf_send_signal_task) || !bpf_ksym_exists(bpf_task_from_pid) ||
	    !bpf_ksym_exists(bpf_task_release))
		return 0;
	task = bpf_task_from_pid(*pid);
	if (task) {
		if (task->start_boottime == hold->start_boottime_ns) {
			if (!hold->verdict_spares &&
			    ceiling_of(hold->generation, ceiling_rule(hold->info), hold->victim,
				       CEILING_CLAIM) >= CEILING_OVER) {
				hold->verdict_spares = 1;
				hold->reason = REASON_CEILING;
			}
			signal = hold->verdict_spares ? SIGCONT : SIGKILL;
			/* Said first: a released process must not be taken for a runaway. */
			hold->decided = hold->verdict_spares ? DECIDED_SPARE : DECIDED_KILL;
			is_over = !bpf_send_signal_task(task, signal, PIDTYPE_TGID, 0);
			if (is_over) {
				report_hold(task, hold, EVENT_HOLD_EXPIRED, bpf_ktime_get_ns());
				count(COUNT_HOLDS_EXPIRED, 1);
			}
		}
		bpf_task_release(task);
	}
	if (is_over)
		bpf_map_delete_elem(&holds, pid);
	else
		bpf_timer_start(&hold->timer, HOLD_RETRY_NS, 0);
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
static __always_inline u32 hold(struct task_struct *task, struct guard_settings *cfg,
				struct occurrence *what, bool spares, s32 *error)
{
	u32 zero = 0, pid = task->tgid;
	u64 now = what->began_ns;
	struct guard_agent *alive = bpf_map_lookup_elem(&agent, &zero);
	struct hold fresh = {
		.start_boottime_ns = task->start_boottime,
		.since_ns = now,
		.generation = what->generation,
		.victim = what->victim,
		.info = what->info,
		.reason = what->reason,
		.verdict_spares = spares,
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

#endif

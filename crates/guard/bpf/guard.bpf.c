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
#include "maps.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define CHUNK 4096
#define PATH_MOST 4096 /* PATH_MAX, the final NUL included */
#define PIECE 512 /* bytes walked in one call */
/* How often a search begins anew: because the table was swapped under it, or to know the victim. */
#define MOST_TRIES 4
#define TEXT_SEPARATOR 1 /* a byte that no string holds and that is a boundary */
/* Six MiB is the kernel's own limit (fs/exec.c: three quarters of _STK_LIM) and some to spare. */
#define MAX_CHUNKS 2048

/* Set by tests only, before loading: reading the arguments of this process's children "fails". */
const volatile u32 fault_children_of = 0;

extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type,
				u64 value) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

/* The first begins with the header. */
typedef u64 table_page[TABLE_PAGE_SLOTS];

/* The shape of a table; the agent makes its own with as many pages as it needs. */
struct table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, table_page);
} table_shape SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2); /* TABLE_LISTS, TABLE_RULES */
	__type(key, u32);
	__array(values, struct table);
} tables SEC(".maps");

ONE(agent, struct guard_agent);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HOLDS_MAX);
	__type(key, u32);
	__type(value, struct hold);
} holds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u64);
} suppressed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LATENCY_BUCKETS);
	__type(key, u32);
	__type(value, u64);
} latencies SEC(".maps");

/* A search under way. One for each processor: no exec interrupts another in here. */
struct scan {
	u64 address; /* of the next byte to read */
	u64 end;
	u64 generation; /* of the table that `state` belongs to */
	u32 state;
	u32 wanted; /* INFO_* that counts in this text */
	u32 hit; /* the info word that matched, 0 if none */
	u32 fault;
	u32 swapped; /* another table came into force meanwhile: all is to be walked again */
	u32 pools; /* bits of INFO_POOLS that were found */
	u32 rule_state;
	u64 rule_generation; /* 0 where no rules are in force */
	u64 counts, named, begun, flags; /* words found so far */
	u32 passed; /* the first match whose rule is over its ceiling, 0 if none */
	u32 wants_victim; /* a match's rule is near its ceiling: whose process is it? */
	u64 victim; /* what the ceilings count this process as, 0 while that is not known */
	/* A piece of the arguments, and behind the last one the path and the file's name. */
	u8 bytes[CHUNK + PATH_MOST + EVENT_NAME + PIECE];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scan);
} scans SEC(".maps");

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

/* What happened at an exec. */
struct occurrence {
	u64 began_ns;
	u64 signalled_ns;
	u64 generation;
	u64 victim;
	u32 kind;
	u32 reason;
	u32 region;
	u32 info;
	s32 signal_error;
	u32 noted; /* the score of detections that does not suffice */
	u32 is_tool; /* it is one of the programs that start, read or name things */
	u32 ceiling; /* what the ceiling of the detection is known by */
	u32 reserved;
};

#include "place.h"
#include "ceiling.h"
#include "automaton.h"
#include "rules.h"
#include "scan.h"
#include "event.h"
#include "hold.h"
#include "verdict.h"
#include "file.h"

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

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, s32 old_pid, struct linux_binprm *bprm)
{
	struct occurrence what = { .began_ns = bpf_ktime_get_ns() };
	u32 zero = 0;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	struct mm_struct *mm = task->mm;
	struct scan *scan = bpf_map_lookup_elem(&scans, &zero);

	count(COUNT_EXECS, 1);
	if (!cfg || !scan || !mm)
		return 0;
	if (!scan_all(scan, mm, bprm, &what))
		return 0;
	if (fault_children_of && task->real_parent->tgid == fault_children_of) {
		scan->hit = 0;
		scan->fault = 1;
	}
	what.info = scan->hit;
	if (!scan->hit && scan->rule_generation)
		what.reason = rules_say(scan, &what);
	if (what.reason == REASON_MAYBE_RULE && what.is_tool && is_at_terminal(task)) {
		/*
		 * Somebody may look for a miner there, and a shell would take the hold for a stopped
		 * job. What the tool starts is judged at its own exec, and the tool itself meanwhile.
		 */
		what.reason = 0;
		what.noted = SCORE_FULL;
	}
	/* Nothing else matches but rules over their ceilings: what would happen is told. */
	if (!scan->hit && !what.reason) {
		scan->hit = scan->passed;
		what.info = scan->hit;
	}

	if (scan->hit || what.reason) {
		act(task, bprm, &what);
	} else if (cfg->suppress_enabled && is_suppressed(task, what.began_ns)) {
		count(COUNT_SUPPRESSED, 1);
		what.reason = REASON_SUPPRESSED;
		act(task, bprm, &what);
	} else if (scan->fault) {
		count(COUNT_UNREADABLE, 1);
		what.reason = REASON_UNREADABLE;
		act(task, bprm, &what);
	} else {
		if (what.noted) {
			struct occurrence told = what;

			count(COUNT_NOTED, 1);
			told.kind = EVENT_NOTED;
			told.reason = REASON_MAYBE_RULE;
			told.signalled_ns = bpf_ktime_get_ns();
			report(task, bprm, &told);
		}
		judge_file(task, bprm, &what);
	}
	count(COUNT_HOOK_NS, bpf_ktime_get_ns() - what.began_ns);
	return 0;
}

/* The agent's way to the ceilings, so that what it kills counts among what the kernel kills. */
SEC("syscall")
int ask_ceiling(struct ceiling_call *call)
{
	if (call->how == CEILING_RELEASE) {
		ceiling_ask(call->generation, call->rule, call->victim, CEILING_RELEASE);
		ceiling_ask(0, (u64)CEILING_NODE << 32, call->victim, CEILING_RELEASE);
		call->answer = CEILING_COUNTED;
	} else {
		call->answer = ceiling_of(call->generation, call->rule, call->victim, call->how);
	}
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

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a process does as it runs: the rounding mode in which its threads compute.
 *
 * `on_fpu_saved` runs where the kernel has saved the registers of a thread that is switched out.
 * RandomX changes the rounding mode all the time, so that nearly every such moment shows a directed
 * mode; hardly any other program does that for long. The counts are kept for each thread and halve
 * with time; user space judges them.
 *
 * It runs at each context switch of each thread that uses the unit, so a thread that rounds to the
 * nearest and was never seen otherwise costs a few loads and no call. Nothing here reads user memory:
 * the address space of the next thread is in place already.
 *
 * x86_64 only: other machines have no such tracepoint.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"
#include "maps.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* arch/x86/include/asm/fpu/types.h; the state lay within `struct fpu` before Linux 5.16. */
struct fxregs_state {
	u32 mxcsr;
} MAY_MOVE;

union fpregs_state {
	struct fxregs_state fxsave;
} MAY_MOVE;

struct fpstate {
	union fpregs_state regs;
} MAY_MOVE;

struct fpu {
	struct fpstate *fpstate;
} MAY_MOVE;

struct fpu___within {
	union fpregs_state state;
} MAY_MOVE;

/* The rounding control of MXCSR (Intel SDM, volume 1, section 10.2.3). */
#define MXCSR_ROUNDING_SHIFT 13
#define MXCSR_ROUNDING_MASK 3

/* Which of the counters of the first step. */
#define ROUNDS_TO_NEAREST 0

/* A thread, which a later one with its number is not. */
struct thread_key {
	u64 start_boottime_ns;
	u32 thread;
	u32 reserved;
};

struct rounding_counts {
	u64 first_ns; /* when it was first seen in a directed mode */
	u64 halved_ns; /* when the counts were last halved */
	u64 told_ns;
	u32 modes[4]; /* context switches by rounding mode: to the nearest, down, up, toward zero */
	u32 next_step; /* at how many in a directed mode user space is told next */
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ROUNDING_THREADS);
	__type(key, struct thread_key);
	__type(value, struct rounding_counts);
} rounding SEC(".maps");

/* Of its own: whoever has spent a cgroup's budget on other events must not hide behind that. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct event_budget);
} rounding_budgets SEC(".maps");

#include "budget.h"
#include "cgroup.h"

/*
 * Threads that may be in `rounding`, by the low bits of their numbers. What is marked here stays so: a
 * later thread with these bits costs a look-up that finds nothing.
 */
#define MARKS 65536
static u8 marks[MARKS];

static __always_inline u32 mxcsr_of(struct fpu *fpu)
{
	struct fpu___within *older = (void *)fpu;

	/* Plain loads: the tracepoint's argument is one that the kernel vouches for. */
	if (bpf_core_field_exists(fpu->fpstate))
		return fpu->fpstate->regs.fxsave.mxcsr;
	return BPF_CORE_READ(older, state.fxsave.mxcsr);
}

/* Counts that are seen seldom must not add up for ever, and those of a thread under a heavy load of
 * others must last: they halve every ROUNDING_HALF_LIFE_NS. */
static __always_inline void fade(struct rounding_counts *counts, u64 now)
{
	u64 halves = (now - counts->halved_ns) / ROUNDING_HALF_LIFE_NS;

	if (!halves)
		return;
	counts->halved_ns += halves * ROUNDING_HALF_LIFE_NS;
	if (halves > 31)
		halves = 31;
	for (int mode = 0; mode < 4; mode++)
		counts->modes[mode] >>= halves;
	if (!(counts->modes[1] | counts->modes[2] | counts->modes[3]))
		counts->first_ns = now;
}

static __noinline int tell(struct task_struct *task, struct rounding_counts *counts)
{
	u32 zero = 0;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	u64 now = bpf_ktime_get_ns(), key, dropped;
	struct guard_event *event;

	if (!cfg || !task || !counts)
		return 0;
	key = cgroup_key(task);
	if (!within_budget(&rounding_budgets, cfg, key, now, &dropped)) {
		count(COUNT_EVENTS_RATE_LIMITED, 1);
		return 0;
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_EVENTS_LOST_FULL, 1);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = now;
	event->kind = EVENT_ROUNDING;
	event->reason = REASON_ROUNDS;
	event->cgroup = key;
	/* See the comment at event_kind. */
	event->generation = (u64)counts->modes[1] << 32 | counts->modes[0];
	event->arguments_len = (u64)counts->modes[3] << 32 | counts->modes[2];
	event->held_ns = now - counts->first_ns;
	event->pid = BPF_CORE_READ(task, tgid);
	event->parent = BPF_CORE_READ(task, real_parent, tgid);
	event->uid = BPF_CORE_READ(task, cred, uid.val);
	/* The process's, not the thread's: by it the process is found. */
	event->start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	bpf_core_read_str(event->comm, sizeof(event->comm), &task->comm);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("tp_btf/x86_fpu_regs_deactivated")
int BPF_PROG(on_fpu_saved, struct fpu *fpu)
{
	u32 mode = mxcsr_of(fpu) >> MXCSR_ROUNDING_SHIFT & MXCSR_ROUNDING_MASK;
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_key key = {};
	struct rounding_counts *counts;
	u32 directed, mark = task->pid & (MARKS - 1);
	u64 now;

	if (mode == ROUNDS_TO_NEAREST && !marks[mark])
		return 0;
	key.start_boottime_ns = task->start_boottime;
	key.thread = task->pid;
	counts = bpf_map_lookup_elem(&rounding, &key);
	if (!counts) {
		struct rounding_counts fresh = { .next_step = ROUNDING_FIRST_STEP };

		/* A kernel thread that borrowed the unit left nothing of its own there. */
		if (mode == ROUNDS_TO_NEAREST || task->flags & PF_KTHREAD)
			return 0;
		fresh.first_ns = fresh.halved_ns = fresh.told_ns = bpf_ktime_get_ns();
		fresh.modes[mode] = 1;
		bpf_map_update_elem(&rounding, &key, &fresh, BPF_NOEXIST);
		marks[mark] = 1;
		return 0;
	}
	counts->modes[mode] += 1;
	if (mode == ROUNDS_TO_NEAREST)
		return 0;
	now = bpf_ktime_get_ns();
	fade(counts, now);
	directed = counts->modes[1] + counts->modes[2] + counts->modes[3];
	if (directed >= counts->next_step) {
		counts->next_step = directed < 1u << 30 ? directed * 2 : ~0u;
	} else if (directed < ROUNDING_FIRST_STEP || now - counts->told_ns < ROUNDING_HALF_LIFE_NS) {
		return 0;
	}
	counts->told_ns = now;
	tell(task, counts);
	return 0;
}

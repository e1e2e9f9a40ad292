/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many events a cgroup may still have.
 */
#ifndef DAVYLAMP_BUDGET_H
#define DAVYLAMP_BUDGET_H

/* Takes one event from the cgroup's budget; says how many were left out so far. */
static __always_inline bool within_budget(void *budgets, struct guard_settings *cfg, u64 key, u64 now,
					  u64 *dropped)
{
	struct event_budget *budget = bpf_map_lookup_elem(budgets, &key);
	u64 ahead = cfg->event_interval_ns * cfg->event_burst;

	*dropped = 0;
	if (!budget) {
		struct event_budget fresh = { .paid_at_ns = now + cfg->event_interval_ns };

		bpf_map_update_elem(budgets, &key, &fresh, BPF_ANY);
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

#endif

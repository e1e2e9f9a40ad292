/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which cgroup a process is in. Uses no map.
 */
#ifndef DAVYLAMP_CGROUP_H
#define DAVYLAMP_CGROUP_H

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

#endif

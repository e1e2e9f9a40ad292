/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a process belongs, and whether its executable is protected.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_PLACE_H
#define DAVYLAMP_PLACE_H

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

		/* That an outer cgroup is known says nothing of where this one belongs. */
		if (known)
			flags |= i ? *known & ~CGROUP_KNOWN : *known;
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

#endif

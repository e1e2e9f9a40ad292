/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a process belongs, and whether its executable is protected.
 * Part of guard.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_PLACE_H
#define DAVYLAMP_PLACE_H

#include "cgroup.h"

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

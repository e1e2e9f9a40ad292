/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel types the guard reads, each with only the members it names. Offsets are filled in
 * at load time from the running kernel's own BTF (CO-RE), so no kernel headers are needed on a node
 * and no 130,000-line dump is kept here.
 */
#ifndef DAVYLAMP_KERNEL_TYPES_H
#define DAVYLAMP_KERNEL_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

#define MAY_MOVE __attribute__((preserve_access_index))

struct qstr {
	u32 len;
	const unsigned char *name;
} MAY_MOVE;

struct inode;
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
} MAY_MOVE;

struct super_block {
	u32 s_dev;
} MAY_MOVE;

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
} MAY_MOVE;

struct vfsmount {
	struct dentry *mnt_root;
} MAY_MOVE;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
} MAY_MOVE;

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} MAY_MOVE;

struct file {
	struct path f_path;
	struct inode *f_inode;
} MAY_MOVE;

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
} MAY_MOVE;

struct kernfs_node {
	struct kernfs_node *parent; /* before Linux 6.15 */
	const char *name;
	u64 id;
} MAY_MOVE;

struct kernfs_node___rcu {
	struct kernfs_node *__parent; /* since Linux 6.15 */
} MAY_MOVE;

struct cgroup {
	struct kernfs_node *kn;
	int level;
} MAY_MOVE;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
} MAY_MOVE;

enum cgroup_subsys_id {
	memory_cgrp_id = 4,
	pids_cgrp_id = 11,
};

struct css_set {
	struct cgroup_subsys_state *subsys[14];
	struct cgroup *dfl_cgrp;
} MAY_MOVE;

typedef struct {
	u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
} MAY_MOVE;

struct task_struct {
	u32 flags;
	s32 pid;
	s32 tgid;
	u32 ptrace;
	u64 start_boottime;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	const struct cred *cred;
	struct css_set *cgroups;
	char comm[16];
} MAY_MOVE;

struct linux_binprm {
	struct file *file;
	const char *filename;
} MAY_MOVE;

struct pt_regs {
	unsigned long ip; /* x86 */
	unsigned long pc; /* arm64 */
} MAY_MOVE;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} MAY_MOVE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} MAY_MOVE;

/* include/linux/pid.h */
enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
};

/* include/linux/sched.h */
#define PF_KTHREAD 0x00200000

#define SIGKILL 9
#define SIGCONT 18
#define SIGSTOP 19

#endif

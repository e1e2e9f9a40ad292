/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a program's file, and which files are looked into before they run.
 * Part of guard.bpf.c, whose maps it uses.
 *
 * A file that was looked into costs one look-up. A file where the system has its programs, of root's
 * and closed to others, is trusted by its place; anything else that was not seen yet in its present
 * state is held until user space has looked into it. Where that cannot be, the program runs, and is
 * looked into meanwhile: to be away must not stop the work of the machine.
 */
#ifndef DAVYLAMP_FILE_H
#define DAVYLAMP_FILE_H

#define OVERLAYFS_MAGIC 0x794c7630
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6
#define FUSE_MAGIC 0x65735546
#define SUPER_READ_ONLY 1u /* SB_RDONLY */
#define FOLDERS_MOST 40 /* how deep a trusted file may lie */
#define MODE_WRITABLE 0022u
#define CTIME_NSEC 0x7fffffffu /* without I_CTIME_QUERIED */

ONE(file_settings, struct file_settings);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FILE_VERDICTS_MAX);
	__type(key, struct file_key);
	__type(value, struct file_verdict);
} file_verdicts SEC(".maps");

/* The folders whose files are trusted. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct exe_key);
	__type(value, u32);
} file_roots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, UNSEEN_FILES_MAX);
	__type(key, u32);
	__type(value, struct unseen_file);
} unseen_files SEC(".maps");


struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
} MAY_MOVE;

struct inode___file {
	unsigned short i_mode;
	kuid_t i_uid;
	unsigned int i_nlink;
	long long i_size;
	unsigned long i_ino;
	struct super_block *i_sb;
} MAY_MOVE;

struct inode___fields { /* since Linux 6.11 */
	s64 i_ctime_sec;
	u32 i_ctime_nsec;
} MAY_MOVE;

struct inode___hidden { /* since Linux 6.6 */
	struct timespec64 __i_ctime;
} MAY_MOVE;

struct inode___plain {
	struct timespec64 i_ctime;
} MAY_MOVE;

struct super_block___file {
	u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
} MAY_MOVE;

struct linux_binprm___file {
	const char *interp;
} MAY_MOVE;

struct ns_common___file {
	unsigned int inum;
} MAY_MOVE;

struct mnt_namespace___file {
	struct ns_common___file ns;
} MAY_MOVE;

struct nsproxy___file {
	struct mnt_namespace___file *mnt_ns;
} MAY_MOVE;

struct signal_struct___file {
	void *tty;
} MAY_MOVE;

struct task_struct___file {
	struct nsproxy___file *nsproxy;
	struct signal_struct___file *signal;
} MAY_MOVE;

/* What is looked at of a file. */
struct file_facts {
	struct file_key key;
	u64 magic;
	u64 super_flags;
	u32 owner;
	u32 links;
	u32 mode;
	u32 in_upper;
};

static __always_inline void read_changed(void *inode, struct file_key *key)
{
	struct inode___fields *fields = inode;
	struct inode___hidden *hidden = inode;
	struct inode___plain *plain = inode;

	if (bpf_core_field_exists(fields->i_ctime_sec)) {
		key->changed_sec = BPF_CORE_READ(fields, i_ctime_sec);
		/* Since 6.13 a bit of it says whether anybody asked. */
		key->changed_nsec = BPF_CORE_READ(fields, i_ctime_nsec) & CTIME_NSEC;
	} else if (bpf_core_field_exists(hidden->__i_ctime)) {
		key->changed_sec = BPF_CORE_READ(hidden, __i_ctime.tv_sec);
		key->changed_nsec = BPF_CORE_READ(hidden, __i_ctime.tv_nsec);
	} else {
		key->changed_sec = BPF_CORE_READ(plain, i_ctime.tv_sec);
		key->changed_nsec = BPF_CORE_READ(plain, i_ctime.tv_nsec);
	}
}

static __always_inline void read_file(void *opened, struct file_facts *facts)
{
	struct inode___file *inode = opened;
	struct super_block___file *super = (void *)BPF_CORE_READ(inode, i_sb);
	void *upper = NULL;

	facts->magic = BPF_CORE_READ(super, s_magic);
	facts->super_flags = BPF_CORE_READ(super, s_flags);
	facts->owner = BPF_CORE_READ(inode, i_uid.val);
	facts->links = BPF_CORE_READ(inode, i_nlink);
	facts->mode = BPF_CORE_READ(inode, i_mode);
	facts->in_upper = 0;
	/*
	 * overlayfs keeps its own inode in front of the one in the writable layer, whose dentry
	 * follows it (fs/overlayfs/ovl_entry.h, struct ovl_inode). Only the real inode's time is
	 * sure to tell of a change that came through a mapping.
	 */
	if (facts->magic == OVERLAYFS_MAGIC) {
		bpf_probe_read_kernel(&upper, sizeof(upper),
				      opened + bpf_core_type_size(struct inode));
		if (upper) {
			struct inode___file *real =
				(void *)BPF_CORE_READ((struct dentry *)upper, d_inode);

			if (real) {
				facts->in_upper = 1;
				inode = real;
				super = (void *)BPF_CORE_READ(inode, i_sb);
			}
		}
	}
	facts->key.device = BPF_CORE_READ(super, s_dev);
	facts->key.inode = BPF_CORE_READ(inode, i_ino);
	facts->key.size = BPF_CORE_READ(inode, i_size);
	read_changed(inode, &facts->key);
}

/* Whether it lies below a folder that is trusted. */
static __noinline int lies_in_root(struct dentry *dentry)
{
	struct dentry *at = dentry;

	for (int i = 0; i < FOLDERS_MOST; i++) {
		struct dentry *parent = BPF_CORE_READ(at, d_parent);
		struct exe_key key = {};

		if (!parent || parent == at)
			return 0;
		at = parent;
		key.inode = BPF_CORE_READ(at, d_inode, i_ino);
		key.device = BPF_CORE_READ(at, d_inode, i_sb, s_dev);
		if (bpf_map_lookup_elem(&file_roots, &key))
			return 1;
	}
	return 0;
}

/* Whether the machine's own root starts it. */
static __always_inline bool is_host_root(struct task_struct *task, struct file_settings *cfg)
{
	struct task_struct___file *of = (void *)task;

	return BPF_CORE_READ(task, cred, uid.val) == 0 &&
	       BPF_CORE_READ(of, nsproxy, mnt_ns, ns.inum) == cfg->host_mounts;
}

/* Whether somebody may sit in front of it: a shell there would see it stop. */
static __always_inline bool is_at_terminal(struct task_struct *task)
{
	struct task_struct___file *of = (void *)task;

	return BPF_CORE_READ(of, signal, tty) != NULL;
}

/* Whether a program's name is a memfd's: it begins with "memfd:". */
static __always_inline bool is_memfd(struct dentry *dentry)
{
	char name[8] = {};

	bpf_probe_read_kernel(name, 6, BPF_CORE_READ(dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' &&
	       name[4] == 'd' && name[5] == ':';
}

/* The copy of itself from which runc starts a container. */
static __always_inline bool is_runtime(struct dentry *dentry)
{
	char name[16] = {};

	bpf_probe_read_kernel(name, 12, BPF_CORE_READ(dentry, d_name.name) + 6);
	return name[0] == 'r' && name[1] == 'u' && name[2] == 'n' && name[3] == 'c' &&
	       name[4] == '_' && name[5] == 'c' && name[6] == 'l' && name[7] == 'o' &&
	       name[8] == 'n' && name[9] == 'e' && name[10] == 'd' && name[11] == ':';
}

/* Where a program lies, as PLACE_*, without what takes a walk. */
static __always_inline u32 place_of_file(struct linux_binprm *bprm, struct file_facts *facts)
{
	struct dentry *dentry = bprm->file->f_path.dentry;
	u32 place = 0;

	if (!facts->links)
		place |= is_memfd(dentry) ? PLACE_MEMORY : PLACE_DELETED;
	if (facts->magic == TMPFS_MAGIC || facts->magic == RAMFS_MAGIC)
		place |= PLACE_TMPFS;
	if (facts->in_upper)
		place |= PLACE_UPPER;
	if (facts->magic == FUSE_MAGIC)
		place |= PLACE_FOREIGN;
	/* An image belongs to whom it belongs; its layers are not written to. */
	if (facts->magic != OVERLAYFS_MAGIC &&
	    (facts->owner || facts->mode & MODE_WRITABLE))
		place |= PLACE_OPEN;
	return place;
}

/* Whether a script is started from where a system has its own: by its path, the best there is. */
static __always_inline bool is_script_of_system(struct linux_binprm *bprm)
{
	char path[16] = {};

	if (bpf_probe_read_kernel_str(path, sizeof(path), bprm->filename) < 0)
		return false;
	if (path[0] != '/')
		return false;
	if (path[1] == 'u' && path[2] == 's' && path[3] == 'r' && path[4] == '/')
		return !(path[5] == 'l' && path[6] == 'o' && path[7] == 'c');
	if (path[1] == 'b' && path[2] == 'i' && path[3] == 'n' && path[4] == '/')
		return true;
	if (path[1] == 's' && path[2] == 'b' && path[3] == 'i' && path[4] == 'n')
		return true;
	if (path[1] == 'l' && path[2] == 'i' && path[3] == 'b')
		return true;
	if (path[1] == 'o' && path[2] == 'p' && path[3] == 't' && path[4] == '/')
		return true;
	if (path[1] == 'e' && path[2] == 't' && path[3] == 'c' && path[4] == '/')
		return true;
	return path[1] == 'n' && path[2] == 'i' && path[3] == 'x' && path[4] == '/';
}

/* Tells that a program's file is to be looked into: held, or running already. */
static __always_inline void report_unseen(struct task_struct *task, struct occurrence *what)
{
	struct guard_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count(COUNT_EVENTS_LOST_FULL, 1);
		return;
	}
	clear_event(event, what, task, cgroup_key(task));
	bpf_ringbuf_submit(event, 0);
}

static __noinline int hold_for_file(struct task_struct *task, struct linux_binprm *bprm,
				    struct occurrence *what, struct unseen_file *file)
{
	u32 zero = 0, pid = task->tgid, refused = REASON_AGENT_AWAY;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	struct file_settings *files = bpf_map_lookup_elem(&file_settings, &zero);
	struct hold *entry;
	s32 error = 0;

	if (!cfg || !files)
		return 0;
	if (pid == 1 || executable_is_protected(bprm) || cgroup_flags(task) & CGROUP_PROTECTED)
		return 0;
	bpf_map_update_elem(&unseen_files, &pid, file, BPF_ANY);
	what->reason = REASON_UNSEEN_FILE;
	if (cfg->mode != MODE_OBSERVE && !(files->spares_terminals && is_at_terminal(task)))
		refused = hold(task, cfg, what, files->unknown_spares, &error);
	if (refused) {
		/* The agent looks into it while it runs. */
		what->kind = EVENT_SPARED;
		count(COUNT_FILES_UNHELD, 1);
	} else {
		entry = bpf_map_lookup_elem(&holds, &pid);
		if (entry)
			entry->verdict_spares = files->unknown_spares;
		what->kind = EVENT_HELD;
		count(COUNT_FILES_HELD, 1);
	}
	what->signalled_ns = bpf_ktime_get_ns();
	report_unseen(task, what);
	return 0;
}

/* Kills what is known to be bad, and has looked into what is not known and not trusted. */
static __noinline int judge_file(struct task_struct *task, struct linux_binprm *bprm,
				 struct occurrence *what)
{
	u32 zero = 0;
	struct file_settings *cfg = bpf_map_lookup_elem(&file_settings, &zero);
	struct linux_binprm___file *names = (void *)bprm;
	struct file_facts facts = {};
	struct unseen_file file = {};
	struct file_verdict *known;
	u32 place;

	if (!cfg || cfg->scan == FILE_SCAN_OFF)
		return 0;
	read_file(bprm->file->f_inode, &facts);
	known = bpf_map_lookup_elem(&file_verdicts, &facts.key);
	if (known) {
		count(COUNT_FILES_KNOWN, 1);
		if (known->verdict == VERDICT_BAD) {
			count(COUNT_FILES_BAD, 1);
			what->reason = REASON_KNOWN_BAD_FILE;
			what->generation = known->id;
			what->ceiling = CEILING_OF_BAD_FILES;
			act(task, bprm, what);
			return 0;
		}
	}
	place = known ? 0 : place_of_file(bprm, &facts);
	if (!known) {
		bool trusted = !place && cfg->scan != FILE_SCAN_ALL;

		if (trusted && facts.magic != OVERLAYFS_MAGIC &&
		    !(facts.super_flags & SUPER_READ_ONLY) &&
		    !lies_in_root(bprm->file->f_path.dentry)) {
			place |= PLACE_ELSEWHERE;
			trusted = false;
		}
		if (trusted) {
			struct file_verdict fresh = { .verdict = VERDICT_TRUSTED };

			bpf_map_update_elem(&file_verdicts, &facts.key, &fresh, BPF_ANY);
		} else {
			place |= PLACE_PROGRAM;
			if (is_host_root(task, cfg)) {
				place |= PLACE_HOST_ROOT;
				if (place & PLACE_MEMORY && is_runtime(bprm->file->f_path.dentry))
					place &= ~PLACE_PROGRAM;
			}
		}
	}
	if (BPF_CORE_READ(names, interp) != bprm->filename &&
	    (cfg->scan == FILE_SCAN_ALL || !is_script_of_system(bprm)))
		place |= PLACE_SCRIPT;
	if (!(place & (PLACE_PROGRAM | PLACE_SCRIPT)))
		return 0;
	file.key = facts.key;
	file.start_boottime_ns = task->start_boottime;
	file.place = place;
	return hold_for_file(task, bprm, what, &file);
}

#endif

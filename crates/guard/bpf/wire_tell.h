/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Telling user space what was seen of a flow, and whose it is.
 * Part of wire.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_WIRE_TELL_H
#define DAVYLAMP_WIRE_TELL_H

/* What was seen in a packet, and what is done about it. */
struct seeing {
	u32 kind; /* EVENT_RHYTHM, or 0 for EVENT_WIRE */
	u32 reason;
	u32 policy;
	u32 done;
	u32 spared; /* why, as an event_reason */
	u32 is_silent; /* the ceiling of its detection is reached, which was told */
	u32 seen;
	u32 is_received;
	u32 offset; /* of a datagram's payload, where there is no start */
	u32 length;
	u16 local_port, remote_port;
	u8 local[16], remote[16];
};

static __always_inline void mapped(u8 *to, u32 address)
{
	__builtin_memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, &address, 4);
}

static __always_inline void remote_of(struct bpf_sock *sk, u8 *to)
{
	if (sk->family == FAMILY_4) {
		mapped(to, sk->dst_ip4);
	} else {
		u32 words[4] = { sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3] };

		__builtin_memcpy(to, words, 16);
	}
}

static __always_inline void fill_ends(struct seeing *seeing, struct bpf_sock *sk)
{
	remote_of(sk, seeing->remote);
	if (sk->family == FAMILY_4) {
		mapped(seeing->local, sk->src_ip4);
	} else {
		u32 words[4] = { sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3] };

		__builtin_memcpy(seeing->local, words, 16);
	}
	seeing->local_port = sk->src_port;
	seeing->remote_port = bpf_ntohs(sk->dst_port);
}

/* Why a process is not killed, as an event_reason, or 0. */
static __noinline int reason_to_spare(struct task_struct *task)
{
	struct exe_key key = {};
	struct mm_struct___file *mm = (void *)BPF_CORE_READ(task, mm);
	struct file *file;

	if (BPF_CORE_READ(task, tgid) == 1)
		return REASON_PID_ONE;
	file = mm ? BPF_CORE_READ(mm, exe_file) : NULL;
	if (file) {
		key.inode = BPF_CORE_READ(file, f_inode, i_ino);
		key.device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
		if (bpf_map_lookup_elem(&protected_executables, &key))
			return REASON_PROTECTED_EXECUTABLE;
	}
	return cgroup_flags(task) & CGROUP_PROTECTED ? REASON_PROTECTED_CGROUP : 0;
}

/*
 * Whether the detection of what was seen, or this node, has had as many victims as it may. A global
 * function, because the verifier goes through these once. Returns CEILING_*.
 */
__noinline int ask_for(u64 seen, u64 victim)
{
	if (seen >= SEEN_MAX)
		seen = 0;
	return ceiling_of(0, (u64)CEILING_DETECTION << 32 | wire.ceilings[seen], victim,
			  CEILING_CLAIM);
}

/* If so, nothing is done, and only the first time since there was room is told by itself. */
static __always_inline bool is_over_ceiling(struct task_struct *task, u32 seen, u32 *is_silent)
{
	int answer = ask_for(seen, victim_of_task(task));

	barrier_var(answer);
	if (answer < CEILING_OVER)
		return false;
	*is_silent = answer != CEILING_TRIPS;
	count(COUNT_CEILING_REFUSED, 1);
	return true;
}

#define TEXT_PART 256
#define EXE_PARTS 32
#define CGROUP_PARTS 20

struct telling {
	u8 *text; /* WIRE_TEXT bytes */
	struct dentry *dentry;
	struct mount *mount;
	struct kernfs_node *node;
	struct task_struct *task;
	struct guard_event *base;
	u32 at;
	u32 complete;
};

static __always_inline bool put_part(struct telling *walk, const void *name)
{
	u32 at = walk->at;
	long length;

	barrier_var(at);
	if (at > WIRE_TEXT - TEXT_PART)
		return false;
	length = bpf_probe_read_kernel_str(walk->text + at, TEXT_PART, name);
	if (length <= 0)
		return false;
	walk->at = at + length;
	return true;
}

static long put_exe(u64 index, struct telling *walk)
{
	struct dentry *dentry = walk->dentry;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mount = walk->mount;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		struct mount *outer = BPF_CORE_READ(mount, mnt_parent);

		if (outer == mount) {
			walk->complete = 1;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = outer;
		return 0;
	}
	if (!put_part(walk, BPF_CORE_READ(dentry, d_name.name)))
		return 1;
	if (parent == dentry) {
		walk->complete = 1;
		return 1;
	}
	walk->dentry = parent;
	return 0;
}

static long put_cgroup(u64 index, struct telling *walk)
{
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = parent_of(node);

	if (!parent) {
		walk->complete = 1;
		return 1;
	}
	if (!put_part(walk, BPF_CORE_READ(node, name)))
		return 1;
	walk->node = parent;
	return 0;
}

static long put_ancestor(u64 index, struct telling *walk)
{
	struct task_struct *task = walk->task;
	struct event_ancestor *slot;
	u32 place = index;

	barrier_var(place);
	if (place >= EVENT_ANCESTORS)
		return 1;
	slot = &walk->base->ancestors[place];
	slot->pid = BPF_CORE_READ(task, tgid);
	bpf_core_read_str(slot->comm, sizeof(slot->comm), &task->comm);
	if (slot->pid <= 1)
		return 1;
	walk->task = BPF_CORE_READ(task, real_parent);
	return 0;
}

/* Who a process is. Its arguments only where it is the one that runs: others' are out of reach. */
static __always_inline void describe(struct guard_event *base, u8 *text, struct task_struct *task)
{
	struct telling walk = { .text = text, .base = base };
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *file;
	u64 mark, length, begin;
	u32 before;

	base->pid = BPF_CORE_READ(task, tgid);
	base->parent = BPF_CORE_READ(task, real_parent, tgid);
	base->uid = BPF_CORE_READ(task, cred, uid.val);
	base->start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	bpf_core_read_str(base->comm, sizeof(base->comm), &task->comm);
	base->cgroup = cgroup_key(task);
	if (mm) {
		begin = BPF_CORE_READ(mm, arg_start);
		length = BPF_CORE_READ(mm, arg_end) - begin;
		base->arguments_len = length;
		if (bpf_get_current_pid_tgid() >> 32 == base->pid) {
			if (length > WIRE_ARGUMENTS)
				length = WIRE_ARGUMENTS;
			barrier_var(length);
			if (length && length <= WIRE_ARGUMENTS &&
			    !bpf_probe_read_user(text, length, (void *)begin)) {
				base->text_arguments = length;
				walk.at = length;
			}
		}
		if (base->text_arguments < base->arguments_len)
			base->truncated |= 1;
		file = BPF_CORE_READ((struct mm_struct___file *)mm, exe_file);
		if (file) {
			before = walk.at;
			walk.dentry = BPF_CORE_READ(file, f_path.dentry);
			walk.mount = (void *)BPF_CORE_READ(file, f_path.mnt) -
				     bpf_core_field_offset(struct mount, mnt);
			bpf_loop(EXE_PARTS, put_exe, &walk, 0);
			base->text_exe = walk.at - before;
			if (!walk.complete)
				base->truncated |= 4;
		}
	}
	before = walk.at;
	walk.complete = 0;
	walk.node = cgroup_of(task, &mark);
	bpf_loop(CGROUP_PARTS, put_cgroup, &walk, 0);
	base->text_cgroup = walk.at - before;
	if (!walk.complete)
		base->truncated |= 8;
	walk.task = BPF_CORE_READ(task, real_parent);
	bpf_loop(EVENT_ANCESTORS, put_ancestor, &walk, 0);
}

static __always_inline u8 greeting_of(u32 state)
{
	if (!(state & FLOW_GREETING))
		return 0;
	return state & FLOW_NAMED ? 2 : 1;
}

/* Begins an event, unless its cgroup has had too many. */
static __always_inline struct wire_event *begin_event(struct task_struct *task)
{
	u32 zero = 0;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	struct wire_event *event;
	u64 now = bpf_ktime_get_ns(), left_out = 0;

	if (!cfg)
		return NULL;
	if (task && !within_budget(&event_budgets, cfg, cgroup_key(task), now,
				   &left_out)) {
		count(COUNT_EVENTS_RATE_LIMITED, 1);
		return NULL;
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_EVENTS_LOST_FULL, 1);
		return NULL;
	}
	__builtin_memset(&event->base, 0, sizeof(event->base));
	__builtin_memset(&event->sight, 0, __builtin_offsetof(struct wire_sight, sent));
	event->base.time_ns = now;
	event->base.rate_limited = left_out;
	return event;
}

static __always_inline void fill_flow(struct wire_sight *sight, struct flow *flow)
{
	struct wire_known_name *known;

	sight->began_ns = flow->began_ns;
	sight->last_ns = flow->last_ns;
	sight->longest_gap_ns = flow->longest_gap_ns;
	sight->bytes = flow->bytes;
	sight->packets = flow->packets;
	sight->greeting = greeting_of(flow->state);
	sight->is_server = (flow->state & (FLOW_LISTENS | FLOW_CONNECTED)) == FLOW_LISTENS;
	known = bpf_map_lookup_elem(&known_names, sight->remote);
	if (known && known->until_ns > bpf_ktime_get_ns())
		bpf_probe_read_kernel(sight->name, WIRE_NAME, known->name);
}

static __always_inline void fill_start(struct wire_sight *sight, struct start *start)
{
	sight->sent_len = start->lengths[0];
	sight->received_len = start->lengths[1];
	bpf_probe_read_kernel(sight->sent, WIRE_KEPT, start->sent);
	bpf_probe_read_kernel(sight->received, WIRE_KEPT, start->received);
}

static __noinline int tell(struct __sk_buff *skb, struct task_struct *task, struct flow *flow,
			   struct start *start, struct seeing *seeing)
{
	struct wire_event *event = begin_event(task);
	struct wire_sight *sight;

	if (!event)
		return 0;
	sight = &event->sight;
	event->base.kind = seeing->kind ? seeing->kind : EVENT_WIRE;
	event->base.reason = seeing->spared ? seeing->spared : seeing->reason;
	if (task)
		describe(&event->base, event->text, task);
	else if (!seeing->kind)
		event->base.reason = REASON_OWNER_UNKNOWN;
	sight->done = seeing->done;
	sight->seen = seeing->seen;
	sight->is_received = seeing->is_received;
	sight->local_port = seeing->local_port;
	sight->remote_port = seeing->remote_port;
	__builtin_memcpy(sight->local, seeing->local, 16);
	__builtin_memcpy(sight->remote, seeing->remote, 16);
	fill_flow(sight, flow);
	if (start) {
		fill_start(sight, start);
	} else if (seeing->length) {
		u32 length = seeing->length;

		if (length > 512)
			length = 512;
		barrier_var(length);
		if (length && length <= 512 &&
		    !bpf_skb_load_bytes(skb, seeing->offset, sight->sent, length))
			sight->sent_len = length;
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}

static __always_inline void ends_of(struct sock *sk, u8 *local, u8 *remote)
{
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == FAMILY_4) {
		mapped(local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		mapped(remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		bpf_core_read(local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

/* The owner was not known when its flow was condemned, and is dead by now. */
static __noinline int tell_late(struct sock *sk, struct task_struct *task, struct flow *flow,
				struct start *start)
{
	struct wire_event *event = begin_event(task);

	if (!event)
		return 0;
	event->base.kind = EVENT_WIRE;
	event->base.reason = REASON_POOL_PROTOCOL;
	describe(&event->base, event->text, task);
	event->sight.done = EVENT_KILLED;
	event->sight.seen = flow->seen;
	ends_of(sk, event->sight.local, event->sight.remote);
	event->sight.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	event->sight.remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	fill_flow(&event->sight, flow);
	if (start)
		fill_start(&event->sight, start);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* A process connects: a new destination is told, and a banned one is its end. */
static __noinline int on_connect(struct sock *sk, struct flow *flow)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct wire_prefix prefix = { .length = 128 };
	struct destination destination = {};
	struct connect_event *event;
	u64 now = bpf_ktime_get_ns(), *told;
	u32 zero = 0, done = 0, spared = 0;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	u32 is_silent = 0;
	bool is_banned;

	if (!cfg)
		return 0;
	count(COUNT_CONNECTS, 1);
	ends_of(sk, destination.address.bytes, prefix.address);
	__builtin_memcpy(destination.address.bytes, prefix.address, 16);
	destination.pid = flow->owner;
	destination.start_ns = flow->owner_start_ns;
	destination.port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	is_banned = wire.banned && bpf_map_lookup_elem(&banned_addresses, &prefix);
	if (is_banned) {
		spared = reason_to_spare(task);
		if (spared)
			done = EVENT_SPARED;
		else if (cfg->mode == MODE_OBSERVE)
			done = EVENT_WOULD_KILL;
		else if (is_over_ceiling(task, 0, &is_silent))
			done = EVENT_WOULD_KILL, spared = REASON_CEILING;
		else
			done = bpf_send_signal(SIGKILL) ? EVENT_MISSED : EVENT_KILLED;
		if (is_silent)
			return 0;
		if (done == EVENT_KILLED || done == EVENT_MISSED)
			flow->state |= FLOW_CONDEMNED | (done == EVENT_KILLED ? FLOW_KILLED : 0);
	} else if (!wire.connects) {
		return 0;
	} else {
		told = bpf_map_lookup_elem(&destinations, &destination);
		if (told && now - *told < TELL_AGAIN_NS)
			return 0;
		bpf_map_update_elem(&destinations, &destination, &now, BPF_ANY);
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_EVENTS_LOST_FULL, 1);
		return 0;
	}
	__builtin_memset(&event->base, 0, sizeof(event->base));
	event->base.kind = EVENT_CONNECT;
	event->base.reason = spared ? spared : REASON_BANNED_ADDRESS;
	event->base.time_ns = now;
	describe(&event->base, event->text, task);
	__builtin_memcpy(event->remote, prefix.address, 16);
	event->remote_port = destination.port;
	event->is_banned = is_banned;
	event->done = done;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

#endif

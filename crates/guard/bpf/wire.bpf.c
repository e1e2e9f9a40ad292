// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The wire: what a process says to a pool, whatever the process is called.
 *
 * `on_egress` and `on_ingress` see every packet of the sockets of a cgroup. They follow the first
 * bytes of each direction of a TCP connection by a walk that keeps its state with the socket, so it
 * does not matter how they are cut; after that a packet costs one look at the socket's own storage.
 * A segment that completes a pool's handshake is dropped, as is all that follows it, and the socket's
 * owner is killed. Names that are asked of a name server, or named in a TLS greeting, are looked up
 * by their suffixes.
 *
 * Packets are often handled in no process's context. So the owner of a socket is noted where one is:
 * when it connects, listens, sends or receives. A signal that cannot be sent from here is sent at the
 * owner's next system call on the socket, and by the agent.
 *
 * What must stay true: with no agent there, all of this goes on but the telling.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"
#include "maps.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile struct wire_constants wire = {};

extern int bpf_send_signal_task(struct task_struct *task, int sig, enum pid_type type,
				u64 value) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

struct sock_common {
	unsigned short skc_family;
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	struct {
		u8 bytes[16];
	} skc_v6_daddr, skc_v6_rcv_saddr;
} MAY_MOVE;

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
} MAY_MOVE;

struct mm_struct___file {
	struct file *exe_file;
} MAY_MOVE;

#define PASS 1
#define DROP 0
#define IP_TCP 6
#define IP_UDP 17
#define FAMILY_4 2
#define FAMILY_6 10
#define PORT_NAMES 53
#define PORT_NAMES_BY_TLS 853
#define LOOPBACK 1 /* the interface, in every network namespace */
#define STATE_SYN_SENT 2 /* include/net/tcp_states.h */
#define STATE_LISTEN 10

/* Maps of this sense. */

#define FLOW_SENT_DONE 1u /* judged clean, or no more of it is kept */
#define FLOW_RECEIVED_DONE 2u
#define FLOW_CONDEMNED 4u
#define FLOW_KILLED 8u /* its owner has been sent the signal */
#define FLOW_TOLD 16u /* the rhythm was told */
#define FLOW_FAT 32u /* too busy to be a miner's */
#define FLOW_CONNECTED 64u /* this side began it */
#define FLOW_LOOKED_UP 128u /* its address has been looked up */
#define FLOW_LISTENS 256u
#define FLOW_SERVER 512u /* this side accepted it */
#define FLOW_GREETING 1024u /* it begins with a TLS greeting */
#define FLOW_NAMED 2048u /* … that names a server */
#define FLOW_SHAPED 4096u /* the lengths of a hidden handshake were told */
#define FLOW_KEPT 8192u /* it has a start */

/* How far a direction of a connection has been judged. */
struct side {
	struct wire_walk walk;
	u32 next; /* the sequence number that is expected */
	u16 taken;
	u8 begun;
	u8 first; /* its first byte */
};

struct flow {
	u64 owner_start_ns;
	u64 began_ns;
	u64 last_ns;
	u64 longest_gap_ns;
	u64 bytes;
	u32 owner;
	u32 packets;
	u32 state;
	u32 seen;
	struct side sides[2]; /* sent, received */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE); /* an accepted socket has its listener's owner */
	__type(key, int);
	__type(value, struct flow);
} flows SEC(".maps");

/* The first bytes of a connection of which more is to be known; most have none of this. */
struct start {
	u32 lengths[2]; /* sent, received */
	u8 sent[WIRE_KEPT + WIRE_PIECE];
	u8 received[WIRE_KEPT + WIRE_PIECE];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct start);
} starts SEC(".maps");

/* Names by the hash of their letters, the last one first, and what they are: NAME_*. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, u32);
} pool_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct wire_prefix);
	__type(value, u32);
} pool_addresses SEC(".maps");

/* Pools that are known at one port alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct wire_endpoint);
	__type(value, u32);
} pool_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576);
	__type(key, struct wire_prefix);
	__type(value, u32);
} banned_addresses SEC(".maps");

struct address {
	u8 bytes[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct address);
	__type(value, struct wire_known_name);
} known_names SEC(".maps");

struct destination {
	u64 start_ns;
	u32 pid;
	u16 port;
	u16 reserved;
	struct address address;
};

/* Destinations of processes that were told already, and when. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct destination);
	__type(value, u64);
} destinations SEC(".maps");
#define TELL_AGAIN_NS 1000000000ull

/*
 * Room for the text of a name. Packets are handled wherever they come in, one in the middle of another,
 * so a room is taken before it is used.
 */
struct room {
	u64 is_taken;
	u8 text[256];
	struct wire_known_name known;
};
#define ROOMS 4

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROOMS);
	__type(key, u32);
	__type(value, struct room);
} rooms SEC(".maps");

static __always_inline struct room *take_room(void)
{
	for (u32 i = 0; i < ROOMS; i++) {
		u32 key = i;
		struct room *room = bpf_map_lookup_elem(&rooms, &key);

		if (room && !__sync_lock_test_and_set(&room->is_taken, 1))
			return room;
	}
	count(COUNT_WIRE_NO_ROOM, 1);
	return NULL;
}

static __always_inline void leave_room(struct room *room)
{
	__sync_lock_test_and_set(&room->is_taken, 0);
}

#include "budget.h"
#include "place.h"
#include "ceiling.h"
#include "wire_walk.h"
#include "wire_tell.h"
#include "wire_names.h"

struct packet {
	u32 offset; /* of the payload */
	u32 length; /* … of that */
	u32 sequence;
	u16 source, target; /* ports */
	u8 protocol;
	u8 tcp_flags;
};
#define TCP_SYN 2

#define EXTENSIONS_MOST 6

/* Finds the payload of a packet that begins with its IP header. */
__noinline int read_packet(struct __sk_buff *skb, struct packet *packet)
{
	u8 ip[20], head[4], next;
	struct {
		u16 source, target;
		u32 sequence, acknowledged;
		u8 words, flags;
	} tcp;
	struct {
		u16 source, target, length, sum;
	} udp;
	u32 at;

	if (!packet || bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return -1;
	if (ip[0] >> 4 == 4) {
		next = ip[9];
		at = (ip[0] & 15) * 4;
		/* Only the first fragment says to whom it belongs. */
		if ((ip[6] & 0x1f) | ip[7])
			return -1;
	} else if (ip[0] >> 4 == 6) {
		next = ip[6];
		at = 40;
		for (u32 i = 0; i < EXTENSIONS_MOST; i++) {
			if (next != 0 && next != 43 && next != 60)
				break;
			if (bpf_skb_load_bytes(skb, at, head, 2))
				return -1;
			next = head[0];
			at += head[1] * 8 + 8;
		}
	} else {
		return -1;
	}
	packet->protocol = next;
	if (next == IP_TCP) {
		if (bpf_skb_load_bytes(skb, at, &tcp, 14))
			return -1;
		packet->source = bpf_ntohs(tcp.source);
		packet->target = bpf_ntohs(tcp.target);
		packet->sequence = bpf_ntohl(tcp.sequence);
		packet->tcp_flags = tcp.flags;
		at += (tcp.words >> 4) * 4;
	} else if (next == IP_UDP) {
		if (bpf_skb_load_bytes(skb, at, &udp, sizeof(udp)))
			return -1;
		packet->source = bpf_ntohs(udp.source);
		packet->target = bpf_ntohs(udp.target);
		at += sizeof(udp);
	} else {
		return -1;
	}
	packet->offset = at;
	packet->length = skb->len > at ? skb->len - at : 0;
	return 0;
}

/* The same for nearly every packet, read in place: version 4 without options, TCP. */
static __always_inline bool read_plain(struct __sk_buff *skb, struct packet *packet)
{
	struct {
		u8 ip[20];
		u16 source, target;
		u32 sequence, acknowledged;
		u8 words, flags;
	} __attribute__((packed)) *head = (void *)(long)skb->data;

	if ((void *)(head + 1) > (void *)(long)skb->data_end || head->ip[0] != 0x45 ||
	    head->ip[9] != IP_TCP || (head->ip[6] & 0x1f) | head->ip[7])
		return false;
	packet->sequence = bpf_ntohl(head->sequence);
	packet->tcp_flags = head->flags;
	packet->offset = 20 + (head->words >> 4) * 4;
	packet->length = skb->len > packet->offset ? skb->len - packet->offset : 0;
	return true;
}

/* A piece that is walked is on the stack, so it is short. */
#define WALK_PIECE 64

struct walking {
	struct __sk_buff *skb;
	struct side *side;
	u32 offset, left;
	u32 seen;
	union {
		u8 piece[WALK_PIECE];
		u64 words[WALK_PIECE / 8];
	};
};

static long walk_piece(u64 index, struct walking *walking)
{
	struct side *side = walking->side;
	u64 length = walking->left;

	if (length > WALK_PIECE)
		length = WALK_PIECE;
	barrier_var(length);
	if (length - 1 >= WALK_PIECE || side->taken >= WIRE_WALKED)
		return 1;
	if (bpf_skb_load_bytes(walking->skb, walking->offset, walking->piece, length))
		return 1;
	for (u32 word = 0; word < WALK_PIECE / 8; word++) {
		if (word * 8 >= length)
			break;
		/* Behind the end stand bytes of the piece before, which at worst are looked at once more. */
		if (is_idle(&side->walk, walking->words[word]))
			continue;
		for (u32 i = word * 8; i < word * 8 + 8; i++) {
			if (i >= length)
				break;
			walking->seen = walk_byte(&side->walk, walking->piece[i]);
			if (walking->seen)
				return 1;
		}
	}
	side->taken += length;
	walking->offset += length;
	walking->left -= length;
	return 0;
}

/* Walks so many bytes of a packet, and says what they show. */
__noinline int walk(struct __sk_buff *skb, struct side *side, u32 offset, u32 length)
{
	struct walking walking = { .skb = skb, .side = side, .offset = offset, .left = length };

	if (!side)
		return 0;
	bpf_loop(WIRE_WALKED / WALK_PIECE, walk_piece, &walking, 0);
	return walking.seen;
}

struct keeping {
	struct __sk_buff *skb;
	u8 *kept;
	u64 at;
	u32 offset, left;
};

static long keep_piece(u64 index, struct keeping *keeping)
{
	u64 at = keeping->at, length = keeping->left;

	if (length > WIRE_PIECE)
		length = WIRE_PIECE;
	barrier_var(length);
	if (length - 1 >= WIRE_PIECE || at >= WIRE_KEPT)
		return 1;
	if (bpf_skb_load_bytes(keeping->skb, keeping->offset, keeping->kept + at, length))
		return 1;
	keeping->at = at + length;
	keeping->offset += length;
	keeping->left -= length;
	return 0;
}

/* Keeps so many bytes of a packet behind what is kept of the direction. */
__noinline int keep(struct __sk_buff *skb, struct start *start, u32 is_received, u32 offset, u32 length)
{
	struct keeping keeping = { .skb = skb, .offset = offset, .left = length };

	if (!start)
		return 0;
	keeping.kept = is_received ? start->received : start->sent;
	keeping.at = is_received ? start->lengths[1] : start->lengths[0];
	bpf_loop(WIRE_KEPT / WIRE_PIECE + 1, keep_piece, &keeping, 0);
	if (keeping.at > WIRE_KEPT)
		keeping.at = WIRE_KEPT;
	if (is_received)
		start->lengths[1] = keeping.at;
	else
		start->lengths[0] = keeping.at;
	return 0;
}

/*
 * What becomes of a flow in which something was seen. Returns DROP or PASS; afterwards its state says
 * what is to be done with the rest.
 */
__noinline int act(struct __sk_buff *skb, struct flow *flow, struct start *start,
		   struct seeing *seeing)
{
	u32 zero = 0;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);
	struct task_struct *task = NULL;

	if (!cfg || !flow || !seeing || seeing->policy == POLICY_OFF)
		return PASS;
	seeing->done = 0;
	if (flow->owner)
		task = bpf_task_from_pid(flow->owner);
	if (task && task->start_boottime != flow->owner_start_ns) {
		bpf_task_release(task);
		task = NULL;
	}
	if (seeing->policy > POLICY_ALERT) {
		seeing->spared = task ? reason_to_spare(task) : 0;
		if (seeing->spared)
			seeing->done = EVENT_SPARED;
		else if (cfg->mode == MODE_OBSERVE)
			seeing->done = EVENT_WOULD_KILL;
		else if (seeing->policy == POLICY_DROP)
			seeing->done = WIRE_DROPPED;
		else if (task && is_over_ceiling(task, seeing->seen, &seeing->is_silent))
			seeing->done = EVENT_WOULD_KILL, seeing->spared = REASON_CEILING;
		else
			seeing->done = task && !bpf_send_signal_task(task, SIGKILL, PIDTYPE_TGID, 0) ?
					       EVENT_KILLED :
					       EVENT_MISSED;
	}
	if (seeing->done == EVENT_KILLED || seeing->done == EVENT_MISSED ||
	    seeing->done == WIRE_DROPPED) {
		flow->seen = seeing->seen;
		flow->state |= FLOW_CONDEMNED;
		if (seeing->done == EVENT_KILLED || seeing->policy == POLICY_DROP)
			flow->state |= FLOW_KILLED;
		count(COUNT_WIRE_DROPPED, 1);
	}
	if (!seeing->is_silent)
		tell(skb, task, flow, start, seeing);
	if (task)
		bpf_task_release(task);
	return flow->state & FLOW_CONDEMNED ? DROP : PASS;
}

/* Its owner may not be killed after all: what was dropped is sent again, and is not judged again. */
static __always_inline void acquit(struct flow *flow)
{
	flow->state &= ~FLOW_CONDEMNED;
	flow->state |= FLOW_SENT_DONE | FLOW_RECEIVED_DONE;
}

/* Another payload of a condemned flow. The signal is tried again until it went through. */
__noinline int condemned(struct flow *flow)
{
	if (!flow)
		return DROP;
	count(COUNT_WIRE_DROPPED, 1);
	if (!(flow->state & FLOW_KILLED) && flow->owner) {
		struct task_struct *task = bpf_task_from_pid(flow->owner);
		u32 is_silent;

		if (task) {
			if (task->start_boottime == flow->owner_start_ns && !reason_to_spare(task)) {
				if (is_over_ceiling(task, flow->seen, &is_silent))
					acquit(flow);
				else if (!bpf_send_signal_task(task, SIGKILL, PIDTYPE_TGID, 0))
					flow->state |= FLOW_KILLED;
			}
			bpf_task_release(task);
		}
		if (!(flow->state & FLOW_CONDEMNED))
			return PASS;
	}
	return DROP;
}

static __noinline int look_up_address(struct __sk_buff *skb, struct bpf_sock *sk,
					    struct flow *flow)
{
	struct seeing seeing = { .seen = SEEN_POOL_ADDRESS, .reason = REASON_POOL_ADDRESS };
	struct wire_prefix key = { .length = 128 };
	struct wire_endpoint endpoint = { .port = bpf_ntohs(sk->dst_port) };

	flow->state |= FLOW_LOOKED_UP;
	count(COUNT_WIRE_FLOWS, 1);
	if (!wire.addresses || (flow->state & (FLOW_LISTENS | FLOW_CONNECTED)) == FLOW_LISTENS)
		return 0;
	remote_of(sk, key.address);
	__builtin_memcpy(endpoint.address, key.address, 16);
	if (!bpf_map_lookup_elem(&pool_endpoints, &endpoint) &&
	    !bpf_map_lookup_elem(&pool_addresses, &key))
		return 0;
	seeing.policy = wire.addresses;
	fill_ends(&seeing, sk);
	return act(skb, flow, NULL, &seeing);
}

/* Whom the start of what is sent is addressed to: NAME_*, or 0. */
static __always_inline u32 whom_it_names(struct start *start, struct flow *flow, u32 is_names,
					 u16 port)
{
	u32 greeted = flow->state & FLOW_GREETING, name;

	if (!wire.names && !wire.encrypted_dns)
		return 0;
	name = names_in_start(start, flow, is_names);
	barrier_var(name);
	if (name == NAME_POOL)
		return name;
	/* That a resolver is looked up says nothing. */
	if (is_names || !wire.encrypted_dns)
		return 0;
	/* Once, whatever comes behind the greeting. */
	if (port == PORT_NAMES_BY_TLS && !greeted && flow->state & FLOW_GREETING)
		return NAME_RESOLVER;
	return name;
}

/* A packet of a direction that is still being judged. */
static __noinline int follow(struct __sk_buff *skb, struct bpf_sock *sk, struct flow *flow,
			     struct packet *packet, u32 is_received)
{
	struct seeing seeing = {};
	struct bpf_tcp_sock *tcp;
	struct start *start = NULL;
	struct side *side = is_received ? &flow->sides[1] : &flow->sides[0];
	u32 taken_to = packet->sequence;
	u32 skip = 0, seen = 0, length, done = is_received ? FLOW_RECEIVED_DONE : FLOW_SENT_DONE;
	u32 name = 0;
	bool is_tls, is_names;
	s32 ahead;

	/* How far the kernel has taken what comes in. */
	if (is_received) {
		tcp = bpf_tcp_sock(sk);
		if (tcp)
			taken_to = tcp->rcv_nxt;
	}
	if (!side->begun) {
		side->begun = 1;
		side->next = taken_to;
		side->walk.hash = HASH_SEED;
		bpf_skb_load_bytes(skb, packet->offset, &side->first, 1);
	}
	ahead = packet->sequence - side->next;
	if (ahead > 0) {
		/* What the kernel has taken already is not sent again. */
		if ((s32)(taken_to - side->next) > 0)
			side->next = taken_to;
		ahead = packet->sequence - side->next;
		if (ahead > 0)
			return DROP; /* Out of its turn: it is sent again. */
	}
	if (ahead < 0) {
		skip = -ahead;
		if (skip >= packet->length)
			return PASS;
	}
	length = packet->length - skip;
	side->next = packet->sequence + packet->length;
	is_tls = side->first == 0x16;
	is_names = !is_received && bpf_ntohs(sk->dst_port) == PORT_NAMES;
	/* What TLS says is no JSON; its greeting is read as a whole. */
	if (!is_tls && !is_names && wire.protocols)
		seen = walk(skb, side, packet->offset + skip, length);
	else
		side->taken += length > WIRE_KEPT ? WIRE_KEPT : length;
	if (is_tls && is_received) {
		flow->state |= FLOW_RECEIVED_DONE;
	} else if (seen || side->walk.touched || is_tls || is_names || flow->sides[0].taken == 64) {
		start = bpf_sk_storage_get(&starts, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (start) {
			flow->state |= FLOW_KEPT;
			keep(skb, start, is_received, packet->offset + skip, length);
		} else {
			count(COUNT_WIRE_NO_ROOM, 1);
		}
	}
	fill_ends(&seeing, sk);
	seeing.is_received = is_received;
	if (start && (is_tls || is_names) && !is_received)
		name = whom_it_names(start, flow, is_names, seeing.remote_port);
	if (seen) {
		seeing.seen = seen;
		seeing.reason = REASON_POOL_PROTOCOL;
		seeing.policy = wire.protocols;
		act(skb, flow, start, &seeing);
		if (flow->state & FLOW_CONDEMNED)
			return DROP;
		flow->state |= FLOW_SENT_DONE | FLOW_RECEIVED_DONE;
	} else if (name) {
		seeing.seen = name == NAME_RESOLVER ? SEEN_ENCRYPTED_DNS :
			      is_tls		    ? SEEN_POOL_NAME_IN_TLS :
						      SEEN_POOL_NAME_LOOKUP;
		seeing.reason = REASON_POOL_NAME;
		seeing.policy = name == NAME_RESOLVER ? wire.encrypted_dns : wire.names;
		act(skb, flow, start, &seeing);
		if (flow->state & FLOW_CONDEMNED)
			return DROP;
		flow->state |= FLOW_SENT_DONE;
	} else if (start && start->lengths[0] == 64 && start->lengths[1] == 234 &&
		   !(flow->state & FLOW_SHAPED) && wire.protocols) {
		flow->state |= FLOW_SHAPED;
		seeing.seen = SEEN_STRATUM_2_HANDSHAKE;
		seeing.reason = REASON_POOL_PROTOCOL;
		seeing.policy = POLICY_ALERT;
		act(skb, flow, start, &seeing);
	}
	if (is_tls || is_names ? side->taken >= WIRE_KEPT || flow->state & FLOW_GREETING :
				 side->taken >= WIRE_WALKED || !wire.protocols)
		flow->state |= done;
	if (flow->state & FLOW_KEPT && (flow->state & (FLOW_SENT_DONE | FLOW_RECEIVED_DONE)) ==
					       (FLOW_SENT_DONE | FLOW_RECEIVED_DONE)) {
		bpf_sk_storage_delete(&starts, sk);
		flow->state &= ~FLOW_KEPT;
	}
	return PASS;
}

/* A miner's flow has at most a packet a second, on the average. */
#define PACKET_NS 1000000000ull
#define PACKETS_TO_TELL 256 /* so many before a flow counts as busy */

static __noinline int tell_rhythm(struct __sk_buff *skb, struct bpf_sock *sk, struct flow *flow)
{
	struct seeing seeing = { .kind = EVENT_RHYTHM, .policy = POLICY_ALERT };

	fill_ends(&seeing, sk);
	return act(skb, flow, NULL, &seeing);
}

/* Measures a flow, as long as it may be a miner's. */
static __always_inline void measure(struct __sk_buff *skb, struct bpf_sock *sk, struct flow *flow,
				    u32 length)
{
	u64 now = bpf_ktime_get_coarse_ns(), lasted, gap;

	if (!flow->began_ns)
		flow->began_ns = flow->last_ns = now;
	gap = now - flow->last_ns;
	if (gap > flow->longest_gap_ns)
		flow->longest_gap_ns = gap;
	flow->last_ns = now;
	flow->packets++;
	flow->bytes += length;
	lasted = now - flow->began_ns;
	if (flow->packets >= PACKETS_TO_TELL && flow->bytes >= 2 * WIRE_WALKED &&
	    lasted < flow->packets * PACKET_NS) {
		/* However it was cut, it is no start any more. */
		flow->state |= FLOW_FAT | FLOW_SENT_DONE | FLOW_RECEIVED_DONE;
		return;
	}
	if (wire.rhythm_min_ns && lasted >= wire.rhythm_min_ns &&
	    lasted >= flow->packets * PACKET_NS && !(flow->state & FLOW_TOLD)) {
		flow->state |= FLOW_TOLD;
		tell_rhythm(skb, sk, flow);
	}
}

static __noinline int on_datagram(struct __sk_buff *skb, struct bpf_sock *sk, u32 is_received)
{
	struct packet packet = {};
	struct seeing seeing = {};
	struct task_struct *task;
	struct flow nobody = {};
	u32 name;

	if (read_packet(skb, &packet) || packet.length <= DNS_HEAD)
		return PASS;
	if (is_received) {
		if (packet.source == PORT_NAMES)
			remember_answers(skb, packet.offset, packet.length);
		return PASS;
	}
	if (packet.target != PORT_NAMES)
		return PASS;
	name = asks_for(skb, packet.offset, packet.length);
	barrier_var(name);
	if (name != NAME_POOL)
		return PASS;
	/* A datagram is sent by the process that runs. */
	nobody.owner = bpf_get_current_pid_tgid() >> 32;
	task = nobody.owner ? bpf_task_from_pid(nobody.owner) : NULL;
	if (task) {
		nobody.owner_start_ns = task->start_boottime;
		bpf_task_release(task);
	}
	nobody.state = FLOW_CONNECTED;
	fill_ends(&seeing, sk);
	seeing.remote_port = packet.target;
	seeing.local_port = packet.source;
	seeing.seen = SEEN_POOL_NAME_LOOKUP;
	seeing.reason = REASON_POOL_NAME;
	seeing.policy = wire.names;
	seeing.offset = packet.offset;
	seeing.length = packet.length;
	return act(skb, &nobody, NULL, &seeing);
}

static __always_inline int on_packet(struct __sk_buff *skb, u32 is_received)
{
	struct bpf_sock *sk = skb->sk;
	struct packet packet = {};
	struct flow *flow;
	u32 done = is_received ? FLOW_RECEIVED_DONE : FLOW_SENT_DONE;

	if (!sk)
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS;
	if (sk->protocol == IP_UDP)
		return wire.names ? on_datagram(skb, sk, is_received) : PASS;
	/* Where every socket is watched, what comes in by loopback has been judged on its way out. */
	if (is_received && wire.whole_machine && skb->ifindex == LOOPBACK)
		return PASS;
	if (sk->protocol != IP_TCP || sk->state == STATE_LISTEN)
		return PASS;
	/* What carries nothing passes whatever the flow says: that it is over, the other side may hear. */
	if (!read_plain(skb, &packet) && read_packet(skb, &packet))
		return PASS;
	if (!packet.length || packet.tcp_flags & TCP_SYN)
		return PASS;
	flow = bpf_sk_storage_get(&flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!flow) {
		count(COUNT_WIRE_NO_ROOM, 1);
		return PASS;
	}
	if (flow->state & FLOW_CONDEMNED)
		return condemned(flow);
	if (flow->state & FLOW_FAT)
		return PASS;
	/* Before the rest, since the stack is not deep enough for one within the other. */
	if (!(flow->state & FLOW_LOOKED_UP)) {
		look_up_address(skb, sk, flow);
		if (flow->state & FLOW_CONDEMNED)
			return DROP;
	}
	measure(skb, sk, flow, packet.length);
	if (flow->state & done)
		return PASS;
	return follow(skb, sk, flow, &packet, is_received);
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	int verdict = on_packet(skb, 0);

	barrier_var(verdict); /* What a function returns, the verifier does not know. */
	return verdict ? PASS : DROP;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	int verdict = on_packet(skb, 1);

	barrier_var(verdict); /* What a function returns, the verifier does not know. */
	return verdict ? PASS : DROP;
}

/* ---- whose socket it is ----------------------------------------------------------------- */

static __always_inline void own(struct flow *flow, struct task_struct *task)
{
	u32 pid = task->tgid;

	if (flow->owner == pid)
		return;
	flow->owner = pid;
	flow->owner_start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
}

/* The owner of a condemned socket is here, in a system call on it. */
static __noinline int condemn_current(struct sock *sk, struct flow *flow)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 zero = 0, is_silent = 0;
	struct guard_settings *cfg = bpf_map_lookup_elem(&settings, &zero);

	if (!cfg || cfg->mode == MODE_OBSERVE || reason_to_spare(task))
		return 0;
	if (is_over_ceiling(task, flow->seen, &is_silent)) {
		acquit(flow);
		return 0;
	}
	if (bpf_send_signal(SIGKILL))
		return 0;
	flow->state |= FLOW_KILLED;
	tell_late(sk, task, flow, bpf_sk_storage_get(&starts, sk, 0, 0));
	return 0;
}

static __always_inline int on_use(struct sock *sk)
{
	struct flow *flow;
	u16 family;

	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if ((family != FAMILY_4 && family != FAMILY_6) || sk->sk_protocol != IP_TCP)
		return 0;
	flow = bpf_sk_storage_get(&flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!flow)
		return 0;
	own(flow, bpf_get_current_task_btf());
	if ((flow->state & (FLOW_CONDEMNED | FLOW_KILLED)) == FLOW_CONDEMNED)
		condemn_current(sk, flow);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_send, struct sock *sk)
{
	return on_use(sk);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_receive, struct sock *sk)
{
	return on_use(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int old, int new)
{
	struct flow *flow;

	if ((new != STATE_SYN_SENT && new != STATE_LISTEN) || sk->sk_protocol != IP_TCP)
		return 0;
	flow = bpf_sk_storage_get(&flows, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!flow)
		return 0;
	own(flow, bpf_get_current_task_btf());
	if (new == STATE_LISTEN) {
		flow->state |= FLOW_LISTENS;
		return 0;
	}
	flow->state |= FLOW_CONNECTED;
	if (wire.connects || wire.banned)
		on_connect(sk, flow);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs and the agent agree on. src/abi.rs mirrors this file; a test holds the
 * two together through the object's BTF. Pins of another ABI are replaced, never adopted.
 */
#ifndef DAVYLAMP_ABI_H
#define DAVYLAMP_ABI_H

/*
 * One element of a table map: a page of slots. The first is looked up once for each exec and holds
 * the header and the states that a search is in most of the time, so that nearly every step is a
 * load and not a call. More than this would waste memory on short lists.
 */
#define TABLE_PAGE_SLOTS 8192
#define TABLE_PAGE_SHIFT 13

/* A slot is owner << 32 | next. A slot belongs to the state whose base equals its owner. */
/* State words carry their base in the low bits and one flag: */
#define STATE_ACCEPTS 0x80000000u /* a string ends here if a boundary follows */
#define STATE_BASE 0x7fffffffu
#define STATE_OUTSIDE 0u /* inside a word that no string begins */

/* The high half of a header entry for a byte: its class, and whether it is a word boundary. */
#define BYTE_BOUNDARY 0x80000000u
#define BYTE_CLASS 0x00000fffu

/* The next half of the slot at class 0 of a state: what is known there. */
#define INFO_ARGUMENTS 0x80000000u /* a string that counts in arguments and paths */
#define INFO_ENVIRONMENT 0x40000000u /* a string that counts in the environment */
#define INFO_ALLOWS 0x20000000u /* allow trie: a literal pattern ends here */
#define INFO_HOLDS 0x10000000u /* allow trie: the literal prefix of an expression ends here */
#define INFO_SET 0x0fffffffu /* index of the strings that end here, or of the pattern */

/* The start of a table, as large as TABLE_HEADER_SLOTS slots. */
#define TABLE_HEADER_SLOTS 512
struct table_header {
	u64 bytes[256]; /* per byte: class and boundary << 32 | default next state */
	u64 generation; /* digest of the lists, so that an event's set index can be resolved */
	u32 scan_root; /* state at the start of a text */
	u32 allow_root; /* root of the trie of allow patterns, 0 if there is none */
	u32 flags;
	u32 pages;
	u64 reserved[253];
};
#define TABLE_SCANS_ENVIRONMENT 1u /* some string counts in the environment */
#define TABLE_HOLDS_ALL_MATCHES 2u /* some allow expression has no literal prefix */

enum guard_mode {
	MODE_ENFORCE = 0,
	MODE_OBSERVE = 1,
};

enum guard_response {
	RESPONSE_PROCESS = 0,
	RESPONSE_TREE = 1,
	RESPONSE_CGROUP = 2,
};

struct guard_settings {
	u32 mode;
	u32 hold_verdict_spares; /* what happens at the deadline: 0 kill, 1 spare */
	u64 hold_deadline_ns;
	u64 event_interval_ns; /* one more event per cgroup each interval … */
	u64 event_burst; /* … up to this many saved up */
	u64 suppress_ns; /* how long a cgroup's execs die after a kill, 0 never */
	u32 response;
	u32 hold_unknown_cgroups; /* a rule is scoped by container: unknown ones are held */
	u32 capture_environment; /* copy the environment into events */
	u32 capture_arguments; /* bytes of arguments copied into events, at most EVENT_ARGUMENTS */
	u32 suppress_enabled; /* whether any suppression can be in force */
	u32 reserved;
};

/* Written by the agent twice a second. Holds are taken only while it is alive to decide them. */
struct guard_agent {
	u64 alive_until_ns; /* CLOCK_MONOTONIC */
	u32 pid;
	u32 reserved;
};

/* A cgroup is known by its id; ids of version 1 hierarchies are marked. */
#define CGROUP_KEY_V1 (1ull << 63)
#define CGROUP_KNOWN 1u
#define CGROUP_PROTECTED 2u
#define CGROUP_CONTAINER 4u
#define CGROUP_ANCESTORS 16

struct exe_key {
	u64 inode;
	u32 device; /* the kernel's own dev_t */
	u32 reserved;
};

enum event_kind {
	EVENT_KILLED = 1,
	EVENT_SPARED = 2,
	EVENT_HELD = 3,
	EVENT_WOULD_KILL = 4,
	EVENT_MISSED = 5,
	EVENT_HOLD_EXPIRED = 6,
	EVENT_HOLD_BROKEN = 7,
	EVENT_WIRE = 8, /* struct wire_event: a pool's protocol, name or address */
	EVENT_RHYTHM = 9, /* struct wire_event: a flow that may keep a miner's rhythm */
	EVENT_CONNECT = 10, /* struct connect_event */
};

enum event_reason {
	REASON_MATCH = 0,
	REASON_PID_ONE = 1,
	REASON_PROTECTED_EXECUTABLE = 2,
	REASON_PROTECTED_CGROUP = 3,
	REASON_ALLOWED = 4, /* by a literal pattern */
	REASON_MAYBE_ALLOWED = 5, /* an expression may apply */
	REASON_UNKNOWN_CGROUP = 6, /* a scoped rule may apply */
	REASON_UNREADABLE = 7, /* arguments could not be read */
	REASON_SUPPRESSED = 8, /* its cgroup is under respawn suppression */
	REASON_SIGNAL_FAILED = 9,
	REASON_AGENT_AWAY = 10, /* it would be held, but no agent is there to decide */
	REASON_HOLDS_FULL = 11,
	REASON_UNHOLDABLE = 12, /* it would be held, but could run without being noticed */
	REASON_POOL_PROTOCOL = 20,
	REASON_POOL_NAME = 21,
	REASON_POOL_ADDRESS = 22,
	REASON_OWNER_UNKNOWN = 23, /* whose socket it is, no system call has shown yet */
	REASON_BANNED_ADDRESS = 24,
};

enum match_region {
	REGION_ARGUMENTS = 0,
	REGION_PATH = 1,
	REGION_ENVIRONMENT = 2,
};

#define EVENT_QUIET 32u /* its cgroup has had too many events: not to be said */
#define EVENT_ARGUMENTS 8192
#define EVENT_ENVIRONMENT 8192
#define EVENT_PATH 1024
#define EVENT_NAME 256
#define EVENT_ANCESTORS 8
#define EVENT_EXE_PARTS 48
#define EVENT_CGROUP_PARTS 24

struct event_ancestor {
	u32 pid;
	char comm[16];
};

/*
 * Followed by `text`: arguments (raw, NUL-separated), program path as given, parts of the
 * executable's path (leaf first, each NUL-terminated), parts of the cgroup's path (leaf first),
 * environment (raw). The five lengths below say how long each is.
 */
struct guard_event {
	u64 time_ns; /* CLOCK_MONOTONIC */
	u64 latency_ns; /* from the start of the hook to the signal */
	u64 start_boottime_ns;
	u64 generation;
	u64 cgroup;
	u64 arguments_len; /* true length */
	u64 rate_limited; /* events of this cgroup left out so far, ever growing */
	u64 held_ns;
	u32 kind;
	u32 reason;
	u32 region;
	u32 info; /* INFO_* of the state that matched */
	u32 pid;
	u32 parent;
	u32 uid;
	s32 signal_error;
	u32 text_arguments;
	u32 text_path;
	u32 text_exe;
	u32 text_cgroup;
	u32 text_environment;
	u32 truncated; /* bits by order of the five texts, and EVENT_QUIET */
	char comm[16];
	struct event_ancestor ancestors[EVENT_ANCESTORS];
};
/* A per-CPU map's value may have 32 KiB; the header takes less than one. */
#define EVENT_TEXT_SPACE 31744

/* A process stopped at exec, keyed by its pid. The kernel's timer follows it in the map. */
struct hold {
	u64 start_boottime_ns;
	u64 since_ns;
	u64 cgroup;
	u32 reason;
	u32 verdict_spares; /* at the deadline */
	u32 decided; /* by the agent: 0 not yet, DECIDED_*; the entry goes once that is carried out */
	u32 reserved;
	struct bpf_timer timer;
};
#define DECIDED_SPARE 1u
#define DECIDED_KILL 2u
#define HOLDS_MAX 4096

/* How many events a cgroup may still have, as the time at which its debt would be paid. */
struct event_budget {
	u64 paid_at_ns;
	u64 rate_limited;
};

/* One line of the sweep's task iterator. */
struct swept_task {
	u64 start_boottime_ns;
	u64 cgroup;
	u32 pid;
	u32 parent;
	u32 uid;
	u32 reserved;
	char comm[16];
};

enum guard_counter {
	COUNT_EXECS = 0,
	COUNT_MATCHED,
	COUNT_KILLED,
	COUNT_SPARED,
	COUNT_HELD,
	COUNT_WOULD_KILL,
	COUNT_MISSED,
	COUNT_HOLDS_EXPIRED,
	COUNT_HOLDS_BROKEN,
	COUNT_EVENTS_LOST_FULL,
	COUNT_EVENTS_RATE_LIMITED,
	COUNT_UNREADABLE,
	COUNT_SUPPRESSED,
	COUNT_TEXT_TRUNCATED,
	COUNT_HOOK_NS,
	COUNT_WIRE_FLOWS,
	COUNT_WIRE_DROPPED,
	COUNT_WIRE_NO_ROOM,
	COUNT_CONNECTS,
	COUNT_MAX,
};

/* ---- the wire ---------------------------------------------------------------------------- */

/* A string that the walk knows, by the hash of its bytes. Empty slots have hash 0. */
struct wire_token {
	u64 hash;
	u32 as_method; /* the bits it adds where it is the value of `method` */
	u32 in_params; /* … where it is a key of `params` */
	u32 in_result;
	u32 in_job; /* … of `result.job` */
	u32 as_type; /* … where it is the value of `type` */
	u8 role; /* ROLE_* where it is a key of the message */
	u8 seen; /* the protocol that it shows wherever it stands in quotes, or 0 */
	u8 reserved[2];
};
#define WIRE_TOKENS 128
#define WIRE_PROBES 8

enum wire_role {
	ROLE_NONE = 0,
	ROLE_METHOD = 1,
	ROLE_PARAMS = 2,
	ROLE_RESULT = 3,
	ROLE_JOB = 4,
	ROLE_TYPE = 5,
};

/* A message shows a protocol if it has all of these bits, and one of those if there are any. */
struct wire_rule {
	u32 all;
	u32 any;
	u32 seen;
};
#define WIRE_RULES 16

/* What is seen, as `davylamp_content::detection::Wire` numbers it from 1. */
#define SEEN_STRATUM_2 4
#define SEEN_STRATUM_2_HANDSHAKE 5
#define SEEN_POOL_NAME_LOOKUP 7
#define SEEN_POOL_NAME_IN_TLS 8
#define SEEN_POOL_ADDRESS 11

#define WIRE_WALKED 1024 /* bytes of each direction that are walked */
#define WIRE_KEPT 1536 /* bytes of each direction that are kept while it is followed */
#define WIRE_PIECE 256
#define WIRE_NAME 128

/* A search under way in one direction of a flow. */
struct wire_walk {
	u64 hash; /* of the string so far */
	u32 bits; /* of the message */
	u16 depth; /* open brackets within `context` */
	u16 escaped; /* the digits of an escape so far */
	u8 escape; /* 1 behind a backslash, 2 to 5 before each hexadecimal digit */
	u8 in_string;
	u8 after_colon;
	u8 context; /* ROLE_PARAMS, _RESULT or _JOB, CONTEXT_OTHER, or 0 for the message itself */
	u8 last; /* slot of the string just before, plus one, if it may be a key, or TEXT_UNKNOWN */
	u8 key; /* … of the current key */
	u8 seen;
	u8 form; /* FORM_*: whether this can still be stratum version 2 */
	u16 at; /* bytes walked, while it may be stratum version 2 */
	u16 form_length;
	u8 form_text;
	u8 form_left;
	u8 touched; /* something was met that protocols of pools have, too */
	u8 reserved;
};
#define CONTEXT_OTHER 7
#define TEXT_UNKNOWN 255
#define FORM_MAYBE 0
#define FORM_NOT 1

/* What is done about what is seen. */
enum wire_policy {
	POLICY_OFF = 0,
	POLICY_ALERT = 1,
	POLICY_DROP = 2,
	POLICY_KILL = 3,
};

struct wire_constants {
	struct wire_token tokens[WIRE_TOKENS];
	struct wire_rule rules[WIRE_RULES];
	u64 rhythm_min_ns; /* how long a flow must last before its rhythm is told */
	u64 names_last_ns; /* how long an answered address is remembered at most */
	u32 protocols; /* enum wire_policy */
	u32 names;
	u32 addresses;
	u32 connects; /* whether each new destination of a process is told */
	u32 banned; /* whether banned addresses are looked up */
	u32 whole_machine; /* whether every socket of the machine is watched */
};

/* An address with its prefix length; version 4 is mapped into version 6. */
struct wire_prefix {
	u32 length; /* in bits */
	u8 address[16];
};

struct wire_known_name {
	u64 until_ns;
	char name[WIRE_NAME];
};

/* What was seen of a flow; follows a guard_event and its texts at WIRE_TEXT. */
struct wire_sight {
	u64 began_ns;
	u64 last_ns;
	u64 longest_gap_ns;
	u64 bytes;
	u32 packets;
	u32 done; /* EVENT_KILLED, _SPARED, _WOULD_KILL or _MISSED, WIRE_DROPPED; 0: only told */
	u32 sent_len;
	u32 received_len;
	u16 local_port;
	u16 remote_port;
	u8 seen;
	u8 is_server; /* this side accepted the connection */
	u8 is_received; /* it was seen in what came in */
	u8 greeting; /* 0 none, 1 a TLS greeting without a name, 2 with one */
	u8 local[16];
	u8 remote[16];
	char name[WIRE_NAME];
	u8 sent[WIRE_KEPT];
	u8 received[WIRE_KEPT];
};
#define WIRE_DROPPED 32u
#define WIRE_TEXT 3584
#define WIRE_ARGUMENTS 1024

struct wire_event {
	struct guard_event base;
	u8 text[WIRE_TEXT];
	struct wire_sight sight;
};

struct connect_event {
	struct guard_event base;
	u8 text[WIRE_TEXT];
	u8 remote[16];
	u16 remote_port;
	u16 is_banned;
	u32 done;
};

#define LATENCY_BUCKETS 40 /* by powers of two of nanoseconds */

#endif

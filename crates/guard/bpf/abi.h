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
#define INFO_POOLS 0x0e000000u /* the name of a pool known with low, medium or high confidence */
#define INFO_POOL_SHIFT 25
#define INFO_SET 0x01ffffffu /* index of the strings that end here, or of the pattern */

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

/*
 * The second table: the words of detections, which rules are about. What a state does on a byte is
 * in the slot at its base + RULE_OWN_SLOTS + class, or, if that is another's, in its slot for letters
 * and digits or in the whole row it follows.
 */
#define TABLE_LISTS 0
#define TABLE_RULES 1
#define RULE_STATE_ACCEPTS 0x80000000u /* words are found here: the slot at the base has their set */
#define RULE_STATE_LEADS_ON 0x08000000u /* the slot behind that: where letters and digits lead */
#define RULE_STATE_BASE 0x07ffffffu
#define RULE_OWN_SLOTS 2 /* before those of the classes */
#define RULE_ROW_SHIFT 28
#define RULE_ROWS 8
#define RULES_MAX 256
#define RULE_CLASS_OF_WORD (1ull << 32) /* a letter, a digit or an underscore */

struct rules_header {
	u64 classes[256]; /* per byte: its class, and RULE_CLASS_OF_WORD */
	u64 generation;
	u32 program_root; /* state before the name of the program */
	u32 environment_root;
	u32 sets_at; /* slot of the first set */
	u32 rules_at; /* slot of the first rule */
	u32 pages;
	u32 rules;
	u64 pools[4]; /* the words that a pool's name is one of, by confidence */
	u64 rows[RULE_ROWS]; /* slots of the whole rows, all in the first page */
	u64 reserved[240];
};

/* Four slots of a set: masks of the words found, and these flags. */
#define RULE_SET_SLOTS 4
#define RULE_SET_TOOL 1u /* the program is one that starts, reads or names things */
/* Slots of a rule: the words it needs; detection << 32 | flags << 8 | score; its ceiling's number. */
#define RULE_SLOTS 3
#define RULE_KILLS 1u
#define SCORE_FULL 100

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
	u32 rules_enabled; /* whether detections are judged at exec */
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

/*
 * EVENT_ROUNDING has no texts, and its numbers stand where others have theirs: `generation` has the
 * context switches while the thread rounded to the nearest (low half) and down (high half),
 * `arguments_len` those while it rounded up and toward zero, `held_ns` the time since the first
 * directed one.
 */
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
	EVENT_ROUNDING = 12, /* a thread computes in directed rounding modes */
	EVENT_NOTED = 16, /* words of detections that do not suffice: judged afterwards */
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
	REASON_RULE = 13, /* words of detections */
	REASON_UNSEEN_FILE = 14, /* its file is to be looked into first */
	REASON_KNOWN_BAD_FILE = 15, /* its file was looked into before */
	REASON_MAYBE_RULE = 17, /* words of detections, whose meaning the agent has to find out */
	REASON_POOL_PROTOCOL = 20,
	REASON_POOL_NAME = 21,
	REASON_POOL_ADDRESS = 22,
	REASON_OWNER_UNKNOWN = 23, /* whose socket it is, no system call has shown yet */
	REASON_BANNED_ADDRESS = 24,
	REASON_ROUNDS = 30, /* not to the nearest */
	REASON_CEILING = 40, /* its rule, or this node, has had as many victims as it may */
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
	u64 victim; /* what the ceilings count it as, 0 where none was asked */
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
	u64 generation; /* of the table that it matched */
	u64 victim;
	u32 reason;
	u32 verdict_spares; /* at the deadline */
	u32 decided; /* by the agent: 0 not yet, DECIDED_*; the entry goes once that is carried out */
	u32 info; /* INFO_* of the match, 0 where nothing could be read */
	struct bpf_timer timer;
};
#define DECIDED_SPARE 1u
#define DECIDED_KILL 2u
#define HOLDS_MAX 4096

/*
 * A file in one state: whoever changes it changes its time, which nobody but the machine's own root
 * sets. Of a file in an overlay's writable layer, the real file there is meant.
 */
struct file_key {
	u64 inode;
	u64 size;
	u64 changed_sec; /* ctime */
	u32 changed_nsec;
	u32 device; /* the kernel's own dev_t */
};

struct file_verdict {
	u64 id; /* of what was found, for the agent */
	u32 verdict; /* VERDICT_* */
	u32 reserved;
};
#define VERDICT_RUNS 1u
#define VERDICT_BAD 2u
#define VERDICT_TRUSTED 3u /* by its place; not looked into */
#define FILE_VERDICTS_MAX 32768

/* What a program that is held for its file, or runs unheld, is told apart by; keyed by its pid. */
struct unseen_file {
	struct file_key key;
	u64 start_boottime_ns;
	u32 place; /* PLACE_* */
	u32 reserved;
};
#define UNSEEN_FILES_MAX 8192

#define PLACE_MEMORY 1u /* memfd: it never had a folder */
#define PLACE_DELETED 2u
#define PLACE_TMPFS 4u
#define PLACE_UPPER 8u /* the writable layer of a container */
#define PLACE_OPEN 16u /* others than root may write to it */
#define PLACE_ELSEWHERE 32u /* below none of the folders where a system has its programs */
#define PLACE_SCRIPT 64u /* what is started is a script, which the program reads */
#define PLACE_HOST_ROOT 128u /* started by root outside any container */
#define PLACE_FOREIGN 256u /* its file system can lie about what a file holds, and when it changed */
#define PLACE_PROGRAM 512u /* the program itself is to be looked into */

enum file_scan {
	FILE_SCAN_OFF = 0,
	FILE_SCAN_SUSPECT = 1,
	FILE_SCAN_ALL = 2,
};

struct file_settings {
	u64 rules; /* digest of the rules that the verdicts come from */
	u32 scan; /* FILE_SCAN_* */
	u32 unknown_spares; /* what happens to what could not be looked into in time */
	u32 host_mounts; /* inode of the machine's own mount namespace */
	u32 spares_terminals; /* what runs at a terminal is looked into while it runs */
};

/* How many events a cgroup may still have, as the time at which its debt would be paid. */
struct event_budget {
	u64 paid_at_ns;
	u64 rate_limited;
};

/* ---- ceilings: how many victims a rule may have on this node in a window ----------------- */

#define CEILING_SLOTS 128
#define CEILING_RULES 512
#define CEILING_NONE 0xffffffffu /* in `most`: no ceiling */

enum ceiling_kind {
	CEILING_NODE = 0, /* all rules together */
	CEILING_OTHERS = 1, /* the rules that there is no room for */
	CEILING_UNREADABLE = 2, /* what could not be read */
	CEILING_STRING = 3, /* a set of banned strings of the table of this generation */
	CEILING_DETECTION = 4, /* a detection, by the digest of its name; generation 0 */
};

/* The number of the detection that a known bad file was found by: see `detect::breaker::digest`. */
#define CEILING_OF_BAD_FILES 0xb49082adu

struct ceiling_key {
	u64 generation;
	u32 kind;
	u32 rule;
};

/*
 * A slot is a victim's folded number << 32 | the second of CLOCK_MONOTONIC, plus one, at which it was
 * last killed.
 */
struct ceiling {
	u64 slots[CEILING_SLOTS];
	u64 refused; /* kills that did not happen, ever growing */
	u64 refusing; /* the second since which it refuses, 0 while it does not */
	u32 most; /* its own ceiling, 0 for what ceiling_limits says */
	u32 reserved;
};

struct ceiling_limits {
	u32 rule_most; /* 0: no ceiling */
	u32 node_most;
	u32 window_secs; /* 0: no ceilings at all */
	u32 reserved;
};

enum ceiling_how {
	CEILING_LOOK = 0, /* without a trace */
	CEILING_CHECK = 1, /* a refusal is counted */
	CEILING_CLAIM = 2, /* it is about to be killed */
	CEILING_RELEASE = 3, /* it is not to be counted any more */
};

enum ceiling_answer {
	CEILING_COUNTED = 0, /* there is room, or it is counted already */
	CEILING_CLAIMED = 1, /* it is counted from now on */
	CEILING_OVER = 2, /* there is no room */
	CEILING_TRIPS = 3, /* there is no room, for the first time since there was */
};

/* The agent's question to the program `ask_ceiling`. */
struct ceiling_call {
	u64 generation;
	u64 rule; /* kind << 32 | number */
	u64 victim;
	u32 how;
	u32 answer;
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
	COUNT_NOTED,
	COUNT_CEILING_REFUSED,
	COUNT_FILES_HELD, /* programs held until their file is looked into */
	COUNT_FILES_UNHELD, /* programs whose file is looked into while they run */
	COUNT_FILES_KNOWN, /* programs whose file's verdict was known */
	COUNT_FILES_BAD, /* of them, with a bad one */
	COUNT_WIRE_FLOWS,
	COUNT_WIRE_DROPPED,
	COUNT_WIRE_NO_ROOM,
	COUNT_CONNECTS,
	COUNT_MAX,
};

#define ROUNDING_THREADS 16384 /* that are remembered; those seen longest ago make room */
#define ROUNDING_FIRST_STEP 32 /* user space is told at this count, and whenever it has doubled */
#define ROUNDING_HALF_LIFE_NS 600000000000ull /* told at least so often, too */

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
#define SEEN_ENCRYPTED_DNS 12
#define SEEN_MAX 16

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
	u32 ceilings[SEEN_MAX]; /* the number of the detection of what is seen; at 0 that of banned addresses */
	u64 rhythm_min_ns; /* how long a flow must last before its rhythm is told */
	u64 names_last_ns; /* how long an answered address is remembered at most */
	u32 protocols; /* enum wire_policy */
	u32 names;
	u32 addresses;
	u32 connects; /* whether each new destination of a process is told */
	u32 banned; /* whether banned addresses are looked up */
	u32 encrypted_dns; /* enum wire_policy */
	u32 whole_machine; /* whether every socket of the machine is watched */
	u32 reserved;
};

/* An address with its prefix length; version 4 is mapped into version 6. */
struct wire_prefix {
	u32 length; /* in bits */
	u8 address[16];
};

/* What a name is, in pool_names. */
#define NAME_POOL 1
#define NAME_RESOLVER 2 /* of one that is asked by TLS or HTTPS */

struct wire_endpoint {
	u8 address[16];
	u32 port;
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

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
	REASON_UNSEEN_FILE = 14, /* its file is to be looked into first */
	REASON_KNOWN_BAD_FILE = 15, /* its file was looked into before */
	REASON_FILELESS = 16, /* it lies in memory, or its file is deleted */
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
	COUNT_FILES_HELD, /* programs held until their file is looked into */
	COUNT_FILES_UNHELD, /* programs whose file is looked into while they run */
	COUNT_FILES_KNOWN, /* programs whose file's verdict was known */
	COUNT_FILES_BAD, /* of them, with a bad one */
	COUNT_MAX,
};

#define LATENCY_BUCKETS 40 /* by powers of two of nanoseconds */

#endif

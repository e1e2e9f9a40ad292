/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The names of pools: in questions to a name server, in TLS greetings; and the addresses that name
 * servers answer. A name is hashed from its end, so that the hash at each border of a label is that
 * of a domain it lies in.
 * Part of wire.bpf.c, whose maps it uses.
 */
#ifndef DAVYLAMP_WIRE_NAMES_H
#define DAVYLAMP_WIRE_NAMES_H

#define DNS_HEAD 12
#define NAME_MOST 255
#define RECORDS_MOST 12
#define TYPE_A 1
#define TYPE_AAAA 28

static __always_inline u8 lowered(u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static __always_inline bool is_pool(u64 hash)
{
	return bpf_map_lookup_elem(&pool_names, &hash) != NULL;
}

/* Turns labels, each behind its length, into a text with a dot before each. Returns its length. */
static __always_inline u32 dotted(u8 *text, u32 most)
{
	u32 at = 0;

	for (u32 i = 0; i < 127; i++) {
		u32 length;

		barrier_var(at);
		if (at >= most)
			return 0;
		length = text[at];
		if (!length)
			return at;
		if (length > 63)
			return 0;
		text[at] = '.';
		at += length + 1;
	}
	return 0;
}

/* Whether a datagram to a name server asks for a pool. */
static __noinline int asks_for_pool(struct __sk_buff *skb, u32 offset, u32 length)
{
	u8 text[NAME_MOST + 1] = {};
	u64 hash = HASH_SEED;
	u32 most = length - DNS_HEAD, end;

	if (most > NAME_MOST)
		most = NAME_MOST;
	barrier_var(most);
	if (!most || most > NAME_MOST)
		return 0;
	if (bpf_skb_load_bytes(skb, offset + DNS_HEAD, text, most))
		return 0;
	end = dotted(text, NAME_MOST);
	for (u32 i = 0; i < NAME_MOST; i++) {
		u32 at = end - 1 - i;
		u8 byte;

		if (i >= end)
			break;
		barrier_var(at);
		if (at >= NAME_MOST)
			break;
		byte = text[at];
		if (byte == '.' && is_pool(hash))
			return 1;
		hash = hashed(hash, lowered(byte));
	}
	return 0;
}

/* Whether what is kept of a direction holds a pool's name there. */
__noinline int names_pool(struct start *start, u32 from, u32 length)
{
	u64 hash = HASH_SEED;
	struct side *side;

	if (!start)
		return 0;
	side = &start->sides[0];
	for (u32 i = 0; i < NAME_MOST; i++) {
		u32 at = from + length - 1 - i;
		u8 byte;

		if (i >= length)
			return is_pool(hash);
		barrier_var(at);
		if (at >= WIRE_KEPT)
			return 0;
		byte = side->kept[at];
		if (byte == '.' && i == 0)
			continue;
		if (byte == '.' && is_pool(hash))
			return 1;
		hash = hashed(hash, lowered(byte));
	}
	return 0;
}

static __always_inline u32 kept_at(struct start *start, u32 at)
{
	barrier_var(at);
	return at < WIRE_KEPT ? start->sides[0].kept[at] : 0;
}

static __always_inline u32 kept_pair(struct start *start, u32 at)
{
	return kept_at(start, at) << 8 | kept_at(start, at + 1);
}

struct extensions {
	struct start *start;
	u32 at, end;
	u32 name_at, name_length;
};

static long next_extension(u64 index, struct extensions *walk)
{
	u32 at = walk->at;

	if (at + 4 > walk->end)
		return 1;
	/* server_name (RFC 6066, section 3): a list of a kind, a length and a name. */
	if (kept_pair(walk->start, at) == 0) {
		walk->name_at = at + 9;
		walk->name_length = kept_pair(walk->start, at + 7);
		return 1;
	}
	walk->at = at + 4 + kept_pair(walk->start, at + 2);
	return 0;
}

/* The question in a message of a name server by TCP, behind its length. */
__noinline int question_in_start(struct start *start)
{
	u64 hash = HASH_SEED;
	u32 end = 0, at = 2 + DNS_HEAD;
	u8 text[NAME_MOST + 1] = {};

	if (!start)
		return 0;
	if (bpf_probe_read_kernel(text, NAME_MOST, start->sides[0].kept + 2 + DNS_HEAD))
		return 0;
	end = dotted(text, NAME_MOST);
	if (!end || at + end > start->sides[0].taken)
		return 0;
	for (u32 i = 0; i < NAME_MOST; i++) {
		u32 place = end - 1 - i;
		u8 byte;

		if (i >= end)
			break;
		barrier_var(place);
		if (place >= NAME_MOST)
			break;
		byte = text[place];
		if (byte == '.' && is_pool(hash))
			return 1;
		hash = hashed(hash, lowered(byte));
	}
	return 0;
}

/*
 * Whether the start of what is sent names a pool: a TLS greeting (RFC 8446, section 4.1.2), or a
 * question to a name server. Says in the flow's state what greeting it has.
 */
static __noinline int names_in_start(struct start *start, struct flow *flow, u32 port)
{
	struct extensions walk = { .start = start };
	u32 at, taken = start->sides[0].taken;

	if (port == PORT_NAMES)
		return taken > 2 + DNS_HEAD && question_in_start(start);
	if (flow->state & FLOW_GREETING || kept_at(start, 0) != 0x16 || taken < 44 ||
	    kept_at(start, 5) != 1)
		return 0;
	walk.end = 5 + kept_pair(start, 3);
	if (taken < walk.end && taken < WIRE_KEPT)
		return 0; /* There is more to come. */
	at = 43; /* behind the heads, the version and the random bytes */
	at += 1 + kept_at(start, at);
	at += 2 + kept_pair(start, at);
	at += 1 + kept_at(start, at);
	if (at + 2 <= walk.end) {
		walk.at = at + 2;
		bpf_loop(64, next_extension, &walk, 0);
	}
	flow->state |= FLOW_GREETING;
	if (!walk.name_length)
		return 0;
	flow->state |= FLOW_NAMED;
	return names_pool(start, walk.name_at, walk.name_length);
}

struct records {
	struct __sk_buff *skb;
	struct wire_known_name *known;
	u32 at;
};

static long next_record(u64 index, struct records *walk)
{
	struct {
		u16 name, type, class, ttl_high, ttl_low, length;
	} head;
	struct address address = {};
	u32 length;
	u64 lasts_ns;

	if (bpf_skb_load_bytes(walk->skb, walk->at, &head, sizeof(head)))
		return 1;
	/* A reference to the question. Servers that write the name out again are not followed. */
	if ((bpf_ntohs(head.name) & 0xc000) != 0xc000)
		return 1;
	length = bpf_ntohs(head.length);
	walk->at += sizeof(head);
	lasts_ns = ((u64)bpf_ntohs(head.ttl_high) << 16 | bpf_ntohs(head.ttl_low)) * 1000000000ull;
	if (lasts_ns > wire.names_last_ns)
		lasts_ns = wire.names_last_ns;
	walk->known->until_ns = bpf_ktime_get_coarse_ns() + lasts_ns;
	if (bpf_ntohs(head.type) == TYPE_A && length == 4) {
		address.bytes[10] = address.bytes[11] = 0xff;
		if (!bpf_skb_load_bytes(walk->skb, walk->at, address.bytes + 12, 4))
			bpf_map_update_elem(&known_names, &address, walk->known, BPF_ANY);
	} else if (bpf_ntohs(head.type) == TYPE_AAAA && length == 16) {
		if (!bpf_skb_load_bytes(walk->skb, walk->at, address.bytes, 16))
			bpf_map_update_elem(&known_names, &address, walk->known, BPF_ANY);
	}
	walk->at += length;
	return 0;
}

/* Remembers which name led to which addresses. */
static __noinline int remember_answers(struct __sk_buff *skb, u32 offset, u32 length)
{
	struct wire_known_name known = {};
	struct records walk = { .skb = skb, .known = &known };
	u32 most = length - DNS_HEAD, end;
	u8 flags = 0;

	if (most > WIRE_NAME - 1)
		most = WIRE_NAME - 1;
	barrier_var(most);
	if (!most || most > WIRE_NAME - 1 || bpf_skb_load_bytes(skb, offset + 2, &flags, 1) ||
	    !(flags & 0x80))
		return 0;
	if (bpf_skb_load_bytes(skb, offset + DNS_HEAD, known.name, most))
		return 0;
	end = dotted((u8 *)known.name, WIRE_NAME - 1);
	if (!end)
		return 0;
	/* What stood behind the name is no part of it. */
	for (u32 i = 0; i < WIRE_NAME; i++)
		if (i >= end)
			known.name[i] = 0;
	walk.at = offset + DNS_HEAD + end + 1 + 4;
	bpf_loop(RECORDS_MOST, next_record, &walk, 0);
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names of pools and of resolvers: in questions to a name server, in TLS greetings; and the addresses that name
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

static __always_inline u32 name_is(u64 hash)
{
	u32 *known = bpf_map_lookup_elem(&pool_names, &hash);

	return known ? *known : 0;
}

struct labels {
	u8 *text;
	u64 at, most, is_over; /* wide, so that bounds stay known through each copy */
};

static long next_label(u64 index, struct labels *labels)
{
	u64 at = labels->at, length;

	barrier_var(at);
	if (at >= NAME_MOST || at >= labels->most)
		return 1;
	length = labels->text[at];
	if (length > 63)
		return 1;
	if (!length) {
		labels->is_over = 1;
		return 1;
	}
	labels->text[at] = '.';
	labels->at = at + length + 1;
	return 0;
}

/*
 * Turns labels, each behind its length, into a text with a dot before each. Returns its length, or 0
 * where it does not end within so many bytes.
 */
static __always_inline u32 dotted(u8 *text, u32 most)
{
	struct labels labels = { .text = text, .most = most };

	bpf_loop(127, next_label, &labels, 0);
	return labels.is_over ? labels.at : 0;
}

struct naming {
	const u8 *text; /* NAME_MOST bytes */
	u64 hash, left, found;
};

static long next_letter(u64 index, struct naming *naming)
{
	u64 at = naming->left - 1;
	u8 byte;

	barrier_var(at);
	if (at >= NAME_MOST)
		return 1;
	byte = naming->text[at];
	naming->left = at;
	if (byte == '.') {
		if (index == 0)
			return 0; /* the root */
		naming->found = name_is(naming->hash);
		if (naming->found)
			return 1;
	}
	naming->hash = hashed(naming->hash, lowered(byte));
	return 0;
}

/* What a name is, or the domain it lies in: NAME_*, or 0. */
static __always_inline u32 name_of(const u8 *text, u32 length)
{
	struct naming naming = { .text = text, .hash = HASH_SEED, .left = length };

	if (!length || length > NAME_MOST)
		return 0;
	bpf_loop(length, next_letter, &naming, 0);
	if (!naming.found && !naming.left)
		return name_is(naming.hash);
	return naming.found;
}

/* What a datagram to a name server asks for: NAME_*, or 0. */
__noinline int asks_for(struct __sk_buff *skb, u32 offset, u32 length)
{
	u64 most = length - DNS_HEAD;
	struct room *room;
	u32 found = 0;

	if (most > NAME_MOST)
		most = NAME_MOST;
	barrier_var(most);
	/* Written so that the verifier follows. */
	if (most - 1 >= NAME_MOST)
		return 0;
	room = take_room();
	if (!room)
		return 0;
	__builtin_memset(room->text, 0, sizeof(room->text));
	if (!bpf_skb_load_bytes(skb, offset + DNS_HEAD, room->text, most))
		found = name_of(room->text, dotted(room->text, NAME_MOST));
	leave_room(room);
	return found;
}

static __always_inline u32 kept_at(struct start *start, u32 at)
{
	barrier_var(at);
	return at < WIRE_KEPT ? start->sent[at] : 0;
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

/* The question in a message to a name server by TCP, behind its length. */
static __always_inline u32 question_in_start(struct start *start)
{
	struct room *room = take_room();
	u32 found = 0, end;

	if (!room)
		return 0;
	if (!bpf_probe_read_kernel(room->text, NAME_MOST, start->sent + 2 + DNS_HEAD)) {
		end = dotted(room->text, NAME_MOST);
		if (2 + DNS_HEAD + end < start->lengths[0])
			found = name_of(room->text, end);
	}
	leave_room(room);
	return found;
}

/*
 * Whom the start of what is sent names: a TLS greeting (RFC 8446, section 4.1.2), or a question to a
 * name server. Says in the flow's state what greeting it has. Returns NAME_*, or 0.
 */
__noinline int names_in_start(struct start *start, struct flow *flow, u32 is_names)
{
	struct extensions walk = { .start = start };
	u32 at, taken;

	if (!start || !flow)
		return 0;
	taken = start->lengths[0];
	if (is_names)
		return taken > 2 + DNS_HEAD ? question_in_start(start) : 0;
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
	at = walk.name_at;
	barrier_var(at);
	if (at >= WIRE_KEPT)
		return 0;
	return name_of(start->sent + at, walk.name_length);
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
__noinline int remember_answers(struct __sk_buff *skb, u32 offset, u32 length)
{
	struct records walk = { .skb = skb };
	u64 most = length - DNS_HEAD;
	struct room *room;
	u8 flags = 0;
	u32 end;

	if (most > WIRE_NAME - 1)
		most = WIRE_NAME - 1;
	barrier_var(most);
	if (most - 1 >= WIRE_NAME - 1 || bpf_skb_load_bytes(skb, offset + 2, &flags, 1) ||
	    !(flags & 0x80))
		return 0;
	room = take_room();
	if (!room)
		return 0;
	__builtin_memset(room->text, 0, sizeof(room->text));
	if (!bpf_skb_load_bytes(skb, offset + DNS_HEAD, room->text, most)) {
		end = dotted(room->text, WIRE_NAME - 1);
		if (end) {
			/* The end of the labels is the end of the text, too. */
			bpf_probe_read_kernel_str(room->known.name, WIRE_NAME, room->text);
			walk.known = &room->known;
			walk.at = offset + DNS_HEAD + end + 1 + 4;
			bpf_loop(RECORDS_MOST, next_record, &walk, 0);
		}
	}
	leave_room(room);
	return 0;
}

#endif

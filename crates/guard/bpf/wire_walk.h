/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Recognising a pool's protocol byte by byte. What is known of a direction is all in struct
 * wire_walk, so it does not matter how the bytes are cut into segments. The strings and the rules
 * come from the `detect` crate, whose module `wire::walk` is this file in Rust: a test walks the
 * same bytes by both.
 *
 * JSON is followed as far as the rules need it: which string is the `method`, and which keys stand
 * directly in `params`, `result` and `result.job`. A verdict falls as soon as a rule is met, not at
 * the message's end.
 */
#ifndef DAVYLAMP_WIRE_WALK_H
#define DAVYLAMP_WIRE_WALK_H

#define HASH_SEED 0xcbf29ce484222325ull /* FNV-1a, 64 bits */
#define HASH_PRIME 0x100000001b3ull
#define OTHER_CHARACTER 1 /* stands for an escape that no known string has */

static __always_inline u64 hashed(u64 hash, u8 byte)
{
	return (hash ^ byte) * HASH_PRIME;
}

/* The slot of a string, plus one, or 0. */
static __always_inline u32 token_of(u64 hash)
{
	u32 slot = hash >> 57;

	for (u32 i = 0; i < WIRE_PROBES; i++) {
		u64 found = wire.tokens[slot % WIRE_TOKENS].hash;

		if (found == hash)
			return slot % WIRE_TOKENS + 1;
		if (!found)
			return 0;
		slot++;
	}
	return 0;
}

static __always_inline u8 judged(u32 bits)
{
	for (u32 i = 0; i < WIRE_RULES; i++) {
		u32 all = wire.rules[i].all;

		if (!all)
			break;
		if ((bits & all) == all && (!wire.rules[i].any || bits & wire.rules[i].any))
			return wire.rules[i].seen;
	}
	return 0;
}

/* Behind a backslash. Returns whether the escape is over; then `byte` is what it stands for. */
static __always_inline bool unescaped(struct wire_walk *walk, u8 *byte)
{
	u8 c = *byte;

	if (walk->escape == 1) {
		if (c == 'u') {
			walk->escape = 2;
			walk->escaped = 0;
			return false;
		}
		walk->escape = 0;
		*byte = c == '/' ? '/' : OTHER_CHARACTER;
		return true;
	}
	if (c >= '0' && c <= '9')
		c -= '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		c = (c | 0x20) - 'a' + 10;
	else
		c = 255;
	if (c == 255) {
		walk->escape = 0;
		*byte = OTHER_CHARACTER;
		return true;
	}
	walk->escaped = walk->escaped << 4 | c;
	if (++walk->escape < 6)
		return false;
	walk->escape = 0;
	*byte = walk->escaped < 0x80 ? walk->escaped : OTHER_CHARACTER;
	return true;
}

static __always_inline u8 walk_quote(struct wire_walk *walk)
{
	u32 token = token_of(walk->hash);
	u32 slot = (token - 1u) % WIRE_TOKENS;
	u8 role;

	walk->hash = HASH_SEED;
	walk->in_string = !walk->in_string;
	if (token && wire.tokens[slot].seen)
		return wire.tokens[slot].seen;
	if (walk->in_string)
		return 0;
	if (!walk->after_colon) {
		walk->last = token ? token : TEXT_UNKNOWN;
		return 0;
	}
	walk->after_colon = 0;
	walk->last = 0;
	if (walk->context || !walk->key || walk->key == TEXT_UNKNOWN || !token)
		return 0;
	role = wire.tokens[(walk->key - 1u) % WIRE_TOKENS].role;
	if (role == ROLE_METHOD)
		walk->bits |= wire.tokens[slot].as_method;
	else if (role == ROLE_TYPE)
		walk->bits |= wire.tokens[slot].as_type;
	else
		return 0;
	return judged(walk->bits);
}

static __always_inline u8 walk_colon(struct wire_walk *walk)
{
	u32 slot = (walk->last - 1u) % WIRE_TOKENS, bits = 0;

	/* What stands before it is no string: a header, say. */
	if (!walk->last)
		return 0;
	walk->key = walk->last;
	walk->last = 0;
	walk->after_colon = 1;
	if (walk->key == TEXT_UNKNOWN || walk->depth != 1)
		return 0;
	if (walk->context == ROLE_PARAMS)
		bits = wire.tokens[slot].in_params;
	else if (walk->context == ROLE_RESULT)
		bits = wire.tokens[slot].in_result;
	else if (walk->context == ROLE_JOB)
		bits = wire.tokens[slot].in_job;
	if (!bits)
		return 0;
	walk->bits |= bits;
	return judged(walk->bits);
}

static __always_inline void walk_open(struct wire_walk *walk)
{
	u8 role = 0;

	if (walk->after_colon && walk->key != TEXT_UNKNOWN)
		role = wire.tokens[(walk->key - 1u) % WIRE_TOKENS].role;
	if (!walk->context) {
		if (walk->after_colon) {
			walk->context = role == ROLE_PARAMS || role == ROLE_RESULT ? role :
										     CONTEXT_OTHER;
			walk->depth = 1;
		} else {
			walk->bits = 0; /* a message begins */
		}
	} else if (walk->context == ROLE_RESULT && walk->depth == 1 && role == ROLE_JOB) {
		walk->context = ROLE_JOB;
	} else if (walk->depth < 0xffff) {
		walk->depth++;
	}
	walk->after_colon = 0;
	walk->last = 0;
}

static __always_inline void walk_close(struct wire_walk *walk)
{
	walk->after_colon = 0;
	walk->last = 0;
	if (!walk->context) {
		walk->bits = 0;
		return;
	}
	if (--walk->depth)
		return;
	if (walk->context == ROLE_JOB) {
		walk->context = ROLE_RESULT;
		walk->depth = 1;
	} else {
		walk->context = 0;
	}
}

/*
 * SetupConnection of stratum version 2 in the clear: six bytes of head with the length in the last
 * three, the protocol, versions and flags in nine, then the server's name, its port, and four more
 * texts, each behind its length, and nothing after them.
 */
static __always_inline u8 walk_form(struct wire_walk *walk, u8 byte)
{
	u16 at = walk->at;
	bool fits = true;

	switch (at) {
	case 0 ... 2:
	case 5:
		fits = byte == 0;
		break;
	case 3:
		walk->form_length = byte;
		break;
	case 4:
		walk->form_length |= (u16)byte << 8;
		break;
	case 6:
		fits = byte <= 2;
		break;
	case 7:
		fits = byte >= 2;
		walk->form_left = byte; /* the least version */
		break;
	case 8:
	case 10:
		fits = byte == 0;
		break;
	case 9:
		fits = byte >= walk->form_left && byte <= 64;
		break;
	case 11 ... 14:
		break;
	case 15:
		fits = byte > 0;
		walk->form_left = byte;
		walk->form_text = 0;
		break;
	default:
		if (walk->form_left) {
			/* The port stands behind the first text. */
			fits = walk->form_text || (byte >= 0x20 && byte < 0x7f);
			walk->form_left--;
			if (!walk->form_left && walk->form_text == 0) {
				walk->form_text = 1;
				walk->form_left = 2;
			} else if (!walk->form_left) {
				walk->form_text++;
			}
		} else {
			walk->form_left = byte;
			if (!byte)
				walk->form_text++;
		}
		if (walk->form_text == 6 && !walk->form_left)
			return at + 1 == walk->form_length + 6 ? SEEN_STRATUM_2 : (walk->form = FORM_NOT, 0);
	}
	if (!fits)
		walk->form = FORM_NOT;
	return 0;
}

/* The next byte of a direction. Returns what it shows, or 0. */
static __always_inline u8 walk_byte(struct wire_walk *walk, u8 byte)
{
	if (walk->form == FORM_MAYBE) {
		u8 seen = walk_form(walk, byte);

		if (seen)
			return seen;
	}
	walk->at++;
	if (walk->escape) {
		if (unescaped(walk, &byte))
			walk->hash = hashed(walk->hash, byte);
		return 0;
	}
	if (byte == '\\') {
		walk->escape = 1;
		return 0;
	}
	if (byte == '"')
		return walk_quote(walk);
	walk->hash = hashed(walk->hash, byte);
	if (walk->in_string) {
		/* No string has such a byte, so what was taken for one is none. */
		if (byte < 0x20)
			walk->in_string = 0;
		return 0;
	}
	switch (byte) {
	case ':':
		return walk_colon(walk);
	case '{':
	case '[':
		walk_open(walk);
		return 0;
	case '}':
	case ']':
		walk_close(walk);
		return 0;
	case 0 ... ' ':
		return 0;
	}
	walk->after_colon = 0;
	walk->last = 0;
	return 0;
}

#endif

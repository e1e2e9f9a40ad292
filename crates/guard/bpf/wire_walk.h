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

/* Global functions from here on, because the verifier goes through these once and by themselves. */
__noinline int walk_quote(struct wire_walk *walk)
{
	u32 token, slot;
	u8 role;

	if (!walk)
		return 0;
	if (!walk->in_string) {
		walk->in_string = 1;
		walk->hash = HASH_SEED;
		return 0;
	}
	walk->in_string = 0;
	token = token_of(walk->hash);
	slot = (token - 1u) % WIRE_TOKENS;
	if (token) {
		walk->touched = 1;
		if (wire.tokens[slot].seen)
			return wire.tokens[slot].seen;
	}
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

__noinline int walk_colon(struct wire_walk *walk)
{
	u32 slot, bits = 0;

	if (!walk)
		return 0;
	slot = (walk->last - 1u) % WIRE_TOKENS;
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

__noinline int walk_open(struct wire_walk *walk)
{
	u8 role = 0;

	if (!walk)
		return 0;

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
	return 0;
}

__noinline int walk_close(struct wire_walk *walk)
{
	if (!walk)
		return 0;
	walk->after_colon = 0;
	walk->last = 0;
	if (!walk->context) {
		walk->bits = 0;
		return 0;
	}
	if (--walk->depth)
		return 0;
	if (walk->context == ROLE_JOB) {
		walk->context = ROLE_RESULT;
		walk->depth = 1;
	} else {
		walk->context = 0;
	}
	return 0;
}

/*
 * SetupConnection of stratum version 2 in the clear: six bytes of head with the length in the last
 * three, the protocol, versions and flags in nine, then the server's name, its port, and four more
 * texts, each behind its length, and nothing after them.
 */
__noinline int walk_form(struct wire_walk *walk, u8 byte)
{
	bool fits = true;
	u16 at;

	if (!walk)
		return 0;
	at = walk->at;

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
		walk->touched |= fits;
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

/*
 * A byte behind a backslash. Where that is the end of the escape, what it stands for belongs to the
 * string.
 */
__noinline int walk_escape(struct wire_walk *walk, u8 byte)
{
	u8 digit;

	if (!walk)
		return 0;
	if (walk->escape == 1) {
		if (byte == 'u') {
			walk->escape = 2;
			walk->escaped = 0;
			return 0;
		}
		walk->escape = 0;
		walk->hash = hashed(walk->hash, byte == '/' ? '/' : OTHER_CHARACTER);
		return 0;
	}
	if (byte >= '0' && byte <= '9')
		digit = byte - '0';
	else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
		digit = (byte | 0x20) - 'a' + 10;
	else
		digit = 255;
	if (digit == 255) {
		walk->escape = 0;
		walk->hash = hashed(walk->hash, OTHER_CHARACTER);
		return 0;
	}
	walk->escaped = walk->escaped << 4 | digit;
	if (++walk->escape < 6)
		return 0;
	walk->escape = 0;
	walk->hash = hashed(walk->hash, walk->escaped < 0x80 ? walk->escaped : OTHER_CHARACTER);
	return 0;
}

/* The next byte of a direction. Returns what it shows, or 0. */
static __always_inline u8 walk_byte(struct wire_walk *walk, u8 byte)
{
	if (walk->form == FORM_MAYBE) {
		u8 seen = walk_form(walk, byte);

		if (seen)
			return seen;
		walk->at++;
	}
	if (walk->in_string) {
		if (walk->escape)
			return walk_escape(walk, byte);
		if (byte == '\\') {
			walk->escape = 1;
			return 0;
		}
		if (byte == '"')
			return walk_quote(walk);
		walk->hash = hashed(walk->hash, byte);
		/* No string has such a byte, so what was taken for one is none. */
		if (byte < 0x20)
			walk->in_string = 0;
		return 0;
	}
	switch (byte) {
	case '"':
		return walk_quote(walk);
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

#define EACH 0x0101010101010101ull

static __always_inline u64 zero_in(u64 word)
{
	return (word - EACH) & ~word & EACH * 0x80;
}

/*
 * Whether eight bytes change nothing: between messages only a quotation mark or a bracket does. The
 * two kinds of brackets differ in one bit.
 */
static __always_inline bool is_idle(struct wire_walk *walk, u64 word)
{
	u64 folded = word & ~(EACH * 0x20);

	if (walk->in_string | walk->after_colon | walk->last || walk->form == FORM_MAYBE)
		return false;
	return !(zero_in(word ^ EACH * '"') | zero_in(folded ^ EACH * '[') |
		 zero_in(folded ^ EACH * ']'));
}

#endif

//! Recognising a pool's protocol byte by byte, as the kernel does it.
//!
//! [`Walk`] is `crates/guard/bpf/wire_walk.h` in Rust, and [`tables`] is what both walk by: the strings
//! by their hashes, and the rules over what was seen of a message. What is known of a direction is all in
//! the walk, so it does not matter how the bytes are cut. What must stay true: for whole messages a walk
//! and [`super::payload`] agree on whether this is a pool's protocol, and the walk says so no later.
//!
//! Deliberately not here: what stands in the frames of a web socket, which only [`super::payload`]
//! opens, and what the messages say of who is paid.

use davylamp_content::detection::Wire as Seen;

use super::sniff::{ETHEREUM, STRATUM, TEMPLATES};

/// Slots of the table of strings.
pub const TOKENS: usize = 128;
/// So many slots are looked at for a string.
pub const PROBES: usize = 8;
/// Room for rules.
pub const RULES: usize = 16;
/// Bytes of each direction that are walked.
pub const WALKED: usize = 1024;

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x100_0000_01b3;
/// Stands for an escape that no known string has.
const OTHER_CHARACTER: u8 = 1;

/// The number by which the kernel knows what was seen: its place among [`Seen::ALL`], from 1.
pub fn number_of(seen: Seen) -> u8 {
    let place = Seen::ALL.iter().position(|(one, _)| *one == seen);
    place.map_or(0, |place| place as u8 + 1)
}

/// What the kernel saw.
pub fn seen_of(number: u8) -> Option<Seen> {
    let (seen, _) = Seen::ALL.get(usize::from(number).checked_sub(1)?)?;
    Some(*seen)
}

const METHOD_LOGIN: u32 = 1 << 1;
const METHOD_JOB: u32 = 1 << 2;
const METHOD_SUBMIT: u32 = 1 << 3;
const METHOD_ALIVE: u32 = 1 << 4;
const METHOD_TEMPLATE: u32 = 1 << 5;
const PARAMS_LOGIN: u32 = 1 << 6;
const PARAMS_MINER: u32 = 1 << 7;
const PARAMS_BLOB: u32 = 1 << 8;
const PARAMS_TARGET: u32 = 1 << 9;
const PARAMS_JOB_ID: u32 = 1 << 10;
const PARAMS_NONCE: u32 = 1 << 11;
const PARAMS_RESULT: u32 = 1 << 12;
const PARAMS_ID: u32 = 1 << 13;
const PARAMS_SITE_KEY: u32 = 1 << 14;
const JOB_BLOB: u32 = 1 << 15;
const JOB_TARGET: u32 = 1 << 16;
const JOB_JOB_ID: u32 = 1 << 17;
const RESULT_TEMPLATE: u32 = 1 << 18;
const TYPE_AUTH: u32 = 1 << 19;

const ROLE_METHOD: u8 = 1;
const ROLE_PARAMS: u8 = 2;
const ROLE_RESULT: u8 = 3;
const ROLE_JOB: u8 = 4;
const ROLE_TYPE: u8 = 5;
const CONTEXT_OTHER: u8 = 7;

/// A string that the walk knows: `struct wire_token`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Token {
    /// The hash of its bytes; 0 for an empty slot.
    pub hash: u64,
    /// What it adds as the value of `method`.
    pub as_method: u32,
    /// … as a key of `params`.
    pub in_params: u32,
    /// … as a key of `result`.
    pub in_result: u32,
    /// … as a key of `result.job`.
    pub in_job: u32,
    /// … as the value of `type`.
    pub as_type: u32,
    /// What part of a message it begins, as a key.
    pub role: u8,
    /// The protocol that it shows wherever it stands in quotes, or 0.
    pub seen: u8,
}

/// A message shows a protocol if it has all of these bits, and one of those if there are any: `struct
/// wire_rule`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule {
    /// All of them.
    pub all: u32,
    /// One of them.
    pub any: u32,
    /// What is shown.
    pub seen: u8,
}

/// What a walk goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The strings, each at the slot of its hash or behind it.
    pub tokens: [Token; TOKENS],
    /// The rules; those with `all` 0 are none.
    pub rules: [Rule; RULES],
}

/// The tables, made anew.
///
/// # Panics
/// Where the strings do not fit, which a test would have shown.
pub fn tables() -> Tables {
    let mut tokens = [Token::default(); TOKENS];
    let mut put = |text: &str, change: &dyn Fn(&mut Token)| {
        let hash = text.bytes().fold(SEED, hashed);
        let slot = (0..PROBES)
            .map(|probe| ((hash >> 57) as usize + probe) % TOKENS)
            .find(|slot| tokens[*slot].hash == 0 || tokens[*slot].hash == hash)
            .expect("the table has room");
        tokens[slot].hash = hash;
        change(&mut tokens[slot]);
    };
    for text in STRATUM {
        put(text, &|token| token.seen = number_of(Seen::Stratum));
    }
    for text in ETHEREUM {
        put(text, &|token| token.seen = number_of(Seen::EthereumStratum));
    }
    for text in TEMPLATES {
        put(text, &|token| token.as_method = METHOD_TEMPLATE);
    }
    for (text, bit) in [
        ("login", METHOD_LOGIN),
        ("job", METHOD_JOB),
        ("submit", METHOD_SUBMIT),
        ("keepalived", METHOD_ALIVE),
    ] {
        put(text, &|token| token.as_method = bit);
    }
    for (text, bit) in [
        ("login", PARAMS_LOGIN),
        ("agent", PARAMS_MINER),
        ("algo", PARAMS_MINER),
        ("rigid", PARAMS_MINER),
        ("blob", PARAMS_BLOB),
        ("target", PARAMS_TARGET),
        ("job_id", PARAMS_JOB_ID),
        ("nonce", PARAMS_NONCE),
        ("result", PARAMS_RESULT),
        ("id", PARAMS_ID),
        ("site_key", PARAMS_SITE_KEY),
    ] {
        put(text, &|token| token.in_params = bit);
    }
    for (text, bit) in [
        ("blob", JOB_BLOB),
        ("target", JOB_TARGET),
        ("job_id", JOB_JOB_ID),
    ] {
        put(text, &|token| token.in_job = bit);
    }
    put("blocktemplate_blob", &|token| {
        token.in_result = RESULT_TEMPLATE
    });
    put("auth", &|token| token.as_type = TYPE_AUTH);
    for (text, role) in [
        ("method", ROLE_METHOD),
        ("params", ROLE_PARAMS),
        ("result", ROLE_RESULT),
        ("job", ROLE_JOB),
        ("type", ROLE_TYPE),
    ] {
        put(text, &|token| token.role = role);
    }
    let cryptonote = number_of(Seen::CryptoNote);
    let rule = |all, any, seen| Rule { all, any, seen };
    let mut rules = [Rule::default(); RULES];
    for (slot, made) in rules.iter_mut().zip([
        rule(METHOD_TEMPLATE, 0, number_of(Seen::BlockTemplate)),
        rule(METHOD_LOGIN | PARAMS_LOGIN, PARAMS_MINER, cryptonote),
        rule(
            METHOD_JOB | PARAMS_BLOB,
            PARAMS_TARGET | PARAMS_JOB_ID,
            cryptonote,
        ),
        rule(
            METHOD_SUBMIT | PARAMS_JOB_ID | PARAMS_NONCE | PARAMS_RESULT,
            0,
            cryptonote,
        ),
        rule(METHOD_ALIVE | PARAMS_ID, 0, cryptonote),
        rule(JOB_BLOB, JOB_TARGET | JOB_JOB_ID, cryptonote),
        rule(TYPE_AUTH | PARAMS_SITE_KEY, 0, cryptonote),
        rule(RESULT_TEMPLATE, 0, cryptonote),
    ]) {
        *slot = made;
    }
    Tables { tokens, rules }
}

/// The hash of a name as the kernel makes it: from the last letter to the first, in lower case.
pub fn name_hash(name: &str) -> u64 {
    let name = name.trim_end_matches('.');
    name.bytes()
        .rev()
        .map(|byte| byte.to_ascii_lowercase())
        .fold(SEED, hashed)
}

fn hashed(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(PRIME)
}

/// A search under way in one direction of a flow: `struct wire_walk`.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    tables: &'a Tables,
    hash: u64,
    bits: u32,
    depth: u16,
    escaped: u16,
    escape: u8,
    in_string: bool,
    after_colon: bool,
    context: u8,
    /// The string just before, where it may be a key.
    last: Text,
    /// The current key.
    key: Text,
    form: Form,
}

/// A string of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    None,
    Unknown,
    /// One of the table's, by its slot.
    Known(usize),
}

/// Whether this can still be the binary form of stratum version 2.
#[derive(Debug, Clone, Default)]
struct Form {
    is_not: bool,
    at: usize,
    length: usize,
    text: u8,
    left: u8,
}

impl<'a> Walk<'a> {
    /// A walk that has seen nothing.
    pub fn new(tables: &'a Tables) -> Self {
        Self {
            tables,
            hash: SEED,
            bits: 0,
            depth: 0,
            escaped: 0,
            escape: 0,
            in_string: false,
            after_colon: false,
            context: 0,
            last: Text::None,
            key: Text::None,
            form: Form::default(),
        }
    }

    /// Walks on; what the bytes show, and at which of them.
    pub fn take(&mut self, bytes: &[u8]) -> Option<(usize, Seen)> {
        bytes.iter().enumerate().find_map(|(at, byte)| {
            let seen = self.byte(*byte)?;
            Some((at, seen_of(seen)?))
        })
    }

    fn byte(&mut self, byte: u8) -> Option<u8> {
        if !self.form.is_not
            && let Some(seen) = self.form.byte(byte)
        {
            return Some(seen);
        }
        self.form.at += 1;
        if self.in_string {
            return self.in_string(byte);
        }
        match byte {
            b'"' => (self.in_string, self.hash) = (true, SEED),
            b':' => return self.colon(),
            b'{' | b'[' => self.open(),
            b'}' | b']' => self.close(),
            0..=b' ' => {}
            _ => (self.after_colon, self.last) = (false, Text::None),
        }
        None
    }

    fn in_string(&mut self, mut byte: u8) -> Option<u8> {
        if self.escape > 0 {
            if self.unescaped(&mut byte) {
                self.hash = hashed(self.hash, byte);
            }
            return None;
        }
        match byte {
            b'\\' => self.escape = 1,
            b'"' => return self.string_ends(),
            _ => {
                self.hash = hashed(self.hash, byte);
                // No string has such a byte, so what was taken for one is none.
                self.in_string = byte >= 0x20;
            }
        }
        None
    }

    fn unescaped(&mut self, byte: &mut u8) -> bool {
        if self.escape == 1 {
            if *byte == b'u' {
                (self.escape, self.escaped) = (2, 0);
                return false;
            }
            self.escape = 0;
            *byte = if *byte == b'/' { b'/' } else { OTHER_CHARACTER };
            return true;
        }
        let Some(digit) = char::from(*byte).to_digit(16) else {
            self.escape = 0;
            *byte = OTHER_CHARACTER;
            return true;
        };
        self.escaped = self.escaped << 4 | digit as u16;
        self.escape += 1;
        if self.escape < 6 {
            return false;
        }
        self.escape = 0;
        *byte = match u8::try_from(self.escaped) {
            Ok(plain) if plain.is_ascii() => plain,
            _ => OTHER_CHARACTER,
        };
        true
    }

    fn token(&self) -> Option<usize> {
        let first = (self.hash >> 57) as usize;
        let slots = (0..PROBES).map(|probe| (first + probe) % TOKENS);
        slots
            .take_while(|slot| self.tables.tokens[*slot].hash != 0)
            .find(|slot| self.tables.tokens[*slot].hash == self.hash)
    }

    fn role(&self) -> u8 {
        match self.key {
            Text::Known(slot) => self.tables.tokens[slot].role,
            _ => 0,
        }
    }

    fn judged(&self) -> Option<u8> {
        let rules = self.tables.rules.iter().take_while(|rule| rule.all != 0);
        let met = |rule: &&Rule| {
            self.bits & rule.all == rule.all && (rule.any == 0 || self.bits & rule.any != 0)
        };
        { rules }.find(met).map(|rule| rule.seen)
    }

    fn string_ends(&mut self) -> Option<u8> {
        self.in_string = false;
        let token = self.token();
        let facts = token.map(|slot| self.tables.tokens[slot]);
        if let Some(facts) = facts
            && facts.seen != 0
        {
            return Some(facts.seen);
        }
        if !self.after_colon {
            self.last = token.map_or(Text::Unknown, Text::Known);
            return None;
        }
        self.after_colon = false;
        self.last = Text::None;
        if self.context != 0 {
            return None;
        }
        match (self.role(), facts) {
            (ROLE_METHOD, Some(facts)) => self.bits |= facts.as_method,
            (ROLE_TYPE, Some(facts)) => self.bits |= facts.as_type,
            _ => return None,
        }
        self.judged()
    }

    fn colon(&mut self) -> Option<u8> {
        // What stands before it is no string: a header, say.
        if self.last == Text::None {
            return None;
        }
        self.key = std::mem::replace(&mut self.last, Text::None);
        self.after_colon = true;
        let Text::Known(slot) = self.key else {
            return None;
        };
        if self.depth != 1 {
            return None;
        }
        let facts = self.tables.tokens[slot];
        let bits = match self.context {
            ROLE_PARAMS => facts.in_params,
            ROLE_RESULT => facts.in_result,
            ROLE_JOB => facts.in_job,
            _ => 0,
        };
        self.bits |= bits;
        if bits == 0 { None } else { self.judged() }
    }

    fn open(&mut self) {
        let role = if self.after_colon { self.role() } else { 0 };
        match self.context {
            0 if self.after_colon => {
                self.context = match role {
                    ROLE_PARAMS | ROLE_RESULT => role,
                    _ => CONTEXT_OTHER,
                };
                self.depth = 1;
            }
            0 => self.bits = 0,
            ROLE_RESULT if self.depth == 1 && role == ROLE_JOB => self.context = ROLE_JOB,
            _ => self.depth = self.depth.saturating_add(1),
        }
        self.after_colon = false;
        self.last = Text::None;
    }

    fn close(&mut self) {
        self.after_colon = false;
        self.last = Text::None;
        if self.context == 0 {
            self.bits = 0;
            return;
        }
        self.depth -= 1;
        if self.depth > 0 {
            return;
        }
        (self.context, self.depth) = match self.context {
            ROLE_JOB => (ROLE_RESULT, 1),
            _ => (0, 0),
        };
    }
}

impl Form {
    fn byte(&mut self, byte: u8) -> Option<u8> {
        let fits = match self.at {
            0..=2 | 5 | 8 | 10 => byte == 0,
            3 => {
                self.length = usize::from(byte);
                true
            }
            4 => {
                self.length |= usize::from(byte) << 8;
                true
            }
            6 => byte <= 2,
            7 => {
                self.left = byte;
                byte >= 2
            }
            9 => byte >= self.left && byte <= 64,
            11..=14 => true,
            15 => {
                (self.left, self.text) = (byte, 0);
                byte > 0
            }
            _ => self.texts(byte),
        };
        if self.text == 6 && self.left == 0 {
            if self.at + 1 == self.length + 6 {
                return Some(number_of(Seen::Stratum2));
            }
            self.is_not = true;
        }
        self.is_not |= !fits;
        None
    }

    fn texts(&mut self, byte: u8) -> bool {
        if self.left == 0 {
            self.left = byte;
            self.text += u8::from(byte == 0);
            return true;
        }
        let fits = self.text > 0 || (0x20..0x7f).contains(&byte);
        self.left -= 1;
        if self.left == 0 && self.text == 0 {
            // The port.
            (self.text, self.left) = (1, 2);
        } else if self.left == 0 {
            self.text += 1;
        }
        fits
    }
}

#[cfg(test)]
mod tests;

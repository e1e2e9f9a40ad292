//! Where the credentials in a command line are.
//!
//! Two passes, both linear in the length of the text: the words, by what their names say, also
//! inside the text given to `sh -c`; then the shapes of well-known credentials, wherever they
//! stand. Where the two overlap, the caller merges.

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::names::{self, Flag, Part};
use super::shell;

/// Scripts in scripts in scripts: deeper quoting than this is nobody's habit, and each level costs
/// one more pass.
const SCRIPT_DEPTH: usize = 4;

/// What each expression's lazily built automaton may take. The guard lives on a few MiB; a smaller
/// cache makes a search slower, never wrong.
const AUTOMATON_BYTES: usize = 64 * 1024;

/// An AWS secret access key has this many characters of base64.
const AWS_SECRET_CHARS: usize = 40;

/// The ranges of `bytes` to hide, unsorted. `words` are the arguments.
pub(super) fn find(bytes: &[u8], words: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    by_words(bytes, words, 0, &mut found);
    for word in words {
        by_shape(bytes, word, &mut found);
    }
    found
}

fn by_words(bytes: &[u8], words: &[Range<usize>], depth: usize, found: &mut Vec<Range<usize>>) {
    // A pool's scheme among the words says that this is a miner, whatever its program is called.
    let pool = words
        .iter()
        .any(|word| contains_ignoring_case(&bytes[word.clone()], b"stratum"));
    let mut flags: &[Flag] = if pool { names::MINER } else { &[] };
    let mut before: &[u8] = b"";
    for (index, word) in words.iter().enumerate() {
        let inner = shell::unquoted(bytes, word);
        let text = &bytes[inner.clone()];
        let script = shell::is_script(text);
        let next = words.get(index + 1);
        if let Some(known) = program(text).and_then(names::flags_of) {
            flags = known;
        } else if let Some(equals) = assignment(text) {
            // `sh -c 'PASSWORD=x run'`: the text is taken apart below, not hidden as one value.
            let starts_script = script && before == b"-c" && !text.starts_with(b"-");
            if !starts_script && is_secret(&text[..equals]) {
                found.push(inner.start + equals + 1..word.end);
            }
        } else if text.eq_ignore_ascii_case(b"bearer")
            || (text.starts_with(b"-") && !script && is_secret(text))
        {
            found.extend(next.cloned());
        }
        by_flags(bytes, &inner, next, flags, found);
        if script && depth < SCRIPT_DEPTH {
            let inside = shell::words(bytes, inner.clone());
            // One word that is the whole text again would be taken apart for ever.
            if inside.len() > 1 || inside.first().is_some_and(|only| *only != inner) {
                by_words(bytes, &inside, depth + 1, found);
            }
        }
        before = text;
    }
}

fn by_flags(
    bytes: &[u8],
    word: &Range<usize>,
    next: Option<&Range<usize>>,
    flags: &[Flag],
    found: &mut Vec<Range<usize>>,
) {
    for flag in flags {
        let Some(rest) = bytes[word.clone()].strip_prefix(flag.name.as_bytes()) else {
            continue;
        };
        let value = match next {
            _ if flag.attached && !rest.is_empty() => word.end - rest.len()..word.end,
            _ if rest.starts_with(b"=") => word.end - rest.len() + 1..word.end,
            Some(next) if rest.is_empty() => next.clone(),
            _ => continue,
        };
        match flag.part {
            Part::Whole => found.push(value),
            Part::After(separator) => {
                let at = bytes[value.clone()]
                    .iter()
                    .position(|byte| *byte == separator);
                found.extend(at.map(|at| value.start + at + 1..value.end));
            }
        }
    }
}

/// The program's own name, if the word may be one.
fn program(word: &[u8]) -> Option<&str> {
    let name = word.rsplit(|byte| *byte == b'/').next()?;
    std::str::from_utf8(name)
        .ok()
        .filter(|name| !name.is_empty())
}

/// Where the `=` of `NAME=value`, `--name=value` or `-Dname=value` is.
fn assignment(word: &[u8]) -> Option<usize> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (equals > 0 && word[..equals].iter().all(name)).then_some(equals)
}

fn is_secret(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(names::is_secret)
}

fn contains_ignoring_case(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len())
        .any(|window| window.eq_ignore_ascii_case(what))
}

struct Shapes {
    /// A whole match is a credential.
    token: Regex,
    /// Group 1 is the password of a URL or of `user:password@host`; group 2 is the host.
    login: Regex,
    /// Group 1 is the credential after its scheme.
    bearer: Regex,
    /// The beginning of one at the very end.
    beginning: Regex,
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(|| Shapes {
    token: expression(concat!(
        r"-----BEGIN [A-Z0-9 ]{1,40}-----(?s:.*?)(?:-----END [A-Z0-9 ]{1,40}-----|\z)",
        r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}",
        r"|xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{16,}",
        r"|hooks\.slack\.com/services/[A-Za-z0-9/]+",
        r"|eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*)?",
        r"|(?:IQoJ|FwoG|FQoG)[A-Za-z0-9+/=]{80,}",
        r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{16,}",
        r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,}",
        r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{20,}",
        r"|dop_v1_[a-f0-9]{32,}|\bhvs\.[A-Za-z0-9_-]{20,}|AGE-SECRET-KEY-1[0-9A-Z]{20,}",
        r"|\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    )),
    login: expression(concat!(
        r#"(?:://[^\s/@:'"]*|(?:\A|[\s='"])[A-Za-z0-9._+-]+)"#,
        r#":([^\s/?\#'"]+)@([^\s/:'"]*)"#,
    )),
    bearer: expression(r"\b(?i:bearer)(?:\s+|%20|\\ )([A-Za-z0-9._~+/=-]{8,})"),
    beginning: expression(concat!(
        r"(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|eyJ|npm_|pypi-|hf_|\bsk-|AIza|ya29\.",
        r"|AGE-SECRET-KEY-)[A-Za-z0-9_.-]*\z|-----BEGIN?[A-Z0-9 ]*-*\z",
    )),
});

#[expect(
    clippy::expect_used,
    reason = "the expressions are constants, compiled by every test"
)]
fn expression(text: &str) -> Regex {
    RegexBuilder::new(text)
        .unicode(false)
        .dfa_size_limit(AUTOMATON_BYTES)
        .build()
        .expect("bug: a built-in expression does not compile")
}

fn by_shape(bytes: &[u8], word: &Range<usize>, found: &mut Vec<Range<usize>>) {
    let text = &bytes[word.clone()];
    let mut push = |range: Range<usize>| {
        if !range.is_empty() {
            found.push(word.start + range.start..word.start + range.end);
        }
    };
    for token in SHAPES.token.find_iter(text) {
        push(token.range());
    }
    for login in SHAPES.login.captures_iter(text) {
        let (Some(password), Some(host)) = (login.get(1), login.get(2)) else {
            continue;
        };
        // `image:tag@sha256:…` is no login.
        if !matches!(host.as_bytes(), b"sha256" | b"sha512") {
            push(password.range());
        }
    }
    for bearer in SHAPES.bearer.captures_iter(text) {
        push(bearer.get(1).map_or(0..0, |token| token.range()));
    }
    fields(text, &mut push);
    aws_secrets(text, &mut push);
}

/// `"password": "x"`, `Authorization: Bearer x`, `?token=x`, `password='x'`: a name, a separator
/// and a value.
///
/// By hand, because an expression that takes the value along would read a text of many separators
/// once for each of them, and the text is an attacker's.
fn fields(text: &[u8], push: &mut impl FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(next) = text[at..]
        .iter()
        .position(|byte| matches!(byte, b':' | b'='))
    {
        let separator = at + next;
        at = separator + 1;
        let name = name_before(text, separator);
        // In `//token:x@host` it is a user's name, and the password is found as a login.
        if !is_secret(&text[name.clone()]) || text[..name.start].ends_with(b"//") {
            continue;
        }
        let value = value_after(text, separator);
        at = at.max(value.end);
        push(value);
    }
}

/// The longest name worth judging.
const NAME_BYTES: usize = 64;

/// The name that ends before `separator`, past its closing quote, bracket and white space.
fn name_before(text: &[u8], separator: usize) -> Range<usize> {
    let around = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'\\' | b']');
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let near = &text[separator.saturating_sub(NAME_BYTES)..separator];
    let skipped = near.iter().rev().take_while(|byte| around(byte)).count();
    let named = near.iter().rev().skip(skipped);
    let end = separator - skipped;
    end - named.take_while(|byte| part(byte)).count()..end
}

/// The value that begins after `separator`, without its quotes.
fn value_after(text: &[u8], separator: usize) -> Range<usize> {
    let white = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let mut start = separator + 1;
    start += text[start..].iter().take_while(white).count();
    let rest = &text[start..];
    let quote_at = usize::from(rest.first() == Some(&b'\\'));
    if let Some(quote) = rest
        .get(quote_at)
        .filter(|byte| matches!(byte, b'"' | b'\''))
    {
        let inside = &rest[quote_at + 1..];
        let mut len = 0;
        while len < inside.len() && inside[len] != *quote {
            // In a quotation that is itself quoted, a backslash belongs to the closing quote.
            len += if inside[len] == b'\\' && quote_at == 0 {
                2
            } else {
                1
            };
        }
        start += quote_at + 1;
        let end = start + len.min(inside.len());
        return start..end - usize::from(quote_at == 1 && text[..end].ends_with(b"\\"));
    }
    let is_assignment = text[separator] == b'=';
    let ends = |byte: &u8| {
        matches!(byte, b'\r' | b'\n' | b'"' | b'\'' | b'&' | b'}')
            || (is_assignment && byte.is_ascii_whitespace())
    };
    let len = rest.iter().position(ends).unwrap_or(rest.len());
    // Unquoted assignments end at white space; headers and YAML at the end of the line.
    let scheme = if is_assignment {
        0
    } else {
        scheme_len(&rest[..len])
    };
    start + scheme..start + len
}

/// The length of `Bearer ` and the like, which are no secret.
fn scheme_len(value: &[u8]) -> usize {
    let Some(space) = value.iter().position(|byte| *byte == b' ') else {
        return 0;
    };
    let schemes: [&[u8]; 5] = [b"bearer", b"basic", b"token", b"digest", b"negotiate"];
    let scheme = value[..space].to_ascii_lowercase();
    if schemes.contains(&scheme.as_slice()) {
        space + 1
    } else {
        0
    }
}

/// Runs of exactly forty characters of base64 with capitals, small letters and digits. Digests and
/// addresses in hexadecimal are not: they are evidence.
fn aws_secrets(text: &[u8], push: &mut impl FnMut(Range<usize>)) {
    for run in base64_runs(text) {
        if run.len() == AWS_SECRET_CHARS && looks_random(text, &run) {
            push(run);
        }
    }
}

fn base64_runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let start = at + text[at..].iter().position(base64)?;
        let len = text[start..].iter().position(|byte| !base64(byte));
        at = len.map_or(text.len(), |len| start + len);
        Some(start..at)
    })
}

/// Whether a run of base64 is neither hexadecimal nor the end of a path or a host's name.
fn looks_random(text: &[u8], run: &Range<usize>) -> bool {
    let of_a_path = text[..run.start].ends_with(b".")
        || text[..run.start].ends_with(b"-")
        || text[..run.start].ends_with(b"_");
    let run = &text[run.clone()];
    !of_a_path
        && !run.starts_with(b"/")
        && run.iter().any(u8::is_ascii_uppercase)
        && run.iter().any(u8::is_ascii_lowercase)
        && run.iter().any(u8::is_ascii_digit)
        && !run.iter().all(u8::is_ascii_hexdigit)
}

/// What may be the first half of a credential, where the capture ended within `last`.
pub(super) fn find_cut_short(bytes: &[u8], last: &Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let text = &bytes[last.clone()];
    if let Some(beginning) = SHAPES.beginning.find(text) {
        found.push(last.start + beginning.start()..last.end);
    }
    // Half a secret is worth half a search; less than half is left readable.
    let half = AWS_SECRET_CHARS / 2..AWS_SECRET_CHARS;
    if let Some(run) = base64_runs(text).last()
        && run.end == text.len()
        && half.contains(&run.len())
        && looks_random(text, &run)
    {
        found.push(last.start + run.start..last.end);
    }
    // `scheme://user:half-a-pass`, but not `scheme://host:port`.
    let authority = text
        .windows(3)
        .rposition(|window| window == b"://")
        .map(|at| at + 3);
    if let Some(authority) = authority
        && let rest = &text[authority..]
        && !rest.iter().any(|byte| {
            matches!(byte, b'/' | b'@' | b'\'' | b'"' | b'[') || byte.is_ascii_whitespace()
        })
        && let Some(colon) = rest.iter().position(|byte| *byte == b':')
        && !rest[colon + 1..].iter().all(u8::is_ascii_digit)
    {
        found.push(last.start + authority + colon + 1..last.end);
    }
    found
}

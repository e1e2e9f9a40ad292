//! What a command prints, where its own words say it: `echo`, `printf`, and the tools that decode
//! or turn around what they are given.
//!
//! Deliberately not here: what depends on files, the clock or the machine.

use std::io::Read as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Command, file_name};

/// A text that grows beyond this is not followed.
const MAX_PRINTED_BYTES: usize = 1 << 20;

/// As `base64 -d` takes it: with its padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a command prints that reads `command.input`.
pub(super) fn by(command: &Command) -> Option<Vec<u8>> {
    let mut words = command.words.as_slice();
    let mut name = file_name(words.first()?);
    if matches!(name.as_str(), "busybox" | "toybox" | "command" | "builtin") {
        words = &words[1..];
        // `command -v x` says where x is.
        if matches!(words.first()?.as_slice(), b"-v" | b"-V") {
            return words.get(1).cloned();
        }
        name = file_name(words.first()?);
    }
    let words = &words[1..];
    let has = |options: &[&str]| {
        words
            .iter()
            .any(|word| options.iter().any(|option| word == option.as_bytes()))
    };
    let plain = || words.iter().filter(|word| !word.starts_with(b"-"));
    let input = (!command.input.is_empty()).then_some(command.input.as_slice());
    let printed = match name.as_str() {
        "echo" => echo(words),
        "printf" => printf(words)?,
        // What is read is handed on, perhaps not all of it.
        "grep" | "egrep" | "fgrep" | "rg" if has(&["-q", "-c", "-l", "-L"]) => return None,
        "cat" | "tee" | "head" | "tail" | "sort" | "uniq" | "pv" | "grep" | "egrep" | "fgrep"
        | "rg" | "dos2unix" | "iconv" | "fold" | "fmt" | "expand" | "unexpand" | "col"
        | "strings" | "sponge" => input?.to_vec(),
        "base32" if has(&["-d", "--decode", "-D", "-di"]) => base32(input?)?,
        "gunzip" | "zcat" | "gzcat" => unpacked(input?)?,
        "gzip" | "pigz" if has(&["-d", "-dc", "-cd", "--decompress"]) => unpacked(input?)?,
        "base64" if has(&["-d", "--decode", "-D", "-di", "-id"]) => base64(input?)?,
        "openssl" if has(&["-d"]) && has(&["base64", "-base64", "-a"]) => base64(input?)?,
        "python" | "python2" | "python3" if has(&["base64"]) && has(&["-d"]) => base64(input?)?,
        "xxd" if has(&["-r", "-rp", "-pr", "-p"]) && !has(&["-i", "-b"]) => hex(input?)?,
        "perl" | "ruby" | "php" | "node" | "python" | "python3"
            if words.iter().any(|word| decodes(word)) =>
        {
            base64(input?)?
        }
        "basename" => {
            let path = plain().next()?;
            path.rsplit(|byte| *byte == b'/').next()?.to_vec()
        }
        "rev" => lines(input?, |line| line.iter().rev().copied().collect()),
        "tac" => {
            let mut all: Vec<&[u8]> = input?.split(|byte| *byte == b'\n').collect();
            all.reverse();
            all.join(&b'\n')
        }
        "tr" => translated(input?, words)?,
        "sed" => {
            let changed = plain()
                .next()
                .and_then(|program| substituted(input?, program));
            changed.or(input.map(<[u8]>::to_vec))?
        }
        // Where files lie that are then started.
        "which" | "find" | "ls" | "locate" | "readlink" | "realpath" => named_file(&name, words)?,
        _ => return None,
    };
    (printed.len() <= MAX_PRINTED_BYTES).then_some(printed)
}

/// Whether a program's text decodes base64, and nothing is known of it beside that.
fn decodes(code: &[u8]) -> bool {
    let code = String::from_utf8_lossy(code).to_ascii_lowercase();
    let names = [
        "decode_base64",
        "b64decode",
        "base64_decode",
        "base64.decode",
        "decode64",
        "'base64'",
    ];
    names.iter().any(|name| code.contains(name))
}

fn echo(words: &[Vec<u8>]) -> Vec<u8> {
    let is_option = |word: &&Vec<u8>| {
        word.len() > 1 && word[0] == b'-' && word[1..].iter().all(|letter| b"neE".contains(letter))
    };
    let options = words.iter().take_while(is_option).count();
    let escapes = words[..options].iter().any(|word| word.contains(&b'e'));
    let text = words[options..].join(&b' ');
    match escapes {
        true => unescaped(&text),
        false => text,
    }
}

/// `printf FORMAT WORD…`: `%s`, `%b` and numbers are the next word; the format starts again while
/// there are words.
fn printf(words: &[Vec<u8>]) -> Option<Vec<u8>> {
    let words = words.strip_prefix(&[b"--".to_vec()]).unwrap_or(words);
    let (format, words) = words.split_first()?;
    if format == b"-v" {
        return None;
    }
    let format = unescaped(format);
    let (mut text, mut rest) = (Vec::new(), words.iter());
    loop {
        let before = rest.len();
        let mut at = 0;
        while at < format.len() {
            if format[at] != b'%' {
                text.push(format[at]);
                at += 1;
                continue;
            }
            let behind = &format[at + 1..];
            let flags = behind
                .iter()
                .take_while(|byte| b"-+ #.0123456789".contains(byte));
            let flags = flags.count();
            match behind.get(flags) {
                Some(b'%') => text.push(b'%'),
                Some(b'b') => text.extend(unescaped(rest.next().map_or(&b""[..], Vec::as_slice))),
                Some(_) => text.extend_from_slice(rest.next().map_or(&b""[..], Vec::as_slice)),
                None => {}
            }
            at += flags + 2;
        }
        if rest.len() == 0 || rest.len() == before || text.len() > MAX_PRINTED_BYTES {
            return Some(text);
        }
    }
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    LENIENT.decode(text).ok()
}

/// RFC 4648, section 6: five bits a letter.
fn base32(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for byte in text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=')
    {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        held = (held << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Some(bytes)
}

/// What gzip or zlib packed, as far as it goes.
pub(super) fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_PRINTED_BYTES as u64;
    // What comes before an error is what a pipe hands on as well.
    let _ = match packed {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(packed)
            .take(most)
            .read_to_end(&mut bytes),
        [0x78, ..] => flate2::read::ZlibDecoder::new(packed)
            .take(most)
            .read_to_end(&mut bytes),
        _ => return None,
    };
    (!bytes.is_empty()).then_some(bytes)
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

fn lines(text: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let changed: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(change).collect();
    changed.join(&b'\n')
}

/// `tr SET SET` and `tr -d SET`.
fn translated(text: &[u8], words: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (options, sets): (Vec<_>, Vec<_>) = words
        .iter()
        .partition(|word| word.len() > 1 && word[0] == b'-' && word[1].is_ascii_alphabetic());
    let first = set(sets.first()?);
    if options.iter().any(|option| option.contains(&b'd')) {
        let kept = text.iter().copied().filter(|byte| !first.contains(byte));
        return Some(kept.collect());
    }
    let second = set(sets.get(1)?);
    let last = *second.last()?;
    let change = |byte: &u8| match first.iter().position(|from| from == byte) {
        Some(at) => second.get(at).copied().unwrap_or(last),
        None => *byte,
    };
    Some(text.iter().map(change).collect())
}

/// The bytes of a set of `tr`: ranges and the two classes that have an order.
fn set(text: &[u8]) -> Vec<u8> {
    match text {
        b"[:upper:]" => return (b'A'..=b'Z').collect(),
        b"[:lower:]" => return (b'a'..=b'z').collect(),
        _ => {}
    }
    let text = unescaped(text);
    let (mut bytes, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match text[at..] {
            [from, b'-', to, ..] if from <= to => {
                bytes.extend(from..=to);
                at += 3;
            }
            _ => {
                bytes.push(text[at]);
                at += 1;
            }
        }
    }
    bytes
}

/// `sed s/TEXT/TEXT/`, where both are texts without signs of an expression.
fn substituted(text: &[u8], program: &[u8]) -> Option<Vec<u8>> {
    let (mark, rest) = program.strip_prefix(b"s")?.split_first()?;
    let mut parts = rest.split(|byte| byte == mark);
    let (from, to, flags) = (parts.next()?, parts.next()?, parts.next()?);
    if from.is_empty() || from.iter().any(|byte| b"\\[]*.^$+?(){}|".contains(byte)) {
        return None;
    }
    let most = if flags.contains(&b'g') { usize::MAX } else { 1 };
    Some(lines(text, |line| replaced(line, from, to, most)))
}

/// A text with some occurrences of another replaced.
pub(super) fn replaced(text: &[u8], from: &[u8], to: &[u8], most: usize) -> Vec<u8> {
    let (mut changed, mut rest, mut count) = (Vec::new(), text, 0);
    while count < most
        && !from.is_empty()
        && changed.len() <= MAX_PRINTED_BYTES
        && let Some(at) = rest.windows(from.len()).position(|window| window == from)
    {
        changed.extend_from_slice(&rest[..at]);
        changed.extend_from_slice(to);
        rest = &rest[at + from.len()..];
        count += 1;
    }
    changed.extend_from_slice(rest);
    changed
}

/// The file that a tool prints the name of.
fn named_file(tool: &str, words: &[Vec<u8>]) -> Option<Vec<u8>> {
    if tool == "find" {
        let is_name = |word: &[u8]| matches!(word, b"-name" | b"-iname" | b"-path");
        let named = words.windows(2).find(|pair| is_name(&pair[0]))?;
        return Some(named[1].clone());
    }
    words
        .iter()
        .rev()
        .find(|word| !word.starts_with(b"-"))
        .cloned()
}

/// A text with its escapes read, as `printf` and `echo -e` read them.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::new(), 0);
    while at < text.len() {
        match text[at] {
            b'\\' => {
                let (byte, length) = super::shell::escape(&text[at + 1..]);
                bytes.extend(byte);
                at += 1 + length;
            }
            byte => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

/// What is encoded in a text of a program, decoded: its runs of base64 and of hexadecimal digits.
pub(super) fn encoded_in(code: &[u8]) -> Vec<Vec<u8>> {
    /// Shorter runs are words of a language.
    const MIN_RUN: usize = 8;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let is_text = |text: &Vec<u8>| {
        let plain = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        !text.is_empty() && text.iter().all(plain)
    };
    let runs = code
        .split(|byte| !is_part(byte))
        .filter(|run| run.len() >= MIN_RUN);
    let decoded = runs.flat_map(|run| [hex(run), base64(run)]).flatten();
    decoded
        .map(|bytes| unpacked(&bytes).unwrap_or(bytes))
        .filter(is_text)
        .collect()
}

/// Base64 of UTF-16, as PowerShell takes it: the letters that have one byte.
pub(super) fn encoded_words(text: &[u8]) -> Option<Vec<u8>> {
    let bytes = base64(text)?;
    Some(bytes.into_iter().filter(|byte| *byte != 0).collect())
}

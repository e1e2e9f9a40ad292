//! A shell's text to simple commands.
//!
//! A reader for judging, not a shell: it never fails, takes what it does not know for a word, and
//! works out only what a text says by itself (quotes, `NAME=value` before its use, `$(echo x)`).
//! Grammar: POSIX.1-2017, "Shell Command Language", and bash's `$'…'`, `<<<` and `<(…)`.

use std::collections::HashMap;

use super::Command;

/// Variables that are remembered.
const MAX_VARIABLES: usize = 64;

/// A value of a variable that is remembered may have this many bytes.
const MAX_VALUE_BYTES: usize = 4096;

/// So many values of a loop are tried one by one.
const MAX_LOOP_VALUES: usize = 8;

/// So many variables are handed to every command behind them.
const MAX_EXPORTED: usize = 16;

/// A text that its own variables make longer than this is left as it is.
const MAX_EXPANDED_BYTES: usize = 1 << 20;

/// Substitutions may stand within each other this deep.
const MAX_NESTING: u8 = 24;

/// What a text holds.
pub(super) struct Read {
    pub commands: Vec<Command>,
    pub is_whole: bool,
    /// Texts that were not read.
    pub unread: Vec<Vec<u8>>,
}

/// Reads a text, with `$0`, `$1` and so on.
pub(super) fn read(text: &[u8], parameters: &[Vec<u8>], most: usize) -> Read {
    let (mut read, values) = pass(text, parameters, most, 0);
    // Once with all values of a loop, and once for each.
    for pick in 1..=values.min(MAX_LOOP_VALUES) {
        let (again, _) = pass(text, parameters, most, pick);
        if read.commands.len() + again.commands.len() > most {
            read.is_whole = false;
            break;
        }
        read.commands.extend(again.commands);
    }
    read
}

/// Reads a text in which each loop has one of its values, or all. Gives how many a loop has at most.
fn pass(text: &[u8], parameters: &[Vec<u8>], most: usize, pick: usize) -> (Read, usize) {
    let mut reader = Reader {
        most,
        pick,
        values: 0,
        commands: Vec::new(),
        // `cat$IFS$9x`: blanks and nothing.
        variables: HashMap::from([
            (b"IFS".to_vec(), b" \t\n".to_vec()),
            (b"9".to_vec(), Vec::new()),
        ]),
        functions: HashMap::new(),
        is_branched: false,
        exported: Vec::new(),
        expanded: 0,
        is_whole: true,
        unread: Vec::new(),
    };
    if let Some((own, others)) = parameters.split_first() {
        reader.remember(b"0", own);
        reader.set_parameters(others);
    }
    reader.script(text, 0);
    let read = Read {
        commands: reader.commands,
        is_whole: reader.is_whole,
        unread: reader.unread,
    };
    (read, reader.values)
}

struct Reader {
    most: usize,
    /// Which value loops have, from 1; 0 for all at once.
    pick: usize,
    /// How many values a loop has at most.
    values: usize,
    commands: Vec<Command>,
    variables: HashMap<Vec<u8>, Vec<u8>>,
    /// What functions do, by their names.
    functions: HashMap<Vec<u8>, Function>,
    /// Whether what stood before may have run elsewhere, or not at all.
    is_branched: bool,
    /// Variables that every command behind them is started with.
    exported: Vec<Vec<u8>>,
    expanded: usize,
    is_whole: bool,
    unread: Vec<Vec<u8>>,
}

/// What a function does.
#[derive(Clone)]
struct Function {
    body: Vec<u8>,
    /// Whether it surely stands for its name from then on.
    is_sure: bool,
}

/// A simple command as far as it has been read.
#[derive(Default)]
struct Draft {
    command: Command,
    word: Vec<u8>,
    is_in_word: bool,
    /// The next word is a function's name.
    is_function: bool,
    /// The function whose body follows.
    defines: Option<Vec<u8>>,
    /// So many `case` are open.
    cases: usize,
    /// What follows is a pattern of the last of them.
    is_at_pattern: bool,
    /// How deep it stands in others.
    nesting: u8,
    /// Braces and commas without quotes stand in it: it may be several words.
    braces: Braces,
    /// A redirection waits for its word.
    redirect: Option<Redirect>,
    here_documents: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Braces {
    #[default]
    None,
    Open,
    Listed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirect {
    From,
    To,
    HereString,
    HereDocument,
}

/// Words that may stand before a command and are none.
const LEADING: &[&[u8]] = &[
    b"if",
    b"then",
    b"elif",
    b"else",
    b"do",
    b"while",
    b"until",
    b"!",
    b"{",
    b"}",
    b"fi",
    b"done",
    b"esac",
    b"time",
    // `time -p`: no program is called so.
    b"-p",
    b"function",
];

impl Draft {
    /// The one word there is, which may be a function's name.
    fn only_word(&self) -> Option<Vec<u8>> {
        let is_plain = self.command.variables.is_empty() && self.redirect.is_none();
        match (self.command.words.as_slice(), self.is_in_word) {
            ([], true) if is_plain => Some(self.word.clone()),
            ([word], false) if is_plain => Some(word.clone()),
            _ => None,
        }
    }
}

impl Reader {
    fn script(&mut self, text: &[u8], nesting: u8) {
        let mut draft = Draft {
            nesting,
            ..Draft::default()
        };
        let mut at = 0;
        while at < text.len() {
            if self.commands.len() >= self.most {
                self.leave(&text[at..]);
                break;
            }
            at = self.step(text, at, &mut draft, nesting);
        }
        self.end_command(&mut draft);
    }

    /// Leaves a text unread, and says so.
    fn leave(&mut self, text: &[u8]) {
        self.is_whole = false;
        self.unread.push(text.to_vec());
    }

    /// Reads what stands at `at`; gives where to go on, which is always further.
    fn step(&mut self, text: &[u8], at: usize, draft: &mut Draft, nesting: u8) -> usize {
        let rest = &text[at..];
        if draft.is_at_pattern
            && let Some(length) = self.pattern(rest, draft, nesting)
        {
            return at + length;
        }
        if !rest[0].is_ascii_whitespace()
            && let Some(name) = draft.defines.take()
        {
            self.define(name, rest);
        }
        match rest[0] {
            b'(' if draft.is_in_word && draft.word.ends_with(b"=") => {
                return at + self.array(rest, draft, nesting);
            }
            b'(' if let Some(length) = function_length(rest)
                && let Some(name) = draft.only_word() =>
            {
                draft.command = Command::default();
                draft.is_in_word = false;
                draft.is_function = false;
                draft.word.clear();
                self.define(name, &rest[length..]);
                return at + length;
            }
            b';' if draft.cases > 0 && matches!(rest.get(1), Some(b';' | b'&')) => {
                self.end_command(draft);
                draft.is_at_pattern = true;
                return at + 2 + usize::from(rest[1] == b';' && rest.get(2) == Some(&b'&'));
            }
            b'\n' => {
                self.end_command(draft);
                let documents = std::mem::take(&mut draft.here_documents);
                return self.here_documents(text, at + 1, documents);
            }
            b' ' | b'\t' | b'\r' | 0 => self.end_word(draft),
            b'#' if !draft.is_in_word => {
                let line = rest.iter().position(|byte| *byte == b'\n');
                return at + line.unwrap_or(rest.len());
            }
            b'\\' => {
                draft.is_in_word = true;
                match rest.get(1) {
                    Some(b'\n') => {}
                    Some(byte) => draft.word.push(*byte),
                    None => draft.word.push(b'\\'),
                }
                return at + rest.len().min(2);
            }
            b'\'' => {
                draft.is_in_word = true;
                let length = rest[1..].iter().position(|byte| *byte == b'\'');
                let end = length.unwrap_or(rest.len() - 1);
                draft.word.extend_from_slice(&rest[1..=end]);
                return at + (end + 2).min(rest.len());
            }
            b'"' => {
                draft.is_in_word = true;
                return at + 1 + self.double_quoted(&rest[1..], draft, nesting);
            }
            b'$' => {
                draft.is_in_word = true;
                return at + self.dollar(rest, draft, nesting, false);
            }
            b'`' => {
                draft.is_in_word = true;
                return at + self.backticks(rest, draft, nesting, false);
            }
            b'<' | b'>' => return at + self.redirection(rest, draft, nesting),
            b'&' if rest.get(1) == Some(&b'>') => {
                self.end_word(draft);
                draft.redirect = Some(Redirect::To);
                draft.command.writes = true;
                return at + 2 + usize::from(rest.get(2) == Some(&b'>'));
            }
            b'|' if !matches!(rest.get(1), Some(b'|')) && rest.len() > 1 => {
                self.is_branched = true;
                // Behind a group, it is what the last of the group prints.
                let is_behind_group = draft.command.words.is_empty() && !draft.is_in_word;
                match self.commands.last_mut().filter(|_| is_behind_group) {
                    Some(last) => last.pipes = true,
                    None => draft.command.pipes = true,
                }
                self.end_command(draft);
            }
            b'|' => {
                self.is_branched = true;
                self.end_command(draft);
                return at + rest.len().min(2);
            }
            sign @ (b';' | b'&' | b'(' | b')') => {
                self.is_branched |= sign != b';';
                self.end_command(draft);
            }
            byte => {
                draft.is_in_word = true;
                draft.word.push(byte);
                draft.braces = match (byte, draft.braces) {
                    (b'{', Braces::None) => Braces::Open,
                    (b',', Braces::Open) => Braces::Listed,
                    (_, braces) => braces,
                };
            }
        }
        at + 1
    }

    fn end_word(&mut self, draft: &mut Draft) {
        if !draft.is_in_word {
            return;
        }
        draft.is_in_word = false;
        let word = std::mem::take(&mut draft.word);
        let braces = std::mem::take(&mut draft.braces);
        match draft.redirect.take() {
            None => {}
            Some(Redirect::From) => {
                draft.command.reads = word;
                return;
            }
            Some(Redirect::To) => {
                // Descriptors and terminals are no files.
                if word.starts_with(b"/dev/") && !word.starts_with(b"/dev/shm/") {
                    draft.command.writes = false;
                } else {
                    draft.command.into = word;
                }
                return;
            }
            Some(Redirect::HereString) => {
                draft.command.input.extend_from_slice(&word);
                return;
            }
            Some(Redirect::HereDocument) => {
                draft.here_documents.push(word);
                return;
            }
        }
        if draft.command.words.is_empty() {
            if std::mem::take(&mut draft.is_function) {
                draft.defines = Some(word);
                return;
            }
            if LEADING.contains(&word.as_slice()) {
                draft.is_function = word == b"function";
                self.is_branched |= !matches!(word.as_slice(), b"function" | b"{" | b"}");
                draft.cases -= usize::from(word == b"esac" && draft.cases > 0);
                return;
            }
            // A cell of a notebook: `%%bash`, `!command`.
            if word.starts_with(b"%%") {
                return;
            }
            if let Some(command) = word.strip_prefix(b"!").filter(|rest| rest.len() > 1) {
                draft.command.words.push(command.to_vec());
                return;
            }
            if let Some((name, value)) = assignment(&word) {
                self.remember(name, value);
                draft.command.variables.push(word);
                return;
            }
            // `NAME+=value`
            if let Some((name, value)) = appended(&word) {
                let value = [
                    self.variables.get(name).map_or(&b""[..], Vec::as_slice),
                    value,
                ]
                .concat();
                self.remember(name, &value);
                draft.command.variables.push([name, b"=", &value].concat());
                return;
            }
        }
        if word == b"in" && draft.command.words.len() == 2 && draft.command.words[0] == b"case" {
            draft.command.words.push(word);
            self.end_command(draft);
            draft.cases += 1;
            draft.is_at_pattern = true;
            return;
        }
        match listed(&word).filter(|_| braces == Braces::Listed) {
            Some(words) => draft.command.words.extend(words),
            None => draft.command.words.push(word),
        }
    }

    fn remember(&mut self, name: &[u8], value: &[u8]) {
        let is_room = self.variables.len() < MAX_VARIABLES || self.variables.contains_key(name);
        if is_room && value.len() <= MAX_VALUE_BYTES {
            self.variables.insert(name.to_vec(), value.to_vec());
        }
    }

    fn end_command(&mut self, draft: &mut Draft) {
        self.end_word(draft);
        draft.redirect = None;
        let mut command = std::mem::take(&mut draft.command);
        if !command.words.is_empty() && !self.exported.is_empty() {
            command
                .variables
                .splice(0..0, self.exported.iter().cloned());
        }
        self.learn(&command);
        if self.called(&command, draft.nesting) {
            return;
        }
        if !command.words.is_empty() || !command.variables.is_empty() {
            self.commands.push(command);
        }
    }

    /// What a command sets, for the words behind it.
    fn learn(&mut self, command: &Command) {
        let mut words = command.words.iter().map(Vec::as_slice);
        match words.next() {
            Some(first @ (b"export" | b"declare" | b"local" | b"readonly" | b"typeset")) => {
                for word in words {
                    if let Some((name, value)) = assignment(word) {
                        self.remember(name, value);
                        if first == b"export" && self.exported.len() < MAX_EXPORTED {
                            self.exported.push(word.to_vec());
                        }
                    }
                }
            }
            // `set -- a b` makes them `$1` and `$2`.
            Some(b"set") => {
                let words: Vec<Vec<u8>> = words.map(<[u8]>::to_vec).collect();
                match words.iter().position(|word| word == b"--") {
                    Some(at) => self.set_parameters(&words[at + 1..]),
                    None if words.first().is_some_and(|word| !word.starts_with(b"-")) => {
                        self.set_parameters(&words);
                    }
                    None => {}
                }
            }
            Some(b"read") if !command.input.is_empty() => {
                if let Some(name) = words.next_back() {
                    self.remember(name, &command.input);
                }
            }
            Some(b"printf") if words.next() == Some(b"-v") => {
                let Some(name) = words.next() else { return };
                let rest: Vec<Vec<u8>> = words.map(<[u8]>::to_vec).collect();
                let print = [&[b"printf".to_vec()][..], &rest].concat();
                if let Some(printed) = super::printed::by(&Command::of(print)) {
                    self.remember(name, &printed);
                }
            }
            // `for NAME in a b; do`
            Some(b"for") => {
                let (name, second) = (words.next(), words.next());
                // Without `in` it goes over the parameters.
                let own = self.variables.get(&b"@"[..]).cloned().unwrap_or_default();
                let own = own
                    .split(u8::is_ascii_whitespace)
                    .filter(|word| !word.is_empty());
                if let Some(name) = name
                    && second.is_none_or(|word| word == b"in")
                {
                    let values: Vec<&[u8]> = match second {
                        Some(_) => words.collect(),
                        None => own.collect(),
                    };
                    self.values = self.values.max(values.len());
                    match self.pick.checked_sub(1) {
                        Some(at) => {
                            let value = values.get(at).or(values.last());
                            self.remember(name, value.copied().unwrap_or_default());
                        }
                        None => self.remember(name, &values.join(&b' ')),
                    }
                }
            }
            _ => {}
        }
    }

    /// `$1` and so on, and all of them as `$@`.
    fn set_parameters(&mut self, values: &[Vec<u8>]) {
        for (number, value) in (b'1'..=b'9').zip(values) {
            self.remember(&[number], value);
        }
        let all = values.join(&b' ');
        self.remember(b"@", &all);
        self.remember(b"*", &all);
    }

    /// Remembers what a function does, whose body follows.
    fn define(&mut self, name: Vec<u8>, rest: &[u8]) {
        let body = function_body(&rest[..rest.len().min(MAX_VALUE_BYTES)]);
        if self.functions.len() < MAX_VARIABLES {
            let function = Function {
                body: body.to_vec(),
                is_sure: !self.is_branched,
            };
            self.functions.insert(name, function);
        }
    }

    /// Reads what a function does with the words it is called with; one that is called without any was
    /// read where it stands. Gives whether the name is surely no program's.
    fn called(&mut self, command: &Command, nesting: u8) -> bool {
        let Some((name, words)) = command.words.split_first() else {
            return false;
        };
        if name == b"unset" {
            self.functions.clear();
        }
        let Some(Function { body, is_sure }) = self.functions.get(name).cloned() else {
            return false;
        };
        self.expanded += body.len();
        if words.is_empty() {
            return is_sure;
        }
        if nesting >= MAX_NESTING || self.expanded > MAX_EXPANDED_BYTES {
            self.leave(&command.words.join(&b' '));
            return is_sure;
        }
        self.set_parameters(words);
        self.script(&body, nesting + 1);
        is_sure
    }

    /// The words of `(a b c)` behind `NAME=`, and what stands among them in substitutions. Gives how
    /// many bytes it took.
    fn array(&mut self, rest: &[u8], draft: &mut Draft, nesting: u8) -> usize {
        let length = nested_length(&rest[1..], b')');
        let words = self.words_of(&rest[1..=length], nesting);
        if draft.word.ends_with(b"+=") {
            draft.word.push(b' ');
        }
        draft.word.extend(words.join(&b' '));
        (length + 2).min(rest.len())
    }

    /// Words that are no command.
    fn words_of(&mut self, text: &[u8], nesting: u8) -> Vec<Vec<u8>> {
        let mut draft = Draft {
            nesting,
            ..Draft::default()
        };
        draft.command.words.push(Vec::new());
        let mut at = 0;
        while at < text.len() {
            if b"\n;&|()<>".contains(&text[at]) {
                self.end_word(&mut draft);
                at += 1;
            } else {
                at = self.step(text, at, &mut draft, nesting);
            }
        }
        self.end_word(&mut draft);
        draft.command.words.split_off(1)
    }

    /// Reads a pattern of `case` to its parenthesis; a pattern is no command. Gives how many bytes it
    /// took, or nothing where there is none.
    fn pattern(&mut self, rest: &[u8], draft: &mut Draft, nesting: u8) -> Option<usize> {
        if rest[0].is_ascii_whitespace() {
            return Some(1);
        }
        draft.is_at_pattern = false;
        if rest.starts_with(b"esac") && !rest.get(4).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        // No pattern is longer, and nobody's text is searched to its end for each.
        let rest = &rest[..rest.len().min(MAX_VALUE_BYTES)];
        let open = usize::from(rest[0] == b'(');
        let length = open + nested_length(&rest[open..], b')');
        if length == rest.len() {
            return None;
        }
        self.words_of(&rest[open..length], nesting);
        Some(length + 1)
    }

    fn double_quoted(&mut self, rest: &[u8], draft: &mut Draft, nesting: u8) -> usize {
        let mut at = 0;
        while at < rest.len() {
            match rest[at] {
                b'"' => return at + 1,
                b'\\' => match rest.get(at + 1) {
                    Some(byte @ (b'"' | b'\\' | b'$' | b'`')) => {
                        draft.word.push(*byte);
                        at += 2;
                    }
                    Some(b'\n') => at += 2,
                    _ => {
                        draft.word.push(b'\\');
                        at += 1;
                    }
                },
                b'$' => at += self.dollar(&rest[at..], draft, nesting, true),
                b'`' => at += self.backticks(&rest[at..], draft, nesting, true),
                byte => {
                    draft.word.push(byte);
                    at += 1;
                }
            }
        }
        at
    }

    /// `$NAME`, `${NAME…}`, `$(…)`, `$'…'`. Gives how many bytes it took, at least one.
    fn dollar(&mut self, rest: &[u8], draft: &mut Draft, nesting: u8, is_quoted: bool) -> usize {
        match rest.get(1) {
            Some(b'(') => {
                let length = nested_length(&rest[2..], b')');
                let inner = rest[2..2 + length].to_vec();
                self.substitute(&inner, draft, nesting, is_quoted);
                (length + 3).min(rest.len())
            }
            Some(b'{') => {
                let length = rest[2..].iter().position(|byte| *byte == b'}');
                let length = length.unwrap_or(rest.len() - 2);
                let inner = &rest[2..2 + length];
                let value = self.parameter(inner);
                let written = &rest[..(length + 3).min(rest.len())];
                let is_list = inner.ends_with(b"[@]") || inner == b"@";
                self.expand(value, written, draft, is_quoted && !is_list);
                written.len()
            }
            Some(b'\'') if !is_quoted => {
                let (text, length) = ansi_quoted(&rest[2..]);
                draft.word.extend_from_slice(&text);
                length + 2
            }
            _ => {
                let length = parameter_length(&rest[1..]);
                let name = &rest[1..=length];
                let known = self.variables.get(name).cloned();
                // `"$@"` is as many words as there are.
                self.expand(known, &rest[..=length], draft, is_quoted && name != b"@");
                length + 1
            }
        }
    }

    /// What `${…}` stands for, where that is known here.
    fn parameter(&mut self, inner: &[u8]) -> Option<Vec<u8>> {
        let name = &inner[..parameter_length(inner)];
        let rest = &inner[name.len()..];
        let mut known = self.variables.get(name).cloned();
        let all = rest
            .strip_prefix(b"[@]")
            .or_else(|| rest.strip_prefix(b"[*]"));
        // `${NAME[2]}`
        let one = rest.strip_prefix(b"[").and_then(|rest| {
            let end = rest.iter().position(|byte| *byte == b']')?;
            let number: usize = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
            Some((number, &rest[end + 1..]))
        });
        let rest = match (all, one) {
            (Some(rest), _) => rest,
            (None, Some((number, rest))) => {
                let parts = known
                    .as_ref()
                    .map(|known| known.split(|byte| *byte == b' ').nth(number));
                known = parts.flatten().map(<[u8]>::to_vec);
                rest
            }
            (None, None) => rest,
        };
        // `${NAME:-x}` is x where NAME is not known here.
        for (sign, keeps) in [
            (&b":="[..], true),
            (b"=", true),
            (b":-", false),
            (b"-", false),
        ] {
            if let Some(default) = rest.strip_prefix(sign) {
                let value = known.unwrap_or_else(|| default.to_vec());
                if keeps {
                    self.remember(name, &value);
                }
                return Some(value);
            }
        }
        Some(changed(known?, rest))
    }

    fn expand(
        &mut self,
        value: Option<Vec<u8>>,
        written: &[u8],
        draft: &mut Draft,
        is_quoted: bool,
    ) {
        let Some(value) = value else {
            return draft.word.extend_from_slice(written);
        };
        self.expanded += value.len();
        if self.expanded > MAX_EXPANDED_BYTES {
            self.is_whole = false;
            return draft.word.extend_from_slice(written);
        }
        if is_quoted {
            return draft.word.extend_from_slice(&value);
        }
        // Unquoted, a value falls apart at its blanks, or at what the text says that they are.
        let blanks = self.variables.get(&b"IFS"[..]).cloned().unwrap_or_default();
        let mut parts = value.split(|byte| byte.is_ascii_whitespace() || blanks.contains(byte));
        draft
            .word
            .extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            self.end_word(draft);
            draft.is_in_word = !part.is_empty();
            draft.word.extend_from_slice(part);
        }
    }

    fn backticks(&mut self, rest: &[u8], draft: &mut Draft, nesting: u8, is_quoted: bool) -> usize {
        let length = rest[1..].iter().position(|byte| *byte == b'`');
        let length = length.unwrap_or(rest.len() - 1);
        let inner = rest[1..=length].to_vec();
        self.substitute(&inner, draft, nesting, is_quoted);
        (length + 2).min(rest.len())
    }

    /// The commands of a substitution; what they print stands in the word, as far as it is known.
    fn substitute(&mut self, inner: &[u8], draft: &mut Draft, nesting: u8, is_quoted: bool) {
        if let Some(printed) = self.printed(inner, nesting) {
            self.expand(Some(printed), b"", draft, is_quoted);
        }
    }

    fn printed(&mut self, inner: &[u8], nesting: u8) -> Option<Vec<u8>> {
        if nesting >= MAX_NESTING {
            self.leave(inner);
            return None;
        }
        let before = self.commands.len();
        // What is defined there is not known outside.
        let was_branched = std::mem::replace(&mut self.is_branched, true);
        self.script(inner, nesting + 1);
        self.is_branched = was_branched;
        let commands = &mut self.commands[before..];
        self.is_whole &= super::join_pipes(commands, &mut HashMap::new());
        let (last, others) = commands.split_last()?;
        let printed = others
            .iter()
            .all(|command| command.pipes)
            .then(|| super::printed::by(last))??;
        let end = printed.iter().rposition(|byte| *byte != b'\n');
        Some(printed[..end.map_or(0, |end| end + 1)].to_vec())
    }

    fn redirection(&mut self, rest: &[u8], draft: &mut Draft, nesting: u8) -> usize {
        if rest.get(1) == Some(&b'(') {
            let length = nested_length(&rest[2..], b')');
            let inner = rest[2..2 + length].to_vec();
            // `bash <(echo x)`: as if it were piped.
            if let Some(printed) = self.printed(&inner, nesting)
                && draft.command.input.is_empty()
            {
                draft.command.input = printed;
                draft.command.is_piped = true;
            }
            return (length + 3).min(rest.len());
        }
        // `2>`: the number is no word.
        if draft.is_in_word && draft.word.iter().all(u8::is_ascii_digit) {
            draft.word.clear();
            draft.is_in_word = false;
        }
        self.end_word(draft);
        let (kind, length) = match rest {
            [b'<', b'<', b'<', ..] => (Redirect::HereString, 3),
            [b'<', b'<', b'-', ..] => (Redirect::HereDocument, 3),
            [b'<', b'<', ..] => (Redirect::HereDocument, 2),
            [b'<', ..] => (Redirect::From, 1),
            [b'>', b'&', b'0'..=b'9' | b'-', ..] => return 3,
            [b'>', b'>' | b'|' | b'&', ..] => (Redirect::To, 2),
            _ => (Redirect::To, 1),
        };
        draft.command.writes |= kind == Redirect::To;
        draft.redirect = Some(kind);
        length
    }

    /// Reads the texts behind a line that promised them, for the command that was read last.
    fn here_documents(&mut self, text: &[u8], from: usize, ends: Vec<Vec<u8>>) -> usize {
        let mut at = from;
        for end in ends {
            let mut body = Vec::new();
            while at < text.len() {
                let length = text[at..].iter().position(|byte| *byte == b'\n');
                let line = &text[at..at + length.unwrap_or(text.len() - at)];
                at = (at + line.len() + 1).min(text.len());
                if line.trim_ascii() == end {
                    break;
                }
                body.extend_from_slice(line);
                body.push(b'\n');
            }
            if let Some(last) = self.commands.last_mut() {
                last.input.extend_from_slice(&body);
            }
        }
        at
    }
}

/// `a{b,c}d` to `abd` and `acd`.
fn listed(word: &[u8]) -> Option<Vec<Vec<u8>>> {
    let open = word.iter().position(|byte| *byte == b'{')?;
    let close = word.iter().rposition(|byte| *byte == b'}')?;
    let inner = word.get(open + 1..close)?;
    let parts = inner.split(|byte| *byte == b',');
    let words = parts.map(|part| [&word[..open], part, &word[close + 1..]].concat());
    let words: Vec<Vec<u8>> = words.collect();
    let bytes: usize = words.iter().map(Vec::len).sum();
    (bytes <= MAX_VALUE_BYTES).then_some(words)
}

/// `NAME=value`, where that is one.
pub(super) fn assignment(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    let name = &word[..equals];
    (equals > 0 && name_length(name) == equals).then(|| (name, &word[equals + 1..]))
}

/// `NAME+=value`, where that is one.
fn appended(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = word.iter().position(|byte| *byte == b'=')?;
    let name = word[..equals].strip_suffix(b"+")?;
    (!name.is_empty() && name_length(name) == name.len()).then(|| (name, &word[equals + 1..]))
}

/// The length of `()` with blanks, where a text begins with it.
fn function_length(rest: &[u8]) -> Option<usize> {
    let blanks = rest[1..].iter().take_while(|byte| **byte == b' ').count();
    (rest.get(1 + blanks) == Some(&b')')).then_some(blanks + 2)
}

/// What a function does: the group in braces or parentheses behind its name.
fn function_body(rest: &[u8]) -> &[u8] {
    let rest = rest.trim_ascii_start();
    match rest.first() {
        Some(b'{') => &rest[1..][..length_to(&rest[1..], b'{', b'}')],
        Some(b'(') => &rest[1..][..length_to(&rest[1..], b'(', b')')],
        _ => b"",
    }
}

/// The length of a parameter's name: a variable's, or one digit.
fn parameter_length(text: &[u8]) -> usize {
    match text.first() {
        Some(byte) if byte.is_ascii_digit() || b"@*".contains(byte) => 1,
        _ => name_length(text),
    }
}

/// A value as its expansion changes it: `${X#a}`, `${X%a}`, `${X/a/b}`, `${X:1:2}`, `${X,,}`.
/// Patterns are taken for texts; one that begins or ends in `*` goes to its text.
fn changed(value: Vec<u8>, how: &[u8]) -> Vec<u8> {
    let text = |mark: &[u8]| {
        let rest = how.strip_prefix(mark)?;
        Some(rest.strip_prefix(&mark[..1]).unwrap_or(rest))
    };
    if let Some(prefix) = text(b"#") {
        let literal = prefix.strip_prefix(b"*").unwrap_or(prefix);
        let at = value
            .windows(literal.len().max(1))
            .position(|window| window == literal);
        return match at {
            Some(at) if at == 0 || prefix.len() > literal.len() => {
                value[at + literal.len()..].to_vec()
            }
            _ => value,
        };
    }
    if let Some(suffix) = text(b"%") {
        let literal = suffix.strip_suffix(b"*").unwrap_or(suffix);
        let at = value
            .windows(literal.len().max(1))
            .rposition(|window| window == literal);
        return match at {
            Some(at) if at + literal.len() == value.len() || suffix.len() > literal.len() => {
                value[..at].to_vec()
            }
            _ => value,
        };
    }
    if let Some(rest) = how.strip_prefix(b"/") {
        let most = if rest.starts_with(b"/") {
            usize::MAX
        } else {
            1
        };
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        let mut parts = rest.splitn(2, |byte| *byte == b'/');
        let (from, to) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        return super::printed::replaced(&value, from, to, most);
    }
    if how.starts_with(b",") {
        return value.to_ascii_lowercase();
    }
    if how.starts_with(b"^^") {
        return value.to_ascii_uppercase();
    }
    if let Some(rest) = how.strip_prefix(b":") {
        let numbers = String::from_utf8_lossy(rest);
        let mut numbers = numbers
            .splitn(2, ':')
            .map(|number| number.trim().parse::<usize>().ok());
        if let Some(Some(from)) = numbers.next() {
            let length = numbers.next().flatten().unwrap_or(usize::MAX);
            let rest = value.get(from..).unwrap_or_default();
            return rest[..length.min(rest.len())].to_vec();
        }
    }
    value
}

fn name_length(text: &[u8]) -> usize {
    if text.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.iter().take_while(|byte| is_name(byte)).count()
}

/// How far it is to the parenthesis that closes, over quotes and pairs.
fn nested_length(text: &[u8], close: u8) -> usize {
    length_to(text, b'(', close)
}

/// How far it is to the sign that closes, over quotes and pairs.
fn length_to(text: &[u8], open_sign: u8, close: u8) -> usize {
    let (mut depth, mut quote, mut at) = (0_usize, None, 0);
    while at < text.len() {
        match (text[at], quote) {
            (b'\\', Some(b'"') | None) => at += 1,
            (byte, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => {}
            (byte @ (b'\'' | b'"'), None) => quote = Some(byte),
            (byte, None) if byte == open_sign => depth += 1,
            (byte, None) if byte == close && depth == 0 => return at,
            (byte, None) if byte == close => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The text of `$'…'` behind its quote, and how many bytes it took with the closing one.
fn ansi_quoted(rest: &[u8]) -> (Vec<u8>, usize) {
    let (mut text, mut at) = (Vec::new(), 0);
    while at < rest.len() {
        match rest[at] {
            b'\'' => return (text, at + 1),
            b'\\' => {
                let (byte, length) = escape(&rest[at + 1..]);
                text.extend(byte);
                at += 1 + length;
            }
            byte => {
                text.push(byte);
                at += 1;
            }
        }
    }
    (text, at.min(rest.len()))
}

/// The byte that an escape means, and how many bytes stand for it.
pub(super) fn escape(rest: &[u8]) -> (Option<u8>, usize) {
    let number = |digits: &[u8], radix| {
        let text = std::str::from_utf8(digits).ok()?;
        u8::from_str_radix(text, radix).ok()
    };
    let count = |rest: &[u8], most: usize, is_digit: fn(&u8) -> bool| {
        rest.iter()
            .take(most)
            .take_while(|byte| is_digit(byte))
            .count()
    };
    match rest.first() {
        None => (Some(b'\\'), 0),
        Some(b'n') => (Some(b'\n'), 1),
        Some(b't') => (Some(b'\t'), 1),
        Some(b'r') => (Some(b'\r'), 1),
        Some(b'a') => (Some(7), 1),
        Some(b'b') => (Some(8), 1),
        Some(b'v') => (Some(11), 1),
        Some(b'f') => (Some(12), 1),
        Some(b'e' | b'E') => (Some(27), 1),
        Some(b'x') => {
            let length = count(&rest[1..], 2, u8::is_ascii_hexdigit);
            (number(&rest[1..=length], 16), length + 1)
        }
        // Letters of more than one byte are in no name that is looked for.
        Some(letter @ (b'u' | b'U')) => {
            let most = if *letter == b'u' { 4 } else { 8 };
            let length = count(&rest[1..], most, u8::is_ascii_hexdigit);
            let digits = std::str::from_utf8(&rest[1..=length]).unwrap_or_default();
            let letter = u32::from_str_radix(digits, 16)
                .ok()
                .and_then(|number| u8::try_from(number).ok());
            (letter, length + 1)
        }
        Some(b'0'..=b'7') => {
            let length = count(rest, 3, |byte| matches!(byte, b'0'..=b'7'));
            (number(&rest[..length], 8), length)
        }
        Some(byte) => (Some(*byte), 1),
    }
}

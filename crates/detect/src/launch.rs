//! What a command line launches, and what it merely names.
//!
//! `grep xmrig access.log` names a miner; `nohup ./xmrig` launches one, and so do
//! `sh -c "cd /tmp; ./xmrig"`, `docker run x/xmrig` and `find / -name xmrig -exec {} \;`. A command
//! line is taken apart into the commands it starts, each with the tool it begins with, so that a
//! judge can ask of each word whether it runs.
//!
//! What must stay true: no text makes this panic, recurse without bound or run for long; what could
//! not be taken apart is said ([`Launches::is_whole`]) and is never taken for innocent.
//!
//! Deliberately not here: what is a miner.

use std::collections::{HashMap, VecDeque};

mod clusters;
mod code;
mod literals;
mod printed;
mod shell;
mod split;
mod stored;
mod told;
mod tools;
mod unread;

pub use clusters::{entered, named_in_parts, only_looks};
pub use code::outside_quotes;
pub use tools::{Tool, file_name, lies_with_tools, names as tool_names, of as tool_of};

/// A command line may start this many commands; of a script of more, the rest is not taken apart.
const MAX_COMMANDS: usize = 4096;

/// Commands may stand within commands this deep.
const MAX_DEPTH: u8 = 64;

/// All commands together may hold so many bytes: each level of `nohup nohup …` holds the rest again.
const MAX_HELD_BYTES: usize = 24 << 20;

/// What a word takes beside its bytes.
const WORD_BYTES: usize = 48;

/// So many bytes of texts that were not taken apart are kept, beside the line itself.
const MAX_UNREAD_BYTES: usize = 4 << 20;

/// One command that a command line starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Its words, the program first, without their quotes.
    pub words: Vec<Vec<u8>>,
    /// Variables set for it, `NAME=value`.
    pub variables: Vec<Vec<u8>>,
    /// Text that it is given to read: a here-document or here-string.
    pub input: Vec<u8>,
    /// Whether what it reads comes from another command.
    pub is_piped: bool,
    /// The file that it reads instead, or what that was fetched from.
    pub reads: Vec<u8>,
    /// Whether what it prints is written to a file.
    pub writes: bool,
    /// That file.
    pub into: Vec<u8>,
    /// What starts it, outermost first: `nohup`, `sh`.
    pub through: Vec<String>,
    /// Whether what it prints goes to the command behind it.
    pub pipes: bool,
    /// The number of the command that starts it, among those of its line.
    pub within: Option<usize>,
    /// Whether its only word is the text of a program, as `python -c` takes it.
    pub is_code: bool,
    /// Whether it stands for what was not taken apart, so that each of its words may be a program.
    pub is_unread: bool,
}

/// The commands of a command line.
#[derive(Debug, Clone, Default)]
pub struct Launches {
    /// The commands, in the order in which they stand.
    pub commands: Vec<Command>,
    /// Whether all was taken apart. If not, the last command has the words of what was not.
    pub is_whole: bool,
}

impl Command {
    /// What tool it begins with, if it is one that is known.
    pub fn tool(&self) -> Option<Tool> {
        if self.is_code {
            return None;
        }
        tools::of(self.words.first()?)
    }

    fn of(words: Vec<Vec<u8>>) -> Self {
        Self {
            words,
            ..Self::default()
        }
    }
}

/// What the arguments of a process launch; NUL stands after each.
pub fn of_arguments(arguments: &[u8]) -> Launches {
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(arguments);
    let words = arguments.split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let mut walk = Walk::default();
    walk.wait(Command::of(words.collect()), 0);
    walk.finish(arguments)
}

/// What a line launches that somebody types into a shell.
pub fn of_line(line: &[u8]) -> Launches {
    let mut walk = Walk::default();
    walk.read_script(line, &Origin::default(), 0);
    walk.finish(line)
}

#[derive(Default)]
struct Walk {
    waiting: VecDeque<(Command, u8)>,
    done: Vec<Command>,
    /// How many commands were or are being taken apart, texts of programs among them.
    begun: usize,
    was_cut: bool,
    /// Texts beyond the limits, as they stand.
    unread: Vec<u8>,
    /// How many bytes all commands hold.
    held: usize,
    /// What files hold that the line itself made, by their paths.
    made: HashMap<Vec<u8>, Made>,
    /// How many bytes of such files were taken apart.
    taken: usize,
}

/// What a file holds.
#[derive(Clone)]
enum Made {
    /// This text.
    Text(Vec<u8>),
    /// What another file of this name holds.
    Copy(Vec<u8>),
}

impl Walk {
    /// Takes apart all that waits; `text` is the whole, of which each word may be a program where
    /// that could not be done to the end.
    fn finish(mut self, text: &[u8]) -> Launches {
        while let Some((command, depth)) = self.waiting.pop_front() {
            self.begun += 1;
            self.take_apart(command, depth);
        }
        if self.was_cut {
            self.done.push(unread::command(text, &self.unread));
        }
        Launches {
            commands: self.done,
            is_whole: !self.was_cut,
        }
    }

    /// Puts a command among those that wait, unless there are too many or it stands too deep.
    fn wait(&mut self, command: Command, depth: u8) {
        let words = command.words.iter().chain(&command.variables);
        self.held += command.input.len();
        self.held += words.map(|word| word.len() + WORD_BYTES).sum::<usize>();
        let is_room = self.begun + self.waiting.len() < MAX_COMMANDS
            && depth <= MAX_DEPTH
            && (self.held <= MAX_HELD_BYTES || depth == 0);
        if is_room {
            self.waiting.push_back((command, depth));
            return;
        }
        self.leave(&command.words.join(&b' '));
        self.leave(&command.input);
    }

    /// Keeps a text beyond the limits as it stands.
    fn leave(&mut self, text: &[u8]) {
        self.was_cut = true;
        if self.unread.len() + text.len() <= MAX_UNREAD_BYTES {
            self.unread.extend_from_slice(text);
            self.unread.push(b'\n');
        }
    }

    fn read_script(&mut self, script: &[u8], from: &Origin, depth: u8) {
        self.read_called(script, &[], from, depth);
    }

    /// Reads a script with its parameters, `$0` first.
    fn read_called(&mut self, script: &[u8], parameters: &[Vec<u8>], from: &Origin, depth: u8) {
        if depth > MAX_DEPTH {
            return self.leave(script);
        }
        let mut read = shell::read(script, parameters, MAX_COMMANDS);
        self.was_cut |= !read.is_whole;
        for text in &read.unread {
            self.leave(text);
        }
        self.was_cut |= !join_pipes(&mut read.commands, &mut self.made);
        // `ssh host bash < text`: the last command of the text reads what its shell is given.
        if let Some(last) = read
            .commands
            .last_mut()
            .filter(|last| last.input.is_empty())
        {
            last.input.clone_from(&from.input);
            last.is_piped |= from.is_piped;
        }
        for mut command in read.commands {
            command.through.clone_from(&from.through);
            command.within = from.within;
            self.wait(command, depth);
        }
    }

    /// Puts a command among those done, and what it starts among those waiting.
    fn take_apart(&mut self, command: Command, depth: u8) {
        let tool = command.tool();
        let number = self.done.len();
        let mut from = Origin {
            through: command.through.clone(),
            within: Some(number),
            ..Origin::default()
        };
        from.through.push(
            command
                .words
                .first()
                .map(|word| file_name(word))
                .unwrap_or_default(),
        );
        let mut again = self.of_made(&command);
        // A whole text where a program's name should be: its quotes were those of another language.
        if let Some(first) = command.words.first()
            && !command.is_code
            && first.len() <= MAX_TEXT_AS_NAME
            && first.trim_ascii().contains(&b' ')
        {
            again.push(Made::Text(first.clone()));
        }
        for made in again {
            match made {
                Made::Text(text) => self.read_script(&text, &from, depth + 1),
                Made::Copy(name) => {
                    let mut copy = command.clone();
                    copy.words[0] = name;
                    (copy.through, copy.within) = (from.through.clone(), from.within);
                    self.wait(copy, depth + 1);
                }
            }
        }
        let Some(tool) = tool else {
            self.done.push(command);
            return;
        };
        let parts = split::split(&command, tool);
        for started in parts.starts {
            let inner = Command {
                words: started,
                variables: [command.variables.clone(), parts.variables.clone()].concat(),
                input: command.input.clone(),
                is_piped: command.is_piped,
                reads: command.reads.clone(),
                writes: command.writes,
                into: command.into.clone(),
                pipes: command.pipes,
                through: from.through.clone(),
                within: from.within,
                ..Command::default()
            };
            self.wait(inner, depth + 1);
        }
        // A shell reads its input itself, and then it is one of the texts.
        if !matches!(tool, Tool::Shells) {
            from.input.clone_from(&command.input);
            from.is_piped = command.is_piped;
        }
        for script in parts.scripts {
            self.read_script(&script, &from, depth + 1);
        }
        for (script, parameters) in parts.called {
            self.read_called(&script, &parameters, &from, depth + 1);
        }
        from.input.clear();
        // Before what it starts: that names it by its number.
        self.done.push(command);
        for mut code in parts.codes {
            self.begun += 1;
            let starts = code::starts(&code);
            for text in code::decoded(&code) {
                if starts {
                    self.read_script(&text, &from, depth + 1);
                }
                code.push(b'\n');
                code.extend(text);
            }
            for script in code::started(&code) {
                self.read_script(&script, &from, depth + 1);
            }
            self.done.push(Command {
                words: vec![code],
                through: from.through.clone(),
                within: from.within,
                is_code: true,
                ..Command::default()
            });
        }
    }

    /// What a command starts that is a file which the line itself made.
    fn of_made(&mut self, command: &Command) -> Vec<Made> {
        let Some(first) = command.words.first().filter(|_| !command.is_code) else {
            return Vec::new();
        };
        let path = first.strip_prefix(b"./").unwrap_or(first);
        let Some(made) = self.made.get(path).cloned() else {
            return Vec::new();
        };
        self.taken += match &made {
            Made::Text(text) | Made::Copy(text) => text.len(),
        };
        if self.taken > MAX_TAKEN_BYTES {
            self.was_cut = true;
            return Vec::new();
        }
        vec![made]
    }
}

/// What a text comes from.
#[derive(Debug, Clone, Default)]
struct Origin {
    through: Vec<String>,
    within: Option<usize>,
    input: Vec<u8>,
    is_piped: bool,
}

/// So many files that a line makes are remembered.
const MAX_MADE: usize = 64;

/// So many bytes of them are taken apart.
const MAX_TAKEN_BYTES: usize = 1 << 20;

/// A longer text is no name, and a program's name is no longer text.
const MAX_TEXT_AS_NAME: usize = 4096;

/// So many bytes go through all pipes of a line.
const MAX_PIPED_BYTES: usize = 4 << 20;

/// The file or URL whose content a command prints.
fn copied_from(command: &Command) -> Option<Vec<u8>> {
    let mut plain = command
        .words
        .iter()
        .skip(1)
        .filter(|word| !word.starts_with(b"-"));
    let is_url = |word: &&Vec<u8>| word.windows(3).any(|part| part == b"://");
    match command.tool() {
        Some(Tool::Fetches) => plain.find(is_url).cloned(),
        Some(Tool::Writes) if command.words[0].ends_with(b"cat") => plain.next().cloned(),
        _ => None,
    }
}

/// Hands what commands print to those they are piped into, and what files hold that the line itself
/// made to those that read them, as far as that is known. Gives whether all could be.
fn join_pipes(commands: &mut [Command], made: &mut HashMap<Vec<u8>, Made>) -> bool {
    let mut bytes = 0;
    for at in 0..commands.len() {
        if let Some(done) = at.checked_sub(1).map(|at| &commands[at]) {
            remember(made, done);
        }
        if !made.is_empty()
            && commands[at].input.is_empty()
            && let Some(text) = read_from(made, &commands[at])
        {
            bytes += text.len();
            if bytes > MAX_PIPED_BYTES {
                return false;
            }
            commands[at].input = text;
        }
        if at == 0 {
            continue;
        }
        let (before, behind) = commands.split_at_mut(at);
        let (printer, reader) = (&before[at - 1], &mut behind[0]);
        if !printer.pipes || !reader.input.is_empty() {
            continue;
        }
        let Some(printed) = printed::by(printer) else {
            if let Some(from) = copied_from(printer) {
                reader.reads = from;
            }
            continue;
        };
        bytes += printed.len();
        if bytes > MAX_PIPED_BYTES {
            return false;
        }
        reader.input = printed;
        reader.is_piped = true;
    }
    if let Some(last) = commands.last() {
        remember(made, last);
    }
    true
}

/// A file's path, by which it is remembered.
fn path_of(word: &[u8]) -> Vec<u8> {
    word.strip_prefix(b"./").unwrap_or(word).to_vec()
}

/// Remembers the file that a command makes.
fn remember(made: &mut HashMap<Vec<u8>, Made>, command: &Command) {
    let plain = || {
        let words = command.words.iter().skip(1);
        words.filter(|word| !word.starts_with(b"-"))
    };
    if made.len() >= MAX_MADE || command.words.is_empty() {
        return;
    }
    if !command.into.is_empty() {
        let copied = copied_from(command);
        let held = match (printed::by(command), copied) {
            (Some(text), _) => Made::Text(text),
            (None, Some(from)) => Made::Copy(from),
            (None, None) => return,
        };
        made.insert(path_of(&command.into), held);
        return;
    }
    match command.tool() {
        // `chmod` is of these, and makes no file.
        Some(Tool::Moves) if !command.words[0].ends_with(b"chmod") => {
            if let (Some(from), Some(to)) = (plain().nth_back(1), plain().next_back()) {
                made.insert(path_of(to), Made::Copy(from.clone()));
            }
        }
        Some(Tool::Fetches) => {
            // `-o`, `-O`, `-qO`, `-fsSLo`
            let names = |word: &[u8]| match word {
                b"--output" | b"--output-document" => true,
                [b'-', letter, ..] => {
                    letter.is_ascii_alphabetic() && word.ends_with(b"o") || word.ends_with(b"O")
                }
                _ => false,
            };
            let mut pairs = command.words.windows(2);
            let to = pairs.find(|pair| names(&pair[0])).map(|pair| &pair[1]);
            if let (Some(to), Some(url)) = (to, copied_from(command)) {
                made.insert(path_of(to), Made::Copy(url));
            }
        }
        _ => {}
    }
}

/// The text of the file that a command reads, where the line itself made it.
fn read_from(made: &HashMap<Vec<u8>, Made>, command: &Command) -> Option<Vec<u8>> {
    let is_starter = matches!(
        command.tool(),
        None | Some(Tool::Shells | Tool::Wraps(_) | Tool::Interprets(_))
    );
    let plain = || {
        let words = command.words.iter().skip(1);
        words.filter(|word| !word.starts_with(b"-"))
    };
    let file = match command.reads.as_slice() {
        b"" => plain().next_back()?,
        _ => &command.reads,
    };
    match made.get(&path_of(file)).filter(|_| !is_starter)? {
        Made::Text(text) => Some(text.clone()),
        Made::Copy(_) => None,
    }
}

#[cfg(test)]
mod tests;

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

use std::collections::VecDeque;

mod shell;
mod split;
mod tools;

pub use tools::{Tool, file_name, names as tool_names, of as tool_of};

/// A command line may start this many commands; a script of more is judged as one text.
const MAX_COMMANDS: usize = 1024;

/// Commands may stand within commands this deep.
const MAX_DEPTH: u8 = 12;

/// One command that a command line starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Its words, the program first, without their quotes.
    pub words: Vec<Vec<u8>>,
    /// Variables set for it, `NAME=value`.
    pub variables: Vec<Vec<u8>>,
    /// Text that it is given to read: a here-document or here-string.
    pub input: Vec<u8>,
    /// Whether what it prints is written to a file.
    pub writes: bool,
    /// What starts it, outermost first: `nohup`, `sh`.
    pub through: Vec<String>,
    /// Whether what it prints goes to the command behind it.
    pub pipes: bool,
    /// The number of the command that starts it, among those of its line.
    pub within: Option<usize>,
    /// Whether its only word is the text of a program, as `python -c` takes it.
    pub is_code: bool,
}

/// The commands of a command line.
#[derive(Debug, Clone, Default)]
pub struct Launches {
    /// The commands, in the order in which they stand.
    pub commands: Vec<Command>,
    /// Whether all was taken apart.
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
    Walk::default().run(Command::of(words.collect()))
}

/// What a line launches that somebody types into a shell.
pub fn of_line(line: &[u8]) -> Launches {
    let mut walk = Walk::default();
    walk.read_script(line, &[], None, 0);
    walk.finish()
}

#[derive(Default)]
struct Walk {
    waiting: VecDeque<(Command, u8)>,
    done: Vec<Command>,
    was_cut: bool,
}

impl Walk {
    fn run(mut self, first: Command) -> Launches {
        self.waiting.push_back((first, 0));
        self.finish()
    }

    fn finish(mut self) -> Launches {
        while let Some((command, depth)) = self.waiting.pop_front() {
            if self.done.len() >= MAX_COMMANDS {
                self.was_cut = true;
                break;
            }
            self.take_apart(command, depth);
        }
        Launches {
            commands: self.done,
            is_whole: !self.was_cut,
        }
    }

    fn read_script(&mut self, script: &[u8], through: &[String], within: Option<usize>, depth: u8) {
        let read = shell::read(script, MAX_COMMANDS);
        self.was_cut |= !read.is_whole;
        if depth < MAX_DEPTH {
            for (script, shell) in piped_scripts(&read.commands) {
                let through = [through, &[shell]].concat();
                self.read_script(&script, &through, within, depth + 1);
            }
        }
        for mut command in read.commands {
            command.through = through.to_vec();
            command.within = within;
            self.waiting.push_back((command, depth));
        }
    }

    /// Puts a command among those done, and what it starts among those waiting.
    fn take_apart(&mut self, command: Command, depth: u8) {
        let Some(tool) = command.tool() else {
            self.done.push(command);
            return;
        };
        if depth >= MAX_DEPTH {
            self.was_cut = true;
            self.done.push(command);
            return;
        }
        let parts = split::split(&command, tool);
        let mut through = command.through.clone();
        through.push(file_name(&command.words[0]));
        let within = Some(self.done.len());
        for started in parts.starts {
            let inner = Command {
                words: started,
                variables: [command.variables.clone(), parts.variables.clone()].concat(),
                input: command.input.clone(),
                writes: command.writes,
                pipes: command.pipes,
                through: through.clone(),
                within,
                is_code: false,
            };
            self.waiting.push_back((inner, depth + 1));
        }
        for script in parts.scripts {
            self.read_script(&script, &through, within, depth + 1);
        }
        // Before what it starts: that names it by its number.
        self.done.push(command);
        for code in parts.codes {
            self.done.push(Command {
                words: vec![code],
                through: through.clone(),
                within,
                is_code: true,
                ..Command::default()
            });
        }
    }
}

/// Texts that are printed into a shell, each with the shell's name: `echo TEXT | sh`, perhaps with
/// `base64 -d` between the two.
fn piped_scripts(commands: &[Command]) -> Vec<(Vec<u8>, String)> {
    let name_of = |command: &Command| command.words.first().map(|word| file_name(word));
    let decodes = |command: &Command| {
        let mut words = command.words.iter();
        name_of(command).as_deref() == Some("base64") && words.any(|word| word.starts_with(b"-"))
    };
    let mut scripts = Vec::new();
    for (at, printer) in commands.iter().enumerate() {
        if !printer.pipes || printer.words.is_empty() {
            continue;
        }
        let mut text = match printer.tool() {
            Some(Tool::Writes) if printer.input.is_empty() => {
                let words = printer.words[1..].iter();
                let words = words.filter(|word| !word.starts_with(b"-"));
                words.map(Vec::as_slice).collect::<Vec<_>>().join(&b' ')
            }
            Some(Tool::Writes) => printer.input.clone(),
            _ if decodes(printer) => match decoded(&printer.input) {
                Some(text) => text,
                None => continue,
            },
            _ => continue,
        };
        let mut behind = commands[at + 1..].iter();
        let mut next = behind.next();
        if next.is_some_and(|next| next.pipes && decodes(next)) {
            match decoded(&text) {
                Some(decoded) => text = decoded,
                None => continue,
            }
            next = behind.next();
        }
        let Some(shell) = next else {
            continue;
        };
        let name = name_of(shell).unwrap_or_default();
        if shell.tool() == Some(Tool::Shells) || matches!(name.as_str(), "at" | "crontab") {
            scripts.push((text, name));
        }
    }
    scripts
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text.trim_ascii())
        .ok()
}

#[cfg(test)]
mod tests;

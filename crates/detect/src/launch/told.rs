//! What tools that otherwise only read or name can be told to start, and what they write where it
//! starts later.
//!
//! Sources: the manual pages of the tools, and the collection at gtfobins.github.io.

use super::split::{Parts, is_option};
use super::tools::file_name;
use super::{Command, printed, stored};

/// What a few tools that otherwise only read can be told to start.
pub(super) fn named(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let tool = file_name(&command.words[0]);
    writes(&tool, command, words, parts);
    whole(&tool, command, words, parts);
    for (at, word) in words.iter().enumerate() {
        let text = String::from_utf8_lossy(word);
        let next = || words.get(at + 1).cloned().unwrap_or_default();
        match (tool.as_str(), &*text) {
            // rg --pre CMD, tar --to-command=CMD, git -c alias.x='!CMD'
            ("rg", "--pre") | ("gcc" | "g++" | "cc" | "clang", "-wrapper") => {
                parts.starts.push(vec![next()]);
            }
            ("vim" | "vi" | "nvim" | "view" | "ex", _) => match &*text {
                "-c" | "--cmd" => edited(&next(), parts),
                text if text.starts_with('+') => edited(&text.as_bytes()[1..], parts),
                _ => {}
            },
            ("less" | "more" | "most", text) if text.starts_with("+!") => {
                parts.scripts.push(text.as_bytes()[2..].to_vec());
            }
            ("jupyter" | "jupyter-console" | "jupyter-qtconsole", "-c")
            | ("emacs", "--eval" | "-eval") => parts.codes.push(next()),
            ("git", _) => {
                if let Some((_, run)) = text.split_once("=!") {
                    parts.scripts.push(run.as_bytes().to_vec());
                } else if let Some((key, run)) = text.split_once('=')
                    && git_calls(key)
                {
                    parts.scripts.push(run.as_bytes().to_vec());
                } else if matches!(
                    &*text,
                    "--exec" | "-x" | "--extcmd" | "--upload-pack" | "--receive-pack"
                ) || text.ends_with("-filter")
                {
                    parts.scripts.push(next());
                } else if git_calls(&text) || text.starts_with("alias.") {
                    // `git config KEY VALUE`
                    let value = next();
                    parts
                        .scripts
                        .push(value.strip_prefix(b"!").unwrap_or(&value).to_vec());
                }
            }
            (
                "tar",
                "-I"
                | "--to-command"
                | "--use-compress-program"
                | "-F"
                | "--info-script"
                | "--rsh-command",
            )
            | ("rsync", "-e" | "--rsh" | "--rsync-path")
            | ("scp" | "sftp", "-S")
            | ("man", "-P" | "--pager" | "-H" | "--html")
            | ("tcpdump", "-z")
            | ("zip", "-TT" | "--unzip-command")
            | ("bpftrace", "-c")
            | ("split", "--filter")
            | ("sort", "--compress-program")
            | ("wget", "--use-askpass")
            | ("schtasks", "/tr" | "/TR") => parts.scripts.push(as_posix(&tool, &next())),
            ("scp" | "sftp", "-o") => {
                let option = next();
                let option = String::from_utf8_lossy(&option).into_owned();
                let run = super::split::ssh_command(&option);
                parts.scripts.extend(run.map(|run| run.as_bytes().to_vec()));
            }
            ("make", "--eval") => parts.scripts.extend(recipes(&next())),
            ("make", _) => {
                // `--eval=…`, `CC=./x`
                if let Some(text) = word.strip_prefix(b"--eval=") {
                    parts.scripts.extend(recipes(text));
                } else if let Some((name, run)) = super::shell::assignment(word)
                    && MAKE_CALLS.contains(&String::from_utf8_lossy(name).as_ref())
                {
                    parts.scripts.push(run.to_vec());
                }
            }
            // `ip netns exec NAME COMMAND`
            ("ip", "exec") if at > 0 && words.len() > at + 2 => {
                parts.starts.push(words[at + 2..].to_vec());
            }
            ("wmic", text) if text.eq_ignore_ascii_case("create") => {
                parts
                    .scripts
                    .push(as_posix(&tool, &words[at + 1..].join(&b' ')));
            }
            ("reg", text) if text.eq_ignore_ascii_case("/d") => {
                parts.scripts.push(as_posix(&tool, &next()))
            }
            ("condor_submit", _) => {
                let run = word
                    .strip_prefix(b"executable=")
                    .or(word.strip_prefix(b"-executable="));
                parts.starts.extend(run.map(|run| vec![run.to_vec()]));
            }
            ("tar", _) => {
                let run = text.strip_prefix("--checkpoint-action").unwrap_or(&text);
                parts.scripts.extend(
                    run.strip_prefix('=')
                        .unwrap_or(run)
                        .strip_prefix("exec=")
                        .map(Into::into),
                );
                parts.scripts.extend(joined(&text));
            }
            ("rsync" | "man" | "wget" | "split" | "sort" | "zip", _) => {
                parts.scripts.extend(joined(&text))
            }
            ("nc" | "ncat" | "netcat", "-e" | "-c" | "--exec" | "--sh-exec") => {
                parts.scripts.push(next());
            }
            ("socat", _) => {
                for mark in ["EXEC:", "SYSTEM:"] {
                    let behind = text
                        .to_ascii_uppercase()
                        .find(mark)
                        .map(|at| at + mark.len());
                    if let Some(run) = behind.and_then(|at| text.get(at..)) {
                        let run = run.split(',').next().unwrap_or(run);
                        parts.scripts.push(run.as_bytes().to_vec());
                    }
                }
            }
            ("psql" | "mysql" | "sqlite3", _) => {
                let behind = ["\\! ", "system ", ".shell ", ".system ", "PROGRAM "]
                    .iter()
                    .find_map(|mark| Some(text.split_once(mark)?.1.trim_matches('\'').to_owned()));
                parts.scripts.extend(behind.map(String::into_bytes));
            }
            // What an alias or a trap stands for is what it starts.
            ("alias", _) => {
                let run = super::shell::assignment(word).map(|(_, run)| run.to_vec());
                parts.scripts.extend(run);
            }
            ("trap", _) if at == 0 && !is_option(word) => parts.scripts.push(word.clone()),
            _ => {}
        }
    }
}

/// What is written to where it will be started, or given to what starts it later.
fn writes(tool: &str, command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let mut keep = |starts: Option<stored::Starts>| {
        let starts = starts.unwrap_or_default();
        parts.scripts.extend(starts.scripts);
        parts.codes.extend(starts.codes);
    };
    if !command.into.is_empty()
        && let Some(text) = printed::by(command)
    {
        // What a shell writes for `echo -e` and what it writes for `echo` differ in escapes alone.
        keep(stored::of(&command.into, &text));
        keep(stored::of(&command.into, &printed::unescaped(&text)));
    }
    match tool {
        "tee" => {
            for file in words.iter().filter(|word| !is_option(word)) {
                keep(stored::of(file, &command.input));
            }
        }
        "crontab" => parts
            .scripts
            .extend(stored::of_crontab(&command.input, false)),
        "at" | "batch" => parts.scripts.push(command.input.clone()),
        "sed" => {
            // `sed -i '$a TEXT' FILE`
            let (Some(file), Some(program)) =
                (words.last(), words.iter().find(|word| !is_option(word)))
            else {
                return;
            };
            let text = [&b"$a"[..], b"1i", b"$ a", b"1 i"]
                .iter()
                .find_map(|start| program.strip_prefix(*start));
            let text = text.map(|text| text.strip_prefix(b"\\").unwrap_or(text).trim_ascii());
            keep(text.and_then(|text| stored::of(file, text)));
        }
        "make" => parts.scripts.extend(recipes(&command.input)),
        _ => {}
    }
}

/// Variables of make that name a program which it starts.
const MAKE_CALLS: &[&str] = &[
    "SHELL", "CC", "CXX", "CPP", "LD", "AR", "AS", "FC", "MAKE", "PYTHON",
];

/// The lines of a makefile that a shell is given.
fn recipes(text: &[u8]) -> Vec<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n');
    let recipes = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b';');
        line.strip_prefix(b"\t").or(colon.map(|at| &line[at + 1..]))
    });
    recipes.map(<[u8]>::to_vec).collect()
}

/// The value of an option whose value is started: `--rsh=./x`.
fn joined(text: &str) -> Option<Vec<u8>> {
    let (option, run) = text.split_once('=')?;
    let starts = [
        "--to-command",
        "--use-compress-program",
        "--info-script",
        "--rsh-command",
        "--rsh",
        "--rsync-path",
        "--pager",
        "--html",
        "--use-askpass",
        "--filter",
        "--compress-program",
        "--unzip-command",
    ];
    // rsync's filters are no commands.
    let is_filter = option == "--filter" && !run.contains(['/', '$']);
    (starts.contains(&option) && !is_filter).then(|| run.as_bytes().to_vec())
}

/// Whether git starts the value of a key.
fn git_calls(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let calls = [
        "pager",
        "editor",
        "command",
        "fsmonitor",
        "askpass",
        ".helper",
        ".textconv",
        ".clean",
        ".smudge",
        ".process",
        "tool.cmd",
        ".program",
    ];
    key.contains('.') && !key.starts_with('-') && calls.iter().any(|end| key.ends_with(end))
}

/// What a shell elsewhere would make of it: on Windows a backslash is the border of folders.
fn as_posix(tool: &str, text: &[u8]) -> Vec<u8> {
    match matches!(tool, "schtasks" | "wmic" | "reg") {
        true => printed::replaced(text, b"\\", b"\\\\", usize::MAX),
        false => text.to_vec(),
    }
}

/// A command of vim: `:!./x`, `terminal ./x`, or a text in its language.
fn edited(text: &[u8], parts: &mut Parts) {
    let text = text.strip_prefix(b":").unwrap_or(text);
    let (name, rest) = text.split_at(
        text.iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count(),
    );
    if let Some(run) = text.strip_prefix(b"!").or_else(|| {
        rest.strip_prefix(b"!")
            .filter(|_| !name.is_empty() && name.len() <= 2)
    }) {
        parts.scripts.push(run.to_vec());
    } else if name.starts_with(b"ter") {
        let words = rest
            .split(|byte| *byte == b' ')
            .filter(|word| !word.starts_with(b"++"));
        parts.scripts.push(words.collect::<Vec<_>>().join(&b' '));
    } else if rest.contains(&b'(') {
        parts.codes.push(text.to_vec());
    }
}

/// What all words of a tool together start.
fn whole(tool: &str, command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let behind = |mark: &[u8]| {
        let at = words.iter().position(|word| word == mark)?;
        words.get(at + 1..).filter(|rest| !rest.is_empty())
    };
    match tool {
        "git" => {
            // `git bisect run ./x`, `git submodule foreach ./x`
            let group = words
                .iter()
                .find(|word| !is_option(word))
                .map(Vec::as_slice);
            let run = match group {
                Some(b"bisect") => behind(b"run"),
                Some(b"submodule") => behind(b"foreach"),
                _ => None,
            };
            let run = run.map(|run| run.iter().skip_while(|word| is_option(word)).cloned());
            let run = run
                .map(Iterator::collect::<Vec<_>>)
                .filter(|run| !run.is_empty());
            parts.scripts.extend(run.map(|run| run.join(&b' ')));
            for option in words {
                let run = [
                    &b"--exec="[..],
                    b"--extcmd=",
                    b"--upload-pack=",
                    b"--receive-pack=",
                ]
                .iter()
                .find_map(|name| option.strip_prefix(*name));
                parts.scripts.extend(run.map(<[u8]>::to_vec));
            }
        }
        "sed" => {
            let given = words
                .windows(2)
                .filter(|pair| pair[0] == b"-e")
                .map(|pair| &pair[1]);
            let first = words.iter().find(|word| !is_option(word));
            for program in given.chain(first) {
                parts.scripts.extend(sed_starts(program));
            }
        }
        "ed" | "ex" => {
            let lines = command.input.split(|byte| *byte == b'\n');
            let runs = lines.filter_map(|line| {
                let at = line.iter().position(|byte| *byte == b'!')?;
                line[..at]
                    .iter()
                    .all(|byte| b" 0123456789,$rwe".contains(byte))
                    .then(|| line[at + 1..].to_vec())
            });
            parts.scripts.extend(runs);
        }
        // Whoever reaches an open server writes a crontab as its dump.
        "redis-cli" => {
            for line in words
                .iter()
                .flat_map(|word| word.split(|byte| *byte == b'\n'))
            {
                let line = printed::unescaped(line);
                if line.trim_ascii().starts_with(b"*") {
                    parts.scripts.extend(stored::of_crontab(&line, false));
                }
            }
        }
        "jupyter" | "jupyter-run" | "jupyter-execute" | "jupyter-nbconvert" => {
            let runs =
                |word: &Vec<u8>| matches!(word.as_slice(), b"run" | b"execute" | b"--execute");
            if !command.input.is_empty() {
                parts.codes.push(command.input.clone());
            }
            if words.iter().any(runs) || matches!(tool, "jupyter-run" | "jupyter-execute") {
                let books = words.iter().filter(|word| word.ends_with(b".ipynb"));
                parts.starts.extend(books.map(|book| vec![book.clone()]));
            }
        }
        _ => {}
    }
}

/// What a program of sed starts: by its command `e`, and by the flag `e` of its `s`.
fn sed_starts(program: &[u8]) -> Vec<Vec<u8>> {
    let mut runs = Vec::new();
    for line in program.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if let Some((mark, rest)) = line.strip_prefix(b"s").and_then(<[u8]>::split_first) {
            let mut parts = unescaped_parts(rest, *mark).into_iter();
            if let (Some(_), Some(to), Some(flags)) = (parts.next(), parts.next(), parts.next())
                && flags
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric())
                    .any(|flag| *flag == b'e')
            {
                runs.push(to);
            }
            continue;
        }
        // An address stands before it: `1e`, `$e`, `/x/e`.
        let address = match line.strip_prefix(b"/") {
            Some(rest) => rest
                .iter()
                .position(|byte| *byte == b'/')
                .map_or(line.len(), |at| at + 2),
            None => line
                .iter()
                .take_while(|byte| b"0123456789,$~!+{ ".contains(byte))
                .count(),
        };
        runs.extend(line[address..].strip_prefix(b"e").map(<[u8]>::to_vec));
    }
    runs
}

/// A text cut at a byte that no backslash stands before; before others it stays.
fn unescaped_parts(text: &[u8], mark: u8) -> Vec<Vec<u8>> {
    let (mut parts, mut at) = (vec![Vec::new()], 0);
    while at < text.len() {
        let last = parts.last_mut().expect("there is one");
        match text[at..] {
            [b'\\', byte, ..] if byte == mark => {
                last.push(mark);
                at += 1;
            }
            [byte, ..] if byte == mark => parts.push(Vec::new()),
            _ => last.push(text[at]),
        }
        at += 1;
    }
    parts
}

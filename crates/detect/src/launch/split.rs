//! From a tool's words to what it starts.

use super::Command;
use super::clusters::{clustered, contained};
use super::tools::{Language, Tool, Wrap, file_name};
use super::{printed, stored};

/// What one command starts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Commands, by their words.
    pub starts: Vec<Vec<Vec<u8>>>,
    /// Texts for a shell.
    pub scripts: Vec<Vec<u8>>,
    /// Texts in a language.
    pub codes: Vec<Vec<u8>>,
    /// Variables set for what it starts.
    pub variables: Vec<Vec<u8>>,
}

pub(super) fn split(command: &Command, tool: Tool) -> Parts {
    let mut parts = Parts::default();
    let words = &command.words[1..];
    called_by_variables(command, &mut parts);
    match tool {
        Tool::Names | Tool::Writes | Tool::Fetches | Tool::Moves => {
            named(command, words, &mut parts)
        }
        Tool::Finds => found(&file_name(&command.words[0]), words, &mut parts),
        Tool::Manages => managed(&file_name(&command.words[0]), words, &mut parts),
        Tool::Shells => shell(command, words, &mut parts),
        Tool::Wraps(wrap) => wrapped(command, words, wrap, &mut parts),
        Tool::Interprets(language) => interpreted(command, words, language, &mut parts),
        Tool::Containers => contained(words, &mut parts),
        Tool::Clusters => clustered(command, words, &mut parts),
        Tool::Serves => served(words, &mut parts),
    }
    parts
}

/// Variables whose value a tool starts: `PAGER=./x man ls`.
fn called_by_variables(command: &Command, parts: &mut Parts) {
    const CALLED: &[&str] = &[
        "PAGER", "EDITOR", "VISUAL", "_COMMAND", "LESSOPEN", "BROWSER", "_ASKPASS",
    ];
    for variable in &command.variables {
        if let Some((name, value)) = super::shell::assignment(variable) {
            let name = String::from_utf8_lossy(name);
            if CALLED.iter().any(|end| name.ends_with(end)) {
                let value = value.strip_prefix(b"|").unwrap_or(value);
                parts.scripts.push(value.to_vec());
            }
        }
    }
}

pub(super) fn is_option(word: &[u8]) -> bool {
    word.len() > 1 && word[0] == b'-'
}

/// What a few tools that otherwise only read can be told to start.
fn named(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let tool = file_name(&command.words[0]);
    writes(&tool, command, words, parts);
    for (at, word) in words.iter().enumerate() {
        let text = String::from_utf8_lossy(word);
        let next = || words.get(at + 1).cloned().unwrap_or_default();
        match (tool.as_str(), &*text) {
            // rg --pre CMD, tar --to-command=CMD, git -c alias.x='!CMD'
            ("rg", "--pre") | ("gcc" | "g++" | "cc" | "clang", "-wrapper") => {
                parts.starts.push(vec![next()]);
            }
            ("vim" | "vi" | "nvim" | "view", _) => {
                let run = match &*text {
                    "-c" => next(),
                    text if text.starts_with('+') => text.as_bytes()[1..].to_vec(),
                    _ => continue,
                };
                let run = run.strip_prefix(b":").unwrap_or(&run);
                if let Some(run) = run.strip_prefix(b"!") {
                    parts.scripts.push(run.to_vec());
                }
            }
            ("emacs", "--eval" | "-eval") => parts.codes.push(next()),
            ("git", _) => {
                let calls = |key: &str| {
                    let key = key.to_ascii_lowercase();
                    ["pager", "editor", "command"]
                        .iter()
                        .any(|end| key.ends_with(end))
                };
                if let Some((_, run)) = text.split_once("=!") {
                    parts.scripts.push(run.as_bytes().to_vec());
                } else if let Some((key, run)) = text.split_once('=')
                    && calls(key)
                {
                    parts.scripts.push(run.as_bytes().to_vec());
                }
            }
            ("tar", "-I") | ("rsync", "-e") | ("scp" | "sftp", "-S") => parts.scripts.push(next()),
            ("tar", _) => {
                for option in [
                    "--to-command=",
                    "--checkpoint-action=exec=",
                    "--use-compress-program=",
                ] {
                    if let Some(run) = text.strip_prefix(option) {
                        parts.scripts.push(run.as_bytes().to_vec());
                    }
                }
            }
            ("rsync", _) if text.starts_with("--rsh=") => {
                parts.scripts.push(word["--rsh=".len()..].to_vec());
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
        "make" => {
            let shell = words.iter().find_map(|word| word.strip_prefix(b"SHELL="));
            parts.scripts.extend(shell.map(<[u8]>::to_vec));
            let lines = command.input.split(|byte| *byte == b'\n');
            let recipes = lines.filter_map(|line| {
                let behind = line
                    .iter()
                    .position(|byte| *byte == b';')
                    .map(|at| &line[at + 1..]);
                line.strip_prefix(b"\t").or(behind)
            });
            parts.scripts.extend(recipes.map(<[u8]>::to_vec));
        }
        _ => {}
    }
}

fn found(tool: &str, words: &[Vec<u8>], parts: &mut Parts) {
    let starts = |word: &[u8]| {
        matches!(
            word,
            b"-exec"
                | b"-execdir"
                | b"-ok"
                | b"-okdir"
                | b"-x"
                | b"-X"
                | b"--exec"
                | b"--exec-batch"
        )
    };
    let is_fd = tool != "find";
    // `-name xmrig -exec {} \;` starts what it looks for.
    let named = words.windows(2).find_map(|pair| {
        matches!(pair[0].as_slice(), b"-name" | b"-iname" | b"-path").then(|| pair[1].clone())
    });
    let first = || {
        words
            .iter()
            .rfind(|word| !is_option(word) && word.len() > 1)
            .cloned()
    };
    let mut rest = words;
    let plain = words
        .iter()
        .position(|word| starts(word))
        .unwrap_or(words.len());
    let looked_for = match is_fd {
        true => words[..plain]
            .iter()
            .rfind(|word| !is_option(word))
            .cloned()
            .or_else(first),
        false => named,
    };
    let looked_for = looked_for.map(|name| {
        let kept = name.iter().copied().filter(|byte| !b"*?".contains(byte));
        kept.collect::<Vec<u8>>()
    });
    while let Some(at) = rest.iter().position(|word| starts(word)) {
        let behind = &rest[at + 1..];
        let end = behind.iter().position(|word| word == b";" || word == b"+");
        let run = &behind[..end.unwrap_or(behind.len())];
        let mut run = run.to_vec();
        if let Some(name) = &looked_for {
            let holds = |word: &Vec<u8>| word.windows(2).any(|pair| pair == b"{}");
            // What merely works on what is found is told by its own name alone.
            let is_named = run.iter().any(holds);
            for word in &mut run {
                *word = printed::replaced(word, b"{}", name, usize::MAX);
            }
            if is_fd && !is_named {
                run.push(name.clone());
            }
        }
        if !run.is_empty() {
            parts.starts.push(run);
        }
        rest = &behind[end.unwrap_or(behind.len())..];
    }
}

/// Options of package managers that take a value which is no program.
const MANAGER_VALUES: &[&[u8]] = &[
    b"-n",
    b"--name",
    b"--prefix",
    b"--with",
    b"--from",
    b"--spec",
    b"--python",
    b"--features",
    b"-C",
    b"--manifest-path",
    b"--project",
    b"--directory",
    b"--configuration",
    b"-F",
    b"--extra",
    b"--env-file",
];

/// Options whose value is a program that is built and run.
const MANAGER_PROGRAMS: &[&[u8]] = &[b"--bin", b"-p", b"--package", b"--example"];

/// `npm exec x`, `uv run x`, `conda run -n env x`, `nix run nixpkgs#x`, `cargo run --bin x -- …`.
fn managed(tool: &str, words: &[Vec<u8>], parts: &mut Parts) {
    let runs = |word: &Vec<u8>| {
        matches!(
            word.as_slice(),
            b"run" | b"exec" | b"x" | b"start" | b"dlx" | b"shell" | b"develop" | b"environment"
        )
    };
    // `uv tool run`, `brew services start`: the second of the words that are no options.
    let plain = words
        .iter()
        .enumerate()
        .filter(|(_, word)| !is_option(word))
        .take(2);
    let plain: Vec<(usize, &Vec<u8>)> = plain.collect();
    if tool == "dotnet"
        && let Some((at, _)) = plain.iter().find(|(_, word)| word.ends_with(b".dll"))
    {
        parts.starts.push(words[*at..].to_vec());
        return;
    }
    let is_group = |word: &[u8]| matches!(word, b"tool" | b"services" | b"compose");
    let at = match plain.as_slice() {
        [(at, first), ..] if runs(first) => *at,
        [(_, group), (at, second)] if is_group(group) && runs(second) => *at,
        _ => return,
    };
    let behind = &words[at + 1..];
    let marked = behind
        .iter()
        .position(|word| matches!(word.as_slice(), b"--" | b"-c" | b"--command"));
    if let Some(mark) = marked {
        let mut run = behind[mark + 1..].to_vec();
        // Arguments of what is built and run.
        if run.first().is_some_and(|first| is_option(first)) {
            run.insert(0, b"?".to_vec());
        }
        parts.starts.push(run);
    }
    let mut rest = &behind[..marked.unwrap_or(behind.len())];
    while let Some(first) = rest.first()
        && is_option(first)
    {
        let is_program = tool == "cargo" && MANAGER_PROGRAMS.contains(&first.as_slice());
        if let Some(program) = rest.get(1).filter(|_| is_program) {
            parts.starts.push(vec![program.clone()]);
        }
        let takes_value = is_program
            || MANAGER_VALUES.contains(&first.as_slice())
            || first == b"-p" && tool != "npx";
        rest = &rest[(1 + usize::from(takes_value)).min(rest.len())..];
    }
    if let Some((first, arguments)) = rest.split_first() {
        let mut run = vec![package_name(first)];
        run.extend_from_slice(arguments);
        parts.starts.push(run);
    }
}

/// The program of a package's reference: `nixpkgs#x`, `github.com/a/x@latest`, `//dir:x`, `npm:x`.
fn package_name(reference: &[u8]) -> Vec<u8> {
    if reference.starts_with(b".") || reference.starts_with(b"/") && !reference.starts_with(b"//") {
        return reference.to_vec();
    }
    let name = reference.rsplit(|byte| b"#:/".contains(byte)).next();
    let name = name.unwrap_or(reference);
    let name = name.split(|byte| *byte == b'@').next().unwrap_or(name);
    if name.is_empty() {
        reference.to_vec()
    } else {
        name.to_vec()
    }
}

fn shell(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let name = file_name(&command.words[0]);
    let is_windows =
        name.starts_with("powershell") || name.starts_with("pwsh") || name.starts_with("cmd");
    let mut at = 0;
    while at < words.len() && (is_option(&words[at]) || is_windows && words[at].starts_with(b"/")) {
        let word = &words[at];
        let lower = word.to_ascii_lowercase();
        let is_encoded = is_windows
            && matches!(
                lower.as_slice(),
                b"-e" | b"-enc" | b"-encodedcommand" | b"-ec"
            );
        if let Some(text) = words.get(at + 1).filter(|_| is_encoded) {
            // UTF-16, of which the first halves are enough.
            let texts = printed::encoded_words(text);
            parts.scripts.extend(texts);
            return;
        }
        let is_text = match is_windows {
            true => matches!(lower.as_slice(), b"/c" | b"/k" | b"-c" | b"-command"),
            // `-c`, `-lc`, `-ec`: one of the letters is c.
            false => !word.starts_with(b"--") && word.contains(&b'c'),
        };
        if is_text {
            // What `ps` prints has lost its quotes, so all that follows may be the text.
            let mut text = words[at + 1..].join(&b' ');
            if is_windows {
                // There a backslash is the border of folders.
                text = printed::replaced(&text, b"\\", b"\\\\", usize::MAX);
            }
            if !text.is_empty() {
                parts.scripts.push(text);
            }
            // Or the words behind it are its `$0`, `$1` and so on.
            if let [text, _, behind @ ..] = &words[at + 1..]
                && !behind.is_empty()
                && text.contains(&b'$')
            {
                let set = [&b"set -- "[..], &behind.join(&b' '), b"\n", text].concat();
                parts.scripts.push(set);
            }
            // And the text may read what its shell is given, or be nothing but `-`.
            return;
        }
        at += 1 + usize::from(matches!(
            word.as_slice(),
            b"-o" | b"-O" | b"--rcfile" | b"--init-file"
        ));
    }
    if at < words.len() {
        parts.starts.push(words[at..].to_vec());
    }
    if !command.input.is_empty() {
        parts.scripts.push(command.input.clone());
    }
    // `sh < FILE`, `curl URL | sh`
    if !command.reads.is_empty() {
        parts.starts.push(vec![command.reads.clone()]);
    }
}

/// A number or a time, which no program is called by: the value of an option that is not known.
fn is_amount(word: &[u8]) -> bool {
    word.first()
        .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'+')
        && word
            .iter()
            .all(|byte| byte.is_ascii_digit() || b".,:-+%smhdkKMG".contains(byte))
}

fn wrapped(command: &Command, words: &[Vec<u8>], wrap: &Wrap, parts: &mut Parts) {
    // `command -v x` says where x is.
    let asks = |word: &Vec<u8>| matches!(word.as_slice(), b"-v" | b"-V");
    if file_name(&command.words[0]) == "command" && words.first().is_some_and(asks) {
        return;
    }
    let name = file_name(&command.words[0]);
    for pair in words.windows(2) {
        let text = String::from_utf8_lossy(&pair[1]);
        let run = match (name.as_str(), pair[0].as_slice()) {
            ("ssh", b"-o") => text.split_once("ProxyCommand=").map(|(_, run)| run),
            ("gdb", b"-ex" | b"-iex") => text.strip_prefix("shell ").or(text.strip_prefix('!')),
            _ => None,
        };
        parts.scripts.extend(run.map(|run| run.as_bytes().to_vec()));
    }
    let mut at = 0;
    let mut own_words = wrap.own_words;
    let mut replaced = None;
    while at < words.len() {
        let word = words[at].as_slice();
        let text = String::from_utf8_lossy(word);
        if name == "xargs"
            && let Some(mark) = text
                .strip_prefix("-I")
                .or_else(|| text.strip_prefix("--replace="))
        {
            let next = || words.get(at + 1).cloned().unwrap_or_default();
            replaced = Some(if mark.is_empty() {
                next()
            } else {
                mark.as_bytes().to_vec()
            });
        }
        if word == b"--" {
            at += 1;
            break;
        }
        if let Some(option) = wrap.texts.iter().find(|option| **option == text) {
            let run = words.get(at + 1).cloned().unwrap_or_default();
            // `su -c` is given one word, but what `ps` prints has lost its quotes.
            let all = words[at + 1..].join(&b' ');
            parts.scripts.push(if *option == "-c" { all } else { run });
            at += 2;
            continue;
        }
        let joined = wrap
            .texts
            .iter()
            .find_map(|option| text.strip_prefix(&format!("{option}=")));
        if let Some(run) = joined {
            parts.scripts.push(run.as_bytes().to_vec());
            at += 1;
        } else if wrap.long_values.iter().any(|option| *option == text) {
            at += 2;
        } else if is_option(word) {
            let takes_next = !word.starts_with(b"--")
                && word
                    .last()
                    .is_some_and(|last| wrap.values.contains(char::from(*last)));
            at += 1 + usize::from(takes_next);
        } else if word == b"-" {
            at += 1;
        } else if super::shell::assignment(word).is_some() {
            parts.variables.push(word.to_vec());
            at += 1;
        } else if name == "start" && word.len() <= 5 && word[0] == b'/' {
            at += 1;
        } else if is_amount(word) {
            at += 1;
            own_words = own_words.saturating_sub(1);
        } else if own_words > 0 {
            own_words -= 1;
            at += 1;
        } else {
            break;
        }
    }
    let mut run = words.get(at..).unwrap_or_default().to_vec();
    // `wasmtime run x`, `accelerate launch x`
    let has_verb = matches!(
        name.as_str(),
        "wasmtime" | "wasmer" | "jbang" | "proton" | "accelerate" | "streamlit"
    );
    if has_verb && matches!(run.first().map(Vec::as_slice), Some(b"run" | b"launch")) {
        let options = run[1..].iter().take_while(|word| is_option(word)).count();
        run.drain(..=options);
    }
    if run.is_empty() {
        // A shell elsewhere, or the commands themselves.
        let reads_text = wrap.is_text || matches!(name.as_str(), "parallel" | "sbatch" | "qsub");
        if reads_text && !command.input.is_empty() {
            parts.scripts.push(command.input.clone());
        }
        return;
    }
    let run = match name.as_str() {
        "xargs" => with_input(run, replaced.as_deref(), &command.input),
        "parallel" => return parallel(&run, &command.input, parts),
        _ => run,
    };
    if wrap.is_text {
        parts.scripts.push(run.join(&b' '));
    } else {
        parts.starts.push(run);
    }
}

/// So many words that are read are put behind a command.
const MAX_READ_WORDS: usize = 64;

/// What `xargs` makes of a command and of what it reads.
fn with_input(mut run: Vec<Vec<u8>>, mark: Option<&[u8]>, input: &[u8]) -> Vec<Vec<u8>> {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    match mark.filter(|mark| !mark.is_empty()) {
        Some(mark) => {
            let line = input
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            if !line.is_empty() {
                for word in &mut run {
                    *word = printed::replaced(word, mark, line, usize::MAX);
                }
            }
        }
        None => {
            let words = input.split(is_blank).filter(|word| !word.is_empty());
            run.extend(words.take(MAX_READ_WORDS).map(<[u8]>::to_vec));
        }
    }
    run
}

/// `parallel COMMAND ::: WORD…`, and `parallel ::: COMMAND…`.
fn parallel(run: &[Vec<u8>], input: &[u8], parts: &mut Parts) {
    let marked = run.iter().position(|word| word.starts_with(b":::"));
    let (command, words) = run.split_at(marked.unwrap_or(run.len()));
    let words = words.get(1..).unwrap_or_default();
    if command.is_empty() {
        let commands = words.iter().take(MAX_READ_WORDS).cloned();
        parts.scripts.extend(commands);
        return;
    }
    let read = input
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let first = words.first().map_or(read, Vec::as_slice);
    let mut text = command.join(&b' ');
    if text.windows(2).any(|pair| pair == b"{}") {
        text = printed::replaced(&text, b"{}", first, usize::MAX);
    } else {
        text.push(b' ');
        text.extend_from_slice(first);
    }
    parts.scripts.push(text);
}

fn interpreted(command: &Command, words: &[Vec<u8>], language: &Language, parts: &mut Parts) {
    let mut at = 0;
    while at < words.len() && is_option(&words[at]) {
        let word = words[at].as_slice();
        let text = String::from_utf8_lossy(word);
        if let Some(option) = language
            .code
            .iter()
            .find(|option| text.starts_with(**option))
        {
            let joined = &word[option.len()..];
            let joined = joined.strip_prefix(b"=").unwrap_or(joined);
            let code = if joined.is_empty() {
                words[at + 1..].join(&b' ')
            } else {
                joined.to_vec()
            };
            parts.codes.push(code);
            return;
        }
        if language.module == Some(&*text) {
            // A module is a script by another name; its words are the script's.
            at += 1;
            break;
        }
        let takes_next = word.len() == 2 && language.values.contains(char::from(word[1]));
        at += 1 + usize::from(takes_next);
    }
    if !command.input.is_empty() {
        parts.codes.push(command.input.clone());
    }
    if !command.reads.is_empty() {
        parts.starts.push(vec![command.reads.clone()]);
    }
    let Some(mut rest) = words.get(at..).filter(|rest| !rest.is_empty()) else {
        return;
    };
    // `deno run -A npm:x`, `bun x y`
    let name = file_name(&command.words[0]);
    if matches!(name.as_str(), "deno" | "bun") && matches!(rest[0].as_slice(), b"run" | b"x") {
        rest = &rest[1..];
        while rest.first().is_some_and(|word| is_option(word)) {
            rest = &rest[1..];
        }
        if let Some((first, behind)) = rest.split_first() {
            let run = [&[package_name(first)][..], behind].concat();
            parts.starts.push(run);
        }
        return;
    }
    if language.first_word_is_code || language.code.iter().any(|word| word.as_bytes() == rest[0]) {
        let from = usize::from(!language.first_word_is_code);
        parts
            .codes
            .push(rest.get(from).cloned().unwrap_or_default());
    } else {
        parts.starts.push(rest.to_vec());
    }
}

fn served(words: &[Vec<u8>], parts: &mut Parts) {
    let starts = |word: &[u8]| {
        matches!(
            word,
            b"start"
                | b"restart"
                | b"enable"
                | b"reload"
                | b"reenable"
                | b"unmask"
                | b"try-restart"
        )
    };
    if !words.iter().any(|word| starts(word)) {
        return;
    }
    for word in words
        .iter()
        .filter(|word| !starts(word) && !is_option(word))
    {
        let unit = word.strip_suffix(b".service").unwrap_or(word);
        parts.starts.push(vec![unit.to_vec()]);
    }
}

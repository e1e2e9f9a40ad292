//! From a tool's words to what it starts.

use super::Command;
use super::clusters::{clustered, contained};
use super::printed;
use super::told::named;
use super::tools::{Language, Tool, Wrap, file_name};

/// What one command starts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Commands, by their words.
    pub starts: Vec<Vec<Vec<u8>>>,
    /// Texts for a shell.
    pub scripts: Vec<Vec<u8>>,
    /// Texts in a language.
    pub codes: Vec<Vec<u8>>,
    /// Texts for a shell, each with its `$0`, `$1` and so on.
    pub called: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
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
        Tool::Containers => contained(command, words, &mut parts),
        Tool::Clusters => clustered(command, words, &mut parts),
        Tool::Serves => served(words, &mut parts),
        Tool::Debugs => debugged(words, &mut parts),
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
        // `org.example.App`, `package.app`
        if matches!(tool, "snap" | "flatpak") {
            let names = first
                .split(|byte| *byte == b'.')
                .map(|name| vec![name.to_vec()]);
            parts.starts.extend(names);
        }
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
        // `bash -n FILE` reads it, and starts nothing.
        let is_letters = word[1..].iter().all(u8::is_ascii_alphabetic);
        if !is_windows && is_letters && word.contains(&b'n') && !word.contains(&b'c') {
            return;
        }
        let is_encoded = is_windows
            && matches!(
                lower.as_slice(),
                b"-e" | b"-en" | b"-enc" | b"-encodedcommand" | b"-ec"
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
            if let [text, behind @ ..] = &words[at + 1..]
                && !behind.is_empty()
                && text.contains(&b'$')
            {
                parts.called.push((text.clone(), behind.to_vec()));
            }
            // And the text may read what its shell is given, or be nothing but `-`.
            return;
        }
        let takes_next = match is_windows {
            true => POWERSHELL_VALUES.contains(&lower.as_slice()),
            false => matches!(
                word.as_slice(),
                b"-o" | b"-O" | b"--rcfile" | b"--init-file"
            ),
        };
        at += 1 + usize::from(takes_next);
    }
    // PowerShell takes a text without an option as well.
    if name.starts_with("powershell") && words.get(at).is_some_and(|word| !is_script_file(word)) {
        let text = words[at..].join(&b' ');
        parts
            .scripts
            .push(printed::replaced(&text, b"\\", b"\\\\", usize::MAX));
        return;
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

/// Options of PowerShell with a value, as they are shortened (`about_PowerShell_exe`).
const POWERSHELL_VALUES: &[&[u8]] = &[
    b"-w",
    b"-win",
    b"-window",
    b"-windowstyle",
    b"-ep",
    b"-ex",
    b"-exec",
    b"-executionpolicy",
    b"-v",
    b"-version",
    b"-o",
    b"-of",
    b"-outputformat",
    b"-if",
    b"-inputformat",
    b"-wd",
    b"-workingdirectory",
    b"-configurationname",
    b"-psconsolefile",
    b"-settingsfile",
    b"-custompipename",
];

fn is_script_file(word: &[u8]) -> bool {
    word.to_ascii_lowercase().ends_with(b".ps1")
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
            ("ssh" | "autossh", b"-o") => ssh_command(&text),
            _ => None,
        };
        parts.scripts.extend(run.map(|run| run.as_bytes().to_vec()));
    }
    if let Some(at) = words.iter().position(|word| is_among(word, wrap.begins)) {
        return begun(&words[at + 1..], parts);
    }
    // The rest is a shell's.
    if name == "capsh"
        && let Some(at) = words.iter().position(|word| word == b"--" || word == b"==")
    {
        let shell = [&[b"bash".to_vec()][..], &words[at + 1..]].concat();
        parts.starts.push(shell);
        return;
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
        } else if is_among(word, wrap.pairs) {
            at += 3;
        } else if is_among(word, wrap.long_values) {
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
        } else if name == "setarch" && (word.contains(&b'/') || at + 1 == words.len()) {
            // The architecture may be left out.
            break;
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
    // `mpirun -n 1 ./a : -n 7 ./b`
    if *wrap == super::tools::MPI
        && let Some(at) = run.iter().position(|word| word == b":")
    {
        // A command of its own, so that it is bounded as those are.
        parts
            .starts
            .push([&command.words[..1], &run[at + 1..]].concat());
        run.truncate(at);
    }
    // The word behind an option that is not known may be its value: `launcher --near b ./x`.
    let before = at.checked_sub(1).and_then(|at| words.get(at));
    let is_unsure = before
        .is_some_and(|word| word.starts_with(b"--") && word.len() > 2 && !word.contains(&b'='))
        && !run[0].contains(&b'/')
        && super::tool_of(&run[0]).is_none();
    if is_unsure && !wrap.is_text && run.get(1).is_some_and(|word| !is_option(word)) {
        parts.starts.push(run[1..].to_vec());
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

fn is_among(word: &[u8], options: &[&str]) -> bool {
    options
        .iter()
        .any(|option| option.as_bytes().eq_ignore_ascii_case(word))
}

/// What begins behind a mark: words, or a text for a shell where it is one.
fn begun(words: &[Vec<u8>], parts: &mut Parts) {
    match words {
        [] => {}
        [text] if text.trim_ascii().contains(&b' ') => parts.scripts.push(text.clone()),
        words => parts.starts.push(words.to_vec()),
    }
}

/// The command in an option of ssh: `ProxyCommand=./x`, `LocalCommand ./x`.
pub(super) fn ssh_command(option: &str) -> Option<&str> {
    let (name, run) = option.trim_start().split_once(['=', ' '])?;
    let runs = [
        "proxycommand",
        "localcommand",
        "remotecommand",
        "knownhostscommand",
    ];
    runs.iter()
        .any(|known| name.trim().eq_ignore_ascii_case(known))
        .then_some(run)
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
        let option = language
            .code
            .iter()
            .find(|option| text.starts_with(**option));
        if let Some(length) = option
            .map(|option| option.len())
            .or_else(|| among_letters(word, language))
        {
            let joined = &word[length..];
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

/// The length of letters of which the last asks for code: `perl -lane`, `python3 -Ic`.
fn among_letters(word: &[u8], language: &Language) -> Option<usize> {
    let (first, last) = (word.get(1)?, word.last()?);
    let is_code = |option: &&str| option.as_bytes() == [b'-', *last];
    let takes_rest = language.values.contains(char::from(*first))
        || language
            .module
            .is_some_and(|module| module.as_bytes() == [b'-', *first]);
    let is_letters = word[1..].iter().all(u8::is_ascii_alphanumeric);
    (is_letters && !takes_rest && language.code.iter().any(is_code)).then_some(word.len())
}

/// `gdb --args ./x`, `gdb -ex run ./x`, `lldb -o run ./x`: told so, it starts the program it looks into.
fn debugged(words: &[Vec<u8>], parts: &mut Parts) {
    let takes_next = |word: &[u8]| {
        matches!(
            word,
            b"-ex"
                | b"-iex"
                | b"--ex"
                | b"-eval-command"
                | b"--eval-command"
                | b"-x"
                | b"-ix"
                | b"-c"
                | b"--core"
                | b"-core"
                | b"-p"
                | b"--pid"
                | b"-pid"
                | b"-d"
                | b"-cd"
                | b"-tty"
                | b"-s"
                | b"-S"
                | b"-o"
                | b"-O"
                | b"-k"
                | b"-K"
                | b"-n"
                | b"-a"
        )
    };
    let mut runs = false;
    let mut at = 0;
    while at < words.len() && is_option(&words[at]) {
        let word = words[at].as_slice();
        let joined = word
            .iter()
            .position(|byte| *byte == b'=')
            .map(|at| &word[at + 1..]);
        let told = match joined {
            Some(joined) => joined,
            None if takes_next(word) => words.get(at + 1).map_or(&b""[..], Vec::as_slice),
            None => b"",
        };
        let first = told
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        runs |= matches!(first, b"run" | b"r" | b"start" | b"starti" | b"process");
        runs |= matches!(word, b"--args" | b"-args" | b"--");
        let shell = [&b"shell "[..], b"!", b"platform shell "]
            .iter()
            .find_map(|start| told.strip_prefix(*start));
        parts.scripts.extend(shell.map(<[u8]>::to_vec));
        at += 1 + usize::from(takes_next(word));
    }
    if let Some(run) = words.get(at..).filter(|run| runs && !run.is_empty()) {
        parts.starts.push(run.to_vec());
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

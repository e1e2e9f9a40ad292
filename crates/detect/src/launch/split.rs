//! From a tool's words to what it starts.

use super::Command;
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
    /// Variables set for what it starts.
    pub variables: Vec<Vec<u8>>,
}

pub(super) fn split(command: &Command, tool: Tool) -> Parts {
    let mut parts = Parts::default();
    let words = &command.words[1..];
    match tool {
        Tool::Names | Tool::Writes | Tool::Fetches | Tool::Moves => {
            named(command, words, &mut parts)
        }
        Tool::Finds => found(words, &mut parts),
        Tool::Manages => managed(words, &mut parts),
        Tool::Shells => shell(command, words, &mut parts),
        Tool::Wraps(wrap) => wrapped(command, words, wrap, &mut parts),
        Tool::Interprets(language) => interpreted(command, words, language, &mut parts),
        Tool::Containers => contained(words, &mut parts),
        Tool::Clusters => clustered(words, &mut parts),
        Tool::Serves => served(words, &mut parts),
    }
    parts
}

fn is_option(word: &[u8]) -> bool {
    word.len() > 1 && word[0] == b'-'
}

/// What a few tools that otherwise only read can be told to start.
fn named(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let tool = file_name(&command.words[0]);
    for (at, word) in words.iter().enumerate() {
        let text = String::from_utf8_lossy(word);
        let next = || words.get(at + 1).cloned().unwrap_or_default();
        match (tool.as_str(), &*text) {
            // rg --pre CMD, tar --to-command=CMD, git -c alias.x='!CMD'
            ("rg", "--pre") => parts.starts.push(vec![next()]),
            ("vim" | "vi" | "nvim" | "view", "-c") => {
                let next = next();
                let run = next.strip_prefix(b":").unwrap_or(&next);
                if let Some(run) = run.strip_prefix(b"!") {
                    parts.scripts.push(run.to_vec());
                }
            }
            ("git", _) => {
                if let Some((_, run)) = text.split_once("=!") {
                    parts.scripts.push(run.as_bytes().to_vec());
                } else if let Some((key, run)) = text.split_once('=')
                    && (key.ends_with("pager")
                        || key.ends_with("editor")
                        || key.ends_with("command"))
                {
                    parts.scripts.push(run.as_bytes().to_vec());
                }
            }
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
            _ => {}
        }
    }
}

fn found(words: &[Vec<u8>], parts: &mut Parts) {
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
    // `-name xmrig -exec {} \;` starts what it looks for.
    let looked_for = words.windows(2).find_map(|pair| {
        matches!(pair[0].as_slice(), b"-name" | b"-iname" | b"-path").then(|| pair[1].clone())
    });
    let mut rest = words;
    while let Some(at) = rest.iter().position(|word| starts(word)) {
        let behind = &rest[at + 1..];
        let end = behind.iter().position(|word| word == b";" || word == b"+");
        let run = &behind[..end.unwrap_or(behind.len())];
        let mut run = run.to_vec();
        if let (Some(first), Some(name)) = (run.first_mut(), looked_for.clone())
            && first == b"{}"
        {
            *first = name;
        }
        if !run.is_empty() {
            parts.starts.push(run);
        }
        rest = &behind[end.unwrap_or(behind.len())..];
    }
}

/// `npm exec x`, `uv run x`, `conda run -n env x`, `nix run nixpkgs#x`.
fn managed(words: &[Vec<u8>], parts: &mut Parts) {
    let plain = |word: &&Vec<u8>| !is_option(word);
    let Some(at) = words.iter().position(|word| !is_option(word)) else {
        return;
    };
    let runs = matches!(
        words[at].as_slice(),
        b"run" | b"exec" | b"x" | b"start" | b"dlx" | b"shell" | b"develop" | b"environment"
    );
    if !runs {
        return;
    }
    let behind = &words[at + 1..];
    let marked = behind
        .iter()
        .position(|word| matches!(word.as_slice(), b"--" | b"-c" | b"--command"));
    if let Some(mark) = marked {
        parts.starts.push(behind[mark + 1..].to_vec());
    }
    let mut rest = &behind[..marked.unwrap_or(behind.len())];
    // `conda run -n env x`: the option's value is no program.
    while let Some(first) = rest.first()
        && is_option(first)
    {
        let takes_value = matches!(first.as_slice(), b"-n" | b"--name" | b"-p" | b"--prefix");
        rest = &rest[(1 + usize::from(takes_value)).min(rest.len())..];
    }
    if let Some(first) = rest.iter().find(plain) {
        // A flake's reference names the program behind its `#`.
        let name = first.rsplit(|byte| *byte == b'#').next().unwrap_or(first);
        let mut run = vec![name.to_vec()];
        run.extend(
            rest.iter()
                .skip_while(|word| *word != first)
                .skip(1)
                .cloned(),
        );
        parts.starts.push(run);
    }
}

fn shell(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let mut at = 0;
    while at < words.len() && is_option(&words[at]) {
        let word = &words[at];
        // `-c`, `-lc`, `-ec`: one of the letters is c.
        if !word.starts_with(b"--") && word.contains(&b'c') {
            // What `ps` prints has lost its quotes, so all that follows may be the text.
            let text = words[at + 1..].join(&b' ');
            if !text.is_empty() {
                parts.scripts.push(text);
            }
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
    let mut at = 0;
    let mut own_words = wrap.own_words;
    while at < words.len() {
        let word = words[at].as_slice();
        let text = String::from_utf8_lossy(word);
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
    let Some(run) = words.get(at..).filter(|run| !run.is_empty()) else {
        return;
    };
    if wrap.is_text {
        parts.scripts.push(run.join(&b' '));
    } else {
        parts.starts.push(run.to_vec());
    }
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
    let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) else {
        return;
    };
    if language.first_word_is_code || language.code.iter().any(|word| word.as_bytes() == rest[0]) {
        let from = usize::from(!language.first_word_is_code);
        parts
            .codes
            .push(rest.get(from).cloned().unwrap_or_default());
    } else {
        parts.starts.push(rest.to_vec());
    }
}

/// An image's reference to its last name: `registry.example/x/xmrig:6@sha256:…` to `xmrig`.
fn image_name(reference: &[u8]) -> Vec<u8> {
    let reference = reference
        .split(|byte| *byte == b'@')
        .next()
        .unwrap_or(reference);
    let name = reference
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or(reference);
    name.split(|byte| *byte == b':')
        .next()
        .unwrap_or(name)
        .to_vec()
}

fn contained(words: &[Vec<u8>], parts: &mut Parts) {
    let Some(at) = words.iter().position(|word| {
        matches!(
            word.as_slice(),
            b"run" | b"create" | b"exec" | b"start" | b"restart" | b"up"
        )
    }) else {
        return;
    };
    images(&words[at + 1..], parts);
}

/// `kubectl run NAME --image=…`, `create deployment`, `exec POD -- …`, `set image`, `debug`.
fn clustered(words: &[Vec<u8>], parts: &mut Parts) {
    let starts = |word: &[u8]| {
        matches!(
            word,
            b"run" | b"create" | b"exec" | b"debug" | b"set" | b"install" | b"upgrade" | b"expose"
        )
    };
    let Some(at) = words.iter().position(|word| starts(word)) else {
        return;
    };
    images(&words[at + 1..], parts);
}

/// So many words of a container's command line are taken for an image or a program.
const MAX_IMAGE_WORDS: usize = 256;

/// Options, images and commands in a container. Which word is the image depends on options of
/// which there are hundreds, so each word that is no option may be what runs, up to the command
/// that is told by `--` or by a tool that stands behind another word.
fn images(words: &[Vec<u8>], parts: &mut Parts) {
    let single = |name: &[u8]| vec![image_name(name)];
    let is_command = |at: usize| {
        words[at] == b"--"
            || at > 0
                && !is_option(&words[at - 1])
                && !is_option(&words[at])
                && super::tool_of(&words[at]).is_some()
    };
    let end = (0..words.len())
        .find(|at| is_command(*at))
        .unwrap_or(words.len());
    for word in words[..end].iter().take(MAX_IMAGE_WORDS) {
        let text = String::from_utf8_lossy(word);
        if let Some(image) = text.strip_prefix("--image=") {
            parts.starts.push(single(image.as_bytes()));
        } else if let Some(entry) = text.strip_prefix("--entrypoint=") {
            parts.starts.push(single(entry.as_bytes()));
        } else if !is_option(word) {
            parts.starts.push(single(word));
        }
    }
    let mut all = vec![b"container".to_vec()];
    all.extend_from_slice(&words[..end]);
    parts.starts.push(all);
    let command = words[end..]
        .strip_prefix(&[b"--".to_vec()])
        .unwrap_or(&words[end..]);
    if !command.is_empty() {
        parts.starts.push(command.to_vec());
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

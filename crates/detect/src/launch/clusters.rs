//! What tools of containers, clusters and clouds start: images, commands behind `--`, JSON and manifests
//! on the line; and where they only look.

use serde_json::Value;

use super::Command;
use super::split::{Parts, is_option};
use super::tools::file_name;

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

/// What stands beside a miner's name in the name of what looks for miners.
const LOOKERS: &[&[u8]] = &[
    b"exporter",
    b"detector",
    b"detect",
    b"scanner",
    b"scan",
    b"monitor",
    b"killer",
    b"blocker",
    b"hunter",
    b"honeypot",
    b"rules",
    b"dashboard",
    b"anti",
    b"deny",
    b"no",
    b"block",
    b"stats",
    b"netpol",
    b"networkpolicy",
    b"policy",
    b"quota",
];

/// An image's or a manifest's name may have so many parts.
const MAX_NAME_PARTS: usize = 6;

/// The programs that a name of several parts may stand for: `alpine-xmrig`, `docker-t-rex`.
pub fn named_in_parts(name: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<&[u8]> = name.split(|byte| b"-_.".contains(byte)).collect();
    if parts.len() > MAX_NAME_PARTS || parts.iter().any(|part| LOOKERS.contains(part)) {
        return Vec::new();
    }
    let ranges = (0..parts.len()).flat_map(|from| (from + 1..=parts.len()).map(move |to| from..to));
    ranges.map(|range| parts[range].join(&b'-')).collect()
}

/// What an image may start.
fn image(reference: &[u8], parts: &mut Parts) {
    let name = image_name(reference);
    let names = named_in_parts(&name)
        .into_iter()
        .filter(|part| *part != name);
    parts.starts.extend(names.map(|name| vec![name]));
    parts.starts.push(vec![name]);
}

/// Tools by which one enters a container or a pod that runs already.
const ENTERS: &[&str] = &[
    "docker",
    "docker-compose",
    "podman",
    "nerdctl",
    "crictl",
    "kubectl",
    "oc",
];

/// What runs in a container or pod that is entered, whose own name is no program: `docker exec NAME
/// COMMAND`, `kubectl exec POD -- COMMAND`.
pub fn entered(command: &Command) -> Option<&[Vec<u8>]> {
    let (tool, words) = command.words.split_first()?;
    if !ENTERS.contains(&file_name(tool).as_str()) {
        return None;
    }
    let mut own = plain(words);
    let does = own.find(|word| !matches!(word.as_slice(), b"compose" | b"container"))?;
    if does != b"exec" {
        return None;
    }
    let at = words.iter().position(|word| word == does)?;
    let behind = &words[at + 1..];
    if let Some(mark) = behind.iter().position(|word| word == b"--") {
        return Some(&behind[mark + 1..]);
    }
    let mut rest = behind;
    let mut is_target_behind = false;
    while let Some(first) = rest.first() {
        if !is_option(first) {
            if is_target_behind {
                break;
            }
            is_target_behind = true;
            rest = &rest[1..];
            continue;
        }
        let is_flag = is_flag(first);
        let is_valued = ENTER_VALUES.contains(&first.as_slice());
        if !is_flag && !is_valued && !first.contains(&b'=') {
            return None;
        }
        rest = &rest[(1 + usize::from(is_valued)).min(rest.len())..];
    }
    Some(rest)
}

/// Options of `exec` with a value.
const ENTER_VALUES: &[&[u8]] = &[
    b"-e",
    b"--env",
    b"--env-file",
    b"-u",
    b"--user",
    b"-w",
    b"--workdir",
    b"--detach-keys",
    b"-n",
    b"--namespace",
    b"-c",
    b"--container",
    b"--index",
    b"--timeout",
    b"--pod-running-timeout",
];

/// Options of tools of containers without a value.
fn is_flag(option: &[u8]) -> bool {
    let letters = option.strip_prefix(b"-").unwrap_or(option);
    letters.iter().all(|letter| b"ditPqTsy".contains(letter))
        || matches!(
            option,
            b"--rm"
                | b"--detach"
                | b"--interactive"
                | b"--tty"
                | b"--init"
                | b"--privileged"
                | b"--read-only"
                | b"--quiet"
                | b"--replace"
                | b"--no-healthcheck"
                | b"--publish-all"
                | b"--stdin"
                | b"--sync"
                | b"--rmi"
        )
}

/// Options whose value is a name that somebody gives.
const GIVES_NAME: &[&[u8]] = &[
    b"--name",
    b"--hostname",
    b"-h",
    b"--network",
    b"--net",
    b"--network-alias",
    b"--label",
    b"-l",
    b"--cidfile",
    b"--container-name",
];

pub(super) fn contained(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    if let Some(run) = entered(command) {
        parts.starts.extend((!run.is_empty()).then(|| run.to_vec()));
        return;
    }
    // `podman play kube -`
    if words.iter().any(|word| word == b"kube") {
        return manifest(command, words, parts);
    }
    let Some(at) = words.iter().position(|word| {
        matches!(
            word.as_slice(),
            b"run"
                | b"create"
                | b"exec"
                | b"start"
                | b"restart"
                | b"up"
                | b"launch"
                | b"from"
                | b"shell"
        )
    }) else {
        return;
    };
    let behind = &words[at + 1..];
    // What may be the image: no option, and no value of one.
    let is_image = |at: usize| {
        !is_option(&behind[at])
            && at.checked_sub(1).is_none_or(|at| {
                let before = &behind[at];
                !is_option(before) || is_flag(before) || before.contains(&b'=')
            })
    };
    if matches!(
        words[at].as_slice(),
        b"run" | b"create" | b"from" | b"launch"
    ) && let Some(at) = (0..behind.len()).find(|at| is_image(*at))
    {
        image(&behind[at], parts);
    }
    images(behind, parts);
}

/// `kubectl run NAME --image=…`, `create deployment`, `exec POD -- …`, `set image`, `debug`.
pub(super) fn clustered(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    let starts = |word: &[u8]| {
        matches!(
            word,
            b"run"
                | b"create"
                | b"exec"
                | b"debug"
                | b"set"
                | b"install"
                | b"upgrade"
                | b"expose"
                | b"deploy"
                | b"new-app"
                | b"submit"
                | b"ssh"
                | b"run-task"
                | b"cmd.run"
        )
    };
    if only_looks(words) {
        return;
    }
    if let Some(run) = entered(command) {
        parts.starts.extend((!run.is_empty()).then(|| run.to_vec()));
        return;
    }
    told(words, parts);
    manifest(command, words, parts);
    let tool = command.words.first().map(|word| file_name(word));
    if tool.is_some_and(|tool| CLUSTER_TOOLS.contains(&tool.as_ref())) {
        // Its first word is what it does; `deploy` and `run` further on are names of things.
        let words = words.strip_prefix(&[b"--".to_vec()]).unwrap_or(words);
        let does = plain(words).next();
        if does.is_some_and(|word| word == b"set") {
            return set(words, parts);
        }
        if !does.is_some_and(|word| starts(word)) {
            return;
        }
    }
    if let Some(at) = words.iter().position(|word| starts(word)) {
        images(&words[at + 1..], parts);
    }
}

/// The tools whose first word is a verb of Kubernetes.
const CLUSTER_TOOLS: &[&[u8]] = &[b"kubectl", b"oc", b"k3s", b"microk8s.kubectl"];

/// `kubectl set image deployment/NAME CONTAINER=IMAGE`: what follows the name of the container runs;
/// `kubectl set env deployment/NAME NAME=VALUE`: with these variables.
fn set(words: &[Vec<u8>], parts: &mut Parts) {
    let mut own = plain(words).skip(1);
    let what = own.next();
    for word in own.take(MAX_IMAGE_WORDS) {
        let Some(at) = word.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        match what.map(Vec::as_slice) {
            Some(b"image") => image(&word[at + 1..], parts),
            Some(b"env") => {
                parts.variables.push(word.clone());
                parts.starts.push(vec![b"container".to_vec(), word.clone()]);
            }
            _ => {}
        }
    }
}

/// What the options of tools of clusters and clouds say that is to run: as a text for a shell, or in
/// JSON.
fn told(words: &[Vec<u8>], parts: &mut Parts) {
    // What stands behind is a command of its own, with options of its own.
    let own = words.iter().position(|word| word == b"--");
    let words = &words[..own.unwrap_or(words.len())];
    for (at, word) in words.iter().enumerate() {
        let text = String::from_utf8_lossy(word);
        let (option, joined) = match text.split_once('=') {
            Some((option, joined)) => (option.to_owned(), Some(joined.as_bytes().to_vec())),
            None => (text.clone().into_owned(), None),
        };
        let runs = matches!(
            option.as_str(),
            "--command"
                | "-c"
                | "-C"
                | "-a"
                | "--args"
                | "--scripts"
                | "--command-line"
                | "commands"
                | "--container-command"
                | "cmd.run"
                | "--remote-python"
        );
        if runs {
            let run = joined.clone().or_else(|| words.get(at + 1).cloned());
            parts.scripts.extend(run);
        }
        if text.contains("{\"") || text.contains("[\"") {
            in_json(word, parts);
        }
    }
}

/// What JSON on the line starts: the images and commands in it, and where it cannot be read, all of its
/// texts. What is a bare list is taken for a command, unless a name stands before it that says otherwise.
fn in_json(word: &[u8], parts: &mut Parts) {
    let at = word.iter().position(|byte| b"{[".contains(byte));
    let at = at.unwrap_or_default();
    let (before, json) = word.split_at(at);
    let named = before.strip_suffix(b"=").map(|name| {
        let last = name.rsplit(|byte| b".,/".contains(byte)).next();
        String::from_utf8_lossy(last.unwrap_or_default()).into_owned()
    });
    match serde_json::from_slice(json) {
        Ok(value) => {
            let key = named.filter(|name| !name.starts_with('-'));
            started_in(key.as_deref().unwrap_or("command"), &value, parts, 0);
        }
        Err(_) => {
            let strings = super::code::strings(word);
            parts
                .starts
                .extend(strings.iter().map(|string| vec![image_name(string)]));
            parts
                .starts
                .push([vec![b"container".to_vec()], strings].concat());
        }
    }
}

/// JSON is not followed deeper.
const JSON_DEPTH: usize = 32;

fn started_in(key: &str, value: &Value, parts: &mut Parts, depth: usize) {
    let key = key.to_ascii_lowercase();
    let runs = [
        "command",
        "commands",
        "cmd",
        "args",
        "entrypoint",
        "script",
        "exec",
        "run",
    ];
    let runs = runs.contains(&key.as_str());
    match value {
        _ if depth > JSON_DEPTH => {}
        Value::String(reference) if key == "image" || key.ends_with("imageuri") => {
            image(reference.as_bytes(), parts);
        }
        Value::String(text) if runs => parts.scripts.push(text.clone().into_bytes()),
        Value::Array(all) if runs && all.iter().all(Value::is_string) => {
            let words = all.iter().filter_map(Value::as_str);
            let words: Vec<Vec<u8>> = words.map(|word| word.as_bytes().to_vec()).collect();
            // A list of commands has each as a text, a command its words.
            if key == "commands" || words.len() == 1 {
                parts.scripts.extend(words.iter().cloned());
            }
            if key == "args" {
                parts
                    .starts
                    .push([vec![b"container".to_vec()], words].concat());
            } else if !words.is_empty() {
                parts.starts.push(words);
            }
        }
        Value::Array(all) => {
            for value in all {
                started_in(&key, value, parts, depth + 1);
            }
        }
        Value::Object(members) => {
            // A patch says by a path which member it sets (RFC 6902, section 4).
            let path = members.get("path").and_then(Value::as_str);
            let set =
                path.and_then(|path| path.rsplit('/').find(|part| part.parse::<u32>().is_err()));
            if let (Some(set), Some(value)) = (set, members.get("value")) {
                started_in(set, value, parts, depth + 1);
            }
            // QEMU's guest agent: {"execute":"guest-exec","arguments":{"path":"…"}}.
            let does = members.get("execute").and_then(Value::as_str);
            let program = members.get("arguments").and_then(|given| given.get("path"));
            if let (Some("guest-exec"), Some(Value::String(program))) = (does, program) {
                parts.starts.push(vec![program.clone().into_bytes()]);
            }
            for (key, value) in members {
                started_in(key, value, parts, depth + 1);
            }
        }
        _ => {}
    }
}

/// What a manifest starts that stands on the line: `kubectl apply -f - <<EOF`.
fn manifest(command: &Command, words: &[Vec<u8>], parts: &mut Parts) {
    if command.input.is_empty() || !words.iter().any(|word| word == b"-") {
        return;
    }
    // JSON is read as what it is.
    if command.input.trim_ascii().starts_with(b"{") {
        return in_json(&command.input, parts);
    }
    let mut all = vec![b"container".to_vec()];
    for line in command
        .input
        .split(|byte| *byte == b'\n')
        .take(MAX_IMAGE_WORDS)
    {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"- ").unwrap_or(line);
        let mut parts_of = line.splitn(2, |byte| *byte == b':');
        let (key, value) = (parts_of.next().unwrap_or_default(), parts_of.next());
        let unquoted = |text: &[u8]| {
            let text = text.trim_ascii();
            let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
            text.iter()
                .copied()
                .filter(|byte| !is_quote(byte))
                .collect::<Vec<u8>>()
        };
        match value {
            Some(value) if key == b"image" => image(&unquoted(value), parts),
            Some(value) if value.contains(&b'[') => {
                let strings = super::code::strings(value);
                parts.starts.push(strings.clone());
                all.extend(strings);
            }
            _ => all.push(unquoted(line)),
        }
    }
    parts.starts.push(all);
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
    let is_given_name = |at: usize| at > 0 && GIVES_NAME.contains(&words[at - 1].as_slice());
    let own = (0..end)
        .filter(|at| !is_given_name(*at))
        .map(|at| &words[at]);
    for word in own.clone().take(MAX_IMAGE_WORDS) {
        let text = String::from_utf8_lossy(word);
        if let Some((option, reference)) = text.split_once('=')
            && option.starts_with('-')
            && option.ends_with("image")
        {
            image(reference.as_bytes(), parts);
        } else if let Some(entry) = text.strip_prefix("--entrypoint=") {
            parts.starts.push(single(entry.as_bytes()));
        } else if !is_option(word) {
            parts.starts.push(single(word));
        }
    }
    let mut all = vec![b"container".to_vec()];
    all.extend(own.cloned());
    parts.starts.push(all);
    let command = words[end..]
        .strip_prefix(&[b"--".to_vec()])
        .unwrap_or(&words[end..]);
    if !command.is_empty() {
        parts.starts.push(command.to_vec());
    }
}

/// Words by which tools of containers and clusters look at something or take it away.
const LOOKS: &[&[u8]] = &[
    b"ps",
    b"logs",
    b"inspect",
    b"images",
    b"rm",
    b"rmi",
    b"stop",
    b"kill",
    b"top",
    b"stats",
    b"events",
    b"search",
    b"history",
    b"diff",
    b"port",
    b"info",
    b"version",
    b"get",
    b"describe",
    b"delete",
    b"cordon",
    b"drain",
    b"taint",
    b"explain",
    b"auth",
    b"wait",
    b"down",
    b"pause",
    b"list",
    b"ls",
    b"status",
    b"uninstall",
    b"rollback",
    b"rollout",
    b"prune",
    b"commit",
    b"attach",
    b"export",
    b"update",
    b"network",
    b"volume",
    b"scout",
    b"template",
    b"lint",
    b"annotate",
    b"label",
];

/// Options of tools of containers, clusters and clouds whose value is a word of its own.
const VALUED: &[&[u8]] = &[
    b"-n",
    b"--namespace",
    b"--context",
    b"--kube-context",
    b"--cluster",
    b"--kubeconfig",
    b"--user",
    b"--as",
    b"--as-group",
    b"--token",
    b"-s",
    b"--server",
    b"--profile",
    b"--region",
    b"--endpoint-url",
    b"--project",
    b"--host",
    b"-H",
    b"-l",
    b"--selector",
    b"--log-level",
    b"--config",
    b"--request-timeout",
    b"--cache-dir",
    b"--query",
    b"--filter",
    b"--tag",
];

/// The words that are neither options nor values of those that are known to take one, up to `--`.
fn plain(words: &[Vec<u8>]) -> impl Iterator<Item = &Vec<u8>> + Clone {
    let is_value = |at: usize| at > 0 && VALUED.contains(&words[at - 1].as_slice());
    let own = words.iter().take_while(|word| *word != b"--").enumerate();
    own.filter(move |(at, word)| !is_option(word) && !is_value(*at))
        .map(|(_, word)| word)
}

/// Whether a tool of containers or clusters only looks, by these words. The first word that is no
/// option says so, or where that is an option's value, a word of these and none that starts anything.
pub fn only_looks(words: &[Vec<u8>]) -> bool {
    let looks = |word: &Vec<u8>| LOOKS.contains(&word.as_slice());
    let starts = |word: &Vec<u8>| {
        matches!(
            word.as_slice(),
            b"run"
                | b"create"
                | b"exec"
                | b"debug"
                | b"set"
                | b"install"
                | b"upgrade"
                | b"apply"
                | b"start"
                | b"up"
                | b"deploy"
                | b"pull"
        )
    };
    // As many as none.
    if words.iter().any(|word| word == b"--replicas=0") {
        return true;
    }
    let mut plain = plain(words);
    let grouped = [&b"compose"[..], b"container", b"image", b"pod", b"task"];
    let Some(first) = plain.next() else {
        return false;
    };
    if looks(first)
        || grouped.contains(&first.as_slice()) && plain.clone().next().is_some_and(looks)
    {
        return true;
    }
    // What stands behind `--` is a command of its own.
    !words.iter().any(|word| word == b"--")
        && plain.clone().any(looks)
        && !starts(first)
        && !plain.any(starts)
}

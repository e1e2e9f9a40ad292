//! Detections in the kernel: what launches dies before its first instruction, what names it runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use davylamp_testkit::guard::{Guard, LINE_DEADLINE, Setup, unique_word};
use davylamp_testkit::programs::{End, Launch, Outcome, Programs, Stage, Word};
use serde_json::Value;

use crate::bench::DAVY;

/// Letters of which the token is made, in the shape of an address.
const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// A guard that judges by one detection about words of its own, and by no string.
struct Ground {
    guard: Guard,
    programs: Programs,
    stage: Stage,
    /// The name of a program, an option, the beginning of a token, and two words that count together.
    name: String,
    option: String,
    token: String,
    weak: [String; 2],
    #[expect(dead_code, reason = "held for its drop")]
    detections: tempfile::TempDir,
}

impl Ground {
    fn new(config: &str) -> anyhow::Result<Self> {
        let detections = tempfile::tempdir()?;
        let (name, option, token) = (unique_word(), unique_word(), unique_word());
        let weak = [unique_word(), unique_word()];
        let text = format!(
            r#"
name = "launch-of-a-word"
title = "a word of this test"
reason = "It is a word that nothing else on this machine says."
techniques = ["T1496.001"]
severity = "high"
score = 100
response = "kill"
spares_mentions = true
benign = ["none"]
next = ["nothing"]

[words.name]
where = "program"
literals = ["{name}"]

[words.option]
where = "argument"
literals = ["--{option}"]

[words.token]
where = "anywhere"
expressions = ["x{token}[0-9a-f]{{40}}"]

[[cases]]
kind = "fires"
name = "launched"
command = "./{name} now"
action = "kill"

[[cases]]
kind = "near-miss"
name = "a longer option"
command = "tool --{option}s"
action = "clean"

[[cases]]
kind = "hostile"
name = "in a shell"
command = 'sh -c "exec ./{name}"'
action = "kill"

[[cases]]
kind = "benign"
name = "looked for"
command = "grep {name} notes"
action = "spare"
"#
        );
        fs::write(detections.path().join("launch-of-a-word.toml"), text)?;
        for (number, word) in weak.iter().enumerate() {
            let text = format!(
                r#"
name = "half-{number}"
title = "half of a reason"
reason = "Alone it says little."
techniques = ["T1496.001"]
severity = "medium"
score = 50
response = "kill"
benign = ["none"]
next = ["nothing"]

[words.half]
where = "argument"
literals = ["{word}"]

[[cases]]
kind = "fires"
name = "alone"
command = "./tool {word}"
action = "alert"

[[cases]]
kind = "near-miss"
name = "a longer word"
command = "./tool {word}s"
action = "clean"

[[cases]]
kind = "hostile"
name = "in another case"
command = "./tool {}"
action = "alert"

[[cases]]
kind = "benign"
name = "looked for"
command = "grep {word} notes"
action = "spare"
"#,
                word.to_ascii_uppercase()
            );
            fs::write(detections.path().join(format!("half-{number}.toml")), text)?;
        }
        let list = format!("bannedCommandStrings: [\"{}\"]\n", unique_word());
        let mut setup = Setup::new(DAVY, list);
        setup.config = format!(
            "[guard.containers]\ncri_sockets = []\ndocker_sockets = []\n{}\
             [guard.detections]\nshipped = false\npaths = [{:?}]\n{config}",
            davylamp_testkit::guard::WITHOUT_SENSES,
            detections.path(),
        );
        Ok(Self {
            guard: Guard::start(setup)?,
            programs: Programs::new()?,
            stage: Stage::new()?,
            name,
            option,
            token,
            weak,
            detections,
        })
    }

    /// The witness under a name of its own.
    fn named(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.programs.copy(name)
    }

    /// What becomes of a program with these arguments and variables, and the last line about it.
    fn run(
        &self,
        path: &Path,
        arguments: &[&str],
        environment: &[&str],
        action: &str,
    ) -> anyhow::Result<(Outcome, Value)> {
        let words = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Word::from(*text))
                .collect::<Vec<_>>()
        };
        let mut from = self.guard.line_count()?;
        let launch = Launch::of(path, &words(arguments), &words(environment))?;
        let outcome = self.stage.run(&launch)?;
        let line = self
            .guard
            .wait_for_after(&mut from, "a line about it", LINE_DEADLINE, |event| {
                event["pid"] == outcome.pid && event["action"] == action
            })
            .with_context(|| format!("{outcome:?}"))?;
        Ok((outcome, line))
    }

    fn dies(&self, path: &Path, arguments: &[&str], environment: &[&str]) -> anyhow::Result<Value> {
        let (outcome, line) = self.run(path, arguments, environment, "killed")?;
        ensure!(outcome.is_killed_unrun(), "{arguments:?}: {outcome:?}");
        ensure!(line["detection"] == "launch-of-a-word", "{line}");
        Ok(line)
    }
}

#[test]
fn a_program_is_known_by_its_name_wherever_it_stands() -> anyhow::Result<()> {
    let ground = Ground::new("")?;
    let name = ground.name.as_str();
    let path = ground.named(name)?;
    ground.dies(&path, &["innocent"], &[])?;
    ground.dies(
        &ground.named(&format!("{name}-2.1-linux"))?,
        &["innocent"],
        &[],
    )?;
    let other = ground.named("innocent")?;
    ground.dies(&other, &[name], &[])?;
    ground.dies(&other, &[&format!("/opt/{name}/{name}.exe"), "x"], &[])?;
    let line = ground.dies(&other, &[&format!("/opt/{name}/{name}"), "x"], &[])?;
    ensure!(
        line["source"] == "davylamp.exec" && line["score"] == 100.0,
        "{line}"
    );
    Ok(())
}

#[test]
fn an_option_and_a_token_count_wherever_they_stand() -> anyhow::Result<()> {
    let ground = Ground::new("")?;
    let path = ground.named("innocent")?;
    let option = format!("--{}", ground.option);
    let token = format!("x{}{TOKEN}", ground.token);
    ground.dies(&path, &["innocent", &option], &[])?;
    ground.dies(&path, &["innocent", &format!("{option}=1")], &[])?;
    ground.dies(&path, &["innocent", &format!("user={token}")], &[])?;
    ground.dies(&path, &["innocent", &"p ".repeat(40_000), &token], &[])?;
    ground.dies(&path, &["innocent"], &["HOME=/", &format!("POOL={token}")])?;
    Ok(())
}

#[test]
fn what_is_nearly_so_runs_and_is_not_told() -> anyhow::Result<()> {
    let ground = Ground::new("")?;
    let path = ground.named("innocent")?;
    for argument in [
        format!("--{}s", ground.option),
        format!("x{}{}", ground.token, &TOKEN[1..]),
        format!("ax{}{TOKEN}", ground.token),
    ] {
        let launch = Launch::of(&path, &["innocent".into(), argument.as_str().into()], &[])?;
        let outcome = ground.stage.run(&launch)?;
        ensure!(outcome.is_unharmed(), "{argument}: {outcome:?}");
    }
    // One that is told: whatever came before it was not.
    ground.dies(&path, &["innocent", &format!("--{}", ground.option)], &[])?;
    let lines = ground.guard.events()?;
    ensure!(
        lines
            .iter()
            .filter(|line| line["action"].is_string())
            .count()
            == 1
    );
    Ok(())
}

#[test]
fn a_tool_that_only_names_it_is_held_and_released() -> anyhow::Result<()> {
    let ground = Ground::new("")?;
    let grep = Path::new("/usr/bin/grep");
    let (outcome, line) = ground.run(grep, &["grep", &ground.name, "/dev/null"], &[], "spared")?;
    ensure!(matches!(outcome.end, End::Exited(_)), "{outcome:?}");
    ensure!(line["source"] == "davylamp.hold", "{line}");
    // Who calls himself a tool is none, nor is what lies where no tool lies.
    let path = ground.named(&ground.name.clone())?;
    ground.dies(&path, &["grep", "notes"], &[])?;
    ground.dies(
        &ground.named("grep")?,
        &["grep", &format!("--{}", ground.option)],
        &[],
    )?;
    Ok(())
}

#[test]
fn a_shell_dies_of_what_it_would_start() -> anyhow::Result<()> {
    let ground = Ground::new("")?;
    let shell = Path::new("/bin/sh");
    let script = format!("printf x >&3; exec ./{}", ground.name);
    let line = ground.dies(shell, &["sh", "-c", &script], &[])?;
    ensure!(line["source"] == "davylamp.hold", "{line}");
    let script = format!("printf x >&3; grep {} /dev/null; true", ground.name);
    let (outcome, _) = ground.run(shell, &["sh", "-c", &script], &[], "spared")?;
    ensure!(outcome.is_unharmed(), "{outcome:?}");
    // What the shell puts together by itself dies when it is started.
    let path = ground.named(&ground.name.clone())?;
    let (head, tail) = ground.name.split_at(9);
    let folder = path.parent().context("a folder")?.display();
    let script = format!("exec {folder}/\"{head}\"{tail}");
    ground.dies(shell, &["sh", "-c", &script], &[])?;
    Ok(())
}

#[test]
fn weak_words_are_told_and_add_up() -> anyhow::Result<()> {
    let ground = Ground::new("")?;
    let path = ground.named("innocent")?;
    let [one, other] = &ground.weak;
    let (outcome, line) = ground.run(&path, &["innocent", one], &[], "alerted")?;
    ensure!(outcome.is_unharmed(), "{outcome:?}");
    ensure!(
        line["detection"] == "half-0" && line["score"] == 50.0,
        "{line}"
    );
    let (outcome, line) = ground.run(&path, &["innocent", one, other], &[], "killed")?;
    ensure!(outcome.is_killed_unrun(), "{outcome:?}");
    ensure!(
        line["signs"]
            .as_array()
            .is_some_and(|signs| signs.len() == 2),
        "{line}"
    );
    Ok(())
}

#[test]
fn without_its_agent_it_goes_on() -> anyhow::Result<()> {
    let mut ground = Ground::new("")?;
    ground.guard.kill()?;
    let path = ground.named(&ground.name.clone())?;
    let launch = Launch::of(&path, &["innocent".into()], &[])?;
    let outcome = ground.stage.run(&launch)?;
    ensure!(outcome.is_killed_unrun(), "{outcome:?}");
    // What somebody would have to take apart is no reason to die of.
    let grep = Path::new("/usr/bin/grep");
    let launch = Launch::of(grep, &["grep".into(), ground.name.as_str().into()], &[])?;
    let outcome = ground.stage.run(&launch)?;
    ensure!(matches!(outcome.end, End::Exited(_)), "{outcome:?}");
    Ok(())
}

#[test]
fn an_observer_only_tells() -> anyhow::Result<()> {
    let ground = Ground::new("[guard]\nmode = \"observe\"\n")?;
    let path = ground.named("innocent")?;
    let option = format!("--{}", ground.option);
    let (outcome, line) = ground.run(&path, &["innocent", &option], &[], "would-kill")?;
    ensure!(outcome.is_unharmed(), "{outcome:?}");
    ensure!(line["detection"] == "launch-of-a-word", "{line}");
    Ok(())
}

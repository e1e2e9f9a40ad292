//! Every way to carry a banned string past a guard that is known to work on another: each dies
//! before its first instruction, and its harmless twin lives.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use davylamp_testkit::guard::unique_word;
use davylamp_testkit::programs::{Call, Circumstance, Launch, Word};

use crate::bench::{Bench, case};

/// Up to here the incumbent reads an argument.
const ARGUMENT_HEAD: usize = 128;
/// Where the kernel programs change from one chunk of text to the next.
const CHUNK: usize = 4096;
/// A user other than root, on every machine.
const NOBODY: u32 = 65534;
/// A user that owns nothing but the test's program.
const SOMEBODY: u32 = 23456;

#[test]
fn in_an_argument() -> anyhow::Result<()> {
    Bench::new("")?.check(&[
        case("control", "arguments", |bench, word| {
            bench.with_arguments(&[word])
        }),
        case("in another case", "arguments", |bench, word| {
            bench.with_arguments(&[word.to_ascii_uppercase()])
        }),
        case("between other arguments", "arguments", |bench, word| {
            bench.with_arguments(&["--one", word, "--two"])
        }),
        case("after an equals sign", "arguments", |bench, word| {
            bench.with_arguments(&[format!("--work={word}")])
        }),
        case("beyond byte 128", "arguments", |bench, word| {
            bench.with_arguments(&[format!("{}/{word}", "p".repeat(2 * ARGUMENT_HEAD))])
        }),
        case("across byte 128", "arguments", |bench, word| {
            bench.with_arguments(&[format!("{}/{word}", "p".repeat(ARGUMENT_HEAD - 8))])
        }),
        case(
            "across the first chunk's end",
            "arguments",
            |bench, word| bench.with_arguments(&[format!("{}/{word}", "p".repeat(CHUNK - 24))]),
        ),
        case("at the second chunk's start", "arguments", |bench, word| {
            // "first_write" and its NUL, then the padding and a slash.
            bench.with_arguments(&[format!("{}/{word}", "p".repeat(CHUNK - 13))])
        }),
        case("argument 129", "arguments", |bench, word| {
            bench.with_arguments(&[vec!["w"; 128], vec![word]].concat())
        }),
        case("argument 5,000", "arguments", |bench, word| {
            bench.with_arguments(&[vec!["w"; 4999], vec![word], vec!["w"; 10]].concat())
        }),
        case(
            "behind a byte that is not UTF-8",
            "arguments",
            |bench, word| bench.with_arguments(&[[b"\xff\xfe", word.as_bytes(), b"\xc3"].concat()]),
        ),
        case(
            "with a character cut at byte 128",
            "arguments",
            |bench, word| {
                let padding = "p".repeat(ARGUMENT_HEAD - 2 - word.len());
                bench.with_arguments(&[format!("{word} {padding}\u{e9}tail")])
            },
        ),
        case(
            "on a page nobody has touched",
            "arguments",
            |bench, word| bench.with_arguments(&[Word::ColdPage(word.into())]),
        ),
        case("ending where memory ends", "arguments", |bench, word| {
            bench.with_arguments(&[Word::PageEdge(word.into())])
        }),
        case("argument 0", "arguments", |bench, word| {
            Launch::of(&bench.witness(), &[word.into()], &[])
        }),
        case(
            "argument 0 and nothing else sensible",
            "arguments",
            |bench, word| Launch::of(&bench.witness(), &[word.into(), "".into(), "".into()], &[]),
        ),
        case("after decoys", "arguments", |bench, word| {
            bench.with_arguments(&[format!("X{word}"), format!("{word}_"), word.to_owned()])
        }),
        case("before decoys", "arguments", |bench, word| {
            bench.with_arguments(&[word.to_owned(), format!("X{word}"), format!("{word}_")])
        }),
        case(
            "beside a decoy in one argument",
            "arguments",
            |bench, word| bench.with_arguments(&[format!("X{word}{word}_{word}/{word}")]),
        ),
        case("after empty arguments", "arguments", |bench, word| {
            bench.with_arguments(&[vec![""; 300], vec![word]].concat())
        }),
        case("in a shell's script", "arguments", |_, word| {
            // The shell writes to the witness's descriptor where it lives.
            let script = format!("printf x >&3; : {word}");
            Launch::of(
                Path::new("/bin/sh"),
                &["sh".into(), "-c".into(), script.into()],
                &[],
            )
        }),
    ]);
    Ok(())
}

/// A string with a space stands across two arguments too: they are one command line.
#[test]
fn across_two_arguments() -> anyhow::Result<()> {
    let bench = Bench::new("")?;
    let first = unique_word();
    let second = unique_word();
    let list = format!("bannedCommandStrings: [\"{first} {second}\"]\n");
    bench.guard.write_list(&list)?;
    bench.guard.hang_up()?;
    let limit = davylamp_testkit::guard::LINE_DEADLINE;
    bench
        .guard
        .wait_for("the reload", limit, |event| event["event"] == "reloaded")?;
    for (words, dies) in [
        (vec![format!("{first} {second}")], true),
        (vec![first.clone(), second.clone()], true),
        (vec![second.clone(), first.clone()], false),
        (vec![first.clone(), String::new(), second.clone()], false),
    ] {
        let outcome = bench.stage.run(&bench.with_arguments(&words)?)?;
        assert_eq!(outcome.is_killed_unrun(), dies, "{words:?}: {outcome:?}");
        assert_eq!(outcome.is_unharmed(), !dies, "{words:?}: {outcome:?}");
    }
    Ok(())
}

#[test]
fn in_a_path() -> anyhow::Result<()> {
    fn linked(bench: &Bench, below: PathBuf) -> anyhow::Result<PathBuf> {
        let path = bench.programs.folder().join(below);
        fs::create_dir_all(path.parent().context("it is in a folder")?)?;
        if !path.exists() {
            fs::hard_link(bench.witness(), &path).context("cannot link the witness")?;
        }
        Ok(path)
    }
    fn bare(path: &Path) -> anyhow::Result<Launch> {
        Launch::of(path, &["first_write".into()], &[])
    }
    Bench::new("")?.check(&[
        case("a folder's name", "path", |bench, word| {
            bare(&linked(bench, Path::new(word).join("first_write"))?)
        }),
        case("the file's name", "path", |bench, word| {
            bare(&linked(bench, Path::new("bin").join(word))?)
        }),
        case(
            "the file's name, without any argument",
            "path",
            |bench, word| {
                let path = linked(bench, format!("{word}.none").into())?;
                Launch::of(&path, &[], &[])
            },
        ),
        case("a symbolic link's name", "path", |bench, word| {
            let link = bench.programs.folder().join(format!("{word}.link"));
            symlink(bench.witness(), &link)?;
            bare(&link)
        }),
        case(
            "what a symbolic link leads to",
            "executable",
            |bench, word| {
                let target = linked(bench, format!("{word}.target").into())?;
                let link = bench
                    .programs
                    .folder()
                    .join(format!("to-{}", unique_word()));
                symlink(target, &link)?;
                bare(&link)
            },
        ),
        case(
            "the name of a file in memory",
            "executable",
            |bench, word| {
                let call = Call::Descriptor(bench.programs.in_memory(word)?);
                bench.launch::<&str>(call, &[], Circumstance::Plain)
            },
        ),
        case(
            "the name of a file by its descriptor",
            "executable",
            |bench, word| {
                let path = linked(bench, format!("{word}.file").into())?;
                let call = Call::Descriptor(File::open(path)?.into());
                bench.launch::<&str>(call, &[], Circumstance::Plain)
            },
        ),
        case("a deep path", "path", |bench, word| {
            let deep = "d/".repeat(400);
            bare(&linked(bench, format!("{deep}{word}/first_write").into())?)
        }),
        case("a script's path", "arguments", |bench, word| {
            let witness = bench.witness();
            bare(
                &bench
                    .programs
                    .script(&format!("{word}.sh"), &witness.to_string_lossy())?,
            )
        }),
        case("a script's interpreter", "arguments", |bench, word| {
            let interpreter = linked(bench, format!("{word}.interpreter").into())?;
            bare(
                &bench
                    .programs
                    .script(&unique_word(), &interpreter.to_string_lossy())?,
            )
        }),
        case("a script's first line", "arguments", |bench, word| {
            let line = format!("{} --run {word}", bench.witness().display());
            bare(&bench.programs.script(&unique_word(), &line)?)
        }),
        case("a script's argument", "arguments", |bench, word| {
            let witness = bench.witness();
            let script = bench
                .programs
                .script(&unique_word(), &witness.to_string_lossy())?;
            bench.launch(Call::Path(script), &[word], Circumstance::Plain)
        }),
        case(
            "the argument of a script of a script",
            "arguments",
            |bench, word| {
                let witness = bench.witness();
                let inner = bench
                    .programs
                    .script(&unique_word(), &witness.to_string_lossy())?;
                let outer = bench
                    .programs
                    .script(&unique_word(), &inner.to_string_lossy())?;
                bench.launch(Call::Path(outer), &[word], Circumstance::Plain)
            },
        ),
    ]);
    Ok(())
}

#[test]
fn by_each_call() -> anyhow::Result<()> {
    Bench::new("")?.check(&[
        case(
            "execveat of a file in memory",
            "arguments",
            |bench, word| {
                let call = Call::Descriptor(bench.programs.in_memory("program")?);
                bench.launch(call, &[word], Circumstance::Plain)
            },
        ),
        case("execveat of an open file", "arguments", |bench, word| {
            let call = Call::Descriptor(File::open(bench.witness())?.into());
            bench.launch(call, &[word], Circumstance::Plain)
        }),
        case(
            "execve of /proc/self/fd of an open file",
            "arguments",
            |bench, word| {
                let call = Call::ProcDescriptor(File::open(bench.witness())?.into());
                bench.launch(call, &[word], Circumstance::Plain)
            },
        ),
        case(
            "execve of /proc/self/fd of a file in memory",
            "arguments",
            |bench, word| {
                let call = Call::ProcDescriptor(bench.programs.in_memory("program")?);
                bench.launch(call, &[word], Circumstance::Plain)
            },
        ),
        case(
            "a thread that is not the leader",
            "arguments",
            |bench, word| bench.launch(Call::Path(bench.witness()), &[word], Circumstance::Thread),
        ),
        case("posix_spawn", "arguments", |bench, word| {
            bench.launch(Call::Path(bench.witness()), &[word], Circumstance::Spawn)
        }),
        case("a file that is gone by then", "arguments", |bench, word| {
            let path = bench.programs.folder().join(unique_word());
            fs::hard_link(bench.witness(), &path)?;
            let file = File::open(&path)?;
            fs::remove_file(path)?;
            bench.launch(Call::Descriptor(file.into()), &[word], Circumstance::Plain)
        }),
    ]);
    Ok(())
}

#[test]
fn in_each_circumstance() -> anyhow::Result<()> {
    fn in_circumstance(
        bench: &Bench,
        word: &str,
        circumstance: Circumstance,
    ) -> anyhow::Result<Launch> {
        bench.launch(Call::Path(bench.witness()), &[word], circumstance)
    }
    let bench = Bench::new("")?;
    bench.programs.setuid_copy("setuid", SOMEBODY)?;
    bench.check(&[
        case("another user", "arguments", |bench, word| {
            in_circumstance(bench, word, Circumstance::User(NOBODY))
        }),
        case("a setuid program", "arguments", |bench, word| {
            let path = bench.programs.folder().join("setuid");
            bench.launch(Call::Path(path), &[word], Circumstance::User(NOBODY))
        }),
        case("another root", "arguments", |bench, word| {
            let root = Circumstance::Root(bench.programs.folder().to_owned());
            bench.launch(Call::Path("/first_write".into()), &[word], root)
        }),
        case(
            "the personality of a 32-bit machine",
            "arguments",
            |bench, word| in_circumstance(bench, word, Circumstance::Linux32),
        ),
        case("under a tracer", "arguments", |bench, word| {
            in_circumstance(bench, word, Circumstance::Traced)
        }),
        case(
            "the first process of its namespaces",
            "arguments",
            |bench, word| in_circumstance(bench, word, Circumstance::FirstOfNamespace),
        ),
        case(
            "a later process of its namespaces",
            "arguments",
            |bench, word| in_circumstance(bench, word, Circumstance::InNamespace),
        ),
    ]);
    Ok(())
}

/// The log names who it was: the real user of a setuid program is the one who started it.
#[test]
fn the_log_names_the_real_user() -> anyhow::Result<()> {
    let bench = Bench::new("")?;
    let path = bench.programs.setuid_copy("setuid", SOMEBODY)?;
    let user = Circumstance::User(NOBODY);
    let launch = bench.launch(Call::Path(path.clone()), &[bench.word.as_str()], user)?;
    let outcome = bench.stage.run(&launch)?;
    assert!(outcome.is_killed_unrun(), "{outcome:?}");
    let event = bench.event_of(0, &outcome)?;
    assert_eq!(event["uid"], NOBODY, "{event}");
    assert_eq!(event["exe"], path.to_string_lossy().as_ref(), "{event}");
    assert_eq!(event["group"], "words", "{event}");
    assert_eq!(event["ppid"], std::process::id(), "{event}");
    Ok(())
}

#[test]
fn in_the_environment() -> anyhow::Result<()> {
    fn with_variables(bench: &Bench, variables: &[Word]) -> anyhow::Result<Launch> {
        Launch::of(&bench.witness(), &["first_write".into()], variables)
    }
    let bench = Bench::new("")?;
    bench.check(&[
        case("a value", "environment", |bench, word| {
            with_variables(bench, &[format!("POOL={word}").into()])
        }),
        case("in another case", "environment", |bench, word| {
            with_variables(
                bench,
                &[format!("POOL={}", word.to_ascii_uppercase()).into()],
            )
        }),
        case("a name", "environment", |bench, word| {
            with_variables(bench, &[format!("{word}=1").into()])
        }),
        case("the last of many", "environment", |bench, word| {
            let mut variables = vec![Word::from("A=b"); 3000];
            variables.push(format!("POOL={word}").into());
            with_variables(bench, &variables)
        }),
        case("behind much", "environment", |bench, word| {
            let mut variables = vec![Word::from("p".repeat(100_000)); 15];
            variables.push(format!("POOL={word}").into());
            with_variables(bench, &variables)
        }),
        case("after a decoy", "environment", |bench, word| {
            with_variables(
                bench,
                &[format!("X{word}=1").into(), format!("P={word}").into()],
            )
        }),
        case(
            "on a page nobody has touched",
            "environment",
            |bench, word| with_variables(bench, &[Word::ColdPage(format!("POOL={word}").into())]),
        ),
    ]);
    // A string of a plain list does not count there, and no decoy does anywhere.
    let (word, variable) = (&bench.word, &bench.variable);
    for text in [
        format!("POOL={word}"),
        format!("POOL=X{variable}"),
        format!("P={variable}_"),
    ] {
        let outcome = bench
            .stage
            .run(&with_variables(&bench, &[text.clone().into()])?)?;
        assert!(outcome.is_unharmed(), "{text}: {outcome:?}");
    }
    Ok(())
}

#[test]
fn decoys_alone_live() -> anyhow::Result<()> {
    let bench = Bench::new("")?;
    let word = &bench.word;
    for decoy in [
        format!("X{word}"),
        format!("{word}_"),
        format!("{word}{word}"),
        format!("7{word}"),
        word[1..].to_owned(),
        word[..word.len() - 1].to_owned(),
    ] {
        let outcome = bench.stage.run(&bench.with_arguments(&[decoy.as_str()])?)?;
        assert!(outcome.is_unharmed(), "{decoy}: {outcome:?}");
    }
    bench.check(&[]);
    Ok(())
}

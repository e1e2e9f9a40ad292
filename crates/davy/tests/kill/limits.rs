//! How much a command line may hold, and what happens where nothing is started at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use davylamp_testkit::guard::unique_word;
use davylamp_testkit::programs::{Call, Circumstance, End, Launch, Word};

use crate::bench::{Bench, case};

/// Nothing was started, so nobody is to be killed: the caller lives and learns why.
#[test]
fn a_failed_exec_kills_nobody() -> anyhow::Result<()> {
    let bench = Bench::new("")?;
    let word = bench.word.as_str();
    let folder = bench.programs.folder();
    let file = |name: &str, text: &str, mode: u32| -> anyhow::Result<PathBuf> {
        let path = folder.join(format!("{word}.{name}"));
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    };
    let missing = folder.join("nowhere").join(word);
    let locked = file("locked", "#!/bin/true\n", 0o644)?;
    let nonsense = file("nonsense", "neither a program nor a script\n", 0o755)?;
    let orphan = file("orphan", &format!("#!/nowhere/{word}\n"), 0o755)?;
    let long = format!("{word} {}", "p".repeat(128 * 1024));
    for (name, path, argument, errno) in [
        ("no such file", &missing, word, libc::ENOENT),
        ("not executable", &locked, word, libc::EACCES),
        ("not a program", &nonsense, word, libc::ENOEXEC),
        ("no such interpreter", &orphan, word, libc::ENOENT),
        (
            "an argument too long",
            &bench.witness(),
            long.as_str(),
            libc::E2BIG,
        ),
    ] {
        let launch = bench.launch(Call::Path(path.clone()), &[argument], Circumstance::Plain)?;
        let outcome = bench.stage.run(&launch)?;
        assert_eq!(outcome.exec_error(), Some(errno), "{name}: {outcome:?}");
    }
    // One kill for the check itself, and not one line about the callers.
    bench.check(&[]);
    let lines = bench.guard.events()?;
    let actions = lines
        .iter()
        .filter(|event| event["action"].is_string())
        .count();
    assert_eq!(actions, 1, "{lines:?}");
    Ok(())
}

/// The longest argument below the kernel's own limit for one (MAX_ARG_STRLEN).
const LONG_ARGUMENT: usize = 128 * 1024 - 1;

/// `bytes` of padding in as few arguments as possible, then the word.
fn padded(bench: &Bench, bytes: usize, word: &str, stack: Option<u64>) -> anyhow::Result<Launch> {
    let mut words = vec![Word::from("p".repeat(LONG_ARGUMENT)); bytes / (LONG_ARGUMENT + 1)];
    words.push("p".repeat(bytes % (LONG_ARGUMENT + 1)).into());
    words.push(word.into());
    let circumstance = stack.map_or(Circumstance::Plain, Circumstance::StackLimit);
    bench.launch(Call::Path(bench.witness()), &words, circumstance)
}

#[test]
fn behind_much_padding() -> anyhow::Result<()> {
    const MIB: usize = 1024 * 1024;
    Bench::new("")?.check(&[
        case(
            "1.9 MB under the usual limit of the stack",
            "arguments",
            |bench, word| padded(bench, 1_900_000, word, Some(8 * MIB as u64)),
        ),
        case("5.9 MB under a raised limit", "arguments", |bench, word| {
            padded(bench, 5_900_000, word, Some(64 * MIB as u64))
        }),
        case("in front of 1.9 MB", "arguments", |bench, word| {
            let mut words = vec![Word::from(word)];
            words.extend(vec![Word::from("p".repeat(LONG_ARGUMENT)); 14]);
            let limit = Circumstance::StackLimit(8 * MIB as u64);
            bench.launch(Call::Path(bench.witness()), &words, limit)
        }),
        case("300,000 empty arguments", "arguments", |bench, word| {
            let mut words = vec![Word::from(""); 300_000];
            words.push(word.into());
            let limit = Circumstance::StackLimit(64 * MIB as u64);
            bench.launch(Call::Path(bench.witness()), &words, limit)
        }),
    ]);
    Ok(())
}

/// The last byte that the kernel takes is judged too, whatever the stack's limit.
#[test]
fn at_the_kernels_own_limit() -> anyhow::Result<()> {
    let bench = Bench::new("")?;
    for stack in [1u64 << 20, 8 << 20, 64 << 20] {
        let twin = unique_word();
        let fits = |bytes: usize| -> anyhow::Result<bool> {
            let outcome = bench
                .stage
                .run(&padded(&bench, bytes, &twin, Some(stack))?)?;
            let is_too_big = outcome.exec_error() == Some(libc::E2BIG);
            assert!(
                is_too_big || outcome.is_unharmed(),
                "{bytes} bytes: {outcome:?}"
            );
            Ok(!is_too_big)
        };
        let (mut most, mut too_many) = (64 * 1024, 8 << 20);
        while too_many - most > 1 {
            let middle = usize::midpoint(most, too_many);
            *(if fits(middle)? {
                &mut most
            } else {
                &mut too_many
            }) = middle;
        }
        let outcome = bench
            .stage
            .run(&padded(&bench, most, &bench.word, Some(stack))?)?;
        assert!(
            outcome.is_killed_unrun(),
            "{most} bytes of padding: {outcome:?}"
        );
        let event = bench.event_of(0, &outcome)?;
        assert_eq!(event["matched"], bench.word.as_str(), "{event}");
        let cut_from = event["cmdline_cut_from_bytes"].as_u64();
        assert!(cut_from > Some(most as u64), "{event}");
        let over = bench
            .stage
            .run(&padded(&bench, too_many, &bench.word, Some(stack))?)?;
        assert_eq!(
            over.exec_error(),
            Some(libc::E2BIG),
            "one byte more: {over:?}"
        );
        assert!(matches!(over.end, End::Exited(_)));
    }
    Ok(())
}

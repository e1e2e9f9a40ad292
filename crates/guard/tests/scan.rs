//! Looking into files, with the real engine and the real processes: what the shipped detections' cases
//! come to, what a worker may do, and that nothing that goes wrong is taken for clean.
//!
//! No file here is a miner's: each is put together from the words and constants that are looked for.

#![allow(
    clippy::print_stderr,
    reason = "figures are shown where output is asked for"
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use davylamp_content::detection::{Action, Detection, Response, Wire, shipped};
use davylamp_detect::file::{Held, Sign, weigh};
use davylamp_guard::scan::{self, Engine, Limits, Report, Scanner, Source, shipped_rules};

const LIMITS: Limits = Limits {
    max_bytes: 16 << 20,
    max_ms: 20_000,
};

fn engine() -> Engine {
    Engine::new(&shipped_rules()).expect("the shipped rules compile")
}

fn of_files() -> Vec<(Detection, Vec<davylamp_content::detection::Case>)> {
    let shipped = shipped().expect("what ships is good");
    shipped
        .into_iter()
        .filter(|parsed| parsed.detection.is_of_files())
        .map(|parsed| (parsed.detection, parsed.cases))
        .collect()
}

#[test]
fn each_case_of_each_detection_comes_out_as_it_says() {
    let engine = engine();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for (detection, its_cases) in of_files() {
        for case in its_cases {
            let file = case.file.as_ref().expect("a file");
            let bytes = file.bytes().expect("its parts are good");
            let mut signs = engine.search(&bytes).expect("the search ends");
            let held = Held {
                held_in: file.held_in,
                named: &file.named,
                started_by_root_on_host: file.started_by_root_on_host,
            };
            if held.is_fileless() {
                signs.push(Sign {
                    seen: Wire::FilelessProgram,
                    rule: "held".to_owned(),
                    says: String::new(),
                });
            }
            let found = signs.iter().any(|sign| detection.sees.contains(&sign.seen));
            let action = match (found, detection.response) {
                (false, _) => Action::Clean,
                (true, Response::Alert) => Action::Alert,
                (true, Response::Kill) => Action::Kill,
            };
            cases += 1;
            if action != case.action {
                wrong.push(format!(
                    "{}: {}: {action:?}, {signs:?}",
                    detection.name, case.name
                ));
            }
        }
    }
    assert!(cases > 20, "only {cases} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The guard holds all the words it looks for, and so does this test.
#[test]
fn the_guard_is_not_taken_for_a_miner() {
    let engine = engine();
    let me = fs::read(std::env::current_exe().expect("a path")).expect("readable");
    assert_eq!(engine.search(&me).expect("the search ends"), []);
    // The rules themselves, as a rule file of somebody else's.
    for source in shipped_rules() {
        let signs = engine
            .search(source.text.as_bytes())
            .expect("the search ends");
        assert!(signs.is_empty(), "{}: {signs:?}", source.name);
    }
}

/// Every program and library of this machine is the benign twin of something.
#[test]
fn nothing_of_this_machine_is_taken_for_a_miner() {
    let engine = engine();
    let mut left: Vec<PathBuf> = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec"]
        .map(PathBuf::from)
        .to_vec();
    let (mut files, mut bytes, mut found) = (0, 0, Vec::new());
    while let Some(path) = left.pop() {
        let Ok(kind) = fs::symlink_metadata(&path) else {
            continue;
        };
        if kind.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        } else if kind.is_file() && kind.len() <= 64 << 20 {
            let content = fs::read(&path).expect("readable by root");
            files += 1;
            bytes += content.len();
            let signs = engine.search(&content).expect("the search ends");
            if !signs.is_empty() {
                found.push(format!("{}: {signs:?}", path.display()));
            }
        }
    }
    assert!(files > 1000, "only {files} files were there");
    assert!(found.is_empty(), "{}", found.join("\n"));
    eprintln!("{files} files of {} MiB: nothing found", bytes >> 20);
}

#[test]
fn every_file_of_the_folder_ships_as_it_is() {
    // Tests run in their package's folder.
    let folder = Path::new("../../content/yara");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let shipped = shipped_rules();
    assert_eq!(shipped.len(), files.len());
    for (source, file) in shipped.iter().zip(files) {
        assert_eq!(Path::new(&source.name).file_name(), file.file_name());
        assert_eq!(source.text, fs::read_to_string(&file).expect("a text"));
    }
}

#[test]
fn a_rule_that_says_nothing_is_refused() {
    let source = |text: &str| Source {
        name: "mine.yar".to_owned(),
        text: text.to_owned(),
    };
    let silent = source("rule r { condition: true }");
    let error = Engine::new(&[silent]).err().expect("refused").to_string();
    assert!(error.contains("`r`") && error.contains("sees"), "{error}");
    let wrong = source("rule r { meta: sees = \"stratum\" condition: true }");
    assert!(
        Engine::new(&[wrong]).is_err(),
        "that is nothing a file shows"
    );
    let broken = source("rule r { condition: }");
    let error = Engine::new(&[broken]).err().expect("refused").to_string();
    assert!(error.contains("mine.yar"), "{error}");
}

/// The round keys of RandomX, in halves.
fn stand_in() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0".to_vec();
    bytes.resize(4096, 0);
    // In digits: this program is searched as well.
    for half in [
        "53a5ac6d09667162",
        "2b55b5db1749f4b4",
        "07af7c6d0d716a84",
        "78d325174edca10d",
    ] {
        bytes.extend(hex::decode(half).expect("digits"));
        bytes.extend([0x90; 9]);
    }
    bytes
}

fn file(folder: &Path, name: &str, content: &[u8]) -> OwnedFd {
    let path = folder.join(name);
    File::create(&path)
        .and_then(|mut file| file.write_all(content))
        .expect("written");
    File::open(&path).expect("opened").into()
}

fn with_scanner<T>(limits: Limits, workers: usize, test: impl AsyncFnOnce(Scanner, u32) -> T) -> T {
    let started = scan::start(&shipped_rules(), workers, limits).expect("it starts");
    let keeper = started.pid;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event loop");
    let result = runtime.block_on(async {
        let scanner = Scanner::new(started).expect("its sockets");
        test(scanner, keeper).await
    });
    // SAFETY: the keeper is this process's child; its sockets are closed, so its workers end.
    unsafe {
        libc::kill(keeper.cast_signed(), libc::SIGKILL);
        libc::waitpid(keeper.cast_signed(), std::ptr::null_mut(), 0);
    }
    result
}

/// The pids of a keeper's workers, once there are any.
fn workers_of(keeper: u32) -> Vec<u32> {
    let began = std::time::Instant::now();
    loop {
        let children = format!("/proc/{keeper}/task/{keeper}/children");
        let listed = fs::read_to_string(children).expect("listed");
        let pids = listed.split_whitespace();
        let pids: Vec<u32> = pids.map(|pid| pid.parse().expect("a pid")).collect();
        if !pids.is_empty() {
            return pids;
        }
        assert!(began.elapsed().as_secs() < 20, "no worker came");
        std::thread::yield_now();
    }
}

fn is_unknown(report: &Report, why: &str) -> bool {
    report.signs.is_empty()
        && report
            .unknown
            .as_ref()
            .is_some_and(|said| said.contains(why))
}

#[test]
fn files_are_searched_and_what_is_not_searched_to_its_end_is_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    with_scanner(LIMITS, 2, async |scanner, _| {
        let clean = scanner
            .scan(file(folder, "clean", b"#!/bin/sh\necho hello\n"))
            .await;
        assert_eq!(
            (clean.size, &clean.unknown, clean.signs.len()),
            (21, &None, 0)
        );
        let bad = scanner.scan(file(folder, "bad", &stand_in())).await;
        assert_eq!(bad.signs.len(), 1, "{bad:?}");
        assert_eq!(bad.sha256.as_ref().map(String::len), Some(64));
        let (detections, _): (Vec<_>, Vec<_>) = of_files().into_iter().unzip();
        assert!(weigh(&detections, &bad.signs).kills);
        // Cut short within what counts, and within its header.
        let bytes = stand_in();
        let short = scanner.scan(file(folder, "short", &bytes[..4110])).await;
        assert!(
            short.signs.is_empty() && short.unknown.is_none(),
            "{short:?}"
        );
        let header = scanner.scan(file(folder, "header", &bytes[..17])).await;
        assert!(
            header.signs.is_empty() && header.unknown.is_none(),
            "{header:?}"
        );
        let empty = scanner.scan(file(folder, "empty", b"")).await;
        assert!(
            empty.signs.is_empty() && empty.unknown.is_none(),
            "{empty:?}"
        );

        let sparse = File::create(folder.join("sparse")).expect("created");
        sparse.set_len(1 << 30).expect("sparse");
        let large = scanner
            .scan(File::open(folder.join("sparse")).expect("opened").into())
            .await;
        assert!(is_unknown(&large, "were searched"), "{large:?}");
        // What shows within the limit counts all the same.
        let mut padded = File::create(folder.join("padded")).expect("created");
        padded.write_all(&stand_in()).expect("written");
        padded.set_len(1 << 30).expect("sparse");
        let padded = scanner
            .scan(File::open(folder.join("padded")).expect("opened").into())
            .await;
        assert_eq!(padded.signs.len(), 1, "{padded:?}");

        let closed = File::options()
            .write(true)
            .open(folder.join("bad"))
            .expect("opened");
        let unreadable = scanner.scan(closed.into()).await;
        assert!(is_unknown(&unreadable, "cannot be read"), "{unreadable:?}");
        let directory = scanner
            .scan(File::open(folder).expect("opened").into())
            .await;
        assert!(is_unknown(&directory, "cannot be read"), "{directory:?}");
    });
}

#[test]
fn a_worker_that_dies_means_unknown_and_another_takes_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    with_scanner(LIMITS, 1, async |scanner, keeper| {
        let first = workers_of(keeper);
        assert_eq!(first.len(), 1);
        let killed = first[0].cast_signed();
        let large = file(folder, "large", &vec![0x41; 15 << 20]);
        let (report, ()) = tokio::join!(scanner.scan(large), async {
            // Once the question is asked.
            tokio::task::yield_now().await;
            // SAFETY: the pid is a worker's, which the keeper has not reaped.
            unsafe { libc::kill(killed, libc::SIGKILL) };
        });
        assert!(is_unknown(&report, "ended by signal 9"), "{report:?}");
        assert_eq!(scanner.deaths.get(), 1);
        let next = scanner.scan(file(folder, "bad", &stand_in())).await;
        assert_eq!(next.signs.len(), 1, "{next:?}");
        // One that dies while it has nothing to do costs no answer.
        let second = workers_of(keeper)[0].cast_signed();
        assert_ne!(second, killed);
        // SAFETY: as above.
        unsafe { libc::kill(second, libc::SIGKILL) };
        let began = std::time::Instant::now();
        while workers_of(keeper)
            .iter()
            .all(|pid| pid.cast_signed() == second)
        {
            assert!(began.elapsed().as_secs() < 20, "no other worker came");
            tokio::task::yield_now().await;
        }
        let after = scanner.scan(file(folder, "bad", &stand_in())).await;
        assert_eq!(after.signs.len(), 1, "{after:?}");
        // The keeper gone, nobody answers, and nothing is clean.
        // SAFETY: the keeper is this process's child and was not waited for.
        unsafe { libc::kill(keeper.cast_signed(), libc::SIGKILL) };
        let gone = scanner.scan(file(folder, "bad", &stand_in())).await;
        assert!(gone.unknown.is_some() || gone.signs.len() == 1, "{gone:?}");
        let gone = scanner.scan(file(folder, "bad", &stand_in())).await;
        assert!(is_unknown(&gone, "nobody"), "{gone:?}");
        assert!(scanner.is_gone());
    });
}

#[test]
fn a_search_that_takes_too_long_means_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let limits = Limits {
        max_ms: 1,
        ..LIMITS
    };
    with_scanner(limits, 1, async |scanner, _| {
        // Full of beginnings of what is looked for.
        let hostile = "#!/bin/sh\ncurl curl wget xmrig ".repeat(500_000);
        let report = scanner
            .scan(file(folder, "hostile", hostile.as_bytes()))
            .await;
        assert!(is_unknown(&report, "too long"), "{report:?}");
    });
}

#[test]
fn a_worker_has_no_rights_and_no_files() {
    with_scanner(LIMITS, 1, async |_scanner, keeper| {
        let worker = workers_of(keeper)[0];
        let began = std::time::Instant::now();
        let status = loop {
            let status = fs::read_to_string(format!("/proc/{worker}/status")).expect("readable");
            if status.contains("Seccomp:\t2") {
                break status;
            }
            assert!(began.elapsed().as_secs() < 20, "{status}");
            tokio::task::yield_now().await;
        };
        for line in [
            "Uid:\t65534\t65534\t65534\t65534",
            "CapEff:\t0000000000000000",
            "CapPrm:\t0000000000000000",
            "CapBnd:\t0000000000000000",
            "NoNewPrivs:\t1",
        ] {
            assert!(status.contains(line), "{line} is not in\n{status}");
        }
        let first = fs::read_to_string(format!("/proc/{worker}/oom_score_adj")).expect("readable");
        assert_eq!(
            first, "500\n",
            "it dies before the agent where memory is short"
        );
        let open = fs::read_dir(format!("/proc/{worker}/fd"))
            .expect("listed")
            .count();
        assert!(
            open <= 2,
            "{open} descriptors are open: its socket, and for its last words"
        );
        let maps = fs::read_to_string(format!("/proc/{worker}/maps")).expect("readable");
        let both = maps.lines().filter(|line| line.contains(" rwx")).count();
        assert_eq!(both, 0, "memory that can be written and executed");
    });
}

/// Sizes of first searches, with this build's engine.
#[test]
fn how_long_a_search_takes_by_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sizes = vec![64 << 10, 1 << 20, 8 << 20];
    if std::env::var_os("DAVY_BENCH").is_some() {
        sizes.push(64 << 20);
    }
    let limits = Limits {
        max_bytes: 64 << 20,
        ..LIMITS
    };
    let program = fs::read(std::env::current_exe().expect("a path")).expect("readable");
    with_scanner(limits, 1, async |scanner, _| {
        for size in sizes {
            let content: Vec<u8> = program.iter().copied().cycle().take(size).collect();
            let path = folder.path().join("program");
            fs::write(&path, &content).expect("written");
            let mut best = std::time::Duration::MAX;
            for _ in 0..5 {
                let began = std::time::Instant::now();
                let report = scanner
                    .scan(File::open(&path).expect("opened").into())
                    .await;
                best = best.min(began.elapsed());
                assert!(report.unknown.is_none(), "{report:?}");
            }
            eprintln!(
                "{:>6} KiB: {:>9.3} ms, {:.0} MiB/s",
                size >> 10,
                best.as_secs_f64() * 1e3,
                (size >> 20) as f64 / best.as_secs_f64()
            );
        }
    });
}

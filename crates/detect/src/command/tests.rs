use davylamp_content::detection::{Action, Case};
use davylamp_content::indicators::shipped_pools;

use super::*;

/// What ships, without its texts in the message where it is not good.
fn shipped() -> Vec<davylamp_content::detection::Parsed> {
    davylamp_content::detection::shipped().unwrap_or_else(|faults| {
        let told = faults.faults().iter().map(ToString::to_string);
        panic!("{}", told.collect::<Vec<_>>().join("; "))
    })
}

fn rules_of(detections: Vec<Detection>) -> Rules {
    let pools = shipped_pools().expect("what ships is good");
    Rules::new(detections, &pools).expect("what ships fits")
}

fn all() -> Rules {
    rules_of(
        shipped()
            .into_iter()
            .map(|parsed| parsed.detection)
            .collect(),
    )
}

fn action_of(rules: &Rules, case: &Case) -> (Action, Option<String>) {
    let command = case.command.as_deref().unwrap_or_default();
    let found = if case.environment.is_empty() {
        rules.judge_line(command.as_bytes())
    } else {
        let words: Vec<&str> = command.split(' ').collect();
        let (arguments, environment) =
            (words.join("\0") + "\0", case.environment.join("\0") + "\0");
        rules.judge(&Subject {
            arguments: arguments.as_bytes(),
            environment: environment.as_bytes(),
            ..Subject::default()
        })
    };
    match found {
        None => (Action::Clean, None),
        Some(found) => (
            found.action,
            found
                .signs
                .first()
                .map(|sign| format!("{} {}", sign.matched, sign.why)),
        ),
    }
}

#[test]
fn each_case_of_each_detection_comes_out_as_it_says() {
    let mut wrong = Vec::new();
    for parsed in shipped()
        .into_iter()
        .filter(|parsed| parsed.detection.sees.is_empty())
    {
        let name = parsed.detection.name.clone();
        let rules = rules_of(vec![parsed.detection]);
        for case in &parsed.cases {
            let (action, why) = action_of(&rules, case);
            if action != case.action {
                wrong.push(format!("{name}: {}: {action:?} {why:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_ordinary_command_is_killed_or_told() {
    let rules = all();
    let lines = davylamp_content::ORDINARY_COMMANDS.lines();
    let mut wrong = Vec::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(found) = rules.judge_line(line.as_bytes()) {
            wrong.push(format!(
                "{:?} {line} {:?}",
                found.action, found.signs[0].detection.name
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Checks what comes of a process with these arguments, of this file.
fn check_process(rules: &Rules, arguments: &[&str], executable: &str, expected: Action) {
    let joined = arguments.join("\0") + "\0";
    let found = rules.judge(&Subject {
        arguments: joined.as_bytes(),
        executable: executable.as_bytes(),
        ..Subject::default()
    });
    let action = found.map_or(Action::Clean, |found| found.action);
    assert_eq!(action, expected, "{arguments:?} of {executable}");
}

#[test]
fn a_program_is_what_its_file_says_and_not_its_first_argument() {
    let rules = all();
    let url = "stratum+tcp://pool.example:3333";
    check_process(&rules, &["grep", url, "f"], "grep", Action::Spare);
    check_process(&rules, &["grep", url, "f"], "busybox", Action::Spare);
    check_process(&rules, &["grep", url, "f"], "kernel", Action::Kill);
    check_process(&rules, &["python3", "-o", url], "python3.11", Action::Kill);
    check_process(&rules, &["jupyter"], "xmrig", Action::Kill);
    check_process(&rules, &["xmrig"], "kernel", Action::Kill);
    check_process(&rules, &[""], "kernel", Action::Clean);
}

#[test]
fn weak_signs_add_up() {
    let rules = all();
    let action = |line: &str| rules.judge_line(line.as_bytes()).map(|found| found.action);
    let (file, domain) = ("bash run-xmrig.sh", "./kernel eu.2miners.com");
    assert_eq!(action(file), Some(Action::Alert));
    assert_eq!(action(domain), Some(Action::Alert));
    // Neither may kill, so both together do not.
    assert_eq!(action(&format!("{file}; {domain}")), Some(Action::Alert));
    let given = "./loader /tmp/xmrig";
    assert_eq!(action(given), Some(Action::Alert));
    assert_eq!(
        action(&format!("{given} eu.2miners.com")),
        Some(Action::Kill)
    );
}

#[test]
fn what_cannot_be_taken_apart_is_spared_by_nothing() {
    let rules = all();
    let deep = "nohup ".repeat(40) + "grep xmrig f; ./kernel -o stratum+tcp://x:1";
    let found = rules.judge_line(deep.as_bytes()).expect("it is found");
    assert_eq!(found.action, Action::Kill);
    let words = format!("sh\0-c\0{deep}\0");
    let found = rules.judge(&Subject {
        arguments: words.as_bytes(),
        ..Subject::default()
    });
    assert_eq!(found.map(|found| found.action), Some(Action::Kill));
}

#[test]
fn a_mention_elsewhere_on_the_line_excuses_nothing() {
    let rules = all();
    let url = "stratum+tcp://pool.example:3333";
    for line in [
        format!("./python3 -o {url}; grep {url} f"),
        format!("grep {url} f; ./python3 -o {url}"),
    ] {
        let found = rules.judge_line(line.as_bytes()).expect("it is found");
        assert_eq!(found.action, Action::Kill, "{line}");
    }
}

/// A line as one process that runs its first word.
fn as_process(line: &str) -> (Vec<u8>, Vec<u8>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let program = words.first().copied().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    (
        (words.join("\0") + "\0").into_bytes(),
        name.as_bytes().to_vec(),
    )
}

/// What the kernel kills at once the judge kills too; what the judge kills or tells the kernel at least
/// notices, but for what a tool puts together by itself: that is judged at its own exec.
fn check_agreement(rules: &Rules, subject: &Subject<'_>) {
    let judged = rules.judge(subject).map(|found| found.action);
    let at_exec = rules.at_exec(subject);
    let told = || String::from_utf8_lossy(subject.arguments).replace('\0', " ");
    if at_exec == AtExec::Kill {
        assert_eq!(judged, Some(Action::Kill), "{}", told());
    }
    if launch::tool_of(subject.executable).is_some() {
        return;
    }
    if judged == Some(Action::Kill) {
        assert!(
            matches!(at_exec, AtExec::Kill | AtExec::Hold),
            "{at_exec:?}: {}",
            told()
        );
    }
    if judged == Some(Action::Alert) {
        assert_ne!(at_exec, AtExec::Nothing, "{}", told());
    }
}

#[test]
fn the_kernel_and_the_judge_agree() {
    let rules = all();
    let cases = shipped();
    let lines = cases.iter().flat_map(|parsed| &parsed.cases);
    let lines = lines.filter_map(|case| case.command.as_deref());
    for line in lines.chain(davylamp_content::ORDINARY_COMMANDS.lines()) {
        let (arguments, executable) = as_process(line);
        check_agreement(
            &rules,
            &Subject {
                arguments: &arguments,
                executable: &executable,
                path: b"/opt/x",
                ..Subject::default()
            },
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    #[test]
    fn they_agree_on_whatever_is_put_together(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "sh", "-c", "grep", "xmrig", "./xmrig", "-o", "--url=", "stratum+tcp://a.b:3333", "env",
                "--donate-level", "1", "POOL=eth.2miners.com", "x", ";", "kernel", "-u", "-p", "\u{1}", "--algo",
                "rx/0", "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A",
                "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "docker", "run", "python3", "nohup", "é", "",
            ]),
            1..8,
        ),
        executable in proptest::sample::select(vec!["sh", "grep", "xmrig", "kernel", "busybox", "a\u{1}b"]),
    ) {
        static RULES: std::sync::OnceLock<Rules> = std::sync::OnceLock::new();
        let arguments = words.join("\0") + "\0";
        check_agreement(RULES.get_or_init(all), &Subject {
            arguments: arguments.as_bytes(),
            executable: executable.as_bytes(),
            path: b"./a",
            environment: b"",
        });
    }
}

/// Each hold costs a program a millisecond at its start.
#[test]
fn few_ordinary_commands_are_held() {
    let rules = all();
    let lines = davylamp_content::ORDINARY_COMMANDS.lines();
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let held = lines.iter().filter(|line| {
        let (arguments, executable) = as_process(line);
        let subject = Subject {
            arguments: &arguments,
            executable: &executable,
            ..Subject::default()
        };
        rules.at_exec(&subject) != AtExec::Nothing
    });
    let held: Vec<_> = held.collect();
    assert!(held.len() * 100 <= lines.len(), "{held:#?}");
}

#[test]
fn the_shipped_table_is_small_enough_for_a_node() {
    let size = all().table().size();
    assert!(size.bytes < 8 << 20, "{size:?}");
}

//! Ceilings in the running kernel: a bad rule has as many victims as its ceiling allows and no more,
//! whatever runs at once, and nobody wears a rule out from one place. Needs root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use davylamp_content::Source;
use davylamp_content::{blocklist, detection};
use davylamp_detect::automaton::Table;
use davylamp_detect::breaker::{Answer, Slots, victim_of};
use davylamp_detect::command;
use davylamp_detect::judge::Judge;
use davylamp_guard::abi::{
    CeilingAnswer, CeilingHow, CeilingKey, CeilingLimits, EventKind, Reason, Settings,
};
use davylamp_guard::event::KernelEvent;
use davylamp_guard::kernel::{Ceilings, Kernel, Pinning, Start, TestFaults};
use davylamp_testkit::guard::unique_word;
use libbpf_rs::RingBufferBuilder;

const MOST: u32 = 5;

/// A cgroup of the test's own with cgroups in it, removed when it goes.
struct Tree {
    folder: PathBuf,
    path: String,
}

impl Tree {
    fn new() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let mount = mounts
            .lines()
            .filter_map(|line| line.split_once(" - cgroup2 "))
            .find_map(|(place, _)| place.split(' ').nth(4))
            .expect("the unified hierarchy is mounted");
        let path = format!("/{}", unique_word());
        let folder = Path::new(mount).join(&path[1..]);
        fs::create_dir(&folder).expect("a cgroup");
        Self { folder, path }
    }

    fn make(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).expect("a cgroup");
        folder
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fn remove(folder: &Path) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    remove(&entry.path());
                }
            }
            let _ = fs::remove_dir(folder);
        }
        remove(&self.folder);
    }
}

/// Starts a program in a cgroup with these words as arguments. Whether it was killed.
fn dies(cgroup: &Path, words: &[&str]) -> bool {
    dies_as(Path::new("/bin/true"), cgroup, words)
}

/// As [`dies`], of this program.
fn dies_as(program: &Path, cgroup: &Path, words: &[&str]) -> bool {
    let procs = fs::File::options()
        .write(true)
        .open(cgroup.join("cgroup.procs"))
        .expect("the list of processes");
    let fd = procs.as_raw_fd();
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    // SAFETY: only write(2) on a descriptor that is open.
    unsafe {
        command.pre_exec(move || {
            if libc::write(fd, c"0".as_ptr().cast(), 1) == 1 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
    let status = command.status().expect("it starts");
    match status.signal() {
        Some(signal) => {
            assert_eq!(signal, libc::SIGKILL);
            true
        }
        None => {
            assert!(status.success());
            false
        }
    }
}

struct Rules {
    judge: Judge,
}

impl Rules {
    fn of(words: &[&str]) -> Self {
        let list = format!(
            "bannedCommandStrings:\n{}",
            words
                .iter()
                .map(|word| format!("  - {word}\n"))
                .collect::<String>()
        );
        let source = Source {
            name: "test.yaml",
            text: &list,
        };
        let (blocklist, _) = blocklist::parse(&[source]).expect("a list");
        let judge = Judge::new(&blocklist).expect("a judge");
        Self { judge }
    }

    fn table(&self) -> &Table {
        self.judge.table()
    }

    fn rule(&self, number: u32) -> CeilingKey {
        let set = self.table().set_of_string(number).expect("a set");
        CeilingKey::string(self.table().generation(), set)
    }

    fn ceilings(&self, rule_most: u32, node_most: u32) -> Ceilings {
        Ceilings {
            limits: CeilingLimits {
                rule_most,
                node_most,
                window_secs: 3600,
                reserved: 0,
            },
            generation: self.table().generation(),
            own: Vec::new(),
        }
    }

    fn start(&self, ceilings: &Ceilings) -> Kernel {
        self.start_with(ceilings, None)
    }

    fn start_with(&self, ceilings: &Ceilings, words: Option<&command::Table>) -> Kernel {
        let settings = Settings {
            event_interval_ns: 1_000,
            event_burst: 1_000_000,
            hold_deadline_ns: 1_000_000_000,
            capture_arguments: 256,
            rules_enabled: u32::from(words.is_some()),
            ..Settings::default()
        };
        Kernel::start(
            &Pinning::None,
            &Start {
                rules: words,
                table: self.table(),
                settings,
                executables: &[],
                cgroups: &[],
                alive_until_ns: 0,
                can_hold: false,
                ceilings,
                faults: TestFaults::default(),
            },
        )
        .expect("the guard starts; this test needs root")
    }
}

fn events(kernel: &Kernel) -> Vec<KernelEvent> {
    let mut found = Vec::new();
    {
        let mut builder = RingBufferBuilder::new();
        builder
            .add(kernel.events(), |bytes| {
                found.push(KernelEvent::decode(bytes).expect("an event"));
                0
            })
            .expect("a ring buffer");
        let ring = builder.build().expect("a ring buffer");
        ring.poll(Duration::ZERO).expect("events");
    }
    found
}

fn refused(kernel: &Kernel, key: CeilingKey) -> (u64, usize) {
    kernel
        .ceilings_reached()
        .into_iter()
        .find(|rule| rule.key == key)
        .map_or((0, 0), |rule| (rule.refused, rule.victims))
}

#[test]
fn a_bad_rule_has_as_many_victims_as_its_ceiling_and_shouts_once() {
    let (word, other) = (unique_word(), unique_word());
    let rules = Rules::of(&[&word, &other]);
    let kernel = rules.start(&rules.ceilings(MOST, 0));
    let tree = Tree::new();
    let places: Vec<PathBuf> = (0..20).map(|n| tree.make(&format!("tenant{n}"))).collect();

    // One place that starts it again and again is one victim, from however many cgroups of its own.
    for again in 0..300 {
        let inner = tree.make(&format!("tenant0/own{}", again % 7));
        assert!(dies(&inner, &[&word]), "start {again}");
    }
    assert_eq!(refused(&kernel, rules.rule(0)).0, 0);

    let died: Vec<bool> = places
        .iter()
        .map(|place| dies(place, &["-c", &word]))
        .collect();
    assert_eq!(died.iter().filter(|died| **died).count(), MOST as usize);
    assert!(died[..MOST as usize].iter().all(|died| *died));
    // A storm of everything: who was counted dies, nobody else does.
    let storm = 1_000;
    for n in 0..storm {
        let place = n % places.len();
        assert_eq!(dies(&places[place], &[&word]), died[place], "start {n}");
    }
    let left_alone = 15 + storm as u64 * 15 / 20;
    assert_eq!(refused(&kernel, rules.rule(0)), (left_alone, MOST as usize));
    let seen = events(&kernel);
    let observed: Vec<_> = seen
        .iter()
        .filter(|event| event.kind == EventKind::WouldKill)
        .collect();
    assert_eq!(observed.len(), 1, "one line, and a sum");
    assert_eq!(observed[0].reason, Reason::Ceiling);

    // What only observes shields nothing: another rule's string on the same line kills.
    assert!(dies(&places[19], &[&word, &other]));
    assert!(dies(&places[18], &[&other, &word]));

    // An operator's reset gives the rule its ceiling again.
    kernel
        .reset_ceilings(&rules.ceilings(MOST, 0))
        .expect("a reset");
    assert!(dies(&places[17], &[&word]));
}

/// A detection kills where only a string is over its ceiling.
#[test]
fn what_only_observes_shields_no_detection() {
    let (word, option) = (unique_word(), unique_word());
    let case = |kind: &str, command: &str, action: &str| {
        format!(
            "[[cases]]\nkind = \"{kind}\"\nname = \"{kind}\"\ncommand = \"{command}\"\naction = \"{action}\"\n"
        )
    };
    let text = format!(
        "name = \"an-option\"\ntitle = \"an option of this test\"\nreason = \"Nothing else says it.\"\n\
         techniques = [\"T1496.001\"]\nseverity = \"high\"\nscore = 100\nresponse = \"kill\"\n\
         benign = [\"none\"]\nnext = [\"nothing\"]\n\
         [words.option]\nwhere = \"argument\"\nliterals = [\"--{option}\"]\n{}{}{}{}",
        case("fires", &format!("./x --{option}"), "kill"),
        case("near-miss", &format!("./x --{option}s"), "clean"),
        case("hostile", &format!("sh -c './x --{option}'"), "kill"),
        case("benign", &format!("grep -e --{option} f"), "spare"),
    );
    let source = Source {
        name: "an-option.toml",
        text: &text,
    };
    let detection = detection::parse(source).expect("a detection").detection;
    let words = command::Rules::new(vec![detection], &[]).expect("rules");
    let rules = Rules::of(&[&word]);
    let kernel = rules.start_with(&rules.ceilings(1, 0), Some(words.table()));
    let tree = Tree::new();
    assert!(dies(&tree.make("first"), &[&word]));
    let later = tree.make("later");
    assert!(!dies(&later, &[&word]));
    // A program that is no tool: what a tool is given would have to be taken apart.
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("innocent");
    fs::copy("/bin/true", &program).expect("a program");
    assert!(dies_as(&program, &later, &[&word, &format!("--{option}")]));
    assert_eq!(refused(&kernel, CeilingKey::detection("an-option")), (0, 0));
}

#[test]
fn a_ceiling_is_exact_whatever_runs_at_once() {
    let word = unique_word();
    let rules = Rules::of(&[&word]);
    let kernel = rules.start(&rules.ceilings(MOST, 0));
    let tree = Tree::new();

    // One place from many threads: one slot.
    let place = tree.make("crowd");
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..20).for_each(|_| assert!(dies(&place, &[&word]))));
        }
    });
    for other in 1..MOST {
        assert!(dies(&tree.make(&format!("later{other}")), &[&word]));
    }
    assert!(!dies(&tree.make("one-too-many"), &[&word]));

    // Many places at once: exactly the ceiling.
    kernel
        .reset_ceilings(&rules.ceilings(MOST, 0))
        .expect("a reset");
    let places: Vec<PathBuf> = (0..64).map(|n| tree.make(&format!("rush{n}"))).collect();
    let died: usize = std::thread::scope(|scope| {
        let rush: Vec<_> = places
            .chunks(4)
            .map(|some| {
                let word = &word;
                scope.spawn(move || some.iter().filter(|place| dies(place, &[word])).count())
            })
            .collect();
        rush.into_iter()
            .map(|one| one.join().expect("a count"))
            .sum()
    });
    assert_eq!(died, MOST as usize);
}

#[test]
fn all_rules_together_have_a_ceiling_and_a_rule_may_have_its_own() {
    let words: Vec<String> = (0..4).map(|_| unique_word()).collect();
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let rules = Rules::of(&texts);
    let mut ceilings = rules.ceilings(2, 4);
    ceilings.own.push((rules.rule(3), 3));
    let kernel = rules.start(&ceilings);
    let tree = Tree::new();
    let place = |n: u32| tree.make(&format!("t{n}"));
    assert!(dies(&place(0), &[texts[3]]));
    assert!(dies(&place(1), &[texts[3]]));
    assert!(dies(&place(2), &[texts[3]]));
    assert!(!dies(&place(3), &[texts[3]]), "its own ceiling");
    assert!(dies(&place(3), &[texts[0]]), "the fourth victim of all");
    assert!(!dies(&place(4), &[texts[1]]), "the node's ceiling");
    assert!(dies(&place(0), &[texts[1]]), "a victim already");
    assert_eq!(refused(&kernel, CeilingKey::NODE).0, 1);
    // What the agent kills counts among them, and it is refused what the kernel would be.
    let ask = |rule, victim, how| kernel.ask_ceiling(rule, victim, how).expect("an answer");
    let far = u64::from(u32::MAX) - 7;
    assert_eq!(
        ask(rules.rule(2), far, CeilingHow::Look),
        CeilingAnswer::Over
    );
    assert_eq!(
        ask(rules.rule(2), far, CeilingHow::Claim),
        CeilingAnswer::Over
    );
    ask(
        rules.rule(0),
        fs::metadata(place(3)).expect("stat").ino(),
        CeilingHow::Release,
    );
    assert_eq!(
        ask(rules.rule(2), far, CeilingHow::Claim),
        CeilingAnswer::Claimed
    );
}

/// The kernel's slots and those of `detect` answer alike.
#[test]
fn the_kernel_counts_as_the_model_does() {
    let rules = Rules::of(&[&unique_word()]);
    let kernel = rules.start(&rules.ceilings(MOST, 0));
    let mut model = Slots::new(MOST, 3600);
    let rule = CeilingKey::detection("test");
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for step in 0..2_000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let victim = 100 + seed % 9;
        if seed >> 32 & 7 == 0 {
            kernel
                .ask_ceiling(rule, victim, CeilingHow::Release)
                .expect("an answer");
            model.release(victim);
            continue;
        }
        let answer = kernel
            .ask_ceiling(rule, victim, CeilingHow::Claim)
            .expect("an answer");
        match model.claim(victim, 0) {
            Answer::Over => assert!(
                matches!(answer, CeilingAnswer::Over | CeilingAnswer::Trips),
                "step {step}"
            ),
            // The node's ceiling, which there is none of, has the last word.
            Answer::Counted | Answer::Claimed => {
                assert_eq!(answer, CeilingAnswer::Counted, "step {step}");
            }
        }
    }
}

#[test]
fn places_are_named_alike_in_the_kernel_and_here() {
    let word = unique_word();
    let rules = Rules::of(&[&word]);
    let kernel = rules.start(&rules.ceilings(128, 0));
    let tree = Tree::new();
    let id = "0123456789abcdef".repeat(4);
    let uid = "0b1c2d3e_4f50_6172_8394_a5b6c7d8e9f0";
    let names = [
        "plain".to_owned(),
        "plain/inner".to_owned(),
        format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-containerd-{id}.scope"
        ),
        format!("burstable/pod{}/{id}", uid.replace('_', "-")),
        format!("besteffort/pod{}/{id}/deep/er", uid.replace('_', "-")),
        "user.slice/user-1000.slice/user@1000.service/app.slice".to_owned(),
        format!("user.slice/user-1000.slice/pod{uid}"),
        "user.slice/user-x.slice/session.scope".to_owned(),
        "system.slice/ssh.service/a".to_owned(),
        format!("{id}/x"),
        format!("system.slice/docker-{id}.scope/kubelet.slice/pod{uid}.slice"),
        "tripod-0123456789abcdef0123456789abcdef/a".to_owned(),
        "podman/b".to_owned(),
        format!("x-pod{}", &uid[..31]),
        format!("x-pod{}", &uid[..32]),
        "a.slicer/b".to_owned(),
        ".service".to_owned(),
        "slice".to_owned(),
    ];
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for name in &names {
        let folder = tree.make(name);
        let path = format!("{}/{name}", tree.path);
        let victim = victim_of(&path).expect("not deep");
        let at = tree.folder.join(
            victim
                .strip_prefix(&tree.path)
                .expect("inside")
                .trim_start_matches('/'),
        );
        wanted.insert(path, fs::metadata(at).expect("stat").ino());
        assert!(dies(&folder, &[&word]));
    }
    let deep = "d/".repeat(70);
    assert!(dies(&tree.make(&deep), &[&word]));
    let seen = events(&kernel);
    let mut met = BTreeSet::new();
    for event in &seen {
        if let Some(victim) = wanted.get(&event.cgroup_path) {
            assert_eq!(event.victim, *victim, "{}", event.cgroup_path);
            met.insert(event.cgroup_path.clone());
        } else {
            assert_eq!(event.victim, u64::from(u32::MAX), "{}", event.cgroup_path);
        }
    }
    assert_eq!(met.len(), wanted.len());
    std::io::stdout().flush().expect("output");
}

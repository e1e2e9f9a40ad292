//! The words that the kernel test's two halves share: the host (`cargo xtask test-kernels`)
//! hands a [`Plan`] to the guest, and the guest (the `killtest` program, running as `/init` of a
//! virtual machine) answers with one [`Record`] per line on its second serial port.
//!
//! # The contract with the guard
//!
//! The guest starts the guard with [`GUARD_ARGUMENTS`] and expects:
//!
//! - standard output is JSON, one object a line; the **first** line has `"event": "ready"` and is
//!   written once matching and killing are in force;
//! - each line about a killed program has `"action": "killed"`;
//! - after SIGKILL of the guard, what it pinned under `/sys/fs/bpf` goes on killing;
//! - started again with the same arguments it takes over from those pins and prints its ready
//!   line again, without an unguarded moment between.
//!
//! Nothing here decides whether a kernel passed: the host does, so that a guest that dies half
//! way cannot pass.

use serde::{Deserialize, Serialize};

/// Where the initramfs holds the [`Plan`] as JSON.
pub const PLAN_PATH: &str = "/test/plan.json";
/// Where the initramfs holds the assembled `programs/first_write.S`.
pub const WITNESS_PATH: &str = "/test/first_write";
/// Where the initramfs holds the guard's static program.
pub const GUARD_PATH: &str = "/bin/davy";
/// Where the initramfs holds the blocklist with the plan's banned string.
pub const BLOCKLIST_PATH: &str = "/test/blocklist.yaml";
/// Where the initramfs holds the guard's configuration: all defaults.
pub const CONFIG_PATH: &str = "/test/davy.toml";
/// The serial port that carries the records, apart from the console's noise.
pub const RECORD_PORT: &str = "/dev/ttyS1";

/// How the guest starts the guard.
pub const GUARD_ARGUMENTS: [&str; 7] = [
    "guard",
    "--blocklist",
    BLOCKLIST_PATH,
    "--mode",
    "enforce",
    "--config",
    CONFIG_PATH,
];

/// What the guest is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The string on the blocklist: lower case letters and digits.
    pub banned: String,
    /// A string of the same length that is on no list.
    pub benign: String,
    /// Banned execs in each round, and as many benign ones.
    pub execs_per_round: u32,
    /// How long the guard may take to its ready line.
    pub ready_deadline_ms: u64,
    /// How long one exec may take from fork to death or exit.
    pub exec_deadline_ms: u64,
    /// Whether the blocklist asks for the environment to be scanned as well.
    pub scan_environment: bool,
}

/// Where an exec carries its string, and how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A plain argument.
    Argument,
    /// The banned string in upper case.
    OtherCase,
    /// Behind one argument of 100 KB.
    Padded,
    /// Behind 1,000 short arguments.
    ManyArguments,
    /// Right after a byte that is not UTF-8.
    NotUtf8,
    /// Behind a decoy, the string glued to a letter. The benign twin is the decoy alone.
    Decoy,
    /// `argv[0]` only.
    Argv0,
    /// The program's own path only.
    Path,
    /// The first line of a `#!` script.
    ScriptLine,
    /// An argument of a `#!` script.
    ScriptArgument,
    /// An argument of a program that is only in memory, by `execveat`.
    Memfd,
    /// An argument, the exec coming from a thread that is not the leader.
    Thread,
    /// An environment variable only.
    Environment,
}

impl Way {
    /// Every way, in the order in which they are run.
    pub const ALL: [Self; 13] = [
        Self::Argument,
        Self::OtherCase,
        Self::Padded,
        Self::ManyArguments,
        Self::NotUtf8,
        Self::Decoy,
        Self::Argv0,
        Self::Path,
        Self::ScriptLine,
        Self::ScriptArgument,
        Self::Memfd,
        Self::Thread,
        Self::Environment,
    ];
}

/// What became of a number of execs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Programs started.
    pub execs: u64,
    /// Those that wrote their byte, so ran at least one instruction.
    pub wrote: u64,
    /// Those that ended by SIGKILL.
    pub killed: u64,
    /// Those that wrote their byte and left with status 0.
    pub completed: u64,
    /// Those that neither ended nor died in time; the test killed them.
    pub stuck: u64,
    /// Those whose exec itself failed: the test's own fault, never the guard's merit.
    pub not_executed: u64,
}

impl Outcomes {
    /// Adds another count to this one.
    pub fn add(&mut self, other: Self) {
        self.execs += other.execs;
        self.wrote += other.wrote;
        self.killed += other.killed;
        self.completed += other.completed;
        self.stuck += other.stuck;
        self.not_executed += other.not_executed;
    }

    /// True when every program was killed and none ran an instruction.
    pub fn all_killed_unrun(&self) -> bool {
        self.wrote == 0 && self.killed == self.execs
    }

    /// True when every program did its work and left in peace.
    pub fn all_completed(&self) -> bool {
        self.completed == self.execs && self.wrote == self.execs
    }
}

/// The outcomes of one way in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How the string was carried.
    pub way: Way,
    /// The execs with the banned string.
    pub banned: Outcomes,
    /// Their benign twins.
    pub benign: Outcomes,
}

/// The parts of the test, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Round {
    /// No guard: each way once, and all must run. Proves that the witness can testify.
    Control,
    /// The guard has said ready.
    Guarded,
    /// The guard was killed with SIGKILL; its pins are alone.
    GuardKilled,
    /// A second guard is starting over the pins of the first.
    GuardRestarting,
    /// The second guard has said ready.
    GuardRestarted,
}

impl Round {
    /// Every round, in the order in which they are run.
    pub const ALL: [Self; 5] = [
        Self::Control,
        Self::Guarded,
        Self::GuardKilled,
        Self::GuardRestarting,
        Self::GuardRestarted,
    ];
}

/// One line of the guest's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// The kernel runs our `/init`.
    Booted {
        /// `uname -r` and `uname -v`.
        kernel: String,
        /// Whether `/sys/kernel/btf/vmlinux` is there.
        btf: bool,
        /// Since the kernel started, by its own clock.
        uptime_ms: u64,
    },
    /// The guard printed its ready line.
    Ready {
        /// From the start of the guard's process to the line.
        attach_ms: u64,
        /// The line as printed.
        line: String,
    },
    /// A round is over.
    Round {
        /// Which one.
        round: Round,
        /// One for each way.
        tallies: Vec<Tally>,
        /// The whole round's duration.
        elapsed_ms: u64,
    },
    /// What a guard's log held when it ended.
    Log {
        /// Lines after the ready line.
        lines: u64,
        /// Those with the action "killed".
        killed: u64,
        /// Lines that are not JSON objects: there must be none.
        malformed: u64,
    },
    /// Something that ended the test early; the reason in words.
    Problem {
        /// What went wrong, with its causes.
        what: String,
    },
    /// The test went through to its end.
    Finished,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_wire() {
        let records = [
            Record::Booted {
                kernel: "6.1".into(),
                btf: true,
                uptime_ms: 5,
            },
            Record::Round {
                round: Round::GuardKilled,
                tallies: vec![Tally {
                    way: Way::Argv0,
                    banned: Outcomes {
                        execs: 3,
                        killed: 3,
                        ..Outcomes::default()
                    },
                    benign: Outcomes {
                        execs: 3,
                        wrote: 3,
                        completed: 3,
                        ..Outcomes::default()
                    },
                }],
                elapsed_ms: 7,
            },
            Record::Problem {
                what: "a \"quoted\"\nline".into(),
            },
            Record::Finished,
        ];
        for record in records {
            let line = serde_json::to_string(&record).expect("records serialise");
            assert!(!line.contains('\n'), "one record is one line: {line}");
            assert_eq!(
                serde_json::from_str::<Record>(&line).expect("and come back"),
                record
            );
        }
    }

    #[test]
    fn a_death_after_the_first_byte_is_no_kill() {
        let ran = Outcomes {
            execs: 1,
            wrote: 1,
            killed: 1,
            ..Outcomes::default()
        };
        assert!(!ran.all_killed_unrun());
        let stuck = Outcomes {
            execs: 1,
            stuck: 1,
            ..Outcomes::default()
        };
        assert!(!stuck.all_killed_unrun());
        let harmed = Outcomes {
            execs: 2,
            wrote: 2,
            completed: 1,
            ..Outcomes::default()
        };
        assert!(!harmed.all_completed());
    }
}

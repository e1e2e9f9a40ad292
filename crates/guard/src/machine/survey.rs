//! What a survey says: rows, their verdicts, and the questions asked of them as a whole.

use std::fmt;

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

/// The version of the stored form of [`Survey`]. It rises when a field changes its meaning or
/// goes away; rows and fields may be added under the same number.
pub const SCHEMA: u32 = 1;

/// The answer to one question about the machine. Unknown never counts as a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is there and was seen to work.
    Pass,
    /// It is not there, or the kernel refused it.
    Fail,
    /// It could not be asked; the row says why.
    Unknown,
}

impl Verdict {
    /// The word printed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much the guard depends on the subject of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Without it the guard does not start.
    Required,
    /// Without it the guard starts and does less; the row says what is lost.
    Improves,
    /// Told for the reader's sake; the guard does the same with or without it.
    Informational,
}

impl Need {
    /// The word printed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Improves => "improves",
            Self::Informational => "informational",
        }
    }
}

/// The part of the machine a row speaks of. Rows of one group stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The kernel, its settings and its type information.
    Kernel,
    /// What this process may do.
    Privileges,
    /// Program types, maps, helpers and kernel functions.
    Bpf,
    /// The places where programs are attached.
    Tracepoints,
    /// File systems the guard reads or pins in.
    Mounts,
    /// Container runtimes that can be asked who a process belongs to.
    Containers,
}

impl Group {
    /// The heading of the group.
    pub fn title(self) -> &'static str {
        match self {
            Self::Kernel => "Kernel",
            Self::Privileges => "Privileges",
            Self::Bpf => "BPF features",
            Self::Tracepoints => "Tracepoints",
            Self::Mounts => "Mounts",
            Self::Containers => "Containers",
        }
    }
}

/// One question about the machine and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// A stable name such as `bpf.tp-btf`, the same on every machine.
    pub id: &'static str,
    /// The part of the machine.
    pub group: Group,
    /// The subject, for people.
    pub item: &'static str,
    /// How much depends on it.
    pub need: Need,
    /// The answer.
    pub verdict: Verdict,
    /// What was seen, including the kernel's own words where it refused.
    pub found: String,
    /// What the guard loses where this is missing.
    pub lost: &'static str,
    /// The next step, with a command where one exists; absent on a pass.
    pub mend: Option<String>,
}

/// The kernel that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: String,
    /// As `uname -m` prints it.
    pub arch: String,
}

/// What this machine offers the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The kernel that was asked.
    pub kernel: Kernel,
    /// Every question, in the order of their groups.
    pub rows: Vec<Row>,
}

/// What the required rows come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// Every required row passes.
    Ready,
    /// At least one required row fails.
    Missing,
    /// None fails, but at least one could not be asked.
    Unknown,
}

/// Why the guard should not start here.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum NotReady {
    /// Something required is not there.
    #[error("this machine lacks what the guard requires: {item} ({found}){}", and_also(.also))]
    #[diagnostic(code(davylamp::machine::missing), help("{next_step}"))]
    Missing {
        /// The first thing missing; the others often follow from it.
        item: &'static str,
        /// What was seen instead.
        found: String,
        /// The other required things that are missing.
        also: Vec<&'static str>,
        /// What to do about the first.
        next_step: String,
    },
    /// Something required could not be asked for. The caller may still try: the kernel's answer
    /// to the real load is the last word.
    #[error("cannot tell whether this machine has what the guard requires: {item} ({found}){}",
        and_also(.also))]
    #[diagnostic(code(davylamp::machine::unknown), help("{next_step}"))]
    Unknown {
        /// The first thing that could not be asked for.
        item: &'static str,
        /// Why it could not.
        found: String,
        /// The other required things that could not be asked for.
        also: Vec<&'static str>,
        /// What to do about the first.
        next_step: String,
    },
}

/// A capability of the guard that this machine does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost<'a> {
    /// The row it comes from.
    pub id: &'static str,
    /// Whether it is known to be missing, or could not be asked for.
    pub verdict: Verdict,
    /// What was seen.
    pub found: &'a str,
    /// What the guard does not do because of it.
    pub lost: &'static str,
    /// The next step.
    pub mend: Option<&'a str>,
}

impl Survey {
    /// The row of that name, where this machine has one.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// What the required rows come to.
    pub fn readiness(&self) -> Readiness {
        let has = |verdict| self.required(verdict).next().is_some();
        if has(Verdict::Fail) {
            Readiness::Missing
        } else if has(Verdict::Unknown) {
            Readiness::Unknown
        } else {
            Readiness::Ready
        }
    }

    /// The one error that says why the guard should not start here, or `None` where every
    /// required row passes. A thing known to be missing goes before one that could not be asked.
    pub fn missing_required(&self) -> Option<NotReady> {
        let told = |verdict| {
            let mut rows = self.required(verdict);
            let first = rows.next()?;
            let also = rows.map(|row| row.item).collect();
            let next_step = first
                .mend
                .clone()
                .unwrap_or_else(|| "see `davy doctor` for the rest".to_owned());
            Some((first.item, first.found.clone(), also, next_step))
        };
        if let Some((item, found, also, next_step)) = told(Verdict::Fail) {
            return Some(NotReady::Missing {
                item,
                found,
                also,
                next_step,
            });
        }
        let (item, found, also, next_step) = told(Verdict::Unknown)?;
        Some(NotReady::Unknown {
            item,
            found,
            also,
            next_step,
        })
    }

    /// What the guard will do without on this machine, for the start-up log: every row that does
    /// not pass and that something depends on.
    pub fn lost(&self) -> impl Iterator<Item = Lost<'_>> {
        self.rows
            .iter()
            .filter(|row| row.verdict != Verdict::Pass && row.need != Need::Informational)
            .map(|row| Lost {
                id: row.id,
                verdict: row.verdict,
                found: &row.found,
                lost: row.lost,
                mend: row.mend.as_deref(),
            })
    }

    /// How many rows have that verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows
            .iter()
            .filter(|row| row.verdict == verdict)
            .count()
    }

    fn required(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(move |row| row.need == Need::Required && row.verdict == verdict)
    }
}

fn and_also(also: &[&str]) -> String {
    match also {
        [] => String::new(),
        some => format!("; also: {}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::question::Question;
    use super::*;

    const ASKED: Question = Question {
        id: "bpf.tp-btf",
        group: Group::Bpf,
        item: "typed tracepoints",
        need: Need::Required,
        lost: "the guard",
    };

    fn survey(rows: Vec<Row>) -> Survey {
        let kernel = Kernel {
            release: "6.1.0".to_owned(),
            arch: "x86_64".to_owned(),
        };
        Survey {
            schema: SCHEMA,
            kernel,
            rows,
        }
    }

    #[test]
    fn all_required_pass() {
        let extra = Question {
            need: Need::Improves,
            ..ASKED
        };
        let survey = survey(vec![ASKED.pass("works"), extra.fail("absent", "upgrade")]);
        assert_eq!(survey.readiness(), Readiness::Ready);
        assert_eq!(survey.missing_required(), None);
        assert_eq!(
            survey.lost().map(|lost| lost.found).collect::<Vec<_>>(),
            ["absent"]
        );
    }

    #[test]
    fn a_known_lack_goes_before_an_unknown() {
        let ring = Question {
            item: "ring buffer",
            ..ASKED
        };
        let kill = Question {
            item: "CAP_KILL",
            ..ASKED
        };
        let survey = survey(vec![
            ASKED.unknown("not permitted to ask", "run as root"),
            ring.fail("invalid argument", "use a newer kernel"),
            kill.fail("not held", "add it"),
        ]);
        assert_eq!(survey.readiness(), Readiness::Missing);
        let error = survey.missing_required().expect("two required rows fail");
        assert_eq!(
            error.to_string(),
            "this machine lacks what the guard requires: ring buffer (invalid argument); \
             also: CAP_KILL"
        );
        assert_eq!(
            error.help().expect("it has a next step").to_string(),
            "use a newer kernel"
        );
    }

    #[test]
    fn an_unknown_alone_is_not_ready() {
        let survey = survey(vec![ASKED.unknown("not permitted to ask", "run as root")]);
        assert_eq!(survey.readiness(), Readiness::Unknown);
        let error = survey.missing_required().expect("unknown is not clean");
        assert!(matches!(error, NotReady::Unknown { .. }), "{error:?}");
    }

    #[test]
    fn what_is_only_informational_is_never_lost() {
        let told = Question {
            need: Need::Informational,
            ..ASKED
        };
        let survey = survey(vec![told.fail("absent", "none needed")]);
        assert_eq!(survey.lost().count(), 0);
        assert_eq!(survey.readiness(), Readiness::Ready);
    }
}

//! What is said of programs and their files.

use std::rc::Rc;

use davylamp_content::detection::{Wire, file::HeldIn};
use davylamp_detect::file::{Held, Sign, Weighed};
use davylamp_model::guard_event::Action;
use serde_json::{Map, Value, json};

use super::{Judged, Verdict, Waiting, waiting};
use crate::{
    abi::{self, EventKind, UnseenFile},
    agent::{
        Agent, monotonic_ns,
        notice::Notice,
        report::{Outcome, Source},
        sweep::described,
    },
    config::UnknownFile,
    event::KernelEvent,
    process::Process,
};

/// The name under which an unknown file is told.
const DETECTION_UNSCANNED: &str = "unscanned-file";
/// What it adds to other signs.
const SCORE_UNSCANNED: u8 = 10;
/// The name under which a respawn of a known file is told where what was found is not known any more.
const DETECTION_KNOWN: &str = "miner-file";

impl Agent {
    /// The kernel killed a program whose file it knew, or would have.
    pub(super) fn tell_known(self: &Rc<Self>, event: KernelEvent) {
        let action = match event.kind {
            EventKind::WouldKill => Action::WouldKill,
            EventKind::Spared => Action::Spared,
            _ => Action::Killed,
        };
        let known = self.files.bad.borrow().get(&event.generation).cloned();
        let id = format!("{:016x}", event.generation);
        let path = event.exe.clone();
        let why = event.reason.as_str().unwrap_or_default().to_owned();
        let notice = match known {
            Some(verdict) => {
                let (detection, score, sign) = first_of(&verdict.weighed);
                Notice {
                    event,
                    source: Source::File,
                    detection,
                    score,
                    matched: sign.rule.clone(),
                    what: format!("{why}: {}", sign.says),
                    evidence: evidence(&verdict, &path, 0),
                    done: Some(action),
                }
            }
            None => Notice {
                event,
                source: Source::File,
                detection: DETECTION_KNOWN.to_owned(),
                score: 100,
                matched: String::new(),
                what: why,
                evidence: [
                    ("path".to_owned(), json!(path)),
                    ("sha256_begins".to_owned(), json!(id)),
                ]
                .into_iter()
                .collect(),
                done: Some(action),
            },
        };
        self.notice(notice);
    }

    pub(super) fn tell_expired(self: &Rc<Self>, event: &KernelEvent) {
        let spares = self.config.files.unknown == UnknownFile::Run;
        let process = Process::open(event.pid, Some(event.start_boottime_ns));
        let known = process
            .ok()
            .flatten()
            .and_then(|process| described(&process, &waiting(event).task).ok());
        self.tell_unscanned(
            known.unwrap_or_else(|| event.clone()),
            spares,
            "its file was not looked into before the deadline",
            event.held_ns,
        );
    }

    /// Tells of a program whose hold ended without a verdict.
    pub(in crate::agent) fn tell_unscanned(
        self: &Rc<Self>,
        event: KernelEvent,
        spares: bool,
        why: &str,
        held_ns: u64,
    ) {
        let path = event.exe.clone();
        self.notice(Notice {
            event,
            source: Source::File,
            detection: DETECTION_UNSCANNED.to_owned(),
            score: SCORE_UNSCANNED,
            matched: String::new(),
            what: format!("unknown: {why}"),
            evidence: [
                ("path".to_owned(), json!(path)),
                ("held_ms".to_owned(), json!(held_ns / 1_000_000)),
            ]
            .into_iter()
            .collect(),
            done: Some(if spares {
                Action::Spared
            } else {
                Action::Killed
            }),
        });
    }

    /// What a hold for a file comes to where nobody can look into it any more.
    pub(in crate::agent) fn unscanned_outcome(&self) -> Outcome {
        let action = match self.config.files.unknown {
            UnknownFile::Run => Action::Spared,
            UnknownFile::Kill => Action::Killed,
        };
        Outcome::new(action, Source::File).because("unknown: its file was not looked into")
    }
}

fn first_of(weighed: &Weighed) -> (String, u8, Sign) {
    weighed.by.first().cloned().unwrap_or_else(|| {
        let sign = Sign {
            seen: Wire::MinerFile,
            rule: String::new(),
            says: String::new(),
        };
        (DETECTION_KNOWN.to_owned(), 0, sign)
    })
}

/// The line about a start.
pub(super) fn told(
    judged: &Judged,
    event: KernelEvent,
    action: Action,
    waiting: &Waiting,
    spared_by: Option<&str>,
) -> Notice {
    let mut evidence = evidence(&judged.file, &judged.path, judged.place);
    if let Some(hold) = &waiting.hold {
        let held_us = monotonic_ns().saturating_sub(hold.since_ns) / 1000;
        evidence.insert("held_us".to_owned(), json!(held_us));
    }
    if let Some(why) = &judged.unknown {
        evidence.insert("unknown".to_owned(), json!(why));
    }
    if judged.is_remembered {
        evidence.insert("searched".to_owned(), json!("at an earlier start"));
    }
    if judged.weighed.by.is_empty() {
        let why = judged.unknown.as_deref().unwrap_or_default();
        return Notice {
            event,
            source: Source::File,
            detection: DETECTION_UNSCANNED.to_owned(),
            score: SCORE_UNSCANNED,
            matched: String::new(),
            what: format!("unknown: {why}"),
            evidence,
            done: Some(action),
        };
    }
    let (detection, _, sign) = first_of(&judged.weighed);
    let all: Vec<Value> = judged
        .weighed
        .by
        .iter()
        .map(|(detection, score, sign)| {
            json!({"detection": detection, "score": score, "rule": sign.rule})
        })
        .collect();
    evidence.insert("found".to_owned(), Value::Array(all));
    let what = match spared_by {
        Some(why) => format!("{why}; {}", sign.says),
        None => sign.says.clone(),
    };
    Notice {
        event,
        source: Source::File,
        detection,
        score: judged.weighed.score,
        matched: sign.rule,
        what,
        evidence,
        done: Some(action),
    }
}

fn evidence(verdict: &Verdict, path: &str, place: u32) -> Map<String, Value> {
    let report = &verdict.report;
    let is_packed = report
        .signs
        .iter()
        .any(|sign| sign.seen == Wire::PackedFile);
    let rules: Vec<&str> = report.signs.iter().map(|sign| sign.rule.as_str()).collect();
    let mut evidence = Map::new();
    evidence.insert("path".to_owned(), json!(path));
    evidence.insert("size".to_owned(), json!(report.size));
    evidence.insert("packed".to_owned(), json!(is_packed));
    if let Some(digest) = &report.sha256 {
        evidence.insert("sha256".to_owned(), json!(digest));
    }
    if !rules.is_empty() {
        evidence.insert("rule".to_owned(), json!(rules.join(", ")));
    }
    if place & (abi::PLACE_MEMORY | abi::PLACE_DELETED) != 0 {
        let held_in = match place & abi::PLACE_MEMORY {
            0 => "deleted",
            _ => "memory",
        };
        evidence.insert("held_in".to_owned(), json!(held_in));
    }
    evidence
}

/// That a program has no file, where that is a sign.
pub(super) fn fileless_sign(file: &UnseenFile, executable: &str) -> Option<Sign> {
    let held_in = match file.place {
        place if place & abi::PLACE_MEMORY != 0 => HeldIn::Memory,
        place if place & abi::PLACE_DELETED != 0 => HeldIn::Deleted,
        _ => return None,
    };
    let named = executable.strip_prefix("/memfd:").unwrap_or(executable);
    let held = Held {
        held_in,
        named,
        started_by_root_on_host: file.place & abi::PLACE_HOST_ROOT != 0,
    };
    held.is_fileless().then(|| Sign {
        seen: Wire::FilelessProgram,
        rule: match held_in {
            HeldIn::Memory => "memory".to_owned(),
            _ => "deleted".to_owned(),
        },
        says: match held_in {
            HeldIn::Memory => "the program lies in memory only".to_owned(),
            _ => "the program's file is deleted".to_owned(),
        },
    })
}

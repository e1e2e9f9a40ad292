//! What is known of files, beside what the kernel knows.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    rc::Rc,
};

use davylamp_content::detection::Detection;
use davylamp_detect::file::{Weighed, weigh};
use tokio::sync::OnceCell;

use crate::{
    abi::FileKey,
    metrics::AgentCounts,
    scan::{Report, Scanner},
};

/// Verdicts that are remembered of scripts and large programs, and of bad files.
pub(super) const REMEMBERED: usize = 8192;

/// What a file is.
#[derive(Debug)]
pub(in crate::agent) struct Verdict {
    pub(super) report: Report,
    pub(super) weighed: Weighed,
}

impl Verdict {
    pub(super) fn is_bad(&self) -> bool {
        self.weighed.kills
    }

    pub(super) fn is_unknown(&self) -> bool {
        !self.is_bad() && self.report.unknown.is_some()
    }

    /// Names what was found to the kernel: the beginning of the file's digest.
    pub(super) fn id(&self) -> u64 {
        let digest = self.report.sha256.as_deref().unwrap_or_default();
        u64::from_str_radix(digest.get(..16).unwrap_or("0"), 16).unwrap_or_default()
    }
}

type Once = Rc<OnceCell<Rc<Verdict>>>;

/// What is known of files, beside what the kernel knows.
pub(in crate::agent) struct Files {
    pub(super) scanner: Option<Scanner>,
    pub(super) detections: Vec<Detection>,
    allow: HashSet<String>,
    under_way: RefCell<HashMap<FileKey, Once>>,
    /// What the kernel does not remember and need not be searched again: scripts, and programs that
    /// are too large to be searched whole.
    remembered: RefCell<HashMap<FileKey, Rc<Verdict>>>,
    pub(super) bad: RefCell<HashMap<u64, Rc<Verdict>>>,
    pub(super) busy: RefCell<HashSet<u32>>,
    pub(super) told_gone: Cell<bool>,
    /// Files looked into; of them bad, and unknown.
    searched: Cell<[u64; 3]>,
}

impl Files {
    pub(in crate::agent) fn new(
        scanner: Option<Scanner>,
        detections: Vec<Detection>,
        allow: &[String],
    ) -> Self {
        Self {
            scanner,
            detections,
            allow: allow
                .iter()
                .map(|digest| digest.to_ascii_lowercase())
                .collect(),
            under_way: RefCell::default(),
            remembered: RefCell::default(),
            bad: RefCell::default(),
            busy: RefCell::default(),
            told_gone: Cell::default(),
            searched: Cell::default(),
        }
    }

    /// Whether a held process's file is being looked into.
    pub(in crate::agent) fn is_busy(&self, pid: u32) -> bool {
        self.busy.borrow().contains(&pid)
    }

    /// What is remembered of a file.
    pub(super) fn remembered(&self, key: &FileKey) -> Option<Rc<Verdict>> {
        self.remembered.borrow().get(key).cloned()
    }

    /// Remembers what a file came to.
    pub(super) fn remember(&self, key: FileKey, verdict: &Rc<Verdict>) {
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, Rc::clone(verdict));
    }

    /// Looks into a file, or waits for whoever does already.
    pub(super) async fn verdict_of(
        &self,
        key: FileKey,
        open: impl FnOnce() -> io::Result<OwnedFd>,
    ) -> Rc<Verdict> {
        let once = Rc::clone(self.under_way.borrow_mut().entry(key).or_default());
        let verdict = once
            .get_or_init(|| async {
                let report = match (&self.scanner, open()) {
                    (None, _) => Report::unknown("nobody looks into files"),
                    (Some(_), Err(error)) => {
                        Report::unknown(format!("it cannot be opened: {error}"))
                    }
                    (Some(scanner), Ok(file)) => scanner.scan(file).await,
                };
                let verdict = self.weighed(report);
                let [all, bad, unknown] = self.searched.get();
                self.searched.set([
                    all + 1,
                    bad + u64::from(verdict.is_bad()),
                    unknown + u64::from(verdict.is_unknown()),
                ]);
                Rc::new(verdict)
            })
            .await;
        self.under_way.borrow_mut().remove(&key);
        Rc::clone(verdict)
    }

    /// Adds what was counted.
    pub(in crate::agent) fn count(&self, counts: &mut AgentCounts) {
        let [all, bad, unknown] = self.searched.get();
        counts.files_searched = all;
        counts.files_bad = bad;
        counts.files_unknown = unknown;
        counts.file_workers_died = self
            .scanner
            .as_ref()
            .map_or(0, |scanner| scanner.deaths.get());
    }

    pub(super) fn weighed(&self, mut report: Report) -> Verdict {
        let is_allowed = report
            .sha256
            .as_ref()
            .is_some_and(|digest| self.allow.contains(digest));
        if is_allowed && report.unknown.is_none() {
            report.signs.clear();
        }
        Verdict {
            weighed: weigh(&self.detections, &report.signs),
            report,
        }
    }
}

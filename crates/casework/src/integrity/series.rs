//! One chain, from its files to what it comes to.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use davylamp_model::verdict::Verdict;

use super::chain::{self, Judged, Node};
use super::digest::Digest;
use super::files::Looked;
use super::found;
use super::hours::{Files, stretches};
use super::place::Series;
use super::report::{Chain, Count, Fault, Kind, Outcome, worse};
use super::{Check, Gathered};

impl Check<'_> {
    /// Reads and judges the digests of a chain, and their log files.
    pub(super) fn series(
        &self,
        of: &Series,
        digests: &[u32],
        sides: &HashMap<u32, u32>,
        gathered: &mut Gathered,
    ) -> Chain {
        let mut chain = Chain::of(of);
        let nodes = self.read(digests, sides);
        let judged = chain::judge(&nodes, self.keys, self.shelf);
        let scope = &self.asked.scope;
        let absent = chain::absent(&nodes, &judged, scope.since, self.shelf);
        let mut files = Vec::with_capacity(nodes.len());
        for (node, judged) in nodes.iter().zip(&judged) {
            if !node.is_asked {
                files.push(Count::default());
                continue;
            }
            let said = node.digest.as_ref().ok().map(|it| &it.said);
            chain.bucket = chain
                .bucket
                .take()
                .or_else(|| said.map(|it| it.digest_s3_bucket.clone()));
            chain.digests.add(judged.verdict);
            gathered.outcome(Outcome {
                kind: Kind::Digest,
                name: self.shelf.at(node.object).name.to_string(),
                verdict: judged.verdict,
                fault: judged.fault,
                why: judged.why.clone(),
                tells: judged.tells.to_owned(),
                digest: said.map(|it| it.digest_s3_object.clone()),
            });
            let count = self.files(node, judged, gathered);
            chain.log_files += count;
            files.push(count);
        }
        for absent in absent.iter().filter(|it| nodes[it.named_by].is_asked) {
            let verdict = match absent.unread.fault {
                Fault::Missing => Verdict::Fail,
                _ => Verdict::Unknown,
            };
            // What lies before everything that was given is no file of this check.
            if absent.unread.fault == Fault::Outside
                && absent.named_by == 0
                && scope.since.is_none()
            {
                continue;
            }
            chain.digests.add(verdict);
            gathered.outcome(Outcome {
                kind: Kind::Digest,
                name: format!("s3://{}/{}", absent.bucket, absent.key),
                verdict,
                fault: Some(absent.unread.fault),
                why: absent.unread.why.clone(),
                tells: chain::tells_absent(&absent.unread).to_owned(),
                digest: Some(absent.key.clone()),
            });
        }
        if !of.is_backfill {
            chain.hours = stretches(&nodes, &judged, &files, &absent, (scope.since, scope.until));
        }
        chain.verdict = [chain.digests, chain.log_files]
            .into_iter()
            .map(comes_to)
            .chain(chain.hours.iter().map(|hours| hours.verdict))
            .fold(Verdict::Pass, worse);
        chain
    }

    /// Reads digests and hashes their log files, on every processor.
    fn read(&self, digests: &[u32], sides: &HashMap<u32, u32>) -> Vec<Node> {
        let threads = self.asked.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let next = AtomicUsize::new(0);
        let read: Vec<OnceLock<Node>> = digests.iter().map(|_| OnceLock::new()).collect();
        let work = || {
            let _entered = self.runtime.enter();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(object) = digests.get(number) else {
                    break;
                };
                // Each number is given once.
                let _ = read[number].set(self.node(*object, sides.get(object).copied()));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(digests.len()) {
                scope.spawn(work);
            }
            work();
        });
        read.into_iter().filter_map(OnceLock::into_inner).collect()
    }

    fn node(&self, number: u32, side: Option<u32>) -> Node {
        let object = self.shelf.at(number);
        let is_asked = found::is_asked(object, &self.asked.scope);
        let mut digest = Digest::read(object, side.map(|side| self.shelf.at(side)));
        self.watch.bytes.fetch_add(object.size, Ordering::Relaxed);
        self.watch.files.fetch_add(1, Ordering::Relaxed);
        let listed = digest.as_mut().ok().and_then(|it| it.said.log_files.take());
        let mut logs = Vec::new();
        for listed in listed.unwrap_or_default().iter().filter(|_| is_asked) {
            let each_read = |bytes| {
                self.watch.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.watch.files.fetch_add(1, Ordering::Relaxed);
            };
            logs.extend(self.shelf.look(listed, &each_read));
        }
        Node {
            object: number,
            end: found::ends(object).unwrap_or_default(),
            is_asked,
            digest,
            logs,
        }
    }

    /// What the log files of a digest come to, now that it is known what the digest does.
    fn files(&self, node: &Node, judged: &Judged, gathered: &mut Gathered) -> Files {
        let mut count = Count::default();
        let of = node
            .digest
            .as_ref()
            .ok()
            .map(|it| &it.said.digest_s3_object);
        for looked in &node.logs {
            let (object, name, verdict, fault, why, tells) = match looked {
                Looked::Same(number) => {
                    let name = self.shelf.at(*number).name.to_string();
                    let (verdict, fault, why) = match judged.is_proven {
                        true => (Verdict::Pass, None, String::new()),
                        false => (
                            Verdict::Unknown,
                            Some(Fault::Unproven),
                            "its hash is the one that its digest records, and the digest is not proven".to_owned(),
                        ),
                    };
                    (
                        Some(*number),
                        name,
                        verdict,
                        fault,
                        why,
                        "what is said of its digest",
                    )
                }
                Looked::Fault {
                    object,
                    name,
                    unread,
                } => {
                    let is_false = !judged.is_proven && judged.verdict == Verdict::Fail;
                    let (verdict, fault) = match unread.fault {
                        // An altered digest proves nothing, not even that something else is wrong.
                        _ if is_false => (Verdict::Unknown, Fault::Unproven),
                        fault @ (Fault::Altered
                        | Fault::Missing
                        | Fault::Moved
                        | Fault::Malformed) => (Verdict::Fail, fault),
                        fault => (Verdict::Unknown, fault),
                    };
                    let why = match judged.is_proven {
                        true => unread.why.clone(),
                        false => format!("{}; the digest that lists it is not proven", unread.why),
                    };
                    let tells = match verdict {
                        Verdict::Fail => {
                            "the object's earlier versions, if the bucket keeps them, and the calls PutObject and \
                             DeleteObject of it"
                        }
                        Verdict::Pass | Verdict::Unknown => {
                            "the file, and the digest that lists it"
                        }
                    };
                    (*object, name.clone(), verdict, Some(fault), why, tells)
                }
            };
            count.add(verdict);
            if let Some(object) = object {
                gathered.object(object, verdict);
            }
            gathered.outcome(Outcome {
                kind: Kind::LogFile,
                name,
                verdict,
                fault,
                why,
                tells: match fault {
                    Some(_) => tells.to_owned(),
                    None => String::new(),
                },
                digest: of.cloned(),
            });
        }
        count
    }
}

/// What a count comes to.
fn comes_to(count: Count) -> Verdict {
    match count {
        Count { fail: 1.., .. } => Verdict::Fail,
        Count { unknown: 1.., .. } => Verdict::Unknown,
        Count { .. } => Verdict::Pass,
    }
}

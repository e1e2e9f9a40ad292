//! The digests of one trail, account and region, judged by one another.
//!
//! A digest is proven by its own signature, by the signature that the next digest records of it, or by
//! the hash that the next digest records of it if that one is proven. What cannot be proven is not
//! false for that: only what contradicts something proven has failed.

use std::collections::HashMap;

use davylamp_model::verdict::Verdict;
use jiff::Timestamp;

use super::digest::{Digest, Own, Signed, Unread};
use super::files::{Looked, Shelf, key_of};
use super::place::{last, stem};
use super::public_key::Keys;
use super::report::Fault;

/// A digest's file, as it was found.
#[derive(Debug)]
pub(super) struct Node {
    /// Its object.
    pub object: u32,
    /// The end of its hour, as its name says it.
    pub end: Timestamp,
    /// Whether it is asked for; if not, it is there for what it says of the one before.
    pub is_asked: bool,
    /// What it is.
    pub digest: Result<Digest, Unread>,
    /// Its log files.
    pub logs: Vec<Looked>,
}

/// What a digest came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub verdict: Verdict,
    /// Whether what it says is what CloudTrail wrote, wherever it lies now.
    pub is_proven: bool,
    pub fault: Option<Fault>,
    pub why: String,
    pub tells: &'static str,
}

/// A digest that another one names as the one before it, and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Absent {
    /// The number of the digest that names it.
    pub named_by: usize,
    pub bucket: String,
    pub key: String,
    pub unread: Unread,
}

/// What a later digest says of the one before it.
struct Heir<'a> {
    judged: Option<&'a Judged>,
    signed: Option<Signed>,
    has_same_hash: Option<bool>,
}

impl Heir<'_> {
    fn is_proven(&self) -> bool {
        self.judged.is_some_and(|judged| judged.is_proven)
    }
}

const SEE_VERSIONS: &str = "the object's earlier versions, if the bucket keeps them, and the calls PutObject and DeleteObject of it";
const SEE_METADATA: &str = "its signature in the metadata of the object: give s3://BUCKET/PREFIX, or write the answer of \
     `aws s3api head-object` into a file named as the digest's with .signature after it";
const SEE_KEYS: &str = "the key: --public-keys aws, or a file with what aws cloudtrail list-public-keys --start-time \
     --end-time prints in the digest's region";
const SEE_AGAIN: &str = "reading it again, with rights to do so";
const SEE_BUCKET: &str = "the bucket itself, with the whole prefix of the trail";

/// Judges digests in the order of their hours.
pub(super) fn judge(nodes: &[Node], keys: &Keys<'_>, shelf: &Shelf<'_>) -> Vec<Judged> {
    let heirs = heirs(nodes, shelf);
    let mut judged: Vec<Option<Judged>> = vec![None; nodes.len()];
    for (number, node) in nodes.iter().enumerate().rev() {
        let of_it = heirs.get(&number).map(Vec::as_slice).unwrap_or_default();
        judged[number] = Some(match &node.digest {
            Err(unread) => unreadable(unread),
            Ok(digest) => {
                let heirs: Vec<Heir<'_>> = of_it
                    .iter()
                    .filter_map(|heir| said(digest, &nodes[*heir], judged[*heir].as_ref(), keys))
                    .collect();
                one(node, digest, &heirs, keys, shelf)
            }
        });
    }
    judged.into_iter().flatten().collect()
}

/// For each digest those that name it as the one before.
fn heirs(nodes: &[Node], shelf: &Shelf<'_>) -> HashMap<usize, Vec<usize>> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let name = stem(last(key_of(shelf.at(node.object))));
        by_name.entry(name).or_default().push(number);
    }
    let mut heirs: HashMap<usize, Vec<usize>> = HashMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let before = node.digest.as_ref().ok().and_then(|it| it.said.previous());
        let Some((_, key)) = before else { continue };
        for before in by_name.get(stem(last(key))).into_iter().flatten() {
            if *before != number {
                heirs.entry(*before).or_default().push(number);
            }
        }
    }
    heirs
}

fn said<'a>(
    digest: &Digest,
    heir: &Node,
    judged: Option<&'a Judged>,
    keys: &Keys<'_>,
) -> Option<Heir<'a>> {
    let said = &heir.digest.as_ref().ok()?.said;
    let signature = said.previous_signature();
    let hash = said.previous_digest_hash_value.as_deref();
    let own = hex::encode(digest.hash);
    Some(Heir {
        judged,
        signed: signature.map(|it| digest.signed(keys, &it)),
        has_same_hash: hash.map(|hash| hash.eq_ignore_ascii_case(&own)),
    })
}

fn one(
    node: &Node,
    digest: &Digest,
    heirs: &[Heir<'_>],
    keys: &Keys<'_>,
    shelf: &Shelf<'_>,
) -> Judged {
    let said = &digest.said;
    let own = match &digest.signature {
        Own::Here(signature) => Some(digest.signed(keys, signature)),
        Own::Lost | Own::Elsewhere => None,
    };
    let is_signed =
        own == Some(Signed::Yes) || heirs.iter().any(|heir| heir.signed == Some(Signed::Yes));
    let is_vouched = heirs
        .iter()
        .any(|heir| heir.is_proven() && heir.has_same_hash == Some(true));
    let is_denied = heirs
        .iter()
        .any(|heir| heir.is_proven() && heir.has_same_hash == Some(false));
    let is_lost = digest.signature == Own::Lost && !shelf.is_copy;
    let is_in_place = shelf.is_in_place(
        shelf.at(node.object),
        &said.digest_s3_bucket,
        &said.digest_s3_object,
    );
    let is_proven = is_signed || is_vouched;
    const ELSEWHERE: &str = "it was delivered to another place";
    let (verdict, fault, why, tells) = if !is_in_place && is_signed {
        (Verdict::Fail, Fault::Moved, ELSEWHERE, SEE_VERSIONS)
    } else if is_proven && is_denied {
        let why = "it is signed, and yet the next digest records another hash of it";
        (Verdict::Fail, Fault::Contradiction, why, SEE_VERSIONS)
    } else if is_denied {
        let why = "the next digest, which is proven, records another hash of it";
        (Verdict::Fail, Fault::Altered, why, SEE_VERSIONS)
    } else if own == Some(Signed::No) && is_proven {
        let why = "its metadata has a signature that is not its own; what it says is proven by the next digest";
        (Verdict::Fail, Fault::Signature, why, SEE_VERSIONS)
    } else if is_lost && is_proven {
        let why = "its metadata has no signature, so that somebody has written it anew; what it says is \
                   proven by the next digest";
        (Verdict::Fail, Fault::Signature, why, SEE_VERSIONS)
    } else if own == Some(Signed::No) {
        let why = "its signature is not of what it says";
        (Verdict::Fail, Fault::Altered, why, SEE_VERSIONS)
    } else if !is_in_place {
        (Verdict::Fail, Fault::Moved, ELSEWHERE, SEE_VERSIONS)
    } else if is_proven {
        return Judged {
            verdict: Verdict::Pass,
            is_proven,
            fault: None,
            why: String::new(),
            tells: "",
        };
    } else if is_lost {
        let why = "its metadata has no signature, so that somebody has written it anew";
        (Verdict::Fail, Fault::Signature, why, SEE_VERSIONS)
    } else {
        unproven(own, heirs)
    };
    let why = match fault {
        Fault::Moved => format!(
            "{why}: s3://{}/{}",
            said.digest_s3_bucket, said.digest_s3_object
        ),
        Fault::NoKey => format!("{why}: {}", said.digest_public_key_fingerprint),
        _ => why.to_owned(),
    };
    Judged {
        verdict,
        is_proven,
        fault: Some(fault),
        why,
        tells,
    }
}

/// Of a digest that lies in its place, that nothing proves and nothing proven denies.
fn unproven(
    own: Option<Signed>,
    heirs: &[Heir<'_>],
) -> (Verdict, Fault, &'static str, &'static str) {
    let refusing = |heir: &&Heir<'_>| heir.signed == Some(Signed::No);
    if heirs.iter().filter(refusing).any(Heir::is_proven) {
        let why = "the signature that the next digest, which is proven, records of it is not of what it says";
        return (Verdict::Fail, Fault::Altered, why, SEE_VERSIONS);
    }
    let is_without_key =
        own == Some(Signed::NoKey) || heirs.iter().any(|it| it.signed == Some(Signed::NoKey));
    if is_without_key {
        let why = "no key with its fingerprint is here, for the way it was signed";
        return (Verdict::Unknown, Fault::NoKey, why, SEE_KEYS);
    }
    let Some(heir) = heirs.iter().find(refusing) else {
        let why = match heirs.is_empty() {
            true => {
                "it is the last of its chain that is here, and its signature is in the metadata of its object alone"
            }
            false => "the next digest does not record its signature",
        };
        return (Verdict::Unknown, Fault::Unsigned, why, SEE_METADATA);
    };
    let has_failed = heir.judged.is_some_and(|it| it.verdict == Verdict::Fail);
    if heir.has_same_hash == Some(true) || has_failed {
        let why = "the next digest, which records its signature, was altered";
        return (Verdict::Unknown, Fault::Unsigned, why, SEE_METADATA);
    }
    let why = "the next digest records another signature and another hash of it, and is not proven itself: \
               one of the two was altered";
    (Verdict::Fail, Fault::Contradiction, why, SEE_METADATA)
}

fn unreadable(unread: &Unread) -> Judged {
    let (verdict, tells) = match unread.fault {
        Fault::Malformed => (Verdict::Fail, SEE_VERSIONS),
        _ => (Verdict::Unknown, SEE_AGAIN),
    };
    Judged {
        verdict,
        is_proven: false,
        fault: Some(unread.fault),
        why: unread.why.clone(),
        tells,
    }
}

/// The digests that are named by others and not there.
pub(super) fn absent(
    nodes: &[Node],
    judged: &[Judged],
    since: Option<Timestamp>,
    shelf: &Shelf<'_>,
) -> Vec<Absent> {
    let names: std::collections::HashSet<&str> = nodes
        .iter()
        .map(|node| stem(last(key_of(shelf.at(node.object)))))
        .collect();
    let mut absent: Vec<Absent> = Vec::new();
    for (number, (node, judged)) in nodes.iter().zip(judged).enumerate() {
        let Ok(digest) = &node.digest else { continue };
        // What an altered digest names, nobody needs to have deleted.
        let is_believed = judged.is_proven || judged.verdict != Verdict::Fail;
        let Some((bucket, key)) = digest.said.previous().filter(|_| is_believed) else {
            continue;
        };
        if names.contains(stem(last(key))) || absent.iter().any(|it| it.key == key) {
            continue;
        }
        let end = super::place::of_digest(key).map(|(_, end)| end);
        if since.zip(end).is_some_and(|(since, end)| end <= since) {
            continue;
        }
        // Where the oldest of some files begins, those before it may never have been fetched.
        let is_expected = since.is_some() || number > 0;
        absent.push(Absent {
            named_by: number,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            unread: shelf.absent(bucket, key, is_expected),
        });
    }
    absent
}

/// What would tell of something that is absent.
pub(super) fn tells_absent(unread: &Unread) -> &'static str {
    match unread.fault {
        Fault::Missing => SEE_VERSIONS,
        _ => SEE_BUCKET,
    }
}

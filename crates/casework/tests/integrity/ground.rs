//! Trails of many shapes, what may be done to them, and their check.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use davylamp_casework::integrity::{Asked, Checked, Outcome, PublicKey, Watch, verify};
use davylamp_hunt::objects::Scope;
use davylamp_testkit::cloudtrail_digest::{
    Delivery, Object, Trail, events, gzip, public_keys, write,
};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;

/// Numbers from a seed: the same each time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, most: usize) -> usize {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).expect("it fits") % most.max(1)
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// A trail of some shape.
pub fn trail(seed: u64) -> Delivery {
    trail_in(seed, &format!("logs-{seed}"))
}

/// The same in a bucket.
pub fn trail_in(seed: u64, bucket: &str) -> Delivery {
    let dice = &mut Dice::new(seed);
    let mut trail = Trail::of("111122223333", "eu-west-1");
    bucket.clone_into(&mut trail.bucket);
    trail.prefix = [None, Some("audit"), Some("a/b")][dice.below(3)].map(str::to_owned);
    trail.organisation = dice.one_in(3).then(|| "o-ab12cd34ef".to_owned());
    trail.name = ["main", "my_own.trail", "x-y_z"][dice.below(3)].to_owned();
    trail.home_region = ["eu-west-1", "us-east-1"][dice.below(2)].to_owned();
    trail.key = dice.below(2);
    let (region, account) = (trail.region.clone(), trail.account.clone());
    let start: Timestamp = "2024-08-01T21:01:31Z".parse().expect("a moment");
    let mut delivery = Delivery::new(trail, start);
    for hour in 0..4 + dice.below(4) {
        let texts: Vec<String> = (0..dice.below(4))
            .map(|file| {
                events(
                    &format!("{seed}/{hour}/{file}"),
                    1 + dice.below(3),
                    &region,
                    &account,
                )
            })
            .collect();
        delivery.hour(&texts);
        if dice.one_in(5) {
            delivery.unvalidated(2, &[]);
        }
        if dice.one_in(8) {
            delivery.backfill(&[events(&format!("{seed}/{hour}/late"), 1, &region, &account)]);
        }
    }
    delivery
}

/// The end of a block, the checksum and the size (RFC 1952, 2.3.1).
const GZIP_END: usize = 16;

/// What may be done to a trail.
pub const DEEDS: &[&str] = &[
    "nothing",
    "log-content",
    "log-bytes",
    "log-cut",
    "log-appended",
    "log-trailing",
    "log-replaced",
    "log-emptied",
    "log-moved",
    "log-renamed",
    "log-deleted",
    "digest-content",
    "digest-bytes",
    "digest-cut",
    "digest-emptied",
    "digest-twice-packed",
    "digest-replayed",
    "digest-moved",
    "digest-deleted",
    "signature-content",
    "signature-missing",
];

/// Something that was done: what is put, and the keys of what is deleted.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    pub put: Vec<Object>,
    pub delete: Vec<String>,
}

impl Edit {
    /// Something of this kind, if the trail has something to do it to.
    pub fn of(deed: &str, base: &[Object], dice: &mut Dice) -> Option<Self> {
        let is_digest = !deed.starts_with("log");
        let fitting: Vec<&Object> = base.iter().filter(|it| it.is_digest == is_digest).collect();
        let at = dice.below(fitting.len());
        let chosen = *fitting.get(at)?;
        let mut changed = chosen.clone();
        let with = |changed: Object| {
            Some(Self {
                put: vec![changed],
                delete: Vec::new(),
            })
        };
        let moved = |to: String| {
            let mut moved = chosen.clone();
            moved.key = to;
            Some(Self {
                put: vec![moved],
                delete: vec![chosen.key.clone()],
            })
        };
        match deed {
            "nothing" => Some(Self::default()),
            "log-content" | "digest-content" => {
                let mut text = gunzip(&chosen.body);
                flip(&mut text, dice);
                changed.body = gzip(&text);
                with(changed)
            }
            "log-bytes" | "digest-bytes" => {
                flip(&mut changed.body, dice);
                with(changed)
            }
            "log-cut" | "digest-cut" => {
                // Of a file that lacks its last bytes alone the AWS CLI says that it is valid: its check needs
                // the content and not gzip's own checksum after it. Here it is cut off.
                let most = chosen.body.len().saturating_sub(GZIP_END);
                changed.body.truncate(dice.below(most));
                with(changed)
            }
            "log-appended" => {
                changed.body.extend(gzip(b"{\"Records\":[]}"));
                with(changed)
            }
            "log-trailing" => {
                changed.body.extend(b"\n");
                with(changed)
            }
            "log-emptied" | "digest-emptied" => {
                changed.body.clear();
                with(changed)
            }
            "log-replaced" | "digest-replayed" => {
                let other = fitting.get(at.checked_sub(1)?)?;
                changed.body.clone_from(&other.body);
                changed.metadata.clone_from(&other.metadata);
                with(changed)
            }
            "digest-twice-packed" => {
                changed.body = gzip(&chosen.body);
                with(changed)
            }
            "log-moved" | "digest-moved" => moved(chosen.key.replace("/2024/08/", "/2024/07/")),
            "log-renamed" => moved(chosen.key.replace("_CloudTrail_", "_CloudTrail_x")),
            "log-deleted" | "digest-deleted" => Some(Self {
                put: Vec::new(),
                delete: vec![chosen.key.clone()],
            }),
            "signature-content" => {
                let signature = changed.metadata.get_mut("signature")?;
                let at = dice.below(signature.len());
                let other = if signature.as_bytes()[at] == b'0' {
                    "1"
                } else {
                    "0"
                };
                signature.replace_range(at..=at, other);
                with(changed)
            }
            "signature-missing" => {
                changed.metadata.remove("signature");
                with(changed)
            }
            other => panic!("nobody knows how to do {other}"),
        }
    }

    /// What lies there after it was done.
    pub fn done(&self, base: &[Object]) -> Vec<Object> {
        let mut objects: BTreeMap<&str, &Object> = base.iter().map(|it| (&*it.key, it)).collect();
        for key in &self.delete {
            objects.remove(&**key);
        }
        objects.extend(self.put.iter().map(|it| (&*it.key, it)));
        objects.into_values().cloned().collect()
    }
}

/// Another byte at some place.
pub fn flip(bytes: &mut [u8], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << dice.below(8);
    }
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(bytes).read_to_end(&mut text);
    read.expect("it is whole");
    text
}

pub fn keys() -> Vec<PublicKey> {
    PublicKey::listed(public_keys().to_string().as_bytes()).expect("they are keys")
}

/// Checks what lies at some places, with everything that is told of it.
pub fn check(asked: Asked) -> (Checked, Vec<Outcome>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("there are threads");
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let told = Arc::clone(&told);
        Box::new(move |outcome: &Outcome| told.lock().expect("nobody panics").push(outcome.clone()))
    };
    let checked = runtime.block_on(verify(asked, Arc::new(Watch::default()), tell));
    let told = std::mem::take(&mut *told.lock().expect("nobody panics"));
    (checked.expect("the places can be listed"), told)
}

/// Checks a folder.
pub fn check_folder(folder: &Path, scope: Scope) -> (Checked, Vec<Outcome>) {
    check(Asked {
        locations: vec![folder.display().to_string().parse().expect("a place")],
        keys: keys(),
        scope,
        ..Asked::default()
    })
}

/// Checks objects as a folder of files, with their signatures beside them or without.
pub fn check_files(
    objects: &[Object],
    has_signatures: bool,
    scope: Scope,
) -> (Checked, Vec<Outcome>) {
    let folder = tempfile::tempdir().expect("there is room");
    write(objects, folder.path(), has_signatures).expect("there is room");
    check_folder(folder.path(), scope)
}

/// The time that the oracle is asked about.
pub fn all_time() -> Scope {
    Scope {
        since: "2024-08-01T20:00:00Z".parse().ok(),
        ..Scope::default()
    }
}

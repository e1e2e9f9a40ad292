//! Which keys can have started the machines of a burst, and who can have made such a key.
//!
//! A snapshot shows of each key when it was made and when it was last used, by service and region. The
//! last use only moves forward: a key that a snapshot after an act shows last used before that act did
//! not do it. What must stay true: a key that is not excluded is not accused by that.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::burst::Burst;
use super::states::{Used, moment, text};
use super::things::{Id, Snapshots, Thing};

/// A key made so shortly before the machines, for a user who had been there before, was made for them.
const MADE_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A user is no new one after this.
const SETTLED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A use so shortly after an act is likely to be of the same session.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(10);

/// How long a console session lasts at most.
const SESSION: SignedDuration = SignedDuration::from_hours(12);

/// Policies of AWS that give no right over users and keys.
const NO_IAM: &[&str] = &[
    "PowerUserAccess",
    "ReadOnlyAccess",
    "ViewOnlyAccess",
    "SecurityAudit",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "CloudWatchReadOnlyAccess",
    "Billing",
];

/// A key.
#[derive(Debug, Clone)]
pub struct Key<'a> {
    /// Which.
    pub id: &'a Id,
    /// Its states.
    pub thing: &'a Thing,
    /// The user it is of.
    pub user: String,
    /// When it was made.
    pub made: Option<Timestamp>,
}

/// Whether a key can have done something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It cannot.
    Excluded,
    /// Nothing excludes it.
    Possible,
    /// A snapshot shows it in use for that, right then.
    Shown,
}

/// What is said of a key, and the moment of the state that says it.
#[derive(Debug, Clone)]
pub struct Said<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Whether it can have done it.
    pub fit: Fit,
    /// Why, as a clause about the key.
    pub why: String,
    /// When the snapshot was taken that shows it.
    pub at: Timestamp,
}

/// What snapshots say of who started a burst.
#[derive(Debug, Clone)]
pub struct Who<'a> {
    /// Each key of the account, as the one that started the machines.
    pub starters: Vec<Said<'a>>,
    /// The one that did, where there is one.
    pub starter: Option<Said<'a>>,
    /// How that one was made, where that was part of the attack.
    pub made: Option<Making<'a>>,
}

/// How a key was made in an attack.
#[derive(Debug, Clone)]
pub struct Making<'a> {
    /// When.
    pub at: Timestamp,
    /// Each other key of the account, as the one that made it.
    pub makers: Vec<Said<'a>>,
    /// The one that did, where there is one.
    pub maker: Option<Said<'a>>,
    /// Users who had signed in to the console and had the right to make it.
    pub signed_in: Vec<String>,
    /// Roles with the right to make it, in use at that time or nobody knows when.
    pub roles: Vec<String>,
    /// Whether the user it is of was new.
    pub is_user_new: bool,
    /// Why its user cannot have made it; nothing where the user can.
    pub not_by_user: Option<String>,
}

/// Judges each key of the account of a burst.
pub fn of<'a>(snapshots: &'a Snapshots, burst: &Burst<'a>) -> Who<'a> {
    let keys = keys(snapshots, burst.account);
    let starters: Vec<Said<'a>> = keys
        .iter()
        .map(|key| started(snapshots, key, burst))
        .collect();
    let starter = only(&starters);
    let made = starter
        .as_ref()
        .and_then(|starter| making(snapshots, &keys, &starter.key, burst));
    Who {
        starters,
        starter,
        made,
    }
}

fn keys<'a>(snapshots: &'a Snapshots, account: &str) -> Vec<Key<'a>> {
    let of_account = snapshots
        .of_kind("access-key")
        .filter(|(id, _)| id.account == account);
    of_account
        .filter_map(|(id, thing)| {
            // A user who got another name has it in the later states.
            let state = thing.last()?.state();
            Some(Key {
                id,
                thing,
                user: text(&state["UserName"]).to_owned(),
                made: moment(&state["CreateDate"]),
            })
        })
        .collect()
}

/// The one that is shown, or the one that alone is left.
fn only<'a>(all: &[Said<'a>]) -> Option<Said<'a>> {
    let of = |fit: Fit| all.iter().filter(move |said| said.fit == fit);
    let fit = match of(Fit::Shown).count() {
        0 => Fit::Possible,
        _ => Fit::Shown,
    };
    let mut left = of(fit);
    left.next().filter(|_| left.next().is_none()).cloned()
}

fn started<'a>(snapshots: &Snapshots, key: &Key<'a>, burst: &Burst<'_>) -> Said<'a> {
    let (first, last) = (burst.first(), burst.last());
    let possible = possible(snapshots, key, first, last);
    if possible.fit == Fit::Excluded {
        return possible;
    }
    let ends = burst.machines.iter().filter_map(|machine| {
        let gone = machine.thing.gone.as_ref()?;
        Some(gone.after.unwrap_or(gone.by))
    });
    // Whoever ends the machines looks at the same regions, shortly before.
    let until = ends
        .min()
        .map_or(Timestamp::MAX, |end| end - SESSION)
        .max(last + SignedDuration::from_hours(1));
    let shown = key.thing.changes.iter().find_map(|change| {
        let used = Used::of(&change.state())?;
        let is_it = used.service == "ec2"
            && burst.new_regions.contains(&*used.region)
            && used.at >= first
            && used.at <= until;
        is_it.then_some((change.at, used))
    });
    match shown {
        None => possible,
        Some((at, used)) => Said {
            fit: Fit::Shown,
            why: format!(
                "was used for ec2 in {} at {}, where the account had no machine before these",
                used.region, used.at
            ),
            at,
            ..possible
        },
    }
}

/// Whether a key can have been used from one moment to another.
fn possible<'a>(
    snapshots: &Snapshots,
    key: &Key<'a>,
    first: Timestamp,
    last: Timestamp,
) -> Said<'a> {
    let seen = key.thing.first().map_or(first, |change| change.at);
    let said = |fit, why: String, at| Said {
        key: key.clone(),
        fit,
        why,
        at,
    };
    if let Some(made) = key.made.filter(|made| *made > first) {
        return said(
            Fit::Excluded,
            format!("was made at {made}, afterwards"),
            seen,
        );
    }
    if let Some(gone) = key.thing.gone.as_ref().filter(|gone| gone.by < first) {
        let why = format!("was gone by {}", gone.by);
        return said(Fit::Excluded, why, gone.by);
    }
    let Some(look) = snapshots.look_after(key.id, last) else {
        let why = "no later snapshot of it was taken".to_owned();
        return said(Fit::Possible, why, seen);
    };
    let gone_since = key.thing.gone.as_ref().is_some_and(|gone| gone.by <= look);
    let used = key.thing.at(look).and_then(|it| Used::of(&it.state()));
    match used {
        _ if gone_since => said(
            Fit::Possible,
            format!("was gone by {look}, and what it was used for last is not known"),
            look,
        ),
        None => said(
            Fit::Excluded,
            format!("had never been used by {look}"),
            look,
        ),
        Some(used) if used.at < last => said(
            Fit::Excluded,
            format!("was last used at {}, before, as seen at {look}", used.at),
            look,
        ),
        Some(used) => said(
            Fit::Possible,
            format!("was in use then: last at {} as seen at {look}", used.at),
            look,
        ),
    }
}

fn making<'a>(
    snapshots: &'a Snapshots,
    keys: &[Key<'a>],
    key: &Key<'a>,
    burst: &Burst<'_>,
) -> Option<Making<'a>> {
    let at = key.made?;
    if burst.first().duration_since(at) > MADE_FOR {
        return None;
    }
    let account = burst.account;
    let user = snapshots.get(account, &key.id.region, "user", &key.user);
    let is_user_new = user.and_then(|(_, user)| {
        let made = moment(&user.first()?.state()["CreateDate"])?;
        Some(at.duration_since(made) < SETTLED)
    });
    let makers: Vec<Said<'a>> = keys
        .iter()
        .filter(|other| other.id != key.id)
        .map(|other| made_by(snapshots, other, at))
        .collect();
    let signed_in: Vec<String> = signed_in(snapshots, account, at);
    let not_by_user = not_by(snapshots, key, at, &makers, &signed_in);
    Some(Making {
        at,
        maker: only(&makers),
        makers,
        signed_in,
        roles: roles(snapshots, account, at),
        is_user_new: is_user_new.unwrap_or(true),
        not_by_user,
    })
}

fn made_by<'a>(snapshots: &Snapshots, key: &Key<'a>, at: Timestamp) -> Said<'a> {
    let possible = possible(snapshots, key, at, at);
    if possible.fit == Fit::Excluded {
        return possible;
    }
    if let Some((why, seen)) = no_right(snapshots, key, at) {
        return Said {
            fit: Fit::Excluded,
            why: format!("{why}, as seen at {seen}"),
            ..possible
        };
    }
    let shown = key.thing.changes.iter().find_map(|change| {
        let used = Used::of(&change.state())?;
        let is_it = used.service == "iam" && used.at >= at && used.at <= at + AT_ONCE;
        is_it.then_some((change.at, used))
    });
    match shown {
        None => possible,
        Some((seen, used)) => Said {
            fit: Fit::Shown,
            why: format!("was used for iam at {}, as seen at {seen}", used.at),
            at: seen,
            ..possible
        },
    }
}

/// Why the user of a key had no right over keys, and when that was seen.
fn no_right(snapshots: &Snapshots, key: &Key<'_>, at: Timestamp) -> Option<(String, Timestamp)> {
    let (id, user) = snapshots.get(&key.id.account, &key.id.region, "user", &key.user)?;
    let look = snapshots.look_before(id, at)?;
    let state = user.at(look)?.state();
    (!may_manage(&state, "UserPolicyList")).then(|| {
        let names: Vec<&str> = policies(&state)
            .map(|policy| text(&policy["PolicyName"]))
            .collect();
        let rights = match names.is_empty() {
            true => "no policy".to_owned(),
            false => names.join(", "),
        };
        let why = format!("{} had no right to make keys ({rights})", key.user);
        (why, look)
    })
}

fn policies(state: &Json) -> impl Iterator<Item = &Json> {
    state["AttachedManagedPolicies"]
        .as_array()
        .into_iter()
        .flatten()
}

/// Whether a user or role may make keys, as far as its state says. What is not known may be.
fn may_manage(state: &Json, inline: &str) -> bool {
    let has_any = |name: &str| state[name].as_array().is_some_and(|all| !all.is_empty());
    has_any("Groups")
        || has_any(inline)
        || !state["AttachedManagedPolicies"].is_array()
        || policies(state).any(|policy| {
            let arn = text(&policy["PolicyArn"]);
            let name = arn.rsplit('/').next().unwrap_or_default();
            !arn.starts_with("arn:aws:iam::aws:policy/") || !NO_IAM.contains(&name)
        })
}

/// Users who signed in within a session's length before, and may make keys.
fn signed_in(snapshots: &Snapshots, account: &str, at: Timestamp) -> Vec<String> {
    let of_account = snapshots
        .of_kind("user")
        .filter(|(id, _)| id.account == account);
    of_account
        .filter(|(id, user)| {
            let right = snapshots
                .look_before(id, at)
                .and_then(|look| user.at(look))
                .or_else(|| user.first())
                .is_some_and(|it| may_manage(&it.state(), "UserPolicyList"));
            let is_within = |at_sign_in: Timestamp| {
                at_sign_in <= at && at.duration_since(at_sign_in) <= SESSION
            };
            let mut signs = user
                .changes
                .iter()
                .filter_map(|change| moment(&change.state()["PasswordLastUsed"]));
            right && signs.any(is_within)
        })
        .map(|(id, _)| id.id.clone())
        .collect()
}

/// Roles of the account with the right to make keys, and used since.
fn roles(snapshots: &Snapshots, account: &str, at: Timestamp) -> Vec<String> {
    let of_account = snapshots
        .of_kind("role")
        .filter(|(id, _)| id.account == account);
    of_account
        .filter(|(id, role)| {
            let Some(before) = snapshots.look_before(id, at).and_then(|look| role.at(look)) else {
                return false;
            };
            let used = snapshots
                .look_after(id, at)
                .and_then(|look| role.at(look))
                .and_then(|it| moment(&it.state()["RoleLastUsed"]["LastUsedDate"]));
            let is_used = used.is_none_or(|used| used >= at);
            may_manage(&before.state(), "RolePolicyList") && is_used
        })
        .map(|(id, _)| id.id.clone())
        .collect()
}

/// Why the user of a key did not make it: no credential of the user can have.
fn not_by(
    snapshots: &Snapshots,
    key: &Key<'_>,
    at: Timestamp,
    makers: &[Said<'_>],
    signed_in: &[String],
) -> Option<String> {
    if signed_in.contains(&key.user) {
        return None;
    }
    if let Some((why, seen)) = no_right(snapshots, key, at) {
        return Some(format!("{why}, as seen at {seen}, before the key was made"));
    }
    let own: Vec<&Said<'_>> = makers
        .iter()
        .filter(|said| said.key.user == key.user)
        .collect();
    if own.iter().any(|said| said.fit != Fit::Excluded) {
        return None;
    }
    Some(match own.first() {
        Some(said) => format!(
            "the key {} that {} had {}, so it did not make this one",
            said.key.id.id, key.user, said.why
        ),
        None => format!("{} had no other key that could have made it", key.user),
    })
}

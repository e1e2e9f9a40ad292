//! The steps that a provider asks for after an account was used by an intruder, and how far each is done.

use super::state::{Done, State};
use super::unauthorised;
use crate::case::{Case, Existence, Hand, Touched};
use crate::report::doc::Line;
use crate::report::word;

/// A step.
pub(super) struct Step {
    pub(super) what: Line,
    pub(super) state: State,
    /// Where the provider asks for it.
    pub(super) source: &'static str,
}

const COMPROMISE: &str =
    "https://aws.amazon.com/premiumsupport/knowledge-center/potential-account-compromise/";
const QUARANTINE: &str = "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html";
const REVOKE: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html";
const MFA: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa.html";
const TRAIL: &str =
    "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/best-practices-security.html";

/// Kinds of things that are ways in, and not machines or what they need.
const IDENTITIES: [&str; 7] = [
    "user",
    "role",
    "group",
    "policy",
    "login-profile",
    "access-key",
    "mfa-device",
];

/// All steps, in the order in which they are asked for.
pub(super) fn steps(case: &Case) -> Vec<Step> {
    let is_identity = |one: &&Touched| IDENTITIES.contains(&one.kind.as_str());
    let mut steps = vec![
        Step {
            what: "Change the password of the root user".into(),
            state: State::of_act(
                case,
                &["PasswordUpdated", "ChangePassword"],
                |act| is_root(case, &act.principal),
                "no record shows it",
            ),
            source: COMPROMISE,
        },
        Step {
            what: "Turn on a second factor for the root user".into(),
            state: State::of_act(
                case,
                &["EnableMFADevice"],
                |act| is_root(case, &act.principal),
                "no record shows it",
            ),
            source: MFA,
        },
    ];
    steps.extend(keys(case));
    steps.extend(passwords(case));
    steps.extend([
        Step {
            what: "End the sessions that the intruder has".into(),
            state: sessions(case),
            source: REVOKE,
        },
        Step {
            what: "Delete users, roles, policies and keys that the intruder made".into(),
            state: State::of_things(
                unauthorised(case).filter(is_identity),
                "none is known; look in IAM yourself",
            ),
            source: COMPROMISE,
        },
        Step {
            what: "Delete all else that the intruder made, in every region".into(),
            state: State::of_things(
                unauthorised(case).filter(|one| !is_identity(one)),
                "none is known; look into every region yourself",
            ),
            source: COMPROMISE,
        },
        Step {
            what: "Leave the policy AWSCompromisedKeyQuarantine where AWS attached it, until its case says \
                   otherwise"
                .into(),
            state: quarantine(case),
            source: QUARANTINE,
        },
        Step {
            what: "Have every region logged again".into(),
            state: logs(case),
            source: TRAIL,
        },
        Step {
            what: "Answer the support case that the provider opened, or open one".into(),
            state: State::unknown("no record shows it"),
            source: COMPROMISE,
        },
    ]);
    steps
}

fn is_root(case: &Case, principal: &str) -> bool {
    let mut known = case.principals.iter();
    known.any(|one| one.id == principal && one.kind == "root")
}

/// A step for each long-term key that the intruder used.
fn keys(case: &Case) -> Vec<Step> {
    let used = case.credentials.iter();
    let used = used.filter(|key| key.intruder_acts > 0 && key.kind == "long-term");
    used.map(|key| {
        let of_things = State::of_things(
            case.reach
                .iter()
                .filter(|one| one.kind == "access-key" && one.id == key.id),
            "",
        );
        let state = match of_things.done {
            Done::Unknown => State::of_act(
                case,
                &["DeleteAccessKey", "UpdateAccessKey"],
                |act| act.target.split(", ").any(|target| target == key.id),
                "no record shows that it is deleted or inactive",
            ),
            Done::Yes | Done::No => of_things,
        };
        Step {
            what: Line::ours("Replace and delete the key ")
                .and_name(&key.id)
                .and(" of ")
                .and_name(&key.principal),
            state,
            source: COMPROMISE,
        }
    })
    .collect()
}

/// A step for each user whose credentials the intruder used.
fn passwords(case: &Case) -> Vec<Step> {
    let used = case.principals.iter();
    let used = used
        .filter(|one| one.is_used_by_intruder && !one.is_made_by_intruder && one.kind == "user");
    used.map(|one| Step {
        what: Line::ours("Change the password of ").and_name(&one.id),
        state: State::of_act(
            case,
            &["ChangePassword", "UpdateLoginProfile", "DeleteLoginProfile"],
            |act| {
                let targets = |name: &str| act.target.split(", ").any(|target| target == name);
                act.principal == one.id || targets(&one.name) || targets(&one.id)
            },
            "no record shows it",
        ),
        source: COMPROMISE,
    })
    .collect()
}

/// Sessions end by themselves; a record is needed that shows that somebody ended them.
fn sessions(case: &Case) -> State {
    let is_session = |kind: &str| matches!(kind, "temporary" | "console" | "instance");
    let used = case.credentials.iter();
    let used = used.filter(|key| key.intruder_acts > 0 && is_session(&key.kind));
    match used.count() {
        0 => State::unknown("none is known to have been used"),
        n => State::unknown(&format!(
            "{} by the intruder; no record shows that they were ended",
            word::count(n as u64, "session was used", "sessions were used")
        )),
    }
}

fn quarantine(case: &Case) -> State {
    let is_quarantine =
        |one: &&Touched| one.kind == "policy" && one.id.contains("AWSCompromisedKeyQuarantine");
    match case.reach.iter().find(is_quarantine) {
        Some(one) if matches!(one.exists, Existence::At(_)) => State {
            done: Done::Yes,
            shown: Line::ours("it was attached when it was last seen").citing(&one.evidence),
        },
        Some(one) => State {
            done: Done::Unknown,
            shown: Line::ours("whether it is still attached is not known").citing(&one.evidence),
        },
        None => {
            let act = case.timeline.iter().find(|act| {
                act.hand != Hand::Intruder && act.target.contains("AWSCompromisedKeyQuarantine")
            });
            match act {
                Some(act) => State {
                    done: Done::Unknown,
                    shown: Line::ours("AWS attached it; whether it is still there is not known")
                        .citing(act.evidence.as_slice()),
                },
                None => State::unknown("no record shows that AWS attached one"),
            }
        }
    }
}

/// Whether each log that was stopped came back.
fn logs(case: &Case) -> State {
    let stopped: Vec<_> = case
        .tampering
        .iter()
        .filter(|one| one.has_succeeded)
        .collect();
    if stopped.is_empty() {
        return State::unknown(
            "no record shows that a log was stopped, nor that all regions have one",
        );
    }
    let is_back = |gap: Option<crate::case::Gap>| gap.is_some_and(|gap| gap.until.is_some());
    let lasting = stopped
        .iter()
        .filter(|one| one.gap.is_some_and(|gap| gap.until.is_none()))
        .count();
    let back = stopped.iter().filter(|one| is_back(one.gap)).count();
    let done = match (lasting, back) {
        (1.., _) => Done::No,
        (0, back) if back == stopped.len() => Done::Yes,
        _ => Done::Unknown,
    };
    let records: Vec<_> = stopped
        .iter()
        .flat_map(|one| one.evidence.clone())
        .collect();
    let said = format!(
        "of {} that were stopped {} logged again, {} did not",
        word::number(stopped.len() as u64),
        word::number(back as u64),
        word::number(lasting as u64),
    );
    State {
        done,
        shown: Line::ours(said).citing(&records),
    }
}

//! Taking the evidence, once.
//!
//! What must stay true: `terminate-instance` may only follow steps that together cover every volume
//! of the instance. A volume whose evidence is pending, or completed within the policy's minutes, is
//! not snapshotted again; only snapshots that carry our own tag count, and one in error never does.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::playbook::{Playbook, StepKind};
use davylamp_model::ids::{InstanceId, VolumeId};
use davylamp_model::inventory::{Inventory, Snapshot, Volume};
use jiff::{SignedDuration, Timestamp};

use super::{Expansion, Ground, gone};
use crate::action::{Action, EVIDENCE_TAG};
use crate::brakes::Shields;
use crate::plan::StepId;
use crate::policy::Policy;
use crate::scope::Scope;

/// What evidence there is and what has to be taken.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// By instance; only those that are not gone.
    by_instance: BTreeMap<InstanceId, Set>,
    loose: Set,
    /// Since when a completed snapshot counts.
    since: Option<Timestamp>,
}

/// The evidence of some volumes.
#[derive(Debug, Default)]
struct Set {
    /// Volumes to snapshot.
    fresh: BTreeSet<VolumeId>,
    /// Volumes that have evidence, with how that is known.
    held: BTreeMap<VolumeId, String>,
    /// Volumes that may not be touched, with why.
    protected: BTreeMap<VolumeId, String>,
}

impl Set {
    fn of<'a>(
        volumes: impl Iterator<Item = &'a Volume>,
        inventory: &Inventory,
        shields: &Shields<'_>,
        since: Timestamp,
    ) -> Self {
        let mut set = Self::default();
        for volume in volumes {
            let id = volume.id.clone();
            if let Some(why) = shields.volume(&id) {
                set.protected.insert(id, why.to_owned());
            } else if let Some(how) = held(inventory, &id, since) {
                set.held.insert(id, how);
            } else {
                set.fresh.insert(id);
            }
        }
        set
    }

    /// Every volume that has evidence when the steps have succeeded.
    fn covered(&self) -> Vec<VolumeId> {
        let all: BTreeSet<&VolumeId> = self.fresh.iter().chain(self.held.keys()).collect();
        all.into_iter().cloned().collect()
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.held.is_empty()
    }
}

impl Evidence {
    /// Looks what there is.
    pub(crate) fn of(scope: &Scope<'_>, policy: &Policy, shields: &Shields<'_>) -> Self {
        let inventory = scope.inventory;
        let window = SignedDuration::from_mins(i64::from(policy.debounce_minutes));
        let since = inventory
            .taken_at
            .checked_sub(window)
            .unwrap_or(Timestamp::MIN);
        let by_instance = scope
            .instances
            .values()
            .filter(|instance| gone(instance).is_none())
            .map(|instance| {
                let set = Set::of(instance.volumes.iter(), inventory, shields, since);
                (instance.id.clone(), set)
            })
            .collect();
        // The volumes of an instance that is terminating are snapshotted one by one.
        let left = scope
            .instances
            .values()
            .filter(|instance| gone(instance).is_some())
            .flat_map(|instance| &instance.volumes);
        let loose = Set::of(scope.loose_volumes().chain(left), inventory, shields, since);
        Self {
            by_instance,
            loose,
            since: Some(since),
        }
    }

    fn wait(&self, volumes: Vec<VolumeId>) -> Action {
        Action::AwaitEvidence {
            volumes,
            since: self.since.unwrap_or(Timestamp::MIN),
        }
    }

    /// The steps that must have succeeded before this instance is destroyed, or why it must not be.
    pub(super) fn before_destruction(
        &self,
        instance: &InstanceId,
        playbook: &Playbook,
    ) -> Result<Vec<StepId>, String> {
        let Some(set) = self.by_instance.get(instance) else {
            return Err("nothing is known of its volumes".to_owned());
        };
        if let Some((volume, why)) = set.protected.first_key_value() {
            return Err(format!(
                "its volume {volume} is protected ({why}), so its evidence cannot be complete"
            ));
        }
        if set.is_empty() {
            return Ok(Vec::new());
        }
        let takes = playbook
            .steps
            .iter()
            .any(|spec| spec.kind == StepKind::SnapshotEvidence);
        if !takes {
            return Err("the playbook takes no evidence of its volumes first".to_owned());
        }
        Ok(vec![StepId::of(&self.wait(set.covered()))])
    }

    /// The step that waits for this instance's evidence, where there is one.
    pub(super) fn awaited(&self, instance: &InstanceId) -> Option<StepId> {
        let set = self.by_instance.get(instance)?;
        (!set.is_empty()).then(|| StepId::of(&self.wait(set.covered())))
    }
}

/// How it is known that a volume has evidence that counts, if it has.
fn held(inventory: &Inventory, volume: &VolumeId, since: Timestamp) -> Option<String> {
    let mut found: Vec<&Snapshot> = inventory
        .snapshots
        .known()?
        .iter()
        .filter(|snapshot| snapshot.volume == *volume && snapshot.tags.contains_key(EVIDENCE_TAG))
        .collect();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    found.into_iter().find_map(|snapshot| {
        let id = &snapshot.id;
        match snapshot.state.as_str() {
            "pending" => Some(format!("its evidence snapshot {id} is pending")),
            "completed" => match (snapshot.completed_at, snapshot.started_at) {
                (Some(at), _) if at >= since => {
                    Some(format!("its evidence snapshot {id} completed at {at}"))
                }
                (None, Some(at)) if at >= since => Some(format!(
                    "its evidence snapshot {id} is complete and was started at {at} (when it \
                     completed is not said)"
                )),
                _ => None,
            },
            _ => None,
        }
    })
}

pub(super) fn snapshot(ground: &Ground<'_>, out: &mut Expansion) {
    let evidence = ground.evidence;
    for (id, set) in &evidence.by_instance {
        say_left_out(set, out);
        if set.is_empty() && set.protected.is_empty() {
            out.omit(format!("instance/{id}"), "it has no volume");
        }
        let taken = (!set.fresh.is_empty()).then(|| {
            let exclude = set.held.keys().chain(set.protected.keys());
            let exclude: BTreeSet<VolumeId> = exclude.cloned().collect();
            let action = Action::SnapshotInstance {
                instance: id.clone(),
                volumes: set.fresh.iter().cloned().collect(),
                exclude: exclude.into_iter().collect(),
            };
            let step = StepId::of(&action);
            out.act(action, "the volumes as they are together at one moment");
            step
        });
        wait(evidence, set, taken.into_iter().collect(), out);
    }
    say_left_out(&evidence.loose, out);
    let mut taken = Vec::new();
    for volume in &evidence.loose.fresh {
        let action = Action::SnapshotVolume {
            volume: volume.clone(),
        };
        taken.push(StepId::of(&action));
        out.act(action, "the volume is left over, or was named alone");
    }
    wait(evidence, &evidence.loose, taken, out);
    if evidence.by_instance.is_empty() && evidence.loose.is_empty() {
        let because = match ground.scope.fargate {
            Some(true) => "it runs on Fargate: there is no volume to snapshot",
            _ => "the finding leads to no volume",
        };
        out.omit(ground.case.resource.key(), because);
    }
}

fn wait(evidence: &Evidence, set: &Set, taken: Vec<StepId>, out: &mut Expansion) {
    if !set.is_empty() {
        let action = evidence.wait(set.covered());
        let why = "what destroys evidence has to wait until it is complete";
        out.act(action, why).only_after = taken;
    }
}

fn say_left_out(set: &Set, out: &mut Expansion) {
    for (volume, how) in &set.held {
        out.omit(format!("volume/{volume}"), how.clone());
    }
    for (volume, why) in &set.protected {
        out.omit(
            format!("volume/{volume}"),
            format!("it is protected: {why}"),
        );
    }
}

pub(super) fn copy(ground: &Ground<'_>, out: &mut Expansion) {
    let Some(forensic) = &ground.policy.forensic else {
        out.omit(
            ground.case.resource.key(),
            "no forensic account is configured",
        );
        return;
    };
    let evidence = ground.evidence;
    let mut any = false;
    for set in evidence.by_instance.values().chain([&evidence.loose]) {
        if set.is_empty() {
            continue;
        }
        any = true;
        let place = &ground.scope.inventory.place;
        let action = Action::CopyEvidence {
            volumes: set.covered(),
            account: forensic.account.clone(),
            region: forensic
                .region
                .clone()
                .unwrap_or_else(|| place.region.clone()),
            kms_key: forensic.kms_key.clone(),
        };
        let draft = out.act(action, "whoever holds this account cannot reach the copy");
        draft.only_after = vec![StepId::of(&evidence.wait(set.covered()))];
    }
    if !any {
        out.omit(ground.case.resource.key(), "there is no evidence to copy");
    }
}

pub(super) fn memory(ground: &Ground<'_>, out: &mut Expansion) {
    let Some(document) = &ground.policy.memory_document else {
        let target = ground.case.resource.key();
        out.omit(target, "no document that captures memory is configured");
        return;
    };
    for instance in super::living(ground, out) {
        if instance.state == "running" {
            let action = Action::CaptureMemory {
                instance: instance.id.clone(),
                document: document.clone(),
            };
            out.act(
                action,
                "memory is lost when the instance ends or is cut off",
            );
        } else {
            let target = format!("instance/{}", instance.id);
            out.omit(
                target,
                format!("it is {}: it has no memory", instance.state),
            );
        }
    }
}

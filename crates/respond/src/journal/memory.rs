//! A journal that forgets with the process: for `davy respond plan`, for dry runs and for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use davylamp_model::ids::IncidentId;
use davylamp_plan::gate::Room;
use davylamp_plan::policy::Usage;
use jiff::Timestamp;

use super::fields::{Head, busy, cap_window, counts_for, lease_end};
use super::{Claim, ClaimRequest, Entry, Journal, JournalError, Journaling, NoticeMark, Once};

/// A journal in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    incidents: BTreeMap<IncidentId, Incident>,
    notices: BTreeMap<(IncidentId, String), Notice>,
}

#[derive(Debug)]
struct Incident {
    resource: String,
    head: Head,
    due: Option<Timestamp>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Notice {
    Sending { run: String, until: Timestamp },
    Sent,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn owned(&mut self, id: &IncidentId, run: &str) -> Result<&mut Incident, JournalError> {
        let incident = self
            .incidents
            .get_mut(id)
            .ok_or_else(|| JournalError::NoSuchIncident {
                incident: id.clone(),
            })?;
        if incident.head.run.as_deref() == Some(run) {
            Ok(incident)
        } else {
            Err(JournalError::Lost {
                incident: id.clone(),
            })
        }
    }
}

impl Kept {
    fn append(
        &mut self,
        incident: &IncidentId,
        entry: &Entry,
        lease_secs: u32,
    ) -> Result<(), JournalError> {
        let found = self.owned(incident, &entry.run)?;
        found.head.until = Some(lease_end(entry.at, lease_secs));
        found.entries.push(entry.clone());
        Ok(())
    }

    fn usage(&self, playbook: &str, since: Timestamp, incident: &IncidentId) -> Usage {
        let mut usage = Usage::default();
        for (id, found) in &self.incidents {
            let counted: Vec<bool> = found
                .entries
                .iter()
                .filter(|entry| id != incident && entry.at >= since)
                .filter_map(|entry| counts_for(&entry.event))
                .filter(|(of, _)| *of == playbook)
                .map(|(_, irreversible)| irreversible)
                .collect();
            usage.plans_last_hour += u32::from(!counted.is_empty());
            usage.irreversible_last_hour +=
                u32::try_from(counted.iter().filter(|yes| **yes).count()).unwrap_or(u32::MAX);
        }
        usage
    }
}

impl Incident {
    fn claim(&mut self, id: &IncidentId, run: &str, now: Timestamp, lease_secs: u32) -> Claim {
        if let Some(holder) = self.head.held_by_another(run, now) {
            return busy(id.as_str(), holder);
        }
        self.head.run = Some(run.to_owned());
        self.head.until = Some(lease_end(now, lease_secs));
        Claim::Ours {
            incident: id.clone(),
            entries: self.entries.clone(),
        }
    }

    /// Whether it wants to be looked at: its time has come, or the run that held it was cut off
    /// and let its lease run out.
    fn is_due(&self, now: Timestamp) -> bool {
        match (&self.head.run, self.head.until) {
            (Some(_), Some(until)) => until <= now,
            _ => self.due.is_some_and(|due| due <= now),
        }
    }
}

impl Journal for MemoryJournal {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Journaling<'a, Claim> {
        Box::pin(async move {
            let mut kept = self.kept();
            let open = kept
                .incidents
                .iter()
                .filter(|(_, incident)| {
                    incident.resource == request.resource && incident.head.is_open(request)
                })
                .max_by_key(|(_, incident)| incident.head.opened_at)
                .map(|(id, _)| id.clone());
            let id = open.unwrap_or_else(|| request.proposed.clone());
            let incident = kept
                .incidents
                .entry(id.clone())
                .or_insert_with(|| Incident {
                    resource: request.resource.clone(),
                    head: Head {
                        opened_at: request.now,
                        run: None,
                        until: None,
                    },
                    due: None,
                    entries: Vec::new(),
                });
            let claim = incident.claim(&id, &request.run, request.now, request.lease_secs);
            if matches!(claim, Claim::Ours { .. }) && !incident.head.is_open(request) {
                incident.head.opened_at = request.now;
            }
            Ok(claim)
        })
    }

    fn claim_incident<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, Claim> {
        Box::pin(async move {
            self.kept()
                .incidents
                .get_mut(incident)
                .map(|found| found.claim(incident, run, now, lease_secs))
                .ok_or_else(|| JournalError::NoSuchIncident {
                    incident: incident.clone(),
                })
        })
    }

    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut kept = self.kept();
            kept.append(incident, entry, lease_secs)
        })
    }

    fn begin<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
        room: &'a Room,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut kept = self.kept();
            if let Some((playbook, _)) = counts_for(&entry.event) {
                room.allows(&kept.usage(playbook, cap_window(entry.at), incident))?;
            }
            kept.append(incident, entry, lease_secs)
        })
    }

    fn renew<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut kept = self.kept();
            kept.owned(incident, run)?.head.until = Some(lease_end(now, lease_secs));
            Ok(())
        })
    }

    fn release<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        due: Option<Timestamp>,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut kept = self.kept();
            let found = kept.owned(incident, run)?;
            found.head.run = None;
            found.head.until = None;
            found.due = due;
            Ok(())
        })
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> Journaling<'a, Option<Vec<Entry>>> {
        Box::pin(async move {
            let kept = self.kept();
            Ok(kept
                .incidents
                .get(incident)
                .map(|found| found.entries.clone()))
        })
    }

    fn due<'a>(&'a self, now: Timestamp) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            Ok(self
                .kept()
                .incidents
                .iter()
                .filter(|(_, found)| found.is_due(now))
                .map(|(id, _)| id.clone())
                .collect())
        })
    }

    fn list<'a>(&'a self, limit: u32) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            let kept = self.kept();
            let mut all: Vec<_> = kept
                .incidents
                .iter()
                .map(|(id, found)| (found.head.opened_at, id.clone()))
                .collect();
            all.sort_by(|one, other| other.cmp(one));
            Ok(all
                .into_iter()
                .map(|(_, id)| id)
                .take(limit as usize)
                .collect())
        })
    }

    fn usage<'a>(
        &'a self,
        playbook: &'a str,
        since: Timestamp,
        incident: &'a IncidentId,
    ) -> Journaling<'a, Usage> {
        Box::pin(async move { Ok(self.kept().usage(playbook, since, incident)) })
    }

    fn once<'a>(&'a self, notice: &'a NoticeMark) -> Journaling<'a, Once> {
        Box::pin(async move {
            let mut kept = self.kept();
            let key = (notice.incident.clone(), notice.notice.clone());
            match kept.notices.get(&key) {
                Some(Notice::Sent) => return Ok(Once::Sent),
                Some(Notice::Sending { run, until })
                    if *run != notice.run && *until > notice.now =>
                {
                    return Ok(Once::Busy { until: *until });
                }
                _ => {}
            }
            kept.notices.insert(
                key,
                Notice::Sending {
                    run: notice.run.clone(),
                    until: lease_end(notice.now, notice.lease_secs),
                },
            );
            Ok(Once::Ours)
        })
    }

    fn settle<'a>(&'a self, notice: &'a NoticeMark, sent: bool) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut kept = self.kept();
            let key = (notice.incident.clone(), notice.notice.clone());
            let ours = |kept: &Kept| {
                matches!(
                    kept.notices.get(&key),
                    Some(Notice::Sending { run, .. }) if *run == notice.run
                )
            };
            if sent {
                kept.notices.insert(key, Notice::Sent);
            } else if ours(&kept) {
                kept.notices.remove(&key);
            }
            Ok(())
        })
    }
}

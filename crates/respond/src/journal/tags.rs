//! A journal in nothing but the account's tags, where there is neither a table nor a disk.
//!
//! What happened to a machine cannot be kept on the machine: its tags are gone an hour after it,
//! whoever is on it may read them, and a pod or a Hub user has none. So each incident has a carrier
//! of its own in the home region, which costs nothing and does nothing: a launch template without
//! an image. Its tags are the journal; the template itself is never changed.
//!
//! | tag | on | holds |
//! |---|---|---|
//! | `davylamp:incident` | every carrier | the incident |
//! | `davylamp:of` | an incident's first | which resource, as a digest |
//! | `davylamp:resource` | an incident's first | the same for a person to read |
//! | `davylamp:head` | an incident's first | the lease, when it is due, the log's length |
//! | `davylamp:log-000` … | all its pages | the entries, packed |
//! | `davylamp:page` | its further pages | which page |
//! | `davylamp:notices` | the one of its notices | the incident, or the digest |
//! | `davylamp:notice-…` | the one of its notices | whether one notice is being sent or was |
//!
//! Opening an incident is exclusive: a template's name can be given once. Taking over one that is
//! there is not, because no tag can be written on a condition: a run writes its name and looks
//! whether it is still there. Two that do so in the same moment may both believe that they have
//! it, until the first of them writes its next entry and finds the other's name; each action is
//! idempotent, but a notice may come twice. Incidents that begin in the same moment may pass a
//! cap together. Whoever may tag launch templates can change what the
//! journal says, as whoever may write the table can change the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use davylamp_model::ids::IncidentId;
use davylamp_plan::policy::Usage;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::fields::{busy, counts_for, lease_end};
use super::{Claim, ClaimRequest, Entry, Journal, JournalError, Journaling, NoticeMark, Once};

mod carrier;
mod head;
mod log;
mod notices;

use carrier::{Carriers, Tags, unreachable};
use head::{TagHead, VALUE_CHARS, run_text, tag_text};

/// The store's name in errors.
const STORE: &str = "in the account's tags";
/// Names the incident. The policy lets us tag only what has it.
const INCIDENT: &str = "davylamp:incident";
const OF: &str = "davylamp:of";
const RESOURCE: &str = "davylamp:resource";
const HEAD: &str = "davylamp:head";
const PAGE: &str = "davylamp:page";
const LOG: &str = "davylamp:log-";
/// So many pieces of the log are on one carrier: of the 50 tags that it may have four are its
/// own, and some are left for an organization that tags everything.
const PAGE_PIECES: usize = 42;
/// A log has no more pieces: three digits.
const MOST_PIECES: usize = 1000;
/// How often what was just written is looked for before EC2 is said not to answer.
const LOOKS: u32 = 6;
/// The pause before the second look; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A journal in tags.
#[derive(Debug)]
pub struct TagJournal {
    carriers: Carriers,
    /// What this process holds: it knows what it wrote better than a read that lags does.
    held: Mutex<HashMap<IncidentId, Stored>>,
}

/// An incident as its carriers have it.
#[derive(Debug, Clone)]
struct Stored {
    head: TagHead,
    /// The carriers of its pages.
    pages: BTreeMap<usize, String>,
    pieces: BTreeMap<usize, String>,
    lines: Vec<u8>,
}

impl TagJournal {
    /// A journal in the region of the client, which has to be the same for every run.
    pub fn new(client: aws_sdk_ec2::Client) -> Self {
        Self {
            carriers: Carriers::new(client),
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IncidentId, Stored>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The incidents whose carriers have one of these values of a tag.
    async fn stored_with(&self, key: &str, values: &[String]) -> Result<Vec<Stored>, JournalError> {
        let found = self.carriers.with(key, values).await?;
        let mut incidents: BTreeMap<String, BTreeMap<String, Tags>> = BTreeMap::new();
        for (id, tags) in found {
            if let Some(incident) = tags.get(INCIDENT) {
                incidents
                    .entry(incident.clone())
                    .or_default()
                    .insert(id, tags);
            }
        }
        incidents
            .values()
            .filter_map(|it| stored(it).transpose())
            .collect()
    }

    async fn stored(&self, incident: &IncidentId) -> Result<Option<Stored>, JournalError> {
        let values = [tag_text(incident.as_str(), VALUE_CHARS)];
        let found = self.stored_with(INCIDENT, &values).await?;
        Ok(found.into_iter().find(|it| it.head.incident == *incident))
    }

    async fn known(&self, incident: &IncidentId) -> Result<Stored, JournalError> {
        self.stored(incident)
            .await?
            .ok_or_else(|| JournalError::NoSuchIncident {
                incident: incident.clone(),
            })
    }

    /// The heads of all incidents. One that cannot be read is said to be so and keeps nobody from
    /// going on with the others; its own incident cannot be claimed.
    async fn heads(&self) -> Result<Vec<TagHead>, JournalError> {
        let values = self.carriers.values(HEAD).await?;
        let read = values
            .iter()
            .filter_map(|value| match TagHead::read(value) {
                Ok(head) => Some(head),
                Err(error) => {
                    tracing::error!(%error, "an incident is left out");
                    None
                }
            });
        Ok(read.collect())
    }

    /// Opens an incident. `None` where another run has done so in between.
    async fn open(&self, request: &ClaimRequest, nth: u32) -> Result<Option<Claim>, JournalError> {
        let head = TagHead {
            incident: request.proposed.clone(),
            nth,
            turn: 0,
            opened: request.now,
            until: Some(lease_end(request.now, request.lease_secs)),
            due: None,
            last: request.now,
            length: 0,
            run: Some(run_text(&request.run)),
        };
        let of = digest(&request.resource);
        let name = format!("davylamp-{of}-{nth}");
        let tags = Tags::from([
            (INCIDENT.to_owned(), request.proposed.0.clone()),
            (OF.to_owned(), of),
            (
                RESOURCE.to_owned(),
                tag_text(&request.resource, VALUE_CHARS),
            ),
            (HEAD.to_owned(), head.text()),
        ]);
        let Some(id) = self.carriers.make(&name, &tags).await? else {
            return Ok(None);
        };
        let stored = Stored {
            head,
            pages: BTreeMap::from([(0, id)]),
            pieces: BTreeMap::new(),
            lines: Vec::new(),
        };
        self.held().insert(request.proposed.clone(), stored);
        Ok(Some(Claim::Ours {
            incident: request.proposed.clone(),
            entries: Vec::new(),
        }))
    }

    /// Takes an incident that is there, or says who has it.
    async fn take(
        &self,
        mut stored: Stored,
        run: &str,
        now: Timestamp,
        lease_secs: u32,
        opened: Option<Timestamp>,
    ) -> Result<Claim, JournalError> {
        let (run, incident) = (run_text(run), stored.head.incident.clone());
        if let Some(holder) = stored.head.lease().held_by_another(&run, now) {
            return Ok(busy(incident.as_str(), holder));
        }
        stored.head.turn = stored.head.turn.saturating_add(1);
        stored.head.run = Some(run.clone());
        stored.head.until = Some(lease_end(now, lease_secs));
        stored.head.opened = opened.unwrap_or(stored.head.opened);
        self.write_head(&stored, Tags::new()).await?;
        for look in 0..LOOKS {
            pause(look).await;
            let seen = self.known(&incident).await?;
            if seen.head.turn >= stored.head.turn {
                if let Some(holder) = seen.head.lease().held_by_another(&run, now) {
                    return Ok(busy(incident.as_str(), holder));
                }
                if seen.head.run.as_ref() == Some(&run) {
                    let entries = log::entries(&seen.lines)?;
                    self.held().insert(incident.clone(), seen);
                    return Ok(Claim::Ours { incident, entries });
                }
            }
        }
        Err(unreachable(format!(
            "the claim of incident {incident} cannot be read back"
        )))
    }

    /// What this run holds, once it has looked whether it still does.
    async fn owned(&self, incident: &IncidentId, run: &str) -> Result<Stored, JournalError> {
        let run = run_text(run);
        let ours = |head: &TagHead| head.run.as_ref() == Some(&run);
        let held = self.held().get(incident).cloned();
        let seen = self.stored(incident).await?;
        match (held.filter(|it| ours(&it.head)), seen) {
            // A read that lags shows an earlier turn, and is no reason to stop.
            (Some(held), Some(seen)) if ours(&seen.head) || seen.head.turn < held.head.turn => {
                Ok(held)
            }
            (Some(held), None) => Ok(held),
            (None, Some(seen)) if ours(&seen.head) => Ok(seen),
            (None, None) => Err(JournalError::NoSuchIncident {
                incident: incident.clone(),
            }),
            _ => {
                self.held().remove(incident);
                Err(JournalError::Lost {
                    incident: incident.clone(),
                })
            }
        }
    }

    /// Writes the head, with it what has to become true at the same moment.
    async fn write_head(&self, stored: &Stored, mut tags: Tags) -> Result<(), JournalError> {
        let id = stored
            .pages
            .get(&0)
            .ok_or_else(|| unreachable("a log has lost its first page"))?;
        tags.insert(HEAD.to_owned(), stored.head.text());
        self.carriers.write(id, &tags).await
    }

    /// Writes the log's pieces that changed: further pages first, as nothing counts that the head
    /// does not know of.
    async fn write_log(&self, stored: &mut Stored) -> Result<(), JournalError> {
        let packed = log::pack(&stored.lines)?;
        stored.head.length = packed.len();
        let pieces = log::pieces(&packed);
        if pieces.len() > MOST_PIECES {
            return Err(JournalError::Overflow {
                store: STORE.to_owned(),
                incident: stored.head.incident.clone(),
            });
        }
        let mut changed: BTreeMap<usize, Tags> = BTreeMap::new();
        for (index, piece) in pieces.into_iter().enumerate() {
            if stored.pieces.get(&index) != Some(&piece) {
                changed
                    .entry(index / PAGE_PIECES)
                    .or_default()
                    .insert(format!("{LOG}{index:03}"), piece.clone());
                stored.pieces.insert(index, piece);
            }
        }
        let first = changed.remove(&0).unwrap_or_default();
        for (page, tags) in changed {
            let id = self.page(stored, page).await?;
            self.carriers.write(&id, &tags).await?;
        }
        self.write_head(stored, first).await
    }

    /// The carrier of a further page, which is made where there is none.
    async fn page(&self, stored: &mut Stored, page: usize) -> Result<String, JournalError> {
        if let Some(id) = stored.pages.get(&page) {
            return Ok(id.clone());
        }
        let incident = stored.head.incident.0.clone();
        let name = format!("davylamp-{}-page-{page}", digest(&incident));
        let tags = Tags::from([
            (INCIDENT.to_owned(), incident.clone()),
            (PAGE.to_owned(), page.to_string()),
        ]);
        for look in 0..LOOKS {
            pause(look).await;
            let id = match self.carriers.make(&name, &tags).await? {
                Some(id) => Some(id),
                // A reply was lost, or a run was cut off: it is there.
                None => self
                    .carriers
                    .with(INCIDENT, std::slice::from_ref(&incident))
                    .await?
                    .into_iter()
                    .find(|(_, tags)| page_of(tags) == Some(page))
                    .map(|(id, _)| id),
            };
            if let Some(id) = id {
                stored.pages.insert(page, id.clone());
                return Ok(id);
            }
        }
        Err(unreachable(format!(
            "page {page} of {incident} cannot be read back"
        )))
    }
}

impl Journal for TagJournal {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Journaling<'a, Claim> {
        Box::pin(async move {
            let (run, now, lease) = (&request.run, request.now, request.lease_secs);
            for look in 0..LOOKS {
                pause(look).await;
                let about = self.stored_with(OF, &[digest(&request.resource)]).await?;
                let nth = about.iter().map(|it| it.head.nth + 1).max().unwrap_or(0);
                let open = about
                    .into_iter()
                    .filter(|it| it.head.lease().is_open(request))
                    .max_by_key(|it| it.head.opened);
                if let Some(open) = open {
                    return self.take(open, run, now, lease, None).await;
                }
                if let Some(over) = self.stored(&request.proposed).await? {
                    return self.take(over, run, now, lease, Some(now)).await;
                }
                if let Some(claim) = self.open(request, nth).await? {
                    return Ok(claim);
                }
            }
            Err(unreachable(format!(
                "what is open about {} cannot be read back",
                request.resource
            )))
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
            let stored = self.known(incident).await?;
            self.take(stored, run, now, lease_secs, None).await
        })
    }

    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let mut stored = self.owned(incident, &entry.run).await?;
            let line = log::line(entry)?;
            // Sent again after a reply that was lost, it may be there.
            if !stored.lines.ends_with(&line) {
                stored.lines.extend(line);
            }
            stored.head.until = Some(lease_end(entry.at, lease_secs));
            stored.head.last = entry.at;
            self.write_log(&mut stored).await?;
            self.held().insert(incident.clone(), stored);
            Ok(())
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
            let mut stored = self.owned(incident, run).await?;
            stored.head.until = Some(lease_end(now, lease_secs));
            self.write_head(&stored, Tags::new()).await?;
            self.held().insert(incident.clone(), stored);
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
            let mut stored = self.owned(incident, run).await?;
            stored.head.run = None;
            stored.head.until = None;
            stored.head.due = due;
            self.write_head(&stored, Tags::new()).await?;
            self.held().remove(incident);
            Ok(())
        })
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> Journaling<'a, Option<Vec<Entry>>> {
        Box::pin(async move {
            let stored = self.stored(incident).await?;
            stored.map(|it| log::entries(&it.lines)).transpose()
        })
    }

    fn due<'a>(&'a self, now: Timestamp) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            let mut heads = self.heads().await?;
            heads.retain(|head| head.is_due(now));
            Ok(heads.into_iter().map(|head| head.incident).collect())
        })
    }

    fn list<'a>(&'a self, limit: u32) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            let mut heads = self.heads().await?;
            heads.sort_by(|a, b| (b.opened, &b.incident).cmp(&(a.opened, &a.incident)));
            heads.truncate(limit as usize);
            Ok(heads.into_iter().map(|head| head.incident).collect())
        })
    }

    fn usage<'a>(
        &'a self,
        playbook: &'a str,
        since: Timestamp,
        incident: &'a IncidentId,
    ) -> Journaling<'a, Usage> {
        Box::pin(async move {
            let mut heads = self.heads().await?;
            heads.retain(|head| head.last >= since && head.incident != *incident);
            let lately: Vec<String> = heads.into_iter().map(|head| head.incident.0).collect();
            let mut usage = Usage::default();
            for stored in self.stored_with(INCIDENT, &lately).await? {
                let entries = log::entries(&stored.lines)?;
                let counted: Vec<bool> = entries
                    .iter()
                    .filter(|entry| entry.at >= since)
                    .filter_map(|entry| counts_for(&entry.event))
                    .filter(|(of, _)| *of == playbook)
                    .map(|(_, irreversible)| irreversible)
                    .collect();
                usage.plans_last_hour += u32::from(!counted.is_empty());
                usage.irreversible_last_hour +=
                    u32::try_from(counted.iter().filter(|yes| **yes).count()).unwrap_or(u32::MAX);
            }
            Ok(usage)
        })
    }

    fn once<'a>(&'a self, notice: &'a NoticeMark) -> Journaling<'a, Once> {
        Box::pin(notices::once(&self.carriers, notice))
    }

    fn settle<'a>(&'a self, notice: &'a NoticeMark, sent: bool) -> Journaling<'a, ()> {
        Box::pin(notices::settle(&self.carriers, notice, sent))
    }
}

/// What the carriers of an incident hold. `None` where none of them is its first.
fn stored(carriers: &BTreeMap<String, Tags>) -> Result<Option<Stored>, JournalError> {
    let mut head = None;
    let mut pages = BTreeMap::new();
    let mut pieces = BTreeMap::new();
    for (id, tags) in carriers {
        if let Some(value) = tags.get(HEAD) {
            head = Some(TagHead::read(value)?);
            pages.insert(0, id.clone());
        }
        if let Some(page) = page_of(tags) {
            pages.insert(page, id.clone());
        }
        for (key, value) in tags {
            if let Some(index) = key
                .strip_prefix(LOG)
                .and_then(|it| it.parse::<usize>().ok())
            {
                pieces.insert(index, value.clone());
            }
        }
    }
    let Some(head) = head else {
        return Ok(None);
    };
    let mut packed = Vec::new();
    for index in 0..pieces.len() {
        let Some(piece) = pieces.get(&index) else {
            break;
        };
        packed.extend(log::bytes(piece)?);
    }
    if packed.len() < head.length {
        // A page that a read does not show yet. Never fewer entries: they would be done again.
        return Err(unreachable(format!(
            "of the log of incident {} there are {} of {} bytes",
            head.incident,
            packed.len(),
            head.length
        )));
    }
    packed.truncate(head.length);
    let lines = log::unpack(&packed)?;
    Ok(Some(Stored {
        head,
        pages,
        pieces,
        lines,
    }))
}

fn page_of(tags: &Tags) -> Option<usize> {
    tags.get(PAGE).and_then(|page| page.parse().ok())
}

/// What stands for a text that may be longer than a name or a tag.
fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..16])
}

/// Waits before a look that is not the first.
async fn pause(look: u32) {
    if let Some(doubled) = look.checked_sub(1) {
        tokio::time::sleep(FIRST_PAUSE * 2u32.saturating_pow(doubled)).await;
    }
}

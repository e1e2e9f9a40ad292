//! A journal in one DynamoDB table, for responders that keep nothing of their own.
//!
//! | pk | sk | holds |
//! |---|---|---|
//! | `resource#…` | `open` | which incident about the resource is open, since when |
//! | `incident` | the incident | the lease, the number of entries, and `wake`: when it is due |
//! | `incident#…` | `entry#0000000001` | one entry |
//! | `counted#<playbook>` | `<time>#<incident>#<number>` | a step that counts towards the caps |
//! | `caps#<playbook>` | `turn` | how many steps were begun under a cap: one at a time |
//! | `notice#<incident>` | the notice | whether it is being sent or was |
//!
//! Both keys are strings, and there is no index: what is due, and the list of incidents, is one
//! query of the partition `incident`, some thousands of heads a page. Every decision is one
//! conditional write; reads that decide are consistent. Entries carry the number after the last one,
//! so two runs cannot both append.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use davylamp_cloud::aws::session::describe;
use davylamp_model::ids::IncidentId;
use davylamp_plan::gate::Room;
use davylamp_plan::policy::Usage;
use jiff::Timestamp;

use super::fields::{Head, busy, cap_window, counts_for, from_micros, lease_end, micros};
use super::{Claim, ClaimRequest, Entry, Journal, JournalError, Journaling, NoticeMark, Once};

mod entries;

mod item;

use entries::Written;
use item::{Item, key, number, text};

/// The partition of the heads.
const HEADS: &str = "incident";
/// The sort key of the counter of turns.
const TURN: &str = "turn";
/// How often a turn is tried for. Of those that try at the same time one gets it each time, and
/// the caller asks again after a pause.
const TURN_TRIES: u32 = 12;
/// How often a claim is tried anew when another run opens the same incident in between.
const CLAIM_TRIES: u32 = 5;

/// A journal in a table.
#[derive(Debug, Clone)]
pub struct DynamoJournal {
    client: Client,
    table: String,
}

/// A head with the number of its entries.
struct Counted {
    head: Head,
    entries: i64,
}

impl DynamoJournal {
    /// A journal in an existing table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// What went wrong, where it was not a condition that did not hold.
    fn trouble<E>(&self, error: &SdkError<E>) -> JournalError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (store, why) = (self.table.clone(), describe(error));
        match error.code() {
            Some("ResourceNotFoundException") => JournalError::NoStore { store, why },
            _ => JournalError::Unreachable { store, why },
        }
    }

    fn unreadable(&self, why: impl Into<String>) -> JournalError {
        JournalError::Unreadable {
            store: self.table.clone(),
            why: why.into(),
        }
    }

    async fn get(&self, pk: String, sk: &str) -> Result<Option<Item>, JournalError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(pk, sk)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.trouble(&error))?;
        Ok(answer.item.map(Item))
    }

    async fn head(&self, incident: &str) -> Result<Option<Counted>, JournalError> {
        let Some(item) = self.get(HEADS.to_owned(), incident).await? else {
            return Ok(None);
        };
        let time = |name: &str| {
            item.number(name)
                .map(|micros| from_micros(&self.table, micros))
                .transpose()
        };
        Ok(Some(Counted {
            head: Head {
                opened_at: time("opened")?.unwrap_or(Timestamp::MIN),
                run: item.text("run"),
                until: time("until")?,
            },
            entries: item.number("entries").unwrap_or(0),
        }))
    }

    /// Every page of a partition whose sort key begins with `prefix`.
    async fn partition(&self, pk: String, prefix: &str) -> Result<Vec<Item>, JournalError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .expression_attribute_values(":pk", text(pk))
            .consistent_read(true);
        // An empty prefix is no valid value of a key.
        let query = if prefix.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix))
        };
        let mut pages = query.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(Item(item.map_err(|error| self.trouble(&error))?));
        }
        Ok(items)
    }

    /// Which incident about the resource is open; opens one where none is.
    async fn opened(&self, request: &ClaimRequest) -> Result<Option<String>, JournalError> {
        let pk = format!("resource#{}", request.resource);
        let known = self.get(pk.clone(), "open").await?;
        let since = known.as_ref().and_then(|item| item.number("opened"));
        if let (Some(item), Some(since)) = (&known, since) {
            let head = Head {
                opened_at: from_micros(&self.table, since)?,
                run: None,
                until: None,
            };
            if head.is_open(request) {
                return Ok(item.text("incident"));
            }
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(key(pk, "open")))
            .item("incident", text(request.proposed.as_str()))
            .item("opened", number(micros(request.now)));
        let put = match since {
            Some(since) => put
                .condition_expression("opened = :since")
                .expression_attribute_values(":since", number(since)),
            None => put.condition_expression("attribute_not_exists(pk)"),
        };
        match put.send().await {
            Ok(_) => Ok(Some(request.proposed.0.clone())),
            // Another run has opened one: look again.
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// Takes the lease by one conditional write; says who has it where it cannot.
    async fn take(
        &self,
        incident: &str,
        run: &str,
        now: Timestamp,
        lease_secs: u32,
        opened: Option<Timestamp>,
    ) -> Result<Claim, JournalError> {
        let until = number(micros(lease_end(now, lease_secs)));
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(HEADS.to_owned(), incident)))
            .expression_attribute_names("#run", "run")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":run", text(run))
            .expression_attribute_values(":until", until)
            .expression_attribute_values(":now", number(micros(now)));
        let free = "(attribute_not_exists(#run) OR #run = :run OR #until <= :now)";
        // A lease that runs out is due at its end: its run was cut off.
        update = match opened {
            Some(opened) => update
                .condition_expression(free)
                .update_expression(
                    "SET #run = :run, #until = :until, wake = :until, \
                     opened = :opened, entries = if_not_exists(entries, :none)",
                )
                .expression_attribute_values(":opened", number(micros(opened)))
                .expression_attribute_values(":none", number(0)),
            None => update
                .condition_expression(format!("attribute_exists(pk) AND {free}"))
                .update_expression("SET #run = :run, #until = :until, wake = :until"),
        };
        match update.send().await {
            Ok(_) => Ok(Claim::Ours {
                incident: incident.into(),
                entries: self.entries(incident).await?,
            }),
            Err(error) if is_refused(&error) => {
                let known = self.head(incident).await?;
                let known = known.ok_or_else(|| JournalError::NoSuchIncident {
                    incident: incident.into(),
                })?;
                match known.head.held_by_another(run, now) {
                    Some(holder) => Ok(busy(incident, holder)),
                    // It was let go of between the write and the look.
                    None => Err(JournalError::Unreachable {
                        store: self.table.clone(),
                        why: format!("incident {incident} changed hands meanwhile"),
                    }),
                }
            }
            Err(error) => Err(self.trouble(&error)),
        }
    }

    async fn lost(&self, incident: &IncidentId) -> JournalError {
        let incident = incident.clone();
        match self.head(incident.as_str()).await {
            Ok(Some(_)) => JournalError::Lost { incident },
            Ok(None) => JournalError::NoSuchIncident { incident },
            Err(error) => error,
        }
    }
}

impl Journal for DynamoJournal {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Journaling<'a, Claim> {
        Box::pin(async move {
            for _ in 0..CLAIM_TRIES {
                let Some(incident) = self.opened(request).await? else {
                    continue;
                };
                let known = self.head(&incident).await?;
                let open = known
                    .map(|known| known.head)
                    .filter(|head| head.is_open(request));
                let opened = open.map_or(request.now, |head| head.opened_at);
                return self
                    .take(
                        &incident,
                        &request.run,
                        request.now,
                        request.lease_secs,
                        Some(opened),
                    )
                    .await;
            }
            Err(JournalError::Unreachable {
                store: self.table.clone(),
                why: format!("{} changes hands too fast", request.resource),
            })
        })
    }

    fn claim_incident<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        now: Timestamp,
        lease_secs: u32,
    ) -> Journaling<'a, Claim> {
        Box::pin(self.take(incident.as_str(), run, now, lease_secs, None))
    }

    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        entry: &'a Entry,
        lease_secs: u32,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            match self.write(incident, entry, lease_secs, None).await? {
                Written::Yes => Ok(()),
                Written::TurnTaken => Err(self.lost(incident).await),
            }
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
            let Some((playbook, _)) = counts_for(&entry.event) else {
                return self.append(incident, entry, lease_secs).await;
            };
            for _ in 0..TURN_TRIES {
                // In this order: whoever takes a turn after it was looked at is seen by the
                // condition, whoever took one before it by the count.
                let turn = self.get(caps_key(playbook), TURN).await?;
                let turn = turn.and_then(|item| item.number("taken")).unwrap_or(0);
                let since = cap_window(entry.at);
                room.allows(&self.usage(playbook, since, incident).await?)?;
                let turn = Some((playbook, turn));
                if let Written::Yes = self.write(incident, entry, lease_secs, turn).await? {
                    return Ok(());
                }
            }
            Err(JournalError::Unreachable {
                store: self.table.clone(),
                why: format!("too many incidents begin steps of {playbook} at once"),
            })
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
            let until = number(micros(lease_end(now, lease_secs)));
            let sent = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(HEADS.to_owned(), incident.as_str())))
                .condition_expression("#run = :run")
                .update_expression("SET #until = :until, wake = :until")
                .expression_attribute_names("#run", "run")
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(":run", text(run))
                .expression_attribute_values(":until", until)
                .send()
                .await;
            match sent {
                Ok(_) => Ok(()),
                Err(error) if is_refused(&error) => Err(self.lost(incident).await),
                Err(error) => Err(self.trouble(&error)),
            }
        })
    }

    fn release<'a>(
        &'a self,
        incident: &'a IncidentId,
        run: &'a str,
        due: Option<Timestamp>,
    ) -> Journaling<'a, ()> {
        Box::pin(async move {
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(HEADS.to_owned(), incident.as_str())))
                .condition_expression("#run = :run")
                .expression_attribute_names("#run", "run")
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(":run", text(run));
            let update = match due {
                Some(due) => update
                    .update_expression("SET wake = :due REMOVE #run, #until")
                    .expression_attribute_values(":due", number(micros(due))),
                None => update.update_expression("REMOVE #run, #until, wake"),
            };
            match update.send().await {
                Ok(_) => Ok(()),
                Err(error) if is_refused(&error) => Err(self.lost(incident).await),
                Err(error) => Err(self.trouble(&error)),
            }
        })
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> Journaling<'a, Option<Vec<Entry>>> {
        Box::pin(async move {
            match self.head(incident.as_str()).await? {
                None => Ok(None),
                Some(_) => self.entries(incident.as_str()).await.map(Some),
            }
        })
    }

    fn due<'a>(&'a self, now: Timestamp) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            let now = micros(now);
            let heads = self.partition(HEADS.to_owned(), "").await?;
            let mut due: Vec<(i64, IncidentId)> = heads
                .iter()
                .filter_map(|item| Some((item.number("wake")?, item.text("sk")?)))
                .filter(|(wake, _)| *wake <= now)
                .map(|(wake, id)| (wake, IncidentId(id)))
                .collect();
            due.sort();
            Ok(due.into_iter().map(|(_, id)| id).collect())
        })
    }

    fn list<'a>(&'a self, limit: u32) -> Journaling<'a, Vec<IncidentId>> {
        Box::pin(async move {
            let heads = self.partition(HEADS.to_owned(), "").await?;
            let mut all: Vec<(i64, IncidentId)> = heads
                .iter()
                .filter_map(|item| Some((item.number("opened")?, IncidentId(item.text("sk")?))))
                .collect();
            all.sort_by(|one, other| other.cmp(one));
            let limit = limit as usize;
            Ok(all.into_iter().map(|(_, id)| id).take(limit).collect())
        })
    }

    fn usage<'a>(
        &'a self,
        playbook: &'a str,
        since: Timestamp,
        incident: &'a IncidentId,
    ) -> Journaling<'a, Usage> {
        Box::pin(async move {
            let mut pages = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk >= :since")
                .expression_attribute_values(":pk", text(format!("counted#{playbook}")))
                .expression_attribute_values(":since", text(time_key(since)))
                .consistent_read(true)
                .into_paginator()
                .items()
                .send();
            let mut incidents = BTreeSet::new();
            let mut usage = Usage::default();
            while let Some(item) = pages.next().await {
                let item = Item(item.map_err(|error| self.trouble(&error))?);
                let of = item.text("incident").unwrap_or_default();
                if of == incident.0 {
                    continue;
                }
                usage.irreversible_last_hour += u32::from(item.is_true("irreversible"));
                incidents.insert(of);
            }
            usage.plans_last_hour = u32::try_from(incidents.len()).unwrap_or(u32::MAX);
            Ok(usage)
        })
    }

    fn once<'a>(&'a self, notice: &'a NoticeMark) -> Journaling<'a, Once> {
        Box::pin(async move {
            let until = number(micros(lease_end(notice.now, notice.lease_secs)));
            let pk = format!("notice#{}", notice.incident);
            let sent = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(pk.clone(), &notice.notice)))
                .condition_expression(
                    "attribute_not_exists(pk) OR \
                     (attribute_not_exists(sent) AND (#run = :run OR #until <= :now))",
                )
                .update_expression("SET #run = :run, #until = :until")
                .expression_attribute_names("#run", "run")
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(":run", text(&notice.run))
                .expression_attribute_values(":until", until)
                .expression_attribute_values(":now", number(micros(notice.now)))
                .send()
                .await;
            match sent {
                Ok(_) => Ok(Once::Ours),
                Err(error) if is_refused(&error) => {
                    let item = self.get(pk, &notice.notice).await?;
                    match item {
                        Some(item) if item.is_true("sent") => Ok(Once::Sent),
                        Some(item) => Ok(Once::Busy {
                            until: from_micros(&self.table, item.number("until").unwrap_or(0))?,
                        }),
                        // Its run has just taken it back: it may be asked for again.
                        None => Ok(Once::Busy { until: notice.now }),
                    }
                }
                Err(error) => Err(self.trouble(&error)),
            }
        })
    }

    fn settle<'a>(&'a self, notice: &'a NoticeMark, sent: bool) -> Journaling<'a, ()> {
        Box::pin(async move {
            let place = key(format!("notice#{}", notice.incident), &notice.notice);
            if sent {
                self.client
                    .update_item()
                    .table_name(&self.table)
                    .set_key(Some(place))
                    .update_expression("SET sent = :sent")
                    .expression_attribute_values(":sent", AttributeValue::Bool(true))
                    .send()
                    .await
                    .map(|_| ())
                    .map_err(|error| self.trouble(&error))
            } else {
                let taken_back = self
                    .client
                    .delete_item()
                    .table_name(&self.table)
                    .set_key(Some(place))
                    .condition_expression("#run = :run AND attribute_not_exists(sent)")
                    .expression_attribute_names("#run", "run")
                    .expression_attribute_values(":run", text(&notice.run))
                    .send()
                    .await;
                match taken_back {
                    Ok(_) => Ok(()),
                    Err(error) if is_refused(&error) => Ok(()),
                    Err(error) => Err(self.trouble(&error)),
                }
            }
        })
    }
}

fn caps_key(playbook: &str) -> String {
    format!("caps#{playbook}")
}

/// A time whose text sorts as it does.
fn time_key(at: Timestamp) -> String {
    format!("{:020}", micros(at).max(0))
}

/// Whether another transaction was at the same items.
fn is_conflict<E>(error: &SdkError<E>) -> bool
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().is_some_and(|service| {
        service.code() == Some("TransactionCanceledException")
            && service
                .message()
                .is_some_and(|message| message.contains("TransactionConflict"))
    })
}

/// Whether a condition did not hold, alone or in a transaction.
fn is_refused<E>(error: &SdkError<E>) -> bool
where
    E: ProvideErrorMetadata,
{
    let Some(service) = error.as_service_error() else {
        return false;
    };
    match service.code() {
        Some("ConditionalCheckFailedException") => true,
        // Also the code of a conflict with another transaction, which the message tells apart.
        Some("TransactionCanceledException") => service
            .message()
            .is_none_or(|message| message.contains("ConditionalCheckFailed")),
        _ => false,
    }
}

//! The entries of an incident: each is one item, numbered after the last.

use std::io::{Read, Write};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use davylamp_model::ids::IncidentId;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::item::{Item, key, number, text};
use super::{DynamoJournal, HEADS, TURN, caps_key, is_conflict, is_refused, time_key};
use crate::journal::fields::{counts_for, lease_end, micros};
use crate::journal::{Entry, JournalError};

/// The attribute of an entry as JSON text.
const PLAIN: &str = "body";
/// The attribute of one as gzipped JSON text.
const PACKED: &str = "packed";
/// An entry is packed from this size on: a plan with some dozens of steps. Smaller ones stay
/// readable in the table.
const PACK_FROM_BYTES: usize = 32 << 10;
/// The most that an item may hold is 400 KB with the names of its attributes (Amazon DynamoDB
/// Developer Guide, "Quotas").
const MOST_BYTES: usize = 390 << 10;
/// More than any entry has. Who may write to the table could make us unpack without end.
const MOST_UNPACKED_BYTES: u64 = 64 << 20;

/// Whether an entry was written.
pub(super) enum Written {
    Yes,
    /// Another incident took the turn.
    TurnTaken,
}

impl DynamoJournal {
    /// Every entry of an incident, in order.
    pub(super) async fn entries(&self, incident: &str) -> Result<Vec<Entry>, JournalError> {
        let items = self.partition(entries_key(incident), "entry#").await?;
        items
            .iter()
            .map(|item| {
                unpacked(item).map_err(|error| {
                    self.unreadable(format!("an entry of incident {incident}: {error}"))
                })
            })
            .collect()
    }

    fn entry_writes(
        &self,
        incident: &IncidentId,
        entry: &Entry,
        lease_secs: u32,
        last: i64,
        turn: Option<(&str, i64)>,
    ) -> Result<Vec<TransactWriteItem>, JournalError> {
        let (name, body) = self.body(incident, entry)?;
        let next = last + 1;
        let until = micros(lease_end(entry.at, lease_secs));
        let built = |error: aws_sdk_dynamodb::error::BuildError| self.unreadable(error.to_string());
        let head = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(HEADS.to_owned(), incident.as_str())))
            .expression_attribute_names("#run", "run")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":run", text(&entry.run))
            .condition_expression("#run = :run AND entries = :last")
            .update_expression("SET #until = :until, wake = :until, entries = :next")
            .expression_attribute_values(":until", number(until))
            .expression_attribute_values(":last", number(last))
            .expression_attribute_values(":next", number(next))
            .build()
            .map_err(built)?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(key(entries_key(incident.as_str()), &entry_key(next))))
            .item(name, body)
            .build()
            .map_err(built)?;
        let mut writes = vec![
            TransactWriteItem::builder().update(head).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        if let Some((playbook, turn)) = turn {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(caps_key(playbook), TURN)))
                .condition_expression("attribute_not_exists(pk) OR taken = :seen")
                .update_expression("SET taken = :taken")
                .expression_attribute_values(":seen", number(turn))
                .expression_attribute_values(":taken", number(turn + 1))
                .build()
                .map_err(built)?;
            writes.push(TransactWriteItem::builder().update(update).build());
        }
        if let Some((playbook, irreversible)) = counts_for(&entry.event) {
            let at = time_key(entry.at);
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(key(
                    format!("counted#{playbook}"),
                    &format!("{at}#{incident}#{next}"),
                )))
                .item("incident", text(incident.as_str()))
                .item("irreversible", AttributeValue::Bool(irreversible))
                .build()
                .map_err(built)?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        Ok(writes)
    }

    /// The attribute that holds an entry, and its value.
    fn body(
        &self,
        incident: &IncidentId,
        entry: &Entry,
    ) -> Result<(&'static str, AttributeValue), JournalError> {
        let body =
            serde_json::to_string(entry).map_err(|error| self.unreadable(error.to_string()))?;
        if body.len() < PACK_FROM_BYTES {
            return Ok((PLAIN, text(body)));
        }
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        let packed = packer
            .write_all(body.as_bytes())
            .and_then(|()| packer.finish())
            .map_err(|error| self.unreadable(error.to_string()))?;
        if packed.len() > MOST_BYTES {
            return Err(JournalError::Overflow {
                store: self.table.clone(),
                incident: incident.clone(),
            });
        }
        Ok((PACKED, AttributeValue::B(Blob::new(packed))))
    }

    /// Appends an entry under the number that follows the last one.
    pub(super) async fn write(
        &self,
        incident: &IncidentId,
        entry: &Entry,
        lease_secs: u32,
        turn: Option<(&str, i64)>,
    ) -> Result<Written, JournalError> {
        let known = self.head(incident.as_str()).await?;
        let known = known.ok_or_else(|| JournalError::NoSuchIncident {
            incident: incident.clone(),
        })?;
        let writes = self.entry_writes(incident, entry, lease_secs, known.entries, turn)?;
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Yes),
            Err(error) if is_refused(&error) => {
                // A reply that was lost makes the SDK send it again: then it is there.
                let at = entry_key(known.entries + 1);
                let there = self.get(entries_key(incident.as_str()), &at).await?;
                let same = there
                    .and_then(|item| unpacked(&item).ok())
                    .is_some_and(|there| there == *entry);
                let head = self.head(incident.as_str()).await?;
                let ours = head.is_some_and(|now| {
                    now.head.run.as_deref() == Some(&entry.run) && now.entries == known.entries
                });
                match (same, turn) {
                    (true, _) => Ok(Written::Yes),
                    (false, Some(_)) if ours => Ok(Written::TurnTaken),
                    _ => Err(self.lost(incident).await),
                }
            }
            Err(error) if turn.is_some() && is_conflict(&error) => Ok(Written::TurnTaken),
            Err(error) => Err(self.trouble(&error)),
        }
    }
}

/// The entry that an item holds, in either form.
fn unpacked(item: &Item) -> Result<Entry, std::io::Error> {
    if let Some(packed) = item.bytes(PACKED) {
        let unpacked = GzDecoder::new(packed).take(MOST_UNPACKED_BYTES);
        return Ok(serde_json::from_reader(unpacked)?);
    }
    Ok(serde_json::from_str(&item.text(PLAIN).unwrap_or_default())?)
}

fn entries_key(incident: &str) -> String {
    format!("incident#{incident}")
}

/// Sort keys are compared as text: ten digits hold more entries than an incident can have.
fn entry_key(number: i64) -> String {
    format!("entry#{number:010}")
}

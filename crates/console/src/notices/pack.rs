//! From items to notices: what belongs together is one, many at once are a digest, and a channel takes so
//! many an hour.
//!
//! What must stay true: what a channel's bounds keep back comes later, in a digest that says so; nothing is
//! left out of both.

use std::collections::BTreeMap;

use davylamp_ledger::Ledger;
use davylamp_ledger::record::IncidentNo;
use davylamp_notice::Notice;
use jiff::Timestamp;

use super::outbox::{Item, Made, Outbox, Turn, named};
use super::words::{Group, Writer};
use super::{Trouble, secs};
use crate::config::Notices;
use crate::store::Store;

/// An hour, in microseconds.
const HOUR_US: i64 = 3_600_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Packer<'a> {
    pub ledger: &'a Ledger,
    pub store: &'a Store,
    pub outbox: &'a Outbox,
    pub config: &'a Notices,
    pub writer: &'a Writer,
}

impl Packer<'_> {
    /// Makes notices of everything that is due.
    pub async fn pack(&self, now: Timestamp) -> Result<(), Trouble> {
        for (channel, person) in self.outbox.due(now).await? {
            self.receiver(&channel, &person, now).await?;
        }
        Ok(())
    }

    async fn receiver(&self, channel: &str, person: &str, now: Timestamp) -> Result<(), Trouble> {
        let Some(first) = self.turn(channel, now).await? else {
            self.outbox.hold(channel, now).await?;
            return Ok(());
        };
        let items = self.outbox.items(channel, person).await?;
        let ripe = ripe(items, now.as_microsecond());
        let held = ripe.iter().flatten().filter(|item| item.is_held).count();
        let mut groups = Vec::new();
        for items in ripe {
            groups.push(self.group(items, person).await?);
        }
        let is_digest = groups.len() > self.config.digest_above || held > 0 && groups.len() > 1;
        if is_digest {
            let per_hour = self.per_hour(channel);
            let notice = self.writer.digest(&groups, held, per_hour, now);
            let items: Vec<&Item> = groups.iter().flat_map(|group| &group.items).collect();
            self.make(channel, person, None, &notice, &items, first, now)
                .await?;
            return Ok(());
        }
        let mut turn = Some(first);
        for group in &groups {
            let next = match turn.take() {
                Some(turn) => Some(turn),
                None => self.turn(channel, now).await?,
            };
            let Some(next) = next else {
                self.outbox.hold(channel, now).await?;
                return Ok(());
            };
            let notice = self.writer.one(group, now);
            let items: Vec<&Item> = group.items.iter().collect();
            let incident = group.row.as_ref().map(|row| row.id);
            self.make(channel, person, incident, &notice, &items, next, now)
                .await?;
        }
        Ok(())
    }

    /// What is known of what belongs together, and whether its reader may know it.
    async fn group(&self, items: Vec<Item>, person: &str) -> Result<Group, Trouble> {
        let incident = items.first().and_then(|item| item.happening.incident);
        let row = match incident {
            Some(no) => self.ledger.incident(IncidentNo(no)).await?,
            None => None,
        };
        let row = row.map(|view| view.row);
        let is_veiled = match (&row, person) {
            (None, _) | (_, "") => false,
            (Some(row), name) => {
                let person = self.store.person(name).await?;
                person.is_none_or(|person| !crate::page::sees_whole(&person.scope, row))
            }
        };
        Ok(Group {
            items,
            row,
            is_veiled,
        })
    }

    fn per_hour(&self, channel: &str) -> i64 {
        let own = self.config.channel(channel).map_or(0, |it| it.per_hour);
        if own > 0 { own } else { self.config.per_hour }
    }

    /// The next turn of a channel, if it has one: a bucket of an hour's notices that fills evenly, kept
    /// as the time at which it is full again.
    async fn turn(&self, channel: &str, now: Timestamp) -> Result<Option<Turn>, Trouble> {
        let (now, before) = (now.as_microsecond(), self.outbox.full_at(channel).await?);
        let each = HOUR_US / self.per_hour(channel).max(1);
        let after = before.max(now).saturating_add(each);
        let is_free = after <= now.saturating_add(HOUR_US);
        Ok(is_free.then_some(Turn { before, after }))
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of one notice")]
    async fn make(
        &self,
        channel: &str,
        person: &str,
        incident: Option<i64>,
        notice: &Notice,
        items: &[&Item],
        turn: Turn,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
        let made = Made {
            id: named(&ids),
            seq: items
                .iter()
                .map(|item| item.happening.seq)
                .max()
                .unwrap_or(0),
            incident,
            channel: channel.to_owned(),
            person: person.to_owned(),
            title: notice.title.clone(),
            body: serde_json::to_string(notice).unwrap_or_default(),
            until: now.as_microsecond() + secs(self.config.give_up_hours * 3600),
            items: ids.into_iter().map(str::to_owned).collect(),
        };
        // Where another console was faster, it has told the same.
        self.outbox.make(&made, Some(turn), now).await?;
        Ok(())
    }
}

/// The groups of which something is due, each with everything that waits, in the order of their ids.
fn ripe(items: Vec<Item>, now: i64) -> Vec<Vec<Item>> {
    let mut groups: BTreeMap<(Option<i64>, String), Vec<Item>> = BTreeMap::new();
    for item in items {
        let key = (item.happening.incident, item.happening.group());
        groups.entry(key).or_default().push(item);
    }
    let is_due = |items: &Vec<Item>| items.iter().any(|item| item.due <= now);
    let mut ripe: Vec<Vec<Item>> = groups.into_values().filter(is_due).collect();
    for items in &mut ripe {
        items.sort_by(|one, other| {
            let place = |item: &Item| (item.happening.at, item.happening.seq);
            place(one).cmp(&place(other)).then(one.id.cmp(&other.id))
        });
    }
    ripe
}

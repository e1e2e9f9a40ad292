//! Snapshots as JSON lines, for whoever reads the table `recorder`.

use std::io::{self, Write};

use crate::line::{Coverage, Line, Mode};
use crate::picture::Picture;
use crate::store::{Store, StoreError};

/// Writes what was recorded of the snapshots between two numbers, both included, as it was recorded: changes,
/// and now and then everything.
pub fn changes(
    store: &Store,
    from: u64,
    to: u64,
    into: &mut dyn Write,
) -> Result<io::Result<()>, StoreError> {
    let snapshots = store.chain().snapshots();
    for (link, snapshot) in snapshots.filter(|(it, _)| (from..=to).contains(&it.number)) {
        if let Err(error) = into.write_all(store.text(link.number, snapshot)?.as_bytes()) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Writes everything that was there at each snapshot between two numbers, both included.
pub fn full(
    store: &Store,
    from: u64,
    to: u64,
    into: &mut dyn Write,
) -> Result<io::Result<()>, StoreError> {
    let mut picture: Option<Picture> = None;
    let snapshots = store.chain().snapshots();
    for (link, snapshot) in snapshots.filter(|(it, _)| (from..=to).contains(&it.number)) {
        let now = match picture.take() {
            None => store.picture(link.number)?,
            Some(mut before) => {
                store.bring_on(&mut before, link, snapshot, |_, _| {})?;
                before
            }
        };
        let mut text = String::new();
        lines(&now).iter().for_each(|line| line.write(&mut text));
        if let Err(error) = into.write_all(text.as_bytes()) {
            return Ok(Err(error));
        }
        picture = Some(now);
    }
    Ok(Ok(()))
}

/// A picture as the lines of a snapshot that tells everything.
pub fn lines(picture: &Picture) -> Vec<Line> {
    let looked = picture.scopes.iter();
    let looked: Vec<_> = looked
        .filter(|(_, seen)| seen.looked.number == picture.number)
        .collect();
    let taken_at = picture.taken_at;
    let coverage = looked.iter().map(|(scope, seen)| {
        let coverage = match &seen.unknown {
            Some(reason) => Coverage::Unknown {
                reason: reason.clone(),
            },
            None => Coverage::Complete {
                count: seen.things.len() as u64,
                mode: Mode::Full,
            },
        };
        Line::coverage(taken_at, scope, &coverage)
    });
    let read = looked.iter().filter(|(_, seen)| seen.unknown.is_none());
    let things = read.flat_map(|(scope, seen)| {
        seen.things.iter().map(|(id, held)| Line {
            taken_at,
            scope: (*scope).clone(),
            id: id.clone(),
            held: held.clone(),
        })
    });
    coverage.chain(things).collect()
}

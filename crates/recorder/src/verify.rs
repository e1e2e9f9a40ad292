//! Whether a store is what was recorded: every line of the chain follows the one before, every segment is
//! there and is the one that its line names, and says what the line says of it.
//!
//! Deliberately not here: who wrote it. Somebody who may write to the store can cut lines off the end of
//! the chain, or write a whole chain anew; the hash of the last line, kept elsewhere, shows both.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::chain::{Link, Snapshot};
use crate::files;
use crate::line::Line;
use crate::picture::{Moment, Picture};
use crate::segment::{self, SUFFIX};
use crate::store::{Store, StoreError, io_error};

/// What was checked, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Lines of the chain that follow one another.
    pub links: u64,
    /// Segments that are what was written.
    pub segments: u64,
    /// Segments that were removed, as the chain says.
    pub removed: u64,
    /// The hash of the last line.
    pub head: Option<String>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: a line of the chain, a snapshot, a file.
    pub at: String,
    /// What.
    pub what: String,
}

impl Verification {
    fn fault(&mut self, at: impl Into<String>, what: impl Into<String>) {
        self.faults.push(Fault {
            at: at.into(),
            what: what.into(),
        });
    }
}

/// Checks all of a store. `goes_on` is told of each snapshot. `head` is the hash of a line that was kept
/// elsewhere, and must stand in the chain.
pub fn verify(
    store: &Store,
    head: Option<&str>,
    mut goes_on: impl FnMut(u64),
) -> Result<Verification, StoreError> {
    let chain = store.chain();
    let mut found = Verification {
        links: chain.links.len() as u64,
        head: chain.last().map(|link| link.hash.clone()),
        ..Verification::default()
    };
    if let Some((line, why)) = &chain.fault {
        found.fault(
            format!("line {line} of the chain"),
            format!("{why}; nothing after it was checked"),
        );
    }
    if chain.unfinished > 0 {
        found.fault(
            "the end of the chain",
            "it has no end of a line: a recorder was stopped while it wrote, and the next one takes it \
             away, or a line was altered",
        );
    }
    if let Some(head) = head
        && !chain.links.iter().any(|link| link.hash == head)
    {
        found.fault(
            "the chain",
            format!("no line has the hash {head}: lines were cut off, or it was written anew"),
        );
    }
    let mut picture = Picture::default();
    for (link, snapshot) in chain.snapshots() {
        goes_on(link.number);
        check(store, link, snapshot, &mut picture, &mut found);
    }
    strangers(store, &mut found)?;
    Ok(found)
}

fn check(
    store: &Store,
    link: &Link,
    snapshot: &Snapshot,
    picture: &mut Picture,
    found: &mut Verification,
) {
    let at = || format!("snapshot {}", link.number);
    let text = match store.text(link.number, snapshot) {
        Ok(text) => text,
        Err(StoreError::Pruned { .. }) => {
            found.removed += 1;
            return;
        }
        Err(error) => {
            found.fault(at(), chain_of(&error));
            return;
        }
    };
    found.segments += 1;
    picture.advance(Moment {
        number: link.number,
        taken_at: link.taken_at,
    });
    let mut lines = 0;
    for line in segment::lines(&text) {
        lines += 1;
        let taken = line.map_err(|error| chain_of(&error)).and_then(|line| {
            check_line(link, &line)?;
            picture.take(line).map_err(|error| error.to_string())
        });
        if let Err(why) = taken {
            found.fault(format!("{}, line {lines}", at()), why);
            return;
        }
    }
    if lines != snapshot.lines {
        let says = snapshot.lines;
        found.fault(
            at(),
            format!("it has {lines} lines, and the chain says {says}"),
        );
    }
    // With segments removed before it, not everything of the first few is known.
    let is_whole = snapshot.reads_from > store.chain().pruned_up_to();
    if is_whole && picture.count() != snapshot.things {
        let (has, says) = (picture.count(), snapshot.things);
        found.fault(
            at(),
            format!("it has {has} things, and the chain says {says}"),
        );
    }
}

fn check_line(link: &Link, line: &Line) -> Result<(), String> {
    if !line.is_sound() {
        return Err("its hash is not that of its state".to_owned());
    }
    if line.taken_at != link.taken_at {
        return Err("it is of another time than its snapshot".to_owned());
    }
    Ok(())
}

/// Files that no line of the chain names.
fn strangers(store: &Store, found: &mut Verification) -> Result<(), StoreError> {
    let named: BTreeSet<String> = store
        .chain()
        .snapshots()
        .map(|(_, snapshot)| format!("{}{SUFFIX}", snapshot.segment))
        .collect();
    let folder: PathBuf = store.segments();
    for name in files::names(&folder).map_err(io_error(&folder))? {
        if !named.contains(&name) {
            found.fault(
                format!("segments/{name}"),
                "no line of the chain names it: it was added, or lines were cut off",
            );
        }
    }
    Ok(())
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

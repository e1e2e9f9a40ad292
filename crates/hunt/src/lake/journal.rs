//! What was converted, and into which files: one JSON object a line, added and never changed.
//!
//! What must stay true: a line that ends is a fact. What a file of it holds was on the disk before
//! the line was, so whoever comes after a crash only has to move it. A line without an end never
//! was.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::LakeError;
use crate::tally::Tally;

/// One step of a conversion: all of it happened, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its name.
    pub batch: String,
    /// The table that it is of.
    pub table: String,
    /// The objects whose rows it has, and nobody else.
    pub objects: Vec<Done>,
    /// The files with these rows.
    pub files: Vec<File>,
    /// Files that these take the place of, below the lake.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removes: Vec<String>,
    /// The commits whose objects this one has taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
}

/// An object that was converted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Its whole path or URL.
    pub key: String,
    /// Its name as it stands in `_source`.
    pub name: String,
    /// What changes when it does.
    pub stamp: String,
    /// How many rows it had.
    pub rows: u64,
    /// Whether it was read to its end.
    pub whole: bool,
    /// How many of its records, values and lines are missing: not understood, or cut off by a limit.
    #[serde(default, skip_serializing_if = "is_none")]
    pub bad: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where it lay first, below the lake.
    pub staged: String,
    /// Where it belongs, below the lake.
    pub to: String,
}

/// What a writer was given and could not tell to be a log when it ran last. It stands beside the journal,
/// as it is of no table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strangers {
    /// How many objects.
    pub objects: u64,
    /// Some of them, each with why.
    pub some: Vec<(String, String)>,
}

impl Strangers {
    /// What belongs to no table.
    pub fn of(outside: &Tally) -> Self {
        let some = outside.samples.iter();
        Self {
            objects: outside.objects_unreadable,
            some: some.map(|it| (it.place.clone(), it.what.clone())).collect(),
        }
    }

    /// Adds them to what is told.
    pub(crate) fn tell(self, tally: &mut Tally) {
        tally.objects_unreadable += self.objects;
        for (place, what) in self.some {
            tally.sample(|| place, format!("not in the lake: {what}"));
        }
    }
}

/// What the journals of a lake say.
///
/// There is an entry for each object that was ever converted, so an entry is kept small.
#[derive(Debug, Default)]
pub struct Known {
    /// The commits that are in force, by name.
    commits: Vec<Commit>,
    /// Where the objects are among them, by table and key: the commit, and the object in it.
    objects: Vec<(u32, u32)>,
}

impl Known {
    /// What is known of an object of a table, and the commit that has its rows.
    pub fn of(&self, table: &str, key: &str) -> Option<(&Commit, &Done)> {
        let at = self.objects.binary_search_by(|place| {
            let (commit, done) = self.at(*place);
            (commit.table.as_str(), done.key.as_str()).cmp(&(table, key))
        });
        at.ok().map(|at| self.at(self.objects[at]))
    }

    /// A commit that is in force.
    pub fn batch(&self, name: &str) -> Option<&Commit> {
        let commits = &self.commits;
        let at = commits.binary_search_by(|commit| commit.batch.as_str().cmp(name));
        at.ok().map(|at| &commits[at])
    }

    /// The objects of which the lake lacks something.
    pub fn lacking(&self) -> impl Iterator<Item = &Done> {
        let done = self.commits.iter().flat_map(|commit| &commit.objects);
        done.filter(|done| !done.whole || done.bad > 0)
    }

    /// Every commit that is in force.
    pub fn batches(&self) -> impl Iterator<Item = &Commit> {
        self.commits.iter()
    }

    fn at(&self, (commit, done): (u32, u32)) -> (&Commit, &Done) {
        let commit = &self.commits[commit as usize];
        (commit, &commit.objects[done as usize])
    }

    /// Adds what all commits of a lake say, in any order: of journals that several workers wrote
    /// there is none.
    pub(crate) fn of_commits(mut commits: Vec<Commit>) -> Self {
        let replaced: HashSet<String> = commits
            .iter()
            .flat_map(|commit| commit.replaces.iter().cloned())
            .collect();
        commits.retain(|commit| !replaced.contains(&commit.batch));
        commits.sort_by(|one, other| one.batch.cmp(&other.batch));
        let mut objects = Vec::new();
        for (number, commit) in commits.iter().enumerate() {
            objects.extend((0..commit.objects.len()).map(|done| (number as u32, done as u32)));
        }
        let mut known = Self {
            commits,
            objects: Vec::new(),
        };
        let key = |place: &(u32, u32)| {
            let (commit, done) = known.at(*place);
            (commit.table.as_str(), done.key.as_str())
        };
        objects.sort_by(|one, other| key(one).cmp(&key(other)));
        known.objects = objects;
        known
    }
}

/// The commits of a journal; none where there is no journal yet.
pub(super) fn read(path: &Path) -> Result<Vec<Commit>, LakeError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LakeError::at(path)(error)),
    };
    parse(&text, path)
}

/// The commits that the text of a journal says.
pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Vec<Commit>, LakeError> {
    let whole = end_of_lines(text);
    let lines = text[..whole].split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_slice(line).map_err(|source| LakeError::Journal {
                path: path.to_owned(),
                line: at + 1,
                source,
            })
        })
        .collect()
}

/// Cuts off a line without an end.
pub(super) fn mend(path: &Path) -> io::Result<()> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let whole = end_of_lines(&text);
    if whole < text.len() {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Where the last whole line ends.
fn end_of_lines(text: &[u8]) -> usize {
    memchr::memrchr(b'\n', text).map_or(0, |end| end + 1)
}

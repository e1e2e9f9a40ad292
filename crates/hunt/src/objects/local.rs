//! Files, folders, patterns of files, and standard input.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::GlobBuilder;
use walkdir::WalkDir;

use super::{At, Layout, Listing, Object};

/// The name shown for standard input.
const STDIN_NAME: &str = "-";

/// Adds what lies at a path: the file, the files of the folder, or those that the pattern fits.
pub(super) fn list(path: &Path, stated: Option<&'static str>, listing: &mut Listing) {
    // A file whose name looks like a pattern is that file.
    if path.exists() {
        walk(path, None, stated, listing);
        return;
    }
    let text = path.to_string_lossy();
    if !text.contains(['*', '?', '[', '{']) {
        return fault(listing, &text, "there is no such file or folder");
    }
    let pattern = match GlobBuilder::new(&text).literal_separator(true).build() {
        Ok(pattern) => pattern.compile_matcher(),
        Err(error) => return fault(listing, &text, &format!("not a pattern: {}", error.kind())),
    };
    if walk(&base(path), Some(&pattern), stated, listing) == 0 {
        fault(listing, &text, "no file fits the pattern");
    }
}

/// The part of a pattern before its first part that is one.
fn base(pattern: &Path) -> PathBuf {
    let is_plain = |part: &std::path::Component<'_>| {
        !part
            .as_os_str()
            .to_string_lossy()
            .contains(['*', '?', '[', '{'])
    };
    let base: PathBuf = pattern.components().take_while(is_plain).collect();
    if base.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        base
    }
}

/// Adds what lies below a path and fits the pattern. How much does.
fn walk(
    path: &Path,
    pattern: Option<&globset::GlobMatcher>,
    stated: Option<&'static str>,
    listing: &mut Listing,
) -> usize {
    let mut fitting = 0;
    // Links are followed, since logs are often gathered by links; a loop is a fault of its own.
    for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let place = error.path().unwrap_or(path).display().to_string();
                fault(listing, &place, &error.to_string());
                continue;
            }
        };
        let found = entry.path().strip_prefix("./").unwrap_or(entry.path());
        let fits =
            pattern.is_none_or(|pattern| pattern.is_match(entry.path()) || pattern.is_match(found));
        if entry.file_type().is_dir() || !fits {
            continue;
        }
        fitting += 1;
        let name = entry.path().display().to_string();
        let (size, stamp) = match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                // By another name or a link it is the same file, and its rows would count twice.
                if !listing.files.insert((metadata.dev(), metadata.ino())) {
                    continue;
                }
                (metadata.len(), stamp(&metadata))
            }
            // A pipe that is not named but lies in a folder may have nobody at its other end.
            Ok(_) if entry.depth() > 0 => {
                fault(listing, &name, "it is no file; name it itself to read it");
                continue;
            }
            Ok(_) => {
                let kept =
                    File::open(entry.path()).and_then(|pipe| keep(pipe, &name, stated, listing));
                if let Err(error) = kept {
                    fault(listing, &name, &error.to_string());
                }
                continue;
            }
            Err(error) => {
                fault(listing, &name, &error.to_string());
                continue;
            }
        };
        listing.objects.push(Object {
            layout: Layout::of(&name),
            name: name.into(),
            at: At::File(entry.into_path()),
            size,
            stamp: stamp.into(),
            stated,
        });
    }
    fitting
}

fn fault(listing: &mut Listing, place: &str, what: &str) {
    listing.tally.objects_unreadable += 1;
    listing.tally.sample(|| place.to_owned(), what);
}

/// Adds standard input, once.
pub(super) fn keep_stdin(stated: Option<&'static str>, listing: &mut Listing) -> io::Result<()> {
    if listing
        .objects
        .iter()
        .any(|object| &*object.name == STDIN_NAME)
    {
        return Ok(());
    }
    keep(io::stdin().lock(), STDIN_NAME, stated, listing)
}

/// Keeps in a file what can be read only once, since a query may read a table more than once.
fn keep(
    mut stream: impl Read,
    name: &str,
    stated: Option<&'static str>,
    listing: &mut Listing,
) -> io::Result<()> {
    let mut kept = tempfile::NamedTempFile::new()?;
    let size = io::copy(&mut stream, kept.as_file_mut())?;
    listing.objects.push(Object {
        name: name.into(),
        at: At::File(kept.path().to_owned()),
        size,
        stamp: Arc::default(),
        layout: Layout::default(),
        stated,
    });
    listing.kept.push(kept);
    Ok(())
}

/// A file's size, and when it was changed last.
fn stamp(metadata: &std::fs::Metadata) -> String {
    let changed = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .unwrap_or_default();
    format!("{}-{}", metadata.len(), changed.as_nanos())
}

/// Some bytes of a file.
pub(super) fn range(path: &Path, range: std::ops::Range<u64>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(io::SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    file.take(range.end.saturating_sub(range.start))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The first bytes of a file.
pub(super) fn head(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?
        .take(bytes as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

//! What is asked of a store: its snapshots, what was there, what differs, what happened, whether it is
//! what was recorded.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use davylamp_model::recording::Scope;
use davylamp_recorder::config::Config;
use davylamp_recorder::diff::{Difference, How, difference, value};
use davylamp_recorder::picture::Picture;
use davylamp_recorder::timeline::{Asked, Event, What};
use davylamp_recorder::{Store, StoreError, Writer, export, timeline as shows, verify as verifies};
use serde_json::{Value, json};

use super::args::{
    Amount, DiffArgs, ExportArgs, ListArgs, ShowArgs, StoreArgs, ThingArgs, TimelineArgs,
    VerifyArgs, Words,
};
use super::bucket::{self, Bucket};
use super::print::{Rows, about, changes};
use super::take::{sessions, store_option};
use super::{FOUND, failure, which};
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::{counted, emit, emit_lines, note, quiet_json};
use crate::progress::Progress;
use crate::settings::SettingsArgs;

fn open(args: &StoreArgs, settings: &SettingsArgs) -> Result<Store, Failure> {
    let config = settings.load_record(store_option(args))?;
    let local = bucket::local(&config);
    if config.store.starts_with("s3://") {
        bring(&config, &local)?;
    }
    Store::open(&local).map_err(failure)
}

/// Brings what a bucket has to this machine, unless a recorder that does so is running here.
fn bring(config: &Config, local: &Path) -> Result<(), Failure> {
    let writer = match Writer::open(local) {
        Err(StoreError::Busy(_)) => return Ok(()),
        opened => opened.map_err(failure)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                anyhow!(error).context("cannot start the event loop"),
                "see whether this user may start more threads and files: ulimit -a",
            )
        })?;
    runtime.block_on(async {
        let sessions = sessions(config).await?;
        match Bucket::configured(config, &sessions) {
            Some(bucket) => bucket.even_out(writer).await.map(drop),
            None => Ok(()),
        }
    })
}

impl ThingArgs {
    fn asked(&self) -> Asked {
        Asked {
            kinds: self.kinds.clone(),
            ids: self.ids.clone(),
            accounts: self.accounts.clone(),
            regions: self.regions.clone(),
            ..Asked::default()
        }
    }
}

/// Runs `davy record list`.
pub(super) fn list(args: &ListArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let store = open(&args.store, settings)?;
    let mut rows = Rows::new(
        args.output,
        &[
            "number", "taken_at", "accounts", "things", "lines", "scopes", "unknown", "bytes",
            "kept",
        ],
    );
    let pruned = store.chain().pruned_up_to();
    for (link, snapshot) in store.chain().snapshots() {
        let is_kept = link.number > pruned;
        let mut row = json!(link);
        row["kept"] = json!(is_kept);
        rows.add(
            vec![
                link.number.to_string(),
                link.taken_at.to_string(),
                snapshot.accounts.join(" "),
                snapshot.things.to_string(),
                snapshot.lines.to_string(),
                snapshot.scopes.to_string(),
                snapshot.unknown.to_string(),
                snapshot.bytes.to_string(),
                is_kept.to_string(),
            ],
            row,
        );
    }
    rows.end()?;
    tell_broken(&store);
    Ok(ExitCode::SUCCESS)
}

/// What is behind a fault is not there for any question, so it is said.
fn tell_broken(store: &Store) {
    if let Some((line, why)) = &store.chain().fault {
        note(&format!(
            "line {line} of the chain is wrong, and nothing after it is read: {why}; see davy record verify"
        ));
    }
}

/// Runs `davy record show`.
pub(super) fn show(args: &ShowArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let store = open(&args.store, settings)?;
    let number = which::number(&store, &args.at)?;
    let picture = store.picture(number).map_err(failure)?;
    let asked = args.things.asked();
    let mut rows = Rows::new(
        args.output,
        &["kind", "id", "account", "region", "as_of", "about"],
    );
    let mut unknown = BTreeSet::new();
    for (scope, seen) in picture.scopes.iter().filter(|(scope, _)| asked.fits(scope)) {
        if let Some(why) = picture.unknown(scope) {
            unknown.insert((scope, why));
        }
        let Some(complete) = seen.complete else {
            continue;
        };
        for (id, held) in &seen.things {
            if !asked.fits_thing(scope, id) {
                continue;
            }
            let state = value(held);
            let as_of = complete.taken_at.to_string();
            let row = row(&[
                ("kind", &scope.kind),
                ("id", id),
                ("account_id", &scope.account),
                ("region", &scope.region),
                ("as_of", &as_of),
                ("hash", &hex(held)),
            ]);
            rows.add(
                vec![
                    scope.kind.clone(),
                    id.clone(),
                    scope.account.clone(),
                    scope.region.clone(),
                    as_of,
                    about(&scope.kind, &state),
                ],
                with(row, "state", state),
            );
        }
    }
    rows.end()?;
    note(&format!("snapshot {} of {}", number, picture.taken_at));
    for (scope, why) in &unknown {
        note(&format!("not known then: {scope}: {why}"));
    }
    tell_broken(&store);
    Ok(ExitCode::from(match unknown.is_empty() {
        true => 0,
        false => COULD_NOT_COMPLETE,
    }))
}

fn hex(held: &davylamp_recorder::line::Held) -> String {
    held.hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn row(members: &[(&str, &String)]) -> Value {
    members
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect()
}

fn with(mut row: Value, name: &str, value: Value) -> Value {
    row[name] = value;
    row
}

/// Runs `davy record diff`.
pub(super) fn diff(args: &DiffArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let before = which::picture(&args.before, || open(&args.store, settings))?;
    let after = which::picture(&args.after, || open(&args.store, settings))?;
    let asked = args.things.asked();
    let mut found = difference(&before, &after);
    found
        .things
        .retain(|it| asked.fits_thing(&it.scope, &it.id));
    found.unknown.retain(|it| asked.fits(&it.scope));
    print_diff(args, &before, &after, &found)?;
    for it in &found.unknown {
        let why = [("before", &it.before), ("after", &it.after)];
        let why = why.iter().filter_map(|(when, why)| {
            let why = why.as_ref()?;
            Some(format!("{when}: {why}"))
        });
        let why = why.collect::<Vec<_>>().join("; ");
        note(&format!("not known: {}: {why}", it.scope));
    }
    Ok(ExitCode::from(
        match (found.things.is_empty(), found.unknown.is_empty()) {
            (false, _) => FOUND,
            (true, false) => COULD_NOT_COMPLETE,
            (true, true) => 0,
        },
    ))
}

fn print_diff(
    args: &DiffArgs,
    before: &Picture,
    after: &Picture,
    found: &Difference,
) -> Result<(), Failure> {
    if args.output == super::args::Form::Json {
        let document = json!({
            "before": {"snapshot": before.number, "taken_at": before.taken_at},
            "after": {"snapshot": after.number, "taken_at": after.taken_at},
            "things": found.things,
            "unknown": found.unknown,
        });
        return emit(quiet_json(&format!("{document:#}\n")));
    }
    let mut rows = Rows::new(
        args.output,
        &["how", "kind", "id", "account", "region", "about"],
    );
    for it in &found.things {
        let (how, said) = match &it.how {
            How::Added { state } => ("added", about(&it.scope.kind, state)),
            How::Removed { state } => ("removed", about(&it.scope.kind, state)),
            How::Changed { members } => ("changed", changes(members)),
        };
        rows.add(cells(how, &it.scope, Some(&it.id), said), json!(it));
    }
    rows.end()
}

fn cells(how: &str, scope: &Scope, id: Option<&String>, about: String) -> Vec<String> {
    vec![
        how.to_owned(),
        scope.kind.clone(),
        id.cloned().unwrap_or_default(),
        scope.account.clone(),
        scope.region.clone(),
        about,
    ]
}

/// Runs `davy record timeline`.
pub(super) fn timeline(args: &TimelineArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let store = open(&args.store, settings)?;
    let asked = Asked {
        since: args.since,
        until: args.until,
        ..args.things.asked()
    };
    let mut rows = Rows::new(
        args.output,
        &[
            "after", "by", "what", "kind", "id", "account", "region", "about",
        ],
    );
    let told = shows::timeline(&store, &asked, |event| {
        let mut row = vec![
            event.after.map(|at| at.to_string()).unwrap_or_default(),
            event.by.to_string(),
        ];
        let (what, said) = in_words(&event);
        row.extend(cells(what, &event.scope, event.id.as_ref(), said));
        rows.add(row, json!(event));
    });
    told.map_err(failure)?;
    rows.end()?;
    tell_broken(&store);
    Ok(ExitCode::SUCCESS)
}

fn in_words(event: &Event) -> (&'static str, String) {
    let about = |state| about(&event.scope.kind, state);
    match &event.what {
        What::FirstSeen { state } => ("first seen", about(state)),
        What::Appeared { state } => ("appeared", about(state)),
        What::Changed { members } => ("changed", changes(members)),
        What::Gone { state } => ("gone", about(state)),
        What::Unknown { reason } => ("unknown from here", reason.clone()),
        What::KnownAgain => ("known again", String::new()),
    }
}

/// Runs `davy record verify`.
pub(super) fn verify(args: &VerifyArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let store = open(&args.store, settings)?;
    let progress = Progress::told(
        0,
        "{bar:30} {pos} of {len} snapshots were checked, {elapsed}",
    );
    let all = store.chain().links.len() as u64;
    let head = args.head.as_deref();
    let found = verifies::verify(&store, head, |number| progress.at(number, all));
    let found = found.map_err(failure)?;
    drop(progress);
    // Of a store that lost everything nothing is left to tell it by.
    let is_empty = found.links == 0;
    if args.output == Words::Json {
        emit(quiet_json(&format!("{:#}\n", json!(found))))?;
    } else {
        let mut text = String::new();
        for fault in &found.faults {
            text.push_str(&format!("{}: {}\n", fault.at, fault.what));
        }
        let links = counted(found.links, "line", "lines");
        let segments = counted(found.segments, "segment", "segments");
        text.push_str(&format!("{links} of the chain, {segments}"));
        if found.removed > 0 {
            text.push_str(&format!(", {} removed by us", found.removed));
        }
        text.push_str(match (found.faults.is_empty(), is_empty) {
            (true, true) => ": nothing was recorded here, or all of it is gone\n",
            (true, false) => ": as they were recorded\n",
            (false, _) => ": not as they were recorded\n",
        });
        if let Some(head) = &found.head {
            text.push_str(&format!("head {head}\n"));
        }
        emit_lines(&text)?;
    }
    Ok(ExitCode::from(match (found.faults.is_empty(), is_empty) {
        (true, true) => COULD_NOT_COMPLETE,
        (true, false) => 0,
        (false, _) => FOUND,
    }))
}

/// Runs `davy record export`.
pub(super) fn export(args: &ExportArgs, settings: &SettingsArgs) -> Result<ExitCode, Failure> {
    let store = open(&args.store, settings)?;
    let pruned = store.chain().pruned_up_to();
    let from = match &args.from {
        Some(from) => which::number(&store, from)?,
        None => {
            let mut snapshots = store.chain().snapshots();
            let first = snapshots.find(|(link, _)| link.number > pruned);
            first.map_or(0, |(link, _)| link.number)
        }
    };
    let to = which::number(&store, &args.to)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = match args.form {
        Amount::Changes => export::changes(&store, from, to, &mut out),
        Amount::Full => export::full(&store, from, to, &mut out),
    };
    let written = written.map_err(failure)?.and_then(|()| out.flush());
    match written {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::new(
            anyhow!(error).context("cannot write to standard output"),
            "see whether there is room where the output goes: df -h",
        )),
        Ok(()) => {
            tell_broken(&store);
            Ok(ExitCode::SUCCESS)
        }
    }
}

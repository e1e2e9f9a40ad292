//! What this command wants the console to have: into the outbox, and out of it as far as the console
//! takes it.

use std::time::Duration;

use davylamp_forward::ForwardError;
use davylamp_forward::work::Outbox;
use davylamp_forward::work::config::Config;
use davylamp_ledger::wire::Sent;

use crate::failure::Failure;
use crate::output::{counted, note};

/// A console that takes nothing for so long is away; what it should have stays in the outbox.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Who has more to do does not wait for that: the next delivery takes what this one leaves.
pub const BUSY: Duration = Duration::from_secs(2);

/// What became of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The console has everything.
    All,
    /// Some of it waits in the outbox, or was refused.
    NotAll,
}

/// Puts lines into the outbox and sends what is in it.
pub async fn send(
    config: &Config,
    lines: &[String],
    patience: Duration,
) -> Result<Delivered, Failure> {
    let mut outbox = Outbox::open(config).await.map_err(failure)?;
    outbox
        .put(lines.iter().map(String::as_str))
        .map_err(failure)?;
    let summary = outbox.deliver(patience).await.map_err(failure)?;
    for destination in &summary.status.destinations {
        if destination.refused > 0 {
            note(&format!(
                "the console refused {} for good; they are kept under {}",
                counted(destination.refused, "line", "lines"),
                outbox.dir().join(davylamp_spool::READERS_DIR).display()
            ));
        }
        if destination.lag_bytes > 0 {
            let why = destination.trouble.as_deref().unwrap_or("it takes nothing");
            note(&format!(
                "the console does not have everything yet ({why}); the rest waits in {}: `davy send`, or \
                 whatever sends next, delivers it",
                outbox.dir().display()
            ));
        }
    }
    Ok(match summary.complete {
        true => Delivered::All,
        false => Delivered::NotAll,
    })
}

/// Records as lines.
pub fn lines(sent: &[Sent]) -> Vec<String> {
    let line = |sent: &Sent| {
        serde_json::to_string(sent)
            .unwrap_or_else(|error| unreachable!("a record is plain data: {error}"))
    };
    sent.iter().map(line).collect()
}

/// A finding of another product as a line, with an id: that of its text.
pub fn finding_line(finding: &serde_json::Value) -> String {
    use sha2::{Digest as _, Sha256};
    let mut finding = finding.clone();
    let has_id = finding
        .get("id")
        .and_then(serde_json::Value::as_str)
        .is_some_and(|id| !id.is_empty());
    if !has_id && let Some(object) = finding.as_object_mut() {
        let mut essence = serde_json::Value::Object(object.clone());
        essence.sort_all_objects();
        let digest = Sha256::digest(essence.to_string());
        let id: String = digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        object.insert("id".to_owned(), id.into());
    }
    finding.to_string()
}

/// What went wrong, and the next step.
pub fn failure(error: ForwardError) -> Failure {
    let hint = error.hint();
    Failure::new(anyhow::Error::new(error), hint)
}

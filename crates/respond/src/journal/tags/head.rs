//! An incident's head in one tag value: who has it, since when, and how long its log is.

use davylamp_model::ids::IncidentId;
use jiff::Timestamp;

use super::super::JournalError;
use super::super::fields::{Head, from_micros, micros};
use super::STORE;

/// The first field: another form would have another number.
const FORM: &str = "1";
/// EC2 takes no longer values (Amazon EC2 user guide, "Tag restrictions").
pub(super) const VALUE_CHARS: usize = 256;
/// Longer names of runs are cut: with the numbers and the incident they fill one value.
const RUN_CHARS: usize = 64;
/// Stands for a field that is empty.
const NONE: &str = "-";

/// What the tag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TagHead {
    pub(super) incident: IncidentId,
    /// How many incidents about the resource came before it.
    pub(super) nth: u32,
    /// How often it was claimed: a later claim is told from a stale read by it.
    pub(super) turn: u64,
    pub(super) opened: Timestamp,
    pub(super) until: Option<Timestamp>,
    pub(super) due: Option<Timestamp>,
    /// When something last happened.
    pub(super) last: Timestamp,
    /// How many bytes of the log count.
    pub(super) length: usize,
    pub(super) run: Option<String>,
}

impl TagHead {
    /// What every store compares.
    pub(super) fn lease(&self) -> Head {
        Head {
            opened_at: self.opened,
            run: self.run.clone(),
            until: self.until,
        }
    }

    /// Whether it wants to be looked at.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match (&self.run, self.until) {
            (Some(_), Some(until)) => until <= now,
            _ => self.due.is_some_and(|due| due <= now),
        }
    }

    /// Its tag value.
    pub(super) fn text(&self) -> String {
        let time =
            |at: Option<Timestamp>| at.map_or_else(|| NONE.to_owned(), |at| micros(at).to_string());
        [
            FORM.to_owned(),
            self.incident.0.clone(),
            self.nth.to_string(),
            self.turn.to_string(),
            time(Some(self.opened)),
            time(self.until),
            time(self.due),
            time(Some(self.last)),
            self.length.to_string(),
            self.run.clone().unwrap_or_else(|| NONE.to_owned()),
        ]
        .join(" ")
    }

    /// Reads a tag value, which anybody who may tag can have written.
    pub(super) fn read(value: &str) -> Result<Self, JournalError> {
        let unreadable = || JournalError::Unreadable {
            store: STORE.to_owned(),
            why: format!("the head `{}`", value.escape_debug()),
        };
        let fields: Vec<&str> = value.split(' ').collect();
        let [
            form,
            incident,
            nth,
            turn,
            opened,
            until,
            due,
            last,
            length,
            run,
        ] = fields[..]
        else {
            return Err(unreadable());
        };
        if form != FORM {
            return Err(unreadable());
        }
        let time = |field: &str| {
            let micros = field.parse().map_err(|_| unreadable())?;
            from_micros(STORE, micros)
        };
        let maybe = |field: &str| match field {
            NONE => Ok(None),
            some => time(some).map(Some),
        };
        Ok(Self {
            incident: incident.into(),
            nth: nth.parse().map_err(|_| unreadable())?,
            turn: turn.parse().map_err(|_| unreadable())?,
            opened: time(opened)?,
            until: maybe(until)?,
            due: maybe(due)?,
            last: time(last)?,
            length: length.parse().map_err(|_| unreadable())?,
            run: (run != NONE).then(|| run.to_owned()),
        })
    }
}

/// A text as a tag value can carry it: other characters than AWS allows for every service become
/// `_`, and so does a space, which parts our fields.
pub(super) fn tag_text(text: &str, chars: usize) -> String {
    text.chars()
        .take(chars)
        .map(|c| match c {
            '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        })
        .collect()
}

/// A run's name as it stands in the head.
pub(super) fn run_text(run: &str) -> String {
    tag_text(run, RUN_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(run: Option<&str>) -> TagHead {
        let at: Timestamp = "2026-03-01T00:00:00.000001Z".parse().unwrap();
        TagHead {
            incident: "inc-0123456789abcdef".into(),
            nth: 7,
            turn: u64::MAX,
            opened: at,
            until: run.map(|_| at),
            due: None,
            last: at,
            length: usize::MAX,
            run: run.map(str::to_owned),
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_fits() {
        let longest = run_text(&"run ".repeat(100));
        for head in [head(None), head(Some("lambda-1")), head(Some(&longest))] {
            let text = head.text();
            assert_eq!(TagHead::read(&text), Ok(head));
            assert!(text.chars().count() <= VALUE_CHARS, "{text}");
        }
    }

    #[test]
    fn what_strangers_write_is_refused() {
        for value in [
            "",
            " ",
            "1",
            "2 a 0 0 0 - - 0 0 -",
            "1 a 0 0 x - - 0 0 -",
            "1 a 0 0 0 - - 0 -1 -",
        ] {
            assert!(TagHead::read(value).is_err(), "{value}");
        }
        assert!(TagHead::read("1 a 0 0 0 - - 0 0 -").is_ok());
    }
}

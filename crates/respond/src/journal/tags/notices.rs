//! Which notices went out: one carrier for an incident's notices, one tag for each.
//!
//! A digest has an id of its own and no log; it is kept in the same way.

use jiff::Timestamp;

use super::super::fields::{from_micros, lease_end, micros};
use super::super::{JournalError, NoticeMark, Once};
use super::carrier::{Carriers, Tags, unreachable};
use super::head::{VALUE_CHARS, run_text, tag_text};
use super::{INCIDENT, LOOKS, STORE, digest, pause};

/// Names the incident whose notices a carrier has.
const NOTICES: &str = "davylamp:notices";
const SENT: &str = "sent";
/// It did not go out, and whoever wants may send it.
const FREE: &str = "free";
const SENDING: &str = "sending";

/// What a notice's tag says.
enum Mark {
    Free,
    Sending { run: String, until: Timestamp },
    Sent,
}

impl Mark {
    fn read(value: Option<&String>) -> Result<Self, JournalError> {
        let value = value.map_or(FREE, String::as_str);
        let fields: Vec<&str> = value.split(' ').collect();
        match fields[..] {
            [FREE] => Ok(Self::Free),
            [SENT] => Ok(Self::Sent),
            [SENDING, until, run] => Ok(Self::Sending {
                run: run.to_owned(),
                until: from_micros(STORE, until.parse().map_err(|_| unreadable(value))?)?,
            }),
            _ => Err(unreadable(value)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Free => FREE.to_owned(),
            Self::Sent => SENT.to_owned(),
            Self::Sending { run, until } => format!("{SENDING} {} {run}", micros(*until)),
        }
    }

    /// What it means to a run that wants to send the notice; `None` where it may.
    fn forbids(&self, run: &str, now: Timestamp) -> Option<Once> {
        match self {
            Self::Sent => Some(Once::Sent),
            Self::Sending { run: other, until } if other != run && *until > now => {
                Some(Once::Busy { until: *until })
            }
            _ => None,
        }
    }
}

pub(super) async fn once(carriers: &Carriers, notice: &NoticeMark) -> Result<Once, JournalError> {
    let run = run_text(&notice.run);
    let ours = Mark::Sending {
        run: run.clone(),
        until: lease_end(notice.now, notice.lease_secs),
    };
    let mut written = false;
    for look in 0..LOOKS {
        pause(look).await;
        match find(carriers, notice).await? {
            None => {
                if make(carriers, notice, &ours).await? {
                    return Ok(Once::Ours);
                }
            }
            Some((id, mark)) => {
                if let Some(forbidden) = mark.forbids(&run, notice.now) {
                    return Ok(forbidden);
                }
                // Read back with our name it is ours: another that wrote later is seen here.
                if written && mark.text() == ours.text() {
                    return Ok(Once::Ours);
                }
                if !written {
                    write(carriers, &id, notice, &ours).await?;
                    written = true;
                    if let Some((_, mark)) = find(carriers, notice).await?
                        && mark.text() == ours.text()
                    {
                        return Ok(Once::Ours);
                    }
                }
            }
        }
    }
    Err(unreachable(format!(
        "the mark of a notice of {} cannot be read back",
        notice.incident
    )))
}

pub(super) async fn settle(
    carriers: &Carriers,
    notice: &NoticeMark,
    sent: bool,
) -> Result<(), JournalError> {
    let run = run_text(&notice.run);
    match find(carriers, notice).await? {
        Some((id, _)) if sent => write(carriers, &id, notice, &Mark::Sent).await,
        Some((id, Mark::Sending { run: by, .. })) if by == run => {
            write(carriers, &id, notice, &Mark::Free).await
        }
        None if sent && !make(carriers, notice, &Mark::Sent).await? => Err(unreachable(format!(
            "the notices of {} cannot be read back",
            notice.incident
        ))),
        _ => Ok(()),
    }
}

fn key(notice: &NoticeMark) -> String {
    format!("davylamp:notice-{}", digest(&notice.notice))
}

async fn find(
    carriers: &Carriers,
    notice: &NoticeMark,
) -> Result<Option<(String, Mark)>, JournalError> {
    let of = tag_text(notice.incident.as_str(), VALUE_CHARS);
    let found = carriers.with(NOTICES, &[of]).await?.into_iter().next();
    found
        .map(|(id, tags)| Ok((id, Mark::read(tags.get(&key(notice)))?)))
        .transpose()
}

async fn make(carriers: &Carriers, notice: &NoticeMark, mark: &Mark) -> Result<bool, JournalError> {
    let of = tag_text(notice.incident.as_str(), VALUE_CHARS);
    let name = format!("davylamp-{}-notices", digest(&of));
    let tags = Tags::from([
        (INCIDENT.to_owned(), of.clone()),
        (NOTICES.to_owned(), of),
        (key(notice), mark.text()),
    ]);
    Ok(carriers.make(&name, &tags).await?.is_some())
}

async fn write(
    carriers: &Carriers,
    id: &str,
    notice: &NoticeMark,
    mark: &Mark,
) -> Result<(), JournalError> {
    let tags = Tags::from([(key(notice), mark.text())]);
    carriers.write(id, &tags).await
}

fn unreadable(value: &str) -> JournalError {
    JournalError::Unreadable {
        store: STORE.to_owned(),
        why: format!("the mark `{}`", value.escape_debug()),
    }
}

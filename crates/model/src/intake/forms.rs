//! Unwrapping envelopes, and handing each thing inside to whoever reads its form.

use jiff::Timestamp;
use serde_json::Value;

use super::arn::ArnParts;
use super::excerpt::{excerpt, excerpt_of_bytes};
use super::members::{Gaps, Members};
use super::names::quoted;
use super::shape::{Form, form};
use super::strict::Strict;
use super::{Intake, MAX_BYTES, MAX_DEPTH, MAX_REJECTED, Rejected, Rejection};
use super::{asff, cloudtrail, cost, guardduty, ocsf, own, signals};
use crate::finding::Finding;

/// How many names are told apart among what is passed over; names may be a stranger's.
const MAX_PASSED_OVER: usize = 500;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What the envelopes around a finding say about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Envelope {
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) time: Option<Timestamp>,
}

/// Where the reader stands.
#[derive(Debug, Clone, Default)]
struct Spot {
    at: String,
    depth: usize,
    envelope: Envelope,
}

impl Spot {
    fn deeper(&self, step: &str) -> Self {
        Self {
            at: format!("{}{step}", self.at),
            depth: self.depth + 1,
            envelope: self.envelope.clone(),
        }
    }
}

/// Reads an input into an [`Intake`].
#[derive(Debug, Default)]
pub(super) struct Reader {
    intake: Intake,
    not_kept: u64,
}

impl Reader {
    /// Reads a whole input.
    pub(super) fn all(mut self, bytes: &[u8]) -> Intake {
        let start = Spot::default();
        let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        if bytes.len() > MAX_BYTES {
            let bytes = bytes.len();
            self.reject(&start, Rejection::TooLarge { bytes }, String::new());
        } else if bytes.starts_with(GZIP_MAGIC) {
            self.reject(&start, Rejection::Gzip, String::new());
        } else {
            self.bytes(bytes, &start);
        }
        if self.not_kept > 0 {
            let count = self.not_kept;
            self.intake.rejected.push(Rejected {
                at: "elsewhere".to_owned(),
                why: Rejection::More { count },
                excerpt: String::new(),
            });
        }
        self.intake
    }

    fn reject(&mut self, spot: &Spot, why: Rejection, excerpt: String) {
        if self.intake.rejected.len() >= MAX_REJECTED {
            self.not_kept += 1;
            return;
        }
        let at = match spot.at.as_str() {
            "" => "the input".to_owned(),
            at => at.to_owned(),
        };
        self.intake.rejected.push(Rejected { at, why, excerpt });
    }

    fn pass_over(&mut self, name: &str) {
        let names = &mut self.intake.passed_over;
        let name = quoted(name);
        let name = if names.len() >= MAX_PASSED_OVER && !names.contains_key(&name) {
            "other events".to_owned()
        } else {
            name
        };
        *names.entry(name).or_default() += 1;
    }

    /// Reads a text: any number of JSON values one after the other, or a budget's letter.
    fn bytes(&mut self, bytes: &[u8], spot: &Spot) {
        let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(start) = start else {
            return self.reject(spot, Rejection::Empty, String::new());
        };
        if !matches!(bytes[start], b'{' | b'[' | b'"')
            && let Ok(text) = std::str::from_utf8(bytes)
            && let Some(finding) = cost::budget_letter(text, &spot.envelope)
        {
            self.intake.findings.push(finding);
            return;
        }
        if spot.depth > 0 && !matches!(bytes[start], b'{' | b'[' | b'"') {
            // A text within JSON that holds no JSON itself.
            return self.reject(spot, Rejection::NotAnObject, excerpt_of_bytes(bytes));
        }
        let mut from = start;
        let mut line = 1 + newlines(&bytes[..start]);
        while from < bytes.len() {
            let rest = &bytes[from..];
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Strict>();
            let place = match spot.at.as_str() {
                "" => format!("line {line}"),
                at => at.to_owned(),
            };
            let here = Spot {
                at: place,
                ..spot.clone()
            };
            let used = match values.next() {
                None => rest.len(),
                Some(Ok(Strict { value, twice })) => {
                    match twice {
                        None => self.value(&value, &here),
                        Some(member) => {
                            let member = quoted(&member);
                            self.reject(&here, Rejection::Twice { member }, excerpt(&value));
                        }
                    }
                    values.byte_offset()
                }
                Some(Err(error)) => {
                    let used = next_part(rest);
                    let why = if std::str::from_utf8(&rest[..used]).is_err() {
                        Rejection::NotText
                    } else {
                        not_json(&error)
                    };
                    self.reject(&here, why, excerpt_of_bytes(&rest[..used]));
                    used
                }
            };
            let space = rest[used..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace() || **byte == b'\x1e')
                .count();
            // A value is at least one byte; the minimum keeps this loop finite whatever the parser
            // says.
            let step = (used + space).max(1);
            line += newlines(&rest[..step.min(rest.len())]);
            from += step;
        }
    }

    fn value(&mut self, value: &Value, spot: &Spot) {
        if spot.depth > MAX_DEPTH {
            return self.reject(spot, Rejection::TooDeep, excerpt(value));
        }
        match value {
            Value::Object(_) => self.object(value, spot),
            Value::Array(items) => self.list(items.iter(), "", spot),
            Value::String(text) => self.bytes(text.as_bytes(), &spot.deeper("")),
            _ => self.reject(spot, Rejection::NotAnObject, excerpt(value)),
        }
    }

    fn list<'v>(&mut self, items: impl Iterator<Item = &'v Value>, name: &str, spot: &Spot) {
        let mut empty = true;
        for (index, item) in items.enumerate() {
            empty = false;
            self.value(item, &spot.deeper(&format!("{name}[{index}]")));
        }
        if empty {
            self.pass_over("an empty list");
        }
    }

    fn object(&mut self, value: &Value, spot: &Spot) {
        let quiet = Gaps::default();
        let members = Members::of(value, &quiet);
        let envelope = &spot.envelope;
        match form(members) {
            Some(Form::Event) => self.event(members, spot),
            Some(Form::List(name)) => {
                let list = members.get(name).and_then(|list| list.value().as_array());
                let step = if spot.at.is_empty() { "" } else { ", " };
                self.list(list.into_iter().flatten(), &format!("{step}{name}"), spot);
            }
            Some(Form::SnsRecord) => self.inner(members, "Sns", spot),
            Some(Form::Notification) => self.notification(members, spot),
            Some(Form::Message) => self.inner(members, "body", spot),
            Some(Form::GivenUp) => self.inner(members, "requestPayload", spot),
            Some(Form::S3Record) => self.reject(spot, Rejection::Pointer, excerpt(value)),
            Some(Form::Ocsf) => match ocsf::read(value, envelope) {
                Ok(finding) => self.intake.findings.push(finding),
                Err(why) => self.reject(spot, why, excerpt(value)),
            },
            Some(Form::Asff) => self.intake.findings.push(asff::read(value, envelope)),
            Some(Form::CloudTrail) => self.found(cloudtrail::read(value, envelope)),
            Some(Form::Alarm) => self.found(cost::alarm_notice(value)),
            Some(Form::Anomaly) => self.intake.findings.push(cost::anomaly(value, envelope)),
            Some(Form::Budget) => self.intake.findings.push(cost::budget(value, envelope)),
            Some(Form::Guard) => match own::read(value) {
                Ok(found) => self.found(found),
                Err(why) => self.reject(spot, why, excerpt(value)),
            },
            Some(Form::GuardDuty) => self.intake.findings.push(guardduty::read(value, envelope)),
            None => self.reject(spot, Rejection::UnknownForm, excerpt(value)),
        }
    }

    fn inner(&mut self, members: Members<'_>, name: &'static str, spot: &Spot) {
        match members.get(name) {
            Some(member) => self.value(member.value(), &spot.deeper(&format!(".{name}"))),
            None => self.reject(spot, Rejection::UnknownForm, excerpt(members.value())),
        }
    }

    fn found(&mut self, found: Found) {
        match found {
            Found::Findings(findings) => self.intake.findings.extend(findings),
            Found::Nothing(name) => self.pass_over(&name),
        }
    }

    fn notification(&mut self, members: Members<'_>, spot: &Spot) {
        match members.text("Type") {
            Some(kind) if !kind.eq_ignore_ascii_case("Notification") => {
                return self.pass_over(&format!("SNS {kind}"));
            }
            _ => {}
        }
        let mut spot = spot.clone();
        let topic = members.text("TopicArn").and_then(ArnParts::of);
        if let Some(topic) = topic {
            spot.envelope = Envelope {
                account: Some(topic.account.to_owned()),
                region: Some(topic.region.to_owned()),
                time: members.time("Timestamp"),
            };
        }
        self.inner(members, "Message", &spot);
    }

    fn event(&mut self, members: Members<'_>, spot: &Spot) {
        let mut spot = spot.deeper(".detail");
        spot.envelope = Envelope {
            account: members.text("account").map(str::to_owned),
            region: members.text("region").map(str::to_owned),
            time: members.time("time"),
        };
        let kind = members.text("detail-type").unwrap_or_default();
        if kind.eq_ignore_ascii_case("Scheduled Event") {
            self.intake.signals.push(signals::tick(members));
            return;
        }
        let Some(detail) = members.get("detail") else {
            let why = Rejection::HalfEmpty {
                form: "an event",
                missing: "its detail",
            };
            return self.reject(&spot, why, excerpt(members.value()));
        };
        let value = detail.value();
        let source = members.text("source").unwrap_or_default();
        if spot.depth > MAX_DEPTH {
            self.reject(&spot, Rejection::TooDeep, excerpt(value));
        } else if kind.eq_ignore_ascii_case("GuardDuty Finding") && value.is_object() {
            let finding = guardduty::read(value, &spot.envelope);
            self.intake.findings.push(finding);
        } else if signals::is_snapshot(kind) && value.is_object() {
            match signals::snapshots(members, detail) {
                Ok(Some(found)) => self.intake.signals.extend(found),
                Ok(None) => self.pass_over(&signals::name(kind, detail)),
                Err(why) => self.reject(&spot, why, excerpt(value)),
            }
        } else if kind.eq_ignore_ascii_case("CloudWatch Alarm State Change") && value.is_object() {
            self.found(cost::alarm_event(value, &spot.envelope));
        } else if source.eq_ignore_ascii_case("aws.budgets") && value.is_object() {
            let finding = cost::budget(value, &spot.envelope);
            self.intake.findings.push(finding);
        } else if value.is_object() && form(detail).is_none() && !kind.is_empty() {
            let why = Rejection::UnknownEvent { what: quoted(kind) };
            self.reject(&spot, why, excerpt(value));
        } else {
            self.value(value, &spot);
        }
    }
}

/// What an event that may be nobody's finding turned out to be.
#[derive(Debug)]
pub(super) enum Found {
    /// Findings.
    Findings(Vec<Finding>),
    /// Nobody's finding; its name.
    Nothing(String),
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// Where to go on after a part that is not JSON: the next line that begins an object or a list at
/// its very start. Lines inside a printed object are indented, so they are not taken for parts.
fn next_part(bytes: &[u8]) -> usize {
    bytes
        .windows(2)
        .position(|pair| pair[0] == b'\n' && matches!(pair[1], b'{' | b'['))
        .map_or(bytes.len(), |newline| newline + 1)
}

fn not_json(error: &serde_json::Error) -> Rejection {
    let what = error.to_string();
    let what = what
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    Rejection::NotJson {
        what,
        line: error.line(),
        column: error.column(),
    }
}

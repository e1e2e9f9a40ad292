//! One match, in each form in which it is printed.

use davylamp_content::detection::{Action, Detection, Response};
use davylamp_detect::command::{Finding, Sign};
use davylamp_detect::wire;
use davylamp_model::finding::{self, Behaviour, FindingSource, Observed};
use davylamp_model::ids::FindingId;
use davylamp_model::ocsf::to_ocsf;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

/// A match, with its keys in this order in JSON.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    /// Where several files are read, which.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    line: u64,
    action: &'static str,
    detection: &'a str,
    matched: &'a str,
    why: &'a str,
    score: u32,
    /// What other detections found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<Also<'a>>,
}

#[derive(Debug, Serialize)]
struct Also<'a> {
    action: &'static str,
    detection: &'a str,
    matched: &'a str,
    why: &'a str,
}

impl<'a> Record<'a> {
    pub fn new(file: Option<&'a str>, line: u64, found: &'a Finding<'_>) -> Self {
        let (first, others) = match found.signs.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, &[][..]),
        };
        let also = others.iter().map(|sign| Also {
            action: sign.action.as_str(),
            detection: &sign.detection.name,
            matched: &sign.matched,
            why: &sign.why,
        });
        let of = |part: fn(&'a Sign<'_>) -> &'a str| first.map_or("", part);
        Self {
            file,
            line,
            action: found.action.as_str(),
            detection: of(|sign| &sign.detection.name),
            matched: of(|sign| &sign.matched),
            why: of(|sign| &sign.why),
            score: found.score,
            also: also.collect(),
        }
    }

    pub fn json(&self) -> String {
        let object = serde_json::to_string(self).unwrap_or_default();
        object + "\n"
    }

    pub fn text(&self) -> String {
        let file = self.file.map(|file| format!("{file}:")).unwrap_or_default();
        let mut text = format!(
            "{file}{}: {:5} {} ({})\n    {}\n",
            self.line, self.action, self.detection, self.matched, self.why
        );
        for also in &self.also {
            text.push_str(&format!(
                "    also {} ({}): {}\n",
                also.detection, also.matched, also.why
            ));
        }
        text
    }

    pub fn ocsf(&self, found: &Finding<'_>) -> String {
        let Some(sign) = found.signs.first() else {
            return String::new();
        };
        let place = match self.file {
            Some(file) => format!("{file}:{}", self.line),
            None => format!("line {}", self.line),
        };
        let gap = "A line that was kept says nothing of who ran it, where or when.";
        let mut finding = finding(sign.detection, &place, gap);
        finding.observed.push(Observed {
            what: "matched".to_owned(),
            value: sign.matched.clone(),
        });
        object(&finding, &sign.why, found.score)
    }
}

/// A sign of mining in a capture, with its keys in this order in JSON.
#[derive(Debug, Serialize)]
pub(super) struct Packet<'a> {
    /// Where several files are read, which.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    /// When, of the capture's clock.
    time: String,
    #[serde(serialize_with = "by_name")]
    pub action: Action,
    detection: &'a str,
    matched: String,
    why: String,
    client: String,
    server: String,
    #[serde(flatten)]
    facts: Facts<'a>,
    score: u8,
    #[serde(skip)]
    of: &'a Detection,
}

/// What is known of who is paid.
#[derive(Debug, Serialize)]
struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
}

fn by_name<S: serde::Serializer>(action: &Action, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(action.as_str())
}

impl<'a> Packet<'a> {
    pub fn new(file: Option<&'a str>, detection: &'a Detection, sign: &'a wire::Sign) -> Self {
        let facts = &sign.facts;
        let matched = facts.method.clone().or_else(|| sign.name.clone());
        let matched = matched.or_else(|| facts.rhythm.clone());
        let time = Timestamp::from_nanosecond(i128::from(sign.time_ns));
        Self {
            file,
            // A time beyond the calendar is no time.
            time: time.map_or_else(|_| sign.time_ns.to_string(), |time| time.to_string()),
            action: match detection.response {
                Response::Kill => Action::Kill,
                Response::Alert => Action::Alert,
            },
            detection: &detection.name,
            matched: matched.unwrap_or_else(|| sign.seen.as_str().to_owned()),
            why: format!(
                "{}: {} between {} and {}",
                detection.title,
                sign.seen.as_str(),
                sign.client,
                sign.server
            ),
            client: sign.client.to_string(),
            server: sign.server.to_string(),
            facts: Facts {
                name: sign.name.as_deref(),
                wallet: facts.wallet.as_deref(),
                worker: facts.worker.as_deref(),
                algorithm: facts.algorithm.as_deref(),
                agent: facts.agent.as_deref(),
            },
            score: detection.score,
            of: detection,
        }
    }

    fn known(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let facts = [
            ("name", self.facts.name),
            ("wallet", self.facts.wallet),
            ("worker", self.facts.worker),
            ("algorithm", self.facts.algorithm),
            ("agent", self.facts.agent),
        ];
        facts
            .into_iter()
            .filter_map(|(what, value)| Some((what, value?)))
    }

    pub fn json(&self) -> String {
        let object = serde_json::to_string(self).unwrap_or_default();
        object + "\n"
    }

    pub fn text(&self) -> String {
        let file = self
            .file
            .map(|file| format!("{file}: "))
            .unwrap_or_default();
        let mut text = format!(
            "{file}{}: {:5} {} ({})\n    {}\n",
            self.time,
            self.action.as_str(),
            self.detection,
            self.matched,
            self.why
        );
        let known: Vec<String> = self
            .known()
            .map(|(what, value)| format!("{what} {value}"))
            .collect();
        if !known.is_empty() {
            text.push_str(&format!("    {}\n", known.join(", ")));
        }
        text
    }

    pub fn ocsf(&self) -> String {
        let place = format!(
            "{}:{}:{}",
            self.file.unwrap_or_default(),
            self.time,
            self.client
        );
        let gap = "A capture says nothing of the process that held the connection.";
        let mut finding = finding(self.of, &place, gap);
        let time = self.time.parse().ok();
        (finding.first_seen, finding.last_seen) = (time, time);
        let facts = self.known().map(|(what, value)| {
            let what = if what == "name" { "domain" } else { what };
            (what, value.to_owned())
        });
        let server: Option<std::net::SocketAddr> = self.server.parse().ok();
        let address = server.map_or_else(|| self.server.clone(), |server| server.ip().to_string());
        let ends = [
            ("remote-address", address),
            ("server", self.server.clone()),
            ("matched", self.matched.clone()),
        ];
        finding
            .observed
            .extend(ends.into_iter().chain(facts).map(|(what, value)| Observed {
                what: what.to_owned(),
                value,
            }));
        object(&finding, &self.why, u32::from(self.score))
    }
}

fn finding(detection: &Detection, place: &str, gap: &str) -> finding::Finding {
    finding::Finding {
        id: FindingId::from(format!("davylamp:replay:{}:{place}", detection.name).as_str()),
        source: FindingSource::Davylamp,
        kind: detection.name.clone(),
        behaviour: Behaviour::Mining,
        title: detection.title.clone(),
        severity: detection.severity,
        place: None,
        resources: Vec::new(),
        first_seen: None,
        last_seen: None,
        count: 1,
        sample: false,
        archived: false,
        detector: None,
        observed: Vec::new(),
        gaps: vec![gap.to_owned()],
    }
}

fn object(finding: &finding::Finding, why: &str, score: u32) -> String {
    let mut object = to_ocsf(finding);
    // What was kept says nothing of a cloud.
    object.as_object_mut().map(|object| object.remove("cloud"));
    object["metadata"]["profiles"] = json!(["datetime"]);
    object["finding_info"]["desc"] = json!(why);
    object["confidence_score"] = json!(score.min(100));
    object.to_string() + "\n"
}

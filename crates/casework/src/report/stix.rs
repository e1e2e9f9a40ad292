//! What others can look for, as a STIX 2.1 bundle
//! (<https://docs.oasis-open.org/cti/stix/v2.1/os/stix-v2.1-os.html>).
//!
//! What must stay true: a bundle is the same for the same case, so ids are UUIDs of version 5; nothing
//! becomes an indicator that is not the intruder's or was not used by the intruder, so that nobody who is
//! innocent is looked for; what others wrote can end no pattern.
//!
//! Users, roles and keys are `user-account` objects: `user_id` is the ARN, or the id of the key, which is no
//! secret. `account_type` is an open vocabulary without a word for AWS; `aws-iam` and `aws-access-key` are
//! ours. `credential` is left out: it is for secrets.

mod id;
mod technique;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use davylamp_model::visible;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::technique::Technique;
use super::{story, word};
use crate::case::{Act, Case, Credential, Hand, Place, Principal, Span};

/// The most that `number_observed` may be (STIX 2.1, 4.14.1).
const MOST_OBSERVED: u64 = 999_999_999;
/// No more of a sentence goes into a description.
const MOST_CHARS: usize = 1_000;

/// Who may be told, by the Traffic Light Protocol as STIX 2.1 has it (7.2.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tlp {
    /// Anybody.
    White,
    /// The community.
    Green,
    /// Those of one's own organisation, and of its clients, who need it.
    #[default]
    Amber,
    /// Those in the room.
    Red,
}

impl Tlp {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
        }
    }

    /// The marking's id, which the specification fixes.
    fn id(self) -> &'static str {
        match self {
            Self::White => "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
            Self::Green => "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
            Self::Amber => "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
            Self::Red => "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
        }
    }

    fn marking(self) -> Value {
        json!({
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": self.id(),
            "created": "2017-01-20T00:00:00.000Z",
            "definition_type": "tlp",
            "name": format!("TLP:{}", self.as_str().to_uppercase()),
            "definition": {"tlp": self.as_str()},
        })
    }
}

/// The bundle of a case, as text.
pub(super) fn bundle(case: &Case, tlp: Tlp) -> String {
    let mut making = Making::begin(case, tlp);
    for place in case.places.iter().filter(|one| one.hand == Hand::Intruder) {
        making.place(place);
    }
    for one in &case.principals {
        if one.is_made_by_intruder || one.is_used_by_intruder {
            making.principal(one);
        }
    }
    let used = case.credentials.iter().filter(|key| key.intruder_acts > 0);
    for key in used.filter(|key| is_key(&key.id)) {
        making.credential(key);
    }
    making.techniques();
    making.finish()
}

/// A bundle that is being made.
struct Making<'a> {
    case: &'a Case,
    tlp: Tlp,
    /// When all in it was made.
    at: Timestamp,
    by: String,
    objects: Vec<Value>,
    ids: BTreeSet<String>,
    /// What the intruder did, by the technique that it is.
    acts: Vec<(&'a Act, &'static Technique)>,
}

impl<'a> Making<'a> {
    fn begin(case: &'a Case, tlp: Tlp) -> Self {
        let at = case.asked.made_at.or(case.span.map(|span| span.last));
        let by = id::ours("identity", "davylamp");
        let intruders = case
            .timeline
            .iter()
            .filter(|act| act.hand == Hand::Intruder);
        let mut making = Self {
            case,
            tlp,
            at: at.unwrap_or(Timestamp::UNIX_EPOCH),
            by: by.clone(),
            objects: Vec::new(),
            ids: BTreeSet::new(),
            acts: intruders
                .filter_map(|act| Some((act, technique::of(act)?)))
                .collect(),
        };
        making.put(tlp.id().to_owned(), tlp.marking());
        // Its own moment is fixed: the maker is the same in every bundle.
        let maker = json!({
            "type": "identity",
            "spec_version": "2.1",
            "id": by,
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "name": "Davylamp",
            "identity_class": "system",
        });
        making.put(by, maker);
        making
    }

    fn put(&mut self, id: String, object: Value) {
        if self.ids.insert(id) {
            self.objects.push(object);
        }
    }

    /// Adds an object of the case, and gives its id.
    fn add(&mut self, kind: &str, key: &str, members: Value) -> String {
        let moment = stamp(self.at);
        let id = id::ours(kind, &format!("{moment}\n{key}"));
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(kind));
        object.insert("spec_version".to_owned(), json!("2.1"));
        object.insert("id".to_owned(), json!(id));
        object.insert("created_by_ref".to_owned(), json!(self.by));
        object.insert("created".to_owned(), json!(moment));
        object.insert("modified".to_owned(), json!(moment));
        object.insert("object_marking_refs".to_owned(), json!([self.tlp.id()]));
        if let Value::Object(members) = members {
            object.extend(members);
        }
        self.put(id.clone(), Value::Object(object));
        id
    }

    /// Adds something that can be seen, and gives its id.
    fn observable(&mut self, kind: &str, telling: Value, rest: Value) -> String {
        let id = id::observable(kind, &telling);
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(kind));
        object.insert("spec_version".to_owned(), json!("2.1"));
        object.insert("id".to_owned(), json!(id));
        object.insert("object_marking_refs".to_owned(), json!([self.tlp.id()]));
        for members in [telling, rest] {
            if let Value::Object(members) = members {
                object.extend(members);
            }
        }
        self.put(id.clone(), Value::Object(object));
        id
    }

    fn place(&mut self, place: &Place) {
        let Some(address) = Address::read(&place.address) else {
            return;
        };
        let kind = address.kind();
        let seen = self.observable(kind, json!({"value": address.value}), json!({}));
        let mut refs = vec![seen];
        for name in &place.principals {
            let known = self.case.principals.iter().find(|one| one.id == *name);
            refs.extend(known.map(|one| self.account(one)));
        }
        let span = place.span.unwrap_or(Span {
            first: self.at,
            last: self.at,
        });
        let observed = self.add(
            "observed-data",
            &place.address,
            json!({
                "first_observed": stamp(span.first),
                "last_observed": stamp(span.last),
                "number_observed": place.calls.clamp(1, MOST_OBSERVED),
                "object_refs": refs,
            }),
        );
        let indicator = self.indicator(
            &format!("The intruder called from {}", visible::line(&place.address)),
            &format!(
                "[{kind}:value {} {}]",
                address.comparison(),
                quoted(&address.value)
            ),
            "malicious-activity",
            span.first,
        );
        self.relate(&indicator, "based-on", &observed);
        let here = |act: &Act| act.place.as_deref() == Some(place.address.as_str());
        self.indicates(&indicator, here);
    }

    fn account(&mut self, one: &Principal) -> String {
        let telling = json!({
            "account_type": "aws-iam",
            "user_id": one.id,
            "account_login": one.name,
        });
        self.observable("user-account", telling, json!({}))
    }

    fn principal(&mut self, one: &Principal) {
        self.account(one);
        // Whose credentials were stolen is a victim, and is not looked for as a whole.
        if !one.is_made_by_intruder {
            return;
        }
        let indicator = self.indicator(
            &format!("The intruder made {}", visible::line(&one.name)),
            &format!("[user-account:user_id = {}]", quoted(&one.id)),
            "malicious-activity",
            one.span.map_or(self.at, |span| span.first),
        );
        self.indicates(&indicator, |act| act.principal == one.id);
    }

    fn credential(&mut self, key: &Credential) {
        let telling = json!({
            "account_type": "aws-access-key",
            "user_id": key.id,
            "account_login": key.principal,
        });
        self.observable("user-account", telling, json!({}));
        let mut principals = self.case.principals.iter();
        let is_theirs = principals.any(|one| one.id == key.principal && one.is_made_by_intruder);
        let kind = match is_theirs && key.owner_acts == 0 {
            true => "malicious-activity",
            false => "compromised",
        };
        let indicator = self.indicator(
            &format!("The intruder used {}", visible::line(&key.id)),
            &format!("[user-account:user_id = {}]", quoted(&key.id)),
            kind,
            key.span.map_or(self.at, |span| span.first),
        );
        self.indicates(&indicator, |act| {
            act.credential.as_deref() == Some(key.id.as_str())
        });
    }

    fn indicator(&mut self, name: &str, pattern: &str, kind: &str, since: Timestamp) -> String {
        self.add(
            "indicator",
            pattern,
            json!({
                "name": visible::cut(name, MOST_CHARS),
                "description": "Seen in an intrusion into an AWS account that was used to mine.",
                "indicator_types": [kind],
                "pattern": pattern,
                "pattern_type": "stix",
                "valid_from": stamp(since),
            }),
        )
    }

    /// Relates an indicator to the techniques of the acts that it was part of.
    fn indicates(&mut self, indicator: &str, is_part: impl Fn(&Act) -> bool) {
        let acts = self.acts.iter().filter(|(act, _)| is_part(act));
        let used: BTreeSet<&'static Technique> = acts.map(|(_, technique)| *technique).collect();
        for technique in used {
            let pattern = self.attack_pattern(technique);
            self.relate(indicator, "indicates", &pattern);
        }
    }

    fn relate(&mut self, from: &str, how: &str, to: &str) {
        let members = json!({
            "relationship_type": how,
            "source_ref": from,
            "target_ref": to,
        });
        self.add("relationship", &format!("{from} {how} {to}"), members);
    }

    fn attack_pattern(&mut self, technique: &Technique) -> String {
        self.add(
            "attack-pattern",
            technique.id,
            json!({
                "name": technique.name,
                "external_references": [{
                    "source_name": "mitre-attack",
                    "external_id": technique.id,
                    "url": technique.url(),
                }],
            }),
        )
    }

    /// The techniques of all acts, also of those that no indicator was part of.
    fn techniques(&mut self) {
        let mut used: BTreeMap<&'static Technique, u64> = BTreeMap::new();
        for (act, technique) in &self.acts {
            let acts = used.entry(technique).or_default();
            *acts = acts.saturating_add(act.count);
        }
        if self.case.span.is_none() {
            return;
        }
        let incident = self.add(
            "incident",
            "incident",
            json!({"name": story::title(self.case), "description": self.summary()}),
        );
        for (technique, acts) in used {
            let pattern = self.attack_pattern(technique);
            let members = json!({
                "relationship_type": "related-to",
                "source_ref": incident,
                "target_ref": pattern,
                "description": word::count(acts, "act", "acts"),
            });
            self.add("relationship", &format!("{incident} {pattern}"), members);
        }
    }

    fn summary(&self) -> String {
        let said = self.case.summary.iter().map(|one| visible::line(&one.text));
        visible::cut(&said.collect::<Vec<_>>().join(" "), MOST_CHARS)
    }

    fn finish(mut self) -> String {
        let marking = self.tlp.id();
        let refs = self
            .objects
            .iter()
            .filter_map(|object| object["id"].as_str());
        let refs: Vec<String> = refs
            .filter(|id| *id != marking)
            .map(str::to_owned)
            .collect();
        let summary = match self.summary() {
            none if none.is_empty() => "Nothing is said.".to_owned(),
            summary => summary,
        };
        let members = json!({
            "name": story::title(self.case),
            "description": summary,
            "report_types": ["indicator", "observed-data"],
            "published": stamp(self.at),
            "object_refs": refs,
        });
        self.add("report", "report", members);
        let id = id::ours("bundle", &stamp(self.at));
        let bundle = json!({"type": "bundle", "id": id, "objects": self.objects});
        format!("{bundle:#}\n")
    }
}

/// Whether this is the id of a key, and no name for a session or a console
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>).
fn is_key(id: &str) -> bool {
    (16..=128).contains(&id.len())
        && id
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// An address or a network.
struct Address {
    value: String,
    is_v6: bool,
    is_network: bool,
}

impl Address {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv6() { 128 } else { 32 };
        if bits.is_some_and(|bits| bits > most) {
            return None;
        }
        Some(Self {
            value: bits.map_or_else(|| address.to_string(), |bits| format!("{address}/{bits}")),
            is_v6: address.is_ipv6(),
            is_network: bits.is_some_and(|bits| bits < most),
        })
    }

    fn kind(&self) -> &'static str {
        match self.is_v6 {
            true => "ipv6-addr",
            false => "ipv4-addr",
        }
    }

    fn comparison(&self) -> &'static str {
        match self.is_network {
            true => "ISSUBSET",
            false => "=",
        }
    }
}

/// A moment as STIX writes it: to the millisecond.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A text in a pattern (STIX 2.1, 9.2.1): an apostrophe and a backslash stand behind a backslash.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

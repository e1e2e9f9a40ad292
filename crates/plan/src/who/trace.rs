//! From one pod or one claim to the Hub user it is of.
//!
//! The annotation `hub.jupyter.org/username` holds the name as the Hub spells it and is the
//! strongest proof. The Hub's own word on a pod, labels and names follow. What the Hub's list can
//! confirm is confirmed; where the list could not be read only an annotation is proof, and a name
//! taken out of another name never is. Proofs that contradict each other make everyone they lead to
//! a candidate.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::HubUser;
use davylamp_model::inventory::Tags;

use super::slug::{self, SlugIndex};

/// The annotation, and the label, that KubeSpawner gives to a user's pods and claims.
pub(crate) const USERNAME: &str = "hub.jupyter.org/username";
/// The annotation with the name of a named server.
const SERVERNAME: &str = "hub.jupyter.org/servername";

/// How sure a link to a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Whether the name was found in the Hub's list.
    pub confirmed: bool,
    /// Whether it is proof enough to act on.
    pub proven: bool,
    /// What proves it.
    pub text: String,
}

/// What is known of one pod or claim.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trace<'a> {
    pub annotations: Option<&'a Tags>,
    pub labels: Option<&'a Tags>,
    /// A pod's name, which the Hub may know.
    pub pod: Option<&'a str>,
    /// The name of the object, quoted in proofs, and the slug in it by the template.
    pub named: Option<(&'a str, &'a str)>,
    /// Whether a slug that leads to nobody is still somebody's.
    pub surely_somebody: bool,
    /// Why this may be another Hub's, where it may.
    pub doubt: Option<&'a str>,
}

impl Trace<'_> {
    /// Everyone this may be of. `hub` is the Hub's list, where it could be read.
    pub(crate) fn users(&self, hub: Option<&SlugIndex>) -> BTreeMap<HubUser, Proof> {
        let mut users = match hub {
            Some(hub) => self.by_list(hub),
            None => self.without_list(),
        };
        if let Some(doubt) = self.doubt {
            for proof in users.values_mut() {
                proof.proven = false;
                proof.text = format!("{}; but {doubt}", proof.text);
            }
        }
        users
    }

    fn annotated(&self) -> Option<HubUser> {
        let name = self.annotations?.get(USERNAME)?;
        (!name.is_empty()).then(|| HubUser(name.clone()))
    }

    fn label(&self) -> Option<&str> {
        let value = self.labels?.get(USERNAME)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    fn by_list(&self, hub: &SlugIndex) -> BTreeMap<HubUser, Proof> {
        let mut found = BTreeMap::new();
        let running = self.pod.map(|pod| (pod, hub.users_of_pod(pod)));
        let label = self.label().map(|value| (value, hub.users_of_label(value)));
        let named = self
            .named
            .map(|(name, slug)| (name, hub.users_of_slug(slug)));
        let mut weaker: Vec<(BTreeSet<&HubUser>, String)> = Vec::new();
        if let Some((pod, users)) = running {
            weaker.push((
                users,
                format!("the Hub says that {pod} is this user's server"),
            ));
        }
        if let Some((value, users)) = label {
            let text = format!(
                "label {USERNAME}={value} is the escaped form of this user's name in the Hub's list"
            );
            weaker.push((users, text));
        }
        if let Some((name, users)) = named {
            let text =
                format!("{name} is what KubeSpawner makes of this user's name in the Hub's list");
            weaker.push((users, text));
        }
        weaker.retain(|(users, _)| !users.is_empty());

        // The strongest proof says who; a weaker one that agrees narrows it, and one that does not
        // agree adds whom it means.
        let mut agreed: Option<BTreeSet<HubUser>> = None;
        let mut others: BTreeMap<HubUser, String> = BTreeMap::new();
        let mut texts: Vec<String> = Vec::new();
        if let Some(user) = self.annotated() {
            texts.push(format!("annotation {USERNAME}={user}"));
            agreed = Some(BTreeSet::from([user]));
        }
        for (users, text) in weaker {
            let users: BTreeSet<HubUser> = users.into_iter().cloned().collect();
            match &agreed {
                None => {
                    agreed = Some(users);
                    texts.push(text);
                }
                Some(held) => {
                    let both: BTreeSet<HubUser> = held.intersection(&users).cloned().collect();
                    if both.is_empty() {
                        others.extend(users.into_iter().map(|user| (user, text.clone())));
                    } else {
                        agreed = Some(both);
                        texts.push(text);
                    }
                }
            }
        }
        let agreed = agreed.unwrap_or_default();
        let several = agreed.len() + others.len() > 1;
        for user in agreed {
            let confirmed = hub.user(&user).is_some();
            let mut text = texts.join(", and ");
            if !confirmed {
                text.push_str(", whom the Hub does not have");
            }
            if several {
                text.push_str(", but others fit or are named too");
            }
            found.insert(
                user,
                Proof {
                    confirmed,
                    proven: confirmed,
                    text,
                },
            );
        }
        for (user, text) in others {
            found.entry(user).or_insert(Proof {
                confirmed: true,
                proven: true,
                text: format!("{text}, which contradicts: {}", texts.join(", and ")),
            });
        }
        if found.is_empty() {
            found.extend(self.guess("the Hub's list has no user whose name is written so"));
        }
        found
    }

    fn without_list(&self) -> BTreeMap<HubUser, Proof> {
        let Some(user) = self.annotated() else {
            return self
                .guess(
                    "there is no list of the Hub to confirm it, and a name in a name is no proof",
                )
                .into_iter()
                .collect();
        };
        let mut found = BTreeMap::new();
        let doubtful = self.contradiction(&user);
        found.insert(
            user.clone(),
            Proof {
                confirmed: false,
                proven: doubtful.is_none(),
                text: format!(
                    "annotation {USERNAME}={user}; there is no list of the Hub to confirm it, so the \
                     annotation alone says so"
                ),
            },
        );
        if let Some((other, text)) = doubtful {
            found.entry(other).or_insert(Proof {
                confirmed: false,
                proven: false,
                text,
            });
        }
        found
    }

    /// Whom the label or the name means instead, where it cannot mean the annotated user.
    fn contradiction(&self, user: &HubUser) -> Option<(HubUser, String)> {
        let name = user.as_str();
        if let Some(value) = self.label()
            && value != slug::safe_label(name)
            && value != slug::escape(name)
        {
            let text = format!("label {USERNAME}={value} is not this annotation's user's");
            return Some((propose(value), text));
        }
        let (object, held) = self.named?;
        let server = self
            .annotations
            .and_then(|annotations| annotations.get(SERVERNAME))
            .map_or("", String::as_str);
        let (escaped, safe) = (slug::escape(name), slug::safe_slug(name));
        let is_theirs = held == slug::safe_user_server(name, server)
            || [escaped, safe].iter().any(|own| {
                // What follows the user's part is a server's, joined by one of several templates.
                held == own
                    || held
                        .strip_prefix(own.as_str())
                        .is_some_and(|rest| rest.starts_with("--") || !server.is_empty())
            });
        // A hash over user and server can only be checked with the server's name.
        let unverifiable = held.contains("---");
        (!is_theirs && !unverifiable).then(|| {
            let text = format!("{object} is not what KubeSpawner makes of the annotated {user}");
            (propose(held), text)
        })
    }

    fn guess(&self, why: &str) -> Option<(HubUser, Proof)> {
        let (shown, held) = match (self.label(), self.named) {
            (Some(value), _) => (format!("label {USERNAME}={value}"), value),
            (None, Some((name, held))) if self.surely_somebody => (name.to_owned(), held),
            _ => return None,
        };
        let proof = Proof {
            confirmed: false,
            proven: false,
            text: format!("{shown} looks like this user's, but {why}"),
        };
        Some((propose(held), proof))
    }
}

/// The name a slug would be of under the old scheme; the slug itself where it is none of it.
fn propose(slug: &str) -> HubUser {
    HubUser(slug::unescape(slug).unwrap_or_else(|| slug.to_owned()))
}

//! Whom a provider's word lets in, and what they may do and see.

use davylamp_ledger::Record;
use davylamp_ledger::record::Setting;
use serde_json::{Map, Value};

use super::Oidc;
use crate::access::viewer::Refused;
use crate::access::{Role, Scope};
use crate::page;
use crate::site::Site;
use crate::store::{Person, Provided};

/// Who changes people for the provider, in the ledger.
const BY: &str = "oidc";
/// Names that stand in the ledger for somebody who is no person.
const NOBODYS: [&str; 4] = [BY, "terminal", "ledger", "console"];

/// What the members of a group may do and see: `group=role`, or `group=role:cluster,cluster`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    group: String,
    role: Role,
    scope: Scope,
}

impl Grant {
    /// The one that a text stands for. A group's name may have `=` in it, as in a directory.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let (group, rest) = text.rsplit_once('=')?;
        let (role, clusters) = match rest.split_once(':') {
            Some((role, clusters)) => (role, Some(clusters)),
            None => (rest, None),
        };
        let clusters: Vec<String> = clusters
            .into_iter()
            .flat_map(|text| text.split(','))
            .map(|name| name.trim().to_owned())
            .collect();
        // A scope that holds nothing would hold everything.
        let is_whole = !group.trim().is_empty() && clusters.iter().all(|name| !name.is_empty());
        is_whole.then_some(Self {
            group: group.trim().to_owned(),
            role: Role::named(role.trim())?,
            scope: Scope::of(clusters),
        })
    }
}

/// What somebody in these groups may do and see: the highest role that one of them gives, where those
/// groups together give it. What a lower role would show elsewhere is left out, so that no two groups
/// give more together than one of them alone.
fn granted(grants: &[Grant], groups: &[&str]) -> Option<(Role, Scope)> {
    let theirs = || {
        grants
            .iter()
            .filter(|grant| groups.contains(&grant.group.as_str()))
    };
    let role = theirs().map(|grant| grant.role).max()?;
    let scopes = || {
        theirs()
            .filter(|grant| grant.role == role)
            .map(|grant| &grant.scope)
    };
    if scopes().any(Scope::is_all) {
        return Some((role, Scope::default()));
    }
    let mut clusters: Vec<String> = scopes()
        .flat_map(|scope| scope.clusters().to_vec())
        .collect();
    clusters.sort();
    clusters.dedup();
    Some((role, Scope::of(clusters)))
}

fn groups<'a>(claims: &'a Map<String, Value>, claim: &str) -> Vec<&'a str> {
    match claims.get(claim) {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    }
}

/// The name that somebody gets at their first sign-in.
fn name<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !claim.is_empty() {
        return text(claim);
    }
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));
    let mail = text("email").filter(|_| is_verified);
    text("preferred_username").or(mail)
}

/// The person whom a provider's word is about, made at their first sign-in; or why they do not get in.
pub(super) async fn admit(
    site: &Site,
    oidc: &Oidc,
    claims: &Map<String, Value>,
) -> Result<Result<String, &'static str>, Refused> {
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let provided = Provided {
        issuer: oidc.provider.issuer().to_owned(),
        subject: subject.to_owned(),
    };
    let known = site.store().provided(&provided).await?;
    let Some((role, scope)) = granted(&oidc.grants, &groups(claims, &oidc.groups_claim)) else {
        if let Some(person) = known {
            // Whoever lost their groups is out everywhere.
            site.store().end_others(&person.name, "").await?;
            tracing::warn!(
                person = person.name,
                "has no group any more that may come in"
            );
        }
        return Ok(Err(
            "The provider knows you, but none of your groups has a part here. Ask an admin of the console which groups have.",
        ));
    };
    match known {
        Some(person) if person.disabled => Ok(Err("An admin of the console has disabled you.")),
        Some(person) => {
            let name = person.name.clone();
            if (person.role, &person.scope) != (role, &scope) {
                let new = Person {
                    role,
                    scope,
                    ..person.clone()
                };
                site.store().change_person(&new, site.now()).await?;
                note(site, &name, Some(&person), &new).await?;
            }
            Ok(Ok(name))
        }
        None => first(site, oidc, claims, &provided, role, scope).await,
    }
}

async fn first(
    site: &Site,
    oidc: &Oidc,
    claims: &Map<String, Value>,
    provided: &Provided,
    role: Role,
    scope: Scope,
) -> Result<Result<String, &'static str>, Refused> {
    let name = name(claims, &oidc.name_claim).and_then(page::name);
    let name = name.filter(|name| !NOBODYS.contains(&name.to_lowercase().as_str()));
    let Some(name) = name else {
        return Ok(Err(
            "The provider gives no name that can be used here. Ask an admin of the console, who finds it under `console.oidc.name_claim`.",
        ));
    };
    // Names that differ in their size alone would be taken for one another.
    let people = site.store().people().await?;
    let is_taken = |person: &Person| person.name.to_lowercase() == name.to_lowercase();
    if people.iter().any(is_taken) {
        return Ok(Err(
            "There is somebody else here of your name. An admin of the console can have people named after another claim: `console.oidc.name_claim`.",
        ));
    }
    let person = Person {
        name: name.clone(),
        role,
        scope,
        password: None,
        second_factor: None,
        factor_step: 0,
        disabled: false,
    };
    site.store()
        .add_provided(&person, provided, site.now())
        .await?;
    note(site, &name, None, &person).await?;
    Ok(Ok(name))
}

async fn note(site: &Site, name: &str, from: Option<&Person>, to: &Person) -> Result<(), Refused> {
    let record = Record::Setting(Setting {
        name: format!("person/{name}"),
        from: from.map(page::noted),
        to: Some(page::noted(to)),
        by: BY.to_owned(),
    });
    site.ledger().record(record, site.now()).await?;
    site.live().wake();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(names: &[&str]) -> Scope {
        Scope::of(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_grant_is_read_or_refused() {
        let grant =
            |text: &str| Grant::of(text).map(|grant| (grant.group, grant.role, grant.scope));
        for (text, expected) in [
            ("ops=admin", Some(("ops", Role::Admin, scope(&[])))),
            ("/a:b=viewer", Some(("/a:b", Role::Viewer, scope(&[])))),
            (
                "cn=ops,dc=x=responder:hub-1, hub-2",
                Some(("cn=ops,dc=x", Role::Responder, scope(&["hub-1", "hub-2"]))),
            ),
            ("ops=owner", None),
            ("ops", None),
            ("=admin", None),
            ("ops=viewer:", None),
            ("ops=viewer:hub-1,", None),
        ] {
            let expected = expected.map(|(group, role, scope)| (group.to_owned(), role, scope));
            assert_eq!(grant(text), expected, "{text}");
        }
    }

    #[test]
    fn two_groups_give_no_more_than_one_of_them() {
        let grants: Vec<Grant> = [
            "all=viewer",
            "one=responder:hub-1",
            "two=responder:hub-2",
            "top=admin",
        ]
        .into_iter()
        .filter_map(Grant::of)
        .collect();
        for (groups, expected) in [
            (vec![], None),
            (vec!["other"], None),
            (vec!["all"], Some((Role::Viewer, scope(&[])))),
            (
                vec!["all", "one"],
                Some((Role::Responder, scope(&["hub-1"]))),
            ),
            (
                vec!["two", "one"],
                Some((Role::Responder, scope(&["hub-1", "hub-2"]))),
            ),
            (vec!["one", "top"], Some((Role::Admin, scope(&[])))),
        ] {
            assert_eq!(granted(&grants, &groups), expected, "{groups:?}");
        }
    }

    #[test]
    fn a_mail_address_is_a_name_once_it_is_verified() {
        let check = |claims: Value, claim: &str, expected: Option<&str>| {
            let claims = claims.as_object().expect("claims");
            assert_eq!(name(claims, claim), expected);
        };
        check(
            json!({"preferred_username": "ada", "email": "a@x", "email_verified": true}),
            "",
            Some("ada"),
        );
        check(
            json!({"email": "a@x", "email_verified": true}),
            "",
            Some("a@x"),
        );
        check(json!({"email": "a@x", "email_verified": false}), "", None);
        check(json!({"email": "a@x", "email_verified": "true"}), "", None);
        check(json!({"email": "a@x"}), "", None);
        check(
            json!({"upn": "ada@corp", "preferred_username": "x"}),
            "upn",
            Some("ada@corp"),
        );
        check(json!({"preferred_username": "x"}), "upn", None);
    }
}

//! What is never in a plan: the one place that every action passes before it becomes a step.
//!
//! What must stay true: no step names a protected target, whatever a playbook says. Protection is
//! inherited: an instance's tags protect its volumes, interfaces and node; a protected pod, or a
//! protected user's, protects the node under it from being cut off, stopped or terminated. Where
//! the tags of a thing could not be read, nothing irreversible is done to it.
//!
//! One thing is left to what the operator decided: where a cluster could not be read, nobody can say
//! whether a protected pod is on the node. The plan says so in its attribution and goes on.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_model::ids::{HubUser, InstanceId, Namespace, VolumeId};
use davylamp_model::inventory::{Doors, Interface, Tags};

use crate::action::{Action, PortalSubject};
use crate::pattern;
use crate::policy::Policy;
use crate::scope::{Scope, unread};
use crate::who::{CLAIM_NAMESPACE_TAG, SlugIndex, Who, slug};

mod clusters;
mod touch;

/// Names of Davylamp's own roles and functions. They are protected whatever the policy says: a
/// responder that takes away its own rights leaves everything half done.
const OWN: &str = "davylamp-*";
/// The path of roles that AWS services made for themselves and that nobody else may change.
const SERVICE_ROLE_PATH: &str = "/aws-service-role/";
/// What is protected, and why.
#[derive(Debug)]
pub(crate) struct Shields<'a> {
    scope: &'a Scope<'a>,
    policy: &'a Policy,
    account: Option<String>,
    /// By resource key.
    things: BTreeMap<String, String>,
    /// Instances that may be neither cut off, stopped nor terminated because of what is on them.
    carriers: BTreeMap<InstanceId, String>,
    /// Which instance an interface belongs to.
    interfaces: BTreeMap<String, InstanceId>,
    /// Resource keys whose tags were read.
    read: BTreeSet<String>,
    /// Public interfaces that are protected.
    public: Vec<String>,
}

impl<'a> Shields<'a> {
    /// Finds what is protected.
    pub(crate) fn new(
        scope: &'a Scope<'a>,
        policy: &'a Policy,
        who: &Who,
        hub: Option<&SlugIndex>,
    ) -> Self {
        let mut shields = Self {
            scope,
            policy,
            account: None,
            things: BTreeMap::new(),
            carriers: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            read: BTreeSet::new(),
            public: Vec::new(),
        };
        shields.account = shields.account();
        shields.people(who, hub);
        shields.machines();
        shields.clusters(who);
        shields.identities();
        shields.doors();
        shields
    }

    /// Why no step may be taken in this account at all.
    pub(crate) fn whole_account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Why a volume may not be touched.
    pub(crate) fn volume(&self, id: &VolumeId) -> Option<&str> {
        self.why(&format!("volume/{id}"))
    }

    /// Why this action may not be in a plan.
    pub(crate) fn stops(&self, action: &Action) -> Option<String> {
        if let Some(why) = &self.account {
            return Some(why.clone());
        }
        for touched in touch::touched(action) {
            if let Some(why) = self.why(&touched) {
                return Some(format!("{touched} is protected: {why}"));
            }
        }
        if let Some(namespace) = touch::namespace(action)
            && let Some(why) = self.namespace(namespace)
        {
            return Some(why);
        }
        if let Some(instance) = self.carrier(action)
            && let Some(why) = self.carriers.get(&instance)
        {
            return Some(format!(
                "instance/{instance} carries what is protected: {why}"
            ));
        }
        if action.is_reversible() {
            return None;
        }
        for touched in touch::touched(action).into_iter().chain(self.parts(action)) {
            let id = touched.split_once('/').map_or("", |(_, id)| id);
            if let Some(why) = unread(self.scope.inventory, id) {
                return Some(format!(
                    "{touched} could not be read ({why}), so nobody can say that it is not \
                     protected, and this cannot be undone"
                ));
            }
            if touch::has_tags(&touched) && !self.read.contains(&touched) {
                return Some(format!(
                    "the tags of {touched} were not read, so nobody can say that it is not \
                     protected, and this cannot be undone"
                ));
            }
        }
        None
    }

    /// Why a person has to be asked whatever the playbook says.
    pub(crate) fn asks(&self, action: &Action) -> Option<String> {
        match action {
            Action::BlockVpcPublicAccess { .. } if !self.public.is_empty() => Some(format!(
                "it would also cut off what is protected: {}",
                self.public.join(", ")
            )),
            Action::DenyRoleSessions {
                role,
                instance: None,
                ..
            } => Some(format!(
                "whoever uses role {role} now would be denied, every machine of it included, until \
                 its credentials are renewed, which can take hours"
            )),
            _ => None,
        }
    }

    fn why(&self, key: &str) -> Option<&str> {
        self.things.get(key).map(String::as_str)
    }

    /// The volumes and interfaces that share the fate of an instance: whose they are, and whether
    /// they are protected, is in their tags.
    fn parts(&self, action: &Action) -> Vec<String> {
        let (Action::TerminateInstance { instance } | Action::UnprotectInstance { instance }) =
            action
        else {
            return Vec::new();
        };
        let Some(instance) = self.scope.inventory.instance(instance) else {
            return Vec::new();
        };
        let volumes = instance
            .volumes
            .iter()
            .map(|it| format!("volume/{}", it.id));
        let interfaces = instance.interfaces.iter();
        volumes
            .chain(interfaces.map(|it| format!("interface/{}", it.id)))
            .collect()
    }

    /// The instance whose users an action would cut off.
    fn carrier(&self, action: &Action) -> Option<InstanceId> {
        match action {
            Action::StopInstance { instance }
            | Action::TerminateInstance { instance }
            | Action::UnprotectInstance { instance } => Some(instance.clone()),
            Action::IsolateInterface { interface, .. }
            | Action::DisassociateAddress { interface, .. } => {
                self.interfaces.get(interface.as_str()).cloned()
            }
            _ => None,
        }
    }

    fn account(&self) -> Option<String> {
        let account = &self.scope.inventory.place.account;
        self.policy
            .protected
            .accounts
            .contains(account)
            .then(|| format!("account {account} is protected"))
    }

    fn tagged(&self, tags: &Tags) -> Option<String> {
        self.policy
            .protected
            .tags
            .iter()
            .find_map(|held| pattern::tagged(held, tags))
            .map(|tag| format!("it is tagged {tag}"))
    }

    fn namespace(&self, namespace: &Namespace) -> Option<String> {
        self.policy
            .protected
            .namespaces
            .iter()
            .any(|held| pattern::matches(held, namespace.as_str()))
            .then(|| format!("namespace {namespace} is protected"))
    }

    fn protect(&mut self, key: String, why: &str) {
        self.things.entry(key).or_insert_with(|| why.to_owned());
    }

    fn people(&mut self, who: &Who, hub: Option<&SlugIndex>) {
        let mut users: BTreeMap<&HubUser, Option<&str>> = BTreeMap::new();
        for candidate in &who.attribution.candidates {
            if !candidate.confirmed
                && let Some(why) = self.maybe_protected(candidate.user.as_str())
            {
                self.protect(format!("hub-user/{}", candidate.user), &why);
                if let Some(claim) = &candidate.claim {
                    self.protect(format!("portal-claim/{claim}"), &why);
                }
            }
            users.insert(&candidate.user, candidate.claim.as_deref());
        }
        for user in who.occupants.iter().chain(who.pods.keys()) {
            users.entry(user).or_insert(None);
        }
        for (user, claim) in users {
            let named = self
                .policy
                .protected
                .hub_users
                .iter()
                .any(|held| pattern::matches_any_case(held, user.as_str()));
            let admin = hub
                .and_then(|hub| hub.user(user))
                .is_some_and(|record| record.admin);
            let why = match (named, admin) {
                (true, _) => format!("the policy protects Hub user {user}"),
                (false, true) => format!("{user} administers the Hub"),
                (false, false) => continue,
            };
            self.protect(format!("hub-user/{user}"), &why);
            if let Some(claim) = claim {
                self.protect(format!("portal-claim/{claim}"), &why);
            }
        }
    }

    /// Why a name that the Hub did not confirm may be that of a protected user: it may be what the
    /// spawner made of the user's name.
    fn maybe_protected(&self, name: &str) -> Option<String> {
        let held = &self.policy.protected.hub_users;
        let held = held.iter().find(|held| {
            held.contains('*')
                || [slug::safe_slug(held), slug::escape(held)].contains(&name.to_owned())
        })?;
        Some(format!(
            "the Hub did not confirm who {name} is, and the policy protects Hub users like {held}"
        ))
    }

    fn machines(&mut self) {
        let scope = self.scope;
        for instance in &scope.inventory.instances {
            let key = format!("instance/{}", instance.id);
            self.read.insert(key.clone());
            for interface in &instance.interfaces {
                let id = interface.id.to_string();
                self.interfaces.insert(id, instance.id.clone());
            }
            if let Some(why) = self.tagged(&instance.tags) {
                self.protect(key, &why);
                let why = format!("{why} through instance {}", instance.id);
                for volume in &instance.volumes {
                    self.protect(format!("volume/{}", volume.id), &why);
                }
                for interface in &instance.interfaces {
                    self.protect_interface(interface, &why);
                }
            }
            for volume in &instance.volumes {
                if let Some(why) = self.tagged(&volume.tags) {
                    self.protect(format!("volume/{}", volume.id), &why);
                    let why = format!("volume {}: {why}", volume.id);
                    self.carry(&instance.id, why);
                }
                // What a cluster that cannot be read would say, the driver's tag says as well.
                let space = volume.tags.get(CLAIM_NAMESPACE_TAG);
                if let Some(why) = space.and_then(|space| self.namespace(&Namespace(space.clone())))
                {
                    let why = format!("volume {}: {why}", volume.id);
                    self.carry(&instance.id, why);
                }
            }
            for interface in &instance.interfaces {
                if let Some(why) = self.tagged(&interface.tags) {
                    self.protect_interface(interface, &why);
                    let why = format!("interface {}: {why}", interface.id);
                    self.carry(&instance.id, why);
                }
            }
        }
        for volume in &scope.inventory.volumes {
            if let Some(why) = self.tagged(&volume.tags) {
                self.protect(format!("volume/{}", volume.id), &why);
            }
        }
        for group in &scope.inventory.groups {
            if let Some(why) = self.tagged(&group.tags) {
                self.protect(format!("group/{}", group.name), &why);
            }
        }
    }

    fn protect_interface(&mut self, interface: &Interface, why: &str) {
        self.protect(format!("interface/{}", interface.id), why);
        for group in &interface.groups {
            let why = format!("{why}, and interface {} uses the group", interface.id);
            self.protect(format!("security-group/{group}"), &why);
        }
    }

    fn carry(&mut self, instance: &InstanceId, why: String) {
        self.carriers.entry(instance.clone()).or_insert(why);
    }

    fn identities(&mut self) {
        let scope = self.scope;
        let protected = &self.policy.protected;
        let named = |patterns: &[String], name: &str| {
            patterns
                .iter()
                .any(|held| pattern::matches_any_case(held, name))
        };
        let mut found = Vec::new();
        for user in &scope.inventory.users {
            let key = format!("user/{}", user.name);
            self.read.insert(key.clone());
            found.extend(self.tagged(&user.tags).map(|why| (key, why)));
        }
        for role in &scope.inventory.roles {
            let key = format!("role/{}", role.name);
            self.read.insert(key.clone());
            if role.path.starts_with(SERVICE_ROLE_PATH) {
                found.push((key.clone(), "it is a service's own role".to_owned()));
            }
            found.extend(self.tagged(&role.tags).map(|why| (key, why)));
        }
        for function in &scope.inventory.functions {
            let key = format!("function/{}", function.name);
            self.read.insert(key.clone());
            found.extend(self.tagged(&function.tags).map(|why| (key, why)));
        }
        for task in &scope.inventory.tasks {
            let key = format!("task/{}", task.task);
            self.read.insert(key.clone());
            if let Some(why) = self.tagged(&task.tags) {
                for interface in &task.interfaces {
                    found.push((format!("interface/{}", interface.id), why.clone()));
                }
                if let Some((service, _)) = &task.service {
                    found.push((format!("service/{}/{service}", task.cluster), why.clone()));
                }
                found.push((key, why));
            }
            for interface in &task.interfaces {
                let why = self.tagged(&interface.tags);
                found.extend(why.map(|why| (format!("interface/{}", interface.id), why)));
            }
        }
        // By name, also what the inventory does not have.
        let (users, roles) = touch::named_identities(scope);
        for user in users {
            if named(&protected.users, &user) {
                let why = format!("the policy protects user {user}");
                found.push((format!("user/{user}"), why));
            }
        }
        for role in roles {
            if named(&protected.roles, &role) || pattern::matches_any_case(OWN, &role) {
                let why = format!("the policy protects role {role}");
                found.push((format!("role/{role}"), why));
            }
        }
        for function in &scope.functions {
            if pattern::matches_any_case(OWN, function.as_str()) {
                let why = "it is Davylamp's own".to_owned();
                found.push((format!("function/{function}"), why));
            }
        }
        for (key, why) in found {
            self.protect(key, &why);
        }
    }

    fn doors(&mut self) {
        let Some(doors) = self.scope.inventory.doors.known() else {
            return;
        };
        let Doors {
            interfaces,
            open_rules,
            ..
        } = doors;
        for door in interfaces {
            let interface = &door.interface;
            if let Some(id) = &door.instance {
                let key = interface.id.to_string();
                self.interfaces.entry(key).or_insert_with(|| id.clone());
            }
            let why = self
                .tagged(&interface.tags)
                .or_else(|| self.tagged(&door.instance_tags));
            if let Some(why) = why {
                self.protect_interface(interface, &why);
            }
            if self.why(&format!("interface/{}", interface.id)).is_some() {
                self.public.push(interface.id.to_string());
            }
        }
        self.public.sort();
        for rule in open_rules {
            if let Some(why) = self.tagged(&rule.group_tags) {
                self.protect(format!("security-group/{}", rule.group), &why);
            }
        }
    }
}

/// The key under which a portal's subject is protected.
fn subject_key(subject: &PortalSubject) -> String {
    match subject {
        PortalSubject::Claim(claim) => format!("portal-claim/{claim}"),
        PortalSubject::User(user) => format!("hub-user/{user}"),
    }
}

//! Whether anything of what a case is about could be read at all.
//!
//! What must stay true: where nothing could be, somebody says so. A plan without steps would
//! otherwise look as if there were nothing to do.

use davylamp_model::inventory::{Doors, Reading};
use davylamp_model::resource::{KeyHolder, Resource};

use super::Scope;
use crate::plan::Case;

/// Something a finding names, looked for in an inventory.
enum Sought<'a> {
    /// It was read.
    Read,
    /// It could not be read, and why.
    Unread(&'a str),
    /// It is not there, or is nothing that is looked for.
    Nothing,
}

impl<'a> Scope<'a> {
    /// Why nothing of what the case is about could be read, where that is so. What AWS says does
    /// not exist was read.
    pub(crate) fn blind(&self, case: &Case) -> Option<String> {
        if self.findings.is_empty() {
            // What must not be acted on is not looked for.
            return None;
        }
        let account = self.inventory.place.account.as_str();
        if let Some(why) = self.unread(account) {
            return Some(why.to_owned());
        }
        let is_empty = self.instances.is_empty()
            && self.nodes.is_empty()
            && self.pods.is_empty()
            && self.volumes.is_empty()
            && self.tasks.is_empty();
        if !is_empty {
            return None;
        }
        let named = self.findings.iter().flat_map(|it| &it.resources);
        let mut unread = self
            .absent
            .iter()
            .find(|absent| absent.unread)
            .map(|absent| absent.because.clone());
        for resource in named.chain([&case.resource]) {
            match self.seek(resource) {
                Sought::Read => return None,
                Sought::Unread(why) => {
                    unread.get_or_insert_with(|| why.to_owned());
                }
                Sought::Nothing => {}
            }
        }
        unread
    }

    /// Looks for what is in no map of the scope.
    fn seek(&self, resource: &Resource) -> Sought<'a> {
        let inventory = self.inventory;
        match resource {
            Resource::Function { name } => {
                let read = inventory.functions.iter().any(|it| it.name == *name);
                self.sought(read, name.as_str())
            }
            Resource::AccessKey { key, holder } => match holder {
                KeyHolder::User { user } => {
                    let read = inventory.users.iter().any(|it| it.name == *user);
                    self.sought(read, user.as_str())
                }
                KeyHolder::RoleSession { role, .. } => {
                    let read = inventory.roles.iter().any(|it| it.name == *role);
                    self.sought(read, role.as_str())
                }
                KeyHolder::Root => Sought::Nothing,
                KeyHolder::Unknown { .. } => match key {
                    Some(key) => self.sought(!inventory.users.is_empty(), key.as_str()),
                    None => Sought::Nothing,
                },
            },
            Resource::Snapshot { id } => self.sought(false, id.as_str()),
            Resource::Image { id } => self.sought(false, id),
            Resource::HubUser { .. } => match (&inventory.hub, self.readable().is_empty()) {
                (Reading::Known(_), _) | (_, false) => Sought::Read,
                (Reading::Unknown { why }, true) => Sought::Unread(why),
                (Reading::NotAsked, true) => Sought::Nothing,
            },
            Resource::Account | Resource::AccountRegion { .. } => match &inventory.doors {
                Reading::Known(doors) => self.doors(doors),
                Reading::Unknown { why } => Sought::Unread(why),
                Reading::NotAsked => Sought::Nothing,
            },
            _ => Sought::Nothing,
        }
    }

    fn sought(&self, read: bool, id: &str) -> Sought<'a> {
        match self.unread(id) {
            _ if read => Sought::Read,
            Some(why) => Sought::Unread(why),
            None => Sought::Nothing,
        }
    }

    /// The doors of an account are read one kind by one.
    fn doors(&self, doors: &'a Doors) -> Sought<'a> {
        let is_empty = doors.interfaces.is_empty() && doors.open_rules.is_empty();
        match (
            &doors.vpc_block_mode,
            &doors.s3_blocked,
            &doors.eks_endpoints,
            self.inventory.unread.iter().min(),
        ) {
            (
                Reading::Unknown { .. },
                Reading::Unknown { .. },
                Reading::Unknown { .. },
                Some(unread),
            ) if is_empty => Sought::Unread(&unread.why),
            _ => Sought::Read,
        }
    }
}

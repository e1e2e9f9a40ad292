//! One order for what an inventory lists, so that a plan does not depend on how it was collected.

use davylamp_model::inventory::{Inventory, Reading};
use serde::Serialize;

/// The same inventory with its lists in the order of their stored form. Only what has an order of
/// its own keeps it: the security groups of an interface. The Hub's list stays as it is, because it
/// is long and only ever looked up in.
pub(super) fn ordered(inventory: &Inventory) -> Inventory {
    let mut inventory = inventory.clone();
    for instance in &mut inventory.instances {
        order(&mut instance.interfaces);
        order(&mut instance.volumes);
    }
    order(&mut inventory.instances);
    order(&mut inventory.volumes);
    if let Reading::Known(snapshots) = &mut inventory.snapshots {
        order(snapshots);
    }
    order(&mut inventory.groups);
    for cluster in &mut inventory.clusters {
        if let Reading::Known(state) = &mut cluster.state {
            order(&mut state.nodes);
            order(&mut state.pods);
            order(&mut state.claims);
            order(&mut state.controllers);
        }
    }
    order(&mut inventory.clusters);
    for user in &mut inventory.users {
        order(&mut user.keys);
    }
    order(&mut inventory.users);
    order(&mut inventory.roles);
    order(&mut inventory.functions);
    for task in &mut inventory.tasks {
        order(&mut task.interfaces);
    }
    order(&mut inventory.tasks);
    if let Reading::Known(doors) = &mut inventory.doors {
        order(&mut doors.interfaces);
        order(&mut doors.open_rules);
    }
    order(&mut inventory.sightings);
    order(&mut inventory.unread);
    inventory
}

fn order<T: Serialize>(list: &mut [T]) {
    if list.len() > 1 {
        // What cannot be printed has no order of its own; nothing in an inventory is such.
        list.sort_by_cached_key(|item| serde_json::to_string(item).unwrap_or_default());
    }
}

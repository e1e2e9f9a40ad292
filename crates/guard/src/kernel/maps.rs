//! The maps that the kernel programs and the agent share, and how tables are put into them.

use std::os::fd::{AsFd, AsRawFd};

use davylamp_detect::{automaton::Table, command::Table as RulesTable};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, libbpf_sys};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{KernelError, Start, bpf};
use crate::abi::{AgentBeat, Hold, PAGE_SLOTS};

pub(super) struct Maps {
    pub(super) tables: MapHandle,
    pub(super) settings: MapHandle,
    pub(super) agent: MapHandle,
    pub(super) holds: MapHandle,
    pub(super) protected_executables: MapHandle,
    pub(super) protected_cgroups: MapHandle,
    pub(super) cgroups: MapHandle,
    pub(super) suppressed: MapHandle,
    pub(super) event_budgets: MapHandle,
    pub(super) counters: MapHandle,
    pub(super) latencies: MapHandle,
    pub(super) events: MapHandle,
    pub(super) ceilings: MapHandle,
    pub(super) ceiling_limits: MapHandle,
    pub(super) file_settings: MapHandle,
    pub(super) file_verdicts: MapHandle,
    pub(super) file_roots: MapHandle,
    pub(super) unseen_files: MapHandle,
}

impl Maps {
    pub(super) fn gather(
        mut get: impl FnMut(&'static str) -> Result<MapHandle, KernelError>,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            tables: get("tables")?,
            settings: get("settings")?,
            agent: get("agent")?,
            holds: get("holds")?,
            protected_executables: get("protected_executables")?,
            protected_cgroups: get("protected_cgroups")?,
            cgroups: get("cgroups")?,
            suppressed: get("suppressed")?,
            event_budgets: get("event_budgets")?,
            counters: get("counters")?,
            latencies: get("latencies")?,
            events: get("events")?,
            ceilings: get("ceilings")?,
            ceiling_limits: get("ceiling_limits")?,
            file_settings: get("file_settings")?,
            file_verdicts: get("file_verdicts")?,
            file_roots: get("file_roots")?,
            unseen_files: get("unseen_files")?,
        })
    }

    pub(super) fn each(&self) -> [(&'static str, &MapHandle); 18] {
        [
            ("tables", &self.tables),
            ("settings", &self.settings),
            ("agent", &self.agent),
            ("holds", &self.holds),
            ("protected_executables", &self.protected_executables),
            ("protected_cgroups", &self.protected_cgroups),
            ("cgroups", &self.cgroups),
            ("suppressed", &self.suppressed),
            ("event_budgets", &self.event_budgets),
            ("counters", &self.counters),
            ("latencies", &self.latencies),
            ("events", &self.events),
            ("ceilings", &self.ceilings),
            ("ceiling_limits", &self.ceiling_limits),
            ("file_settings", &self.file_settings),
            ("file_verdicts", &self.file_verdicts),
            ("file_roots", &self.file_roots),
            ("unseen_files", &self.unseen_files),
        ]
    }
}

/// A table in the kernel, not yet in force.
struct LoadedTable(MapHandle);

/// Where the tables are in their map: those of `bpf/abi.h`.
const TABLE_LISTS: u32 = 0;
const TABLE_RULES: u32 = 1;

pub(super) trait SetOne {
    fn set_one(&self, doing: &'static str, value: &[u8]) -> Result<(), KernelError>;
}

impl SetOne for MapHandle {
    /// Sets the only element of a map.
    fn set_one(&self, doing: &'static str, value: &[u8]) -> Result<(), KernelError> {
        self.update(0u32.as_bytes(), value, MapFlags::ANY)
            .map_err(bpf(doing))
    }
}

pub(super) fn ignore_absent(
    done: libbpf_rs::Result<()>,
    doing: &'static str,
) -> Result<(), KernelError> {
    match done {
        Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => Ok(()),
        done => done.map_err(bpf(doing)),
    }
}

impl Maps {
    pub(super) fn beat(&self, alive_until_ns: u64) -> Result<(), KernelError> {
        let beat = AgentBeat {
            alive_until_ns,
            pid: std::process::id(),
            reserved: 0,
        };
        self.agent
            .set_one("say that the agent is alive", beat.as_bytes())
    }

    pub(super) fn set_table(&self, table: &Table) -> Result<(), KernelError> {
        self.put_table(TABLE_LISTS, table.words())
    }

    pub(super) fn set_rules(&self, rules: &RulesTable) -> Result<(), KernelError> {
        self.put_table(TABLE_RULES, rules.words())
    }

    fn put_table(&self, which: u32, words: &[u64]) -> Result<(), KernelError> {
        let LoadedTable(inner) = load_table(words)?;
        let fd = inner.as_fd().as_raw_fd();
        self.tables
            .update(which.as_bytes(), fd.as_bytes(), MapFlags::ANY)
            .map_err(bpf("put the table in force"))
    }

    /// Puts all of `start` in force. The table comes last: without one, nothing is judged.
    pub(super) fn prepare(&self, start: &Start<'_>) -> Result<(), KernelError> {
        // Both were learnt under other rules.
        clear(&self.cgroups, "forget a cgroup")?;
        clear(&self.suppressed, "end a suppression")?;
        set_keys(&self.protected_executables, start.executables)?;
        set_keys(&self.protected_cgroups, start.cgroups)?;
        self.settings
            .set_one("change the settings", start.settings.as_bytes())?;
        self.set_ceilings(start.ceilings)?;
        // What is held from the first moment on waits for the agent that is starting.
        self.beat(start.alive_until_ns)?;
        if let Some(rules) = start.rules {
            self.set_rules(rules)?;
        }
        self.set_table(start.table)
    }
}

/// Makes a table map of so many pages.
pub(super) fn make_table(pages: u32) -> Result<MapHandle, KernelError> {
    let options = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
        map_flags: libbpf_sys::BPF_F_INNER_MAP,
        ..Default::default()
    };
    let page_bytes = (PAGE_SLOTS * size_of::<u64>()) as u32;
    MapHandle::create(
        MapType::Array,
        Some("table"),
        4,
        page_bytes,
        pages,
        &options,
    )
    .map_err(bpf("make a table"))
}

/// Loads a table into a map of its own.
fn load_table(words: &[u64]) -> Result<LoadedTable, KernelError> {
    let pages = (words.len() / PAGE_SLOTS) as u32;
    let map = make_table(pages)?;
    let keys: Vec<u32> = (0..pages).collect();
    map.update_batch(
        keys.as_bytes(),
        words.as_bytes(),
        pages,
        MapFlags::ANY,
        MapFlags::ANY,
    )
    .map_err(bpf("fill a table"))?;
    Ok(LoadedTable(map))
}

/// Makes a map hold these keys and no others, never less than what stays.
pub(super) fn set_keys<Key: IntoBytes + Immutable>(
    map: &MapHandle,
    wanted: &[Key],
) -> Result<(), KernelError> {
    let wanted: Vec<&[u8]> = wanted.iter().map(IntoBytes::as_bytes).collect();
    for key in &wanted {
        map.update(key, 1u32.as_bytes(), MapFlags::ANY)
            .map_err(bpf("protect"))?;
    }
    let is_unwanted = |key: &Vec<u8>| !wanted.contains(&key.as_slice());
    for key in map.keys().filter(is_unwanted).collect::<Vec<_>>() {
        ignore_absent(map.delete(&key), "end a protection")?;
    }
    Ok(())
}

pub(super) fn holds_in(map: &MapHandle) -> Vec<(u32, Hold)> {
    let hold = |key: Vec<u8>| {
        let value = map.lookup(&key, MapFlags::ANY).ok()??;
        let (hold, _) = Hold::read_from_prefix(&value).ok()?;
        Some((u32::read_from_bytes(&key).ok()?, hold))
    };
    map.keys().filter_map(hold).collect()
}

/// Empties a map.
pub(super) fn clear(map: &MapHandle, doing: &'static str) -> Result<(), KernelError> {
    for key in map.keys().collect::<Vec<_>>() {
        ignore_absent(map.delete(&key), doing)?;
    }
    Ok(())
}

//! The agent's picture of the kernel programs' structures is the compiler's own: each structure of
//! `src/abi.rs` is compared with the type information in the object that is loaded, and each number
//! with the header that it was compiled from. The compiler keeps types only that maps and functions
//! name; the others are laid out here by the header's text, in a way that is itself compared with
//! the compiler's.

use std::collections::BTreeMap;
use std::mem::offset_of;

use davylamp_detect::automaton::Table;
use davylamp_guard::abi::{self, Counter, EventAncestor, EventHeader};
use davylamp_guard::event::{EventError, KernelEvent};
use davylamp_guard::kernel::object_bytes;
use libbpf_rs::ObjectBuilder;
use libbpf_rs::btf::types::{MemberAttr, Struct};
use libbpf_rs::btf::{Btf, HasSize as _};
use zerocopy::{FromZeros as _, IntoBytes as _};

/// The header that both halves are to agree on.
const HEADER: &str = include_str!("../bpf/abi.h");

#[repr(align(8))]
struct Aligned(Vec<u8>);

fn object() -> Aligned {
    Aligned(object_bytes().to_vec())
}

/// The size of a structure in the object, and its members with their offsets in bytes.
fn compiled(btf: &Btf<'_>, name: &str) -> (usize, Vec<(String, usize)>) {
    let found: Struct<'_> = btf
        .type_by_name(name)
        .unwrap_or_else(|| panic!("struct {name} is not in the object"));
    let members = found
        .iter()
        .map(|member| {
            let name = member
                .name
                .expect("members have names")
                .to_string_lossy()
                .into_owned();
            let MemberAttr::Normal { offset } = member.attr else {
                panic!("{name} is a bit field")
            };
            (name, offset as usize / 8)
        })
        .collect();
    (found.size(), members)
}

/// The same from the header's text: each member at the next multiple of its alignment.
fn declared(name: &str) -> (usize, Vec<(String, usize)>) {
    let (size, _, members) = laid_out(name);
    (size, members)
}

fn laid_out(name: &str) -> (usize, usize, Vec<(String, usize)>) {
    if name == "bpf_timer" {
        return (abi::HOLD_TIMER_BYTES, 8, Vec::new());
    }
    let begin = format!("struct {name} {{\n");
    let (_, rest) = HEADER
        .split_once(&begin)
        .expect("the header has the structure");
    let (body, _) = rest.split_once("};").expect("it ends");
    let (mut size, mut alignment, mut members) = (0usize, 1, Vec::new());
    for line in body.lines() {
        let Some((declaration, _)) = line.split_once(';') else {
            continue;
        };
        let (kind, member) = declaration
            .trim()
            .rsplit_once(' ')
            .expect("a type and a name");
        let (member, count) = member.split_once('[').unwrap_or((member, "1]"));
        let count = count.trim_end_matches(']');
        let count = count.parse().unwrap_or_else(|_| defined()[count] as usize);
        let (each, aligned) = match kind {
            "char" | "u8" => (1, 1),
            "u16" => (2, 2),
            "u32" | "s32" => (4, 4),
            "u64" => (8, 8),
            other => {
                let (size, aligned, _) = laid_out(other.strip_prefix("struct ").expect("a type"));
                (size, aligned)
            }
        };
        size = size.next_multiple_of(aligned);
        members.push((member.to_owned(), size));
        size += each * count;
        alignment = alignment.max(aligned);
    }
    (size.next_multiple_of(alignment), alignment, members)
}

/// A Rust structure in the same form.
macro_rules! mirrored {
    ($type:ty: $($member:ident)*) => {
        (
            size_of::<$type>(),
            vec![$((stringify!($member).to_owned(), offset_of!($type, $member))),*],
        )
    };
}

#[test]
fn structures_are_laid_out_alike() {
    let object = object();
    let btf = Btf::from_raw("guard", &object.0)
        .expect("type information")
        .expect("there is some");
    let pairs = [
        (
            "guard_settings",
            mirrored!(abi::Settings: mode hold_verdict_spares hold_deadline_ns event_interval_ns
                event_burst suppress_ns response hold_unknown_cgroups capture_environment
                capture_arguments suppress_enabled rules_enabled),
        ),
        (
            "guard_agent",
            mirrored!(abi::AgentBeat: alive_until_ns pid reserved),
        ),
        ("exe_key", mirrored!(abi::ExeKey: inode device reserved)),
        (
            "event_budget",
            mirrored!(abi::EventBudget: paid_at_ns rate_limited),
        ),
        (
            "file_key",
            mirrored!(abi::FileKey: inode size changed_sec changed_nsec device),
        ),
        (
            "file_verdict",
            mirrored!(abi::FileVerdict: id verdict reserved),
        ),
        (
            "unseen_file",
            mirrored!(abi::UnseenFile: key start_boottime_ns place reserved),
        ),
        (
            "file_settings",
            mirrored!(abi::FileSettings: rules scan unknown_spares host_mounts
                spares_terminals),
        ),
        ("event_ancestor", mirrored!(EventAncestor: pid comm)),
        (
            "guard_event",
            mirrored!(EventHeader: time_ns latency_ns start_boottime_ns generation cgroup
                arguments_len rate_limited held_ns victim kind reason region info pid parent uid
                signal_error text_arguments text_path text_exe text_cgroup text_environment
                truncated comm ancestors),
        ),
        (
            "ceiling_key",
            mirrored!(abi::CeilingKey: generation kind rule),
        ),
        (
            "ceiling",
            mirrored!(abi::Ceiling: slots refused refusing most reserved),
        ),
        (
            "ceiling_limits",
            mirrored!(abi::CeilingLimits: rule_most node_most window_secs reserved),
        ),
        (
            "ceiling_call",
            mirrored!(abi::CeilingCall: generation rule victim how answer),
        ),
    ];
    for (name, mirror) in pairs {
        assert_eq!(compiled(&btf, name), mirror, "struct {name}");
        assert_eq!(declared(name), mirror, "struct {name} by its text");
    }
    assert_eq!(compiled(&btf, "hold"), declared("hold"));
}

#[test]
fn a_swept_task_is_laid_out_alike() {
    assert_eq!(
        declared("swept_task"),
        mirrored!(abi::SweptTask: start_boottime_ns cgroup pid parent uid reserved comm)
    );
}

#[test]
fn what_is_seen_on_the_wire_is_laid_out_alike() {
    let pairs = [
        (
            "wire_token",
            mirrored!(abi::WireToken: hash as_method in_params in_result in_job as_type role seen
                reserved),
        ),
        ("wire_rule", mirrored!(abi::WireRule: all any seen)),
        (
            "wire_constants",
            mirrored!(abi::WireConstants: tokens rules ceilings rhythm_min_ns names_last_ns protocols names
                addresses connects banned encrypted_dns whole_machine reserved),
        ),
        ("wire_prefix", mirrored!(abi::WirePrefix: length address)),
        ("wire_endpoint", mirrored!(abi::WireEndpoint: address port)),
        (
            "wire_sight",
            mirrored!(abi::WireSight: began_ns last_ns longest_gap_ns bytes packets done sent_len
                received_len local_port remote_port seen is_server is_received greeting local
                remote name sent received),
        ),
    ];
    for (name, mirror) in pairs {
        assert_eq!(declared(name), mirror, "struct {name}");
    }
    let behind_base = |name: &str, ours: usize| {
        let (size, _) = declared(name);
        assert_eq!(size, size_of::<EventHeader>() + ours, "struct {name}");
    };
    behind_base("wire_event", size_of::<abi::WireEvent>());
    behind_base("connect_event", size_of::<abi::ConnectEvent>());
    let defined = defined();
    for (name, ours) in [
        ("WIRE_KEPT", abi::WIRE_KEPT),
        ("WIRE_WALKED", davylamp_detect::wire::walk::WALKED),
        ("WIRE_TOKENS", abi::WIRE_TOKENS),
        ("WIRE_PROBES", davylamp_detect::wire::walk::PROBES),
        ("WIRE_RULES", abi::WIRE_RULES),
        ("WIRE_NAME", abi::WIRE_NAME),
        ("WIRE_TEXT", abi::WIRE_TEXT),
        ("WIRE_DROPPED", abi::WIRE_DROPPED as usize),
    ] {
        assert_eq!(defined.get(name), Some(&(ours as i128)), "{name}");
    }
}

/// The kernel's timer follows what user space reads and writes of a hold.
#[test]
fn a_hold_ends_in_its_timer() {
    let object = object();
    let btf = Btf::from_raw("guard", &object.0)
        .expect("type information")
        .expect("there is some");
    let (size, mut members) = compiled(&btf, "hold");
    let (mirror_size, mut mirror) = mirrored!(abi::Hold: start_boottime_ns since_ns cgroup generation victim
        reason verdict_spares decided info);
    assert_eq!(size, mirror_size + abi::HOLD_TIMER_BYTES);
    mirror.push(("timer".to_owned(), mirror_size));
    members.sort();
    mirror.sort();
    assert_eq!(members, mirror);
}

/// The first page of a table is where the kernel programs look for what `detect` puts there.
#[test]
fn a_tables_header_is_laid_out_alike() {
    let (size, members) = declared("table_header");
    // Slots of states may follow it in the same page.
    assert!(size <= abi::PAGE_SLOTS * size_of::<u64>());
    let offset: BTreeMap<_, _> = members.into_iter().collect();
    let needle = davylamp_detect::automaton::Needle {
        text: b"needle",
        counts: davylamp_detect::automaton::Counts::Everywhere,
    };
    let allow = davylamp_detect::automaton::AllowPrefix {
        text: b"allowed".to_vec(),
        meaning: davylamp_detect::automaton::AllowMeaning::MayAllow,
    };
    let generation = 0x0123_4567_89ab_cdef;
    let table = Table::build(&[needle], &[allow], true, generation).expect("a table");
    let page = table.words().as_bytes();
    let word = |name: &str| {
        let bytes = page[offset[name]..]
            .first_chunk()
            .expect("inside the table");
        u32::from_ne_bytes(*bytes)
    };
    let long = page[offset["generation"]..]
        .first_chunk()
        .expect("inside the table");
    assert_eq!(u64::from_ne_bytes(*long), generation);
    assert_eq!(offset["bytes"], 0);
    assert_eq!(
        word("pages") as usize,
        table.words().len() / abi::PAGE_SLOTS
    );
    let flags = defined();
    assert_eq!(
        i128::from(word("flags")),
        flags["TABLE_SCANS_ENVIRONMENT"] | flags["TABLE_HOLDS_ALL_MATCHES"]
    );
    let roots = [word("scan_root"), word("allow_root")];
    assert!(
        roots.iter().all(|root| *root != 0) && roots[0] != roots[1],
        "{roots:?}"
    );
}

/// A file that the kernel knows to be bad is counted as the agent counts those it finds.
#[test]
fn a_bad_file_has_the_ceiling_of_its_detection() {
    assert_eq!(
        abi::CEILING_OF_BAD_FILES,
        davylamp_detect::breaker::digest("miner-file")
    );
    assert_eq!(
        defined()["CEILING_OF_BAD_FILES"],
        i128::from(abi::CEILING_OF_BAD_FILES)
    );
}

#[test]
fn maps_are_as_large_as_the_agent_thinks() {
    let object = object();
    let open = ObjectBuilder::default()
        .open_memory(&object.0)
        .expect("the object opens");
    let entries = |name: &str| {
        let map = open
            .maps()
            .find(|map| map.name() == name)
            .expect("the map is there");
        map.max_entries() as usize
    };
    assert_eq!(entries("counters"), abi::COUNTERS);
    assert_eq!(entries("latencies"), abi::LATENCY_BUCKETS);
    assert_eq!(entries("holds"), abi::HOLDS_MAX);
}

/// The header's `#define`s that are a number.
fn defined() -> BTreeMap<&'static str, i128> {
    let number = |text: &str| {
        let text = text.trim_matches(['(', ')']);
        if let Some((one, shift)) = text.split_once("ull << ") {
            return Some(one.parse::<i128>().ok()? << shift.parse::<u32>().ok()?);
        }
        match text.strip_prefix("0x") {
            Some(digits) => i128::from_str_radix(digits.trim_end_matches('u'), 16).ok(),
            None => text.trim_end_matches('u').parse().ok(),
        }
    };
    HEADER
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("#define ")?.split_once(' ')?;
            let value = rest.split(" /*").next()?.trim();
            Some((name, number(value)?))
        })
        .collect()
}

/// The members of one of the header's enumerations, in order.
fn enumerated(name: &str) -> Vec<(&'static str, u32)> {
    let begin = format!("enum {name} {{\n");
    let (_, rest) = HEADER
        .split_once(&begin)
        .expect("the header has the enumeration");
    let (body, _) = rest.split_once("};").expect("it ends");
    let mut next = 0;
    body.lines()
        .filter_map(|line| {
            let member = line.split(',').next()?.trim();
            let (name, value) = member.split_once(" = ").unwrap_or((member, ""));
            if name.is_empty() {
                return None;
            }
            let value = value.parse().unwrap_or(next);
            next = value + 1;
            Some((name, value))
        })
        .collect()
}

/// `WouldKill` as `WOULD_KILL`.
fn shouted(name: &str) -> String {
    let mut shouted = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !shouted.is_empty() {
            shouted.push('_');
        }
        shouted.extend(letter.to_uppercase());
    }
    shouted
}

#[test]
fn limits_and_flags_are_the_same_numbers() {
    let defined = defined();
    let ours: [(&str, i128); 23] = [
        ("VERDICT_RUNS", i128::from(abi::VERDICT_RUNS)),
        ("VERDICT_BAD", i128::from(abi::VERDICT_BAD)),
        ("PLACE_MEMORY", i128::from(abi::PLACE_MEMORY)),
        ("PLACE_DELETED", i128::from(abi::PLACE_DELETED)),
        ("PLACE_SCRIPT", i128::from(abi::PLACE_SCRIPT)),
        ("PLACE_HOST_ROOT", i128::from(abi::PLACE_HOST_ROOT)),
        ("PLACE_FOREIGN", i128::from(abi::PLACE_FOREIGN)),
        ("PLACE_PROGRAM", i128::from(abi::PLACE_PROGRAM)),
        ("TABLE_PAGE_SLOTS", abi::PAGE_SLOTS as i128),
        ("CGROUP_KEY_V1", i128::from(abi::CGROUP_KEY_V1)),
        ("CGROUP_KNOWN", i128::from(abi::CGROUP_KNOWN)),
        ("CGROUP_CONTAINER", i128::from(abi::CGROUP_CONTAINER)),
        ("EVENT_ARGUMENTS", abi::EVENT_ARGUMENTS as i128),
        ("EVENT_ANCESTORS", abi::EVENT_ANCESTORS as i128),
        ("HOLDS_MAX", abi::HOLDS_MAX as i128),
        ("LATENCY_BUCKETS", abi::LATENCY_BUCKETS as i128),
        ("DECIDED_SPARE", i128::from(abi::DECIDED_SPARE)),
        ("DECIDED_KILL", i128::from(abi::DECIDED_KILL)),
        ("EVENT_TEXT_SPACE", 31744),
        ("STATE_OUTSIDE", 0),
        ("CEILING_SLOTS", abi::CEILING_SLOTS as i128),
        ("CEILING_RULES", abi::CEILING_RULES as i128),
        ("CEILING_NONE", i128::from(abi::CEILING_NONE)),
    ];
    for (name, value) in ours {
        assert_eq!(defined.get(name), Some(&value), "{name}");
    }
    assert_eq!(
        1 << defined["TABLE_PAGE_SHIFT"],
        defined["TABLE_PAGE_SLOTS"]
    );
    assert_eq!(
        enumerated("guard_mode"),
        [
            ("MODE_ENFORCE", abi::MODE_ENFORCE),
            ("MODE_OBSERVE", abi::MODE_OBSERVE)
        ]
    );
    let most = defined["EVENT_TEXT_SPACE"] as usize + size_of::<EventHeader>();
    assert!(
        most <= 32 * 1024,
        "a per-CPU value has at most 32 KiB, this has {most}"
    );
}

fn decoded(change: impl FnOnce(&mut EventHeader)) -> Result<KernelEvent, EventError> {
    let mut header = EventHeader::new_zeroed();
    header.kind = 1;
    change(&mut header);
    KernelEvent::decode(header.as_bytes())
}

#[test]
fn kinds_reasons_and_regions_have_the_same_numbers() {
    let kinds = enumerated("event_kind");
    for (name, number) in &kinds {
        let event = decoded(|header| header.kind = *number).expect("a kind of the header's");
        assert_eq!(
            format!("EVENT_{}", shouted(&format!("{:?}", event.kind))),
            *name
        );
    }
    let reasons = enumerated("event_reason");
    for (name, number) in &reasons {
        let event = decoded(|header| header.reason = *number).expect("a reason of the header's");
        assert_eq!(
            format!("REASON_{}", shouted(&format!("{:?}", event.reason))),
            *name
        );
    }
    let regions = enumerated("match_region");
    for (name, number) in &regions {
        let event = decoded(|header| header.region = *number).expect("a region of the header's");
        assert_eq!(
            format!("REGION_{}", shouted(&format!("{:?}", event.region))),
            *name
        );
    }
    for (name, number) in [
        ("CEILING_NODE", abi::CeilingKind::Node as u32),
        ("CEILING_OTHERS", abi::CeilingKind::Others as u32),
        ("CEILING_UNREADABLE", abi::CeilingKind::Unreadable as u32),
        ("CEILING_STRING", abi::CeilingKind::String as u32),
        ("CEILING_DETECTION", abi::CeilingKind::Detection as u32),
    ] {
        assert!(
            enumerated("ceiling_kind").contains(&(name, number)),
            "{name}"
        );
    }
    for (name, number) in [
        ("CEILING_LOOK", abi::CeilingHow::Look as u32),
        ("CEILING_CHECK", abi::CeilingHow::Check as u32),
        ("CEILING_CLAIM", abi::CeilingHow::Claim as u32),
        ("CEILING_RELEASE", abi::CeilingHow::Release as u32),
    ] {
        assert!(
            enumerated("ceiling_how").contains(&(name, number)),
            "{name}"
        );
    }
    for (name, number) in [
        ("CEILING_COUNTED", abi::CeilingAnswer::Counted as u32),
        ("CEILING_CLAIMED", abi::CeilingAnswer::Claimed as u32),
        ("CEILING_OVER", abi::CeilingAnswer::Over as u32),
        ("CEILING_TRIPS", abi::CeilingAnswer::Trips as u32),
    ] {
        assert!(
            enumerated("ceiling_answer").contains(&(name, number)),
            "{name}"
        );
    }
    let next = |members: &[(&str, u32)]| members.last().expect("there are members").1 + 1;
    for (what, found) in [
        ("kind", decoded(|header| header.kind = next(&kinds))),
        ("reason", decoded(|header| header.reason = next(&reasons))),
        ("region", decoded(|header| header.region = next(&regions))),
    ] {
        assert!(
            matches!(found, Err(EventError::Unknown { what: unknown, .. }) if unknown == what),
            "one more {what}: {found:?}"
        );
    }
}

#[test]
fn counters_have_the_same_numbers() {
    let ours = [
        Counter::Execs,
        Counter::Matched,
        Counter::Killed,
        Counter::Spared,
        Counter::Held,
        Counter::WouldKill,
        Counter::Missed,
        Counter::HoldsExpired,
        Counter::HoldsBroken,
        Counter::EventsLostFull,
        Counter::EventsRateLimited,
        Counter::Unreadable,
        Counter::Suppressed,
        Counter::TextTruncated,
        Counter::HookNs,
        Counter::Noted,
        Counter::CeilingRefused,
        Counter::FilesHeld,
        Counter::FilesUnheld,
        Counter::FilesKnown,
        Counter::FilesBad,
        Counter::WireFlows,
        Counter::WireDropped,
        Counter::WireNoRoom,
        Counter::Connects,
    ];
    let mut expected: Vec<(String, u32)> = ours
        .iter()
        .map(|counter| {
            (
                format!("COUNT_{}", shouted(&format!("{counter:?}"))),
                *counter as u32,
            )
        })
        .collect();
    expected.push(("COUNT_MAX".to_owned(), abi::COUNTERS as u32));
    let header: Vec<(String, u32)> = enumerated("guard_counter")
        .into_iter()
        .map(|(name, number)| (name.to_owned(), number))
        .collect();
    assert_eq!(header, expected);
}

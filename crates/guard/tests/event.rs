//! Whatever bytes the event buffer holds are an event or an error, and what the kernel programs
//! write comes out as it went in.

use davylamp_guard::abi::{EventAncestor, EventHeader};
use davylamp_guard::event::{EventError, KernelEvent};
use proptest::prelude::*;
use zerocopy::{FromBytes as _, IntoBytes as _};

/// Texts as the kernel programs write them.
#[derive(Debug, Clone)]
struct Texts {
    arguments: Vec<u8>,
    path: Vec<u8>,
    /// Leaf first.
    exe: Vec<String>,
    cgroup: Vec<String>,
    environment: Vec<u8>,
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._:\u{e9}-]{1,12}"
}

fn bytes_without_nul() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1u8..=255, 0..60)
}

fn texts() -> impl Strategy<Value = Texts> {
    (
        prop::collection::vec(any::<u8>(), 0..200),
        bytes_without_nul(),
        prop::collection::vec(name(), 0..6),
        prop::collection::vec(name(), 0..6),
        prop::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(arguments, path, exe, cgroup, environment)| Texts {
            arguments,
            path,
            exe,
            cgroup,
            environment,
        })
}

/// A header of any numbers, but with a kind, a reason and a region that exist.
fn header() -> impl Strategy<Value = EventHeader> {
    (
        prop::collection::vec(any::<u8>(), size_of::<EventHeader>()),
        1u32..=7,
        0u32..=11,
        0u32..=2,
    )
        .prop_map(|(bytes, kind, reason, region)| {
            let mut header = EventHeader::read_from_bytes(&bytes).expect("any bytes are a header");
            (header.kind, header.reason, header.region) = (kind, reason, region);
            header
        })
}

fn parts(names: &[String]) -> Vec<u8> {
    names
        .iter()
        .flat_map(|name| [name.as_bytes(), b"\0"].concat())
        .collect()
}

/// Leaf first, as a path.
fn joined(names: &[String], is_cut: bool) -> String {
    let mut path = if is_cut {
        "/\u{2026}".to_owned()
    } else {
        String::new()
    };
    for name in names.iter().rev() {
        path.push('/');
        path.push_str(name);
    }
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

fn written(header: &mut EventHeader, texts: &Texts) -> Vec<u8> {
    let path = [&texts.path[..], b"\0"].concat();
    let all = [
        texts.arguments.clone(),
        path,
        parts(&texts.exe),
        parts(&texts.cgroup),
        texts.environment.clone(),
    ];
    header.text_arguments = all[0].len() as u32;
    header.text_path = all[1].len() as u32;
    header.text_exe = all[2].len() as u32;
    header.text_cgroup = all[3].len() as u32;
    header.text_environment = all[4].len() as u32;
    [header.as_bytes(), &all.concat()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..900)) {
        let found = KernelEvent::decode(&bytes);
        if bytes.len() < size_of::<EventHeader>() {
            prop_assert_eq!(found, Err(EventError::Short(bytes.len())));
        }
    }

    #[test]
    fn any_lengths_of_texts_are_an_event_or_an_error(
        mut header in header(),
        lengths in prop::array::uniform5(prop_oneof![0u32..100, any::<u32>()]),
        tail in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        header.text_arguments = lengths[0];
        header.text_path = lengths[1];
        header.text_exe = lengths[2];
        header.text_cgroup = lengths[3];
        header.text_environment = lengths[4];
        let bytes = [header.as_bytes(), &tail].concat();
        let fits = lengths.iter().map(|length| u64::from(*length)).sum::<u64>() <= tail.len() as u64;
        let found = KernelEvent::decode(&bytes);
        prop_assert_eq!(found.is_ok(), fits);
        if !fits {
            prop_assert_eq!(found, Err(EventError::Texts(bytes.len())));
        }
    }

    #[test]
    fn what_was_written_comes_out(mut header in header(), texts in texts()) {
        let bytes = written(&mut header, &texts);
        let event = KernelEvent::decode(&bytes).expect("a whole event");
        prop_assert_eq!(&event.arguments, &texts.arguments);
        prop_assert_eq!(&event.path, &texts.path);
        prop_assert_eq!(&event.exe, &joined(&texts.exe, header.truncated & 4 != 0));
        prop_assert_eq!(&event.cgroup_path, &joined(&texts.cgroup, header.truncated & 8 != 0));
        prop_assert_eq!(&event.environment, &texts.environment);
        let leaf = texts.exe.first().cloned().unwrap_or_default();
        if header.truncated & 4 == 0 || !texts.exe.is_empty() {
            prop_assert_eq!(event.executable(), leaf);
        }
        prop_assert_eq!(
            (event.pid, event.parent, event.uid, event.info),
            (header.pid, header.parent, header.uid, header.info)
        );
        prop_assert_eq!(
            (event.time_ns, event.latency_ns, event.start_boottime_ns, event.held_ns),
            (header.time_ns, header.latency_ns, header.start_boottime_ns, header.held_ns)
        );
        prop_assert_eq!(
            (event.generation, event.cgroup, event.arguments_len, event.rate_limited),
            (header.generation, header.cgroup, header.arguments_len, header.rate_limited)
        );
        prop_assert_eq!(event.signal_error, header.signal_error);
        // Every byte less is noticed.
        if bytes.len() > size_of::<EventHeader>() {
            let short = KernelEvent::decode(&bytes[..bytes.len() - 1]);
            prop_assert_eq!(short, Err(EventError::Texts(bytes.len() - 1)));
        }
    }

    #[test]
    fn ancestors_end_at_the_first_empty_place(
        mut header in header(),
        pids in prop::collection::vec(1u32.., 0..=8),
    ) {
        let none = EventAncestor { pid: 0, comm: [b'z'; 16] };
        header.ancestors = [none; 8];
        for (place, pid) in header.ancestors.iter_mut().zip(&pids) {
            *place = EventAncestor { pid: *pid, comm: *b"name\0leftovers..\0".first_chunk().expect("16") };
        }
        let texts = Texts {
            arguments: Vec::new(),
            path: Vec::new(),
            exe: Vec::new(),
            cgroup: Vec::new(),
            environment: Vec::new(),
        };
        let event = KernelEvent::decode(&written(&mut header, &texts)).expect("a whole event");
        let expected: Vec<_> = pids.iter().map(|pid| (*pid, "name".to_owned())).collect();
        prop_assert_eq!(event.ancestors, expected);
    }
}

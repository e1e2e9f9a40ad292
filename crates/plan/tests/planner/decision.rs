//! Which of several candidates is decided on.

use davylamp_model::inventory::Sighting;

use crate::who::{check, sighting, two};
use crate::world::*;

/// Name, what the guard saw, what alice's and bob's pods use, and who is decided on.
type Speaks = (
    &'static str,
    Vec<Sighting>,
    [Option<u64>; 2],
    Option<&'static str>,
);

#[test]
fn of_two_only_what_speaks_against_one_decides() {
    let day = 24 * 60;
    let cases: Vec<Speaks> = vec![
        ("nothing", vec![], [None, None], None),
        (
            "a sighting",
            vec![sighting(Some("bob"), None, "n1", 5)],
            [None, None],
            Some("bob"),
        ),
        (
            "by pod",
            vec![sighting(None, Some("jupyter-bob"), "n1", 5)],
            [None, None],
            Some("bob"),
        ),
        (
            "elsewhere",
            vec![sighting(Some("bob"), None, "n9", 5)],
            [None, None],
            None,
        ),
        (
            "long ago",
            vec![sighting(Some("bob"), None, "n1", day)],
            [None, None],
            None,
        ),
        (
            "of both",
            vec![
                sighting(Some("bob"), None, "n1", 5),
                sighting(Some("alice"), None, "n1", 5),
            ],
            [Some(10), Some(4_000)],
            None,
        ),
        (
            "seen, though another computes",
            vec![sighting(Some("bob"), None, "n1", 5)],
            [Some(4_000), Some(0)],
            Some("bob"),
        ),
        ("processor", vec![], [Some(100), Some(3_900)], Some("bob")),
        ("no clear share", vec![], [Some(1_000), Some(3_000)], None),
        ("all idle", vec![], [Some(1), Some(400)], None),
        ("one unknown", vec![], [None, Some(4_000)], None),
        (
            "no overflow",
            vec![],
            [Some(u64::MAX), Some(u64::MAX)],
            None,
        ),
    ];
    for (name, sightings, cpu, decided) in cases {
        let mut inventory = two();
        inventory.sightings = sightings;
        for (pod, cpu) in state(&mut inventory).pods.iter_mut().zip(cpu) {
            pod.cpu_millicores = cpu;
        }
        let both = &["alice", "bob"];
        check(
            name,
            &on_instance("i-1"),
            &inventory,
            &with_hub(),
            both,
            decided,
        );
    }
}

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const POD: &str = "kubepods-burstable-pod0b1c2d3e_4f50_6172_8394_a5b6c7d8e9f0.slice";
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[track_caller]
fn check(path: &str, victim: &str) {
    assert_eq!(victim_of(path), Some(victim), "{path}");
}

#[test]
fn a_pod_is_one_victim_however_often_its_containers_start_again() {
    let pod = format!("/kubepods.slice/kubepods-burstable.slice/{POD}");
    check(&format!("{pod}/cri-containerd-{ID}.scope"), &pod);
    check(&format!("{pod}/crio-{ID}.scope/inner"), &pod);
    let uid = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";
    let pod = format!("/kubepods/besteffort/pod{uid}");
    check(&format!("{pod}/{ID}"), &pod);
    let guaranteed = format!("/kubepods/pod{uid}");
    check(&format!("{guaranteed}/{ID}"), &guaranteed);
}

#[test]
fn a_user_is_one_victim_whatever_they_name_their_cgroups() {
    let user = "/user.slice/user-1000.slice";
    check(&format!("{user}/session-3.scope"), user);
    check(&format!("{user}/user@1000.service/app.slice/{POD}"), user);
    check(&format!("{user}/user@1000.service/{ID}"), user);
}

#[test]
fn services_containers_and_what_has_no_known_name() {
    let docker = format!("/system.slice/docker-{ID}.scope");
    check(&docker, &docker);
    // A node that is a container is one victim: what is inside of it is named by it.
    check(&format!("{docker}/kubelet.slice/{POD}/x"), &docker);
    check("/system.slice/ssh.service/a/b", "/system.slice/ssh.service");
    check("/init.scope", "/init.scope");
    check(&format!("/docker/{ID}/inner"), &format!("/docker/{ID}"));
    check("/tenants/alice/deep/er", "/tenants/alice");
    check("/tenants", "/tenants");
    check("/system.slice", "/system.slice");
    check("/", "");
    // Words that are no pod.
    check("/x/podman/y", "/x/podman");
    check(
        "/tripod-0123456789abcdef0123456789abcdef/a/b",
        "/tripod-0123456789abcdef0123456789abcdef/a",
    );
}

#[test]
fn depth_buys_no_second_victim() {
    let deep = "/a".repeat(MOST_LEVELS);
    assert_eq!(victim_of(&deep), None);
    assert_eq!(victim_of(&"/a".repeat(MOST_LEVELS - 1)), Some("/a/a"));
}

#[test]
fn who_starts_a_miner_again_and_again_trips_nothing() {
    let mut slots = Slots::new(3, 3600);
    assert_eq!(slots.claim(1, 0), Answer::Claimed);
    for again in 0..100_000 {
        assert_eq!(slots.claim(1, again), Answer::Counted);
    }
    assert_eq!(slots.claim(2, 100_000), Answer::Claimed);
    assert_eq!(slots.claim(3, 100_000), Answer::Claimed);
    assert_eq!(slots.claim(4, 100_000), Answer::Over);
    assert_eq!(slots.claim(1, 100_000), Answer::Counted);
    // The window begins with the last kill, not with the first.
    assert_eq!(slots.claim(1, 103_599), Answer::Counted);
    assert_eq!(slots.claim(4, 103_600), Answer::Claimed);
    slots.release(4);
    assert_eq!(slots.claim(5, 103_600), Answer::Claimed);
}

#[test]
fn a_tenants_next_place_takes_the_place_of_its_last() {
    let mut tenants = Tenants::default();
    let user = || Tenant::HubUser("alice".to_owned());
    assert!(tenants.counted("rule", user(), 1, |_| false).is_empty());
    assert_eq!(tenants.counted("rule", user(), 2, |_| false), [1]);
    assert!(tenants.counted("other", user(), 3, |_| false).is_empty());
    assert!(tenants.counted("rule", user(), 2, |_| true).is_empty());

    let pod = |name| Tenant::of_pod("web", name);
    assert_eq!(pod("shop-7d4b9c6f5d-x2x4z"), pod("shop-6f5d7d4b9c-bcdfg"));
    assert_eq!(pod("nightly-x2x4z"), pod("nightly-bcdfg"));
    assert_ne!(pod("shop-7d4b9c6f5d-x2x4z"), pod("nightly-x2x4z"));
    assert_eq!(pod("db-0"), Tenant::Workload("web".into(), "db-0".into()));
    let shop = || pod("shop-7d4b9c6f5d-x2x4z");
    assert!(tenants.counted("rule", shop(), 7, |_| false).is_empty());
    // Both run: two victims. Once the first is gone the third has its place.
    assert!(tenants.counted("rule", shop(), 8, |_| false).is_empty());
    assert_eq!(tenants.counted("rule", shop(), 9, |place| place == 7), [7]);
    tenants.clear();
    assert!(tenants.counted("rule", user(), 4, |_| true).is_empty());
}

proptest! {
    /// In any window, no more than `most` victims; and who was admitted is refused only once a
    /// whole window has passed without a kill of theirs.
    #[test]
    fn no_window_has_more_victims_than_the_ceiling(
        most in 1u32..6,
        kills in proptest::collection::vec((0u64..12, 0u64..40), 1..200),
    ) {
        const WINDOW: u64 = 100;
        let mut slots = Slots::new(most, WINDOW);
        let mut now = 0;
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (victim, later) in kills {
            now += later;
            let answer = slots.claim(victim, now);
            let last = admitted.iter().rev().find(|(v, _)| *v == victim).map(|(_, at)| *at);
            if last.is_some_and(|at| now - at < WINDOW) {
                prop_assert_eq!(answer, Answer::Counted);
            }
            if answer != Answer::Over {
                admitted.push((victim, now));
            }
            let recent: BTreeSet<u64> = admitted
                .iter()
                .filter(|(_, at)| now - at < WINDOW)
                .map(|(v, _)| *v)
                .collect();
            prop_assert!(recent.len() <= most as usize);
        }
    }

    #[test]
    fn any_path_has_a_victim_that_begins_it(path in "(/[a-z0-9.@-]{0,12}){0,8}") {
        let victim = victim_of(&path).expect("not deep");
        prop_assert!(path.starts_with(victim));
    }

    /// Nothing that is made inside of a victim is another one.
    #[test]
    fn names_inside_of_a_victim_count_for_nothing(inner in "(/[a-z0-9.@-]{1,20}){0,6}") {
        for outer in ["/user.slice/user-1000.slice", "/system.slice/x.service", "/tenants/alice"] {
            let path = format!("{outer}{inner}");
            prop_assert_eq!(victim_of(&path), Some(outer));
        }
    }
}

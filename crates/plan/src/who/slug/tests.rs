use super::*;

/// Name, then what KubeSpawner 7.1's own functions printed for it: the old scheme, the new one, the
/// new one in labels, and for its default server, a server `work` and a server `My Server`.
#[rustfmt::skip]
const MADE_BY_KUBESPAWNER: &[[&str; 7]] = &[
    ["alice", "alice", "alice", "alice", "alice", "alice--work", "alice--my-server---c2d9a82f"],
    ["bob@e", "bob-40e", "bob-e---6a636867", "bob-e---6a636867", "bob-e---6a636867", "bob-e---6a636867--work", "bob-e---6a636867--my-server---c2d9a82f"],
    ["bob.doe", "bob-2edoe", "bob-doe---6b0fecac", "bob.doe", "bob-doe---6b0fecac", "bob-doe---6b0fecac--work", "bob-doe---6b0fecac--my-server---c2d9a82f"],
    ["Alice", "-41lice", "alice---3bc51062", "Alice", "alice---3bc51062", "alice---3bc51062--work", "alice---3bc51062--my-server---c2d9a82f"],
    ["alice-40e", "alice-2d40e", "alice-40e", "alice-40e", "alice-40e", "alice-40e--work", "alice-40e--my-server---c2d9a82f"],
    ["a--b", "a-2d-2db", "a-b---90827a2e", "a-b---90827a2e", "a-b---90827a2e", "a-b---90827a2e--work", "a-b---90827a2e--my-server---c2d9a82f"],
    ["a-", "a-2d", "a---9baf4407", "a---9baf4407", "a---9baf4407", "a---9baf4407--work", "a---9baf4407--my-server---c2d9a82f"],
    ["-a", "-2da", "a---c2748917", "a---c2748917", "a---c2748917", "a---c2748917--work", "a---c2748917--my-server---c2d9a82f"],
    ["1abc", "1abc", "x-1abc---57cb980e", "1abc", "x-1abc---57cb980e", "x-1abc---57cb980e--work", "x-1abc---57cb980e--my-server---c2d9a82f"],
    ["\u{fc}n\u{ef}", "-c3-bcn-c3-af", "n---e975a529", "n---e975a529", "n---e975a529", "n---e975a529--work", "n---e975a529--my-server---c2d9a82f"],
    ["K\u{212a}K", "-4b-e2-84-aa-4b", "kkk---bfca19e9", "K\u{212a}K", "kkk---bfca19e9", "kkk---bfca19e9--work", "kkk---bfca19e9--my-server---c2d9a82f"],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa--work---fa28c0b6", "aaaaaaaaaaaaaaaaa--my-server---e49b3c24"],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa--x---b191b19d", "aaaaaaaaaaaaaaaaa--work---5df1fc86", "aaaaaaaaaaaaaaaaa--my-server---68d2d104"],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa--x---51eb9331", "aaaaaaaaaaaaaaaaa--work---f673d735", "aaaaaaaaaaaaaaaaa--my-server---89921248"],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa---8f9bec6a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa--x---2088203e", "aaaaaaaaaaaaaaaaa--work---9340ca6d", "aaaaaaaaaaaaaaaaa--my-server---051bfdc3"],
    ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa---ffe054fe", "aaaaaaaaaaaaaaaaaaaaa---ffe054fe", "aaaaaaaaaaaaaaaaa--x---de5ac785", "aaaaaaaaaaaaaaaaa--work---db20e313", "aaaaaaaaaaaaaaaaa--my-server---c1a3bd61"],
    ["x_y", "x-5fy", "x-y---f9068e81", "x_y", "x-y---f9068e81", "x-y---f9068e81--work", "x-y---f9068e81--my-server---c2d9a82f"],
    ["X_Y.z", "-58-5f-59-2ez", "x-y-z---2aa7232b", "X_Y.z", "x-y-z---2aa7232b", "x-y-z---2aa7232b--work", "x-y-z---2aa7232b--my-server---c2d9a82f"],
    ["user@example.org", "user-40example-2eorg", "user-example-org---d159ef62", "user-example-org---d159ef62", "user-example-org---d159ef62", "user-example-org---d159ef62--work", "user-example-org--my-server---eb51f02c"],
    ["\u{130}x", "-c4-b0x", "i-x---3020b9f2", "i-x---3020b9f2", "i-x---3020b9f2", "i-x---3020b9f2--work", "i-x---3020b9f2--my-server---c2d9a82f"],
    ["a\u{9}b", "a-9b", "a-b---894891f8", "a-b---894891f8", "a-b---894891f8", "a-b---894891f8--work", "a-b---894891f8--my-server---c2d9a82f"],
    ["\u{540d}\u{524d}", "-e5-90-8d-e5-89-8d", "x---7ec26292", "x---7ec26292", "x---7ec26292", "x---7ec26292--work", "x---7ec26292--my-server---c2d9a82f"],
    ["999999999999999999999999999999999999999999999999999999999999", "999999999999999999999999999999999999999999999999999999999999", "x-99999999999999999999999999999999999---f038e42c", "999999999999999999999999999999999999999999999999999999999999", "x-999999999999999--x---70ed7a35", "x-999999999999999--work---b5b9255c", "x-999999999999999--my-server---48c5b5c6"],
    ["a---b", "a-2d-2d-2db", "a-b---1acd27f8", "a-b---1acd27f8", "a-b---1acd27f8", "a-b---1acd27f8--work", "a-b---1acd27f8--my-server---c2d9a82f"],
    ["alice\u{a}", "alice-a", "alice---f87165e3", "alice---f87165e3", "alice---f87165e3", "alice---f87165e3--work", "alice---f87165e3--my-server---c2d9a82f"],
];

#[test]
fn slugs_are_those_that_kubespawner_makes() {
    for [name, escaped, safe, label, default, work, spaced] in MADE_BY_KUBESPAWNER {
        assert_eq!(escape(name), *escaped, "{name:?}");
        assert_eq!(safe_slug(name), *safe, "{name:?}");
        assert_eq!(safe_label(name), *label, "{name:?}");
        assert_eq!(safe_user_server(name, ""), *default, "{name:?}");
        assert_eq!(safe_user_server(name, "work"), *work, "{name:?}");
        assert_eq!(safe_user_server(name, "My Server"), *spaced, "{name:?}");
    }
}

#[test]
fn an_escape_is_undone_only_where_the_old_scheme_would_have_made_it() {
    let cases = [
        ("bob-2edoe", Some("bob.doe")),
        ("bob-40e", Some("bob@e")),
        ("alice", Some("alice")),
        ("-c3-bcn-c3-af", Some("ün\u{ef}")),
        ("-61lice", None),
        ("bob-2Edoe", None),
        ("bob-2", None),
        ("bob-", None),
        ("bob-zz", None),
        ("bob-ff", None),
        ("bob-+1", None),
        ("bob---6b0fecac", None),
        ("Alice", None),
        ("", None),
    ];
    for (slug, wanted) in cases {
        assert_eq!(unescape(slug).as_deref(), wanted, "{slug:?}");
    }
}

fn record(name: &str, servers: &[&str], pods: &[&str]) -> HubRecord {
    HubRecord {
        name: name.into(),
        admin: false,
        pods: pods.iter().map(|pod| (*pod).into()).collect(),
        servers: servers.iter().map(|server| (*server).to_owned()).collect(),
    }
}

#[test]
fn a_slug_leads_to_everyone_it_may_be_of() {
    let index = SlugIndex::new(&[
        record("alice", &["", "My Server"], &["jupyter-alice"]),
        record("e", &[], &[]),
        record("lice", &[], &[]),
        record("alice@e", &[], &[]),
        record("alice-40e", &[], &[]),
        record("bob.doe", &[], &[]),
        record("bob-doe", &[], &[]),
        record("Bob", &[], &[]),
        record("user@example.org", &["My Server"], &[]),
    ]);
    let cases: &[(&str, &[&str])] = &[
        ("alice", &["alice"]),
        ("alice--work", &["alice"]),
        ("alice--my-server---c2d9a82f", &["alice"]),
        ("alice---4dy-20-53erver", &["alice"]),
        ("alice-2d40e", &["alice-40e"]),
        ("alice-40e", &["alice-40e", "alice@e"]),
        ("e", &["e"]),
        ("bob-2edoe", &["bob.doe"]),
        ("bob-doe---6b0fecac", &["bob.doe"]),
        ("bob-doe---6b0fecac--work", &["bob.doe"]),
        ("bob-doe---00000000", &[]),
        // The slug of `Alice`, whom the list does not have: `alice` is somebody else.
        ("alice---3bc51062", &[]),
        ("alice--other-server---00000000", &[]),
        ("alice--", &[]),
        ("bob-doe", &["bob-doe"]),
        ("bob", &[]),
        ("-42ob", &["Bob"]),
        (
            "user-example-org--my-server---eb51f02c",
            &["user@example.org"],
        ),
        ("claim-alice", &[]),
        ("", &[]),
        ("--", &[]),
        ("------", &[]),
    ];
    for (slug, wanted) in cases {
        let found: Vec<&str> = index
            .users_of_slug(slug)
            .into_iter()
            .map(HubUser::as_str)
            .collect();
        assert_eq!(found, *wanted, "{slug:?}");
    }
}

#[test]
fn labels_and_pods_lead_to_their_users() {
    let index = SlugIndex::new(&[
        record("bob.doe", &[], &["jupyter-bob-2edoe"]),
        record("bob-2edoe", &[], &[]),
    ]);
    let names = |found: BTreeSet<&HubUser>| -> Vec<String> {
        found.into_iter().map(ToString::to_string).collect()
    };
    assert_eq!(names(index.users_of_label("bob.doe")), ["bob.doe"]);
    assert_eq!(
        names(index.users_of_label("bob-2edoe")),
        ["bob-2edoe", "bob.doe"]
    );
    assert_eq!(names(index.users_of_label("bob-doe")), [""; 0]);
    assert_eq!(names(index.users_of_pod("jupyter-bob-2edoe")), ["bob.doe"]);
    assert_eq!(names(index.users_of_pod("jupyter-eve")), [""; 0]);
}

#[test]
fn of_two_records_of_a_name_the_administrators_counts() {
    let plain = record("root", &[], &[]);
    let admin = HubRecord {
        admin: true,
        ..plain.clone()
    };
    for records in [[plain.clone(), admin.clone()], [admin, plain]] {
        let index = SlugIndex::new(&records);
        let found = index.user(&"root".into());
        assert!(found.is_some_and(|record| record.admin), "{records:?}");
        assert!(index.is_of(&records));
        assert!(!index.is_of(&records[..1]));
    }
}

#[test]
fn ten_thousand_users_are_looked_up_without_walking_them() {
    let records: Vec<HubRecord> = (0..10_000)
        .map(|number| record(&format!("user.{number}@example.org"), &[], &[]))
        .collect();
    let index = SlugIndex::new(&records);
    for number in 0..10_000 {
        let name = format!("user.{number}@example.org");
        let found = index.users_of_slug(&escape(&name));
        assert_eq!(found.len(), 1, "{name}");
        let found = index.users_of_slug(&safe_slug(&name));
        assert!(found.contains(&HubUser(name.clone())), "{name}");
    }
}

//! Who it was: on a real JupyterHub, the right person and nobody else.

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use davylamp_testkit::jupyterhub::Hub;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::finding::{event, mining, upper};
use crate::ground::{Ground, NAMESPACE, until};

/// A ground with a Hub that has these users, each with a server that runs.
struct Campus {
    ground: Ground,
    hub: Hub,
    runtime: Runtime,
}

impl Campus {
    fn new(users: &[&str]) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let hub = runtime.block_on(async {
            let hub = Hub::start().await.expect("a Hub");
            for user in users {
                hub.create_user(user).await.expect("created");
                hub.start_server(user, "").await.expect("started");
            }
            hub
        });
        let mut ground = Ground::new();
        ground.join_hub(hub.url(), hub.token());
        Self {
            ground,
            hub,
            runtime,
        }
    }

    /// Whether the Hub has the user, with a server.
    fn works(&self, user: &str) -> bool {
        let user = self.runtime.block_on(self.hub.user(user));
        user.expect("the Hub answers")
            .is_some_and(|it| it["servers"][""]["ready"] == json!(true))
    }

    fn has(&self, user: &str) -> bool {
        let user = self.runtime.block_on(self.hub.user(user));
        user.expect("the Hub answers").is_some()
    }
}

#[test]
fn the_only_user_of_a_node_is_shut_out_and_nobody_whose_name_is_left_of_a_claim() {
    let campus = Campus::new(&["alice", "e"]);
    let ground = &campus.ground;
    let alices = campus.runtime.block_on(campus.hub.user_token("alice"));
    let alices = alices.expect("a token");
    let machine = ground.node(&["alice"]);
    let finding = event(&mining(&ground.account.id, "one", &machine.id));
    let finding = ground.save("finding.json", &finding);

    let ran = ground.davy(&["--finding", &finding]);
    let ran = ran.ended(1).says(&["playbook hub-miner", "who: alice"]);
    assert!(!ran.out.contains("candidate e,"), "{}", ran.out);

    assert!(!campus.has("alice"));
    assert!(campus.works("e"), "a stranger was stopped");
    let taken = campus.runtime.block_on(campus.hub.takes_token(&alices));
    assert!(!taken.expect("an answer"));
    assert_eq!(ground.shut_out(), [r#"{"claimname":"claim-alice"}"#]);
    assert_eq!(ground.state(&machine.id), "terminated");

    // Root and home, each once, and nothing by which a home is restored.
    let evidence = ground.evidence();
    let mut volumes: Vec<_> = evidence.iter().map(|it| it.volume.clone()).collect();
    volumes.sort();
    let mut expected = machine.volumes.clone();
    expected.sort();
    assert_eq!(volumes, expected);
    for tag in evidence.iter().flat_map(|it| &it.tags) {
        assert!(tag.starts_with("davylamp:") || tag == "Name", "{tag}");
    }

    let mails = ground.mail.mails();
    assert_eq!(mails.len(), 1, "{mails:#?}");
    assert_eq!(mails[0].to, ["admins@example.org"]);
    for part in ["alice", &machine.id, "terminate-instance"] {
        assert!(mails[0].text.contains(part), "{part}: {}", mails[0].text);
    }

    // Delivered again, an hour or a second later, in another form: nothing happens twice.
    ground.proxy.clear_calls();
    let again = ground.save(
        "again.json",
        &mining(&ground.account.id, "one", &machine.id),
    );
    ground.davy(&["--finding", &again]).ended(1);
    let writes = ground.writes();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(ground.mail.mails().len(), 1);
    assert_eq!(ground.portal.hooks().len(), 1);
    assert!(campus.works("e"));
}

#[test]
fn of_two_users_nobody_is_stopped_and_both_are_named() {
    let campus = Campus::new(&["alice", "bob"]);
    let ground = &campus.ground;
    let machine = ground.node(&["alice", "bob"]);
    let finding = event(&mining(&ground.account.id, "one", &machine.id));
    let finding = ground.save("finding.json", &finding);

    let ran = ground.davy(&["--finding", &finding]).ended(1);
    ran.says(&[
        "playbook node-miner",
        "who: not decided",
        "candidate alice, known to the Hub",
        "candidate bob, known to the Hub",
    ]);
    assert!(campus.works("alice") && campus.works("bob"));
    assert!(ground.portal.hooks().is_empty());
    assert_eq!(ground.state(&machine.id), "running");
    assert_eq!(ground.evidence().len(), 3);
    let mails = ground.mail.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].text.contains("alice") && mails[0].text.contains("bob"));

    // What hurts others waits for a person, who says yes.
    let listed = ground.davy(&["status", "--output", "json"]).ended(1).json();
    let incident = listed[0]["incident"].as_str().expect("an incident");
    let waiting = ground.davy(&["status", incident]).ended(1);
    waiting.says(&["a person has to approve it", "terminate-instance"]);
    let alone = format!("terminate-instance:instance/{}", machine.id);
    let refused = ground.davy(&["approve", incident, "--step", &alone]);
    assert!(
        refused.err.contains("--step unprotect-instance"),
        "{refused:#?}"
    );
    assert_eq!(ground.state(&machine.id), "running");
    let approved = ground.davy(&["approve", incident, "--by", "carol"]);
    approved.ended(1).says(&["terminate-instance"]);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert!(campus.works("alice") && campus.works("bob"));
    let status = ground.davy(&["status", incident]);
    status.says(&["carol approved every step"]);
}

#[test]
fn of_two_users_the_one_whom_the_guard_saw_is_stopped() {
    let campus = Campus::new(&["alice", "bob"]);
    let ground = &campus.ground;
    let machine = ground.node(&["alice", "bob"]);
    let seen = json!({
        "timestamp": "2026-11-20T10:00:00Z", "level": "warning", "action": "killed",
        "event": "process matched the blocklist", "pid": 4711, "cmdline": "./worker",
        "matched": "a-word", "source": "exec", "container_type": "cri",
        "node": format!("node-{}", machine.id),
        "namespace": NAMESPACE, "pod": "jupyter-bob", "hub_user": "bob",
        "labels": {"io.kubernetes.pod.name": "jupyter-bob",
            "io.kubernetes.pod.namespace": NAMESPACE},
    });
    let both = format!(
        "{}\n{seen}\n",
        mining(&ground.account.id, "one", &machine.id)
    );
    let finding = ground.write("findings.jsonl", &both);
    let ran = ground.davy(&["plan", "--finding", &finding, "--output", "json"]);
    let plans = ran.json();
    let decided: Vec<_> = plans["incidents"]
        .as_array()
        .expect("incidents")
        .iter()
        .map(|it| it["plan"]["attribution"]["decided"].clone())
        .collect();
    assert!(!decided.contains(&json!("alice")), "{decided:?}");
    assert!(decided.contains(&json!("bob")), "{plans:#}");

    ground.davy(&["--finding", &finding]);
    assert!(!campus.works("bob"), "the one who was seen goes on");
    assert!(campus.works("alice"), "a stranger was stopped");
    assert!(campus.has("alice"));
}

#[test]
fn without_aws_a_pod_that_starts_its_miner_again_is_evicted_and_its_user_stopped() {
    let mut campus = Campus::new(&["alice", "bob"]);
    campus.ground.set("respond.aws=false");
    let ground = &campus.ground;
    ground.bare_node("rack7", &["alice", "bob"]);
    let killed = |second: u32| {
        json!({
            "timestamp": format!("2026-11-20T10:00:{second:02}Z"), "level": "warning",
            "action": "killed", "event": "Killed process", "pid": 4711 + second,
            "cmdline": "./worker", "matched": "a-word", "detection": "miner-program",
            "source": "davylamp.exec", "exe": "/worker", "container_type": "cri", "node": "rack7",
            "cgroup": "/kubepods/pod1", "namespace": NAMESPACE, "pod": "jupyter-bob",
            "hub_user": "bob",
            "labels": {"io.kubernetes.pod.name": "jupyter-bob",
                "io.kubernetes.pod.namespace": NAMESPACE},
        })
    };
    let pod = || ground.cluster.get("pods", NAMESPACE, "jupyter-bob");
    ground.proxy.clear_calls();

    let once = ground.davy_reading(&["--spool", "-"], format!("{}\n", killed(1)).as_bytes());
    once.ended(0);
    assert!(pod().is_some(), "one kill is the guard's own matter");
    let lines = format!("{}\n{}\n", killed(1), killed(9));
    let ran = ground.davy_reading(&["--spool", "-"], lines.as_bytes());
    assert!(pod().is_none(), "{ran:#?}");
    assert!(!campus.works("bob"), "{ran:#?}");
    assert!(campus.works("alice"), "a stranger was stopped");
    ran.ended(1)
        .says(&["guard-evict", "evict-pod", "the pod is gone"]);
    assert_eq!(ground.proxy.calls().len(), 0, "AWS was asked");

    let torn = ground.davy_reading(&["--spool", "-"], b"\x00\xff\xfe\n[]\n");
    torn.ended(2).says(&["1 line could not be read"]);

    // What does need an account says so.
    let finding = mining("123456789012", "one", "i-0123456789abcdef0");
    let finding = ground.save("f.json", &finding);
    let ran = ground.davy(&["plan", "--finding", &finding]);
    ran.ended(2).says(&["there is no AWS here"]);
    let ran = ground.davy(&["--queue", "sqs:https://example.org/q", "--once"]);
    ran.ended(2).says(&["there is no AWS here", "respond.aws"]);
    assert_eq!(ground.proxy.calls().len(), 0, "AWS was asked");
}

#[test]
fn both_casings_of_a_finding_lead_to_the_same_plan() {
    let mut ground = Ground::new();
    ground.set("respond.portal.names=claim");
    let machine = ground.node(&["alice"]);
    let lower = mining(&ground.account.id, "one", &machine.id);
    let mut plans = Vec::new();
    for (name, form) in [
        ("bare", lower.clone()),
        ("event", event(&lower)),
        ("upper", upper(&lower)),
        ("upper-event", {
            let mut whole = event(&lower);
            whole["detail"] = upper(&lower);
            whole
        }),
    ] {
        let path = ground.save(name, &form);
        let ran = ground.davy(&["plan", "--finding", &path, "--output", "json"]);
        let plan = ran.ended(1).json()["incidents"][0]["plan"].clone();
        assert_eq!(plan["playbook"], "hub-miner", "{name}: {plan:#}");
        let mut steps = plan["steps"].as_array().expect("steps").clone();
        assert!(steps.len() > 5, "{name}: {plan:#}");
        for step in &mut steps {
            // Counted back from the moment of the look.
            step["action"]["since"].take();
        }
        plans.push((name, steps, plan["resource"].clone()));
    }
    for (name, steps, resource) in &plans {
        assert_eq!((steps, resource), (&plans[0].1, &plans[0].2), "{name}");
    }
}

#[test]
fn without_cluster_and_hub_it_works_on_what_it_can_reach_and_says_so() {
    let mut ground = Ground::new();
    ground.join_hub("http://127.0.0.1:1", "a-token-of-nobody");
    let machine = ground.node(&["alice"]);
    ground.cluster.fail_next(100_000, 503);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    let ran = ground.davy(&["--finding", &finding]);
    ran.says(&[
        "the Hub could not be reached",
        "could not be read",
        "terminate-instance",
    ]);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.evidence().len(), 2);
    assert_eq!(ground.shut_out(), [r#"{"claimname":"claim-alice"}"#]);
    let text = ground.mail.mails().remove(0).text;
    assert!(text.contains("could not be reached"), "{text}");
}

#[test]
fn a_dry_run_writes_nothing_and_calls_neither_hub_nor_portal_to_act() {
    let campus = Campus::new(&["alice"]);
    let ground = &campus.ground;
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    for args in [
        vec!["--finding", &finding, "--dry-run"],
        vec!["plan", "--finding", &finding],
    ] {
        let ran = ground.davy(&args).ended(1);
        ran.says(&["would", "terminate-instance"]);
        let writes = ground.writes();
        assert!(writes.is_empty(), "{args:?}: {writes:?}");
        assert_eq!(ground.cluster_writes(), 0, "{args:?}");
        assert!(ground.portal.hooks().is_empty(), "{args:?}");
        assert!(campus.works("alice"), "{args:?}");
        assert_eq!(ground.state(&machine.id), "running", "{args:?}");
    }
    // Neither was anything journaled: not even the file was made.
    let ran = ground.davy(&["status"]).ended(2);
    assert!(ran.err.contains("there is no journal"), "{ran:#?}");
}

#[test]
fn throttled_now_and_then_it_does_the_whole_work() {
    let campus = Campus::new(&["alice"]);
    let ground = &campus.ground;
    ground
        .proxy
        .set_schedule(Schedule::rules([Rule::new("ec2", "*", Fault::Throttle)
            .every(3)
            .times(4)]));
    let machine = ground.node(&["alice"]);
    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    ground.davy(&["--finding", &finding]).ended(1);
    until("the user is gone", || !campus.has("alice"));
    assert_eq!(ground.state(&machine.id), "terminated");
}

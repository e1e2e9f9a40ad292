//! What responders, hunts and audits say, for tests.

use davylamp_ledger::record::{
    Action, Audit, Blocklist, Cost, Evidence, IncidentNo, LeftOut, Plan, Record, Rollout, Run,
    Stage,
};
use davylamp_model::finding::Severity;
use davylamp_model::verdict::{Outcome, Verdict};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::World;

pub fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

pub async fn write(world: &World, record: Record) -> i64 {
    let taken = world.ledger.record(record, Timestamp::now()).await;
    taken.expect("an entry").last.expect("its number")
}

/// A plan as the responder's planner writes it, about an instance.
pub fn plan(incident: IncidentNo, id: &str, instance: &str) -> Record {
    let isolate = "isolate-interface:interface/eni-0aa";
    let snapshot = format!("snapshot-instance:instance/{instance}");
    Record::Plan(Plan {
        incident: Some(incident),
        plan: id.to_owned(),
        summary: format!("Isolate {instance}, keep its volumes, and end it"),
        text: json!({
            "incident": "inc-0011223344556677",
            "place": {"account": "111122223333", "region": "us-west-2"},
            "playbook": "mining-instance",
            "findings": ["f-1"],
            "resource": {"kind": "instance", "id": instance},
            "made-at": "2026-11-30T10:00:00Z",
            "attribution": {
                "candidates": [{
                    "user": "eve", "claim": "claim-eve", "confirmed": true,
                    "chain": [{"from": format!("instance/{instance}"), "to": "user/eve", "proof": "the volume's tag kubernetes.io/created-for/pvc/name = claim-eve"}],
                    "evidence": ["the guard killed a miner of eve's pod a minute before"],
                }],
                "decided": "eve",
                "because": "exactly one user's volume is attached",
            },
            "steps": [
                {"id": snapshot, "stage": "evidence", "action": {"do": "snapshot-instance", "instance": instance, "volumes": ["vol-0aa"], "exclude": []}, "why": "what ran is on its volume", "only-after": [], "approval": null},
                {"id": isolate, "stage": "network", "action": {"do": "isolate-interface", "interface": "eni-0aa", "vpc": "vpc-0", "groups": ["sg-0"]}, "why": "it talks to a pool", "only-after": [], "approval": null},
                {"id": format!("terminate-instance:instance/{instance}"), "stage": "end", "action": {"do": "terminate-instance", "instance": instance}, "why": "it burns money", "only-after": [snapshot], "approval": "it cannot be taken back"},
            ],
            "omissions": [{"what": "delete-login-profile", "target": "user/ci", "because": "its tag protects it"}],
            "release": null,
            "remarks": ["What its volumes cost is not in it."],
        }),
        left_out: vec![LeftOut {
            what: "delete-login-profile of user/ci".to_owned(),
            reason: "its tag protects it".to_owned(),
        }],
        cost_micro_usd_per_hour: Some(24_480_000),
        by: "worker-west".to_owned(),
    })
}

pub fn action(incident: IncidentNo, plan: &str, step: &str, stage: Stage) -> Record {
    Record::Action(Action {
        incident: Some(incident),
        plan: plan.to_owned(),
        step: step.to_owned(),
        what: step.split(':').next().expect("a verb").to_owned(),
        target: step.split(':').nth(1).unwrap_or_default().to_owned(),
        stage,
        detail: "as it should be".to_owned(),
        by: "worker-west".to_owned(),
    })
}

pub fn outcome(check: &str, resource: &str, verdict: Verdict, severity: Severity) -> Outcome {
    Outcome {
        check: check.to_owned(),
        title: format!("{check} is as it should be"),
        verdict,
        severity,
        resource: resource.to_owned(),
        why: match verdict {
            Verdict::Pass => "it is so",
            Verdict::Fail => "it is not so",
            Verdict::Unknown => "the audit may not read it",
        }
        .to_owned(),
        remedy: format!("Mend {check}:\n  1. Look at it.\n  2. Change it."),
        saving_micro_usd_month: (check == "idle").then_some(120_000_000),
    }
}

pub fn audit(target: &str, minutes: i64, outcomes: Vec<Outcome>) -> Record {
    Record::Audit(Box::new(Audit {
        run: format!("{target}-{minutes}"),
        name: "prowler".to_owned(),
        target: target.to_owned(),
        started: ago(minutes + 5),
        ended: ago(minutes),
        outcomes,
        by: "auditor".to_owned(),
    }))
}

pub fn run(hunt: &str, target: &str, matched: i64, error: Option<&str>) -> Record {
    Record::Run(Run {
        run: format!("{hunt}-{target}-{matched}"),
        verb: "hunt".to_owned(),
        name: hunt.to_owned(),
        target: target.to_owned(),
        started: ago(20),
        ended: ago(12),
        counts: [
            ("read".to_owned(), 120_000),
            ("matched".to_owned(), matched),
            ("unreadable".to_owned(), i64::from(error.is_some())),
        ]
        .into(),
        error: error.map(str::to_owned),
        by: "worker-west".to_owned(),
    })
}

pub fn list(name: &str, digest: &str, rollout: Rollout) -> Record {
    Record::Blocklist(Blocklist {
        name: name.to_owned(),
        digest: digest.to_owned(),
        rollout,
        strings: 12,
        note: "with the names of the last wave".to_owned(),
        by: "ada".to_owned(),
    })
}

pub fn evidence(incident: IncidentNo) -> Record {
    Record::Evidence(Evidence {
        incident: Some(incident),
        what: "snapshot".to_owned(),
        location: "snap-0f00ba4".to_owned(),
        sha256: Some("3b".repeat(32)),
        size_bytes: Some(8_589_934_592),
        custody: "taken by the responder, held in the account 111122223333".to_owned(),
        by: "worker-west".to_owned(),
    })
}

pub fn cost(incident: IncidentNo) -> Record {
    Record::Cost(Cost {
        incident,
        low_micro_usd: 1_234_000_000,
        high_micro_usd: 1_980_500_000,
        per_hour_micro_usd: 24_480_000,
        prices: "AWS price list of 2026-11-01, us-west-2".to_owned(),
        unknown: vec!["data transfer to the pool".to_owned()],
        credit_pack: Some("s3://evidence/credit-pack-17.zip".to_owned()),
        by: "worker-west".to_owned(),
    })
}

/// Two audits of an account and one of a cluster, hunts, lists, a plan, evidence and cost.
pub async fn furnish(world: &World, incident: IncidentNo) {
    use Severity::{Critical, High, Low, Medium};
    use Verdict::{Fail, Pass, Unknown};
    let account = "111122223333";
    for (minutes, open) in [(4000, Fail), (1500, Fail), (60, Pass)] {
        let outcomes = vec![
            outcome("mfa", "user/root", open, Critical),
            outcome("mfa", "user/ci", Fail, High),
            outcome("mfa", "user/ada", Pass, High),
            outcome("idle", "instance/i-0idle", Fail, Medium),
            outcome("flow-logs", "vpc/vpc-0", Unknown, High),
            outcome("open-ports", "sg/sg-0", Pass, Critical),
            outcome("open-ports", "sg/sg-1", Pass, Critical),
            outcome(
                "old-key",
                "key/1",
                if minutes == 60 { Fail } else { Pass },
                Low,
            ),
        ];
        write(world, audit(account, minutes, outcomes)).await;
    }
    let hub = vec![
        outcome("privileged-pods", "hub/proxy", Fail, High),
        outcome("network-policy", "hub", Pass, High),
    ];
    write(world, audit("hub-a", 90, hub)).await;
    write(world, run("flow-pool-indicator", "s3://logs/flow", 7, None)).await;
    write(world, run("dns-pool-name", "s3://logs/dns", 0, None)).await;
    write(
        world,
        run(
            "flow-thin-periodic",
            "hub-a",
            0,
            Some("12 objects could not be read"),
        ),
    )
    .await;
    write(world, list("default", &"ab".repeat(32), Rollout::Retired)).await;
    write(world, list("default", &"cd".repeat(32), Rollout::Enforce)).await;
    write(world, list("wave-17", &"ef".repeat(32), Rollout::Observe)).await;
    write(world, plan(incident, "plan-one", "i-0a1b2c3d4e5f")).await;
    write(world, evidence(incident)).await;
    write(world, cost(incident)).await;
}

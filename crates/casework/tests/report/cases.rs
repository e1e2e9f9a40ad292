//! Cases made by hand: the story of a framed user, one where nothing was found, one that an attacker wrote
//! every word of, and a huge one.

use davylamp_casework::case::{
    Act, Asked, Billed, BilledLine, Case, Confidence, Cost, CostLine, Credential, Evidence,
    EvidenceId, Existence, Gap, Hand, Innocence, Integrity, Lead, Link, NextStep, Origin, Place,
    Principal, Reason, Source, Span, Statement, Tampering, Touched, Uncovered, Unknown,
};
use davylamp_casework::cost::{Bounds, End, Run};
use davylamp_casework::integrity::{Count, Fault, Kind, Outcome, Stretch};
use davylamp_content::prices::kind::{Market, System};
use davylamp_model::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

pub const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
pub const BOB: &str = "arn:aws:iam::111122223333:user/bob";
pub const BACKDOOR: &str = "arn:aws:iam::111122223333:user/svc-backup";
pub const ALICE_KEY: &str = "AKIAIOSFODNN7ALICE01";
pub const BOB_OWN_KEY: &str = "AKIAIOSFODNN7BOB0001";
pub const BOB_MADE_KEY: &str = "AKIAIOSFODNN7BOB0002";
pub const INTRUDER: &str = "203.0.113.66";
const OFFICE: &str = "198.51.100.7";
const HOME: &str = "2001:db8:17::b0b";

/// A log file was altered, and a trail was stopped.
fn integrity() -> Integrity {
    let count = |pass, fail, unknown| Count {
        pass,
        fail,
        unknown,
    };
    let file = |n: u32| format!("s3://trail/AWSLogs/111122223333/cloudtrail/{n}.json.gz");
    let outcome = |verdict, fault, name: String, why: &str, tells: &str| Outcome {
        kind: Kind::LogFile,
        name,
        verdict,
        fault: Some(fault),
        why: why.to_owned(),
        tells: tells.to_owned(),
        digest: None,
    };
    Integrity {
        verdict: Verdict::Fail,
        why: "of 48 digests and 97 log files, 0 and 1 were altered, moved or deleted".to_owned(),
        tells: Some("the object's earlier versions".to_owned()),
        span: Some(span("2017-09-04T00:00:00Z", "2017-09-06T00:00:00Z")),
        digests: count(48, 0, 0),
        log_files: count(95, 1, 1),
        faults: vec![
            outcome(
                Verdict::Fail,
                Fault::Altered,
                file(3),
                "its content has another hash than its digest records",
                "the object's earlier versions",
            ),
            outcome(
                Verdict::Unknown,
                Fault::Unlisted,
                file(10),
                "there is no digest of its time",
                "the digests of the hours around it",
            ),
        ],
        faults_left_out: 12,
        uncovered: vec![Uncovered {
            trail: Some("main".to_owned()),
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            hours: Stretch {
                from: at("2017-09-05T03:00:00Z"),
                until: at("2017-09-06T00:00:00Z"),
                verdict: Verdict::Unknown,
                why: "no digest was made".to_owned(),
                tells: "the calls StopLogging and StartLogging around it".to_owned(),
                digests: 0,
                log_files: 0,
            },
        }],
        uncovered_left_out: 0,
        unread: vec!["s3://trail/other could not be listed".to_owned()],
    }
}

/// Where the machines stood, and how many.
const REGIONS: [(&str, u64); 14] = [
    ("us-east-1", 12),
    ("us-east-2", 10),
    ("us-west-1", 6),
    ("us-west-2", 10),
    ("ca-central-1", 5),
    ("sa-east-1", 4),
    ("eu-west-1", 9),
    ("eu-west-2", 6),
    ("eu-central-1", 9),
    ("ap-south-1", 6),
    ("ap-southeast-1", 7),
    ("ap-southeast-2", 5),
    ("ap-northeast-1", 7),
    ("ap-northeast-2", 4),
];

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn span(first: &str, last: &str) -> Span {
    Span {
        first: at(first),
        last: at(last),
    }
}

pub fn said(text: &str, evidence: &[u32]) -> Statement {
    Statement {
        text: text.to_owned(),
        evidence: evidence.iter().copied().map(EvidenceId).collect(),
    }
}

fn record(id: u32, table: &str, time: &str, about: &str) -> Evidence {
    Evidence {
        id: EvidenceId(id),
        table: table.to_owned(),
        source: format!("s3://trail/AWSLogs/111122223333/{table}/{id}.json.gz#{id}"),
        time: Some(at(time)),
        about: about.to_owned(),
        record: serde_json::Map::from_iter([
            ("event_time".to_owned(), json!(time)),
            ("account_id".to_owned(), json!("111122223333")),
            ("about".to_owned(), json!(about)),
            ("count".to_owned(), json!(id)),
            ("part".to_owned(), json!(0.1)),
            ("more".to_owned(), json!({"b": [1, 2.5, null], "a": true})),
        ]),
        log_file: (id == 3).then_some(Verdict::Fail),
    }
}

fn act(time: &str, phase: &str, action: &str, principal: &str, hand: Hand) -> Act {
    Act {
        span: span(time, time),
        count: 1,
        phase: phase.to_owned(),
        action: action.to_owned(),
        principal: principal.to_owned(),
        credential: None,
        place: None,
        agent: None,
        account: Some("111122223333".to_owned()),
        region: None,
        target: String::new(),
        error: None,
        hand,
        evidence: None,
    }
}

fn principal(id: &str, name: &str) -> Principal {
    Principal {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: "user".to_owned(),
        account: Some("111122223333".to_owned()),
        span: Some(span("2017-08-01T08:00:00Z", "2017-09-20T17:00:00Z")),
        is_made_by_intruder: false,
        is_used_by_intruder: false,
    }
}

fn credential(id: &str, principal: &str, acts: (u64, u64, u64)) -> Credential {
    Credential {
        id: id.to_owned(),
        kind: "long-term".to_owned(),
        principal: principal.to_owned(),
        parent: None,
        made: None,
        span: Some(span("2017-09-05T02:14:07Z", "2017-09-19T05:00:00Z")),
        owner_acts: acts.0,
        intruder_acts: acts.1,
        unknown_acts: acts.2,
    }
}

fn link(from: &str, verb: &str, to: &str, count: u64, hand: Hand, evidence: &[u32]) -> Link {
    Link {
        from: from.to_owned(),
        to: to.to_owned(),
        verb: verb.to_owned(),
        span: span("2017-09-05T02:14:07Z", "2017-09-05T03:02:00Z"),
        count,
        hand,
        evidence: evidence.iter().copied().map(EvidenceId).collect(),
    }
}

fn touched(kind: &str, id: &str, region: Option<&str>, principal: &str) -> Touched {
    Touched {
        kind: kind.to_owned(),
        id: id.to_owned(),
        account: Some("111122223333".to_owned()),
        region: region.map(str::to_owned),
        how: "created".to_owned(),
        span: span("2017-09-05T02:31:00Z", "2017-09-05T02:31:00Z"),
        principal: principal.to_owned(),
        exists: Existence::GoneBy(at("2017-09-19T06:00:00Z")),
        persistence: None,
        details: Vec::new(),
        evidence: vec![EvidenceId(6)],
    }
}

fn run(machine: &Touched) -> Run {
    Run {
        id: machine.id.clone(),
        account: machine.account.clone(),
        region: machine.region.clone(),
        service: "ec2".to_owned(),
        instance_type: Some("c4.8xlarge".to_owned()),
        size: None,
        market: Market::OnDemand,
        system: System::Windows,
        started: Bounds::between(at("2017-09-05T02:31:00Z"), at("2017-09-05T02:32:00Z")),
        ended: match machine.exists {
            Existence::At(at) => End::RunsAt(at),
            _ => End::At(Bounds::between(
                at("2017-09-19T05:00:00Z"),
                at("2017-09-19T06:00:00Z"),
            )),
        },
        paused: Vec::new(),
        evidence: vec![EvidenceId(6)],
    }
}

/// The story of a key that was stolen from alice, and of bob, in whose name the intruder then mined.
pub fn framed() -> Case {
    let mut machines = Vec::new();
    let mut lines = Vec::new();
    for (region, many) in REGIONS {
        let ids: Vec<String> = (0..many).map(|n| format!("i-0{region}{n:04}")).collect();
        for (n, id) in ids.iter().enumerate() {
            let mut one = touched("instance", id, Some(region), BOB);
            one.details = vec![
                ("InstanceType".to_owned(), "c4.8xlarge".to_owned()),
                ("Platform".to_owned(), "Windows".to_owned()),
            ];
            if region == "us-east-1" && n < 2 {
                one.exists = Existence::At(at("2017-09-20T18:00:00Z"));
            }
            if region == "sa-east-1" {
                one.exists = Existence::Unknown("the snapshot of sa-east-1 failed".to_owned());
            }
            machines.push(one);
        }
        let hours = many as f64 * 336.0;
        lines.push(CostLine {
            service: "ec2".to_owned(),
            item: "c4.8xlarge".to_owned(),
            region: region.to_owned(),
            market: "on-demand".to_owned(),
            system: "windows".to_owned(),
            count: many,
            running: if region == "us-east-1" { 2 } else { 0 },
            low_hours: hours - many as f64,
            likely_hours: hours,
            high_hours: hours,
            span: Some(span("2017-09-05T02:31:00Z", "2017-09-19T06:00:00Z")),
            is_open: region == "sa-east-1",
            micro_usd_hour: (region != "sa-east-1").then_some(1_591_000),
            low_micro_usd: (region != "sa-east-1").then_some(many as i64 * 335 * 1_100_000),
            likely_micro_usd: (region != "sa-east-1").then_some(many as i64 * 336 * 1_250_000),
            high_micro_usd: (region != "sa-east-1").then_some(many as i64 * 336 * 1_591_000),
            basis: "the price of us-east-1, Linux, 2026-07-20".to_owned(),
            ids,
            evidence: vec![EvidenceId(6), EvidenceId(8)],
        });
    }
    let sum = |of: &dyn Fn(&CostLine) -> Option<i64>| lines.iter().filter_map(of).sum();
    // Runs are known of some regions, as of a case whose snapshots began late.
    let runs = machines
        .iter()
        .filter(|one| one.region.as_deref() == Some("us-east-1"));
    let runs = runs.map(run).collect();
    let cost = Cost {
        runs,
        low_micro_usd: sum(&|line| line.low_micro_usd),
        likely_micro_usd: sum(&|line| line.likely_micro_usd),
        high_micro_usd: sum(&|line| line.high_micro_usd),
        burn_micro_usd_hour: 3_182_000,
        is_open: true,
        lines,
        basis: vec!["content/prices/ec2-on-demand-us-east-1.tsv of 2026-07-20".to_owned()],
        caveats: vec![
            said("Windows costs more than the Linux price that is used", &[]),
            said("4 machines in sa-east-1 have no price", &[8]),
        ],
        billed: Some(Billed {
            micro_usd: 40_117_320_000,
            span: Some(span("2017-09-01T00:00:00Z", "2017-10-01T00:00:00Z")),
            missing: vec!["i-0sa-east-10001".to_owned()],
            statement: said("The estimate is 4% above the bill.", &[9]),
            lines: vec![BilledLine {
                usage_type: "BoxUsage:c4.8xlarge".to_owned(),
                region: "us-east-1".to_owned(),
                market: "on-demand".to_owned(),
                system: "windows".to_owned(),
                count: 12,
                amount: 4_032.0,
                micro_usd: 6_414_912_000,
            }],
            apart: vec![("Tax".to_owned(), 1_203_000_000)],
            unread: vec!["1 line has no usage".to_owned()],
        }),
    };
    let mut reach = vec![
        Touched {
            persistence: Some("a user with its own password".to_owned()),
            exists: Existence::At(at("2017-09-20T18:00:00Z")),
            evidence: vec![EvidenceId(3)],
            ..touched("user", BACKDOOR, None, ALICE)
        },
        Touched {
            persistence: Some("a key that the intruder knows".to_owned()),
            evidence: vec![EvidenceId(4)],
            ..touched("access-key", BOB_MADE_KEY, None, ALICE)
        },
        Touched {
            how: "used".to_owned(),
            exists: Existence::At(at("2017-09-20T18:00:00Z")),
            evidence: vec![EvidenceId(1)],
            ..touched("access-key", ALICE_KEY, None, ALICE)
        },
    ];
    reach.extend(machines);
    let mut timeline = vec![
        Act {
            credential: Some(BOB_OWN_KEY.to_owned()),
            place: Some(HOME.to_owned()),
            agent: Some("aws-cli/1.11.100".to_owned()),
            count: 412,
            span: span("2017-08-14T09:00:00Z", "2017-09-04T16:00:00Z"),
            target: "deploy-bucket".to_owned(),
            region: Some("us-east-1".to_owned()),
            evidence: Some(EvidenceId(7)),
            ..act(
                "2017-08-14T09:00:00Z",
                "other",
                "s3:PutObject",
                BOB,
                Hand::Owner,
            )
        },
        Act {
            credential: Some(ALICE_KEY.to_owned()),
            place: Some(INTRUDER.to_owned()),
            agent: Some("Boto3/1.4.4 Python/2.7.9".to_owned()),
            region: Some("us-east-1".to_owned()),
            evidence: Some(EvidenceId(1)),
            ..act(
                "2017-09-05T02:14:07Z",
                "access",
                "sts:GetCallerIdentity",
                ALICE,
                Hand::Intruder,
            )
        },
        Act {
            credential: Some(ALICE_KEY.to_owned()),
            place: Some(INTRUDER.to_owned()),
            region: Some("us-east-1".to_owned()),
            target: "main".to_owned(),
            evidence: Some(EvidenceId(2)),
            ..act(
                "2017-09-05T02:16:00Z",
                "evasion",
                "cloudtrail:StopLogging",
                ALICE,
                Hand::Intruder,
            )
        },
        Act {
            credential: Some(ALICE_KEY.to_owned()),
            place: Some(INTRUDER.to_owned()),
            target: BACKDOOR.to_owned(),
            evidence: Some(EvidenceId(3)),
            ..act(
                "2017-09-05T02:20:00Z",
                "persistence",
                "iam:CreateUser",
                ALICE,
                Hand::Intruder,
            )
        },
        Act {
            credential: Some(ALICE_KEY.to_owned()),
            place: Some(INTRUDER.to_owned()),
            target: BOB_MADE_KEY.to_owned(),
            evidence: Some(EvidenceId(4)),
            ..act(
                "2017-09-05T02:24:00Z",
                "persistence",
                "iam:CreateAccessKey",
                ALICE,
                Hand::Intruder,
            )
        },
        Act {
            credential: Some(BOB_MADE_KEY.to_owned()),
            place: Some(INTRUDER.to_owned()),
            region: Some("ap-south-1".to_owned()),
            error: Some("Client.DryRunOperation".to_owned()),
            count: 14,
            evidence: Some(EvidenceId(5)),
            ..act(
                "2017-09-05T02:28:00Z",
                "recon",
                "ec2:RunInstances",
                BOB,
                Hand::Intruder,
            )
        },
    ];
    for (n, (region, many)) in REGIONS.iter().enumerate() {
        let time = at("2017-09-05T02:31:00Z") + SignedDuration::from_mins(n as i64 * 2);
        timeline.push(Act {
            credential: Some(BOB_MADE_KEY.to_owned()),
            place: Some(INTRUDER.to_owned()),
            region: Some((*region).to_owned()),
            count: *many,
            target: format!("{many} machines"),
            evidence: Some(EvidenceId(6)),
            ..act(
                &time.to_string(),
                "launch",
                "ec2:RunInstances",
                BOB,
                Hand::Intruder,
            )
        });
    }
    timeline.extend([
        Act {
            region: Some("us-east-1".to_owned()),
            evidence: Some(EvidenceId(8)),
            ..act(
                "2017-09-06T00:00:00Z",
                "impact",
                "100 machines appear between two snapshots",
                BOB,
                Hand::Unknown,
            )
        },
        Act {
            place: Some(OFFICE.to_owned()),
            target: BOB_MADE_KEY.to_owned(),
            evidence: Some(EvidenceId(10)),
            ..act(
                "2017-09-19T05:00:00Z",
                "response",
                "iam:DeleteAccessKey",
                "root of 111122223333",
                Hand::Owner,
            )
        },
    ]);
    Case {
        witnessed: None,
        asked: Asked {
            logs: vec!["s3://trail/AWSLogs".to_owned(), "recorder/".to_owned()],
            indicators: vec![BOB.to_owned()],
            since: Some(at("2017-08-01T00:00:00Z")),
            until: None,
            made_at: Some(at("2017-09-21T09:00:00Z")),
            made_by: "davy 0.1.0".to_owned(),
        },
        summary: vec![
            said("The key AKIAIOSFODNN7ALICE01 of alice was stolen and used from 203.0.113.66 from 2017-09-05 on.", &[1, 2]),
            said("With it the intruder stopped the trail main, made the user svc-backup and a second key of bob.", &[2, 3, 4]),
            said("With that key 100 machines were started in 14 regions in bob's name. Bob did not do it.", &[4, 5, 6]),
        ],
        span: Some(span("2017-09-05T02:14:07Z", "2017-09-19T05:00:00Z")),
        sources: vec![
            Source {
                table: "cloudtrail".to_owned(),
                records: 30_477,
                repeated: 6_496,
                span: Some(span("2017-08-01T00:00:00Z", "2017-09-05T02:16:00Z")),
                unread: vec!["2 objects are cut off".to_owned()],
                proves: "who did what until the trail was stopped".to_owned(),
            },
            Source {
                table: "recorder".to_owned(),
                records: 1_204,
                repeated: 0,
                span: Some(span("2017-08-01T00:00:00Z", "2017-09-20T18:00:00Z")),
                unread: Vec::new(),
                proves: "what was there, and when it came, also while no trail ran".to_owned(),
            },
        ],
        origin: Some(Origin {
            at: span("2017-09-05T02:14:07Z", "2017-09-05T02:14:07Z"),
            how: "a key was used from an address that nobody had used before".to_owned(),
            principal: ALICE.to_owned(),
            credential: ALICE_KEY.to_owned(),
            confidence: Confidence::High,
            reasons: vec![
                Reason {
                    is_for: true,
                    statement: said("Nothing of the intruder is older.", &[1]),
                },
                Reason {
                    is_for: false,
                    statement: said("The trail of two days before is missing.", &[]),
                },
            ],
        }),
        leads: vec![Lead {
            score: 97.4,
            is_alarm: true,
            about: INTRUDER.to_owned(),
            statement: said("Three users' credentials came from one new address within an hour.", &[1, 4, 5]),
        }],
        principals: vec![
            Principal {
                is_used_by_intruder: true,
                ..principal(ALICE, "alice")
            },
            Principal {
                is_used_by_intruder: true,
                ..principal(BOB, "bob")
            },
            Principal {
                is_made_by_intruder: true,
                ..principal(BACKDOOR, "svc-backup")
            },
            Principal {
                kind: "root".to_owned(),
                ..principal("root of 111122223333", "root")
            },
        ],
        credentials: vec![
            credential(ALICE_KEY, ALICE, (230, 4, 0)),
            credential(BOB_OWN_KEY, BOB, (412, 0, 0)),
            Credential {
                parent: Some(ALICE_KEY.to_owned()),
                made: Some(said("alice's key made it", &[4])),
                ..credential(BOB_MADE_KEY, BOB, (0, 114, 0))
            },
        ],
        places: vec![
            Place {
                address: INTRUDER.to_owned(),
                span: Some(span("2017-09-05T02:14:07Z", "2017-09-05T03:02:00Z")),
                calls: 118,
                hand: Hand::Intruder,
                agents: vec!["Boto3/1.4.4 Python/2.7.9".to_owned()],
                principals: vec![ALICE.to_owned(), BOB.to_owned()],
            },
            Place {
                address: HOME.to_owned(),
                span: Some(span("2017-08-01T08:00:00Z", "2017-09-20T17:00:00Z")),
                calls: 412,
                hand: Hand::Owner,
                agents: vec!["aws-cli/1.11.100".to_owned()],
                principals: vec![BOB.to_owned()],
            },
        ],
        links: {
            let mut links = vec![
                link(INTRUDER, "used", ALICE_KEY, 4, Hand::Intruder, &[1]),
                link(INTRUDER, "used", BOB_MADE_KEY, 114, Hand::Intruder, &[5, 6]),
                link(HOME, "used", BOB_OWN_KEY, 412, Hand::Owner, &[7]),
                link(ALICE_KEY, "is of", ALICE, 1, Hand::Owner, &[]),
                link(BOB_OWN_KEY, "is of", BOB, 1, Hand::Owner, &[]),
                link(ALICE_KEY, "created", BACKDOOR, 1, Hand::Intruder, &[3]),
                link(ALICE_KEY, "created", BOB_MADE_KEY, 1, Hand::Intruder, &[4]),
                link(BOB_MADE_KEY, "is of", BOB, 1, Hand::Intruder, &[4]),
            ];
            let machines = reach.iter().filter(|one| one.kind == "instance");
            links.extend(machines.map(|one| link(BOB_MADE_KEY, "launched", &one.id, 1, Hand::Intruder, &[6])));
            links
        },
        timeline,
        acts_left_out: 0,
        things_left_out: 0,
        reach,
        tampering: vec![Tampering {
            at: span("2017-09-05T02:16:00Z", "2017-09-05T02:16:00Z"),
            what: "the trail main was stopped".to_owned(),
            principal: ALICE.to_owned(),
            has_succeeded: true,
            region: Some("us-east-1".to_owned()),
            gap: Some(Gap {
                from: at("2017-09-05T02:16:00Z"),
                until: None,
            }),
            evidence: vec![EvidenceId(2)],
        }],
        integrity: Some(integrity()),
        innocence: vec![
            Innocence {
                principal: BOB.to_owned(),
                verdict: Verdict::Pass,
                statement: said(
                    "bob is cleared: the key was made by alice's stolen key and used only from the intruder's address.",
                    &[4, 5, 6],
                ),
                own_acts: 412,
                others_acts: 114,
                unknown_acts: 1,
                reasons: vec![
                    Reason {
                        is_for: true,
                        statement: said("bob's own key never left his address.", &[7]),
                    },
                    Reason {
                        is_for: false,
                        statement: said("100 machines bear his name.", &[8]),
                    },
                ],
            },
            Innocence {
                principal: ALICE.to_owned(),
                verdict: Verdict::Unknown,
                statement: said("Nobody can say how alice's key was lost.", &[]),
                own_acts: 230,
                others_acts: 4,
                unknown_acts: 0,
                reasons: Vec::new(),
            },
        ],
        cost: Some(cost),
        next_steps: vec![
            NextStep {
                rank: 2,
                statement: said("Delete the user svc-backup.", &[3]),
                command: Some("aws iam delete-login-profile --user-name svc-backup\naws iam delete-user --user-name svc-backup".to_owned()),
            },
            NextStep {
                rank: 1,
                statement: said("Make alice's key inactive; it still exists.", &[1]),
                command: Some(format!("aws iam update-access-key --user-name alice --access-key-id {ALICE_KEY} --status Inactive")),
            },
        ],
        unknowns: vec![Unknown {
            what: "what the machines sent to whom".to_owned(),
            why: "no flow logs were on".to_owned(),
            remedy: Some("flow logs of every network".to_owned()),
        }],
        evidence: vec![
            record(1, "cloudtrail", "2017-09-05T02:14:07Z", "alice called GetCallerIdentity from 203.0.113.66"),
            record(2, "cloudtrail", "2017-09-05T02:16:00Z", "alice stopped the trail main"),
            record(3, "cloudtrail", "2017-09-05T02:20:00Z", "alice made the user svc-backup"),
            record(4, "cloudtrail", "2017-09-05T02:24:00Z", "alice made a key of bob"),
            record(5, "cloudtrail", "2017-09-05T02:28:00Z", "bob tried to start machines"),
            record(6, "cloudtrail", "2017-09-05T02:31:00Z", "bob started machines"),
            record(7, "cloudtrail", "2017-08-14T09:00:00Z", "bob put an object"),
            record(8, "recorder", "2017-09-06T00:00:00Z", "100 machines that were not there before"),
            record(9, "cur", "2017-10-01T00:00:00Z", "the bill"),
            record(10, "cloudtrail", "2017-09-19T05:00:00Z", "root deleted the second key of bob"),
        ],
    }
}

/// A case in which nothing was found.
pub fn nothing() -> Case {
    Case {
        asked: Asked {
            logs: vec!["logs/".to_owned()],
            made_at: Some(at("2026-03-01T10:00:00Z")),
            made_by: "davy 0.1.0".to_owned(),
            ..Asked::default()
        },
        ..Case::default()
    }
}

/// Texts that try to be something else.
pub const HOSTILE: [&str; 12] = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "\"><svg onload=alert(3)>'",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "[click](javascript:alert(4)) ![i](http://evil.example/i.png) http://evil.example www.evil.example",
    "| a | b |\n| --- | --- |\n# head\n- [ ] task\n\n    code",
    "@everyone #1 `tick` ``two`` ```\nfence",
    "a\u{202e}txt.exe\u{2066}\u{200b}\u{feff}",
    "\u{1b}[2J\u{1b}]0;title\u{7}\r\ncarriage",
    "]]>--></style></title><!--",
    "'] OR [ipv4-addr:value = '198.51.100.1",
    "&lt;b&gt; &#x3c;b&#x3e; \\u003cb\\u003e",
    "",
];

/// A case of which an attacker wrote every text: the framed one with each put in its place.
pub fn hostile() -> Case {
    tainted(&framed(), &HOSTILE)
}

/// A case with each text that is no moment and no word of a fixed list replaced by the next of `texts`.
pub fn tainted(case: &Case, texts: &[impl AsRef<str>]) -> Case {
    let mut json = serde_json::to_value(case).expect("a value");
    taint(&mut json, texts, &mut 0);
    serde_json::from_value(json).expect("a case")
}

fn taint(value: &mut serde_json::Value, texts: &[impl AsRef<str>], n: &mut usize) {
    const FIXED: [&str; 18] = [
        "owner",
        "intruder",
        "service",
        "unknown",
        "low",
        "medium",
        "high",
        "pass",
        "fail",
        "log-file",
        "altered",
        "unlisted",
        "on-demand",
        "linux",
        "windows",
        "created",
        "instance",
        "user",
    ];
    match value {
        serde_json::Value::String(text)
            if text.parse::<Timestamp>().is_err() && !FIXED.contains(&text.as_str()) =>
        {
            *text = texts[*n % texts.len()].as_ref().to_owned();
            *n += 1;
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| taint(item, texts, n));
        }
        serde_json::Value::Object(members) => {
            members.values_mut().for_each(|item| taint(item, texts, n));
        }
        _ => {}
    }
}

/// A case of 50,000 acts, 5,000 machines and 60,000 records.
pub fn huge() -> Case {
    let mut case = framed();
    let template = case.timeline[6].clone();
    let machine = case.reach[5].clone();
    let proof = case.evidence[5].clone();
    let begin = at("2017-09-05T02:31:00Z");
    let regions = [
        "us-east-1",
        "eu-west-1",
        "ap-south-1",
        "sa-east-1",
        "xx-new-9",
    ];
    case.timeline = (0..50_000)
        .map(|n| {
            let moment = begin + SignedDuration::from_secs(n * 24);
            let hand = [Hand::Intruder, Hand::Owner, Hand::Unknown, Hand::Service][n as usize % 4];
            Act {
                span: Span {
                    first: moment,
                    last: moment,
                },
                hand,
                region: Some(regions[n as usize % regions.len()].to_owned()),
                target: format!("i-{n:017x}"),
                evidence: Some(EvidenceId(1 + n as u32)),
                ..template.clone()
            }
        })
        .collect();
    case.acts_left_out = 12_345;
    case.reach = (0..5_000)
        .map(|n| Touched {
            id: format!("i-{n:017x}"),
            region: Some(regions[n % regions.len()].to_owned()),
            evidence: vec![EvidenceId(1 + n as u32); 3],
            ..machine.clone()
        })
        .collect();
    case.links = (0..5_000)
        .map(|n| {
            link(
                BOB_MADE_KEY,
                "launched",
                &format!("i-{n:017x}"),
                1,
                Hand::Intruder,
                &[6],
            )
        })
        .chain((0..300).map(|n| {
            link(
                &format!("198.51.100.{n}"),
                "used",
                &format!("ASIA{n:016}"),
                1,
                Hand::Unknown,
                &[1],
            )
        }))
        .collect();
    case.summary[0].evidence = (1..=50_000).map(EvidenceId).collect();
    case.evidence = (1..=60_000)
        .map(|n| Evidence {
            id: EvidenceId(n),
            ..proof.clone()
        })
        .collect();
    case
}

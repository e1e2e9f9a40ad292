use super::*;
use crate::http;
use crate::moto::{Moto, MotoAccount, MotoError};

const REGION: &str = "eu-central-1";

fn setup(schedule: Schedule) -> (FaultProxy, MotoAccount) {
    let moto = Moto::shared();
    let proxy = FaultProxy::start(&moto.endpoint(), schedule);
    let account = moto.account().through(proxy.endpoint());
    (proxy, account)
}

fn ec2(account: &MotoAccount, form: &[(&str, &str)]) -> Result<String, MotoError> {
    let mut all = vec![("Version", "2016-11-15")];
    all.extend_from_slice(form);
    account.query(REGION, "ec2", &all)
}

fn make_group(account: &MotoAccount, name: &str) -> Result<String, MotoError> {
    ec2(
        account,
        &[
            ("Action", "CreateSecurityGroup"),
            ("GroupName", name),
            ("GroupDescription", "for a test"),
        ],
    )
}

fn count_groups(account: &MotoAccount, name: &str) -> usize {
    ec2(account, &[("Action", "DescribeSecurityGroups")])
        .expect("moto answers")
        .matches(&format!("<groupName>{name}</groupName>"))
        .count()
}

/// Status and body of what was answered instead.
fn refused(result: Result<String, MotoError>) -> (u16, String) {
    match result.expect_err("an error") {
        MotoError::Answered { status, body, .. } => (status, body),
        other => panic!("no answer at all: {other}"),
    }
}

#[test]
fn throttling_has_the_shape_of_each_protocol_and_no_effect() {
    let (proxy, account) = setup(Schedule::rules([Rule::new("*", "*", Fault::Throttle)]));
    let (status, body) = refused(make_group(&account, "throttled"));
    assert!(
        status == 503 && body.contains("<Code>RequestLimitExceeded</Code>"),
        "{body}"
    );

    let list_users = [("Action", "ListUsers"), ("Version", "2010-05-08")];
    let (status, body) = refused(account.query("us-east-1", "iam", &list_users));
    assert!(
        status == 400 && body.contains("<Code>Throttling</Code>"),
        "{body}"
    );

    let target = "DynamoDB_20120810.ListTables";
    let error = account
        .json(REGION, "dynamodb", target, &serde_json::json!({}))
        .expect_err("an error");
    assert!(error.to_string().contains("ThrottlingException"), "{error}");

    let (status, body) = refused(account.rest(REGION, "s3", "PUT", "/a-bucket", ""));
    assert!(
        status == 503 && body.contains("<Code>SlowDown</Code>"),
        "{body}"
    );

    let address = proxy.endpoint().replace("http://", "");
    let request = http::Request::get("/clusters").scope(&account.access_key, REGION, "eks");
    let answer = http::send(&address, &request).expect("an answer");
    assert_eq!(answer.status, 429);
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("ThrottlingException")
    );

    let seen: Vec<String> = proxy
        .calls()
        .iter()
        .map(|call| format!("{} {}", call.service, call.action))
        .collect();
    assert_eq!(
        seen,
        [
            "ec2 CreateSecurityGroup",
            "iam ListUsers",
            "dynamodb ListTables",
            "s3 CreateBucket",
            "eks ListClusters"
        ]
    );
    proxy.set_schedule(Schedule::clean());
    assert_eq!(count_groups(&account, "throttled"), 0);
}

#[test]
fn a_lost_reply_has_its_effect_and_a_drop_before_has_none() {
    let (proxy, account) = setup(Schedule::rules([
        Rule::new("ec2", "CreateSecurityGroup", Fault::LostReply).containing("lost"),
        Rule::new("ec2", "CreateSecurityGroup", Fault::DropBefore).containing("never"),
    ]));
    assert!(matches!(
        make_group(&account, "lost"),
        Err(MotoError::Io { .. })
    ));
    assert!(matches!(
        make_group(&account, "never"),
        Err(MotoError::Io { .. })
    ));
    assert_eq!(count_groups(&account, "lost"), 1);
    assert_eq!(count_groups(&account, "never"), 0);
    let statuses: Vec<_> = proxy
        .calls_of("ec2", "Create*")
        .iter()
        .map(|call| call.status)
        .collect();
    assert_eq!(statuses, [None, None]);
}

#[test]
fn a_stale_read_is_the_answer_from_before_the_write() {
    let (_proxy, account) = setup(Schedule::rules([Rule::new(
        "ec2",
        "DescribeSecurityGroups",
        Fault::StaleRead,
    )
    .nth(2)]));
    assert_eq!(count_groups(&account, "new"), 0);
    make_group(&account, "new").expect("made");
    assert_eq!(count_groups(&account, "new"), 0, "stale");
    assert_eq!(count_groups(&account, "new"), 1, "fresh");
}

#[test]
fn a_duplicate_acts_twice() {
    let (proxy, account) = setup(Schedule::rules([Rule::new(
        "ec2",
        "CreateVpc",
        Fault::Duplicate,
    )
    .nth(1)]));
    let vpcs = || {
        ec2(&account, &[("Action", "DescribeVpcs")])
            .expect("moto answers")
            .matches("<vpcId>")
            .count()
    };
    let before = vpcs();
    ec2(
        &account,
        &[("Action", "CreateVpc"), ("CidrBlock", "10.3.0.0/16")],
    )
    .expect("made");
    assert_eq!(vpcs(), before + 2);
    assert_eq!(proxy.calls_of("ec2", "CreateVpc").len(), 1);
}

#[test]
fn snapshots_look_pending_then_complete() {
    let (_proxy, account) = setup(Schedule::rules([Rule::snapshots_pending().times(1)]));
    let volume = ec2(
        &account,
        &[
            ("Action", "CreateVolume"),
            ("Size", "1"),
            ("AvailabilityZone", "eu-central-1a"),
        ],
    )
    .expect("made");
    let (_, rest) = volume.split_once("<volumeId>").expect("an id");
    let (id, _) = rest.split_once('<').expect("an end");
    ec2(&account, &[("Action", "CreateSnapshot"), ("VolumeId", id)]).expect("made");
    let look = || {
        ec2(
            &account,
            &[("Action", "DescribeSnapshots"), ("Owner.1", "self")],
        )
        .expect("moto answers")
    };
    assert!(look().contains("<status>pending</status>"));
    assert!(look().contains("<status>completed</status>"));
}

#[test]
fn many_connections_are_served_at_once() {
    let slow = Duration::from_millis(500);
    let (proxy, account) = setup(Schedule::rules([Rule::new(
        "ec2",
        "DescribeVpcs",
        Fault::Latency(slow),
    )]));
    let threads: Vec<_> = (0..40)
        .map(|_| {
            let account = account.clone();
            std::thread::spawn(move || ec2(&account, &[("Action", "DescribeVpcs")]).is_ok())
        })
        .collect();
    assert!(proxy.wait_for("ec2", "DescribeVpcs", 40, Duration::from_secs(60)));
    assert!(
        threads
            .into_iter()
            .all(|thread| thread.join().is_ok_and(|ok| ok))
    );
    // One after the other they would take 20 s for the latency alone.
    let last = proxy.calls().iter().map(|call| call.at).max();
    assert!(last.is_some_and(|last| last < slow * 40), "{last:?}");
}

fn operation(service: &str, action: &str) -> Operation {
    Operation {
        service: service.to_owned(),
        action: action.to_owned(),
        region: String::new(),
        access_key: String::new(),
        protocol: operation::Protocol::Query,
    }
}

#[test]
fn rules_count_what_matches_them() {
    let mut schedule = Schedule::rules([
        Rule::new("ec2", "Describe*", Fault::Throttle)
            .after(1)
            .every(2)
            .times(2),
        Rule::new("ec2", "DescribeVolumes", Fault::ServerError(500)).every(3),
    ]);
    let mut faults = |action: &str| schedule.next(&operation("ec2", action), "/", "");
    let seen: Vec<_> = (0..7).map(|_| faults("DescribeVolumes")).collect();
    let (throttle, error) = (Some(Fault::Throttle), Some(Fault::ServerError(500)));
    // The third is both; the rule that stands first decides.
    assert_eq!(
        seen,
        [None, None, throttle.clone(), None, throttle, error, None]
    );
    assert_eq!(faults("RunInstances"), None);
}

#[test]
fn random_faults_are_the_same_for_the_same_seed_and_let_repeats_through() {
    let draw = |seed| {
        let mut schedule = Schedule::random(seed, Rates::default());
        (0..400)
            .map(|_| schedule.next(&operation("ec2", "DescribeVolumes"), "/", ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    let faults = draw(7);
    let some = faults.iter().flatten().count();
    assert!((40..200).contains(&some), "{some} of 400");
    assert!(faults.windows(3).all(|row| row.iter().any(Option::is_none)));
    let mut writes = Schedule::random(
        7,
        Rates {
            stale_read: 1000,
            ..Rates::default()
        },
    );
    assert!((0..200).all(|_| {
        writes.next(&operation("ec2", "RunInstances"), "/", "") != Some(Fault::StaleRead)
    }));
}

#[test]
fn patterns() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("Describe*", "DescribeVpcs", true),
        ("*Vpcs", "DescribeVpcs", true),
        ("D*V*s", "DescribeVpcs", true),
        ("Describe", "DescribeVpcs", false),
        ("*x*", "DescribeVpcs", false),
        ("ab*b", "ab", false),
    ] {
        assert_eq!(schedule::glob(pattern, text), fits, "{pattern} {text}");
    }
}

//! Findings from a queue, and from GuardDuty itself.

use davylamp_testkit::faults::{FaultProxy, Schedule};
use davylamp_testkit::guardduty::GuardDuty;
use serde_json::json;

use crate::finding::{event, mining};
use crate::ground::{Ground, REGION, Running};
use crate::machine::first;

impl Ground {
    fn sqs(&self, form: &[(&str, &str)]) -> String {
        let mut whole = vec![("Version", "2012-11-05")];
        whole.extend(form);
        self.account
            .query(REGION, "sqs", &whole)
            .expect("the test server does it")
    }

    /// A queue's URL, as the command reaches it.
    pub fn queue(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let mut form = vec![("Action", "CreateQueue"), ("QueueName", name)];
        for (part, value) in attributes {
            form.push((part, value));
        }
        let url = first(&self.sqs(&form), "QueueUrl");
        let path = url.splitn(4, '/').nth(3).expect("a path").to_owned();
        format!("{}/{path}", self.proxy.endpoint())
    }

    pub fn send(&self, queue: &str, body: &str) {
        let form = [
            ("Action", "SendMessage"),
            ("QueueUrl", queue),
            ("MessageBody", body),
        ];
        self.sqs(&form);
    }

    /// How many messages are there, visible or not.
    pub fn messages(&self, queue: &str) -> usize {
        let about = self.sqs(&[
            ("Action", "GetQueueAttributes"),
            ("QueueUrl", queue),
            ("AttributeName.1", "All"),
        ]);
        let number = |name: &str| -> usize {
            let (_, rest) = about
                .split_once(&format!("<Name>{name}</Name>"))
                .expect("a count");
            first(rest, "Value").parse().expect("a number")
        };
        number("ApproximateNumberOfMessages") + number("ApproximateNumberOfMessagesNotVisible")
    }
}

#[test]
fn a_queue_is_emptied_and_duplicates_act_once() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let queue = ground.queue("findings", &[]);
    let finding = mining(&ground.account.id, "one", &machine.id);
    // One by one, so that the second is worked on when the first is answered.
    for body in [event(&finding).to_string(), finding.to_string()] {
        ground.send(&queue, &body);
        let ran = ground.davy(&["--queue", &format!("sqs:{queue}"), "--once"]);
        ran.ended(1)
            .says(&["1 message answered", "no redrive policy"]);
    }
    assert_eq!(ground.messages(&queue), 0);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
    assert_eq!(ground.mail.mails().len(), 1);
}

#[test]
fn a_message_that_cannot_be_read_stays_and_holds_up_no_other() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let dead = ground.queue("dead", &[]);
    let name = dead.rsplit('/').next().expect("a name").to_owned();
    let policy = json!({
        "deadLetterTargetArn": format!("arn:aws:sqs:{REGION}:{}:{name}", ground.account.id),
        "maxReceiveCount": 1,
    });
    let queue = ground.queue(
        "findings",
        &[
            ("Attribute.1.Name", "RedrivePolicy"),
            ("Attribute.1.Value", &policy.to_string()),
        ],
    );
    ground.send(&queue, "{\"detail\": {\"type\": ");
    ground.send(
        &queue,
        &mining(&ground.account.id, "one", &machine.id).to_string(),
    );
    let ran = ground
        .davy(&["--queue", &format!("sqs:{queue}"), "--once"])
        .ended(2);
    let ran = ran.says(&["not understood", "1 message answered, 1 left"]);
    assert!(!ran.err.contains("no redrive policy"), "{}", ran.err);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.messages(&queue), 1);
    // People learn of it, once: who reads a worker's output?
    let unread = || {
        let mails = ground.mail.mails().into_iter();
        mails
            .filter(|mail| mail.text.contains("cannot be read"))
            .count()
    };
    assert_eq!(unread(), 1, "{:?}", ground.mail.mails());
    let same = ground.write("same.json", "{\"detail\": {\"type\": ");
    ground.davy(&["--finding", &same]).ended(2);
    assert_eq!(unread(), 1);
}

#[test]
fn a_worker_that_dies_leaves_its_message_to_the_next() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let queue = ground.queue("findings", &[]);
    let from = format!("sqs:{queue}");
    let body = event(&mining(&ground.account.id, "one", &machine.id)).to_string();
    ground.send(&queue, &body);
    ground.kill_at(&["--queue", &from], "CreateSnapshots");
    assert_eq!(ground.messages(&queue), 1);

    // SQS shows the message again when its time is over; this one is a duplicate of it.
    ground.send(&queue, &body);
    crate::ground::until("another worker has done the work", || {
        ground.davy(&["resume"]);
        ground.state(&machine.id) == "terminated"
    });
    let ran = ground.davy(&["--queue", &from, "--once"]).ended(1);
    // What the dead one had received is neither answered nor back.
    ran.says(&["1 message is with other workers"]);
    assert_eq!(ground.evidence().len(), 2);
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
    assert_eq!(ground.mail.mails().len(), 1);
}

#[test]
fn a_message_that_comes_twice_in_a_batch_is_answered_twice_and_acted_on_once() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let queue = ground.queue("findings", &[]);
    let body = event(&mining(&ground.account.id, "one", &machine.id)).to_string();
    for _ in 0..2 {
        ground.send(&queue, &body);
    }
    let from = format!("sqs:{queue}");
    let ran = ground.davy(&["--queue", &from, "--once"]).ended(1);
    ran.says(&["2 messages answered, 0 left in the queue"]);
    assert_eq!(ground.messages(&queue), 0);
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
}

#[test]
fn a_batch_is_told_in_one_digest() {
    let mut ground = Ground::new();
    ground.set("respond.allow_irreversible=[]");
    let queue = ground.queue("findings", &[]);
    let machines: Vec<_> = (0..6).map(|_| ground.node(&["alice"])).collect();
    for (number, machine) in machines.iter().enumerate() {
        let finding = mining(&ground.account.id, &format!("f{number}"), &machine.id);
        ground.send(&queue, &event(&finding).to_string());
    }
    let ran = ground.davy(&["--queue", &format!("sqs:{queue}"), "--once"]);
    ran.ended(1).says(&["6 messages answered"]);
    let mails = ground.mail.mails();
    assert_eq!(mails.len(), 1, "{}", mails.len());
    for machine in &machines {
        assert!(mails[0].text.contains(&machine.id), "{}", mails[0].text);
    }
}

#[test]
fn a_message_whose_incident_another_run_holds_stays_and_the_rest_of_its_batch_does_not() {
    let mut ground = Ground::new();
    ground.set("respond.lease_seconds=60");
    let (held, free) = (ground.node(&["alice"]), ground.node(&["bob"]));
    let queue = ground.queue("findings", &[]);
    let finding = |machine: &str| mining(&ground.account.id, machine, machine);
    let path = ground.save("held.json", &finding(&held.id));
    ground.kill_at(&["--finding", &path], "CreateSnapshots");
    for machine in [&held, &free] {
        ground.send(&queue, &event(&finding(&machine.id)).to_string());
    }
    let ran = ground
        .davy(&["--queue", &format!("sqs:{queue}"), "--once"])
        .ended(2);
    ran.says(&["another run works on it", "1 message answered, 1 left"]);
    assert_eq!(ground.state(&free.id), "terminated");
    assert_eq!(ground.state(&held.id), "running");
    assert_eq!(ground.messages(&queue), 1);
}

#[test]
fn two_workers_on_one_queue_act_once() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let queue = ground.queue("findings", &[]);
    let from = format!("sqs:{queue}");
    for id in ["one", "one", "two"] {
        let finding = mining(&ground.account.id, id, &machine.id);
        ground.send(&queue, &event(&finding).to_string());
    }
    let workers: Vec<_> = (0..2)
        .map(|_| ground.start(&["--queue", &from, "--once"]))
        .collect();
    workers.into_iter().map(Running::end).for_each(drop);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
    assert_eq!(ground.did("ec2", "TerminateInstances"), 1);
    assert_eq!(ground.evidence().len(), 2);
}

#[test]
fn a_queue_that_is_not_there_is_a_mistake_with_a_hint() {
    let ground = Ground::new();
    let url = format!(
        "sqs:{}/{}/nothing",
        ground.proxy.endpoint(),
        ground.account.id
    );
    let ran = ground.davy(&["--queue", &url, "--once"]).ended(2);
    ran.says(&["cannot read the queue"]);
}

#[test]
fn guardduty_is_polled_and_archived_findings_are_not() {
    let mut ground = Ground::new();
    let guardduty = GuardDuty::start(&ground.account.endpoint);
    ground.proxy = FaultProxy::start(&guardduty.endpoint(), Schedule::clean());
    let machine = ground.node(&["alice"]);
    let other = ground.node(&["bob"]);
    let now = jiff::Timestamp::now().to_string();
    let detector = guardduty.detector(REGION);
    for (id, instance, archived) in [("one", &machine.id, false), ("two", &other.id, true)] {
        let mut finding = mining(&ground.account.id, id, instance);
        finding["updatedAt"] = json!(now);
        finding["service"]["detectorId"] = json!(detector);
        finding["arn"] = json!(format!(
            "arn:aws:guardduty:{REGION}:{}:detector/{detector}/finding/{id}",
            ground.account.id
        ));
        finding["service"]["archived"] = json!(archived);
        guardduty.add(REGION, finding);
    }
    let poll = ["--poll", "guardduty", "--once", "--region", REGION];
    ground.davy(&poll).ended(1).says(&[&machine.id]);
    assert_eq!(ground.state(&machine.id), "terminated");
    assert_eq!(ground.state(&other.id), "running");
    // What was dealt with is archived, so that it is not asked for again.
    assert_eq!(guardduty.archived(REGION).len(), 2);
    // Asked again it has the same findings, and nothing more to do.
    ground.davy(&poll);
    assert_eq!(ground.did("ec2", "CreateSnapshots"), 1);
    assert_eq!(ground.mail.mails().len(), 1);
}

#[test]
fn a_region_without_guardduty_is_said() {
    let mut ground = Ground::new();
    let guardduty = GuardDuty::start(&ground.account.endpoint);
    ground.proxy = FaultProxy::start(&guardduty.endpoint(), Schedule::clean());
    let ran = ground.davy(&["--poll", "guardduty", "--once", "--region", REGION]);
    // Nothing was found because nobody looks.
    ran.ended(2).says(&[
        "GuardDuty is off in eu-central-1",
        "nothing is watched",
        "create-detector",
    ]);
    // A detector that is suspended looks for nothing either.
    guardduty.detector("us-west-2");
    guardduty.suspend("us-west-2");
    let poll = ["--poll", "guardduty", "--once", "--region", "us-west-2"];
    let ran = ground.davy(&poll).ended(2);
    ran.says(&["GuardDuty is suspended in us-west-2", "nothing is watched"]);
    // Where it is on somewhere, the rest is a remark.
    guardduty.detector(REGION);
    let ran = ground.davy(&["--poll", "guardduty", "--once"]).ended(0);
    let ran = ran.says(&["GuardDuty is off in us-east-1"]);
    assert!(!ran.err.contains("nothing is watched"), "{}", ran.err);
}

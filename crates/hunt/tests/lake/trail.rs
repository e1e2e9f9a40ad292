//! CloudTrail.

use crate::support::{Ask, gzip};

const RUN: &str = r#"{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROA1:dev","arn":"arn:aws:sts::111122223333:assumed-role/ops/dev","accountId":"111122223333","accessKeyId":"ASIA1","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111122223333:role/ops","userName":"ops"},"attributes":{"creationDate":"2024-08-01T11:00:00Z","mfaAuthenticated":"true"}}},"eventTime":"2024-08-01T11:30:23Z","eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"Boto3","errorCode":"Client.VcpuLimitExceeded","errorMessage":"no more \"vCPU\"","requestParameters":{"instanceType":"p5.48xlarge","instancesSet":{"items":[{"imageId":"ami-1"},{"imageId":"ami-2"}]}},"responseElements":{"instancesSet":{"items":[{"instanceId":"i-0123456789abcdef0"},{"instanceId":"i-0aaaaaaaaaaaaaaaa"}]}},"eventID":"e1","readOnly":false,"recipientAccountId":"111122223333"}"#;
const STOP: &str = r#"{"eventVersion":"1.09","userIdentity":{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"},"eventTime":"2024-08-01T11:31:00Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"us-east-1","sourceIPAddress":"autoscaling.amazonaws.com","requestParameters":null,"responseElements":null,"eventID":"e2","readOnly":false,"recipientAccountId":"111122223333"}"#;

/// An event as an answer of `LookupEvents` has it.
fn looked_up(event: &str, name: &str) -> String {
    let text = serde_json::Value::from(event);
    format!(
        r#"{{"EventId":"e","EventName":"{name}","ReadOnly":"false","EventTime":1722511823.0,"EventSource":"ec2.amazonaws.com","Resources":[],"CloudTrailEvent":{text}}}"#
    )
}

/// An event as CloudWatch Logs has it.
fn logged(event: &str) -> String {
    let text = serde_json::Value::from(event);
    format!(r#"{{"id":"1","timestamp":1722511823000,"message":{text}}}"#)
}

fn forms() -> Vec<(&'static str, String)> {
    vec![
        ("records", format!(r#"{{"Records":[{RUN},{STOP}]}}"#)),
        ("lines", format!("{RUN}\n{STOP}\n")),
        ("list", format!("[ {RUN} ,\n {STOP} ]")),
        (
            "wrapped lines",
            format!("{{\"Records\":[{RUN}]}}\n{{\"Records\": [{STOP}], \"more\": {{}}}}\n"),
        ),
        (
            "late",
            format!(r#"{{"version":{{"a":[]}},"Records":[{RUN},{STOP}]}}"#),
        ),
        (
            "envelope",
            format!(
                "{{\"version\":\"0\",\"source\":\"aws.ec2\",\"detail\":{RUN}}}\n{{\"detail\":{STOP}}}"
            ),
        ),
        (
            "looked up",
            format!(
                r#"{{"Events":[{},{}],"NextToken":"x"}}"#,
                looked_up(RUN, "RunInstances"),
                looked_up(STOP, "StopLogging")
            ),
        ),
        (
            "filtered",
            format!(
                r#"{{"events":[{},{}],"searchedLogStreams":[]}}"#,
                logged(RUN),
                logged(STOP)
            ),
        ),
        (
            "subscribed",
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"1","logEvents":[{},{}]}}"#,
                logged(RUN),
                logged(STOP)
            ),
        ),
        (
            "other casing",
            format!("{RUN}\n{STOP}")
                .replace("\"eventName\"", "\"EventName\"")
                .replace("\"eventSource\"", "\"event_source\"")
                .replace("awsRegion", "AwsRegion"),
        ),
    ]
}

#[test]
fn every_form_gives_the_same_rows() {
    for (form, text) in forms() {
        let mut ask = Ask::new(
            "SELECT _source, event_name, aws_region, event_time, error_message, source_is_address, read_only
             FROM cloudtrail ORDER BY 1",
        )
        .of("trail", gzip(text.as_bytes()));
        ask.place = "cloudtrail=trail";
        let (rows, said) = ask.answer();
        assert_eq!(
            rows,
            "_source,event_name,aws_region,event_time,error_message,source_is_address,read_only\n\
             trail:1,RunInstances,us-east-1,2024-08-01T11:30:23Z,\"no more \"\"vCPU\"\"\",true,false\n\
             trail:2,StopLogging,us-east-1,2024-08-01T11:31:00Z,,false,false",
            "{form}: {said}"
        );
        assert!(!said.contains("not understood"), "{form}: {said}");
    }
}

#[test]
fn every_form_is_known_by_what_it_holds() {
    for (form, text) in forms() {
        let sql = "SELECT count(*) AS n FROM cloudtrail";
        let (rows, said) = Ask::new(sql).of("a file", text).answer();
        assert_eq!(rows, "n\n2", "{form}: {said}");
    }
    let control = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","message":"CWL CONTROL MESSAGE: Checking health of destination"}]}"#;
    let mut ask = Ask::new("SELECT event_id FROM cloudtrail").of("control", control);
    ask.place = "cloudtrail=control";
    assert!(!ask.said().contains("not understood"));
    let ask = Ask::new("SELECT event_id FROM cloudtrail").of("none", " {\"Records\": [ ]}\n");
    let (rows, said) = ask.answer();
    assert_eq!(rows, "", "{said}");
    assert!(said.contains("read 0 records of 1 object"), "{said}");
    assert!(!said.contains("not or not wholly read"), "{said}");
}

fn check(sql: &str, expected: &str) {
    let text = format!(r#"{{"Records":[{RUN},{STOP}]}}"#);
    assert_eq!(
        Ask::new(sql).of("trail.json", text).rows(),
        expected,
        "{sql}"
    );
}

#[test]
fn the_identity_is_flat_as_well() {
    check(
        "SELECT identity_type, access_key_id, key_kind, session_issuer_arn, mfa_authenticated,
            session_created, principal, invoked_by FROM cloudtrail ORDER BY event_time",
        "identity_type,access_key_id,key_kind,session_issuer_arn,mfa_authenticated,session_created,principal,invoked_by\n\
         AssumedRole,ASIA1,temporary,arn:aws:iam::111122223333:role/ops,true,2024-08-01T11:00:00Z,ASIA1,\n\
         AWSService,,,,,,autoscaling.amazonaws.com,autoscaling.amazonaws.com",
    );
}

#[test]
fn request_and_response_can_be_dug_in() {
    check(
        "SELECT json_get(request_parameters, 'instancesSet.items.1.imageId') AS image,
            instance_ids, instance_count, error_kind FROM cloudtrail WHERE event_name = 'RunInstances'",
        "image,instance_ids,instance_count,error_kind\n\
         ami-2,\"i-0123456789abcdef0,i-0aaaaaaaaaaaaaaaa\",2,quota",
    );
    check(
        "SELECT count(request_parameters) AS n FROM cloudtrail",
        "n\n1",
    );
}

#[test]
fn what_hunts_need_is_worked_out() {
    check(
        "SELECT account_id, region, event_epoch, window_epoch, session_name, source_is_public,
            error_kind, instance_types, vcpus, gpu, price_per_hour, opens_public, disables_termination,
            is_console_session FROM cloudtrail ORDER BY event_time",
        "account_id,region,event_epoch,window_epoch,session_name,source_is_public,error_kind,instance_types,vcpus,gpu,price_per_hour,opens_public,disables_termination,is_console_session\n\
         111122223333,us-east-1,1722511823,1722511800,dev,false,quota,p5.48xlarge,384,true,110.08,false,false,false\n\
         111122223333,us-east-1,1722511860,1722511800,,false,none,,,,,false,false,false",
    );
}

#[test]
fn whom_a_call_is_about_is_told() {
    let call = |name: &str, request: &str, response: &str| {
        format!(
            r#"{{"eventTime":"2024-08-01T11:30:23Z","eventSource":"iam.amazonaws.com","eventName":"{name}","userIdentity":{{"type":"IAMUser","accountId":"111122223333","accessKeyId":"","arn":"arn:aws:iam::111122223333:user/a"}},"requestParameters":{request},"responseElements":{response},"additionalEventData":{{"MFAUsed":"No"}}}}"#
        )
    };
    let text = [
        call(
            "CreateAccessKey",
            "null",
            r#"{"accessKey":{"accessKeyId":"AKIA2","userName":"b"}}"#,
        ),
        call(
            "AttachRolePolicy",
            r#"{"roleName":"r","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#,
            "null",
        ),
    ]
    .join("\n");
    let rows = Ask::new(
        "SELECT account_id, access_key_id, principal, new_key_id, target_user, target_role, policy_arn, console_mfa
         FROM cloudtrail ORDER BY _source",
    )
    .of("t.json", text)
    .rows();
    assert_eq!(
        rows,
        "account_id,access_key_id,principal,new_key_id,target_user,target_role,policy_arn,console_mfa\n\
         111122223333,,arn:aws:iam::111122223333:user/a,AKIA2,b,,,No\n\
         111122223333,,arn:aws:iam::111122223333:user/a,,,r,arn:aws:iam::aws:policy/AdministratorAccess,No"
    );
}

#[test]
fn a_search_passes_over_only_what_cannot_match() {
    let escaped = RUN
        .replace("RunInstances", r"\u0052unInstances")
        .replace("\"e1\"", "\"e3\"");
    let ask = |sql| {
        Ask::new(sql)
            .of("a.json", format!(r#"{{"Records":[{RUN},{STOP}]}}"#))
            .of("b.json", format!(r#"{{"Records":[{STOP}]}}"#))
            .of("c.json", escaped.as_str())
    };
    let (rows, said) =
        ask("SELECT event_id FROM cloudtrail WHERE event_name = 'RunInstances' ORDER BY 1")
            .answer();
    assert_eq!(rows, "event_id\ne1\ne3");
    assert!(said.contains("read 2 records of 3 objects"), "{said}");
    assert!(said.contains("1 object searched without a match"), "{said}");
    let rows = ask("SELECT event_id FROM cloudtrail WHERE identity_arn = 'arn:aws:sts::111122223333:assumed-role/ops/dev' ORDER BY 1").rows();
    assert_eq!(rows, "event_id\ne1\ne3");
}

#[test]
fn one_bad_record_costs_only_itself() {
    let bad = [
        r#"{"eventName":}"#,
        "7",
        "[[]]",
        r#"{"no":"event"}"#,
        "null",
    ];
    let text = format!(r#"{{"Records":[{RUN},{},{STOP}]}}"#, bad.join(","));
    let (rows, said) = Ask::new("SELECT event_id FROM cloudtrail ORDER BY 1")
        .of("t.json", text)
        .answer();
    assert_eq!(rows, "event_id\ne1\ne2");
    assert!(said.contains("5 records not understood"), "{said}");
    assert!(said.contains("t.json:3: it is not an object"), "{said}");
}

#[test]
fn a_value_of_another_kind_is_told() {
    let text = RUN
        .replace(r#""userAgent":"Boto3""#, r#""userAgent":{"a":1}"#)
        .replace(r#""readOnly":false"#, r#""readOnly":"perhaps""#)
        .replace("2024-08-01T11:30:23Z", "yesterday");
    let (rows, said) = Ask::new("SELECT user_agent, read_only, event_time FROM cloudtrail")
        .of("t.json", text)
        .answer();
    assert_eq!(rows, "user_agent,read_only,event_time\n\"{\"\"a\"\":1}\",,");
    assert!(said.contains("2 values not understood, so NULL"), "{said}");
}

//! The guard's log, digests and snapshots; and that no log is taken for another.

use crate::support::Ask;

const KILL: &str = r#"{"pid":7,"cmdline":"./xmrig -o pool","matched":"xmrig","source":"davylamp.exec","container_type":"cri","labels":{"io.kubernetes.pod.name":"jupyter-eve","io.kubernetes.pod.namespace":"hub","io.kubernetes.container.name":"notebook"},"image":"n:1","action":"spared","event":"Not killing process","level":"info","timestamp":"2024-08-01T11:31:00.000000Z","reason":"an allow pattern","exe":"/tmp/xmrig","hub_user":"eve","node":"node-1"}"#;
const DIGEST: &str = r#"{"awsAccountId":"111122223333","digestStartTime":"2024-08-01T10:30:00Z","digestEndTime":"2024-08-01T11:30:00Z","digestS3Bucket":"b","digestS3Object":"AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2024/08/01/x.json.gz","digestPublicKeyFingerprint":"0a","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":null,"oldestEventTime":null,"previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,"logFiles":[{"s3Bucket":"b","s3Object":"k","hashValue":"1"}]}"#;
const STATE: &str = r#"{"taken_at":"2024-08-01T11:31:00Z","account_id":"111122223333","region":"us-east-1","kind":"instance","id":"i-1","state":{"type":"c5.large"},"hash":"0a1b"}"#;
const ITEM: &str = r#"{"relatedEvents":[],"relationships":[{"resourceId":"sg-1","resourceName":null,"resourceType":"AWS::EC2::SecurityGroup","name":"Is associated with SecurityGroup"},{"resourceName":"eni-2","resourceType":"AWS::EC2::NetworkInterface"}],"configuration":{"instanceId":"i-1","type":"X","service":{}},"tags":{"Name":"miner"},"configurationItemVersion":"1.3","configurationItemCaptureTime":"2024-08-01T11:30:00.250Z","configurationStateId":1722511800250,"awsAccountId":"111122223333","configurationItemStatus":"ResourceDiscovered","resourceType":"AWS::EC2::Instance","resourceId":"i-1","ARN":"arn:aws:ec2:us-east-1:111122223333:instance/i-1","awsRegion":"us-east-1","availabilityZone":"us-east-1a","resourceCreationTime":"2024-08-01T11:29:00Z"}"#;
const EVENT: &str = r#"{"eventVersion":"1.09","eventTime":"2024-08-01T11:30:23Z","eventSource":"guardduty.amazonaws.com","eventName":"CreateFilter","requestParameters":{"detectorId":"0a","type":"x","resource":"y","severity":1,"digestS3Object":"z"}}"#;
const FINDING: &str = r#"{"schemaVersion":"2.0","accountId":"1","id":"f1","type":"X","resource":{"resourceType":"Instance"},"service":{"detectorId":"0a"},"severity":8}"#;
const QUERY: &str =
    r#"{"query_timestamp":"2024-08-01T11:31:00Z","query_name":"a.example.","query_type":"A"}"#;
const AUDIT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","requestURI":"/","verb":"get"}"#;

fn check(log: &str, sql: &str, expected: &str) {
    let (rows, said) = Ask::new(sql).of("log", log).answer();
    assert_eq!(rows, expected, "{sql}: {said}");
}

#[test]
fn the_guard_s_log_is_read_however_it_was_kept() {
    let inside = serde_json::to_string(&format!("{KILL}\n")).expect("a text is JSON");
    for log in [
        KILL.to_owned(),
        format!("2024-08-01T11:31:00.000000001Z stderr F {KILL}"),
        format!(r#"{{"log":{inside},"stream":"stderr"}}"#),
    ] {
        check(
            &log,
            "SELECT epoch, action, pid, matched, pod, namespace, container, hub_user, node, why FROM guard",
            "epoch,action,pid,matched,pod,namespace,container,hub_user,node,why\n\
             1722511860,spared,7,xmrig,jupyter-eve,hub,notebook,eve,node-1,an allow pattern",
        );
    }
}

#[test]
fn a_digest_says_which_files_there_are_and_what_came_before() {
    check(
        DIGEST,
        "SELECT account_id, region, digest_start, end_epoch, digest_s3_bucket, log_file_count, is_start, log_files
         FROM cloudtrail_digest",
        "account_id,region,digest_start,end_epoch,digest_s3_bucket,log_file_count,is_start,log_files\n\
         111122223333,us-east-2,2024-08-01T10:30:00Z,1722511800,b,1,true,\"[{\"\"s3Bucket\"\":\"\"b\"\",\"\"s3Object\"\":\"\"k\"\",\"\"hashValue\"\":\"\"1\"\"}]\"",
    );
}

#[test]
fn a_snapshot_is_a_row() {
    check(
        STATE,
        "SELECT taken_at, account_id, kind, id, state, hash FROM recorder",
        "taken_at,account_id,kind,id,state,hash\n\
         2024-08-01T11:31:00Z,111122223333,instance,i-1,\"{\"\"type\"\":\"\"c5.large\"\"}\",0a1b",
    );
}

#[test]
fn an_item_of_aws_config_is_a_row_however_it_is_delivered() {
    let notice = format!(
        r#"{{"configurationItemDiff":{{"changedProperties":{{}}}},"configurationItem":{ITEM},"messageType":"ConfigurationItemChangeNotification","recordVersion":"1.3"}}"#
    );
    let message = serde_json::to_string(&notice).expect("a text is JSON");
    for log in [
        format!(r#"{{"fileVersion":"1.0","configSnapshotId":"s","configurationItems":[{ITEM}]}}"#),
        format!(r#"{{"fileVersion":"1.0","configurationItems":[{ITEM}]}}"#),
        format!(r#"{{"configurationItems":[{ITEM}],"nextToken":"x"}}"#),
        ITEM.to_owned(),
        notice.clone(),
        format!(
            r#"{{"version":"0","detail-type":"Config Configuration Item Change","source":"aws.config","detail":{notice}}}"#
        ),
        format!(r#"{{"Type":"Notification","MessageId":"m","Message":{message}}}"#),
    ] {
        check(
            &log,
            "SELECT captured_epoch, status, is_deleted, account_id, region, resource_type, resource_id, arn,
             created_at, related_ids, configuration, tags, state_id FROM config_item",
            "captured_epoch,status,is_deleted,account_id,region,resource_type,resource_id,arn,created_at,related_ids,configuration,tags,state_id\n\
             1722511800,ResourceDiscovered,false,111122223333,us-east-1,AWS::EC2::Instance,i-1,\
             arn:aws:ec2:us-east-1:111122223333:instance/i-1,2024-08-01T11:29:00Z,\"sg-1,eni-2\",\
             \"{\"\"instanceId\"\":\"\"i-1\"\",\"\"type\"\":\"\"X\"\",\"\"service\"\":{}}\",\"{\"\"Name\"\":\"\"miner\"\"}\",1722511800250",
        );
    }
}

#[test]
fn the_text_of_a_configuration_is_read_and_what_is_no_item_is_passed_over() {
    // As the command line tool prints it, with the configuration as text and other names.
    let printed = r#"{"configurationItems":[{"version":"1.3","accountId":"111122223333","configurationItemCaptureTime":"2024-08-01T11:30:00.250000+00:00","configurationItemStatus":"ResourceDeleted","configurationStateId":"1722511800250","arn":"a","resourceType":"AWS::IAM::User","resourceId":"AIDA1","resourceName":"eve","awsRegion":"global","configuration":"{\"userName\":\"eve\"}"}]}"#;
    check(
        printed,
        "SELECT captured_epoch, is_deleted, account_id, region, resource_name, json_get(configuration, 'userName') AS user
         FROM config_item",
        "captured_epoch,is_deleted,account_id,region,resource_name,user\n\
         1722511800,true,111122223333,global,eve,eve",
    );
    let ended = format!(
        "{{\"messageType\":\"ConfigurationHistoryDeliveryCompleted\",\"s3ObjectKey\":\"k\"}}\n{ITEM}\n{{\"resourceType\":\"x\"}}"
    );
    let (rows, said) = Ask::new("SELECT count(*) AS n FROM config_item")
        .of("log", ended.as_str())
        .answer();
    assert_eq!(rows, "n\n1", "{said}");
    // What is neither is counted.
    assert!(said.contains("1 "), "{said}");
}

#[test]
fn an_item_says_in_which_snapshot_it_still_stood() {
    let file = format!(r#"{{"fileVersion":"1.0","configurationItems":[{ITEM}]}}"#);
    for (name, expected) in [
        (
            "111122223333_Config_us-east-1_ConfigSnapshot_20240927T183939Z_16da64e4-cb65.json",
            "2024-08-01T11:30:00.250Z,2024-09-27T18:39:39Z",
        ),
        (
            "111122223333_Config_us-east-1_ConfigHistory_AWS::EC2::Instance_20240801T010203Z_20240801T040506Z_1.json",
            "2024-08-01T11:30:00.250Z,",
        ),
        (
            "111122223333_Config_us-east-1_ConfigSnapshot_whenever_1.json",
            "2024-08-01T11:30:00.250Z,",
        ),
    ] {
        let sql = "SELECT captured_at, snapshot_at FROM config_item";
        let (rows, said) = Ask::new(sql).of(name, file.as_str()).answer();
        assert_eq!(
            rows,
            format!("captured_at,snapshot_at\n{expected}"),
            "{name}: {said}"
        );
    }
}

#[test]
fn no_log_is_taken_for_another() {
    let envelope = format!(
        r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.guardduty","detail":{EVENT}}}"#
    );
    for (table, log) in [
        ("guard", KILL),
        ("cloudtrail_digest", DIGEST),
        ("recorder", STATE),
        ("config_item", ITEM),
        ("cloudtrail", EVENT),
        ("cloudtrail", envelope.as_str()),
        ("guardduty", FINDING),
        ("dns_query", QUERY),
        ("eks_audit", AUDIT),
    ] {
        for other in davylamp_hunt::read::LOGS {
            let name = other.table().name;
            let sql = format!("SELECT count(*) AS n FROM {name}");
            let rows = Ask::new(&sql).of("log", log).rows();
            let expected = usize::from(name == table);
            assert_eq!(rows, format!("n\n{expected}"), "{name} in {log}");
        }
    }
}

#[test]
fn what_a_hunt_relies_on_is_there() {
    for log in davylamp_hunt::read::LOGS {
        let table = log.table();
        let mut names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        for wanted in ["_source", "account_id", "region", table.time] {
            assert!(names.contains(&wanted), "{} has no {wanted}", table.name);
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{} names a column twice", table.name);
    }
}

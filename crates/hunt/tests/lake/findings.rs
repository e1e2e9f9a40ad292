//! GuardDuty's findings.

use crate::support::Ask;

const INSTANCE: &str = r#"{"schemaVersion":"2.0","accountId":"111122223333","region":"us-east-1","id":"f1","arn":"arn:aws:guardduty:us-east-1:111122223333:detector/0a/finding/f1","type":"CryptoCurrency:EC2/BitcoinTool.B!DNS","resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-0123456789abcdef0"}},"service":{"detectorId":"0a","archived":false,"count":3,"additionalInfo":{},"action":{"dnsRequestAction":{"domain":"pool.example"}},"eventFirstSeen":"2024-08-01T11:00:00Z","eventLastSeen":"2024-08-01T12:00:00.000Z"},"severity":8,"createdAt":"2024-08-01T11:05:00.000Z","updatedAt":"2024-08-01 12:05:00.000","title":"a title"}"#;
const POD: &str = r#"{"accountId":"111122223333","region":"us-east-1","id":"f2","type":"Impact:Runtime/CryptoMinerExecuted","resource":{"resourceType":"EKSCluster","eksClusterDetails":{"name":"hub"},"kubernetesDetails":{"kubernetesWorkloadDetails":{"name":"jupyter-bob","type":"pods","namespace":"jhub"}},"instanceDetails":{"instanceId":"i-2"}},"service":{"runtimeDetails":{"process":{"executablePath":"/tmp/x","executableSha256":"00"}},"action":{"networkConnectionAction":{"remoteIpDetails":{"ipAddressV4":"198.51.100.7"}}}},"severity":9}"#;
const TASK: &str = r#"{"id":"f3","type":"CryptoCurrency:Runtime/BitcoinTool.B","resource":{"resourceType":"ECSCluster","ecsClusterDetails":{"name":"jobs","taskDetails":{"arn":"arn:aws:ecs:us-east-1:1:task/jobs/0a"}}},"service":{"additionalInfo":{"value":"{\"sample\":true}"}},"severity":8.5}"#;
const KEY: &str = r#"{"id":"f4","type":"UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS","resource":{"accessKeyDetails":{"accessKeyId":"ASIA1","userName":"node"}},"service":{"action":{"awsApiCallAction":{"remoteIpDetails":{"ipAddressV4":"198.51.100.8"}}}},"severity":8}"#;
const LAMBDA: &str = r#"{"id":"f5","type":"CryptoCurrency:Lambda/BitcoinTool.B","resource":{"lambdaDetails":{"functionName":"thumbnails"}},"service":{},"severity":8,"title":"[SAMPLE] x"}"#;
const SEQUENCE: &str = r#"{"id":"f6","type":"AttackSequence:EKS/CompromisedCluster","resource":{"resourceType":"AttackSequence"},"service":{"detection":{"sequence":{"resources":[{"uid":"r1","name":"jupyter-eve","resourceType":"KUBERNETES_WORKLOAD","data":{"kubernetesWorkload":{"namespace":"hub","type":"pods"}}},{"uid":"arn:aws:ec2:x:1:instance/i-3","name":"i-3","resourceType":"EC2_INSTANCE"},{"uid":"i-4","name":"second","resourceType":"EC2_INSTANCE"},{"name":"hub-prod","resourceType":"EKS_CLUSTER"}],"signals":[{"name":"Impact:Runtime/CryptoMinerExecuted"}],"sequenceIndicators":[{"key":"CRYPTOMINING_DOMAIN","values":["pool.example","two.example"]}]}}},"severity":9}"#;
const SCAN: &str = r#"{"id":"f7","type":"Execution:EC2/MaliciousFile","resource":{"instanceDetails":{"instanceId":"i-5"}},"service":{"ebsVolumeScanDetails":{"scanDetections":{"threatDetectedByName":{"threatNames":[{"name":"Linux.CoinMiner.X"}]}}}},"severity":8}"#;
const OLD: &str = r#"{"id":"f8","category":"CryptoCurrency:Quantum/BitcoinTool.Z","finding":{"count":21,"detectorId":"0b"},"resource":{},"severity":8}"#;

fn check(log: &str, sql: &str, expected: &str) {
    let (rows, said) = Ask::new(sql).of("findings.json", log).answer();
    assert_eq!(rows, expected, "{sql}: {said}");
}

/// The same in the casing of the CLI.
fn in_cli_casing(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some(at) = rest.find("\"") {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let end = after.find('"').expect("quotes close");
        let is_key = after[end + 1..].starts_with(':');
        let (first, others) = after[..end].split_at(usize::from(end > 0));
        out.push_str(&if is_key {
            first.to_uppercase()
        } else {
            first.to_owned()
        });
        out.push_str(others);
        out.push('"');
        rest = &after[end + 1..];
    }
    out + rest
}

#[test]
fn every_form_gives_the_same_row() {
    for (form, text) in [
        ("bare", INSTANCE.to_owned()),
        (
            "envelope",
            format!(
                r#"{{"version":"0","id":"e1","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"999900001111","region":"eu-west-1","detail":{INSTANCE}}}"#
            ),
        ),
        (
            "cli",
            format!(r#"{{"Findings":[{}]}}"#, in_cli_casing(INSTANCE)),
        ),
        ("list", format!("[{INSTANCE}]")),
    ] {
        let sql = "SELECT id, account_id, region, type, severity, count, archived, sample, detector_id, first_epoch,
            last_epoch, created_epoch, updated_epoch, behaviour, is_mining, instance_id, instance_ids, domains FROM guardduty";
        let (rows, said) = Ask::new(sql).of("findings.json", text).answer();
        assert_eq!(
            rows,
            "id,account_id,region,type,severity,count,archived,sample,detector_id,first_epoch,last_epoch,created_epoch,updated_epoch,behaviour,is_mining,instance_id,instance_ids,domains\n\
             f1,111122223333,us-east-1,CryptoCurrency:EC2/BitcoinTool.B!DNS,8.0,3,false,false,0a,1722510000,1722513600,1722510300,1722513900,mining,true,i-0123456789abcdef0,i-0123456789abcdef0,pool.example",
            "{form}: {said}"
        );
    }
}

#[test]
fn every_kind_of_resource_is_told() {
    let log = [POD, TASK, KEY, LAMBDA, SEQUENCE, SCAN, OLD].join("\n");
    check(
        &log,
        "SELECT id, behaviour, is_mining, sample, instance_id, \"cluster\", workload, pod, task_arn, function, access_key_id, user_name
         FROM guardduty ORDER BY id",
        "id,behaviour,is_mining,sample,instance_id,cluster,workload,pod,task_arn,function,access_key_id,user_name\n\
         f2,mining,true,false,i-2,hub,jhub/pod/jupyter-bob,jupyter-bob,,,,\n\
         f3,mining,true,true,,jobs,,,arn:aws:ecs:us-east-1:1:task/jobs/0a,,,\n\
         f4,stolen-credential,false,false,,,,,,,ASIA1,node\n\
         f5,mining,true,true,,,,,,thumbnails,,\n\
         f6,attack-sequence,true,false,,hub-prod,hub/pod/jupyter-eve,jupyter-eve,,,,\n\
         f7,malicious-file,true,false,i-5,,,,,,,\n\
         f8,unknown,false,false,,,,,,,,",
    );
    check(
        &log,
        "SELECT id, instance_ids, domains, remote_addresses, process_path, count, detector_id FROM guardduty
         WHERE id IN ('f2', 'f4', 'f6', 'f8') ORDER BY id",
        "id,instance_ids,domains,remote_addresses,process_path,count,detector_id\n\
         f2,i-2,,198.51.100.7,/tmp/x,,\n\
         f4,,,198.51.100.8,,,\n\
         f6,\"i-3,i-4\",\"pool.example,two.example\",,,,\n\
         f8,,,,,21,0b",
    );
}

#[test]
fn odd_findings_cost_only_themselves() {
    let log = [
        INSTANCE,
        r#"{"id":"g1","type":"X","severity":"high","service":[],"resource":null}"#,
        r#"{"detail":{"detail":{"detail":7}}}"#,
        r#"{"id":"g2","type":null,"service":{"count":"many","eventFirstSeen":{}}}"#,
        r#"{"id":"g3","type":"X","service":"#,
    ]
    .join("\n");
    let (rows, said) =
        Ask::new("SELECT id, severity, count, first_seen, behaviour FROM guardduty ORDER BY id")
            .of("findings.json", log)
            .answer();
    assert_eq!(
        rows,
        "id,severity,count,first_seen,behaviour\n\
         f1,8.0,3,2024-08-01T11:00:00Z,mining\ng1,,,,unknown\ng2,,,,unknown"
    );
    assert!(said.contains("2 records not understood"), "{said}");
    assert!(said.contains("3 values not understood"), "{said}");
}

//! Logs that come as Parquet, written by another program: AWS's flow logs, and Security Lake.

use std::path::Path;

use davylamp_hunt::objects::Scope;
use serde_json::{Map, Value, json};

use crate::oracle::{Asked, duckdb};
use crate::support::Ask;

/// Has the other engine write Parquet files, each by a query.
fn write(files: &[(&Path, &str)]) {
    let asked: Vec<Asked> = files
        .iter()
        .map(|(path, sql)| {
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
            let sql = format!("COPY ({sql}) TO '{}' (FORMAT parquet)", path.display());
            Asked {
                name: path.display().to_string(),
                rows: Vec::<Map<String, Value>>::new(),
                question: json!({ "sql": sql, "tables": [] }),
            }
        })
        .collect();
    for (asked, answer) in asked.iter().zip(duckdb(&asked)) {
        assert!(answer.get("error").is_none(), "{}: {answer}", asked.name);
    }
}

/// Asks one file, and what is said of the reading.
fn answer(name: &str, from: &str, sql: &str) -> (String, String) {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("written.parquet");
    write(&[(&path, from)]);
    let bytes = std::fs::read(&path).expect("it was written");
    Ask::new(sql).of(name, bytes).answer()
}

fn check(name: &str, from: &str, sql: &str, expected: &str) {
    let (rows, said) = answer(name, from, sql);
    assert_eq!(rows, expected, "{name}: {said}");
}

const FLOWS: &str = "SELECT 5::INTEGER AS version, '111122223333' AS account_id,
    'eni-1' AS interface_id, '10.0.0.5' AS srcaddr, '198.51.101.9' AS dstaddr,
    40000::INTEGER AS srcport, 3333::INTEGER AS dstport, 6::INTEGER AS protocol,
    12::BIGINT AS packets, 840::BIGINT AS bytes, 1772366400::BIGINT AS \"start\",
    1772366460::BIGINT AS \"end\", 'ACCEPT' AS action, 'OK' AS log_status, NULL::VARCHAR AS pkt_srcaddr,
    'egress' AS flow_direction
    UNION ALL SELECT 5, '111122223333', 'eni-1', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    1772366460, 1772366520, NULL, 'NODATA', NULL, NULL";

#[test]
fn flow_logs_as_parquet_are_flow_logs() {
    let name = "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/\
                year=2026/month=03/day=01/hour=12/x.log.parquet";
    for name in [name, "any.name"] {
        check(
            name,
            FLOWS,
            "SELECT srcaddr, dstport, bytes, \"start\", direction, remote_addr, log_status
             FROM vpc_flow ORDER BY \"start\"",
            "srcaddr,dstport,bytes,start,direction,remote_addr,log_status\n\
             10.0.0.5,3333,840,2026-03-01T12:00:00Z,egress,198.51.101.9,OK\n\
             ,,,2026-03-01T12:01:00Z,,,NODATA",
        );
    }
    // What the path alone says, and what the format lacks.
    let (rows, said) = answer(name, FLOWS, "SELECT region, vpc_id FROM vpc_flow LIMIT 1");
    assert_eq!(rows, "region,vpc_id\neu-west-1,");
    assert!(
        said.contains("vpc_id is NULL: the format of 1 object does not carry it"),
        "{said}"
    );
    assert!(said.contains("read 2 records of 1 object"), "{said}");
}

#[test]
fn a_search_before_parsing_works_on_parquet() {
    check(
        "x.parquet",
        FLOWS,
        "SELECT bytes FROM vpc_flow WHERE dstaddr = '198.51.101.9'",
        "bytes\n840",
    );
    check(
        "x.parquet",
        FLOWS,
        "SELECT bytes FROM vpc_flow WHERE dstaddr = '198.51.101.8'",
        "",
    );
}

#[test]
fn parquet_that_is_no_log_is_told() {
    let (rows, said) = answer(
        "x.parquet",
        "SELECT 1 AS a, 'b' AS c",
        "SELECT 1 FROM vpc_flow",
    );
    assert_eq!(rows, "");
    assert!(
        said.contains("its columns are those of no log that is known"),
        "{said}"
    );
    let broken = Ask::new("SELECT 1 FROM vpc_flow").of("x", b"PAR1 and no more".to_vec());
    assert!(broken.said().contains("1 object not or not wholly read"));
}

const OCSF_FLOW: &str = "SELECT 1 AS action_id, 4001 AS class_uid,
    {'account': {'uid': '111122223333'}, 'region': 'us-east-1', 'zone': 'use1-az1'} AS cloud,
    {'direction_id': 2, 'protocol_num': 6, 'protocol_ver': 'IPv4', 'tcp_flags': 2} AS connection_info,
    {'ip': '198.51.101.9', 'port': 3333, 'svc_name': '-', 'interface_uid': NULL::VARCHAR} AS dst_endpoint,
    {'ip': '10.0.0.5', 'port': 40000, 'interface_uid': 'eni-1', 'vpc_uid': 'vpc-1',
     'intermediate_ips': ['10.0.0.9']} AS src_endpoint,
    {'packets': 12, 'bytes': 840} AS traffic, 'OK' AS status_code,
    {'product': {'name': 'Amazon VPC', 'version': '5'}, 'version': '1.1.0'} AS metadata,
    TIMESTAMP '2026-03-01 12:00:00' AS start_time_dt, TIMESTAMP '2026-03-01 12:01:00' AS end_time_dt,
    1772366400000::BIGINT AS time";

#[test]
fn security_lake_flows_are_flow_logs() {
    let name =
        "aws/VPC_FLOW/2.0/region=us-east-1/accountId=111122223333/eventDay=20260301/x.parquet";
    check(
        name,
        OCSF_FLOW,
        "SELECT account_id, interface_id, srcaddr, pkt_srcaddr, dstaddr, dstport, bytes, \"start\",
         \"end\", action, log_status, direction, region FROM vpc_flow",
        "account_id,interface_id,srcaddr,pkt_srcaddr,dstaddr,dstport,bytes,start,end,action,\
         log_status,direction,region\n\
         111122223333,eni-1,10.0.0.9,10.0.0.5,198.51.101.9,3333,840,2026-03-01T12:00:00Z,\
         2026-03-01T12:01:00Z,ACCEPT,OK,egress,us-east-1",
    );
    let (_, said) = answer(name, OCSF_FLOW, "SELECT traffic_path FROM vpc_flow");
    assert!(said.contains("traffic_path is NULL"), "{said}");
}

const OCSF_DNS: &str = "SELECT 4003 AS class_uid,
    {'account': {'uid': '111122223333'}, 'region': 'us-east-1'} AS cloud,
    {'protocol_name': 'UDP'} AS connection_info, 'NXDomain' AS rcode,
    {'hostname': 'pool.supportxmr.com.', 'type': 'A', 'class': 'IN'} AS query,
    [{'type': 'CNAME', 'rdata': 'x.example.org.', 'class': 'IN'}] AS answers,
    {'ip': '10.0.0.5', 'port': 15083, 'vpc_uid': 'vpc-1', 'instance_uid': 'i-1'} AS src_endpoint,
    {'product': {'name': 'Route 53', 'version': '1.1'}, 'version': '1.1.0'} AS metadata,
    1772366400000::BIGINT AS time";

#[test]
fn security_lake_questions_are_dns_queries() {
    check(
        "x.parquet",
        OCSF_DNS,
        "SELECT query_timestamp, name, query_type, rcode, cnames, srcaddr, srcport, transport,
         instance_id, vpc_id, account_id, indicator_domain FROM dns_query",
        "query_timestamp,name,query_type,rcode,cnames,srcaddr,srcport,transport,instance_id,vpc_id,\
         account_id,indicator_domain\n\
         2026-03-01T12:00:00Z,pool.supportxmr.com,A,NXDOMAIN,x.example.org,10.0.0.5,15083,UDP,i-1,\
         vpc-1,111122223333,pool.supportxmr.com",
    );
}

const OCSF_TRAIL: &str = "SELECT 6003 AS class_uid,
    {'operation': 'RunInstances', 'service': {'name': 'ec2.amazonaws.com'},
     'request': {'uid': 'r-1', 'data': '{\"instanceType\":\"p4d.24xlarge\",\"maxCount\":3}'},
     'response': {'error': 'Client.DryRunOperation', 'message': 'it would have', 'data': NULL::VARCHAR},
     'version': NULL::VARCHAR} AS api,
    {'user': {'type': 'AssumedRole', 'uid': 'arn:aws:sts::111122223333:assumed-role/r/s',
      'uid_alt': 'AROA1:s', 'account': {'uid': '111122223333'}, 'credential_uid': 'ASIA1',
      'name': NULL::VARCHAR},
     'session': {'issuer': 'arn:aws:iam::111122223333:role/r', 'is_mfa': false,
      'created_time_dt': TIMESTAMP '2026-03-01 11:00:00'}, 'invoked_by': NULL::VARCHAR} AS actor,
    {'region': 'us-east-1', 'provider': 'AWS'} AS cloud,
    {'ip': '198.51.101.7', 'domain': NULL::VARCHAR} AS src_endpoint,
    {'user_agent': 'boto'} AS http_request,
    {'product': {'name': 'CloudTrail', 'version': '1.09', 'feature': {'name': 'Management'}},
     'uid': 'e-1', 'event_code': 'AwsApiCall', 'version': '1.1.0'} AS metadata,
    MAP {'recipientAccountId': '111122223333', 'readOnly': 'false',
     'userIdentity.sessionContext.sessionIssuer.userName': 'r', 'x[].y': 'z'} AS unmapped,
    1772366400000::BIGINT AS time";

#[test]
fn security_lake_calls_are_cloudtrail() {
    check(
        "x.parquet",
        OCSF_TRAIL,
        "SELECT event_time, event_name, error_kind, access_key_id, principal_id, session_issuer_arn,
         session_issuer_user_name, mfa_authenticated, read_only, account_id, region, instance_types,
         instance_count, gpu, source_is_public, event_id, session_name, event_category FROM cloudtrail",
        "event_time,event_name,error_kind,access_key_id,principal_id,session_issuer_arn,\
         session_issuer_user_name,mfa_authenticated,read_only,account_id,region,instance_types,\
         instance_count,gpu,source_is_public,event_id,session_name,event_category\n\
         2026-03-01T12:00:00Z,RunInstances,dry-run,ASIA1,AROA1:s,arn:aws:iam::111122223333:role/r,\
         r,false,false,111122223333,us-east-1,p4d.24xlarge,3,true,true,e-1,s,Management",
    );
    let (_, said) = answer(
        "x.parquet",
        OCSF_TRAIL,
        "SELECT insight_details FROM cloudtrail",
    );
    assert!(said.contains("insight_details is NULL"), "{said}");
}

const OCSF_AUDIT: &str = "SELECT 6003 AS class_uid,
    {'operation': 'create', 'request': {'uid': 'a-1'}, 'response': {'code': 101},
     'group': {'name': NULL::VARCHAR}} AS api,
    {'user': {'name': 'eve', 'uid': 'u', 'groups': [{'name': 'g1'}, {'name': 'g2'}]}} AS actor,
    {'url': {'path': '/api/v1/namespaces/prod/pods/web/exec?command=sh'}, 'user_agent': 'kubectl'}
     AS http_request,
    [{'name': 'web', 'namespace': 'prod', 'type': 'podsexec'}] AS resources,
    {'ip': '198.51.101.7', 'intermediate_ips': ['10.0.0.1']} AS src_endpoint,
    'ResponseComplete' AS message, {'region': 'us-east-1'} AS cloud,
    {'product': {'name': 'Amazon EKS', 'version': 'audit.k8s.io/v1'}, 'log_level': 'Request',
     'version': '1.1.0'} AS metadata,
    MAP {'annotations.authorization.k8s.io/decision': 'allow'} AS unmapped,
    TIMESTAMP '2026-03-01 12:00:00' AS start_time_dt, 1772366401000::BIGINT AS time";

#[test]
fn security_lake_requests_are_the_audit_log() {
    check(
        "x.parquet",
        OCSF_AUDIT,
        "SELECT received_at, stage_at, verb, \"user\", groups, source_ips, resource, subresource,
         namespace, name, response_code, decision, command, privileged FROM eks_audit",
        "received_at,stage_at,verb,user,groups,source_ips,resource,subresource,namespace,name,\
         response_code,decision,command,privileged\n\
         2026-03-01T12:00:00Z,2026-03-01T12:00:01Z,create,eve,\"g1,g2\",\"198.51.101.7,10.0.0.1\",\
         pods,exec,prod,web,101,allow,sh,",
    );
    let (_, said) = answer("x.parquet", OCSF_AUDIT, "SELECT privileged FROM eks_audit");
    assert!(said.contains("privileged is NULL"), "{said}");
    // One file, one log: its statistics say which.
    let (rows, said) = answer("x.parquet", OCSF_AUDIT, "SELECT event_name FROM cloudtrail");
    assert_eq!(rows, "");
    assert!(
        said.contains("none of the logs given is one of this table"),
        "{said}"
    );
}

#[test]
fn what_a_path_says_leaves_objects_out() {
    let name =
        "aws/ROUTE53/2.0/region=us-east-1/accountId=111122223333/eventDay=20260301/x.parquet";
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("written.parquet");
    write(&[(&path, OCSF_DNS)]);
    let mut ask = Ask::new("SELECT name FROM dns_query")
        .of(name, std::fs::read(&path).expect("it was written"));
    ask.scope = Scope {
        since: "2026-03-05T00:00:00Z".parse().ok(),
        ..Scope::default()
    };
    let (rows, said) = ask.answer();
    assert_eq!(rows, "");
    assert!(said.contains("1 object not opened"), "{said}");
}

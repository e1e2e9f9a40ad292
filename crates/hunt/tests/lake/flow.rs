//! Flow logs.

use davylamp_hunt::objects::Scope;
use davylamp_hunt::read::vpc_flow::FlowFormat;

use crate::support::{Ask, gzip, zstd};

const V2: &str = "\
version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 111122223333 eni-1 10.0.0.5 163.172.204.219 40000 3333 6 12 1800 1722500000 1722500060 ACCEPT OK
2 111122223333 eni-1 163.172.204.219 10.0.0.5 3333 40000 6 11 1700 1722500000 1722500060 ACCEPT OK
2 111122223333 eni-1 10.0.0.5 172.31.0.9 40001 443 6 3 200 1722500300 1722500360 ACCEPT OK
2 111122223333 eni-2 - - - - - - - 1722500300 1722500360 - NODATA
2 111122223333 eni-2 - - - - - - - 1722500300 1722500360 - SKIPDATA
";

fn check(log: &str, sql: &str, expected: &str) {
    assert_eq!(Ask::new(sql).of("flow.log", log).rows(), expected, "{sql}");
}

#[test]
fn every_record_is_a_row_with_a_place() {
    check(
        V2,
        "SELECT _source, srcaddr, dstport, bytes, start, log_status FROM vpc_flow ORDER BY _source",
        "_source,srcaddr,dstport,bytes,start,log_status\n\
         flow.log:2,10.0.0.5,3333,1800,2024-08-01T08:13:20Z,OK\n\
         flow.log:3,163.172.204.219,40000,1700,2024-08-01T08:13:20Z,OK\n\
         flow.log:4,10.0.0.5,443,200,2024-08-01T08:18:20Z,OK\n\
         flow.log:5,,,,2024-08-01T08:18:20Z,NODATA\n\
         flow.log:6,,,,2024-08-01T08:18:20Z,SKIPDATA",
    );
}

#[test]
fn what_hunts_need_is_worked_out() {
    check(
        V2,
        "SELECT direction, dst_is_public, window_start, duration_secs, indicator_id, count(*) AS n
         FROM vpc_flow GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2",
        "direction,dst_is_public,window_start,duration_secs,indicator_id,n\n\
         egress,true,2024-08-01T08:10:00Z,60,address_port:163.172.204.219:3333,1\n\
         ingress,false,2024-08-01T08:10:00Z,60,address_port:163.172.204.219:3333,1\n\
         internal,false,2024-08-01T08:15:00Z,60,,1\n\
         ,,2024-08-01T08:15:00Z,60,,2",
    );
}

#[test]
fn the_outer_side_is_told_from_the_inner_one() {
    check(
        V2,
        "SELECT local_addr, local_port, remote_addr, remote_port, remote_port_is_pool,
            remote_indicator_id, remote_indicator_kind, start_epoch, end_epoch, window_epoch
         FROM vpc_flow ORDER BY _source LIMIT 4",
        "local_addr,local_port,remote_addr,remote_port,remote_port_is_pool,remote_indicator_id,remote_indicator_kind,start_epoch,end_epoch,window_epoch\n\
         10.0.0.5,40000,163.172.204.219,3333,true,address_port:163.172.204.219:3333,address_port,1722500000,1722500060,1722499800\n\
         10.0.0.5,40000,163.172.204.219,3333,true,address_port:163.172.204.219:3333,address_port,1722500000,1722500060,1722499800\n\
         ,,,,,,,1722500300,1722500360,1722500100\n\
         ,,,,,,,1722500300,1722500360,1722500100",
    );
}

#[test]
fn the_query_of_origin_003_is_not_empty_without_a_word() {
    let sql =
        "SELECT packets, srcaddr, dstaddr, dstport FROM vpc_flow WHERE flow_direction = 'egress'
        AND dstaddr NOT LIKE '192.168.%' AND dstaddr NOT LIKE '10.%' AND dstaddr NOT LIKE '172.%'";
    let (rows, said) = Ask::new(sql).of("flow.log", V2).answer();
    assert_eq!(rows, "");
    assert!(
        said.contains("vpc_flow: flow_direction is NULL: the format of 1 object does not carry it"),
        "{said}"
    );
    check(
        V2,
        "SELECT packets, srcaddr, dstaddr, dstport FROM vpc_flow
         WHERE direction = 'egress' AND dst_is_public",
        "packets,srcaddr,dstaddr,dstport\n12,10.0.0.5,163.172.204.219,3333",
    );
}

#[test]
fn fields_stand_in_any_order() {
    let v5 = "dstaddr srcaddr flow-direction pkt-dstaddr pkt-srcaddr new-field start\n\
              10.0.0.9 10.0.0.5 ingress 8.8.8.8 10.0.0.5 x 1722500000\n";
    let sql =
        "SELECT srcaddr, dstaddr, real_dstaddr, direction, dst_is_public, start FROM vpc_flow";
    let expected = "srcaddr,dstaddr,real_dstaddr,direction,dst_is_public,start\n\
                    10.0.0.5,10.0.0.9,8.8.8.8,ingress,true,2024-08-01T08:13:20Z";
    let (rows, said) = Ask::new(sql).of("flow.log", v5).answer();
    assert_eq!(rows, expected);
    assert!(
        said.contains("fields without a column: new-field"),
        "{said}"
    );
    // The same without its line of names: the kind and the format are given.
    let record = v5.split_once('\n').expect("it has two lines").1;
    let mut ask = Ask::new(sql).of("flow.log", record);
    ask.flow_format = Some(
        "${dstaddr} ${srcaddr} ${flow-direction} ${pkt-dstaddr} ${pkt-srcaddr} ${new} ${start}",
    );
    let format = ask.flow_format;
    ask.place = "vpc_flow=flow.log";
    assert_eq!(ask.rows(), expected);
    // The format is enough to know them by; what does not fit it is no flow log.
    let mut ask = Ask::new(sql)
        .of("flow.log", record)
        .of("other", "a b c d e f many\n");
    ask.flow_format = format;
    let (rows, said) = ask.answer();
    assert_eq!(rows, expected);
    assert!(said.contains("other: it is no log that is known"), "{said}");
}

#[test]
fn a_format_names_a_field_of_flow_logs() {
    for (format, is_one) in [
        ("${srcaddr} ${dstaddr}", true),
        ("srcaddr new-field", true),
        ("banana", false),
        ("", false),
    ] {
        assert_eq!(format.parse::<FlowFormat>().is_ok(), is_one, "{format}");
    }
}

#[test]
fn a_record_is_bad_whichever_columns_are_asked_for() {
    let log = format!(
        "{V2}2 1 eni-1 too short\n2 111122223333 eni-1 10.0.0.5 1.1.1.1 x 99999999999999999999 6 3 2 1722500300 1722500360 ACCEPT OK\n"
    );
    for (sql, rows) in [
        ("SELECT count(*) AS n FROM vpc_flow", "n\n6"),
        ("SELECT count(version) AS n FROM vpc_flow", "n\n6"),
        ("SELECT count(dstport) AS n FROM vpc_flow", "n\n3"),
    ] {
        let (found, said) = Ask::new(sql).of("flow.log", log.as_str()).answer();
        assert_eq!(found, rows, "{sql}");
        assert!(said.contains("1 record not understood"), "{said}");
        assert!(
            said.contains("flow.log:7: 5 fields instead of 14"),
            "{said}"
        );
    }
    let said = Ask::new("SELECT sum(dstport) FROM vpc_flow")
        .of("flow.log", log.as_str())
        .said();
    assert!(said.contains("1 value not understood, so NULL"), "{said}");
    assert!(
        said.contains("flow.log:8: `99999999999999999999` is no whole number"),
        "{said}"
    );
}

#[test]
fn a_search_gives_what_parsing_gives() {
    let mut log = V2.to_owned();
    for number in 0..2000 {
        let port = 1000 + number % 50;
        log.push_str(&format!("2 111122223333 eni-{} 10.0.0.{} 9.9.9.{} 5 {port} 6 1 40 1722500000 1722500060 ACCEPT OK\n", number % 7, number % 250, number % 13));
    }
    for (filter, parsed) in [
        ("srcaddr = '10.0.0.5'", "srcaddr || '' = '10.0.0.5'"),
        ("dstport = 1010", "dstport + 0 = 1010"),
        (
            "interface_id = 'eni-3' AND dstaddr IN ('9.9.9.3', '9.9.9.4')",
            "interface_id || '' = 'eni-3' AND dstaddr || '' IN ('9.9.9.3', '9.9.9.4')",
        ),
        (
            "dstaddr = '9.9.9.3' OR dstaddr = '9.9.9.99'",
            "dstaddr || '' = '9.9.9.3'",
        ),
        ("dstaddr = 'nowhere'", "false"),
    ] {
        let ask = |filter: &str| {
            let sql = format!("SELECT _source, dstport FROM vpc_flow WHERE {filter} ORDER BY 1");
            Ask::new(&sql).of("flow.log", log.as_str()).rows()
        };
        assert_eq!(ask(filter), ask(parsed), "{filter}");
    }
}

#[test]
fn packing_is_told_by_the_bytes() {
    let halves = V2.split_at(V2.len() / 2);
    let two_members = [gzip(halves.0.as_bytes()), gzip(halves.1.as_bytes())].concat();
    let twice = [zstd(halves.0.as_bytes()), zstd(halves.1.as_bytes())].concat();
    let marked = [b"\xef\xbb\xbf", V2.as_bytes()].concat();
    let windows = V2.replace('\n', "\r\n");
    for (name, bytes) in [
        ("plain.gz", V2.as_bytes().to_vec()),
        ("flow.txt", gzip(V2.as_bytes())),
        ("flow.log", two_members),
        ("flow.zip", zstd(V2.as_bytes())),
        ("flow", twice),
        ("marked.log", marked),
        ("windows.log", windows.into_bytes()),
    ] {
        let sql = "SELECT count(*) AS n, sum(bytes) AS b, min(version) AS v FROM vpc_flow";
        let (rows, said) = Ask::new(sql).of(name, bytes).answer();
        assert_eq!(rows, "n,b,v\n5,3700,2", "{name}: {said}");
        assert!(!said.contains("not"), "{name}: {said}");
    }
}

#[test]
fn a_range_of_time_takes_rows_and_leaves_objects() {
    let scope = Scope {
        since: "2024-08-01T08:15:00Z".parse().ok(),
        ..Scope::default()
    };
    let mut ask = Ask::new("SELECT count(*) AS n FROM vpc_flow")
        .of(
            "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2024/08/01/a.log.gz",
            gzip(V2.as_bytes()),
        )
        .of(
            "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2024/07/30/b.log.gz",
            gzip(V2.as_bytes()),
        );
    ask.scope = scope;
    let (rows, said) = ask.answer();
    assert_eq!(rows, "n\n3");
    assert!(said.contains("1 object not opened"), "{said}");
}

#[test]
fn the_key_says_what_the_record_leaves_out() {
    let log = "srcaddr dstaddr start\n10.0.0.1 8.8.8.8 1722500000\n";
    let rows = Ask::new("SELECT account_id, region FROM vpc_flow")
        .of(
            "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2024/08/01/a.log",
            log,
        )
        .rows();
    assert_eq!(rows, "account_id,region\n111122223333,eu-west-1");
}

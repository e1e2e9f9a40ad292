//! Resolver's query logs.

use crate::support::{Ask, gzip};

fn query(name: &str, answers: &str) -> String {
    format!(
        r#"{{"version":"1.100000","account_id":"111122223333","region":"us-east-1","vpc_id":"vpc-1","query_timestamp":"2024-08-01T11:31:00Z","query_name":"{name}","query_type":"A","query_class":"IN","rcode":"NOERROR","answers":{answers},"srcaddr":"10.0.0.5","srcport":"40000","transport":"UDP","srcids":{{"instance":"i-0123456789abcdef0"}}}}"#
    )
}

fn check(log: &str, sql: &str, expected: &str) {
    let rows = Ask::new(sql).of("dns.log.gz", gzip(log.as_bytes())).rows();
    assert_eq!(rows, expected, "{sql}");
}

#[test]
fn what_was_asked_is_a_row() {
    check(
        &query("A.Shop.co.uk.", "[]"),
        "SELECT _source, account_id, region, query_epoch, window_epoch, instance_id, srcport, name,
            registered, sub_length, longest_label, sub_entropy, cnames, indicator_id FROM dns_query",
        "_source,account_id,region,query_epoch,window_epoch,instance_id,srcport,name,registered,sub_length,longest_label,sub_entropy,cnames,indicator_id\n\
         dns.log.gz:1,111122223333,us-east-1,1722511860,1722511800,i-0123456789abcdef0,40000,a.shop.co.uk,shop.co.uk,1,4,0.0,,",
    );
}

#[test]
fn a_pool_is_found_by_name_and_through_every_alias() {
    let aliases = r#"[{"Rdata":"cdn.example.","Type":"CNAME","Class":"IN"},{"Rdata":"Auto.C3pool.com.","Type":"CNAME","Class":"IN"},{"Rdata":"203.0.114.9","Type":"A","Class":"IN"},{"Rdata":"2001:db8::1","Type":"AAAA","Class":"IN"}]"#;
    let log = [
        query("eu.2Miners.com.", "[]"),
        query("cdn.shop.example.", aliases),
        query("not2miners.com.", "[]"),
    ]
    .join("\n");
    check(
        &log,
        "SELECT name, indicator_domain, indicator_via, cnames, addresses FROM dns_query ORDER BY _source",
        "name,indicator_domain,indicator_via,cnames,addresses\n\
         eu.2miners.com,2miners.com,name,,\n\
         cdn.shop.example,c3pool.com,cname,\"cdn.example,auto.c3pool.com\",\"203.0.114.9,2001:db8::1\"\n\
         not2miners.com,,,,",
    );
}

#[test]
fn odd_records_cost_only_themselves() {
    let log = [
        query("a.example.", "null"),
        "null".to_owned(),
        r#"{"query_name":null,"query_type":7,"answers":{"Rdata":[]},"srcport":"x"}"#.to_owned(),
        r#"{"QueryName":"b.example","QueryTimestamp":"perhaps"}"#.to_owned(),
        r#"{"query_name":"cut"#.to_owned(),
    ]
    .join("\n");
    let (rows, said) =
        Ask::new("SELECT name, srcport, query_epoch FROM dns_query ORDER BY _source")
            .of("dns.log", log)
            .answer();
    assert_eq!(
        rows,
        "name,srcport,query_epoch\na.example,40000,1722511860\n,,\nb.example,,"
    );
    assert!(said.contains("2 records not understood"), "{said}");
    assert!(said.contains("1 value not understood"), "{said}");
}

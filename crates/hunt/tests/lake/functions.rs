//! Functions in SQL. What they judge by is tested where it is.

use crate::support::Ask;

const LINE: &str =
    "2 111122223333 eni-1 10.0.0.5 8.8.8.8 40000 3333 6 12 1800 1722500000 1722500060 ACCEPT OK\n";

fn check(expression: &str, expected: &str) {
    let sql = format!("SELECT {expression} AS x FROM vpc_flow");
    let rows = Ask::new(&sql).of("flow.log", LINE).rows();
    assert_eq!(rows, format!("x\n{expected}").trim_end(), "{expression}");
}

#[test]
fn each_function_answers_in_sql() {
    check("is_public(dstaddr)", "true");
    check("is_public('100.64.0.1')", "false");
    check("is_public('ec2.amazonaws.com') IS NULL", "true");
    check("in_cidr(srcaddr, '10.0.0.0/8')", "true");
    check("in_cidr('2001:db8::1', '2001:db8::/32')", "true");
    check(
        "indicator('pool', 'xmr.nanopool.org')",
        "domain:xmr.nanopool.org",
    );
    check("indicator('pool', dstaddr) IS NULL", "true");
    check("json_get('{\"a\":[{\"b\":\"c\"}]}', 'a.0.b')", "c");
    check(
        "wallet_kind('0x52908400098527886E0F7030069857D2E4169EE7')",
        "ethereum",
    );
    check(
        "arn_part('arn:aws:iam::111122223333:role/path/ops', 'account')",
        "111122223333",
    );
    check(
        "arn_part('arn:aws:iam::111122223333:role/path/ops', 'name')",
        "ops",
    );
    check("arn_part('ops', 'name') IS NULL", "true");
    check(
        "principal_of('{\"type\":\"IAMUser\",\"arn\":\"arn:aws:iam::1:user/a\"}')",
        "arn:aws:iam::1:user/a",
    );
    check("entropy('abcd')", "2.0");
    check("window_start(start, 3600)", "2024-08-01T08:00:00Z");
    check(
        "window_start(TIMESTAMP '2024-08-01 08:59:00', 3600)",
        "2024-08-01T08:00:00Z",
    );
    check("window_start(now(), 86400) > start", "true");
}

#[test]
fn every_function_is_described() {
    let functions = davylamp_hunt::functions::all(&Default::default());
    for function in functions {
        assert!(
            function.usage.starts_with(function.udf.name()),
            "{}",
            function.usage
        );
        assert!(!function.about.is_empty(), "{}", function.usage);
    }
}

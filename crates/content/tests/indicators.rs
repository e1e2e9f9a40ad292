//! Indicators: what ships is whole, and each wrong line is told in its place.

use davylamp_content::Source;
use davylamp_content::indicators::{self, Confidence, Value};
use proptest::prelude::*;

#[test]
fn the_shipped_list_is_read_whole() {
    let pools = indicators::shipped_pools().expect("what ships is good");
    let lines = indicators::SHIPPED_POOLS
        .lines()
        .filter(|line| !line.starts_with('#'));
    assert_eq!(pools.len(), lines.count() - 1);
    let is_sure_address = |pool: &&indicators::Indicator| {
        !matches!(pool.value, Value::Domain(_)) && pool.confidence == Confidence::High
    };
    assert!(
        pools.iter().find(is_sure_address).is_none(),
        "addresses age"
    );
}

fn check(line: &str, expected: &str) {
    let text = format!("kind,value,confidence,sources,licences\n{line}\n");
    let source = Source {
        name: "list.csv",
        text: &text,
    };
    let said = match indicators::parse(source) {
        Ok(read) => read
            .iter()
            .map(|one| one.value.id())
            .collect::<Vec<_>>()
            .join(" "),
        Err(faults) => {
            let fault = &faults.faults()[0];
            format!("{}: {fault}", fault.line())
        }
    };
    assert_eq!(said, expected, "{line}");
}

#[test]
fn a_line_is_an_indicator_or_a_fault() {
    check("domain,pool.example,high,a,MIT", "domain:pool.example");
    check("address,2001:db8::1,low,a,MIT", "address:2001:db8::1");
    check(
        "address_port,192.0.2.1:3333,low,a b,MIT",
        "address_port:192.0.2.1:3333",
    );
    check("port,3333,low,a,MIT", "port:3333");
    for line in [
        "domain,com,high,a,MIT",
        "domain,Pool.example,high,a,MIT",
        "domain,pool..example,high,a,MIT",
        "address,192.0.2.1:3333,low,a,MIT",
        "address_port,192.0.2.1,low,a,MIT",
        "domain,pool.example,sure,a,MIT",
        "domain,pool.example,high,,MIT",
        "domain,pool.example,high,a,",
        "domain,pool.example,high",
        "name,pool.example,high,a,MIT",
    ] {
        let text = format!("kind,value,confidence,sources,licences\n{line}\n");
        let source = Source {
            name: "list.csv",
            text: &text,
        };
        let faults = indicators::parse(source).expect_err(line);
        assert_eq!(faults.faults()[0].line(), 2, "{line}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_list_or_faults(text in ".*") {
        let _ = indicators::parse(Source { name: "list.csv", text: &text });
    }
}

//! Prices: what ships is whole, an unknown price is never zero, and what is assumed is said.

#[path = "support/render.rs"]
mod render;

use davylamp_content::Source;
use davylamp_content::prices::{
    self, Cost, Estimate, PriceTable, SHIPPED_PRICES, SHIPPED_PRICES_NAME, SHIPPED_PRICES_REGION,
};
use jiff::Timestamp;
use proptest::prelude::*;
use render::render_all;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn check(instance_type: &str, region: &str, seconds: i64) -> String {
    let Estimate { cost, caveats } = prices::estimate(instance_type, region, at(0), at(seconds));
    let cost = match cost {
        Cost::Known { usd_cents } => format!("{usd_cents} cents"),
        Cost::Unknown { why } => format!("unknown: {why}"),
    };
    format!("{cost}; {} caveats", caveats.len())
}

#[test]
fn the_shipped_table_is_read_whole() {
    let source = Source {
        name: SHIPPED_PRICES_NAME,
        text: SHIPPED_PRICES,
    };
    let table = PriceTable::parse(SHIPPED_PRICES_REGION, source)
        .unwrap_or_else(|faults| panic!("{}", render_all(faults.faults())));
    let lines = SHIPPED_PRICES.lines().filter(|line| !line.starts_with('#'));
    let with_price = lines.skip(1).filter(|line| !line.ends_with('\t'));
    assert_eq!(table.priced(), with_price.count());
    assert!(table.priced() > 1300);
}

#[test]
fn an_hour_costs_its_price_and_a_second_a_cent() {
    for (instance_type, region, seconds, expected) in [
        ("p5.48xlarge", "us-east-1", 3600, "5504 cents; 1 caveats"),
        (
            "p5.48xlarge",
            "us-east-1",
            86_400,
            "132096 cents; 1 caveats",
        ),
        ("p5.48xlarge", "us-east-1", 1, "2 cents; 1 caveats"),
        ("a1.medium", "us-east-1", 3600, "3 cents; 1 caveats"),
        ("a1.medium", "us-east-1", 0, "0 cents; 1 caveats"),
        ("a1.medium", "eu-central-1", 7200, "6 cents; 2 caveats"),
        (
            "a1.medium",
            "us-east-1",
            -1,
            "unknown: it would end before it began; 1 caveats",
        ),
        (
            "hpc7a.96xlarge",
            "us-east-1",
            3600,
            "unknown: the table has no price for hpc7a.96xlarge; 1 caveats",
        ),
        (
            "z9.moon",
            "us-east-1",
            3600,
            "unknown: no price is known for z9.moon; 1 caveats",
        ),
        (
            "",
            "us-east-1",
            3600,
            "unknown: no price is known for an instance without a type; 1 caveats",
        ),
        (
            "<b>\u{1b}[2J",
            "us-east-1",
            3600,
            "unknown: no price is known for an instance type of no known shape; 1 caveats",
        ),
    ] {
        assert_eq!(
            check(instance_type, region, seconds),
            expected,
            "{instance_type}"
        );
    }
}

#[test]
fn spot_is_said() {
    let estimate = prices::estimate("a1.medium", "us-east-1", at(0), at(60));
    assert_eq!(estimate.clone().of_spot(false), estimate);
    assert!(estimate.of_spot(true).caveats[1].contains("spot"));
}

const HEAD: &str = "instance_type\tvcpu\tmemory_mib\tarch\tgpu_count\tgpu_name\taccel_count\taccel_name\tusd_per_hour\n";

#[test]
fn each_wrong_line_is_told() {
    let text = format!(
        "# comment\n{HEAD}a1.large\t2\t4096\tarm64\t0\t\t\t\t0.051\nshort\t1\n\
         a\t\t\t\t\t\t\t\t0\nb\t\t\t\t\t\t\t\t-1\nc\t\t\t\t\t\t\t\t1e3\nd\t\t\t\t\t\t\t\t0.1234567\n\
         a1.large\t\t\t\t\t\t\t\t\n"
    );
    let name = "prices.tsv";
    let faults = PriceTable::parse("x", Source { name, text: &text }).unwrap_err();
    insta::assert_snapshot!(render_all(faults.faults()));
    for text in ["", HEAD, "# only\n"] {
        let faults = PriceTable::parse("x", Source { name, text }).unwrap_err();
        assert_eq!(faults.records()[0].code, "empty");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_table_is_read_or_refused(text in "([a-z0-9.#\t]{0,40}\n){0,8}", headed: bool) {
        let text = if headed { format!("{HEAD}{text}") } else { text };
        match PriceTable::parse("x", Source { name: "any.tsv", text: &text }) {
            Ok(table) => {
                let estimate = table.estimate("a", "x", Timestamp::MIN, Timestamp::MAX);
                let nothing = Cost::Known { usd_cents: 0 };
                prop_assert_ne!(estimate.cost, nothing);
            }
            Err(faults) => prop_assert!(!faults.faults().is_empty()),
        }
    }

    #[test]
    fn time_that_passed_costs_something(seconds in 1..1_000_000_000_i64) {
        let estimate = prices::estimate("t4g.nano", "us-east-1", at(0), at(seconds));
        let is_something = matches!(estimate.cost, Cost::Known { usd_cents: 1.. });
        prop_assert!(is_something);
    }
}

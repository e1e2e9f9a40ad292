//! Cost and Usage Reports in every form, and what is made of them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use davylamp_casework::case::Billed;
use davylamp_casework::cost::bill::{Bill, BillError, Class, Reader, billed, fill, micros, usd};
use davylamp_casework::cost::{Bounds, End, Run};
use davylamp_content::prices::book::Book;
use davylamp_content::prices::kind::{Market, System};
use davylamp_hunt::arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::made::{HOUR, at, ran};

/// The older form, with the columns that matter among others.
const LEGACY: &str = "identity/LineItemId,lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,\
lineItem/UsageType,lineItem/Operation,lineItem/AvailabilityZone,lineItem/ResourceId,lineItem/UsageAmount,\
lineItem/CurrencyCode,lineItem/UnblendedCost,lineItem/LineItemDescription,product/instanceType,product/region\n";

/// A line of the older form.
fn line(
    kind: &str,
    hour: i64,
    usage: &str,
    operation: &str,
    id: &str,
    amount: &str,
    cost: &str,
) -> String {
    format!(
        "abc,{kind},{},{},{usage},{operation},eu-west-1b,{id},{amount},USD,{cost},\"$1.8, an \"\"hour\"\"\",,eu-west-1\n",
        at(hour * HOUR),
        at((hour + 1) * HOUR),
    )
}

/// An hour of a Windows machine.
fn hour(id: &str, hour: i64) -> String {
    line(
        "Usage",
        hour,
        "EUW1-BoxUsage:c4.8xlarge",
        "RunInstances:0002",
        id,
        "1.0000000000",
        "3.5000000000",
    )
}

fn read(wanted: &[&str], files: &[&[u8]]) -> Result<Bill, BillError> {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(wanted.iter().map(|id| (*id).to_owned()));
    for (number, bytes) in files.iter().enumerate() {
        let name = format!("bill-{number}");
        let path = folder.path().join(&name);
        std::fs::write(&path, bytes).unwrap();
        reader.read(&name, File::open(path).unwrap())?;
    }
    Ok(reader.finish())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn run() -> Run {
    Run {
        region: Some("eu-west-1".to_owned()),
        system: System::NotWindows,
        market: Market::Unknown,
        ..ran("i-1", "c4.8xlarge", 0, 2 * HOUR)
    }
}

fn of(bill: &Bill, wanted: &[&str], runs: &[Run]) -> Billed {
    let wanted: BTreeSet<String> = wanted.iter().map(|id| (*id).to_owned()).collect();
    billed(bill, &wanted, runs, &super::made::book())
}

#[test]
fn the_older_form() {
    let mut text = LEGACY.to_owned();
    for (number, id) in [(0, "i-1"), (1, "i-1"), (0, "i-other")] {
        text.push_str(&hour(id, number));
    }
    text.push_str(&line(
        "Usage",
        1,
        "EUW1-DataTransfer-Out-Bytes",
        "RunInstances",
        "i-1",
        "10",
        "0.9",
    ));
    text.push_str(&line(
        "EdpDiscount",
        0,
        "EUW1-BoxUsage:c4.8xlarge",
        "RunInstances:0002",
        "i-1",
        "1",
        "-0.35",
    ));
    text.push_str(&line(
        "Credit",
        0,
        "EUW1-BoxUsage:c4.8xlarge",
        "RunInstances:0002",
        "i-1",
        "0",
        "-7.0",
    ));
    text.push_str(&line("Tax", 0, "", "", "", "1", "1.234"));
    for bytes in [
        text.clone().into_bytes(),
        gzip(&text),
        [gzip(LEGACY), gzip(&text[LEGACY.len()..])].concat(),
    ] {
        let bill = read(&["i-1", "i-2"], &[&bytes]).unwrap();
        assert_eq!((bill.lines, bill.malformed), (7, 0), "{:?}", bill.faults);
        let thing = &bill.things["i-1"];
        assert_eq!(micros(thing.cost()), 7_900_000);
        assert_eq!(
            (thing.market, thing.system),
            (Market::OnDemand, System::Windows)
        );
        assert_eq!(thing.instance_type.as_deref(), Some("c4.8xlarge"));
        assert_eq!(thing.region.as_deref(), Some("eu-west-1"));
        assert_eq!(micros(thing.apart[&Class::Credit]), -7_000_000);
        assert_eq!(micros(thing.apart[&Class::Discount]), -350_000);
        assert_eq!(micros(bill.apart[&Class::Tax]), 1_234_000);
        let mut runs = [run()];
        let told = fill(&mut runs, &bill);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].text.contains("windows"));
        assert_eq!(
            (runs[0].market, runs[0].system),
            (Market::OnDemand, System::Windows)
        );
        let billed = of(&bill, &["i-1", "i-2"], &runs);
        assert_eq!(billed.micro_usd, 7_900_000);
        assert_eq!(billed.missing, ["i-2"]);
        assert_eq!(billed.span.unwrap().last, at(2 * HOUR));
        assert_eq!(billed.lines.len(), 2);
        assert_eq!(
            (billed.lines[0].amount, billed.lines[0].micro_usd),
            (2.0, 7_000_000)
        );
        let text = &billed.statement.text;
        assert!(text.contains("$7.90 for 1 of 2 things"), "{text}");
        assert!(text.contains("$0.90 of it for traffic"), "{text}");
        assert!(text.contains("within it, 0 % from the likely"), "{text}");
        assert!(text.contains("1 are not in it"), "{text}");
        assert!(billed.unread.is_empty());
    }
}

#[test]
fn the_form_of_data_exports() {
    let names = "line_item_line_item_type,line_item_usage_start_date,line_item_usage_end_date,line_item_usage_type,\
                 line_item_operation,line_item_resource_id,line_item_usage_amount,line_item_currency_code,\
                 line_item_unblended_cost,product_instance_type,product_region_code\n";
    let row = "Usage,2026-03-01 00:00:00.000,2026-03-01 01:00:00.000,SpotUsage:c4.8xlarge,RunInstances:SV001,i-1,0.5,USD,3E-1,c4.8xlarge,us-east-1\n";
    let bill = read(&["i-1"], &[format!("{names}{row}").as_bytes()]).unwrap();
    let thing = &bill.things["i-1"];
    assert_eq!(micros(thing.cost()), 300_000);
    assert_eq!((thing.market, thing.system), (Market::Spot, System::Linux));
    assert_eq!(thing.region.as_deref(), Some("us-east-1"));
    assert_eq!(thing.span.unwrap().first, at(0));
}

fn parquet() -> Vec<u8> {
    let texts = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let times = |hours: [i64; 2]| {
        let millis = hours.map(|hour| at(hour * HOUR).as_millisecond());
        Arc::new(TimestampMillisecondArray::from(millis.to_vec())) as ArrayRef
    };
    let numbers = |values: [f64; 2]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("identity_line_item_id", texts(["a", "b"])),
        ("line_item_line_item_type", texts(["Usage", "Usage"])),
        ("line_item_usage_start_date", times([0, 1])),
        ("line_item_usage_end_date", times([1, 2])),
        (
            "line_item_usage_type",
            texts(["EUW1-BoxUsage:c4.8xlarge"; 2]),
        ),
        ("line_item_operation", texts(["RunInstances:0010"; 2])),
        ("line_item_resource_id", texts(["i-1", "i-2"])),
        ("line_item_usage_amount", numbers([1.0, 1.0])),
        ("line_item_currency_code", texts(["USD", "USD"])),
        ("line_item_unblended_cost", numbers([1.9, 2.1])),
        ("product_region_code", texts(["eu-west-1"; 2])),
    ])
    .unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn as_parquet() {
    let bytes = parquet();
    let bill = read(&["i-1"], &[&bytes]).unwrap();
    assert_eq!((bill.lines, bill.malformed), (2, 0), "{:?}", bill.faults);
    let thing = &bill.things["i-1"];
    assert_eq!(micros(thing.cost()), 1_900_000);
    assert_eq!(thing.system, System::Rhel);
    assert_eq!(thing.span.unwrap().last, at(HOUR));
    for end in [4, 40, bytes.len() / 2, bytes.len() - 1] {
        let error = read(&["i-1"], &[&bytes[..end]]).unwrap_err();
        assert!(matches!(error, BillError::Parquet(_)), "{error:?}");
    }
}

#[test]
fn things_by_their_arn() {
    let arn = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1";
    let text = LEGACY.to_owned()
        + &line(
            "Usage",
            0,
            "EUW1-EBS:VolumeUsage.gp3",
            "CreateVolume-Gp3",
            arn,
            "8",
            "0.64",
        );
    for wanted in ["vol-1", arn] {
        let bill = read(&[wanted], &[text.as_bytes()]).unwrap();
        assert_eq!(micros(bill.things[wanted].cost()), 640_000);
        assert_eq!(bill.things[wanted].market, Market::Unknown);
    }
}

#[test]
fn what_a_plan_paid_for() {
    let covered = |kind: &str, cost: &str| {
        line(
            kind,
            0,
            "EUW1-BoxUsage:c4.8xlarge",
            "RunInstances",
            "i-1",
            "1",
            cost,
        )
    };
    let text = LEGACY.to_owned()
        + &covered("SavingsPlanCoveredUsage", "1.8")
        + &covered("SavingsPlanNegation", "-1.8")
        + &covered("Usage", "1.8");
    let bill = read(&["i-1"], &[text.as_bytes()]).unwrap();
    let thing = &bill.things["i-1"];
    assert_eq!(micros(thing.cost()), 1_800_000);
    assert_eq!(thing.covered_hours, 1.0);
    let billed = of(&bill, &["i-1"], &[]);
    assert_eq!(billed.lines[0].amount, 2.0);
    assert!(
        billed
            .statement
            .text
            .contains("1 hours of it were paid for by reservations")
    );
}

#[test]
fn two_files_of_one_report() {
    let first = LEGACY.to_owned() + &hour("i-1", 0) + &hour("i-1", 0);
    let second = LEGACY.to_owned() + &hour("i-1", 0) + &hour("i-1", 1);
    let corrected = LEGACY.to_owned() + &hour("i-1", 0).replace("3.5000000000", "3.6");
    let bill = read(
        &["i-1"],
        &[first.as_bytes(), second.as_bytes(), corrected.as_bytes()],
    )
    .unwrap();
    assert_eq!((bill.repeated, bill.differing), (1, 1));
    assert_eq!(micros(bill.things["i-1"].cost()), 3 * 3_500_000 + 3_600_000);
    let unread = of(&bill, &["i-1"], &[]).unread;
    assert!(
        unread.iter().any(|text| text.contains("counted once")),
        "{unread:?}"
    );
    assert!(
        unread
            .iter()
            .any(|text| text.contains("one version of each report")),
        "{unread:?}"
    );
}

#[test]
fn far_from_the_estimate() {
    let bill = |cost: &str| {
        let text = LEGACY.to_owned() + &hour("i-1", 0).replace("3.5000000000", cost);
        read(&["i-1"], &[text.as_bytes()]).unwrap()
    };
    let runs = [Run {
        ended: End::RunsAt(at(90 * HOUR)),
        started: Bounds::exactly(at(0)),
        ..run()
    }];
    let said = |cost: &str| {
        let mut runs = runs.clone();
        let bill = bill(cost);
        fill(&mut runs, &bill);
        of(&bill, &["i-1"], &runs).statement.text
    };
    // The run goes on; what is compared is the hour that the bill has.
    assert!(said("3.5").contains("within it, 0 %"), "{}", said("3.5"));
    assert!(
        said("7.0").contains("100 % above the most"),
        "{}",
        said("7.0")
    );
    assert!(
        said("1.75").contains("50 % below the least"),
        "{}",
        said("1.75")
    );
}

#[test]
fn lines_that_cannot_be_read() {
    let text = LEGACY.to_owned()
        + "short,line\n"
        + &hour("i-1", 0).replace("3.5000000000", "much")
        + &hour("i-1", 0).replace("2026-03-01T00:00:00Z", "once")
        + &format!("\"{}\"\n", "x".repeat(3 << 20))
        + &hour("i-1", 1);
    let bill = read(&["i-1"], &[text.as_bytes()]).unwrap();
    assert_eq!(bill.malformed, 4, "{:?}", bill.faults);
    assert!(
        bill.faults[0].starts_with("bill-0:2: "),
        "{:?}",
        bill.faults
    );
    assert!(
        bill.faults[3].starts_with("bill-0:5: "),
        "{:?}",
        bill.faults
    );
    assert_eq!(micros(bill.things["i-1"].cost()), 3_500_000);
    assert!(of(&bill, &["i-1"], &[]).unread[0].contains("4 lines could not be read"));
}

#[test]
fn what_is_no_report() {
    let check = |bytes: &[u8], words: &str| {
        let error = read(&["i-1"], &[bytes]).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.hint().is_empty());
    };
    check(b"", "no line");
    check(b"PK\x03\x04xxxx", "ZIP archive");
    check(b"a,b,c\n1,2,3\n", "no column lineItem/ResourceId");
    check(b"{\"reportKeys\": []}\n", "no column");
    check(
        LEGACY.replace("lineItem/ResourceId,", "").as_bytes(),
        "lineItem/ResourceId",
    );
    let euros = LEGACY.to_owned() + &hour("i-1", 0).replace("USD", "CNY");
    check(euros.as_bytes(), "in CNY");
    let whole = gzip(&(LEGACY.to_owned() + &hour("i-1", 0)));
    check(&whole[..whole.len() - 9], "to its end");
}

#[test]
fn a_bill_without_the_things() {
    let bill = read(&["i-1"], &[LEGACY.as_bytes()]).unwrap();
    let billed = of(&bill, &["i-1"], &[run()]);
    assert_eq!((billed.micro_usd, billed.span), (0, None));
    assert!(
        billed
            .statement
            .text
            .contains("no line about any of 1 things")
    );
    assert_eq!(Book::of_shipped().sheets().len(), 0);
}

#[test]
fn money_in_words() {
    for (micros, expected) in [
        (0, "$0.00"),
        (5_000, "$0.01"),
        (4_999, "$0.00"),
        (53_457_600_000, "$53,457.60"),
        (-1_234_567_890, "-$1,234.57"),
        (i64::MAX, "$9,223,372,036,854.78"),
    ] {
        assert_eq!(usd(micros), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_bill_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), is_headed: bool) {
        let head = if is_headed { LEGACY.as_bytes() } else { b"" };
        let _ = read(&["i-1"], &[&[head, &bytes].concat()]);
    }

    #[test]
    fn a_cost_is_what_it_says(dollars in 0..100_000_i64, fraction in 0..1_000_000_i64, is_negative: bool) {
        let sign = if is_negative { "-" } else { "" };
        let text = LEGACY.to_owned() + &hour("i-1", 0).replace("3.5000000000", &format!("{sign}{dollars}.{fraction:06}0000"));
        let bill = read(&["i-1"], &[text.as_bytes()]).unwrap();
        let expected = dollars * 1_000_000 + fraction;
        prop_assert_eq!(micros(bill.things["i-1"].cost()), if is_negative { -expected } else { expected });
    }
}

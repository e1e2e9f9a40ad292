//! What AWS publishes of prices, as tables: small files in AWS's documented form, and hostile ones.

use std::io::{BufReader, Read};

use davylamp_content::Source;
use davylamp_content::prices::book::{Asked, Book};
use davylamp_content::prices::kind::{Market, System, region_of_zone};
use davylamp_content::prices::offer::{Offer, OfferError, read};
use davylamp_content::prices::sheet::{Rate, Sheet, dollars};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn product(number: &str, changes: &[(&str, &str)]) -> Json {
    let mut attributes = json!({
        "servicecode": "AmazonEC2", "location": "EU (Ireland)", "locationType": "AWS Region",
        "instanceType": "c4.8xlarge", "currentGeneration": "No", "vcpu": "36", "memory": "60 GiB",
        "tenancy": "Shared", "operatingSystem": "Linux", "licenseModel": "No License required",
        "usagetype": "EU-BoxUsage:c4.8xlarge", "operation": "RunInstances", "capacitystatus": "Used",
        "preInstalledSw": "NA", "regionCode": "eu-west-1", "marketoption": "OnDemand",
    });
    let mut family = "Compute Instance";
    for (name, value) in changes {
        match *name {
            "productFamily" => family = value,
            name => attributes[name] = json!(value),
        }
    }
    json!({"sku": number, "productFamily": family, "attributes": attributes})
}

fn term(number: &str, unit: &str, currency: &str, price: &str) -> Json {
    json!({format!("{number}.JRTCKXETXF"): {
        "offerTermCode": "JRTCKXETXF", "sku": number, "effectiveDate": "2026-08-01T00:00:00Z",
        "priceDimensions": {format!("{number}.JRTCKXETXF.6YS6EN2CT7"): {
            "rateCode": format!("{number}.JRTCKXETXF.6YS6EN2CT7"),
            "description": "$1.811 per On Demand Linux c4.8xlarge Instance Hour",
            "beginRange": "0", "endRange": "Inf", "unit": unit,
            "pricePerUnit": {currency: price}, "appliesTo": [],
        }},
        "termAttributes": {},
    }})
}

/// A price list of products with their changes from a Linux machine, and their prices.
fn list(products: &[(&[(&str, &str)], &str)]) -> Json {
    let (mut described, mut terms) = (json!({}), json!({}));
    for (number, (changes, price)) in products.iter().enumerate() {
        let number = format!("SKU{number:013}");
        described[&number] = product(&number, changes);
        terms[&number] = term(&number, "Hrs", "USD", price);
    }
    json!({
        "formatVersion": "v1.0", "disclaimer": "This pricing list is for informational purposes only.",
        "offerCode": "AmazonEC2", "version": "20260801000000", "publicationDate": "2026-08-01T00:00:00Z",
        "products": described,
        "terms": {"OnDemand": terms, "Reserved": {"SKU0000000000000": {"x": {"priceDimensions": {}}}}},
        "attributesList": {},
    })
}

fn read_json(json: &Json) -> Result<Offer, OfferError> {
    read(json.to_string().as_bytes())
}

#[test]
fn a_price_list() {
    let left_out: [(&[(&str, &str)], &str); 9] = [
        (&[("productFamily", "Storage")], "no instance"),
        (&[("tenancy", "Dedicated")], "one's own"),
        (
            &[("capacitystatus", "UnusedCapacityReservation")],
            "unused capacity",
        ),
        (&[("preInstalledSw", "SQL Std")], "SQL Server"),
        (
            &[("licenseModel", "Bring your own license")],
            "a licence of one's own",
        ),
        (&[("marketoption", "CapacityBlock")], "capacity blocks"),
        (&[("locationType", "AWS Local Zone")], "wavelength"),
        (&[("operatingSystem", "BeOS")], "not known"),
        (&[("regionCode", "../../etc")], "code of a region"),
    ];
    let mut products: Vec<(&[(&str, &str)], &str)> = vec![
        (&[], "1.8110000000"),
        (
            &[
                ("operatingSystem", "Windows"),
                ("operation", "RunInstances:0002"),
            ],
            "3.4670000000",
        ),
        (&[("operatingSystem", "RHEL")], "1.9409999999"),
        (
            &[
                ("regionCode", "ap-south-1"),
                ("productFamily", "Compute Instance (bare metal)"),
            ],
            "1.6000000000",
        ),
        (&[("instanceType", "c5.large")], "0.0000000000"),
    ];
    products.extend(left_out.iter().map(|(changes, _)| (*changes, "9")));
    let offer = read_json(&list(&products)).unwrap();
    assert_eq!(offer.kept, 4);
    for (_, words) in left_out {
        assert!(
            offer.left_out.keys().any(|why| why.contains(words)),
            "{words}: {:?}",
            offer.left_out
        );
    }
    assert_eq!(offer.left_out["prices of zero"], 1);
    let [india, ireland] = offer.sheets.as_slice() else {
        panic!("{:?}", offer.sheets);
    };
    assert_eq!(
        (india.region.as_str(), ireland.region.as_str()),
        ("ap-south-1", "eu-west-1")
    );
    let text = ireland.written();
    assert!(
        text.ends_with(
            "# region: eu-west-1\n# market: on-demand\n# date: 2026-08-01T00:00:00Z\n\
         # source: price list AmazonEC2 20260801000000\n\
         # licence: facts published by AWS, under the terms of its price list\n\
         instance_type\tsystem\tusd_per_hour\n\
         c4.8xlarge\tlinux\t1.811\nc4.8xlarge\trhel\t1.941\nc4.8xlarge\twindows\t3.467\n"
        ),
        "{text}"
    );
    let name = ireland.file_name();
    assert_eq!(name, "ec2-on-demand-eu-west-1.tsv");
    let again = Sheet::parse(Source {
        name: &name,
        text: &text,
    })
    .unwrap();
    assert_eq!(&again, ireland);
    assert_eq!(again.written(), text);
}

#[test]
fn the_same_list_as_rows() {
    let mut text = String::from(
        "\"FormatVersion\",\"v1.0\"\n\"Disclaimer\",\"For \"\"information\"\", only\"\n\
         \"Publication Date\",\"2026-08-01T00:00:00Z\"\n\"Version\",\"20260801000000\"\n\"OfferCode\",\"AmazonEC2\"\n\
         \"SKU\",\"OfferTermCode\",\"RateCode\",\"TermType\",\"PriceDescription\",\"EffectiveDate\",\"StartingRange\",\
         \"EndingRange\",\"Unit\",\"PricePerUnit\",\"Currency\",\"Product Family\",\"serviceCode\",\"Location\",\
         \"Location Type\",\"Instance Type\",\"Tenancy\",\"Operating System\",\"License Model\",\"CapacityStatus\",\
         \"Pre Installed S/W\",\"Region Code\",\"MarketOption\"\n",
    );
    let mut row = |term: &str, price: &str, system: &str, tenancy: &str| {
        text.push_str(&format!(
            "\"S1\",\"J\",\"R\",\"{term}\",\"$1.8, an hour\",\"2026-08-01\",\"0\",\"Inf\",\"Hrs\",\"{price}\",\"USD\",\
             \"Compute Instance\",\"AmazonEC2\",\"EU (Ireland)\",\"AWS Region\",\"c4.8xlarge\",\"{tenancy}\",\
             \"{system}\",\"No License required\",\"Used\",\"NA\",\"eu-west-1\",\"OnDemand\"\n"
        ));
    };
    row("OnDemand", "1.8110000000", "Linux", "Shared");
    row("OnDemand", "3.4670000000", "Windows", "Shared");
    row("OnDemand", "9.0", "Linux", "Host");
    row("Reserved", "0.5", "Linux", "Shared");
    let rows = read(text.as_bytes()).unwrap();
    assert_eq!(rows.left_out.len(), 2, "{:?}", rows.left_out);
    let json = read_json(&list(&[
        (&[], "1.8110000000"),
        (&[("operatingSystem", "Windows")], "3.4670000000"),
    ]));
    assert_eq!(rows.sheets, json.unwrap().sheets);
    for (from, to, words) in [
        (
            "\"AmazonEC2\"\n\"SKU\"",
            "\"AmazonRDS\"\n\"SKU\"",
            "of AmazonRDS",
        ),
        ("\"TermType\"", "\"Type\"", "no column termtype"),
        ("1.8110000000", "-1.8", "which is none"),
        ("2026-08-01T00:00:00Z", "once", "when it was published"),
    ] {
        let error = read(text.replace(from, to).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let yuan = read(text.replace("\"USD\"", "\"CNY\"").as_bytes()).unwrap_err();
    assert!(matches!(yuan, OfferError::OtherCurrency(_)), "{yuan}");
}

#[test]
fn prices_of_fargate() {
    let part = |number: &str, usage: &str| {
        json!({"sku": number, "productFamily": "Compute", "attributes": {
            "servicecode": "AmazonECS", "locationType": "AWS Region", "regionCode": "eu-west-1",
            "usagetype": usage, "tenancy": "Shared",
        }})
    };
    let mut offer = list(&[]);
    offer["offerCode"] = json!("AmazonECS");
    offer["products"] = json!({
        "A": part("A", "EU-Fargate-vCPU-Hours:perCPU"), "B": part("B", "EU-Fargate-GB-Hours"),
        "C": part("C", "EU-Fargate-ARM-vCPU-Hours:perCPU"), "D": part("D", "EU-ECS-EC2-GB-Hours"),
    });
    let terms = [
        ("A", "0.0404800000"),
        ("B", "0.0044450000"),
        ("C", "0.03"),
        ("D", "0.02"),
    ];
    for (number, price) in terms {
        offer["terms"]["OnDemand"][number] = term(number, "hours", "USD", price);
    }
    let offer = read_json(&offer).unwrap();
    let text = offer.sheets[0].written();
    assert!(
        text.ends_with("usd_per_hour\nfargate-gb\tlinux\t0.004445\nfargate-vcpu\tlinux\t0.04048\n"),
        "{text}"
    );
    assert!(
        text.contains("# source: price list AmazonECS 20260801000000\n"),
        "{text}"
    );
    assert_eq!(
        offer.left_out.values().sum::<u64>(),
        2,
        "{:?}",
        offer.left_out
    );
}

#[test]
fn spot_prices() {
    let entry = |zone: &str, product: &str, price: &str, at: &str| {
        json!({"AvailabilityZone": zone, "InstanceType": "c4.8xlarge", "ProductDescription": product,
               "SpotPrice": price, "Timestamp": at})
    };
    let history = json!({"SpotPriceHistory": [
        entry("eu-west-1a", "Linux/UNIX", "0.700000", "2026-03-02T00:00:00+00:00"),
        entry("eu-west-1b", "Linux/UNIX", "0.500000", "2026-03-01T00:00:00+00:00"),
        entry("eu-west-1b", "Linux/UNIX (Amazon VPC)", "0.600001", "2026-03-01T12:00:00+00:00"),
        entry("eu-west-1a", "Windows", "2.100000", "2026-03-01T12:00:00+00:00"),
        entry("us-west-2-lax-1a", "Linux/UNIX", "0.900000", "2026-03-01T12:00:00.000Z"),
        entry("moon", "Linux/UNIX", "0.900000", "2026-03-01T12:00:00Z"),
        entry("eu-west-1a", "BeOS", "0.900000", "2026-03-01T12:00:00Z"),
        entry("eu-west-1a", "Linux/UNIX", "0.900000", "once"),
    ], "NextToken": ""});
    let offer = read_json(&history).unwrap();
    assert_eq!(offer.sheets.len(), 2);
    let sheet = &offer.sheets[0];
    assert_eq!(sheet.file_name(), "ec2-spot-eu-west-1.tsv");
    assert_eq!(sheet.date, "2026-03-02T00:00:00Z".parse().unwrap());
    let rate = sheet.rates[&("c4.8xlarge".to_owned(), System::Linux)];
    assert_eq!(
        (rate.low, rate.usual, rate.high),
        (500_000, 600_000, 700_000)
    );
    let text = sheet.written();
    assert!(
        text.contains("c4.8xlarge\tlinux\t0.6\t0.5\t0.7\n"),
        "{text}"
    );
    assert_eq!(
        Sheet::parse(Source {
            name: "x",
            text: &text
        })
        .unwrap(),
        *sheet
    );
    assert_eq!(
        offer.left_out.values().sum::<u64>(),
        3,
        "{:?}",
        offer.left_out
    );
    let negative =
        json!({"SpotPriceHistory": [entry("eu-west-1a", "Windows", "-1", "2026-03-01T12:00:00Z")]});
    assert!(matches!(
        read_json(&negative),
        Err(OfferError::NoPrice { .. })
    ));
}

#[test]
fn what_is_no_price_list() {
    let check = |bytes: &[u8], words: &str| {
        let error = read(bytes).unwrap_err();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(behind) = cause {
            text.push_str(&format!(": {behind}"));
            cause = behind.source();
        }
        assert!(text.contains(words), "{text}");
    };
    let good = list(&[(&[], "1.8")]).to_string();
    for end in [1, 40, 300, good.len() - 400, good.len() - 1] {
        check(&good.as_bytes()[..end], "not a whole price list");
    }
    check(format!("{good} x").as_bytes(), "not a whole price list");
    check(b"", "neither");
    check(b"[]", "neither");
    check(b"{}", "neither");
    check(b"\"a\",\"b\"\n", "neither");
    check(
        good.replace("AmazonEC2\",\"version", "AmazonS3\",\"version")
            .as_bytes(),
        "of AmazonS3",
    );
    check(
        good.replace("\"products\"", "\"produce\"").as_bytes(),
        "terms come before",
    );
    check(good.replace("\"USD\"", "\"CNY\"").as_bytes(), "are in CNY");
    check(
        good.replace("\"1.8\"", "\"-1.8\"").as_bytes(),
        "which is none",
    );
    check(
        good.replace("\"1.8\"", "\"1e9\"").as_bytes(),
        "which is none",
    );
    check(
        good.replace("\"1.8\"", "\"99999999\"").as_bytes(),
        "which is none",
    );
    check(
        good.replace("\"1.8\"", "1.8").as_bytes(),
        "not a whole price list",
    );
    check(
        good.replace("\"Hrs\"", "\"Quantity\"").as_bytes(),
        "no price an hour",
    );
    check(
        good.replace("2026-08-01T00:00:00Z", "").as_bytes(),
        "when it was published",
    );
    // Nesting without end, a text without end, an object of one key without end.
    let deep = "[".repeat(3 << 20);
    check(
        format!("{{\"disclaimer\": {deep}").as_bytes(),
        "more than 1048576 bytes",
    );
    let deep = "{\"a\":".repeat(1 << 20);
    check(
        format!("{{\"offerCode\": \"AmazonEC2\", \"x\": {deep}").as_bytes(),
        "not a whole",
    );
    check(format!("{{\"products\": {deep}").as_bytes(), "not a whole");
    let long = "x".repeat(3 << 20);
    check(
        format!("{{\"version\": \"{long}\"}}").as_bytes(),
        "more than 1048576 bytes",
    );
    check(
        format!("{{\"version\": \"{}\"}}", "\\\"".repeat(2 << 20)).as_bytes(),
        "more than 1048576 bytes",
    );
}

/// A price list of gigabytes would not fit: what is left out goes through and leaves nothing.
#[test]
fn what_is_left_out_is_not_kept() {
    let number = "REUSED";
    let reserved = term(number, "Quantity", "USD", "1").to_string();
    let start = list(&[(&[], "1.8")]).to_string();
    let (start, end) = start.split_once("\"Reserved\":{").unwrap();
    let many = (0..30_000_u32).flat_map(|number| format!("\"R{number}\":{reserved},").into_bytes());
    let mut bytes = start.as_bytes().to_vec();
    bytes.extend(b"\"Reserved\":{");
    let long = Bytes(bytes.into_iter().chain(many).chain(end.bytes()));
    let offer = read(BufReader::new(long)).unwrap();
    assert_eq!(offer.kept, 1);
}

/// Bytes that are made as they are read.
struct Bytes<I>(I);

impl<I: Iterator<Item = u8>> Read for Bytes<I> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut read = 0;
        for place in into.iter_mut() {
            let Some(byte) = self.0.next() else { break };
            *place = byte;
            read += 1;
        }
        Ok(read)
    }
}

fn sheet(date: &str, rows: &str) -> Sheet {
    let text = format!(
        "# format: 1\n# region: us-east-1\n# market: on-demand\n# date: {date}\n# source: {date}\n\
         instance_type\tsystem\tusd_per_hour\n{rows}"
    );
    Sheet::parse(Source {
        name: "x",
        text: &text,
    })
    .unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn the_younger_table_counts_and_the_shipped_one_comes_last() {
    let old = sheet(
        "2026-01-01T00:00:00Z",
        "c4.8xlarge\tlinux\t5\na9.old\tlinux\t7\n",
    );
    let young = sheet("2026-09-01T00:00:00Z", "c4.8xlarge\tlinux\t6\n");
    for sheets in [
        vec![old.clone(), young.clone()],
        vec![young.clone(), old.clone()],
    ] {
        let book = Book::new(sheets);
        let price = |instance_type| {
            let quote = book.quote(Asked {
                instance_type,
                region: Some("us-east-1"),
                market: Market::OnDemand,
                system: System::Linux,
            });
            quote.unwrap().rate
        };
        assert_eq!(price("c4.8xlarge"), Rate::fixed(6_000_000));
        assert_eq!(price("a9.old"), Rate::fixed(7_000_000));
        assert_eq!(price("a1.medium"), Rate::fixed(25_500));
        assert_eq!(book.of_type("c4.8xlarge").len(), 1);
    }
    let middle = sheet(
        "2026-05-01T00:00:00Z",
        "c4.8xlarge\tlinux\t8\na9.old\tlinux\t9\n",
    );
    let joined = Sheet::joined(vec![old.clone(), middle.clone(), young.clone()]).unwrap();
    assert_eq!(
        joined.rates[&("c4.8xlarge".to_owned(), System::Linux)],
        Rate::fixed(6_000_000)
    );
    assert_eq!(
        joined.rates[&("a9.old".to_owned(), System::Linux)],
        Rate::fixed(9_000_000)
    );
    assert_eq!(joined.date, young.date);
    assert_eq!(Sheet::joined(vec![young, old, middle]).unwrap(), joined);
    assert_eq!(Sheet::joined(Vec::new()), None);
}

#[test]
fn wrong_tables_are_refused() {
    let head = "# format: 1\n# region: eu-west-1\n# market: on-demand\n# date: 2026-08-01T00:00:00Z\n# source: x\n";
    let names = "instance_type\tsystem\tusd_per_hour\n";
    let good = format!("{head}{names}a1.large\tlinux\t0.05\n");
    assert!(
        Sheet::parse(Source {
            name: "x",
            text: &good
        })
        .is_ok()
    );
    for (from, to) in [
        ("# format: 1\n", ""),
        ("format: 1", "format: 2"),
        ("eu-west-1", "../x"),
        ("on-demand", "spot"),
        ("2026-08-01T00:00:00Z", "yesterday"),
        ("# source: x\n", ""),
        ("usd_per_hour", "eur"),
        ("a1.large\tlinux\t0.05\n", ""),
        ("\t0.05", "\t0"),
        ("\t0.05", "\t-1"),
        ("\t0.05", ""),
        ("\tlinux", "\tbeos"),
        ("a1.large", "<b>"),
        (
            "a1.large\tlinux\t0.05\n",
            "a1.large\tlinux\t0.05\na1.large\tlinux\t0.06\n",
        ),
    ] {
        let text = good.replace(from, to);
        assert!(
            Sheet::parse(Source {
                name: "x",
                text: &text
            })
            .is_err(),
            "{text}"
        );
    }
}

#[test]
fn names_of_aws() {
    for (operation, expected) in [
        ("RunInstances", System::Linux),
        ("RunInstances:SV003", System::Linux),
        ("RunInstances:00g0", System::Linux),
        ("RunInstances:0002", System::Windows),
        ("RunInstances:0002:SV001", System::Windows),
        ("RunInstances:0010:SV006", System::Rhel),
        ("RunInstances:1010", System::RhelHa),
        ("RunInstances:000g", System::Suse),
        ("RunInstances:0g00", System::UbuntuPro),
        ("RunInstances:0006", System::Other),
        ("CreateVolume-Gp3", System::Unknown),
        ("", System::Unknown),
    ] {
        assert_eq!(System::of_operation(operation), expected, "{operation}");
    }
    for (zone, expected) in [
        ("us-east-1a", Some("us-east-1")),
        ("us-gov-west-1b", Some("us-gov-west-1")),
        ("ap-southeast-10c", Some("ap-southeast-10")),
        ("us-west-2-lax-1a", Some("us-west-2")),
        ("moon", None),
        ("1a", None),
        ("", None),
    ] {
        assert_eq!(region_of_zone(zone), expected, "{zone}");
    }
    for (micros, expected) in [
        (0, "0"),
        (1, "0.000001"),
        (1_500_000, "1.5"),
        (20_000_000, "20"),
    ] {
        assert_eq!(dollars(micros), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_tables_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300), head in 0..4_usize) {
        let head: &[u8] = [b"".as_slice(), b"{\"products\":{", b"{\"SpotPriceHistory\":[", b"\"SKU\","][head];
        let _ = read([head, &bytes].concat().as_slice());
    }

    #[test]
    fn a_spoilt_list_is_a_list_or_an_error(at in 0..2000_usize, byte: u8) {
        let mut bytes = list(&[(&[], "1.8"), (&[("operatingSystem", "Windows")], "3")]).to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(bytes.as_slice());
    }

    #[test]
    fn print_then_parse_is_identity(
        rows in prop::collection::btree_map(("[a-z0-9.]{1,12}", 0..6_usize), (1..9_000_000_u64, 0..9_000_000_u64, 0..9_000_000_u64), 1..8),
        is_spot: bool,
    ) {
        let rates = rows.into_iter().map(|((name, system), (low, more, most))| {
            let rate = match is_spot {
                true => Rate { low, usual: low + more, high: low + more + most },
                false => Rate::fixed(low),
            };
            ((name, System::PRICED[system]), rate)
        });
        let sheet = Sheet {
            region: "eu-west-1".to_owned(),
            market: if is_spot { Market::Spot } else { Market::OnDemand },
            date: "2026-08-01T00:00:00Z".parse().unwrap(),
            source: "a test".to_owned(),
            licence: "none".to_owned(),
            rates: rates.collect(),
        };
        let text = sheet.written();
        let again = Sheet::parse(Source { name: "x", text: &text });
        prop_assert_eq!(again.map_err(|faults| faults.to_string()), Ok(sheet));
    }
}

//! Runs, sightings and tables for these tests.

use davylamp_casework::cost::sightings::{Sighting, What};
use davylamp_casework::cost::{Bounds, EC2, End, Run};
use davylamp_content::Source;
use davylamp_content::prices::book::Book;
use davylamp_content::prices::kind::{Market, System};
use davylamp_content::prices::sheet::Sheet;
use jiff::Timestamp;

/// A moment of 2026-03-01 and the days after, by its seconds.
pub fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + seconds).unwrap()
}

pub const HOUR: i64 = 3600;

/// A Linux instance on demand in us-east-1 between two moments.
pub fn ran(id: &str, instance_type: &str, from: i64, to: i64) -> Run {
    Run {
        id: id.to_owned(),
        account: Some("111122223333".to_owned()),
        region: Some("us-east-1".to_owned()),
        service: EC2.to_owned(),
        instance_type: Some(instance_type.to_owned()),
        size: None,
        market: Market::OnDemand,
        system: System::Linux,
        started: Bounds::exactly(at(from)),
        ended: End::At(Bounds::exactly(at(to))),
        paused: Vec::new(),
        evidence: Vec::new(),
    }
}

pub fn saw(id: &str, what: What, bounds: Bounds) -> Sighting {
    Sighting {
        id: id.to_owned(),
        at: bounds,
        what,
        service: EC2.to_owned(),
        account: None,
        region: Some("us-east-1".to_owned()),
        instance_type: Some("c4.8xlarge".to_owned()),
        size: None,
        market: Market::OnDemand,
        system: System::Linux,
        evidence: Vec::new(),
    }
}

pub fn sheet(region: &str, market: &str, rows: &str) -> Sheet {
    let columns = match market {
        "spot" => "instance_type\tsystem\tusd_per_hour\tusd_least\tusd_most",
        _ => "instance_type\tsystem\tusd_per_hour",
    };
    let text = format!(
        "# format: 1\n# region: {region}\n# market: {market}\n# date: 2026-08-01T00:00:00Z\n\
         # source: a test\n# licence: none\n{columns}\n{rows}"
    );
    Sheet::parse(Source {
        name: "test.tsv",
        text: &text,
    })
    .unwrap_or_else(|faults| panic!("{faults}"))
}

/// The table that ships, and some prices that these tests made up.
pub fn book() -> Book {
    Book::new(vec![
        sheet(
            "eu-west-1",
            "on-demand",
            "c4.8xlarge\tlinux\t1.8\nc4.8xlarge\twindows\t3.5\nc4.8xlarge\trhel\t2.0\n",
        ),
        sheet("eu-west-1", "spot", "c4.8xlarge\tlinux\t0.6\t0.5\t0.9\n"),
    ])
}

//! Route 53 Resolver's query logs: one JSON object a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use super::Hour;
use crate::attack::calendar::{HOUR_SECS, iso};
use crate::attack::cast::Machine;
use crate::attack::dice::Dice;
use crate::attack::places;

/// Writes the queries of an hour: a file for each account and region.
pub fn write(hour: &Hour<'_>) -> io::Result<()> {
    let mut dice = hour.dice.clone();
    let mut files: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for machine in hour.owned {
        for _ in 0..dice.roll(4) {
            let at = hour.start + dice.between(0, HOUR_SECS - 1);
            let service = dice.one(&["ssm", "logs", "ec2messages", "sqs", "monitoring"]);
            let name = format!("{service}.{}.amazonaws.com", machine.region);
            let answer = places::ec2(machine.region).address(&mut dice);
            line(
                &mut files,
                machine,
                &query(machine, at, &name, &answer, &mut dice),
            );
        }
    }
    for (machine, from, until, (address, _, name)) in &hour.miners {
        // The name is asked for at the start, and when the connection is lost.
        if *from > hour.start || dice.chance(20) {
            let at = dice.between(*from, until - 1);
            line(
                &mut files,
                machine,
                &query(machine, at, name, address, &mut dice),
            );
        }
    }
    for ((account, region), text) in files {
        super::write(
            hour.dir,
            (account, "vpcdnsquerylogs", region),
            hour.start + HOUR_SECS,
            &mut dice,
            &text,
        )?;
    }
    Ok(())
}

fn line<'b>(files: &mut BTreeMap<(&'b str, &'b str), String>, machine: &'b Machine, query: &Value) {
    let text = files.entry((&machine.account, machine.region)).or_default();
    // A text cannot fail to take more text.
    let _ = writeln!(text, "{query}");
}

fn query(machine: &Machine, at: i64, name: &str, answer: &str, dice: &mut Dice) -> Value {
    json!({
        "version": "1.100000",
        "account_id": machine.account,
        "region": machine.region,
        "vpc_id": machine.vpc,
        "query_timestamp": iso(at),
        "query_name": format!("{name}."),
        "query_type": "A",
        "query_class": "IN",
        "rcode": "NOERROR",
        "answers": [{"Rdata": answer, "Type": "A", "Class": "IN"}],
        "srcaddr": machine.private,
        "srcport": (32_768 + dice.roll(28_000)).to_string(),
        "transport": "UDP",
        "srcids": {"instance": machine.id},
    })
}

//! VPC flow logs in the default format, each ten minutes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use super::Hour;
use crate::attack::calendar::HOUR_SECS;
use crate::attack::cast::Machine;
use crate::attack::dice::Dice;
use crate::attack::places;

const HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";

/// How long a record sums up.
const WINDOW_SECS: i64 = 600;

/// Writes the flows of an hour: a file for each account and region.
pub fn write(hour: &Hour<'_>) -> io::Result<()> {
    let mut dice = hour.dice.clone();
    let mut files: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for window in 0..HOUR_SECS / WINDOW_SECS {
        let from = hour.start + window * WINDOW_SECS;
        for machine in hour.owned {
            let text = text(&mut files, machine);
            ordinary(text, machine, from, &mut dice);
        }
        for (machine, start, end, pool) in &hour.miners {
            if *start >= from + WINDOW_SECS || *end <= from {
                continue;
            }
            let text = text(&mut files, machine);
            // The same connection all day long, a few packets a minute both ways.
            let port = 32_768 + Dice::of(0, &machine.id, hour.start / 86_400).roll(28_000);
            let minutes =
                u64::try_from((from + WINDOW_SECS).min(*end) - from.max(*start)).unwrap_or(0) / 60;
            let packets = (minutes + 1) * (4 + dice.roll(6));
            let (from, until) = (from.max(*start), (from + WINDOW_SECS).min(*end));
            let (account, interface, private) =
                (&machine.account, &machine.interface, &machine.private);
            let (address, pool_port, _) = pool;
            // A text cannot fail to take more text.
            let _ = writeln!(
                text,
                "2 {account} {interface} {private} {address} {port} {pool_port} 6 {packets} {} {from} {until} ACCEPT OK",
                packets * (150 + dice.roll(60))
            );
            let _ = writeln!(
                text,
                "2 {account} {interface} {address} {private} {pool_port} {port} 6 {packets} {} {from} {until} ACCEPT OK",
                packets * (170 + dice.roll(60))
            );
        }
    }
    for ((account, region), text) in files {
        super::write(
            hour.dir,
            (account, "vpcflowlogs", region),
            hour.start + HOUR_SECS,
            &mut dice,
            &text,
        )?;
    }
    Ok(())
}

fn text<'a, 'b>(
    files: &'a mut BTreeMap<(&'b str, &'b str), String>,
    machine: &'b Machine,
) -> &'a mut String {
    files
        .entry((&machine.account, machine.region))
        .or_insert_with(|| HEADER.to_owned())
}

fn ordinary(text: &mut String, machine: &Machine, from: i64, dice: &mut Dice) {
    let until = from + WINDOW_SECS;
    let (account, interface, private) = (&machine.account, &machine.interface, &machine.private);
    for _ in 0..dice.roll(4) {
        let address = places::ec2(machine.region).address(dice);
        let (port, packets) = (32_768 + dice.roll(28_000), 1 + dice.roll(300));
        let bytes = packets * (60 + dice.roll(1_200));
        let service = dice.one(&[443, 443, 443, 5432, 53, 22]);
        let _ = match dice.chance(10) {
            true => writeln!(
                text,
                "2 {account} {interface} {address} {private} {port} {service} 6 1 40 {from} {until} REJECT OK"
            ),
            false => writeln!(
                text,
                "2 {account} {interface} {private} {address} {port} {service} 6 {packets} {bytes} {from} {until} ACCEPT OK"
            ),
        };
    }
    if dice.chance(5) {
        let _ = writeln!(
            text,
            "2 {account} {interface} - - - - - - - {from} {until} - NODATA"
        );
    }
}

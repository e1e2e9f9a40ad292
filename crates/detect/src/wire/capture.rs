//! Captures of packets: pcap and pcapng, from whatever gives their bytes.
//!
//! What must stay true: a capture that cannot be read to its end says so, with what was read of it.

use std::io::Read;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{PcapError, TsResolution};

use super::{Judge, Judged, Link, Sign};

/// The first bytes of pcap, of either byte order and unit, and of pcapng
/// (<https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/>).
const PCAP: &[[u8; 4]] = &[
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
];
const PCAPNG: &[u8] = &[0x0a, 0x0d, 0x0d, 0x0a];

/// A capture's forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The older form, with one kind of link.
    Pcap,
    /// The newer, with interfaces.
    PcapNg,
}

/// What kind of capture begins so.
pub fn form_of(start: &[u8]) -> Option<Form> {
    if PCAP.iter().any(|magic| start.starts_with(magic)) {
        return Some(Form::Pcap);
    }
    start.starts_with(PCAPNG).then_some(Form::PcapNg)
}

/// What was read of a capture.
#[derive(Debug, Default)]
pub struct Tally {
    /// Packets that were judged.
    pub read: u64,
    /// Packets of other kinds.
    pub other: u64,
    /// Packets that could not be read.
    pub unreadable: u64,
    /// Why the capture was not read to its end.
    pub ended: Option<String>,
    /// Flows that had to make room.
    pub evicted: u64,
}

/// Has a capture judged to its end, or as far as it can be read.
///
/// # Errors
/// Those of `each`.
pub fn read<E>(
    form: Form,
    reader: impl Read,
    judge: Judge<'_>,
    each: &mut dyn FnMut(Sign) -> Result<(), E>,
) -> Result<Tally, E> {
    let mut taking = Taking {
        judge,
        tally: Tally::default(),
        signs: Vec::new(),
        each,
    };
    let ended = match form {
        Form::Pcap => taking.pcap(reader)?,
        Form::PcapNg => taking.pcapng(reader)?,
    };
    taking.judge.finish(&mut taking.signs);
    taking.tell()?;
    let mut tally = taking.tally;
    tally.evicted = taking.judge.evicted();
    tally.ended = ended;
    Ok(tally)
}

struct Taking<'a, E> {
    judge: Judge<'a>,
    tally: Tally,
    signs: Vec<Sign>,
    each: &'a mut dyn FnMut(Sign) -> Result<(), E>,
}

impl<E> Taking<'_, E> {
    fn pcap(&mut self, reader: impl Read) -> Result<Option<String>, E> {
        let mut reader = match PcapReader::new(reader) {
            Ok(reader) => reader,
            Err(error) => return Ok(Some(ended(&error))),
        };
        let header = reader.header();
        let Some(link) = Link::of(header.datalink.into()) else {
            return Ok(Some(format!(
                "its packets begin with link type {}, which is not read here",
                u32::from(header.datalink)
            )));
        };
        let unit_ns = match header.ts_resolution {
            TsResolution::MicroSecond => 1000,
            TsResolution::NanoSecond => 1,
        };
        while let Some(packet) = reader.next_raw_packet() {
            let packet = match packet {
                Ok(packet) => packet,
                Err(error) => return Ok(Some(ended(&error))),
            };
            let time =
                u64::from(packet.ts_sec) * 1_000_000_000 + u64::from(packet.ts_frac) * unit_ns;
            self.take(time, Some(link), &packet.data)?;
        }
        Ok(None)
    }

    fn pcapng(&mut self, reader: impl Read) -> Result<Option<String>, E> {
        let mut reader = match PcapNgReader::new(reader) {
            Ok(reader) => reader,
            Err(error) => return Ok(Some(ended(&error))),
        };
        // What the interfaces are, by their numbers: the reader lends out one block at a time.
        let mut interfaces: Vec<(Option<Link>, u8)> = Vec::new();
        let mut last_ns = 0;
        while let Some(block) = reader.next_block() {
            let block = match block {
                Ok(block) => block,
                Err(error) => return Ok(Some(ended(&error))),
            };
            match block {
                Block::SectionHeader(_) => interfaces.clear(),
                Block::InterfaceDescription(interface) => {
                    let unit = interface.options.iter().find_map(|option| match option {
                        InterfaceDescriptionOption::IfTsResol(unit) => Some(*unit),
                        _ => None,
                    });
                    let link = Link::of(interface.linktype.into());
                    interfaces.push((link, unit.unwrap_or(MICROSECONDS)));
                }
                Block::EnhancedPacket(packet) => {
                    let known = interfaces.get(packet.interface_id as usize).copied();
                    let (link, unit) = known.unwrap_or((None, MICROSECONDS));
                    // The library takes the units for nanoseconds, whatever they are.
                    last_ns = in_ns(packet.timestamp.as_nanos(), unit);
                    self.take(last_ns, link, &packet.data)?;
                }
                // Without a time: it came after the one before.
                Block::SimplePacket(packet) => {
                    let link = interfaces.first().and_then(|(link, _)| *link);
                    self.take(last_ns, link, &packet.data)?;
                }
                Block::Packet(packet) => {
                    let known = interfaces.get(usize::from(packet.interface_id)).copied();
                    let (link, unit) = known.unwrap_or((None, MICROSECONDS));
                    last_ns = in_ns(u128::from(packet.timestamp), unit);
                    self.take(last_ns, link, &packet.data)?;
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn take(&mut self, time_ns: u64, link: Option<Link>, bytes: &[u8]) -> Result<(), E> {
        let judged = match link {
            Some(link) => self.judge.packet(time_ns, link, bytes, &mut self.signs),
            None => Judged::Unreadable,
        };
        match judged {
            Judged::Read => self.tally.read += 1,
            Judged::Other => self.tally.other += 1,
            Judged::Unreadable => self.tally.unreadable += 1,
        }
        self.tell()
    }

    fn tell(&mut self) -> Result<(), E> {
        self.signs.drain(..).try_for_each(&mut *self.each)
    }
}

/// The unit where an interface names none: 10 to the power of -6.
const MICROSECONDS: u8 = 6;

/// A time in units of 10 to the power of minus `unit`, or of 2 where its highest bit is set.
fn in_ns(time: u128, unit: u8) -> u64 {
    let power = u32::from(unit & 0x7f);
    let base: u128 = if unit & 0x80 == 0 { 10 } else { 2 };
    let divisor = base.checked_pow(power).unwrap_or(u128::MAX).max(1);
    let ns = time.saturating_mul(1_000_000_000) / divisor;
    u64::try_from(ns).unwrap_or(u64::MAX)
}

fn ended(error: &PcapError) -> String {
    match error {
        PcapError::IoError(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it ends within a packet".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_unit_of_their_interface() {
        for (time, unit, expected) in [
            (1_500_000, 6, 1_500_000_000),
            (1_500_000_000, 9, 1_500_000_000),
            (3, 0x80 | 1, 1_500_000_000),
            (1, 0, 1_000_000_000),
            (u128::MAX, 0, u64::MAX),
            (1, 0xff, 0),
        ] {
            assert_eq!(in_ns(time, unit), expected, "{time} {unit}");
        }
    }
}

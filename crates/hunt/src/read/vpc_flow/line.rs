//! From a line to a row.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use davylamp_detect::address::is_public;
use memchr::memchr_iter;

use super::columns::{FIELDS, TABLE, column, kind};
use super::fields::{Fields, MAX_FIELDS};
use super::sides::{self, Sides};
use crate::read::moment::{self, MICROS};
use crate::read::{Cell, Given, Object, Order, Sink};
use crate::table::Kind;

/// How the lines of an object become rows.
pub(super) struct Lines {
    fields: usize,
    /// What is done with the field at each place, up to the last that is wanted.
    fields_wanted: Vec<(usize, Cell, Kind)>,
    computed: Vec<(Computed, Cell)>,
    /// Cells of columns that the format lacks.
    absent: Vec<(Cell, Option<Arc<str>>)>,
    places: Places,
    object: Object,
    given: Arc<Given>,
}

/// Where the fields stand that other columns are worked out from.
#[derive(Debug, Clone, Copy)]
struct Places {
    src: Option<usize>,
    dst: Option<usize>,
    pkt_src: Option<usize>,
    pkt_dst: Option<usize>,
    src_port: Option<usize>,
    dst_port: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
    direction: Option<usize>,
    status: Option<usize>,
}

/// A column that is worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Computed {
    RealSrc,
    RealDst,
    SrcIsPublic,
    DstIsPublic,
    Direction,
    LocalAddr,
    LocalPort,
    RemoteAddr,
    RemotePort,
    RemoteIndicatorId,
    RemoteIndicatorKind,
    RemotePortIsPool,
    StartEpoch,
    EndEpoch,
    WindowStart,
    WindowEpoch,
    Duration,
    Indicator,
    Source,
}

/// What is found out once for a line, for several columns.
#[derive(Debug, Default)]
struct Ends {
    /// An address, and whether it is public.
    src: OnceCell<Option<(IpAddr, bool)>>,
    dst: OnceCell<Option<(IpAddr, bool)>>,
    sides: OnceCell<Option<Sides>>,
}

impl Lines {
    pub fn new(fields: &Fields, order: &Order, object: &Object, sink: &mut Sink) -> Self {
        let place = |name: &str| {
            fields
                .columns
                .iter()
                .position(|at| *at == Some(column(name)))
        };
        let mut lines = Self {
            fields: fields.columns.len(),
            fields_wanted: Vec::new(),
            computed: Vec::new(),
            absent: Vec::new(),
            places: Places {
                src: place("srcaddr"),
                dst: place("dstaddr"),
                pkt_src: place("pkt_srcaddr"),
                pkt_dst: place("pkt_dstaddr"),
                src_port: place("srcport"),
                dst_port: place("dstport"),
                start: place("start"),
                end: place("end"),
                direction: place("flow_direction"),
                status: place("log_status"),
            },
            object: object.clone(),
            given: Arc::clone(&order.given),
        };
        for (cell, wanted) in order.columns.iter().enumerate() {
            lines.want(*wanted, cell, fields, sink);
        }
        sink.tally
            .unknown_fields
            .extend(fields.unknown.iter().cloned());
        lines
    }

    fn want(&mut self, wanted: usize, cell: Cell, fields: &Fields, sink: &mut Sink) {
        let place = fields.columns.iter().position(|at| *at == Some(wanted));
        let can_be_known = match Computed::of(wanted) {
            Some(computed) => {
                self.computed.push((computed, cell));
                self.can_compute(computed)
            }
            None => match place {
                Some(place) => {
                    self.fields_wanted.push((place, cell, kind(wanted)));
                    true
                }
                None => {
                    // The key of the object says what the record may leave out.
                    let said = match TABLE.columns[wanted].name {
                        "account_id" => self.object.account.clone(),
                        "region" => self.object.region.clone(),
                        _ => None,
                    };
                    let is_said = said.is_some();
                    self.absent.push((cell, said));
                    is_said
                }
            },
        };
        if !can_be_known {
            *sink
                .tally
                .absent
                .entry(TABLE.columns[wanted].name)
                .or_default() += 1;
        }
    }

    fn can_compute(&self, computed: Computed) -> bool {
        let Places {
            src,
            dst,
            pkt_src,
            pkt_dst,
            src_port,
            dst_port,
            start,
            end,
            direction,
            ..
        } = self.places;
        let has_src = src.or(pkt_src).is_some();
        let has_dst = dst.or(pkt_dst).is_some();
        match computed {
            Computed::RealSrc | Computed::SrcIsPublic => has_src,
            Computed::RealDst | Computed::DstIsPublic => has_dst,
            Computed::Direction => direction.is_some() || (has_src && has_dst),
            Computed::LocalAddr | Computed::RemoteAddr | Computed::RemoteIndicatorId => {
                has_src && has_dst
            }
            Computed::RemoteIndicatorKind => has_src && has_dst,
            Computed::LocalPort | Computed::RemotePort | Computed::RemotePortIsPool => {
                has_src && has_dst && src_port.is_some() && dst_port.is_some()
            }
            Computed::StartEpoch | Computed::WindowStart | Computed::WindowEpoch => start.is_some(),
            Computed::EndEpoch => end.is_some(),
            Computed::Duration => start.is_some() && end.is_some(),
            Computed::Indicator => has_src || has_dst,
            Computed::Source => true,
        }
    }

    /// Reads one line, which has the given number, into a row.
    pub fn read(&self, line: &[u8], number: u64, sink: &mut Sink) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        let place = || format!("{}:{number}", self.object.name);
        let Ok(text) = std::str::from_utf8(line) else {
            return sink.tally.bad_record(place, "the line is not UTF-8");
        };
        let mut spans = [(0_u32, 0_u32); MAX_FIELDS];
        let count = split(line, &mut spans);
        if count != self.fields {
            let what = format!("{count} fields instead of {}", self.fields);
            return sink.tally.bad_record(place, what);
        }
        let field = |at: usize| {
            let (start, end) = spans[at];
            // The spans end at blanks, so they lie on borders of characters.
            match &text[start as usize..end as usize] {
                "-" => None,
                field => Some(field),
            }
        };
        match self.places.status.and_then(field) {
            Some("NODATA") => sink.tally.no_data += 1,
            Some("SKIPDATA") => sink.tally.skip_data += 1,
            _ => {}
        }
        for (at, cell, kind) in &self.fields_wanted {
            let field = field(*at);
            match kind {
                Kind::Text | Kind::Boolean | Kind::Float => sink.rows.text(*cell, field),
                Kind::Integer => {
                    let value = field.and_then(number_of);
                    note_bad(field, value, place, sink);
                    sink.rows.integer(*cell, value);
                }
                Kind::Time => {
                    let micros = field.and_then(micros_of);
                    note_bad(field, micros, place, sink);
                    sink.rows.time(*cell, micros);
                }
            }
        }
        for (cell, said) in &self.absent {
            match said {
                Some(said) => sink.rows.text(*cell, Some(said)),
                None => sink.rows.null(*cell),
            }
        }
        let ends = Ends::default();
        for (computed, cell) in &self.computed {
            self.compute(*computed, *cell, &field, &ends, number, sink);
        }
        sink.end_row();
    }

    fn compute<'a>(
        &self,
        computed: Computed,
        cell: Cell,
        field: &impl Fn(usize) -> Option<&'a str>,
        ends: &Ends,
        number: u64,
        sink: &mut Sink,
    ) {
        let at = |place: Option<usize>| place.and_then(field);
        let src = || at(self.places.pkt_src).or_else(|| at(self.places.src));
        let dst = || at(self.places.pkt_dst).or_else(|| at(self.places.dst));
        let end_of = |text: Option<&str>| {
            let address: IpAddr = text?.parse().ok()?;
            Some((address, is_public(address)))
        };
        let src_end = || *ends.src.get_or_init(|| end_of(src()));
        let dst_end = || *ends.dst.get_or_init(|| end_of(dst()));
        let port = |place| at(place).and_then(|port: &str| port.parse::<u16>().ok());
        let ports = || (port(self.places.src_port), port(self.places.dst_port));
        let sides = || {
            *ends.sides.get_or_init(|| {
                let publics = (src_end()?.1, dst_end()?.1);
                Some(sides::of(at(self.places.direction), publics, ports()))
            })
        };
        // The source of the traffic is the remote side where it came in.
        let remote = || sides().and_then(|sides| sides.remote);
        let local_port = || match remote()? {
            sides::End::Source => ports().1,
            sides::End::Destination => ports().0,
        };
        let remote_port = || match remote()? {
            sides::End::Source => ports().0,
            sides::End::Destination => ports().1,
        };
        let remote_indicator = || {
            let (address, _) = match remote()? {
                sides::End::Source => src_end()?,
                sides::End::Destination => dst_end()?,
            };
            self.given.indicators.address(address, remote_port())
        };
        let start = || at(self.places.start).and_then(number_of);
        let end = || at(self.places.end).and_then(number_of);
        let rows = &mut sink.rows;
        match computed {
            Computed::RealSrc => rows.text(cell, src()),
            Computed::RealDst => rows.text(cell, dst()),
            Computed::SrcIsPublic => rows.boolean(cell, src_end().map(|end| end.1)),
            Computed::DstIsPublic => rows.boolean(cell, dst_end().map(|end| end.1)),
            Computed::Direction => {
                let known = at(self.places.direction);
                rows.text(cell, known.or_else(|| Some(sides()?.direction)));
            }
            Computed::LocalAddr => rows.text(
                cell,
                match remote() {
                    Some(sides::End::Source) => dst(),
                    Some(sides::End::Destination) => src(),
                    None => None,
                },
            ),
            Computed::RemoteAddr => rows.text(
                cell,
                match remote() {
                    Some(sides::End::Source) => src(),
                    Some(sides::End::Destination) => dst(),
                    None => None,
                },
            ),
            Computed::LocalPort => rows.integer(cell, local_port().map(i64::from)),
            Computed::RemotePort => rows.integer(cell, remote_port().map(i64::from)),
            Computed::RemoteIndicatorId => {
                rows.text(cell, remote_indicator().map(|found| &*found.id));
            }
            Computed::RemoteIndicatorKind => {
                rows.text(cell, remote_indicator().map(|found| found.kind()));
            }
            Computed::RemotePortIsPool => {
                let is_pool = remote_port().map(|port| self.given.indicators.is_pool_port(port));
                rows.boolean(cell, is_pool);
            }
            Computed::StartEpoch => rows.integer(cell, start()),
            Computed::EndEpoch => rows.integer(cell, end()),
            Computed::WindowStart => {
                let window = start().map(moment::window);
                rows.time(cell, window.and_then(|window| window.checked_mul(MICROS)));
            }
            Computed::WindowEpoch => rows.integer(cell, start().map(moment::window)),
            Computed::Duration => {
                let seconds = start()
                    .zip(end())
                    .and_then(|(start, end)| end.checked_sub(start));
                rows.integer(cell, seconds);
            }
            Computed::Indicator => {
                let find = |end: Option<(IpAddr, bool)>, port| {
                    end.and_then(|(address, _)| self.given.indicators.address(address, port))
                };
                let (src_port, dst_port) = ports();
                let found = find(dst_end(), dst_port).or_else(|| find(src_end(), src_port));
                rows.text(cell, found.map(|found| &*found.id));
            }
            Computed::Source => rows.text(cell, Some(&format!("{}:{number}", self.object.name))),
        }
    }
}

impl Computed {
    fn of(wanted: usize) -> Option<Self> {
        if wanted < FIELDS {
            return None;
        }
        Some(match TABLE.columns[wanted].name {
            "real_srcaddr" => Self::RealSrc,
            "real_dstaddr" => Self::RealDst,
            "src_is_public" => Self::SrcIsPublic,
            "dst_is_public" => Self::DstIsPublic,
            "direction" => Self::Direction,
            "local_addr" => Self::LocalAddr,
            "local_port" => Self::LocalPort,
            "remote_addr" => Self::RemoteAddr,
            "remote_port" => Self::RemotePort,
            "remote_indicator_id" => Self::RemoteIndicatorId,
            "remote_indicator_kind" => Self::RemoteIndicatorKind,
            "remote_port_is_pool" => Self::RemotePortIsPool,
            "start_epoch" => Self::StartEpoch,
            "end_epoch" => Self::EndEpoch,
            "window_start" => Self::WindowStart,
            "window_epoch" => Self::WindowEpoch,
            "duration_secs" => Self::Duration,
            "indicator_id" => Self::Indicator,
            _ => Self::Source,
        })
    }
}

/// Finds the fields of a line and says how many there are, up to one more than is looked at.
fn split(line: &[u8], spans: &mut [(u32, u32); MAX_FIELDS]) -> usize {
    let mut count = 0;
    let mut start = 0;
    for end in memchr_iter(b' ', line).chain(std::iter::once(line.len())) {
        if end > start {
            if count == MAX_FIELDS {
                return MAX_FIELDS + 1;
            }
            spans[count] = (start as u32, end as u32);
            count += 1;
        }
        start = end + 1;
    }
    count
}

/// A whole number in decimal digits.
fn number_of(text: &str) -> Option<i64> {
    let mut value: i64 = 0;
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    Some(value)
}

/// Seconds since 1970 in microseconds.
fn micros_of(text: &str) -> Option<i64> {
    number_of(text)?.checked_mul(MICROS)
}

fn note_bad(field: Option<&str>, value: Option<i64>, place: impl Fn() -> String, sink: &mut Sink) {
    if let (Some(field), None) = (field, value) {
        sink.tally.bad_values += 1;
        let field: String = field.chars().take(40).collect();
        sink.tally
            .sample(place, format!("`{field}` is no whole number"));
    }
}

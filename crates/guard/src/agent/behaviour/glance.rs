//! What `/proc` says of a process's memory, its files and its use of the processors.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
};

use davylamp_content::detection::Observed;

/// A process may have so many mappings by default (`vm.max_map_count`), each a line of at most a page.
const MOST_MAPS_BYTES: u64 = 16 << 20;
/// So many mapped files are remembered by their names.
const MAX_FILES: usize = 1024;
/// So many open files are looked at: cards are opened early.
const MAX_DESCRIPTORS: usize = 4096;

/// The clock ticks of processor time that a process has used, in user and in kernel mode.
pub(super) fn ticks_of(pid: u32) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    parse_ticks(&stat).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

fn parse_ticks(stat: &[u8]) -> Option<u64> {
    // The command name stands in parentheses and may hold anything, parentheses too.
    let after_name = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let text = str::from_utf8(after_name).ok()?;
    // proc_pid_stat(5) counts from 1 with the state as the third.
    let mut fields = text.split_ascii_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A command name as the kernel has it.
pub(super) fn comm_of(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    comm
}

/// What a process has mapped and open.
pub(super) fn at(pid: u32) -> io::Result<Observed> {
    let mut observed = Observed {
        huge_mib: huge_kib(&fs::read_to_string(format!("/proc/{pid}/status"))?) / 1024,
        uses_gpu: has_card_open(pid),
        ..Observed::default()
    };
    let maps = fs::File::open(format!("/proc/{pid}/maps"))?.take(MOST_MAPS_BYTES);
    let mut executable_bytes = 0_u64;
    for line in BufReader::new(maps).split(b'\n') {
        let line = line?;
        let Some(mapping) = executable(&line) else {
            continue;
        };
        match mapping.file {
            Some(file) if observed.maps.len() < MAX_FILES => {
                if !observed.maps.contains(&file) {
                    observed.maps.push(file);
                }
            }
            Some(_) => {}
            None => executable_bytes = executable_bytes.saturating_add(mapping.bytes),
        }
    }
    observed.executable_mib = executable_bytes >> 20;
    Ok(observed)
}

/// `HugetlbPages:` of `/proc/PID/status` (Linux 4.4): memory in pages of the pool.
fn huge_kib(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("HugetlbPages:"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

struct Mapping {
    bytes: u64,
    /// The name of its file without folder. `None` where it is of no file that has one.
    file: Option<String>,
}

/// Reads a line of `/proc/PID/maps` (proc_pid_maps(5)): `START-END PERMS OFFSET DEV INODE PATH`.
fn executable(line: &[u8]) -> Option<Mapping> {
    let line = String::from_utf8_lossy(line);
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    if !fields.next()?.contains('x') {
        return None;
    }
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let path = fields.nth(3).unwrap_or_default().trim_start();
    // The kernel's own pages, which every process has.
    if path.starts_with("[v") {
        return None;
    }
    let file = match path.strip_prefix('/') {
        Some(path) if !path.starts_with("memfd:") => path.rsplit('/').next(),
        _ => None,
    };
    Some(Mapping {
        bytes: end.saturating_sub(start),
        file: file.map(|file| file.trim_end_matches(" (deleted)").to_owned()),
    })
}

/// Whether it has a graphics card open to compute on it.
fn has_card_open(pid: u32) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    entries
        .flatten()
        .take(MAX_DESCRIPTORS)
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|file| is_card(&file.to_string_lossy())))
}

/// The devices by which a card computes: NVIDIA's memory manager, AMD's compute driver. Drawing opens
/// others.
fn is_card(file: &str) -> bool {
    matches!(file, "/dev/nvidia-uvm" | "/dev/kfd")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(line: &str) -> Option<(u64, Option<String>)> {
        executable(line.as_bytes()).map(|mapping| (mapping.bytes, mapping.file))
    }

    #[test]
    fn mappings_are_told_apart() {
        assert_eq!(
            mapped(
                "7f0000000000-7f0000002000 r-xp 00001000 08:01 42                 /usr/lib/libm.so.6"
            ),
            Some((0x2000, Some("libm.so.6".to_owned())))
        );
        assert_eq!(
            mapped("7f0000000000-7f0000002000 rwxp 00000000 00:00 0 "),
            Some((0x2000, None))
        );
        assert_eq!(
            mapped("7f0000000000-7f0000002000 r-xp 00000000 00:01 9   /memfd:x y (deleted)"),
            Some((0x2000, None))
        );
        assert_eq!(
            mapped("7f0000000000-7f0000002000 r-xp 00000000 00:01 9   /tmp/a b (deleted)"),
            Some((0x2000, Some("a b".to_owned())))
        );
        assert_eq!(
            mapped("7f0000000000-7f0000002000 rw-p 00000000 00:00 0 [heap]"),
            None
        );
        assert_eq!(
            mapped("7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]"),
            None
        );
        assert_eq!(mapped("nonsense"), None);
    }

    #[test]
    fn use_and_huge_pages_are_read() {
        let stat = b"17 (a) R 1) S 3 4 5 0 -1 0 0 0 0 0 120 30 0 0 20 0 1 0 777 0 0";
        assert_eq!(parse_ticks(stat), Some(150));
        assert_eq!(
            huge_kib("Name:\tx\nHugetlbPages:\t 2392064 kB\n"),
            2_392_064
        );
        assert_eq!(huge_kib("Name:\tx\n"), 0);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let observed = at(std::process::id()).expect("it runs");
        assert!(observed.maps.iter().any(|file| file.starts_with("libc")));
        assert!(!observed.uses_gpu);
    }
}

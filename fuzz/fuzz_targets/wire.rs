//! Any bytes are packets of any link; a login is found however it is cut and whatever follows.

#![no_main]

use davylamp_detect::indicator::Indicators;
use davylamp_detect::wire::{Judge, Link, payload};
use libfuzzer_sys::fuzz_target;

const LINKS: [Link; 5] = [
    Link::Ethernet,
    Link::Ip,
    Link::Loopback,
    Link::LinuxCooked,
    Link::LinuxCooked2,
];

fuzz_target!(|bytes: &[u8]| {
    let indicators = Indicators::default();
    let mut judge = Judge::new(&indicators);
    let mut signs = Vec::new();
    // Each packet: a byte for its link, one for its length.
    let (mut rest, mut time) = (bytes, 0);
    while let [link, length, behind @ ..] = rest {
        let (packet, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        judge.packet(
            time,
            LINKS[usize::from(*link) % LINKS.len()],
            packet,
            &mut signs,
        );
        time += 1_000_000_000;
        rest = behind;
    }
    judge.finish(&mut signs);
    let middle = bytes.len() / 2;
    payload(&bytes[..middle], &bytes[middle..]);
});

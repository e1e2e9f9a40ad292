//! Any bytes that begin as a capture are read to an end that is told.

#![no_main]

use davylamp_detect::indicator::Indicators;
use davylamp_detect::wire::{
    Judge,
    capture::{self, Form},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let indicators = Indicators::default();
    for form in [Form::Pcap, Form::PcapNg] {
        let mut count = 0_u64;
        let read = capture::read::<()>(form, bytes, Judge::new(&indicators), &mut |_| {
            count += 1;
            Ok(())
        });
        let tally = read.expect("nothing refuses a sign");
        assert!(tally.read + tally.other + tally.unreadable <= bytes.len() as u64);
    }
});

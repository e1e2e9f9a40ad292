//! Any bytes in the event buffer are an event or an error, and an event's texts are the bytes'.

#![no_main]

use davylamp_guard::abi::EventHeader;
use davylamp_guard::event::KernelEvent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = KernelEvent::decode(bytes) else {
        return;
    };
    let texts = bytes
        .get(size_of::<EventHeader>()..)
        .expect("an event has a header");
    let taken = event.arguments.len() + event.path.len() + event.environment.len();
    assert!(taken <= texts.len(), "more text than there is");
    assert!(texts.starts_with(&event.arguments));
    assert!(event.exe.starts_with('/') && event.cgroup_path.starts_with('/'));
    assert!(!event.executable().contains('/'));
    assert!(event.ancestors.len() <= davylamp_guard::abi::EVENT_ANCESTORS);
    assert!(event.ancestors.iter().all(|(pid, _)| *pid != 0));
});

//! The console as a process of its own, while everything goes wrong: it is killed, its database is killed,
//! the disk is full, and senders are hostile.

mod console;
mod deaths;
mod hostile;
mod senders;
mod trouble;

use std::time::{Duration, Instant};

/// Waits for a condition.
fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {within:?}");
        #[expect(
            clippy::disallowed_methods,
            reason = "waits on a condition with a deadline"
        )]
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

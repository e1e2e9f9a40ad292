//! How far a check is, on a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use davylamp_casework::integrity::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

/// How often it is shown.
const EVERY_MS: u64 = 200;

/// Bytes, files and their rate, where stderr is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    ticking: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts showing a check.
    pub fn start(watch: &Arc<Watch>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
                ticking: None,
            };
        }
        let form = "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {msg}";
        let style =
            ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style);
        let (watch, shown) = (Arc::clone(watch), bar.clone());
        let ticking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(EVERY_MS));
            loop {
                ticks.tick().await;
                shown.set_length(watch.total_bytes.load(Ordering::Relaxed));
                shown.set_position(watch.bytes.load(Ordering::Relaxed));
                shown.set_message(format!("{} files", watch.files.load(Ordering::Relaxed)));
            }
        });
        Self {
            bar,
            ticking: Some(ticking),
        }
    }

    /// Takes it off the terminal.
    pub fn end(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(ticking) = &self.ticking {
            ticking.abort();
        }
        self.bar.finish_and_clear();
    }
}

//! How far a query, a run of hunts or a conversion is, on a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use davylamp_hunt::tally::Run;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

/// How often it is shown.
const EVERY_MS: u64 = 200;

/// Bytes, records and their rate, where stderr is a terminal.
pub struct Progress {
    bar: ProgressBar,
    ticking: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts showing a run over so many bytes.
    pub fn start(run: &Arc<Run>, bytes: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
                ticking: None,
            };
        }
        let form = "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {msg}";
        let style =
            ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        let (total, bar) = (bytes, ProgressBar::new(bytes).with_style(style));
        let (run, shown) = (Arc::clone(run), bar.clone());
        let ticking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(EVERY_MS));
            loop {
                ticks.tick().await;
                let (bytes, records) = run.progress();
                shown.set_position(bytes);
                let seconds = shown.elapsed().as_secs_f64().max(0.001);
                let rate = records as f64 / seconds;
                let left = match bytes < total {
                    true => format!("{:#} left", HumanDuration(shown.eta())),
                    false => "working it out".to_owned(),
                };
                shown.set_message(format!("{records} records, {rate:.0}/s, {left}"));
            }
        });
        Self {
            bar,
            ticking: Some(ticking),
        }
    }

    /// Does something that prints, with the bar out of its way.
    pub fn pause<T>(&self, does: impl FnOnce() -> T) -> T {
        self.bar.suspend(does)
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

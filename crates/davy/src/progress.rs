//! How far long work is, on a terminal; nothing where stderr is none.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use davylamp_hunt::tally::Run;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

/// How often it is shown.
const EVERY_MS: u64 = 200;

/// The form of a bar of bytes.
pub const BYTES: &str =
    "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {msg}";

/// A bar in indicatif's form, hidden where stderr is no terminal.
pub fn bar(total: u64, form: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

/// A bar that is taken off the terminal when it is dropped.
pub struct Progress {
    bar: ProgressBar,
    ticking: Option<JoinHandle<()>>,
}

impl Progress {
    /// A bar that is told how far the work is.
    pub fn told(total: u64, form: &str) -> Self {
        Self {
            bar: bar(total, form),
            ticking: None,
        }
    }

    /// A bar that looks by itself.
    pub fn watching(
        total: u64,
        form: &str,
        mut look: impl FnMut(&ProgressBar) + Send + 'static,
    ) -> Self {
        let bar = bar(total, form);
        if bar.is_hidden() {
            return Self { bar, ticking: None };
        }
        let shown = bar.clone();
        let ticking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(EVERY_MS));
            loop {
                ticks.tick().await;
                look(&shown);
            }
        });
        Self {
            bar,
            ticking: Some(ticking),
        }
    }

    /// Bytes, records and their rate of a run over so many bytes.
    pub fn reading(run: &Arc<Run>, bytes: u64) -> Self {
        let run = Arc::clone(run);
        Self::watching(bytes, BYTES, move |bar| {
            let (done, records) = run.progress();
            bar.set_position(done);
            let seconds = bar.elapsed().as_secs_f64().max(0.001);
            let rate = records as f64 / seconds;
            let left = match done < bytes {
                true => format!("{:#} left", HumanDuration(bar.eta())),
                false => "working it out".to_owned(),
            };
            bar.set_message(format!("{records} records, {rate:.0}/s, {left}"));
        })
    }

    /// So many of so many are done.
    pub fn at(&self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
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

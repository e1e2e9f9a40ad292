//! What several tests use.

use davylamp_content::blocklist::{self, Blocklist, Warning};
use davylamp_content::{Faults, Problem, Source};

mod render;

pub use render::render_all;

pub fn parse(files: &[(&str, &str)]) -> Result<(Blocklist, Vec<Warning>), Faults> {
    let sources: Vec<_> = files
        .iter()
        .map(|(name, text)| Source { name, text })
        .collect();
    blocklist::parse(&sources)
}

/// The codes of problems with their places, for tests that do not care about words.
#[allow(
    dead_code,
    reason = "not every test that includes this module needs it"
)]
pub fn codes(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| {
            let record = problem.record();
            format!("{} {}:{}", record.code, record.line, record.column)
        })
        .collect()
}

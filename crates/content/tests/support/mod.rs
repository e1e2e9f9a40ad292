//! What several tests use.

use davylamp_content::blocklist::{self, Blocklist, Warning};
use davylamp_content::{Faults, Problem, Source};
use miette::{GraphicalReportHandler, GraphicalTheme};

pub fn parse(files: &[(&str, &str)]) -> Result<(Blocklist, Vec<Warning>), Faults> {
    let sources: Vec<_> = files
        .iter()
        .map(|(name, text)| Source { name, text })
        .collect();
    blocklist::parse(&sources)
}

/// A problem as a terminal without colours shows it.
pub fn render(problem: &Problem) -> String {
    let mut rendered = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .with_links(false)
        .render_report(&mut rendered, problem)
        .unwrap();
    rendered
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

pub fn render_all(problems: &[Problem]) -> String {
    problems.iter().map(render).collect()
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

//! Problems as users see them.

use davylamp_content::Problem;
use miette::{GraphicalReportHandler, GraphicalTheme};

/// A problem as a terminal without colours shows it.
fn render(problem: &Problem) -> String {
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

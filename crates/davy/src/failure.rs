//! Why a verb could not complete, and how that is printed: what went wrong, what was behind it,
//! and what to do next.

use std::io::Write;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, Report};

use crate::output::{ColourChoice, columns};

/// The exit code of every failure.
pub const COULD_NOT_COMPLETE: u8 = 2;

/// Why a verb could not complete.
#[derive(Debug)]
pub enum Failure {
    /// An error that brings its places and its help along.
    Diagnostic(Report),
    /// Any other error, with the next step.
    Plain {
        /// The error, with what was behind it.
        error: anyhow::Error,
        /// What to do next.
        hint: String,
    },
}

impl Failure {
    /// An error with the next step.
    pub fn new(error: anyhow::Error, hint: impl Into<String>) -> Self {
        Self::Plain {
            error,
            hint: hint.into(),
        }
    }

    /// What went wrong, with what was behind it, on one line.
    pub fn said(&self) -> String {
        match self {
            Self::Diagnostic(report) => report.to_string(),
            Self::Plain { error, .. } => format!("{error:#}"),
        }
    }

    /// Prints it on stderr.
    pub fn print(&self, colour: ColourChoice) {
        let text = self.render(colour.on_stderr());
        // Where stderr is closed there is nobody to tell; the exit code still says it.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn render(&self, colour: bool) -> String {
        match self {
            Self::Diagnostic(report) => render_diagnostic(report.as_ref(), colour),
            Self::Plain { error, hint } => {
                let title = if colour {
                    "\u{1b}[1;31merror:\u{1b}[0m"
                } else {
                    "error:"
                };
                let mut text = format!("{title} {error}\n");
                // Many libraries repeat in each error what was behind it.
                let mut before = error.to_string();
                for cause in error.chain().skip(1).map(ToString::to_string) {
                    if !before.contains(&cause) {
                        text.push_str(&format!("  because: {cause}\n"));
                        before = cause;
                    }
                }
                text.push_str(&format!("  hint: {hint}\n"));
                text
            }
        }
    }
}

impl<E: Diagnostic + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Diagnostic(Report::new(error))
    }
}

/// A diagnostic with the lines of text it is about, and its help.
pub fn render_diagnostic(diagnostic: &dyn Diagnostic, colour: bool) -> String {
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(usize::from(columns()))
        .with_links(false);
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => text,
        // The place cannot be shown; what is wrong still can.
        Err(_) => format!("error: {diagnostic}\n"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn the_chain_is_printed_and_the_hint_comes_last() {
        let error = Err::<(), _>(std::io::Error::other("no room"))
            .context("cannot write")
            .expect_err("it is one");
        let failure = Failure::new(error, "make room");
        insta::assert_snapshot!(failure.render(false), @r"
        error: cannot write
          because: no room
          hint: make room
        ");
        assert!(
            failure
                .render(true)
                .starts_with("\u{1b}[1;31merror:\u{1b}[0m cannot write")
        );
    }
}

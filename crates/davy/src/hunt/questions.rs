//! Questions that come through standard input, one after another over the same logs.
//!
//! What must stay true: a question that is wrong ends nothing but itself; what was not read is said
//! after each, as after a single query.

use std::borrow::Cow;
use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use davylamp_hunt::objects::Where;

use super::args::{Output, SqlArgs};
use crate::failure::{COULD_NOT_COMPLETE, Failure};
use crate::output::ColourChoice;

/// More than this of standard input is no list of questions.
const MAX_BYTES: u64 = 1024 * 1024;

/// Each is asked, and the worst of their exit codes is that of all.
pub(super) async fn ask(args: &SqlArgs) -> Result<ExitCode, Failure> {
    if args.logs.logs.iter().any(|it| it.at == Where::Stdin) {
        return Err(Failure::new(
            anyhow!("logs and questions cannot both come from standard input"),
            "give the query as an argument, or the logs as a file",
        ));
    }
    if args.output == Output::Parquet {
        return Err(Failure::new(
            anyhow!("--output parquet takes one query"),
            "give it as an argument",
        ));
    }
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text);
    read.context("standard input cannot be read")
        .and_then(|bytes| match bytes as u64 > MAX_BYTES {
            true => Err(anyhow!("standard input has more than {MAX_BYTES} bytes")),
            false => Ok(()),
        })
        .map_err(|error| Failure::new(error, "give SQL, each question ended by a semicolon"))?;
    let (mut questions, rest) = split(&text);
    questions.extend(Some(rest).filter(|rest| !is_blank(rest)));
    if questions.is_empty() {
        return Err(Failure::new(
            anyhow!("there is no question"),
            "give a query as an argument, or through standard input",
        ));
    }
    let engine = super::open(&args.logs).await?;
    let mut worst = 0;
    for question in questions {
        match super::ask(&engine, question, args.output, None, args.logs.strict).await {
            Ok(code) => worst = worst.max(code),
            Err(failure) => {
                failure.print(ColourChoice::Auto);
                worst = COULD_NOT_COMPLETE;
            }
        }
    }
    Ok(ExitCode::from(worst))
}

/// Whether there is nothing but space and comments.
fn is_blank(text: &str) -> bool {
    without_comments(text).trim().is_empty()
}

/// The questions that are ended by a semicolon, and what follows the last. One within quotes or a
/// comment ends none.
fn split(text: &str) -> (Vec<&str>, &str) {
    let mut questions = Vec::new();
    let mut start = 0;
    for (at, part) in parts(text) {
        if part == ";" {
            questions.push(&text[start..at]);
            start = at + 1;
        }
    }
    questions.retain(|question| !is_blank(question));
    (questions, &text[start..])
}

fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.contains("--") && !text.contains("/*") {
        return Cow::Borrowed(text);
    }
    let is_comment = |part: &str| part.starts_with("--") || part.starts_with("/*");
    let kept = parts(text)
        .into_iter()
        .filter(|(_, part)| !is_comment(part));
    Cow::Owned(kept.map(|(_, part)| part).collect())
}

/// The text in parts, each with where it starts: a string, a quoted name, a comment, a semicolon, or
/// what stands between them. One that has no end goes to that of the text.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut at, mut plain) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let up_to = |end: &str, opening: usize| {
            let found = rest[opening..].find(end);
            found.map_or(rest.len(), |found| opening + found + end.len())
        };
        let length = match rest.as_bytes() {
            // A doubled quote within is two strings side by side, which splits as one would.
            [b'\'', ..] => up_to("'", 1),
            [b'"', ..] => up_to("\"", 1),
            [b'-', b'-', ..] => up_to("\n", 2),
            [b'/', b'*', ..] => up_to("*/", 2),
            [b';', ..] => 1,
            _ => {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            }
        };
        if plain < at {
            parts.push((plain, &text[plain..at]));
        }
        parts.push((at, &rest[..length]));
        at += length;
        plain = at;
    }
    if plain < text.len() {
        parts.push((plain, &text[plain..]));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_ends_with_a_semicolon_outside_quotes_and_comments() {
        for (text, questions, rest) in [
            ("SELECT 1; SELECT 2", vec!["SELECT 1"], " SELECT 2"),
            ("SELECT ';', \"a;b\";", vec!["SELECT ';', \"a;b\""], ""),
            ("SELECT 'it''s; so';", vec!["SELECT 'it''s; so'"], ""),
            (
                "SELECT 1 -- one; two\n;",
                vec!["SELECT 1 -- one; two\n"],
                "",
            ),
            ("SELECT /* a; b */ 1;;  ;", vec!["SELECT /* a; b */ 1"], ""),
            ("SELECT 'open; ", vec![], "SELECT 'open; "),
            ("SELECT 'ü;'; é", vec!["SELECT 'ü;'"], " é"),
            ("-- nothing\n", vec![], "-- nothing\n"),
            ("", vec![], ""),
        ] {
            assert_eq!(split(text), (questions, rest), "{text}");
        }
        for blank in ["", " \n", "-- a; b", "/* a */ ", "/* open"] {
            assert!(is_blank(blank), "{blank}");
        }
        assert!(!is_blank("-- a\n1"));
    }
}

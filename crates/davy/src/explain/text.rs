//! Explanations for reading. Whatever came from a command line is shown so that it cannot move the
//! cursor or colour the terminal.

use std::fmt::Write;
use std::ops::Range;

use davylamp_model::guard_event::Mode;

use super::answer::{
    Bearing, Decision, DetectionReport, Explanation, MatchReport, PatternReport, ScopeReport,
    Verdict,
};

/// How many bytes are shown on each side of a match.
const CONTEXT_BYTES: usize = 40;

/// How many bytes of a command line are shown as a whole.
const MAX_LINE_BYTES: usize = 400;

/// More matches than this are counted instead of shown.
const MAX_SHOWN: usize = 10;

/// The whole explanation, ending in a line end.
pub fn render(explanation: &Explanation, colour: bool) -> String {
    let mut out = String::new();
    let line = &*explanation.line;
    let kept = boundary(line, line.len().min(MAX_LINE_BYTES));
    let cut = match line.len() - kept {
        0 => String::new(),
        bytes => format!(" … and {bytes} bytes more"),
    };
    line_of(
        &mut out,
        "command line",
        &format!("{}{cut}", shown(&line[..kept])),
    );
    matches(&mut out, explanation, colour);
    detections(&mut out, explanation);
    near_misses(&mut out, explanation);
    if !explanation.allow_patterns.is_empty() {
        out.push_str("\nallow patterns\n");
        for report in &explanation.allow_patterns {
            pattern(&mut out, report);
        }
    }
    out.push('\n');
    if let Some(decision) = explanation.decided_by {
        let says = match decision {
            Decision::Kernel => "decides alone",
            Decision::Hold => {
                "holds the process before its first instruction until the agent has looked"
            }
        };
        line_of(&mut out, "kernel", says);
    }
    let (word, paint) = match (explanation.verdict, explanation.mode) {
        (Verdict::Clean, _) => ("clean", "32"),
        (Verdict::Spared, _) => ("spared", "33"),
        (Verdict::Killed, Mode::Enforce) => ("killed", "31"),
        (Verdict::Killed, Mode::Observe) => {
            ("would be killed, if the guard did not only observe", "31")
        }
    };
    let word = if colour {
        format!("\u{1b}[1;{paint}m{word}\u{1b}[0m")
    } else {
        word.into()
    };
    line_of(
        &mut out,
        "verdict",
        &format!("{word}: {}", explanation.because),
    );
    out
}

fn line_of(out: &mut String, title: &str, says: &str) {
    put(out, format_args!("{title:<14}{says}\n"));
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

fn matches(out: &mut String, explanation: &Explanation, colour: bool) {
    if explanation.matches.is_empty() {
        return;
    }
    out.push_str("\nmatches\n");
    for found in explanation.matches.iter().take(MAX_SHOWN) {
        one_match(out, found, colour);
    }
    let more = explanation.match_count.saturating_sub(MAX_SHOWN);
    if more > 0 {
        put(out, format_args!("  and {more} more\n"));
    }
}

fn one_match(out: &mut String, found: &MatchReport, colour: bool) {
    let (region, start, end) = (found.region, found.start, found.end);
    put(
        out,
        format_args!(
            "  `{}` in the {region}, bytes {start} to {end}\n",
            found.string
        ),
    );
    let (line, before, width) = excerpt(&found.text, start..end);
    let mark = "^".repeat(width);
    let mark = if colour {
        format!("\u{1b}[1;31m{mark}\u{1b}[0m")
    } else {
        mark
    };
    put(
        out,
        format_args!("      {line}\n      {}{mark}\n", " ".repeat(before)),
    );
    put(out, format_args!("    group   {}\n", found.group));
    if let Some(reason) = &found.reason {
        put(out, format_args!("    reason  {reason}\n"));
    }
    put(
        out,
        format_args!("    from    {}\n", shown(found.origin.as_bytes())),
    );
}

fn detections(out: &mut String, explanation: &Explanation) {
    if explanation.detections.is_empty() {
        return;
    }
    out.push_str("\ndetections\n");
    for found in &explanation.detections {
        let DetectionReport {
            detection,
            action,
            score,
            ..
        } = found;
        put(
            out,
            format_args!(
                "  {detection}: {action}, score {score}: `{}`\n      {}\n",
                shown(found.matched.as_bytes()),
                shown(found.why.as_bytes())
            ),
        );
    }
}

fn near_misses(out: &mut String, explanation: &Explanation) {
    if !explanation.near_misses_searched {
        out.push_str("\nnear misses were not looked for in so long a command line\n");
    }
    if explanation.near_misses.is_empty() {
        return;
    }
    out.push_str("\nnear misses, which do not count\n");
    for near in &explanation.near_misses {
        let (string, group) = (&near.string, &near.group);
        let word = shown(near.word.as_bytes());
        put(
            out,
            format_args!("  `{string}` (group {group}) is only part of the longer word `{word}`\n"),
        );
    }
}

fn pattern(out: &mut String, report: &PatternReport) {
    let scope = scope(&report.scope);
    let says = match report.bearing {
        Bearing::Applies if scope.is_empty() => "matches, and counts everywhere".to_owned(),
        Bearing::Applies => format!("matches, and counts here: {scope}"),
        Bearing::Elsewhere => format!("matches, but counts only where {scope}"),
        Bearing::CouldApply => "does not match, but the kernel cannot tell by itself".to_owned(),
    };
    put(out, format_args!("  `{}` {says}\n", report.pattern));
    put(out, format_args!("    group   {}\n", report.group));
    put(
        out,
        format_args!("    from    {}\n", shown(report.origin.as_bytes())),
    );
}

fn scope(scope: &ScopeReport) -> String {
    let named = [
        ("namespace", &scope.namespace),
        ("image", &scope.image),
        ("container", &scope.container),
    ];
    let mut parts: Vec<String> = named
        .into_iter()
        .filter_map(|(key, glob)| Some(format!("{key} is `{}`", glob.as_ref()?)))
        .collect();
    if scope.host {
        parts.push("it runs on the host".into());
    }
    parts.join(" and ")
}

/// The surroundings of a span, how many characters stand before it there, and how wide it is.
fn excerpt(text: &[u8], span: Range<usize>) -> (String, usize, usize) {
    let start = boundary(text, span.start.saturating_sub(CONTEXT_BYTES));
    let end = boundary(text, (span.end + CONTEXT_BYTES).min(text.len()));
    let before = format!(
        "{}{}",
        if start > 0 { "…" } else { "" },
        shown(&text[start..span.start])
    );
    let within = shown(&text[span.clone()]);
    let after = shown(&text[span.end..end.max(span.end)]);
    let rest = if end < text.len() { "…" } else { "" };
    let widths = (before.chars().count(), within.chars().count());
    (format!("{before}{within}{after}{rest}"), widths.0, widths.1)
}

/// The nearest start of a character at or before `at`.
fn boundary(text: &[u8], at: usize) -> usize {
    let is_start = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
    // A character has at most four bytes; in what is not text any place is as good.
    (at.saturating_sub(3)..=at)
        .rev()
        .find(is_start)
        .unwrap_or(at)
}

/// Bytes as they can be shown on one line.
fn shown(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            // Directions of writing can disguise a text as well as control characters can.
            let disguises = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if c.is_control() || disguises {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            put(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], span: Range<usize>, line: &str, mark: &str) {
        let (shown, before, width) = excerpt(text, span);
        assert_eq!(shown, line);
        assert_eq!(format!("{}{}", " ".repeat(before), "^".repeat(width)), mark);
    }

    #[test]
    fn a_match_is_underlined_where_it_is_shown() {
        check(b"abc def ghi", 4..7, "abc def ghi", "    ^^^");
        check("é def".as_bytes(), 3..6, "é def", "  ^^^");
        check(b"\x1b[31m def", 6..9, "\\u{1b}[31m def", "           ^^^");
        check(b"\xff def\n", 2..5, "\\xff def\\n", "     ^^^");
    }

    #[test]
    fn a_long_line_is_cut_on_both_sides_between_characters() {
        let text = format!("{}def{}", "é".repeat(100), "é".repeat(100));
        let line = format!("…{}def{}…", "é".repeat(20), "é".repeat(20));
        check(
            text.as_bytes(),
            200..203,
            &line,
            &format!("{}^^^", " ".repeat(21)),
        );
    }

    #[test]
    fn any_span_of_any_bytes_can_be_shown() {
        let mut text = Vec::from("é😀\u{202e}a b\n".repeat(8));
        text.extend([0xff, 0x80, 0xc3, 0x00, 0xf0, 0x9f]);
        text.extend_from_within(..);
        for start in 0..text.len() {
            for end in start..=text.len() {
                let (line, before, width) = excerpt(&text, start..end);
                assert!(before + width <= line.chars().count(), "{start}..{end}");
                assert!(!line.chars().any(char::is_control), "{start}..{end}");
            }
        }
    }

    #[test]
    fn what_disguises_text_is_spelt_out() {
        assert_eq!(
            shown("a\u{202e}b\u{200b}\t\0".as_bytes()),
            r"a\u{202e}b\u{200b}\t\u{0}"
        );
    }
}

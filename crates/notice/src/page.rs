//! What every form of a notice shows, in the order in which it is read: one place decides what is
//! said, so that mail, chat and page say the same.

use super::show::{LINE_CHARS, LIST_ENTRIES, TITLE_CHARS, line, more, some};
use super::{Kind, Notice, Summary};
use davylamp_model::finding::Severity;

/// A notice with every value visible and bounded, not yet encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub subject: String,
    pub title: String,
    pub facts: Vec<(&'static str, String)>,
    pub sections: Vec<Section>,
    /// Label and address.
    pub links: Vec<(String, String)>,
}

/// A heading and its lines, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub heading: &'static str,
    pub lines: Vec<Line>,
    /// How many lines are left out after these.
    pub cut: usize,
}

impl Section {
    /// The lines, and one that counts what is left out.
    pub fn all_lines(&self) -> Vec<Line> {
        self.fitting(usize::MAX, |_| 0)
    }

    /// As many whole lines as there is room for, and one that counts the others. `size` is what a
    /// line takes of the room. The first is always there: what reads it has a limit for its length.
    pub fn fitting(&self, room: usize, size: impl Fn(&Line) -> usize) -> Vec<Line> {
        let mut left = room;
        let mut shown = Vec::new();
        for line in &self.lines {
            let takes = size(line);
            if takes > left && !shown.is_empty() {
                break;
            }
            left = left.saturating_sub(takes);
            shown.push(line.clone());
        }
        let cut = self.cut + self.lines.len() - shown.len();
        if cut > 0 {
            shown.push(Line::of(&more(cut), LINE_CHARS));
        }
        shown
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub text: String,
    pub command: Option<String>,
}

impl Line {
    fn of(text: &str, chars: usize) -> Self {
        Self {
            text: line(text, chars),
            command: None,
        }
    }
}

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// The subject, on one line: what can inject a mail header is not in it.
pub(super) fn subject(notice: &Notice) -> String {
    let mut subject = format!(
        "[davylamp] {} {}: {}",
        severity(notice.severity),
        notice.kind.label(),
        line(&notice.title, TITLE_CHARS)
    );
    if let Some(incident) = &notice.incident {
        subject.push_str(&format!(" ({})", line(incident.as_str(), 40)));
    }
    subject
}

impl Page {
    /// With as many entries of each list as are ever shown.
    pub fn of(notice: &Notice) -> Self {
        Self::with(notice, LIST_ENTRIES)
    }

    /// With at most so many entries of each list.
    pub fn with(notice: &Notice, entries: usize) -> Self {
        Self::sized(notice, entries, LINE_CHARS)
    }

    /// The same with at most so many characters in a line.
    pub fn sized(notice: &Notice, entries: usize, chars: usize) -> Self {
        let mut facts = vec![
            ("kind", notice.kind.label().to_owned()),
            ("severity", severity(notice.severity).to_owned()),
        ];
        if let Some(incident) = &notice.incident {
            facts.push(("incident", line(incident.as_str(), chars)));
        }
        if let Some(place) = &notice.place {
            facts.push(("account", line(place.account.as_str(), chars)));
            facts.push(("region", line(place.region.as_str(), chars)));
        }
        facts.push(("written", notice.at.to_string()));
        let (links, links_cut) = some(&notice.links, entries);
        let mut links: Vec<_> = links
            .iter()
            .map(|link| (line(&link.label, chars), line(&link.url, 2 * chars)))
            .collect();
        if links_cut > 0 {
            links.push((more(links_cut), String::new()));
        }
        Self {
            subject: subject(notice),
            title: line(&notice.title, TITLE_CHARS),
            facts,
            sections: sections(notice, entries, chars),
            links,
        }
    }
}

fn sections(notice: &Notice, entries: usize, chars: usize) -> Vec<Section> {
    let plain =
        |heading, list: &[String]| section(heading, list, entries, |text| Line::of(text, chars));
    let mut sections = vec![
        section("Incidents", &notice.incidents, entries, |summary| {
            Line::of(&summarised(summary), chars)
        }),
        plain("Found", &notice.found),
        plain("Done", &notice.done),
        section("Not done", &notice.not_done, entries, |it| {
            Line::of(&format!("{} because: {}", it.what, it.why), chars)
        }),
        plain("Waiting for", &notice.waiting),
        plain("Who", &notice.who),
        plain("Cost so far", &notice.cost),
        section("Next steps", &notice.next, entries, |step| Line {
            text: line(&step.what, chars),
            command: step.command.as_ref().map(|text| line(text, chars)),
        }),
    ];
    // That nothing was done, or nothing left out, is said too; in a report, silence is no answer.
    let says_all = notice.kind == Kind::Report;
    sections.retain_mut(|section| {
        if section.lines.is_empty() && says_all {
            let nothing = match section.heading {
                "Done" | "Not done" => "nothing",
                "Who" => "not known",
                _ => return false,
            };
            section.lines.push(Line::of(nothing, chars));
        }
        !section.lines.is_empty()
    });
    sections
}

fn section<T>(
    heading: &'static str,
    list: &[T],
    entries: usize,
    show: impl Fn(&T) -> Line,
) -> Section {
    let (shown, cut) = some(list, entries);
    Section {
        heading,
        lines: shown.iter().map(show).collect(),
        cut,
    }
}

fn summarised(summary: &Summary) -> String {
    let incident = summary.incident.as_ref().map_or("-", |id| id.as_str());
    let place = summary.place.as_ref().map_or_else(
        || "-".to_owned(),
        |place| format!("{}/{}", place.account, place.region),
    );
    let title = format!(
        "{incident} {} {} {place}: {}",
        severity(summary.severity),
        summary.kind.label(),
        summary.title
    );
    match (summary.done, summary.not_done, summary.waiting) {
        (0, 0, 0) => title,
        (done, not_done, waiting) => {
            format!("{title} ({done} done, {not_done} not done, {waiting} waiting)")
        }
    }
}

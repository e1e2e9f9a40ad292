//! What a list would have made of one finding, beside what was made of it.

use davylamp_content::blocklist::Place;
use davylamp_detect::judge::{Judge, Ruling, Subject};
use davylamp_ledger::Taken;
use davylamp_ledger::query::FindingView;
use davylamp_model::container::{LABEL_CONTAINER, LABEL_NAMESPACE};
use serde_json::Value;

/// The types of what lists find; other killed processes were killed by detections, which no list undoes.
const BY_LIST: [&str; 2] = [
    "Davylamp:Guard/mining-command-line",
    "Davylamp:Guard/banned-command",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Became {
    Newly,
    NoLonger,
    Spared,
    Unsure,
    Same,
}

impl Became {
    pub(super) const ALL: [Self; 5] = [
        Self::Newly,
        Self::NoLonger,
        Self::Spared,
        Self::Unsure,
        Self::Same,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Newly => "Newly killed",
            Self::NoLonger => "No longer killed",
            Self::Spared => "Spared by a pattern",
            Self::Unsure => "Cannot be told",
            Self::Same => "As before",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Newly => "would be killed, and were not",
            Self::NoLonger => "were killed by a list, and would not be",
            Self::Spared => "were killed by a list, and a pattern would spare them",
            Self::Unsure => {
                "cannot be told: they have no command line, or only its beginning is known"
            }
            Self::Same => "as before",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Newly => "badge act-killed",
            Self::NoLonger => "badge loud",
            Self::Spared | Self::Unsure => "badge warn",
            Self::Same => "badge",
        }
    }

    /// Whether somebody has to look at each.
    pub(super) fn is_shown(self) -> bool {
        !matches!(self, Self::Same | Self::Unsure)
    }
}

pub(super) fn command(view: &FindingView) -> Option<&str> {
    let observed = &view.record.as_ref()?.finding.observed;
    // Not its executable, as a list of findings would show: that is no command line.
    let line = observed.iter().find(|seen| seen.what == "command-line");
    line.map(|seen| seen.value.as_str())
}

/// What it becomes, and what makes it so.
pub(super) fn judged(judge: &Judge, view: &FindingView) -> (Became, String) {
    let (Some(record), Some(command)) = (&view.record, command(view)) else {
        return (Became::Unsure, String::new());
    };
    let line: Option<Value> = record
        .line
        .as_deref()
        .and_then(|line| serde_json::from_str(line).ok());
    let member = |name: &str| line.as_ref().and_then(|line| line.get(name));
    let text = |name: &str| member(name).and_then(Value::as_str);
    let label = |name: &str| member("labels").and_then(|labels| labels.get(name)?.as_str());
    let path = text("exe").unwrap_or_default();
    let subject = Subject {
        arguments: command.as_bytes(),
        path: path.as_bytes(),
        executable: path.rsplit('/').next().unwrap_or_default().as_bytes(),
        environment: &[],
    };
    let place = Place {
        namespace: label(LABEL_NAMESPACE),
        image: text("image"),
        container: label(LABEL_CONTAINER),
        // A guard's line names the container where there is one.
        is_host: member("cgroup").is_some() && member("container_id").is_none(),
    };
    let was_killed = matches!(
        record.taken,
        Taken::Killed | Taken::WouldKill | Taken::Missed
    );
    let by_list = was_killed && BY_LIST.contains(&record.finding.kind.as_str());
    let is_cut = member("cmdline_cut_from_bytes").is_some_and(|cut| !cut.is_null());
    let before = || {
        let matched = record
            .finding
            .observed
            .iter()
            .find(|seen| seen.what == "matched");
        matched.map_or_else(String::new, |seen| format!("{} is not banned", seen.value))
    };
    match judge.rule(&subject, &place) {
        Ruling::Banned { .. } if was_killed => (Became::Same, String::new()),
        // What is held is decided in a later line.
        Ruling::Banned { .. } if record.taken == Taken::Held => (Became::Same, String::new()),
        Ruling::Banned { found } => {
            let facts = judge.string(found.string);
            let why = facts.map(|facts| format!("{} of {}", facts.banned.text, facts.group));
            (Became::Newly, why.unwrap_or_default())
        }
        Ruling::Allowed { by, .. } if by_list => {
            (Became::Spared, format!("{} of {}", by.pattern, by.group))
        }
        Ruling::Clean if is_cut && by_list => (Became::Unsure, String::new()),
        Ruling::Clean if by_list => (Became::NoLonger, before()),
        Ruling::Allowed { .. } | Ruling::Clean => (Became::Same, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use davylamp_content::Source;
    use davylamp_content::blocklist;
    use davylamp_ledger::record::{FindingRecord, Reported};
    use davylamp_ledger::rows::FindingRow;

    use super::*;

    fn judge() -> Judge {
        let text = "bannedCommandStrings:\n  - badminer\n  - oldstring\nallowedCommandPatterns:\n  - python teach.*\n";
        let (list, _) = blocklist::parse(&[Source {
            name: "l.yaml",
            text,
        }])
        .expect("a list");
        Judge::new(&list).expect("a judge")
    }

    fn view(line: &str) -> FindingView {
        let reported = Reported::from_guard_line(line, "hub", "guard").expect("a finding");
        let row: FindingRow = serde_json::from_value(serde_json::json!({
            "id": 1, "reference": "", "latest": 1, "at": 0, "first_at": 0, "severity": 0, "action": "", "opens": 1,
            "count": 1, "archived": 0, "digest": "", "type_name": "", "behaviour": "", "title": "", "cluster": "",
            "node": "", "hub_user": "", "pod": "", "incident": null, "keys": "",
        }))
        .expect("a row");
        let record = FindingRecord {
            reference: String::new(),
            incident: None,
            opens: true,
            keys: Vec::new(),
            from_us: 0,
            to_us: 0,
            within_secs: 0,
            reporter: reported.reporter,
            taken: reported.taken,
            finding: reported.finding,
            line: reported.line,
        };
        let record = Some(record);
        FindingView { row, record }
    }

    #[test]
    fn a_finding_becomes_what_the_list_makes_of_it() {
        let judge = judge();
        for (action, detection, command, more, expected) in [
            (
                "spared",
                "mining-command-line",
                "./badminer -o x",
                "",
                Became::Newly,
            ),
            ("alerted", "other", "./badminer -o x", "", Became::Newly),
            (
                "held",
                "mining-command-line",
                "./badminer",
                "",
                Became::Same,
            ),
            (
                "killed",
                "mining-command-line",
                "./badminer",
                "",
                Became::Same,
            ),
            (
                "killed",
                "mining-command-line",
                "./goneminer",
                "",
                Became::NoLonger,
            ),
            (
                "would-kill",
                "mining-command-line",
                "./goneminer",
                "",
                Became::NoLonger,
            ),
            (
                "killed",
                "mining-command-line",
                "./goneminer",
                r#","cmdline_cut_from_bytes":9999"#,
                Became::Unsure,
            ),
            (
                "killed",
                "mining-command-line",
                "python teach.py oldstring",
                "",
                Became::Spared,
            ),
            ("killed", "xmr-options", "./goneminer", "", Became::Same),
            (
                "spared",
                "mining-command-line",
                "python teach.py oldstring",
                "",
                Became::Same,
            ),
        ] {
            let line = format!(
                r#"{{"action":"{action}","detection":"{detection}","cmdline":"{command}","matched":"m","node":"n"{more}}}"#
            );
            assert_eq!(judged(&judge, &view(&line)).0, expected, "{line}");
        }
        let without = r#"{"action":"killed","node":"n","matched":"m"}"#;
        assert_eq!(judged(&judge, &view(without)).0, Became::Unsure);
    }
}

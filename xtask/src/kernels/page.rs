//! Shows the reports: a table for the terminal, and the results in docs/kernels.md.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use davylamp_testkit::kernel_test::{Outcomes, Record};

use super::report::{Report, words};

/// What stands before the recorded results in docs/kernels.md; all behind it is replaced.
const RESULTS_MARK: &str = "<!-- results: everything below is written by --record -->\n";
const HEADINGS: [&str; 9] = [
    "kernel",
    "booted",
    "BTF",
    "attached in",
    "banned execs",
    "ran an instruction",
    "benign execs",
    "harmed",
    "verdict",
];

/// The table for a terminal.
pub fn table(reports: &[Report]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(HEADINGS);
    for report in reports {
        table.add_row(row(report));
    }
    table
}

/// Replaces the results in the page.
pub fn record(page: &Path, reports: &[Report], qemu: &str, execs: u32) -> anyhow::Result<()> {
    let old =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (head, _) = old.split_once(RESULTS_MARK).with_context(|| {
        format!(
            "{} has no line {:?} to write behind",
            page.display(),
            RESULTS_MARK.trim_end()
        )
    })?;
    let date = jiff::Timestamp::now().strftime("%F");
    let results = markdown(reports);
    let text = format!(
        "{head}{RESULTS_MARK}\nOn {date}, under qemu {qemu} (TCG, 2 processors, 1 GiB), {execs} banned \
         and {execs} benign execs in each of the four guarded rounds.\n\n{results}"
    );
    fs::write(page, text).with_context(|| format!("cannot write {}", page.display()))
}

fn markdown(reports: &[Report]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEADINGS.map(String::from));
    text += &line(&HEADINGS.map(|_| "---".to_owned()));
    for report in reports {
        text += &line(&row(report));
    }
    for report in reports {
        let kernel = report
            .booted()
            .map_or("it did not boot", |(kernel, _, _)| kernel);
        text += &format!(
            "\n## {}\n\n`{kernel}`; the machine {}.\n\n",
            report.kernel, report.end
        );
        for record in &report.records {
            if let Record::Round {
                round,
                tallies,
                elapsed_ms,
            } = record
            {
                let (mut banned, mut benign) = (Outcomes::default(), Outcomes::default());
                for tally in tallies {
                    banned.add(tally.banned);
                    benign.add(tally.benign);
                }
                text += &format!("- {round:?}, {elapsed_ms} ms\n");
                text += &format!(
                    "  - banned: {}\n  - benign: {}\n",
                    words(banned),
                    words(benign)
                );
            }
        }
        for failure in report.failures() {
            text += &format!("- FAIL: {failure}\n");
        }
    }
    text
}

fn row(report: &Report) -> [String; HEADINGS.len()] {
    let (banned, benign) = report.totals();
    let (booted, btf) = match report.booted() {
        Some((_, btf, uptime_ms)) => (
            format!("{:.1} s", uptime_ms as f64 / 1000.0),
            if btf { "yes" } else { "no" },
        ),
        None => ("no".to_owned(), "unknown"),
    };
    let attached: Vec<_> = report.ready_ms().map(|ms| format!("{ms} ms")).collect();
    [
        report.kernel.clone(),
        booted,
        btf.to_owned(),
        if attached.is_empty() {
            "never".to_owned()
        } else {
            attached.join(", ")
        },
        banned.execs.to_string(),
        banned.wrote.to_string(),
        benign.execs.to_string(),
        (benign.execs - benign.completed).to_string(),
        if report.failures().is_empty() {
            "pass"
        } else {
            "FAIL"
        }
        .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{good, report};
    use super::*;

    #[test]
    fn recording_replaces_the_old_results_only() {
        let page = tempfile::NamedTempFile::new().expect("a file");
        fs::write(page.path(), format!("intro\n{RESULTS_MARK}old")).expect("writing");
        record(page.path(), &[report(&good())], "10", 2).expect("recording");
        let text = fs::read_to_string(page.path()).expect("reading");
        assert!(
            text.starts_with("intro\n") && !text.contains("old"),
            "{text}"
        );
        assert!(
            text.contains("| k | 0.9 s | yes | 3 ms, 3 ms | 104 | 0 | 104 | 0 | pass |"),
            "{text}"
        );
        fs::write(page.path(), "no mark").expect("writing");
        assert!(record(page.path(), &[], "10", 2).is_err());
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;

struct Fixed(Option<KernelCounts>);

impl Source for Fixed {
    fn kernel_counts(&self) -> Option<KernelCounts> {
        self.0
    }

    fn agent_counts(&self) -> AgentCounts {
        AgentCounts {
            reloads_ok: 3,
            reloads_failed: 1,
            lookups_failed: BTreeMap::from([("no \"socket\"\\\n", 4)]),
            sweeps: 5,
            swept_processes: 700,
            sweep: Outcomes {
                killed: 6,
                spared: 7,
                missed: 8,
            },
            hold: Outcomes {
                killed: 9,
                spared: 10,
                missed: 11,
            },
            noticed: Outcomes {
                killed: 64,
                spared: 65,
                missed: 66,
            },
            suspects_evicted: 67,
            swept_unreadable: 61,
            response_killed: 62,
            rules_at_ceiling: 67,
            files_searched: 71,
            files_bad: 72,
            files_unknown: 73,
            file_workers_died: 74,
            flows_banned: Outcomes {
                killed: 71,
                spared: 72,
                missed: 73,
            },
            flows_many: Outcomes {
                killed: 74,
                spared: 75,
                missed: 76,
            },
            events_garbled: 63,
            log_lines_lost: 12,
            spool: Some(crate::log::SpoolFacts {
                lost: 64,
                dropped: 65,
                bytes: 66,
            }),
            list: Some(ListFacts {
                strings: 13,
                states: 14,
                table_bytes: 15,
                generation: 0xabc,
                mode: Mode::Observe,
            }),
        }
    }

    fn health(&self) -> Health {
        Health {
            since_beat: Duration::ZERO,
            attached: true,
            list_in_force: true,
        }
    }
}

fn full() -> Fixed {
    let mut counts = KernelCounts {
        execs: 1000,
        matched: 30,
        killed: 20,
        spared: 4,
        held: 5,
        would_kill: 1,
        missed: 2,
        holds_expired: 41,
        holds_broken: 42,
        events_lost_full: 43,
        events_rate_limited: 44,
        unreadable: 45,
        suppressed: 46,
        text_truncated: 47,
        hook_ns: 2_500_000_000,
        files_held: 51,
        files_unheld: 52,
        files_known: 53,
        files_known_bad: 54,
        programs_skipped: 48,
        ceiling_refused: 49,
        ..KernelCounts::default()
    };
    counts.latency_buckets[0] = 1;
    counts.latency_buckets[12] = 10;
    counts.latency_buckets[39] = 2;
    Fixed(Some(counts))
}

#[derive(Debug, Default)]
struct Parsed {
    kinds: BTreeMap<String, String>,
    /// Name and labels as written, to the value.
    samples: BTreeMap<String, f64>,
}

impl Parsed {
    fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }
}

/// A reading of the format stricter than Prometheus's own: help, type and samples of a family
/// stand together in this order, no series comes twice, counters and no others end in `_total`.
fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut family = String::new();
    assert!(text.ends_with('\n'));
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(help.ends_with('.') && help.len() > 10, "{line}");
            let kind = lines
                .next()
                .and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
            let kind = kind.unwrap_or_else(|| panic!("no type after {line}"));
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert_eq!(
                parsed.kinds.insert(name.to_owned(), kind.to_owned()),
                None,
                "{name} twice"
            );
            family = name.to_owned();
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value >= 0.0 && value.is_finite(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let suffix = name
            .strip_prefix(&family)
            .unwrap_or_else(|| panic!("{line} in {family}"));
        match parsed.kinds[&family].as_str() {
            "histogram" => assert!(matches!(suffix, "_bucket" | "_sum" | "_count"), "{line}"),
            _ => assert_eq!(suffix, "", "{line}"),
        }
        let name_start = |character: char| character.is_ascii_lowercase();
        let name_char = |character| matches!(character, 'a'..='z' | '0'..='9' | '_');
        assert!(
            name.starts_with(name_start) && name.chars().all(name_char),
            "{name}"
        );
        check_labels(labels.strip_suffix('}').expect("closed labels"));
        assert_eq!(
            parsed.samples.insert(series.to_owned(), value),
            None,
            "{series} twice"
        );
    }
    parsed
}

fn check_labels(mut labels: &str) {
    let mut names = BTreeSet::new();
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").expect("a label's value");
        assert!(
            name.chars()
                .all(|character| matches!(character, 'a'..='z' | '_')),
            "{name}"
        );
        assert!(names.insert(name.to_owned()), "{name} twice");
        let mut escaped = false;
        let end = rest.find(|character| {
            let end = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            end
        });
        labels = &rest[end.expect("a closing quote") + 1..];
        labels = labels.strip_prefix(',').unwrap_or(labels);
    }
}

#[test]
fn every_count_is_exposed_under_its_name() {
    let cryptnono = Cryptnono::default();
    let text = render(&full(), Some(&cryptnono));
    let parsed = parse(&text);
    for (series, value) in [
        ("davylamp_guard_execs_total", 1000.0),
        ("davylamp_guard_matched_total", 30.0),
        (
            r#"davylamp_guard_processes_killed_total{source="exec"}"#,
            20.0,
        ),
        (
            r#"davylamp_guard_processes_killed_total{source="sweep"}"#,
            6.0,
        ),
        (
            r#"davylamp_guard_processes_killed_total{source="hold"}"#,
            9.0,
        ),
        (
            r#"davylamp_guard_processes_spared_total{source="exec"}"#,
            4.0,
        ),
        (
            r#"davylamp_guard_processes_missed_total{source="sweep"}"#,
            8.0,
        ),
        ("davylamp_guard_processes_held_total", 5.0),
        ("davylamp_guard_processes_would_kill_total", 1.0),
        ("davylamp_guard_holds_expired_total", 41.0),
        ("davylamp_guard_holds_broken_total", 42.0),
        ("davylamp_guard_events_lost_total", 43.0),
        ("davylamp_guard_events_rate_limited_total", 44.0),
        ("davylamp_guard_arguments_unreadable_total", 45.0),
        ("davylamp_guard_respawns_suppressed_total", 46.0),
        ("davylamp_guard_event_texts_truncated_total", 47.0),
        ("davylamp_guard_programs_skipped_total", 48.0),
        ("davylamp_guard_kills_over_ceiling_total", 49.0),
        ("davylamp_guard_rules_at_ceiling", 67.0),
        ("davylamp_guard_files_held_total", 51.0),
        ("davylamp_guard_files_unheld_total", 52.0),
        ("davylamp_guard_files_known_total", 53.0),
        ("davylamp_guard_files_known_bad_total", 54.0),
        ("davylamp_guard_files_searched_total", 71.0),
        ("davylamp_guard_files_bad_total", 72.0),
        ("davylamp_guard_files_unknown_total", 73.0),
        ("davylamp_guard_file_workers_died_total", 74.0),
        ("davylamp_guard_hook_seconds_total", 2.5),
        (r#"davylamp_guard_reloads_total{result="failed"}"#, 1.0),
        (
            r#"davylamp_guard_container_lookups_failed_total{reason="no \"socket\"\\\n"}"#,
            4.0,
        ),
        ("davylamp_guard_swept_processes_total", 700.0),
        ("davylamp_guard_log_lines_lost_total", 12.0),
        ("davylamp_guard_spool_lines_lost_total", 64.0),
        ("davylamp_guard_spool_lines_dropped_total", 65.0),
        ("davylamp_guard_spool_bytes", 66.0),
        ("davylamp_guard_swept_unreadable_total", 61.0),
        ("davylamp_guard_response_killed_total", 62.0),
        ("davylamp_guard_events_garbled_total", 63.0),
        (
            r#"davylamp_guard_list_info{generation="0000000000000abc",mode="observe"}"#,
            1.0,
        ),
        ("davylamp_guard_table_bytes", 15.0),
        ("davylamp_guard_attached", 1.0),
        (
            r#"cryptnono_execwhacker_processes_checked_total{source="execwhacker.bpf"}"#,
            1000.0,
        ),
        (
            r#"cryptnono_execwhacker_processes_checked_total{source="psutil.process_iter"}"#,
            700.0,
        ),
        (
            r#"cryptnono_execwhacker_processes_killed_total{source="psutil.process_iter"}"#,
            6.0,
        ),
        (
            r#"cryptnono_execwhacker_processes_missed_total{source="execwhacker.bpf"}"#,
            2.0,
        ),
        (
            r#"cryptnono_execwhacker_processes_allowed_total{source="execwhacker.bpf",allowedby="no-match"}"#,
            970.0,
        ),
        (
            r#"cryptnono_execwhacker_processes_allowed_total{source="psutil.process_iter",allowedby="allowed-pattern"}"#,
            7.0,
        ),
    ] {
        assert_eq!(parsed.value(series), Some(value), "{series} in\n{text}");
    }
    assert!(parsed.value("davylamp_guard_agent_resident_memory_bytes") > Some(100_000.0));
    assert!(parsed.value("davylamp_guard_agent_cpu_seconds_total") > Some(0.0));
}

#[test]
fn the_histogram_is_cumulative_and_whole() {
    let parsed = parse(&render(&full(), None));
    let name = "davylamp_guard_exec_to_signal_seconds";
    let bucket = |le: &str| parsed.value(&format!("{name}_bucket{{le=\"{le}\"}}"));
    // 2^12 up to 2^13 ns; what is below the first bucket shown is in it.
    assert_eq!(bucket("0.000001024"), Some(1.0));
    assert_eq!(bucket("0.000004096"), Some(1.0));
    assert_eq!(bucket("0.000008192"), Some(11.0));
    assert_eq!(bucket("8.589934592"), Some(11.0));
    assert_eq!(bucket("+Inf"), Some(13.0));
    assert_eq!(parsed.value(&format!("{name}_count")), Some(13.0));
    let sum = parsed.value(&format!("{name}_sum")).unwrap();
    let exact = (1.5 + 10.0 * 1.5 * 4096.0 + 2.0 * 1.5 * 2_f64.powi(39)) / 1e9;
    assert!((sum - exact).abs() < 1e-6, "{sum} {exact}");
}

#[test]
fn what_cannot_be_read_is_absent_and_said() {
    let cryptnono = Cryptnono::default();
    let parsed = parse(&render(&Fixed(None), Some(&cryptnono)));
    assert_eq!(
        parsed.value("davylamp_guard_kernel_counts_readable"),
        Some(0.0)
    );
    assert_eq!(parsed.value("davylamp_guard_execs_total"), None);
    assert_eq!(
        parsed.value(r#"davylamp_guard_processes_killed_total{source="exec"}"#),
        None
    );
    assert_eq!(
        parsed.value(r#"davylamp_guard_processes_killed_total{source="hold"}"#),
        Some(9.0)
    );
    assert_eq!(
        parse(&render(&full(), None)).value("davylamp_guard_kernel_counts_readable"),
        Some(1.0)
    );
}

/// The parts of a difference are not read at one instant.
#[test]
fn derived_counters_never_fall() {
    let cryptnono = Cryptnono::default();
    let unmatched = |matched| {
        let counts = KernelCounts {
            execs: 10,
            matched,
            ..KernelCounts::default()
        };
        let series = r#"cryptnono_execwhacker_processes_allowed_total{source="execwhacker.bpf",allowedby="no-match"}"#;
        parse(&render(&Fixed(Some(counts)), Some(&cryptnono))).value(series)
    };
    assert_eq!(unmatched(2), Some(8.0));
    assert_eq!(unmatched(3), Some(8.0));
    assert_eq!(unmatched(1), Some(9.0));
    assert_eq!(unmatched(11), Some(9.0));
}

#[test]
fn cryptnonos_names_are_there_only_when_asked_for() {
    let parsed = parse(&render(&full(), None));
    assert!(
        parsed
            .kinds
            .keys()
            .all(|name| name.starts_with("davylamp_guard_"))
    );
}

/// Both ways: nothing is exposed undocumented, nothing documented is missing.
#[test]
fn docs_and_metrics_name_the_same() {
    let page = include_str!("../../../../docs/metrics.md");
    let documented: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .filter(|name| name.starts_with("davylamp_guard_") || name.starts_with("cryptnono_"))
        .collect();
    let cryptnono = Cryptnono::default();
    let parsed = parse(&render(&full(), Some(&cryptnono)));
    let exposed: BTreeSet<&str> = parsed.kinds.keys().map(String::as_str).collect();
    assert_eq!(documented, exposed);
    for (name, kind) in &parsed.kinds {
        let row = page.lines().find(|line| {
            line.starts_with(&format!("| `{name}`")) || line.starts_with(&format!("| `{name}{{"))
        });
        assert!(
            row.is_some_and(|row| row.contains(&format!("| {kind} |"))),
            "{name}: {kind}"
        );
    }
}

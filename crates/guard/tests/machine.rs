//! The survey against the kernel it runs on. Run as root, as the guard itself is.

#![allow(
    clippy::print_stderr,
    reason = "a skipped question is said where the test's output is read"
)]

use std::path::Path;

use davylamp_guard::machine::{Need, Row, Survey, Verdict, Wants, survey, survey_for};

fn surveyed() -> Survey {
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests load BPF programs: run as root"
    );
    survey()
}

fn row<'a>(survey: &'a Survey, id: &str) -> &'a Row {
    survey.row(id).unwrap_or_else(|| panic!("no row {id}"))
}

#[test]
fn every_required_feature_loads_here() {
    let survey = surveyed();
    for id in [
        "bpf.syscall",
        "bpf.tp-btf",
        "bpf.probe-read-kernel",
        "bpf.send-signal",
        "bpf.loop",
        "bpf.ringbuf",
        "bpf.map-in-map",
        "bpf.iter-task",
        "tracepoint.sched-process-exec",
    ] {
        let row = row(&survey, id);
        assert_eq!(
            (row.need, row.verdict),
            (Need::Required, Verdict::Pass),
            "{row:?}"
        );
    }
}

/// A kernel that offers kprobes shows them in tracefs too, a place the survey does not look at.
#[test]
fn kprobes_are_reported_as_they_are() {
    let tracefs = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"].map(Path::new);
    let Some(tracefs) = tracefs.into_iter().find(|dir| dir.join("events").exists()) else {
        eprintln!("skipped: tracefs is not mounted, so nothing tells the truth about kprobes");
        return;
    };
    let survey = surveyed();
    let row = row(&survey, "bpf.kprobe");
    let there = tracefs.join("kprobe_events").exists();
    assert_eq!(row.verdict == Verdict::Pass, there, "{row:?}");
    assert_eq!(row.need, Need::Informational);
}

/// The typedefs in the kernel's types agree with tracefs, where that is mounted.
#[test]
fn tracepoints_are_those_of_tracefs() {
    let events = Path::new("/sys/kernel/tracing/events");
    if !events.exists() {
        eprintln!("skipped: tracefs is not mounted");
        return;
    }
    let survey = surveyed();
    for (id, event) in [
        ("tracepoint.sched-process-exec", "sched/sched_process_exec"),
        ("tracepoint.page-fault-user", "exceptions/page_fault_user"),
        ("tracepoint.signal-generate", "signal/signal_generate"),
        ("tracepoint.cgroup-mkdir", "cgroup/cgroup_mkdir"),
        ("tracepoint.inet-sock-set-state", "sock/inet_sock_set_state"),
        ("tracepoint.sock-send-length", "sock/sock_send_length"),
        ("tracepoint.sock-recv-length", "sock/sock_recv_length"),
        (
            "tracepoint.x86-fpu-regs-deactivated",
            "x86_fpu/x86_fpu_regs_deactivated",
        ),
    ] {
        let row = row(&survey, id);
        assert_eq!(
            row.verdict == Verdict::Pass,
            events.join(event).exists(),
            "{row:?}"
        );
    }
}

#[test]
fn every_row_is_whole() {
    let survey = surveyed();
    let mut ids: Vec<_> = survey.rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), survey.rows.len(), "two rows share an id");
    for row in &survey.rows {
        assert_eq!(row.mend.is_none(), row.verdict == Verdict::Pass, "{row:?}");
        assert!(!row.found.is_empty() && !row.lost.is_empty(), "{row:?}");
    }
}

#[test]
fn pins_elsewhere_are_asked_for_elsewhere() {
    let pin_dir = Some("/proc/davylamp".into());
    let survey = survey_for(&Wants { pin_dir });
    let row = row(&survey, "mount.bpffs");
    assert_eq!(
        (row.need, row.verdict),
        (Need::Required, Verdict::Fail),
        "{row:?}"
    );
    let error = survey
        .missing_required()
        .expect("bpffs is required and missing there");
    assert!(error.to_string().contains("BPF file system"), "{error}");

    let unpinned = survey_for(&Wants { pin_dir: None });
    assert_eq!(
        unpinned.row("mount.bpffs").map(|row| row.need),
        Some(Need::Improves)
    );
}

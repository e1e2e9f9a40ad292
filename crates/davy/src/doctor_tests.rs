use davylamp_guard::machine::{Group, Kernel, SCHEMA};

use super::*;

fn row(id: &'static str, item: &'static str, need: Need, verdict: Verdict, found: &str) -> Row {
    let mend = (verdict != Verdict::Pass).then(|| format!("sudo mend {id}"));
    let lost = "something the guard does";
    Row {
        id,
        group: Group::Bpf,
        item,
        need,
        verdict,
        found: found.to_owned(),
        lost,
        mend,
    }
}

fn fixed() -> Survey {
    let release = Row {
        group: Group::Kernel,
        ..row(
            "kernel.release",
            "kernel",
            Need::Informational,
            Verdict::Pass,
            "Linux 6.1.0-40-amd64 on x86_64",
        )
    };
    let refused = "EINVAL: unknown func bpf_loop#181, which the verifier of this kernel does not \
                   know and says so at some length";
    Survey {
        schema: SCHEMA,
        kernel: Kernel {
            release: "6.1.0-40-amd64".to_owned(),
            arch: "x86_64".to_owned(),
        },
        rows: vec![
            release,
            row(
                "bpf.ringbuf",
                "ring buffer",
                Need::Required,
                Verdict::Pass,
                "made",
            ),
            row(
                "bpf.loop",
                "bpf_loop",
                Need::Required,
                Verdict::Fail,
                refused,
            ),
            row(
                "bpf.timer",
                "timer",
                Need::Improves,
                Verdict::Unknown,
                "not asked",
            ),
            row(
                "bpf.lsm",
                "LSM program",
                Need::Informational,
                Verdict::Fail,
                "not active",
            ),
        ],
    }
}

#[test]
fn a_wide_table() {
    insta::assert_snapshot!(render(
        &fixed(),
        Style {
            columns: 120,
            colour: false
        }
    ));
}

#[test]
fn a_narrow_table() {
    let text = render(
        &fixed(),
        Style {
            columns: 60,
            colour: false,
        },
    );
    let widest = text
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.chars().count());
    assert!(widest.max() <= Some(60), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn colour_only_where_asked_for() {
    let plain = render(
        &fixed(),
        Style {
            columns: 100,
            colour: false,
        },
    );
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let coloured = render(
        &fixed(),
        Style {
            columns: 100,
            colour: true,
        },
    );
    assert!(coloured.contains('\u{1b}'), "{coloured:?}");
}

#[test]
fn the_json_document() {
    insta::assert_snapshot!(json(&fixed()).expect("a survey can always be written"));
}

#[test]
fn exit_codes() {
    let with = |need, verdict| Survey {
        rows: vec![row("bpf.loop", "bpf_loop", need, verdict, "")],
        ..fixed()
    };
    let cases = [
        (Need::Required, Verdict::Pass, 0),
        (Need::Required, Verdict::Fail, 1),
        (Need::Required, Verdict::Unknown, 2),
        (Need::Improves, Verdict::Fail, 0),
        (Need::Improves, Verdict::Unknown, 0),
        (Need::Informational, Verdict::Fail, 0),
    ];
    for (need, verdict, code) in cases {
        assert_eq!(
            exit_code(&with(need, verdict)),
            code,
            "{need:?} {verdict:?}"
        );
    }
    assert_eq!(exit_code(&fixed()), 1, "a failure goes before an unknown");
}

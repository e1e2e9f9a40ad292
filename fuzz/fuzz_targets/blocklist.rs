//! Any bytes are a blocklist or faults; each fault can be shown; a blocklist survives printing.

#![no_main]

use davylamp_content::blocklist::{self, Blocklist};
use davylamp_content::{Problem, Source};
use libfuzzer_sys::fuzz_target;
use miette::GraphicalReportHandler;

fuzz_target!(|bytes: &[u8]| {
    let source = match Source::from_bytes("list.yaml", bytes) {
        Ok(source) => source,
        Err(faults) => return show(faults.faults()),
    };
    for name in ["list.yaml", "list.json"] {
        match blocklist::parse(&[Source { name, ..source }]) {
            Err(faults) => {
                assert!(!faults.faults().is_empty());
                show(faults.faults());
                show(faults.warnings());
            }
            Ok((list, warnings)) => {
                show(&warnings);
                let printed = list.to_json();
                let source = Source {
                    name: "printed.json",
                    text: &printed,
                };
                let (again, _) = blocklist::parse(&[source]).expect("what was printed is read");
                assert_eq!(contents(&again), contents(&list));
            }
        }
    }
});

fn show(problems: &[Problem]) {
    for problem in problems {
        let mut shown = String::new();
        GraphicalReportHandler::new()
            .render_report(&mut shown, problem)
            .expect("a problem can be shown");
        assert!(problem.record().line >= 1);
    }
}

/// Everything but the places.
fn contents(list: &Blocklist) -> Vec<(String, Vec<String>, Vec<String>)> {
    let group = |group: &blocklist::Group| {
        let banned = group
            .banned
            .iter()
            .map(|b| format!("{:?}", (&b.text, &b.reason, b.scan_environment)));
        let allowed = group
            .allowed
            .iter()
            .map(|a| format!("{:?}", (&a.pattern, &a.reason, &a.scope)));
        (group.name.clone(), banned.collect(), allowed.collect())
    };
    list.groups.iter().map(group).collect()
}

//! The cases of the playbooks that ship, through the planner.

use std::collections::BTreeSet;

use davylamp_content::Source;
use davylamp_content::playbook::cases::{Case, CaseKind};
use davylamp_content::playbook::{self, Parsed, Playbook, StepKind, StepSpec};
use davylamp_plan::plan::Step;
use davylamp_plan::rehearse::{Mismatch, plan, rehearse};

fn shipped() -> (Vec<Playbook>, Vec<Parsed>) {
    let shipped = playbook::shipped().expect("they are read without a fault");
    let playbooks = shipped.iter().map(|parsed| parsed.playbook.clone());
    (playbooks.collect(), shipped)
}

/// Runs `look` on every case of every shipped playbook, and tells all that it complains of.
fn check(look: impl Fn(&[Playbook], &Playbook, &Case) -> Vec<String>) {
    let (playbooks, shipped) = shipped();
    let mut complaints = Vec::new();
    for parsed in &shipped {
        for case in &parsed.cases {
            for complaint in look(&playbooks, &parsed.playbook, case) {
                let name = &parsed.playbook.name;
                complaints.push(format!("{name}: {}\n  {complaint}", case.name));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn each_case_of_each_shipped_playbook_gives_what_it_says() {
    check(|playbooks, _, case| {
        let mismatches = rehearse(playbooks, case);
        mismatches.iter().map(Mismatch::to_string).collect()
    });
}

#[test]
fn the_kind_of_a_case_is_what_it_shows() {
    check(|_, playbook, case| {
        let is_used = case.expect.playbook == playbook.name;
        let says_no = !case.expect.approval.is_empty() || !case.expect.omits.is_empty();
        let complaint = match case.kind {
            CaseKind::Fires if !is_used => "a case that fires uses the playbook",
            CaseKind::Fires if case.expect.steps.is_empty() && !playbook.steps.is_empty() => {
                "a case that fires plans something"
            }
            CaseKind::NearMiss | CaseKind::Benign
                if is_used && !playbook.steps.is_empty() && !says_no =>
            {
                "what the playbook is not for is left out or waits, and the case says so"
            }
            _ => return Vec::new(),
        };
        vec![complaint.to_owned()]
    });
}

#[test]
fn the_plan_of_a_case_keeps_the_stages_and_is_always_the_same() {
    check(|playbooks, _, case| {
        let first = plan(playbooks, case).expect("its policy is one");
        let mut turned = playbooks.to_vec();
        turned.reverse();
        let second = plan(&turned, case).expect("its policy is one");
        let mut complaints = Vec::new();
        if first != second {
            complaints.push("the order in which playbooks are given changes the plan".to_owned());
        }
        if !first.steps.is_sorted_by_key(|step| step.stage) {
            complaints.push(format!("out of order: {:?}", first.steps));
        }
        for step in &first.steps {
            if step.why.trim().is_empty() {
                complaints.push(format!("{} says no reason", step.id));
            }
            let absent = step.only_after.iter().find(|id| first.step(id).is_none());
            if let Some(absent) = absent {
                complaints.push(format!("{} waits for {absent}, which is no step", step.id));
            }
        }
        complaints
    });
}

/// What one step of a playbook comes to in a case. Evidence is taken as well, since what destroys it
/// waits for it.
fn made_by(playbook: &Playbook, spec: &StepSpec, case: &Case) -> Vec<Step> {
    let with = |steps: Vec<StepSpec>| {
        let playbook = Playbook {
            steps,
            ..playbook.clone()
        };
        plan(&[playbook], case).expect("its policy is one").steps
    };
    let evidence = || {
        playbook.steps.iter().filter(|other| match other.kind {
            StepKind::SnapshotEvidence => true,
            // A group is only kept from replacing a machine that the playbook ends.
            StepKind::TerminateInstance => spec.kind == StepKind::StopRefill,
            // It waits for all others.
            _ => spec.kind == StepKind::ArchiveFindings && other.kind != spec.kind,
        })
    };
    if spec.kind == StepKind::SnapshotEvidence {
        return with(vec![spec.clone()]);
    }
    let before: BTreeSet<_> = with(evidence().cloned().collect())
        .into_iter()
        .map(|step| step.id)
        .collect();
    let mut all = with(evidence().chain([spec]).cloned().collect());
    all.retain(|step| !before.contains(&step.id));
    all
}

#[test]
fn what_a_step_is_said_to_be_is_what_its_actions_are() {
    check(|_, playbook, case| {
        let mut complaints = Vec::new();
        for spec in &playbook.steps {
            let kind = spec.kind;
            for step in made_by(playbook, spec, case) {
                if step.stage != kind.stage() {
                    complaints.push(format!("{} is no {:?}", step.id, kind.stage()));
                }
                if kind.is_reversible() && !step.action.is_reversible() {
                    complaints.push(format!("{} is by {}, and final", step.id, kind.name()));
                }
            }
        }
        complaints
    });
}

#[test]
fn each_step_of_each_shipped_playbook_is_taken_in_one_of_its_cases() {
    let mut never = Vec::new();
    for parsed in shipped().1 {
        let playbook = &parsed.playbook;
        let own = || {
            let cases = parsed.cases.iter();
            cases.filter(|case| case.expect.playbook == playbook.name)
        };
        for spec in &playbook.steps {
            if !own().any(|case| !made_by(playbook, spec, case).is_empty()) {
                never.push(format!("{}: {}", playbook.name, spec.kind.name()));
            }
        }
    }
    assert!(never.is_empty(), "never done: {never:?}");
}

/// What the runner complains of in a case about one function.
fn told(expect: &str, policy: &str) -> Vec<&'static str> {
    let text = format!(
        "name = 'x'\ntitle = 'x'\nreason = 'x'\norder = 1\nsteps = []\ntrigger = {{}}\n\
         [[cases]]\nkind = 'fires'\nname = 'a case'\npolicy = {{ {policy} }}\n\
         finding = {{ type = 'CryptoCurrency:Lambda/BitcoinTool.B', behaviour = 'mining', \
         resources = ['function/f'] }}\nfunctions = [{{ name = 'f' }}]\nexpect = {{ {expect} }}\n"
    );
    let name = "x.toml";
    let parsed = playbook::parse(Source { name, text: &text }).expect("it is a playbook");
    rehearse(&shipped().0, &parsed.cases[0])
        .into_iter()
        .map(|mismatch| match mismatch {
            Mismatch::Policy { .. } => "policy",
            Mismatch::Differs { what, .. } | Mismatch::Lacks { what, .. } => what,
        })
        .collect()
}

#[test]
fn a_case_that_expects_too_little_or_too_much_is_told() {
    let right = "playbook = 'lambda-miner', steps = ['throttle-function:function/f']";
    let with = |more: &str| told(&format!("{right}, {more}"), "");
    let steps = |steps: &str| told(&format!("playbook = 'lambda-miner', steps = {steps}"), "");
    let none: [&str; 0] = [];
    assert_eq!(told(right, ""), none);
    assert_eq!(steps("['throttle-function']"), none);
    assert_eq!(steps("[]"), ["steps"]);
    assert_eq!(steps("['throttle']"), ["steps"]);
    assert_eq!(steps("['throttle-function:function/g']"), ["steps"]);
    assert_eq!(
        steps("['throttle-function', 'throttle-function']"),
        ["steps"]
    );
    assert_eq!(told(&right.replace("lambda", "pod"), ""), ["playbook"]);
    assert_eq!(with("approval = ['throttle-function']"), ["approval"]);
    assert_eq!(with("release = ['throttle-function']"), ["release"]);
    assert_eq!(with("candidates = ['alice']"), ["candidates"]);
    assert_eq!(with("decided = 'alice'"), ["decided"]);
    assert_eq!(
        with("omits = ['moon'], remarks = ['moon']"),
        ["omits", "remarks"]
    );
    assert_eq!(told(right, "moon = 1"), ["policy"]);
}

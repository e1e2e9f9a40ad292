//! Many stories of every scenario: what the case says is held against what really happened.

use std::collections::BTreeSet;

use davylamp_casework::case::{Case, Innocence, Reason, Statement};
use davylamp_hunt::objects::Scope;
use davylamp_model::verdict::Verdict;
use davylamp_testkit::attack::{Options, Scenario, Truth, Verdict as Right};

use jiff::Timestamp;

use crate::support::{Told, case_of, case_within, told, written};

const SEEDS: std::ops::Range<u64> = 1..3;

/// How well a case fits the truth.
#[derive(Debug, Default)]
struct Fit {
    /// What is wrong whatever else: somebody accused who is innocent, or cleared who is not.
    wrong: Vec<String>,
    /// What is only missed.
    missed: Vec<String>,
}

fn fit(told: &Told) -> Fit {
    let (truth, case) = (&told.truth, &told.case);
    let mut fit = Fit::default();
    for one in &truth.principals {
        let of_id = format!(
            "{} ({})",
            one.arn,
            one.unique_id.as_deref().unwrap_or_default()
        );
        let said = verdict_on(case, &of_id).or_else(|| verdict_on(case, &one.arn));
        match (one.verdict, said) {
            (
                Right::Framed | Right::CompromisedOwnerInnocent | Right::Bystander,
                Some(Verdict::Fail),
            ) => {
                fit.wrong.push(format!(
                    "{} is innocent and accused ({:?})",
                    one.arn, one.verdict
                ));
            }
            (Right::Guilty | Right::Insider, Some(Verdict::Pass)) => {
                fit.wrong.push(format!(
                    "{} did it and is cleared ({:?})",
                    one.arn, one.verdict
                ));
            }
            (Right::Undecidable, Some(Verdict::Pass | Verdict::Fail)) => {
                fit.wrong
                    .push(format!("{} cannot be decided and is {said:?}", one.arn));
            }
            (Right::Framed | Right::CompromisedOwnerInnocent, Some(Verdict::Pass))
            | (Right::Bystander, None | Some(Verdict::Pass))
            | (Right::Guilty | Right::Insider, Some(Verdict::Fail))
            | (Right::Undecidable, Some(Verdict::Unknown)) => {}
            (right, said) => fit
                .missed
                .push(format!("{} is {right:?} and {said:?}", one.arn)),
        }
    }
    origin(truth, case, &mut fit);
    machines(truth, case, &mut fit);
    fit
}

fn verdict_on(case: &Case, arn: &str) -> Option<Verdict> {
    let is_it = |it: &&Innocence| it.principal == arn;
    case.innocence.iter().find(is_it).map(|it| it.verdict)
}

fn origin(truth: &Truth, case: &Case, fit: &mut Fit) {
    match (&truth.origin, &case.origin) {
        (None, Some(origin)) => fit
            .wrong
            .push(format!("nothing happened, and it began {}", origin.how)),
        (Some(right), None) => fit
            .missed
            .push(format!("the origin: {} of {}", right.how, right.principal)),
        (Some(right), Some(said)) => {
            let off = said.at.first.as_second() - right.at;
            if right.principal != said.principal {
                fit.missed.push(format!(
                    "the origin is {} and not {}",
                    right.principal, said.principal
                ));
            } else if off.abs() > 3_600 {
                fit.missed.push(format!("the origin is {off} seconds off"));
            }
        }
        (None, None) => {}
    }
}

fn machines(truth: &Truth, case: &Case, fit: &mut Fit) {
    let right: BTreeSet<&str> = truth.instances.iter().map(|it| it.id.as_str()).collect();
    let said: BTreeSet<&str> = case
        .reach
        .iter()
        .filter(|it| it.kind == "instance" && it.how == "created")
        .map(|it| it.id.as_str())
        .collect();
    let (more, less) = (
        said.difference(&right).count(),
        right.difference(&said).count(),
    );
    if more > 0 {
        fit.missed.push(format!(
            "{more} machines of {} are not the intruder's",
            said.len()
        ));
    }
    if less > 0 {
        fit.missed
            .push(format!("{less} machines of {} are not found", right.len()));
    }
}

#[tokio::test]
async fn the_order_of_events_means_nothing() {
    let (dir, _) = written(1, Scenario::StolenAdminKey);
    let one = case_of(dir.path(), &[]).await;
    let other = case_of(dir.path(), &[]).await;
    let json = |case: &Case| serde_json::to_value(case).expect("a case is JSON");
    assert_eq!(json(&one), json(&other));
    assert!(one.evidence.len() > 100, "{}", one.evidence.len());
}

#[tokio::test]
async fn an_indicator_leads_to_the_same_case() {
    let (dir, truth) = written(1, Scenario::StolenAdminKey);
    let whole = case_of(dir.path(), &[]).await;
    let origin = truth.origin.expect("the story has an attack");
    let key = origin.credential.expect("a key was stolen");
    let instance = truth.instances[7].id.clone();
    let user = origin.principal.rsplit('/').next().unwrap_or_default();
    let moment = Timestamp::from_second(origin.at)
        .expect("a moment")
        .to_string();
    let machine = whole.reach.iter().find(|it| it.id == instance);
    let details = machine.into_iter().flat_map(|it| &it.details);
    let mut image = details
        .filter(|(name, _)| name == "image")
        .map(|(_, value)| value);
    let image = image.next().expect("its image is known");
    for indicator in [
        &origin.address,
        &key,
        &instance,
        &origin.event,
        user,
        &moment,
        image,
    ] {
        let case = case_of(dir.path(), &[indicator]).await;
        assert_eq!(case.span, whole.span, "{indicator}");
        assert_eq!(case.reach.len(), whole.reach.len(), "{indicator}");
    }
    let nothing = case_of(dir.path(), &["198.51.100.77"]).await;
    assert_eq!(nothing.span, None);
}

/// What clears an owner beside place and tool: the hours of the day, and being at work elsewhere meanwhile.
#[tokio::test]
async fn hours_and_work_elsewhere_speak_for_the_owner() {
    let (dir, truth) = written(3, Scenario::StolenAdminKey);
    let case = case_of(dir.path(), &[]).await;
    let owner = truth.origin.expect("the story has an attack").principal;
    let said = case.innocence.iter().find(|it| it.principal == owner);
    let said = said.expect("the owner is named");
    assert_eq!(said.verdict, Verdict::Pass);
    for clause in ["usually worked at", "was at work from"] {
        let is_said = |it: &Reason| it.is_for && it.statement.text.contains(clause);
        assert!(said.reasons.iter().any(is_said), "{clause}: {said:#?}");
    }
}

/// Where the logs begin with the attack nobody has a past, and still only the hand's acts are the hand's.
#[tokio::test]
async fn without_a_past_nobody_is_accused_and_the_story_is_the_same() {
    let (dir, truth) = written(1, Scenario::StolenAdminKey);
    let origin = truth.origin.as_ref().expect("the story has an attack");
    let since = Timestamp::from_second(origin.at - 600).ok();
    let scope = Scope {
        since,
        ..Scope::default()
    };
    let case = case_within(dir.path(), scope, &[]).await;
    let began = case.origin.as_ref().map(|it| it.at.first.as_second());
    assert_eq!(began, Some(origin.at));
    let is_told = |it: &Statement| it.text.contains("too little of the time before");
    assert!(case.summary.iter().any(is_told));
    let fit = fit(&Told { truth, case });
    assert_eq!(fit.wrong, Vec::<String>::new());
    let is_of_machines = |it: &&String| it.contains("machines");
    assert_eq!(fit.missed.iter().find(is_of_machines), None);
}

/// Investigates some stories of a scenario.
async fn check(name: &str) {
    let scenario: Scenario = name.parse().expect("a scenario");
    let mut wrong = Vec::new();
    for seed in SEEDS {
        let options = Options {
            scenario: Some(scenario),
            ..Options::default()
        };
        let told = told(seed, &options, &[]).await;
        let fit = fit(&told);
        println!(
            "{name} {seed}: {} wrong, {} missed",
            fit.wrong.len(),
            fit.missed.len()
        );
        for it in &fit.wrong {
            println!("    WRONG {it}");
        }
        for it in &fit.missed {
            println!("    missed {it}");
        }
        if std::env::var_os("CASE").is_some() {
            for it in &told.case.innocence {
                println!(
                    "  {} {:?} {} {} {}",
                    it.principal, it.verdict, it.own_acts, it.others_acts, it.unknown_acts
                );
                for reason in &it.reasons {
                    println!(
                        "      {} {}",
                        if reason.is_for { "+" } else { "-" },
                        reason.statement.text
                    );
                }
            }
            for it in &told.case.leads {
                println!("  lead {} {} {}", it.score, it.about, it.statement.text);
            }
            println!("  truth {:?} {:?}", told.truth.origin, told.truth.addresses);
            println!(
                "  case {:?}",
                told.case.origin.as_ref().map(|it| (&it.how, it.at))
            );
        }
        wrong.extend(fit.wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

macro_rules! scenarios {
    ($($test:ident = $name:literal,)*) => {
        $(#[tokio::test]
        async fn $test() {
            check($name).await;
        })*

        #[test]
        fn every_scenario_is_investigated() {
            let tested = [$($name),*];
            for scenario in Scenario::ALL {
                assert!(tested.contains(&scenario.name()), "{}", scenario.name());
            }
        }
    };
}

scenarios! {
    stolen_admin_key = "stolen-admin-key",
    instance_role = "instance-role",
    console_password = "console-password",
    ci_token = "ci-token",
    insider = "insider",
    root_key = "root-key",
    fargate = "fargate",
    functions = "functions",
    notebooks = "notebooks",
    nodegroup = "nodegroup",
    batch = "batch",
    spot_fleet = "spot-fleet",
    scaling_group = "scaling-group",
    failed = "failed",
    shared_exit = "shared-exit",
    no_attack = "no-attack",
    impersonation = "impersonation",
    same_name = "same-name",
}

use davylamp_testkit::attack::{Options, Scenario};

use crate::support::told;

#[tokio::test]
async fn look() {
    for scenario in Scenario::ALL {
        for seed in 1..4 {
            let options = Options {
                scenario: Some(*scenario),
                ..Options::default()
            };
            let told = told(seed, &options, &[]).await;
            println!(
                "=== {scenario:?} {seed}: events {} attack {:?}",
                told.truth.written.events, told.truth.attack
            );
            println!(
                "  truth origin {:?}",
                told.truth.origin.as_ref().map(|o| (
                    &o.how,
                    &o.principal,
                    &o.address,
                    o.at,
                    &o.agent
                ))
            );
            println!(
                "  case origin {:?}",
                told.case
                    .origin
                    .as_ref()
                    .map(|o| (&o.how, o.at.first, &o.principal, o.confidence))
            );
            println!(
                "  truth addresses {:?} instances {} persistence {} tampering {}",
                told.truth.addresses,
                told.truth.instances.len(),
                told.truth.persistence.len(),
                told.truth.tampering.len()
            );
            for s in &told.case.summary {
                println!("  * {} {:?}", s.text, s.evidence.len());
            }
            for p in &told.truth.principals {
                let v = told.case.innocence.iter().find(|i| i.principal == p.arn);
                if p.verdict != davylamp_testkit::attack::Verdict::Bystander
                    || v.is_some_and(|v| v.verdict != davylamp_model::verdict::Verdict::Pass)
                {
                    println!(
                        "  {:?} {} -> {:?}",
                        p.verdict,
                        p.arn,
                        v.map(|v| (v.verdict, v.own_acts, v.others_acts, v.unknown_acts))
                    );
                    for r in v.iter().flat_map(|v| &v.reasons) {
                        println!(
                            "       {} {}",
                            if r.is_for { "+" } else { "-" },
                            r.statement.text
                        );
                    }
                }
            }
            for i in &told.case.innocence {
                if !told.truth.principals.iter().any(|p| p.arn == i.principal) {
                    println!("  extra {} {:?}", i.principal, i.verdict);
                }
            }
            for l in told.case.leads.iter().take(4) {
                println!("  lead {} {} {}", l.score, l.about, l.statement.text);
            }
            println!(
                "  reach {} tampering {} acts {}",
                told.case.reach.len(),
                told.case.tampering.len(),
                told.case.timeline.len()
            );
        }
    }
}

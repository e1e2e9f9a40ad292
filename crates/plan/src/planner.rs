//! Finding, inventory and policy in; a plan out.
//!
//! Total: whatever the input, a plan comes out, with every "not, because". Deterministic: the same
//! input gives the same plan, in whatever order the inventory lists its things.

use std::collections::{BTreeMap, BTreeSet};

use davylamp_content::playbook::{Caps, Playbook};
use davylamp_model::inventory::Inventory;

use crate::action::Action;
use crate::brakes::Shields;
use crate::plan::{Attribution, Case, Omission, Plan, ReleaseTimer, Step, StepId};
use crate::policy::Policy;
use crate::scope::Scope;
use crate::steps::{self, Evidence, Ground};

use crate::who::{self, SlugIndex, Who};

use making::Making;

mod fit;
mod making;
mod order;

/// The playbook that does nothing but tell: used for whatever must not be acted on, and where no
/// other fits. It is there even where no file has it.
pub const REPORT_ONLY: &str = "report-only";

/// Makes plans.
#[derive(Debug)]
pub struct Planner<'p> {
    /// By order, then name.
    playbooks: Vec<&'p Playbook>,
    policy: &'p Policy,
    report_only: Playbook,
    slugs: Option<&'p SlugIndex>,
}

/// All that is known before a playbook is chosen.
struct Ready<'a> {
    scope: Scope<'a>,
    who: Who,
}

impl<'p> Planner<'p> {
    /// A planner with these playbooks, under this policy.
    pub fn new(playbooks: &'p [Playbook], policy: &'p Policy) -> Self {
        let mut sorted: Vec<&Playbook> = playbooks.iter().collect();
        sorted.sort_by(|one, other| (one.order, &one.name).cmp(&(other.order, &other.name)));
        Self {
            playbooks: sorted,
            policy,
            report_only: report_only(),
            slugs: None,
        }
    }

    /// Uses an index of the Hub's list that was made before. It is used for inventories with that
    /// very list; for any other one is made.
    pub fn with_slugs(mut self, slugs: &'p SlugIndex) -> Self {
        self.slugs = Some(slugs);
        self
    }

    /// The playbook for a case, and why the others were not used. A playbook that is `named` is
    /// used whatever the finding's type, behaviour and severity; where its kinds of resources or its
    /// conditions do not hold, only a report is made.
    pub fn choose(
        &self,
        case: &Case,
        inventory: &Inventory,
        named: Option<&str>,
    ) -> (&Playbook, Vec<Omission>) {
        let inventory = &order::ordered(inventory);
        let own = self.own_index(inventory);
        let ready = self.ready(case, inventory, self.index(inventory, own.as_ref()));
        self.choose_ready(case, &ready, named)
    }

    /// Who did it, as far as is known.
    pub fn attribute(&self, case: &Case, inventory: &Inventory) -> Attribution {
        let inventory = &order::ordered(inventory);
        let own = self.own_index(inventory);
        let index = self.index(inventory, own.as_ref());
        self.ready(case, inventory, index).who.attribution
    }

    /// The plan for a case.
    pub fn plan(&self, case: &Case, inventory: &Inventory, named: Option<&str>) -> Plan {
        let inventory = &order::ordered(inventory);
        let own = self.own_index(inventory);
        let index = self.index(inventory, own.as_ref());
        let ready = self.ready(case, inventory, index);
        let (playbook, mut omissions) = self.choose_ready(case, &ready, named);
        let Ready { scope, who } = &ready;
        let shields = Shields::new(scope, self.policy, who, index);
        let evidence = Evidence::of(scope, self.policy, &shields);
        let ground = Ground {
            case,
            scope,
            policy: self.policy,
            playbook,
            who,
            shields: &shields,
            evidence: &evidence,
        };
        let mut making = Making::default();
        let whole_account = shields.whole_account();
        // What is never acted on is not waited for.
        let again = !scope.findings.is_empty()
            && whole_account.is_none()
            && inventory.unread.iter().any(|unread| unread.again);
        if scope.findings.is_empty() {
            // Whatever the playbook says, nothing is done about what must not be acted on.
        } else if let Some(why) = whole_account {
            for spec in &playbook.steps {
                making.omit(steps::name(spec.kind), &case.resource.key(), why);
            }
        } else {
            for spec in &playbook.steps {
                making.expand(&ground, spec);
            }
        }
        making.close();
        omissions.extend(making.omissions);
        for absent in &scope.absent {
            omissions.push(Omission {
                what: "every step".to_owned(),
                target: absent.target.clone(),
                because: absent.because.clone(),
            });
        }
        dedup(&mut omissions);
        let release = release(playbook, &making.steps, &making.made_by);
        Plan {
            incident: case.incident.clone(),
            place: inventory.place.clone(),
            playbook: playbook.name.clone(),
            findings: case.findings.iter().map(|held| held.id.clone()).collect(),
            resource: case.resource.clone(),
            made_at: inventory.taken_at,
            attribution: who.attribution.clone(),
            steps: making.steps,
            omissions,
            release,
            remarks: remarks(case, inventory, who),
            again,
            blind: match whole_account {
                Some(_) => None,
                None => scope.blind(case),
            },
        }
    }

    fn own_index(&self, inventory: &Inventory) -> Option<SlugIndex> {
        let records = inventory.hub.known()?;
        match self.slugs {
            Some(slugs) if slugs.is_of(records) => None,
            _ => Some(SlugIndex::new(records)),
        }
    }

    fn index<'s>(
        &'s self,
        inventory: &Inventory,
        own: Option<&'s SlugIndex>,
    ) -> Option<&'s SlugIndex> {
        inventory.hub.known()?;
        own.or(self.slugs)
    }

    fn ready<'a>(
        &self,
        case: &'a Case,
        inventory: &'a Inventory,
        index: Option<&SlugIndex>,
    ) -> Ready<'a> {
        let scope = Scope::of(case, inventory);
        let who = who::find(&scope, self.policy, index);
        Ready { scope, who }
    }

    fn choose_ready(
        &self,
        case: &Case,
        ready: &Ready<'_>,
        named: Option<&str>,
    ) -> (&Playbook, Vec<Omission>) {
        let mut omissions = Vec::new();
        for idle in &ready.scope.idle {
            omissions.push(Omission {
                what: "every step".to_owned(),
                target: idle.target.clone(),
                because: idle.because.clone(),
            });
        }
        let report_only = self
            .playbooks
            .iter()
            .find(|held| held.name == REPORT_ONLY)
            .copied()
            .unwrap_or(&self.report_only);
        if ready.scope.findings.is_empty() {
            if case.findings.is_empty() {
                omissions.push(Omission {
                    what: "every step".to_owned(),
                    target: case.resource.key(),
                    because: "no finding is about it".to_owned(),
                });
            }
            return (report_only, omissions);
        }
        if named == Some(REPORT_ONLY) {
            return (report_only, omissions);
        }
        if let Some(name) = named {
            let because = match self.playbooks.iter().find(|held| held.name == name) {
                Some(playbook) => match fit::named(playbook, &ready.scope, &ready.who) {
                    Ok(()) => return (playbook, omissions),
                    Err(why) => why,
                },
                None => "there is no playbook of that name".to_owned(),
            };
            omissions.push(not_used(name, case, because));
            return (report_only, omissions);
        }
        for playbook in &self.playbooks {
            if playbook.name == REPORT_ONLY {
                continue;
            }
            match fit::fits(playbook, &ready.scope, &ready.who) {
                Ok(()) => return (playbook, omissions),
                Err(why) => omissions.push(not_used(&playbook.name, case, why)),
            }
        }
        (report_only, omissions)
    }
}

fn not_used(name: &str, case: &Case, because: String) -> Omission {
    Omission {
        what: format!("playbook {name}"),
        target: case.resource.key(),
        because,
    }
}

fn report_only() -> Playbook {
    Playbook {
        name: REPORT_ONLY.to_owned(),
        title: "Tell, and touch nothing".to_owned(),
        reason: "What nobody understands is for people to look at.".to_owned(),
        techniques: Vec::new(),
        order: u32::MAX,
        trigger: davylamp_content::playbook::Trigger::default(),
        conditions: davylamp_content::playbook::Conditions::default(),
        steps: Vec::new(),
        caps: Caps::default(),
        release: None,
    }
}

fn release(
    playbook: &Playbook,
    steps: &[Step],
    made_by: &BTreeMap<StepId, &'static str>,
) -> Option<ReleaseTimer> {
    let release = playbook.release.as_ref()?;
    let steps: Vec<StepId> = steps
        .iter()
        .filter(|step| {
            // To set termination protection again releases nobody from anything.
            step.action.is_reversible() && !matches!(step.action, Action::UnprotectInstance { .. })
        })
        .filter(|step| {
            made_by
                .get(&step.id)
                .is_some_and(|kind| release.steps.iter().any(|name| name == kind))
        })
        .map(|step| step.id.clone())
        .collect();
    (!steps.is_empty()).then_some(ReleaseTimer {
        after_hours: release.after_hours,
        steps,
    })
}

fn remarks(case: &Case, inventory: &Inventory, who: &Who) -> Vec<String> {
    let mut remarks = Vec::new();
    for finding in &case.findings {
        for gap in &finding.gaps {
            remarks.push(format!("Finding {}: {gap}", finding.id));
        }
    }
    let mut unread: Vec<_> = inventory.unread.iter().collect();
    unread.sort();
    for unread in unread {
        remarks.push(format!(
            "{} could not be read: {}.",
            unread.what,
            unread.why.trim_end_matches('.')
        ));
    }
    remarks.extend(who.remarks.iter().cloned());
    remarks
}

/// Says each thing once, in the order it was first said.
fn dedup(omissions: &mut Vec<Omission>) {
    let mut said = BTreeSet::new();
    omissions.retain(|omission| said.insert(omission.clone()));
}

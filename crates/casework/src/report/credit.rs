//! What a provider's support is asked with for credits after an account was used by an intruder.
//!
//! What support asks for is public: that passwords and keys are changed, that what the intruder made is
//! deleted in every region, that second factors are on, and that the support case is answered
//! (<https://aws.amazon.com/premiumsupport/knowledge-center/potential-account-compromise/>).
//!
//! What must stay true: nothing is said to be done unless a record shows it; an estimate is called one; what
//! nobody can know from the records is left for a person to fill in.

mod letter;
mod sheets;
mod state;
mod steps;

use super::evidence::Chained;
use super::markdown;
use crate::case::{Case, Touched};

/// The files of the pack by their names.
pub(super) fn pack(case: &Case, chain: &Chained) -> [(&'static str, String); 5] {
    [
        (
            "request.md",
            markdown::write(&letter::request(case, &chain.hash)),
        ),
        ("actions.md", markdown::write(&letter::actions(case))),
        ("timeline.md", markdown::write(&letter::timeline(case))),
        ("resources.csv", sheets::resources(case)),
        ("evidence-index.csv", sheets::evidence(case, chain)),
    ]
}

/// What the intruder made, which nobody of the account did.
fn unauthorised(case: &Case) -> impl Iterator<Item = &Touched> {
    case.reach.iter().filter(|one| one.how == "created")
}

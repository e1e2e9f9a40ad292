//! What would be done, while nothing may be: incidents of their own.
//!
//! What must stay true: an observed incident is never acted on, whatever is switched on later, and
//! stands in nobody's way: the same finding opens another incident then.

use davylamp_model::ids::IncidentId;

use crate::coalesce::Coalesced;

/// How the ids of observed incidents begin, where those of others begin with [`ACTED_ON`].
const OBSERVED: &str = "obs-";
/// How the ids of others begin.
const ACTED_ON: &str = "inc-";
/// Before what the journal calls an observed incident's resource.
const RESOURCE: &str = "observed/";

/// Whether nothing may ever be done about an incident.
pub fn is_observed(incident: &IncidentId) -> bool {
    incident.as_str().starts_with(OBSERVED)
}

/// The same case, to be observed.
pub(super) fn observed(case: Coalesced) -> Coalesced {
    let mut case = case;
    let id = case.case.incident.as_str();
    let id = id.strip_prefix(ACTED_ON).unwrap_or(id);
    case.case.incident = IncidentId(format!("{OBSERVED}{id}"));
    case.resource = named(&case.case.incident, case.resource);
    case
}

/// The resource itself, of what the journal calls it.
pub(super) fn of(named: &str) -> &str {
    named.strip_prefix(RESOURCE).unwrap_or(named)
}

/// What the journal calls the resource of an incident, observed or not.
pub(super) fn named(incident: &IncidentId, resource: String) -> String {
    match is_observed(incident) {
        true => format!("{RESOURCE}{resource}"),
        false => resource,
    }
}

//! The rows of the derived tables, as structs whose members are the columns.
//!
//! Plain on purpose: whole numbers and text alone, which both databases keep alike. Times are
//! microseconds since 1970.

use davylamp_model::finding::Severity;
use serde::{Deserialize, Serialize};

use crate::table::{Kind::Int, Kind::Text, Table};

/// A row of a derived table.
pub(crate) trait Row: Serialize + serde::de::DeserializeOwned {
    /// Its table.
    const TABLE: Table;
}

/// A severity as a number that sorts: 0 is low, 3 is critical.
pub fn severity_rank(severity: Severity) -> i64 {
    match severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}

/// The severity of that rank.
pub fn severity_of(rank: i64) -> Severity {
    match rank {
        i64::MIN..=0 => Severity::Low,
        1 => Severity::Medium,
        2 => Severity::High,
        _ => Severity::Critical,
    }
}

/// No clock runs: later than every time.
pub const NOT_DUE: i64 = i64::MAX;

macro_rules! row {
    ($(#[$doc:meta])* $name:ident in $table:literal by $keys:expr;
     $($(#[$field_doc:meta])* $field:ident: $type:ty = $kind:ident),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Row for $name {
            const TABLE: Table = Table {
                name: $table,
                keys: &$keys,
                columns: &[$((stringify!($field), $kind)),*],
            };
        }
    };
}

row! {
    /// A finding, as lists show it.
    FindingRow in "finding" by ["id"];
    /// Its number: that of its first entry.
    id: i64 = Int,
    /// Its name among all: see [`crate::keys::reference`].
    reference: String = Text,
    /// The entry that holds its latest state.
    latest: i64 = Int,
    /// When it was last seen.
    at: i64 = Int,
    /// When it was first seen.
    first_at: i64 = Int,
    /// How bad: [`severity_rank`].
    severity: i64 = Int,
    /// What was done.
    action: String = Text,
    /// 1 where it opens incidents.
    opens: i64 = Int,
    /// How often it was seen.
    count: i64 = Int,
    /// 1 where its source has archived it.
    archived: i64 = Int,
    /// Tells two states of one finding apart that agree in everything else.
    digest: String = Text,
    /// Its type, as its source spells it.
    type_name: String = Text,
    /// What the type means.
    behaviour: String = Text,
    /// One line about it.
    title: String = Text,
    /// The cluster, or an account: [`crate::record::FindingRecord::place`].
    cluster: String = Text,
    /// The node.
    node: String = Text,
    /// The Hub's user, or the IAM user.
    hub_user: String = Text,
    /// The pod, with its namespace.
    pod: String = Text,
    /// The incident.
    incident: Option<i64> = Int,
    /// What links it to others, as a JSON array.
    keys: String = Text,
}

row! {
    /// That a finding has a key.
    KeyRow in "finding_key" by ["key", "opens", "at", "finding"];
    /// The key.
    key: String = Text,
    /// As in the finding.
    opens: i64 = Int,
    /// As in the finding.
    at: i64 = Int,
    /// The finding.
    finding: i64 = Int,
}

row! {
    /// A later state of a finding, beside its first.
    UpdateRow in "finding_update" by ["finding", "seq"];
    /// The finding.
    finding: i64 = Int,
    /// The entry.
    seq: i64 = Int,
}

row! {
    /// A stretch of time in which a key belongs to an incident.
    SpanRow in "span" by ["key", "from_at"];
    /// The key.
    key: String = Text,
    /// From.
    from_at: i64 = Int,
    /// To.
    to_at: i64 = Int,
    /// The incident.
    incident: i64 = Int,
}

row! {
    /// An incident.
    IncidentRow in "incident" by ["id"];
    /// Its number.
    id: i64 = Int,
    /// What it is about.
    title: String = Text,
    /// Where it stands.
    state: String = Text,
    /// How bad: the worst of its findings.
    severity: i64 = Int,
    /// When it was opened.
    opened: i64 = Int,
    /// When its first finding was seen.
    first_at: i64 = Int,
    /// When its last one was.
    last_at: i64 = Int,
    /// When it was closed.
    closed: Option<i64> = Int,
    /// The incident that this one became part of.
    merged_into: Option<i64> = Int,
    /// Who owns it.
    owner: Option<String> = Text,
    /// How the owner came to it.
    owner_step: String = Text,
    /// When something is due; [`NOT_DUE`] where nothing is.
    due: i64 = Int,
    /// What is due.
    due_why: String = Text,
    /// To whom it was escalated.
    escalated: Option<String> = Text,
    /// How many findings it has.
    findings: i64 = Int,
    /// The same by what was done, as a JSON object.
    counts: String = Text,
    /// Its clusters, as a JSON array: the first ones by name.
    clusters: String = Text,
    /// Its users, alike.
    users: String = Text,
    /// What it costs, where somebody said so.
    cost_micro_usd_per_hour: Option<i64> = Int,
    /// What it cost so far at least, where somebody said so.
    cost_low_micro_usd: Option<i64> = Int,
    /// And at most.
    cost_high_micro_usd: Option<i64> = Int,
}

row! {
    /// That findings of an incident name a cluster or a user.
    PartRow in "part" by ["kind", "name", "incident"];
    /// `cluster` or `user`.
    kind: String = Text,
    /// Its name.
    name: String = Text,
    /// The incident.
    incident: i64 = Int,
    /// How many findings do.
    n: i64 = Int,
}

/// The kind of a [`PartRow`] that names a cluster.
pub(crate) const CLUSTER: &str = "cluster";
/// The kind of a [`PartRow`] that names a user.
pub(crate) const USER: &str = "user";

row! {
    /// An entry that is about an incident.
    TimelineRow in "timeline" by ["incident", "seq"];
    /// The incident, or the one it became part of.
    incident: i64 = Int,
    /// The entry.
    seq: i64 = Int,
}

row! {
    /// A step of a plan.
    ActionRow in "action" by ["id"];
    /// Its number: that of its first entry.
    id: i64 = Int,
    /// Names its plan and step: a digest.
    reference: String = Text,
    /// Its latest entry.
    latest: i64 = Int,
    /// When that was written.
    at: i64 = Int,
    /// The incident.
    incident: Option<i64> = Int,
    /// The plan.
    plan: String = Text,
    /// The step.
    step: String = Text,
    /// What is done.
    what: String = Text,
    /// What it is done to.
    target: String = Text,
    /// How far it is.
    stage: String = Text,
    /// Who does it.
    by_whom: String = Text,
}

row! {
    /// Something that was kept.
    EvidenceRow in "evidence" by ["id"];
    /// Its number: that of its first entry.
    id: i64 = Int,
    /// Names where it lies: a digest.
    reference: String = Text,
    /// Its latest entry.
    latest: i64 = Int,
    /// When that was written.
    at: i64 = Int,
    /// The incident.
    incident: Option<i64> = Int,
    /// What it is.
    what: String = Text,
    /// Where it lies.
    location: String = Text,
    /// Its SHA-256.
    sha256: Option<String> = Text,
    /// Its size.
    size_bytes: Option<i64> = Int,
    /// Who took it and who holds it.
    custody: String = Text,
    /// How often it was read.
    reads: i64 = Int,
}

row! {
    /// What a node last said of itself that was new.
    NodeRow in "node" by ["cluster", "node"];
    /// The cluster.
    cluster: String = Text,
    /// The node.
    node: String = Text,
    /// The agent.
    agent: String = Text,
    /// Its version.
    version: String = Text,
    /// What it covers.
    coverage: String = Text,
    /// 1 where the last canary was caught, 0 where it was not.
    canary_caught: Option<i64> = Int,
    /// Events lost.
    lost_events: i64 = Int,
    /// The lists it holds, as a JSON array of [`crate::record::ListHeld`].
    lists: String = Text,
    /// The entry that says so.
    latest: i64 = Int,
}

row! {
    /// A plan, and how far it is.
    PlanRow in "plan" by ["id"];
    /// Its number: that of its first entry.
    id: i64 = Int,
    /// Names the plan: a digest.
    reference: String = Text,
    /// The entry that holds it as it is now.
    latest: i64 = Int,
    /// When that was written.
    at: i64 = Int,
    /// The incident.
    incident: Option<i64> = Int,
    /// The plan's id.
    plan: String = Text,
    /// What it would do.
    summary: String = Text,
    /// How far it is: `proposed`, `asked`, `running`, `done`, `failed`, `undone`.
    state: String = Text,
    /// Who said yes to it.
    approved_by: Option<String> = Text,
    /// Who made it.
    by_whom: String = Text,
}

row! {
    /// A hunt's or an audit's run.
    RunRow in "run" by ["id"];
    /// The entry.
    id: i64 = Int,
    /// `hunt` or `audit`.
    verb: String = Text,
    /// Which one.
    name: String = Text,
    /// Over what.
    target: String = Text,
    /// When it began.
    started: i64 = Int,
    /// When it ended.
    ended: i64 = Int,
    /// What was counted, as a JSON object.
    counts: String = Text,
    /// Why it did not come to its end.
    error: Option<String> = Text,
    /// Who ran it.
    by_whom: String = Text,
}

row! {
    /// What somebody asked of workers.
    JobRow in "job" by ["id"];
    /// Its number: that of its first entry.
    id: i64 = Int,
    /// Names it: a digest.
    reference: String = Text,
    /// Its latest entry.
    latest: i64 = Int,
    /// When that was written.
    at: i64 = Int,
    /// Its id.
    job: String = Text,
    /// The incident.
    incident: Option<i64> = Int,
    /// The cluster whose workers may take it; empty for all.
    cluster: String = Text,
    /// What is to be done: `plan`, `run`, `undo`, `hunt`.
    errand: String = Text,
    /// What it is about: a plan's id, a hunt's name.
    subject: String = Text,
    /// How far it is: `waiting`, `taken`, `done`, `failed`, `withdrawn`.
    stage: String = Text,
    /// Until when a worker has it.
    until: i64 = Int,
    /// What came of it.
    detail: String = Text,
    /// Who asked.
    asked_by: String = Text,
    /// The worker.
    taken_by: String = Text,
}

row! {
    /// Something that is lived with.
    RiskRow in "risk" by ["reference"];
    /// Names its subject: a digest.
    reference: String = Text,
    /// The entry that says so.
    latest: i64 = Int,
    /// When it was decided.
    at: i64 = Int,
    /// What: see [`davylamp_model::verdict::Outcome::subject`].
    subject: String = Text,
    /// Until when.
    until: i64 = Int,
    /// Why.
    reason: String = Text,
    /// Who decided.
    by_whom: String = Text,
}

row! {
    /// A version of a blocklist.
    ListRow in "blocklist" by ["reference"];
    /// Names the list and version: a digest.
    reference: String = Text,
    /// The entry that says so.
    latest: i64 = Int,
    /// When that was written.
    at: i64 = Int,
    /// When it was first told of.
    first_at: i64 = Int,
    /// The list.
    name: String = Text,
    /// The version.
    digest: String = Text,
    /// How far it is.
    rollout: String = Text,
    /// How many strings it bans.
    strings: i64 = Int,
    /// Why.
    note: String = Text,
    /// Who says so.
    by_whom: String = Text,
}

row! {
    /// How many findings an hour had.
    TallyRow in "tally" by ["hour", "cluster", "action"];
    /// Hours since 1970.
    hour: i64 = Int,
    /// The cluster.
    cluster: String = Text,
    /// What was done.
    action: String = Text,
    /// How many.
    n: i64 = Int,
}

row! {
    /// How many incidents are in a state.
    CounterRow in "counter" by ["state", "severity"];
    /// The state.
    state: String = Text,
    /// The severity.
    severity: i64 = Int,
    /// How many.
    n: i64 = Int,
}

/// Every derived table, which a rebuild empties and a verification compares.
pub(crate) const DERIVED: [Table; 17] = [
    FindingRow::TABLE,
    KeyRow::TABLE,
    UpdateRow::TABLE,
    SpanRow::TABLE,
    IncidentRow::TABLE,
    PartRow::TABLE,
    TimelineRow::TABLE,
    ActionRow::TABLE,
    EvidenceRow::TABLE,
    NodeRow::TABLE,
    PlanRow::TABLE,
    RunRow::TABLE,
    JobRow::TABLE,
    RiskRow::TABLE,
    ListRow::TABLE,
    TallyRow::TABLE,
    CounterRow::TABLE,
];

-- The ledger's layout, version 1. Entries are the truth; everything after `batch` is made of them.
CREATE TABLE layout (version INTEGER NOT NULL) STRICT;
INSERT INTO layout (version) VALUES (1);

CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT,
    body_hash TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE INDEX entry_by_kind ON entry (kind, seq);
CREATE TRIGGER entry_stays BEFORE DELETE ON entry
BEGIN SELECT raise(ABORT, 'entries are never deleted'); END;
CREATE TRIGGER entry_keeps_what_it_says BEFORE UPDATE ON entry
WHEN new.body IS NOT NULL OR new.seq IS NOT old.seq OR new.at_us IS NOT old.at_us
    OR new.kind IS NOT old.kind OR new.body_hash IS NOT old.body_hash OR new.hash IS NOT old.hash
BEGIN SELECT raise(ABORT, 'entries are never changed; only a body may be removed'); END;

CREATE TABLE head (seq INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
INSERT INTO head (seq, hash)
VALUES (0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Two tables that no entry tells of: receipts by the keys of batches, and when nodes were last heard of.
CREATE TABLE batch (
    name TEXT PRIMARY KEY,
    at_us INTEGER NOT NULL,
    receipt TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_by_time ON batch (at_us);
CREATE TABLE pulse (
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    seen INTEGER NOT NULL,
    canary INTEGER,
    PRIMARY KEY (cluster, node)
) STRICT, WITHOUT ROWID;

CREATE TABLE finding (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    latest INTEGER NOT NULL,
    at INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    action TEXT NOT NULL,
    opens INTEGER NOT NULL,
    count INTEGER NOT NULL,
    archived INTEGER NOT NULL,
    digest TEXT NOT NULL,
    type_name TEXT NOT NULL,
    behaviour TEXT NOT NULL,
    title TEXT NOT NULL,
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    hub_user TEXT NOT NULL,
    pod TEXT NOT NULL,
    incident INTEGER,
    keys TEXT NOT NULL
) STRICT;
CREATE INDEX finding_by_time ON finding (at, id);
CREATE INDEX finding_by_incident ON finding (incident, at, id);
CREATE INDEX finding_by_severity ON finding (severity, at, id);
CREATE INDEX finding_by_action ON finding (action, at, id);
CREATE INDEX finding_by_cluster ON finding (cluster, at, id);
CREATE INDEX finding_by_node ON finding (node, at, id);
CREATE INDEX finding_by_user ON finding (hub_user, at, id);
CREATE TABLE finding_key (
    key TEXT NOT NULL,
    opens INTEGER NOT NULL,
    at INTEGER NOT NULL,
    finding INTEGER NOT NULL,
    PRIMARY KEY (key, opens, at, finding)
) STRICT, WITHOUT ROWID;
CREATE TABLE finding_update (
    finding INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (finding, seq)
) STRICT, WITHOUT ROWID;
-- The words come from us, lower case and apart by spaces; only which finding has which is kept.
CREATE VIRTUAL TABLE finding_words USING fts5(
    words, content='', contentless_delete=1, detail=none, tokenize="ascii"
);
CREATE TABLE span (
    key TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    PRIMARY KEY (key, from_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX span_by_incident ON span (incident);
CREATE TABLE incident (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    severity INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    closed INTEGER,
    merged_into INTEGER,
    owner TEXT,
    owner_step TEXT NOT NULL,
    due INTEGER NOT NULL,
    due_why TEXT NOT NULL,
    escalated TEXT,
    findings INTEGER NOT NULL,
    counts TEXT NOT NULL,
    clusters TEXT NOT NULL,
    users TEXT NOT NULL,
    cost_micro_usd_per_hour INTEGER
) STRICT;
CREATE INDEX incident_by_time ON incident (last_at, id);
CREATE INDEX incident_by_state ON incident (state, last_at, id);
CREATE INDEX incident_by_severity ON incident (severity, last_at, id);
CREATE INDEX incident_by_due ON incident (due, id);
CREATE INDEX incident_by_owner ON incident (owner, due, id);
CREATE INDEX incident_by_pointer ON incident (merged_into);
CREATE TABLE timeline (
    incident INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (incident, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX timeline_by_seq ON timeline (seq);
CREATE TABLE action (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    latest INTEGER NOT NULL,
    at INTEGER NOT NULL,
    incident INTEGER,
    plan TEXT NOT NULL,
    step TEXT NOT NULL,
    what TEXT NOT NULL,
    target TEXT NOT NULL,
    stage TEXT NOT NULL,
    by_whom TEXT NOT NULL
) STRICT;
CREATE INDEX action_by_incident ON action (incident, id);
CREATE INDEX action_by_stage ON action (stage, id);
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    latest INTEGER NOT NULL,
    at INTEGER NOT NULL,
    incident INTEGER,
    what TEXT NOT NULL,
    location TEXT NOT NULL,
    sha256 TEXT,
    size_bytes INTEGER,
    custody TEXT NOT NULL,
    reads INTEGER NOT NULL
) STRICT;
CREATE INDEX evidence_by_incident ON evidence (incident, id);
CREATE TABLE node (
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    agent TEXT NOT NULL,
    version TEXT NOT NULL,
    coverage TEXT NOT NULL,
    canary_caught INTEGER,
    lost_events INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    PRIMARY KEY (cluster, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX node_by_name ON node (node);
CREATE TABLE tally (
    hour INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    action TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (hour, cluster, action)
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
    state TEXT NOT NULL,
    severity INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (state, severity)
) STRICT, WITHOUT ROWID;

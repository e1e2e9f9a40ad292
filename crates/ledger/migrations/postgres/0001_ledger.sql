-- The ledger's layout, version 1. Entries are the truth; everything after `batch` is made of them.
CREATE TABLE layout (version bigint NOT NULL);
INSERT INTO layout (version) VALUES (1);

CREATE TABLE entry (
    seq bigint PRIMARY KEY,
    at_us bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    body text COLLATE "C",
    body_hash text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL
);
CREATE INDEX entry_by_kind ON entry (kind, seq);
CREATE FUNCTION entry_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF new.body IS NULL AND new.seq = old.seq AND new.at_us = old.at_us AND new.kind = old.kind
            AND new.body_hash = old.body_hash AND new.hash = old.hash THEN
            RETURN new;
        END IF;
        RAISE EXCEPTION 'entries are never changed; only a body may be removed';
    END IF;
    RAISE EXCEPTION 'entries are never deleted';
END $$;
CREATE TRIGGER entry_stays BEFORE UPDATE OR DELETE ON entry
FOR EACH ROW EXECUTE FUNCTION entry_stays();
CREATE TRIGGER entry_is_not_emptied BEFORE TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION entry_stays();

CREATE TABLE head (seq bigint NOT NULL, hash text COLLATE "C" NOT NULL);
INSERT INTO head (seq, hash)
VALUES (0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Two tables that no entry tells of: receipts by the keys of batches, and when nodes were last heard of.
CREATE TABLE batch (
    name text COLLATE "C" PRIMARY KEY,
    at_us bigint NOT NULL,
    receipt text COLLATE "C" NOT NULL
);
CREATE INDEX batch_by_time ON batch (at_us);
CREATE TABLE pulse (
    cluster text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
    seen bigint NOT NULL,
    canary bigint,
    PRIMARY KEY (cluster, node)
);

CREATE TABLE finding (
    id bigint PRIMARY KEY,
    reference text COLLATE "C" NOT NULL UNIQUE,
    latest bigint NOT NULL,
    at bigint NOT NULL,
    first_at bigint NOT NULL,
    severity bigint NOT NULL,
    action text COLLATE "C" NOT NULL,
    opens bigint NOT NULL,
    count bigint NOT NULL,
    archived bigint NOT NULL,
    digest text COLLATE "C" NOT NULL,
    type_name text COLLATE "C" NOT NULL,
    behaviour text COLLATE "C" NOT NULL,
    title text COLLATE "C" NOT NULL,
    cluster text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
    hub_user text COLLATE "C" NOT NULL,
    pod text COLLATE "C" NOT NULL,
    incident bigint,
    keys text COLLATE "C" NOT NULL
);
CREATE INDEX finding_by_time ON finding (at, id);
CREATE INDEX finding_by_incident ON finding (incident, at, id);
CREATE INDEX finding_by_severity ON finding (severity, at, id);
CREATE INDEX finding_by_action ON finding (action, at, id);
CREATE INDEX finding_by_cluster ON finding (cluster, at, id);
CREATE INDEX finding_by_node ON finding (node, at, id);
CREATE INDEX finding_by_user ON finding (hub_user, at, id);
CREATE TABLE finding_key (
    key text COLLATE "C" NOT NULL,
    opens bigint NOT NULL,
    at bigint NOT NULL,
    finding bigint NOT NULL,
    PRIMARY KEY (key, opens, at, finding)
);
CREATE TABLE finding_update (
    finding bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (finding, seq)
);
-- The words come from us, lower case and apart by spaces.
CREATE TABLE finding_words (
    id bigint PRIMARY KEY,
    words tsvector NOT NULL
);
CREATE INDEX finding_words_by_word ON finding_words USING gin (words);
CREATE TABLE span (
    key text COLLATE "C" NOT NULL,
    from_at bigint NOT NULL,
    to_at bigint NOT NULL,
    incident bigint NOT NULL,
    PRIMARY KEY (key, from_at)
);
CREATE INDEX span_by_incident ON span (incident);
CREATE TABLE incident (
    id bigint PRIMARY KEY,
    title text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    severity bigint NOT NULL,
    opened bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    closed bigint,
    merged_into bigint,
    owner text COLLATE "C",
    owner_step text COLLATE "C" NOT NULL,
    due bigint NOT NULL,
    due_why text COLLATE "C" NOT NULL,
    escalated text COLLATE "C",
    findings bigint NOT NULL,
    counts text COLLATE "C" NOT NULL,
    clusters text COLLATE "C" NOT NULL,
    users text COLLATE "C" NOT NULL,
    cost_micro_usd_per_hour bigint
);
CREATE INDEX incident_by_time ON incident (last_at, id);
CREATE INDEX incident_by_state ON incident (state, last_at, id);
CREATE INDEX incident_by_severity ON incident (severity, last_at, id);
CREATE INDEX incident_by_due ON incident (due, id);
CREATE INDEX incident_by_owner ON incident (owner, due, id);
CREATE INDEX incident_by_pointer ON incident (merged_into);
CREATE TABLE timeline (
    incident bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (incident, seq)
);
CREATE INDEX timeline_by_seq ON timeline (seq);
CREATE TABLE action (
    id bigint PRIMARY KEY,
    reference text COLLATE "C" NOT NULL UNIQUE,
    latest bigint NOT NULL,
    at bigint NOT NULL,
    incident bigint,
    plan text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL,
    what text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    stage text COLLATE "C" NOT NULL,
    by_whom text COLLATE "C" NOT NULL
);
CREATE INDEX action_by_incident ON action (incident, id);
CREATE INDEX action_by_stage ON action (stage, id);
CREATE TABLE evidence (
    id bigint PRIMARY KEY,
    reference text COLLATE "C" NOT NULL UNIQUE,
    latest bigint NOT NULL,
    at bigint NOT NULL,
    incident bigint,
    what text COLLATE "C" NOT NULL,
    location text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C",
    size_bytes bigint,
    custody text COLLATE "C" NOT NULL,
    reads bigint NOT NULL
);
CREATE INDEX evidence_by_incident ON evidence (incident, id);
CREATE TABLE node (
    cluster text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    coverage text COLLATE "C" NOT NULL,
    canary_caught bigint,
    lost_events bigint NOT NULL,
    latest bigint NOT NULL,
    PRIMARY KEY (cluster, node)
);
CREATE INDEX node_by_name ON node (node);
CREATE TABLE tally (
    hour bigint NOT NULL,
    cluster text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (hour, cluster, action)
);
CREATE TABLE counter (
    state text COLLATE "C" NOT NULL,
    severity bigint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (state, severity)
);

-- The ledger's layout, version 2: plans, runs, jobs, accepted risks, blocklists, and what incidents cost.
UPDATE layout SET version = 2;

ALTER TABLE incident ADD COLUMN cost_low_micro_usd INTEGER;
ALTER TABLE incident ADD COLUMN cost_high_micro_usd INTEGER;
CREATE INDEX incident_by_cost ON incident (cost_micro_usd_per_hour, id)
WHERE cost_micro_usd_per_hour IS NOT NULL;
ALTER TABLE node ADD COLUMN lists TEXT NOT NULL DEFAULT '[]';

CREATE TABLE plan (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    latest INTEGER NOT NULL,
    at INTEGER NOT NULL,
    incident INTEGER,
    plan TEXT NOT NULL,
    summary TEXT NOT NULL,
    state TEXT NOT NULL,
    approved_by TEXT,
    by_whom TEXT NOT NULL
) STRICT;
CREATE INDEX plan_by_incident ON plan (incident, id);
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    verb TEXT NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    counts TEXT NOT NULL,
    error TEXT,
    by_whom TEXT NOT NULL
) STRICT;
CREATE INDEX run_by_name ON run (verb, name, id);
CREATE INDEX run_by_target ON run (verb, target, id);
CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    latest INTEGER NOT NULL,
    at INTEGER NOT NULL,
    job TEXT NOT NULL,
    incident INTEGER,
    cluster TEXT NOT NULL,
    errand TEXT NOT NULL,
    subject TEXT NOT NULL,
    stage TEXT NOT NULL,
    until INTEGER NOT NULL,
    detail TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    taken_by TEXT NOT NULL
) STRICT;
CREATE INDEX job_by_incident ON job (incident, id);
CREATE INDEX job_by_stage ON job (stage, id);
CREATE INDEX job_by_errand ON job (errand, id);
CREATE TABLE risk (
    reference TEXT PRIMARY KEY,
    latest INTEGER NOT NULL,
    at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    until INTEGER NOT NULL,
    reason TEXT NOT NULL,
    by_whom TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX risk_by_until ON risk (until, latest);
CREATE TABLE blocklist (
    reference TEXT PRIMARY KEY,
    latest INTEGER NOT NULL,
    at INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    rollout TEXT NOT NULL,
    strings INTEGER NOT NULL,
    note TEXT NOT NULL,
    by_whom TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blocklist_by_latest ON blocklist (latest);

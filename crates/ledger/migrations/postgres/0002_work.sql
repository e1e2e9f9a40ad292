-- The ledger's layout, version 2: plans, runs, jobs, accepted risks, blocklists, and what incidents cost.
UPDATE layout SET version = 2;

ALTER TABLE incident ADD COLUMN cost_low_micro_usd bigint;
ALTER TABLE incident ADD COLUMN cost_high_micro_usd bigint;
CREATE INDEX incident_by_cost ON incident (cost_micro_usd_per_hour, id)
WHERE cost_micro_usd_per_hour IS NOT NULL;
ALTER TABLE node ADD COLUMN lists text COLLATE "C" NOT NULL DEFAULT '[]';

CREATE TABLE plan (
    id bigint PRIMARY KEY,
    reference text COLLATE "C" NOT NULL UNIQUE,
    latest bigint NOT NULL,
    at bigint NOT NULL,
    incident bigint,
    plan text COLLATE "C" NOT NULL,
    summary text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    approved_by text COLLATE "C",
    by_whom text COLLATE "C" NOT NULL
);
CREATE INDEX plan_by_incident ON plan (incident, id);
CREATE TABLE run (
    id bigint PRIMARY KEY,
    verb text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    target text COLLATE "C" NOT NULL,
    started bigint NOT NULL,
    ended bigint NOT NULL,
    counts text COLLATE "C" NOT NULL,
    error text COLLATE "C",
    by_whom text COLLATE "C" NOT NULL
);
CREATE INDEX run_by_name ON run (verb, name, id);
CREATE INDEX run_by_target ON run (verb, target, id);
CREATE TABLE job (
    id bigint PRIMARY KEY,
    reference text COLLATE "C" NOT NULL UNIQUE,
    latest bigint NOT NULL,
    at bigint NOT NULL,
    job text COLLATE "C" NOT NULL,
    incident bigint,
    cluster text COLLATE "C" NOT NULL,
    errand text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    stage text COLLATE "C" NOT NULL,
    until bigint NOT NULL,
    detail text COLLATE "C" NOT NULL,
    asked_by text COLLATE "C" NOT NULL,
    taken_by text COLLATE "C" NOT NULL
);
CREATE INDEX job_by_incident ON job (incident, id);
CREATE INDEX job_by_stage ON job (stage, id);
CREATE INDEX job_by_errand ON job (errand, id);
CREATE TABLE risk (
    reference text COLLATE "C" PRIMARY KEY,
    latest bigint NOT NULL,
    at bigint NOT NULL,
    subject text COLLATE "C" NOT NULL,
    until bigint NOT NULL,
    reason text COLLATE "C" NOT NULL,
    by_whom text COLLATE "C" NOT NULL
);
CREATE INDEX risk_by_until ON risk (until, latest);
CREATE TABLE blocklist (
    reference text COLLATE "C" PRIMARY KEY,
    latest bigint NOT NULL,
    at bigint NOT NULL,
    first_at bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    rollout text COLLATE "C" NOT NULL,
    strings bigint NOT NULL,
    note text COLLATE "C" NOT NULL,
    by_whom text COLLATE "C" NOT NULL
);
CREATE INDEX blocklist_by_latest ON blocklist (latest);

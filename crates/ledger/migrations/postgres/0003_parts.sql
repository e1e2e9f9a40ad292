-- Layout 3: what incidents name, so that they are found by cluster and user. The tables are made anew
-- behind it.
CREATE TABLE part (
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    incident bigint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (kind, name, incident)
);
CREATE INDEX part_by_incident ON part (incident);
CREATE INDEX finding_update_by_seq ON finding_update (seq);
-- What is open, for the numbers of the first page.
CREATE INDEX incident_standing ON incident (severity, owner, cost_micro_usd_per_hour, state)
    WHERE state NOT IN ('closed', 'merged');
-- The worst that nobody owns; without the other index, which would give them in no order.
DROP INDEX incident_by_owner;
CREATE INDEX incident_by_owner ON incident (owner, due, id) WHERE owner IS NOT NULL;
CREATE INDEX incident_free ON incident (severity, last_at, id)
    WHERE owner IS NULL AND state NOT IN ('closed', 'merged');
CREATE INDEX incident_waiting ON incident (opened, id)
    WHERE owner IS NULL AND state NOT IN ('closed', 'merged');
UPDATE layout SET version = 3;

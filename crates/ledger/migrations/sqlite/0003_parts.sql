-- Layout 3: what incidents name, so that they are found by cluster and user; words by stretches of
-- findings, so that a common word costs what one stretch holds. The tables are made anew behind it.
CREATE TABLE part (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    incident INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (kind, name, incident)
) STRICT, WITHOUT ROWID;
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
DROP TABLE finding_words;
CREATE VIRTUAL TABLE finding_words USING fts5(
    words, content='', contentless_delete=1, detail=none, tokenize="ascii tokenchars '_'"
);
UPDATE layout SET version = 3;

-- Version 1. What stands here is never edited once it was released: a change is a new file and a new version.

-- One start of Owl, with its totals. They are renewed with every batch of records.
CREATE TABLE runs (
  id          INTEGER PRIMARY KEY,
  name        TEXT    NOT NULL UNIQUE,  -- a UUIDv7
  version     TEXT    NOT NULL,
  started_ms  INTEGER NOT NULL,         -- milliseconds since 1970, UTC
  ended_ms    INTEGER,                  -- NULL while it runs, and after a crash
  refused     INTEGER NOT NULL DEFAULT 0,
  opened      INTEGER NOT NULL DEFAULT 0,
  private     INTEGER NOT NULL DEFAULT 0,
  exemptions  INTEGER NOT NULL DEFAULT 0,
  received    INTEGER NOT NULL DEFAULT 0,
  sent        INTEGER NOT NULL DEFAULT 0,
  written     INTEGER NOT NULL DEFAULT 0,
  lost        INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What the guard told. AUTOINCREMENT: a number is not used again after its record was pruned, so that a reader can go
-- on behind the last one it has seen.
CREATE TABLE accesses (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  run         INTEGER NOT NULL,         -- runs.id
  access      INTEGER NOT NULL,         -- unique within its run; 0 for records that were lost
  time_ms     INTEGER NOT NULL,
  verdict     TEXT    NOT NULL CHECK (verdict IN ('refused', 'opened', 'lost')),
  request_id  TEXT,
  key         TEXT,
  component   TEXT    NOT NULL,
  policy      TEXT    NOT NULL,
  url         TEXT    NOT NULL,
  host        TEXT    NOT NULL,
  port        INTEGER NOT NULL,
  addresses   TEXT    NOT NULL,         -- separated by spaces
  tier        TEXT,
  range       TEXT,
  rule        TEXT    NOT NULL,
  reason      TEXT    NOT NULL,
  received    INTEGER,                  -- this and what follows: NULL until the connection has ended
  sent        INTEGER,
  duration_ms INTEGER,
  status      INTEGER,
  lost        INTEGER                   -- of a record `lost`: how many records are missing
) STRICT;

CREATE INDEX accesses_by_time ON accesses (time_ms);

-- Only what has not ended stands in it, so it stays small: the end of a connection finds its beginning here.
CREATE INDEX accesses_open ON accesses (run, access) WHERE verdict = 'opened' AND duration_ms IS NULL;

-- What other programs read. Columns are added to it, never renamed, taken away or given another meaning.
CREATE VIEW audit AS
SELECT
  a.id,
  strftime('%Y-%m-%dT%H:%M:%fZ', a.time_ms / 1000.0, 'unixepoch') AS time,
  a.time_ms, a.verdict, a.request_id, a.key, a.component, a.policy, a.url, a.host, a.port, a.addresses, a.tier,
  a.range, a.rule, a.reason, a.received, a.sent, a.duration_ms, a.status, a.lost,
  r.name AS run, a.access
FROM accesses AS a JOIN runs AS r ON r.id = a.run;

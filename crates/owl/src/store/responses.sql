-- Version 2: what is remembered of conversations.

-- Responses that clients may ask for again, or go on from.
CREATE TABLE responses (
  id         TEXT    PRIMARY KEY,
  owner      TEXT    NOT NULL,          -- the client key's name, or what stands for one
  previous   TEXT,                      -- the response that it goes on from
  expires_ms INTEGER NOT NULL,          -- milliseconds since 1970, UTC
  bytes      INTEGER NOT NULL,
  response   TEXT    NOT NULL,          -- JSON: the response itself
  input      TEXT    NOT NULL,          -- JSON: its input items
  messages   TEXT    NOT NULL           -- JSON: what the conversation grew by, as messages of a chat completion
) STRICT;

CREATE INDEX responses_by_expiry ON responses (expires_ms, bytes);

-- Messages that Owl's tools have left around calls of a client's functions.
CREATE TABLE parked (
  owner      TEXT    NOT NULL,
  call_id    TEXT    NOT NULL,
  expires_ms INTEGER NOT NULL,
  bytes      INTEGER NOT NULL,
  messages   TEXT    NOT NULL,          -- JSON
  PRIMARY KEY (owner, call_id)
) STRICT;

CREATE INDEX parked_by_expiry ON parked (expires_ms, bytes);

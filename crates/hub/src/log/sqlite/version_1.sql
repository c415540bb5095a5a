-- What a log of version 1 was made of, for the tests of upgrades; its epoch is 7.
CREATE TABLE meta (epoch INTEGER NOT NULL) STRICT;
CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last INTEGER NOT NULL,
    answers INTEGER NOT NULL
) STRICT;
CREATE TABLE events (
    topic INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    amends INTEGER,
    event TEXT NOT NULL,
    PRIMARY KEY (topic, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX amendments ON events (topic, amends, seq) WHERE amends IS NOT NULL;
CREATE TABLE answers (
    topic INTEGER NOT NULL,
    n INTEGER NOT NULL,
    command TEXT NOT NULL,
    person TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (topic, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
    topic INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;
INSERT INTO meta VALUES (7);

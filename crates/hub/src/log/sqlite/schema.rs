//! The SQL schema of the log's file, and its migrations.
//!
//! A released migration is immutable: a schema change adds a migration and updates [`TABLES`], the schema of a new file. A test
//! compares both.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::log::chain;
use crate::log::key::LogSecret;
use duplex_protocol::cursor::Checksum;

/// The version of the files that this program writes, and the newest that it opens.
pub(super) const VERSION: u32 = OLDEST + MIGRATIONS.len() as u32;

/// The oldest version that this program opens.
pub(super) const OLDEST: u32 = 1;

/// `topics.answers` counts the accepted commands; `answers.n` is a command's number among them; `refusals` likewise. `time` is the
/// time in a command's id, null if it has none or was written before version 3; `topics.forgotten` is the newest timestamp among
/// the ids of removed answers. `chain` is the checksum of the log up to an event, in `topics` of the newest, and `topics.gone` that
/// of the newest removed event; null for events written before version 3. Events are text: JSON, readable by any SQLite tool.
/// `forwards` are the undelivered ones: the command `command` with `payload` is for the topic `target`, and is the `n`-th forward
/// of an event.
pub(super) const TABLES: &str = "
    CREATE TABLE meta (epoch INTEGER NOT NULL, key BLOB NOT NULL) STRICT;
    CREATE TABLE topics (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        last INTEGER NOT NULL,
        answers INTEGER NOT NULL,
        refusals INTEGER NOT NULL DEFAULT 0,
        forgotten INTEGER,
        chain INTEGER,
        gone INTEGER
    ) STRICT;
    CREATE TABLE events (
        topic INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        amends INTEGER,
        event TEXT NOT NULL,
        chain INTEGER,
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
        time INTEGER,
        PRIMARY KEY (topic, n)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE refusals (
        topic INTEGER NOT NULL,
        n INTEGER NOT NULL,
        command TEXT NOT NULL,
        person TEXT NOT NULL,
        why TEXT NOT NULL,
        at INTEGER NOT NULL,
        time INTEGER,
        PRIMARY KEY (topic, n)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE snapshots (
        topic INTEGER PRIMARY KEY,
        seq INTEGER NOT NULL,
        state BLOB NOT NULL
    ) STRICT;
    CREATE TABLE forwards (
        topic INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        n INTEGER NOT NULL,
        target TEXT NOT NULL,
        command TEXT NOT NULL,
        at INTEGER NOT NULL,
        payload TEXT NOT NULL,
        PRIMARY KEY (topic, seq, n)
    ) STRICT, WITHOUT ROWID;
";

type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// The first migration upgrades version 1 to 2, the next 2 to 3, and so on.
const MIGRATIONS: [Migration; 2] = [to_2, to_3];

/// Upgrades a file of version `from` to [`VERSION`]: completely in one transaction, or not at all.
pub(super) fn upgrade(connection: &mut Connection, from: u32) -> rusqlite::Result<()> {
    let done = from.saturating_sub(OLDEST) as usize;
    let upgraded = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in MIGRATIONS.iter().skip(done) {
        migration(&upgraded)?;
    }
    upgraded.pragma_update(None, "user_version", VERSION)?;
    upgraded.commit()
}

/// Adds the log's secret key.
fn to_2(log: &Transaction<'_>) -> rusqlite::Result<()> {
    log.execute_batch(
        "ALTER TABLE meta RENAME TO keyless;
         CREATE TABLE meta (epoch INTEGER NOT NULL, key BLOB NOT NULL) STRICT;",
    )?;
    let secret = LogSecret::random();
    log.execute(
        "INSERT INTO meta (epoch, key) SELECT epoch, ?1 FROM keyless",
        [secret.bytes()],
    )?;
    log.execute_batch("DROP TABLE keyless")
}

fn to_3(log: &Transaction<'_>) -> rusqlite::Result<()> {
    log.execute_batch(TABLES_OF_3)?;
    start_chains(log)
}

/// Each topic's checksum chain begins with its newest event: no reader has a cursor with a checksum of an older one, and computing
/// all of them would rewrite the whole file.
fn start_chains(log: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut newest = log.prepare("SELECT topic, seq, event FROM topics JOIN events ON topic = id AND seq = last")?;
    let mut event = log.prepare("UPDATE events SET chain = ?3 WHERE topic = ?1 AND seq = ?2")?;
    let mut head = log.prepare("UPDATE topics SET chain = ?2 WHERE id = ?1")?;
    let mut rows = newest.query(())?;
    let mut checksums = Vec::new();
    while let Some(row) = rows.next()? {
        let (topic, seq): (i64, u64) = (row.get(0)?, row.get(1)?);
        let checksum = chain::next_checksum(None, seq, row.get_ref(2)?.as_bytes()?);
        checksums.push((topic, seq, checksum.map(Checksum::get)));
    }
    for (topic, seq, checksum) in checksums {
        event.execute((topic, seq, checksum))?;
        head.execute((topic, checksum))?;
    }
    Ok(())
}

/// New columns come last in their tables, with the default and in the order of [`TABLES`].
const TABLES_OF_3: &str = "
    ALTER TABLE topics ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE topics ADD COLUMN forgotten INTEGER;
    ALTER TABLE answers ADD COLUMN time INTEGER;
    CREATE TABLE refusals (
        topic INTEGER NOT NULL,
        n INTEGER NOT NULL,
        command TEXT NOT NULL,
        person TEXT NOT NULL,
        why TEXT NOT NULL,
        at INTEGER NOT NULL,
        time INTEGER,
        PRIMARY KEY (topic, n)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE forwards (
        topic INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        n INTEGER NOT NULL,
        target TEXT NOT NULL,
        command TEXT NOT NULL,
        at INTEGER NOT NULL,
        payload TEXT NOT NULL,
        PRIMARY KEY (topic, seq, n)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE topics ADD COLUMN chain INTEGER;
    ALTER TABLE topics ADD COLUMN gone INTEGER;
    ALTER TABLE events ADD COLUMN chain INTEGER;
";

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of version 1.
    const VERSION_1: &str = include_str!("version_1.sql");

    /// Rows as text.
    fn rows(log: &Connection, query: &str) -> Vec<String> {
        let mut query = log.prepare(query).unwrap();
        let columns = query.column_count();
        let rows = query.query_map((), |row| {
            (0..columns)
                .map(|column| Ok(format!("{:?}", row.get_ref(column)?)))
                .collect::<rusqlite::Result<Vec<_>>>()
        });
        rows.unwrap().map(|row| row.unwrap().join(" | ")).collect()
    }

    /// SQLite's description of tables, columns, defaults and indexes, independent of the formatting of their SQL.
    fn schema(log: &Connection) -> Vec<String> {
        [
            "SELECT name, type, ncol, wr, strict FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
            "SELECT t.name, c.* FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c
             WHERE t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid",
            "SELECT t.name, i.name, i.\"unique\", i.origin, i.partial, c.* FROM pragma_table_list AS t,
             pragma_index_list(t.name) AS i, pragma_index_xinfo(i.name) AS c ORDER BY t.name, i.name, c.seqno",
            "SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name",
            // Conditions of indexes and checks of triggers exist only in the SQL.
            "SELECT name, sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY name",
        ]
        .iter()
        .flat_map(|query| rows(log, query))
        .collect()
    }

    #[test]
    fn migrations_produce_the_schema_of_a_new_file() {
        let (fresh, mut old) = (
            Connection::open_in_memory().unwrap(),
            Connection::open_in_memory().unwrap(),
        );
        fresh.execute_batch(TABLES).unwrap();
        old.execute_batch(VERSION_1).unwrap();
        upgrade(&mut old, 1).unwrap();
        assert_eq!(schema(&old), schema(&fresh));
        let version: u32 = old.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!((version, VERSION), (3, 3));
    }

    #[test]
    fn a_chain_of_checksums_begins_with_the_newest_event() {
        let mut old = Connection::open_in_memory().unwrap();
        old.execute_batch(VERSION_1).unwrap();
        old.execute_batch(
            "INSERT INTO topics VALUES (1, 'chat/a', 3, 0), (2, 'chat/b', 5, 0), (3, 'chat/c', 0, 0);
             INSERT INTO events VALUES (1, 2, 0, NULL, 'two'), (1, 3, 0, NULL, 'three');",
        )
        .unwrap();
        upgrade(&mut old, 1).unwrap();
        let checksum = chain::next_checksum(None, 3, b"three").unwrap().get();
        let of_three = format!("Integer({checksum})");
        assert_eq!(rows(&old, "SELECT chain FROM events ORDER BY seq"), ["Null", &of_three]);
        assert_eq!(
            rows(&old, "SELECT chain, gone FROM topics ORDER BY id"),
            [&*format!("{of_three} | Null"), "Null | Null", "Null | Null"]
        );
    }

    #[test]
    fn a_failed_upgrade_leaves_the_file_unchanged() {
        let mut old = Connection::open_in_memory().unwrap();
        old.execute_batch(VERSION_1).unwrap();
        // A table of this name prevents the upgrade.
        old.execute_batch("CREATE TABLE keyless (x)").unwrap();
        let before = schema(&old);
        upgrade(&mut old, 1).unwrap_err();
        assert_eq!(schema(&old), before);
    }
}

//! Moves a log between a SQLite file and a PostgreSQL database: all rows, the epoch and the secret, so that readers resume.

use super::postgres::{OpenError as DatabaseError, PostgresConfig};
use super::sqlite::OpenError as FileError;
use super::{postgres, sqlite};

use std::path::Path;

/// Rows that are copied or compared at once.
const PAGE: usize = 1_000;

/// The columns of a table that both stores have, those of its primary key first.
pub(super) struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    /// The number of columns of the primary key.
    pub keys: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

pub(super) type Row = Vec<Value>;

use Kind::{Bytes, Integer, Text};

/// The index of `events` in [`TABLES`].
const EVENTS: usize = 1;

pub(super) const TABLES: [Table; 6] = [
    Table {
        name: "topics",
        keys: 1,
        columns: &[
            ("id", Integer),
            ("name", Text),
            ("last", Integer),
            ("answers", Integer),
            ("refusals", Integer),
            ("forgotten", Integer),
            ("chain", Integer),
            ("gone", Integer),
        ],
    },
    Table {
        name: "events",
        keys: 2,
        columns: &[
            ("topic", Integer),
            ("seq", Integer),
            ("at", Integer),
            ("amends", Integer),
            ("event", Text),
            ("chain", Integer),
        ],
    },
    Table {
        name: "answers",
        keys: 2,
        columns: &[
            ("topic", Integer),
            ("n", Integer),
            ("command", Text),
            ("person", Text),
            ("seq", Integer),
            ("at", Integer),
            ("time", Integer),
        ],
    },
    Table {
        name: "refusals",
        keys: 2,
        columns: &[
            ("topic", Integer),
            ("n", Integer),
            ("command", Text),
            ("person", Text),
            ("why", Text),
            ("at", Integer),
            ("time", Integer),
        ],
    },
    Table {
        name: "snapshots",
        keys: 1,
        columns: &[("topic", Integer), ("seq", Integer), ("state", Bytes)],
    },
    Table {
        name: "forwards",
        keys: 3,
        columns: &[
            ("topic", Integer),
            ("seq", Integer),
            ("n", Integer),
            ("target", Text),
            ("command", Text),
            ("at", Integer),
            ("payload", Text),
        ],
    },
];

impl Table {
    /// The names of the columns, as a list in SQL.
    pub(super) fn column_list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// The query of a page of rows after a key, in the order of the keys. Parameters are written by `parameter`.
    pub(super) fn page_query(&self, table: &str, parameter: impl Fn(usize) -> String) -> String {
        let columns = self.columns.iter().take(self.keys);
        let keys: Vec<_> = columns.map(|(name, _)| *name).collect();
        let after: Vec<_> = (1..=self.keys).map(parameter).collect();
        let (keys, after) = (keys.join(", "), after.join(", "));
        let list = self.column_list();
        format!("SELECT {list} FROM {table} WHERE ({keys}) > ({after}) ORDER BY {keys} LIMIT {PAGE}")
    }

    /// The key after which the first page begins.
    pub(super) fn first_key(&self) -> Vec<i64> {
        vec![i64::MIN; self.keys]
    }

    /// The key after which the next page begins.
    fn next_key(&self, page: &[Row]) -> Option<Vec<i64>> {
        let last = page.last()?;
        let number = |value: &Value| match value {
            Value::Integer(number) => *number,
            _ => i64::MIN,
        };
        Some(last.iter().take(self.keys).map(number).collect())
    }
}

/// What a transfer copied and compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferReport {
    /// Topics.
    pub topics: u64,
    /// Events; each was read again from both stores, and is equal with its checksum.
    pub events: u64,
    /// Rows of all tables.
    pub rows: u64,
}

/// Error of a transfer. The destination is then unchanged, or a new file is removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file of the source or of the destination.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database of the source or of the destination.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A statement on the file failed.
    #[error("the file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// There is no log to transfer.
    #[error("there is no log at {0}")]
    NoLog(String),
    /// The destination already contains topics, or the file exists.
    #[error("{0} already exists; a log is only moved to a new file or to an empty database")]
    NotEmpty(String),
    /// A row is not the same in both stores.
    #[error("a row of {0} differs after it was copied")]
    Differs(&'static str),
}

impl TransferReport {
    fn add(&mut self, index: usize, rows: usize) {
        let rows = rows as u64;
        self.rows += rows;
        match index {
            0 => self.topics += rows,
            EVENTS => self.events += rows,
            _ => {}
        }
    }
}

/// Copies the log of a file to a database without topics, and compares every row, in one transaction. No server may use either.
/// Blocks between its awaits: for command-line tools.
///
/// # Errors
///
/// See [`TransferError`].
pub async fn to_database(file: &Path, database: PostgresConfig) -> Result<TransferReport, TransferError> {
    let source = sqlite::transfer::Store::open(file)?;
    let name = database.to_string();
    let mut destination = postgres::transfer::Store::open(database).await?;
    let transaction = destination.begin_write().await?;
    if !transaction.is_empty().await? {
        return Err(TransferError::NotEmpty(name));
    }
    for table in &TABLES {
        let mut key = table.first_key();
        loop {
            let page = source.page(table, &key)?;
            let Some(next) = table.next_key(&page) else { break };
            transaction.insert(table, &page).await?;
            key = next;
        }
    }
    transaction.set_identity(&source.identity()?).await?;
    let mut report = TransferReport::default();
    for (index, table) in TABLES.iter().enumerate() {
        let mut key = table.first_key();
        loop {
            let (page, copy) = (source.page(table, &key)?, transaction.page(table, &key).await?);
            if page != copy {
                return Err(TransferError::Differs(table.name));
            }
            let Some(next) = table.next_key(&page) else { break };
            report.add(index, page.len());
            key = next;
        }
    }
    transaction.commit().await?;
    Ok(report)
}

/// Copies the log of a database to a new file, and compares every row. No server may use the database.
/// Blocks between its awaits: for command-line tools.
///
/// # Errors
///
/// See [`TransferError`].
pub async fn to_file(database: PostgresConfig, file: &Path) -> Result<TransferReport, TransferError> {
    let name = database.to_string();
    let mut source = postgres::transfer::Store::open(database).await?;
    let source = source.begin_read().await?;
    if source.is_empty().await? {
        return Err(TransferError::NoLog(name));
    }
    let destination = sqlite::transfer::Store::create(file)?;
    let filled = fill(&source, &destination).await;
    if filled.is_err() {
        destination.remove();
    }
    filled
}

async fn fill(
    source: &postgres::transfer::Locked<'_>,
    destination: &sqlite::transfer::Store,
) -> Result<TransferReport, TransferError> {
    destination.begin()?;
    for table in &TABLES {
        let mut key = table.first_key();
        loop {
            let page = source.page(table, &key).await?;
            let Some(next) = table.next_key(&page) else { break };
            destination.insert(table, &page)?;
            key = next;
        }
    }
    destination.set_identity(&source.identity().await?)?;
    let mut report = TransferReport::default();
    for (index, table) in TABLES.iter().enumerate() {
        let mut key = table.first_key();
        loop {
            let (page, copy) = (source.page(table, &key).await?, destination.page(table, &key)?);
            if page != copy {
                return Err(TransferError::Differs(table.name));
            }
            let Some(next) = table.next_key(&page) else { break };
            report.add(index, page.len());
            key = next;
        }
    }
    destination.commit()?;
    Ok(report)
}

/// The epoch and the secret of a log.
pub(super) struct Identity {
    pub epoch: i64,
    pub key: Vec<u8>,
}

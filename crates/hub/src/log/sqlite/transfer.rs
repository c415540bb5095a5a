//! The file's half of a transfer.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ToSql, params_from_iter};

use super::{database, files};
use crate::log::transfer::{Identity, Row, Table, TransferError, Value};

/// A file that is locked while it is read or written.
pub(in crate::log) struct Store(database::Store);

impl Store {
    /// Opens an existing log.
    pub(in crate::log) fn open(path: &Path) -> Result<Self, TransferError> {
        if !path.exists() {
            return Err(TransferError::NoLog(path.display().to_string()));
        }
        Ok(Self(database::open(path)?))
    }

    /// Creates a log.
    pub(in crate::log) fn create(path: &Path) -> Result<Self, TransferError> {
        if path.symlink_metadata().is_ok() {
            return Err(TransferError::NotEmpty(path.display().to_string()));
        }
        Ok(Self(database::open(path)?))
    }

    /// Removes the file, after a transfer to it failed. The journal of its transaction belongs to no other file.
    pub(in crate::log) fn remove(self) {
        let database::Store { path, connection, .. } = self.0;
        drop(connection);
        if let Err(error) = files::remove_all(&path) {
            tracing::warn!("{} cannot be removed: {error}", path.display());
        }
    }

    pub(in crate::log) fn begin(&self) -> Result<(), TransferError> {
        Ok(self.0.connection.execute_batch("BEGIN IMMEDIATE")?)
    }

    pub(in crate::log) fn commit(&self) -> Result<(), TransferError> {
        Ok(self.0.connection.execute_batch("COMMIT")?)
    }

    pub(in crate::log) fn identity(&self) -> Result<Identity, TransferError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Identity {
                epoch: row.get(0)?,
                key: row.get(1)?,
            })
        };
        Ok(self.0.connection.query_row("SELECT epoch, key FROM meta", (), read)?)
    }

    pub(in crate::log) fn set_identity(&self, identity: &Identity) -> Result<(), TransferError> {
        let identity = (identity.epoch, &identity.key);
        self.0
            .connection
            .execute("UPDATE meta SET epoch = ?1, key = ?2", identity)?;
        Ok(())
    }

    /// The next rows after a key.
    pub(in crate::log) fn page(&self, table: &Table, after: &[i64]) -> Result<Vec<Row>, TransferError> {
        let query = table.page_query(table.name, |number| format!("?{number}"));
        let mut statement = self.0.connection.prepare_cached(&query)?;
        let rows = statement.query_map(params_from_iter(after), |row| {
            (0..table.columns.len())
                .map(|column| value(row.get_ref(column)?))
                .collect()
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(in crate::log) fn insert(&self, table: &Table, rows: &[Row]) -> Result<(), TransferError> {
        let parameters: Vec<_> = (1..=table.columns.len()).map(|number| format!("?{number}")).collect();
        let (columns, parameters) = (table.column_list(), parameters.join(", "));
        let insert = format!("INSERT INTO {} ({columns}) VALUES ({parameters})", table.name);
        let mut statement = self.0.connection.prepare_cached(&insert)?;
        for row in rows {
            statement.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}

fn value(stored: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(_) => Value::Text(stored.as_str()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        // No column has this type.
        ValueRef::Real(number) => Value::Text(number.to_string()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use crate::log::sqlite::schema;
    use crate::log::transfer::TABLES;

    #[test]
    fn every_column_is_transferred() {
        let file = Connection::open_in_memory().unwrap();
        file.execute_batch(schema::TABLES).unwrap();
        let query = "SELECT t.name, c.name FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c
                     WHERE t.name NOT LIKE 'sqlite_%' AND t.name <> 'meta' ORDER BY t.name, c.name";
        let mut query = file.prepare(query).unwrap();
        let stored = query.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let stored: Vec<(String, String)> = stored.map(Result::unwrap).collect();
        let columns = TABLES.iter().flat_map(|table| {
            let columns = table.columns.iter();
            columns.map(|(column, _)| (table.name.to_owned(), (*column).to_owned()))
        });
        let mut columns: Vec<_> = columns.collect();
        columns.sort();
        assert_eq!(columns, stored);
    }
}

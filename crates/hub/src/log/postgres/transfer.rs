//! The database's half of a transfer.

use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;

use super::config::PostgresConfig;
use super::connect::{Connection, Connector};
use super::error::OpenError;
use super::schema;
use crate::log::transfer::{Identity, Kind, Row, Table, TransferError, Value};

pub(in crate::log) struct Store(Connection);

/// A transaction that keeps other programs from writing to the log.
pub(in crate::log) struct Locked<'a>(Transaction<'a>);

impl Store {
    /// Creates the tables if there are none.
    pub(in crate::log) async fn open(config: PostgresConfig) -> Result<Self, TransferError> {
        let connector = Connector::new(config).map_err(OpenError::from)?;
        let mut connection = connector.connect().await.map_err(OpenError::from)?;
        schema::open(&mut connection).await?;
        // A page of large rows may take longer than a statement of a server.
        connection
            .client
            .batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            .await?;
        Ok(Self(connection))
    }

    pub(in crate::log) async fn begin_read(&mut self) -> Result<Locked<'_>, TransferError> {
        self.begin("SHARE").await
    }

    pub(in crate::log) async fn begin_write(&mut self) -> Result<Locked<'_>, TransferError> {
        self.begin("EXCLUSIVE").await
    }

    async fn begin(&mut self, mode: &str) -> Result<Locked<'_>, TransferError> {
        let transaction = self.0.client.transaction().await?;
        transaction
            .batch_execute(&format!("LOCK TABLE duplex.topics IN {mode} MODE"))
            .await?;
        Ok(Locked(transaction))
    }
}

impl From<tokio_postgres::Error> for TransferError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Locked<'_> {
    pub(in crate::log) async fn is_empty(&self) -> Result<bool, TransferError> {
        let query = "SELECT NOT EXISTS (SELECT FROM duplex.topics)";
        Ok(self.0.query_one(query, &[]).await?.try_get(0)?)
    }

    pub(in crate::log) async fn identity(&self) -> Result<Identity, TransferError> {
        let row = self.0.query_one("SELECT epoch, key FROM duplex.meta", &[]).await?;
        Ok(Identity {
            epoch: row.try_get(0)?,
            key: row.try_get(1)?,
        })
    }

    /// Also sets the first id of new topics, after those that were inserted.
    pub(in crate::log) async fn set_identity(&self, identity: &Identity) -> Result<(), TransferError> {
        self.0
            .execute(
                "UPDATE duplex.meta SET epoch = $1, key = $2",
                &[&identity.epoch, &identity.key],
            )
            .await?;
        let next = "SELECT setval(pg_get_serial_sequence('duplex.topics', 'id'), max(id)) FROM duplex.topics HAVING count(*) > 0";
        self.0.query(next, &[]).await?;
        Ok(())
    }

    /// The next rows after a key.
    pub(in crate::log) async fn page(&self, table: &Table, after: &[i64]) -> Result<Vec<Row>, TransferError> {
        let query = table.page_query(&format!("duplex.{}", table.name), |number| format!("${number}::bigint"));
        let after: Vec<&(dyn ToSql + Sync)> = after.iter().map(|number| number as &(dyn ToSql + Sync)).collect();
        let rows = self.0.query(&query, &after).await?;
        rows.iter().map(|row| parse(table, row)).collect()
    }

    pub(in crate::log) async fn insert(&self, table: &Table, rows: &[Row]) -> Result<(), TransferError> {
        let (mut columns, mut types): (Vec<Box<dyn ToSql + Sync>>, Vec<String>) = (Vec::new(), Vec::new());
        for (index, (_, kind)) in table.columns.iter().enumerate() {
            let values = rows.iter().map(|row| row.get(index));
            let (column, name): (Box<dyn ToSql + Sync>, _) = match kind {
                Kind::Integer => (Box::new(values.map(integer).collect::<Vec<_>>()), "bigint"),
                Kind::Text => (Box::new(values.map(text).collect::<Vec<_>>()), "text"),
                Kind::Bytes => (Box::new(values.map(bytes).collect::<Vec<_>>()), "bytea"),
            };
            columns.push(column);
            types.push(format!("${}::{name}[]", index + 1));
        }
        let (list, types) = (table.column_list(), types.join(", "));
        let insert = format!(
            "INSERT INTO duplex.{} ({list}) SELECT * FROM unnest({types})",
            table.name
        );
        let columns: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| &**column).collect();
        self.0.execute(&insert, &columns).await?;
        Ok(())
    }

    pub(in crate::log) async fn commit(self) -> Result<(), TransferError> {
        Ok(self.0.commit().await?)
    }
}

fn integer(value: Option<&Value>) -> Option<i64> {
    match value {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

fn bytes(value: Option<&Value>) -> Option<Vec<u8>> {
    match value {
        Some(Value::Bytes(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}

fn parse(table: &Table, row: &tokio_postgres::Row) -> Result<Row, TransferError> {
    let column = |(index, (_, kind)): (usize, &(&str, Kind))| {
        let value = match kind {
            Kind::Integer => row.try_get::<_, Option<i64>>(index)?.map(Value::Integer),
            Kind::Text => row.try_get::<_, Option<String>>(index)?.map(Value::Text),
            Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Value::Bytes),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    table.columns.iter().enumerate().map(column).collect()
}

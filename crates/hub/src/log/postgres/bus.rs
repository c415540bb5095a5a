//! The bus between the nodes of one database: `LISTEN` and `NOTIFY` on one channel.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::connect::{Connection, Connector};
use super::error::Failure;
use crate::bus::{Bus, BusError};
use crate::limits::postgres as limits;

const LISTEN: &str = "LISTEN duplex";

/// One statement is one transaction: its notifications are sent together.
const NOTIFY: &str = "SELECT pg_notify('duplex', payload) FROM unnest($1::text[]) AS payload";

/// A notification is worth no disk sync.
const ASYNCHRONOUS: &str = "SET synchronous_commit = off";

/// A [`Bus`] over a PostgreSQL server. Notifications are lost while a node is disconnected.
pub struct PostgresBus {
    connector: Arc<Connector>,
    sender: Mutex<Option<Connection>>,
    listener: Mutex<Option<Listener>>,
}

struct Listener {
    /// The connection ends when this is dropped.
    _client: Client,
    notifications: mpsc::Receiver<String>,
}

impl PostgresBus {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self {
            connector,
            sender: Mutex::default(),
            listener: Mutex::default(),
        }
    }

    async fn notify(&self, payloads: &[String]) -> Result<(), Failure> {
        let mut sender = self.sender.lock().await;
        let mut connection = match sender.take().filter(|open| !open.client.is_closed()) {
            Some(connection) => connection,
            None => {
                let connection = self.connector.connect().await?;
                connection.client.batch_execute(ASYNCHRONOUS).await?;
                connection
            }
        };
        let statement = connection.prepare(NOTIFY).await?;
        connection.client.execute(&statement, &[&payloads]).await?;
        *sender = Some(connection);
        Ok(())
    }

    async fn listen(&self) -> Result<Listener, Failure> {
        let (client, notifications) = self.connector.connect_listening().await?;
        client.batch_execute(LISTEN).await?;
        Ok(Listener {
            _client: client,
            notifications,
        })
    }
}

impl Bus for PostgresBus {
    fn send(&self, payloads: Vec<String>) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(async move {
            let sent = timeout(limits::ANSWER_TIMEOUT, self.notify(&payloads)).await;
            let sent = sent.unwrap_or(Err(Failure::NoAnswer));
            sent.map_err(|failure| BusError(failure.to_string()))
        })
    }

    fn receive(&self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            let mut listener = self.listener.lock().await;
            loop {
                if let Some(open) = listener.as_mut()
                    && let Some(payload) = open.notifications.recv().await
                {
                    return payload;
                }
                *listener = None;
                match self.listen().await {
                    Ok(open) => *listener = Some(open),
                    Err(failure) => {
                        tracing::debug!("notifications of other nodes are not received: {failure}");
                        sleep(limits::RECONNECT_PAUSE_MAX).await;
                    }
                }
            }
        })
    }
}

//! A bounded set of connections, opened on demand.

use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::connect::{Connection, Connector};
use super::error::Failure;
use crate::limits::postgres as limits;
use crate::lock;

pub(super) struct Pool {
    connector: Arc<Connector>,
    size: u32,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

/// A connection of a pool. Dropping it closes the connection, which ends its transaction; [`Self::keep`] returns it to the pool.
pub(super) struct Pooled<'a> {
    pub connection: Connection,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>, size: usize) -> Self {
        Self {
            connector,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            idle: Mutex::default(),
            permits: Semaphore::new(size),
        }
    }

    pub(super) async fn get(&self) -> Result<Pooled<'_>, Failure> {
        let permit = timeout(limits::CONNECTION_WAIT, self.permits.acquire()).await;
        let permit = permit.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Closed)?;
        let idle = lock::lock(&self.idle).pop().filter(|idle| !idle.client.is_closed());
        let connection = match idle {
            Some(connection) => connection,
            None => self.connector.connect().await?,
        };
        Ok(Pooled {
            connection,
            pool: self,
            _permit: permit,
        })
    }

    /// Completes when the last operation has ended.
    pub(super) async fn close(&self) {
        let permits = self.permits.acquire_many(self.size).await;
        self.permits.close();
        lock::lock(&self.idle).clear();
        drop(permits);
    }
}

impl Pooled<'_> {
    /// Returns the connection to the pool, after an operation that succeeded completely.
    pub(super) fn keep(self) {
        lock::lock(&self.pool.idle).push(self.connection);
    }
}

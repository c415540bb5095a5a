//! Work that runs on one of the nodes that share a log.

use tokio::time::{Instant, sleep, timeout_at};

use super::Hub;
use crate::limits;

impl Hub {
    /// Runs `work` on this node while no other node runs work of the same name, and returns its result. Without other nodes it runs
    /// at once. If this node cannot renew its lease in time, the work is dropped, and started again once the node has the lease.
    pub async fn run_on_one_node<F: Future>(&self, name: &str, mut work: impl FnMut() -> F) -> F::Output {
        let Some(cluster) = self.cluster() else {
            return work().await;
        };
        let holder = cluster.node().get();
        loop {
            let requested = Instant::now();
            if !self.renew_lease(name, holder).await {
                sleep(limits::LEASE_INTERVAL).await;
                continue;
            }
            tokio::select! {
                result = work() => {
                    if let Err(error) = self.log().end_lease(name, holder).await {
                        tracing::debug!(name, "a lease was not ended, and expires: {error}");
                    }
                    return result;
                }
                () = self.hold_lease(name, holder, requested) => {
                    tracing::warn!(name, "another node may run this work now, so it stops on this node");
                }
            }
        }
    }

    /// Renews a lease until it could not be renewed in time.
    async fn hold_lease(&self, name: &str, holder: u64, mut renewed: Instant) {
        loop {
            sleep(limits::LEASE_INTERVAL).await;
            let requested = Instant::now();
            match timeout_at(renewed + limits::LEASE_SAFE, self.renew_lease(name, holder)).await {
                Ok(true) => renewed = requested,
                Ok(false) if requested < renewed + limits::LEASE_SAFE => {}
                _ => return,
            }
        }
    }

    async fn renew_lease(&self, name: &str, holder: u64) -> bool {
        match self.log().lease(name, holder, limits::LEASE).await {
            Ok(held) => held,
            Err(error) => {
                tracing::debug!(name, "a lease cannot be renewed: {error}");
                false
            }
        }
    }
}

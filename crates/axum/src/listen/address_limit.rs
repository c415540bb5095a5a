//! Limits TCP connections per client address at accept time.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::client_addr::TrustedProxies;
use crate::gateway::Gateway;
use duplex_hub::quota::{ClientKey, QuotaGuard, Quotas, Resource};

#[derive(Clone)]
pub(super) struct AddressLimit {
    quotas: Arc<Quotas>,
    /// Exempt: a proxy's connections belong to many clients.
    proxies: TrustedProxies,
}

impl AddressLimit {
    pub(super) fn new(state: &Gateway) -> Self {
        Self {
            quotas: Arc::clone(&state.quotas),
            proxies: state.settings.trusted_proxies.clone(),
        }
    }

    /// Counts a connection of `peer`. `None` if its address is at its limit.
    pub(super) fn try_acquire(&self, peer: SocketAddr) -> Option<QuotaGuard> {
        if self.proxies.contains(peer.ip().to_canonical()) {
            return Some(QuotaGuard::default());
        }
        let client = ClientKey {
            address: Some(peer.ip().into()),
            person: None,
        };
        self.quotas.acquire(&client, Resource::TcpConnections).ok()
    }
}

//! A stream that yields each pending order once, as soon as it is added to `orders/all`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::super::model::PendingOrders;
use super::super::wire::{ALL, Orders, PendingOrder};
use duplex_hub::{Hub, SubscriptionGuard, TopicHandle, Wake};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::SessionId;
use duplex_protocol::topic::TopicName;

/// The pause before reading the topic again after an error.
const RETRY_DELAY: Duration = Duration::from_secs(1);

pub struct OrderStream {
    hub: Hub,
    session: SessionId,
    wake: Arc<Wake>,
    subscription: Option<(TopicHandle, SubscriptionGuard)>,
    /// The pending orders that were returned already.
    yielded: BTreeSet<(String, Seq)>,
}

impl OrderStream {
    /// `session`: the subscription's session id, unique among the streams.
    pub fn new(hub: Hub, session: &str) -> Self {
        Self {
            hub,
            session: SessionId(session.to_owned()),
            wake: Wake::new(),
            subscription: None,
            yielded: BTreeSet::new(),
        }
    }

    /// Waits for orders that it has not yielded yet. Cancel safe.
    pub async fn next(&mut self) -> Vec<PendingOrder> {
        loop {
            match self.read_new().await {
                Some(new) if new.is_empty() => self.wake.woken().await,
                Some(new) => return new,
                None => {
                    self.subscription = None;
                    sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    /// `None` if the topic cannot be read.
    async fn read_new(&mut self) -> Option<Vec<PendingOrder>> {
        if self.subscription.is_none() {
            let topic = self.hub.open(&TopicName::of::<Orders>(ALL).ok()?).await.ok()?;
            let guard = topic.subscribe_as_server(self.session.clone(), Arc::clone(&self.wake));
            self.subscription = Some((topic, guard));
        }
        let (topic, _) = self.subscription.as_ref()?;
        let (_, state) = topic.state(Encoding::Json).await.ok()?;
        let PendingOrders { orders } = state.decode(Encoding::Json).ok()?;
        let id = |order: &PendingOrder| (order.device.clone(), order.order);
        let all: BTreeSet<_> = orders.iter().map(id).collect();
        let new = orders
            .into_iter()
            .filter(|order| !self.yielded.contains(&id(order)))
            .collect();
        self.yielded = all;
        Some(new)
    }
}

//! The orders that wait, as whoever carries them to devices sees them: each once, as soon as it is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::super::model::Waiting;
use super::super::wire::{ALL, Open, Orders};
use duplex_hub::{Hub, SubscriptionGuard, TopicHandle, Wake};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::SessionId;
use duplex_protocol::topic::TopicName;

/// Until a log that could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);

pub struct Outbox {
    hub: Hub,
    session: SessionId,
    wake: Arc<Wake>,
    joined: Option<(TopicHandle, SubscriptionGuard)>,
    given: BTreeSet<(String, Seq)>,
}

impl Outbox {
    /// `carrier`: told apart from the others.
    pub fn new(hub: Hub, carrier: &str) -> Self {
        Self {
            hub,
            session: SessionId(carrier.to_owned()),
            wake: Wake::new(),
            joined: None,
            given: BTreeSet::new(),
        }
    }

    /// Orders that were not given before. May be dropped while it waits.
    pub async fn next(&mut self) -> Vec<Open> {
        loop {
            match self.look().await {
                Some(fresh) if fresh.is_empty() => self.wake.woken().await,
                Some(fresh) => return fresh,
                None => {
                    self.joined = None;
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn look(&mut self) -> Option<Vec<Open>> {
        if self.joined.is_none() {
            let topic = self.hub.open(&TopicName::of::<Orders>(ALL).ok()?).await.ok()?;
            let membership = topic.watch(self.session.clone(), Arc::clone(&self.wake));
            self.joined = Some((topic, membership));
        }
        let (topic, _) = self.joined.as_ref()?;
        let (_, state) = topic.state(Encoding::Json).await.ok()?;
        let Waiting { open } = state.decode(Encoding::Json).ok()?;
        let id = |open: &Open| (open.device.clone(), open.order);
        let all: BTreeSet<_> = open.iter().map(id).collect();
        let fresh = open
            .into_iter()
            .filter(|open| !self.given.contains(&id(open)))
            .collect();
        self.given = all;
        Some(fresh)
    }
}

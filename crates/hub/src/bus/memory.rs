//! An in-memory bus between the hubs of one process, for tests. It can lose, delay, repeat and reorder payloads.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::sleep;

use super::{Bus, BusError};
use crate::lock;

/// How a [`MemoryBus`] fails. The default delivers every payload once and at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct BusFaults {
    /// The percentage of payloads that are lost, for each receiver.
    pub lost: u64,
    /// The percentage of payloads that arrive twice, likewise.
    pub repeated: u64,
    /// The longest delay. Payloads with different delays overtake each other.
    pub delay: Duration,
}

/// An in-memory bus. Its faults follow from a seed.
pub struct MemoryBus {
    faults: Mutex<BusFaults>,
    random: Mutex<u64>,
    ports: Mutex<Vec<(u64, mpsc::UnboundedSender<String>)>>,
}

/// A node's end of a [`MemoryBus`]. The node leaves the bus when this is dropped, or by [`Self::disconnect`].
pub struct MemoryBusPort {
    bus: Arc<MemoryBus>,
    number: u64,
    received: AsyncMutex<mpsc::UnboundedReceiver<String>>,
}

impl MemoryBus {
    /// A bus without nodes.
    pub fn new(seed: u64, faults: BusFaults) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(faults),
            random: Mutex::new(seed),
            ports: Mutex::default(),
        })
    }

    /// Changes the faults from now on.
    pub fn set_faults(&self, faults: BusFaults) {
        *lock::lock(&self.faults) = faults;
    }

    /// Adds a node.
    pub fn join(self: &Arc<Self>) -> Arc<MemoryBusPort> {
        let (sender, received) = mpsc::unbounded_channel();
        let mut ports = lock::lock(&self.ports);
        let number = ports.last().map_or(0, |(last, _)| last + 1);
        ports.push((number, sender));
        Arc::new(MemoryBusPort {
            bus: Arc::clone(self),
            number,
            received: AsyncMutex::new(received),
        })
    }

    /// A number below `end`: SplitMix64.
    fn random(&self, end: u64) -> u64 {
        let mut random = lock::lock(&self.random);
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*random ^ (*random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    fn deliver(&self, to: &mpsc::UnboundedSender<String>, payload: &str) {
        let faults = *lock::lock(&self.faults);
        let copies = match self.random(100) {
            percent if percent < faults.lost => 0,
            percent if percent < faults.lost + faults.repeated => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let (to, payload) = (to.clone(), payload.to_owned());
            let millis = u64::try_from(faults.delay.as_millis()).unwrap_or(u64::MAX);
            if millis == 0 {
                // The receiver may have left.
                let _ = to.send(payload);
                continue;
            }
            let delay = Duration::from_millis(self.random(millis));
            tokio::spawn(async move {
                sleep(delay).await;
                let _ = to.send(payload);
            });
        }
    }
}

impl MemoryBusPort {
    /// Takes the node from the bus: it sends and receives no more.
    pub fn disconnect(&self) {
        lock::lock(&self.bus.ports).retain(|(number, _)| *number != self.number);
    }
}

impl Drop for MemoryBusPort {
    fn drop(&mut self) {
        self.disconnect();
    }
}

impl Bus for MemoryBusPort {
    fn send(&self, payloads: Vec<String>) -> BoxFuture<'_, Result<(), BusError>> {
        let ports = lock::lock(&self.bus.ports).clone();
        Box::pin(async move {
            if !ports.iter().any(|(number, _)| *number == self.number) {
                return Err(BusError("the node left the bus".to_owned()));
            }
            for (_, to) in ports.iter().filter(|(number, _)| *number != self.number) {
                for payload in &payloads {
                    self.bus.deliver(to, payload);
                }
            }
            Ok(())
        })
    }

    fn receive(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            match self.received.lock().await.recv().await {
                Some(payload) => payload,
                None => std::future::pending().await,
            }
        })
    }
}

//! The feed that watches prices for people: it hears the quotes as any reader does, and tells whoever wanted to know.
//!
//! What it knows of alerts is a copy: it asks all of them when it starts, and one person's whenever it hears that they changed.
//! An alert is told by a notice whose id follows from the alert alone, and only then marked as done: whenever a server dies in
//! between, the next one says the same notice again, which is then known, and goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::model::alerts::{Alert, AlertList};
use super::super::model::board::Board;
use super::super::model::decimal;
use super::super::wire::{ALL, Alerts, Changed, Entry, Listing, Quotes, QuotesEvent, Side, Watches, symbol_path};
use crate::server::hub::reader::Reader;
use crate::server::hub::{self, Feed, Hub, Most, Running};
use crate::wire::codec::{Blob, Encoding};
use crate::wire::notice::{Audience, Level, Notice, Words};
use crate::wire::person::PersonId;
use crate::wire::session::{Answer, CommandId, Denied, ServerFrame, SessionId, Verdict};
use crate::wire::topic::{Topic, TopicName};

/// Taken from a topic at once.
const MOST: Most = Most {
    frames: 256,
    bytes: 256 << 10,
};
/// An alert that could not be told is tried again after this time.
const AGAIN: Duration = Duration::from_secs(5);

pub struct Watcher;

impl Feed for Watcher {
    fn name(&self) -> &'static str {
        "market-alerts"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let watched = async {
                let mut watch = Watch::start(hub).await?;
                watch.run().await
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Err(denied) = watched => tracing::warn!("nobody watches prices: {denied}"),
            }
        })
    }
}

struct Watch {
    hub: Hub,
    reader: Reader,
    /// Symbols with their newest prices.
    entries: BTreeMap<String, Entry>,
    /// Alerts that wait, by person.
    alerts: BTreeMap<PersonId, Vec<Waiting>>,
}

struct Waiting {
    alert: Alert,
    not_before: Instant,
}

impl Watch {
    /// First what changes is listened to, then what there is is asked: nothing falls in between.
    async fn start(hub: Hub) -> Result<Self, Denied> {
        let session = SessionId(format!("market-{}", uuid::Uuid::new_v4()));
        let mut reader = Reader::new(hub.clone(), Encoding::Json, session, hub::server());
        let mut watch_frames = Vec::new();
        for topic in [name::<Watches>(ALL)?, name::<Quotes>(ALL)?] {
            match reader.subscribe(&topic, None).await {
                Verdict::Denied { reason } => return Err(reason),
                verdict => watch_frames.push(ServerFrame::Verdict { topic, verdict }),
            }
        }
        let mut watch = Self {
            hub,
            reader,
            entries: BTreeMap::new(),
            alerts: BTreeMap::new(),
        };
        for topic in watch.hub.topics_of(Alerts::KIND).await? {
            watch.ask(&PersonId(topic.rest().to_owned())).await?;
        }
        for frame in watch_frames {
            watch.hear(frame).await?;
        }
        Ok(watch)
    }

    async fn run(&mut self) -> Result<(), Denied> {
        loop {
            self.reader.woken().await;
            let mut frames = Vec::new();
            self.reader.gather(MOST, &mut frames).await;
            for frame in frames {
                match Encoding::Json.decode(&frame) {
                    Ok(frame) => self.hear(frame).await?,
                    Err(error) => tracing::error!("a frame of the quotes cannot be read: {error}"),
                }
            }
        }
    }

    async fn hear(&mut self, frame: ServerFrame) -> Result<(), Denied> {
        match frame {
            ServerFrame::Verdict {
                verdict: Verdict::Denied { reason },
                ..
            } => return Err(reason),
            ServerFrame::Verdict {
                topic,
                verdict: Verdict::Reset { state, .. },
            } if topic.kind() == Quotes::KIND => {
                if let Some(board) = read::<Board>(&state) {
                    self.entries = board.entries;
                    let symbols: Vec<String> = self.entries.keys().cloned().collect();
                    for symbol in symbols {
                        self.check(&symbol).await;
                    }
                }
            }
            ServerFrame::Event { topic, event, .. } if topic.kind() == Quotes::KIND => {
                if let Some(event) = read::<QuotesEvent>(&event) {
                    self.quote(event).await;
                }
            }
            ServerFrame::Event { event, .. } => {
                if let Some(Changed { person }) = read(&event) {
                    let person = PersonId(person);
                    self.ask(&person).await?;
                    let wanted = self.alerts.get(&person).into_iter().flatten();
                    let symbols: Vec<String> = wanted.map(|waiting| waiting.alert.symbol.clone()).collect();
                    for symbol in symbols {
                        self.check(&symbol).await;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// One person's alerts, as they are now.
    async fn ask(&mut self, person: &PersonId) -> Result<(), Denied> {
        let topic = name::<Alerts>(&person.0)?;
        let (_, state) = self.hub.open(&topic).await?.state(Encoding::Json).await?;
        let list: AlertList = read(&state).unwrap_or_default();
        let waiting: Vec<_> = list
            .waiting()
            .map(|alert| Waiting {
                alert: alert.clone(),
                not_before: Instant::now(),
            })
            .collect();
        if waiting.is_empty() {
            self.alerts.remove(person);
        } else {
            self.alerts.insert(person.clone(), waiting);
        }
        Ok(())
    }

    async fn quote(&mut self, event: QuotesEvent) {
        match event {
            QuotesEvent::Opened(_) => self.entries.clear(),
            QuotesEvent::Listed(entries) => {
                for entry in entries {
                    let symbol = entry.listing.symbol.clone();
                    self.entries.insert(symbol.clone(), entry);
                    self.check(&symbol).await;
                }
            }
            QuotesEvent::Ticked(tick) => {
                let symbol = tick.symbol.clone();
                if let Some(entry) = self.entries.get_mut(&symbol) {
                    entry.tick = tick;
                    self.check(&symbol).await;
                }
            }
            QuotesEvent::Sampled { .. } | QuotesEvent::Feed(_) => {}
        }
    }

    /// Tells of every alert that this symbol's price has reached. An old price tells nobody anything.
    async fn check(&mut self, symbol: &str) {
        let Some(entry) = self.entries.get(symbol).filter(|entry| !entry.tick.stale) else {
            return;
        };
        let now = Instant::now();
        for (person, alerts) in &mut self.alerts {
            let mut kept = Vec::with_capacity(alerts.len());
            for mut waiting in std::mem::take(alerts) {
                let alert = &waiting.alert;
                let due = alert.symbol == symbol
                    && now >= waiting.not_before
                    && alert.is_reached(entry.tick.last, entry.listing.scale);
                if due && tell(&self.hub, person, alert, entry).await {
                    continue;
                }
                if due {
                    waiting.not_before = now + AGAIN;
                }
                kept.push(waiting);
            }
            *alerts = kept;
        }
        self.alerts.retain(|_, alerts| !alerts.is_empty());
    }
}

/// Whether it was told, and is done.
async fn tell(hub: &Hub, person: &PersonId, alert: &Alert, entry: &Entry) -> bool {
    let audience = Audience::Person(person.clone());
    let told = hub.notify(&audience, &notice(alert, entry), id(person, alert, "notice")).await;
    if is_lost(&told) {
        return false;
    }
    let Ok(topic) = name::<Alerts>(&person.0) else {
        return true;
    };
    let reach = json!({ "reach": { "id": alert.id, "price": entry.tick.last, "scale": entry.listing.scale } });
    !is_lost(&hub.tell(&topic, id(person, alert, "reach"), &reach).await)
}

/// It may go better later. What is refused for good is refused again.
fn is_lost(answer: &Answer) -> bool {
    match answer {
        Answer::Accepted { .. } => false,
        Answer::Rejected(why) => {
            tracing::warn!("an alert was not taken: {why}");
            why.may_retry()
        }
    }
}

/// The same whenever it is made.
fn id(person: &PersonId, alert: &Alert, step: &str) -> CommandId {
    let mut hash = Sha256::new();
    for text in ["market alert", &person.0, &alert.symbol, step] {
        hash.update(text);
        hash.update([0]);
    }
    for number in [alert.id, alert.at, alert.price] {
        hash.update(number.to_be_bytes());
    }
    let hash = hash.finalize();
    CommandId::from_random(hash.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}

fn notice(alert: &Alert, entry: &Entry) -> Notice {
    let Listing {
        names, scale, least, ..
    } = &entry.listing;
    let wanted = decimal::show(alert.price, alert.scale, *least);
    let last = decimal::show(entry.tick.last, *scale, *least);
    let (ko, en) = match alert.side {
        Side::Above => ("이상이", "at or above"),
        Side::Below => ("이하가", "at or below"),
    };
    Notice {
        title: Words::new(
            format!("{} {last}", names.0),
            format!("{} at {last}", names.1),
        ),
        body: Words::new(
            format!("{wanted} {ko} 되면 알려 달라고 하셨습니다."),
            format!("You asked to be told when it is {en} {wanted}."),
        ),
        link: Some(symbol_path(&alert.symbol)),
        level: Level::Info,
        expires: None,
    }
}

fn name<T: Topic>(rest: &str) -> Result<TopicName, Denied> {
    TopicName::of::<T>(rest).map_err(|_| Denied::Unknown)
}

fn read<T: serde::de::DeserializeOwned>(blob: &Blob) -> Option<T> {
    blob.decode(Encoding::Json)
        .inspect_err(|error| tracing::error!("the market cannot be read: {error}"))
        .ok()
}

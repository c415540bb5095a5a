//! The feed that watches prices for people: it hears the quotes as any reader does, and tells whoever wanted to know.
//!
//! What it knows of alerts is a copy: it asks all of them when it starts, and one person's whenever it hears that they changed.
//! An alert is told by a notice whose id follows from the alert alone, and only then marked as done: whenever a server dies in
//! between, the next one says the same notice again, which is then known, and goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::model::alerts::{Alert, AlertList};
use super::super::model::decimal;
use super::super::model::quote_book::QuoteBook;
use super::super::wire::{ALL, Alerts, Changed, Entry, Listing, Quotes, QuotesEvent, Side, Watches, symbol_path};
use super::commands::AlertsServerCommand;
use super::watch_list::WatchList;
use crate::server::notify;
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use duplex_hub::session::Reader;
use duplex_hub::{BackgroundTask, Hub, ReadLimit, TaskFuture, TopicCommand};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Denied, Rejection, ServerFrame, SessionId, Verdict};
use duplex_protocol::topic::{Topic, TopicName};

/// Taken from a topic at once.
const MOST: ReadLimit = ReadLimit {
    frames: 256,
    bytes: 256 << 10,
};
/// An alert that could not be told is tried again after this time.
const AGAIN: Duration = Duration::from_secs(5);

pub struct Watcher;

impl BackgroundTask for Watcher {
    fn name(&self) -> &'static str {
        "market-alerts"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
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
    /// Alerts that wait.
    alerts: WatchList,
}

impl Watch {
    /// First what changes is listened to, then what there is is asked: nothing falls in between.
    async fn start(hub: Hub) -> Result<Self, Denied> {
        let session = SessionId(format!("market-{}", uuid::Uuid::new_v4()));
        let mut reader = Reader::for_server(&hub, Encoding::Json, session);
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
            alerts: WatchList::default(),
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
                if let Some(board) = read::<QuoteBook>(&state) {
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
                    for symbol in self.alerts.symbols_of(&person) {
                        self.check(&symbol).await;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// One person's alerts, as they are now. The topic is not started for it.
    async fn ask(&mut self, person: &PersonId) -> Result<(), Denied> {
        let topic = name::<Alerts>(&person.0)?;
        let state = self.hub.kept(&topic, Encoding::Json).await?;
        let list: AlertList = read(&state).unwrap_or_default();
        self.alerts.replace(person, list.waiting());
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
        let last = entry.tick.last;
        for (person, alert) in self.alerts.reached(symbol, last, entry.listing.scale, Instant::now()) {
            if tell(&self.hub, &person, &alert, entry).await {
                self.alerts.done(&person, &alert);
            } else {
                self.alerts.later(&person, &alert, Instant::now() + AGAIN);
            }
        }
    }
}

/// Whether it was told, and is done.
async fn tell(hub: &Hub, person: &PersonId, alert: &Alert, entry: &Entry) -> bool {
    let Ok(notice) = notify::command(&Audience::Person(person.clone()), &notice(alert, entry)) else {
        return true;
    };
    if is_lost(&once(hub, id(person, alert, "notice"), notice).await) {
        return false;
    }
    let reach = AlertsServerCommand::Reach {
        id: alert.id,
        price: entry.tick.last,
        scale: entry.listing.scale,
    };
    let Ok(reach) = TopicCommand::server_command::<Alerts>(&person.0, &reach) else {
        return true;
    };
    !is_lost(&once(hub, id(person, alert, "reach"), reach).await)
}

/// An alert may stand for longer than its topics remember ids of its time. It was not reached in all that time: it is told under
/// an id without a time, which is the same for the same alert.
async fn once(hub: &Hub, id: CommandId, command: TopicCommand) -> Answer {
    match hub.tell_command(id.clone(), command.clone()).await {
        Answer::Rejected(Rejection::IdTooOld { .. }) => {
            hub.tell_command(CommandId::without_time(id.bits()), command).await
        }
        answer => answer,
    }
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

/// The same whenever it is made, of the time when the alert was set.
fn id(person: &PersonId, alert: &Alert, step: &str) -> CommandId {
    let mut hash = Sha256::new();
    for text in ["market alert", &person.0, &alert.symbol, step] {
        hash.update(text);
        hash.update([0]);
    }
    for number in [alert.id, alert.at, alert.price] {
        hash.update(number.to_be_bytes());
    }
    CommandId::at(alert.at, CommandId::digest_bits(&hash.finalize()))
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
        title: LocalizedText::new(format!("{} {last}", names.0), format!("{} at {last}", names.1)),
        body: LocalizedText::new(
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

#[cfg(test)]
mod tests;

//! A background task that watches prices for alerts: it subscribes to the quotes and notifies the owners of reached alerts.
//!
//! It keeps all pending alerts in memory: loaded at start, and reloaded per person when they change. For a reached alert it first
//! sends a notice, whose id is derived from the alert alone, and only then marks the alert as reached. If the server stops in
//! between, the next run sends the notice again; its id is the same, so the hub drops it as a duplicate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::model::alerts::{Alert, AlertList};
use super::super::model::decimal;
use super::super::model::quote_book::QuoteBook;
use super::super::wire::{
    ALL, AlertChanges, AlertCondition, Alerts, AlertsChanged, Entry, Listing, Quotes, QuotesEvent, symbol_path,
};
use super::alert_index::AlertIndex;
use super::commands::AlertsServerCommand;
use crate::server::notify;
use crate::wire::notice::{Audience, Level, LocalizedText, Notice};
use duplex_hub::session::Reader;
use duplex_hub::{BackgroundTask, Hub, ReadLimit, TaskFuture, TopicCommand};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection, ServerFrame, SessionId, Verdict};
use duplex_protocol::topic::{Topic, TopicName};

/// Limits of one `gather` call.
const READ_LIMIT: ReadLimit = ReadLimit {
    frames: 256,
    bytes: 256 << 10,
};
/// Delay before a failed notice is retried.
const RETRY_DELAY: Duration = Duration::from_secs(5);

pub struct AlertWatcher;

impl BackgroundTask for AlertWatcher {
    fn name(&self) -> &'static str {
        "market-alerts"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            let watching = async {
                let mut state = WatcherState::start(hub).await?;
                state.run().await
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Err(denied) = watching => tracing::warn!("the alert watcher stopped: {denied}"),
            }
        })
    }
}

struct WatcherState {
    hub: Hub,
    reader: Reader,
    /// The symbols with their latest prices.
    entries: BTreeMap<String, Entry>,
    /// The pending alerts.
    alerts: AlertIndex,
}

impl WatcherState {
    /// Subscribes to changes first and loads the alerts afterwards, so that no change is missed.
    async fn start(hub: Hub) -> Result<Self, Denial> {
        let session = SessionId(format!("market-{}", uuid::Uuid::new_v4()));
        let mut reader = Reader::for_server(&hub, Encoding::Json, session);
        let mut verdicts = Vec::new();
        for topic in [topic_name::<AlertChanges>(ALL)?, topic_name::<Quotes>(ALL)?] {
            match reader.subscribe(&topic, None).await {
                Verdict::Denied { reason } => return Err(reason),
                verdict => verdicts.push(ServerFrame::Verdict { topic, verdict }),
            }
        }
        let mut state = Self {
            hub,
            reader,
            entries: BTreeMap::new(),
            alerts: AlertIndex::default(),
        };
        for topic in state.hub.topics_of(Alerts::KIND).await? {
            state.load_alerts(&PersonId(topic.rest().to_owned())).await?;
        }
        for frame in verdicts {
            state.on_frame(frame).await?;
        }
        Ok(state)
    }

    async fn run(&mut self) -> Result<(), Denial> {
        loop {
            self.reader.woken().await;
            let mut frames = Vec::new();
            self.reader.gather(READ_LIMIT, &mut frames).await;
            for frame in frames {
                match Encoding::Json.decode(&frame) {
                    Ok(frame) => self.on_frame(frame).await?,
                    Err(error) => tracing::error!("could not decode a frame: {error}"),
                }
            }
        }
    }

    async fn on_frame(&mut self, frame: ServerFrame) -> Result<(), Denial> {
        match frame {
            ServerFrame::Verdict {
                verdict: Verdict::Denied { reason },
                ..
            } => return Err(reason),
            ServerFrame::Verdict {
                topic,
                verdict: Verdict::Reset { state, .. },
            } if topic.kind() == Quotes::KIND => {
                if let Some(book) = decode::<QuoteBook>(&state) {
                    self.entries = book.entries;
                    let symbols: Vec<String> = self.entries.keys().cloned().collect();
                    for symbol in symbols {
                        self.notify_reached(&symbol).await;
                    }
                }
            }
            ServerFrame::Event { topic, event, .. } if topic.kind() == Quotes::KIND => {
                if let Some(event) = decode::<QuotesEvent>(&event) {
                    self.on_quote(event).await;
                }
            }
            ServerFrame::Event { event, .. } => {
                if let Some(AlertsChanged { person }) = decode(&event) {
                    let person = PersonId(person);
                    self.load_alerts(&person).await?;
                    for symbol in self.alerts.symbols_of(&person) {
                        self.notify_reached(&symbol).await;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Loads one person's current alerts without starting the topic.
    async fn load_alerts(&mut self, person: &PersonId) -> Result<(), Denial> {
        let topic = topic_name::<Alerts>(&person.0)?;
        let state = self.hub.stored_state(&topic, Encoding::Json).await?;
        let list: AlertList = decode(&state).unwrap_or_default();
        self.alerts.replace(person, list.pending());
        Ok(())
    }

    async fn on_quote(&mut self, event: QuotesEvent) {
        match event {
            QuotesEvent::Opened(_) => self.entries.clear(),
            QuotesEvent::Listed(entries) => {
                for entry in entries {
                    let symbol = entry.listing.symbol.clone();
                    self.entries.insert(symbol.clone(), entry);
                    self.notify_reached(&symbol).await;
                }
            }
            QuotesEvent::Ticked(tick) => {
                let symbol = tick.symbol.clone();
                if let Some(entry) = self.entries.get_mut(&symbol) {
                    entry.tick = tick;
                    self.notify_reached(&symbol).await;
                }
            }
            QuotesEvent::Sampled { .. } | QuotesEvent::Feed(_) => {}
        }
    }

    /// Notifies the owners of all alerts that the symbol's price reaches. A stale price is ignored.
    async fn notify_reached(&mut self, symbol: &str) {
        let Some(entry) = self.entries.get(symbol).filter(|entry| !entry.tick.stale) else {
            return;
        };
        let last = entry.tick.last;
        for (person, alert) in self.alerts.reached(symbol, last, entry.listing.scale, Instant::now()) {
            if send_notice(&self.hub, &person, &alert, entry).await {
                self.alerts.remove(&person, &alert);
            } else {
                self.alerts.postpone(&person, &alert, Instant::now() + RETRY_DELAY);
            }
        }
    }
}

/// Sends the notice and marks the alert as reached. Returns false if this should be retried.
async fn send_notice(hub: &Hub, person: &PersonId, alert: &Alert, entry: &Entry) -> bool {
    let Ok(notice) = notify::command(&Audience::Person(person.clone()), &notice(alert, entry)) else {
        return true;
    };
    if should_retry(&send_once(hub, command_id(person, alert, "notice"), notice).await) {
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
    !should_retry(&send_once(hub, command_id(person, alert, "reach"), reach).await)
}

/// Sends a command whose id contains the time at which the alert was set. If that time is outside the deduplication window, retries
/// with an id without a time. Both are derived from the alert.
async fn send_once(hub: &Hub, id: CommandId, command: TopicCommand) -> Answer {
    match hub.send_command(id.clone(), command.clone()).await {
        Answer::Rejected(Rejection::IdTooOld { .. }) => {
            hub.send_command(CommandId::without_time(id.bits()), command).await
        }
        answer => answer,
    }
}

/// Whether a retry may succeed.
fn should_retry(answer: &Answer) -> bool {
    match answer {
        Answer::Accepted { .. } => false,
        Answer::Rejected(rejection) => {
            tracing::warn!("the command for an alert was rejected: {rejection}");
            rejection.may_retry()
        }
    }
}

/// A deterministic command id, with the time at which the alert was set.
fn command_id(person: &PersonId, alert: &Alert, purpose: &str) -> CommandId {
    let mut hash = Sha256::new();
    for text in ["market alert", &person.0, &alert.symbol, purpose] {
        hash.update(text);
        hash.update([0]);
    }
    for number in [alert.id, alert.at, alert.price] {
        hash.update(number.to_be_bytes());
    }
    CommandId::from_time(alert.at, CommandId::digest_bits(&hash.finalize()))
}

fn notice(alert: &Alert, entry: &Entry) -> Notice {
    let Listing {
        names,
        scale,
        min_decimals,
        ..
    } = &entry.listing;
    let limit = decimal::format(alert.price, alert.scale, *min_decimals);
    let last = decimal::format(entry.tick.last, *scale, *min_decimals);
    let (ko, en) = match alert.condition {
        AlertCondition::Above => ("이상이", "at or above"),
        AlertCondition::Below => ("이하가", "at or below"),
    };
    Notice {
        title: LocalizedText::new(format!("{} {last}", names.0), format!("{} at {last}", names.1)),
        body: LocalizedText::new(
            format!("{limit} {ko} 되면 알려 달라고 하셨습니다."),
            format!("You asked to be told when it is {en} {limit}."),
        ),
        link: Some(symbol_path(&alert.symbol)),
        level: Level::Info,
        expires: None,
    }
}

fn topic_name<T: Topic>(rest: &str) -> Result<TopicName, Denial> {
    TopicName::of::<T>(rest).map_err(|_| Denial::Unknown)
}

fn decode<T: serde::de::DeserializeOwned>(value: &EncodedValue) -> Option<T> {
    value
        .decode(Encoding::Json)
        .inspect_err(|error| tracing::error!("an event or a state cannot be decoded: {error}"))
        .ok()
}

#[cfg(test)]
mod tests;

//! Publishes conflated quotes and trades to the topics. Independent of the source of prices.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::super::model::quote_book::QuoteBook;
use super::super::wire::{
    ALL, Candle, Candles, Entry, FeedState, Interval, MAX_LISTED, MAX_TICKS, MAX_TRADES, Quotes, Source, Tick,
};
use super::commands::{CandlesCommand, QuotesCommand};
use super::quote_conflater::QuoteConflater;
use duplex_hub::decider::Decider;
use duplex_hub::{Hub, TopicHandle};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};
use duplex_protocol::topic::TopicName;

/// Maximum delay of the trades of a symbol without subscribers.
const NO_SUBSCRIBER_DELAY: Duration = Duration::from_secs(30);
/// The number of buffered trades at which they are published earlier.
const TRADE_BATCH: usize = MAX_TRADES / 2;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("the quotes topic cannot be opened: {0}")]
    Denied(#[from] Denial),
    #[error("the quotes state cannot be decoded: {0}")]
    Unreadable(String),
    #[error("the command was rejected: {0}")]
    Rejected(Rejection),
}

pub struct Publisher {
    hub: Hub,
    quotes: TopicName,
    /// Handles that keep the topics running: stopping and starting them between two prices would cost more.
    handles: BTreeMap<String, TopicHandle>,
    /// The time at which each symbol's trades were last published.
    published_at: BTreeMap<String, Instant>,
    /// The last command failed: only the first failure is logged.
    failing: bool,
}

impl Publisher {
    pub fn new(hub: Hub) -> Result<Self, PublishError> {
        let quotes = TopicName::of::<Quotes>(ALL).map_err(|error| PublishError::Unreadable(error.to_string()))?;
        Ok(Self {
            hub,
            quotes,
            handles: BTreeMap::new(),
            published_at: BTreeMap::new(),
            failing: false,
        })
    }

    /// The quote book as it was last published.
    pub async fn quote_book(&mut self) -> Result<QuoteBook, PublishError> {
        let handle = self.hub.open(&self.quotes).await?;
        let (_, state) = handle.state(Encoding::Json).await?;
        self.handles.insert(String::new(), handle);
        let decoded = state.decode(Encoding::Json);
        decoded.map_err(|error| PublishError::Unreadable(error.to_string()))
    }

    pub async fn set_source(&mut self, source: Source) -> Result<(), PublishError> {
        self.send_to_quotes(QuotesCommand::Open(source)).await
    }

    pub async fn list_entries(&mut self, entries: &[Entry]) -> Result<(), PublishError> {
        for entries in entries.chunks(MAX_LISTED) {
            self.send_to_quotes(QuotesCommand::List(entries.to_vec())).await?;
        }
        Ok(())
    }

    pub async fn publish_feed(&mut self, feed: FeedState) -> Result<(), PublishError> {
        self.send_to_quotes(QuotesCommand::Feed(feed)).await
    }

    /// Failures are logged, not retried: newer prices follow.
    pub async fn publish_ticks(&mut self, ticks: Vec<Tick>) {
        for ticks in ticks.chunks(MAX_TICKS) {
            let result = self.send_to_quotes(QuotesCommand::Tick(ticks.to_vec())).await;
            self.record_result(result);
        }
    }

    pub async fn replace_candles(
        &self,
        symbol: &str,
        candles: Vec<(Interval, Vec<Candle>)>,
    ) -> Result<(), PublishError> {
        for (interval, candles) in candles {
            let command = CandlesCommand::ReplaceCandles { interval, candles };
            send::<Candles>(&self.hub, symbol, &command).await?;
        }
        Ok(())
    }

    /// Publishes pending trades: of symbols with subscribers at every call; of the others when a batch is full or
    /// [`NO_SUBSCRIBER_DELAY`] has passed, as each publication is a log append. All are sent at once, so one commit stores them.
    pub async fn publish_trades(&mut self, conflater: &mut QuoteConflater, all: bool) {
        let pending: Vec<_> = conflater
            .pending_trades()
            .map(|(symbol, count)| (symbol.clone(), count))
            .collect();
        let mut due = Vec::new();
        for (symbol, count) in pending {
            if all || count >= TRADE_BATCH || self.is_due(&symbol).await {
                let trades = conflater.take_trades(&symbol);
                due.push((symbol, trades));
            }
        }
        let now = Instant::now();
        for (symbol, _) in &due {
            self.published_at.insert(symbol.clone(), now);
        }
        let hub = &self.hub;
        let results = join_all(
            due.into_iter()
                .map(async |(symbol, trades)| send::<Candles>(hub, &symbol, &CandlesCommand::Trade(trades)).await),
        )
        .await;
        let failed = results.into_iter().find(Result::is_err);
        self.record_result(failed.unwrap_or(Ok(())));
    }

    /// Whether the symbol has subscribers, or its trades were last published [`NO_SUBSCRIBER_DELAY`] ago.
    async fn is_due(&mut self, symbol: &str) -> bool {
        let is_overdue = self
            .published_at
            .get(symbol)
            .is_none_or(|at| at.elapsed() >= NO_SUBSCRIBER_DELAY);
        if !self.handles.contains_key(symbol)
            && let Some(topic) = candle_topic(symbol)
            && let Ok(handle) = self.hub.open(&topic).await
        {
            self.handles.insert(symbol.to_owned(), handle);
        }
        is_overdue || self.handles.get(symbol).is_some_and(|topic| topic.session_count() > 0)
    }

    /// Publishes new entries and pending ticks.
    pub async fn publish_quotes(&mut self, conflater: &mut QuoteConflater) {
        let entries = conflater.take_new_entries();
        if !entries.is_empty() {
            let result = self.list_entries(&entries).await;
            self.record_result(result);
        }
        self.publish_ticks(conflater.take_ticks()).await;
    }

    async fn send_to_quotes(&self, command: QuotesCommand) -> Result<(), PublishError> {
        send::<Quotes>(&self.hub, ALL, &command).await
    }

    fn record_result(&mut self, result: Result<(), PublishError>) {
        if let Err(error) = &result
            && !self.failing
        {
            tracing::warn!("could not publish prices: {error}");
        }
        if result.is_err() {
            // Drop the handles, so that stopped topics are reopened.
            self.handles.clear();
        }
        self.failing = result.is_err();
    }
}

fn candle_topic(symbol: &str) -> Option<TopicName> {
    TopicName::of::<Candles>(symbol).ok()
}

async fn send<D: Decider>(hub: &Hub, rest: &str, command: &D::ServerCommand) -> Result<(), PublishError> {
    let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
    match hub.send_server_command::<D>(rest, id, command).await {
        Answer::Accepted { .. } => Ok(()),
        Answer::Rejected(rejection) => Err(PublishError::Rejected(rejection)),
    }
}

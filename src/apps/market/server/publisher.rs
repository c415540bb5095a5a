//! The way from a desk into the topics. Knows no source of prices.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::super::model::quote_book::QuoteBook;
use super::super::wire::{
    ALL, Candle, Candles, Entry, Feed, Interval, MAX_LISTED, MAX_TICKS, MAX_TRADES, Quotes, Source, Tick,
};
use super::commands::{CandlesCommand, QuotesCommand};
use super::desk::Desk;
use duplex_hub::decider::Decider;
use duplex_hub::{Hub, TopicHandle};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, CommandId, Denied, Rejection};
use duplex_protocol::topic::TopicName;

/// How long the trades of a symbol wait that nobody looks at, and how many of them do.
const UNWATCHED: Duration = Duration::from_secs(30);
const MANY: usize = MAX_TRADES / 2;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("the quotes cannot be reached: {0}")]
    Denied(#[from] Denied),
    #[error("the quotes cannot be read: {0}")]
    Unreadable(String),
    #[error("the quotes took it not: {0}")]
    Rejected(Rejection),
}

pub struct Publisher {
    hub: Hub,
    quotes: TopicName,
    /// Keeps the topics awake: to fall asleep and start between two prices would cost more.
    awake: BTreeMap<String, TopicHandle>,
    /// When each symbol's trades were told.
    told: BTreeMap<String, Instant>,
    /// The last answer was a refusal: said once in the log.
    refused: bool,
}

impl Publisher {
    pub fn new(hub: Hub) -> Result<Self, PublishError> {
        let quotes = TopicName::of::<Quotes>(ALL).map_err(|error| PublishError::Unreadable(error.to_string()))?;
        Ok(Self {
            hub,
            quotes,
            awake: BTreeMap::new(),
            told: BTreeMap::new(),
            refused: false,
        })
    }

    /// What was published before.
    pub async fn board(&mut self) -> Result<QuoteBook, PublishError> {
        let handle = self.hub.open(&self.quotes).await?;
        let (_, state) = handle.state(Encoding::Json).await?;
        self.awake.insert(String::new(), handle);
        let read = state.decode(Encoding::Json);
        read.map_err(|error| PublishError::Unreadable(error.to_string()))
    }

    pub async fn open(&mut self, source: Source) -> Result<(), PublishError> {
        self.quote(QuotesCommand::Open(source)).await
    }

    pub async fn list(&mut self, entries: &[Entry]) -> Result<(), PublishError> {
        for entries in entries.chunks(MAX_LISTED) {
            self.quote(QuotesCommand::List(entries.to_vec())).await?;
        }
        Ok(())
    }

    pub async fn feed(&mut self, feed: Feed) -> Result<(), PublishError> {
        self.quote(QuotesCommand::Feed(feed)).await
    }

    /// A price that is lost is followed by a newer one: what fails is said in the log, and not tried again.
    pub async fn ticks(&mut self, ticks: Vec<Tick>) {
        for ticks in ticks.chunks(MAX_TICKS) {
            let told = self.quote(QuotesCommand::Tick(ticks.to_vec())).await;
            self.note(told);
        }
    }

    pub async fn seed(&self, symbol: &str, candles: Vec<(Interval, Vec<Candle>)>) -> Result<(), PublishError> {
        for (interval, candles) in candles {
            let command = CandlesCommand::Seed { interval, candles };
            tell::<Candles>(&self.hub, symbol, &command).await?;
        }
        Ok(())
    }

    /// Of symbols that somebody looks at, once a second; of the others when there are many, or when it is long ago: what is
    /// told is kept, and to be told less often costs less. All at once, so that the log keeps them by one commit.
    pub async fn trades(&mut self, desk: &mut Desk, all: bool) {
        let waiting: Vec<_> = desk.waiting().map(|(symbol, count)| (symbol.clone(), count)).collect();
        let mut due = Vec::new();
        for (symbol, count) in waiting {
            if all || count >= MANY || self.is_due(&symbol).await {
                let trades = desk.take_trades(&symbol);
                due.push((symbol, trades));
            }
        }
        let now = Instant::now();
        for (symbol, _) in &due {
            self.told.insert(symbol.clone(), now);
        }
        let hub = &self.hub;
        let told = join_all(
            due.into_iter()
                .map(async |(symbol, trades)| tell::<Candles>(hub, &symbol, &CandlesCommand::Trade(trades)).await),
        )
        .await;
        let failed = told.into_iter().find(Result::is_err);
        self.note(failed.unwrap_or(Ok(())));
    }

    /// Somebody looks at it, or it was not told for a while.
    async fn is_due(&mut self, symbol: &str) -> bool {
        let long_ago = self.told.get(symbol).is_none_or(|told| told.elapsed() >= UNWATCHED);
        if !self.awake.contains_key(symbol)
            && let Some(topic) = candle_topic(symbol)
            && let Ok(handle) = self.hub.open(&topic).await
        {
            self.awake.insert(symbol.to_owned(), handle);
        }
        long_ago || self.awake.get(symbol).is_some_and(|topic| topic.session_count() > 0)
    }

    /// Everything that a desk has to say of quotes.
    pub async fn desk(&mut self, desk: &mut Desk) {
        let fresh = desk.take_fresh();
        if !fresh.is_empty() {
            let told = self.list(&fresh).await;
            self.note(told);
        }
        self.ticks(desk.take_ticks()).await;
    }

    async fn quote(&self, command: QuotesCommand) -> Result<(), PublishError> {
        tell::<Quotes>(&self.hub, ALL, &command).await
    }

    fn note(&mut self, told: Result<(), PublishError>) {
        if let Err(error) = &told
            && !self.refused
        {
            tracing::warn!("prices are not kept: {error}");
        }
        if told.is_err() {
            // A topic that had to end is opened anew.
            self.awake.clear();
        }
        self.refused = told.is_err();
    }
}

fn candle_topic(symbol: &str) -> Option<TopicName> {
    TopicName::of::<Candles>(symbol).ok()
}

async fn tell<D: Decider>(hub: &Hub, rest: &str, command: &D::ServerCommand) -> Result<(), PublishError> {
    let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
    match hub.server_command::<D>(rest, id, command).await {
        Answer::Accepted { .. } => Ok(()),
        Answer::Rejected(why) => Err(PublishError::Rejected(why)),
    }
}

//! What only the server commands of prices and alerts.

use serde::{Deserialize, Serialize};

use super::super::model::alerts::AlertList;
use super::super::model::chart::Chart;
use super::super::model::quote_book::QuoteBook;
use super::super::wire::{
    Alerts, AlertsEvent, Candle, Candles, CandlesEvent, Changed, Entry, Feed, Interval, Quotes, QuotesEvent, Source,
    Tick, Trade, Watches,
};
use super::deciders::{listed, reached, seeded, ticked, traded};
use duplex_hub::decider::{Context, ServerCommand};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;

/// To the quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotesCommand {
    /// From now on prices come from here; what another source listed is forgotten.
    Open(Source),
    List(Vec<Entry>),
    Tick(Vec<Tick>),
    Feed(Feed),
}

/// To a symbol's candles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandlesCommand {
    /// What happened before the server looked; takes the place of what was kept of that interval.
    Seed {
        interval: Interval,
        candles: Vec<Candle>,
    },
    Trade(Vec<Trade>),
}

/// To somebody's alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertsServerCommand {
    /// The price was reached, and its owner was told. What is done, or gone, stays so.
    Reach { id: Seq, price: u64, scale: u8 },
}

impl ServerCommand<Quotes> for QuotesCommand {
    fn decide(self, _quotes: &Quotes, at: Context<'_>, board: &QuoteBook) -> Result<Vec<QuotesEvent>, Rejection> {
        match self {
            Self::Open(source) if source == board.source => Ok(Vec::new()),
            Self::Open(source) => Ok(vec![QuotesEvent::Opened(source)]),
            Self::List(entries) => listed(entries),
            Self::Tick(ticks) => ticked(at, board, ticks),
            Self::Feed(feed) if feed == board.feed => Ok(Vec::new()),
            Self::Feed(feed) => Ok(vec![QuotesEvent::Feed(feed)]),
        }
    }
}

impl ServerCommand<Candles> for CandlesCommand {
    fn decide(self, _candles: &Candles, at: Context<'_>, chart: &Chart) -> Result<Vec<CandlesEvent>, Rejection> {
        match self {
            Self::Seed { interval, candles } => seeded(interval, candles),
            Self::Trade(trades) => traded(at, chart, trades),
        }
    }
}

impl ServerCommand<Alerts> for AlertsServerCommand {
    fn decide(self, _alerts: &Alerts, at: Context<'_>, list: &AlertList) -> Result<Vec<AlertsEvent>, Rejection> {
        let Self::Reach { id, price, scale } = self;
        Ok(reached(at, list, id, (price, scale)))
    }
}

impl ServerCommand<Watches> for Changed {
    fn decide(self, _watches: &Watches, _at: Context<'_>, (): &()) -> Result<Vec<Changed>, Rejection> {
        Ok(vec![self])
    }
}

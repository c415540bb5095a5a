//! Commands of the market's topics that only the server sends.

use serde::{Deserialize, Serialize};

use super::super::model::alerts::AlertList;
use super::super::model::chart::CandleChart;
use super::super::model::quote_book::QuoteBook;
use super::super::wire::{
    AlertChanges, Alerts, AlertsChanged, AlertsEvent, Candle, Candles, CandlesEvent, Entry, FeedState, Interval,
    Quotes, QuotesEvent, Source, Tick, Trade,
};
use super::deciders::{add_trades, apply_ticks, list_entries, mark_reached, replace_candles};
use duplex_hub::decider::{Context, ServerCommand};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;

/// Commands to `quotes/all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotesCommand {
    /// Sets the source of the prices; a different source clears the quote book.
    Open(Source),
    List(Vec<Entry>),
    Tick(Vec<Tick>),
    Feed(FeedState),
}

/// Commands to a symbol's candles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandlesCommand {
    /// Replaces the candles of an interval, with the history before the server's start.
    #[serde(rename = "seed")]
    ReplaceCandles {
        interval: Interval,
        candles: Vec<Candle>,
    },
    Trade(Vec<Trade>),
}

/// Commands to a person's alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertsServerCommand {
    /// Marks an alert as reached, after its owner was notified. No effect if the alert is already reached or removed.
    Reach { id: Seq, price: u64, scale: u8 },
}

impl ServerCommand<Quotes> for QuotesCommand {
    fn decide(self, _quotes: &Quotes, context: Context<'_>, book: &QuoteBook) -> Result<Vec<QuotesEvent>, Rejection> {
        match self {
            Self::Open(source) if source == book.source => Ok(Vec::new()),
            Self::Open(source) => Ok(vec![QuotesEvent::Opened(source)]),
            Self::List(entries) => list_entries(entries),
            Self::Tick(ticks) => apply_ticks(context, book, ticks),
            Self::Feed(feed) if feed == book.feed => Ok(Vec::new()),
            Self::Feed(feed) => Ok(vec![QuotesEvent::Feed(feed)]),
        }
    }
}

impl ServerCommand<Candles> for CandlesCommand {
    fn decide(
        self,
        _candles: &Candles,
        context: Context<'_>,
        chart: &CandleChart,
    ) -> Result<Vec<CandlesEvent>, Rejection> {
        match self {
            Self::ReplaceCandles { interval, candles } => replace_candles(interval, candles),
            Self::Trade(trades) => add_trades(context, chart, trades),
        }
    }
}

impl ServerCommand<Alerts> for AlertsServerCommand {
    fn decide(self, _alerts: &Alerts, context: Context<'_>, list: &AlertList) -> Result<Vec<AlertsEvent>, Rejection> {
        let Self::Reach { id, price, scale } = self;
        Ok(mark_reached(context, list, id, (price, scale)))
    }
}

impl ServerCommand<AlertChanges> for AlertsChanged {
    fn decide(self, _topic: &AlertChanges, _context: Context<'_>, (): &()) -> Result<Vec<AlertsChanged>, Rejection> {
        Ok(vec![self])
    }
}

//! What is said about prices: commands, events and their bounds. A price is whole units of `10^-scale`, never a float.
//! Knows neither state nor page, and no exchange.

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;

/// Milliseconds since 1970, by the server's clock.
pub type Millis = u64;

/// The only topic of kind `quotes`, and of kind `watches`, behind its kind.
pub const ALL: &str = "all";

/// Bytes of a symbol: the longest of the exchanges' is shorter, and `candles/<symbol>` must fit into a topic's name.
pub const MAX_SYMBOL: usize = 24;
/// Symbols of the market: the state travels whole, and a page shows them all.
pub const MAX_SYMBOLS: usize = 200;
/// Ticks of one command, and trades of one: both fit into a command several times over.
pub const MAX_TICKS: usize = 200;
pub const MAX_TRADES: usize = 200;
/// Quotes of one command that lists them: each may be a kilobyte.
pub const MAX_LISTED: usize = 16;
/// Digits after the point: what the exchanges trade in has no more.
pub const MAX_SCALE: u8 = 12;
/// Alerts of one visitor that wait, and those that are done and still shown.
pub const MAX_ALERTS: usize = 20;
pub const MAX_DONE: usize = 20;

/// Why a command is refused, in the word that the page translates.
pub mod why {
    pub const BAD_SYMBOL: &str = "bad_symbol";
    pub const BAD_PRICE: &str = "bad_price";
    pub const TOO_MUCH: &str = "too_much";
    pub const ALERTS_FULL: &str = "alerts_full";
    pub const NO_ALERT: &str = "no_alert";
}

/// The topic `quotes/all`: the newest price of each symbol.
#[derive(Debug, Clone, Copy)]
pub struct Quotes;

/// The topics `candles/<symbol>`: how a symbol's price came to be what it is.
#[derive(Debug, Clone, Copy)]
pub struct Candles;

/// The topics `alerts/<person>`: what somebody wants to be told of.
#[derive(Debug, Clone, Copy)]
pub struct Alerts;

/// The topic `watches/all`: whose alerts changed. The server speaks to itself; nobody else may listen.
#[derive(Debug, Clone, Copy)]
pub struct Watches;

/// Where prices come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `simulator`, `upbit`, `binance`; empty while there is none.
    pub name: String,
    /// The prices are invented.
    pub simulated: bool,
}

/// How the way to the source is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedStatus {
    #[default]
    Connecting,
    Live,
    /// It is open, and says nothing.
    Stale,
    /// It is closed, and tried again.
    Lost,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    #[serde(rename = "standing")]
    pub status: FeedStatus,
    pub since: Millis,
    /// What the source said and nobody could use, since the server started.
    pub skipped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sector {
    Chips,
    Cars,
    Finance,
    Health,
    Energy,
    Food,
    Games,
    Coins,
}

impl Sector {
    pub const ALL: [Self; 8] = [
        Self::Chips,
        Self::Cars,
        Self::Finance,
        Self::Health,
        Self::Energy,
        Self::Food,
        Self::Games,
        Self::Coins,
    ];
}

/// What does not change while a symbol is traded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub symbol: String,
    /// In Korean and in English.
    pub names: (String, String),
    pub sector: Sector,
    /// Prices are whole units of `10^-scale`.
    pub scale: u8,
    /// Digits after the point that are always shown.
    pub least: u8,
    /// Volumes are whole units of `10^-lots`.
    pub lots: u8,
}

/// Everything that changes about a symbol: the newest one makes all earlier ones needless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub symbol: String,
    pub last: u64,
    /// The price that changes are counted from: the day's before, or that of 24 hours ago, as the source has it.
    pub open: u64,
    pub high: u64,
    pub low: u64,
    pub volume: u64,
    /// When it was last traded.
    pub at: Millis,
    /// It is long ago that anything was heard of it.
    pub stale: bool,
}

/// A symbol as the market begins with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub listing: Listing,
    pub tick: Tick,
    /// Prices in even steps of time, the newest last.
    pub spark: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotesEvent {
    Opened(Source),
    Listed(Vec<Entry>),
    Ticked(Tick),
    /// The next point of each spark line.
    Sampled {
        at: Millis,
        points: Vec<(String, u64)>,
    },
    Feed(Feed),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    pub at: Millis,
    pub price: u64,
    pub quantity: u64,
    /// A buyer took an offer, or a seller a bid.
    pub bought: bool,
}

/// How long a candle lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    #[default]
    Minute,
    FiveMinutes,
    Quarter,
    Hour,
    Day,
}

impl Interval {
    pub const ALL: [Self; 5] = [Self::Minute, Self::FiveMinutes, Self::Quarter, Self::Hour, Self::Day];

    pub const fn millis(self) -> Millis {
        const MINUTE: Millis = 60_000;
        match self {
            Self::Minute => MINUTE,
            Self::FiveMinutes => 5 * MINUTE,
            Self::Quarter => 15 * MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::Day => 24 * 60 * MINUTE,
        }
    }

    /// As an address has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.code() == code)
    }

    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What was paid within an interval that began at `at`. On the wire a list of six numbers: there are hundreds of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u64, u64, u64, u64)", into = "(u64, u64, u64, u64, u64, u64)")]
pub struct Candle {
    pub at: Millis,
    pub open: u64,
    pub high: u64,
    pub low: u64,
    pub close: u64,
    pub volume: u64,
}

impl From<(u64, u64, u64, u64, u64, u64)> for Candle {
    fn from((at, open, high, low, close, volume): (u64, u64, u64, u64, u64, u64)) -> Self {
        Self {
            at,
            open,
            high,
            low,
            close,
            volume,
        }
    }
}

impl From<Candle> for (u64, u64, u64, u64, u64, u64) {
    fn from(candle: Candle) -> Self {
        let Candle {
            at,
            open,
            high,
            low,
            close,
            volume,
        } = candle;
        (at, open, high, low, close, volume)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandlesEvent {
    Seeded { interval: Interval, candles: Vec<Candle> },
    Traded(Vec<Trade>),
}

/// Which way the price must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Above,
    Below,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertsCommand {
    /// `price` in units of `10^-scale`.
    Set {
        symbol: String,
        side: Side,
        price: u64,
        scale: u8,
    },
    Remove {
        id: Seq,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertsEvent {
    /// The event's seq is the alert's id.
    Set {
        symbol: String,
        side: Side,
        price: u64,
        scale: u8,
        at: Millis,
    },
    Removed {
        id: Seq,
    },
    Reached {
        id: Seq,
        price: u64,
        scale: u8,
        at: Millis,
    },
}

/// To the watcher: the alerts of this person are not what they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub person: String,
}

/// 1 to [`MAX_SYMBOL`] of `a-z 0-9 -`.
pub fn is_symbol(symbol: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=MAX_SYMBOL).contains(&symbol.len()) && symbol.bytes().all(plain)
}

/// Where a symbol's page is.
pub fn symbol_path(symbol: &str) -> String {
    format!("/market/{symbol}")
}

/// A price that makes sense in its scale.
pub fn check_price(price: u64, scale: u8) -> Result<(), Rejection> {
    if price > 0 && scale <= MAX_SCALE {
        Ok(())
    } else {
        Err(Rejection::refused(why::BAD_PRICE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_fits_into_a_topics_name() {
        for right in ["btcusdt", "krw-btc", "1inch", &"x".repeat(MAX_SYMBOL)] {
            assert!(is_symbol(right), "{right}");
        }
        for wrong in ["", "KRW-BTC", "a/b", "a b", "#feed", &"x".repeat(MAX_SYMBOL + 1)] {
            assert!(!is_symbol(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_interval_is_found_by_its_code_and_its_place() {
        for (index, interval) in Interval::ALL.into_iter().enumerate() {
            assert_eq!(Interval::of_code(interval.code()), Some(interval));
            assert_eq!(interval.index(), index);
        }
        assert_eq!(Interval::of_code("2m"), None);
    }
}

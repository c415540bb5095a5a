//! The market's topics, commands and events, and their limits. A price is a whole number of `10^-scale` units, never a float.
//! Independent of the states, the pages and the exchanges.

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;

/// Milliseconds since 1970, by the server's clock.
pub type Millis = u64;

/// The part after the kind in `quotes/all` and `watches/all`.
pub const ALL: &str = "all";

/// Maximum bytes of a symbol. Exchanges' symbols are shorter, and `candles/<symbol>` must fit in a topic name.
pub const MAX_SYMBOL: usize = 24;
/// Maximum symbols of the market: the state is sent as a whole, and a page lists all of them.
pub const MAX_SYMBOLS: usize = 200;
/// Maximum ticks, and trades, of one command: well below the command size limit.
pub const MAX_TICKS: usize = 200;
pub const MAX_TRADES: usize = 200;
/// Maximum entries of one `List` command; each can take a kilobyte.
pub const MAX_LISTED: usize = 16;
/// The largest scale, in decimals of a price, that the topics accept.
pub const MAX_SCALE: u8 = 12;
/// Maximum pending alerts of one visitor, and maximum reached alerts that are kept for display.
pub const MAX_ALERTS: usize = 20;
pub const MAX_REACHED: usize = 20;

/// Reason codes of rejections. The page translates them.
pub mod reason_code {
    pub const BAD_SYMBOL: &str = "bad_symbol";
    pub const BAD_PRICE: &str = "bad_price";
    pub const LIMIT_EXCEEDED: &str = "too_much";
    pub const ALERTS_FULL: &str = "alerts_full";
    pub const NO_ALERT: &str = "no_alert";
}

/// The topic `quotes/all`: the newest price of each symbol.
#[derive(Debug, Clone, Copy)]
pub struct Quotes;

/// The topics `candles/<symbol>`: a symbol's candles and last trades.
#[derive(Debug, Clone, Copy)]
pub struct Candles;

/// The topics `alerts/<person>`: one person's price alerts.
#[derive(Debug, Clone, Copy)]
pub struct Alerts;

/// The topic `watches/all`: whose alerts changed. Only the server reads and writes it.
#[derive(Debug, Clone, Copy)]
pub struct AlertChanges;

/// The source of the prices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `simulator`, `upbit` or `binance`; empty without a source.
    pub name: String,
    /// Whether the prices are generated.
    pub simulated: bool,
}

/// The state of the connection to the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedStatus {
    #[default]
    Connecting,
    Live,
    /// The connection is open, but delivers no prices.
    Stale,
    /// The connection is closed; the server reconnects.
    Lost,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedState {
    #[serde(rename = "standing")]
    pub status: FeedStatus,
    pub since: Millis,
    /// Invalid messages of the source since the server started.
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

/// A symbol's static data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub symbol: String,
    /// The Korean and the English name.
    pub names: (String, String),
    pub sector: Sector,
    /// Prices are whole units of `10^-scale`.
    pub scale: u8,
    /// Minimum number of decimals to display.
    #[serde(rename = "least")]
    pub min_decimals: u8,
    /// Volumes are whole units of `10^-volume_scale`.
    #[serde(rename = "lots")]
    pub volume_scale: u8,
}

/// A symbol's latest prices; each tick supersedes the previous one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub symbol: String,
    pub last: u64,
    /// The reference price of changes: the previous day's close, or the price 24 hours ago, depending on the source.
    pub open: u64,
    pub high: u64,
    pub low: u64,
    pub volume: u64,
    /// The time of the last trade.
    pub at: Millis,
    /// Whether the source has sent nothing about the symbol for two minutes, or is disconnected.
    pub stale: bool,
}

/// A symbol's entry in the quote book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub listing: Listing,
    pub tick: Tick,
    /// The points of the sparkline: prices at even intervals, the newest last.
    pub spark: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotesEvent {
    Opened(Source),
    Listed(Vec<Entry>),
    Ticked(Tick),
    /// The next point of each sparkline.
    Sampled {
        at: Millis,
        points: Vec<(String, u64)>,
    },
    Feed(FeedState),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    pub at: Millis,
    pub price: u64,
    pub quantity: u64,
    /// Whether the taker was the buyer.
    #[serde(rename = "bought")]
    pub buyer_is_taker: bool,
}

/// The period of a candle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    #[default]
    Minute,
    FiveMinutes,
    #[serde(rename = "quarter")]
    FifteenMinutes,
    Hour,
    Day,
}

impl Interval {
    pub const ALL: [Self; 5] = [
        Self::Minute,
        Self::FiveMinutes,
        Self::FifteenMinutes,
        Self::Hour,
        Self::Day,
    ];

    pub const fn millis(self) -> Millis {
        const MINUTE: Millis = 60_000;
        match self {
            Self::Minute => MINUTE,
            Self::FiveMinutes => 5 * MINUTE,
            Self::FifteenMinutes => 15 * MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::Day => 24 * 60 * MINUTE,
        }
    }

    /// The value of the URL's `interval` parameter.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::FifteenMinutes => "15m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.code() == code)
    }

    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The prices and the volume of the interval that begins at `at`. Serialized as an array of six numbers to keep states small.
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
    #[serde(rename = "seeded")]
    CandlesReplaced {
        interval: Interval,
        candles: Vec<Candle>,
    },
    Traded(Vec<Trade>),
}

/// Whether the price must rise to or fall to the alert's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCondition {
    Above,
    Below,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertsCommand {
    /// `price` in units of `10^-scale`.
    Set {
        symbol: String,
        #[serde(rename = "side")]
        condition: AlertCondition,
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
        #[serde(rename = "side")]
        condition: AlertCondition,
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

/// Notifies the alert watcher that this person's alerts changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsChanged {
    pub person: String,
}

/// True for 1 to [`MAX_SYMBOL`] characters of `a-z 0-9 -`.
pub fn is_symbol(symbol: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=MAX_SYMBOL).contains(&symbol.len()) && symbol.bytes().all(plain)
}

/// The path of a symbol's page.
pub fn symbol_path(symbol: &str) -> String {
    format!("/market/{symbol}")
}

/// Checks that a price is positive and its scale is supported.
pub fn check_price(price: u64, scale: u8) -> Result<(), Rejection> {
    if price > 0 && scale <= MAX_SCALE {
        Ok(())
    } else {
        Err(Rejection::custom(reason_code::BAD_PRICE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_fits_into_a_topic_name() {
        for valid in ["btcusdt", "krw-btc", "1inch", &"x".repeat(MAX_SYMBOL)] {
            assert!(is_symbol(valid), "{valid}");
        }
        for invalid in ["", "KRW-BTC", "a/b", "a b", "#feed", &"x".repeat(MAX_SYMBOL + 1)] {
            assert!(!is_symbol(invalid), "{invalid}");
        }
    }

    #[test]
    fn an_interval_round_trips_through_its_code_and_index() {
        for (index, interval) in Interval::ALL.into_iter().enumerate() {
            assert_eq!(Interval::from_code(interval.code()), Some(interval));
            assert_eq!(interval.index(), index);
        }
        assert_eq!(Interval::from_code("2m"), None);
    }
}

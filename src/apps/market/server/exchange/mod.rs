//! The protocols of the exchanges: stream URL, subscribe message and message parsing. Pure.

mod binance;
mod upbit;

use serde_json::value::RawValue;

use super::super::model::decimal;
use super::super::wire::{Listing, Millis, Sector, is_symbol};
use super::quote_conflater::DayStats;

/// Prices have eight decimals and volumes six: no exchange uses more, and the largest values fit in a u64.
pub const SCALE: u8 = 8;
pub const VOLUME_SCALE: u8 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    Upbit,
    Binance,
}

/// A parsed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeMessage {
    Trade {
        symbol: String,
        /// Increases with each trade of the symbol.
        id: u64,
        at: Millis,
        price: u64,
        quantity: u64,
        buyer_is_taker: bool,
    },
    Day {
        symbol: String,
        at: Millis,
        day: DayStats,
    },
    /// An acknowledgement or a keepalive.
    Ignored,
    /// The exchange asks its clients to reconnect.
    Reconnect,
}

/// Why a message is skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("not JSON in the documented format")]
    InvalidJson,
    #[error("unknown message type")]
    UnknownKind,
    #[error("missing field {0}")]
    Missing(&'static str),
    #[error("field {0} is not a valid number")]
    InvalidNumber(&'static str),
    #[error("invalid symbol")]
    InvalidSymbol,
    #[error("the exchange returned an error: {0}")]
    Rejected(String),
}

impl Exchange {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upbit => "upbit",
            Self::Binance => "binance",
        }
    }

    pub const fn task_name(self) -> &'static str {
        match self {
            Self::Upbit => "market-upbit",
            Self::Binance => "market-binance",
        }
    }

    pub const fn url(self) -> &'static str {
        match self {
            Self::Upbit => upbit::URL,
            Self::Binance => binance::URL,
        }
    }

    pub const fn default_codes(self) -> &'static [&'static str] {
        match self {
            Self::Upbit => &upbit::DEFAULT_CODES,
            Self::Binance => &binance::DEFAULT_CODES,
        }
    }

    /// The URL to connect to.
    pub fn stream_url(self, url: &str, codes: &[String]) -> String {
        match self {
            Self::Upbit => url.to_owned(),
            Self::Binance => binance::stream_url(url, codes),
        }
    }

    /// The first message to send, if the exchange expects one.
    pub fn subscribe_message(self, ticket: &str, codes: &[String]) -> Option<String> {
        match self {
            Self::Upbit => Some(upbit::subscribe_message(ticket, codes)),
            Self::Binance => None,
        }
    }

    pub fn parse(self, message: &[u8]) -> Result<ExchangeMessage, ParseError> {
        match self {
            Self::Upbit => upbit::parse(message),
            Self::Binance => binance::parse(message),
        }
    }

    /// The listing of a symbol, with as many decimals as its first price.
    pub fn listing(self, symbol: &str, price: u64) -> Listing {
        let name = match self {
            Self::Upbit => upbit::pair(symbol),
            Self::Binance => symbol.to_uppercase(),
        };
        let digits = decimal::format_plain(price, SCALE, 0);
        let min_decimals = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        Listing {
            symbol: symbol.to_owned(),
            names: (name.clone(), name),
            sector: Sector::Coins,
            scale: SCALE,
            min_decimals: u8::try_from(min_decimals).unwrap_or(SCALE),
            volume_scale: VOLUME_SCALE,
        }
    }
}

fn parse_symbol(code: Option<&str>) -> Result<String, ParseError> {
    let symbol = code.ok_or(ParseError::Missing("symbol"))?.to_lowercase();
    if is_symbol(&symbol) {
        Ok(symbol)
    } else {
        Err(ParseError::InvalidSymbol)
    }
}

/// The digits of a JSON number or string, as text: parsing to a float would lose precision.
fn number_text<'a>(value: Option<&'a RawValue>, name: &'static str) -> Result<&'a str, ParseError> {
    let text = value.ok_or(ParseError::Missing(name))?.get();
    Ok(text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text))
}

fn parse_price(value: Option<&RawValue>, name: &'static str) -> Result<u64, ParseError> {
    let price = decimal::parse(number_text(value, name)?, SCALE);
    price.filter(|price| *price > 0).ok_or(ParseError::InvalidNumber(name))
}

/// Digits beyond the scale are dropped, but a positive volume is at least 1; an overflow yields `u64::MAX`.
fn parse_volume(value: Option<&RawValue>, name: &'static str) -> Result<u64, ParseError> {
    decimal::parse_saturating(number_text(value, name)?, VOLUME_SCALE).ok_or(ParseError::InvalidNumber(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use duplex_fuzz::fuzz;

    #[test]
    fn any_message_parses_to_valid_prices_or_an_error() {
        fuzz("exchanges", |bytes| {
            for exchange in [Exchange::Upbit, Exchange::Binance] {
                match exchange.parse(bytes) {
                    Ok(ExchangeMessage::Trade { symbol, price, .. }) => assert!(is_symbol(&symbol) && price > 0),
                    Ok(ExchangeMessage::Day { symbol, day, .. }) => assert!(is_symbol(&symbol) && day.last > 0),
                    _ => {}
                }
            }
        });
    }

    #[test]
    fn a_symbol_has_the_decimals_of_its_first_price() {
        let listing = Exchange::Upbit.listing("krw-btc", 14_900_000_000_000_000);
        assert_eq!((listing.names.1.as_str(), listing.min_decimals), ("BTC/KRW", 0));
        assert_eq!(Exchange::Binance.listing("btcusdt", 6_543_210_000_000).min_decimals, 1);
    }

    #[test]
    fn the_smallest_price_is_kept_and_a_smaller_one_is_rejected() {
        let parsed = |text: &str| {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            (parse_price(Some(&raw), "p"), parse_volume(Some(&raw), "v"))
        };
        for text in ["\"0.00000001\"", "1e-8", "\"1E-8\"", "0.000000010"] {
            assert_eq!(parsed(text), (Ok(1), Ok(1)), "{text}");
        }
        assert_eq!(parsed("1e-9"), (Err(ParseError::InvalidNumber("p")), Ok(1)));
        assert_eq!(parsed("0"), (Err(ParseError::InvalidNumber("p")), Ok(0)));
        assert_eq!(parsed("1e40").1, Ok(u64::MAX));
        assert_eq!(Exchange::Binance.listing("pepe", 1).min_decimals, 8);
    }

    #[test]
    fn default_codes_are_valid_symbols() {
        for exchange in [Exchange::Upbit, Exchange::Binance] {
            for code in exchange.default_codes() {
                assert!(is_symbol(&code.to_lowercase()), "{code}");
            }
        }
    }

    proptest! {
        #[test]
        fn parsing_text_never_panics(text in r#"[\[\]{}:,"a-zA-Z0-9.\-+ ]{0,80}"#) {
            for exchange in [Exchange::Upbit, Exchange::Binance] {
                let _ = exchange.parse(text.as_bytes());
            }
        }

        #[test]
        fn random_bytes_are_never_a_price(bytes: Vec<u8>) {
            for exchange in [Exchange::Upbit, Exchange::Binance] {
                let parsed = exchange.parse(&bytes);
                let is_price = matches!(parsed, Ok(ExchangeMessage::Trade { .. } | ExchangeMessage::Day { .. }));
                prop_assert!(!is_price);
            }
        }
    }
}

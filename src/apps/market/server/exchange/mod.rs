//! What exchanges say: an address, a greeting, and the meaning of their messages. Pure; knows no connection.

mod binance;
mod upbit;

use serde_json::value::RawValue;

use super::super::model::decimal;
use super::super::wire::{Listing, Millis, Sector, is_symbol};
use super::desk::Day;

/// Prices have eight digits after the point, and volumes six: exchanges quote no finer, and there is room for the largest.
pub const SCALE: u8 = 8;
pub const LOTS: u8 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    Upbit,
    Binance,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Trade {
        symbol: String,
        /// Rises with each trade of the symbol.
        id: u64,
        at: Millis,
        price: u64,
        quantity: u64,
        bought: bool,
    },
    Day {
        symbol: String,
        at: Millis,
        day: Day,
    },
    /// An acknowledgement, or a sign of life.
    Aside,
    /// The exchange asks its clients to go and come back.
    Leave,
}

/// Why a message is skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("it is no JSON of the form that is documented")]
    Unreadable,
    #[error("it is of an unknown kind")]
    UnknownKind,
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("its {0} is not a positive number that makes sense")]
    NotANumber(&'static str),
    #[error("its symbol is none")]
    Symbol,
    #[error("the exchange refuses: {0}")]
    Refused(String),
}

impl Exchange {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upbit => "upbit",
            Self::Binance => "binance",
        }
    }

    pub const fn feed_name(self) -> &'static str {
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

    pub const fn codes(self) -> &'static [&'static str] {
        match self {
            Self::Upbit => &upbit::CODES,
            Self::Binance => &binance::CODES,
        }
    }

    /// Where to connect to.
    pub fn address(self, url: &str, codes: &[String]) -> String {
        match self {
            Self::Upbit => url.to_owned(),
            Self::Binance => binance::address(url, codes),
        }
    }

    /// What is said first.
    pub fn greeting(self, ticket: &str, codes: &[String]) -> Option<String> {
        match self {
            Self::Upbit => Some(upbit::greeting(ticket, codes)),
            Self::Binance => None,
        }
    }

    pub fn read(self, message: &[u8]) -> Result<Heard, Bad> {
        match self {
            Self::Upbit => upbit::read(message),
            Self::Binance => binance::read(message),
        }
    }

    /// A symbol as the market begins with it, at its first price.
    pub fn listing(self, symbol: &str, price: u64) -> Listing {
        let name = match self {
            Self::Upbit => upbit::pair(symbol),
            Self::Binance => symbol.to_uppercase(),
        };
        let digits = decimal::plain(price, SCALE, 0);
        let least = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        Listing {
            symbol: symbol.to_owned(),
            names: (name.clone(), name),
            sector: Sector::Coins,
            scale: SCALE,
            least: u8::try_from(least).unwrap_or(SCALE),
            lots: LOTS,
        }
    }
}

fn symbol(code: Option<&str>) -> Result<String, Bad> {
    let symbol = code.ok_or(Bad::Missing("symbol"))?.to_lowercase();
    if is_symbol(&symbol) {
        Ok(symbol)
    } else {
        Err(Bad::Symbol)
    }
}

/// The digits themselves, whether they stand as a number or as a string: a float in between would not be what was said.
fn digits<'a>(value: Option<&'a RawValue>, name: &'static str) -> Result<&'a str, Bad> {
    let text = value.ok_or(Bad::Missing(name))?.get();
    Ok(text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text))
}

fn price(value: Option<&RawValue>, name: &'static str) -> Result<u64, Bad> {
    let price = decimal::parse(digits(value, name)?, SCALE);
    price.filter(|price| *price > 0).ok_or(Bad::NotANumber(name))
}

/// What is finer than a lot is left out, but for the only one; what is more than can be said is `u64::MAX`.
fn volume(value: Option<&RawValue>, name: &'static str) -> Result<u64, Bad> {
    decimal::parse_near(digits(value, name)?, LOTS).ok_or(Bad::NotANumber(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use duplex_fuzz::fuzz;

    #[test]
    fn no_message_of_an_exchange_breaks_the_market() {
        fuzz("exchanges", |bytes| {
            for exchange in [Exchange::Upbit, Exchange::Binance] {
                match exchange.read(bytes) {
                    Ok(Heard::Trade { symbol, price, .. }) => assert!(is_symbol(&symbol) && price > 0),
                    Ok(Heard::Day { symbol, day, .. }) => assert!(is_symbol(&symbol) && day.last > 0),
                    _ => {}
                }
            }
        });
    }

    #[test]
    fn a_symbol_shows_the_digits_of_its_first_price() {
        let listing = Exchange::Upbit.listing("krw-btc", 14_900_000_000_000_000);
        assert_eq!((listing.names.1.as_str(), listing.least), ("BTC/KRW", 0));
        assert_eq!(Exchange::Binance.listing("btcusdt", 6_543_210_000_000).least, 1);
    }

    #[test]
    fn the_smallest_price_is_told_and_a_smaller_one_is_not_taken_for_nothing() {
        let said = |text: &str| {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            (price(Some(&raw), "p"), volume(Some(&raw), "v"))
        };
        for text in ["\"0.00000001\"", "1e-8", "\"1E-8\"", "0.000000010"] {
            assert_eq!(said(text), (Ok(1), Ok(1)), "{text}");
        }
        assert_eq!(said("1e-9"), (Err(Bad::NotANumber("p")), Ok(1)));
        assert_eq!(said("0"), (Err(Bad::NotANumber("p")), Ok(0)));
        assert_eq!(said("1e40").1, Ok(u64::MAX));
        assert_eq!(Exchange::Binance.listing("pepe", 1).least, 8);
    }

    #[test]
    fn the_exchanges_own_symbols_are_symbols() {
        for exchange in [Exchange::Upbit, Exchange::Binance] {
            for code in exchange.codes() {
                assert!(is_symbol(&code.to_lowercase()), "{code}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_breaks_anything(text in r#"[\[\]{}:,"a-zA-Z0-9.\-+ ]{0,80}"#) {
            for exchange in [Exchange::Upbit, Exchange::Binance] {
                let _ = exchange.read(text.as_bytes());
            }
        }

        #[test]
        fn no_bytes_break_anything(bytes: Vec<u8>) {
            for exchange in [Exchange::Upbit, Exchange::Binance] {
                let heard = exchange.read(&bytes);
                let is_price = matches!(heard, Ok(Heard::Trade { .. } | Heard::Day { .. }));
                prop_assert!(!is_price);
            }
        }
    }
}

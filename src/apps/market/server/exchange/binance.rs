//! Binance's public market streams, as their documentation has them
//! (<https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>): the address names the streams, each
//! message is `{"stream","data"}`, the server pings every 20 seconds and cuts off who does not answer within a minute, and
//! every connection ends after 24 hours.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::desk::Day;
use super::{Bad, Heard, price, symbol, volume};

pub const URL: &str = "wss://stream.binance.com:9443";

/// Pairs with a dollar that are traded much.
pub const CODES: [&str; 12] = [
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "DOGEUSDT", "ADAUSDT", "TRXUSDT", "LINKUSDT", "AVAXUSDT",
    "DOTUSDT", "LTCUSDT",
];

/// Each trade, and the day: what changed within the last 24 hours.
pub fn address(url: &str, codes: &[String]) -> String {
    let streams: Vec<String> = codes
        .iter()
        .map(|code| code.to_lowercase())
        .flat_map(|code| [[&code, "@aggTrade"].concat(), [&code, "@miniTicker"].concat()])
        .collect();
    [url.trim_end_matches('/'), "/stream?streams=", &streams.join("/")].concat()
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<Message<'a>>,
    /// In the answer to a request.
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// An event of the connection itself stands without an envelope.
    e: Option<&'a str>,
}

#[derive(Deserialize)]
struct Message<'a> {
    e: Option<&'a str>,
    #[serde(rename = "E")]
    event_time: Option<u64>,
    s: Option<&'a str>,
    a: Option<u64>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
    #[serde(borrow)]
    q: Option<&'a RawValue>,
    #[serde(rename = "T")]
    trade_time: Option<u64>,
    /// The buyer was there first: the seller came to them.
    m: Option<bool>,
    #[serde(borrow)]
    c: Option<&'a RawValue>,
    #[serde(borrow)]
    o: Option<&'a RawValue>,
    #[serde(borrow)]
    h: Option<&'a RawValue>,
    #[serde(borrow)]
    l: Option<&'a RawValue>,
    #[serde(borrow)]
    v: Option<&'a RawValue>,
}

pub fn read(message: &[u8]) -> Result<Heard, Bad> {
    let envelope: Envelope<'_> = serde_json::from_slice(message).map_err(|_| Bad::Unreadable)?;
    if let Some(error) = envelope.error {
        return Err(Bad::Refused(error.get().to_owned()));
    }
    let Some(message) = envelope.data else {
        return match envelope.e {
            Some("serverShutdown") => Ok(Heard::Leave),
            Some(_) => Err(Bad::UnknownKind),
            None if envelope.id.is_some() => Ok(Heard::Aside),
            None => Err(Bad::Missing("data")),
        };
    };
    match message.e {
        Some("aggTrade") => Ok(Heard::Trade {
            symbol: symbol(message.s)?,
            id: message.a.ok_or(Bad::Missing("a"))?,
            at: message.trade_time.ok_or(Bad::Missing("T"))?,
            price: price(message.p, "p")?,
            quantity: volume(message.q, "q")?,
            bought: !message.m.ok_or(Bad::Missing("m"))?,
        }),
        Some("24hrMiniTicker") => Ok(Heard::Day {
            symbol: symbol(message.s)?,
            at: message.event_time.ok_or(Bad::Missing("E"))?,
            day: Day {
                last: price(message.c, "c")?,
                open: price(message.o, "o").ok(),
                high: price(message.h, "h").ok(),
                low: price(message.l, "l").ok(),
                volume: volume(message.v, "v").ok(),
            },
        }),
        Some("serverShutdown") => Ok(Heard::Leave),
        Some(_) => Err(Bad::UnknownKind),
        None => Err(Bad::Missing("e")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: &str = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":12345,"p":"65001.10000000","q":"0.01250000","f":100,"l":105,"T":1672515782130,"m":true,"M":true}}"#;
    const DAY: &str = r#"{"stream":"btcusdt@miniTicker","data":{"e":"24hrMiniTicker","E":1672515782136,"s":"BTCUSDT","c":"65001.10","o":"64000.00","h":"65500.00","l":"63900.50","v":"10000.5","q":"1"}}"#;

    #[test]
    fn trades_and_days_are_read_to_the_last_digit() {
        assert_eq!(
            read(TRADE.as_bytes()),
            Ok(Heard::Trade {
                symbol: "btcusdt".to_owned(),
                id: 12_345,
                at: 1_672_515_782_130,
                price: 6_500_110_000_000,
                quantity: 12_500,
                bought: false,
            })
        );
        let Ok(Heard::Day { day, .. }) = read(DAY.as_bytes()) else {
            panic!("a day is not read")
        };
        assert_eq!(
            (day.open, day.low, day.volume),
            (Some(6_400_000_000_000), Some(6_390_050_000_000), Some(10_000_500_000))
        );
        for (volume, read_as) in [
            ("123456789012345678.5", Some(u64::MAX)),
            ("1e-8", Some(1)),
            ("NaN", None),
            ("-1", None),
        ] {
            let Ok(Heard::Day { day, .. }) = read(DAY.replace("10000.5", volume).as_bytes()) else {
                panic!("{volume}: the quote stopped")
            };
            assert_eq!((day.last, day.volume), (6_500_110_000_000, read_as), "{volume}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |from: &str, to: &str| read(TRADE.replace(from, to).as_bytes());
        for (from, to, bad) in [
            ("\"65001.10000000\"", "\"NaN\"", Bad::NotANumber("p")),
            ("\"65001.10000000\"", "\"0.00\"", Bad::NotANumber("p")),
            ("\"65001.10000000\"", "\"-1\"", Bad::NotANumber("p")),
            ("\"e\":\"aggTrade\"", "\"e\":\"kline\"", Bad::UnknownKind),
            ("\"p\":", "\"x\":", Bad::Missing("p")),
            ("\"m\":true", "\"x\":true", Bad::Missing("m")),
            ("\"data\"", "\"date\"", Bad::Missing("data")),
            ("\"a\":12345", "\"a\":\"x\"", Bad::Unreadable),
        ] {
            assert_eq!(with(from, to), Err(bad), "{to}");
        }
        assert_eq!(read(br#"{"result":null,"id":1}"#), Ok(Heard::Aside));
        assert_eq!(read(br#"{"e":"serverShutdown","E":1}"#), Ok(Heard::Leave));
        assert!(matches!(read(br#"{"error":{"code":3},"id":1}"#), Err(Bad::Refused(_))));
    }

    #[test]
    fn the_address_names_the_streams() {
        let codes = ["BTCUSDT".to_owned(), "ethusdt".to_owned()];
        assert_eq!(
            address("wss://x:1/", &codes),
            "wss://x:1/stream?streams=btcusdt@aggTrade/btcusdt@miniTicker/ethusdt@aggTrade/ethusdt@miniTicker"
        );
    }
}

//! Binance's public market streams, as documented
//! (<https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>): the URL names the streams, each message
//! is `{"stream","data"}`, the server pings every 20 seconds and closes connections that do not answer within a minute, and
//! every connection ends after 24 hours.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::quote_conflater::DayStats;
use super::{ExchangeMessage, ParseError, parse_price, parse_symbol, parse_volume};

pub const URL: &str = "wss://stream.binance.com:9443";

/// USDT pairs with a high trading volume.
pub const DEFAULT_CODES: [&str; 12] = [
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "DOGEUSDT", "ADAUSDT", "TRXUSDT", "LINKUSDT", "AVAXUSDT",
    "DOTUSDT", "LTCUSDT",
];

/// Two streams per symbol: its trades, and its statistics of the last 24 hours.
pub fn stream_url(url: &str, codes: &[String]) -> String {
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
    /// Present in the answer to a request.
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// Events about the connection are sent without an envelope.
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
    /// The buyer is the maker, so the seller is the taker.
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

pub fn parse(message: &[u8]) -> Result<ExchangeMessage, ParseError> {
    let envelope: Envelope<'_> = serde_json::from_slice(message).map_err(|_| ParseError::InvalidJson)?;
    if let Some(error) = envelope.error {
        return Err(ParseError::Rejected(error.get().to_owned()));
    }
    let Some(message) = envelope.data else {
        return match envelope.e {
            Some("serverShutdown") => Ok(ExchangeMessage::Reconnect),
            Some(_) => Err(ParseError::UnknownKind),
            None if envelope.id.is_some() => Ok(ExchangeMessage::Ignored),
            None => Err(ParseError::Missing("data")),
        };
    };
    match message.e {
        Some("aggTrade") => Ok(ExchangeMessage::Trade {
            symbol: parse_symbol(message.s)?,
            id: message.a.ok_or(ParseError::Missing("a"))?,
            at: message.trade_time.ok_or(ParseError::Missing("T"))?,
            price: parse_price(message.p, "p")?,
            quantity: parse_volume(message.q, "q")?,
            buyer_is_taker: !message.m.ok_or(ParseError::Missing("m"))?,
        }),
        Some("24hrMiniTicker") => Ok(ExchangeMessage::Day {
            symbol: parse_symbol(message.s)?,
            at: message.event_time.ok_or(ParseError::Missing("E"))?,
            day: DayStats {
                last: parse_price(message.c, "c")?,
                open: parse_price(message.o, "o").ok(),
                high: parse_price(message.h, "h").ok(),
                low: parse_price(message.l, "l").ok(),
                volume: parse_volume(message.v, "v").ok(),
            },
        }),
        Some("serverShutdown") => Ok(ExchangeMessage::Reconnect),
        Some(_) => Err(ParseError::UnknownKind),
        None => Err(ParseError::Missing("e")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: &str = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1672515782136,"s":"BTCUSDT","a":12345,"p":"65001.10000000","q":"0.01250000","f":100,"l":105,"T":1672515782130,"m":true,"M":true}}"#;
    const DAY: &str = r#"{"stream":"btcusdt@miniTicker","data":{"e":"24hrMiniTicker","E":1672515782136,"s":"BTCUSDT","c":"65001.10","o":"64000.00","h":"65500.00","l":"63900.50","v":"10000.5","q":"1"}}"#;

    #[test]
    fn trades_and_day_statistics_are_parsed_exactly() {
        assert_eq!(
            parse(TRADE.as_bytes()),
            Ok(ExchangeMessage::Trade {
                symbol: "btcusdt".to_owned(),
                id: 12_345,
                at: 1_672_515_782_130,
                price: 6_500_110_000_000,
                quantity: 12_500,
                buyer_is_taker: false,
            })
        );
        let Ok(ExchangeMessage::Day { day, .. }) = parse(DAY.as_bytes()) else {
            panic!("day statistics are not parsed")
        };
        assert_eq!(
            (day.open, day.low, day.volume),
            (Some(6_400_000_000_000), Some(6_390_050_000_000), Some(10_000_500_000))
        );
        for (volume, parsed) in [
            ("123456789012345678.5", Some(u64::MAX)),
            ("1e-8", Some(1)),
            ("NaN", None),
            ("-1", None),
        ] {
            let Ok(ExchangeMessage::Day { day, .. }) = parse(DAY.replace("10000.5", volume).as_bytes()) else {
                panic!("{volume}: the statistics are rejected")
            };
            assert_eq!((day.last, day.volume), (6_500_110_000_000, parsed), "{volume}");
        }
    }

    #[test]
    fn an_error_names_the_cause() {
        let with = |from: &str, to: &str| parse(TRADE.replace(from, to).as_bytes());
        for (from, to, error) in [
            ("\"65001.10000000\"", "\"NaN\"", ParseError::InvalidNumber("p")),
            ("\"65001.10000000\"", "\"0.00\"", ParseError::InvalidNumber("p")),
            ("\"65001.10000000\"", "\"-1\"", ParseError::InvalidNumber("p")),
            ("\"e\":\"aggTrade\"", "\"e\":\"kline\"", ParseError::UnknownKind),
            ("\"p\":", "\"x\":", ParseError::Missing("p")),
            ("\"m\":true", "\"x\":true", ParseError::Missing("m")),
            ("\"data\"", "\"date\"", ParseError::Missing("data")),
            ("\"a\":12345", "\"a\":\"x\"", ParseError::InvalidJson),
        ] {
            assert_eq!(with(from, to), Err(error), "{to}");
        }
        assert_eq!(parse(br#"{"result":null,"id":1}"#), Ok(ExchangeMessage::Ignored));
        assert_eq!(
            parse(br#"{"e":"serverShutdown","E":1}"#),
            Ok(ExchangeMessage::Reconnect)
        );
        assert!(matches!(
            parse(br#"{"error":{"code":3},"id":1}"#),
            Err(ParseError::Rejected(_))
        ));
    }

    #[test]
    fn the_url_names_the_streams() {
        let codes = ["BTCUSDT".to_owned(), "ethusdt".to_owned()];
        assert_eq!(
            stream_url("wss://x:1/", &codes),
            "wss://x:1/stream?streams=btcusdt@aggTrade/btcusdt@miniTicker/ethusdt@aggTrade/ethusdt@miniTicker"
        );
    }
}

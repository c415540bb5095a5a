//! Upbit's public WebSocket, as its documentation has it (<https://docs.upbit.com/kr/reference/websocket-guide>, and
//! `websocket-ticker`, `websocket-trade` beside it): one JSON array asks for everything, answers come as binary frames with
//! JSON in them, and who says nothing for 120 seconds is cut off, unless it pings.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::desk::Day;
use super::{Bad, Heard, price, symbol, volume};

pub const URL: &str = "wss://api.upbit.com/websocket/v1";

/// Markets of the won that are traded much.
pub const CODES: [&str; 12] = [
    "KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-DOGE", "KRW-ADA", "KRW-TRX", "KRW-LINK", "KRW-AVAX", "KRW-DOT",
    "KRW-BCH", "KRW-ETC",
];

pub fn greeting(ticket: &str, codes: &[String]) -> String {
    let codes: Vec<String> = codes.iter().map(|code| code.to_uppercase()).collect();
    let request = [
        Wanted::Ticket { ticket },
        Wanted::Stream {
            codes: &codes,
            kind: "ticker",
        },
        Wanted::Stream {
            codes: &codes,
            kind: "trade",
        },
    ];
    serde_json::to_string(&request).unwrap_or_default()
}

/// A part of a request.
#[derive(Serialize)]
#[serde(untagged)]
enum Wanted<'a> {
    Ticket {
        ticket: &'a str,
    },
    Stream {
        codes: &'a [String],
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

/// `krw-btc` as `BTC/KRW`.
pub fn pair(symbol: &str) -> String {
    let upper = symbol.to_uppercase();
    match upper.split_once('-') {
        Some((money, coin)) => [coin, "/", money].concat(),
        None => upper,
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    code: Option<&'a str>,
    #[serde(borrow)]
    trade_price: Option<&'a RawValue>,
    #[serde(borrow)]
    trade_volume: Option<&'a RawValue>,
    ask_bid: Option<&'a str>,
    trade_timestamp: Option<u64>,
    sequential_id: Option<u64>,
    #[serde(borrow)]
    prev_closing_price: Option<&'a RawValue>,
    #[serde(borrow)]
    high_price: Option<&'a RawValue>,
    #[serde(borrow)]
    low_price: Option<&'a RawValue>,
    #[serde(borrow)]
    acc_trade_volume: Option<&'a RawValue>,
    /// `UP`, every ten seconds, to who sends `PING` as a text.
    status: Option<&'a str>,
    #[serde(borrow)]
    error: Option<Refusal<'a>>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    name: Option<&'a str>,
}

pub fn read(message: &[u8]) -> Result<Heard, Bad> {
    let message: Message<'_> = serde_json::from_slice(message).map_err(|_| Bad::Unreadable)?;
    if let Some(error) = message.error {
        return Err(Bad::Refused(error.name.unwrap_or_default().to_owned()));
    }
    match message.kind {
        Some("trade") => Ok(Heard::Trade {
            symbol: symbol(message.code)?,
            id: message.sequential_id.ok_or(Bad::Missing("sequential_id"))?,
            at: message.trade_timestamp.ok_or(Bad::Missing("trade_timestamp"))?,
            price: price(message.trade_price, "trade_price")?,
            quantity: volume(message.trade_volume, "trade_volume")?,
            bought: match message.ask_bid {
                Some("BID") => true,
                Some("ASK") => false,
                _ => return Err(Bad::Missing("ask_bid")),
            },
        }),
        Some("ticker") => Ok(Heard::Day {
            symbol: symbol(message.code)?,
            at: message.trade_timestamp.ok_or(Bad::Missing("trade_timestamp"))?,
            day: Day {
                last: price(message.trade_price, "trade_price")?,
                open: price(message.prev_closing_price, "prev_closing_price").ok(),
                high: price(message.high_price, "high_price").ok(),
                low: price(message.low_price, "low_price").ok(),
                volume: volume(message.acc_trade_volume, "acc_trade_volume").ok(),
            },
        }),
        Some(_) => Err(Bad::UnknownKind),
        None if message.status.is_some() => Ok(Heard::Aside),
        None => Err(Bad::Missing("type")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TRADE: &str = r#"{"type":"trade","code":"KRW-BTC","timestamp":1730336862082,"trade_date":"2024-10-31","trade_time":"01:07:42","trade_timestamp":1730336862047,"trade_price":100473000.00000000,"trade_volume":0.00014208,"ask_bid":"BID","prev_closing_price":100571000.00000000,"change":"FALL","change_price":98000.00000000,"sequential_id":17303368620470000,"stream_type":"REALTIME"}"#;
    const TICKER: &str = r#"{"type":"ticker","code":"KRW-BTC","opening_price":100571000.0,"high_price":100690000.0,"low_price":99500000.0,"trade_price":1.00473E8,"prev_closing_price":100571000.0,"acc_trade_volume":418.46420823,"trade_timestamp":1730336862047,"ask_bid":"BID","stream_type":"SNAPSHOT"}"#;

    #[test]
    fn trades_and_tickers_are_read_to_the_last_digit() {
        assert_eq!(
            read(TRADE.as_bytes()),
            Ok(Heard::Trade {
                symbol: "krw-btc".to_owned(),
                id: 17_303_368_620_470_000,
                at: 1_730_336_862_047,
                price: 10_047_300_000_000_000,
                quantity: 142,
                bought: true,
            })
        );
        let Ok(Heard::Day { day, .. }) = read(TICKER.as_bytes()) else {
            panic!("a ticker is not read")
        };
        assert_eq!(
            (day.last, day.open, day.volume),
            (10_047_300_000_000_000, Some(10_057_100_000_000_000), Some(418_464_208))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |from: &str, to: &str| read(TRADE.replace(from, to).as_bytes());
        for (from, to, bad) in [
            ("100473000.00000000", "\"abc\"", Bad::NotANumber("trade_price")),
            ("100473000.00000000", "null", Bad::Missing("trade_price")),
            ("100473000.00000000", "0", Bad::NotANumber("trade_price")),
            ("100473000.00000000", "-5", Bad::NotANumber("trade_price")),
            ("\"type\":\"trade\"", "\"type\":\"orderbook\"", Bad::UnknownKind),
            ("\"code\":\"KRW-BTC\",", "", Bad::Missing("symbol")),
            ("KRW-BTC", "KRW/BTC", Bad::Symbol),
            ("\"sequential_id\"", "\"other\"", Bad::Missing("sequential_id")),
            ("\"BID\"", "\"SOLD\"", Bad::Missing("ask_bid")),
            ("{\"type\"", "{\"type", Bad::Unreadable),
        ] {
            assert_eq!(with(from, to), Err(bad), "{to}");
        }
        assert_eq!(read(br#"{"status":"UP"}"#), Ok(Heard::Aside));
        assert_eq!(
            read(br#"{"error":{"name":"NO_CODES","message":"m"}}"#),
            Err(Bad::Refused("NO_CODES".to_owned()))
        );
    }

    #[test]
    fn one_array_asks_for_everything() {
        let asked: serde_json::Value = serde_json::from_str(&greeting("t", &["krw-btc".to_owned()])).unwrap();
        assert_eq!(
            asked,
            json!([{"ticket":"t"},{"type":"ticker","codes":["KRW-BTC"]},{"type":"trade","codes":["KRW-BTC"]}])
        );
    }
}

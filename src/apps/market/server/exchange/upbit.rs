//! Upbit's public WebSocket, as documented (<https://docs.upbit.com/kr/reference/websocket-guide>, with `websocket-ticker` and
//! `websocket-trade`): one JSON array subscribes to all streams, messages are JSON in binary frames, and a connection on which
//! the client sends nothing, not even a ping, for 120 seconds is closed.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::quote_conflater::DayStats;
use super::{ExchangeMessage, ParseError, parse_price, parse_symbol, parse_volume};

pub const URL: &str = "wss://api.upbit.com/websocket/v1";

/// KRW markets with a high trading volume.
pub const DEFAULT_CODES: [&str; 12] = [
    "KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-DOGE", "KRW-ADA", "KRW-TRX", "KRW-LINK", "KRW-AVAX", "KRW-DOT",
    "KRW-BCH", "KRW-ETC",
];

pub fn subscribe_message(ticket: &str, codes: &[String]) -> String {
    let codes: Vec<String> = codes.iter().map(|code| code.to_uppercase()).collect();
    let request = [
        RequestPart::Ticket { ticket },
        RequestPart::Stream {
            codes: &codes,
            kind: "ticker",
        },
        RequestPart::Stream {
            codes: &codes,
            kind: "trade",
        },
    ];
    serde_json::to_string(&request).unwrap_or_default()
}

/// An element of the subscribe message.
#[derive(Serialize)]
#[serde(untagged)]
enum RequestPart<'a> {
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
        Some((quote, base)) => [base, "/", quote].concat(),
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
    /// `UP`, every ten seconds, if the client sends `PING` as a text message.
    status: Option<&'a str>,
    #[serde(borrow)]
    error: Option<ErrorInfo<'a>>,
}

#[derive(Deserialize)]
struct ErrorInfo<'a> {
    name: Option<&'a str>,
}

pub fn parse(message: &[u8]) -> Result<ExchangeMessage, ParseError> {
    let message: Message<'_> = serde_json::from_slice(message).map_err(|_| ParseError::InvalidJson)?;
    if let Some(error) = message.error {
        return Err(ParseError::Rejected(error.name.unwrap_or_default().to_owned()));
    }
    match message.kind {
        Some("trade") => Ok(ExchangeMessage::Trade {
            symbol: parse_symbol(message.code)?,
            id: message.sequential_id.ok_or(ParseError::Missing("sequential_id"))?,
            at: message.trade_timestamp.ok_or(ParseError::Missing("trade_timestamp"))?,
            price: parse_price(message.trade_price, "trade_price")?,
            quantity: parse_volume(message.trade_volume, "trade_volume")?,
            buyer_is_taker: match message.ask_bid {
                Some("BID") => true,
                Some("ASK") => false,
                _ => return Err(ParseError::Missing("ask_bid")),
            },
        }),
        Some("ticker") => Ok(ExchangeMessage::Day {
            symbol: parse_symbol(message.code)?,
            at: message.trade_timestamp.ok_or(ParseError::Missing("trade_timestamp"))?,
            day: DayStats {
                last: parse_price(message.trade_price, "trade_price")?,
                open: parse_price(message.prev_closing_price, "prev_closing_price").ok(),
                high: parse_price(message.high_price, "high_price").ok(),
                low: parse_price(message.low_price, "low_price").ok(),
                volume: parse_volume(message.acc_trade_volume, "acc_trade_volume").ok(),
            },
        }),
        Some(_) => Err(ParseError::UnknownKind),
        None if message.status.is_some() => Ok(ExchangeMessage::Ignored),
        None => Err(ParseError::Missing("type")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TRADE: &str = r#"{"type":"trade","code":"KRW-BTC","timestamp":1730336862082,"trade_date":"2024-10-31","trade_time":"01:07:42","trade_timestamp":1730336862047,"trade_price":100473000.00000000,"trade_volume":0.00014208,"ask_bid":"BID","prev_closing_price":100571000.00000000,"change":"FALL","change_price":98000.00000000,"sequential_id":17303368620470000,"stream_type":"REALTIME"}"#;
    const TICKER: &str = r#"{"type":"ticker","code":"KRW-BTC","opening_price":100571000.0,"high_price":100690000.0,"low_price":99500000.0,"trade_price":1.00473E8,"prev_closing_price":100571000.0,"acc_trade_volume":418.46420823,"trade_timestamp":1730336862047,"ask_bid":"BID","stream_type":"SNAPSHOT"}"#;

    #[test]
    fn trades_and_tickers_are_parsed_exactly() {
        assert_eq!(
            parse(TRADE.as_bytes()),
            Ok(ExchangeMessage::Trade {
                symbol: "krw-btc".to_owned(),
                id: 17_303_368_620_470_000,
                at: 1_730_336_862_047,
                price: 10_047_300_000_000_000,
                quantity: 142,
                buyer_is_taker: true,
            })
        );
        let Ok(ExchangeMessage::Day { day, .. }) = parse(TICKER.as_bytes()) else {
            panic!("the ticker is not parsed")
        };
        assert_eq!(
            (day.last, day.open, day.volume),
            (10_047_300_000_000_000, Some(10_057_100_000_000_000), Some(418_464_208))
        );
    }

    #[test]
    fn an_error_names_the_cause() {
        let with = |from: &str, to: &str| parse(TRADE.replace(from, to).as_bytes());
        for (from, to, error) in [
            (
                "100473000.00000000",
                "\"abc\"",
                ParseError::InvalidNumber("trade_price"),
            ),
            ("100473000.00000000", "null", ParseError::Missing("trade_price")),
            ("100473000.00000000", "0", ParseError::InvalidNumber("trade_price")),
            ("100473000.00000000", "-5", ParseError::InvalidNumber("trade_price")),
            ("\"type\":\"trade\"", "\"type\":\"orderbook\"", ParseError::UnknownKind),
            ("\"code\":\"KRW-BTC\",", "", ParseError::Missing("symbol")),
            ("KRW-BTC", "KRW/BTC", ParseError::InvalidSymbol),
            ("\"sequential_id\"", "\"other\"", ParseError::Missing("sequential_id")),
            ("\"BID\"", "\"SOLD\"", ParseError::Missing("ask_bid")),
            ("{\"type\"", "{\"type", ParseError::InvalidJson),
        ] {
            assert_eq!(with(from, to), Err(error), "{to}");
        }
        assert_eq!(parse(br#"{"status":"UP"}"#), Ok(ExchangeMessage::Ignored));
        assert_eq!(
            parse(br#"{"error":{"name":"NO_CODES","message":"m"}}"#),
            Err(ParseError::Rejected("NO_CODES".to_owned()))
        );
    }

    #[test]
    fn one_array_subscribes_to_all_streams() {
        let request: serde_json::Value =
            serde_json::from_str(&subscribe_message("t", &["krw-btc".to_owned()])).unwrap();
        assert_eq!(
            request,
            json!([{"ticket":"t"},{"type":"ticker","codes":["KRW-BTC"]},{"type":"trade","codes":["KRW-BTC"]}])
        );
    }
}

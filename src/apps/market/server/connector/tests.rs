//! Tests of the connector against in-memory exchanges.

use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::advance;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{accept_async, accept_hdr_async};

use super::super::super::model::chart::CandleChart;
use super::super::super::model::quote_book::QuoteBook;
use super::super::super::wire::{ALL, Candles, Quotes};
use super::*;
use duplex_hub::dyn_topic;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::testing;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::topic::Topic;

/// Buffer size of the in-memory stream in each direction.
const PIPE: usize = 64 << 10;

/// A connector that dials in-memory streams, which the test accepts. The clock is paused.
struct ConnectorHarness {
    hub: Hub,
    dials: mpsc::UnboundedReceiver<(String, u16, DuplexStream)>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl ConnectorHarness {
    fn new(exchange: Exchange, codes: &[&str]) -> Self {
        let log = Arc::new(MemoryLog::new(Epoch::new(1)));
        let hub = Hub::new(log, vec![dyn_topic(Quotes), dyn_topic(Candles)]);
        let (dialled, dials) = mpsc::unbounded_channel();
        let dial = move |host: String, port: u16| -> DialFuture {
            let (client, server) = duplex(PIPE);
            dialled.send((host, port, server)).unwrap();
            Box::pin(async move { Ok(Box::new(client) as Box<dyn ByteStream>) })
        };
        let connector = Arc::new(ExchangeConnector {
            exchange,
            url: "ws://exchange.test:81".to_owned(),
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            dial,
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(connector.run(hub.clone(), stop.clone()));
        Self { hub, dials, stop, task }
    }

    async fn accept(&mut self) -> DuplexStream {
        let (host, port, stream) = self.dials.recv().await.unwrap();
        assert_eq!((host.as_str(), port), ("exchange.test", 81));
        stream
    }

    /// Accepts the next connection and returns it with the subscribe message.
    async fn accept_upbit(&mut self) -> (WebSocketStream<DuplexStream>, serde_json::Value) {
        let mut socket = accept_async(self.accept().await).await.unwrap();
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return (socket, serde_json::from_str(&text).unwrap());
            }
        }
    }

    async fn state<T: Topic>(&self, rest: &str) -> T::State {
        testing::state::<T>(&self.hub, rest).await
    }

    async fn wait_until(&self, condition: impl Fn(&QuoteBook) -> bool) -> QuoteBook {
        for _ in 0..5_000 {
            let book = self.state::<Quotes>(ALL).await;
            if condition(&book) {
                return book;
            }
            advance(Duration::from_millis(20)).await;
        }
        panic!("timed out: {:?}", self.state::<Quotes>(ALL).await)
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }
}

fn upbit_trade(id: u64, price: &str) -> Message {
    let text = format!(
        r#"{{"type":"trade","code":"KRW-BTC","trade_timestamp":1730336862047,"trade_price":{price},"trade_volume":0.5,"ask_bid":"BID","sequential_id":{id},"stream_type":"REALTIME"}}"#
    );
    Message::binary(text.into_bytes())
}

fn last(book: &QuoteBook, symbol: &str) -> u64 {
    book.entries.get(symbol).map_or(0, |entry| entry.tick.last)
}

fn has_skipped(count: u64) -> impl Fn(&QuoteBook) -> bool {
    move |book| book.feed.skipped == count
}

#[tokio::test(start_paused = true)]
async fn upbit_prices_are_published() {
    let mut harness = ConnectorHarness::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, request) = harness.accept_upbit().await;
    assert_eq!(request[2], serde_json::json!({"type": "trade", "codes": ["KRW-BTC"]}));
    socket.send(upbit_trade(1, "100473000.0")).await.unwrap();
    let book = harness
        .wait_until(|book| last(book, "krw-btc") == 10_047_300_000_000_000)
        .await;
    assert_eq!((book.source.name.as_str(), book.source.simulated), ("upbit", false));
    harness.wait_until(|book| book.feed.status == FeedStatus::Live).await;
    for _ in 0..100 {
        if harness.state::<Candles>("krw-btc").await.trade_count == 1 {
            return harness.stop().await;
        }
        advance(Duration::from_millis(20)).await;
    }
    panic!(
        "no trade in the candles: {:?}",
        harness.state::<Candles>("krw-btc").await as CandleChart
    );
}

#[tokio::test(start_paused = true)]
async fn invalid_messages_are_counted_and_skipped() {
    let mut harness = ConnectorHarness::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = harness.accept_upbit().await;
    socket.send(upbit_trade(7, "100.5")).await.unwrap();
    let unusable = [
        Message::text("{\"type\":\"tra"),
        Message::text(r#"{"type":"orderbook","code":"KRW-BTC"}"#),
        Message::text(r#"{"type":"trade"}"#),
        Message::binary(vec![0xff, 0xfe]),
        upbit_trade(8, "\"a lot\""),
        upbit_trade(8, "0"),
        upbit_trade(8, "-3"),
        upbit_trade(8, "null"),
        upbit_trade(7, "1.0"),
        upbit_trade(6, "1.0"),
        Message::text(r#"{"error":{"name":"WRONG_FORMAT","message":""}}"#),
        Message::text(upbit_trade(9, "1.0").into_text().unwrap().replace("KRW-BTC", "KRW-ETH")),
    ];
    let count = unusable.len() as u64;
    for message in unusable {
        socket.send(message).await.unwrap();
    }
    socket.send(Message::text(r#"{"status":"UP"}"#)).await.unwrap();
    let book = harness.wait_until(has_skipped(count)).await;
    assert_eq!(last(&book, "krw-btc"), 10_050_000_000, "the price stays");
    assert_eq!(book.entries.len(), 1);
    socket.send(upbit_trade(8, "101")).await.unwrap();
    harness.wait_until(|book| last(book, "krw-btc") == 10_100_000_000).await;
    harness.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_within_a_frame_is_reopened() {
    let mut harness = ConnectorHarness::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = harness.accept_upbit().await;
    socket.send(upbit_trade(1, "100")).await.unwrap();
    harness.wait_until(|book| book.feed.status == FeedStatus::Live).await;
    // A binary frame that announces 256 bytes, of which three arrive.
    socket
        .get_mut()
        .write_all(&[0x82, 0x7e, 0x01, 0x00, 1, 2, 3])
        .await
        .unwrap();
    drop(socket);
    let book = harness.wait_until(|book| book.feed.status == FeedStatus::Lost).await;
    assert!(book.entries["krw-btc"].tick.stale, "an old price is marked as stale");
    assert_eq!(last(&book, "krw-btc"), 10_000_000_000);
    let (mut socket, _) = harness.accept_upbit().await;
    socket.send(upbit_trade(1, "50")).await.unwrap();
    socket.send(upbit_trade(2, "120")).await.unwrap();
    let book = harness.wait_until(|book| last(book, "krw-btc") == 12_000_000_000).await;
    assert!(!book.entries["krw-btc"].tick.stale);
    harness.wait_until(has_skipped(1)).await;
    harness.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_feed_becomes_stale_and_is_reconnected() {
    let mut harness = ConnectorHarness::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = harness.accept_upbit().await;
    socket.send(upbit_trade(1, "100")).await.unwrap();
    let started_at = Instant::now();
    harness.wait_until(|book| book.feed.status == FeedStatus::Stale).await;
    assert!(started_at.elapsed() >= FEED_STALE_AFTER && started_at.elapsed() < 2 * FEED_STALE_AFTER);
    // The socket is not read, so pings are not answered.
    harness.accept().await;
    assert!(
        started_at.elapsed() >= SILENCE_TIMEOUT
            && started_at.elapsed() < SILENCE_TIMEOUT + 2 * MIN_BACKOFF + PUBLISH_INTERVAL * 20
    );
    drop(socket);
    harness.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_pings_stays_open() {
    let mut harness = ConnectorHarness::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = harness.accept_upbit().await;
    let mut pings = 0;
    while pings < 6 {
        if let Message::Ping(_) = socket.next().await.unwrap().unwrap() {
            pings += 1;
        }
    }
    assert!(harness.dials.try_recv().is_err(), "still the first connection");
    harness.stop().await;
}

#[tokio::test(start_paused = true)]
async fn binance_streams_are_named_in_the_url() {
    let mut harness = ConnectorHarness::new(Exchange::Binance, &["BTCUSDT"]);
    let mut uri = String::new();
    #[expect(clippy::result_large_err, reason = "the engine's type")]
    let record_uri = |request: &Request, response: Response| {
        uri = request.uri().to_string();
        Ok(response)
    };
    let stream = harness.accept().await;
    let mut socket = accept_hdr_async(stream, record_uri).await.unwrap();
    assert_eq!(uri, "/stream?streams=btcusdt@aggTrade/btcusdt@miniTicker");
    let trade = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":5,"p":"65001.10","q":"0.0125","T":1672515782130,"m":true}}"#;
    let day = r#"{"stream":"btcusdt@miniTicker","data":{"e":"24hrMiniTicker","E":1672515782136,"s":"BTCUSDT","c":"65001.10","o":"64000","h":"65500","l":"63900","v":"10","q":"1"}}"#;
    for text in [trade, day] {
        socket.send(Message::text(text)).await.unwrap();
    }
    let book = harness
        .wait_until(|book| {
            book.entries
                .get("btcusdt")
                .is_some_and(|entry| entry.tick.open != entry.tick.last)
        })
        .await;
    let tick = &book.entries["btcusdt"].tick;
    assert_eq!(
        (tick.open, tick.last, tick.volume),
        (6_400_000_000_000, 6_500_110_000_000, 10_000_000)
    );
    socket
        .send(Message::text(r#"{"e":"serverShutdown","E":1}"#))
        .await
        .unwrap();
    harness.wait_until(|book| book.feed.status == FeedStatus::Lost).await;
    harness.accept().await;
    harness.stop().await;
}

#[test]
fn backoffs_grow_and_are_jittered() {
    let mut backoff = MIN_BACKOFF;
    let mut all = Vec::new();
    for _ in 0..8 {
        for random in [0, u64::MAX / 2, u64::MAX] {
            let wait = jittered(backoff, random);
            assert!(wait >= backoff / 2 && wait <= backoff);
        }
        all.push(backoff.as_secs());
        backoff = next_backoff(backoff);
    }
    assert_eq!(all, [1, 2, 4, 8, 16, 32, 60, 60]);
}

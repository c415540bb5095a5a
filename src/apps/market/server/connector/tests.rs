//! The connector against exchanges in memory.

use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::advance;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{accept_async, accept_hdr_async};

use super::super::super::model::chart::Chart;
use super::super::super::model::quote_book::QuoteBook;
use super::super::super::wire::{ALL, Candles, Quotes};
use super::*;
use duplex_hub::dyn_topic;
use duplex_hub::log::memory::Memory;
use duplex_hub::testing;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::topic::Topic;

/// Bytes on their way in each direction.
const PIPE: usize = 64 << 10;

/// An exchange of the test's own: it is called in memory, and the test owns the clock.
struct Stage {
    hub: Hub,
    calls: mpsc::UnboundedReceiver<(String, u16, DuplexStream)>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Stage {
    fn new(exchange: Exchange, codes: &[&str]) -> Self {
        let log = Arc::new(Memory::new(Epoch::new(1)));
        let hub = Hub::new(log, vec![dyn_topic(Quotes), dyn_topic(Candles)]);
        let (called, calls) = mpsc::unbounded_channel();
        let dial = move |host: String, port: u16| -> Dialling {
            let (near, far) = duplex(PIPE);
            called.send((host, port, far)).unwrap();
            Box::pin(async move { Ok(Box::new(near) as Box<dyn Io>) })
        };
        let connector = Arc::new(Connector {
            exchange,
            url: "ws://exchange.test:81".to_owned(),
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            dial,
        });
        let stop = CancellationToken::new();
        let running = tokio::spawn(connector.run(hub.clone(), stop.clone()));
        Self {
            hub,
            calls,
            stop,
            running,
        }
    }

    async fn call(&mut self) -> DuplexStream {
        let (host, port, stream) = self.calls.recv().await.unwrap();
        assert_eq!((host.as_str(), port), ("exchange.test", 81));
        stream
    }

    /// The next call, taken, and its greeting.
    async fn upbit(&mut self) -> (WebSocketStream<DuplexStream>, serde_json::Value) {
        let mut socket = accept_async(self.call().await).await.unwrap();
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return (socket, serde_json::from_str(&text).unwrap());
            }
        }
    }

    async fn state<T: Topic>(&self, rest: &str) -> T::State {
        testing::state::<T>(&self.hub, rest).await
    }

    async fn until(&self, so: impl Fn(&QuoteBook) -> bool) -> QuoteBook {
        for _ in 0..5_000 {
            let board = self.state::<Quotes>(ALL).await;
            if so(&board) {
                return board;
            }
            advance(Duration::from_millis(20)).await;
        }
        panic!("it never came: {:?}", self.state::<Quotes>(ALL).await)
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(5), self.running).await.unwrap().unwrap();
    }
}

fn upbit(id: u64, price: &str) -> Message {
    let text = format!(
        r#"{{"type":"trade","code":"KRW-BTC","trade_timestamp":1730336862047,"trade_price":{price},"trade_volume":0.5,"ask_bid":"BID","sequential_id":{id},"stream_type":"REALTIME"}}"#
    );
    Message::binary(text.into_bytes())
}

fn last(board: &QuoteBook, symbol: &str) -> u64 {
    board.entries.get(symbol).map_or(0, |entry| entry.tick.last)
}

fn skips(count: u64) -> impl Fn(&QuoteBook) -> bool {
    move |board| board.feed.skipped == count
}

#[tokio::test(start_paused = true)]
async fn upbit_is_asked_and_heard() {
    let mut stage = Stage::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, asked) = stage.upbit().await;
    assert_eq!(asked[2], serde_json::json!({"type": "trade", "codes": ["KRW-BTC"]}));
    socket.send(upbit(1, "100473000.0")).await.unwrap();
    let board = stage
        .until(|board| last(board, "krw-btc") == 10_047_300_000_000_000)
        .await;
    assert_eq!((board.source.name.as_str(), board.source.simulated), ("upbit", false));
    stage.until(|board| board.feed.status == FeedStatus::Live).await;
    for _ in 0..100 {
        if stage.state::<Candles>("krw-btc").await.count == 1 {
            return stage.end().await;
        }
        advance(Duration::from_millis(20)).await;
    }
    panic!(
        "no trade in the candles: {:?}",
        stage.state::<Candles>("krw-btc").await as Chart
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_counted_and_skipped() {
    let mut stage = Stage::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = stage.upbit().await;
    socket.send(upbit(7, "100.5")).await.unwrap();
    let broken = [
        Message::text("{\"type\":\"tra"),
        Message::text(r#"{"type":"orderbook","code":"KRW-BTC"}"#),
        Message::text(r#"{"type":"trade"}"#),
        Message::binary(vec![0xff, 0xfe]),
        upbit(8, "\"a lot\""),
        upbit(8, "0"),
        upbit(8, "-3"),
        upbit(8, "null"),
        upbit(7, "1.0"),
        upbit(6, "1.0"),
        Message::text(r#"{"error":{"name":"WRONG_FORMAT","message":""}}"#),
        Message::text(upbit(9, "1.0").into_text().unwrap().replace("KRW-BTC", "KRW-ETH")),
    ];
    let count = broken.len() as u64;
    for message in broken {
        socket.send(message).await.unwrap();
    }
    socket.send(Message::text(r#"{"status":"UP"}"#)).await.unwrap();
    let board = stage.until(skips(count)).await;
    assert_eq!(last(&board, "krw-btc"), 10_050_000_000, "the price stays");
    assert_eq!(board.entries.len(), 1);
    socket.send(upbit(8, "101")).await.unwrap();
    stage.until(|board| last(board, "krw-btc") == 10_100_000_000).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_within_a_frame_is_made_anew() {
    let mut stage = Stage::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = stage.upbit().await;
    socket.send(upbit(1, "100")).await.unwrap();
    stage.until(|board| board.feed.status == FeedStatus::Live).await;
    // A binary frame of 256 bytes, of which three come.
    socket
        .get_mut()
        .write_all(&[0x82, 0x7e, 0x01, 0x00, 1, 2, 3])
        .await
        .unwrap();
    drop(socket);
    let board = stage.until(|board| board.feed.status == FeedStatus::Lost).await;
    assert!(board.entries["krw-btc"].tick.stale, "an old price says that it is old");
    assert_eq!(last(&board, "krw-btc"), 10_000_000_000);
    let (mut socket, _) = stage.upbit().await;
    socket.send(upbit(1, "50")).await.unwrap();
    socket.send(upbit(2, "120")).await.unwrap();
    let board = stage.until(|board| last(board, "krw-btc") == 12_000_000_000).await;
    assert!(!board.entries["krw-btc"].tick.stale);
    stage.until(skips(1)).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_said_and_then_ended() {
    let mut stage = Stage::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = stage.upbit().await;
    socket.send(upbit(1, "100")).await.unwrap();
    let began = Instant::now();
    stage.until(|board| board.feed.status == FeedStatus::Stale).await;
    assert!(began.elapsed() >= STALE && began.elapsed() < 2 * STALE);
    // Nobody answers a ping here: the socket is not read.
    stage.call().await;
    assert!(began.elapsed() >= SILENCE && began.elapsed() < SILENCE + 2 * PAUSE + SLOT * 20);
    drop(socket);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_pings_may_be_silent() {
    let mut stage = Stage::new(Exchange::Upbit, &["KRW-BTC"]);
    let (mut socket, _) = stage.upbit().await;
    let mut pings = 0;
    while pings < 6 {
        if let Message::Ping(_) = socket.next().await.unwrap().unwrap() {
            pings += 1;
        }
    }
    assert!(stage.calls.try_recv().is_err(), "it is still the first call");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn binance_is_called_by_the_names_of_its_streams() {
    let mut stage = Stage::new(Exchange::Binance, &["BTCUSDT"]);
    let mut asked = String::new();
    #[expect(clippy::result_large_err, reason = "the engine's type")]
    let note = |request: &Request, response: Response| {
        asked = request.uri().to_string();
        Ok(response)
    };
    let stream = stage.call().await;
    let mut socket = accept_hdr_async(stream, note).await.unwrap();
    assert_eq!(asked, "/stream?streams=btcusdt@aggTrade/btcusdt@miniTicker");
    let trade = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":5,"p":"65001.10","q":"0.0125","T":1672515782130,"m":true}}"#;
    let day = r#"{"stream":"btcusdt@miniTicker","data":{"e":"24hrMiniTicker","E":1672515782136,"s":"BTCUSDT","c":"65001.10","o":"64000","h":"65500","l":"63900","v":"10","q":"1"}}"#;
    for text in [trade, day] {
        socket.send(Message::text(text)).await.unwrap();
    }
    let board = stage
        .until(|board| {
            board
                .entries
                .get("btcusdt")
                .is_some_and(|entry| entry.tick.open != entry.tick.last)
        })
        .await;
    let tick = &board.entries["btcusdt"].tick;
    assert_eq!(
        (tick.open, tick.last, tick.volume),
        (6_400_000_000_000, 6_500_110_000_000, 10_000_000)
    );
    socket
        .send(Message::text(r#"{"e":"serverShutdown","E":1}"#))
        .await
        .unwrap();
    stage.until(|board| board.feed.status == FeedStatus::Lost).await;
    stage.call().await;
    stage.end().await;
}

#[test]
fn pauses_grow_and_are_spread() {
    let mut pause = PAUSE;
    let mut all = Vec::new();
    for _ in 0..8 {
        for random in [0, u64::MAX / 2, u64::MAX] {
            let wait = jittered(pause, random);
            assert!(wait >= pause / 2 && wait <= pause);
        }
        all.push(pause.as_secs());
        pause = longer(pause);
    }
    assert_eq!(all, [1, 2, 4, 8, 16, 32, 60, 60]);
}

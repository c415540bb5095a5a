//! The feed that hears an exchange. Whatever comes, or does not come, the page goes on with what was last heard, and says how
//! old it is: a message that cannot be read is counted and skipped, a lost connection is made anew after a growing pause.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{Connector as Tls, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tokio_util::sync::CancellationToken;

use super::super::wire::{Feed as FeedState, Millis, Source, Standing, Trade};
use super::desk::Desk;
use super::exchange::{Bad, Exchange, Heard};
use super::publisher::{PublishError, Publisher};
use crate::server::tls::{self, Io, TlsError};
use duplex_hub::{BackgroundTask, Hub, TaskFuture};

/// From a name to a WebSocket that is open.
const OPENING: Duration = Duration::from_secs(10);
/// Both exchanges cut off who is silent, Upbit after 120 s; and their answer tells that they are still there.
const PING: Duration = Duration::from_secs(30);
/// Without any frame, not even a pong, for so long, a connection is given up.
const SILENCE: Duration = Duration::from_secs(75);
/// Without a price of any symbol for so long, the feed is stale; and a symbol by itself after the second.
const STALE: Duration = Duration::from_secs(15);
const STALE_SYMBOL: Millis = 120_000;
/// Between two looks at what was heard.
const SLOT: Duration = Duration::from_millis(100);
/// Slots between two batches of trades for the candles.
const TRADE_SLOTS: u64 = 10;
/// Bytes of a message; what the exchanges send of one symbol is a hundredth of it.
const MESSAGE: usize = 256 << 10;
/// The first and the longest pause before a connection is made anew, and how long one must have lived to begin from the first.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(60);
const LIVED: Duration = Duration::from_secs(60);

pub type Dialling = Pin<Box<dyn Future<Output = std::io::Result<Box<dyn Io>>> + Send>>;
type Socket = WebSocketStream<MaybeTlsStream<Box<dyn Io>>>;

/// The way to a host and port, without TLS.
pub type Dial = fn(String, u16) -> Dialling;

pub struct Connector<D = Dial> {
    exchange: Exchange,
    url: String,
    codes: Vec<String>,
    dial: D,
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the address is none: {0}")]
    Address(String),
    #[error("no connection: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error("the WebSocket: {0}")]
    Socket(#[from] Box<tungstenite::Error>),
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("the exchange did not answer in time")]
    TimedOut,
    #[error("nothing was heard, not even an answer to a ping")]
    Silent,
    #[error("the exchange closed the connection")]
    Closed,
    #[error("the exchange asks to come back")]
    AskedToLeave,
    #[error("stopped")]
    Stopped,
}

impl Connector {
    pub fn new(exchange: Exchange, url: String, codes: Vec<String>) -> Self {
        Self {
            exchange,
            url,
            codes,
            dial,
        }
    }
}

fn dial(host: String, port: u16) -> Dialling {
    Box::pin(async move {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream) as Box<dyn Io>)
    })
}

impl<D> BackgroundTask for Connector<D>
where
    D: Fn(String, u16) -> Dialling + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.exchange.feed_name()
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            match Floor::open(&self, hub).await {
                Ok(floor) => self.keep(floor, &stop).await,
                Err(error) => tracing::warn!("the market stands still: {error}"),
            }
        })
    }
}

impl<D> Connector<D>
where
    D: Fn(String, u16) -> Dialling + Send + Sync + 'static,
{
    async fn keep(&self, mut floor: Floor, stop: &CancellationToken) {
        let mut pause = PAUSE;
        loop {
            let began = Instant::now();
            let ended = match self.hear(&mut floor, stop).await {
                Ok(never) => match never {},
                Err(Ended::Stopped) => return floor.publisher.trades(&mut floor.desk, true).await,
                Err(ended) => ended,
            };
            if began.elapsed() >= LIVED {
                pause = PAUSE;
            }
            let wait = jittered(pause, rand());
            tracing::warn!(
                seconds = wait.as_secs_f32(),
                "the exchange is asked again after a pause: {ended}"
            );
            floor.lost().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
            pause = longer(pause);
        }
    }

    /// Until it ends, somehow.
    async fn hear(&self, floor: &mut Floor, stop: &CancellationToken) -> Result<std::convert::Infallible, Ended> {
        floor.stand(Standing::Connecting).await;
        let mut socket = tokio::select! {
            () = stop.cancelled() => return Err(Ended::Stopped),
            opened = timeout(OPENING, self.open()) => opened.map_err(|_| Ended::TimedOut)??,
        };
        let mut pings = interval(PING);
        let mut slots = interval(SLOT);
        slots.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut slot) = (Instant::now(), 0_u64);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                    return Err(Ended::Stopped);
                }
                message = socket.next() => {
                    heard = Instant::now();
                    match message.ok_or(Ended::Closed)?.map_err(Box::new)? {
                        Message::Text(text) => floor.read(self.exchange, text.as_bytes()).await?,
                        Message::Binary(bytes) => floor.read(self.exchange, &bytes).await?,
                        Message::Close(_) => return Err(Ended::Closed),
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                _ = pings.tick() => {
                    let ping = socket.send(Message::Ping(tungstenite::Bytes::new()));
                    timeout(OPENING, ping).await.map_err(|_| Ended::TimedOut)?.map_err(Box::new)?;
                }
                _ = slots.tick() => {
                    if heard.elapsed() >= SILENCE {
                        return Err(Ended::Silent);
                    }
                    slot += 1;
                    floor.tend(slot).await;
                }
            }
        }
    }

    async fn open(&self) -> Result<Socket, Ended> {
        let address = self.exchange.address(&self.url, &self.codes);
        let wrong = || Ended::Address(address.clone());
        let uri: Uri = address.parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?.to_owned();
        let secure = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = (self.dial)(host, port).await?;
        let tls = match secure {
            true => Tls::Rustls(tls::client(None)?),
            false => Tls::Plain,
        };
        let request = address.as_str().into_client_request().map_err(Box::new)?;
        let bounds = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE))
            .max_frame_size(Some(MESSAGE));
        let opened = client_async_tls_with_config(request, stream, Some(bounds), Some(tls)).await;
        let (mut socket, _) = opened.map_err(Box::new)?;
        let ticket = uuid::Uuid::new_v4().to_string();
        if let Some(greeting) = self.exchange.greeting(&ticket, &self.codes) {
            let greeting = Message::Text(Utf8Bytes::from(greeting));
            socket.send(greeting).await.map_err(Box::new)?;
        }
        Ok(socket)
    }
}

/// A part of the pause that chance says, so that not all come back at once.
fn jittered(pause: Duration, random: u64) -> Duration {
    let part = (random >> 32) as f64 / (1_u64 << 32) as f64;
    pause.mul_f64(0.5 + part / 2.0)
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(PAUSE_MOST)
}

fn rand() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// What outlives a connection.
struct Floor {
    publisher: Publisher,
    desk: Desk,
    feed: FeedState,
    /// The feed as it was last told.
    told: FeedState,
    /// The newest trade of each symbol: what comes again, or late, is skipped.
    newest: HashMap<String, u64>,
    asked: Vec<String>,
    priced: Instant,
}

impl Floor {
    async fn open<D>(connector: &Connector<D>, hub: Hub) -> Result<Self, PublishError> {
        let mut publisher = Publisher::new(hub)?;
        let board = publisher.board().await?;
        let source = Source {
            name: connector.exchange.name().to_owned(),
            simulated: false,
        };
        let known = board.source == source;
        publisher.open(source).await?;
        let mut desk = Desk::new(if known { board.entries } else { Default::default() });
        desk.not_after(super::now());
        // What was published before is old until something is heard.
        desk.mark_stale(Millis::MAX);
        Ok(Self {
            publisher,
            desk,
            feed: FeedState::default(),
            told: board.feed,
            newest: HashMap::new(),
            asked: connector.codes.iter().map(|code| code.to_lowercase()).collect(),
            priced: Instant::now(),
        })
    }

    async fn stand(&mut self, standing: Standing) {
        if self.feed.standing != standing || self.feed.since == 0 {
            self.feed.standing = standing;
            self.feed.since = super::now();
            self.tell().await;
        }
    }

    async fn tell(&mut self) {
        if self.told != self.feed {
            self.told = self.feed;
            if let Err(error) = self.publisher.feed(self.feed).await {
                tracing::warn!("nobody is told how the feed stands: {error}");
            }
        }
    }

    async fn lost(&mut self) {
        self.desk.mark_stale(Millis::MAX);
        self.publisher.desk(&mut self.desk).await;
        self.publisher.trades(&mut self.desk, true).await;
        self.stand(Standing::Lost).await;
    }

    async fn read(&mut self, exchange: Exchange, message: &[u8]) -> Result<(), Ended> {
        match exchange
            .read(message)
            .map_err(Told::Bad)
            .and_then(|heard| self.take(exchange, heard))
        {
            Ok(true) => {
                self.priced = Instant::now();
                self.stand(Standing::Live).await;
            }
            Ok(false) => {}
            Err(Told::Leave) => return Err(Ended::AskedToLeave),
            Err(Told::Bad(bad)) => {
                self.feed.skipped += 1;
                tracing::debug!("a message is skipped: {bad}");
            }
        }
        Ok(())
    }

    /// Whether it was a price.
    fn take(&mut self, exchange: Exchange, heard: Heard) -> Result<bool, Told> {
        let now = super::now();
        match heard {
            Heard::Aside => Ok(false),
            Heard::Leave => Err(Told::Leave),
            Heard::Trade {
                symbol,
                id,
                at,
                price,
                quantity,
                bought,
            } => {
                self.know(exchange, &symbol, price, now)?;
                let newest = self.newest.entry(symbol.clone()).or_default();
                if id <= *newest {
                    return Err(Told::Bad(Bad::NotANumber("id")));
                }
                *newest = id;
                // An exchange's clock may be ahead of ours; nothing was traded tomorrow.
                let at = at.min(now);
                let trade = Trade {
                    at,
                    price,
                    quantity,
                    bought,
                };
                self.desk.trade(&symbol, trade);
                Ok(true)
            }
            Heard::Day { symbol, at, day } => {
                self.know(exchange, &symbol, day.last, now)?;
                self.feed.skipped += u64::from(!day.is_whole());
                self.desk.day(&symbol, day, at.min(now));
                Ok(true)
            }
        }
    }

    fn know(&mut self, exchange: Exchange, symbol: &str, price: u64, now: Millis) -> Result<(), Told> {
        if !self.asked.iter().any(|asked| asked == symbol) {
            return Err(Told::Bad(Bad::Symbol));
        }
        self.desk.list(exchange.listing(symbol, price), price, now);
        Ok(())
    }

    /// Each slot: tells what was heard; each tenth, also what was traded and what is silent.
    async fn tend(&mut self, slot: u64) {
        if slot.is_multiple_of(TRADE_SLOTS) {
            let now = super::now();
            self.desk.not_after(now);
            self.desk.mark_stale(now.saturating_sub(STALE_SYMBOL));
            self.publisher.desk(&mut self.desk).await;
            self.publisher.trades(&mut self.desk, false).await;
            if self.feed.standing == Standing::Live && self.priced.elapsed() >= STALE {
                self.stand(Standing::Stale).await;
            }
            self.tell().await;
        } else {
            self.publisher.desk(&mut self.desk).await;
        }
    }
}

/// Why something that was heard is no news.
enum Told {
    Leave,
    Bad(Bad),
}

impl From<Bad> for Told {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;
    use tokio::time::advance;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    use tokio_tungstenite::{accept_async, accept_hdr_async};

    use super::super::super::model::board::Board;
    use super::super::super::model::chart::Chart;
    use super::super::super::wire::{ALL, Candles, Quotes};
    use super::*;
    use duplex_hub::dyn_topic;
    use duplex_hub::log::memory::Memory;
    use duplex_protocol::codec::Encoding;
    use duplex_protocol::cursor::Epoch;
    use duplex_protocol::topic::{Topic, TopicName};

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
            let handle = self.hub.open(&TopicName::of::<T>(rest).unwrap()).await.unwrap();
            handle
                .state(Encoding::Json)
                .await
                .unwrap()
                .1
                .decode(Encoding::Json)
                .unwrap()
        }

        async fn until(&self, so: impl Fn(&Board) -> bool) -> Board {
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

    fn last(board: &Board, symbol: &str) -> u64 {
        board.entries.get(symbol).map_or(0, |entry| entry.tick.last)
    }

    fn skips(count: u64) -> impl Fn(&Board) -> bool {
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
        stage.until(|board| board.feed.standing == Standing::Live).await;
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
        stage.until(|board| board.feed.standing == Standing::Live).await;
        // A binary frame of 256 bytes, of which three come.
        socket
            .get_mut()
            .write_all(&[0x82, 0x7e, 0x01, 0x00, 1, 2, 3])
            .await
            .unwrap();
        drop(socket);
        let board = stage.until(|board| board.feed.standing == Standing::Lost).await;
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
        stage.until(|board| board.feed.standing == Standing::Stale).await;
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
        stage.until(|board| board.feed.standing == Standing::Lost).await;
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
}

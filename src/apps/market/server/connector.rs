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

use super::super::wire::{Feed as FeedState, FeedStatus, Millis, Source, Trade};
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
        floor.set_status(FeedStatus::Connecting).await;
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
        desk.not_after(duplex_hub::now());
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

    async fn set_status(&mut self, status: FeedStatus) {
        if self.feed.status != status || self.feed.since == 0 {
            self.feed.status = status;
            self.feed.since = duplex_hub::now();
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
        self.set_status(FeedStatus::Lost).await;
    }

    async fn read(&mut self, exchange: Exchange, message: &[u8]) -> Result<(), Ended> {
        match exchange
            .read(message)
            .map_err(Told::Bad)
            .and_then(|heard| self.take(exchange, heard))
        {
            Ok(true) => {
                self.priced = Instant::now();
                self.set_status(FeedStatus::Live).await;
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
        let now = duplex_hub::now();
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
            let now = duplex_hub::now();
            self.desk.not_after(now);
            self.desk.mark_stale(now.saturating_sub(STALE_SYMBOL));
            self.publisher.desk(&mut self.desk).await;
            self.publisher.trades(&mut self.desk, false).await;
            if self.feed.status == FeedStatus::Live && self.priced.elapsed() >= STALE {
                self.set_status(FeedStatus::Stale).await;
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
mod tests;
